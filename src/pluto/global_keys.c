/* The keys of --globalstatus, in their order. A family is a prefix and the words behind it. */
#include "global_keys.h"

#define CURRENT_STATES_ENUMERATE_WORDS                                                             \
	"STATE_MAIN_R0 STATE_MAIN_I1 STATE_MAIN_R1 STATE_MAIN_I2 STATE_MAIN_R2 STATE_MAIN_I3 "     \
	"STATE_MAIN_R3 STATE_MAIN_I4 STATE_AGGR_R0 STATE_AGGR_I1 STATE_AGGR_R1 STATE_AGGR_I2 "     \
	"STATE_AGGR_R2 STATE_QUICK_R0 STATE_QUICK_I1 STATE_QUICK_R1 STATE_QUICK_I2 "               \
	"STATE_QUICK_R2 "                                                                          \
	"STATE_INFO STATE_INFO_PROTECTED STATE_XAUTH_R0 STATE_XAUTH_R1 "                           \
	"STATE_MODE_CFG_SERVER_WAITING_FOR_ACK STATE_MODE_CFG_CLIENT_RESPONDING "                  \
	"STATE_MODE_CFG_R0 "                                                                       \
	"STATE_MODE_CFG_R1 STATE_MODE_CFG_R2 STATE_MODE_CFG_I1 STATE_XAUTH_I0 STATE_XAUTH_I1 "     \
	"UNSECURED_R IKE_SA_INIT_I0 IKE_SA_INIT_I IKE_SA_INIT_R IKE_SA_INIT_IR "                   \
	"IKE_INTERMEDIATE_I "                                                                      \
	"IKE_INTERMEDIATE_R IKE_INTERMEDIATE_IR IKE_SESSION_RESUME_I0 IKE_SESSION_RESUME_I "       \
	"IKE_SESSION_RESUME_R0 IKE_SESSION_RESUME_R IKE_SESSION_RESUME_IR IKE_AUTH_EAP_R "         \
	"IKE_AUTH_I NEW_CHILD_I0 NEW_CHILD_R0 NEW_CHILD_I1 REKEY_IKE_I0 REKEY_IKE_I1 "             \
	"REKEY_CHILD_I0 REKEY_CHILD_I1 REKEY_IKE_R0 REKEY_CHILD_R0 REKEY_IKE_FOLLOWUP_KE_I0 "      \
	"REKEY_IKE_FOLLOWUP_KE_I1 REKEY_IKE_FOLLOWUP_KE_R0 ESTABLISHED_IKE_SA "                    \
	"ESTABLISHED_CHILD_SA ZOMBIE"

#define TOTAL_IKEV1_ENCR_WORDS "3DES_CBC CAMELLIA_CTR CAMELLIA_CBC AES_CTR AES_CBC"

#define TOTAL_IKEV1_INTEG_WORDS                                                                    \
	"HMAC_MD5_96 HMAC_SHA1_96 HMAC_SHA2_512_256 HMAC_SHA2_384_192 HMAC_SHA2_256_128"

#define TOTAL_IKEV1_GROUP_WORDS                                                                    \
	"MODP1536 MODP2048 MODP3072 MODP4096 MODP6144 MODP8192 DH19 DH20 DH21 DH23 DH24 DH31"

#define TOTAL_IKEV2_ENCR_WORDS                                                                     \
	"3DES RC5 IDEA CAST BLOWFISH 3IDEA DES_IV32 NULL AES_CBC AES_CTR AES_CCM_8 AES_CCM_12 "    \
	"AES_CCM_16 AES_GCM_8 AES_GCM_12 AES_GCM_16 NULL_AUTH_AES_GMAC CAMELLIA_CBC CAMELLIA_CTR " \
	"CAMELLIA_CCM_8 CAMELLIA_CCM_12 CAMELLIA_CCM_16 CHACHA20_POLY1305 AES_CCM_8_IIV "          \
	"AES_GCM_16_IIV CHACHA20_POLY1305_IIV KUZNYECHIK_MGM_KTREE MAGMA_MGM_KTREE "               \
	"KUZNYECHIK_MGM_MAC_KTREE MAGMA_MGM_MAC_KTREE"

#define TOTAL_IKEV2_INTEG_WORDS                                                                    \
	"HMAC_MD5_96 HMAC_SHA1_96 DES_MAC KPDK_MD5 AES_XCBC_96 HMAC_MD5_128 HMAC_SHA1_160 "        \
	"AES_CMAC_96 AES_128_GMAC AES_192_GMAC AES_256_GMAC HMAC_SHA2_256_128 HMAC_SHA2_384_192 "  \
	"HMAC_SHA2_512_256"

#define TOTAL_IKEV2_GROUP_WORDS                                                                    \
	"NONE MODP1536 MODP2048 MODP3072 MODP4096 MODP6144 MODP8192 DH19 DH20 DH21 DH23 DH24 DH31"

#define TOTAL_IKEV1_IPSEC_ENCR_WORDS                                                               \
	"AES_CCM_16 AES_CCM_12 AES_CCM_8 3DES_CBC CAMELLIA_CBC AES_GCM_16 AES_GCM_12 AES_GCM_8 "   \
	"AES_CTR AES_CBC NULL_AUTH_AES_GMAC NULL"

#define TOTAL_IKEV1_IPSEC_INTEG_WORDS                                                              \
	"HMAC_MD5_96 HMAC_SHA1_96 HMAC_SHA2_512_256 HMAC_SHA2_384_192 HMAC_SHA2_256_128 "          \
	"AES_XCBC_96 NONE"

#define TOTAL_IKEV2_IPSEC_ENCR_WORDS                                                               \
	"AES_CCM_16 AES_CCM_12 AES_CCM_8 3DES_CBC CAMELLIA_CTR CAMELLIA_CBC AES_GCM_16 "           \
	"AES_GCM_12 "                                                                              \
	"AES_GCM_8 AES_CTR AES_CBC NULL_AUTH_AES_GMAC NULL CHACHA20_POLY1305"

#define TOTAL_IKEV2_IPSEC_INTEG_WORDS                                                              \
	"HMAC_MD5_96 HMAC_SHA1_96 HMAC_SHA2_512_256 HMAC_SHA2_384_192 HMAC_SHA2_256_128 "          \
	"AES_XCBC_96 AES_CMAC_96 NONE"

#define TOTAL_IKEV1_SENT_NOTIFIES_ERROR_WORDS                                                      \
	"INVALID_PAYLOAD_TYPE DOI_NOT_SUPPORTED SITUATION_NOT_SUPPORTED INVALID_COOKIE "           \
	"INVALID_MAJOR_VERSION INVALID_MINOR_VERSION INVALID_EXCHANGE_TYPE INVALID_FLAGS "         \
	"INVALID_MESSAGE_ID INVALID_PROTOCOL_ID INVALID_SPI INVALID_TRANSFORM_ID "                 \
	"ATTRIBUTES_NOT_SUPPORTED NO_PROPOSAL_CHOSEN BAD_PROPOSAL_SYNTAX PAYLOAD_MALFORMED "       \
	"INVALID_KEY_INFORMATION INVALID_ID_INFORMATION INVALID_CERT_ENCODING "                    \
	"INVALID_CERTIFICATE "                                                                     \
	"CERT_TYPE_UNSUPPORTED INVALID_CERT_AUTHORITY INVALID_HASH_INFORMATION "                   \
	"AUTHENTICATION_FAILED INVALID_SIGNATURE ADDRESS_NOTIFICATION NOTIFY_SA_LIFETIME "         \
	"CERTIFICATE_UNAVAILABLE UNSUPPORTED_EXCHANGE_TYPE UNEQUAL_PAYLOAD_LENGTHS"

#define TOTAL_TOTAL_PLUTO_STF_WORDS                                                                \
	"STF_OK STF_OK_INITIATOR_DELETE_IKE STF_OK_INITIATOR_SEND_DELETE_IKE "                     \
	"STF_OK_RESPONDER_DELETE_IKE STF_INTERNAL_ERROR STF_FATAL STF_FAIL_v1N"

#define TOTAL_IKEV2_SENT_NOTIFIES_ERROR_WORDS                                                      \
	"UNSUPPORTED_CRITICAL_PAYLOAD INVALID_IKE_SPI INVALID_MAJOR_VERSION INVALID_SYNTAX "       \
	"INVALID_MESSAGE_ID INVALID_SPI NO_PROPOSAL_CHOSEN INVALID_KE_PAYLOAD "                    \
	"AUTHENTICATION_FAILED SINGLE_PAIR_REQUIRED NO_ADDITIONAL_SAS INTERNAL_ADDRESS_FAILURE "   \
	"FAILED_CP_REQUIRED TS_UNACCEPTABLE INVALID_SELECTORS UNACCEPTABLE_ADDRESSES "             \
	"UNEXPECTED_NAT_DETECTED USE_ASSIGNED_HoA TEMPORARY_FAILURE CHILD_SA_NOT_FOUND "           \
	"INVALID_GROUP_ID AUTHORIZATION_FAILED STATE_NOT_FOUND TS_MAX_QUEUE REGISTRATION_FAILED "  \
	"other"

#define TOTAL_IKEV2_SENT_NOTIFIES_STATUS_WORDS                                                     \
	"INITIAL_CONTACT SET_WINDOW_SIZE ADDITIONAL_TS_POSSIBLE IPCOMP_SUPPORTED "                 \
	"NAT_DETECTION_SOURCE_IP NAT_DETECTION_DESTINATION_IP COOKIE USE_TRANSPORT_MODE "          \
	"HTTP_CERT_LOOKUP_SUPPORTED REKEY_SA ESP_TFC_PADDING_NOT_SUPPORTED "                       \
	"NON_FIRST_FRAGMENTS_ALSO MOBIKE_SUPPORTED ADDITIONAL_IP4_ADDRESS ADDITIONAL_IP6_ADDRESS " \
	"NO_ADDITIONAL_ADDRESSES UPDATE_SA_ADDRESSES COOKIE2 NO_NATS_ALLOWED AUTH_LIFETIME "       \
	"MULTIPLE_AUTH_SUPPORTED ANOTHER_AUTH_FOLLOWS REDIRECT_SUPPORTED REDIRECT "                \
	"REDIRECTED_FROM "                                                                         \
	"TICKET_LT_OPAQUE TICKET_REQUEST TICKET_ACK TICKET_NACK TICKET_OPAQUE LINK_ID "            \
	"USE_WESP_MODE ROHC_SUPPORTED EAP_ONLY_AUTHENTICATION CHILDLESS_IKEV2_SUPPORTED "          \
	"QUICK_CRASH_DETECTION IKEV2_MESSAGE_ID_SYNC_SUPPORTED "                                   \
	"IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED IKEV2_MESSAGE_ID_SYNC IPSEC_REPLAY_COUNTER_SYNC "     \
	"SECURE_PASSWORD_METHODS PSK_PERSIST PSK_CONFIRM ERX_SUPPORTED IFOM_CAPABILITY "           \
	"GROUP_SENDER IKEV2_FRAGMENTATION_SUPPORTED SIGNATURE_HASH_ALGORITHMS "                    \
	"CLONE_IKE_SA_SUPPORTED CLONE_IKE_SA PUZZLE USE_PPK PPK_IDENTITY NO_PPK_AUTH "             \
	"INTERMEDIATE_EXCHANGE_SUPPORTED IP4_ALLOWED IP6_ALLOWED ADDITIONAL_KEY_EXCHANGE "         \
	"USE_AGGFRAG SUPPORTED_AUTH_METHODS SA_RESOURCE_INFO USE_PPK_INT PPK_IDENTITY_KEY other"

#define PLAIN(key)                                                                                 \
	{                                                                                          \
		key, NULL                                                                          \
	}

/* clang-format off */
const struct global_family global_families[] = {
	PLAIN("config.setup.ike.ddos_threshold"),
	PLAIN("config.setup.ike.max_halfopen"),
	PLAIN("current.states.all"),
	PLAIN("current.states.ipsec"),
	PLAIN("current.states.ike"),
	PLAIN("current.states.shunts"),
	PLAIN("current.states.iketype.anonymous"),
	PLAIN("current.states.iketype.authenticated"),
	PLAIN("current.states.iketype.halfopen"),
	PLAIN("current.states.iketype.open"),
	{"current.states.enumerate.", CURRENT_STATES_ENUMERATE_WORDS},
	PLAIN("total.ipsec.type.all"),
	PLAIN("total.ipsec.type.esp"),
	PLAIN("total.ipsec.type.ah"),
	PLAIN("total.ipsec.type.ipcomp"),
	PLAIN("total.ipsec.type.esn"),
	PLAIN("total.ipsec.type.tfc"),
	PLAIN("total.ipsec.type.encap"),
	PLAIN("total.ipsec.type.non_encap"),
	PLAIN("total.ipsec.traffic.in"),
	PLAIN("total.ipsec.traffic.out"),
	PLAIN("total.ipsec.esp.traffic.in"),
	PLAIN("total.ipsec.esp.traffic.out"),
	PLAIN("total.ipsec.ah.traffic.in"),
	PLAIN("total.ipsec.ah.traffic.out"),
	PLAIN("total.ipsec.ipcomp.traffic.in"),
	PLAIN("total.ipsec.ipcomp.traffic.out"),
	PLAIN("total.ike.ikev2.established"),
	PLAIN("total.ike.ikev2.failed"),
	PLAIN("total.ike.ikev2.completed"),
	PLAIN("total.ike.ikev2.redirect.completed"),
	PLAIN("total.ike.ikev2.redirect.failed"),
	PLAIN("total.ike.ikev1.established"),
	PLAIN("total.ike.ikev1.failed"),
	PLAIN("total.ike.ikev1.completed"),
	PLAIN("total.ike.ikev1.dropped"),
	PLAIN("total.ikev1.isakmp.started"),
	PLAIN("total.ikev1.isakmp.established"),
	PLAIN("total.ikev1.isakmp.finished"),
	PLAIN("total.ikev1.ipsec.started"),
	PLAIN("total.ikev1.ipsec.established"),
	PLAIN("total.ikev1.ipsec.finished"),
	PLAIN("total.ikev2.ike.started"),
	PLAIN("total.ikev2.ike.established"),
	PLAIN("total.ikev2.ike.finished"),
	PLAIN("total.ikev2.child.started"),
	PLAIN("total.ikev2.child.established"),
	PLAIN("total.ikev2.child.finished"),
	PLAIN("total.ike.dpd.sent"),
	PLAIN("total.ike.dpd.recv"),
	PLAIN("total.ike.dpd.replied"),
	PLAIN("total.ike.mangled"),
	PLAIN("total.ike.traffic.in"),
	PLAIN("total.ike.traffic.out"),
	PLAIN("total.pamauth.started"),
	PLAIN("total.pamauth.stopped"),
	PLAIN("total.pamauth.aborted"),
	PLAIN("total.iketcp.client.started"),
	PLAIN("total.iketcp.client.stopped"),
	PLAIN("total.iketcp.client.aborted"),
	PLAIN("total.iketcp.server.started"),
	PLAIN("total.iketcp.server.stopped"),
	PLAIN("total.iketcp.server.aborted"),
	{"total.ikev1.encr.", TOTAL_IKEV1_ENCR_WORDS},
	{"total.ikev1.integ.", TOTAL_IKEV1_INTEG_WORDS},
	{"total.ikev1.group.", TOTAL_IKEV1_GROUP_WORDS},
	{"total.ikev2.encr.", TOTAL_IKEV2_ENCR_WORDS},
	{"total.ikev2.integ.", TOTAL_IKEV2_INTEG_WORDS},
	{"total.ikev2.group.", TOTAL_IKEV2_GROUP_WORDS},
	{"total.ikev2.recv.invalidke.using.", TOTAL_IKEV2_GROUP_WORDS},
	{"total.ikev2.recv.invalidke.suggesting.", TOTAL_IKEV2_GROUP_WORDS},
	{"total.ikev2.sent.invalidke.using.", TOTAL_IKEV2_GROUP_WORDS},
	{"total.ikev2.sent.invalidke.suggesting.", TOTAL_IKEV2_GROUP_WORDS},
	{"total.ikev1.ipsec.encr.", TOTAL_IKEV1_IPSEC_ENCR_WORDS},
	{"total.ikev1.ipsec.integ.", TOTAL_IKEV1_IPSEC_INTEG_WORDS},
	{"total.ikev2.ipsec.encr.", TOTAL_IKEV2_IPSEC_ENCR_WORDS},
	{"total.ikev2.ipsec.integ.", TOTAL_IKEV2_IPSEC_INTEG_WORDS},
	{"total.ikev1.sent.notifies.error.", TOTAL_IKEV1_SENT_NOTIFIES_ERROR_WORDS},
	{"total.ikev1.recv.notifies.error.", TOTAL_IKEV1_SENT_NOTIFIES_ERROR_WORDS},
	{"total.total.pluto.stf.", TOTAL_TOTAL_PLUTO_STF_WORDS},
	{"total.ikev2.sent.notifies.error.", TOTAL_IKEV2_SENT_NOTIFIES_ERROR_WORDS},
	{"total.ikev2.recv.notifies.error.", TOTAL_IKEV2_SENT_NOTIFIES_ERROR_WORDS},
	{"total.ikev2.sent.notifies.status.", TOTAL_IKEV2_SENT_NOTIFIES_STATUS_WORDS},
	{"total.ikev2.recv.notifies.status.", TOTAL_IKEV2_SENT_NOTIFIES_STATUS_WORDS},
};
/* clang-format on */
const size_t global_family_count = sizeof(global_families) / sizeof(global_families[0]);
