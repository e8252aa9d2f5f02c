/* Traps and shunts of connections. */
#include "trap.h"

#include "child_sa.h"
#include "create_child.h"
#include "engine_state.h"
#include "failure.h"
#include "negotiation_rules.h"
#include "routing.h"
#include "sharing.h"
#include "updown.h"
#include "wanted.h"

#include <stdlib.h>
#include <string.h>

#define SHUNT_LIFE_S 900
/* After so many failures in a row the next packet waits 1, 2, 4 ... seconds for its negotiation. */
#define RETRY_MS     1000
#define RETRY_MAX_MS 30000
/* Of a token for the kernel: the number of a trap of one connection. */
#define NUMBER_BITS 20

struct trap {
	struct engine_timer
		timer; /* ROUTING_FAILURE: the shunt ends; else: a packet's turn has come */
	struct table_node node;
	struct trap *next, **link;
	struct connection *connection;
	uint32_t number;
	ike_watcher watcher; /* of --route, until the kernel has answered */
	uint8_t state;       /* enum routing_state */
	uint8_t action;      /* enum ipsec_policy_action, of the policy as last asked for */
	bool installed;      /* the kernel has said so */
	bool asked;          /* a packet asks: the trigger below is its selectors */
	bool has_trigger;
	uint32_t failures;
	uint64_t retry_at_ms;
	struct traffic_selector trigger_local, trigger_remote;
	uint8_t local_ts_count, remote_ts_count;
	struct traffic_selector ts[]; /* local ones, then remote ones */
};

static struct trap *find(struct ike_engine *engine, const struct connection *c)
{
	struct table_node *node = table_first(engine->traps, table_hash_u64(c->serial));

	for (; node; node = table_next(node)) {
		struct trap *t = container_of(node, struct trap, node);

		if (t->connection->serial == c->serial)
			return t;
	}
	return NULL;
}

/* ---- its policy ---------------------------------------------------------------- */

static uint64_t token_of(const struct trap *t)
{
	uint64_t number = t->number & ((1u << NUMBER_BITS) - 1);

	return (t->connection->serial << NUMBER_BITS | number) << 2 | TOKEN_TRAP;
}

static void describe(const struct trap *t, struct ipsec_policy *out)
{
	const struct connection *c = t->connection;
	bool protects = t->action == IPSEC_PROTECT;

	*out = (struct ipsec_policy){
		.reqid = c->reqid,
		.action = (enum ipsec_policy_action)t->action,
		.mode = c->mode,
		.protocol = c->protocol,
		.priority = c->priority,
		.trap = protects,
		.hold = protects && !c->negotiation_pass,
		.route = true,
		.local_ts = t->ts,
		.local_ts_count = t->local_ts_count,
		.remote_ts = t->ts + t->local_ts_count,
		.remote_ts_count = t->remote_ts_count,
	};
	if (protects) {
		out->local = c->local.host;
		out->remote = c->remote.host;
	}
	binding_of_policy(c, c->reqid, out);
}

static void ask(struct ike_engine *engine, const struct trap *t, enum ipsec_op op)
{
	struct ipsec_request request = {.op = op, .token = token_of(t)};

	describe(t, &request.policy);
	engine->host->ipsec(engine->host, &request);
}

static void set_action(struct ike_engine *engine, struct trap *t, enum ipsec_policy_action action)
{
	if (t->action == action)
		return;
	t->action = (uint8_t)action;
	ask(engine, t, IPSEC_POLICY_ADD);
}

/* ---- its state ------------------------------------------------------------------- */

static uint32_t shunt_life_s(const struct ike_engine *engine)
{
	return engine->config.shunt_life_s ? engine->config.shunt_life_s : SHUNT_LIFE_S;
}

static void publish(struct ike_engine *engine, const struct trap *t)
{
	struct routing *r = t->connection->routing;
	bool failed = t->state == ROUTING_FAILURE;

	__atomic_store_n(&r->shunt_until_s,
		failed ? engine->host->wall_s(engine->host) + shunt_life_s(engine) : 0,
		__ATOMIC_RELAXED);
	__atomic_store_n(&r->state, t->installed ? t->state : ROUTING_NONE, __ATOMIC_RELAXED);
}

static void count_shunt(struct ike_engine *engine, const struct trap *t, int64_t n)
{
	if (t->state != ROUTING_FAILURE)
		return;
	counter_add(engine->config.counters, COUNT_STATES_SHUNTS, (uint64_t)n);
	counter_add(engine->config.counters, COUNT_STATES_ALL, (uint64_t)n);
}

static void set_state(struct ike_engine *engine, struct trap *t, enum routing_state state)
{
	const struct connection *c = t->connection;
	enum ipsec_policy_action action = IPSEC_PROTECT;

	count_shunt(engine, t, -1);
	t->state = (uint8_t)state;
	count_shunt(engine, t, 1);
	engine->host->cancel(engine->host, &t->timer.timer);
	if (state == ROUTING_NEGOTIATION && c->negotiation_pass)
		action = IPSEC_BYPASS;
	else if (state == ROUTING_FAILURE)
		action = c->failure_shunt;
	set_action(engine, t, action);
	if (state == ROUTING_FAILURE)
		engine->host->arm(engine->host, &t->timer.timer,
			engine_now(engine) + shunt_life_s(engine) * 1000ull);
	publish(engine, t);
}

/* ---- what there is of the connection here ------------------------------------------ */

static bool creates_child(const struct ike_sa *sa, const struct connection *c)
{
	for (const struct create_child *x = sa->creating; x; x = x->next) {
		if (x->initiator && x->purpose == CREATE_NEW_CHILD && !x->unwanted &&
			x->connection->serial == c->serial)
			return true;
	}
	return false;
}

static bool has_tunnel(const struct ike_sa *sa, const struct connection *c)
{
	for (const struct child_sa *child = sa->children; child; child = child->next) {
		if (child->state == CHILD_ESTABLISHED && child->connection->serial == c->serial)
			return true;
	}
	return false;
}

static bool negotiates(const struct ike_sa *sa, const struct connection *c)
{
	if (sa->wants & WANT_DELETE_IKE)
		return false;
	if (sa->connection->serial == c->serial && sa->initiator &&
		(sa->state != STATE_ESTABLISHED_IKE_SA ||
			(sa->negotiation && sa->negotiation->child)))
		return true;
	return creates_child(sa, c);
}

/* Also on IKE SAs of other connections. */
static enum routing_state state_of(struct ike_engine *engine, const struct connection *c)
{
	enum routing_state state = ROUTING_ONDEMAND;
	struct sharing_walk walk;
	const struct ike_sa *sa;

	sharing_walk_start(&walk, engine, c);
	while ((sa = sharing_walk_next(&walk))) {
		if (sa->state == STATE_ZOMBIE)
			continue;
		if (has_tunnel(sa, c))
			return ROUTING_TUNNEL;
		if (negotiates(sa, c))
			state = ROUTING_NEGOTIATION;
	}
	return state;
}

static void failed(struct ike_engine *engine, struct trap *t)
{
	const struct connection *c = t->connection;
	uint64_t wait = RETRY_MS;

	for (uint32_t i = 0; i < t->failures && wait < RETRY_MAX_MS; i++)
		wait *= 2;
	t->failures++;
	t->asked = false;
	t->retry_at_ms = engine_now(engine) + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
	if (c->failure_shunt == IPSEC_PROTECT) {
		set_state(engine, t, ROUTING_ONDEMAND);
		return;
	}
	connection_log(engine, c, 0, LOG_LINE_INFO, RC_OK,
		"negotiation failed: traffic %s for %u seconds (failureshunt)",
		c->failure_shunt == IPSEC_BYPASS ? "passes in clear" : "is dropped",
		shunt_life_s(engine));
	set_state(engine, t, ROUTING_FAILURE);
}

void trap_review(struct ike_engine *engine, const struct connection *c)
{
	struct trap *t = table_count(engine->traps) ? find(engine, c) : NULL;
	enum routing_state state;

	if (!t || t->state == ROUTING_NEVER_NEGOTIATE || engine->terminating == c->serial)
		return;
	state = state_of(engine, c);
	if (state == ROUTING_TUNNEL) {
		t->failures = 0;
		t->retry_at_ms = 0;
		t->asked = false;
	}
	if (state == t->state || (state == ROUTING_ONDEMAND && t->state == ROUTING_FAILURE))
		return;
	if (state == ROUTING_ONDEMAND && t->state == ROUTING_NEGOTIATION && !engine->shutting_down)
		failed(engine, t);
	else
		set_state(engine, t, state);
}

void trap_calm(struct ike_engine *engine, const struct connection *c)
{
	struct trap *t = find(engine, c);

	if (!t || t->state == ROUTING_NEVER_NEGOTIATE)
		return;
	t->asked = false;
	t->failures = 0;
	t->retry_at_ms = 0;
	if (t->state != ROUTING_ONDEMAND)
		set_state(engine, t, ROUTING_ONDEMAND);
}

/* ---- acquires ------------------------------------------------------------------------ */

static bool within(
	const struct traffic_selector *ts, const struct traffic_selector *of, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (traffic_selector_within(ts, &of[i]))
			return true;
	}
	return false;
}

static void take_trigger(struct trap *t, const struct ipsec_event *event)
{
	t->asked = true;
	t->has_trigger = within(&event->local_ts, t->ts, t->local_ts_count) &&
			 within(&event->remote_ts, t->ts + t->local_ts_count, t->remote_ts_count);
	t->trigger_local = event->local_ts;
	t->trigger_remote = event->remote_ts;
}

bool trap_trigger(struct ike_engine *engine, const struct connection *c,
	struct traffic_selector *local, struct traffic_selector *remote)
{
	struct trap *t = table_count(engine->traps) ? find(engine, c) : NULL;

	if (!t || !t->asked || !t->has_trigger)
		return false;
	*local = t->trigger_local;
	*remote = t->trigger_remote;
	return true;
}

static void begin(struct ike_engine *engine, struct trap *t)
{
	struct connection *c = catalogue_by_reqid(engine->config.catalogue, t->connection->reqid);

	if (!c)
		return; /* deleted: its trap is about to go */
	if (!wanted_hurry(engine, c))
		initiate_connection(engine, c, &c->remote.host, 0);
	trap_review(engine, c);
	connection_unref(c);
}

static void log_acquire(struct ike_engine *engine, const struct trap *t)
{
	char text[200];

	if (!rate_limit_pass(&engine->log_limit, engine_now(engine)))
		return;
	connection_log(engine, t->connection, 0, LOG_LINE_INFO, RC_OK,
		"initiate on-demand for packet %s",
		selectors_pair_text(
			&t->trigger_local, 1, &t->trigger_remote, 1, text, sizeof(text)));
}

/* Its turn has come, or comes when the pause after a failure is over: a packet that is kept does
 * not ask twice. */
static void begin_in_time(struct ike_engine *engine, struct trap *t)
{
	if (engine_now(engine) >= t->retry_at_ms) {
		log_acquire(engine, t);
		begin(engine, t);
	} else if (t->state != ROUTING_FAILURE) {
		engine->host->arm(engine->host, &t->timer.timer, t->retry_at_ms);
	}
}

static void asked(struct ike_engine *engine, struct trap *t, const struct ipsec_event *event)
{
	struct routing *r = t->connection->routing;

	if (t->state == ROUTING_NEVER_NEGOTIATE || !engine->listening || engine->shutting_down)
		return;
	__atomic_add_fetch(&r->acquires, 1, __ATOMIC_RELAXED);
	trap_review(engine, t->connection);
	if (routing_tunnels(r)) /* here or at another engine: its outbound SA is about to come, or
				   has gone */
		return;
	take_trigger(t, event);
	if (t->state != ROUTING_NEGOTIATION)
		begin_in_time(engine, t);
}

void trap_acquire(struct ike_engine *engine, const struct ipsec_event *event)
{
	struct connection *c = catalogue_by_reqid(engine->config.catalogue, event->reqid);
	struct trap *t = c ? find(engine, c) : NULL;

	engine_count(engine, COUNT_ACQUIRES);
	if (t)
		asked(engine, t, event);
	connection_unref(c);
}

static void due(struct ike_engine *engine, struct engine_timer *timer)
{
	struct trap *t = container_of(timer, struct trap, timer);

	if (t->state == ROUTING_FAILURE) {
		connection_log(engine, t->connection, 0, LOG_LINE_INFO, RC_OK,
			"the shunt of the failed negotiation ends: the trap is back");
		set_state(engine, t, ROUTING_ONDEMAND);
	} else if (t->asked && t->state == ROUTING_ONDEMAND && engine->listening) {
		begin_in_time(engine, t);
	}
}

/* ---- coming and going ---------------------------------------------------------------- */

static void trap_free(struct ike_engine *engine, struct trap *t)
{
	struct connection *c = t->connection;

	engine->host->cancel(engine->host, &t->timer.timer);
	count_shunt(engine, t, -1);
	table_remove(engine->traps, &t->node);
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	if (t->watcher)
		engine->host->release_watcher(engine->host, t->watcher);
	routing_release(engine, c);
	free(t);
	connection_unref(c);
}

static void drop(struct ike_engine *engine, struct trap *t)
{
	ask(engine, t, IPSEC_POLICY_DELETE);
	t->installed = false;
	publish(engine, t);
	trap_free(engine, t);
}

void trap_remove(struct ike_engine *engine, const struct connection *c)
{
	struct trap *t = find(engine, c);

	if (t)
		drop(engine, t);
}

void trap_forget_all(struct ike_engine *engine)
{
	while (engine->first_trap) {
		engine->first_trap->installed = false;
		publish(engine, engine->first_trap);
		trap_free(engine, engine->first_trap);
	}
}

static struct trap *trap_new(struct ike_engine *engine, struct connection *c)
{
	struct traffic_selector local[IPSEC_SELECTORS_MAX], remote[IPSEC_SELECTORS_MAX];
	unsigned local_count = end_selectors(&c->local, &c->local.host, local);
	unsigned remote_count = end_selectors(&c->remote, &c->remote.host, remote);
	struct trap *t = calloc(1, sizeof(*t) + (local_count + remote_count) * sizeof(*local));

	if (!t || !table_insert(engine->traps, &t->node, table_hash_u64(c->serial))) {
		free(t);
		return NULL;
	}
	memcpy(t->ts, local, local_count * sizeof(*local));
	memcpy(t->ts + local_count, remote, remote_count * sizeof(*remote));
	t->local_ts_count = (uint8_t)local_count;
	t->remote_ts_count = (uint8_t)remote_count;
	t->timer.due = due;
	t->connection = connection_ref(c);
	t->number = ++engine->last_trap;
	t->state = c->shunt == IPSEC_PROTECT ? ROUTING_ONDEMAND : ROUTING_NEVER_NEGOTIATE;
	t->action = (uint8_t)c->shunt;
	t->link = &engine->first_trap;
	t->next = engine->first_trap;
	if (t->next)
		t->next->link = &t->next;
	engine->first_trap = t;
	routing_hold(c);
	return t;
}

static bool same_policy(const struct trap *a, const struct trap *b)
{
	if (a->local_ts_count != b->local_ts_count || a->remote_ts_count != b->remote_ts_count)
		return false;
	for (int i = 0; i < a->local_ts_count + a->remote_ts_count; i++) {
		if (!traffic_selector_equal(&a->ts[i], &b->ts[i]))
			return false;
	}
	return true;
}

static const char *refusal(const struct connection *c)
{
	if (!c->oriented)
		return "we cannot identify ourselves with either end of this connection";
	if (c->shunt == IPSEC_PROTECT && connection_is_template(c))
		return "cannot route a template without knowing the peer's IP address";
	if (!c->remote.selector_count && ip_is_unset(&c->remote.host))
		return "cannot route: the other end has neither an address nor a subnet";
	return NULL;
}

static void refuse(struct ike_engine *engine, const struct connection *c, ike_watcher watcher,
	enum ike_rc code, const char *why)
{
	connection_log(engine, c, watcher, LOG_LINE_WARNING, code, "%s", why);
	if (watcher)
		engine->host->release_watcher(engine->host, watcher);
}

void ike_engine_route(struct ike_engine *engine, struct connection *c, ike_watcher watcher)
{
	const char *why = refusal(c);
	struct trap *old = find(engine, c), *t;

	if (why) {
		refuse(engine, c, watcher, c->oriented ? RC_ROUTE : RC_ORIENT, why);
		return;
	}
	t = trap_new(engine, c);
	if (!t) {
		refuse(engine, c, watcher, RC_INTERNAL, "out of memory");
		return;
	}
	t->watcher = watcher;
	t->installed = old && old->installed && same_policy(old, t);
	ask(engine, t, IPSEC_POLICY_ADD);
	/* Not before: at no moment is the traffic without a policy. */
	if (old && same_policy(old, t))
		trap_free(engine, old);
	else if (old)
		drop(engine, old);
	trap_review(engine, c);
}

bool trap_answer(struct ike_engine *engine, const struct ipsec_answer *answer)
{
	uint64_t serial = answer->token >> 2 >> NUMBER_BITS;
	uint32_t number = answer->token >> 2 & ((1u << NUMBER_BITS) - 1);
	struct table_node *node = table_first(engine->traps, table_hash_u64(serial));
	struct trap *t = NULL;

	if (ipsec_token_kind(answer->token) != TOKEN_TRAP)
		return false;
	for (; node && !t; node = table_next(node)) {
		t = container_of(node, struct trap, node);
		if (t->connection->serial != serial ||
			(t->number & ((1u << NUMBER_BITS) - 1)) != number)
			t = NULL;
	}
	if (!t || answer->op != IPSEC_POLICY_ADD)
		return true;
	if (answer->error)
		connection_log(engine, t->connection, t->watcher, LOG_LINE_ERROR, RC_ROUTE,
			"cannot route: the kernel refuses the policy: %s (errno %d)",
			strerror(answer->error), answer->error);
	if (answer->error && !t->installed) {
		trap_free(engine, t);
		return true;
	}
	if (!t->installed && t->state != ROUTING_NEVER_NEGOTIATE)
		updown_route(engine, t->connection, t->ts, t->local_ts_count,
			t->ts + t->local_ts_count, t->remote_ts_count);
	t->installed = true;
	publish(engine, t);
	if (t->watcher)
		engine->host->release_watcher(engine->host, t->watcher);
	t->watcher = 0;
	return true;
}
