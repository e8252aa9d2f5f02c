/* The host's own addresses, read once by netlink. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>

#include "kernel/kernel.h"

struct list {
	struct local_address *at;
	size_t count, capacity;
	struct nl_cache *links;
	bool failed;
};

static void add_address(struct nl_object *object, void *arg)
{
	struct list *list = arg;
	struct rtnl_addr *address = (struct rtnl_addr *)object;
	struct nl_addr *local = rtnl_addr_get_local(address);
	int family = rtnl_addr_get_family(address);
	if (!local || (family != AF_INET && family != AF_INET6) ||
		nl_addr_get_len(local) != ip_len((uint8_t)family))
		return;
	/* An address that is not ours yet, or turned out to be somebody else's. */
	if (rtnl_addr_get_flags(address) & (IFA_F_TENTATIVE | IFA_F_DADFAILED))
		return;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		struct local_address *at = reallocarray(list->at, capacity, sizeof(*at));
		if (!at) {
			list->failed = true;
			return;
		}
		list->at = at;
		list->capacity = capacity;
	}
	struct local_address *out = &list->at[list->count++];
	memset(out, 0, sizeof(*out));
	out->address = ip_from_bytes((uint8_t)family, nl_addr_get_binary_addr(local));
	out->interface_index = (unsigned)rtnl_addr_get_ifindex(address);
	if (!rtnl_link_i2name(list->links, rtnl_addr_get_ifindex(address), out->interface,
		    sizeof(out->interface)))
		out->interface[0] = 0;
}

bool local_addresses(struct local_address **out, size_t *count)
{
	struct list list = {0};
	struct nl_cache *addresses = NULL;
	struct nl_sock *sock = nl_socket_alloc();
	int error = ENOMEM;
	*out = NULL;
	*count = 0;
	if (!sock)
		goto end;
	error = EIO;
	if (nl_connect(sock, NETLINK_ROUTE) < 0 ||
		rtnl_link_alloc_cache(sock, AF_UNSPEC, &list.links) < 0 ||
		rtnl_addr_alloc_cache(sock, &addresses) < 0)
		goto end;
	nl_cache_foreach(addresses, add_address, &list);
	error = list.failed ? ENOMEM : 0;
end:
	if (addresses)
		nl_cache_free(addresses);
	if (list.links)
		nl_cache_free(list.links);
	if (sock)
		nl_socket_free(sock);
	if (error) {
		free(list.at);
		errno = error;
		return false;
	}
	*out = list.at;
	*count = list.count;
	return true;
}
