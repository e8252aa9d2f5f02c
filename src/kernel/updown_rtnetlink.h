/* Questions to rtnetlink, one at a time. Private to updown. */
#ifndef KERNEL_UPDOWN_RTNETLINK_H
#define KERNEL_UPDOWN_RTNETLINK_H

#include "base/address.h"

#include <linux/rtnetlink.h>

struct rtnetlink {
	int fd;
	uint32_t sequence;
	uint8_t answer[32768];
};

/* A request with room for its attributes. */
struct rtnetlink_request {
	struct nlmsghdr header;
	uint8_t body[512];
};

bool rtnetlink_open(struct rtnetlink *nl); /* errno */
void rtnetlink_close(struct rtnetlink *nl);
/* `fixed` is the message's own head (struct rtmsg, struct ifaddrmsg). */
void rtnetlink_begin(struct rtnetlink_request *r, uint16_t type, uint16_t flags, const void *fixed,
	size_t len);
void rtnetlink_put(struct rtnetlink_request *r, uint16_t type, const void *data, size_t len);
void rtnetlink_put_u32(struct rtnetlink_request *r, uint16_t type, uint32_t value);
void rtnetlink_put_address(
	struct rtnetlink_request *r, uint16_t type, const struct ip_address *a); /* if set */
/* Sends it; `each` (may be NULL) is given every message of the answer. 0 or an errno value. */
int rtnetlink_ask(struct rtnetlink *nl, struct nlmsghdr *request,
	void (*each)(const struct nlmsghdr *m, void *arg), void *arg);
/* The attribute of that type behind a head of `fixed` bytes; NULL: none. */
const struct rtattr *rtnetlink_find(const struct nlmsghdr *m, size_t fixed, uint16_t type);

/* The head behind the header, the value of an attribute. */
static inline const void *rtnetlink_head(const struct nlmsghdr *m)
{
	return (const uint8_t *)m + NLMSG_HDRLEN;
}
static inline const void *rtnetlink_value(const struct rtattr *a)
{
	return (const uint8_t *)a + RTA_LENGTH(0);
}

#endif
