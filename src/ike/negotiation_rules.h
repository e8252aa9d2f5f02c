/* The choices of a negotiation as pure functions: which proposal, which traffic selectors. */
#ifndef IKE_NEGOTIATION_RULES_H
#define IKE_NEGOTIATION_RULES_H

#include "base/traffic_selector.h"
#include "ike/connection.h"
#include "ike/proposal.h"

/* The first of the peer's proposals (in the peer's order) that a local one allows; within it, of
 * each type the transform that comes first in the local list (RFC 7296, sections 2.7 and 3.3).
 * `want_ke`: a group that the peer has sent a KE value for is preferred among groups otherwise
 * equal (0: none). With `ke_required` false (Child SA within IKE_AUTH) KE transforms are passed
 * over; otherwise a side that has none, or NONE among them, can do without. A proposal with an
 * unknown transform type is not chosen. False: NO_PROPOSAL_CHOSEN. */
bool proposal_choose(const struct proposal_list *local, const struct proposal_list *remote,
	uint8_t protocol, bool ke_required, uint16_t want_ke, struct chosen_proposal *chosen);
/* An initiator's check of the responder's single answer: was exactly this offered? */
bool proposal_accept(const struct proposal_list *offered, const struct proposal_list *answer,
	uint8_t protocol, bool ke_required, struct chosen_proposal *chosen);

/* A connection end's selectors, where a range that is not set, and where there are no selectors at
 * all, means `host`. `out` has room for IPSEC_SELECTORS_MAX. */
unsigned end_selectors(const struct connection_end *end, const struct ip_address *host,
	struct traffic_selector *out);

/* Responder: narrows the proposed selectors to what `mine` allows (RFC 7296, section 2.9). Without
 * `may_narrow` every proposed selector must be allowed whole. When the first of `proposed` is the
 * triggering packet's (a single address within a later one), what contains it comes first.
 * Duplicates and contained ones are left out. False: TS_UNACCEPTABLE. */
bool selectors_narrow(const struct traffic_selector *mine, unsigned mine_count,
	const struct traffic_selector *proposed, unsigned proposed_count, bool may_narrow,
	struct traffic_selector *out, unsigned *out_count);
/* Initiator: the answer must lie within what was proposed. */
bool selectors_accept(const struct traffic_selector *proposed, unsigned proposed_count,
	const struct traffic_selector *answer, unsigned answer_count);
/* "10.1.0.0/24,10.3.0.0/24===10.2.0.0/24". Returns `out`. */
const char *selectors_pair_text(const struct traffic_selector *local, unsigned local_count,
	const struct traffic_selector *remote, unsigned remote_count, char *out, size_t size);

#endif
