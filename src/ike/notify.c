/* Notify message types (RFC 7296, section 3.10.1, and IANA's registries "IKEv2 Notify Message Error
 * Types" and "... Status Types"): the ones that the reports count by name. */
#include "message.h"

#define STATUS_FIRST 16384

static const struct {
	uint16_t type;
	const char *name;
} errors[] = {
	{1, "UNSUPPORTED_CRITICAL_PAYLOAD"},
	{4, "INVALID_IKE_SPI"},
	{5, "INVALID_MAJOR_VERSION"},
	{7, "INVALID_SYNTAX"},
	{9, "INVALID_MESSAGE_ID"},
	{11, "INVALID_SPI"},
	{14, "NO_PROPOSAL_CHOSEN"},
	{17, "INVALID_KE_PAYLOAD"},
	{24, "AUTHENTICATION_FAILED"},
	{34, "SINGLE_PAIR_REQUIRED"},
	{35, "NO_ADDITIONAL_SAS"},
	{36, "INTERNAL_ADDRESS_FAILURE"},
	{37, "FAILED_CP_REQUIRED"},
	{38, "TS_UNACCEPTABLE"},
	{39, "INVALID_SELECTORS"},
	{40, "UNACCEPTABLE_ADDRESSES"},
	{41, "UNEXPECTED_NAT_DETECTED"},
	{42, "USE_ASSIGNED_HoA"},
	{43, "TEMPORARY_FAILURE"},
	{44, "CHILD_SA_NOT_FOUND"},
	{45, "INVALID_GROUP_ID"},
	{46, "AUTHORIZATION_FAILED"},
	{47, "STATE_NOT_FOUND"},
	{48, "TS_MAX_QUEUE"},
	{49, "REGISTRATION_FAILED"},
};

/* Without a gap from STATUS_FIRST on. */
static const char *const statuses[] = {
	"INITIAL_CONTACT",
	"SET_WINDOW_SIZE",
	"ADDITIONAL_TS_POSSIBLE",
	"IPCOMP_SUPPORTED",
	"NAT_DETECTION_SOURCE_IP",
	"NAT_DETECTION_DESTINATION_IP",
	"COOKIE",
	"USE_TRANSPORT_MODE",
	"HTTP_CERT_LOOKUP_SUPPORTED",
	"REKEY_SA",
	"ESP_TFC_PADDING_NOT_SUPPORTED",
	"NON_FIRST_FRAGMENTS_ALSO",
	"MOBIKE_SUPPORTED",
	"ADDITIONAL_IP4_ADDRESS",
	"ADDITIONAL_IP6_ADDRESS",
	"NO_ADDITIONAL_ADDRESSES",
	"UPDATE_SA_ADDRESSES",
	"COOKIE2",
	"NO_NATS_ALLOWED",
	"AUTH_LIFETIME",
	"MULTIPLE_AUTH_SUPPORTED",
	"ANOTHER_AUTH_FOLLOWS",
	"REDIRECT_SUPPORTED",
	"REDIRECT",
	"REDIRECTED_FROM",
	"TICKET_LT_OPAQUE",
	"TICKET_REQUEST",
	"TICKET_ACK",
	"TICKET_NACK",
	"TICKET_OPAQUE",
	"LINK_ID",
	"USE_WESP_MODE",
	"ROHC_SUPPORTED",
	"EAP_ONLY_AUTHENTICATION",
	"CHILDLESS_IKEV2_SUPPORTED",
	"QUICK_CRASH_DETECTION",
	"IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
	"IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
	"IKEV2_MESSAGE_ID_SYNC",
	"IPSEC_REPLAY_COUNTER_SYNC",
	"SECURE_PASSWORD_METHODS",
	"PSK_PERSIST",
	"PSK_CONFIRM",
	"ERX_SUPPORTED",
	"IFOM_CAPABILITY",
	"GROUP_SENDER",
	"IKEV2_FRAGMENTATION_SUPPORTED",
	"SIGNATURE_HASH_ALGORITHMS",
	"CLONE_IKE_SA_SUPPORTED",
	"CLONE_IKE_SA",
	"PUZZLE",
	"USE_PPK",
	"PPK_IDENTITY",
	"NO_PPK_AUTH",
	"INTERMEDIATE_EXCHANGE_SUPPORTED",
	"IP4_ALLOWED",
	"IP6_ALLOWED",
	"ADDITIONAL_KEY_EXCHANGE",
	"USE_AGGFRAG",
	"SUPPORTED_AUTH_METHODS",
	"SA_RESOURCE_INFO",
	"USE_PPK_INT",
	"PPK_IDENTITY_KEY",
};

#define ERROR_COUNT  (sizeof(errors) / sizeof(errors[0]))
#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))

int notify_error_index(uint16_t type)
{
	for (unsigned i = 0; i < ERROR_COUNT; i++)
		if (errors[i].type == type)
			return (int)i;
	return -1;
}

int notify_status_index(uint16_t type)
{
	return type >= STATUS_FIRST && type - STATUS_FIRST < (int)STATUS_COUNT ? type - STATUS_FIRST
									       : -1;
}

const char *notify_error_name(unsigned index)
{
	return index < ERROR_COUNT ? errors[index].name : NULL;
}

const char *notify_status_name(unsigned index)
{
	return index < STATUS_COUNT ? statuses[index] : NULL;
}

const char *notify_name(uint16_t type)
{
	int index = NOTIFY_IS_ERROR(type) ? notify_error_index(type) : notify_status_index(type);

	if (index < 0)
		return NULL;
	return NOTIFY_IS_ERROR(type) ? errors[index].name : statuses[index];
}
