/* Who has policies of a connection installed. Private. */
#ifndef IKE_ROUTING_PRIVATE_H
#define IKE_ROUTING_PRIVATE_H

#include "ike_sa.h"

/* A policy of the (permanent) connection is about to be installed; has been removed. With the last one
 * that goes, whichever engine has it, the connection is unrouted. */
void routing_hold(const struct connection *c);
void routing_release(struct ike_engine *engine, const struct connection *c);
/* An established Child SA of a permanent connection has come, or goes. */
void routing_tunnel(const struct child_sa *child, bool up);

#endif
