/* CREATE_CHILD_SA for Child SAs, initiator. The queue is in create_child_queue.c, the responder in
 * create_child_responder.c, the rekeying of the IKE SA in rekey_ike.c. */
#include "create_child.h"

#include "child_negotiation.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth.h"

#include <stdio.h>
#include <string.h>

/* ---- the request ------------------------------------------------------------- */

static bool prepare_child(struct create_child *x, struct child_sa *old)
{
	x->child = old ? child_sa_new_rekeyed(old) : child_sa_new(x->ike_sa, x->connection);
	if (!x->child)
		return false;
	ipcomp_propose(x->child);
	return old ? child_sa_set_selectors(x->child, child_local_ts(old), old->local_ts_count,
			     child_remote_ts(old), old->remote_ts_count)
		   : child_propose_selectors(x->child);
}

static bool build_for_child(struct create_child *x, struct child_sa *old, struct message_writer *m,
	struct bytes public_value)
{
	const struct child_sa *child;

	if (!prepare_child(x, old))
		return false;
	child = x->child;
	sealed_request_begin(x->ike_sa, m, EXCHANGE_CREATE_CHILD_SA);
	if (old) {
		notify_payload_encode(m, child_protocol(child->connection), 4, old->in_spi,
			N_REKEY_SA, bytes_of(NULL, 0));
		count_notify(x->ike_sa->engine, true, N_REKEY_SA);
	}
	child_notifies_encode(child, m);
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

void create_send(struct create_child *x)
{
	struct child_sa *old = x->purpose == CREATE_REKEY_CHILD ? create_replaceable(x) : NULL;
	struct bytes public_value =
		x->job ? bytes_of(x->job->public_value, x->job->public_len) : bytes_of(NULL, 0);
	struct message_writer m;
	bool ok;

	if (create_is_obsolete(x)) {
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
	create_drop_job(x);
	log_request(x);
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
	if (x->unwanted) {
		create_give_up(x);
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
	struct child_sa *old = create_replaceable(x);
	struct connection *c = connection_ref(x->connection);
	bool replaced = rekey_collision_find(x) != NULL;

	if (old) {
		child_sa_log(old, LOG_LINE_INFO, RC_OK, "peer does not know Child SA <0x%08x",
			old->in_spi);
		child_sa_end(old, FINISHED_DELETED);
	}
	create_give_up(x);
	if (!replaced && sa->state == STATE_ESTABLISHED_IKE_SA)
		create_child_add(sa, c, 0, 0);
	connection_unref(c);
}

/* It wants an IKE SA for each, or knows what is asked for by another of its descriptions, which only
 * an IKE SA of its own leads to (RFC 7296, section 1.3.1). */
static void go_elsewhere(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	struct ike_engine *engine = sa->engine;
	struct connection *c = connection_ref(x->connection);
	struct ip_address remote = sa->path.remote.address;
	ike_watcher watcher = x->watcher;

	x->watcher = 0;
	connection_log(engine, c, watcher, LOG_LINE_INFO, RC_OK,
		"the peer does not create it on IKE SA #%llu; initiating one of its own",
		(unsigned long long)sa->serial);
	create_give_up(x);
	initiate_sa(engine, c, &remote, watcher, 0);
	connection_unref(c);
}

static bool is_guests(const struct create_child *x)
{
	return x->purpose == CREATE_NEW_CHILD && !x->unwanted &&
	       x->connection->serial != x->ike_sa->connection->serial;
}

static void refused(struct create_child *x, uint16_t type, struct bytes data)
{
	const struct create_child *theirs = rekey_collision_find(x);
	const char *name = notify_name(type);

	if (x->child)
		child_sa_log(x->child, LOG_LINE_WARNING, RC_OK,
			"CREATE_CHILD_SA request rejected by peer: %s",
			name ? name : "unknown error");
	else
		ike_sa_log(x->ike_sa, LOG_LINE_WARNING, RC_OK,
			"CREATE_CHILD_SA request rejected by peer: %s",
			name ? name : "unknown error");
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
	case N_NO_ADDITIONAL_SAS:
	case N_NO_PROPOSAL_CHOSEN:
	case N_TS_UNACCEPTABLE:
		if (is_guests(x)) {
			go_elsewhere(x);
			return;
		}
		break;
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

static struct create_child *find_sent(const struct ike_sa *sa)
{
	struct create_child *x = sa->creating;

	while (x && x->stage != CREATE_SENT)
		x = x->next;
	return x;
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

static void log_lost(const struct create_child *x)
{
	if (x->replaces)
		child_sa_log(x->child, LOG_LINE_INFO, RC_OK,
			"the peer has rekeyed Child SA #%llu at the same time; closing ours",
			(unsigned long long)x->replaces);
	else
		child_sa_log(x->child, LOG_LINE_INFO, RC_OK,
			"the peer has created the Child SA at the same time; closing ours");
}

/* The pair that ours has replaced is closed by us; or ours, if the peer has replaced the same one
 * with more luck. NULL: there is nothing left to be closed. */
static struct child_sa *find_redundant(struct create_child *x)
{
	struct create_child *theirs = rekey_collision_find(x);
	struct child_sa *old = engine_find_child(x->ike_sa->engine, x->replaces);

	if (theirs && rekey_collision_lost(x, theirs)) {
		log_lost(x);
		return x->child;
	}
	if (theirs && theirs->child)
		child_sa_never_send(theirs->child);
	if (theirs && !x->replaces && theirs->stage != CREATE_DONE)
		theirs->lost = true;
	if (x->unwanted)
		return x->child;
	return old && old->state == CHILD_ESTABLISHED ? old : NULL;
}

static void installed(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	struct child_sa *child = x->child, *redundant;

	if (child->ipsec_error) {
		child_sa_log_refused(child);
		x->child = NULL;
		child_sa_uninstall(child);
		sa->wants |= WANT_DELETE_CHILD;
		create_give_up(x);
		return;
	}
	child->by_us = true;
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
