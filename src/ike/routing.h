/* Where a connection becomes routed, and where it ceases to be. Private. */
#ifndef IKE_ROUTING_PRIVATE_H
#define IKE_ROUTING_PRIVATE_H

#include "ike_sa.h"

/* A policy of the (permanent) connection is about to be installed; has been removed. The first of
 * them routes the connection, the last one that goes unroutes it, whichever engine has it. */
void routing_hold(struct ike_engine *engine, const struct connection *c);
void routing_release(struct ike_engine *engine, const struct connection *c);
/* An established Child SA of a permanent connection has come, or goes. */
void routing_tunnel(const struct child_sa *child, bool up);

#endif
