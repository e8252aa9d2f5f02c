/* Routes: policies that stay when their SA goes, so that what a connection protects is dropped
 * rather than sent in clear, until the operator takes the connection down for good. */
#ifndef IKE_ROUTE_H
#define IKE_ROUTE_H

#include "ike_sa.h"

/* The child's policy is being installed for its (permanent) connection. Where the peer narrows otherwise
 * than before, the older policies stay besides: what they cover is dropped, not opened. */
void route_remember(struct ike_engine *engine, const struct child_sa *child);
/* Removes the policies, if there are any; with `unused`, only those that no Child SA here uses. */
void route_remove(struct ike_engine *engine, const struct connection *c, bool unused);
void route_forget_all(struct ike_engine *engine);

#endif
