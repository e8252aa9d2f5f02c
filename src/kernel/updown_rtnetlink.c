#include "updown_rtnetlink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool rtnetlink_open(struct rtnetlink *nl)
{
	struct timeval limit = {.tv_sec = 5};
	int size = 1 << 20;

	nl->sequence = 0;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (nl->fd < 0)
		return false;
	(void)setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0;
}

void rtnetlink_close(struct rtnetlink *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

void rtnetlink_begin(struct rtnetlink_request *r, uint16_t type, uint16_t flags, const void *fixed,
	size_t len)
{
	memset(r, 0, sizeof(*r));
	r->header.nlmsg_type = type;
	r->header.nlmsg_flags = NLM_F_REQUEST | flags;
	r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	memcpy(NLMSG_DATA(&r->header), fixed, len);
}

void rtnetlink_put(struct rtnetlink_request *r, uint16_t type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
	struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)r + at);

	if (at + RTA_SPACE(len) > sizeof(*r))
		return; /* cannot be: all that is put is small */
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

void rtnetlink_put_u32(struct rtnetlink_request *r, uint16_t type, uint32_t value)
{
	rtnetlink_put(r, type, &value, sizeof(value));
}

void rtnetlink_put_address(struct rtnetlink_request *r, uint16_t type, const struct ip_address *a)
{
	if (!ip_is_unset(a))
		rtnetlink_put(r, type, a->bytes, ip_len(a->family));
}

/* 1: more is to come; else 0 or an errno value, negative. */
static int take(const struct nlmsghdr *m, void (*each)(const struct nlmsghdr *m, void *arg), void *arg)
{
	const struct nlmsgerr *error = rtnetlink_head(m);

	if (m->nlmsg_type == NLMSG_DONE)
		return 0;
	if (m->nlmsg_type == NLMSG_ERROR)
		return m->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) ? -EPROTO : error->error;
	if (each)
		each(m, arg);
	return 1;
}

static int receive(struct rtnetlink *nl, uint32_t sequence,
	void (*each)(const struct nlmsghdr *m, void *arg), void *arg)
{
	ssize_t n = recv(nl->fd, nl->answer, sizeof(nl->answer), MSG_TRUNC);
	struct nlmsghdr *m = (struct nlmsghdr *)(void *)nl->answer;
	int left, more = 1;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if ((size_t)n > sizeof(nl->answer))
		return -EMSGSIZE;
	for (left = (int)n; more == 1 && NLMSG_OK(m, (unsigned)left); m = NLMSG_NEXT(m, left))
		if (m->nlmsg_seq == sequence)
			more = take(m, each, arg);
	return more;
}

int rtnetlink_ask(struct rtnetlink *nl, struct nlmsghdr *request,
	void (*each)(const struct nlmsghdr *m, void *arg), void *arg)
{
	int more;

	if ((request->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) /* its bits have other meanings, too */
		request->nlmsg_flags |= NLM_F_ACK;
	request->nlmsg_seq = ++nl->sequence;
	if (send(nl->fd, request, request->nlmsg_len, 0) < 0)
		return errno;
	while ((more = receive(nl, request->nlmsg_seq, each, arg)) == 1)
		;
	return -more;
}

const struct rtattr *rtnetlink_find(const struct nlmsghdr *m, size_t fixed, uint16_t type)
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(fixed);

	while (at + sizeof(struct rtattr) <= m->nlmsg_len) {
		const struct rtattr *a =
			(const struct rtattr *)(const void *)((const uint8_t *)m + at);

		if (a->rta_len < sizeof(*a) || a->rta_len > m->nlmsg_len - at)
			return NULL;
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
		at += RTA_ALIGN(a->rta_len);
	}
	return NULL;
}
