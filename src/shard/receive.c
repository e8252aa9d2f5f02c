#include "receive.h"

#include "hand_over.h"
#include "shard_set.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH      32
#define BUFFER_LEN 65536 /* no UDP payload is longer */
#define ERRORS_MAX 32    /* of one socket, each time around the loop */

struct receive_batch {
	struct mmsghdr headers[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
	uint8_t *buffers;
};

struct receive_batch *receive_batch_new(void)
{
	struct receive_batch *b = calloc(1, sizeof *b);
	if (b == NULL) {
		return NULL;
	}
	b->buffers = malloc((size_t)BATCH * BUFFER_LEN);
	if (b->buffers == NULL) {
		free(b);
		return NULL;
	}
	for (unsigned i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){b->buffers + (size_t)i * BUFFER_LEN, BUFFER_LEN};
	}
	return b;
}

void receive_batch_free(struct receive_batch *b)
{
	if (b != NULL) {
		free(b->buffers);
		free(b);
	}
}

/* The IKE message in a payload; false: ESP, a keepalive or too short for either. */
static bool strip_marker(bool nat, uint8_t **payload, size_t *len)
{
	if (!nat) {
		return true;
	}
	static const uint8_t marker[ESP_MARKER_LEN];
	if (*len < ESP_MARKER_LEN || memcmp(*payload, marker, ESP_MARKER_LEN) != 0) {
		return false;
	}
	*payload += ESP_MARKER_LEN;
	*len -= ESP_MARKER_LEN;
	return true;
}

/* The kernel drops what finds the buffer full, whatever it is. Strangers' requests are dropped
 * before it comes to that, which takes a fraction of the time that answering them would; peers that
 * have an SA or a cookie get through. */
static bool overflowing(const struct ike_socket *socket)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t len = sizeof memory;
	if (getsockopt(socket->fd, SOL_SOCKET, SO_MEMINFO, memory, &len) != 0 ||
		len <= SK_MEMINFO_RCVBUF * sizeof memory[0]) {
		return false;
	}
	uint64_t used = memory[SK_MEMINFO_RMEM_ALLOC], size = memory[SK_MEMINFO_RCVBUF];
	return socket->shedding ? used > size / 2 : used > size / 4 * 3;
}

static void take_datagram(struct shard *shard, const struct ike_socket *socket,
	const struct ip_endpoint *remote, uint8_t *payload, size_t len)
{
	struct ike_path path = {
		.local = socket->local, .remote = *remote, .non_esp_marker = socket->nat};
	unsigned owner = steering_owner(&shard->set->steering, socket->nat, payload, len);
	if (!strip_marker(socket->nat, &payload, &len)) {
		tally_add(&shard->tally.not_ike, 1);
	} else if (socket->shedding && ike_message_is_first(bytes_of(payload, len))) {
		tally_add(&shard->tally.shed, 1);
	} else if (owner == shard->index || owner == STEERING_ANY) {
		ike_engine_datagram(shard->engine, &path, payload, len);
	} else {
		shard_hand_over(shard, owner, &path, bytes_of(payload, len));
	}
}

bool shard_receive(struct shard *shard, struct ike_socket *socket)
{
	struct receive_batch *b = shard->receive;
	for (unsigned i = 0; i < BATCH; i++) {
		b->headers[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
			.msg_namelen = sizeof b->from[i],
			.msg_iov = &b->iov[i],
			.msg_iovlen = 1};
	}
	/* An error here is an old datagram's (told by the error queue, too), or there was nothing
	 * after all. */
	int n = recvmmsg(socket->fd, b->headers, BATCH, MSG_DONTWAIT, NULL);
	uint64_t bytes = 0;
	socket->shedding = n == BATCH && overflowing(socket);
	for (int i = 0; i < n; i++) {
		const struct mmsghdr *m = &b->headers[i];
		struct ip_endpoint remote;
		bytes += m->msg_len;
		/* Port 0 cannot be answered. */
		if (ip_from_sockaddr(
			    (struct sockaddr *)&b->from[i], m->msg_hdr.msg_namelen, &remote) &&
			remote.port != 0) {
			take_datagram(shard, socket, &remote, b->iov[i].iov_base, m->msg_len);
		}
	}
	if (n > 0) {
		tally_add(&shard->tally.datagrams_in, (uint64_t)n);
		tally_add(&shard->tally.bytes_in, bytes);
	}
	return n == BATCH;
}

/* ---- ICMP errors ------------------------------------------------------------- */

static size_t offender_len(const struct cmsghdr *c)
{
	return c->cmsg_level == IPPROTO_IPV6 ? sizeof(struct sockaddr_in6)
					     : sizeof(struct sockaddr_in);
}

/* Who says so: the router or host that sent the ICMP message. */
static void origin_text(struct sock_extended_err *e, char out[IP_TEXT_MAX])
{
	struct ip_endpoint origin;
	const struct sockaddr *sa = SO_EE_OFFENDER(e);
	socklen_t len = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						  : sizeof(struct sockaddr_in);
	snprintf(out, IP_TEXT_MAX, "%s", "this host");
	if (ip_from_sockaddr(sa, len, &origin)) {
		ip_text(&origin.address, out);
	}
}

static struct sock_extended_err *icmp_error_of(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		bool ours = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
			    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
		struct sock_extended_err *e = (struct sock_extended_err *)CMSG_DATA(c);
		/* With room for the offender's address behind it */
		if (ours && c->cmsg_len >= CMSG_LEN(sizeof *e + offender_len(c)) &&
			(e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6)) {
			return e;
		}
	}
	return NULL;
}

static void take_error(struct shard *shard, const struct ike_socket *socket,
	const struct ip_endpoint *remote, struct sock_extended_err *e, struct bytes quoted)
{
	struct ike_path path = {
		.local = socket->local, .remote = *remote, .non_esp_marker = socket->nat};
	char origin[IP_TEXT_MAX];
	origin_text(e, origin);
	/* The kernel gives an ICMP error to any socket of a group; what it quotes tells the owner,
	 * if it is long enough. */
	unsigned owner =
		steering_owner_of_sent(&shard->set->steering, socket->nat, quoted.data, quoted.len);
	if (owner == shard->index || owner == STEERING_ANY) {
		ike_engine_network_error(shard->engine, &path, (int)e->ee_errno, origin);
	} else {
		shard_hand_over_error(shard, owner, &path, (int)e->ee_errno, origin);
	}
}

static bool receive_error(struct shard *shard, const struct ike_socket *socket)
{
	uint8_t quoted[256];
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct sockaddr_storage to;
	struct iovec iov = {quoted, sizeof quoted};
	struct msghdr message = {.msg_name = &to,
		.msg_namelen = sizeof to,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control};
	ssize_t len = recvmsg(socket->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
	if (len < 0) {
		return false;
	}
	struct ip_endpoint remote;
	struct sock_extended_err *e = icmp_error_of(&message);
	if (e != NULL && ip_from_sockaddr((struct sockaddr *)&to, message.msg_namelen, &remote)) {
		take_error(shard, socket, &remote, e, bytes_of(quoted, (size_t)len));
	}
	return true;
}

void shard_receive_errors(struct shard *shard, const struct ike_socket *socket)
{
	for (unsigned i = 0; i < ERRORS_MAX && receive_error(shard, socket); i++) {
	}
	/* The socket's own copy of the last error would make the next call fail. */
	int error;
	socklen_t len = sizeof error;
	(void)getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}
