/* A datagram's way to the exchange that it belongs to: version, owner, message ID, decryption (RFC
 * 7296, sections 2.1 to 2.5 and 3.1). */
#include "create_child.h"
#include "engine_state.h"
#include "exchange.h"
#include "fragment.h"
#include "ike_auth.h"
#include "ike_sa_init.h"
#include "informational.h"
#include "keymat.h"
#include "path.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- messages that belong to no SA -------------------------------------------------------- */

static void stray_error(
	struct ike_engine *engine, const struct incoming *in, uint16_t notify, struct bytes data)
{
	if (!(in->header.flags & FLAG_RESPONSE) &&
		rate_limit_pass(&engine->stray_limit, engine_now(engine)))
		stray_notify(engine, in->path, &in->header, notify, data);
}

/* False: not a version 2 message; answered where it asks for an answer. */
static bool version_is_ours(struct ike_engine *engine, const struct incoming *in)
{
	unsigned major = in->header.version >> 4;

	if (major == 2)
		return true;
	if (major == 1) {
		/* IKEv1's exchanges will be dispatched from here. */
		engine_count(engine, COUNT_IKEV1_DROPPED);
		return false;
	}
	engine_count(engine, COUNT_MANGLED);
	packet_log(engine, in->path, "message of IKE version %u.%u refused", major,
		in->header.version & 15);
	if (major > 2)
		stray_error(engine, in, N_INVALID_MAJOR_VERSION, bytes_of(NULL, 0));
	return false;
}

static void unknown_spi(struct ike_engine *engine, const struct incoming *in)
{
	engine_count(engine, COUNT_UNKNOWN_SPI);
	/* An unprotected INVALID_IKE_SPI proves nothing, but lets an operator see that this end has
	 * restarted. */
	if (in->header.exchange != EXCHANGE_IKE_SA_INIT)
		stray_error(engine, in, N_INVALID_IKE_SPI, bytes_of(NULL, 0));
}

static void unprotected_request(struct ike_engine *engine, struct incoming *in)
{
	const struct payload *unknown = payload_unknown_critical(&in->payloads);

	if (unknown) {
		packet_log(engine, in->path, "IKE_SA_INIT request has unknown critical payload %u",
			unknown->type);
		stray_error(
			engine, in, N_UNSUPPORTED_CRITICAL_PAYLOAD, bytes_of(&unknown->type, 1));
		return;
	}
	init_request(engine, in);
}

/* ---- decryption ------------------------------------------------------------------------------ */

enum opened { OPENED, OPENED_IN_PART, OPENED_BUT_MALFORMED, NOT_OPENED };

/* What is inside an SK payload, or inside the SKF payloads of which this message has the last. */
static enum opened open_inner(
	struct ike_sa *sa, struct incoming *in, uint8_t *first, struct bytes *inner)
{
	struct sk_keys keys = keymat_receiving(sa);

	if (payload_find(&in->payloads, PAYLOAD_SKF)) {
		switch (fragment_take(sa, &in->header, in->message, in->len, &in->payloads,
			in->digest, &in->whole)) {
		case FRAGMENT_REFUSED:
			return NOT_OPENED;
		case FRAGMENT_KEPT:
			return OPENED_IN_PART;
		case FRAGMENT_LAST:
			break;
		}
		*first = in->whole.first_type;
		*inner = bytes_of(in->whole.bytes, in->whole.len);
		in->digest = in->whole.first_digest;
		return OPENED;
	}
	if (!sk_open(sa->engine->config.crypto, &keys, in->message, in->len, &in->payloads, inner))
		return NOT_OPENED;
	*first = in->payloads.after;
	return OPENED;
}

/* Replaces in->payloads by what is inside. */
static enum opened open_message(
	struct ike_sa *sa, struct incoming *in, char *error, size_t error_size)
{
	struct bytes inner;
	uint8_t first;
	enum opened opened = open_inner(sa, in, &first, &inner);

	if (opened == NOT_OPENED)
		engine_count(sa->engine, COUNT_BAD_ICV);
	if (opened != OPENED)
		return opened;
	if (payload_chain_decode(first, inner, &in->payloads, error, error_size) != CHAIN_OK)
		return OPENED_BUT_MALFORMED;
	if (payload_find(&in->payloads, PAYLOAD_SK) || payload_find(&in->payloads, PAYLOAD_SKF)) {
		snprintf(error, error_size, "an encrypted payload within another");
		return OPENED_BUT_MALFORMED;
	}
	return OPENED;
}

/* ---- requests -----------------------------------------------------------------------------------
 */

static void refuse_malformed(
	struct ike_sa *sa, const struct incoming *in, uint16_t notify, struct bytes data)
{
	engine_count(sa->engine, COUNT_MANGLED);
	response_notify(sa, in->header.exchange, in->header.message_id, notify, data);
	/* Before authentication any error ends the SA, and INVALID_SYNTAX does at any time (RFC
	 * 7296, sections 2.21.2 and 2.21.3). */
	if ((sa->state != STATE_ESTABLISHED_IKE_SA && sa->state != STATE_ZOMBIE) ||
		notify == N_INVALID_SYNTAX)
		ike_sa_retire(sa, FINISHED_OTHER);
}

static bool deletes_ike_sa(const struct incoming *in)
{
	const struct payload *p = payload_find(&in->payloads, PAYLOAD_DELETE);
	struct delete_payload del;

	return p && delete_payload_decode(p->body, &del) && del.protocol == PROTOCOL_IKE;
}

static void protected_request(struct ike_sa *sa, struct incoming *in)
{
	const struct payload *unknown = payload_unknown_critical(&in->payloads);

	if (unknown) {
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
			"%s request has unknown critical payload %u",
			exchange_name(in->header.exchange), unknown->type);
		refuse_malformed(
			sa, in, N_UNSUPPORTED_CRITICAL_PAYLOAD, bytes_of(&unknown->type, 1));
		return;
	}
	if (sa->replaces && !sa->rekeyed && !deletes_ike_sa(in))
		rekey_ike_is_used(sa);
	switch (in->header.exchange) {
	case EXCHANGE_IKE_AUTH:
		if (sa->state == STATE_IKE_SA_INIT_R)
			auth_request(sa, in);
		else
			refuse_malformed(sa, in, N_INVALID_SYNTAX, bytes_of(NULL, 0));
		return;
	case EXCHANGE_CREATE_CHILD_SA:
		if (sa->state != STATE_ESTABLISHED_IKE_SA && sa->state != STATE_ZOMBIE)
			break;
		create_child_request(sa, in);
		return;
	case EXCHANGE_INFORMATIONAL:
		informational_request(sa, in);
		return;
	}
	refuse_malformed(sa, in, N_INVALID_SYNTAX, bytes_of(NULL, 0));
}

static bool is_busy(const struct ike_sa *sa)
{
	return create_child_busy(sa) ||
	       (sa->negotiation && (sa->negotiation->auth_under_way ||
					   (!sa->initiator && sa->state == STATE_UNSECURED_R)));
}

static void sa_request(struct ike_sa *sa, struct incoming *in)
{
	struct ike_engine *engine = sa->engine;
	char error[160];

	if (!sa->keys || is_busy(sa) || in->header.exchange == EXCHANGE_IKE_SA_INIT)
		return; /* a retransmission, or out of turn */
	in->digest = table_hash(&engine->seed, in->message, in->len);
	if (in->header.message_id + 1 == sa->expected_request_id && sa->response &&
		in->digest == sa->last_request_digest) {
		/* To where the request came from (RFC 7296, section 2.11): the path may have
		 * changed since. */
		engine_count(engine, COUNT_RESPONSES_RESENT);
		engine_send(engine, in->path, bytes_of(sa->response, sa->response_len));
		return;
	}
	if (in->header.message_id != sa->expected_request_id || sa->linger_until) {
		engine_count(engine, COUNT_BAD_MESSAGE_ID);
		return;
	}
	switch (open_message(sa, in, error, sizeof(error))) {
	case NOT_OPENED:
	case OPENED_IN_PART:
		return;
	case OPENED_BUT_MALFORMED:
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "%s request is malformed: %s",
			exchange_name(in->header.exchange), error);
		path_heard(sa, in->path);
		sa->last_request_digest = in->digest;
		refuse_malformed(sa, in, N_INVALID_SYNTAX, bytes_of(NULL, 0));
		return;
	case OPENED:
		path_heard(sa, in->path);
		sa->last_request_digest = in->digest;
		protected_request(sa, in);
	}
}

/* ---- responses
 * ------------------------------------------------------------------------------------ */

/* A response with a critical payload that is not known is rejected whole (RFC 7296, section
 * 2.5). */
static enum opened open_response(
	struct ike_sa *sa, struct incoming *in, char *error, size_t error_size)
{
	enum opened opened = open_message(sa, in, error, error_size);
	const struct payload *unknown =
		opened == OPENED ? payload_unknown_critical(&in->payloads) : NULL;

	if (!unknown)
		return opened;
	snprintf(error, error_size, "unknown critical payload %u", unknown->type);
	return OPENED_BUT_MALFORMED;
}

static void protected_response(struct ike_sa *sa, struct incoming *in)
{
	char error[160];

	switch (open_response(sa, in, error, sizeof(error))) {
	case NOT_OPENED:
	case OPENED_IN_PART:
		return;
	case OPENED_BUT_MALFORMED:
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "%s response is malformed: %s",
			exchange_name(in->header.exchange), error);
		in->payloads.count = 0; /* it has been answered, badly */
		break;
	case OPENED:
		break;
	}
	path_heard(sa, in->path);
	if (in->header.exchange == EXCHANGE_IKE_AUTH)
		auth_response(sa, in);
	else if (in->header.exchange == EXCHANGE_CREATE_CHILD_SA)
		create_child_response(sa, in);
	else
		informational_response(sa, in);
}

static void sa_response(struct ike_sa *sa, struct incoming *in)
{
	struct exchange *x = sa->exchange;

	if (!x || x->message_id != in->header.message_id || x->type != in->header.exchange) {
		engine_count(sa->engine, COUNT_BAD_MESSAGE_ID);
		return;
	}
	if (in->header.exchange == EXCHANGE_IKE_SA_INIT)
		init_response(sa, in);
	else if (sa->keys)
		protected_response(sa, in);
}

/* ---- all
 * --------------------------------------------------------------------------------------------- */

/* The peer's SPI must be the one that the SA has; an initiator learns it from the IKE_SA_INIT
 * response. */
static bool peer_spi_fits(const struct ike_sa *sa, const struct ike_header *header)
{
	uint64_t spi = sa->initiator ? header->spi_r : header->spi_i;

	if (sa->initiator && header->exchange == EXCHANGE_IKE_SA_INIT && !sa->spi_r)
		return true;
	return spi == ike_sa_peer_spi(sa);
}

static void dispatch(struct ike_engine *engine, struct incoming *in)
{
	const struct ike_header *h = &in->header;
	bool from_initiator = h->flags & FLAG_INITIATOR, response = h->flags & FLAG_RESPONSE;
	struct ike_sa *sa;

	if (h->exchange == EXCHANGE_IKE_SA_INIT && from_initiator && !response && !h->spi_r &&
		!h->message_id && h->spi_i) {
		unprotected_request(engine, in);
		return;
	}
	sa = engine_find_spi(engine, from_initiator ? h->spi_r : h->spi_i);
	if (!sa || sa->initiator == from_initiator || !peer_spi_fits(sa, h)) {
		unknown_spi(engine, in);
		return;
	}
	if (response) {
		sa_response(sa, in);
		return;
	}
	engine->answer_to = in->path;
	sa_request(sa, in);
	engine->answer_to = NULL;
}

void ike_engine_datagram(
	struct ike_engine *engine, const struct ike_path *path, uint8_t *message, size_t len)
{
	struct incoming in;
	char error[160];

	in.path = path;
	in.message = message;
	in.len = len;
	in.whole.bytes = NULL;
	counter_add(engine->config.counters, COUNT_TRAFFIC_IN, len);
	if (!ike_header_decode(bytes_of(message, len), &in.header) || in.header.length != len) {
		engine_count(engine, COUNT_MANGLED);
		packet_log(engine, path, "%zu bytes are no IKE message", len);
		return;
	}
	if (!version_is_ours(engine, &in))
		return;
	if (payload_chain_decode(in.header.next_payload,
		    bytes_of(message + IKE_HEADER_LEN, len - IKE_HEADER_LEN), &in.payloads, error,
		    sizeof(error)) != CHAIN_OK) {
		engine_count(engine, COUNT_MANGLED);
		packet_log(engine, path, "%s message is malformed: %s",
			exchange_name(in.header.exchange), error);
		if (in.header.exchange == EXCHANGE_IKE_SA_INIT)
			stray_error(engine, &in, N_INVALID_SYNTAX, bytes_of(NULL, 0));
		return;
	}
	dispatch(engine, &in);
	if (in.whole.bytes) {
		secret_wipe(in.whole.bytes, in.whole.len);
		free(in.whole.bytes);
	}
}
