/* Policies that outlive their SAs. */
#include "route.h"

#include "engine_state.h"
#include "routing.h"
#include "sharing.h"

#include <stdlib.h>
#include <string.h>

struct route {
	struct table_node node;
	struct route *next, **link;
	struct connection *connection;
	uint64_t number;
	uint32_t reqid;
	uint8_t local_ts_count, remote_ts_count;
	struct traffic_selector ts[];
};

/* A peer may narrow otherwise each time; the policies of so many narrowings are kept. */
#define ROUTES_MAX 16

static void route_uninstall(struct ike_engine *engine, struct route *r)
{
	struct ipsec_request request = {.op = IPSEC_POLICY_DELETE,
		.policy = {
			.reqid = r->reqid,
			.local_ts = r->ts,
			.local_ts_count = r->local_ts_count,
			.remote_ts = r->ts + r->local_ts_count,
			.remote_ts_count = r->remote_ts_count,
		}};

	engine->host->ipsec(engine->host, &request);
}

static void route_unlink(struct ike_engine *engine, struct route *r)
{
	table_remove(engine->routes, &r->node);
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	routing_release(engine, r->connection);
	connection_unref(r->connection);
	free(r);
}

static bool route_is_of(const struct route *r, const struct child_sa *child)
{
	if (r->reqid != child->reqid || r->local_ts_count != child->local_ts_count ||
		r->remote_ts_count != child->remote_ts_count)
		return false;
	for (int i = 0; i < r->local_ts_count + r->remote_ts_count; i++) {
		if (!traffic_selector_equal(&r->ts[i], &child->ts[i]))
			return false;
	}
	return true;
}

/* False: it is remembered already. */
static bool make_room(struct ike_engine *engine, const struct child_sa *child)
{
	uint64_t serial = child->connection->serial;
	struct table_node *node = table_first(engine->routes, table_hash_u64(serial));
	struct route *oldest = NULL;
	unsigned count = 0;

	for (; node; node = table_next(node)) {
		struct route *r = container_of(node, struct route, node);

		if (r->connection->serial != serial)
			continue;
		if (route_is_of(r, child))
			return false;
		if (!oldest || r->number < oldest->number)
			oldest = r;
		count++;
	}
	if (count < ROUTES_MAX)
		return true;
	child_sa_log(child, LOG_LINE_WARNING, RC_OK,
		"the peer has narrowed in %u ways: the policy of the oldest is removed",
		ROUTES_MAX);
	route_uninstall(engine, oldest);
	route_unlink(engine, oldest);
	return true;
}

void route_remember(struct ike_engine *engine, const struct child_sa *child)
{
	uint64_t serial = child->connection->serial;
	size_t count = child->local_ts_count + child->remote_ts_count;
	struct route *r;

	if (!make_room(engine, child))
		return;
	r = calloc(1, sizeof(*r) + count * sizeof(*child->ts));
	if (!r)
		return;
	r->number = ++engine->last_route;
	r->reqid = child->reqid;
	r->local_ts_count = child->local_ts_count;
	r->remote_ts_count = child->remote_ts_count;
	memcpy(r->ts, child->ts, count * sizeof(*child->ts));
	if (!table_insert(engine->routes, &r->node, table_hash_u64(serial))) {
		free(r);
		return;
	}
	r->connection = connection_ref(child->connection);
	routing_hold(r->connection);
	r->link = &engine->first_route;
	r->next = engine->first_route;
	if (r->next)
		r->next->link = &r->next;
	engine->first_route = r;
}

void route_forget_all(struct ike_engine *engine)
{
	while (engine->first_route)
		route_unlink(engine, engine->first_route);
}

static bool is_used(struct ike_engine *engine, const struct route *r)
{
	const struct ike_sa *sa;
	struct sharing_walk walk;

	sharing_walk_start(&walk, engine, r->connection);
	while ((sa = sharing_walk_next(&walk))) {
		for (const struct child_sa *child = sa->children; child; child = child->next) {
			if (child->in_kernel && child->state != CHILD_DELETING &&
				route_is_of(r, child))
				return true;
		}
	}
	return false;
}

void route_remove(struct ike_engine *engine, const struct connection *c, bool unused)
{
	struct table_node *node = table_first(engine->routes, table_hash_u64(c->serial)), *next;

	for (; node; node = next) {
		struct route *r = container_of(node, struct route, node);

		next = table_next(node);
		if (r->connection->serial != c->serial || (unused && is_used(engine, r)))
			continue;
		route_uninstall(engine, r);
		route_unlink(engine, r);
	}
}
