#include "updown.h"

#include "base/table.h"
#include "ike/binding.h"
#include "updown_variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what there is to be done -------------------------------------------------------- */

static bool is_host(const struct traffic_selector *ts, const struct ip_address *host)
{
	return ip_equal(&ts->range.first, host) && ip_equal(&ts->range.last, host);
}

struct ip_address updown_source(const struct ike_updown *w)
{
	const struct ip_address *configured = &w->connection->local.source_ip;

	if (!ip_is_unset(configured))
		return *configured;
	return ip_is_unset(&w->given[0]) ? w->given[1] : w->given[0];
}

/* Without a script: a route is needed for a client behind the peer, or if something is asked for that
 * only a route can give. The peer itself is reached already. */
static bool may_need_routes(const struct ike_updown *w)
{
	const struct connection *c = w->connection;
	struct ip_address source = updown_source(w);

	/* A VTI's routes are the device's own affair (vti-routing=). */
	if (w->mode != IPSEC_TUNNEL || (c->binding && c->binding->device == BINDING_VTI))
		return false;
	if (!ip_is_unset(&source) || !ip_is_unset(&c->local.nexthop) || c->metric || c->mtu)
		return true;
	for (unsigned i = 0; i < w->remote_ts_count; i++)
		if (!is_host(&w->remote_ts[i], &w->remote))
			return true;
	return false;
}

static bool is_for_us(const struct ike_updown *w, bool routes)
{
	const struct connection *c = w->connection;

	if (w->op == IKE_UPDOWN_DOWN)
		return true; /* its UP was */
	if (c->local.updown_none)
		return false;
	if (c->local.updown)
		return true;
	return routes && (w->op == IKE_UPDOWN_UNROUTE || may_need_routes(w));
}

/* ---- requests ------------------------------------------------------------------------- */

static unsigned count_pairs(const struct ike_updown *w)
{
	unsigned count = 0;

	for (unsigned i = 0; i < w->local_ts_count; i++)
		for (unsigned k = 0; k < w->remote_ts_count; k++)
			count += w->local_ts[i].range.first.family ==
				 w->remote_ts[k].range.first.family;
	return count < UPDOWN_PAIRS_MAX ? count : UPDOWN_PAIRS_MAX;
}

static bool take(struct environment *from, char **text, size_t *len)
{
	*text = from->text;
	*len = from->len;
	return !from->failed;
}

static bool fill_pair(struct updown_request *r, struct updown_pair *p, const struct ike_updown *w,
	const struct traffic_selector *local, const struct traffic_selector *remote)
{
	struct environment e = {0};

	p->local = *local;
	p->remote = *remote;
	p->local_is_host = is_host(local, &w->local);
	if (!r->command)
		return true;
	variables_of_pair(&e, local, remote);
	return take(&e, &p->environment, &p->environment_len);
}

static bool fill_pairs(struct updown_request *r, const struct ike_updown *w)
{
	unsigned at = 0;

	for (unsigned i = 0; i < w->local_ts_count; i++)
		for (unsigned k = 0; k < w->remote_ts_count && at < r->pair_count; k++)
			if (w->local_ts[i].range.first.family ==
					w->remote_ts[k].range.first.family &&
				!fill_pair(r, &r->pairs[at++], w, &w->local_ts[i],
					&w->remote_ts[k]))
				return false;
	return true;
}

/* As lines of the log begin that are about the Child SA. */
static char *make_prefix(const struct ike_updown *w)
{
	char text[512], peer[IP_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "\"%.300s\"", w->connection->name);

	if (w->instance)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "[%u] %s", w->instance,
			ip_text(&w->remote, peer));
	if (w->serial)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " #%llu",
			(unsigned long long)w->serial);
	snprintf(text + n, sizeof(text) - (size_t)n, ": ");
	return strdup(text);
}

static bool fill_texts(struct updown_request *r, const struct ike_updown *w, const char *backend,
	uint64_t wall_s)
{
	const struct connection *c = w->connection;
	struct environment e = {0};

	r->name = strdup(c->name);
	r->prefix = make_prefix(w);
	if (!r->name || !r->prefix)
		return false;
	if (!c->local.updown)
		return true;
	r->command = strdup(c->local.updown);
	variables_common(&e, w, backend, wall_s);
	return take(&e, &r->environment, &r->environment_len) && r->command;
}

/* 0 for a permanent connection; else a number of the peer's address and identity. */
static uint64_t hash_peer(const struct ike_updown *w)
{
	static const struct table_seed seed = {1, 2};
	uint64_t hash;

	if (!connection_is_template(w->connection))
		return 0;
	hash = table_hash(&seed, &w->remote, sizeof(w->remote)) ^
	       (w->remote_id ? identity_hash(w->remote_id) : 0);
	return hash ? hash : 1;
}

static bool fill(struct updown_request *r, const struct ike_updown *w, const char *backend,
	uint64_t wall_s)
{
	const struct connection *c = w->connection;

	r->token = w->token;
	r->bytes_in = w->bytes_in;
	r->bytes_out = w->bytes_out;
	if (!c)
		return true;
	r->connection = c->serial;
	if (w->op == IKE_UPDOWN_UNROUTE)
		return true;
	r->peer_hash = hash_peer(w);
	r->initiator = w->initiator;
	r->tunnel = w->mode == IPSEC_TUNNEL;
	r->me = w->local;
	r->peer = w->remote;
	r->nexthop = c->local.nexthop;
	r->source = updown_source(w);
	r->metric = c->metric;
	r->mtu = c->mtu;
	if (c->binding && c->binding->device == BINDING_XFRM)
		snprintf(r->device, sizeof(r->device), "%s", c->binding->name);
	return fill_texts(r, w, backend, wall_s) && fill_pairs(r, w);
}

enum ike_updown_result updown_ask(struct updown_port *port, const char *backend, bool routes,
	const struct ike_updown *wish, uint64_t wall_s)
{
	static const enum updown_op ops[] = {[IKE_UPDOWN_UP] = UPDOWN_UP,
		[IKE_UPDOWN_DOWN] = UPDOWN_DOWN,
		[IKE_UPDOWN_ROUTE] = UPDOWN_ROUTE,
		[IKE_UPDOWN_UNROUTE] = UPDOWN_UNROUTE};
	struct updown_request *r;

	if (!port || !is_for_us(wish, routes))
		return IKE_UPDOWN_NOTHING;
	r = updown_request_new(ops[wish->op], count_pairs(wish));
	if (r && fill(r, wish, backend, wall_s)) {
		updown_submit(port, r);
		return IKE_UPDOWN_ASKED;
	}
	updown_request_free(r);
	return IKE_UPDOWN_FAILED;
}

unsigned updown_take_answers(struct updown_port *port, struct ike_engine *engine)
{
	struct updown_answer *a = port ? updown_port_take(port) : NULL;
	unsigned count = 0;

	while (a) {
		struct updown_answer *next = a->next;

		ike_engine_updown_done(engine, a->token,
			!a->ok        ? IKE_UPDOWN_FAILED
			: a->nothing ? IKE_UPDOWN_NOTHING
				      : IKE_UPDOWN_DONE,
			a->why);
		free(a);
		a = next;
		count++;
	}
	return count;
}
