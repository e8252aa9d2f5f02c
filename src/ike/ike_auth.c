/* IKE_AUTH: what both roles share, and the initiator. The responder is in ike_auth_responder.c. */
#include "ike_auth.h"

#include "child_sa.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth_responder.h"
#include "ike_sa_init_responder.h"
#include "keymat.h"
#include "negotiation_rules.h"
#include "unique.h"

#include <stdio.h>
#include <string.h>

#define AUTH_SHARED_KEY 2
#define AUTH_NULL       13

/* ---- shared ------------------------------------------------------------------- */

uint8_t auth_wire_method(enum auth_method method)
{
	return method == AUTH_METHOD_NULL ? AUTH_NULL : AUTH_SHARED_KEY;
}

const char *auth_method_text(enum auth_method method)
{
	return method == AUTH_METHOD_NULL ? "authby=null" : "authby=secret";
}

bool auth_compute(struct ike_sa *sa, bool of_initiator, enum auth_method method,
	const struct identity *signer, uint8_t *out)
{
	char local[IDENTITY_TEXT_MAX], remote[IDENTITY_TEXT_MAX];
	struct bytes psk;

	if (method == AUTH_METHOD_NULL)
		return keymat_auth_null(sa, of_initiator, signer, out);
	if (!secret_vault_find_psk(sa->engine->config.secrets, sa->local_id, sa->remote_id, &psk)) {
		ike_sa_log(sa, LOG_LINE_ERROR, RC_FATAL,
			"no preshared key is known for '%s' and '%s'",
			identity_text(sa->local_id, local), identity_text(sa->remote_id, remote));
		return false;
	}
	return keymat_auth_psk(sa, of_initiator, signer, psk, out);
}

bool auth_verify(struct ike_sa *sa, bool of_initiator, enum auth_method method,
	const struct identity *signer, struct bytes value)
{
	uint8_t wanted[PRF_OUTPUT_MAX];
	size_t len = sa->chosen.prf->output_len;
	bool ok = auth_compute(sa, of_initiator, method, signer, wanted) && value.len == len &&
		  secret_equal(wanted, value.data, len);

	secret_wipe(wanted, sizeof(wanted));
	return ok;
}

struct identity *auth_take_identity(
	const struct incoming *in, uint8_t payload_type, char *error, size_t error_size)
{
	const struct payload *p = payload_find(&in->payloads, payload_type);

	if (!p) {
		snprintf(error, error_size, "it has no identity");
		return NULL;
	}
	return identity_from_payload(p->body, error, error_size);
}

bool has_notify(const struct payload_list *payloads, uint16_t type)
{
	struct notify notify;

	for (unsigned i = 0; i < payloads->count; i++) {
		const struct payload *p = &payloads->payloads[i];

		if (p->type == PAYLOAD_NOTIFY && notify_payload_decode(p->body, &notify) &&
			notify.type == type)
			return true;
	}
	return false;
}

uint16_t first_error_notify(const struct payload_list *payloads)
{
	struct notify notify;

	for (unsigned i = 0; i < payloads->count; i++) {
		const struct payload *p = &payloads->payloads[i];

		if (p->type == PAYLOAD_NOTIFY && notify_payload_decode(p->body, &notify) &&
			NOTIFY_IS_ERROR(notify.type))
			return notify.type;
	}
	return 0;
}

static bool carries_traffic(const struct ike_sa *sa)
{
	for (const struct child_sa *child = sa->children; child; child = child->next) {
		if (child->state == CHILD_ESTABLISHED)
			return true;
	}
	return false;
}

void auth_finish(struct ike_sa *sa)
{
	bool initial_contact = sa->negotiation->initial_contact;
	struct ike_sa *old;

	ike_sa_end_negotiation(sa);
	/* One whose Child SA was refused must not take away a tunnel that works. */
	if (carries_traffic(sa) || initial_contact) {
		unique_established(sa, initial_contact);
		old = sa->replaces ? engine_find_serial(sa->engine, sa->replaces) : NULL;
		if (old)
			ike_sa_delete(old, FINISHED_SUPERSEDED);
	}
	sa->replaces = 0;
	ike_sa_release_watcher(sa);
	ike_sa_schedule(sa);
}

/* ---- initiator: the request ------------------------------------------------------ */

/* The Child SA that the request proposes, with the connection's selectors. */
static struct child_sa *propose_child(struct ike_sa *sa)
{
	struct traffic_selector local[IPSEC_SELECTORS_MAX], remote[IPSEC_SELECTORS_MAX];
	unsigned local_count =
		end_selectors(&sa->connection->local, &sa->path.local.address, local);
	unsigned remote_count =
		end_selectors(&sa->connection->remote, &sa->path.remote.address, remote);
	struct child_sa *child = child_sa_new(sa);

	if (child && !child_sa_set_selectors(child, local, local_count, remote, remote_count)) {
		child_sa_free(child, FINISHED_OTHER);
		return NULL;
	}
	return child;
}

static bool build_request(
	struct ike_sa *sa, struct child_sa *child, const uint8_t *auth, struct message_writer *m)
{
	const struct connection *c = sa->connection;

	sealed_request_begin(sa, m, EXCHANGE_IKE_AUTH);
	id_payload_encode(m, PAYLOAD_IDi, sa->local_id);
	if (c->remote.id->kind != ID_ANY && c->remote.id->kind != ID_NULL)
		id_payload_encode(m, PAYLOAD_IDr, c->remote.id);
	auth_payload_encode(
		m, auth_wire_method(c->local.auth), bytes_of(auth, sa->chosen.prf->output_len));
	if (c->initial_contact)
		add_notify(sa->engine, m, N_INITIAL_CONTACT, bytes_of(NULL, 0));
	if (child->mode == IPSEC_TRANSPORT)
		add_notify(sa->engine, m, N_USE_TRANSPORT_MODE, bytes_of(NULL, 0));
	sa_payload_encode_without_ke(m, c->child_proposals, 4, child->in_spi);
	ts_payload_encode(m, PAYLOAD_TSi, child_local_ts(child), child->local_ts_count);
	ts_payload_encode(m, PAYLOAD_TSr, child_remote_ts(child), child->remote_ts_count);
	return sealed_end(sa, m);
}

static void log_request(struct ike_sa *sa, const struct child_sa *child)
{
	char peer[IP_RANGE_TEXT_MAX], id[IDENTITY_TEXT_MAX], selectors[400];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"sent IKE_AUTH request to %s with %s and %s '%s'; Child SA #%llu {ESP <0x%08x} "
		"[%s]",
		ike_endpoint_text(&sa->path.remote, peer),
		sa->connection->local.auth == AUTH_METHOD_NULL ? "null" : "shared-key-mac",
		identity_kind_name(sa->local_id->kind), identity_text(sa->local_id, id),
		(unsigned long long)child->serial, child->in_spi,
		child_sa_selectors_text(child, selectors, sizeof(selectors)));
}

void auth_request_send(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;
	uint8_t auth[PRF_OUTPUT_MAX];
	struct message_writer m;
	bool ok;

	sa->local_id = identity_ref(sa->connection->local.id);
	sa->remote_id = identity_ref(sa->connection->remote.id);
	if (!auth_compute(sa, true, sa->connection->local.auth, sa->local_id, auth)) {
		fail_ike_sa(
			sa, FINISHED_AUTH_FAILED, RC_FATAL, "authentication cannot be computed");
		return;
	}
	n->child = propose_child(sa);
	ok = n->child && build_request(sa, n->child, auth, &m) &&
	     exchange_start(sa, FOR_AUTH, EXCHANGE_IKE_AUTH, writer_bytes(&m.w));
	secret_wipe(auth, sizeof(auth));
	if (!ok) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_INTERNAL,
			n->child ? "IKE_AUTH request cannot be built"
				 : "no memory or SPI for a Child SA");
		return;
	}
	ike_sa_set_state(sa, STATE_IKE_AUTH_I);
	log_request(sa, n->child);
}

/* ---- initiator: the response -------------------------------------------------------- */

/* We do not believe the responder: it is told once, unprompted and unacknowledged (RFC 7296,
 * section 2.21.2). */
static void reject_responder(struct ike_sa *sa, const char *why)
{
	struct message_writer m;

	sealed_request_begin(sa, &m, EXCHANGE_INFORMATIONAL);
	add_notify(sa->engine, &m, N_AUTHENTICATION_FAILED, bytes_of(NULL, 0));
	if (sealed_end(sa, &m))
		engine_send(sa->engine, &sa->path, writer_bytes(&m.w));
	fail_ike_sa(sa, FINISHED_AUTH_FAILED, RC_FATAL,
		"authentication of the responder failed: %s", why);
}

static bool verify_responder(struct ike_sa *sa, const struct incoming *in)
{
	const struct payload *auth = payload_find(&in->payloads, PAYLOAD_AUTH);
	enum auth_method method = sa->connection->remote.auth;
	char error[160], id_text[IDENTITY_TEXT_MAX];
	struct bytes value;
	uint8_t wire_method;
	struct identity *id = auth_take_identity(in, PAYLOAD_IDr, error, sizeof(error));

	if (!id) {
		reject_responder(sa, error);
		return false;
	}
	if (!identity_matches(sa->connection->remote.id, id)) {
		snprintf(error, sizeof(error), "it says to be %.100s", identity_text(id, id_text));
		identity_unref(id);
		reject_responder(sa, error);
		return false;
	}
	identity_unref(sa->remote_id);
	sa->remote_id = id;
	ike_sa_count_identities(sa);
	if (!auth || !auth_payload_decode(auth->body, &wire_method, &value) ||
		wire_method != auth_wire_method(method)) {
		reject_responder(sa, "it does not use the configured authentication method");
		return false;
	}
	if (!auth_verify(sa, false, method, id, value)) {
		reject_responder(sa, "its AUTH payload is wrong");
		return false;
	}
	return true;
}

static void log_authenticated(struct ike_sa *sa)
{
	char id[IDENTITY_TEXT_MAX];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"initiator established IKE SA; authenticated peer using %s and %s '%s'",
		auth_method_text(sa->connection->remote.auth),
		identity_kind_name(sa->remote_id->kind), identity_text(sa->remote_id, id));
}

/* The IKE SA stays; its Child SA does not come to be. */
static void end_without_child(struct ike_sa *sa, bool tell_peer)
{
	struct child_sa *child = sa->negotiation->child;

	sa->negotiation->child = NULL;
	if (tell_peer) {
		child_sa_uninstall(child);
		child->state = CHILD_DELETING;
		sa->wants |= WANT_DELETE_CHILD;
	} else {
		child_sa_free(child, FINISHED_TS_UNACCEPTABLE);
	}
	auth_finish(sa);
	exchange_next(sa);
}

/* Checks what the responder chose for the Child SA. */
static const char *take_child(struct ike_sa *sa, struct child_sa *child, const struct incoming *in)
{
	struct traffic_selector tsi[IPSEC_SELECTORS_MAX], tsr[IPSEC_SELECTORS_MAX];
	const struct payload *sa_payload = payload_find(&in->payloads, PAYLOAD_SA);
	const struct payload *i = payload_find(&in->payloads, PAYLOAD_TSi),
			     *r = payload_find(&in->payloads, PAYLOAD_TSr);
	unsigned i_count, r_count;
	static _Thread_local char error[160];

	if (!sa_payload || !i || !r)
		return "the response lacks a SA, TSi or TSr payload";
	if (!sa_payload_decode(
		    sa_payload->body, sa->engine->received, PROPOSALS_MAX, error, sizeof(error)))
		return error;
	if (!proposal_accept(sa->connection->child_proposals, sa->engine->received,
		    sa->connection->protocol == IPSEC_AH ? PROTOCOL_AH : PROTOCOL_ESP, false,
		    &child->chosen) ||
		!child->chosen.spi)
		return "the chosen proposal is none of those offered";
	if (!ts_payload_decode(i->body, tsi, IPSEC_SELECTORS_MAX, &i_count) ||
		!ts_payload_decode(r->body, tsr, IPSEC_SELECTORS_MAX, &r_count))
		return "the traffic selectors are malformed";
	if (!selectors_accept(child_local_ts(child), child->local_ts_count, tsi, i_count) ||
		!selectors_accept(child_remote_ts(child), child->remote_ts_count, tsr, r_count))
		return "the traffic selectors are wider than those proposed";
	if (has_notify(&in->payloads, N_USE_TRANSPORT_MODE) != (child->mode == IPSEC_TRANSPORT))
		return child->mode == IPSEC_TRANSPORT ? "the peer did not accept transport mode"
						      : "the peer chose transport mode unasked";
	if (!child_sa_set_selectors(child, tsi, i_count, tsr, r_count))
		return "out of memory";
	child->out_spi = child->chosen.spi;
	child->udp_encapsulation = sa->encapsulate;
	return NULL;
}

static void child_response(struct ike_sa *sa, const struct incoming *in)
{
	struct child_sa *child = sa->negotiation->child;
	uint16_t refused =
		payload_find(&in->payloads, PAYLOAD_SA) ? 0 : first_error_notify(&in->payloads);
	const char *name = refused ? notify_name(refused) : NULL, *wrong;

	if (refused) {
		child_sa_log(child, LOG_LINE_WARNING, RC_OK,
			"IKE_AUTH response rejected Child SA with %s", name ? name : "an error");
		end_without_child(sa, false);
		return;
	}
	wrong = take_child(sa, child, in);
	if (!wrong && !child_sa_install(child, true))
		wrong = "deriving its keys failed";
	if (wrong) {
		child_sa_log(child, LOG_LINE_ERROR, RC_OK, "Child SA refused: %s", wrong);
		end_without_child(sa, true);
	}
}

static void count_notifies(struct ike_engine *engine, const struct payload_list *payloads)
{
	struct notify notify;

	for (unsigned i = 0; i < payloads->count; i++) {
		if (payloads->payloads[i].type == PAYLOAD_NOTIFY &&
			notify_payload_decode(payloads->payloads[i].body, &notify))
			count_notify(engine, false, notify.type);
	}
}

static void refused_by_peer(struct ike_sa *sa, const struct incoming *in)
{
	uint16_t error = first_error_notify(&in->payloads);
	const char *name = error ? notify_name(error) : NULL;

	ike_sa_log(sa, LOG_LINE_ERROR, RC_FATAL,
		"IKE SA authentication request rejected by peer: %s",
		name    ? name
		: error ? "unknown error"
			: "no AUTH payload");
	fail_ike_sa(sa, FINISHED_AUTH_FAILED, RC_FATAL, "encountered fatal error in state %s",
		ike_state_name(sa->state));
}

void auth_response(struct ike_sa *sa, struct incoming *in)
{
	char peer[IP_RANGE_TEXT_MAX], list[300], cut[40];

	if (sa->state != STATE_IKE_AUTH_I)
		return;
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"processing IKE_AUTH response from %s containing SK{%s}%s",
		ike_endpoint_text(&in->path->remote, peer),
		payload_list_text(&in->payloads, list, sizeof(list)),
		reassembled_text(&in->whole, cut));
	count_notifies(sa->engine, &in->payloads);
	exchange_end(sa);
	if (!payload_find(&in->payloads, PAYLOAD_AUTH)) {
		refused_by_peer(sa, in);
		return;
	}
	if (!verify_responder(sa, in))
		return;
	if (!ike_sa_established(sa)) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_INTERNAL, "out of memory");
		return;
	}
	log_authenticated(sa);
	if (sa->wants & WANT_DELETE_IKE) { /* was taken down while the request was under way */
		enum finish_reason reason = sa->finish_reason;

		ike_sa_end_negotiation(sa);
		ike_sa_delete(sa, reason);
		return;
	}
	child_response(sa, in);
}

static void initiator_child_installed(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;

	if (child->ipsec_error) {
		child_sa_log(child, LOG_LINE_ERROR, RC_OK,
			"the kernel refused the Child SA: %s (errno %d)",
			strerror(child->ipsec_error), child->ipsec_error);
		end_without_child(sa, true);
		return;
	}
	child_sa_established(child);
	auth_finish(sa);
}

void auth_child_installed(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;

	if (!sa->negotiation || sa->negotiation->child != child)
		return;
	if (sa->initiator)
		initiator_child_installed(child);
	else
		auth_responder_child_installed(child);
}
