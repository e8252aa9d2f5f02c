/* A world of its own: virtual time, one seed for every chance, a network of engines. Nothing here
 * depends on the machine, so that a seed that fails once fails for ever. */
#ifndef SIMULATOR_WORLD_H
#define SIMULATOR_WORLD_H

#include "ike/engine.h"

#include <stdio.h>

#define NODES_MAX 24

struct random_source {
	uint64_t state;
};
uint64_t random_next(struct random_source *r);
/* 0 .. n-1 */
uint64_t random_below(struct random_source *r, uint64_t n);
/* True `percent` times out of a hundred. */
bool random_chance(struct random_source *r, unsigned percent);

/* What the network does to a datagram, in percent; delays in milliseconds. */
struct weather {
	unsigned loss, duplication, corruption;
	unsigned delay_min, delay_max; /* a wide range reorders */
};

enum event_kind { EVENT_DATAGRAM, EVENT_JOB, EVENT_IPSEC_ANSWER, EVENT_UPDOWN, EVENT_ACTION };

struct node;
struct world;

struct event {
	uint64_t at_ms, order;
	enum event_kind kind;
	unsigned node, generation; /* a node that died and came back does not get its old mail */
	struct ike_path path;
	uint8_t *bytes;
	size_t len;
	struct crypto_job *job;
	struct ipsec_answer answer;
	uint64_t updown_token;
	enum ike_updown_result updown_result;
	void (*action)(struct world *world, unsigned node, void *arg);
	void *arg;
};

struct world {
	uint64_t seed, now_ms, next_order, next_serial;
	uint32_t next_reqid, next_spi, next_cpi;
	struct random_source random;
	struct weather weather;
	struct event *heap;
	size_t event_count, event_room;
	unsigned node_count;
	struct node *nodes[NODES_MAX];
	struct crypto_context *crypto;
	bool verbose;
	/* A test that looks at single messages: may take them off the wire (false), and hears what
	 * watchers are told. */
	void *listener;
	bool (*wire)(
		struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len);
	void (*hear)(struct node *node, ike_watcher watcher, enum ike_rc code, const char *line,
		size_t len);
	void (*watch)(struct world *world); /* after every event */
	char failure[400]; /* the first broken invariant */
	uint64_t datagrams, lost, corrupted, steps;
};

/* What the connections of tests have in common: a tunnel by ESP, oriented, rekeyed, fragmented, with lives of 8 hours,
 * 20 s of patience and a liveness check after 10 s. The caller's reference, and to be changed. */
struct connection *world_connection(struct world *world, const char *name);

/* From here on libcrypto's keys come from the seed too, so that a failing seed fails again. */
struct world *world_new(uint64_t seed, bool verbose);
void keys_from_seed(uint64_t seed);
void world_free(struct world *world);
/* Takes over what the event holds. */
void world_post(struct world *world, const struct event *event, uint64_t delay_ms);
void world_act(struct world *world, unsigned node, uint64_t delay_ms,
	void (*action)(struct world *world, unsigned node, void *arg), void *arg);
/* Runs until the given virtual time. */
void world_run(struct world *world, uint64_t until_ms);
/* Notes the first failure only. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands a datagram to the weather. */
void world_send(struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len);

#endif
