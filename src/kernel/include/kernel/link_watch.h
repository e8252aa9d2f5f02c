/* What happens to the host's addresses and network devices, as the kernel tells it (rtnetlink). One
 * thread. */
#ifndef KERNEL_LINK_WATCH_H
#define KERNEL_LINK_WATCH_H

#include <stdbool.h>

struct link_watch;

struct link_watch_config {
	void *arg;
	/* An address has come or gone, or a device with addresses: what is there now is to be read
	 * anew. */
	void (*on_addresses)(void *arg);
	/* A device has come, changed or left. */
	void (*on_link)(void *arg, const char *name, bool gone);
	/* Something was lost: anything may have happened. */
	void (*on_lost)(void *arg);
};

/* NULL with errno. Hears of what happens from now on. */
struct link_watch *link_watch_open(const struct link_watch_config *config);
void link_watch_close(struct link_watch *watch);
/* Readable when link_watch_read has work. */
int link_watch_fd(const struct link_watch *watch);
/* Never waits; a bounded number of messages a call. */
void link_watch_read(struct link_watch *watch);

#endif
