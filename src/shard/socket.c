#include "socket.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* Past the system's limit where we may; what cannot be had is not an error. */
static void set_buffers(int fd, size_t bytes)
{
	int value = bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)bytes;
	if (value == 0) {
		return;
	}
	if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, value)) {
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, value);
	}
	if (!set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, value)) {
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, value);
	}
}

/* IKE messages may be longer than the path's MTU and IKE has no other way than IP fragments (until
 * RFC 7383), so never DF. ICMP errors are wanted with the datagram that they quote. */
static bool set_options(int fd, int family)
{
	if (family == AF_INET) {
		return set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) &&
		       set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
	}
	return set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

static bool bind_to(int fd, const struct listen_address *address, uint16_t port)
{
	struct ip_endpoint local = {address->address, port};
	struct sockaddr_storage sa;
	socklen_t len = ip_to_sockaddr(&local, &sa);
	if (len == 0) {
		errno = EAFNOSUPPORT;
		return false;
	}
	if (ip_is_link_local(&address->address) && address->address.family == AF_INET6) {
		((struct sockaddr_in6 *)&sa)->sin6_scope_id = if_nametoindex(address->interface);
	}
	return bind(fd, (struct sockaddr *)&sa, len) == 0;
}

static int open_bound(const struct socket_group_config *config, bool shared)
{
	int family = config->address->address.family;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	if (fd < 0) {
		return -1;
	}
	set_buffers(fd, config->buffer);
	if (!set_options(fd, family) ||
		!kernel_prepare_socket(config->kernel, fd, (uint8_t)family, config->nat) || (shared && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) ||
		!bind_to(fd, config->address, config->port)) {
		int cause = errno;
		close(fd);
		errno = cause;
		return -1;
	}
	return fd;
}

/* With SO_REUSEPORT a second daemon of the same user would silently join the group and take its
 * share of the packets; without it, it is refused. So ask without it first. */
static bool port_is_free(const struct socket_group_config *config)
{
	int fd = open_bound(config, false);
	if (fd < 0) {
		return false;
	}
	close(fd);
	return true;
}

static struct ike_socket *open_one(const struct socket_group_config *config)
{
	struct ike_socket *s = calloc(1, sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	s->fd = open_bound(config, config->shards > 1);
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	s->nat = config->nat;
	s->fresh = true;
	s->local = (struct ip_endpoint){config->address->address, config->port};
	return s;
}

bool socket_group_open(const struct socket_group_config *config, struct ike_socket **sockets,
	char *error, size_t error_size)
{
	unsigned n = 0;
	bool ok = config->shards == 1 || port_is_free(config);
	while (ok && n < config->shards) {
		sockets[n] = open_one(config);
		ok = sockets[n] != NULL;
		n += ok;
		if (ok && n == 1 && config->shards > 1 && config->steering != NULL) {
			ok = steering_attach(config->steering, config->nat, sockets[0]->fd);
		}
	}
	if (ok) {
		return true;
	}
	int cause = errno;
	struct ip_endpoint local = {config->address->address, config->port};
	char text[IP_RANGE_TEXT_MAX];
	snprintf(error, error_size, "%s: %s", ip_endpoint_text(&local, text), strerror(cause));
	while (n > 0) {
		ike_socket_close(sockets[--n]);
	}
	return false;
}

void ike_socket_close(struct ike_socket *s)
{
	if (s != NULL) {
		close(s->fd);
		free(s);
	}
}

static int compare_endpoints(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	int order = ip_compare(&a->address, &b->address);
	return order != 0 ? order : (int)a->port - (int)b->port;
}

int ike_socket_compare(const struct ike_socket *a, const struct ike_socket *b)
{
	return compare_endpoints(&a->local, &b->local);
}

struct ike_socket *ike_socket_find(
	struct ike_socket *const *sockets, size_t count, const struct ip_endpoint *local)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_endpoints(&sockets[middle]->local, local);
		if (order == 0) {
			return sockets[middle];
		}
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return NULL;
}
