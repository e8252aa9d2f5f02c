/* Traffic selectors as the kernel's selectors: prefixes of addresses, masks of ports. Private to
 * the room. */
#ifndef KERNEL_XFRM_SELECTOR_H
#define KERNEL_XFRM_SELECTOR_H

#include <linux/xfrm.h>

#include "base/traffic_selector.h"

/* Of one policy: a range of addresses can need 254 prefixes, a range of ports 30 masks. */
#define XFRM_SELECTORS_MAX 512

/* Every pair out of local x remote of one family and protocol, outbound (source is local): writes
 * at most XFRM_SELECTORS_MAX to an allocated `*out`, which the caller frees. Returns 0, ENOMEM,
 * E2BIG (too many), EOPNOTSUPP (OPAQUE ports, which the kernel does not know) or EINVAL (no pair).
 */
int xfrm_selectors(const struct traffic_selector *local, unsigned local_count,
	const struct traffic_selector *remote, unsigned remote_count, struct xfrm_selector **out,
	unsigned *count);
/* The same seen from the other side. */
struct xfrm_selector xfrm_selector_reversed(const struct xfrm_selector *s);
/* 0 .. 4095: smaller is more specific; of two where one is within the other, the inner has less. */
unsigned xfrm_selector_width(const struct xfrm_selector *s);
xfrm_address_t xfrm_address_of(const struct ip_address *a);
struct ip_address xfrm_address_read(const xfrm_address_t *a, uint16_t family);

#endif
