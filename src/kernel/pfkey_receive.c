#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "pfkey.h"

/* At most this many are taken out of the queue between two looks at how full it is. */
#define BATCH 16

struct pfkey_receive {
	struct mmsghdr headers[BATCH];
	struct iovec iov[BATCH];
	_Alignas(8) uint8_t buffers[BATCH][PFKEY_RECEIVE_MAX];
};

struct pfkey_receive *pfkey_receive_new(void)
{
	struct pfkey_receive *r = calloc(1, sizeof(*r));

	for (unsigned i = 0; r && i < BATCH; i++) {
		r->iov[i] = (struct iovec){r->buffers[i], PFKEY_RECEIVE_MAX};
		r->headers[i].msg_hdr = (struct msghdr){.msg_iov = &r->iov[i], .msg_iovlen = 1};
	}
	return r;
}

void pfkey_receive_free(struct pfkey_receive *r)
{
	/* Each message was wiped when it had been taken. */
	free(r);
}

int pfkey_receive(struct pfkey_receive *r, int fd,
	void (*take)(void *arg, const struct pfkey_told *told, struct bytes bytes), void *arg)
{
	int n = recvmmsg(fd, r->headers, BATCH, MSG_DONTWAIT, NULL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct bytes bytes = bytes_of(r->buffers[i], r->headers[i].msg_len);
		struct pfkey_told told;

		if (pfkey_read(bytes, &told))
			take(arg, &told, bytes);
		/* Told SAs have keys in them: our own, and those of others. */
		if (bytes.len > sizeof(struct sadb_msg))
			secret_wipe(r->buffers[i], bytes.len);
	}
	return n;
}
