/* IKE_AUTH: what both roles share, and the initiator. The responder is in ike_auth_responder.c. */
#include "ike_auth.h"

#include "child_negotiation.h"
#include "configuration.h"
#include "create_child.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth_responder.h"
#include "ike_auth_signature.h"
#include "ike_sa_init_responder.h"
#include "keymat.h"
#include "sharing.h"
#include "unique.h"

#include <stdio.h>
#include <string.h>

#define AUTH_SHARED_KEY 2
#define AUTH_NULL       13

/* ---- shared ------------------------------------------------------------------- */

bool auth_is_allowed(const struct connection_end *end, uint8_t method, struct bytes data)
{
	switch (end->auth) {
	case AUTH_METHOD_SECRET:
		return method == AUTH_SHARED_KEY;
	case AUTH_METHOD_NULL:
		return method == AUTH_NULL;
	case AUTH_METHOD_SIGNATURE:
		return signature_is_allowed(end, method, data);
	default:
		return false;
	}
}

/* Finds the SA's shared secret and computes the AUTH value of one side. False: there is none,
 * logged. */
static bool auth_compute(struct ike_sa *sa, bool of_initiator, enum auth_method method,
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

bool auth_encode(struct ike_sa *sa, bool of_initiator, struct message_writer *m)
{
	const struct negotiation *n = sa->negotiation;
	enum auth_method method = sa->connection->local.auth;
	uint8_t value[PRF_OUTPUT_MAX];

	if (method == AUTH_METHOD_SIGNATURE) {
		if (!n->auth_data)
			return false;
		auth_payload_encode(m, n->auth_method, bytes_of(n->auth_data, n->auth_data_len));
		return true;
	}
	if (!auth_compute(sa, of_initiator, method, sa->local_id, value))
		return false;
	auth_payload_encode(m, method == AUTH_METHOD_NULL ? AUTH_NULL : AUTH_SHARED_KEY,
		bytes_of(value, sa->chosen.prf->output_len));
	secret_wipe(value, sizeof(value));
	return true;
}

const char *auth_peer_text(const struct ike_sa *sa, char out[AUTHENTICATED_TEXT_MAX])
{
	char id[IDENTITY_TEXT_MAX];

	if (sa->negotiation->peer_text)
		snprintf(out, AUTHENTICATED_TEXT_MAX, "%s", sa->negotiation->peer_text);
	else
		snprintf(out, AUTHENTICATED_TEXT_MAX, "using %s and %s '%s'",
			sa->connection->remote.auth == AUTH_METHOD_NULL ? "authby=null"
									: "authby=secret",
			identity_kind_name(sa->remote_id->kind), identity_text(sa->remote_id, id));
	return out;
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

/* The other connections' Child SAs are created on the new one. */
static void replace_old(struct ike_sa *sa, struct ike_sa *old)
{
	struct connection *guest;

	for (unsigned i = 0; (guest = sharing_guest(old, i)); i++) {
		if (sharing_carries(old, guest))
			create_child_add(sa, guest, 0, 0);
	}
	ike_sa_delete(old, FINISHED_SUPERSEDED);
}

void auth_finish(struct ike_sa *sa)
{
	bool initial_contact = sa->negotiation->initial_contact;
	struct ike_sa *old;

	ike_sa_end_negotiation(sa);
	/* One whose Child SA was refused must not take away a tunnel that works. */
	if (carries_traffic(sa) || initial_contact) {
		unique_established(sa, initial_contact);
		old = sa->replaces && sa->state == STATE_ESTABLISHED_IKE_SA ? engine_find_serial(sa->engine, sa->replaces) : NULL;
		if (old)
			replace_old(sa, old);
	}
	sa->replaces = 0;
	ike_sa_release_watcher(sa);
	exchange_next(sa);
	ike_sa_schedule(sa);
}

/* ---- initiator: the request ------------------------------------------------------ */

/* The Child SA that the request proposes, with the connection's selectors. */
static struct child_sa *propose_child(struct ike_sa *sa)
{
	struct child_sa *child = child_sa_new(sa, sa->connection);

	if (child && !child_propose_selectors(child)) {
		child_sa_free(child, FINISHED_OTHER);
		return NULL;
	}
	if (child)
		ipcomp_propose(child);
	return child;
}

static bool build_request(struct ike_sa *sa, struct child_sa *child, struct message_writer *m)
{
	const struct connection *c = sa->connection;

	sealed_request_begin(sa, m, EXCHANGE_IKE_AUTH);
	id_payload_encode(m, PAYLOAD_IDi, sa->local_id);
	certificates_encode(sa, m);
	certificate_request_encode(sa, m);
	if (c->remote.id->kind != ID_ANY && c->remote.id->kind != ID_NULL)
		id_payload_encode(m, PAYLOAD_IDr, c->remote.id);
	if (!auth_encode(sa, true, m))
		return false;
	if (c->initial_contact && !unique_knows_other(sa))
		add_notify(sa->engine, m, N_INITIAL_CONTACT, bytes_of(NULL, 0));
	configuration_request_encode(sa, m);
	child_notifies_encode(child, m);
	sa_payload_encode_without_ke(m, c->child_proposals, 4, child->in_spi);
	ts_payload_encode(m, PAYLOAD_TSi, child_local_ts(child), child->local_ts_count);
	ts_payload_encode(m, PAYLOAD_TSr, child_remote_ts(child), child->remote_ts_count);
	return sealed_end(sa, m);
}

static const char *method_text(const struct ike_sa *sa, char *out, size_t size)
{
	switch (sa->connection->local.auth) {
	case AUTH_METHOD_NULL:
		return "null";
	case AUTH_METHOD_SIGNATURE:
		snprintf(out, size, "digital-signature %s",
			signature_scheme_info(sa->negotiation->signed_by)->name);
		return out;
	default:
		return "shared-key-mac";
	}
}

static void log_request(struct ike_sa *sa, const struct child_sa *child)
{
	char peer[IP_RANGE_TEXT_MAX], id[IDENTITY_TEXT_MAX], selectors[400], method[64];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"sent IKE_AUTH request to %s with %s and %s '%s'; Child SA #%llu {%s <0x%08x} "
		"[%s]",
		ike_endpoint_text(&sa->path.remote, peer), method_text(sa, method, sizeof(method)),
		identity_kind_name(sa->local_id->kind), identity_text(sa->local_id, id),
		(unsigned long long)child->serial,
		child->connection->protocol == IPSEC_AH ? "AH" : "ESP", child->in_spi,
		child_sa_selectors_text(child, selectors, sizeof(selectors)));
}

static void send_request(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;
	struct message_writer m;

	n->child = propose_child(sa);
	if (!n->child || !build_request(sa, n->child, &m) ||
		!exchange_start(sa, FOR_AUTH, EXCHANGE_IKE_AUTH, writer_bytes(&m.w))) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_INTERNAL,
			n->child ? "IKE_AUTH request cannot be built"
				 : "no memory or SPI for a Child SA");
		return;
	}
	ike_sa_set_state(sa, STATE_IKE_AUTH_I);
	log_request(sa, n->child);
}

void auth_request_send(struct ike_sa *sa)
{
	const char *fault = child_obstacle(sa, sa->connection);

	if (fault) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_FATAL, "%s", fault);
		return;
	}
	sa->local_id = identity_ref(sa->connection->local.id);
	sa->remote_id = identity_ref(sa->connection->remote.id);
	if (sa->connection->local.auth != AUTH_METHOD_SIGNATURE) {
		send_request(sa);
		return;
	}
	fault = signature_begin(sa, true);
	if (fault)
		fail_ike_sa(sa, FINISHED_AUTH_FAILED, RC_FATAL,
			"authentication cannot be computed: %s", fault);
}

void auth_initiator_signed(struct ike_sa *sa, bool ok)
{
	if (ok)
		send_request(sa);
	else
		fail_ike_sa(sa, FINISHED_CRYPTO_FAILED, RC_CRYPTO_FAILED,
			"signing by the private key of '%s' failed",
			sa->connection->local.certificate->nickname);
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

static bool take_responder_identity(struct ike_sa *sa, const struct incoming *in)
{
	char error[160], id_text[IDENTITY_TEXT_MAX];
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
	return true;
}

/* NULL: it is authenticated, or (with a signature) it will be seen later, `later`. */
static const char *responder_fault(
	struct ike_sa *sa, const struct incoming *in, bool *later, char *why, size_t size)
{
	const struct payload *auth = payload_find(&in->payloads, PAYLOAD_AUTH);
	const struct connection_end *remote = &sa->connection->remote;
	struct bytes value;
	uint8_t method;

	*later = remote->auth == AUTH_METHOD_SIGNATURE;
	if (!auth || !auth_payload_decode(auth->body, &method, &value) ||
		!auth_is_allowed(remote, method, value))
		return "it does not use the configured authentication method";
	if (*later)
		return verification_begin(sa, in, false, why, size);
	return auth_verify(sa, false, remote->auth, sa->remote_id, value)
		       ? NULL
		       : "its AUTH payload is wrong";
}

static void log_authenticated(struct ike_sa *sa)
{
	char peer[AUTHENTICATED_TEXT_MAX];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "initiator established IKE SA; authenticated peer %s",
		auth_peer_text(sa, peer));
}

/* The Child SA does not come to be; the IKE SA stays, unless it is of no use. */
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
	if (configuration_asks(sa->connection)) {
		/* An address is asked for in IKE_AUTH only: another IKE SA has to. */
		ike_sa_delete(sa, FINISHED_OTHER);
		return;
	}
	exchange_next(sa);
	create_child_revive(sa, sa->connection, 0);
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
	wrong = configuration_take_reply(sa, &in->payloads);
	if (!wrong)
		wrong = child_take_answer(child, in, sa->connection->child_proposals, false);
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

static void responder_authenticated(struct ike_sa *sa, const struct incoming *in)
{
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

void auth_initiator_verified(struct ike_sa *sa, struct incoming *in, const char *fault)
{
	if (fault)
		reject_responder(sa, fault);
	else
		responder_authenticated(sa, in);
}

void auth_response(struct ike_sa *sa, struct incoming *in)
{
	char peer[IP_RANGE_TEXT_MAX], list[300], why[160], cut[40];
	const char *fault;
	bool later;

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
	if (!take_responder_identity(sa, in))
		return;
	fault = responder_fault(sa, in, &later, why, sizeof(why));
	if (fault)
		reject_responder(sa, fault);
	else if (!later)
		responder_authenticated(sa, in);
}

static void initiator_child_installed(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;

	if (child->ipsec_error) {
		child_sa_log_refused(child);
		end_without_child(sa, true);
		return;
	}
	child_sa_established(child, true, 0);
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
