/* The IKE SA object: birth, tables, states, death. */
#include "ike_sa.h"

#include "child_sa.h"
#include "configuration.h"
#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "fragment.h"
#include "sharing.h"
#include "unique.h"
#include "trap.h"
#include "wanted.h"

#include <stdlib.h>
#include <string.h>

/* A peer that did not get the last response asks for it again so long. */
#define LINGER_MS 5000

static const char *const state_names[IKE_STATES] = {
	[STATE_UNSECURED_R] = "UNSECURED_R",
	[STATE_IKE_SA_INIT_I0] = "IKE_SA_INIT_I0",
	[STATE_IKE_SA_INIT_I] = "IKE_SA_INIT_I",
	[STATE_IKE_SA_INIT_R] = "IKE_SA_INIT_R",
	[STATE_IKE_SA_INIT_IR] = "IKE_SA_INIT_IR",
	[STATE_IKE_AUTH_I] = "IKE_AUTH_I",
	[STATE_ESTABLISHED_IKE_SA] = "ESTABLISHED_IKE_SA",
	[STATE_ZOMBIE] = "ZOMBIE",
};

static const char *const state_stories[IKE_STATES] = {
	[STATE_UNSECURED_R] = "larval unsecured IKE SA responder",
	[STATE_IKE_SA_INIT_I0] = "waiting for KE to finish",
	[STATE_IKE_SA_INIT_I] = "sent IKE_SA_INIT request",
	[STATE_IKE_SA_INIT_R] = "sent IKE_SA_INIT response",
	[STATE_IKE_SA_INIT_IR] = "processed IKE_SA_INIT response",
	[STATE_IKE_AUTH_I] = "sent IKE_AUTH request",
	[STATE_ESTABLISHED_IKE_SA] = "established IKE SA",
	[STATE_ZOMBIE] = "deleted state",
};

const char *ike_state_name(enum ike_state state)
{
	return state_names[state];
}

const char *ike_state_story(const struct ike_sa *sa)
{
	return state_stories[sa->state];
}

const char *child_state_name(enum child_state state)
{
	switch (state) {
	case CHILD_ESTABLISHED:
		return "ESTABLISHED_CHILD_SA";
	case CHILD_DELETING:
		return "ZOMBIE";
	default:
		return "NEW_CHILD_I0";
	}
}

/* ---- counters ---------------------------------------------------------------- */

/* The gauge that counts SAs of this state beside the state's own; 0: none. */
static size_t state_gauge(const struct ike_sa *sa)
{
	switch (sa->state) {
	case STATE_UNSECURED_R:
	case STATE_IKE_SA_INIT_I0:
	case STATE_IKE_SA_INIT_I:
	case STATE_IKE_SA_INIT_R:
		return COUNT_STATES_HALF_OPEN;
	case STATE_IKE_SA_INIT_IR:
	case STATE_IKE_AUTH_I:
		return COUNT_STATES_OPEN;
	case STATE_ESTABLISHED_IKE_SA:
		return sa->remote_id && sa->remote_id->kind == ID_NULL ? COUNT_STATES_ANONYMOUS
								       : COUNT_STATES_AUTHENTICATED;
	default:
		return 0;
	}
}

static bool is_half_open(const struct ike_sa *sa)
{
	return sa->state == STATE_UNSECURED_R || sa->state == STATE_IKE_SA_INIT_R;
}

static void count_state(struct ike_sa *sa, int64_t n)
{
	struct counter_set *counters = sa->engine->config.counters;
	size_t gauge = state_gauge(sa);

	counter_add(counters, COUNT_STATE + sa->state, n);
	if (gauge)
		counter_add(counters, gauge, n);
	if (is_half_open(sa))
		sa->engine->half_open += n;
}

static void serves_no_more(struct ike_sa *sa)
{
	wanted_sa_gone(sa);
	if (sa->rekeyed && sa->replaces)
		rekey_ike_redundant_gone(sa);
}

void ike_sa_set_state(struct ike_sa *sa, enum ike_state state)
{
	bool leaves = state == STATE_ZOMBIE && sa->state != STATE_ZOMBIE;

	count_state(sa, -1);
	sa->state = state;
	count_state(sa, 1);
	if (leaves) {
		configuration_drop(sa);
		serves_no_more(sa);
	}
	if (sa->connection)
		trap_review(sa->engine, sa->connection);
}

/* ---- birth --------------------------------------------------------------------- */

uint64_t ike_sa_choose_spi(struct ike_engine *engine)
{
	uint64_t spi;

	do {
		engine->host->random(engine->host, &spi, sizeof(spi));
	} while (
		!spi || !engine->host->owns_spi(engine->host, spi) || engine_find_spi(engine, spi));
	return spi;
}

static bool enter_tables(struct ike_sa *sa)
{
	struct ike_engine *engine = sa->engine;

	if (!table_insert(engine->by_spi, &sa->by_spi, table_hash_u64(ike_sa_own_spi(sa))))
		return false;
	if (!table_insert(engine->by_serial, &sa->by_serial, table_hash_u64(sa->serial))) {
		table_remove(engine->by_spi, &sa->by_spi);
		return false;
	}
	sa->older = engine->newest;
	if (engine->newest)
		engine->newest->newer = sa;
	else
		engine->oldest = sa;
	engine->newest = sa;
	return true;
}

static void ike_sa_due(struct ike_engine *engine, struct engine_timer *timer)
{
	(void)engine;
	deadlines_pass(container_of(timer, struct ike_sa, timer));
}

static struct ike_sa *new_sa(
	struct ike_engine *engine, bool initiator, const struct ike_path *path, uint64_t own_spi)
{
	struct ike_sa *sa = slab_alloc(engine->sas);

	if (!sa)
		return NULL;
	sa->negotiation = slab_alloc(engine->negotiations);
	if (!sa->negotiation)
		goto out_of_memory;
	sa->negotiation->ike_sa = sa;
	sa->negotiation->started_ms = engine_now(engine);
	sa->engine = engine;
	sa->initiator = initiator;
	sa->path = *path;
	sa->timer.due = ike_sa_due;
	sa->serial = engine->host->new_serial(engine->host);
	*(initiator ? &sa->spi_i : &sa->spi_r) = own_spi;
	if (!enter_tables(sa))
		goto out_of_memory;
	sa->state = initiator ? STATE_IKE_SA_INIT_I0 : STATE_UNSECURED_R;
	count_state(sa, 1);
	engine_count(engine, COUNT_STATES_IKE);
	engine_count(engine, COUNT_STATES_ALL);
	engine_count(engine, COUNT_IKE_STARTED);
	return sa;

out_of_memory:
	slab_free(engine->negotiations, sa->negotiation);
	slab_free(engine->sas, sa);
	return NULL;
}

struct ike_sa *ike_sa_new(struct ike_engine *engine, bool initiator, const struct ike_path *path)
{
	return new_sa(engine, initiator, path, ike_sa_choose_spi(engine));
}

static void enter_connection_table(struct ike_sa *sa, struct connection *c)
{
	struct ike_engine *engine = sa->engine;

	if (sa->in_connection_table)
		table_remove(engine->by_connection, &sa->by_connection);
	connection_unref(sa->connection);
	sa->connection = connection_ref(c);
	sa->in_connection_table =
		table_insert(engine->by_connection, &sa->by_connection, table_hash_u64(c->serial));
}

void ike_sa_set_connection(struct ike_sa *sa, struct connection *c)
{
	enter_connection_table(sa, c);
	if (connection_is_template(c))
		sa->instance = __atomic_add_fetch(&c->instances, 1, __ATOMIC_RELAXED);
}

void ike_sa_change_connection(struct ike_sa *sa, struct connection *c)
{
	enter_connection_table(sa, c);
	ike_sa_count_identities(sa);
}

struct ike_sa *ike_sa_new_rekeyed(struct ike_sa *old, bool initiator, uint64_t own_spi)
{
	struct ike_sa *sa = new_sa(old->engine, initiator, &old->path, own_spi);

	if (!sa)
		return NULL;
	enter_connection_table(sa, old->connection);
	sa->instance = old->instance;
	sa->local_id = identity_ref(old->local_id);
	sa->remote_id = identity_ref(old->remote_id);
	sa->behind_nat = old->behind_nat;
	sa->peer_behind_nat = old->peer_behind_nat;
	sa->encapsulate = old->encapsulate;
	sa->fragmentation = old->fragmentation;
	ike_sa_count_identities(sa);
	return sa;
}

/* ---- established ----------------------------------------------------------------- */

static bool enter_identity_table(
	struct ike_sa *sa, const struct identity *local, const struct identity *remote)
{
	struct ike_engine *engine = sa->engine;

	if (sa->in_identity_table)
		table_remove(engine->by_identity, &sa->by_identity);
	sa->in_identity_table =
		table_insert(engine->by_identity, &sa->by_identity, unique_hash(local, remote));
	return sa->in_identity_table;
}

void ike_sa_announce(struct ike_sa *sa)
{
	enter_identity_table(sa, sa->connection->local.id, sa->connection->remote.id);
}

bool ike_sa_established(struct ike_sa *sa)
{
	struct ike_engine *engine = sa->engine;
	uint64_t now = engine_now(engine);

	if (!enter_identity_table(sa, sa->local_id, sa->remote_id))
		return false;
	sa->established_ms = sa->last_heard_ms = now;
	ike_sa_set_state(sa, STATE_ESTABLISHED_IKE_SA);
	engine_count(engine, COUNT_IKE_ESTABLISHED);
	engine_count(engine, COUNT_IKE_SA_ESTABLISHED);
	count_ike_algorithms(engine, &sa->chosen);
	deadlines_begin(sa);
	return true;
}

void ike_sa_drop_message(
	struct ike_sa *sa, uint8_t *message, size_t len, const uint8_t room[MESSAGE_ROOM])
{
	if (!message || message == room)
		return;
	sa->engine->message_bytes -= len;
	free(message);
}

void ike_sa_end_negotiation(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;

	if (!n)
		return;
	if (n->job && n->job_in_flight)
		n->job->owner = NULL; /* the pool has it; its answer will be dropped */
	else
		crypto_job_free(n->job);
	if (n->in_requests)
		table_remove(sa->engine->requests, &n->by_request);
	secret_release(&n->private_key);
	free(n->held);
	free(n->auth_data);
	free(n->peer_text);
	if (sa->response && sa->response == n->message_r)
		response_drop(sa);
	ike_sa_drop_message(sa, n->message_i, n->message_i_len, n->room_i);
	ike_sa_drop_message(sa, n->message_r, n->message_r_len, n->room_r);
	slab_free(sa->engine->negotiations, n);
	sa->negotiation = NULL;
}

static size_t own_identity_bytes(const struct identity *id, const struct identity *shared)
{
	return id && id != shared ? sizeof(*id) + id->len : 0;
}

void ike_sa_count_identities(struct ike_sa *sa)
{
	const struct connection *c = sa->connection;
	size_t bytes = own_identity_bytes(sa->local_id, c ? c->local.id : NULL) +
		       own_identity_bytes(sa->remote_id, c ? c->remote.id : NULL);

	_Static_assert(2 * (sizeof(struct identity) + IDENTITY_LEN_MAX) <= UINT16_MAX, "fits");
	sa->engine->identity_bytes += bytes - sa->identity_bytes;
	sa->identity_bytes = (uint16_t)bytes;
}

void ike_sa_release_watcher(struct ike_sa *sa)
{
	if (sa->watcher)
		sa->engine->host->release_watcher(sa->engine->host, sa->watcher);
	sa->watcher = 0;
}

/* ---- death ------------------------------------------------------------------------- */

void ike_sa_delete(struct ike_sa *sa, enum finish_reason reason)
{
	if (sa->state == STATE_ZOMBIE)
		return;
	if (sa->state == STATE_IKE_AUTH_I) {
		/* The peer may have it established by now: it is told as soon as it answers. */
		sa->wants |= WANT_DELETE_IKE;
		sa->finish_reason = reason;
		return;
	}
	if (sa->state != STATE_ESTABLISHED_IKE_SA) {
		ike_sa_free(sa, reason);
		return;
	}
	create_child_drop_all(sa);
	for (struct child_sa *child = sa->children; child; child = child->next)
		child_sa_uninstall(child);
	ike_sa_end_negotiation(sa); /* a Child SA that the kernel has not answered for yet */
	sa->finish_reason = reason;
	ike_sa_set_state(sa, STATE_ZOMBIE);
	deadlines_stop(sa);
	sa->wants = WANT_DELETE_IKE;
	exchange_next(sa);
}

void ike_sa_retire(struct ike_sa *sa, enum finish_reason reason)
{
	exchange_end(sa); /* a Delete of ours that crossed is as good as answered */
	create_child_drop_all(sa);
	for (struct child_sa *child = sa->children; child; child = child->next)
		child_sa_uninstall(child);
	ike_sa_end_negotiation(sa);
	if (sa->state != STATE_ZOMBIE)
		ike_sa_set_state(sa, STATE_ZOMBIE);
	deadlines_stop(sa);
	sa->wants = 0;
	sa->finish_reason = reason;
	ike_sa_release_watcher(sa);
	ike_sa_linger(sa, LINGER_MS);
}

void ike_sa_linger(struct ike_sa *sa, uint64_t ms)
{
	if (!sa->linger_until)
		sa->engine->lingering++;
	sa->linger_until = engine_now(sa->engine) + ms;
	ike_sa_schedule(sa);
}

static void leave_tables(struct ike_sa *sa)
{
	struct ike_engine *engine = sa->engine;

	for (struct ike_walk *walk = engine->walks; walk; walk = walk->next) {
		if (walk->position == sa)
			walk->position = sa->newer;
	}
	*(sa->older ? &sa->older->newer : &engine->oldest) = sa->newer;
	*(sa->newer ? &sa->newer->older : &engine->newest) = sa->older;
	table_remove(engine->by_spi, &sa->by_spi);
	table_remove(engine->by_serial, &sa->by_serial);
	if (sa->in_identity_table)
		table_remove(engine->by_identity, &sa->by_identity);
	if (sa->in_connection_table)
		table_remove(engine->by_connection, &sa->by_connection);
}

void ike_sa_free(struct ike_sa *sa, enum finish_reason reason)
{
	struct ike_engine *engine = sa->engine;
	struct ike_sa *old;

	if (sa->state != STATE_ZOMBIE)
		serves_no_more(sa);
	if (sa->replaces && (old = engine_find_serial(engine, sa->replaces)))
		deadlines_replace_again(old);
	create_child_drop_all(sa);
	while (sa->children)
		child_sa_free(sa->children, reason);
	sharing_forget(sa);
	ike_sa_end_negotiation(sa);
	configuration_drop(sa);
	exchange_end(sa);
	fragment_forget(sa);
	ike_sa_release_watcher(sa);
	engine->host->cancel(engine->host, &sa->timer.timer);
	leave_tables(sa);
	count_state(sa, -1);
	counter_sub(engine->config.counters, COUNT_STATES_IKE, 1);
	counter_sub(engine->config.counters, COUNT_STATES_ALL, 1);
	engine_count(engine, COUNT_IKE_FINISHED + reason);
	engine_count(engine, COUNT_IKE_FINISHED_ALL);
	if (sa->established_ms)
		engine_count(engine, COUNT_IKE_COMPLETED);
	engine->lingering -= sa->linger_until != 0;
	response_drop(sa);
	engine->key_bytes -= sa->keys_len;
	engine->identity_bytes -= sa->identity_bytes;
	if (sa->keys)
		secret_wipe(sa->keys, sa->keys_len);
	free(sa->keys);
	identity_unref(sa->local_id);
	identity_unref(sa->remote_id);
	if (sa->connection)
		trap_review(engine, sa->connection);
	connection_unref(sa->connection);
	slab_free(engine->sas, sa);
}
