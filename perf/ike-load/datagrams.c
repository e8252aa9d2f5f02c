#include "datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH       64
#define MESSAGE_MAX 16384
#define MARKER_LEN  4

struct slot {
	struct sockaddr_in peer;
	struct iovec iov;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
	uint8_t bytes[MESSAGE_MAX];
};

struct datagrams {
	int fd;
	uint16_t port;
	bool nat;
	unsigned queued;
	struct datagram_counts counts;
	struct mmsghdr in_headers[BATCH], out_headers[BATCH];
	struct slot in[BATCH], out[BATCH];
};

static bool set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static int open_socket(uint16_t port, unsigned buffer)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (!set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) ||
		(buffer && !set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)buffer) &&
			!set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)buffer)) ||
		bind(fd, (struct sockaddr *)&any, sizeof(any))) {
		int cause = errno;

		close(fd);
		errno = cause;
		return -1;
	}
	return fd;
}

static void prepare(struct mmsghdr *header, struct slot *slot)
{
	slot->iov = (struct iovec){slot->bytes, MESSAGE_MAX};
	header->msg_hdr = (struct msghdr){.msg_name = &slot->peer,
		.msg_namelen = sizeof(slot->peer),
		.msg_iov = &slot->iov,
		.msg_iovlen = 1,
		.msg_control = slot->control,
		.msg_controllen = sizeof(slot->control)};
}

struct datagrams *datagrams_open(uint16_t port, bool nat, unsigned buffer)
{
	struct datagrams *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->port = port;
	d->nat = nat;
	d->fd = open_socket(port, buffer);
	if (d->fd < 0) {
		free(d);
		return NULL;
	}
	return d;
}

void datagrams_close(struct datagrams *d)
{
	if (d)
		close(d->fd);
	free(d);
}

int datagrams_fd(const struct datagrams *d)
{
	return d->fd;
}

const struct datagram_counts *datagrams_counts(const struct datagrams *d)
{
	return &d->counts;
}

/* ---- out ------------------------------------------------------------------------- */

static void set_source(struct mmsghdr *header, const struct ip_address *source)
{
	struct in_pktinfo info = {0};
	struct cmsghdr *c = CMSG_FIRSTHDR(&header->msg_hdr);

	memcpy(&info.ipi_spec_dst, source->bytes, 4);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
}

void datagrams_send(struct datagrams *d, const struct ike_path *path, struct bytes message)
{
	size_t marker = d->nat ? MARKER_LEN : 0;
	struct slot *slot;

	if (message.len > MESSAGE_MAX - marker) {
		d->counts.send_errors++;
		return;
	}
	if (d->queued == BATCH)
		datagrams_flush(d);
	slot = &d->out[d->queued];
	prepare(&d->out_headers[d->queued], slot);
	slot->peer =
		(struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(path->remote.port)};
	memcpy(&slot->peer.sin_addr, path->remote.address.bytes, 4);
	set_source(&d->out_headers[d->queued], &path->local.address);
	memset(slot->bytes, 0, marker);
	memcpy(slot->bytes + marker, message.data, message.len);
	slot->iov.iov_len = marker + message.len;
	d->queued++;
}

void datagrams_flush(struct datagrams *d)
{
	unsigned done = 0;

	while (done < d->queued) {
		int n = sendmmsg(d->fd, d->out_headers + done, d->queued - done, 0);

		if (n <= 0) { /* the first one cannot go: lost, as on a network */
			d->counts.send_errors++;
			done++;
			continue;
		}
		for (int i = 0; i < n; i++)
			d->counts.bytes_sent += d->out_headers[done + i].msg_len;
		d->counts.sent += n;
		done += n;
	}
	d->queued = 0;
}

/* ---- in -------------------------------------------------------------------------- */

static bool destination(struct msghdr *header, struct ip_address *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		struct in_pktinfo info;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*out = ip_from_bytes(AF_INET, (const uint8_t *)&info.ipi_addr);
			return true;
		}
	}
	return false;
}

bool datagrams_receive(struct datagrams *d,
	void (*take)(void *arg, const struct ike_path *path, uint8_t *message, size_t len),
	void *arg)
{
	static const uint8_t no_marker[MARKER_LEN];
	size_t marker = d->nat ? MARKER_LEN : 0;
	int n;

	for (unsigned i = 0; i < BATCH; i++)
		prepare(&d->in_headers[i], &d->in[i]);
	n = recvmmsg(d->fd, d->in_headers, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct slot *slot = &d->in[i];
		size_t len = d->in_headers[i].msg_len;
		struct ike_path path = {.non_esp_marker = d->nat, .local.port = d->port};

		d->counts.received++;
		d->counts.bytes_received += len;
		if (d->in_headers[i].msg_hdr.msg_flags & MSG_TRUNC || len < marker ||
			memcmp(slot->bytes, no_marker, marker) ||
			!destination(&d->in_headers[i].msg_hdr, &path.local.address))
			continue;
		path.remote.address = ip_from_bytes(AF_INET, (const uint8_t *)&slot->peer.sin_addr);
		path.remote.port = ntohs(slot->peer.sin_port);
		take(arg, &path, slot->bytes + marker, len - marker);
	}
	return n == BATCH;
}
