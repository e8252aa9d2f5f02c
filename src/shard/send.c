#include "send.h"

#include "shard_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_LEN       64
#define ARENA_SIZE      (256 * 1024)
#define UDP_PAYLOAD_MAX 65507

struct queued {
	const struct ike_socket *socket; /* NULL: sent */
	struct sockaddr_storage to;
	socklen_t to_len;
	struct iovec bytes;
};

struct send_queue {
	struct queued queued[QUEUE_LEN];
	unsigned count;
	size_t arena_used;
	uint8_t arena[ARENA_SIZE];
};

struct send_queue *send_queue_new(void)
{
	struct send_queue *q = malloc(sizeof *q);
	if (q != NULL) {
		q->count = 0;
		q->arena_used = 0;
	}
	return q;
}

void send_queue_free(struct send_queue *q)
{
	free(q);
}

/* The queue's room for `len` bytes to the path's far end; NULL: cannot be sent. */
static uint8_t *enqueue(struct shard *shard, const struct ike_path *path, size_t len)
{
	const struct ike_socket *socket =
		ike_socket_find(shard->sockets, shard->socket_count, &path->local);
	if (socket == NULL || len > UDP_PAYLOAD_MAX || shard->stopping) {
		tally_add(&shard->tally.send_errors, 1);
		return NULL;
	}
	struct send_queue *q = shard->send;
	if (q->count == QUEUE_LEN || ARENA_SIZE - q->arena_used < len) {
		shard_send_flush(shard);
	}
	struct queued *entry = &q->queued[q->count];
	entry->to_len = ip_to_sockaddr(&path->remote, &entry->to);
	if (entry->to_len == 0) {
		tally_add(&shard->tally.send_errors, 1);
		return NULL;
	}
	entry->socket = socket;
	entry->bytes = (struct iovec){q->arena + q->arena_used, len};
	q->arena_used += len;
	q->count++;
	return entry->bytes.iov_base;
}

void shard_send(struct shard *shard, const struct ike_path *path, struct bytes message)
{
	size_t marker = path->non_esp_marker ? ESP_MARKER_LEN : 0;
	if (message.len > UDP_PAYLOAD_MAX) {
		tally_add(&shard->tally.send_errors, 1);
		return;
	}
	uint8_t *room = enqueue(shard, path, marker + message.len);
	if (room != NULL) {
		memset(room, 0, marker);
		memcpy(room + marker, message.data, message.len);
	}
}

void shard_send_keepalive(struct shard *shard, const struct ike_path *path)
{
	uint8_t *room = enqueue(shard, path, 1);
	if (room != NULL) {
		*room = 0xff;
	}
}

/* Once a second at most: a dead route must not fill the log. */
static void log_error(struct shard *shard, const struct mmsghdr *message, int error)
{
	tally_add(&shard->tally.send_errors, 1);
	if (shard->error_logged_ms != 0 && shard->now_ms - shard->error_logged_ms < 1000) {
		return;
	}
	shard->error_logged_ms = shard->now_ms;
	struct ip_endpoint to;
	char text[IP_RANGE_TEXT_MAX] = "?";
	if (ip_from_sockaddr(message->msg_hdr.msg_name, message->msg_hdr.msg_namelen, &to)) {
		ip_endpoint_text(&to, text);
	}
	log_line(LOG_LINE_ERROR, "shard %u: sending %zu bytes to %s failed: %s", shard->index,
		message->msg_hdr.msg_iov->iov_len, text, strerror(error));
}

static void count_sent(struct shard *shard, const struct mmsghdr *run, unsigned n)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < n; i++) {
		bytes += run[i].msg_len;
	}
	tally_add(&shard->tally.datagrams_out, n);
	tally_add(&shard->tally.bytes_out, bytes);
}

static void send_run(struct shard *shard, int fd, struct mmsghdr *run, unsigned n)
{
	unsigned at = 0;
	bool tried = false;
	while (at < n) {
		int sent = sendmmsg(fd, run + at, n - at, MSG_DONTWAIT);
		if (sent > 0) {
			count_sent(shard, run + at, (unsigned)sent);
			at += (unsigned)sent;
			tried = false;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			tally_add(&shard->tally.send_errors, n - at);
			return;
		} else if (!tried) {
			/* Perhaps an ICMP error that answers an older datagram: told once, now
			 * cleared. */
			tried = true;
		} else {
			log_error(shard, &run[at++], errno);
			tried = false;
		}
	}
}

void shard_send_flush(struct shard *shard)
{
	struct send_queue *q = shard->send;
	struct mmsghdr run[QUEUE_LEN];
	for (unsigned i = 0; i < q->count; i++) {
		const struct ike_socket *socket = q->queued[i].socket;
		unsigned n = 0;
		if (socket == NULL) {
			continue;
		}
		for (unsigned j = i; j < q->count; j++) {
			struct queued *entry = &q->queued[j];
			if (entry->socket == socket) {
				run[n++] = (struct mmsghdr){.msg_hdr = {.msg_name = &entry->to,
								    .msg_namelen = entry->to_len,
								    .msg_iov = &entry->bytes,
								    .msg_iovlen = 1}};
				entry->socket = NULL;
			}
		}
		send_run(shard, socket->fd, run, n);
	}
	q->count = 0;
	q->arena_used = 0;
}
