/* The addresses that pluto answers on. Control thread. */
#ifndef PLUTO_LISTENING_H
#define PLUTO_LISTENING_H

#include <stdbool.h>

struct pluto;
struct client;

/* Looks at the host's addresses anew, opens and closes sockets, orients all connections. False
 * after `client` (or only the log) was told why none could be opened. */
bool listening_begin(struct pluto *p, struct client *client);
void listening_end(struct pluto *p);

#endif
