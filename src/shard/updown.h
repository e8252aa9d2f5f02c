/* From an engine's wish for routes and scripts (ike/engine.h) to updown's requests, and back. */
#ifndef SHARD_UPDOWN_H
#define SHARD_UPDOWN_H

#include "ike/engine.h"
#include "kernel/updown.h"

/* As ike_host.updown. `backend` is the kernel interface's name, `routes` tells
 * whether routes are made where there is no script. Any thread. */
enum ike_updown_result updown_ask(struct updown_port *port, const char *backend, bool routes,
	const struct ike_updown *wish, uint64_t wall_s);
/* The address that is to be ours: the connection's, or what a server has given; unset: none. */
struct ip_address updown_source(const struct ike_updown *wish);
/* Gives all answers that have come to the engine. Returns how many. */
unsigned updown_take_answers(struct updown_port *port, struct ike_engine *engine);

#endif
