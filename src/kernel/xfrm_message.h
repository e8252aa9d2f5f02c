/* Netlink messages of the kernel's XFRM interface, as this backend writes and reads them. A message
 * is built in a `struct nl_msg` that is used again and again: each function begins anew. It may
 * hold keys: xfrm_message_wipe. Private to the room. */
#ifndef KERNEL_XFRM_MESSAGE_H
#define KERNEL_XFRM_MESSAGE_H

#include <linux/xfrm.h>
#include <netlink/msg.h>

#include "base/ipsec.h"

#define XFRM_MESSAGE_MAX 8192

/* How SAs and policies of this program are known among others': time limits are the engine's, so
 * that the kernel's "hard limit since addition" is free to carry this number (of seconds: 42
 * years). */
#define XFRM_OURS 1347179860u

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
struct xfrm_policy_values {
	uint32_t reqid;
	uint8_t action, mode; /* enum ipsec_policy_action, ipsec_mode */
	uint8_t protocol;     /* enum ipsec_protocol; 0: ESP */
	bool trap, route, ipcomp;
	uint32_t priority;
	struct ip_address local, remote;
	struct ipsec_mark mark_in, mark_out;
	uint32_t interface_id;
};
/* Adds or replaces. `selector` is outbound's whatever the direction (XFRM_POLICY_*). */
int xfrm_put_policy(struct nl_msg *msg, uint8_t direction, const struct xfrm_selector *selector,
	const struct xfrm_policy_values *values);
/* A bypass with the highest priority, selector as it is. */
int xfrm_put_bypass(struct nl_msg *msg, uint8_t direction, const struct xfrm_selector *selector);
/* Marks and interface are read of `values`. */
int xfrm_put_policy_delete(struct nl_msg *msg, uint8_t direction,
	const struct xfrm_selector *selector, const struct xfrm_policy_values *values);
/* Asks for all SAs or policies: XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY. */
int xfrm_put_dump(struct nl_msg *msg, uint16_t type);
void xfrm_message_wipe(struct nl_msg *msg);

/* What a policy's priority tells of it. */
bool xfrm_priority_is_trap(uint32_t priority);

/* ---- reading; NULL: too short to be one ---- */
struct xfrm_usersa_info *xfrm_read_sa(struct nlmsghdr *message);
struct ipsec_counters xfrm_read_counters(struct nlmsghdr *message);

#endif
