/* What goes with Child SAs beside themselves: routes and the operator's script, which the host sees to
 * (ike_host.updown). Child SAs that follow each other by rekeying share one use of it, so that
 * rekeying runs nothing. Private. */
#ifndef IKE_UPDOWN_H
#define IKE_UPDOWN_H

#include "ike_sa.h"

/* The kernel has the SAs. True: the host is asked, and the Child SA waits for its answer. */
bool updown_begin(struct child_sa *child);
/* The host has answered. The Child SA that may go on, with an error if that is the answer; NULL:
 * none waits for it. */
struct child_sa *updown_answer(struct ike_engine *engine, uint64_t token,
	enum ike_updown_result result, const char *why);
/* `child` is to replace `old`. */
void updown_share(const struct child_sa *old, struct child_sa *child);
/* The kernel has told what a removed SA carried; `child` NULL: it has been freed meanwhile. With the
 * inbound SA's figures a Child SA ends its use. */
void updown_removed(
	struct ike_engine *engine, struct child_sa *child, const struct ipsec_answer *answer);
/* The Child SA is being freed. */
void updown_leave(struct child_sa *child);
/* The connection has a policy before it has an SA: traffic that is to meet it must find its way there. A failure is the
 * host's to log. */
void updown_route(struct ike_engine *engine, const struct connection *c,
	const struct traffic_selector *local_ts, unsigned local_ts_count,
	const struct traffic_selector *remote_ts, unsigned remote_ts_count);
/* The connection's policies are gone. */
void updown_unroute(struct ike_engine *engine, const struct connection *c);
void updown_forget_leavers(struct ike_engine *engine);

#endif
