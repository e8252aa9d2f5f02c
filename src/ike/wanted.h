/* What the operator wants up, and keeps wanting: a connection that was initiated and not taken down
 * since. When its last SA here goes, whoever ended it, it is initiated again, after 0, 5, 10 ...
 * seconds. Private. */
#ifndef IKE_WANTED_H
#define IKE_WANTED_H

#include "ike_sa.h"

/* The operator has initiated it. Begins to count attempts anew. */
void wanted_add(struct ike_engine *engine, struct connection *c, const struct ip_address *remote);
/* Nothing could be begun now: tries again a little later, if it is wanted. */
void wanted_later(
	struct ike_engine *engine, const struct connection *c, const struct ip_address *remote);
/* It waits for its next attempt: that begins now. False: it does not, or is not wanted. */
bool wanted_hurry(struct ike_engine *engine, const struct connection *c);
/* Is there an SA (`but_by` not counted) that serves the connection, or is about to? */
bool connection_is_served(const struct ike_engine *engine, const struct connection *c,
	const struct ip_address *remote, const struct ike_sa *but_by);
bool connection_is_wanted(struct ike_engine *engine, const struct connection *c,
	const struct ip_address *remote);
/* The operator has taken it down: nothing more is tried. */
void wanted_forget(struct ike_engine *engine, const struct connection *c);
void wanted_forget_all(struct ike_engine *engine);
/* Another engine's SA of the connection has gone, which may have been what this one's made way for. */
void wanted_gone_elsewhere(struct ike_engine *engine, const struct ike_news *news);
/* The SA no longer serves its connection (it became a zombie, or goes without having been one). */
void wanted_sa_gone(struct ike_sa *sa);

#endif
