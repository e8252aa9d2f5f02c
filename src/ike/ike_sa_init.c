/* IKE_SA_INIT: what both roles share, and the initiator. The responder is in
 * ike_sa_init_responder.c. */
#include "ike_sa_init.h"

#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth.h"
#include "ike_auth_signature.h"
#include "ike_sa_init_responder.h"
#include "keymat.h"
#include "nat_detection.h"
#include "negotiation_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOB_RETRY_MS   200
#define COMPLAINTS_MAX 10
/* After an unauthenticated refusal a better answer may still come: anybody can forge a refusal (RFC
 * 7296, section 2.21.1). */
#define REFUSAL_PATIENCE_MS 1500

bool init_submit(struct ike_sa *sa, struct crypto_job *job)
{
	struct negotiation *n = sa->negotiation;

	job->owner = sa;
	n->job = job;
	n->job_in_flight = sa->engine->host->submit(sa->engine->host, job);
	return n->job_in_flight;
}

void init_retry_job(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;

	n->retry_job_at = 0;
	if (n->job && !n->job_in_flight && !init_submit(sa, n->job))
		n->retry_job_at = engine_now(sa->engine) + JOB_RETRY_MS;
}

void init_submit_or_wait(struct ike_sa *sa, struct crypto_job *job)
{
	if (!init_submit(sa, job)) {
		sa->negotiation->retry_job_at = engine_now(sa->engine) + JOB_RETRY_MS;
		ike_sa_schedule(sa);
	}
}

static bool keep(struct ike_sa *sa, uint8_t **kept, size_t *kept_len, uint8_t room[MESSAGE_ROOM],
	struct bytes message)
{
	uint8_t *copy = room;

	if (message.len > MESSAGE_ROOM)
		copy = malloc(message.len);
	if (!copy)
		return false;
	ike_sa_drop_message(sa, *kept, *kept_len, room);
	memcpy(copy, message.data, message.len);
	sa->engine->message_bytes += copy == room ? 0 : message.len;
	*kept = copy;
	*kept_len = message.len;
	return true;
}

bool init_keep_message_i(struct ike_sa *sa, struct bytes message)
{
	struct negotiation *n = sa->negotiation;

	return keep(sa, &n->message_i, &n->message_i_len, n->room_i, message);
}

bool init_keep_message_r(struct ike_sa *sa, struct bytes message)
{
	struct negotiation *n = sa->negotiation;

	return keep(sa, &n->message_r, &n->message_r_len, n->room_r, message);
}

const char *ike_endpoint_text(const struct ip_endpoint *e, char out[IP_RANGE_TEXT_MAX])
{
	char address[IP_TEXT_MAX];

	ip_text(&e->address, address);
	snprintf(out, IP_RANGE_TEXT_MAX,
		e->address.family == AF_INET6 ? "[%s]:UDP/%u" : "%s:UDP/%u", address, e->port);
	return out;
}

/* ---- initiator: the request ---------------------------------------------------- */

static void generate_key(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;
	struct crypto_job *job = crypto_job_new(CRYPTO_KE_GENERATE, n->group, bytes_of(NULL, 0));

	if (!job) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_INTERNAL, "out of memory");
		return;
	}
	init_submit_or_wait(sa, job);
}

void init_begin(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;
	char peer[IP_TEXT_MAX];

	n->group = proposal_list_first_ke(sa->connection->ike_proposals);
	if (!n->group) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_INTERNAL,
			"no key exchange method in the IKE proposals");
		return;
	}
	n->ni_len = NONCE_OURS;
	sa->engine->host->random(sa->engine->host, n->ni, n->ni_len);
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "initiating IKEv2 connection to %s using UDP",
		ip_text(&sa->path.remote.address, peer));
	generate_key(sa);
}

static bool build_request(struct ike_sa *sa, struct bytes public_value, struct message_writer *m)
{
	struct negotiation *n = sa->negotiation;

	request_begin(sa, m, EXCHANGE_IKE_SA_INIT);
	if (n->cookie_len)
		add_notify(sa->engine, m, N_COOKIE, bytes_of(n->cookie, n->cookie_len));
	sa_payload_encode(m, sa->connection->ike_proposals, 0, 0);
	ke_payload_encode(m, n->group->id, public_value);
	nonce_payload_encode(m, bytes_of(n->ni, n->ni_len));
	nat_detection_encode(sa->engine, m, sa->spi_i, 0, &sa->path,
		sa->connection->encapsulation == CHOICE_YES);
	if (sa->connection->fragmentation)
		add_notify(sa->engine, m, N_IKEV2_FRAGMENTATION_SUPPORTED, bytes_of(NULL, 0));
	hash_algorithms_encode(sa, m);
	return message_end(m);
}

static void send_request(struct ike_sa *sa, struct bytes public_value)
{
	struct message_writer m;
	char peer[IP_RANGE_TEXT_MAX];

	sa->next_request_id = 0; /* also when it is sent again with a cookie or another group */
	if (!build_request(sa, public_value, &m) ||
		!init_keep_message_i(sa, writer_bytes(&m.w)) ||
		!exchange_start(sa, FOR_INIT, EXCHANGE_IKE_SA_INIT, writer_bytes(&m.w))) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_INTERNAL, "IKE_SA_INIT request cannot be built");
		return;
	}
	if (sa->state != STATE_IKE_SA_INIT_I)
		ike_sa_set_state(sa, STATE_IKE_SA_INIT_I);
	ike_endpoint_text(&sa->path.remote, peer);
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "sent IKE_SA_INIT request to %s", peer);
}

/* ---- initiator: the response --------------------------------------------------- */

/* Our KE value, out of the request as it was sent. */
static struct bytes sent_public_value(const struct negotiation *n)
{
	struct payload_list payloads;
	struct ike_header header;
	struct bytes value = {0};
	char error[128];
	uint16_t group;

	if (!ike_header_decode(bytes_of(n->message_i, n->message_i_len), &header) ||
		payload_chain_decode(header.next_payload,
			bytes_of(n->message_i + IKE_HEADER_LEN, n->message_i_len - IKE_HEADER_LEN),
			&payloads, error, sizeof(error)) != CHAIN_OK ||
		!ke_payload_decode(payload_find(&payloads, PAYLOAD_KE)->body, &group, &value))
		value.len = 0;
	return value;
}

/* Anybody who has seen the request can send responses: the log takes only so many. */
static bool may_complain(struct ike_sa *sa)
{
	return sa->negotiation->complaints++ < COMPLAINTS_MAX;
}

static bool another_round(struct ike_sa *sa)
{
	if (++sa->negotiation->init_rounds <= INIT_ROUNDS_MAX)
		return true;
	fail_ike_sa(sa, FINISHED_OTHER, RC_FATAL, "too many COOKIE and INVALID_KE_PAYLOAD rounds");
	return false;
}

static void follow_cookie(struct ike_sa *sa, struct bytes cookie)
{
	struct negotiation *n = sa->negotiation;
	uint8_t public_value[KE_PUBLIC_MAX];
	struct bytes value = sent_public_value(n);

	if (cookie.len < 1 || cookie.len > COOKIE_MAX || value.len > sizeof(public_value)) {
		if (may_complain(sa))
			ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "ignoring COOKIE of %zu bytes",
				cookie.len);
		return;
	}
	if (!another_round(sa))
		return;
	memcpy(n->cookie, cookie.data, cookie.len);
	n->cookie_len = cookie.len;
	memcpy(public_value, value.data, value.len); /* what it lies in is about to be replaced */
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"received anti-DDOS COOKIE response, resending IKE_SA_INIT request with COOKIE "
		"payload");
	exchange_end(sa);
	send_request(sa, bytes_of(public_value, value.len));
}

static bool group_was_tried(const struct negotiation *n, uint16_t group)
{
	for (unsigned i = 0; i < n->tried_group_count; i++) {
		if (n->tried_groups[i] == group)
			return true;
	}
	return n->group->id == group;
}

static void follow_invalid_ke(struct ike_sa *sa, struct bytes data)
{
	struct negotiation *n = sa->negotiation;
	struct reader r = reader_of(data);
	uint16_t wanted = read_u16(&r);
	const struct algorithm *group = algorithm_by_id(TRANSFORM_KE, wanted);

	if (!reader_done(&r) || !group ||
		!proposal_list_has_ke(sa->connection->ike_proposals, wanted) ||
		group_was_tried(n, wanted)) {
		if (!may_complain(sa))
			return;
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
			"ignoring unauthenticated INVALID_KE_PAYLOAD response: it suggests %s, "
			"which %s",
			group ? group->name : "an unknown method",
			group && group_was_tried(n, wanted) ? "was tried" : "was not offered");
		return;
	}
	if (!another_round(sa))
		return;
	count_invalid_ke(sa->engine, false, n->group->id, wanted);
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"received unauthenticated INVALID_KE_PAYLOAD response to Key Exchange Method (DH) "
		"%s; "
		"resending with suggested %s",
		n->group->name, group->name);
	if (n->tried_group_count < sizeof(n->tried_groups) / sizeof(n->tried_groups[0]))
		n->tried_groups[n->tried_group_count++] = n->group->id;
	n->group = group;
	secret_release(&n->private_key);
	exchange_end(sa);
	ike_sa_set_state(sa, STATE_IKE_SA_INIT_I0);
	generate_key(sa);
}

static void note_refusal(struct ike_sa *sa, uint16_t type)
{
	struct negotiation *n = sa->negotiation;
	const char *name = notify_name(type);

	if (may_complain(sa))
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
			"received unauthenticated %s response to IKE_SA_INIT request; waiting for "
			"a better "
			"one",
			name ? name : "error");
	if (!n->refused_with) {
		n->refused_with = type;
		n->give_up_at = engine_now(sa->engine) + REFUSAL_PATIENCE_MS;
		ike_sa_schedule(sa);
	}
}

/* True when a notify decided what to do with the response. */
static bool follow_notifies(struct ike_sa *sa, const struct incoming *in)
{
	struct notify notify;

	for (unsigned i = 0; i < in->payloads.count; i++) {
		const struct payload *p = &in->payloads.payloads[i];

		if (p->type != PAYLOAD_NOTIFY || !notify_payload_decode(p->body, &notify))
			continue;
		count_notify(sa->engine, false, notify.type);
		if (notify.type == N_COOKIE) {
			follow_cookie(sa, notify.data);
			return true;
		}
		if (notify.type == N_INVALID_KE_PAYLOAD) {
			follow_invalid_ke(sa, notify.data);
			return true;
		}
		if (NOTIFY_IS_ERROR(notify.type)) {
			note_refusal(sa, notify.type);
			return true;
		}
	}
	return false;
}

static void ignore_response(struct ike_sa *sa, const char *why)
{
	if (may_complain(sa))
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "ignoring IKE_SA_INIT response: %s", why);
	engine_count(sa->engine, COUNT_MANGLED);
}

static bool take_nonce(struct ike_sa *sa, const struct incoming *in)
{
	const struct payload *p = payload_find(&in->payloads, PAYLOAD_NONCE);
	struct bytes nonce;

	if (!p || !nonce_payload_decode(p->body, &nonce))
		return false;
	memcpy(sa->negotiation->nr, nonce.data, nonce.len);
	sa->negotiation->nr_len = nonce.len;
	return true;
}

void init_response(struct ike_sa *sa, struct incoming *in)
{
	struct ike_engine *engine = sa->engine;
	struct negotiation *n = sa->negotiation;
	const struct payload *sa_payload, *ke_payload;
	struct crypto_job *job;
	struct bytes value;
	uint16_t group;
	char error[128], peer[IP_RANGE_TEXT_MAX], text[CHOSEN_TEXT_MAX];

	if (sa->state != STATE_IKE_SA_INIT_I || !sa->exchange)
		return;
	if (payload_unknown_critical(&in->payloads)) {
		ignore_response(sa, "it has an unknown critical payload");
		return;
	}
	if (follow_notifies(sa, in))
		return;
	sa_payload = payload_find(&in->payloads, PAYLOAD_SA);
	ke_payload = payload_find(&in->payloads, PAYLOAD_KE);
	if (!in->header.spi_r || !sa_payload || !ke_payload) {
		ignore_response(sa, "it lacks an SPI, or a SA or KE payload");
		return;
	}
	if (!sa_payload_decode(
		    sa_payload->body, engine->received, PROPOSALS_MAX, error, sizeof(error))) {
		ignore_response(sa, error);
		return;
	}
	if (!proposal_accept(sa->connection->ike_proposals, engine->received, PROTOCOL_IKE, true,
		    &sa->chosen)) {
		ignore_response(sa, "its proposal is none of those offered");
		return;
	}
	if (!ke_payload_decode(ke_payload->body, &group, &value) || group != n->group->id ||
		sa->chosen.ke != n->group) {
		ignore_response(sa, "its key exchange method is not the one that was sent");
		return;
	}
	if (!take_nonce(sa, in)) {
		ignore_response(sa, "its nonce is missing or malformed");
		return;
	}
	job = crypto_job_new(CRYPTO_KE_DERIVE, n->group, value);
	if (!job || !init_keep_message_r(sa, bytes_of(in->message, in->len))) {
		crypto_job_free(job);
		ignore_response(sa, "out of memory");
		return;
	}
	sa->spi_r = in->header.spi_r;
	sa->fragmentation = sa->connection->fragmentation &&
			    has_notify(&in->payloads, N_IKEV2_FRAGMENTATION_SUPPORTED);
	nat_detection_judge(engine, &in->payloads, sa->spi_i, sa->spi_r, in->path, &sa->behind_nat,
		&sa->peer_behind_nat);
	hash_algorithms_note(sa, &in->payloads);
	certificate_request_note(sa, &in->payloads);
	job->private_key = n->private_key;
	n->private_key = (struct secret){0};
	n->give_up_at = 0; /* a refusal that came before was forged, or overtaken */
	exchange_end(sa);
	ike_sa_set_state(sa, STATE_IKE_SA_INIT_IR);
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"processed IKE_SA_INIT response from %s {%s}, initiating IKE_AUTH",
		ike_endpoint_text(&in->path->remote, peer), chosen_ike_text(&sa->chosen, text));
	init_submit_or_wait(sa, job);
	ike_sa_schedule(sa);
}

/* ---- key exchange work ----------------------------------------------------------- */

static void key_generated(struct ike_sa *sa, struct crypto_job *job)
{
	sa->negotiation->private_key = job->private_key;
	job->private_key = (struct secret){0};
	send_request(sa, bytes_of(job->public_value, job->public_len));
}

static void secret_derived(struct ike_sa *sa, struct crypto_job *job)
{
	if (!keymat_ike(sa, secret_bytes(&job->shared))) {
		fail_ike_sa(
			sa, FINISHED_CRYPTO_FAILED, RC_CRYPTO_FAILED, "deriving the keys failed");
		return;
	}
	if (sa->behind_nat || sa->peer_behind_nat || sa->connection->encapsulation == CHOICE_YES) {
		sa->encapsulate = sa->connection->encapsulation != CHOICE_NO;
		nat_float(sa);
	}
	sa->next_request_id = 1;
	auth_request_send(sa);
}

void init_job_done(struct ike_sa *sa, struct crypto_job *job)
{
	struct negotiation *n = sa->negotiation;

	n->job = NULL;
	n->job_in_flight = false;
	if (job->kind >= CRYPTO_SIGN) {
		signature_job_done(sa, job);
		return;
	}
	if (!sa->initiator) {
		init_responder_job_done(sa, job);
	} else if (job->result != CRYPTO_JOB_OK) {
		fail_ike_sa(sa, FINISHED_CRYPTO_FAILED, RC_CRYPTO_FAILED, "%s %s", n->group->name,
			job->result == CRYPTO_JOB_BAD_PEER_VALUE
				? "public value of the peer is invalid"
				: "computation failed");
	} else if (sa->state == STATE_IKE_SA_INIT_I0) {
		key_generated(sa, job);
	} else {
		secret_derived(sa, job);
	}
	crypto_job_free(job);
}
