/* What IKE_AUTH and CREATE_CHILD_SA agree on for a Child SA: proposals and traffic selectors.
 * Private. */
#ifndef IKE_CHILD_NEGOTIATION_H
#define IKE_CHILD_NEGOTIATION_H

#include "child_sa.h"
#include "ike_sa_init.h"

/* More selectors of a side than one SA takes are read, so that they are refused rather than
 * overlooked. */
#define SELECTORS_READ (2 * IPSEC_SELECTORS_MAX)

/* An initiator's: the connection's selectors are what it proposes. False: no memory. */
bool child_propose_selectors(struct child_sa *child);
/* An initiator's check of what the responder has chosen out of `offered`; the Child SA has it
 * afterwards. NULL, or what is wrong. `ke_required`: as proposal_accept has it. */
const char *child_take_answer(struct child_sa *child, const struct incoming *in,
	const struct proposal_list *offered, bool ke_required);
/* A responder's: what the connection allows of the selectors that the initiator proposes. False:
 * TS_UNACCEPTABLE. */
bool child_narrow(const struct ike_sa *sa, const struct connection *c,
	const struct traffic_selector *tsi, unsigned tsi_count, const struct traffic_selector *tsr,
	unsigned tsr_count, struct traffic_selector *local, unsigned *local_count,
	struct traffic_selector *remote, unsigned *remote_count);

#endif
