/* Revocation, between the files that see NSS. Private. */
#ifndef CRYPTO_REVOCATION_NSS_H
#define CRYPTO_REVOCATION_NSS_H

#include "credentials_nss.h"

/* When the database is open: NSS's OCSP is set up, the fetcher started. False with a reason. */
bool revocation_start(struct credentials *c, char *error, size_t error_size);
/* Before NSS goes. */
void revocation_stop(struct credentials *c);

/* Rules for CERT_PKIXVerifyCert; the arrays are the caller's. */
struct revocation_rules {
	PRUint64 leaf[2], chain[2];
	CERTRevocationFlags flags;
};
void revocation_rules(const struct credentials *c, struct revocation_rules *rules);

/* The CRL that counts, of the database or fetched, held until it is released. */
struct known_crl {
	struct bytes der;      /* empty: none */
	int64_t next_update_s; /* INT64_MAX: never */
	CERTSignedCrl *stored;
	struct fetched_crl *fetched;
};
struct known_crl revocation_crl_of(struct credentials *c, const SECItem *authority_name);
void revocation_crl_release(struct known_crl *crl);
/* A path that NSS has found good: its distribution points are noted, and, if CRLs are a must, that
 * there is a current one for each of it. `path` has the authorities, the end certificate's issuer
 * first. False: why[] has whose CRL is missing. */
bool revocation_check_path(struct credentials *c, const CERTCertificate *end,
	CERTCertificate *const *path, unsigned count, int64_t now_s, char *why, size_t size);

#endif
