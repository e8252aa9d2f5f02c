/* crypto_bench: what an operation costs by each provider, alone, in batches, by several threads. */
#ifndef CRYPTO_BENCH_H
#define CRYPTO_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

/* One thing to be measured. Each thread has a state of its own. */
struct bench {
	const char *what;     /* "key exchange", "PRF", ... */
	const char *name;     /* "DH31 both" */
	const char *provider; /* "pluto", "libcrypto", ... */
	unsigned batch;       /* operations of a round */
	unsigned threads;
	const void *argument; /* what `make` needs */
	/* NULL when the provider has not got it. */
	void *(*make)(const struct bench *bench);
	/* False when an operation failed: the result would be no figure. */
	bool (*round)(void *state);
	void (*drop)(void *state);
};

enum { BENCH_RUNS = 5, BENCH_THREADS_MAX = 2 };

struct bench_result {
	bool available, failed;
	/* CPU time of one operation on one thread: median of the runs, least, most */
	double us, us_min, us_max;
	/* of all threads by the wall clock: median, least, most */
	double per_second, per_second_min, per_second_max;
};

/* Each of BENCH_RUNS runs takes about `run_ms`, and one round at least. */
struct bench_result bench_measure(const struct bench *bench, double run_ms);

/* The lists; `add` copies. */
struct bench_list;
void bench_add(struct bench_list *list, const struct bench *bench);
/* For one thread and for BENCH_THREADS_MAX: each has a state of its own. */
void bench_add_by_threads(struct bench_list *list, const struct bench *bench);
void bench_add_key_exchanges(struct bench_list *list);
void bench_add_nss(struct bench_list *list);
void bench_add_nss_key_exchanges(struct bench_list *list);
void bench_add_nss_signatures(struct bench_list *list);
void bench_add_nss_symmetric(struct bench_list *list);
void bench_add_signatures(struct bench_list *list);
void bench_add_symmetric(struct bench_list *list);
void bench_add_ipsec_mb(struct bench_list *list);

/* A key with the parameters of a MODP group: by the type and name that libcrypto has for it, or, for
 * a NULL name, MODP1024, for which it has the prime alone. The caller's; NULL: not there. */
EVP_PKEY *bench_dh_key(const char *type, const char *group);

#endif
