/* Signatures are jobs: the SA waits for its own, or holds a copy of the message whose signature is
 * verified, and goes on when the answer comes. */
#include "ike_auth_signature.h"

#include "engine_state.h"
#include "exchange.h"
#include "ike_auth_responder.h"
#include "ike_sa_init_responder.h"
#include "keymat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { /* IANA "IKEv2 Authentication Method" */
	METHOD_RSA = 1,
	METHOD_ECDSA_256 = 9,
	METHOD_ECDSA_384 = 10,
	METHOD_ECDSA_521 = 11,
	METHOD_DIGITAL_SIGNATURE = 14,
};

#define ALL_SHA2                                                                                   \
	(SIGHASH_BIT(SIGHASH_SHA2_256) | SIGHASH_BIT(SIGHASH_SHA2_384) |                           \
		SIGHASH_BIT(SIGHASH_SHA2_512))

/* ---- AUTH data -------------------------------------------------------------------- */

struct auth_signature {
	enum signature_scheme scheme;
	bool raw_ecdsa;
	struct bytes value;
};

static bool decode(uint8_t method, struct bytes data, struct auth_signature *out)
{
	struct reader r = reader_of(data);
	struct bytes identifier;

	*out = (struct auth_signature){.value = data};
	switch (method) {
	case METHOD_RSA:
		out->scheme = SIGNATURE_RSA_SHA1;
		return true;
	case METHOD_ECDSA_256:
	case METHOD_ECDSA_384:
	case METHOD_ECDSA_521:
		out->raw_ecdsa = true;
		out->scheme = method == METHOD_ECDSA_256   ? SIGNATURE_ECDSA_SHA256
			      : method == METHOD_ECDSA_384 ? SIGNATURE_ECDSA_SHA384
							   : SIGNATURE_ECDSA_SHA512;
		return true;
	case METHOD_DIGITAL_SIGNATURE: /* RFC 7427, section 3 */
		identifier = read_bytes(&r, read_u8(&r));
		out->value = read_rest(&r);
		return !r.failed && signature_scheme_of_identifier(identifier, &out->scheme);
	default:
		return false;
	}
}

bool signature_is_allowed(const struct connection_end *end, uint8_t method, struct bytes data)
{
	struct auth_signature signature;

	return decode(method, data, &signature) && end->schemes & SCHEME_BIT(signature.scheme);
}

/* ---- certificates ------------------------------------------------------------------- */

static bool sends_certificate(const struct ike_sa *sa)
{
	const struct connection_end *end = &sa->connection->local;

	return end->auth == AUTH_METHOD_SIGNATURE && end->certificate &&
	       (end->send_certificate == SEND_CERTIFICATE_ALWAYS ||
		       (end->send_certificate == SEND_CERTIFICATE_IF_ASKED &&
			       sa->negotiation->certificate_requested));
}

void certificates_encode(struct ike_sa *sa, struct message_writer *m)
{
	const struct own_certificate *own = sa->connection->local.certificate;
	unsigned more;

	if (!sends_certificate(sa))
		return;
	more = sa->connection->send_authorities == SEND_AUTHORITIES_ALL ? own->chain_count
	       : sa->connection->send_authorities == SEND_AUTHORITIES_ISSUER && own->chain_count
		       ? 1
		       : 0;
	cert_payload_encode(m, own->der);
	for (unsigned i = 0; i < more; i++)
		cert_payload_encode(m, own->chain[i]);
}

void certificate_request_encode(struct ike_sa *sa, struct message_writer *m)
{
	const struct connection *c = sa->connection;

	if (c->remote.auth == AUTH_METHOD_SIGNATURE && c->authorities && c->authorities->count)
		certreq_payload_encode(m, bytes_of(c->authorities->hashes,
						  c->authorities->count * AUTHORITY_HASH_LEN));
}

void certificate_request_note(struct ike_sa *sa, const struct payload_list *payloads)
{
	uint8_t encoding;
	struct bytes hashes;

	for (unsigned i = 0; i < payloads->count; i++)
		if (payloads->payloads[i].type == PAYLOAD_CERTREQ &&
			cert_payload_decode(payloads->payloads[i].body, &encoding, &hashes) &&
			encoding == ENCODING_X509_SIGNATURE)
			sa->negotiation->certificate_requested = true;
}

/* A mask of what the peer may be asked to prove its identity with: unknown yet for a responder. */
void hash_algorithms_encode(struct ike_sa *sa, struct message_writer *m)
{
	static const uint8_t hashes[] = {
		0, SIGHASH_SHA2_256, 0, SIGHASH_SHA2_384, 0, SIGHASH_SHA2_512};
	const struct connection *c = sa->connection;
	bool wanted = sa->initiator ? c->local.auth == AUTH_METHOD_SIGNATURE ||
					      c->remote.auth == AUTH_METHOD_SIGNATURE
				    : sa->negotiation->peer_hashes != 0;

	if (wanted && sa->engine->config.credentials)
		add_notify(sa->engine, m, N_SIGNATURE_HASH_ALGORITHMS,
			bytes_of(hashes, sizeof(hashes)));
}

void hash_algorithms_note(struct ike_sa *sa, const struct payload_list *payloads)
{
	struct notify notify;

	for (unsigned i = 0; i < payloads->count; i++) {
		const struct payload *p = &payloads->payloads[i];

		if (p->type == PAYLOAD_NOTIFY && notify_payload_decode(p->body, &notify) &&
			notify.type == N_SIGNATURE_HASH_ALGORITHMS)
			sa->negotiation->peer_hashes = hash_algorithms_decode(notify.data);
	}
}

/* ---- jobs ----------------------------------------------------------------------------- */

/* One that finds the workers overloaded waits (init_retry_job). */
static void submit(struct ike_sa *sa, struct crypto_job *job)
{
	init_submit_or_wait(sa, job);
}

/* ---- our signature ----------------------------------------------------------------------- */

/* Without RFC 7427 a key has one method (RFC 4754; RFC 7296, section 3.8). */
static bool choose_old_method(struct negotiation *n, const struct own_certificate *own,
	uint32_t allowed, enum signature_scheme *scheme, bool *raw)
{
	if (own->kind == KEY_RSA) {
		*raw = false;
		*scheme = SIGNATURE_RSA_SHA1;
		n->auth_method = METHOD_RSA;
	} else {
		*raw = true;
		*scheme = own->key_bits > 384   ? SIGNATURE_ECDSA_SHA512
			  : own->key_bits > 256 ? SIGNATURE_ECDSA_SHA384
						: SIGNATURE_ECDSA_SHA256;
		n->auth_method = own->key_bits > 384   ? METHOD_ECDSA_521
				 : own->key_bits > 256 ? METHOD_ECDSA_384
						       : METHOD_ECDSA_256;
	}
	return allowed & SCHEME_BIT(*scheme);
}

static const char *choose_method(struct ike_sa *sa, enum signature_scheme *scheme, bool *raw)
{
	struct negotiation *n = sa->negotiation;
	const struct connection_end *end = &sa->connection->local;
	const struct own_certificate *own = end->certificate;

	*raw = false;
	n->auth_method = METHOD_DIGITAL_SIGNATURE;
	if (n->peer_hashes && signature_scheme_choose(own->kind, own->key_bits, end->schemes,
				      n->peer_hashes & ALL_SHA2, scheme))
		return NULL;
	if (choose_old_method(n, own, end->schemes, scheme, raw))
		return NULL;
	return n->peer_hashes ? "the peer and this connection have no signature scheme in common"
	       : own->kind == KEY_RSA
		       ? "the peer does not know digital signatures (RFC 7427), and RSA with SHA-1 "
			 "is not allowed"
		       : "the peer does not know digital signatures (RFC 7427), and the old ECDSA "
			 "method is not allowed";
}

const char *signature_begin(struct ike_sa *sa, bool of_initiator)
{
	const struct own_certificate *own = sa->connection->local.certificate;
	enum signature_scheme scheme;
	struct crypto_job *job = NULL;
	const char *fault;
	uint8_t *octets;
	size_t len;
	bool raw;

	if (!own)
		return "this end has no certificate";
	if (!own->key)
		return "there is no private key for this end's certificate";
	fault = choose_method(sa, &scheme, &raw);
	if (fault)
		return fault;
	octets = keymat_signed_octets(sa, of_initiator, sa->local_id, &len);
	if (octets)
		job = sign_job_new(own, scheme, raw, bytes_of(octets, len));
	free(octets);
	if (!job)
		return "out of memory";
	sa->negotiation->signed_by = scheme;
	submit(sa, job);
	return NULL;
}

/* The AUTH payload's data: in method 14 the signature follows its algorithm's identifier. */
static bool keep_signature(struct negotiation *n, const struct authentication_job *job)
{
	struct bytes identifier = {0};
	size_t prefix = 0;

	if (n->auth_method == METHOD_DIGITAL_SIGNATURE) {
		identifier = signature_scheme_info(job->scheme)->identifier;
		prefix = 1 + identifier.len;
	}
	n->auth_data = malloc(prefix + job->signature.len);
	if (!n->auth_data)
		return false;
	if (prefix) {
		n->auth_data[0] = (uint8_t)identifier.len;
		memcpy(n->auth_data + 1, identifier.data, identifier.len);
	}
	memcpy(n->auth_data + prefix, job->signature.data, job->signature.len);
	n->auth_data_len = prefix + job->signature.len;
	return true;
}

static void signed_now(struct ike_sa *sa, const struct authentication_job *job)
{
	bool ok = job->job.result == CRYPTO_JOB_OK && keep_signature(sa->negotiation, job);

	if (sa->initiator)
		auth_initiator_signed(sa, ok);
	else
		auth_responder_signed(sa, ok);
}

/* ---- the peer's signature ------------------------------------------------------------------ */

/* Wherever its payloads lie: in the datagram, or in what its fragments were put together to. */
static struct held_message *hold(const struct ike_sa *sa, const struct incoming *in)
{
	struct held_message *held;
	size_t len = 0;

	for (unsigned i = 0; i < in->payloads.count; i++)
		len += in->payloads.payloads[i].body.len;
	held = malloc(sizeof(*held) + len);
	if (!held)
		return NULL;
	held->in = *in;
	held->in.path = &sa->path;
	held->in.message = NULL;
	held->in.len = len = 0;
	for (unsigned i = 0; i < in->payloads.count; i++) {
		struct bytes *body = &held->in.payloads.payloads[i].body;

		if (body->len)
			memcpy(held->bytes + len, body->data, body->len);
		body->data = held->bytes + len;
		len += body->len;
	}
	return held;
}

/* NULL, or what is wrong with its CERT payloads. */
static const char *take_certificates(struct ike_sa *sa, const struct incoming *in,
	struct authentication_job *wanted, char *why, size_t size)
{
	const struct own_certificate *known = sa->connection->remote.certificate;
	uint8_t encoding, other = 0;
	struct bytes data;

	for (unsigned i = 0; i < in->payloads.count; i++) {
		const struct payload *p = &in->payloads.payloads[i];

		if (p->type != PAYLOAD_CERT)
			continue;
		if (!cert_payload_decode(p->body, &encoding, &data))
			return "a CERT payload of it is malformed";
		if (encoding != ENCODING_X509_SIGNATURE) {
			other = encoding;
		} else if (wanted->certificate_count == CHAIN_MAX) {
			snprintf(why, size, "its chain is too long: more than %d certificates",
				CHAIN_MAX);
			return why;
		} else {
			wanted->certificates[wanted->certificate_count++] = data;
		}
	}
	if (wanted->certificate_count)
		return NULL;
	if (known && !other) {
		wanted->certificates[wanted->certificate_count++] = known->der;
		return NULL;
	}
	if (!other)
		return "it sent no certificate, and the connection names none for it";
	snprintf(why, size,
		"it sent no X.509 certificate but encoding %u%s, which is not supported", other,
		other == ENCODING_HASH_AND_URL || other == ENCODING_HASH_AND_URL_BUNDLE
			? " (hash and URL)"
			: "");
	return why;
}

static enum certificate_name name_kind(const struct identity *id)
{
	switch (id->kind) {
	case ID_DER_ASN1_DN:
		return CERTIFICATE_NAME_DN;
	case ID_FQDN:
		return CERTIFICATE_NAME_DNS;
	case ID_RFC822_ADDR:
		return CERTIFICATE_NAME_MAIL;
	case ID_IPV4_ADDR:
	case ID_IPV6_ADDR:
		return CERTIFICATE_NAME_IP;
	default:
		return CERTIFICATE_NAME_NONE;
	}
}

static struct crypto_job *verification_job(
	struct ike_sa *sa, bool of_initiator, struct authentication_job *wanted)
{
	const struct identity *id = sa->remote_id, *authority = sa->connection->remote.authority;
	struct crypto_job *job = NULL;
	char text[IDENTITY_TEXT_MAX];
	size_t len;
	uint8_t *octets = keymat_signed_octets(sa, of_initiator, id, &len);

	if (!octets)
		return NULL;
	wanted->octets = bytes_of(octets, len);
	wanted->name_kind = name_kind(id);
	wanted->name = bytes_of(id->data, id->len);
	wanted->name_text = identity_text(id, text);
	if (authority)
		wanted->authority = bytes_of(authority->data, authority->len);
	job = verify_job_new(sa->engine->config.credentials, wanted);
	free(octets);
	return job;
}

const char *verification_begin(
	struct ike_sa *sa, const struct incoming *in, bool of_initiator, char *why, size_t size)
{
	const struct payload *auth = payload_find(&in->payloads, PAYLOAD_AUTH);
	struct negotiation *n = sa->negotiation;
	struct authentication_job wanted = {0};
	struct auth_signature signature;
	struct crypto_job *job;
	struct bytes data;
	const char *fault;
	uint8_t method;

	if (!credentials_are_open(sa->engine->config.credentials))
		return "there is no open NSS database to verify its certificate by";
	if (!auth || !auth_payload_decode(auth->body, &method, &data) ||
		!decode(method, data, &signature))
		return "its signature is malformed, or of an unknown algorithm";
	fault = take_certificates(sa, in, &wanted, why, size);
	if (fault)
		return fault;
	wanted.scheme = signature.scheme;
	wanted.raw_ecdsa = signature.raw_ecdsa;
	wanted.signature = signature.value;
	n->held = hold(sa, in);
	job = n->held ? verification_job(sa, of_initiator, &wanted) : NULL;
	if (!job)
		return "out of memory";
	n->auth_under_way = true;
	submit(sa, job);
	return NULL;
}

static void verified_now(struct ike_sa *sa, const struct authentication_job *job)
{
	struct negotiation *n = sa->negotiation;
	struct held_message *held = n->held;
	const char *fault = job->job.result == CRYPTO_JOB_OK ? NULL
			    : job->job.result == CRYPTO_JOB_REFUSED
				    ? job->refusal
				    : "its signature could not be verified";

	n->held = NULL;
	n->auth_under_way = false;
	if (!fault) {
		n->peer_text = strdup(job->peer);
		if (!n->peer_text)
			fault = "out of memory";
	}
	if (sa->initiator)
		auth_initiator_verified(sa, &held->in, fault);
	else
		auth_responder_verified(sa, &held->in, fault);
	free(held);
}

void signature_job_done(struct ike_sa *sa, struct crypto_job *job)
{
	if (job->result == CRYPTO_JOB_UNKNOWN_CHAIN && job->kind == CRYPTO_VERIFY) {
		job->kind = CRYPTO_VALIDATE;
		submit(sa, job);
		return;
	}
	if (job->kind == CRYPTO_SIGN)
		signed_now(sa, authentication_job_of(job));
	else
		verified_now(sa, authentication_job_of(job));
	crypto_job_free(job);
}
