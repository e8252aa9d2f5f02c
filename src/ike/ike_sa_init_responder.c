/* IKE_SA_INIT, responder. Nothing is kept about a request before it has passed the cookie check
 * (when cookies are asked for) and has a proposal that a connection allows. */
#include "ike_sa_init_responder.h"

#include "cookie.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth.h"
#include "ike_auth_signature.h"
#include "keymat.h"
#include "nat_detection.h"
#include "negotiation_rules.h"

#include <stdlib.h>
#include <string.h>

/* How long an initiator may take for IKE_AUTH. */
#define HALF_OPEN_MS 30000
/* Job queues fuller than this (percent) take no new negotiations: the established ones come first.
 */
#define LOAD_MAX 90
/* A half-open SA keeps its request. 8192-bit groups and hundreds of transforms fit. */
#define REQUEST_MAX 8192

/* A request's parts, borrowed from its message. */
struct init_parts {
	struct bytes ke, nonce, cookie;
	uint16_t group;
};

/* ---- retransmitted requests ------------------------------------------------------- */

static uint64_t request_hash(struct ike_engine *engine, const struct incoming *in)
{
	uint8_t key[32];
	struct writer w = writer_of(key, sizeof(key));

	write_u64(&w, in->header.spi_i);
	write_copy(&w, in->path->remote.address.bytes, 16);
	write_u16(&w, in->path->remote.port);
	return table_hash(&engine->seed, key, writer_len(&w));
}

/* The half-open SA that this very request began: same initiator, same bytes (RFC 7296,
 * section 2.1). */
static struct ike_sa *find_by_request(
	struct ike_engine *engine, const struct incoming *in, uint64_t hash)
{
	struct table_node *node = table_first(engine->requests, hash);

	for (; node; node = table_next(node)) {
		struct negotiation *n = container_of(node, struct negotiation, by_request);
		struct ike_sa *sa = n->ike_sa;

		if (n->message_i_len == in->len && !memcmp(n->message_i, in->message, in->len) &&
			ip_endpoint_equal(&sa->path.remote, &in->path->remote))
			return sa;
	}
	return NULL;
}

/* ---- taking a request apart ---------------------------------------------------------- */

static void refuse(
	struct ike_engine *engine, const struct incoming *in, uint16_t notify, struct bytes data)
{
	if (rate_limit_pass(&engine->stray_limit, engine_now(engine)))
		stray_notify(engine, in->path, &in->header, notify, data);
}

static void refuse_malformed(struct ike_engine *engine, const struct incoming *in, const char *why)
{
	engine_count(engine, COUNT_MANGLED);
	packet_log(engine, in->path, "IKE_SA_INIT request is malformed: %s", why);
	refuse(engine, in, N_INVALID_SYNTAX, bytes_of(NULL, 0));
}

static void find_cookie(struct ike_engine *engine, const struct incoming *in, struct bytes *cookie)
{
	struct notify notify;

	for (unsigned i = 0; i < in->payloads.count; i++) {
		const struct payload *p = &in->payloads.payloads[i];

		if (p->type != PAYLOAD_NOTIFY || !notify_payload_decode(p->body, &notify))
			continue;
		count_notify(engine, false, notify.type);
		if (notify.type == N_COOKIE)
			*cookie = notify.data;
	}
}

/* What a cookie is made of: no more is looked at before it has been brought. */
static bool take_nonce(
	struct ike_engine *engine, const struct incoming *in, struct init_parts *parts)
{
	const struct payload *nonce = payload_find(&in->payloads, PAYLOAD_NONCE);

	*parts = (struct init_parts){0};
	if (in->len > REQUEST_MAX) {
		refuse_malformed(engine, in, "longer than any honest one");
		return false;
	}
	if (!nonce || !nonce_payload_decode(nonce->body, &parts->nonce)) {
		refuse_malformed(engine, in, nonce ? "bad nonce" : "no nonce");
		return false;
	}
	find_cookie(engine, in, &parts->cookie);
	return true;
}

static bool take_offer(
	struct ike_engine *engine, const struct incoming *in, struct init_parts *parts)
{
	const struct payload *sa = payload_find(&in->payloads, PAYLOAD_SA);
	const struct payload *ke = payload_find(&in->payloads, PAYLOAD_KE);
	char error[160];

	if (!sa || !ke) {
		refuse_malformed(engine, in, sa ? "no KE payload" : "no SA payload");
		return false;
	}
	if (!sa_payload_decode(sa->body, engine->received, PROPOSALS_MAX, error, sizeof(error))) {
		refuse_malformed(engine, in, error);
		return false;
	}
	if (!ke_payload_decode(ke->body, &parts->group, &parts->ke)) {
		refuse_malformed(engine, in, "bad KE payload");
		return false;
	}
	return true;
}

/* ---- may it begin? --------------------------------------------------------------------- */

/* False: it was answered with a cookie, or has brought a bad one. */
static bool pass_cookie(
	struct ike_engine *engine, const struct incoming *in, const struct init_parts *parts)
{
	uint8_t cookie[COOKIE_LEN];

	if (!engine->host->require_cookie(engine->host, engine->half_open))
		return true;
	if (parts->cookie.len) {
		if (cookie_valid(engine, in->path, in->header.spi_i, parts->nonce, parts->cookie))
			return true;
		engine_count(engine, COUNT_COOKIES_BAD);
	}
	cookie_make(engine, in->path, in->header.spi_i, parts->nonce, cookie);
	engine_count(engine, COUNT_COOKIES_SENT);
	stray_notify(engine, in->path, &in->header, N_COOKIE, bytes_of(cookie, sizeof(cookie)));
	return false;
}

/* Overload is silent: an answer would only cost more, and the peer tries again. */
static bool has_room(struct ike_engine *engine)
{
	if (engine->host->refuse_new(engine->host, engine->half_open)) {
		engine_count(engine, COUNT_REFUSED_HALF_OPEN);
		return false;
	}
	if (engine->host->load(engine->host) > LOAD_MAX) {
		engine_count(engine, COUNT_REFUSED_OVERLOAD);
		return false;
	}
	return true;
}

struct init_judgement {
	const struct proposal_list *received;
	uint16_t group;
	bool any;
	struct chosen_proposal chosen;
};

static bool judge_proposals(const struct connection *c, void *arg)
{
	struct init_judgement *j = arg;

	if (c->ikev1 || c->shunt != IPSEC_PROTECT)
		return false;
	j->any = true;
	/* An SPI belongs into the header here, not into the proposal (RFC 7296, section 3.3.1). */
	return proposal_choose(
		       c->ike_proposals, j->received, PROTOCOL_IKE, true, j->group, &j->chosen) &&
	       !j->chosen.spi_len;
}

static struct connection *find_connection(struct ike_engine *engine, const struct incoming *in,
	const struct init_parts *parts, struct chosen_proposal *chosen)
{
	struct init_judgement j = {.received = engine->received, .group = parts->group};
	struct connection *c = catalogue_find_by_hosts(engine->config.catalogue,
		&in->path->local.address, &in->path->remote.address, judge_proposals, &j);

	*chosen = j.chosen;
	if (c)
		return c;
	if (!j.any) {
		engine_count(engine, COUNT_NO_CONNECTION);
		packet_log(engine, in->path,
			"IKE_SA_INIT request refused: no connection has been authorized for these "
			"hosts");
	} else {
		packet_log(engine, in->path,
			"IKE_SA_INIT request refused: none of its proposals is allowed");
	}
	refuse(engine, in, N_NO_PROPOSAL_CHOSEN, bytes_of(NULL, 0));
	return NULL;
}

static void refuse_group(struct ike_engine *engine, const struct incoming *in, uint16_t sent,
	const struct algorithm *wanted)
{
	uint8_t data[2];
	struct writer w = writer_of(data, sizeof(data));

	write_u16(&w, wanted->id);
	count_invalid_ke(engine, true, sent, wanted->id);
	packet_log(engine, in->path,
		"IKE_SA_INIT request: KE payload is not of the chosen method; asking for %s",
		wanted->name);
	/* Not rationed as other refusals are: an honest initiator cannot go on without it, it is
	 * shorter than the request and nothing is kept. */
	stray_notify(
		engine, in->path, &in->header, N_INVALID_KE_PAYLOAD, bytes_of(data, sizeof(data)));
}

/* ---- beginning ------------------------------------------------------------------------- */

static bool begin_negotiation(
	struct ike_sa *sa, const struct incoming *in, const struct init_parts *parts, uint64_t hash)
{
	struct negotiation *n = sa->negotiation;
	struct ike_engine *engine = sa->engine;
	struct crypto_job *job;

	n->group = sa->chosen.ke;
	n->ni_len = parts->nonce.len;
	memcpy(n->ni, parts->nonce.data, parts->nonce.len);
	n->nr_len = NONCE_OURS;
	engine->host->random(engine->host, n->nr, n->nr_len);
	n->give_up_at = n->started_ms + HALF_OPEN_MS;
	n->in_requests = table_insert(engine->requests, &n->by_request, hash);
	if (!n->in_requests || !init_keep_message_i(sa, bytes_of(in->message, in->len)))
		return false;
	sa->fragmentation = sa->connection->fragmentation &&
			    has_notify(&in->payloads, N_IKEV2_FRAGMENTATION_SUPPORTED);
	hash_algorithms_note(sa, &in->payloads);
	nat_detection_judge(engine, &in->payloads, sa->spi_i, 0, in->path, &sa->behind_nat,
		&sa->peer_behind_nat);
	job = crypto_job_new(CRYPTO_KE_BOTH, n->group, parts->ke);
	return job && init_submit(sa, job);
}

static void begin(struct ike_engine *engine, const struct incoming *in,
	const struct init_parts *parts, struct connection *c, const struct chosen_proposal *chosen,
	uint64_t hash)
{
	struct ike_sa *sa = ike_sa_new(engine, false, in->path);

	if (!sa) {
		engine_count(engine, COUNT_REFUSED_OVERLOAD);
		return;
	}
	sa->spi_i = in->header.spi_i;
	sa->chosen = *chosen;
	ike_sa_set_connection(sa, c);
	if (!begin_negotiation(sa, in, parts, hash)) {
		engine_count(engine, COUNT_REFUSED_OVERLOAD);
		ike_sa_free(sa, FINISHED_OTHER);
		return;
	}
	ike_sa_schedule(sa);
}

void init_request(struct ike_engine *engine, struct incoming *in)
{
	uint64_t hash = request_hash(engine, in);
	struct ike_sa *known = find_by_request(engine, in, hash);
	struct chosen_proposal chosen;
	struct init_parts parts;
	struct connection *c;

	if (known) {
		if (known->response) {
			engine_count(engine, COUNT_RESPONSES_RESENT);
			engine_send(engine, &known->path,
				bytes_of(known->response, known->response_len));
		}
		return;
	}
	/* The cookie first: when there is no more room for strangers, whoever has proved its
	 * address is not to be told from them otherwise, and asking costs the least. */
	if (!engine->listening || !take_nonce(engine, in, &parts) ||
		!pass_cookie(engine, in, &parts) || !has_room(engine) ||
		!take_offer(engine, in, &parts))
		return;
	c = find_connection(engine, in, &parts, &chosen);
	if (!c)
		return;
	if (chosen.ke->id != parts.group)
		refuse_group(engine, in, parts.group, chosen.ke);
	else
		begin(engine, in, &parts, c, &chosen, hash);
	connection_unref(c);
}

/* ---- the response ------------------------------------------------------------------------ */

static bool build_response(struct ike_sa *sa, struct bytes public_value, struct message_writer *m)
{
	struct negotiation *n = sa->negotiation;

	response_begin(sa, m, EXCHANGE_IKE_SA_INIT, 0);
	chosen_payload_encode(m, &sa->chosen, 0, 0);
	ke_payload_encode(m, n->group->id, public_value);
	nonce_payload_encode(m, bytes_of(n->nr, n->nr_len));
	nat_detection_encode(sa->engine, m, sa->spi_i, sa->spi_r, &sa->path,
		sa->connection->encapsulation == CHOICE_YES);
	if (sa->fragmentation)
		add_notify(sa->engine, m, N_IKEV2_FRAGMENTATION_SUPPORTED, bytes_of(NULL, 0));
	hash_algorithms_encode(sa, m);
	certificate_request_encode(sa, m);
	return message_end(m);
}

static void refuse_public_value(struct ike_sa *sa)
{
	struct message_writer m;

	ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "%s public value of the peer is invalid",
		sa->negotiation->group->name);
	response_begin(sa, &m, EXCHANGE_IKE_SA_INIT, 0);
	add_notify(sa->engine, &m, N_INVALID_SYNTAX, bytes_of(NULL, 0));
	if (message_end(&m))
		engine_send(sa->engine, &sa->path, writer_bytes(&m.w));
	ike_sa_free(sa, FINISHED_CRYPTO_FAILED);
}

void init_responder_job_done(struct ike_sa *sa, struct crypto_job *job)
{
	struct message_writer m;
	char text[CHOSEN_TEXT_MAX];

	if (job->result == CRYPTO_JOB_BAD_PEER_VALUE) {
		refuse_public_value(sa);
		return;
	}
	if (job->result != CRYPTO_JOB_OK || !keymat_ike(sa, secret_bytes(&job->shared)) ||
		!build_response(sa, bytes_of(job->public_value, job->public_len), &m) ||
		!init_keep_message_r(sa, writer_bytes(&m.w))) {
		fail_ike_sa(
			sa, FINISHED_CRYPTO_FAILED, RC_CRYPTO_FAILED, "deriving the keys failed");
		return;
	}
	if (sa->behind_nat || sa->peer_behind_nat || sa->connection->encapsulation == CHOICE_YES)
		sa->encapsulate = sa->connection->encapsulation != CHOICE_NO;
	ike_sa_set_state(sa, STATE_IKE_SA_INIT_R);
	response_send_kept(sa);
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "sent IKE_SA_INIT response {%s}",
		chosen_ike_text(&sa->chosen, text));
}
