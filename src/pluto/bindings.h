/* What a connection's binding (ike/binding.h) needs of the host: devices, marks of its own, a
 * device that does ESP. Control thread. */
#ifndef PLUTO_BINDINGS_H
#define PLUTO_BINDINGS_H

#include "ike/connection.h"

struct pluto;

/* False when devices cannot be looked after. */
bool bindings_open(struct pluto *p);
void bindings_close(struct pluto *p);
/* Gives marks that are to be unique their values. Before the connection is shared. */
void bindings_number(struct pluto *p, struct connection *c);
/* Before an oriented connection, not shared yet, takes its place: its device is there, and it is
 * known whether the host's does ESP. False with the reason in words. Again for the same serial: no
 * harm. */
bool bindings_attach(struct pluto *p, struct connection *c, char *error, size_t error_size);
/* The connection is deleted. */
void bindings_detach(struct pluto *p, const struct connection *c);
/* Once in a while: devices that nobody uses any more go. */
void bindings_tidy(struct pluto *p);

#endif
