/* Authentication by certificates, as jobs beside those of crypto/job.h:
 *
 *   CRYPTO_SIGN      a signature by a private key of ours
 *   CRYPTO_VERIFY    a peer's signature by a certificate that was validated before, or whose issuer
 *                    was: libcrypto only, never blocks. CRYPTO_JOB_UNKNOWN_CHAIN: its chain must
 *                    be validated first
 *   CRYPTO_VALIDATE  the same with the chain validated by NSS, which may block: for a helper thread
 *
 * A job of kind VERIFY that came back with UNKNOWN_CHAIN is submitted again as VALIDATE. Jobs own
 * copies of all that they touch, and references to credentials of theirs. */
#ifndef CRYPTO_AUTHENTICATION_H
#define CRYPTO_AUTHENTICATION_H

#include "crypto/credentials.h"
#include "crypto/distinguished_name.h"
#include "crypto/job.h"

#define SIGNATURE_LEN_MAX 1024 /* RSA-8192 */
#define RSA_BITS_MIN      2048
#define RSA_BITS_MAX      8192
#define REFUSAL_TEXT_MAX  256
#define PEER_TEXT_MAX     (2 * DN_TEXT_MAX + 128)

/* What a certificate must say of its holder (RFC 4945, section 3.1). */
enum certificate_name {
	CERTIFICATE_NAME_DN,  /* the subject */
	CERTIFICATE_NAME_DNS, /* a subjectAltName, as are all that follow */
	CERTIFICATE_NAME_MAIL,
	CERTIFICATE_NAME_IP,
	CERTIFICATE_NAME_NONE, /* an identity that no certificate can confirm: always refused */
};

struct authentication_job {
	struct crypto_job job; /* first; its group is NULL */
	struct credentials *credentials;
	enum signature_scheme scheme;
	bool raw_ecdsa;                    /* r | s (RFC 4754) instead of DER (RFC 7427) */
	struct bytes octets;               /* that are signed */
	const struct own_certificate *own; /* SIGN: whose key signs */
	struct bytes signature;            /* VERIFY: the peer's; SIGN: the result */
	unsigned certificate_count;        /* VERIFY: the peer's end certificate, then others */
	struct bytes certificates[CHAIN_MAX];
	enum certificate_name name_kind; /* who it says to be */
	struct bytes name;
	const char *name_text;  /* the same, for refusals */
	struct bytes authority; /* a name in DER that must be in its chain; empty: any */
	/* out */
	char refusal[REFUSAL_TEXT_MAX]; /* of CRYPTO_JOB_REFUSED */
	char peer[PEER_TEXT_MAX]; /* "certificate 'O=x' and 2048-bit RSASSA-PSS ... issued by 'O=y'"
				   */
};

static inline struct authentication_job *authentication_job_of(struct crypto_job *job)
{
	return (struct authentication_job *)job;
}

/* Each copies what it is given; NULL when memory is out. Freed by crypto_job_free. */
struct crypto_job *sign_job_new(const struct own_certificate *own, enum signature_scheme scheme,
	bool raw_ecdsa, struct bytes octets);
/* The pointers in `wanted` and its scalar fields say what to verify; certificate_count is at most
 * CHAIN_MAX. `credentials` outlives the job. */
struct crypto_job *verify_job_new(
	struct credentials *credentials, const struct authentication_job *wanted);

#endif
