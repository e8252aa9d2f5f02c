/* CREATE_CHILD_SA, responder, for Child SAs: new ones and such as replace others. */
#include "child_negotiation.h"
#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "ike_auth.h"
#include "ike_sa_init_responder.h"
#include "negotiation_rules.h"
#include "sharing.h"

#include <string.h>

/* So long an old request may be under way. */
#define CROSSING_MS 10000

/* What the request asks for, decoded; borrowed from the message. */
struct create_parts {
	struct bytes nonce, ke;
	uint16_t group; /* 0: no KE payload */
	bool rekeys;
	struct child_wishes wishes;
	uint32_t rekeyed_spi;
	struct traffic_selector tsi[SELECTORS_READ], tsr[SELECTORS_READ];
	unsigned tsi_count, tsr_count;
	const char *wrong; /* why it cannot be understood */
};

/* ---- answers without success -------------------------------------------------- */

static void refuse(struct ike_sa *sa, uint32_t message_id, uint16_t notify, struct bytes data)
{
	const char *name = notify_name(notify);

	ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "responding to CREATE_CHILD_SA request with %s",
		name ? name : "an error");
	response_notify(sa, EXCHANGE_CREATE_CHILD_SA, message_id, notify, data);
}

void create_refuse(struct create_child *x, uint16_t notify, struct bytes data)
{
	struct ike_sa *sa = x->ike_sa;
	struct child_sa *child = x->child;
	uint32_t message_id = x->message_id;

	x->child = NULL;
	if (child)
		child_sa_end(child, FINISHED_OTHER);
	create_free(x);
	refuse(sa, message_id, notify, data);
	exchange_next(sa);
	ike_sa_schedule(sa);
}

/* The notify names the SA that was asked for (RFC 7296, section 3.10.1). */
static void refuse_unknown(struct ike_sa *sa, uint32_t message_id, uint8_t protocol, uint32_t spi)
{
	struct message_writer m;

	ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
		"CREATE_CHILD_SA request is to rekey a Child SA that is not there; responding with "
		"CHILD_SA_NOT_FOUND");
	sealed_response_begin(sa, &m, EXCHANGE_CREATE_CHILD_SA, message_id);
	notify_payload_encode(&m, protocol, 4, spi, N_CHILD_SA_NOT_FOUND, bytes_of(NULL, 0));
	count_notify(sa->engine, true, N_CHILD_SA_NOT_FOUND);
	if (sealed_end(sa, &m))
		response_send(sa, writer_bytes(&m.w));
}

/* ---- the request's parts -------------------------------------------------------- */

static void take_notifies(const struct incoming *in, struct create_parts *parts)
{
	struct notify notify;

	for (unsigned i = 0; i < in->payloads.count; i++) {
		const struct payload *p = &in->payloads.payloads[i];

		if (p->type != PAYLOAD_NOTIFY || !notify_payload_decode(p->body, &notify))
			continue;
		if (notify.type == N_REKEY_SA) {
			parts->rekeys = true;
			parts->rekeyed_spi = notify.spi_len == 4 ? (uint32_t)notify.spi : 0;
		}
	}
	parts->wishes = child_wishes_take(&in->payloads);
}

static bool take_parts(struct ike_sa *sa, const struct incoming *in, struct create_parts *parts)
{
	const struct payload *nonce = payload_find(&in->payloads, PAYLOAD_NONCE),
			     *ke = payload_find(&in->payloads, PAYLOAD_KE),
			     *i = payload_find(&in->payloads, PAYLOAD_TSi),
			     *r = payload_find(&in->payloads, PAYLOAD_TSr);
	static _Thread_local char error[160];

	take_notifies(in, parts);
	if (!nonce || !nonce_payload_decode(nonce->body, &parts->nonce))
		parts->wrong = "its nonce is missing or malformed";
	else if (ke && !ke_payload_decode(ke->body, &parts->group, &parts->ke))
		parts->wrong = "its KE payload is malformed";
	else if (!i || !r ||
		 !ts_payload_decode(i->body, parts->tsi, SELECTORS_READ, &parts->tsi_count) ||
		 !ts_payload_decode(r->body, parts->tsr, SELECTORS_READ, &parts->tsr_count))
		parts->wrong = "a traffic selector payload is missing or malformed";
	else if (!sa_payload_decode(payload_find(&in->payloads, PAYLOAD_SA)->body,
			 sa->engine->received, PROPOSALS_MAX, error, sizeof(error)))
		parts->wrong = error;
	return !parts->wrong;
}

static struct child_sa *find_rekeyed(struct ike_sa *sa, uint32_t out_spi)
{
	struct child_sa *child = sa->children;

	while (child && (child->out_spi != out_spi || child->gone))
		child = child->next;
	return child;
}

static unsigned count_children(const struct ike_sa *sa)
{
	unsigned count = 0;

	for (const struct child_sa *child = sa->children; child; child = child->next)
		count++;
	return count;
}

/* ---- which connection, for a new one ----------------------------------------------- */

struct create_judgement {
	const struct ike_sa *sa;
	const struct create_parts *parts;
};

/* The IKE SA was set up under another connection: it must be one that this one would have come to
 * as well. */
static bool judge_connection(const struct connection *c, void *arg)
{
	const struct create_judgement *j = arg;
	const struct connection *known = j->sa->connection;
	struct traffic_selector local[IPSEC_SELECTORS_MAX], remote[IPSEC_SELECTORS_MAX];
	unsigned local_count, remote_count;

	return sharing_is_possible(c, known) &&
	       child_narrow(j->sa, c, j->parts->wishes.transport, j->parts->tsi,
		       j->parts->tsi_count, j->parts->tsr, j->parts->tsr_count, local, &local_count,
		       remote, &remote_count);
}

/* The IKE SA's own connection, or one between the same ends whose selectors fit (RFC 7296, section
 * 1.3.1). A reference; NULL: TS_UNACCEPTABLE. */
static struct connection *find_connection(struct ike_sa *sa, const struct create_parts *parts)
{
	struct create_judgement j = {.sa = sa, .parts = parts};

	if (judge_connection(sa->connection, &j))
		return connection_ref(sa->connection);
	return catalogue_find_by_identity(sa->engine->config.catalogue, &sa->path.local.address,
		&sa->path.remote.address, sa->local_id, sa->remote_id, judge_connection, &j);
}

static bool carries_the_same(const struct child_sa *a, const struct child_sa *b)
{
	size_t size = (a->local_ts_count + a->remote_ts_count) * sizeof(*a->ts);

	return a->local_ts_count == b->local_ts_count && a->remote_ts_count == b->remote_ts_count &&
	       !memcmp(a->ts, b->ts, size);
}

/* 0, or why there is no room for a new one beside what the connection has here. Policies and
 * outbound SAs belong together by their reqid: two pairs of a connection that carry different things
 * do not go side by side. And where ours has just come to be, the request about the same has crossed
 * ours, which stays: the peer gets its answer before this one, and looks for it no more. */
static uint16_t judge_beside(const struct child_sa *fresh)
{
	for (const struct child_sa *child = fresh->ike_sa->children; child; child = child->next) {
		if (child == fresh || child->connection->serial != fresh->connection->serial)
			continue;
		if (child->in_kernel && child->reqid == fresh->reqid &&
			!carries_the_same(child, fresh))
			return N_NO_ADDITIONAL_SAS;
		if (child->by_us && child->newest && child->state == CHILD_ESTABLISHED &&
			child_sa_lived_ms(child) < CROSSING_MS)
			return N_TEMPORARY_FAILURE;
	}
	return 0;
}

/* One that carries the same takes the place of what was there, which the peer deletes if it has
 * rekeyed it, and else has perhaps forgotten: that is deleted by us. */
static void supersede(struct child_sa *fresh, bool rekeyed)
{
	struct ike_sa *sa = fresh->ike_sa;

	for (struct child_sa *child = sa->children; child; child = child->next) {
		if (child == fresh || child->state != CHILD_ESTABLISHED ||
			child->connection->serial != fresh->connection->serial)
			continue;
		child->newest = false;
		child->replace_s = 0;
		if (!rekeyed) {
			child_sa_close(child);
			sa->wants |= WANT_DELETE_CHILD;
		}
	}
}

/* ---- the Child SA -------------------------------------------------------------------- */

/* A pair that replaces another carries what that one does, so that the policies stay (RFC 7296,
 * section 2.9.2). */
static bool choose_selectors(
	struct child_sa *child, const struct child_sa *old, const struct create_parts *parts)
{
	struct traffic_selector local[IPSEC_SELECTORS_MAX], remote[IPSEC_SELECTORS_MAX];
	unsigned local_count, remote_count;
	struct traffic_selector tsi[SELECTORS_READ], tsr[SELECTORS_READ];
	bool ok;

	memcpy(tsi, parts->tsi, sizeof(tsi));
	memcpy(tsr, parts->tsr, sizeof(tsr));
	if (old && old->mode == IPSEC_TRANSPORT)
		child_see_through_nat(child->ike_sa, tsr, parts->tsr_count, tsi, parts->tsi_count);
	if (old)
		ok = selectors_narrow(child_local_ts(old), old->local_ts_count, tsr,
			     parts->tsr_count, true, local, &local_count) &&
		     selectors_narrow(child_remote_ts(old), old->remote_ts_count, tsi,
			     parts->tsi_count, true, remote, &remote_count);
	else
		ok = child_narrow(child->ike_sa, child->connection, parts->wishes.transport, tsi,
			parts->tsi_count, tsr, parts->tsr_count, local, &local_count, remote,
			&remote_count);
	return ok && child_sa_set_selectors(child, local, local_count, remote, remote_count);
}

static bool choose_proposal(struct create_child *x, const struct create_parts *parts)
{
	const struct connection *c = x->connection;
	struct proposal_list *mine = create_offer(x->ike_sa, c);
	struct chosen_proposal *chosen = &x->child->chosen;
	bool ok = mine &&
		  proposal_choose(mine, x->ike_sa->engine->received, child_protocol(c), true,
			  parts->group, chosen) &&
		  chosen->spi && chosen->spi_len == 4;

	proposal_list_unref(mine);
	return ok;
}

static void install(struct create_child *x)
{
	struct child_seed seed = create_seed(x);

	x->stage = CREATE_INSTALLING;
	if (!child_sa_install_created(x->child, false, &seed, x->replaces))
		create_refuse(x, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
}

static void begin_key_exchange(struct create_child *x, const struct create_parts *parts)
{
	const struct algorithm *wanted = x->child->chosen.ke;
	struct crypto_job *job;
	uint8_t data[2];
	struct writer w = writer_of(data, sizeof(data));

	if (wanted->id != parts->group) {
		write_u16(&w, wanted->id);
		count_invalid_ke(x->ike_sa->engine, true, parts->group, wanted->id);
		create_refuse(x, N_INVALID_KE_PAYLOAD, bytes_of(data, sizeof(data)));
		return;
	}
	x->group = wanted;
	x->stage = CREATE_DERIVING;
	job = crypto_job_new(CRYPTO_KE_BOTH, wanted, parts->ke);
	if (!job || !create_submit(x, job))
		create_refuse(x, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
}

/* 0, or the notify to refuse it with. */
static uint16_t choose(
	struct create_child *x, struct child_sa *old, const struct create_parts *parts)
{
	struct ike_sa *sa = x->ike_sa;

	uint16_t refusal;

	x->connection = old ? connection_ref(old->connection) : find_connection(sa, parts);
	if (!x->connection)
		return N_TS_UNACCEPTABLE;
	if (child_obstacle(sa, x->connection))
		return N_NO_PROPOSAL_CHOSEN;
	if (!sharing_enter(sa, x->connection))
		return N_TEMPORARY_FAILURE;
	x->child = old ? child_sa_new_rekeyed(old) : child_sa_new(sa, x->connection);
	if (!x->child)
		return N_TEMPORARY_FAILURE;
	if (!choose_proposal(x, parts) ||
		(x->child->mode == IPSEC_TRANSPORT && !parts->wishes.transport))
		return N_NO_PROPOSAL_CHOSEN;
	if (!choose_selectors(x->child, old, parts))
		return N_TS_UNACCEPTABLE;
	refusal = old ? 0 : judge_beside(x->child);
	if (refusal)
		return refusal;
	x->child->out_spi = x->child->chosen.spi;
	x->child->udp_encapsulation = sa->encapsulate;
	child_grant(x->child, &parts->wishes);
	return 0;
}

static void begin(struct ike_sa *sa, const struct incoming *in, struct child_sa *old,
	const struct create_parts *parts)
{
	struct create_child *x = create_new(sa, old ? CREATE_REKEY_CHILD : CREATE_NEW_CHILD, false);
	uint16_t refusal;

	if (!x) {
		refuse(sa, in->header.message_id, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
		return;
	}
	x->stage = CREATE_DERIVING;
	x->message_id = in->header.message_id;
	x->replaces = old ? old->serial : 0;
	x->ni_len = parts->nonce.len;
	memcpy(x->ni, parts->nonce.data, parts->nonce.len);
	x->nr_len = NONCE_OURS;
	sa->engine->host->random(sa->engine->host, x->nr, x->nr_len);
	refusal = choose(x, old, parts);
	if (refusal)
		create_refuse(x, refusal, bytes_of(NULL, 0));
	else if (x->child->chosen.ke)
		begin_key_exchange(x, parts);
	else
		install(x);
}

/* ---- the request ----------------------------------------------------------------------- */

static void child_request(struct ike_sa *sa, const struct incoming *in)
{
	uint32_t message_id = in->header.message_id;
	struct create_parts parts = {0};
	struct child_sa *old = NULL;
	uint16_t refusal;

	if (!take_parts(sa, in, &parts)) {
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "CREATE_CHILD_SA request refused: %s",
			parts.wrong);
		response_notify(sa, EXCHANGE_CREATE_CHILD_SA, message_id, N_INVALID_SYNTAX,
			bytes_of(NULL, 0));
		ike_sa_retire(sa, FINISHED_OTHER); /* fatal (RFC 7296, section 2.21.3) */
		return;
	}
	refusal = rekey_collision_refusal(sa, false);
	if (!refusal && parts.rekeys) {
		old = find_rekeyed(sa, parts.rekeyed_spi);
		/* It may be one whose SPI is in a response that we have not got yet. */
		if (!old && (create_find_ours(sa, CREATE_NEW_CHILD) ||
				    create_find_ours(sa, CREATE_REKEY_CHILD))) {
			refusal = N_TEMPORARY_FAILURE;
		} else if (!old) {
			refuse_unknown(
				sa, message_id, child_protocol(sa->connection), parts.rekeyed_spi);
			return;
		}
		if (old && old->state != CHILD_ESTABLISHED)
			refusal = N_TEMPORARY_FAILURE;
	}
	if (!refusal && count_children(sa) >= CHILDREN_MAX)
		refusal = N_NO_ADDITIONAL_SAS;
	if (refusal)
		refuse(sa, message_id, refusal, bytes_of(NULL, 0));
	else
		begin(sa, in, old, &parts);
}

static bool is_about_ike(struct ike_sa *sa, const struct payload *p)
{
	char error[160];

	return sa_payload_decode(
		       p->body, sa->engine->received, PROPOSALS_MAX, error, sizeof(error)) &&
	       sa->engine->received->count &&
	       sa->engine->received->proposals[0].protocol == PROTOCOL_IKE;
}

void create_child_request(struct ike_sa *sa, struct incoming *in)
{
	const struct payload *p = payload_find(&in->payloads, PAYLOAD_SA);
	char peer[IP_RANGE_TEXT_MAX], list[300], cut[40];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"processing CREATE_CHILD_SA request from %s containing SK{%s}%s",
		ike_endpoint_text(&in->path->remote, peer),
		payload_list_text(&in->payloads, list, sizeof(list)),
		reassembled_text(&in->whole, cut));
	if (!p) {
		response_notify(sa, EXCHANGE_CREATE_CHILD_SA, in->header.message_id,
			N_INVALID_SYNTAX, bytes_of(NULL, 0));
		ike_sa_retire(sa, FINISHED_OTHER);
	} else if (is_about_ike(sa, p)) {
		rekey_ike_request(sa, in);
	} else {
		child_request(sa, in);
	}
}

/* ---- the response ------------------------------------------------------------------------ */

static bool build_response(struct create_child *x, struct message_writer *m)
{
	const struct child_sa *child = x->child;

	sealed_response_begin(x->ike_sa, m, EXCHANGE_CREATE_CHILD_SA, x->message_id);
	child_notifies_encode(child, m);
	chosen_payload_encode(m, &child->chosen, 4, child->in_spi);
	nonce_payload_encode(m, bytes_of(x->nr, x->nr_len));
	if (x->group)
		ke_payload_encode(
			m, x->group->id, bytes_of(x->job->public_value, x->job->public_len));
	ts_payload_encode(m, PAYLOAD_TSi, child_remote_ts(child), child->remote_ts_count);
	ts_payload_encode(m, PAYLOAD_TSr, child_local_ts(child), child->local_ts_count);
	return sealed_end(x->ike_sa, m);
}

/* What it is to replace has been closed by us meanwhile. */
static bool has_lost_its_old(const struct create_child *x)
{
	const struct child_sa *old = engine_find_child(x->ike_sa->engine, x->replaces);

	return x->replaces && (!old || old->state != CHILD_ESTABLISHED);
}

void create_responder_derived(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;

	if (x->job->result == CRYPTO_JOB_BAD_PEER_VALUE) {
		create_refuse(x, N_INVALID_SYNTAX, bytes_of(NULL, 0));
		ike_sa_retire(sa, FINISHED_CRYPTO_FAILED); /* fatal (RFC 7296, section 2.21.3) */
		return;
	}
	if (x->job->result != CRYPTO_JOB_OK) {
		create_refuse(x, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
		return;
	}
	if (x->lost || has_lost_its_old(x)) {
		create_refuse(x, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
		return;
	}
	install(x); /* the public value, in the job, goes into the response */
}

/* Ours about the same pair is under way: which of the two stays is decided when it has ended. */
static void remember_or_free(struct create_child *x)
{
	if (!rekey_collision_ours(x)) {
		x->child = NULL;
		create_free(x);
		return;
	}
	crypto_job_free(x->job);
	x->job = NULL;
	x->stage = CREATE_DONE;
}

void create_responder_installed(struct create_child *x)
{
	struct ike_sa *sa = x->ike_sa;
	struct child_sa *child = x->child;
	struct message_writer m;

	if (child->ipsec_error)
		child_sa_log_refused(child);
	if (child->ipsec_error || x->lost || has_lost_its_old(x) || !build_response(x, &m)) {
		create_refuse(x, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
		return;
	}
	response_send(sa, writer_bytes(&m.w));
	child_sa_established(child, false, x->replaces);
	supersede(child, x->replaces);
	remember_or_free(x);
	exchange_next(sa);
	ike_sa_schedule(sa);
}
