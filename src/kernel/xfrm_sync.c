/* One request, one answer, waited for: what is done before there are channels, and after. */
#include "xfrm.h"

#include "xfrm_binding.h"

#include <errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WAIT_S 30 /* the first use of an algorithm loads modules */

struct xfrm_sync {
	struct nl_sock *socket;
	struct nl_msg *msg;
	uint32_t sequence;
	uint8_t buffer[32768] __attribute__((aligned(8)));
};

struct xfrm_sync *xfrm_sync_open(char *error, size_t error_size)
{
	struct xfrm_sync *s = calloc(1, sizeof(*s));
	struct timeval wait = {.tv_sec = WAIT_S};
	int result;

	if (!s || !(s->socket = nl_socket_alloc()) ||
		!(s->msg = nlmsg_alloc_size(XFRM_MESSAGE_MAX))) {
		snprintf(error, error_size, "kernel interface \"xfrm\": out of memory");
		xfrm_sync_close(s);
		return NULL;
	}
	result = nl_connect(s->socket, NETLINK_XFRM);
	if (result < 0) {
		snprintf(error, error_size, "kernel interface \"xfrm\": no netlink socket: %s",
			nl_geterror(result));
		xfrm_sync_close(s);
		return NULL;
	}
	(void)setsockopt(nl_socket_get_fd(s->socket), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return s;
}

void xfrm_sync_close(struct xfrm_sync *sync)
{
	if (!sync)
		return;
	nl_socket_free(sync->socket);
	if (sync->msg)
		nlmsg_free(sync->msg);
	free(sync);
}

struct nl_msg *xfrm_sync_msg(struct xfrm_sync *sync)
{
	return sync->msg;
}

typedef void take_item(void *arg, struct nlmsghdr *message);

static int send_built(struct xfrm_sync *s)
{
	struct nlmsghdr *h = nlmsg_hdr(s->msg);

	h->nlmsg_seq = ++s->sequence;
	ssize_t n = send(nl_socket_get_fd(s->socket), h, h->nlmsg_len, 0);
	int error = n < 0 ? errno : 0;

	xfrm_message_wipe(s->msg);
	return error;
}

/* The kernel aligns messages of a dump by 4, their structures want 8. What lay before it has been
 * taken. */
static struct nlmsghdr *align(struct nlmsghdr *h)
{
	size_t over = (uintptr_t)h % 8;
	void *to = (uint8_t *)h - over;

	return over ? memmove(to, h, h->nlmsg_len) : h;
}

/* Until the end of the answer. `take` gets what is no acknowledgement. */
static int await(struct xfrm_sync *s, take_item *take, void *arg)
{
	for (;;) {
		ssize_t n = recv(nl_socket_get_fd(s->socket), s->buffer, sizeof(s->buffer), 0);
		struct nlmsghdr *h, *next = (struct nlmsghdr *)s->buffer;
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? ETIMEDOUT : errno;
		while (nlmsg_ok(h = next, left)) {
			next = nlmsg_next(h, &left);
			if (h->nlmsg_seq != s->sequence)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return -((struct nlmsgerr *)nlmsg_data(h))->error;
			if (take)
				take(arg, align(h));
		}
	}
}

int xfrm_sync_ask(struct xfrm_sync *sync)
{
	int error = send_built(sync);

	return error ? error : await(sync, NULL, NULL);
}

/* ---- removing ours ------------------------------------------------------------------ */

/* Deletions, collected while the kernel lists. */
struct found {
	void *items;
	size_t size;
	unsigned count;
	bool failed;
};

static void *one_more(struct found *found)
{
	if ((found->count & (found->count - 1)) == 0) {
		void *items = reallocarray(
			found->items, found->count ? 2 * (size_t)found->count : 1, found->size);

		if (!items) {
			found->failed = true;
			return NULL;
		}
		found->items = items;
	}
	return (uint8_t *)found->items + found->count++ * found->size;
}

/* What names it, beside the message's head. */
struct found_sa {
	struct xfrm_usersa_id id;
	struct ipsec_mark mark;
};

struct found_policy {
	struct xfrm_userpolicy_id id;
	struct ipsec_mark mark;
	uint32_t interface_id;
};

static void take_sa(void *arg, struct nlmsghdr *message)
{
	struct xfrm_usersa_info *info = xfrm_read_sa(message);
	struct nlattr *attrs[XFRMA_MAX + 1];
	struct found_sa *sa;

	if (!info || info->lft.hard_add_expires_seconds != KERNEL_OURS ||
		nlmsg_parse(message, sizeof(*info), attrs, XFRMA_MAX, NULL) < 0 ||
		!(sa = one_more(arg)))
		return;
	sa->id = (struct xfrm_usersa_id){.daddr = info->id.daddr,
		.spi = info->id.spi,
		.family = info->family,
		.proto = info->id.proto};
	sa->mark = xfrm_read_mark(attrs);
}

static void take_policy(void *arg, struct nlmsghdr *message)
{
	const struct xfrm_userpolicy_info *info = nlmsg_data(message);
	struct nlattr *attrs[XFRMA_MAX + 1];
	struct found_policy *policy;

	if (nlmsg_datalen(message) < (int)sizeof(*info) ||
		info->lft.hard_add_expires_seconds != KERNEL_OURS ||
		nlmsg_parse(message, sizeof(*info), attrs, XFRMA_MAX, NULL) < 0 ||
		!(policy = one_more(arg)))
		return;
	policy->id = (struct xfrm_userpolicy_id){.sel = info->sel, .dir = info->dir};
	policy->mark = xfrm_read_mark(attrs);
	policy->interface_id = xfrm_read_interface(attrs);
}

static int list_ours(struct xfrm_sync *s, uint16_t type, struct found *found)
{
	int error = xfrm_put_dump(s->msg, type);

	if (!error)
		error = send_built(s);
	if (!error)
		error = await(s, type == XFRM_MSG_GETSA ? take_sa : take_policy, found);
	return error ? error : found->failed ? ENOMEM : 0;
}

typedef int remove_item(struct xfrm_sync *s, void *item);

static int put_head(struct nl_msg *msg, uint16_t type, void *head, size_t size)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);

	h->nlmsg_len = NLMSG_HDRLEN;
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	return nlmsg_append(msg, head, size, NLMSG_ALIGNTO) < 0 ? EMSGSIZE : 0;
}

static int remove_sa(struct xfrm_sync *s, void *item)
{
	struct found_sa *sa = item;
	int error = put_head(s->msg, XFRM_MSG_DELSA, &sa->id, sizeof(sa->id));

	if (!error)
		error = xfrm_put_mark(s->msg, &sa->mark);
	return error ? error : xfrm_sync_ask(s);
}

static int remove_policy(struct xfrm_sync *s, void *item)
{
	struct found_policy *policy = item;
	int error = put_head(s->msg, XFRM_MSG_DELPOLICY, &policy->id, sizeof(policy->id));

	if (!error)
		error = xfrm_put_mark(s->msg, &policy->mark);
	if (!error)
		error = xfrm_put_interface(s->msg, policy->interface_id);
	return error ? error : xfrm_sync_ask(s);
}

static int remove_all(
	struct xfrm_sync *s, uint16_t list, remove_item *remove, size_t size, unsigned *removed)
{
	struct found found = {.size = size};
	int error = list_ours(s, list, &found);

	for (unsigned i = 0; !error && i < found.count; i++) {
		error = remove(s, (uint8_t *)found.items + i * size);
		if (error == ESRCH || error == ENOENT) /* gone by itself meanwhile */
			error = 0;
		else if (!error)
			++*removed;
	}
	free(found.items);
	return error;
}

int xfrm_sync_remove_ours(struct xfrm_sync *sync, unsigned *sas, unsigned *policies)
{
	*sas = *policies = 0;
	/* The SAs first: while the policies stand, what they protect is dropped. */
	int error = remove_all(sync, XFRM_MSG_GETSA, remove_sa, sizeof(struct found_sa), sas);

	return error ? error
		     : remove_all(sync, XFRM_MSG_GETPOLICY, remove_policy,
			       sizeof(struct found_policy), policies);
}
