/* What an IKE SA has to do at which time: lifetimes, liveness, keepalives, retransmission,
 * patience. One timer an SA serves them all. Private. */
#ifndef IKE_DEADLINES_H
#define IKE_DEADLINES_H

#include "ike_sa.h"

/* An SA has been established: its lifetimes and checks begin. */
void deadlines_begin(struct ike_sa *sa);
/* The same for a Child SA; `initiator`: of its exchange, who is the first to rekey. */
void deadlines_child_begin(struct child_sa *child, bool initiator);
/* Its rekeying has failed: tries again while there is time. */
void deadlines_child_again(struct child_sa *child);
/* Its soft limit is reached: it is rekeyed. Its hard limit: it is deleted. */
void deadlines_rekey_child(struct child_sa *child);
void deadlines_child_expired(struct child_sa *child);
/* Sets up a new IKE SA to replace this one with its Child SAs, where the peer can be reached. */
void deadlines_reauthenticate(struct ike_sa *sa);
/* Message IDs or IVs run out: the IKE SA is to be rekeyed (RFC 7296, section 2.2). */
void deadlines_exhaustion(struct ike_sa *sa);
/* The SA that was to replace it has failed: tries again while there is time. */
void deadlines_replace_again(struct ike_sa *sa);
/* Its lifetimes and checks are over; only the Delete's exchange goes on. */
void deadlines_stop(struct ike_sa *sa);
/* Does whatever is due. The SA may be gone afterwards. */
void deadlines_pass(struct ike_sa *sa);
/* The inbound Child SA's counters for a liveness check: `idle_ms` since the last packet. */
void deadlines_traffic_seen(struct ike_sa *sa, uint64_t idle_ms);
/* When NAT is in the way: keepalives from now on (RFC 7296, section 2.23). */
void deadlines_keepalive(struct ike_sa *sa);

#endif
