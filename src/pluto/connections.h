/* The connections that a command means, by name or by alias. Control thread. */
#ifndef PLUTO_CONNECTIONS_H
#define PLUTO_CONNECTIONS_H

#include "ike/engine.h"

#include <stddef.h>

struct client;
struct pluto;

/* The connection of that name, else all that have it as an alias: a NULL-terminated array of
 * references, to be given back by connections_release. NULL: there is none, or no memory for them.
 */
struct connection **connections_by_name(struct pluto *p, const char *name, bool *by_alias);
void connections_release(struct connection **list);

/* Orients all connections by the addresses that are ours now. */
void connections_orient(struct pluto *p);
/* Takes it out of the catalogue and its SAs and policies down; `watcher` is told when that is done
 * (0: nobody). */
void connection_remove(struct pluto *p, struct connection *c, ike_watcher watcher);

/* Has it routed now, or as soon as it is oriented. What is wrong is told to the client, who waits
 * for the outcome if `wait`. `client` may be NULL. */
void connection_route(struct pluto *p, struct client *client, struct connection *c, bool wait);
/* Its orientation has changed: what the operator wants routed is routed as it is now, or not at
 * all. */
void connection_reroute(struct pluto *p, struct connection *c);

#endif
