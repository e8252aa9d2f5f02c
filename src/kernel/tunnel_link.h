/* Tunnel devices by rtnetlink: one question, one answer, waited for. Private to the room. */
#ifndef KERNEL_TUNNEL_LINK_H
#define KERNEL_TUNNEL_LINK_H

#include "kernel/tunnel_device.h"

struct tunnel_link;

struct tunnel_link *tunnel_link_open(void);
void tunnel_link_close(struct tunnel_link *link);
/* The index of the device, 0: there is none of that name. `*ours`: it was made by this program, now
 * or in an earlier run. -1 with the reason: it is of another kind. */
int tunnel_link_find(struct tunnel_link *link, const struct tunnel_device *wanted, bool *ours,
	char *error, size_t error_size);
/* Makes it and marks it as ours. Its index; -1 with the reason. */
int tunnel_link_make(struct tunnel_link *link, const struct tunnel_device *wanted, char *error,
	size_t error_size);
/* Up, with its MTU. 0 or an errno value, as all below. */
int tunnel_link_set_up(struct tunnel_link *link, int index, uint32_t mtu);
int tunnel_link_remove(struct tunnel_link *link, int index);
/* EEXIST: it was there. */
int tunnel_link_address(struct tunnel_link *link, int index, const struct ip_address *address,
	uint8_t prefix_len, bool add);
int tunnel_link_route(struct tunnel_link *link, int index, const struct ip_subnet *to, bool add);
/* Calls `take` for each device that bears our mark. */
int tunnel_link_each_of_ours(
	struct tunnel_link *link, void (*take)(void *arg, const char *name, int index), void *arg);

#endif
