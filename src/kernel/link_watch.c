#include "kernel/link_watch.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DATAGRAMS_AT_ONCE 64
#define DATAGRAM_MAX      32768
#define RECEIVE_BUFFER    (1 << 20)

struct link_watch {
	struct link_watch_config config;
	struct nl_sock *socket;
	uint8_t buffer[DATAGRAM_MAX] __attribute__((aligned(8)));
};

struct link_watch *link_watch_open(const struct link_watch_config *config)
{
	struct link_watch *w = calloc(1, sizeof(*w));
	int bytes = RECEIVE_BUFFER;

	if (!w)
		return NULL;
	w->config = *config;
	w->socket = nl_socket_alloc();
	if (!w->socket || nl_connect(w->socket, NETLINK_ROUTE) < 0 ||
		nl_socket_set_nonblocking(w->socket) < 0 ||
		nl_socket_add_memberships(
			w->socket, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0) < 0) {
		link_watch_close(w);
		errno = EIO;
		return NULL;
	}
	/* A storm that overflows it all the same is told as such. */
	(void)setsockopt(link_watch_fd(w), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return w;
}

void link_watch_close(struct link_watch *watch)
{
	if (!watch)
		return;
	nl_socket_free(watch->socket);
	free(watch);
}

int link_watch_fd(const struct link_watch *watch)
{
	return nl_socket_get_fd(watch->socket);
}

static void take_link(struct link_watch *w, struct nlmsghdr *h)
{
	struct nlattr *attrs[IFLA_MAX + 1], *name;

	if (nlmsg_parse(h, sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) < 0)
		return;
	name = attrs[IFLA_IFNAME];
	if (name && nla_len(name) > 0 && ((const char *)nla_data(name))[nla_len(name) - 1] == '\0')
		w->config.on_link(w->config.arg, nla_data(name), h->nlmsg_type == RTM_DELLINK);
}

/* True: of an address. */
static bool take(struct link_watch *w, struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (nlmsg_datalen(h) >= (int)sizeof(struct ifinfomsg))
			take_link(w, h);
		return h->nlmsg_type == RTM_DELLINK;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return true;
	default:
		return false;
	}
}

void link_watch_read(struct link_watch *w)
{
	bool addresses = false;

	for (unsigned i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		ssize_t n = recv(link_watch_fd(w), w->buffer, sizeof(w->buffer), 0);
		struct nlmsghdr *h = (struct nlmsghdr *)w->buffer;
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			w->config.on_lost(w->config.arg);
			continue;
		}
		if (n <= 0)
			break;
		for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
			addresses |= take(w, h);
	}
	if (addresses)
		w->config.on_addresses(w->config.arg);
}
