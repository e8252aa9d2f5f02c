/* What IKE_AUTH and CREATE_CHILD_SA agree on for a Child SA: proposals and traffic selectors.
 * Private. */
#ifndef IKE_CHILD_NEGOTIATION_H
#define IKE_CHILD_NEGOTIATION_H

#include "child_sa.h"
#include "ike_sa_init.h"
#include "ipcomp.h"

/* More selectors of a side than one SA takes are read, so that they are refused rather than
 * overlooked. */
#define SELECTORS_READ (2 * IPSEC_SELECTORS_MAX)

/* What beside proposals and selectors a peer says about a Child SA, by notifies. */
struct child_wishes {
	bool transport; /* USE_TRANSPORT_MODE */
	bool no_tfc;    /* ESP_TFC_PADDING_NOT_SUPPORTED */
	struct ipcomp_offer ipcomp;
};
struct child_wishes child_wishes_take(const struct payload_list *payloads);
/* A responder's: what is granted of them, for a Child SA whose mode is settled. */
void child_grant(struct child_sa *child, const struct child_wishes *wishes);
/* Ours, in request or response. */
void child_notifies_encode(const struct child_sa *child, struct message_writer *m);
/* Why there can be no Child SA of the connection with this peer; NULL: there can. */
const char *child_obstacle(const struct ike_sa *sa, const struct connection *c);
static inline uint8_t child_protocol(const struct connection *c)
{
	return c->protocol == IPSEC_AH ? PROTOCOL_AH : PROTOCOL_ESP;
}

/* An initiator's: the connection's selectors are what it proposes. False: no memory. */
bool child_propose_selectors(struct child_sa *child);
/* An initiator's check of what the responder has chosen out of `offered`; the Child SA has it
 * afterwards. NULL, or what is wrong. `ke_required`: as proposal_accept has it. */
const char *child_take_answer(struct child_sa *child, const struct incoming *in,
	const struct proposal_list *offered, bool ke_required);
/* In transport mode an end that is behind a NAT has two addresses. It proposes its own, the other
 * end sees the NAT's; each goes by what it sees (RFC 7296, section 2.23.1). Selectors of a single
 * address get the one that the IKE SA has on this side; others stay, and will not fit. */
void child_see_through_nat(const struct ike_sa *sa, struct traffic_selector *local,
	unsigned local_count, struct traffic_selector *remote, unsigned remote_count);
/* A responder's: what the connection allows of the selectors that the initiator proposes, who asks
 * for `transport` mode or not. At most SELECTORS_READ of each. False: TS_UNACCEPTABLE. */
bool child_narrow(const struct ike_sa *sa, const struct connection *c, bool transport,
	const struct traffic_selector *tsi, unsigned tsi_count, const struct traffic_selector *tsr,
	unsigned tsr_count, struct traffic_selector *local, unsigned *local_count,
	struct traffic_selector *remote, unsigned *remote_count);

#endif
