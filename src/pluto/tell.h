/* What both the log and the asking client are told. */
#ifndef PLUTO_TELL_H
#define PLUTO_TELL_H

#include "ike/engine.h"

struct client;

/* `client` may be NULL. */
void tell(struct client *client, enum ike_rc code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
