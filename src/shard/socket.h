/* The UDP sockets of a shard: one per listening address and port. Opened by the control thread,
 * because the order in which sockets join a reuseport group is the order of the shards; then used
 * and closed by the shard alone. */
#ifndef SHARD_SOCKET_H
#define SHARD_SOCKET_H

#include "shard/shard.h"
#include "steering.h"

struct ike_socket {
	int fd;
	bool nat;      /* on the NAT-T port: messages carry the non-ESP marker */
	bool fresh;    /* not yet in the shard's epoll set */
	bool shedding; /* its buffer is about to overflow: strangers' requests are dropped unread */
	struct ip_endpoint local;
};

/* One socket a shard on address and port, sockets[i] for shard i. `steering` NULL: the kernel picks
 * by addresses and ports. False with a reason, nothing is open then. */
struct socket_group_config {
	const struct listen_address *address;
	uint16_t port;
	bool nat;
	unsigned shards;
	const struct steering *steering;
	const struct kernel *kernel; /* what the sockets have to get along with */
	size_t buffer; /* bytes, each way; 0: the kernel's default */
};
bool socket_group_open(const struct socket_group_config *config, struct ike_socket **sockets,
	char *error, size_t error_size);
/* NULL is allowed. */
void ike_socket_close(struct ike_socket *socket);
/* By local address, then port. */
int ike_socket_compare(const struct ike_socket *a, const struct ike_socket *b);
/* The one bound to `local` of a sorted list; NULL: none. */
struct ike_socket *ike_socket_find(
	struct ike_socket *const *sockets, size_t count, const struct ip_endpoint *local);

#endif
