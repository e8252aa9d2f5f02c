#include "tunnel_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/ip6vti.h>
#include <netlink/route/link/ipvti.h>
#include <netlink/route/link/xfrmi.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The alias of a device tells who has made it, also after a crash. */
#define ALIAS  "made by plutonium"
#define WAIT_S 5

struct tunnel_link {
	struct nl_sock *socket;
};

struct tunnel_link *tunnel_link_open(void)
{
	struct tunnel_link *l = calloc(1, sizeof(*l));
	struct timeval wait = {.tv_sec = WAIT_S};

	if (!l)
		return NULL;
	l->socket = nl_socket_alloc();
	if (!l->socket || nl_connect(l->socket, NETLINK_ROUTE) < 0) {
		tunnel_link_close(l);
		errno = EIO;
		return NULL;
	}
	(void)setsockopt(nl_socket_get_fd(l->socket), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return l;
}

void tunnel_link_close(struct tunnel_link *link)
{
	if (!link)
		return;
	nl_socket_free(link->socket);
	free(link);
}

/* libnl's errors that callers tell apart. */
static int errno_of(int nl_error)
{
	switch (-nl_error) {
	case 0:
		return 0;
	case NLE_EXIST:
		return EEXIST;
	case NLE_NODEV:
	case NLE_OBJ_NOTFOUND:
		return ENODEV;
	case NLE_NOMEM:
		return ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return EPERM;
	case NLE_OPNOTSUPP:
		return EOPNOTSUPP;
	case NLE_AGAIN:
		return ETIMEDOUT;
	default:
		return nl_error < 0 ? EIO : 0;
	}
}

/* ---- finding ---------------------------------------------------------------------------- */

static const char *kind_name(const struct tunnel_device *d)
{
	if (d->kind == TUNNEL_DEVICE_XFRM)
		return "xfrm";
	return d->local.family == AF_INET6 ? "vti6" : "vti";
}

static bool check_id(
	struct rtnl_link *link, const struct tunnel_device *wanted, char *error, size_t error_size)
{
	uint32_t id = 0;

	if (rtnl_link_xfrmi_get_if_id(link, &id) >= 0 && id == wanted->interface_id)
		return true;
	snprintf(error, error_size, "device %s exists and has if_id %u, not %u", wanted->name, id,
		wanted->interface_id);
	return false;
}

static void get_keys(
	struct rtnl_link *link, const struct tunnel_device *wanted, uint32_t *in, uint32_t *out)
{
	if (wanted->local.family == AF_INET6) {
		rtnl_link_ip6vti_get_ikey(link, in);
		rtnl_link_ip6vti_get_okey(link, out);
	} else {
		*in = rtnl_link_ipvti_get_ikey(link);
		*out = rtnl_link_ipvti_get_okey(link);
	}
	*in = ntohl(*in);
	*out = ntohl(*out);
}

static bool check_keys(
	struct rtnl_link *link, const struct tunnel_device *wanted, char *error, size_t error_size)
{
	uint32_t in = 0, out = 0;

	get_keys(link, wanted, &in, &out);
	if (in == wanted->key_in && out == wanted->key_out)
		return true;
	snprintf(error, error_size, "device %s exists and has the keys %u and %u, not %u and %u",
		wanted->name, in, out, wanted->key_in, wanted->key_out);
	return false;
}

static bool check(
	struct rtnl_link *link, const struct tunnel_device *wanted, char *error, size_t error_size)
{
	const char *kind = rtnl_link_get_type(link);

	if (!kind || strcmp(kind, kind_name(wanted)) != 0) {
		snprintf(error, error_size, "device %s exists and is of type \"%s\", not \"%s\"",
			wanted->name, kind ? kind : "none", kind_name(wanted));
		return false;
	}
	return wanted->kind == TUNNEL_DEVICE_XFRM ? check_id(link, wanted, error, error_size)
						  : check_keys(link, wanted, error, error_size);
}

static bool is_ours(struct rtnl_link *link)
{
	const char *alias = rtnl_link_get_ifalias(link);

	return alias && strcmp(alias, ALIAS) == 0;
}

int tunnel_link_find(struct tunnel_link *l, const struct tunnel_device *wanted, bool *ours,
	char *error, size_t error_size)
{
	struct rtnl_link *link = NULL;
	int result = rtnl_link_get_kernel(l->socket, 0, wanted->name, &link), index = -1;

	*ours = false;
	if (result == -NLE_NODEV || result == -NLE_OBJ_NOTFOUND)
		return 0;
	if (result < 0) {
		snprintf(error, error_size, "device %s cannot be looked for: %s", wanted->name,
			nl_geterror(result));
		return -1;
	}
	if (check(link, wanted, error, error_size)) {
		index = rtnl_link_get_ifindex(link);
		*ours = is_ours(link);
	}
	rtnl_link_put(link);
	return index;
}

/* ---- making ------------------------------------------------------------------------------ */

static struct in6_addr in6_of(const struct ip_address *a)
{
	struct in6_addr out;

	memcpy(&out, a->bytes, sizeof(out));
	return out;
}

static struct rtnl_link *vti6(const struct tunnel_device *d)
{
	struct rtnl_link *link = rtnl_link_ip6vti_alloc();
	struct in6_addr local = in6_of(&d->local), remote = in6_of(&d->remote);

	if (!link)
		return NULL;
	rtnl_link_ip6vti_set_local(link, &local);
	rtnl_link_ip6vti_set_remote(link, &remote);
	rtnl_link_ip6vti_set_ikey(link, htonl(d->key_in));
	rtnl_link_ip6vti_set_okey(link, htonl(d->key_out));
	return link;
}

static struct rtnl_link *vti(const struct tunnel_device *d)
{
	struct rtnl_link *link = rtnl_link_ipvti_alloc();
	uint32_t local, remote;

	if (!link)
		return NULL;
	memcpy(&local, d->local.bytes, sizeof(local));
	memcpy(&remote, d->remote.bytes, sizeof(remote));
	rtnl_link_ipvti_set_local(link, local);
	rtnl_link_ipvti_set_remote(link, remote);
	rtnl_link_ipvti_set_ikey(link, htonl(d->key_in));
	rtnl_link_ipvti_set_okey(link, htonl(d->key_out));
	return link;
}

/* No underlying device is named: the outer packets go where the routes lead them. */
static struct rtnl_link *xfrm_interface(const struct tunnel_device *d)
{
	struct rtnl_link *link = rtnl_link_xfrmi_alloc();

	if (link)
		rtnl_link_xfrmi_set_if_id(link, d->interface_id);
	return link;
}

static int change(struct tunnel_link *l, int index, const char *alias, uint32_t mtu, bool up)
{
	struct rtnl_link *old = rtnl_link_alloc(), *changes = rtnl_link_alloc();
	int result = -NLE_NOMEM;

	if (old && changes) {
		rtnl_link_set_ifindex(old, index);
		if (alias)
			rtnl_link_set_ifalias(changes, alias);
		if (mtu)
			rtnl_link_set_mtu(changes, mtu);
		if (up)
			rtnl_link_set_flags(changes, IFF_UP);
		result = rtnl_link_change(l->socket, old, changes, 0);
	}
	rtnl_link_put(changes);
	rtnl_link_put(old);
	return errno_of(result);
}

static void explain_failure(
	const struct tunnel_device *d, int result, char *error, size_t error_size)
{
	const char *hint = "";

	if (result == -NLE_EXIST)
		hint = d->kind == TUNNEL_DEVICE_XFRM
			       ? ": another device has its if_id"
			       : ": another device has its end points and keys";
	else if (result == -NLE_OPNOTSUPP)
		hint = ": the kernel has no such devices";
	snprintf(error, error_size, "device %s of type \"%s\" cannot be made: %s%s", d->name,
		kind_name(d), nl_geterror(result), hint);
}

int tunnel_link_make(
	struct tunnel_link *l, const struct tunnel_device *d, char *error, size_t error_size)
{
	struct rtnl_link *link = d->kind == TUNNEL_DEVICE_XFRM ? xfrm_interface(d)
				 : d->local.family == AF_INET6 ? vti6(d)
							       : vti(d);
	int result = -NLE_NOMEM, index;
	bool ours;

	if (link) {
		rtnl_link_set_name(link, d->name);
		result = rtnl_link_add(l->socket, link, NLM_F_CREATE | NLM_F_EXCL);
		rtnl_link_put(link);
	}
	if (result < 0) {
		explain_failure(d, result, error, error_size);
		return -1;
	}
	index = tunnel_link_find(l, d, &ours, error, error_size);
	if (index == 0)
		snprintf(error, error_size, "device %s was made and is gone again", d->name);
	if (index <= 0)
		return -1;
	change(l, index, ALIAS, 0, false);
	return index;
}

int tunnel_link_set_up(struct tunnel_link *l, int index, uint32_t mtu)
{
	return change(l, index, NULL, mtu, true);
}

int tunnel_link_remove(struct tunnel_link *l, int index)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int result = -NLE_NOMEM;

	if (link) {
		rtnl_link_set_ifindex(link, index);
		result = rtnl_link_delete(l->socket, link);
		rtnl_link_put(link);
	}
	return errno_of(result);
}

/* ---- addresses and routes ------------------------------------------------------------------ */

static struct nl_addr *nl_address(const struct ip_address *a, uint8_t prefix_len)
{
	struct nl_addr *out = nl_addr_build(a->family, a->bytes, ip_len(a->family));

	if (out)
		nl_addr_set_prefixlen(out, prefix_len);
	return out;
}

int tunnel_link_address(struct tunnel_link *l, int index, const struct ip_address *address,
	uint8_t prefix_len, bool add)
{
	struct rtnl_addr *a = rtnl_addr_alloc();
	struct nl_addr *local = nl_address(address, prefix_len);
	int result = -NLE_NOMEM;

	if (a && local) {
		rtnl_addr_set_ifindex(a, index);
		rtnl_addr_set_local(a, local);
		/* Nobody else could have it there. */
		if (address->family == AF_INET6)
			rtnl_addr_set_flags(a, IFA_F_NODAD);
		result = add ? rtnl_addr_add(l->socket, a, NLM_F_CREATE | NLM_F_EXCL)
			     : rtnl_addr_delete(l->socket, a, 0);
	}
	nl_addr_put(local);
	rtnl_addr_put(a);
	return errno_of(result);
}

static struct rtnl_route *route_of(int index, const struct ip_subnet *to)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *destination = nl_address(&to->address, to->prefix_len);

	if (!route || !hop || !destination) {
		if (hop)
			rtnl_route_nh_free(hop);
		rtnl_route_put(route);
		route = NULL;
	} else {
		rtnl_route_set_family(route, to->address.family);
		rtnl_route_set_dst(route, destination);
		rtnl_route_nh_set_ifindex(hop, index);
		rtnl_route_add_nexthop(route, hop);
	}
	nl_addr_put(destination);
	return route;
}

int tunnel_link_route(struct tunnel_link *l, int index, const struct ip_subnet *to, bool add)
{
	struct rtnl_route *route = route_of(index, to);
	int result = -NLE_NOMEM;

	if (route)
		result = add ? rtnl_route_add(l->socket, route, NLM_F_CREATE | NLM_F_EXCL)
			     : rtnl_route_delete(l->socket, route, 0);
	rtnl_route_put(route);
	return errno_of(result);
}

/* ---- of an earlier run ----------------------------------------------------------------------- */

int tunnel_link_each_of_ours(
	struct tunnel_link *l, void (*take)(void *arg, const char *name, int index), void *arg)
{
	struct nl_cache *links = NULL;
	int result = rtnl_link_alloc_cache(l->socket, AF_UNSPEC, &links);

	if (result < 0)
		return errno_of(result);
	for (struct nl_object *o = nl_cache_get_first(links); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)o;

		if (is_ours(link) && rtnl_link_get_name(link))
			take(arg, rtnl_link_get_name(link), rtnl_link_get_ifindex(link));
	}
	nl_cache_free(links);
	return 0;
}
