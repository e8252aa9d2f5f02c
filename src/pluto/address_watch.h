/* Addresses and network devices that come and go while we run: what is listened on and how
 * connections are oriented follows without --listen, and so do the devices of connections. Control
 * thread. */
#ifndef PLUTO_ADDRESS_WATCH_H
#define PLUTO_ADDRESS_WATCH_H

#include <stdint.h>

struct pluto;

/* Without it all goes on as ever, but for changes that are not heard of: that is logged. */
void address_watch_open(struct pluto *p);
void address_watch_close(struct pluto *p);
/* -1: it is not open. */
int address_watch_fd(const struct pluto *p);
/* Its descriptor is readable. */
void address_watch_read(struct pluto *p);
/* When address_watch_pass has something to do: milliseconds of pluto_now_ms; UINT64_MAX: nothing.
 */
uint64_t address_watch_due(const struct pluto *p);
void address_watch_pass(struct pluto *p);

#endif
