#include "xfrm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"

#define BATCH 32

struct xfrm_receive {
	struct mmsghdr headers[BATCH];
	struct iovec iov[BATCH];
	uint8_t buffers[BATCH][XFRM_MESSAGE_MAX] __attribute__((aligned(8)));
};

struct xfrm_receive *xfrm_receive_new(void)
{
	struct xfrm_receive *r = calloc(1, sizeof(*r));

	for (unsigned i = 0; r && i < BATCH; i++) {
		r->iov[i] = (struct iovec){r->buffers[i], XFRM_MESSAGE_MAX};
		r->headers[i].msg_hdr = (struct msghdr){.msg_iov = &r->iov[i], .msg_iovlen = 1};
	}
	return r;
}

void xfrm_receive_free(struct xfrm_receive *r)
{
	if (r)
		secret_wipe(r, sizeof(*r));
	free(r);
}

int xfrm_receive(struct xfrm_receive *r, int fd, void (*take)(void *arg, struct nlmsghdr *message),
	void *arg)
{
	int n = recvmmsg(fd, r->headers, BATCH, MSG_DONTWAIT, NULL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)r->buffers[i];
		int left = (int)r->headers[i].msg_len;

		for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
			take(arg, h);
		/* Told SAs have keys in them. */
		if (r->headers[i].msg_len > NLMSG_HDRLEN + sizeof(struct nlmsgerr))
			secret_wipe(r->buffers[i], r->headers[i].msg_len);
	}
	return n;
}
