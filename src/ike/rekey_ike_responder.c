/* Rekeying of the IKE SA, responder. */
#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "ike_auth.h"
#include "negotiation_rules.h"

#include <string.h>

struct rekey_parts {
	struct bytes nonce, ke;
	uint16_t group;
};

static bool take_parts(const struct incoming *in, struct rekey_parts *parts)
{
	const struct payload *nonce = payload_find(&in->payloads, PAYLOAD_NONCE),
			     *ke = payload_find(&in->payloads, PAYLOAD_KE);

	return nonce && nonce_payload_decode(nonce->body, &parts->nonce) && ke &&
	       ke_payload_decode(ke->body, &parts->group, &parts->ke);
}

static void refuse_group(struct create_child *x, uint16_t sent)
{
	uint8_t data[2];
	struct writer w = writer_of(data, sizeof(data));

	write_u16(&w, x->chosen.ke->id);
	count_invalid_ke(x->ike_sa->engine, true, sent, x->chosen.ke->id);
	create_refuse(x, N_INVALID_KE_PAYLOAD, bytes_of(data, sizeof(data)));
}

static void choose(struct create_child *x, const struct rekey_parts *parts)
{
	struct ike_sa *sa = x->ike_sa;
	struct crypto_job *job;

	if (!proposal_choose(sa->connection->ike_proposals, sa->engine->received, PROTOCOL_IKE,
		    true, parts->group, &x->chosen) ||
		x->chosen.spi_len != 8 || !x->chosen.spi) {
		create_refuse(x, N_NO_PROPOSAL_CHOSEN, bytes_of(NULL, 0));
		return;
	}
	if (x->chosen.ke->id != parts->group) {
		refuse_group(x, parts->group);
		return;
	}
	x->group = x->chosen.ke;
	x->own_spi = ike_sa_choose_spi(sa->engine);
	job = crypto_job_new(CRYPTO_KE_BOTH, x->group, parts->ke);
	if (!job || !create_submit(x, job))
		create_refuse(x, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
}

void rekey_ike_request(struct ike_sa *sa, struct incoming *in)
{
	uint16_t refusal = rekey_collision_refusal(sa, true);
	struct rekey_parts parts = {0};
	struct create_child *x;

	if (!refusal && !take_parts(in, &parts)) {
		response_notify(sa, EXCHANGE_CREATE_CHILD_SA, in->header.message_id,
			N_INVALID_SYNTAX, bytes_of(NULL, 0));
		ike_sa_retire(sa, FINISHED_OTHER); /* fatal (RFC 7296, section 2.21.3) */
		return;
	}
	x = refusal ? NULL : create_new(sa, CREATE_REKEY_IKE, false);
	if (!x) {
		response_notify(sa, EXCHANGE_CREATE_CHILD_SA, in->header.message_id,
			N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
		return;
	}
	x->stage = CREATE_DERIVING;
	x->message_id = in->header.message_id;
	x->ni_len = parts.nonce.len;
	memcpy(x->ni, parts.nonce.data, parts.nonce.len);
	x->nr_len = NONCE_OURS;
	sa->engine->host->random(sa->engine->host, x->nr, x->nr_len);
	choose(x, &parts);
}

static bool build_response(struct create_child *x, struct message_writer *m)
{
	sealed_response_begin(x->ike_sa, m, EXCHANGE_CREATE_CHILD_SA, x->message_id);
	chosen_payload_encode(m, &x->chosen, 8, x->own_spi);
	nonce_payload_encode(m, bytes_of(x->nr, x->nr_len));
	ke_payload_encode(m, x->group->id, bytes_of(x->job->public_value, x->job->public_len));
	return sealed_end(x->ike_sa, m);
}

/* With one of ours under way it is decided later which of the two new SAs stays. */
static void follow(struct create_child *x, struct ike_sa *sa)
{
	struct ike_sa *old = x->ike_sa;

	if (create_find_ours(old, CREATE_REKEY_IKE)) {
		x->stage = CREATE_DONE;
		x->successor = sa->serial;
		sa->replaces = old->serial; /* until it is decided */
		crypto_job_free(x->job);
		x->job = NULL;
		return;
	}
	create_free(x);
	rekey_ike_inherit(old, sa);
}

void rekey_ike_responder_derived(struct create_child *x)
{
	struct ike_sa *old = x->ike_sa, *sa = NULL;
	struct message_writer m;

	if (x->job->result == CRYPTO_JOB_BAD_PEER_VALUE) {
		create_refuse(x, N_INVALID_SYNTAX, bytes_of(NULL, 0));
		ike_sa_retire(old, FINISHED_CRYPTO_FAILED);
		return;
	}
	if (x->job->result == CRYPTO_JOB_OK && build_response(x, &m))
		sa = rekey_ike_make(x);
	if (!sa) {
		create_refuse(x, N_TEMPORARY_FAILURE, bytes_of(NULL, 0));
		return;
	}
	response_send(old, writer_bytes(&m.w));
	follow(x, sa);
}
