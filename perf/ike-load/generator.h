/* A thread of the load generator: an IKE engine, its sockets, its share of the tunnels. */
#ifndef IKE_LOAD_GENERATOR_H
#define IKE_LOAD_GENERATOR_H

#include <pthread.h>

#include "causes.h"
#include "clients.h"
#include "datagrams.h"
#include "ike/engine.h"

#define SECONDS_MAX 86400 /* of the rate over time */

enum phase { PHASE_NONE, PHASE_SETUP, PHASE_HOLD, PHASE_DELETE, PHASE_END };

struct tunnel {
	uint64_t began_ns;
	uint32_t latency_us; /* 0: not up */
};

struct answer_ring {
	struct ipsec_answer *answers;
	size_t capacity, first, count; /* capacity is a power of two */
};

struct generator {
	struct ike_host host; /* first: a host is its generator */
	const struct options *options;
	unsigned index;
	pthread_t thread;
	char error[200];
	/* main's to write, ours to read; and the other way round */
	enum phase phase;
	enum phase done; /* the last phase that is */
	bool started;

	struct clients clients;
	struct catalogue *catalogue;
	struct secret_vault *vault;
	struct counter_set counters;
	struct crypto_context *crypto;
	struct timer_wheel *wheel;
	struct ike_engine *engine;
	struct datagrams *plain, *nat;
	struct crypto_job *first_job, **last_job;
	struct answer_ring answers;
	uint8_t random[4096];
	size_t random_left;
	uint64_t now_ms;
	uint64_t serial;
	uint32_t spi;

	struct tunnel *tunnels; /* the clients [first, first + count) */
	unsigned first, count, begun, finished, in_flight;
	bool given_up; /* who is released from now on has been counted */
	uint64_t start_ns, end_ns;  /* of the set-up */
	uint64_t child_established; /* as last seen in the counters */
	size_t child_counter;
	ike_watcher said_of; /* whose last words `said` are */
	char said[CAUSE_TEXT_MAX];
	struct causes causes;
	uint32_t *per_second; /* established, SECONDS_MAX of them */
	uint64_t to_delete, delete_begun, delete_until_ms;
};

/* Fills in the host functions. */
void generator_host_init(struct generator *g);
/* By name; UINT64_MAX: there is no such counter. */
uint64_t generator_counter(const struct generator *g, const char *key);
/* What a thread runs; `arg` is its generator with options, index, first and count. It says
 * when it is `done` with a phase, and ends with PHASE_END. An `error` that is not empty: it could
 * not start. */
void *generator_run(void *arg);
/* Once the thread has ended. */
void generator_release(struct generator *g);
uint64_t clock_ns(void);

#endif
