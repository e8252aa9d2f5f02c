#include "xfrm.h"

#include <errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "xfrm_dump.h"
#include "xfrm_request.h"

#define OUT_MAX        32768 /* bytes sent in one call: half of the send buffer that libnl sets */
#define RECEIVE_BUFFER (4 << 20)
#define RECEIVE_ROUNDS 32 /* each time around the loop */
/* What an answer takes of the receive queue, as the kernel counts it: an acknowledgement, and an SA
 * that is told. */
#define ACK_COST  1024
#define TOLD_COST 5120

/* ---- queues --------------------------------------------------------------------- */

static void push_back(struct xfrm_channel *c, struct xfrm_request *r)
{
	r->next = NULL;
	*c->last = r;
	c->last = &r->next;
}

static void push_front(struct xfrm_channel *c, struct xfrm_request *r)
{
	r->next = c->first;
	if (!c->first)
		c->last = &r->next;
	c->first = r;
}

static struct xfrm_request *pop(struct xfrm_channel *c)
{
	struct xfrm_request *r = c->first;

	c->first = r->next;
	if (!c->first)
		c->last = &c->first;
	return r;
}

static void finish(struct xfrm_channel *c, struct xfrm_request *r, int error)
{
	r->error = error;
	r->next = NULL;
	*c->done_last = r;
	c->done_last = &r->next;
}

/* ---- sending -------------------------------------------------------------------- */

static size_t cost_of(uint8_t kind)
{
	return kind == FLIGHT_GET ? TOLD_COST : ACK_COST;
}

static struct xfrm_flight *flight_at(struct xfrm_channel *c, uint32_t sequence)
{
	return &c->flights[sequence & (XFRM_FLIGHTS - 1)];
}

static void send_out(struct xfrm_channel *c)
{
	if (c->out_len == 0)
		return;
	ssize_t n = send(nl_socket_get_fd(c->socket), c->out, c->out_len, 0);

	if (n < 0) {
		/* The kernel has no memory: nothing of it was done, and no answer will come. */
		__atomic_fetch_add(&c->xfrm->stats.overruns, 1, __ATOMIC_RELAXED);
		c->send_error = errno;
	}
	secret_wipe(c->out, c->out_len);
	c->out_len = 0;
}

/* The message that was built, or one that was kept, goes out with the next ones. */
static void fly(struct xfrm_channel *c, struct xfrm_request *r, uint8_t kind, const void *message,
	size_t len)
{
	uint32_t sequence = ++c->sequence;
	struct xfrm_flight *f = flight_at(c, sequence);
	struct nlmsghdr *h;

	if (c->out_len + NLMSG_ALIGN(len) > OUT_MAX)
		send_out(c);
	h = (struct nlmsghdr *)(c->out + c->out_len);
	memcpy(h, message, len);
	h->nlmsg_seq = sequence;
	c->out_len += NLMSG_ALIGN(len);
	*f = (struct xfrm_flight){r, sequence, kind};
	r->outstanding++;
	c->in_flight++;
	c->awaited += cost_of(kind);
}

/* `error`: that of building it. */
static void fly_built(struct xfrm_channel *c, struct xfrm_request *r, uint8_t kind, int error)
{
	if (error == 0)
		fly(c, r, kind, nlmsg_hdr(c->msg), nlmsg_hdr(c->msg)->nlmsg_len);
	else if (!r->error)
		r->error = error;
	xfrm_message_wipe(c->msg);
}

struct change {
	struct xfrm_channel *channel;
	struct xfrm_request *request;
};

static void on_policy_change(void *arg, enum policy_way way, const struct selector *selector,
	const struct policy_values *values, bool present)
{
	static const uint8_t directions[] = {
		[POLICY_OUT] = XFRM_POLICY_OUT,
		[POLICY_IN] = XFRM_POLICY_IN,
		[POLICY_FORWARD] = XFRM_POLICY_FWD,
	};
	uint8_t direction = directions[way];
	struct change *change = arg;
	struct xfrm_channel *c = change->channel;
	int error = present ? xfrm_put_policy(c->msg, direction, selector, values)
			    : xfrm_put_policy_delete(c->msg, direction, selector, values);

	fly_built(c, change->request, FLIGHT_POLICY, error);
}

static void send_policy(struct xfrm_channel *c, struct xfrm_request *r)
{
	struct change change = {c, r};
	struct policies *policies = c->xfrm->policies;
	int error;

	if (r->request.op == IPSEC_POLICY_ADD)
		error = policies_add(policies, &r->values, r->selectors, r->selector_count,
			r->again, on_policy_change, &change);
	else
		error = policies_remove(policies, &r->values, r->selectors, r->selector_count,
			r->again, on_policy_change, &change);
	if (error && !r->error)
		r->error = error;
}

static void send_moved(struct xfrm_channel *c, struct xfrm_request *r, const struct xfrm_sa *sa)
{
	const struct ipsec_sa *to = &r->request.sa;
	struct xfrm_key old = xfrm_sa_key(sa);
	struct change change = {c, r};
	/* Built first: what cannot be put elsewhere stays where it is. */
	int error = xfrm_put_sa_moved(c->msg, (struct nlmsghdr *)r->bytes, to);
	size_t len = nlmsg_hdr(c->msg)->nlmsg_len;
	uint8_t moved[XFRM_MESSAGE_MAX] __attribute__((aligned(8)));

	if (error) {
		r->error = error;
		return;
	}
	memcpy(moved, nlmsg_hdr(c->msg), len);
	fly_built(c, r, FLIGHT_DELETE, xfrm_put_sa_key(c->msg, XFRM_MSG_DELSA, &old));
	fly(c, r, FLIGHT_ADD, moved, len);
	secret_wipe(moved, len);
	if (sa->cpi && r->ipcomp) {
		struct xfrm_key ipcomp = xfrm_sa_ipcomp_key(sa);

		fly_built(c, r, FLIGHT_DELETE_IPCOMP,
			xfrm_put_sa_key(c->msg, XFRM_MSG_DELSA, &ipcomp));
		fly(c, r, FLIGHT_ADD, r->ipcomp, r->ipcomp_len);
	}
	if (to->direction == IPSEC_OUTBOUND)
		policies_move(c->xfrm->policies, to->reqid, &to->local.address,
			&to->remote.address, on_policy_change, &change);
}

/* One step of adding an SA that has an IPComp SA. What follows must meet both, or none. */
static void send_with_ipcomp(
	struct xfrm_channel *c, struct xfrm_request *r, const struct xfrm_sa *sa)
{
	struct xfrm_key key = xfrm_sa_ipcomp_key(sa);

	c->barrier = r;
	if (r->step == STEP_IPCOMP)
		fly(c, r, FLIGHT_ADD, r->ipcomp, r->ipcomp_len);
	else if (r->step == STEP_IPCOMP_VERIFY)
		fly_built(c, r, FLIGHT_GET, xfrm_put_sa_key(c->msg, XFRM_MSG_GETSA, &key));
	else if (r->step == STEP_UNWIND)
		fly_built(
			c, r, FLIGHT_DELETE_IPCOMP, xfrm_put_sa_key(c->msg, XFRM_MSG_DELSA, &key));
	else
		fly(c, r, FLIGHT_ADD, r->bytes, r->len);
}

static void send_sa(struct xfrm_channel *c, struct xfrm_request *r)
{
	struct xfrm_sa *sa = xfrm_request_sa(c, r);
	struct xfrm_key key;

	if (!sa) {
		r->error = ESRCH;
		return;
	}
	key = xfrm_sa_key(sa);
	if (r->request.op == IPSEC_SA_ADD && r->ipcomp && r->step != STEP_VERIFY) {
		send_with_ipcomp(c, r, sa);
		return;
	}
	if (r->request.op == IPSEC_SA_ADD && r->step == STEP_FIRST) {
		fly(c, r, FLIGHT_ADD, r->bytes, r->len);
		return;
	}
	if (r->step == STEP_SECOND) {
		send_moved(c, r, sa);
		return;
	}
	fly_built(c, r, FLIGHT_GET, xfrm_put_sa_key(c->msg, XFRM_MSG_GETSA, &key));
	if (r->request.op == IPSEC_SA_DELETE) {
		fly_built(c, r, FLIGHT_DELETE, xfrm_put_sa_key(c->msg, XFRM_MSG_DELSA, &key));
		key = xfrm_sa_ipcomp_key(sa);
		if (sa->cpi)
			fly_built(c, r, FLIGHT_DELETE_IPCOMP,
				xfrm_put_sa_key(c->msg, XFRM_MSG_DELSA, &key));
	} else if (!r->check && r->request.op != IPSEC_SA_QUERY)
		c->barrier = r; /* what follows must meet the SA as it will be */
}

/* How many messages it can take. */
static unsigned messages_of(const struct xfrm_channel *c, const struct xfrm_request *r)
{
	if (xfrm_request_is_policy(r))
		return 3 * r->selector_count;
	if (r->step == STEP_SECOND)
		return 4 + policies_count(c->xfrm->policies, r->request.sa.reqid);
	return 3;
}

static bool has_room(const struct xfrm_channel *c, const struct xfrm_request *r)
{
	unsigned messages = messages_of(c, r);

	if (c->in_flight == 0)
		return true;
	return c->in_flight + messages <= XFRM_FLIGHTS &&
	       c->awaited + TOLD_COST + messages * ACK_COST <= c->window;
}

static void step_done(struct xfrm_channel *c, struct xfrm_request *r);

static void flush(struct xfrm_channel *c)
{
	bool locked = false;

	while (c->first && !c->barrier) {
		struct xfrm_request *r = c->first;

		if (!locked && (xfrm_request_is_policy(r) || r->step == STEP_SECOND)) {
			policies_lock(c->xfrm->policies);
			locked = true;
		}
		if (!has_room(c, r))
			break;
		pop(c);
		if (xfrm_request_is_policy(r))
			send_policy(c, r);
		else
			send_sa(c, r);
		if (r->outstanding == 0)
			step_done(c, r);
	}
	send_out(c);
	if (locked)
		policies_unlock(c->xfrm->policies);
}

/* ---- answers ---------------------------------------------------------------------- */

static void check_limits(
	struct xfrm_channel *c, struct xfrm_request *r, const struct xfrm_usersa_info *info)
{
	struct xfrm_sa *sa = xfrm_request_sa(c, r);

	if (!sa || sa->last)
		return;
	if (!info)
		xfrm_event_expired(c, sa, true, &r->counters);
	else if (info->curlft.bytes >= info->lft.soft_byte_limit ||
		 info->curlft.packets >= info->lft.soft_packet_limit)
		xfrm_event_expired(c, sa, false, NULL);
}

static void take_told(struct xfrm_channel *c, struct xfrm_request *r, struct nlmsghdr *message)
{
	struct xfrm_usersa_info *info = xfrm_read_sa(message);

	if (!info) {
		r->told_error = EBADMSG;
		return;
	}
	r->told_error = 0;
	r->told_reqid = info->reqid;
	r->counters = xfrm_read_counters(message);
	if (r->check)
		check_limits(c, r, info);
	if (r->request.op != IPSEC_SA_MOVE)
		return;
	if (r->bytes)
		secret_wipe(r->bytes, r->len);
	free(r->bytes);
	r->len = message->nlmsg_len;
	r->bytes = malloc(r->len);
	if (r->bytes)
		memcpy(r->bytes, message, r->len);
	else
		r->told_error = ENOMEM;
}

static void flight_back(
	struct xfrm_channel *c, uint32_t sequence, int error, struct nlmsghdr *message)
{
	struct xfrm_flight *f = flight_at(c, sequence);
	struct xfrm_request *r = f->request;

	if (!r || f->sequence != sequence)
		return;
	f->request = NULL;
	c->in_flight--;
	c->awaited -= cost_of(f->kind);
	if (f->kind == FLIGHT_GET) {
		if (message)
			take_told(c, r, message);
		else
			r->told_error = error;
	} else if (error && !r->error &&
		   /* of the old place, and of what is gone already */
		   !(f->kind == FLIGHT_DELETE && r->request.op == IPSEC_SA_MOVE) &&
		   f->kind != FLIGHT_DELETE_IPCOMP &&
		   !(f->kind == FLIGHT_POLICY && error == ENOENT)) {
		r->error = error;
	}
	if (--r->outstanding == 0)
		step_done(c, r);
}

static int verified(const struct xfrm_request *r)
{
	return r->told_error ? r->told_error : r->told_reqid == r->request.sa.reqid ? 0 : EEXIST;
}

/* True: there is a next step, of adding an SA that has an IPComp SA. */
static bool ipcomp_step_done(struct xfrm_channel *c, struct xfrm_request *r)
{
	if (r->step == STEP_UNWIND) {
		r->error = r->refused;
		return false;
	}
	if (r->step == STEP_IPCOMP_VERIFY)
		r->error = verified(r);
	if (r->step == STEP_IPCOMP && r->error == EEXIST && r->again) {
		r->step = STEP_IPCOMP_VERIFY;
	} else if (r->step == STEP_IPCOMP || r->step == STEP_IPCOMP_VERIFY) {
		if (r->error)
			return false;
		r->step = STEP_FIRST;
	} else if (r->error && r->ipcomp) {
		r->refused = r->error;
		r->step = STEP_UNWIND;
	} else {
		return false;
	}
	r->error = 0;
	push_front(c, r);
	return true;
}

static void add_done(struct xfrm_channel *c, struct xfrm_request *r)
{
	struct xfrm_sa *sa = xfrm_request_sa(c, r);

	if (r->step == STEP_FIRST && r->error == EEXIST && r->again) {
		r->step = STEP_VERIFY;
		r->error = 0;
		push_front(c, r);
		return;
	}
	if (r->step == STEP_VERIFY)
		r->error = verified(r);
	if (ipcomp_step_done(c, r))
		return;
	if (r->error && sa)
		xfrm_sa_remove(c, sa);
	finish(c, r, r->error);
}

static void delete_done(struct xfrm_channel *c, struct xfrm_request *r)
{
	struct xfrm_sa *sa = xfrm_request_sa(c, r);

	if (r->error == ESRCH && sa && sa->last) {
		r->counters = *sa->last;
		r->error = 0;
	} else if (r->error == ESRCH && r->again) {
		r->error = 0;
	}
	if (sa)
		xfrm_sa_remove(c, sa);
	if (r->request.sa.direction == IPSEC_INBOUND)
		kernel_channel_release_cpi(&c->channel, r->request.sa.ipcomp_cpi);
	finish(c, r, r->error);
}

static void move_done(struct xfrm_channel *c, struct xfrm_request *r)
{
	struct xfrm_sa *sa = xfrm_request_sa(c, r);

	if (r->step == STEP_FIRST && !r->error && !r->told_error) {
		r->step = STEP_SECOND;
		push_front(c, r);
		return;
	}
	if (!r->error)
		r->error = r->told_error;
	if (r->error == EEXIST && r->again)
		r->error = 0;
	if (r->error)
		log_line(LOG_LINE_ERROR, "XFRM: the SA with SPI 0x%08x cannot be moved: %s",
			r->request.sa.spi, strerror(r->error));
	else if (sa) {
		sa->local = r->request.sa.local.address;
		sa->remote = r->request.sa.remote.address;
	}
	finish(c, r, r->error);
}

static void query_done(struct xfrm_channel *c, struct xfrm_request *r)
{
	if (r->check && r->told_error == ESRCH)
		check_limits(c, r, NULL);
	finish(c, r, r->error ? r->error : r->told_error);
}

static void step_done(struct xfrm_channel *c, struct xfrm_request *r)
{
	if (c->barrier == r)
		c->barrier = NULL;
	switch (r->request.op) {
	case IPSEC_SA_ADD:
		add_done(c, r);
		break;
	case IPSEC_SA_DELETE:
		delete_done(c, r);
		break;
	case IPSEC_SA_MOVE:
		move_done(c, r);
		break;
	case IPSEC_SA_QUERY:
	case IPSEC_SA_QUERY_ALL: /* never in flight here */
		query_done(c, r);
		break;
	case IPSEC_POLICY_ADD:
	case IPSEC_POLICY_DELETE:
		finish(c, r, r->error);
		break;
	}
}

static void take_message(void *arg, struct nlmsghdr *message)
{
	if (message->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = nlmsg_data(message);

		if (nlmsg_datalen(message) >= (int)sizeof(*e))
			flight_back(arg, message->nlmsg_seq, -e->error, NULL);
	} else if (message->nlmsg_type == XFRM_MSG_NEWSA) {
		flight_back(arg, message->nlmsg_seq, 0, message);
	}
}

/* ---- lost answers ------------------------------------------------------------------- */

/* Every answer has been read and some are missing: the queue overflowed. The last ones, then: it
 * takes nothing more until it has been emptied. What they answered has been done or not; asked
 * again, in order, it comes to the same. */
static void ask_again(struct xfrm_channel *c)
{
	struct xfrm_request *again = NULL, **last = &again;
	unsigned count = 0;

	for (uint32_t i = 0; c->in_flight > 0 && i < XFRM_FLIGHTS; i++) {
		/* from the oldest on */
		struct xfrm_flight *f = flight_at(c, c->sequence + 1 + i);
		struct xfrm_request *r = f->request;

		if (!r)
			continue;
		f->request = NULL;
		c->in_flight--;
		c->awaited -= cost_of(f->kind);
		if (r->outstanding > 0) {
			r->outstanding = 0;
			r->again = true;
			r->error = 0;
			*last = r;
			last = &r->next;
			count++;
		}
	}
	if (!again)
		return;
	*last = c->first;
	if (!c->first)
		c->last = last;
	c->first = again;
	c->barrier = NULL;
	c->window = c->window / 2 > TOLD_COST + ACK_COST ? c->window / 2 : TOLD_COST + ACK_COST;
	__atomic_fetch_add(&c->xfrm->stats.asked_again, count, __ATOMIC_RELAXED);
	c->losses++;
	/* Ever more rarely: a host that is short of memory is not to drown in it. */
	if ((c->losses & (c->losses - 1)) == 0)
		log_line(LOG_LINE_WARNING,
			"XFRM: %u requests are asked again (%s); it was necessary %llu times on "
			"this channel",
			count, c->send_error ? strerror(c->send_error) : "receive buffer overrun",
			(unsigned long long)c->losses);
	c->send_error = 0;
}

static void receive_answers(struct xfrm_channel *c)
{
	for (unsigned round = 0; c->in_flight > 0 && round < RECEIVE_ROUNDS; round++) {
		int n = xfrm_receive(c->receive, nl_socket_get_fd(c->socket), take_message, c);

		if (n == -ENOBUFS)
			__atomic_fetch_add(&c->xfrm->stats.overruns, 1, __ATOMIC_RELAXED);
		else if (n <= 0) {
			ask_again(c);
			return;
		}
	}
	if (c->in_flight == 0 && c->window < c->window_max)
		c->window += TOLD_COST;
}

static void tell(struct xfrm_channel *c)
{
	struct xfrm_request *r = c->done_first;

	/* What is done while they are told is told the next time. */
	c->done_first = NULL;
	c->done_last = &c->done_first;
	while (r) {
		struct xfrm_request *next = r->next;
		struct ipsec_answer answer = {.op = r->request.op,
			.token = r->request.token,
			.error = r->error,
			.counters = r->counters};
		bool told = !r->check;

		xfrm_request_free(r);
		c->waiting--;
		c->checks -= !told;
		if (told)
			c->channel.config.on_answer(c->channel.config.arg, &answer);
		r = next;
	}
	if (c->check_again && c->checks == 0) {
		c->check_again = false;
		xfrm_channel_check_all(c);
	}
}

void xfrm_channel_poll(struct kernel_channel *channel)
{
	struct xfrm_channel *c = (struct xfrm_channel *)channel;

	receive_answers(c);
	xfrm_events_poll(c);
	xfrm_dump_poll(c);
	flush(c);
	tell(c);
}

bool xfrm_channel_sleep(struct kernel_channel *channel)
{
	struct xfrm_channel *c = (struct xfrm_channel *)channel;

	flush(c);
	return c->in_flight == 0 && !c->first && !c->done_first;
}

/* ---- requests ------------------------------------------------------------------------- */

void xfrm_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request)
{
	struct xfrm_channel *c = (struct xfrm_channel *)channel;
	struct xfrm_request *r;
	int error;

	if (request->op == IPSEC_SA_QUERY_ALL && xfrm_dump_submit(c, request->token))
		return;
	r = calloc(1, sizeof(*r));
	if (!r) {
		struct ipsec_answer answer = {
			.op = request->op, .token = request->token, .error = ENOMEM};

		channel->config.on_answer(channel->config.arg, &answer);
		return;
	}
	c->waiting++;
	error = xfrm_request_prepare(c, r, request);
	if (error)
		finish(c, r, error);
	else
		push_back(c, r);
}

void xfrm_channel_check_all(struct xfrm_channel *c)
{
	/* One round at a time, or events that are lost faster than it goes would pile rounds up. */
	if (c->checks > 0) {
		c->check_again = true;
		return;
	}
	for (struct xfrm_sa *sa = c->first_sa; sa; sa = sa->next) {
		struct xfrm_request *r = calloc(1, sizeof(*r));

		if (!r)
			return;
		r->check = true;
		r->request.op = IPSEC_SA_QUERY;
		r->request.sa.id = sa->id;
		r->request.sa.spi = sa->spi;
		r->request.sa.direction = sa->direction;
		r->request.sa.reqid = sa->reqid;
		c->waiting++;
		c->checks++;
		push_back(c, r);
	}
}

uint64_t xfrm_channel_pending(const struct kernel_channel *channel)
{
	const struct xfrm_channel *c = (const struct xfrm_channel *)channel;

	return c->waiting + xfrm_dump_pending(c->dump);
}

int xfrm_channel_fd(const struct kernel_channel *channel)
{
	return ((const struct xfrm_channel *)channel)->epoll;
}

/* ---- open and close -------------------------------------------------------------------- */

static struct nl_sock *open_socket(void)
{
	struct nl_sock *s = nl_socket_alloc();
	int bytes = RECEIVE_BUFFER, one = 1;

	if (!s || nl_connect(s, NETLINK_XFRM) < 0 || nl_socket_set_nonblocking(s) < 0) {
		nl_socket_free(s);
		return NULL;
	}
	/* Errors without the request that they answer: it has keys, and takes room. */
	(void)setsockopt(nl_socket_get_fd(s), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (setsockopt(nl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(nl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return s;
}

static bool watch(struct xfrm_channel *c, struct nl_sock *s)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, nl_socket_get_fd(s), &event) == 0;
}

static bool open_sockets(struct xfrm_channel *c)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	c->socket = open_socket();
	c->events = open_socket();
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!c->socket || !c->events || c->epoll < 0 ||
		nl_socket_add_memberships(
			c->events, XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING, 0) < 0 ||
		getsockopt(nl_socket_get_fd(c->socket), SOL_SOCKET, SO_RCVBUF, &bytes, &len) != 0)
		return false;
	c->window = c->window_max = (size_t)bytes * 3 / 4;
	return watch(c, c->socket) && watch(c, c->events);
}

struct kernel_channel *xfrm_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config)
{
	struct xfrm_channel *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->channel = (struct kernel_channel){kernel->backend, kernel, *config};
	c->xfrm = (struct xfrm_kernel *)kernel;
	c->epoll = -1;
	c->last = &c->first;
	c->done_last = &c->done_first;
	c->msg = nlmsg_alloc_size(XFRM_MESSAGE_MAX);
	c->out = malloc(OUT_MAX);
	c->sas = table_new();
	c->receive = xfrm_receive_new();
	if (!c->msg || !c->out || !c->sas || !c->receive || !open_sockets(c)) {
		xfrm_channel_close(&c->channel);
		return NULL;
	}
	c->number = __atomic_fetch_add(&c->xfrm->channels, 1, __ATOMIC_RELAXED);
	return &c->channel;
}

/* After the last answers: nothing is in flight any more. */
static void free_requests(struct xfrm_channel *c)
{
	while (c->first)
		xfrm_request_free(pop(c));
	while (c->done_first) {
		struct xfrm_request *r = c->done_first;

		c->done_first = r->next;
		xfrm_request_free(r);
	}
}

void xfrm_channel_close(struct kernel_channel *channel)
{
	struct xfrm_channel *c = (struct xfrm_channel *)channel;

	if (c->in_flight > 0)
		ask_again(c); /* into the queue */
	free_requests(c);
	while (c->first_sa)
		xfrm_sa_remove(c, c->first_sa);
	if (c->sas)
		table_free(c->sas);
	if (c->epoll >= 0)
		close(c->epoll);
	xfrm_dump_free(c->dump);
	nl_socket_free(c->events);
	nl_socket_free(c->socket);
	if (c->msg)
		nlmsg_free(c->msg);
	free(c->out);
	xfrm_receive_free(c->receive);
	free(c);
}
