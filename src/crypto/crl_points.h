/* Where the CRLs of authorities are to be had, and those that were fetched. Any thread: one mutex,
 * held for no longer than a look-up. Bounded: what is noted comes out of certificates of validated
 * chains only, POINTS_MAX authorities of CRL_URLS_MAX URLs. Private. */
#ifndef CRYPTO_CRL_POINTS_H
#define CRYPTO_CRL_POINTS_H

#include "crl.h"

#include "crypto/credentials.h"

struct crl_points;

/* Immutable, shared by reference count. */
struct fetched_crl {
	uint32_t references; /* atomic */
	struct bytes der;
	struct crl_content content;
	void *cached_as; /* what NSS knows it by: whoever counts it fills it in; free()d with it */
};
void fetched_crl_unref(struct fetched_crl *crl); /* NULL is allowed */

/* `interval_s`: how often it is looked whether a CRL is to be fetched again; 0: never, only
 * crl_points_hurry does. */
struct crl_points *crl_points_new(uint32_t interval_s);
void crl_points_free(struct crl_points *points);

/* `certificate` was issued by `authority`, both in DER: its distribution points are noted. True
 * when there is something to fetch at once. */
bool crl_points_note(struct crl_points *points, struct bytes certificate, struct bytes authority);
/* Everything is due now. */
void crl_points_hurry(struct crl_points *points);
/* The caller's reference, NULL: none was fetched. `name`: of the authority, in DER. */
struct fetched_crl *crl_points_find(struct crl_points *points, struct bytes name);

/* ---- for who fetches (one thread) ---- */
/* One that is due, with the URL whose turn it is, which the caller frees; 0: none. It is under way
 * until crl_points_finish. */
unsigned crl_points_take(struct crl_points *points, int64_t now_s, char **url);
/* When the next one is due, seconds since the epoch; INT64_MAX: never. */
int64_t crl_points_due(struct crl_points *points);
/* What came of it: `der`, or empty, and then `why`. Returns the new CRL, referenced, when it is one
 * that counts from now on; `*before` is the one whose place it has taken, or NULL. Logs either way.
 */
struct fetched_crl *crl_points_finish(struct crl_points *points, unsigned id, int64_t now_s,
	struct bytes der, const char *why, struct fetched_crl **before);

/* ---- for lists ---- */
void crl_points_list(struct crl_points *points, credentials_visit_crl *visit,
	credentials_visit_fetch *visit_fetch, void *arg);

#endif
