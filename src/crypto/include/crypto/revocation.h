/* How it is found out whether a peer's certificate has been revoked, besides the CRLs that are in
 * the NSS database: CRLs fetched from the distribution points that certificates name (RFC 5280,
 * section 4.2.1.13), and OCSP (RFC 6960). */
#ifndef CRYPTO_REVOCATION_H
#define CRYPTO_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct credentials;

/* Times in seconds. All 0: the database's CRLs only. */
struct revocation_config {
	/* No certificate is accepted without a CRL of its authority, and of each one above, that is
	 * not out of date. */
	bool crl_strict;
	/* CRLs are fetched, and looked after so often. 0: only revocation_fetch fetches. */
	uint32_t crl_check_interval_s;
	uint32_t crl_timeout_s;    /* for one CRL; 0: 5 */
	const char *crl_interface; /* device or address of ours; NULL: any */
	bool ocsp;                 /* each end certificate's responder is asked */
	bool ocsp_strict;          /* no answer: refused */
	bool ocsp_post;            /* POST instead of GET */
	const char *ocsp_uri;      /* who is asked of all certificates; NULL: whom they name */
	const char
		*ocsp_trust_name; /* nickname of that responder's certificate; goes with ocsp_uri */
	uint32_t ocsp_timeout_s;  /* 0: 2 */
	uint32_t ocsp_cache_size, ocsp_cache_min_age_s,
		ocsp_cache_max_age_s; /* 0: 1000, an hour, a day */
};

/* Fetches anew what is known to be fetched: of all certificates in the database, and of those that
 * peers have brought. Does not wait. False with a reason. Control thread. */
bool revocation_fetch(struct credentials *credentials, char *error, size_t error_size);
/* What OCSP responders have said is forgotten. Control thread. */
void revocation_purge_ocsp(struct credentials *credentials);

#endif
