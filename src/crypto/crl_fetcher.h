/* The thread that fetches CRLs: by libcurl, over http and https, several at once, each within its
 * time and size. Whoever answers slowly or not at all keeps nobody else waiting. Private. */
#ifndef CRYPTO_CRL_FETCHER_H
#define CRYPTO_CRL_FETCHER_H

#include "crl_points.h"

struct crl_fetcher;

struct crl_fetcher_config {
	struct crl_points *points; /* borrowed */
	uint32_t timeout_s;        /* for one CRL */
	const char *interface;     /* a device, or an address of ours; NULL: any. Copied */
	/* On the fetcher's thread: `crl` counts from now on; `before`, or NULL, no longer. */
	void (*on_crl)(void *arg, struct fetched_crl *crl, struct fetched_crl *before);
	void *arg;
};
/* NULL with errno-like words in `error`. */
struct crl_fetcher *crl_fetcher_start(
	const struct crl_fetcher_config *config, char *error, size_t error_size);
/* Breaks off what is under way. */
void crl_fetcher_stop(struct crl_fetcher *fetcher); /* NULL is allowed */
/* Something may be due. Any thread. */
void crl_fetcher_wake(struct crl_fetcher *fetcher);

#endif
