/* Signature schemes: what RFC 7427, RFC 7296 (method 1) and RFC 4754 allow and we know. Immutable
 * tables; any thread. */
#ifndef CRYPTO_SIGNATURE_H
#define CRYPTO_SIGNATURE_H

#include "base/bytes.h"

enum key_kind { KEY_RSA, KEY_ECDSA, KEY_UNKNOWN };

/* In the order in which we prefer them for one key. */
enum signature_scheme {
	SIGNATURE_RSA_PSS_SHA512,
	SIGNATURE_RSA_PSS_SHA384,
	SIGNATURE_RSA_PSS_SHA256,
	SIGNATURE_RSA_SHA512, /* PKCS#1 v1.5 */
	SIGNATURE_RSA_SHA384,
	SIGNATURE_RSA_SHA256,
	SIGNATURE_RSA_SHA1,
	SIGNATURE_ECDSA_SHA512,
	SIGNATURE_ECDSA_SHA384,
	SIGNATURE_ECDSA_SHA256,
	SIGNATURE_SCHEMES
};
#define SCHEME_BIT(scheme) (1u << (scheme))
#define SCHEMES_RSA_PSS    (7u << SIGNATURE_RSA_PSS_SHA512)
#define SCHEMES_RSA_PKCS1  (7u << SIGNATURE_RSA_SHA512) /* with SHA-2 */
#define SCHEMES_ECDSA      (7u << SIGNATURE_ECDSA_SHA512)

/* IANA "IKEv2 Hash Algorithms"; SIGHASH_BIT(n) in a mask. */
enum signature_hash {
	SIGHASH_SHA1 = 1,
	SIGHASH_SHA2_256 = 2,
	SIGHASH_SHA2_384 = 3,
	SIGHASH_SHA2_512 = 4
};
#define SIGHASH_BIT(hash) (1u << (hash))

struct signature_scheme_info {
	const char *name; /* "RSASSA-PSS with SHA2_512" */
	enum key_kind kind;
	enum signature_hash hash;
	bool pss;
	struct bytes identifier; /* AlgorithmIdentifier in DER (RFC 7427, appendix A) */
};
const struct signature_scheme_info *signature_scheme_info(enum signature_scheme scheme);
/* From a peer's AlgorithmIdentifier: parameters may be written in any way that means the same.
 * False: none that we know (SHA-1 is none here: RFC 7427 is used to be rid of it). */
bool signature_scheme_of_identifier(struct bytes identifier, enum signature_scheme *scheme);
/* The scheme for a key among `allowed` (a mask) whose hash is among `hashes`; for ECDSA the one
 * that goes with the curve comes first. False: there is none. */
bool signature_scheme_choose(enum key_kind kind, unsigned key_bits, uint32_t allowed,
	uint32_t hashes, enum signature_scheme *scheme);
/* "RSA", "ECDSA" */
const char *key_kind_name(enum key_kind kind);

#endif
