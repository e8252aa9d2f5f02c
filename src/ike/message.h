/* IKE messages on the wire (RFC 7296, section 3): header, payload chain, and the typed payloads.
 * Decoding never allocates and never reads past the message; encoding writes into a caller's
 * buffer. Whether a message makes sense is not decided here. */
#ifndef IKE_MESSAGE_H
#define IKE_MESSAGE_H

#include "base/bytes.h"
#include "base/traffic_selector.h"
#include "crypto/symmetric.h"
#include "ike/identity.h"
#include "ike/proposal.h"

#define IKE_HEADER_LEN 28
#define SK_HEADER_LEN  4 /* the generic one */
#define SKF_HEADER_LEN 8 /* with number and total */
#define IKE_VERSION_2  0x20
/* Larger than any message that we send; what comes in may have up to 64 KiB. */
#define IKE_MESSAGE_MAX  16384
#define IKE_PAYLOADS_MAX 64

enum exchange_type {
	EXCHANGE_IKE_SA_INIT = 34,
	EXCHANGE_IKE_AUTH = 35,
	EXCHANGE_CREATE_CHILD_SA = 36,
	EXCHANGE_INFORMATIONAL = 37,
};

enum {
	FLAG_INITIATOR = 0x08, /* sent by the original initiator of the IKE SA */
	FLAG_VERSION = 0x10,
	FLAG_RESPONSE = 0x20,
};

enum payload_type {
	PAYLOAD_NONE = 0,
	PAYLOAD_SA = 33,
	PAYLOAD_KE = 34,
	PAYLOAD_IDi = 35,
	PAYLOAD_IDr = 36,
	PAYLOAD_CERT = 37,
	PAYLOAD_CERTREQ = 38,
	PAYLOAD_AUTH = 39,
	PAYLOAD_NONCE = 40,
	PAYLOAD_NOTIFY = 41,
	PAYLOAD_DELETE = 42,
	PAYLOAD_VENDOR = 43,
	PAYLOAD_TSi = 44,
	PAYLOAD_TSr = 45,
	PAYLOAD_SK = 46,
	PAYLOAD_CP = 47,
	PAYLOAD_EAP = 48,
	PAYLOAD_SKF = 53,
};

struct ike_header {
	uint64_t spi_i, spi_r; /* host order */
	uint8_t next_payload, version, exchange, flags;
	uint32_t message_id, length;
};

/* False: shorter than a header. Nothing but the length of `message` is judged. */
bool ike_header_decode(struct bytes message, struct ike_header *header);

struct payload {
	uint8_t type;
	bool critical;
	struct bytes body; /* behind the generic header */
};

struct payload_list {
	unsigned count;
	struct payload payloads[IKE_PAYLOADS_MAX];
	uint8_t after; /* what the last payload's next field names; for SK: first inner payload */
};

enum chain_result { CHAIN_OK, CHAIN_MALFORMED, CHAIN_TOO_MANY };
/* Walks the chain that begins with `first`; an SK or SKF payload ends it. On failure `error` says
 * what is wrong, at which payload. */
enum chain_result payload_chain_decode(uint8_t first, struct bytes bytes, struct payload_list *list,
	char *error, size_t error_size);
/* The first of the type, NULL: none. */
const struct payload *payload_find(const struct payload_list *list, uint8_t type);
unsigned payload_count(const struct payload_list *list, uint8_t type);
/* The first critical payload whose type we do not know; NULL: none. */
const struct payload *payload_unknown_critical(const struct payload_list *list);
/* "SA", "KE", "IDi", "TSr", "N", ...; "17?" for unknown ones. Returns `out`. */
const char *payload_type_name(uint8_t type, char out[8]);
const char *exchange_name(uint8_t exchange); /* "IKE_SA_INIT", ...; "unknown exchange" */
/* "IDi,AUTH,SA,TSi,TSr" with notifies as N(NAME). Returns `out`. */
const char *payload_list_text(const struct payload_list *list, char *out, size_t size);

/* ---- typed payload bodies: false means malformed ------------------------- */
/* `list` has room for `room` proposals; more than that, or more than TRANSFORMS_MAX transforms, is
 * malformed. */
bool sa_payload_decode(struct bytes body, struct proposal_list *list, unsigned room, char *error,
	size_t error_size);
bool ke_payload_decode(struct bytes body, uint16_t *group, struct bytes *value);
bool nonce_payload_decode(struct bytes body, struct bytes *nonce); /* 16..256 bytes */

struct notify {
	uint8_t protocol, spi_len;
	uint16_t type;
	uint64_t spi; /* spi_len 0, 4 or 8 */
	struct bytes data;
};
bool notify_payload_decode(struct bytes body, struct notify *notify);

struct delete_payload {
	uint8_t protocol, spi_len;
	uint16_t spi_count;
	struct bytes spis;
};
bool delete_payload_decode(struct bytes body, struct delete_payload *del);
uint32_t delete_payload_spi(const struct delete_payload *del, unsigned i); /* ESP, AH */

bool auth_payload_decode(struct bytes body, uint8_t *method, struct bytes *data);
/* The first `room` selectors of the types 7 and 8 into `out`, further ones are checked and left
 * out; selectors of unknown types are passed over (RFC 7296, section 3.13.1), so that *count may
 * be 0. */
bool ts_payload_decode(
	struct bytes body, struct traffic_selector *out, unsigned room, unsigned *count);

enum certificate_encoding { /* IANA "IKEv2 Certificate Encodings": those that are told apart */
	ENCODING_PKCS7 = 1,
	ENCODING_X509_SIGNATURE = 4,
	ENCODING_HASH_AND_URL = 12,
	ENCODING_HASH_AND_URL_BUNDLE = 13,
};
/* CERT and CERTREQ: `data` is the certificate, or the authorities' hashes. */
bool cert_payload_decode(struct bytes body, uint8_t *encoding, struct bytes *data);
/* SIGNATURE_HASH_ALGORITHMS (RFC 7427, section 4): a mask of SIGHASH_BITs of those that we know. */
uint32_t hash_algorithms_decode(struct bytes data);

/* ---- notify types (IANA) ------------------------------------------------- */
enum notify_type {
	N_UNSUPPORTED_CRITICAL_PAYLOAD = 1,
	N_INVALID_IKE_SPI = 4,
	N_INVALID_MAJOR_VERSION = 5,
	N_INVALID_SYNTAX = 7,
	N_INVALID_MESSAGE_ID = 9,
	N_INVALID_SPI = 11,
	N_NO_PROPOSAL_CHOSEN = 14,
	N_INVALID_KE_PAYLOAD = 17,
	N_AUTHENTICATION_FAILED = 24,
	N_SINGLE_PAIR_REQUIRED = 34,
	N_NO_ADDITIONAL_SAS = 35,
	N_INTERNAL_ADDRESS_FAILURE = 36,
	N_FAILED_CP_REQUIRED = 37,
	N_TS_UNACCEPTABLE = 38,
	N_INVALID_SELECTORS = 39,
	N_TEMPORARY_FAILURE = 43,
	N_CHILD_SA_NOT_FOUND = 44,
	N_INITIAL_CONTACT = 16384,
	N_SET_WINDOW_SIZE = 16385,
	N_ADDITIONAL_TS_POSSIBLE = 16386,
	N_IPCOMP_SUPPORTED = 16387,
	N_NAT_DETECTION_SOURCE_IP = 16388,
	N_NAT_DETECTION_DESTINATION_IP = 16389,
	N_COOKIE = 16390,
	N_USE_TRANSPORT_MODE = 16391,
	N_HTTP_CERT_LOOKUP_SUPPORTED = 16392,
	N_REKEY_SA = 16393,
	N_ESP_TFC_PADDING_NOT_SUPPORTED = 16394,
	N_NON_FIRST_FRAGMENTS_ALSO = 16395,
	N_MOBIKE_SUPPORTED = 16396,
	N_IKEV2_FRAGMENTATION_SUPPORTED = 16430,
	N_SIGNATURE_HASH_ALGORITHMS = 16431,
};
#define NOTIFY_IS_ERROR(type) ((type) < 16384)
/* "NO_PROPOSAL_CHOSEN"; NULL: unknown. All types of IANA's registry that --globalstatus counts. */
const char *notify_name(uint16_t type);
/* For counters: the place of a type among the errors or among the status types that have names, in
 * order of number; names[...] by notify_error_name/notify_status_name; -1: other. */
int notify_error_index(uint16_t type);
int notify_status_index(uint16_t type);
const char *notify_error_name(unsigned index);  /* NULL past the end */
const char *notify_status_name(unsigned index); /* NULL past the end */

/* ---- building ------------------------------------------------------------ */
struct message_writer {
	struct writer w;
	size_t next_at;    /* where the type of the next payload goes */
	size_t payload_at; /* start of the open payload */
	size_t sk_at;      /* start of the SK or SKF payload, 0: none */
	size_t sk_header_len;
};

/* Header with `length` and `next_payload` filled in later. `buffer` should have IKE_MESSAGE_MAX
 * bytes. */
void message_begin(
	struct message_writer *m, void *buffer, size_t size, const struct ike_header *header);
void payload_begin(struct message_writer *m, uint8_t type);
void payload_end(struct message_writer *m);
/* Sets the length. False if anything did not fit. */
bool message_end(struct message_writer *m);

/* Whole payloads. */
void sa_payload_encode(
	struct message_writer *m, const struct proposal_list *list, uint8_t spi_len, uint64_t spi);
/* Without KE transforms, which IKE_AUTH does not have (RFC 7296, section 1.2). */
void sa_payload_encode_without_ke(
	struct message_writer *m, const struct proposal_list *list, uint8_t spi_len, uint64_t spi);
/* A responder's: the one chosen proposal with its number, and our SPI. */
void chosen_payload_encode(struct message_writer *m, const struct chosen_proposal *chosen,
	uint8_t spi_len, uint64_t spi);
void ke_payload_encode(struct message_writer *m, uint16_t group, struct bytes value);
void nonce_payload_encode(struct message_writer *m, struct bytes nonce);
void notify_payload_encode(struct message_writer *m, uint8_t protocol, uint8_t spi_len,
	uint64_t spi, uint16_t type, struct bytes data);
void id_payload_encode(struct message_writer *m, uint8_t payload_type, const struct identity *id);
void auth_payload_encode(struct message_writer *m, uint8_t method, struct bytes data);
void ts_payload_encode(struct message_writer *m, uint8_t payload_type,
	const struct traffic_selector *ts, unsigned count);
/* PROTOCOL_IKE: no SPIs. */
void delete_payload_encode(
	struct message_writer *m, uint8_t protocol, const uint32_t *spis, unsigned count);
/* In X.509 encoding. */
void cert_payload_encode(struct message_writer *m, struct bytes certificate);
void certreq_payload_encode(struct message_writer *m, struct bytes hashes);
void vendor_payload_encode(struct message_writer *m, struct bytes id);

/* ---- encryption (RFC 7296, section 3.14; RFC 5282) -------------------------- */
/* One direction's keys of an IKE SA, borrowed. */
struct sk_keys {
	const struct algorithm *encr, *integ; /* integ NULL for AEAD */
	uint16_t encr_key_bits;
	struct bytes encr_keymat, integ_key;
};
/* Opens an SK payload: everything that is written before message_end_sealed goes inside. `iv` is
 * encr->iv_len bytes: random for CBC, a counter for AEAD and CTR. */
void sk_begin(struct message_writer *m, const struct sk_keys *keys, const uint8_t *iv);
/* The same for fragment `number` of `total` (RFC 7383, section 2.5); `first_type`: of the inner
 * chain, in fragment 1. */
void skf_begin(struct message_writer *m, const struct sk_keys *keys, const uint8_t *iv,
	uint8_t first_type, unsigned number, unsigned total);
/* Where the plaintext begins in an open message, and how much sealing adds behind it at most. */
size_t sk_data_at(const struct message_writer *m, const struct sk_keys *keys);
size_t sk_tail_max(const struct sk_keys *keys);
bool message_end_sealed(
	struct message_writer *m, struct crypto_context *crypto, const struct sk_keys *keys);
/* Of the SKF payload that `list` ends with. Not yet authentic. */
bool skf_numbers(const struct payload_list *list, unsigned *number, unsigned *total);
/* Checks and decrypts in place the SK or SKF payload that `list` ends with; `message` is the whole
 * message. On success `inner` holds the inner chain's bytes (padding removed) and list->after its
 * first type. Constant-time where it has to be; one error for every cause. */
bool sk_open(struct crypto_context *crypto, const struct sk_keys *keys, uint8_t *message,
	size_t len, const struct payload_list *list, struct bytes *inner);

#endif
