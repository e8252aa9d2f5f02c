/* The backend that hands SAs and policies to the user-space dataplane. A request goes into the dataplane's
 * queue; its answer comes on the dataplane's control thread and is posted into the channel's
 * mailbox. The record of a request is also the mail that brings its answer, so that an answer never needs
 * memory; and no more requests are on the way than the mailbox has room for, so that it never is full. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "base/mailbox.h"
#include "base/secret.h"
#include "dataplane/dataplane.h"

#define MAILBOX_CAPACITY 8192
#define ON_THE_WAY_MAX   4096 /* requests; the rest of the mailbox is for events */
#define EVENTS_MAX       2048
#define POLL_BATCH       64
#define CLOSE_WAIT_MS    5000

enum { MAIL_ANSWER, MAIL_EVENT };

struct call {
	struct mail mail;
	uint64_t token; /* the asker's */
	struct ipsec_answer answer;
};

struct event_mail {
	struct mail mail;
	struct ipsec_event event;
};

/* A request that the dataplane's queue had no room for, with its own copy of selectors. */
struct backlog {
	struct backlog *next;
	struct ipsec_request request;
	struct traffic_selector local_ts[IPSEC_SELECTORS_MAX], remote_ts[IPSEC_SELECTORS_MAX];
};

struct dpdk_channel {
	struct kernel_channel channel;
	struct dpdk_channel *next; /* all of the kernel's, open or closed */
	struct dataplane_client client;
	struct mailbox *box;
	struct backlog *first, **last;
	uint64_t backlog_count;
	unsigned number;
	unsigned on_the_way;      /* owner only: sent and not yet polled */
	unsigned unanswered;      /* atomic: sent and not yet posted */
	unsigned events_waiting;  /* atomic */
	uint64_t events_lost;     /* atomic */
	bool closed;              /* atomic */
};

struct dpdk_kernel {
	struct kernel kernel;
	struct dataplane *dataplane;
	pthread_mutex_t lock; /* the list of channels; never on the path of a request */
	struct dpdk_channel *channels;
	unsigned channel_count;
};

static void post_event(struct dpdk_channel *dpdk, const struct ipsec_event *event)
{
	struct event_mail *mail = NULL;
	if (!__atomic_load_n(&dpdk->closed, __ATOMIC_ACQUIRE) &&
		__atomic_load_n(&dpdk->events_waiting, __ATOMIC_RELAXED) < EVENTS_MAX)
		mail = malloc(sizeof(*mail));
	if (mail) {
		mail->mail.kind = MAIL_EVENT;
		mail->event = *event;
		__atomic_fetch_add(&dpdk->events_waiting, 1, __ATOMIC_RELAXED);
		if (mailbox_post(dpdk->box, &mail->mail))
			return;
		__atomic_fetch_sub(&dpdk->events_waiting, 1, __ATOMIC_RELAXED);
		free(mail);
	}
	__atomic_fetch_add(&dpdk->events_lost, 1, __ATOMIC_RELAXED);
}

/* Dataplane's control thread. */
static void on_dataplane_answer(void *arg, const struct ipsec_answer *answer)
{
	struct call *call = (struct call *)(uintptr_t)answer->token;
	struct dpdk_channel *dpdk = arg;
	call->answer = *answer;
	call->answer.token = call->token;
	if (!mailbox_post(dpdk->box, &call->mail))
		free(call); /* cannot be: ON_THE_WAY_MAX + EVENTS_MAX < MAILBOX_CAPACITY */
	__atomic_fetch_sub(&dpdk->unanswered, 1, __ATOMIC_RELEASE);
}

/* Dataplane's control thread: an event of an SA that this channel added. */
static void on_dataplane_event(void *arg, const struct ipsec_event *event)
{
	post_event(arg, event);
}

/* Dataplane's control thread: an acquire, which belongs to the channel that the reqid names. */
static void on_acquire(void *arg, const struct ipsec_event *event)
{
	struct dpdk_kernel *dpdk = arg;
	pthread_mutex_lock(&dpdk->lock);
	if (dpdk->channel_count > 0) {
		unsigned number = event->reqid % dpdk->channel_count;
		for (struct dpdk_channel *c = dpdk->channels; c; c = c->next) {
			if (c->number == number) {
				post_event(c, event);
				break;
			}
		}
	}
	pthread_mutex_unlock(&dpdk->lock);
}

static struct kernel *dpdk_open(const struct kernel_config *config, char *error, size_t error_size)
{
	if (!config->dataplane) {
		snprintf(error, error_size, "kernel interface \"dpdk\": no dataplane is running");
		return NULL;
	}
	struct dpdk_kernel *dpdk = calloc(1, sizeof(*dpdk));
	if (!dpdk) {
		snprintf(error, error_size, "kernel interface \"dpdk\": out of memory");
		return NULL;
	}
	dpdk->kernel.backend = &kernel_dpdk_backend;
	dpdk->dataplane = config->dataplane;
	pthread_mutex_init(&dpdk->lock, NULL);
	struct dataplane_client client = {.arg = dpdk, .event = on_acquire};
	dataplane_set_event_client(dpdk->dataplane, &client);
	return &dpdk->kernel;
}

static void free_mail(struct dpdk_channel *dpdk)
{
	struct mail *mail[POLL_BATCH];
	size_t n;
	while ((n = mailbox_take(dpdk->box, mail, POLL_BATCH)) > 0)
		for (size_t i = 0; i < n; i++)
			free(mail[i]);
}

static void free_backlog(struct dpdk_channel *dpdk)
{
	while (dpdk->first) {
		struct backlog *item = dpdk->first;
		dpdk->first = item->next;
		secret_wipe(item, sizeof(*item));
		free(item);
	}
	dpdk->last = &dpdk->first;
	dpdk->backlog_count = 0;
}

static void dpdk_close(struct kernel *kernel)
{
	struct dpdk_kernel *dpdk = (struct dpdk_kernel *)kernel;
	dataplane_set_event_client(dpdk->dataplane, NULL); /* from here on no event is under way */
	struct dpdk_channel *next;
	for (struct dpdk_channel *c = dpdk->channels; c; c = next) {
		next = c->next;
		for (unsigned ms = 0; ms < CLOSE_WAIT_MS; ms++) {
			if (__atomic_load_n(&c->unanswered, __ATOMIC_ACQUIRE) == 0)
				break;
			usleep(1000);
		}
		if (__atomic_load_n(&c->unanswered, __ATOMIC_ACQUIRE) != 0)
			continue; /* leaked rather than written to after its end */
		free_mail(c);
		mailbox_free(c->box);
		free(c);
	}
	pthread_mutex_destroy(&dpdk->lock);
	free(dpdk);
}

static bool dpdk_supports(
	const struct kernel *kernel, uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	(void)kernel;
	return dataplane_supports(encr, key_bits, integ, esn);
}

static struct kernel_channel *dpdk_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config)
{
	struct dpdk_kernel *dpdk = (struct dpdk_kernel *)kernel;
	struct dpdk_channel *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->box = mailbox_new(MAILBOX_CAPACITY);
	if (!c->box) {
		free(c);
		return NULL;
	}
	c->channel = (struct kernel_channel){&kernel_dpdk_backend, kernel, *config};
	c->client = (struct dataplane_client){c, on_dataplane_answer, on_dataplane_event};
	c->last = &c->first;
	pthread_mutex_lock(&dpdk->lock);
	c->number = dpdk->channel_count++;
	c->next = dpdk->channels;
	dpdk->channels = c;
	pthread_mutex_unlock(&dpdk->lock);
	return &c->channel;
}

/* The memory stays until kernel_close: answers and events of its SAs may still be on their way. */
static void dpdk_channel_close(struct kernel_channel *channel)
{
	struct dpdk_channel *c = (struct dpdk_channel *)channel;
	__atomic_store_n(&c->closed, true, __ATOMIC_RELEASE);
	free_backlog(c);
}

static int dpdk_channel_fd(const struct kernel_channel *channel)
{
	return mailbox_fd(((const struct dpdk_channel *)channel)->box);
}

/* False when the dataplane has no room. */
static bool send_request(struct dpdk_channel *c, const struct ipsec_request *request)
{
	struct dpdk_kernel *dpdk = (struct dpdk_kernel *)c->channel.kernel;
	if (c->on_the_way >= ON_THE_WAY_MAX)
		return false;
	struct call *call = calloc(1, sizeof(*call));
	if (!call)
		return false;
	call->mail.kind = MAIL_ANSWER;
	call->token = request->token;
	struct ipsec_request copy = *request;
	copy.token = (uintptr_t)call;
	__atomic_fetch_add(&c->unanswered, 1, __ATOMIC_RELAXED);
	bool sent = dataplane_submit(dpdk->dataplane, &c->client, &copy);
	secret_wipe(&copy, sizeof(copy));
	if (sent) {
		c->on_the_way++;
	} else {
		__atomic_fetch_sub(&c->unanswered, 1, __ATOMIC_RELAXED);
		free(call);
	}
	return sent;
}

static void send_backlog(struct dpdk_channel *c)
{
	while (c->first && send_request(c, &c->first->request)) {
		struct backlog *item = c->first;
		c->first = item->next;
		if (!c->first)
			c->last = &c->first;
		c->backlog_count--;
		secret_wipe(item, sizeof(*item));
		free(item);
	}
}

static bool dpdk_channel_sleep(struct kernel_channel *channel)
{
	struct dpdk_channel *c = (struct dpdk_channel *)channel;
	/* With nothing on the way no answer will wake us to send the rest. */
	if (c->first && c->on_the_way == 0)
		return false;
	return mailbox_sleep(c->box);
}

static void dpdk_channel_poll(struct kernel_channel *channel)
{
	struct dpdk_channel *c = (struct dpdk_channel *)channel;
	struct mail *mail[POLL_BATCH];
	mailbox_awake(c->box);
	size_t n = mailbox_take(c->box, mail, POLL_BATCH);
	for (size_t i = 0; i < n; i++) {
		if (mail[i]->kind == MAIL_ANSWER) {
			struct call *call = (struct call *)mail[i];
			c->on_the_way--;
			channel->config.on_answer(channel->config.arg, &call->answer);
		} else {
			struct event_mail *event = (struct event_mail *)mail[i];
			__atomic_fetch_sub(&c->events_waiting, 1, __ATOMIC_RELAXED);
			channel->config.on_event(channel->config.arg, &event->event);
		}
		free(mail[i]);
	}
	send_backlog(c);
}

static unsigned copy_selectors(struct traffic_selector *to, const struct traffic_selector **list,
	unsigned count)
{
	if (count > IPSEC_SELECTORS_MAX)
		return count;
	for (unsigned i = 0; i < count; i++)
		to[i] = (*list)[i];
	*list = to;
	return count;
}

/* The answer comes with the next poll, as every other; only without any memory it comes at once. */
static void refuse(struct dpdk_channel *c, const struct ipsec_request *request, int error)
{
	struct ipsec_answer answer = {.op = request->op, .token = request->token, .error = error};
	struct call *call = calloc(1, sizeof(*call));
	if (call && c->on_the_way < ON_THE_WAY_MAX) {
		call->mail.kind = MAIL_ANSWER;
		call->answer = answer;
		if (mailbox_post(c->box, &call->mail)) {
			c->on_the_way++;
			return;
		}
	}
	free(call);
	c->channel.config.on_answer(c->channel.config.arg, &answer);
}

static void dpdk_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request)
{
	struct dpdk_channel *c = (struct dpdk_channel *)channel;
	if (!c->first && send_request(c, request))
		return;
	struct backlog *item = calloc(1, sizeof(*item));
	if (!item) {
		refuse(c, request, ENOMEM);
		return;
	}
	item->request = *request;
	struct ipsec_request *copy = &item->request;
	unsigned most = 0;
	if (request->op == IPSEC_SA_ADD) {
		unsigned l = copy_selectors(item->local_ts, &copy->sa.local_ts, copy->sa.local_ts_count);
		unsigned r = copy_selectors(item->remote_ts, &copy->sa.remote_ts, copy->sa.remote_ts_count);
		most = l > r ? l : r;
	} else if (request->op == IPSEC_POLICY_ADD || request->op == IPSEC_POLICY_DELETE) {
		struct ipsec_policy *p = &copy->policy;
		unsigned l = copy_selectors(item->local_ts, &p->local_ts, p->local_ts_count);
		unsigned r = copy_selectors(item->remote_ts, &p->remote_ts, p->remote_ts_count);
		most = l > r ? l : r;
	}
	if (most > IPSEC_SELECTORS_MAX) {
		secret_wipe(item, sizeof(*item));
		free(item);
		refuse(c, request, EINVAL);
		return;
	}
	*c->last = item;
	c->last = &item->next;
	c->backlog_count++;
}

static uint32_t dpdk_channel_allocate_spi(struct kernel_channel *channel)
{
	return dataplane_allocate_spi(((struct dpdk_kernel *)channel->kernel)->dataplane);
}

static void dpdk_channel_release_spi(struct kernel_channel *channel, uint32_t spi)
{
	dataplane_release_spi(((struct dpdk_kernel *)channel->kernel)->dataplane, spi);
}

static uint64_t dpdk_channel_pending(const struct kernel_channel *channel)
{
	const struct dpdk_channel *c = (const struct dpdk_channel *)channel;
	return c->on_the_way + c->backlog_count;
}

const struct kernel_backend kernel_dpdk_backend = {
	.name = "dpdk",
	.open = dpdk_open,
	.close = dpdk_close,
	.supports = dpdk_supports,
	.channel_open = dpdk_channel_open,
	.channel_close = dpdk_channel_close,
	.channel_fd = dpdk_channel_fd,
	.channel_sleep = dpdk_channel_sleep,
	.channel_poll = dpdk_channel_poll,
	.channel_submit = dpdk_channel_submit,
	.channel_allocate_spi = dpdk_channel_allocate_spi,
	.channel_release_spi = dpdk_channel_release_spi,
	.channel_pending = dpdk_channel_pending,
};
