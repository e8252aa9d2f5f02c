/* Traffic selectors as kernels know them: prefixes of addresses, masks of ports. Private to the
 * room. */
#ifndef KERNEL_SELECTOR_H
#define KERNEL_SELECTOR_H

#include "base/traffic_selector.h"

/* Ports in host order. No padding: equal selectors are equal as memory. For ICMP the type is the
 * source port and the code the destination port, whichever way the message goes. */
struct selector {
	struct ip_address source, destination;
	uint8_t source_len, destination_len; /* bits of the prefixes */
	uint16_t source_port, source_mask, destination_port, destination_mask;
	uint8_t family, protocol; /* 0: any protocol */
};
_Static_assert(sizeof(struct selector) == 2 * sizeof(struct ip_address) + 12, "padding");

/* Of one policy: a range of addresses can need 254 prefixes, a range of ports 30 masks. */
#define SELECTORS_MAX 512

/* What a kernel can say of ports: any mask, or one port or all of them. */
enum selector_ports { SELECTOR_PORT_MASKS, SELECTOR_SINGLE_PORTS };

/* Every pair out of local x remote of one family and protocol, outbound (source is local): writes
 * at most SELECTORS_MAX to an allocated `*out`, which the caller frees. Returns 0, ENOMEM, E2BIG
 * (too many), EOPNOTSUPP (what the kernel has no word for: OPAQUE ports; port, type or code 0 where
 * only single ports can be said) or EINVAL (no pair). */
int selectors_of(const struct traffic_selector *local, unsigned local_count,
	const struct traffic_selector *remote, unsigned remote_count, enum selector_ports ports,
	struct selector **out, unsigned *count);
/* The same seen from the other side. */
struct selector selector_reversed(const struct selector *s);
/* 0 .. 4095: smaller is more specific; of two where one is within the other, the inner has less. */
unsigned selector_width(const struct selector *s);

/* Neighbours are found in clear (RFC 4861 gives their messages a hop limit of 255, which proves
 * that they are on the link): under a policy between hosts, neither IKE nor ESP would find its way.
 * Their solicitations, or advertisements; there is none for IPv4. */
struct selector selector_of_neighbours(bool advertisements);

#endif
