/* Netlink messages of the kernel's XFRM interface, as this backend writes and reads them. A message
 * is built in a `struct nl_msg` that is used again and again: each function begins anew. It may
 * hold keys: xfrm_message_wipe. Private to the room. */
#ifndef KERNEL_XFRM_MESSAGE_H
#define KERNEL_XFRM_MESSAGE_H

#include <linux/xfrm.h>
#include <netlink/msg.h>

#include "base/ipsec.h"
#include "policies.h"

#define XFRM_MESSAGE_MAX 8192

/* The address that the kernel files an SA under. */
struct xfrm_key {
	struct ip_address destination;
	uint32_t spi; /* host order */
	uint8_t protocol;
	struct ipsec_mark mark; /* without it the kernel does not find the SA */
};

/* All return 0 or an errno value. */
int xfrm_put_sa_add(struct nl_msg *msg, const struct ipsec_sa *sa);
/* The IPComp SA that goes with it. In tunnel mode that one makes the tunnel, so that what is too
 * small to be compressed is carried all the same, and the SA proper is in transport mode beneath
 * it. */
int xfrm_put_ipcomp_add(struct nl_msg *msg, const struct ipsec_sa *sa);
/* type: XFRM_MSG_GETSA, XFRM_MSG_DELSA. */
int xfrm_put_sa_key(struct nl_msg *msg, uint16_t type, const struct xfrm_key *key);
/* An SA as the kernel told it, with other end points: keys, counters and replay state stay. `state`
 * is the kernel's whole message. The outbound sequence number leaps, because a packet may have been
 * sent since the kernel was asked, and no counter value may be used twice (RFC 4106, section 3.1).
 */
int xfrm_put_sa_moved(struct nl_msg *msg, struct nlmsghdr *state, const struct ipsec_sa *moved);
/* Adds or replaces. `selector` is outbound's whatever the direction (XFRM_POLICY_*). */
int xfrm_put_policy(struct nl_msg *msg, uint8_t direction, const struct selector *selector,
	const struct policy_values *values);
/* A bypass with the highest priority, selector as it is. */
int xfrm_put_bypass(struct nl_msg *msg, uint8_t direction, const struct selector *selector);
/* Marks and interface are read of `values`. */
int xfrm_put_policy_delete(struct nl_msg *msg, uint8_t direction,
	const struct selector *selector, const struct policy_values *values);
/* Asks for all SAs or policies: XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY. */
int xfrm_put_dump(struct nl_msg *msg, uint16_t type);
void xfrm_message_wipe(struct nl_msg *msg);

/* ---- reading; NULL: too short to be one ---- */
struct xfrm_usersa_info *xfrm_read_sa(struct nlmsghdr *message);
xfrm_address_t xfrm_address_of(const struct ip_address *a);
struct ip_address xfrm_address_read(const xfrm_address_t *a, uint16_t family);
struct ipsec_counters xfrm_read_counters(struct nlmsghdr *message);

#endif
