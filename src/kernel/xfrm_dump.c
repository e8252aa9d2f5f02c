#include "xfrm_dump.h"

#include <errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "xfrm.h"

#define WORTH_IT_FROM 64 /* SAs of the channel, */
#define WORTH_IT_PART 8  /* and that part of all that this program has */
#define DUMP_ROUNDS   4  /* each time around the loop */
#define WAITING_MAX   64

struct xfrm_dump {
	struct nl_sock *socket;
	uint32_t sequence;
	bool running;
	uint64_t tokens[WAITING_MAX]; /* the first one is that of the dump that runs */
	unsigned waiting;
	/* Messages of a dump are aligned by 4, their structures want 8. */
	uint8_t aligned[XFRM_MESSAGE_MAX] __attribute__((aligned(8)));
};

static struct xfrm_dump *dump_new(struct xfrm_channel *c)
{
	struct xfrm_dump *d = calloc(1, sizeof(*d));
	struct epoll_event event = {.events = EPOLLIN};

	if (!d)
		return NULL;
	d->socket = nl_socket_alloc();
	if (!d->socket || nl_connect(d->socket, NETLINK_XFRM) < 0 ||
		nl_socket_set_nonblocking(d->socket) < 0 ||
		epoll_ctl(c->epoll, EPOLL_CTL_ADD, nl_socket_get_fd(d->socket), &event) != 0) {
		xfrm_dump_free(d);
		return NULL;
	}
	return d;
}

void xfrm_dump_free(struct xfrm_dump *dump)
{
	if (!dump)
		return;
	nl_socket_free(dump->socket);
	secret_wipe(dump, sizeof(*dump));
	free(dump);
}

uint64_t xfrm_dump_pending(const struct xfrm_dump *dump)
{
	return dump ? dump->waiting : 0;
}

static int begin(struct xfrm_channel *c)
{
	struct xfrm_dump *d = c->dump;
	struct nlmsghdr *h = nlmsg_hdr(c->msg);
	int error = xfrm_put_dump(c->msg, XFRM_MSG_GETSA);

	if (error)
		return error;
	h->nlmsg_seq = ++d->sequence;
	if (send(nl_socket_get_fd(d->socket), h, h->nlmsg_len, 0) < 0)
		return errno;
	d->running = true;
	return 0;
}

/* Of the first one. */
static void end(struct xfrm_channel *c, int error)
{
	struct xfrm_dump *d = c->dump;
	struct ipsec_answer answer = {
		.op = IPSEC_SA_QUERY_ALL, .token = d->tokens[0], .error = error};

	d->running = false;
	memmove(d->tokens, d->tokens + 1, --d->waiting * sizeof(d->tokens[0]));
	c->channel.config.on_answer(c->channel.config.arg, &answer);
}

bool xfrm_dump_submit(struct xfrm_channel *c, uint64_t token)
{
	uint64_t own = table_count(c->sas), all = __atomic_load_n(&c->xfrm->sas, __ATOMIC_RELAXED);

	if (own < WORTH_IT_FROM || own < all / WORTH_IT_PART || !c->channel.config.on_counters)
		return false;
	if (!c->dump)
		c->dump = dump_new(c);
	if (!c->dump || c->dump->waiting == WAITING_MAX)
		return false;
	c->dump->tokens[c->dump->waiting++] = token;
	if (c->dump->waiting > 1 || begin(c) == 0)
		return true;
	c->dump->waiting = 0;
	return false;
}

static void take_sa(struct xfrm_channel *c, struct nlmsghdr *message)
{
	struct xfrm_dump *d = c->dump;
	struct nlmsghdr *copy = (struct nlmsghdr *)d->aligned;
	struct xfrm_usersa_info info;
	const struct xfrm_sa *sa;

	if (nlmsg_datalen(message) < (int)sizeof(info) || message->nlmsg_len > sizeof(d->aligned))
		return;
	memcpy(&info, nlmsg_data(message), sizeof(info));
	sa = xfrm_sa_of_info(c, &info);
	if (!sa || !sa->id)
		return;
	memcpy(copy, message, message->nlmsg_len);
	struct ipsec_counted counted = {
		.id = sa->id,
		.direction = (enum ipsec_direction)sa->direction,
		.counters = xfrm_read_counters(copy),
	};
	secret_wipe(d->aligned, message->nlmsg_len); /* keys */
	c->channel.config.on_counters(c->channel.config.arg, d->tokens[0], &counted);
}

static void take(void *arg, struct nlmsghdr *message)
{
	struct xfrm_channel *c = arg;
	struct xfrm_dump *d = c->dump;

	if (!d->running || message->nlmsg_seq != d->sequence)
		return;
	if (message->nlmsg_type == XFRM_MSG_NEWSA)
		take_sa(c, message);
	else if (message->nlmsg_type == NLMSG_DONE)
		end(c, 0);
	else if (message->nlmsg_type == NLMSG_ERROR)
		end(c, EIO);
}

void xfrm_dump_poll(struct xfrm_channel *c)
{
	struct xfrm_dump *d = c->dump;

	for (unsigned round = 0; d && d->running && round < DUMP_ROUNDS; round++) {
		int n = xfrm_receive(c->receive, nl_socket_get_fd(d->socket), take, c);

		if (n < 0 && d->running)
			end(c, -n); /* what still comes of it has another number than the next */
		if (n <= 0)
			break;
	}
	while (d && d->waiting && !d->running) {
		int error = begin(c);

		if (!error)
			return;
		end(c, error);
	}
}
