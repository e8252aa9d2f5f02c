/* All counters of a channel's SAs by one question: the kernel tells of every SA of the namespace,
 * which costs less than to ask for each, if enough of them are the channel's. Private to the room.
 */
#ifndef KERNEL_XFRM_DUMP_H
#define KERNEL_XFRM_DUMP_H

#include "base/ipsec.h"

struct xfrm_channel;
struct xfrm_dump;

/* IPSEC_SA_QUERY_ALL. False: it is not worth it, or cannot be done. */
bool xfrm_dump_submit(struct xfrm_channel *c, uint64_t token);
/* Reads what there is, a bounded amount; tells counters, and the answers of those that have ended.
 */
void xfrm_dump_poll(struct xfrm_channel *c);
/* How many are not answered. */
uint64_t xfrm_dump_pending(const struct xfrm_dump *dump);
void xfrm_dump_free(struct xfrm_dump *dump);

#endif
