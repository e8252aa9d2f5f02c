/* mangle MESSAGES COUNT SEED RATE SOURCE TARGET: sends COUNT truncated and mutated IKE messages to a daemon.
 *
 * MESSAGES is a file of: destination port (2 bytes, network order), length (2 bytes, network order), message (on
 * port 4500 with its non-ESP marker). First every truncation of every message is sent, then random changes of random
 * messages. Prints how many datagrams went out. At most RATE datagrams a second. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGES_MAX 256
#define LENGTH_MAX   2048
#define BATCH        32
#define HEADER       28
#define CHANGES_MAX  6

struct message {
	uint16_t port, length;
	uint8_t bytes[LENGTH_MAX];
};

static struct message messages[MESSAGES_MAX], batch[BATCH];
static unsigned message_count, batch_count;
static uint64_t state, sent, wanted, rate;
static struct timespec begun;
static int fd;
static struct in_addr target;

static uint64_t random64(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned below(unsigned n)
{
	return n ? (unsigned)(random64() % n) : 0;
}

static void fail(const char *what)
{
	fprintf(stderr, "mangle: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_messages(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint16_t head[2];

	if (!file)
		fail(path);
	while (message_count < MESSAGES_MAX && fread(head, sizeof(head), 1, file) == 1) {
		struct message *m = &messages[message_count++];

		m->port = ntohs(head[0]);
		m->length = ntohs(head[1]);
		if (m->length > LENGTH_MAX || fread(m->bytes, 1, m->length, file) != m->length) {
			fprintf(stderr, "mangle: %s: message %u is too long or cut off\n", path, message_count);
			exit(1);
		}
	}
	fclose(file);
	if (!message_count) {
		fprintf(stderr, "mangle: %s has no message\n", path);
		exit(1);
	}
}

/* ---- sending -------------------------------------------------------------- */

static void wait_for_turn(void)
{
	struct timespec now, pause;
	int64_t due_us = (int64_t)(sent * 1000000 / rate), us;

	clock_gettime(CLOCK_MONOTONIC, &now);
	us = (now.tv_sec - begun.tv_sec) * 1000000ll + (now.tv_nsec - begun.tv_nsec) / 1000;
	if (us >= due_us)
		return;
	pause.tv_sec = (due_us - us) / 1000000;
	pause.tv_nsec = (due_us - us) % 1000000 * 1000;
	nanosleep(&pause, NULL);
}

static void flush_batch(void)
{
	struct mmsghdr headers[BATCH] = {0};
	struct sockaddr_in to[BATCH] = {0};
	struct iovec iov[BATCH];
	unsigned done = 0;

	for (unsigned i = 0; i < batch_count; i++) {
		to[i].sin_family = AF_INET;
		to[i].sin_port = htons(batch[i].port);
		to[i].sin_addr = target;
		iov[i] = (struct iovec){batch[i].bytes, batch[i].length};
		headers[i].msg_hdr = (struct msghdr){
			.msg_name = &to[i], .msg_namelen = sizeof(to[i]), .msg_iov = &iov[i], .msg_iovlen = 1};
	}
	wait_for_turn();
	while (done < batch_count) {
		int n = sendmmsg(fd, headers + done, batch_count - done, 0);

		if (n < 0 && errno != EINTR && errno != ENOBUFS && errno != ECONNREFUSED)
			fail("sendmmsg");
		if (n > 0)
			done += (unsigned)n;
	}
	sent += batch_count;
	batch_count = 0;
}

static struct message *next_place(void)
{
	if (batch_count == BATCH)
		flush_batch();
	return &batch[batch_count++];
}

/* ---- changing ------------------------------------------------------------- */

static unsigned ike_at(const struct message *m)
{
	return m->port == 4500 && m->length >= 4 ? 4 : 0;
}

static void change(struct message *m)
{
	unsigned at = below(m->length), n, from;

	if (!m->length)
		return;
	switch (below(8)) {
	case 0:
		m->bytes[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		m->bytes[at] = (uint8_t)random64();
		break;
	case 2: /* a length or a count that is too large, too small */
		m->bytes[at] = (uint8_t[]){0, 1, 4, 7, 0x7f, 0x80, 0xfe, 0xff}[below(8)];
		break;
	case 3:
		m->length = (uint16_t)at;
		break;
	case 4: /* junk behind it */
		for (n = below(64); n && m->length < LENGTH_MAX; n--)
			m->bytes[m->length++] = (uint8_t)random64();
		break;
	case 5: /* a piece of it over another piece */
		from = below(m->length);
		n = below(m->length - (at > from ? at : from)) + 1;
		memmove(m->bytes + at, m->bytes + from, n);
		break;
	case 6: /* a piece of another message in its place */
	{
		const struct message *other = &messages[below(message_count)];

		from = below(other->length);
		n = below(other->length - from) + 1;
		if (n > m->length - at)
			n = m->length - at;
		memcpy(m->bytes + at, other->bytes + from, n);
		break;
	}
	default: /* a field of the header: next payload, version, exchange, flags, message ID */
		at = ike_at(m) + 16 + below(8);
		if (at < m->length)
			m->bytes[at] = (uint8_t)(below(2) ? below(256) : m->bytes[at] + 1u);
		break;
	}
}

/* As most hostile messages would look: consistent in what is easy to get right. */
static void mend(struct message *m)
{
	unsigned at = ike_at(m), length;

	if (m->length < at + HEADER)
		return;
	if (below(4)) {
		length = m->length - at;
		m->bytes[at + 24] = 0;
		m->bytes[at + 25] = 0;
		m->bytes[at + 26] = (uint8_t)(length >> 8);
		m->bytes[at + 27] = (uint8_t)length;
	}
	if (at && below(8))
		memset(m->bytes, 0, 4);
	/* An initiator nobody has heard of. */
	if (m->bytes[at + 18] == 34 && below(2))
		for (unsigned i = 0; i < 8; i++)
			m->bytes[at + i] = (uint8_t)random64();
}

static void send_truncations(void)
{
	for (unsigned i = 0; i < message_count && sent < wanted; i++)
		for (unsigned length = 0; length < messages[i].length; length++) {
			struct message *m = next_place();

			*m = messages[i];
			m->length = (uint16_t)length;
			if (below(2))
				mend(m);
		}
}

static void send_mutations(void)
{
	while (sent + batch_count < wanted) {
		struct message *m = next_place();

		*m = messages[below(message_count)];
		for (unsigned n = 1 + below(CHANGES_MAX); n; n--)
			change(m);
		if (below(2))
			mend(m);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in from = {.sin_family = AF_INET};

	if (argc != 7 || !inet_aton(argv[5], &from.sin_addr) || !inet_aton(argv[6], &target)) {
		fprintf(stderr, "usage: mangle MESSAGES COUNT SEED RATE SOURCE TARGET\n");
		return 2;
	}
	read_messages(argv[1]);
	wanted = strtoull(argv[2], NULL, 0);
	state = strtoull(argv[3], NULL, 0);
	rate = strtoull(argv[4], NULL, 0);
	if (!rate)
		return 2;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		fail("socket");
	clock_gettime(CLOCK_MONOTONIC, &begun);
	send_truncations();
	send_mutations();
	flush_batch();
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}
