/* Addresses, routes and neighbours, learned from the kernel: a full picture at the start, changes
 * as they come, and a full picture again when changes were lost or are of the kind that the kernel
 * does not tell in full (a link that goes down takes its routes along in silence). */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/rtnl.h>

#include "base/log.h"
#include "dp.h"

#define BUFFER_SIZE  (4 << 20)
#define MESSAGE_SIZE (64 << 10)
#define USABLE_STATES                                                                              \
	(NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

struct netlink {
	struct dataplane *dp;
	struct nl_sock *events, *asks;
	unsigned dump; /* the next of dumps[] to be asked for */
	bool dumping;
	bool again; /* the picture is spoilt: once more from the start */
	bool ready;
};

static const struct {
	int type, family;
} dumps[] = {
	{RTM_GETADDR, AF_UNSPEC},
	{RTM_GETNEIGH, AF_UNSPEC},
	{RTM_GETROUTE, AF_INET},
	{RTM_GETROUTE, AF_INET6},
};
#define DUMPS (sizeof(dumps) / sizeof(dumps[0]))

/* ---- what interface is which port ---- */

static struct port *port_of_interface(struct dataplane *dp, unsigned interface)
{
	for (unsigned i = 0; i < dp->port_count; i++)
		if (dp->ports[i].twin_fd >= 0 && dp->ports[i].twin_index == interface)
			return &dp->ports[i];
	return NULL;
}

static bool is_link_local(const struct fib_key *key)
{
	const uint8_t *a = (const uint8_t *)&key->address;
	return key->family == AF_INET6 ? a[0] == 0xfe && (a[1] & 0xc0) == 0x80
				       : a[0] == 169 && a[1] == 254;
}

static void release_source(struct retired *retired)
{
	free((char *)retired - offsetof(struct port_source, retired));
}

/* An address that the gateway can speak from on a port: a global one if there is any. */
static void renew_source(struct dataplane *dp, struct port *port)
{
	struct port_source *source = calloc(1, sizeof(*source)), *old = port->source;
	bool local6 = false;
	if (!source)
		return;
	for (const struct fib_entry *e = dp->fib.all; e; e = e->next) {
		if (e->key.kind != FIB_ADDRESS || e->interface != port->twin_index)
			continue;
		if (e->key.family == AF_INET && !source->has4) {
			source->has4 = true;
			source->address4 = e->key.address;
		} else if (e->key.family == AF_INET6 && (!source->has6 || local6)) {
			source->has6 = true;
			local6 = is_link_local(&e->key);
			source->address6 = e->key.address;
		}
	}
	__atomic_store_n(&port->source, source, __ATOMIC_RELEASE);
	if (old)
		grace_retire(&dp->grace, &old->retired, release_source);
}

/* ---- messages ---- */

static void take(struct dataplane *dp, const struct fib_entry *entry, bool add)
{
	if (add && !fib_set(&dp->fib, entry))
		log_line(LOG_LINE_ERROR, "dataplane: no memory for what the kernel's routing says");
	else if (!add)
		fib_remove(&dp->fib, entry);
}

static bool key_from(struct fib_key *key, const struct nlattr *attr, uint8_t family)
{
	size_t len = ip_len(family);
	if (!attr || len == 0 || (size_t)nla_len(attr) < len)
		return false;
	key->family = family;
	key->address = ip_key_of(nla_data(attr), family);
	return true;
}

static void on_address(struct netlink *nl, struct nlmsghdr *header, bool add)
{
	const struct ifaddrmsg *message = nlmsg_data(header);
	struct nlattr *attrs[IFA_MAX + 1];
	struct fib_entry entry = {.key.kind = FIB_ADDRESS};
	if (nlmsg_parse(header, sizeof(*message), attrs, IFA_MAX, NULL) < 0)
		return;
	const struct nlattr *address = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	uint32_t flags = attrs[IFA_FLAGS] ? nla_get_u32(attrs[IFA_FLAGS]) : message->ifa_flags;
	if (!key_from(&entry.key, address, message->ifa_family))
		return;
	entry.interface = message->ifa_index;
	if (flags & IFA_F_DADFAILED)
		add = false;
	take(nl->dp, &entry, add);
	struct port *port = port_of_interface(nl->dp, message->ifa_index);
	if (port)
		renew_source(nl->dp, port);
}

static void on_neighbour(struct netlink *nl, struct nlmsghdr *header, bool add)
{
	const struct ndmsg *message = nlmsg_data(header);
	struct nlattr *attrs[NDA_MAX + 1];
	struct fib_entry entry = {.key.kind = FIB_NEIGHBOUR};
	if (nlmsg_parse(header, sizeof(*message), attrs, NDA_MAX, NULL) < 0)
		return;
	const struct port *port = port_of_interface(nl->dp, (unsigned)message->ndm_ifindex);
	if (!port || !key_from(&entry.key, attrs[NDA_DST], message->ndm_family))
		return;
	entry.key.index = port->index;
	const struct nlattr *mac = attrs[NDA_LLADDR];
	if (!(message->ndm_state & USABLE_STATES) || !mac || nla_len(mac) != RTE_ETHER_ADDR_LEN)
		add = false;
	else
		memcpy(entry.mac, nla_data(mac), RTE_ETHER_ADDR_LEN);
	entry.stale = message->ndm_state & NUD_STALE;
	take(nl->dp, &entry, add);
}

struct next_hop {
	unsigned interface;
	const struct nlattr *gateway, *via;
};

/* One of several next hops is as good as another to start with: the first. */
static bool first_next_hop(const struct nlattr *multipath, struct next_hop *out)
{
	struct rtnexthop *hop = nla_data(multipath);
	struct nlattr *attrs[RTA_MAX + 1];
	int len = nla_len(multipath);
	if (len < (int)sizeof(*hop) || hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > len)
		return false;
	if (nla_parse(attrs, RTA_MAX, (struct nlattr *)(void *)RTNH_DATA(hop),
		    hop->rtnh_len - (int)sizeof(*hop), NULL) < 0)
		return false;
	*out = (struct next_hop){(unsigned)hop->rtnh_ifindex, attrs[RTA_GATEWAY], attrs[RTA_VIA]};
	return true;
}

static void set_gateway(struct fib_entry *entry, const struct next_hop *hop, uint8_t family)
{
	struct fib_key gateway = {.kind = FIB_ROUTE};
	if (hop->gateway && key_from(&gateway, hop->gateway, family)) {
		entry->gateway_family = family;
		entry->gateway = gateway.address;
	} else if (hop->via && nla_len(hop->via) >= 2 + 4) {
		const struct rtvia *via = nla_data(hop->via);
		uint8_t via_family = (uint8_t)via->rtvia_family;
		if ((size_t)nla_len(hop->via) < 2 + ip_len(via_family) || ip_len(via_family) == 0)
			return;
		entry->gateway_family = via_family;
		entry->gateway = ip_key_of(via->rtvia_addr, via_family);
	}
}

static void on_route(struct netlink *nl, struct nlmsghdr *header, bool add)
{
	const struct rtmsg *message = nlmsg_data(header);
	struct nlattr *attrs[RTA_MAX + 1];
	struct fib_entry entry = {.key.kind = FIB_ROUTE, .port = FIB_KERNEL};
	uint8_t family = message->rtm_family;
	if (nlmsg_parse(header, sizeof(*message), attrs, RTA_MAX, NULL) < 0 ||
		ip_len(family) == 0 || message->rtm_dst_len > ip_bits(family))
		return;
	uint32_t table = attrs[RTA_TABLE] ? nla_get_u32(attrs[RTA_TABLE]) : message->rtm_table;
	if (table != RT_TABLE_MAIN || (message->rtm_flags & RTM_F_CLONED) ||
		message->rtm_src_len != 0)
		return;
	entry.key.family = family;
	if (message->rtm_dst_len > 0 && !key_from(&entry.key, attrs[RTA_DST], family))
		return;
	entry.key.len = message->rtm_dst_len;
	entry.key.address = ip_key_prefix(&entry.key.address, entry.key.len);
	entry.table = table;
	entry.metric = attrs[RTA_PRIORITY] ? nla_get_u32(attrs[RTA_PRIORITY]) : 0;
	struct next_hop hop = {0, attrs[RTA_GATEWAY], attrs[RTA_VIA]};
	if (attrs[RTA_OIF])
		hop.interface = nla_get_u32(attrs[RTA_OIF]);
	else if (attrs[RTA_MULTIPATH] && !first_next_hop(attrs[RTA_MULTIPATH], &hop))
		return;
	entry.interface = hop.interface;
	const struct port *port = port_of_interface(nl->dp, hop.interface);
	if (message->rtm_type == RTN_UNICAST && port) {
		entry.port = (uint8_t)port->index;
		set_gateway(&entry, &hop, family);
	}
	take(nl->dp, &entry, add);
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct netlink *nl = arg;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	switch (header->nlmsg_type) {
	case RTM_NEWADDR:
		on_address(nl, header, true);
		break;
	case RTM_DELADDR:
		on_address(nl, header, false);
		nl->again = true;
		break;
	case RTM_NEWNEIGH:
		on_neighbour(nl, header, true);
		break;
	case RTM_DELNEIGH:
		on_neighbour(nl, header, false);
		break;
	case RTM_NEWROUTE:
		on_route(nl, header, true);
		break;
	case RTM_DELROUTE:
		on_route(nl, header, false);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		nl->again = true;
		break;
	}
	return NL_OK;
}

/* ---- full pictures ---- */

static void dump_next(struct netlink *nl)
{
	if (nl->dump == DUMPS) {
		nl->dumping = false;
		fib_sweep(&nl->dp->fib);
		nl->ready = true;
		return;
	}
	if (nl_rtgen_request(nl->events, dumps[nl->dump].type, dumps[nl->dump].family, NLM_F_DUMP) <
		0) {
		nl->dumping = false;
		nl->again = true;
		return;
	}
	nl->dump++;
}

static void dump_start(struct netlink *nl)
{
	nl->again = false;
	nl->dumping = true;
	nl->dump = 0;
	fib_mark(&nl->dp->fib);
	dump_next(nl);
}

static int on_done(struct nl_msg *msg, void *arg)
{
	(void)msg;
	dump_next(arg);
	return NL_OK;
}

static int on_interrupted(struct nl_msg *msg, void *arg)
{
	struct netlink *nl = arg;
	(void)msg;
	nl->again = true;
	return NL_OK;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *arg)
{
	struct netlink *nl = arg;
	(void)from;
	(void)error;
	nl->dumping = false;
	nl->again = true;
	return NL_SKIP;
}

/* ---- life ---- */

struct netlink *netlink_open(struct dataplane *dp, char *error, size_t error_size)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	if (!nl || !(nl->events = nl_socket_alloc()) || !(nl->asks = nl_socket_alloc()))
		goto failed;
	nl->dp = dp;
	nl_socket_disable_seq_check(nl->events);
	nl_socket_modify_cb(nl->events, NL_CB_VALID, NL_CB_CUSTOM, on_message, nl);
	nl_socket_modify_cb(nl->events, NL_CB_FINISH, NL_CB_CUSTOM, on_done, nl);
	nl_socket_modify_cb(nl->events, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_interrupted, nl);
	nl_socket_modify_err_cb(nl->events, NL_CB_CUSTOM, on_error, nl);
	nl_socket_set_msg_buf_size(nl->events, MESSAGE_SIZE);
	if (nl_connect(nl->events, NETLINK_ROUTE) < 0 || nl_connect(nl->asks, NETLINK_ROUTE) < 0)
		goto failed;
	nl_socket_set_buffer_size(nl->events, BUFFER_SIZE, 0);
	if (nl_socket_add_memberships(nl->events, RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
		    RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, 0) < 0)
		goto failed;
	nl_socket_set_nonblocking(nl->events);
	nl_socket_set_nonblocking(nl->asks);
	dump_start(nl);
	return nl;
failed:
	snprintf(error, error_size, "dataplane: cannot listen to the kernel's routing: %s",
		strerror(errno));
	netlink_close(nl);
	return NULL;
}

void netlink_close(struct netlink *nl)
{
	if (!nl)
		return;
	if (nl->events)
		nl_socket_free(nl->events);
	if (nl->asks)
		nl_socket_free(nl->asks);
	free(nl);
}

int netlink_fd(const struct netlink *nl)
{
	return nl_socket_get_fd(nl->events);
}

bool netlink_ready(const struct netlink *nl)
{
	return nl->ready;
}

void netlink_run(struct netlink *nl)
{
	int result;
	do
		result = nl_recvmsgs_default(nl->events);
	while (result >= 0);
	if (result != -NLE_AGAIN && result != -NLE_INTR) { /* above all: changes came too fast */
		nl->dumping = false;
		nl->again = true;
	}
	if (nl->again && !nl->dumping)
		dump_start(nl);
}

void netlink_resolve(
	struct netlink *nl, unsigned port, uint8_t family, const struct ip_key *address)
{
	const struct dataplane *dp = nl->dp;
	struct ndmsg message = {.ndm_family = family, .ndm_flags = NTF_USE};
	if (port >= dp->port_count || dp->ports[port].twin_fd < 0)
		return;
	message.ndm_ifindex = (int)dp->ports[port].twin_index;
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_CREATE);
	if (!msg)
		return;
	if (nlmsg_append(msg, &message, sizeof(message), NLMSG_ALIGNTO) == 0 &&
		nla_put(msg, NDA_DST, (int)ip_len(family), address) == 0)
		nl_send_auto(nl->asks, msg);
	nlmsg_free(msg);
	char ignored[512]; /* errors only: the next packet asks again */
	while (recv(nl_socket_get_fd(nl->asks), ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
		continue;
}
