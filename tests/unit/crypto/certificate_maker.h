/* Certificates for tests, made by libcrypto in this process, and an NSS database of them. */
#ifndef TEST_CERTIFICATE_MAKER_H
#define TEST_CERTIFICATE_MAKER_H

#include "base/bytes.h"

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

struct made {
	X509 *x509;
	EVP_PKEY *key;
	struct bytes der;
};

struct making {
	const char *name;          /* CN */
	const struct made *issuer; /* NULL: self-signed */
	const char *kind;          /* "RSA" or a curve; NULL: P-256 */
	unsigned bits;             /* RSA; 0: 2048 */
	long from_s, to_s;         /* from now; both 0: an hour ago to a day on */
	const char *san;           /* "DNS:a.test,IP:192.0.2.1" */
	const char *usage, *extended_usage;
	const char *constraints; /* basicConstraints */
	const char *name_constraints;
	bool unknown_critical;
	long serial;               /* 0: a fresh one */
	size_t padding;            /* bytes of a comment */
	const struct made *key_of; /* has its key instead of a fresh one */
};
struct made make(const struct making *m);
void made_release(struct made *m);
/* DER; `revoked` ends with NULL. */
struct bytes make_crl(const struct made *issuer, const struct made *const *revoked);

struct nss_entry {
	const struct made *made;
	const char *nickname;
	bool trusted, with_key;
};
/* In a process of its own. `crl` may be empty. */
void make_database(
	const char *directory, const struct nss_entry *entries, size_t count, struct bytes crl);

#endif
