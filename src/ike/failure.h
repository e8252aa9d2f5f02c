/* How negotiations and SAs come to a bad end, and what is tried afterwards. */
#ifndef IKE_FAILURE_H
#define IKE_FAILURE_H

#include "ike_sa.h"

/* The exchange in flight had no answer in time. Ends the SA. */
void fail_no_response(struct ike_sa *sa);
/* Ends the SA, tells the watcher by `code` and the formatted reason, and plans a revival where the
 * operator wants the connection up. */
void fail_ike_sa(struct ike_sa *sa, enum finish_reason reason, enum ike_rc code, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* ---- revival: a connection that is supposed to remain up is initiated again, after 0, 5, 10 ...
 * seconds -- */
void revival_plan(struct ike_engine *engine, struct connection *c, const struct ip_address *remote,
	unsigned attempt);
/* The operator takes the connection down: nothing more is tried. */
void revival_forget(struct ike_engine *engine, const struct connection *c);
void revival_forget_all(struct ike_engine *engine);

/* An initiation that knows how many failed before. */
void initiate_attempt(struct ike_engine *engine, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher, unsigned attempt, uint64_t replaces);

#endif
