/* Routes and source addresses of ours, in the main table. Private to updown; its thread only. Each call
 * asks the kernel by netlink and waits for its answer, some 10 us. */
#ifndef KERNEL_UPDOWN_ROUTE_H
#define KERNEL_UPDOWN_ROUTE_H

#include "kernel/updown.h"

#include <net/if.h>

struct route_table;
struct route_hold;

/* Where packets to an address go. */
struct route_hop {
	unsigned interface;
	struct ip_address gateway; /* unset: none */
	uint8_t type;              /* RTN_* */
};

struct route_wish {
	struct ip_address me, peer, nexthop, source; /* the latter two may be unset */
	uint32_t metric, mtu;                        /* 0: none */
	const char *device;                          /* "": the one that leads to the peer */
};

/* NULL: no memory, or no netlink (errno). */
struct route_table *route_table_open(void);
/* All holds must be released. */
/* From now on what there is in the kernel stays, whatever is released. */
void route_table_leave(struct route_table *t);
void route_table_close(struct route_table *t);
/* Removes all routes and addresses that bear our number. False with errno. */
bool route_table_flush(struct route_table *t);
/* 0 or an errno value; `from` may be unset. */
int route_lookup(struct route_table *t, const struct ip_address *to, const struct ip_address *from,
	struct route_hop *out);
/* Sees to it that packets to `destination` go as wished for until the hold is released. False with a
 * reason: nothing was changed. *out is NULL where nothing is needed. What is worth a line is logged
 * with the prefix. */
bool route_hold(struct route_table *t, const struct ip_range *destination,
	const struct route_wish *wish, const char *prefix, struct route_hold **out, char *why,
	size_t size);
void route_release(struct route_table *t, struct route_hold *hold); /* NULL is allowed */
/* Routes that are in the kernel. */
uint64_t route_count(const struct route_table *t);

#endif
