/* Invariants. */
#include "invariants.h"

#include <stdlib.h>
#include <string.h>

#define LONELY_MAX 512

struct lonely {
	unsigned node;
	uint64_t serial;
	const char *why;
};

/* Calls back for every Child SA of the node. */
static void each_child(struct node *node,
	void (*visit)(struct node *node, const struct ike_sa_view *sa,
		const struct child_view *child, void *arg),
	void *arg)
{
	struct ike_sa_view view;
	struct child_view child;
	struct ike_walk walk;

	if (!node->engine)
		return;
	ike_walk_start(node->engine, &walk);
	while (ike_walk_next(&walk, &view)) {
		for (unsigned i = 0; ike_engine_child_at(node->engine, view.serial, i, &child); i++)
			visit(node, &view, &child, arg);
	}
}

/* ---- agreement ----------------------------------------------------------------------------- */

static bool same_keys(const struct ipsec_sa *a, const struct ipsec_sa *b)
{
	return a->protocol == b->protocol && a->mode == b->mode && a->ipcomp_cpi == b->ipcomp_cpi &&
	       a->encr == b->encr && a->integ == b->integ && a->esn == b->esn &&
	       a->encr_key_len == b->encr_key_len && a->integ_key_len == b->integ_key_len &&
	       a->udp_encapsulation == b->udp_encapsulation &&
	       !memcmp(a->encr_key, b->encr_key, a->encr_key_len) &&
	       !memcmp(a->integ_key, b->integ_key, a->integ_key_len);
}

static struct node *peer_of(struct world *world, const struct ike_sa_view *sa)
{
	struct ike_path seen;
	int i = node_route(world, &sa->path, &seen);

	return i < 0 ? NULL : world->nodes[i];
}

struct check {
	struct lonely *list;
	unsigned count;
};

static const char *disagreement(
	struct node *node, const struct ike_sa_view *sa, const struct child_view *child)
{
	const struct ipsec_sa *in = node_inbound_sa(node, child->in_spi);
	const struct ipsec_sa *out = node_outbound_sa(node, child->out_spi, child->serial), *theirs;
	struct node *peer = peer_of(node->world, sa);

	if (child->outbound_waits) /* the peer has yet to delete the one that it has rekeyed */
		return "established, but it waits for ever to send";
	if (!in || !out)
		return "established, but not in the kernel";
	if (!peer || !peer->engine)
		return "the peer is not there";
	theirs = node_inbound_sa(peer, child->out_spi);
	if (!theirs || !same_keys(out, theirs))
		return theirs ? "the peer's inbound SA has other keys"
			      : "the peer has no inbound SA";
	theirs = node_outbound_sa(peer, child->in_spi, 0);
	if (!theirs || !same_keys(in, theirs))
		return theirs ? "the peer's outbound SA has other keys"
			      : "the peer has no outbound SA";
	return NULL;
}

static void note_lonely(
	struct node *node, const struct ike_sa_view *sa, const struct child_view *child, void *arg)
{
	struct check *check = arg;
	const char *why = child->established ? disagreement(node, sa, child) : NULL;

	if (why && check->count < LONELY_MAX)
		check->list[check->count++] =
			(struct lonely){.node = node->index, .serial = child->serial, .why = why};
}

static void count_in_kernel(
	struct node *node, const struct ike_sa_view *sa, const struct child_view *child, void *arg)
{
	(void)sa;
	*(unsigned *)arg += !!node_inbound_sa(node, child->in_spi) +
			    !!node_outbound_sa(node, child->out_spi, child->serial);
}

static void check_kernel(struct node *node)
{
	unsigned known = 0;

	each_child(node, count_in_kernel, &known);
	if (node_live_sas(node) > known)
		world_fail(node->world,
			"node %u: the kernel holds %u SAs, the engine knows %u of them",
			node->index, node_live_sas(node), known);
}

void check_agreement(struct world *world, uint64_t settle_ms)
{
	struct lonely before[LONELY_MAX], after[LONELY_MAX];
	struct check first = {before, 0}, second = {after, 0};

	for (unsigned i = 0; i < world->node_count; i++)
		each_child(world->nodes[i], note_lonely, &first);
	world_run(world, world->now_ms + settle_ms);
	for (unsigned i = 0; i < world->node_count; i++) {
		each_child(world->nodes[i], note_lonely, &second);
		if (world->nodes[i]->engine)
			check_kernel(world->nodes[i]);
	}
	for (unsigned a = 0; a < first.count; a++) {
		for (unsigned b = 0; b < second.count; b++) {
			if (before[a].serial == after[b].serial)
				world_fail(world, "node %u: Child SA #%llu is alone: %s",
					after[b].node, (unsigned long long)after[b].serial,
					after[b].why);
		}
	}
}

/* ---- the end --------------------------------------------------------------------------------- */

static void check_gauges(struct node *node)
{
	for (size_t i = 0; i < ike_counter_count(); i++) {
		const char *key = ike_counter_key(i);

		/* A node that was killed never took its SAs out of the gauges. */
		if (!node->generation && !strncmp(key, "current.", 8) &&
			counter_read(&node->counters, i))
			world_fail(node->world, "node %u: %s is %lld after shutdown", node->index,
				key, (long long)counter_read(&node->counters, i));
	}
}

void check_all_gone(struct node *node)
{
	struct world *world = node->world;
	struct ike_memory memory;

	if (!node->engine)
		return;
	memory = ike_engine_memory(node->engine);
	if (!ike_engine_idle(node->engine))
		world_fail(world, "node %u still holds %llu IKE SAs after shutdown", node->index,
			(unsigned long long)ike_engine_sa_count(node->engine));
	memory.tables = memory.slack = 0;
	if (ike_memory_total(&memory) != 0)
		world_fail(world, "node %u: %llu bytes belong to nobody", node->index,
			(unsigned long long)ike_memory_total(&memory));
	if (node_live_sas(node))
		world_fail(world, "node %u: %u SAs are left in the kernel", node->index,
			node_live_sas(node));
	if (node->updown_count)
		world_fail(world, "node %u: %u are up without an SA", node->index,
			node->updown_count);
	if (timer_wheel_count(node->wheel))
		world_fail(world, "node %u: a timer is armed after the last SA", node->index);
	for (unsigned i = 0; i < node->watcher_count; i++) {
		if (node->watcher_state[i] == 1 && !node->generation)
			world_fail(world, "node %u: watcher %u waits for ever", node->index, i + 1);
	}
	check_gauges(node);
}

static void unroute_all(struct node *node)
{
	struct connection *c, *next;

	for (c = catalogue_after(node->catalogue, 0); c; c = next) {
		ike_engine_terminate(node->engine, c, true, 0);
		next = catalogue_after(node->catalogue, c->serial);
		connection_unref(c);
	}
}

/* ---- the books ----------------------------------------------------------------------------- */

struct books {
	uint64_t ike, half_open, established, children;
	struct {
		const char *name;
		uint64_t count;
	} states[32];
	unsigned state_count;
};

static void count_state(struct books *books, const char *name)
{
	unsigned i = 0;

	while (i < books->state_count && strcmp(books->states[i].name, name))
		i++;
	if (i == books->state_count)
		books->states[books->state_count++].name = name;
	books->states[i].count++;
}

static uint64_t gauge(const struct node *node, const char *prefix, const char *key)
{
	char wanted[120];

	snprintf(wanted, sizeof(wanted), "%s%s", prefix, key);
	for (size_t i = 0; i < ike_counter_count(); i++) {
		if (!strcmp(ike_counter_key(i), wanted))
			return counter_read(&node->counters, i);
	}
	return UINT64_MAX;
}

static void check_child_books(
	struct node *node, const struct ike_sa_view *sa, const struct child_view *child, void *arg)
{
	struct books *books = arg;
	const struct ipsec_sa *out = node_outbound_sa(node, child->out_spi, child->serial);
	struct ipsec_policy policy = {.reqid = child->reqid,
		.local_ts = child->local_ts,
		.local_ts_count = child->local_ts_count,
		.remote_ts = child->remote_ts,
		.remote_ts_count = child->remote_ts_count};

	if (!child->established)
		return;
	books->children++;
	if (!sa->established)
		world_fail(node->world, "node %u: Child SA #%llu is up in an IKE SA that is not",
			node->index, (unsigned long long)child->serial);
	if (child->outbound_waits)
		out = NULL;
	if (!node_inbound_sa(node, child->in_spi) || (!out && !child->outbound_waits))
		world_fail(node->world, "node %u: Child SA #%llu is up, but not in the kernel",
			node->index, (unsigned long long)child->serial);
	else if (out && (!ip_equal(&out->remote.address, &sa->path.remote.address) ||
		 (child->udp_encapsulation && out->remote.port != sa->path.remote.port)))
		world_fail(node->world, "node %u: Child SA #%llu sends to where the peer was",
			node->index, (unsigned long long)child->serial);
	const struct kernel_policy *installed = node_policy(node, &policy);

	if (installed && child->newest &&
		(installed->protocol != (uint8_t)child->protocol ||
			installed->ipcomp != (child->out_cpi != 0)))
		world_fail(node->world, "node %u: the policy is not for Child SA #%llu",
			node->index, (unsigned long long)child->serial);
	if (!node_has_policy(node, &policy))
		world_fail(node->world, "node %u: Child SA #%llu has no policy: clear traffic",
			node->index, (unsigned long long)child->serial);
}

static void compare(struct node *node, const char *prefix, const char *key, uint64_t counted)
{
	uint64_t shown = gauge(node, prefix, key);

	if (shown != counted)
		world_fail(node->world, "node %u: %s%s is %lld, but there are %llu", node->index,
			prefix, key, (long long)shown, (unsigned long long)counted);
}

void check_books(struct node *node)
{
	struct books books = {0};
	struct ike_sa_view view;
	struct ike_walk walk;

	if (!node->engine)
		return;
	ike_walk_start(node->engine, &walk);
	while (ike_walk_next(&walk, &view)) {
		books.ike++;
		count_state(&books, view.state);
		books.established += view.established;
		books.half_open += !strcmp(view.state, "UNSECURED_R") ||
				   !strncmp(view.state, "IKE_SA_INIT_", 12);
		books.half_open -= !strcmp(view.state, "IKE_SA_INIT_IR");
	}
	each_child(node, check_child_books, &books);
	if (node->generation)
		return; /* a node that was killed never took its SAs out of the gauges */
	for (unsigned i = 0; i < books.state_count; i++)
		compare(node, "current.states.enumerate.", books.states[i].name,
			books.states[i].count);
	compare(node, "current.states.", "ike", books.ike);
	compare(node, "current.states.", "ipsec", books.children);
	compare(node, "current.states.", "all", books.ike + books.children);
	compare(node, "current.states.iketype.", "halfopen", books.half_open);
	compare(node, "current.states.iketype.", "authenticated", books.established);
	if (ike_engine_sa_count(node->engine) != books.ike)
		world_fail(node->world, "node %u: a walk sees %llu of %llu IKE SAs", node->index,
			(unsigned long long)books.ike,
			(unsigned long long)ike_engine_sa_count(node->engine));
}

void check_clean_end(struct world *world, uint64_t patience_ms)
{
	for (unsigned i = 0; i < world->node_count; i++) {
		struct node *node = world->nodes[i];

		if (!node->engine)
			continue;
		unroute_all(node);
		while (ike_engine_shutdown(node->engine, 16))
			;
	}
	world_run(world, world->now_ms + patience_ms);
	for (unsigned i = 0; i < world->node_count; i++) {
		struct node *node = world->nodes[i];

		check_all_gone(node);
		if (node->engine && node->policy_count)
			world_fail(world, "node %u: %u policies that nobody knows of", i,
				node->policy_count);
		if (node->engine && node->spi_count)
			world_fail(world, "node %u: %u SPIs are lost", i, node->spi_count);
		if (node->engine && node->cpi_count)
			world_fail(world, "node %u: %u CPIs are lost", i, node->cpi_count);
	}
}

/* ---- leases ---------------------------------------------------------------------------------- */

#define LENT_MAX 1024

struct lent {
	struct ip_address address;
	const struct identity *id;
};

static bool is_address(const struct traffic_selector *ts, const struct ip_address *address)
{
	return ip_equal(&ts->range.first, address) && ip_equal(&ts->range.last, address);
}

static void check_lent_selectors(struct node *node, const struct ike_sa_view *sa)
{
	struct child_view child;

	for (unsigned i = 0; ike_engine_child_at(node->engine, sa->serial, i, &child); i++) {
		for (unsigned k = 0; child.established && k < child.remote_ts_count; k++) {
			if (!is_address(&child.remote_ts[k], &sa->lent[0]) &&
				!is_address(&child.remote_ts[k], &sa->lent[1]))
				world_fail(node->world,
					"node %u: Child SA #%llu carries more than the address "
					"that was lent",
					node->index, (unsigned long long)child.serial);
		}
	}
}

/* Notes it. False: it is known already, of this identity. */
static bool note_lent(struct node *node, const struct ike_sa_view *sa,
	const struct ip_address *address, struct lent *lent, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!ip_equal(&lent[i].address, address))
			continue;
		if (!identity_equal(lent[i].id, sa->remote_id))
			world_fail(node->world, "node %u: IKE SA #%llu has another client's address",
				node->index, (unsigned long long)sa->serial);
		return false;
	}
	lent[count] = (struct lent){.address = *address, .id = sa->remote_id};
	return true;
}

void check_leases(struct node *node, const struct address_pool *pool)
{
	static struct lent lent[LENT_MAX];
	struct ike_sa_view view;
	struct ike_walk walk;
	unsigned count = 0;

	if (!node->engine)
		return;
	ike_walk_start(node->engine, &walk);
	while (count < LENT_MAX && ike_walk_next(&walk, &view)) {
		for (unsigned i = 0; i < 2; i++) {
			if (!ip_is_unset(&view.lent[i]))
				count += note_lent(node, &view, &view.lent[i], lent, count);
		}
		if (view.connection && view.connection->remote.pools[0])
			check_lent_selectors(node, &view);
	}
	ike_walk_end(&walk);
	if (address_pool_stats(pool).in_use != count)
		world_fail(node->world, "node %u: %u addresses are lent, the pool has %llu in use",
			node->index, count, (unsigned long long)address_pool_stats(pool).in_use);
}

/* ---- questions --------------------------------------------------------------------------------
 */

struct question {
	const char *name;
	unsigned established;
};

static void ask(
	struct node *node, const struct ike_sa_view *sa, const struct child_view *child, void *arg)
{
	struct question *q = arg;

	(void)node;
	if (child->established &&
		(!q->name || (sa->connection && !strcmp(sa->connection->name, q->name))))
		q->established++;
}

bool connection_is_up(struct node *node, const char *name)
{
	struct question q = {.name = name};

	each_child(node, ask, &q);
	return q.established;
}

unsigned count_established(struct node *node)
{
	struct question q = {0};

	each_child(node, ask, &q);
	return q.established;
}
