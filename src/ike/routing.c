/* Routing of connections: the record, and what happens when the last policy is gone. */
#include "routing.h"

#include "ike/routing.h"
#include "updown.h"

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

/* ---- who uses it ---------------------------------------------------------------- */

void routing_hold(const struct connection *c)
{
	__atomic_fetch_add(&c->routing->users, 1, __ATOMIC_RELAXED);
}

void routing_release(struct ike_engine *engine, const struct connection *c)
{
	if (__atomic_sub_fetch(&c->routing->users, 1, __ATOMIC_RELAXED) == 0)
		updown_unroute(engine, c);
}

void routing_tunnel(const struct child_sa *child, bool up)
{
	const struct connection *c = child->connection;

	if (!connection_is_template(c))
		__atomic_add_fetch(&c->routing->tunnels, up ? 1u : UINT32_MAX, __ATOMIC_RELAXED);
}
