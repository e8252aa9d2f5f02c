/* The CREATE_CHILD_SA exchanges of an IKE SA: the queue of ours, and how they end. */
#include "create_child.h"

#include "child_negotiation.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "sharing.h"
#include "trap.h"
#include "wanted.h"

#define JOB_RETRY_MS 200
/* After TEMPORARY_FAILURE: so long, twice as long each time, half of it at random, so that two
 * peers do not stay in step. */
#define PUT_OFF_MS       500
#define PUT_OFF_DOUBLING 6
/* What the peer refuses, or deletes before it has lived so long, is not asked for again at once. */
#define LIVED_MS       30000
#define REVIVAL_MS     5000
#define REVIVAL_MAX_MS 300000

/* ---- the list --------------------------------------------------------------- */

struct create_child *create_new(struct ike_sa *sa, enum create_purpose purpose, bool initiator)
{
	struct create_child *x = slab_alloc(sa->engine->creations), **link = &sa->creating;

	if (!x)
		return NULL;
	x->ike_sa = sa;
	x->purpose = purpose;
	x->initiator = initiator;
	while (*link)
		link = &(*link)->next;
	*link = x;
	return x;
}

void create_drop_job(struct create_child *x)
{
	if (x->job && x->job_in_flight)
		x->job->owner = NULL; /* the pool has it; its answer will be dropped */
	else
		crypto_job_free(x->job);
	x->job = NULL;
	x->job_in_flight = x->job_waits = false;
}

static void unlink_from_sa(struct create_child *x)
{
	struct create_child **link = &x->ike_sa->creating;

	while (*link != x)
		link = &(*link)->next;
	*link = x->next;
}

void create_free(struct create_child *x)
{
	struct ike_engine *engine = x->ike_sa->engine;
	struct child_sa *child = x->child, *old = engine_find_child(engine, x->replaces);

	unlink_from_sa(x);
	create_drop_job(x);
	x->child = NULL;
	if (child && child->state == CHILD_NEGOTIATING)
		child_sa_free(child, FINISHED_OTHER);
	if (x->initiator && old)
		old->rekeying = false;
	secret_release(&x->private_key);
	proposal_list_unref(x->offered);
	if (x->connection)
		trap_review(engine, x->connection);
	connection_unref(x->connection);
	if (x->watcher)
		engine->host->release_watcher(engine->host, x->watcher);
	slab_free(engine->creations, x);
}

void create_child_drop_all(struct ike_sa *sa)
{
	rekey_ike_settle(sa);
	while (sa->creating)
		create_free(sa->creating);
}

bool create_is_under_way(const struct create_child *x)
{
	return x->initiator ? x->stage >= CREATE_SENT : x->stage != CREATE_DONE;
}

bool create_child_busy(const struct ike_sa *sa)
{
	for (const struct create_child *x = sa->creating; x; x = x->next) {
		if (!x->initiator && create_is_under_way(x))
			return true;
	}
	return false;
}

struct create_child *create_find_ours(const struct ike_sa *sa, enum create_purpose purpose)
{
	struct create_child *x = sa->creating;

	while (x && (!x->initiator || x->purpose != purpose || !create_is_under_way(x)))
		x = x->next;
	return x;
}

/* ---- endings ---------------------------------------------------------------- */

/* What the peer did about the same SA was remembered for the sake of ours. */
static void forget_theirs(struct create_child *ours)
{
	struct create_child *theirs = rekey_collision_find(ours);

	if (theirs && theirs->stage == CREATE_DONE)
		create_free(theirs);
}

/* Nobody waits for more, unless a Delete that follows is watched too. */
void create_finish(struct create_child *x, bool delete_follows)
{
	struct ike_sa *sa = x->ike_sa;

	delete_follows |= x->purpose == CREATE_NEW_CHILD; /* that has a watcher of its own */
	forget_theirs(x);
	create_free(x);
	sharing_prune(sa);
	if (!delete_follows)
		ike_sa_release_watcher(sa);
	exchange_next(sa);
	ike_sa_schedule(sa);
}

void create_give_up(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	struct child_sa *old = engine_find_child(sa->engine, x->replaces);

	if (x->purpose == CREATE_REKEY_IKE) {
		rekey_ike_settle(sa);
		deadlines_replace_again(sa);
	} else if (old) {
		deadlines_child_again(old);
	}
	create_finish(x, false);
}

static void release_watcher(struct create_child *x)
{
	if (x->watcher)
		x->ike_sa->engine->host->release_watcher(x->ike_sa->engine->host, x->watcher);
	x->watcher = 0;
}

/* A new one is tried again later, as long as the operator wants it. */
static void refused_new(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	const struct connection *c = x->connection;
	uint64_t wait = (x->attempts + 1) * REVIVAL_MS;

	if (x->unwanted || !connection_is_wanted(sa->engine, c, &sa->path.remote.address) ||
		(c->keying_tries && x->attempts + 1u >= c->keying_tries)) {
		create_give_up(x);
		return;
	}
	create_put_off(x);
	x->not_before = engine_now(sa->engine) + (wait < REVIVAL_MAX_MS ? wait : REVIVAL_MAX_MS);
	release_watcher(x);
	ike_sa_schedule(sa);
}

void create_fall_back(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;

	if (x->purpose == CREATE_NEW_CHILD) {
		refused_new(x);
		return;
	}
	create_give_up(x);
	deadlines_reauthenticate(sa);
}

void create_put_off(struct create_child *x)
{
	struct ike_engine *engine = x->ike_sa->engine;
	unsigned doublings = x->attempts < PUT_OFF_DOUBLING ? x->attempts : PUT_OFF_DOUBLING;
	uint64_t wait = PUT_OFF_MS << doublings;
	uint32_t random;

	engine->host->random(engine->host, &random, sizeof(random));
	if (x->unwanted) {
		create_give_up(x);
		return;
	}
	if (x->attempts < UINT8_MAX)
		x->attempts++;
	create_drop_job(x);
	secret_release(&x->private_key);
	if (x->child) {
		struct child_sa *child = x->child;

		x->child = NULL;
		child_sa_free(child, FINISHED_OTHER);
	}
	x->stage = CREATE_QUEUED;
	x->not_before = engine_now(engine) + wait / 2 + random % (wait / 2);
	exchange_next(x->ike_sa);
	ike_sa_schedule(x->ike_sa);
}

void create_child_forget(struct child_sa *child)
{
	struct create_child *x = child->ike_sa->creating;

	while (x && x->child != child)
		x = x->next;
	if (!x)
		return;
	x->child = NULL;
	if (x->initiator && x->stage == CREATE_INSTALLING)
		create_give_up(x); /* the peer deletes it before the kernel has answered */
}

/* ---- into the queue ---------------------------------------------------------- */

bool create_child_rekey(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;
	struct create_child *x;

	child->replace_s = 0;
	if (child->rekeying || child->state != CHILD_ESTABLISHED)
		return child->rekeying;
	x = create_new(sa, CREATE_REKEY_CHILD, true);
	if (!x) {
		deadlines_child_again(child);
		return false;
	}
	x->replaces = child->serial;
	x->connection = connection_ref(child->connection);
	child->rekeying = true;
	child_sa_log(child, LOG_LINE_INFO, RC_OK,
		"initiating rekey to replace Child SA #%llu using IKE SA #%llu",
		(unsigned long long)child->serial, (unsigned long long)sa->serial);
	exchange_next(sa);
	return true;
}

/* Has the connection a Child SA here, or one that is queued? */
static bool is_served(const struct ike_sa *sa, const struct connection *c)
{
	for (const struct child_sa *child = sa->children; child; child = child->next) {
		if (child->connection->serial == c->serial &&
			(child->state == CHILD_ESTABLISHED || child->state == CHILD_INSTALLING))
			return true;
	}
	for (const struct create_child *x = sa->creating; x; x = x->next) {
		if (x->initiator && x->purpose == CREATE_NEW_CHILD && !x->unwanted &&
			x->connection->serial == c->serial)
			return true;
	}
	return false;
}

void create_child_revive(struct ike_sa *sa, struct connection *c, uint64_t lived_ms)
{
	if (sa->state == STATE_ESTABLISHED_IKE_SA && !sa->rekeyed &&
		!(sa->wants & WANT_DELETE_IKE) &&
		connection_is_wanted(sa->engine, c, &sa->path.remote.address))
		create_child_add(sa, c, lived_ms > LIVED_MS ? 0 : REVIVAL_MS, 0);
}

void create_child_add(
	struct ike_sa *sa, struct connection *c, uint64_t delay_ms, ike_watcher watcher)
{
	struct create_child *x = NULL;

	if (!child_obstacle(sa, c) && !is_served(sa, c) && sharing_enter(sa, c))
		x = create_new(sa, CREATE_NEW_CHILD, true);
	if (!x) {
		if (watcher)
			sa->engine->host->release_watcher(sa->engine->host, watcher);
		return;
	}
	x->watcher = watcher;
	x->connection = connection_ref(c);
	x->not_before = delay_ms ? engine_now(sa->engine) + delay_ms : 0;
	trap_review(sa->engine, c);
	exchange_next(sa);
	ike_sa_schedule(sa);
}

bool create_child_rekey_ike(struct ike_sa *sa)
{
	struct create_child *x = sa->creating;

	sa->replace_at = 0;
	while (x && !(x->initiator && x->purpose == CREATE_REKEY_IKE))
		x = x->next;
	if (x || sa->rekeyed || sa->state != STATE_ESTABLISHED_IKE_SA)
		return x;
	x = create_new(sa, CREATE_REKEY_IKE, true);
	if (!x) {
		deadlines_replace_again(sa);
		return false;
	}
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"initiating rekey to replace IKE SA #%llu using IKE SA #%llu",
		(unsigned long long)sa->serial, (unsigned long long)sa->serial);
	exchange_next(sa);
	return true;
}

/* ---- out of the queue -------------------------------------------------------- */

/* Ours that is beyond the queue, else the first in it that need not wait. */
static struct create_child *current(const struct ike_sa *sa)
{
	uint64_t now = engine_now(sa->engine);
	struct create_child *first = NULL;

	for (struct create_child *x = sa->creating; x; x = x->next) {
		if (!x->initiator)
			continue;
		if (x->stage != CREATE_QUEUED)
			return x;
		if (!first && x->not_before <= now)
			first = x;
	}
	return first;
}

static bool may_begin(const struct ike_sa *sa)
{
	return sa->state == STATE_ESTABLISHED_IKE_SA && !sa->negotiation && !sa->rekeyed &&
	       !sa->replaces && !(sa->wants & WANT_DELETE_IKE) && !create_child_busy(sa);
}

uint64_t create_child_due(const struct ike_sa *sa)
{
	const struct create_child *x;
	uint64_t due = 0;

	for (x = sa->creating; x; x = x->next) {
		if (x->job_waits)
			return x->not_before; /* the crypto workers were overloaded */
		if (x->initiator && x->stage != CREATE_QUEUED)
			return 0;
		if (x->initiator && (!due || x->not_before < due))
			due = x->not_before ? x->not_before : 1;
	}
	return may_begin(sa) && !sa->exchange ? due : 0;
}

bool create_submit(struct create_child *x, struct crypto_job *job)
{
	struct ike_engine *engine = x->ike_sa->engine;

	job->owner = x;
	job->tag = JOB_CREATE_CHILD;
	x->job = job;
	x->job_in_flight = engine->host->submit(engine->host, job);
	x->job_waits = !x->job_in_flight;
	if (x->job_waits)
		x->not_before = engine_now(engine) + JOB_RETRY_MS;
	return x->job_in_flight;
}

static void submit_again(struct ike_sa *sa)
{
	for (struct create_child *x = sa->creating; x; x = x->next) {
		if (x->job_waits && x->not_before <= engine_now(sa->engine))
			create_submit(x, x->job);
	}
}

struct proposal_list *create_offer(const struct ike_sa *sa, const struct connection *c)
{
	return c->pfs ? proposal_list_with_ke(c->child_proposals, sa->chosen.ke)
		      : proposal_list_without_ke(c->child_proposals);
}

/* What there is to be replaced, if it still is; NULL: it has gone, or has been replaced. */
struct child_sa *create_replaceable(const struct create_child *x)
{
	struct child_sa *old = engine_find_child(x->ike_sa->engine, x->replaces);

	return old && old->ike_sa == x->ike_sa && old->state == CHILD_ESTABLISHED && old->newest
		       ? old
		       : NULL;
}

bool create_is_obsolete(const struct create_child *x)
{
	if (x->purpose == CREATE_REKEY_CHILD)
		return !create_replaceable(x);
	if (x->purpose != CREATE_NEW_CHILD)
		return false;
	for (const struct child_sa *child = x->ike_sa->children; child; child = child->next) {
		if (child->state == CHILD_ESTABLISHED &&
			child->connection->serial == x->connection->serial)
			return true;
	}
	return false;
}

/* With the group of the IKE SA where it is offered, as the peer knows that one. */
static const struct algorithm *first_group(const struct create_child *x)
{
	const struct algorithm *known = x->ike_sa->chosen.ke;

	return proposal_list_has_ke(x->offered, known->id) ? known
							   : proposal_list_first_ke(x->offered);
}

static void generate(struct create_child *x)
{
	struct crypto_job *job;

	if (!x->group) {
		x->stage = CREATE_READY;
		return;
	}
	job = crypto_job_new(CRYPTO_KE_GENERATE, x->group, bytes_of(NULL, 0));
	if (!job) {
		create_put_off(x);
		return;
	}
	x->stage = CREATE_GENERATING;
	create_submit(x, job);
}

static void begin(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	struct ike_host *host = sa->engine->host;
	const struct child_sa *old;

	if (create_is_obsolete(x)) {
		create_finish(x, false);
		return;
	}
	old = engine_find_child(sa->engine, x->replaces);
	if (old && old->outbound_waits) { /* who knows whether the peer has it yet */
		create_put_off(x);
		return;
	}
	x->ni_len = NONCE_OURS;
	host->random(host, x->ni, x->ni_len);
	if (!x->offered) {
		x->offered = x->purpose == CREATE_REKEY_IKE
				     ? proposal_list_ref(sa->connection->ike_proposals)
				     : create_offer(sa, x->connection);
		if (!x->offered) {
			create_put_off(x);
			return;
		}
		x->group = first_group(x);
	}
	generate(x);
}

void create_child_next(struct ike_sa *sa)
{
	struct create_child *x;

	submit_again(sa);
	if (!may_begin(sa) || sa->exchange)
		return;
	x = current(sa);
	if (x && x->stage == CREATE_QUEUED) {
		begin(x);
		x = current(sa); /* it may have gone */
	}
	if (x && x->stage == CREATE_READY)
		create_send(x);
}
