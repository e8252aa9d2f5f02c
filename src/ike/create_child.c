/* CREATE_CHILD_SA: the queue of our exchanges, and the initiator of those for Child SAs. The
 * responder is in create_child_responder.c, the rekeying of the IKE SA in rekey_ike.c. */
#include "create_child.h"

#include "child_negotiation.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth.h"
#include "wanted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void drop_job(struct create_child *x)
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
	drop_job(x);
	x->child = NULL;
	if (child && child->state == CHILD_NEGOTIATING)
		child_sa_free(child, FINISHED_OTHER);
	if (x->initiator && old)
		old->rekeying = false;
	secret_release(&x->private_key);
	proposal_list_unref(x->offered);
	connection_unref(x->connection);
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

static struct create_child *find_sent(const struct ike_sa *sa)
{
	struct create_child *x = sa->creating;

	while (x && x->stage != CREATE_SENT)
		x = x->next;
	return x;
}

/* ---- endings ---------------------------------------------------------------- */

/* What the peer did about the same SA was remembered for the sake of ours. */
static void forget_theirs(struct create_child *ours)
{
	struct create_child *theirs;

	if (ours->purpose == CREATE_NEW_CHILD)
		return;
	theirs = rekey_collision_find(ours);
	if (theirs && theirs->stage == CREATE_DONE)
		create_free(theirs);
}

/* Nobody waits for more, unless a Delete that follows is watched too. */
void create_finish(struct create_child *x, bool delete_follows)
{
	struct ike_sa *sa = x->ike_sa;

	forget_theirs(x);
	create_free(x);
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

/* A new one is tried again later, as long as the operator wants it. */
static void refused_new(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	const struct connection *c = x->connection;
	uint64_t wait = (x->attempts + 1) * REVIVAL_MS;

	if (!connection_is_wanted(sa->engine, c, &sa->path.remote.address) ||
		(c->keying_tries && x->attempts + 1u >= c->keying_tries)) {
		create_give_up(x);
		return;
	}
	create_put_off(x);
	x->not_before = engine_now(sa->engine) + (wait < REVIVAL_MAX_MS ? wait : REVIVAL_MAX_MS);
	ike_sa_release_watcher(sa);
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
	if (x->attempts < UINT8_MAX)
		x->attempts++;
	drop_job(x);
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
		if (x->initiator && x->purpose == CREATE_NEW_CHILD &&
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
		create_child_add(sa, c, lived_ms > LIVED_MS ? 0 : REVIVAL_MS);
}

void create_child_add(struct ike_sa *sa, struct connection *c, uint64_t delay_ms)
{
	struct create_child *x;

	if (is_served(sa, c) || !(x = create_new(sa, CREATE_NEW_CHILD, true)))
		return;
	x->connection = connection_ref(c);
	x->not_before = delay_ms ? engine_now(sa->engine) + delay_ms : 0;
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
	       !sa->replaces &&
	       !(sa->wants & WANT_DELETE_IKE) && !create_child_busy(sa);
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
static struct child_sa *replaceable(const struct create_child *x)
{
	struct child_sa *old = engine_find_child(x->ike_sa->engine, x->replaces);

	return old && old->ike_sa == x->ike_sa && old->state == CHILD_ESTABLISHED && old->newest
		       ? old
		       : NULL;
}

static bool is_obsolete(const struct create_child *x)
{
	if (x->purpose == CREATE_REKEY_CHILD)
		return !replaceable(x);
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

	if (is_obsolete(x)) {
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

/* ---- the request ------------------------------------------------------------- */

static bool prepare_child(struct create_child *x, struct child_sa *old)
{
	x->child = old ? child_sa_new_rekeyed(old) : child_sa_new(x->ike_sa, x->connection);
	if (!x->child)
		return false;
	return old ? child_sa_set_selectors(x->child, child_local_ts(old), old->local_ts_count,
			     child_remote_ts(old), old->remote_ts_count)
		   : child_propose_selectors(x->child);
}

static bool build_for_child(struct create_child *x, struct child_sa *old, struct message_writer *m,
	struct bytes public_value)
{
	const struct child_sa *child;
	uint8_t protocol;

	if (!prepare_child(x, old))
		return false;
	child = x->child;
	protocol = child->connection->protocol == IPSEC_AH ? PROTOCOL_AH : PROTOCOL_ESP;
	sealed_request_begin(x->ike_sa, m, EXCHANGE_CREATE_CHILD_SA);
	if (old) {
		notify_payload_encode(m, protocol, 4, old->in_spi, N_REKEY_SA, bytes_of(NULL, 0));
		count_notify(x->ike_sa->engine, true, N_REKEY_SA);
	}
	if (child->mode == IPSEC_TRANSPORT)
		add_notify(x->ike_sa->engine, m, N_USE_TRANSPORT_MODE, bytes_of(NULL, 0));
	sa_payload_encode(m, x->offered, 4, child->in_spi);
	nonce_payload_encode(m, bytes_of(x->ni, x->ni_len));
	if (x->group)
		ke_payload_encode(m, x->group->id, public_value);
	ts_payload_encode(m, PAYLOAD_TSi, child_local_ts(child), child->local_ts_count);
	ts_payload_encode(m, PAYLOAD_TSr, child_remote_ts(child), child->remote_ts_count);
	return sealed_end(x->ike_sa, m);
}

static void log_request(struct create_child *x)
{
	char selectors[400], what[40] = "create Child SA";
	unsigned long long ike = x->ike_sa->serial;

	if (x->purpose == CREATE_REKEY_IKE) {
		ike_sa_log(x->ike_sa, LOG_LINE_INFO, RC_OK,
			"sent CREATE_CHILD_SA request to rekey IKE SA #%llu (using IKE SA #%llu)",
			ike, ike);
		return;
	}
	if (x->replaces)
		snprintf(what, sizeof(what), "rekey Child SA #%llu",
			(unsigned long long)x->replaces);
	child_sa_log(x->child, LOG_LINE_INFO, RC_OK,
		"sent CREATE_CHILD_SA request to %s using IKE SA #%llu {%s <0x%08x} [%s]", what,
		ike, x->child->connection->protocol == IPSEC_AH ? "AH" : "ESP", x->child->in_spi,
		child_sa_selectors_text(x->child, selectors, sizeof(selectors)));
}

static void send_request(struct create_child *x)
{
	struct child_sa *old = x->purpose == CREATE_REKEY_CHILD ? replaceable(x) : NULL;
	struct bytes public_value =
		x->job ? bytes_of(x->job->public_value, x->job->public_len) : bytes_of(NULL, 0);
	struct message_writer m;
	bool ok;

	if (is_obsolete(x)) {
		create_finish(x, false);
		return;
	}
	ok = x->purpose == CREATE_REKEY_IKE ? rekey_ike_build(x, &m, public_value)
					    : build_for_child(x, old, &m, public_value);
	if (!ok || !exchange_start(x->ike_sa, FOR_CREATE_CHILD, EXCHANGE_CREATE_CHILD_SA,
			   writer_bytes(&m.w))) {
		create_put_off(x);
		return;
	}
	x->stage = CREATE_SENT;
	drop_job(x);
	log_request(x);
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
		send_request(x);
}

/* ---- the response -------------------------------------------------------------- */

/* The peer has the Child SA, but we cannot use it: it is told so. */
static void reject_child(struct create_child *x, const char *why)
{
	struct child_sa *child = x->child;
	struct ike_sa *sa = x->ike_sa;

	child_sa_log(child, LOG_LINE_ERROR, RC_OK, "Child SA refused: %s", why);
	x->child = NULL;
	child_sa_uninstall(child);
	sa->wants |= WANT_DELETE_CHILD;
	create_fall_back(x);
}

static void follow_invalid_ke(struct create_child *x, struct bytes data)
{
	struct reader r = reader_of(data);
	uint16_t wanted = read_u16(&r);
	const struct algorithm *group = algorithm_by_id(TRANSFORM_KE, wanted);

	if (!reader_done(&r) || !group || !x->group || !proposal_list_has_ke(x->offered, wanted) ||
		wanted == x->group->id || wanted == x->tried_group ||
		x->attempts > INIT_ROUNDS_MAX) {
		ike_sa_log(x->ike_sa, LOG_LINE_WARNING, RC_OK,
			"CREATE_CHILD_SA: the peer asks for %s, which was not offered or was tried",
			group ? group->name : "an unknown key exchange method");
		create_fall_back(x);
		return;
	}
	count_invalid_ke(x->ike_sa->engine, false, x->group->id, wanted);
	ike_sa_log(x->ike_sa, LOG_LINE_INFO, RC_OK,
		"received INVALID_KE_PAYLOAD response to Key Exchange Method (DH) %s; resending "
		"with suggested %s",
		x->group->name, group->name);
	x->tried_group = x->group->id;
	x->group = group;
	create_put_off(x);
	x->not_before = 0;
	exchange_next(x->ike_sa);
}

/* The peer has lost what we wanted to rekey: we let go of it too, and begin anew (RFC 7296, section
 * 2.25.1). */
static void start_from_scratch(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	struct child_sa *old = replaceable(x);
	struct connection *c = connection_ref(x->connection);
	bool replaced = rekey_collision_find(x) != NULL;

	if (old) {
		child_sa_log(old, LOG_LINE_INFO, RC_OK, "peer does not know Child SA <0x%08x",
			old->in_spi);
		child_sa_end(old, FINISHED_DELETED);
	}
	create_give_up(x);
	if (!replaced && sa->state == STATE_ESTABLISHED_IKE_SA)
		create_child_add(sa, c, 0);
	connection_unref(c);
}

static void refused(struct create_child *x, uint16_t type, struct bytes data)
{
	const struct create_child *theirs =
		x->purpose == CREATE_NEW_CHILD ? NULL : rekey_collision_find(x);
	const char *name = notify_name(type);

	ike_sa_log(x->ike_sa, LOG_LINE_WARNING, RC_OK,
		"CREATE_CHILD_SA request rejected by peer: %s", name ? name : "unknown error");
	if (theirs && theirs->stage == CREATE_DONE) { /* the peer's own takes its place */
		create_give_up(x);
		return;
	}
	switch (type) {
	case N_TEMPORARY_FAILURE:
		create_put_off(x);
		return;
	case N_INVALID_KE_PAYLOAD:
		follow_invalid_ke(x, data);
		return;
	case N_CHILD_SA_NOT_FOUND:
		if (x->purpose == CREATE_REKEY_CHILD) {
			start_from_scratch(x);
			return;
		}
		break;
	}
	create_fall_back(x);
}

static bool find_error(const struct incoming *in, struct notify *error)
{
	for (unsigned i = 0; i < in->payloads.count; i++) {
		const struct payload *p = &in->payloads.payloads[i];

		if (p->type == PAYLOAD_NOTIFY && notify_payload_decode(p->body, error) &&
			NOTIFY_IS_ERROR(error->type))
			return true;
	}
	return false;
}

struct child_seed create_seed(const struct create_child *x)
{
	return (struct child_seed){
		.shared = x->job ? secret_bytes(&x->job->shared) : bytes_of(NULL, 0),
		.ni = bytes_of(x->ni, x->ni_len),
		.nr = bytes_of(x->nr, x->nr_len)};
}

static void install(struct create_child *x)
{
	struct child_seed seed = create_seed(x);

	x->stage = CREATE_INSTALLING;
	if (!child_sa_install_created(x->child, true, &seed, 0))
		reject_child(x, "deriving its keys failed");
}

const char *create_derive(struct create_child *x, struct bytes peer_value)
{
	struct crypto_job *job = crypto_job_new(CRYPTO_KE_DERIVE, x->group, peer_value);

	if (!job)
		return "out of memory";
	job->private_key = x->private_key;
	x->private_key = (struct secret){0};
	x->stage = CREATE_DERIVING;
	create_submit(x, job);
	return NULL;
}

const char *create_take_nonce(struct create_child *x, const struct incoming *in)
{
	const struct payload *p = payload_find(&in->payloads, PAYLOAD_NONCE);
	struct bytes nonce;

	if (!p || !nonce_payload_decode(p->body, &nonce))
		return "its nonce is missing or malformed";
	memcpy(x->nr, nonce.data, nonce.len);
	x->nr_len = nonce.len;
	return NULL;
}

static const char *take_ke(struct create_child *x, const struct incoming *in)
{
	const struct payload *p = payload_find(&in->payloads, PAYLOAD_KE);
	struct bytes value;
	uint16_t group;

	if (x->child->chosen.ke != x->group)
		return "its key exchange method is not the one that was sent";
	if (!p || !ke_payload_decode(p->body, &group, &value) || group != x->group->id)
		return "its KE payload is missing, malformed or of another method";
	return create_derive(x, value);
}

static void child_response(struct create_child *x, const struct incoming *in)
{
	const char *wrong = child_take_answer(x->child, in, x->offered, true);

	if (!wrong)
		wrong = create_take_nonce(x, in);
	if (!wrong && x->group)
		wrong = take_ke(x, in);
	else if (!wrong && x->child->chosen.ke)
		wrong = "it has a key exchange that was not offered";
	if (wrong)
		reject_child(x, wrong);
	else if (!x->group)
		install(x);
}

void create_child_response(struct ike_sa *sa, struct incoming *in)
{
	struct create_child *x = find_sent(sa);
	struct notify error;

	exchange_end(sa);
	if (!x) {
		exchange_next(sa);
		return;
	}
	if (has_notify(&in->payloads, N_INVALID_SYNTAX)) {
		/* Fatal to both ends, without a Delete (RFC 7296, section 2.21.3). */
		ike_sa_log(sa, LOG_LINE_ERROR, RC_FATAL,
			"peer takes our request for malformed; deleting IKE SA");
		ike_sa_free(sa, FINISHED_OTHER);
		return;
	}
	if (!payload_find(&in->payloads, PAYLOAD_SA) && find_error(in, &error)) {
		count_notify(sa->engine, false, error.type);
		refused(x, error.type, error.data);
	} else if (x->purpose == CREATE_REKEY_IKE) {
		rekey_ike_response(x, in);
	} else {
		child_response(x, in);
	}
}

/* ---- what comes later ---------------------------------------------------------- */

static void derived(struct create_child *x)
{
	if (x->job->result != CRYPTO_JOB_OK) {
		reject_child(x, x->job->result == CRYPTO_JOB_BAD_PEER_VALUE
					? "the peer's public value is invalid"
					: "key exchange computation failed");
		return;
	}
	install(x);
}

/* The public value is sent when the window is free. */
static void generated(struct create_child *x)
{
	if (x->job->result != CRYPTO_JOB_OK) {
		create_put_off(x);
		return;
	}
	x->private_key = x->job->private_key;
	x->job->private_key = (struct secret){0};
	x->stage = CREATE_READY;
	exchange_next(x->ike_sa);
}

void create_child_job_done(struct create_child *x)
{
	x->job_in_flight = false;
	if (x->stage == CREATE_GENERATING)
		generated(x);
	else if (x->purpose == CREATE_REKEY_IKE)
		(x->initiator ? rekey_ike_derived : rekey_ike_responder_derived)(x);
	else
		(x->initiator ? derived : create_responder_derived)(x);
}

/* The pair that ours has replaced is closed by us; or ours, if the peer has replaced the same one
 * with more luck. NULL: there is nothing left to be closed. */
static struct child_sa *find_redundant(struct create_child *x)
{
	struct create_child *theirs = x->replaces ? rekey_collision_find(x) : NULL;
	struct child_sa *old = engine_find_child(x->ike_sa->engine, x->replaces);

	if (theirs && rekey_collision_lost(x, theirs)) {
		child_sa_log(x->child, LOG_LINE_INFO, RC_OK,
			"the peer has rekeyed Child SA #%llu at the same time; closing ours",
			(unsigned long long)x->replaces);
		return x->child;
	}
	if (theirs && theirs->child)
		child_sa_never_send(theirs->child);
	return old && old->state == CHILD_ESTABLISHED ? old : NULL;
}

static void installed(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	struct child_sa *child = x->child, *redundant;

	if (child->ipsec_error) {
		child_sa_log(child, LOG_LINE_ERROR, RC_OK,
			"the kernel refused the Child SA: %s (errno %d)",
			strerror(child->ipsec_error), child->ipsec_error);
		x->child = NULL;
		child_sa_uninstall(child);
		sa->wants |= WANT_DELETE_CHILD;
		create_give_up(x);
		return;
	}
	child_sa_established(child, true, x->replaces);
	redundant = find_redundant(x);
	x->child = NULL;
	if (redundant) {
		child_sa_close(redundant);
		sa->wants |= WANT_DELETE_CHILD;
	}
	create_finish(x, redundant);
}

void create_child_installed(struct child_sa *child)
{
	struct create_child *x = child->ike_sa->creating;

	while (x && x->child != child)
		x = x->next;
	if (!x || x->stage != CREATE_INSTALLING)
		return;
	if (x->initiator)
		installed(x);
	else
		create_responder_installed(x);
}
