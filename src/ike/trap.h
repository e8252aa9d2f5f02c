/* Traps: what --route installs. A trap is the connection's own policy, which asks when traffic
 * meets it and there is no SA; it is there before the first SA and after the last. While it
 * negotiates packets wait, or pass (negotiationshunt=); after a failure they may pass or be dropped
 * for a while (failureshunt=). A connection that is a shunt has such a policy, too, that never
 * asks. One to a connection, so that no traffic can make more of them. Private. */
#ifndef IKE_TRAP_H
#define IKE_TRAP_H

#include "ike_sa.h"

/* A packet has met a policy without an SA. */
void trap_acquire(struct ike_engine *engine, const struct ipsec_event *event);
/* Something about the connection's SAs here has changed, or may have: brings its trap up to date.
 */
void trap_review(struct ike_engine *engine, const struct connection *c);
/* The operator has taken the connection down: what ended has not failed. */
void trap_calm(struct ike_engine *engine, const struct connection *c);
/* The selectors of the packet that a negotiation is begun for (RFC 7296, section 2.9). False: of
 * none. */
bool trap_trigger(struct ike_engine *engine, const struct connection *c,
	struct traffic_selector *local, struct traffic_selector *remote);
/* Takes it out, if there is one. */
void trap_remove(struct ike_engine *engine, const struct connection *c);
/* Without a request to anybody. */
void trap_forget_all(struct ike_engine *engine);
/* Is it the kernel's answer about a trap? Takes it, then. */
bool trap_answer(struct ike_engine *engine, const struct ipsec_answer *answer);

#endif
