#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "pfkey_request.h"

#define RECEIVE_BUFFER (4 << 20)
#define RECEIVE_ROUNDS 64 /* each time around the loop */
/* What an answer takes of a receive queue, as the kernel counts it: bytes. */
#define ANSWER_COST   2048
#define TRIES_MAX     16  /* of one request; then it fails */
#define QUESTIONS_MAX 256 /* about acquires, at one time */
#define CHANNELS_MAX  1023

static void free_request(struct pfkey_request *r)
{
	if (r->bytes)
		secret_wipe(r->bytes, r->len);
	free(r->bytes);
	free(r->selectors);
	secret_wipe(r, sizeof(*r));
	free(r);
}

/* ---- answers ---------------------------------------------------------------------- */

/* `told` NULL: the SA is gone. */
static void check_limits(
	struct pfkey_channel *c, struct pfkey_request *r, const struct pfkey_told *told)
{
	struct pfkey_sa *sa = pfkey_sa_of(c, r);
	const struct sadb_lifetime *now, *soft;

	if (!sa || sa->last)
		return;
	if (!told) {
		pfkey_event_expired(c, sa, true, &r->counters);
		return;
	}
	now = &told->current;
	soft = &told->soft;
	if (told->has_current && told->has_soft &&
		((soft->sadb_lifetime_bytes &&
			 now->sadb_lifetime_bytes >= soft->sadb_lifetime_bytes) ||
			(soft->sadb_lifetime_allocations &&
				now->sadb_lifetime_allocations >= soft->sadb_lifetime_allocations)))
		pfkey_event_expired(c, sa, false, NULL);
}

static void keep_state(struct pfkey_request *r, struct bytes bytes)
{
	if (r->bytes)
		secret_wipe(r->bytes, r->len);
	free(r->bytes);
	r->len = bytes.len;
	r->bytes = malloc(r->len);
	if (r->bytes)
		memcpy(r->bytes, bytes.data, r->len);
	else
		r->told_error = ENOMEM;
}

static void take_told(struct pfkey_channel *c, struct pfkey_request *r,
	const struct pfkey_told *told, struct bytes bytes)
{
	struct pfkey_sa *sa = pfkey_sa_of(c, r);

	r->told_error = told->error ? told->error : told->has_sa ? 0 : EBADMSG;
	if (r->told_error)
		return;
	r->told_reqid = told->reqid;
	r->counters = pfkey_counters(told);
	if (sa)
		pfkey_sa_seen(sa, &r->counters);
	if (r->asker == CHECK)
		check_limits(c, r, told);
	if (r->request.op == IPSEC_SA_MOVE)
		keep_state(r, bytes);
}

static void take_answer(struct pfkey_channel *c, struct pfkey_request *r, uint8_t type,
	const struct pfkey_told *told, struct bytes bytes)
{
	int error = told->error ? told->error : told->is_whole ? 0 : EBADMSG;

	if (type == SADB_GET && told->is_whole)
		take_told(c, r, told, bytes);
	else if (type == SADB_GET)
		r->told_error = error;
	else if (type == SADB_X_SPDGET && !error)
		pfkey_event_acquired(c, told);
	/* what is gone already is as it should be */
	else if (error && !r->error && !(type == SADB_X_SPDDELETE && error == ENOENT))
		r->error = error;
}

static void flight_back(struct pfkey_channel *c, const struct pfkey_told *told, struct bytes bytes)
{
	struct pfkey_flight *f = pfkey_flight_at(c, told->sequence);
	struct pfkey_request *r = f->request;

	f->request = NULL;
	c->in_flight--;
	take_answer(c, r, f->type, told, bytes);
	if (--r->outstanding == 0)
		pfkey_step_done(c, r);
}

static bool is_mine(struct pfkey_channel *c, const struct pfkey_told *told)
{
	const struct pfkey_flight *f = pfkey_flight_at(c, told->sequence);

	return told->pid == c->pfkey->pid && f->request && f->sequence == told->sequence &&
	       f->type == told->type;
}

static void take_message(void *arg, const struct pfkey_told *told, struct bytes bytes)
{
	struct pfkey_channel *c = arg;

	if (is_mine(c, told))
		flight_back(c, told, bytes);
	else if (told->pid == 0)
		pfkey_event_take(c, told);
}

static void add_done(struct pfkey_channel *c, struct pfkey_request *r)
{
	struct pfkey_sa *sa = pfkey_sa_of(c, r);

	if (r->step == STEP_FIRST && r->error == EEXIST && r->tries > 0) {
		r->step = STEP_VERIFY;
		r->error = 0;
		pfkey_push_front(c, r);
		return;
	}
	if (r->step == STEP_VERIFY && !r->error)
		r->error = r->told_error                             ? r->told_error
			   : sa && r->told_reqid == sa->kernel_reqid ? 0
								     : EEXIST;
	if (r->error && sa)
		pfkey_sa_remove(c, sa);
	pfkey_finish(c, r, r->error);
}

static void delete_done(struct pfkey_channel *c, struct pfkey_request *r)
{
	struct pfkey_sa *sa = pfkey_sa_of(c, r);

	if (r->error == ESRCH && sa && sa->last) {
		r->counters = *sa->last;
		r->error = 0;
	} else if (r->error == ESRCH && sa && r->tries > 0) {
		r->error = 0;
	}
	if (sa)
		pfkey_sa_remove(c, sa);
	pfkey_finish(c, r, r->error);
}

static void move_done(struct pfkey_channel *c, struct pfkey_request *r)
{
	if (!r->error)
		r->error = r->told_error;
	if (r->step == STEP_FIRST && !r->error && r->bytes) {
		r->step = STEP_SECOND;
		pfkey_push_front(c, r);
		return;
	}
	if (r->error)
		log_line(LOG_LINE_ERROR, "PF_KEY: the SA with SPI 0x%08x cannot be moved: %s",
			r->request.sa.spi, strerror(r->error));
	pfkey_finish(c, r, r->error);
}

static void query_done(struct pfkey_channel *c, struct pfkey_request *r)
{
	if (r->asker == CHECK && r->told_error == ESRCH)
		check_limits(c, r, NULL);
	pfkey_finish(c, r, r->error ? r->error : r->told_error);
}

void pfkey_step_done(struct pfkey_channel *c, struct pfkey_request *r)
{
	if (c->barrier == r)
		c->barrier = NULL;
	if (r->asker == REGISTER && r->error && r->error != EEXIST)
		log_line(LOG_LINE_ERROR, "PF_KEY: no events will be heard of: %s",
			strerror(r->error));
	if (r->asker == ACQUIRE || r->asker == REGISTER || pfkey_is_policy(r))
		pfkey_finish(c, r, r->error);
	else if (r->request.op == IPSEC_SA_ADD)
		add_done(c, r);
	else if (r->request.op == IPSEC_SA_DELETE)
		delete_done(c, r);
	else if (r->request.op == IPSEC_SA_MOVE)
		move_done(c, r);
	else
		query_done(c, r);
}

/* ---- lost answers ------------------------------------------------------------------- */

static void log_loss(struct pfkey_channel *c, unsigned count)
{
	c->losses++;
	/* Ever more rarely: a host that is short of memory is not to drown in it. */
	if ((c->losses & (c->losses - 1)) == 0)
		log_line(LOG_LINE_WARNING,
			"PF_KEY: %u requests are asked again (%s); it was necessary %llu times on "
			"this channel",
			count, c->send_error ? strerror(c->send_error) : "answers were lost",
			(unsigned long long)c->losses);
	c->send_error = 0;
}

/* All flights end, from the oldest on: their requests, each once, in a list. */
static struct pfkey_request *take_down_all(struct pfkey_channel *c, unsigned *count)
{
	struct pfkey_request *list = NULL, **last = &list;

	*count = 0;
	for (uint32_t i = 0; c->in_flight > 0 && i < PFKEY_FLIGHTS; i++) {
		struct pfkey_flight *f = pfkey_flight_at(c, c->sequence + 1 + i);
		struct pfkey_request *r = f->request;

		if (!r)
			continue;
		f->request = NULL;
		c->in_flight--;
		if (r->outstanding > 0) {
			r->outstanding = 0;
			r->next = NULL;
			*last = r;
			last = &r->next;
			++*count;
		}
	}
	return list;
}

/* Every answer has been read and some are missing: the queue overflowed. What they answered has
 * been done or not; asked again, in order, it comes to the same. */
static void ask_again(struct pfkey_channel *c)
{
	unsigned count;
	struct pfkey_request *list = take_down_all(c, &count), *again = NULL, **last = &again;

	if (!list)
		return;
	c->barrier = NULL;
	c->may_have_lost = true;
	for (struct pfkey_request *r = list, *next; r; r = next) {
		next = r->next;
		r->error = 0;
		if (++r->tries < TRIES_MAX) {
			*last = r;
			last = &r->next;
		} else {
			r->error = r->told_error = ENOBUFS;
			pfkey_step_done(c, r);
		}
	}
	*last = c->first;
	if (again) {
		if (!c->first)
			c->last = last;
		c->first = again;
	}
	c->flights_max = c->flights_max > 1 ? c->flights_max / 2 : 1;
	__atomic_fetch_add(&c->pfkey->stats.asked_again, count, __ATOMIC_RELAXED);
	log_loss(c, count);
}

/* A queue that is full drops without a word. What comes out of it comes out here alone: when it was
 * never found nearly full, nothing was lost. */
static void look_at_queue(struct pfkey_channel *c)
{
	uint32_t queued = pfkey_queued(c->fd);
	uint32_t batch = 16 * (PFKEY_RECEIVE_MAX + 1024), quarter = c->queue_size / 4;
	uint32_t most = c->queue_size - (batch < quarter ? batch : quarter);

	if (queued >= most && !c->may_have_lost) {
		c->may_have_lost = true;
		__atomic_fetch_add(&c->pfkey->stats.overruns, 1, __ATOMIC_RELAXED);
	}
}

/* Which ones is not known. A limit that was reached is found by asking; a mapping change comes
 * again with the next packet, an acquire when the kernel's larval SA has timed out. */
static void events_lost(struct pfkey_channel *c)
{
	c->may_have_lost = false;
	__atomic_fetch_add(&c->pfkey->stats.events_lost, 1, __ATOMIC_RELAXED);
	pfkey_channel_check_all(c);
}

static unsigned full_window(const struct pfkey_channel *c)
{
	uint32_t fits = c->queue_size / 4 * 3 / ANSWER_COST;

	return fits < 1 ? 1 : fits > PFKEY_FLIGHTS ? PFKEY_FLIGHTS : fits;
}

static void receive_all(struct pfkey_channel *c)
{
	unsigned before = c->in_flight;

	for (unsigned round = 0; round < RECEIVE_ROUNDS; round++) {
		int n;

		look_at_queue(c);
		n = pfkey_receive(c->receive, c->fd, take_message, c);
		if (n <= 0) {
			if (c->in_flight > 0)
				ask_again(c);
			else if (before > 0 && c->checks == 0 && c->flights_max < full_window(c))
				c->flights_max++;
			break;
		}
	}
	if (c->may_have_lost)
		events_lost(c);
}

static void free_told(struct pfkey_channel *c, struct pfkey_request *r)
{
	c->checks -= r->asker == CHECK;
	c->questions -= r->asker == ACQUIRE;
	c->waiting--;
	free_request(r);
}

static void tell(struct pfkey_channel *c)
{
	struct pfkey_request *r = c->done_first;

	/* What is done while they are told is told the next time. */
	c->done_first = NULL;
	c->done_last = &c->done_first;
	while (r) {
		struct pfkey_request *next = r->next;
		struct ipsec_answer answer = {.op = r->request.op,
			.token = r->request.token,
			.error = r->error,
			.counters = r->counters};
		bool asked = r->asker == ASKED;

		free_told(c, r);
		if (asked)
			c->channel.config.on_answer(c->channel.config.arg, &answer);
		r = next;
	}
	if (c->check_again && c->checks == 0) {
		c->check_again = false;
		pfkey_channel_check_all(c);
	}
}

void pfkey_channel_poll(struct kernel_channel *channel)
{
	struct pfkey_channel *c = (struct pfkey_channel *)channel;

	receive_all(c);
	pfkey_flush(c);
	tell(c);
}

bool pfkey_channel_sleep(struct kernel_channel *channel)
{
	struct pfkey_channel *c = (struct pfkey_channel *)channel;

	pfkey_flush(c);
	return c->in_flight == 0 && !c->first && !c->done_first;
}

/* ---- requests ------------------------------------------------------------------------- */

static int prepare_add(struct pfkey_channel *c, struct pfkey_request *r, const struct ipsec_sa *sa)
{
	struct pfkey_message m = {.len = 0};
	struct pfkey_sa *record;
	int error = pfkey_sa_of(c, r) ? EEXIST : pfkey_sa_add(c, sa, &record);

	if (error)
		return error;
	error = pfkey_put_sa_add(&m, sa, record->kernel_reqid);
	if (!error) {
		r->len = m.len;
		r->bytes = malloc(m.len);
		if (r->bytes)
			memcpy(r->bytes, m.bytes, m.len);
		else
			error = ENOMEM;
	}
	pfkey_message_wipe(&m);
	if (error)
		pfkey_sa_remove(c, record);
	return error;
}

static int prepare_policy(struct pfkey_request *r, const struct ipsec_policy *p)
{
	r->values = policy_values_of(p);
	if (p->local_ts_count > IPSEC_SELECTORS_MAX || p->remote_ts_count > IPSEC_SELECTORS_MAX)
		return EINVAL;
	if ((p->action == IPSEC_PROTECT && p->mode != IPSEC_TUNNEL && p->mode != IPSEC_TRANSPORT) ||
		p->mark_in.mask || p->mark_out.mask || p->interface_id || p->ipcomp ||
		p->protocol == IPSEC_AH)
		return EOPNOTSUPP;
	return selectors_of(p->local_ts, p->local_ts_count, p->remote_ts, p->remote_ts_count,
		SELECTOR_SINGLE_PORTS, &r->selectors, &r->selector_count);
}

static int prepare(
	struct pfkey_channel *c, struct pfkey_request *r, const struct ipsec_request *request)
{
	if (request->op == IPSEC_SA_ADD)
		return prepare_add(c, r, &request->sa);
	if (request->op ==
		IPSEC_SA_QUERY_ALL) /* a dump would name SAs of all channels, keys and all */
		return EOPNOTSUPP;
	return pfkey_is_policy(r) ? prepare_policy(r, &request->policy) : 0;
}

static void forget_keys(struct ipsec_request *request)
{
	if (request->op == IPSEC_SA_ADD) {
		secret_wipe(request->sa.encr_key, sizeof(request->sa.encr_key));
		secret_wipe(request->sa.integ_key, sizeof(request->sa.integ_key));
	}
}

void pfkey_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request)
{
	struct pfkey_channel *c = (struct pfkey_channel *)channel;
	struct pfkey_request *r = calloc(1, sizeof(*r));
	int error;

	if (!r) {
		struct ipsec_answer answer = {
			.op = request->op, .token = request->token, .error = ENOMEM};

		channel->config.on_answer(channel->config.arg, &answer);
		return;
	}
	r->request = *request;
	r->counters.idle_ms = UINT64_MAX;
	/* What is kept of it is in the messages made from it. */
	forget_keys(&r->request);
	c->waiting++;
	error = prepare(c, r, request);
	if (error)
		pfkey_finish(c, r, error);
	else
		pfkey_push_back(c, r);
}

static struct pfkey_request *ask_ourselves(struct pfkey_channel *c, enum request_asker asker)
{
	struct pfkey_request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->asker = (uint8_t)asker;
	r->request.op = IPSEC_SA_QUERY;
	c->waiting++;
	pfkey_push_back(c, r);
	return r;
}

void pfkey_channel_check_all(struct pfkey_channel *c)
{
	/* One round at a time, or events that are lost faster than it goes would pile rounds up. */
	if (c->checks > 0) {
		c->check_again = true;
		return;
	}
	for (struct pfkey_sa *sa = c->first_sa; sa; sa = sa->next) {
		struct pfkey_request *r = ask_ourselves(c, CHECK);

		if (!r)
			return;
		r->request.sa.id = sa->id;
		r->request.sa.spi = sa->spi;
		r->request.sa.direction = sa->direction;
		r->request.sa.reqid = sa->reqid;
		c->checks++;
	}
}

void pfkey_channel_ask_policy(struct pfkey_channel *c, uint32_t id)
{
	struct pfkey_request *r = c->questions < QUESTIONS_MAX ? ask_ourselves(c, ACQUIRE) : NULL;

	if (!r) {
		/* The kernel asks again when its larval SA has timed out. */
		__atomic_fetch_add(&c->pfkey->stats.events_lost, 1, __ATOMIC_RELAXED);
		return;
	}
	r->policy_id = id;
	c->questions++;
}

uint64_t pfkey_channel_pending(const struct kernel_channel *channel)
{
	return ((const struct pfkey_channel *)channel)->waiting;
}

int pfkey_channel_fd(const struct kernel_channel *channel)
{
	return ((const struct pfkey_channel *)channel)->fd;
}

/* ---- open and close -------------------------------------------------------------------- */

static bool open_socket(struct pfkey_channel *c)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	c->fd = socket(PF_KEY, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, PF_KEY_V2);
	if (c->fd < 0)
		return false;
	(void)pfkey_widen_queue(c->fd, RECEIVE_BUFFER);
	if (getsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len) != 0)
		return false;
	c->queue_size = (uint32_t)bytes;
	c->flights_max = full_window(c);
	return true;
}

struct kernel_channel *pfkey_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config)
{
	struct pfkey_channel *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->channel = (struct kernel_channel){kernel->backend, kernel, *config};
	c->pfkey = (struct pfkey_kernel *)kernel;
	c->fd = -1;
	c->last = &c->first;
	c->done_last = &c->done_first;
	c->out = calloc(PFKEY_BATCH, sizeof(c->out[0]));
	c->sas = table_new();
	c->receive = pfkey_receive_new();
	if (!c->out || !c->sas || !c->receive || !open_socket(c) ||
		__atomic_load_n(&c->pfkey->channels, __ATOMIC_RELAXED) >= CHANNELS_MAX) {
		pfkey_channel_close(&c->channel);
		return NULL;
	}
	c->number = __atomic_fetch_add(&c->pfkey->channels, 1, __ATOMIC_RELAXED);
	/* Who has not registered hears no events. The answer is read when the channel is polled. */
	if (ask_ourselves(c, REGISTER))
		pfkey_flush(c);
	return &c->channel;
}

void pfkey_channel_close(struct kernel_channel *channel)
{
	struct pfkey_channel *c = (struct pfkey_channel *)channel;
	struct pfkey_request *list;
	unsigned count;

	list = take_down_all(c, &count);
	while (list) {
		struct pfkey_request *next = list->next;

		free_request(list);
		list = next;
	}
	while (c->first)
		free_request(pfkey_pop(c));
	while (c->done_first) {
		struct pfkey_request *r = c->done_first;

		c->done_first = r->next;
		free_request(r);
	}
	while (c->first_sa)
		pfkey_sa_remove(c, c->first_sa);
	if (c->sas)
		table_free(c->sas);
	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	pfkey_receive_free(c->receive);
	free(c);
}
