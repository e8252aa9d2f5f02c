/* IPComp for Child SAs (RFC 7296, section 2.22): both ends name a CPI, or nothing is compressed.
 * Private. */
#ifndef IKE_IPCOMP_H
#define IKE_IPCOMP_H

#include "child_sa.h"

/* What the peer's IPCOMP_SUPPORTED notifies say. */
struct ipcomp_offer {
	bool any;         /* there is one */
	uint16_t deflate; /* CPI; 0: none with DEFLATE */
};
struct ipcomp_offer ipcomp_offer_take(const struct payload_list *payloads);

/* An initiator's: takes a CPI to be offered, if the connection wants compression and it can be. */
void ipcomp_propose(struct child_sa *child);
/* NULL, or what is wrong with the answer. */
const char *ipcomp_take_answer(struct child_sa *child, const struct ipcomp_offer *answer);
/* A responder's: accepts the offer or leaves it. */
void ipcomp_choose(struct child_sa *child, const struct ipcomp_offer *offer);
/* The notify of ours, if there is anything to be said. */
void ipcomp_encode(const struct child_sa *child, struct message_writer *m);
/* Gives back a CPI that the kernel was never told of. */
void ipcomp_release(struct child_sa *child);

#endif
