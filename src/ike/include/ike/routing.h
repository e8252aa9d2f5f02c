/* What has become of a connection's routing: by --route its policies are there before an SA is, by
 * an SA at the latest. It changes while the connection does not, and is shared by all copies of it:
 * every field is atomic, and says who writes it. */
#ifndef IKE_ROUTING_H
#define IKE_ROUTING_H

#include <stdbool.h>
#include <stdint.h>

/* Of what --route has installed, as reports name it. */
enum routing_state {
	ROUTING_NONE,
	ROUTING_NEVER_NEGOTIATE, /* a shunt: bypass or discard */
	ROUTING_ONDEMAND,        /* a trap waits for traffic */
	ROUTING_NEGOTIATION,     /* ... and negotiates */
	ROUTING_FAILURE,         /* what failureshunt= says, for a while */
	ROUTING_TUNNEL,
};

struct routing {
	uint32_t references;
	uint32_t wanted;   /* by the control thread: the operator wants it routed, also while that
			      cannot be */
	uint32_t state;    /* by the engine that has its trap: enum routing_state */
	uint32_t users;    /* by all engines: policies of the connection that are installed */
	uint32_t tunnels;  /* by all engines: established Child SAs (not of instances) */
	uint32_t acquires; /* by the engine that has its trap: packets that asked for an SA, as far
			      as told */
	uint64_t shunt_until_s; /* by the same, ROUTING_FAILURE: seconds since the epoch */
};

/* One reference. NULL when memory is out. */
struct routing *routing_new(void);
struct routing *routing_ref(struct routing *routing);
void routing_unref(struct routing *routing);

static inline enum routing_state routing_state(const struct routing *r)
{
	return (enum routing_state)__atomic_load_n(&r->state, __ATOMIC_RELAXED);
}
static inline bool routing_is_wanted(const struct routing *r)
{
	return __atomic_load_n(&r->wanted, __ATOMIC_RELAXED);
}
static inline void routing_want(struct routing *r, bool wanted)
{
	__atomic_store_n(&r->wanted, wanted, __ATOMIC_RELAXED);
}
static inline uint32_t routing_tunnels(const struct routing *r)
{
	return __atomic_load_n(&r->tunnels, __ATOMIC_RELAXED);
}

#endif
