/* IKE_AUTH, responder: who is it, may it, what will the Child SA carry; then the kernel, then the
 * answer. */
#include "ike_auth_responder.h"

#include "child_negotiation.h"
#include "configuration.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth_signature.h"
#include "ike_sa_init_responder.h"
#include "keymat.h"
#include "negotiation_rules.h"

#include <stdio.h>
#include <string.h>

/* What the request asks for, decoded. */
struct auth_parts {
	struct identity *id_i, *id_r; /* id_r NULL: any of ours will do */
	uint8_t method;
	struct bytes auth;
	struct traffic_selector tsi[SELECTORS_READ], tsr[SELECTORS_READ];
	unsigned tsi_count, tsr_count;
	bool asks; /* CFG_REQUEST */
	struct configuration asked;
	struct child_wishes wishes;
};

/* ---- refusing ---------------------------------------------------------------------- */

/* Answers with one error notify; the SA lingers to repeat that answer, then goes. */
static void refuse(struct ike_sa *sa, uint16_t notify, enum finish_reason reason)
{
	response_notify(sa, EXCHANGE_IKE_AUTH, 1, notify, bytes_of(NULL, 0));
	engine_count(sa->engine, COUNT_IKE_FAILED);
	ike_sa_retire(sa, reason);
}

static void refuse_authentication(struct ike_sa *sa, const char *why)
{
	ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
		"authentication failed: %s; responding to IKE_AUTH with AUTHENTICATION_FAILED",
		why);
	refuse(sa, N_AUTHENTICATION_FAILED, FINISHED_AUTH_FAILED);
}

/* ---- the request's parts ------------------------------------------------------------- */

static void release_parts(struct auth_parts *parts)
{
	identity_unref(parts->id_i);
	identity_unref(parts->id_r);
}

/* False: `error` says what is malformed. */
static bool take_parts(
	const struct incoming *in, struct auth_parts *parts, char *error, size_t error_size)
{
	const struct payload *auth = payload_find(&in->payloads, PAYLOAD_AUTH);
	const struct payload *i = payload_find(&in->payloads, PAYLOAD_TSi),
			     *r = payload_find(&in->payloads, PAYLOAD_TSr),
			     *cp = payload_find(&in->payloads, PAYLOAD_CP);

	parts->id_i = auth_take_identity(in, PAYLOAD_IDi, error, error_size);
	if (!parts->id_i)
		return false;
	if (payload_find(&in->payloads, PAYLOAD_IDr)) {
		parts->id_r = auth_take_identity(in, PAYLOAD_IDr, error, error_size);
		if (!parts->id_r)
			return false;
	}
	if (auth && !auth_payload_decode(auth->body, &parts->method, &parts->auth)) {
		snprintf(error, error_size, "its AUTH payload is malformed");
		return false;
	}
	if (!payload_find(&in->payloads, PAYLOAD_SA) || !i || !r ||
		!ts_payload_decode(i->body, parts->tsi, SELECTORS_READ, &parts->tsi_count) ||
		!ts_payload_decode(r->body, parts->tsr, SELECTORS_READ, &parts->tsr_count)) {
		snprintf(error, error_size, "SA, TSi or TSr payload is missing or malformed");
		return false;
	}
	if (cp && !cp_payload_decode(cp->body, &parts->asked)) {
		snprintf(error, error_size, "its configuration payload is malformed");
		return false;
	}
	parts->asks = cp && parts->asked.type == CFG_REQUEST;
	parts->wishes = child_wishes_take(&in->payloads);
	return true;
}

/* ---- which connection ------------------------------------------------------------------ */

struct auth_judgement {
	const struct ike_sa *sa;
	const struct auth_parts *parts;
	bool selectors_matter;
};

static bool list_allows_transform(
	const struct proposal *p, const struct algorithm *alg, uint16_t key_bits)
{
	if (!alg)
		return true;
	for (unsigned i = 0; i < p->transform_count; i++) {
		const struct transform *t = &p->transforms[i];

		if (t->type == (uint8_t)alg->type && t->id == alg->id &&
			(alg->type != TRANSFORM_ENCR || t->key_bits == key_bits))
			return true;
	}
	return false;
}

/* The IKE SA was negotiated before the identity was known: would this connection have agreed? */
static bool allows_chosen(const struct connection *c, const struct chosen_proposal *chosen)
{
	for (unsigned i = 0; i < c->ike_proposals->count; i++) {
		const struct proposal *p = &c->ike_proposals->proposals[i];

		if (list_allows_transform(p, chosen->encr, chosen->encr_key_bits) &&
			list_allows_transform(p, chosen->prf, 0) &&
			list_allows_transform(p, chosen->integ, 0) &&
			list_allows_transform(p, chosen->ke, 0))
			return true;
	}
	return false;
}

static bool narrow(const struct ike_sa *sa, const struct connection *c,
	const struct auth_parts *parts, struct traffic_selector *local, unsigned *local_count,
	struct traffic_selector *remote, unsigned *remote_count)
{
	return child_narrow(sa, c, parts->wishes.transport, parts->tsi, parts->tsi_count,
		parts->tsr, parts->tsr_count, local, local_count, remote, remote_count);
}

static bool judge_connection(const struct connection *c, void *arg)
{
	const struct auth_judgement *j = arg;
	struct traffic_selector local[IPSEC_SELECTORS_MAX], remote[IPSEC_SELECTORS_MAX];
	unsigned local_count, remote_count;

	if (c->ikev1 || c->shunt != IPSEC_PROTECT ||
		!auth_is_allowed(&c->remote, j->parts->method, j->parts->auth) ||
		!allows_chosen(c, &j->sa->chosen))
		return false;
	return !j->selectors_matter ||
	       ((j->parts->asks || !configuration_serves(c)) &&
	       narrow(j->sa, c, j->parts, local, &local_count, remote, &remote_count));
}

/* One whose selectors fit, or else one that at least authenticates: its Child SA is then refused.
 */
static struct connection *find_connection(struct ike_sa *sa, const struct auth_parts *parts)
{
	struct auth_judgement j = {.sa = sa, .parts = parts, .selectors_matter = true};
	struct connection *c;

	do {
		c = catalogue_find_by_identity(sa->engine->config.catalogue,
			&sa->path.local.address, &sa->path.remote.address, parts->id_r, parts->id_i,
			judge_connection, &j);
	} while (!c && j.selectors_matter && !(j.selectors_matter = false));
	return c;
}

/* ---- the Child SA ----------------------------------------------------------------------- */

/* 0, or the notify type to refuse it with. */
static uint16_t choose_child(
	struct ike_sa *sa, const struct incoming *in, const struct auth_parts *parts)
{
	const struct connection *c = sa->connection;
	struct traffic_selector local[IPSEC_SELECTORS_MAX], remote[IPSEC_SELECTORS_MAX];
	unsigned local_count, remote_count;
	struct chosen_proposal chosen;
	const char *obstacle = child_obstacle(sa, c);
	struct child_sa *child;
	char error[160];
	uint16_t refusal;

	if (obstacle) {
		ike_sa_log(sa, LOG_LINE_ERROR, RC_OK, "%s", obstacle);
		return N_NO_PROPOSAL_CHOSEN;
	}
	if (!sa_payload_decode(payload_find(&in->payloads, PAYLOAD_SA)->body, sa->engine->received,
		    PROPOSALS_MAX, error, sizeof(error)) ||
		!proposal_choose(c->child_proposals, sa->engine->received, child_protocol(c), false,
			0, &chosen) ||
		!chosen.spi || (c->mode == IPSEC_TRANSPORT && !parts->wishes.transport))
		return N_NO_PROPOSAL_CHOSEN;
	refusal = configuration_serve(sa, parts->asks ? &parts->asked : NULL);
	if (refusal)
		return refusal;
	if (!narrow(sa, c, parts, local, &local_count, remote, &remote_count))
		return N_TS_UNACCEPTABLE;
	child = child_sa_new(sa, sa->connection);
	if (!child)
		return N_NO_PROPOSAL_CHOSEN;
	sa->negotiation->child = child;
	child->chosen = chosen;
	child->out_spi = chosen.spi;
	child->udp_encapsulation = sa->encapsulate;
	child_grant(child, &parts->wishes);
	if (!child_sa_set_selectors(child, local, local_count, remote, remote_count) ||
		!child_sa_install(child, false)) {
		child_sa_free(child, FINISHED_OTHER);
		sa->negotiation->child = NULL;
		return N_NO_PROPOSAL_CHOSEN;
	}
	return 0;
}

/* ---- the response -------------------------------------------------------------------------- */

static bool build_response(struct ike_sa *sa, struct message_writer *m)
{
	const struct negotiation *n = sa->negotiation;
	const struct child_sa *child = n->child;

	sealed_response_begin(sa, m, EXCHANGE_IKE_AUTH, 1);
	id_payload_encode(m, PAYLOAD_IDr, sa->local_id);
	certificates_encode(sa, m);
	if (!auth_encode(sa, false, m))
		return false;
	if (!child) {
		add_notify(sa->engine, m, n->child_refused_with, bytes_of(NULL, 0));
		return sealed_end(sa, m);
	}
	configuration_reply_encode(sa, m);
	child_notifies_encode(child, m);
	chosen_payload_encode(m, &child->chosen, 4, child->in_spi);
	ts_payload_encode(m, PAYLOAD_TSi, child_remote_ts(child), child->remote_ts_count);
	ts_payload_encode(m, PAYLOAD_TSr, child_local_ts(child), child->local_ts_count);
	return sealed_end(sa, m);
}

static void log_established(struct ike_sa *sa)
{
	char peer[AUTHENTICATED_TEXT_MAX];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "responder established IKE SA; authenticated peer %s",
		auth_peer_text(sa, peer));
}

static void send_response(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;
	const char *refusal = n->child ? NULL : notify_name(n->child_refused_with);
	struct message_writer m;

	if (!build_response(sa, &m) || !ike_sa_established(sa)) {
		fail_ike_sa(sa, FINISHED_OTHER, RC_INTERNAL, "IKE_AUTH response cannot be built");
		return;
	}
	response_send(sa, writer_bytes(&m.w));
	log_established(sa);
	if (n->child)
		child_sa_established(n->child, false, 0);
	else
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
			"IKE_AUTH response refused the Child SA with %s",
			refusal ? refusal : "an error");
	auth_finish(sa);
}

/* We cannot prove who we are, which is not the peer's to know more of. */
static void give_up_signing(struct ike_sa *sa, const char *why)
{
	ike_sa_log(sa, LOG_LINE_ERROR, RC_OK,
		"our authentication cannot be computed: %s; responding to IKE_AUTH with "
		"AUTHENTICATION_FAILED",
		why);
	refuse(sa, N_AUTHENTICATION_FAILED, FINISHED_AUTH_FAILED);
}

/* With a signature of ours that is made first. */
static void respond(struct ike_sa *sa)
{
	const char *fault;

	if (sa->connection->local.auth != AUTH_METHOD_SIGNATURE) {
		send_response(sa);
		return;
	}
	sa->negotiation->auth_under_way = true;
	fault = signature_begin(sa, false);
	if (fault)
		give_up_signing(sa, fault);
}

void auth_responder_signed(struct ike_sa *sa, bool ok)
{
	if (ok)
		send_response(sa);
	else
		give_up_signing(sa, "signing by our private key failed");
}

void auth_responder_child_installed(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;
	struct negotiation *n = sa->negotiation;

	if (child->ipsec_error) {
		child_sa_log_refused(child);
		child_sa_free(child, FINISHED_OTHER);
		n->child = NULL;
		n->child_refused_with = N_NO_PROPOSAL_CHOSEN;
		configuration_drop(sa);
	}
	respond(sa);
}

/* ---- the request ------------------------------------------------------------------------------
 */

static void switch_connection(struct ike_sa *sa, struct connection *c)
{
	char peer[IP_TEXT_MAX];

	if (sa->connection == c)
		return;
	if (sa->connection->serial != c->serial)
		ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "switched to \"%s\" %s", c->name,
			ip_text(&sa->path.remote.address, peer));
	ike_sa_set_connection(sa, c);
}

/* It is who it says to be: what may it have? */
static void accept_initiator(
	struct ike_sa *sa, const struct incoming *in, const struct auth_parts *parts)
{
	struct negotiation *n = sa->negotiation;

	n->give_up_at = 0;
	n->initial_contact = has_notify(&in->payloads, N_INITIAL_CONTACT);
	n->child_refused_with = choose_child(sa, in, parts);
	if (n->child_refused_with) {
		configuration_drop(sa);
		respond(sa);
	} else {
		n->auth_under_way = true; /* the kernel's answer goes on with it */
	}
}

static void verify_initiator(
	struct ike_sa *sa, const struct incoming *in, const struct auth_parts *parts)
{
	char text[IDENTITY_TEXT_MAX], why[IDENTITY_TEXT_MAX + 80];
	enum auth_method method = sa->connection->remote.auth;
	const char *fault;

	if (method == AUTH_METHOD_SIGNATURE) {
		certificate_request_note(sa, &in->payloads);
		fault = verification_begin(sa, in, true, why, sizeof(why));
		if (fault)
			refuse_authentication(sa, fault);
	} else if (!auth_verify(sa, true, method, parts->id_i, parts->auth)) {
		snprintf(why, sizeof(why), "AUTH payload of peer '%s' is wrong",
			identity_text(parts->id_i, text));
		refuse_authentication(sa, why);
	} else {
		certificate_request_note(sa, &in->payloads);
		accept_initiator(sa, in, parts);
	}
}

static void authenticate(
	struct ike_sa *sa, const struct incoming *in, const struct auth_parts *parts)
{
	char text[IDENTITY_TEXT_MAX], why[IDENTITY_TEXT_MAX + 80];
	struct connection *c = find_connection(sa, parts);

	if (!c) {
		snprintf(why, sizeof(why),
			"no connection for peer '%s' with this authentication method",
			identity_text(parts->id_i, text));
		refuse_authentication(sa, why);
		return;
	}
	switch_connection(sa, c);
	connection_unref(c);
	sa->remote_id = identity_ref(parts->id_i);
	sa->local_id = identity_ref(
		c->local.id->kind == ID_ANY && parts->id_r ? parts->id_r : c->local.id);
	ike_sa_count_identities(sa);
	verify_initiator(sa, in, parts);
}

/* The request is taken apart again: it was kept as it came. */
void auth_responder_verified(struct ike_sa *sa, struct incoming *in, const char *fault)
{
	struct auth_parts parts = {0};
	char error[160];

	if (fault)
		refuse_authentication(sa, fault);
	else if (take_parts(in, &parts, error, sizeof(error)))
		accept_initiator(sa, in, &parts);
	else
		refuse_authentication(sa, error);
	release_parts(&parts);
}

void auth_request(struct ike_sa *sa, struct incoming *in)
{
	struct auth_parts parts = {0};
	char peer[IP_RANGE_TEXT_MAX], list[300], error[160], cut[40];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK,
		"processing IKE_AUTH request from %s containing SK{%s}%s",
		ike_endpoint_text(&in->path->remote, peer),
		payload_list_text(&in->payloads, list, sizeof(list)),
		reassembled_text(&in->whole, cut));
	if (!take_parts(in, &parts, error, sizeof(error))) {
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "IKE_AUTH request refused: %s", error);
		refuse(sa, N_INVALID_SYNTAX, FINISHED_OTHER);
	} else if (!parts.method) {
		refuse_authentication(sa, "no AUTH payload (EAP is not configured)");
	} else {
		authenticate(sa, in, &parts);
	}
	release_parts(&parts);
}
