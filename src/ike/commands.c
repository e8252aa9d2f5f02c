/* What the operator commands: initiate, terminate, rekey, delete. */
#include "child_sa.h"
#include "create_child.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "route.h"
#include "sharing.h"
#include "trap.h"
#include "wanted.h"

static const char *refusal(const struct ike_engine *engine, const struct connection *c,
	const struct ip_address *remote, enum ike_rc *code)
{
	if (!engine->listening)
		return *code = RC_DEAF, "need --listen before --initiate";
	if (c->shunt != IPSEC_PROTECT || c->remote.auth == AUTH_METHOD_NEVER)
		return *code = RC_INITSHUNT, "cannot initiate an authby=never connection";
	if (!c->oriented)
		return *code = RC_ORIENT,
		       "we cannot identify ourselves with either end of this connection";
	if (c->ikev1)
		return *code = RC_FATAL, "IKEv1 is not implemented";
	if (ip_is_unset(remote))
		return *code = RC_PEER_UNKNOWN,
		       "cannot initiate connection without knowing peer IP address";
	return NULL;
}

void initiate_sa(struct ike_engine *engine, struct connection *c, const struct ip_address *remote,
	ike_watcher watcher, uint64_t replaces)
{
	struct ike_path path = {
		.local = {.address = c->local.host, .port = engine->config.ike_port},
		.remote = {.address = *remote,
			.port = c->remote.ike_port ? c->remote.ike_port : 500},
	};
	struct ike_sa *sa = ike_sa_new(engine, true, &path);

	if (!sa) {
		connection_log(engine, c, watcher, LOG_LINE_ERROR, RC_INTERNAL, "out of memory");
		wanted_later(engine, c, remote);
		if (watcher)
			engine->host->release_watcher(engine->host, watcher);
		return;
	}
	sa->watcher = watcher;
	sa->replaces = replaces;
	ike_sa_set_connection(sa, c);
	ike_sa_announce(sa);
	trap_review(engine, c);
	init_begin(sa);
}

static void say_it_is_up(struct ike_engine *engine, const struct connection *c,
	const struct ike_sa *sa, ike_watcher watcher)
{
	connection_log(engine, c, watcher, LOG_LINE_INFO, RC_OK,
		"connection has a Child SA using IKE SA #%llu already",
		(unsigned long long)sa->serial);
	if (watcher)
		engine->host->release_watcher(engine->host, watcher);
}

void initiate_connection(struct ike_engine *engine, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher)
{
	struct ike_sa *sa = sharing_find(engine, c, remote);

	if (!sa)
		initiate_sa(engine, c, remote, watcher, 0);
	else if (sharing_carries(sa, c))
		say_it_is_up(engine, c, sa, watcher);
	else
		create_child_add(sa, c, 0, watcher);
}

bool ike_engine_can_share(struct ike_engine *engine, const struct connection *c)
{
	return sharing_find(engine, c, &c->remote.host);
}

void ike_engine_initiate(struct ike_engine *engine, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher)
{
	const struct ip_address *peer = remote && !ip_is_unset(remote) ? remote : &c->remote.host;
	enum ike_rc code = RC_OK;
	const char *why = refusal(engine, c, peer, &code);

	if (why) {
		connection_log(engine, c, watcher, LOG_LINE_WARNING, code, "%s", why);
		if (watcher)
			engine->host->release_watcher(engine->host, watcher);
		return;
	}
	wanted_add(engine, c, peer);
	initiate_connection(engine, c, peer, watcher);
}

/* The watcher waits for the SA's end, if nobody else does already. */
static void watch(struct ike_sa *sa, ike_watcher watcher)
{
	if (!sa->watcher)
		sa->watcher = watcher;
	else if (watcher)
		sa->engine->host->release_watcher(sa->engine->host, watcher);
}

static void take_down(struct ike_sa *sa, ike_watcher watcher)
{
	const struct child_sa *child = sa->children;

	if (sa->state == STATE_ESTABLISHED_IKE_SA && child)
		connection_log(sa->engine, sa->connection, watcher, LOG_LINE_INFO, RC_OK,
			"initiating delete of connection's IKE SA #%llu (and Child SA #%llu)",
			(unsigned long long)sa->serial, (unsigned long long)child->serial);
	else
		connection_log(sa->engine, sa->connection, watcher, LOG_LINE_INFO, RC_OK,
			"initiating delete of connection's IKE SA #%llu",
			(unsigned long long)sa->serial);
	watch(sa, watcher);
	ike_sa_delete(sa, FINISHED_COMPLETED);
}

static bool is_own(const struct ike_sa *sa, const struct connection *c)
{
	return sa->connection->serial == c->serial;
}

static bool has_to_do_with(const struct ike_sa *sa, const struct connection *c)
{
	return is_own(sa, c) || sharing_carries(sa, c);
}

/* Others stay: only what is the connection's goes. */
static void leave(struct ike_sa *sa, const struct connection *c, ike_watcher watcher)
{
	connection_log(sa->engine, c, watcher, LOG_LINE_INFO, RC_OK,
		"IKE SA #%llu is shared - only terminating IPsec SA",
		(unsigned long long)sa->serial);
	watch(sa, watcher);
	sharing_leave(sa, c);
	sharing_hand_over(sa, c);
	if (!(sa->wants & WANT_DELETE_CHILD) &&
		!(sa->exchange && sa->exchange->purpose == FOR_DELETE_CHILD))
		ike_sa_release_watcher(sa);
}

/* While an IKE SA is being set up, it stands and falls with the connection that has begun it. */
static void leave_or_take_down(struct ike_sa *sa, const struct connection *c, ike_watcher watcher)
{
	bool settled = sa->state == STATE_ESTABLISHED_IKE_SA && !sa->rekeyed && !sa->negotiation;

	if (settled ? sharing_carries_others(sa, c) : !is_own(sa, c))
		leave(sa, c, watcher);
	else
		take_down(sa, watcher);
}

unsigned ike_engine_terminate(
	struct ike_engine *engine, const struct connection *c, bool unroute, ike_watcher watcher)
{
	struct sharing_walk walk;
	struct ike_sa *sa;
	unsigned met = 0;

	wanted_forget(engine, c);
	engine->terminating = c->serial;
	sharing_walk_start(&walk, engine, c);
	while ((sa = sharing_walk_next(&walk))) {
		if (sa->state == STATE_ZOMBIE || !has_to_do_with(sa, c))
			continue;
		met++;
		leave_or_take_down(sa, c, watcher);
	}
	engine->terminating = 0;
	trap_calm(engine, c);
	if (unroute) {
		trap_remove(engine, c);
		route_remove(engine, c, false);
	}
	return met;
}

void ike_engine_unroute(struct ike_engine *engine, const struct connection *c, bool trap_only)
{
	trap_remove(engine, c);
	if (!trap_only)
		route_remove(engine, c, true);
}

bool ike_engine_delete_serial(struct ike_engine *engine, uint64_t serial, ike_watcher watcher)
{
	struct ike_sa *sa = engine_find_serial(engine, serial);
	struct child_sa *child = engine_find_child(engine, serial);

	if (sa && sa->state != STATE_ZOMBIE) {
		watch(sa, watcher);
		ike_sa_delete(sa, FINISHED_COMPLETED);
		return true;
	}
	if (!child || child->state != CHILD_ESTABLISHED)
		return false;
	watch(child->ike_sa, watcher);
	child_sa_delete(child);
	return true;
}

/* ---- rekey, delete ---------------------------------------------------------- */

static bool is_live(const struct ike_sa *sa, const struct connection *c)
{
	return has_to_do_with(sa, c) && sa->state == STATE_ESTABLISHED_IKE_SA && !sa->rekeyed &&
	       !(sa->wants & WANT_DELETE_IKE);
}

static bool is_current(const struct child_sa *child, const struct connection *c)
{
	return child->state == CHILD_ESTABLISHED && child->newest &&
	       child->connection->serial == c->serial;
}

static void rekey_ike(struct ike_sa *sa, ike_watcher watcher)
{
	watch(sa, watcher);
	if (!create_child_rekey_ike(sa))
		ike_sa_release_watcher(sa);
}

static void rekey_child(struct child_sa *child, ike_watcher watcher)
{
	struct ike_sa *sa = child->ike_sa;

	watch(sa, watcher);
	if (!create_child_rekey(child))
		ike_sa_release_watcher(sa);
}

static void delete_ike(struct ike_sa *sa, ike_watcher watcher)
{
	watch(sa, watcher);
	ike_sa_delete(sa, FINISHED_COMPLETED);
}

static void delete_child(struct child_sa *child, ike_watcher watcher)
{
	watch(child->ike_sa, watcher);
	child_sa_delete(child);
}

/* Child SAs come and go under the hand: those that are there now, one after the other. */
static unsigned each_child(struct ike_sa *sa, const struct connection *c,
	void (*act)(struct child_sa *child, ike_watcher watcher), ike_watcher watcher)
{
	uint64_t serials[CHILDREN_MAX];
	unsigned count = 0;

	for (struct child_sa *child = sa->children; child; child = child->next) {
		if (is_current(child, c) && count < CHILDREN_MAX)
			serials[count++] = child->serial;
	}
	for (unsigned i = 0; i < count; i++) {
		struct child_sa *child = engine_find_child(sa->engine, serials[i]);

		if (child)
			act(child, watcher);
	}
	return count;
}

static unsigned each(struct ike_engine *engine, const struct connection *c,
	void (*act)(struct ike_sa *sa, ike_watcher watcher),
	void (*act_on_child)(struct child_sa *child, ike_watcher watcher), ike_watcher watcher)
{
	struct sharing_walk walk;
	struct ike_sa *sa;
	unsigned met = 0;

	sharing_walk_start(&walk, engine, c);
	while ((sa = sharing_walk_next(&walk))) {
		if (!is_live(sa, c))
			continue;
		if (act_on_child) {
			met += each_child(sa, c, act_on_child, watcher);
		} else {
			met++;
			act(sa, watcher);
		}
	}
	return met;
}

unsigned ike_engine_rekey(struct ike_engine *engine, const struct connection *c,
	enum ike_sa_kind kind, ike_watcher watcher)
{
	return each(engine, c, rekey_ike, kind == CHILD_SA ? rekey_child : NULL, watcher);
}

unsigned ike_engine_delete(struct ike_engine *engine, const struct connection *c,
	enum ike_sa_kind kind, ike_watcher watcher)
{
	return each(engine, c, delete_ike, kind == CHILD_SA ? delete_child : NULL, watcher);
}

void ike_engine_unwant(struct ike_engine *engine, const struct connection *c)
{
	wanted_forget(engine, c);
}
