/* Routing of connections: the record, and its two turning points. */
#include "routing.h"

#include "ike/routing.h"

#include <stdlib.h>

struct routing *routing_new(void)
{
	struct routing *r = calloc(1, sizeof(*r));

	if (r)
		r->references = 1;
	return r;
}

struct routing *routing_ref(struct routing *routing)
{
	__atomic_add_fetch(&routing->references, 1, __ATOMIC_RELAXED);
	return routing;
}

void routing_unref(struct routing *routing)
{
	if (routing && __atomic_sub_fetch(&routing->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(routing);
}

/* ---- the turning points -------------------------------------------------------- */

/* From no policy to the first one, of all engines: what is to be prepared and routed belongs here.
 */
static void becomes_routed(struct ike_engine *engine, const struct connection *c)
{
	connection_log(engine, c, 0, LOG_LINE_DEBUG, RC_OK, "routed");
}

/* From the last one to none: what is to be unrouted belongs here. */
static void ceases_to_be_routed(struct ike_engine *engine, const struct connection *c)
{
	connection_log(engine, c, 0, LOG_LINE_DEBUG, RC_OK, "unrouted");
}

void routing_hold(struct ike_engine *engine, const struct connection *c)
{
	if (__atomic_fetch_add(&c->routing->users, 1, __ATOMIC_RELAXED) == 0)
		becomes_routed(engine, c);
}

void routing_release(struct ike_engine *engine, const struct connection *c)
{
	if (__atomic_sub_fetch(&c->routing->users, 1, __ATOMIC_RELAXED) == 0)
		ceases_to_be_routed(engine, c);
}

void routing_tunnel(const struct child_sa *child, bool up)
{
	const struct connection *c = child->connection;

	if (!connection_is_template(c))
		__atomic_add_fetch(&c->routing->tunnels, up ? 1u : UINT32_MAX, __ATOMIC_RELAXED);
}
