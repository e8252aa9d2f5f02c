/* How negotiations and SAs come to a bad end. Private. */
#ifndef IKE_FAILURE_H
#define IKE_FAILURE_H

#include "ike_sa.h"

/* The exchange in flight had no answer in time. Ends the SA. */
void fail_no_response(struct ike_sa *sa);
/* Ends the SA, tells the watcher by `code` and the formatted reason, and plans a revival where the
 * operator wants the connection up. */
void fail_ike_sa(struct ike_sa *sa, enum finish_reason reason, enum ike_rc code, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* Begins a new IKE SA of ours; `replaces`: the serial of the one that goes when it is established,
 * or 0. */
/* On an IKE SA that is there already, if one suits, else on a new one. `remote` as above. */
void initiate_connection(struct ike_engine *engine, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher);
void initiate_sa(struct ike_engine *engine, struct connection *c, const struct ip_address *remote,
	ike_watcher watcher, uint64_t replaces);

#endif
