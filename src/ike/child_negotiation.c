/* Proposals and traffic selectors of Child SAs. */
#include "child_negotiation.h"

#include "configuration.h"
#include "engine_state.h"
#include "exchange.h"
#include "ike_auth.h"
#include "nat_detection.h"
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

#include <string.h>

struct child_wishes child_wishes_take(const struct payload_list *payloads)
{
	return (struct child_wishes){
		.transport = has_notify(payloads, N_USE_TRANSPORT_MODE),
		.no_tfc = has_notify(payloads, N_ESP_TFC_PADDING_NOT_SUPPORTED),
		.ipcomp = ipcomp_offer_take(payloads),
	};
}

void child_grant(struct child_sa *child, const struct child_wishes *wishes)
{
	child->no_tfc = wishes->no_tfc;
	ipcomp_choose(child, &wishes->ipcomp);
}

void child_notifies_encode(const struct child_sa *child, struct message_writer *m)
{
	struct ike_engine *engine = child->ike_sa->engine;

	if (child->mode == IPSEC_TRANSPORT)
		add_notify(engine, m, N_USE_TRANSPORT_MODE, bytes_of(NULL, 0));
	if (child->connection->refuse_tfc)
		add_notify(engine, m, N_ESP_TFC_PADDING_NOT_SUPPORTED, bytes_of(NULL, 0));
	ipcomp_encode(child, m);
}

const char *child_obstacle(const struct ike_sa *sa, const struct connection *c)
{
	return c->protocol == IPSEC_AH && nat_is_between(sa)
		       ? "AH cannot pass the NAT that is between us and the peer"
		       : NULL;
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

static void replace_address(
	struct traffic_selector *ts, unsigned count, const struct ip_address *address)
{
	for (unsigned i = 0; i < count; i++)
		if (ts[i].range.first.family != address->family ||
			!ip_equal(&ts[i].range.first, &ts[0].range.first) ||
			!ip_equal(&ts[i].range.last, &ts[0].range.first))
			return;
	for (unsigned i = 0; i < count; i++)
		ts[i].range = (struct ip_range){*address, *address};
}

void child_see_through_nat(const struct ike_sa *sa, struct traffic_selector *local,
	unsigned local_count, struct traffic_selector *remote, unsigned remote_count)
{
	if (sa->behind_nat)
		replace_address(local, local_count, &sa->path.local.address);
	if (sa->peer_behind_nat)
		replace_address(remote, remote_count, &sa->path.remote.address);
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
	if (child->mode == IPSEC_TRANSPORT)
		child_see_through_nat(child->ike_sa, tsi, i_count, tsr, r_count);
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
	struct child_wishes wishes = child_wishes_take(&in->payloads);
	static _Thread_local char error[160];
	const char *wrong;

	if (!sa_payload || !payload_find(&in->payloads, PAYLOAD_TSi) ||
		!payload_find(&in->payloads, PAYLOAD_TSr))
		return "the response lacks a SA, TSi or TSr payload";
	if (!sa_payload_decode(
		    sa_payload->body, sa->engine->received, PROPOSALS_MAX, error, sizeof(error)))
		return error;
	if (!proposal_accept(offered, sa->engine->received, child_protocol(child->connection),
		    ke_required, &child->chosen) ||
		!child->chosen.spi)
		return "the chosen proposal is none of those offered";
	wrong = take_selectors(child, in);
	if (!wrong)
		wrong = ipcomp_take_answer(child, &wishes.ipcomp);
	if (wrong)
		return wrong;
	if (wishes.transport != (child->mode == IPSEC_TRANSPORT))
		return child->mode == IPSEC_TRANSPORT ? "the peer did not accept transport mode"
						      : "the peer chose transport mode unasked";
	child->no_tfc = wishes.no_tfc;
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

bool child_narrow(const struct ike_sa *sa, const struct connection *c, bool transport,
	const struct traffic_selector *tsi, unsigned tsi_count, const struct traffic_selector *tsr,
	unsigned tsr_count, struct traffic_selector *local, unsigned *local_count,
	struct traffic_selector *remote, unsigned *remote_count)
{
	struct traffic_selector mine[IPSEC_SELECTORS_MAX], i[SELECTORS_READ], r[SELECTORS_READ];
	unsigned count = configuration_selectors(sa, c, true, mine);

	if (transport && c->mode == IPSEC_TRANSPORT && nat_is_between(sa)) {
		memcpy(i, tsi, tsi_count * sizeof(*tsi));
		memcpy(r, tsr, tsr_count * sizeof(*tsr));
		child_see_through_nat(sa, r, tsr_count, i, tsi_count);
		tsi = i;
		tsr = r;
	}
	if (!selectors_narrow(mine, count, tsr, tsr_count, c->narrowing, local, local_count))
		return false;
	count = configuration_selectors(sa, c, false, mine);
	if (!selectors_narrow(mine, count, tsi, tsi_count, c->narrowing, remote, remote_count))
		return false;
	return !configuration_serves(c) ||
	       keep_families(local, local_count, remote, *remote_count);
}
