/* Requests in flight, responses kept, and the messages' frames. */
#include "exchange.h"

#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "failure.h"
#include "fragment.h"
#include "keymat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Until a connection is known, and where it names no figures. */
#define DEFAULT_INTERVAL_MS 500
#define DEFAULT_TIMEOUT_S   30
/* A peer that does not answer a Delete is given up sooner: the SA is gone in any case. */
#define DELETE_TIMEOUT_MS 8000

static uint64_t patience_ms(const struct ike_sa *sa, enum exchange_purpose purpose)
{
	uint32_t s = sa->connection ? sa->connection->retransmit_timeout_s : 0;
	uint64_t ms = (s ? s : DEFAULT_TIMEOUT_S) * 1000ull;

	return purpose == FOR_DELETE_IKE && ms > DELETE_TIMEOUT_MS ? DELETE_TIMEOUT_MS : ms;
}

bool exchange_start(struct ike_sa *sa, enum exchange_purpose purpose, enum exchange_type type,
	struct bytes message)
{
	struct exchange *x = malloc(sizeof(*x) + message.len);
	uint64_t now = engine_now(sa->engine);
	uint32_t interval = sa->connection ? sa->connection->retransmit_interval_ms : 0;

	if (!x)
		return false;
	*x = (struct exchange){
		.purpose = purpose,
		.type = type,
		.message_id = sa->next_request_id++,
		.delay_ms = interval ? interval : DEFAULT_INTERVAL_MS,
		.started_ms = now,
		.give_up_at = now + patience_ms(sa, purpose),
		.len = message.len,
	};
	x->retransmit_at = now + x->delay_ms;
	memcpy(x->message, message.data, message.len);
	sa->exchange = x;
	sa->engine->request_bytes += sizeof(*x) + x->len;
	deadlines_exhaustion(sa);
	engine_send(sa->engine, &sa->path, message);
	ike_sa_schedule(sa);
	return true;
}

void exchange_end(struct ike_sa *sa)
{
	if (sa->exchange)
		sa->engine->request_bytes -= sizeof(*sa->exchange) + sa->exchange->len;
	free(sa->exchange);
	sa->exchange = NULL;
}

static void describe_wait(uint32_t ms, char *out, size_t size)
{
	if (ms % 1000)
		snprintf(out, size, "%g seconds", ms / 1000.0);
	else
		snprintf(out, size, "%u second%s", ms / 1000, ms == 1000 ? "" : "s");
}

static void retransmit(struct ike_sa *sa, uint64_t now)
{
	struct exchange *x = sa->exchange;
	char wait[32];

	x->retransmits++;
	describe_wait(x->delay_ms, wait, sizeof(wait));
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "retransmitting %s request; will wait %s for response",
		exchange_name(x->type), wait);
	engine_send(sa->engine, &sa->path, bytes_of(x->message, x->len));
	engine_count(sa->engine, COUNT_RETRANSMITS);
	x->retransmit_at = now + x->delay_ms;
	x->delay_ms *= 2; /* back-off (RFC 7296, section 2.4) */
	if (x->retransmit_at > x->give_up_at)
		x->retransmit_at = x->give_up_at;
	ike_sa_schedule(sa);
}

bool exchange_timer(struct ike_sa *sa, uint64_t now)
{
	struct exchange *x = sa->exchange;

	if (!x)
		return true;
	if (now >= x->give_up_at) {
		fail_no_response(sa);
		return false;
	}
	if (now >= x->retransmit_at)
		retransmit(sa, now);
	return true;
}

/* ---- frames -------------------------------------------------------------- */

static void frame_begin(struct ike_sa *sa, struct message_writer *m, enum exchange_type type,
	uint8_t flags, uint32_t message_id)
{
	struct ike_header header = {
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.version = IKE_VERSION_2,
		.exchange = type,
		.flags = flags | (sa->initiator ? FLAG_INITIATOR : 0),
		.message_id = message_id,
	};

	message_begin(m, sa->engine->message, sizeof(sa->engine->message), &header);
}

void request_begin(struct ike_sa *sa, struct message_writer *m, enum exchange_type type)
{
	frame_begin(sa, m, type, 0, sa->next_request_id);
}

void response_begin(
	struct ike_sa *sa, struct message_writer *m, enum exchange_type type, uint32_t message_id)
{
	frame_begin(sa, m, type, FLAG_RESPONSE, message_id);
}

static void seal_begin(struct ike_sa *sa, struct message_writer *m)
{
	struct sk_keys keys = keymat_sending(sa);
	uint8_t iv[16];

	keymat_iv(sa, iv);
	sk_begin(m, &keys, iv);
}

void sealed_request_begin(struct ike_sa *sa, struct message_writer *m, enum exchange_type type)
{
	request_begin(sa, m, type);
	seal_begin(sa, m);
}

void sealed_response_begin(
	struct ike_sa *sa, struct message_writer *m, enum exchange_type type, uint32_t message_id)
{
	response_begin(sa, m, type, message_id);
	seal_begin(sa, m);
}

bool sealed_end(struct ike_sa *sa, struct message_writer *m)
{
	struct sk_keys keys = keymat_sending(sa);

	if (fragment_needed(sa, m))
		return fragment_seal(sa, m);
	return message_end_sealed(m, sa->engine->config.crypto, &keys);
}

/* ---- responses ----------------------------------------------------------- */

void response_drop(struct ike_sa *sa)
{
	/* The response of IKE_SA_INIT is the negotiation's. */
	if (sa->response && !(sa->negotiation && sa->response == sa->negotiation->message_r)) {
		sa->engine->response_bytes -= sa->response_len;
		free(sa->response);
	}
	sa->response = NULL;
	sa->response_len = 0;
}

/* To where the request came from, whatever path the SA keeps to (RFC 7296, section 2.11). */
static void answer(struct ike_sa *sa, struct bytes message)
{
	struct ike_engine *engine = sa->engine;

	sa->expected_request_id++;
	deadlines_exhaustion(sa);
	engine_send(engine, engine->answer_to ? engine->answer_to : &sa->path, message);
}

void response_send(struct ike_sa *sa, struct bytes message)
{
	uint8_t *kept = malloc(message.len);

	response_drop(sa);
	if (kept) {
		memcpy(kept, message.data, message.len);
		sa->response = kept;
		sa->response_len = message.len;
		sa->engine->response_bytes += message.len;
	}
	answer(sa, message);
}

void response_send_kept(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;

	response_drop(sa);
	sa->response = n->message_r;
	sa->response_len = (uint32_t)n->message_r_len;
	answer(sa, bytes_of(sa->response, sa->response_len));
}

void add_notify(
	struct ike_engine *engine, struct message_writer *m, uint16_t type, struct bytes data)
{
	notify_payload_encode(m, PROTOCOL_NONE, 0, 0, type, data);
	count_notify(engine, true, type);
}

void response_notify(struct ike_sa *sa, enum exchange_type type, uint32_t message_id,
	uint16_t notify, struct bytes data)
{
	struct message_writer m;

	sealed_response_begin(sa, &m, type, message_id);
	add_notify(sa->engine, &m, notify, data);
	if (sealed_end(sa, &m))
		response_send(sa, writer_bytes(&m.w));
}

void stray_notify(struct ike_engine *engine, const struct ike_path *path,
	const struct ike_header *request, uint16_t notify, struct bytes data)
{
	struct message_writer m;
	struct ike_header header = {
		.spi_i = request->spi_i,
		.spi_r = request->spi_r,
		.version = IKE_VERSION_2,
		.exchange = request->exchange,
		.flags = FLAG_RESPONSE | (request->flags & FLAG_INITIATOR ? 0 : FLAG_INITIATOR),
		.message_id = request->message_id,
	};

	message_begin(&m, engine->message, sizeof(engine->message), &header);
	add_notify(engine, &m, notify, data);
	if (message_end(&m))
		engine_send(engine, path, writer_bytes(&m.w));
}

/* ---- the queue of one ------------------------------------------------------ */

static bool send_delete_ike(struct ike_sa *sa)
{
	struct message_writer m;

	sealed_request_begin(sa, &m, EXCHANGE_INFORMATIONAL);
	delete_payload_encode(&m, PROTOCOL_IKE, NULL, 0);
	if (!sealed_end(sa, &m) ||
		!exchange_start(sa, FOR_DELETE_IKE, EXCHANGE_INFORMATIONAL, writer_bytes(&m.w)))
		return false;
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "sent INFORMATIONAL request to delete IKE SA");
	return true;
}

static bool send_delete_child(struct ike_sa *sa)
{
	struct child_sa *child;
	struct message_writer m;

	for (child = sa->children; child && (child->state != CHILD_DELETING || child->gone);)
		child = child->next;
	if (!child) {
		/* Perhaps the peer was faster, and somebody still watches. */
		sa->wants &= ~WANT_DELETE_CHILD;
		ike_sa_release_watcher(sa);
		return true;
	}
	sealed_request_begin(sa, &m, EXCHANGE_INFORMATIONAL);
	delete_payload_encode(&m,
		child->chosen.protocol == PROTOCOL_AH ? PROTOCOL_AH : PROTOCOL_ESP, &child->in_spi,
		1);
	if (!sealed_end(sa, &m) ||
		!exchange_start(sa, FOR_DELETE_CHILD, EXCHANGE_INFORMATIONAL, writer_bytes(&m.w)))
		return false;
	sa->exchange->child_serial = child->serial;
	child_sa_log(child, LOG_LINE_INFO, RC_OK,
		"sent INFORMATIONAL request to delete established Child SA using IKE SA #%llu",
		(unsigned long long)sa->serial);
	return true;
}

static bool send_liveness(struct ike_sa *sa)
{
	struct message_writer m;

	sealed_request_begin(sa, &m, EXCHANGE_INFORMATIONAL);
	engine_count(sa->engine, COUNT_DPD_SENT);
	return sealed_end(sa, &m) &&
	       exchange_start(sa, FOR_LIVENESS, EXCHANGE_INFORMATIONAL, writer_bytes(&m.w));
}

void exchange_next(struct ike_sa *sa)
{
	if (sa->exchange || !sa->keys)
		return;
	if (sa->wants & WANT_DELETE_IKE) {
		sa->wants = 0;
		if (!send_delete_ike(sa))
			ike_sa_linger(sa, 0); /* no memory: ends unannounced */
	} else if (sa->wants & WANT_DELETE_CHILD) {
		send_delete_child(sa);
	}
	if (!sa->exchange && sa->wants & WANT_LIVENESS) {
		sa->wants &= ~WANT_LIVENESS;
		send_liveness(sa);
	}
	if (!sa->exchange)
		create_child_next(sa);
	ike_sa_schedule(sa);
}
