/* Proposals and traffic selectors of Child SAs. */
#include "child_negotiation.h"

#include "configuration.h"
#include "engine_state.h"
#include "ike_auth.h"
#include "negotiation_rules.h"
#include "trap.h"

#include <string.h>

/* The selector of the packet that made us act comes first (RFC 7296, section 2.9). */
static void put_first(
	struct traffic_selector *ts, unsigned *count, const struct traffic_selector *first)
{
	memmove(ts + 1, ts, *count * sizeof(*ts));
	ts[0] = *first;
	(*count)++;
}

bool child_propose_selectors(struct child_sa *child)
{
	const struct connection *c = child->connection;
	const struct ike_sa *sa = child->ike_sa;
	struct traffic_selector local[IPSEC_SELECTORS_MAX], remote[IPSEC_SELECTORS_MAX];
	unsigned local_count = configuration_selectors(sa, c, true, local);
	unsigned remote_count = configuration_selectors(sa, c, false, remote);
	struct traffic_selector mine, theirs;

	if (local_count < IPSEC_SELECTORS_MAX && remote_count < IPSEC_SELECTORS_MAX &&
		trap_trigger(child->ike_sa->engine, c, &mine, &theirs)) {
		put_first(local, &local_count, &mine);
		put_first(remote, &remote_count, &theirs);
	}
	return child_sa_set_selectors(child, local, local_count, remote, remote_count);
}

static const char *take_selectors(struct child_sa *child, const struct incoming *in)
{
	const struct payload *i = payload_find(&in->payloads, PAYLOAD_TSi),
			     *r = payload_find(&in->payloads, PAYLOAD_TSr);
	struct traffic_selector tsi[IPSEC_SELECTORS_MAX], tsr[IPSEC_SELECTORS_MAX];
	unsigned i_count, r_count;

	if (!ts_payload_decode(i->body, tsi, IPSEC_SELECTORS_MAX, &i_count) ||
		!ts_payload_decode(r->body, tsr, IPSEC_SELECTORS_MAX, &r_count))
		return "the traffic selectors are malformed";
	if (!selectors_accept(child_local_ts(child), child->local_ts_count, tsi, i_count) ||
		!selectors_accept(child_remote_ts(child), child->remote_ts_count, tsr, r_count))
		return "the traffic selectors are wider than those proposed";
	if (!configuration_narrow(child, tsi, &i_count))
		return "the traffic selectors lack the address that the peer has given us";
	if (!child_sa_set_selectors(child, tsi, i_count, tsr, r_count))
		return "out of memory";
	return NULL;
}

const char *child_take_answer(struct child_sa *child, const struct incoming *in,
	const struct proposal_list *offered, bool ke_required)
{
	const struct payload *sa_payload = payload_find(&in->payloads, PAYLOAD_SA);
	struct ike_sa *sa = child->ike_sa;
	static _Thread_local char error[160];
	const char *wrong;

	if (!sa_payload || !payload_find(&in->payloads, PAYLOAD_TSi) ||
		!payload_find(&in->payloads, PAYLOAD_TSr))
		return "the response lacks a SA, TSi or TSr payload";
	if (!sa_payload_decode(
		    sa_payload->body, sa->engine->received, PROPOSALS_MAX, error, sizeof(error)))
		return error;
	if (!proposal_accept(offered, sa->engine->received,
		    child->connection->protocol == IPSEC_AH ? PROTOCOL_AH : PROTOCOL_ESP,
		    ke_required, &child->chosen) ||
		!child->chosen.spi)
		return "the chosen proposal is none of those offered";
	wrong = take_selectors(child, in);
	if (wrong)
		return wrong;
	if (has_notify(&in->payloads, N_USE_TRANSPORT_MODE) != (child->mode == IPSEC_TRANSPORT))
		return child->mode == IPSEC_TRANSPORT ? "the peer did not accept transport mode"
						      : "the peer chose transport mode unasked";
	child->out_spi = child->chosen.spi;
	child->udp_encapsulation = sa->encapsulate;
	return NULL;
}

/* Of ours only what meets an address of the peer's. */
static bool keep_families(struct traffic_selector *local, unsigned *local_count,
	const struct traffic_selector *remote, unsigned remote_count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < *local_count; i++) {
		for (unsigned r = 0; r < remote_count; r++) {
			if (remote[r].range.first.family == local[i].range.first.family) {
				local[kept++] = local[i];
				break;
			}
		}
	}
	*local_count = kept;
	return kept;
}

bool child_narrow(const struct ike_sa *sa, const struct connection *c,
	const struct traffic_selector *tsi, unsigned tsi_count, const struct traffic_selector *tsr,
	unsigned tsr_count, struct traffic_selector *local, unsigned *local_count,
	struct traffic_selector *remote, unsigned *remote_count)
{
	struct traffic_selector mine[IPSEC_SELECTORS_MAX];
	unsigned count = configuration_selectors(sa, c, true, mine);

	if (!selectors_narrow(mine, count, tsr, tsr_count, c->narrowing, local, local_count))
		return false;
	count = configuration_selectors(sa, c, false, mine);
	if (!selectors_narrow(mine, count, tsi, tsi_count, c->narrowing, remote, remote_count))
		return false;
	return !configuration_serves(c) ||
	       keep_families(local, local_count, remote, *remote_count);
}
