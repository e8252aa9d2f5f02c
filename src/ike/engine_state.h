/* One engine's own state: its tables, pools and small rooms. Private. */
#ifndef IKE_ENGINE_STATE_H
#define IKE_ENGINE_STATE_H

#include "counter_ids.h"
#include "ike_sa.h"

/* Lets `rate` things a second pass, `rate` at once. */
struct rate_limit {
	uint32_t rate, tokens;
	uint64_t since_ms;
};
bool rate_limit_pass(struct rate_limit *limit, uint64_t now_ms);

struct trap;
struct wanted;
struct route;
struct updown_leaver;

/* The secret that is derived from the root secret for some time. */
struct cookie_period {
	uint32_t number;
	bool made;
	uint8_t secret[32];
};

struct ike_engine {
	struct ike_engine_config config;
	struct ike_host *host;
	struct table_seed seed;
	struct table *by_spi, *by_serial, *by_identity, *by_connection, *requests, *children,
		*routes, *traps, *wanted, *guests, *updown_leavers;
	struct slab_pool *sas, *child_pool, *negotiations, *creations, *guest_pool;
	struct ike_sa *oldest, *newest;
	struct wanted *first_wanted;
	struct route *first_route;
	struct updown_leaver *first_leaver;
	uint64_t last_route;
	struct trap *first_trap;
	uint32_t last_trap;
	uint64_t terminating; /* $N of the connection that the operator is taking down right now; 0:
				 none */
	uint64_t half_open, lingering;
	uint64_t response_bytes, key_bytes, selector_bytes, message_bytes, reassembly_bytes,
		identity_bytes, request_bytes, configuration_bytes, updown_bytes;
	bool listening, shutting_down, forgetting;
	uint8_t cookie_secret[32];
	struct cookie_period cookie_period;
	struct rate_limit log_limit, stray_limit, pool_limit;
	struct ike_walk *walks;
	/* While a request is dispatched: where it came from, and its response goes to. */
	const struct ike_path *answer_to;
	struct proposal_list *received; /* scratch: the proposals of the message at hand */
	/* Messages are built here, then sent or copied. */
	uint8_t message[IKE_MESSAGE_MAX];
	/* The same cut into fragments, back to back. */
	uint8_t fragments[2 * IKE_MESSAGE_MAX];
	struct reassembly *oldest_reassembly, *youngest_reassembly;
};

static inline uint64_t engine_now(struct ike_engine *engine)
{
	return engine->host->now_ms(engine->host);
}
static inline void engine_count(struct ike_engine *engine, size_t counter)
{
	counter_add(engine->config.counters, counter, 1);
}

struct ike_sa *engine_find_spi(struct ike_engine *engine, uint64_t own_spi);
struct ike_sa *engine_find_serial(struct ike_engine *engine, uint64_t serial);
struct child_sa *engine_find_child(struct ike_engine *engine, uint64_t serial);
/* Sends one message, or several that lie back to back (fragments), each as a datagram; counts
 * bytes. */
void engine_send(struct ike_engine *engine, const struct ike_path *path, struct bytes messages);

#endif
