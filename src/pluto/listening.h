/* The addresses that pluto answers on. Control thread. */
#ifndef PLUTO_LISTENING_H
#define PLUTO_LISTENING_H

#include <stdbool.h>

struct pluto;
struct client;

/* Looks at the host's addresses anew, opens and closes sockets, orients all connections. False
 * after `client` (or only the log) was told why none could be opened. */
bool listening_begin(struct pluto *p, struct client *client);
/* Addresses may have come or gone: what is listened on follows, and connections are oriented by it. */
void listening_refresh(struct pluto *p);
void listening_end(struct pluto *p);

#endif
