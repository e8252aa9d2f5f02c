/* IKE identities (RFC 7296, section 3.5). Immutable and shared by reference count: any thread. */
#ifndef IKE_IDENTITY_H
#define IKE_IDENTITY_H

#include "base/address.h"
#include "base/bytes.h"

enum identity_kind { /* IANA "IKEv2 Identification Payload ID Types" */
	ID_ANY = 0,  /* %any: matches every identity; never on the wire */
	ID_IPV4_ADDR = 1,
	ID_FQDN = 2,
	ID_RFC822_ADDR = 3,
	ID_IPV6_ADDR = 5,
	ID_DER_ASN1_DN = 9,
	ID_DER_ASN1_GN = 10,
	ID_KEY_ID = 11,
	ID_NULL = 13, /* RFC 7619 */
};

#define IDENTITY_LEN_MAX  1024
#define IDENTITY_TEXT_MAX 512

struct identity {
	uint32_t references; /* atomic */
	uint8_t kind;
	uint16_t len;
	uint8_t data[];
};

/* A new one with one reference; NULL when memory is out or `data` is longer than
 * IDENTITY_LEN_MAX. */
struct identity *identity_new(enum identity_kind kind, struct bytes data);
struct identity *identity_of_address(const struct ip_address *address);
struct identity *identity_ref(const struct identity *id);
void identity_unref(const struct identity *id); /* NULL is allowed */

/* ipsec.conf's forms: "192.0.2.1", "2001:db8::1", "@fqdn" or "fqdn", "@[key id]",
 * "@#hex" (key id), "@~hex" (a name in DER), "C=.., O=.., CN=.." (a name), "user@fqdn", "%any",
 * "%null". NULL with a reason in
 * `error`. */
struct identity *identity_parse(const char *text, char *error, size_t error_size);
/* From an ID payload's body behind its generic header: kind, 3 reserved bytes, data. NULL with
 * a reason in `error` when it is malformed (an address of a wrong length, an empty FQDN, a NUL in a
 * name ...). */
struct identity *identity_from_payload(struct bytes body, char *error, size_t error_size);
/* As reports show it: "@a.test", "192.0.2.1", "user@a.test", "O=a, CN=b", "@[key id]" or "@#hex";
 * unprintable bytes are escaped. Returns `out`. */
const char *identity_text(const struct identity *id, char out[IDENTITY_TEXT_MAX]);
/* "FQDN", "IPV4_ADDR", "IPV6_ADDR", "USER_FQDN", "KEY_ID", ... */
const char *identity_kind_name(uint8_t kind);
bool identity_equal(const struct identity *a, const struct identity *b);
/* Is `id` what `wanted` asks for? ID_ANY wants anything; FQDN and mail domains fold case, names
 * are compared as RFC 5280, section 7.1 says. */
bool identity_matches(const struct identity *wanted, const struct identity *id);
/* Equal identities (as identity_matches folds them) have equal hashes. */
uint64_t identity_hash(const struct identity *id);

#endif
