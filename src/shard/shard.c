/* A shard's thread and its event loop. */
#include "shard_set.h"

#include "hand_over.h"
#include "report.h"
#include "news.h"
#include "updown.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <urcu/urcu-qsbr.h>

#define EVENTS_MAX     64
#define MAIL_MAX       256 /* each time around the loop, as are: */
#define TIMERS_MAX     256
#define IDLE_MAX       (3600 * 1000) /* ms */
#define OUTBOX_RETRY   2             /* ms, while mail waits for a full mailbox */
#define DRAIN_PATIENCE 30000         /* ms, for jobs in flight when the shard ends */

uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t shard_clock_ms(void)
{
	return clock_ns() / 1000000;
}

/* ---- what comes in ------------------------------------------------------------- */

static void take_job(struct shard *shard, struct mail *mail)
{
	shard->jobs_in_flight--;
	ike_engine_job_done(shard->engine, (struct crypto_job *)mail);
}

static void take_mail(struct shard *shard, struct mail *mail)
{
	switch ((enum inbox_kind)mail->kind) {
	case INBOX_JOB:
		take_job(shard, mail);
		break;
	case INBOX_DATAGRAM:
		shard_take_handed_datagram(shard, mail);
		break;
	case INBOX_ICMP_ERROR:
		shard_take_handed_error(shard, mail);
		break;
	case INBOX_NEWS:
		shard_take_news(shard, mail);
		break;
	case INBOX_COMMAND:
		shard_take_command(shard, mail);
		break;
	case INBOX_LISTEN:
		shard_take_listen(shard, mail);
		break;
	case INBOX_REPORT_GO:
		shard_take_report_go(shard, mail);
		break;
	case INBOX_REPORT_CANCEL:
		shard_take_report_cancel(shard, mail);
		break;
	case INBOX_STOP:
		shard->stopping = true;
		break;
	}
}

void shard_discard_mail(struct mail *mail)
{
	switch ((enum inbox_kind)mail->kind) {
	case INBOX_JOB:
		crypto_job_free((struct crypto_job *)mail);
		break;
	case INBOX_DATAGRAM:
	case INBOX_ICMP_ERROR:
		free(mail);
		break;
	case INBOX_NEWS:
		news_discard(mail);
		break;
	case INBOX_COMMAND:
		command_discard(mail);
		break;
	case INBOX_LISTEN:
		listen_order_discard(mail);
		break;
	case INBOX_REPORT_GO:
	case INBOX_REPORT_CANCEL:
	case INBOX_STOP:
		break;
	}
}

/* Returns how much there was. */
static size_t take_all_mail(struct shard *shard)
{
	struct mail *mail[MAIL_MAX];
	size_t n = mailbox_take(shard->inbox, mail, MAIL_MAX);
	for (size_t i = 0; i < n; i++) {
		if (shard->stopping) {
			/* Jobs are waited for; all else is not begun any more. */
			if (mail[i]->kind == INBOX_JOB) {
				take_job(shard, mail[i]);
			} else {
				shard_discard_mail(mail[i]);
			}
		} else {
			take_mail(shard, mail[i]);
		}
	}
	shard->work_left |= n == MAIL_MAX;
	return n;
}

static void on_timer(struct timer *timer, void *arg)
{
	ike_engine_timer(((struct shard *)arg)->engine, timer);
}

static void on_answer(void *arg, const struct ipsec_answer *answer)
{
	struct shard *shard = arg;
	if (window_token(answer->token)) {
		shard_report_answer(shard, answer);
	} else {
		ike_engine_ipsec_answer(shard->engine, answer);
	}
}

static void on_counters(void *arg, uint64_t token, const struct ipsec_counted *counted)
{
	shard_report_counters(arg, token, counted);
}

static void on_event(void *arg, const struct ipsec_event *event)
{
	ike_engine_ipsec_event(((struct shard *)arg)->engine, event);
}

static void take_sockets(struct shard *shard, const struct epoll_event *events, int count)
{
	bool more = false;
	for (int i = 0; i < count; i++) {
		/* The mailbox and the kernel channel have no pointer: they are looked after each
		 * time around anyway. */
		struct ike_socket *socket = events[i].data.ptr;
		if (socket == NULL) {
			continue;
		}
		if (events[i].events & EPOLLERR) {
			shard_receive_errors(shard, socket);
		}
		if (events[i].events & EPOLLIN) {
			more |= shard_receive(shard, socket);
		}
	}
	backlog_note(&shard->backlog, shard->now_ms, more);
}

/* ---- the loop -------------------------------------------------------------------- */

static bool flush_outboxes(struct shard *shard)
{
	bool all = outbox_flush(&shard->control);
	for (unsigned i = 0; i < shard->set->count; i++) {
		all &= outbox_flush(&shard->peers[i]);
	}
	return all;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How long there will be nothing to do unless somebody wakes us, in ms; -1: for ever. */
static int idle_time(struct shard *shard)
{
	uint64_t next = earlier(timer_wheel_next(shard->wheel), shard->tally_due_ms);
	if (shard->stock != NULL) {
		next = earlier(next, key_stock_due(shard->stock, shard->now_ms));
	}
	if (!shard->outboxes_empty) {
		next = earlier(next, shard->now_ms + OUTBOX_RETRY);
	}
	if (shard->news != NULL) {
		next = earlier(next, shard->news_due_ms);
	}
	if (shard->shutdown != NULL) {
		next = earlier(next, shard->shutdown_until_ms);
	}
	if (next == UINT64_MAX) {
		return -1;
	}
	uint64_t now = shard_clock_ms();
	return next > now ? (int)earlier(next - now, IDLE_MAX) : 0;
}

/* Sleeps if there is nothing to do; returns how many events there are. */
static int wait_for_events(struct shard *shard, struct epoll_event *events)
{
	bool work = shard->work_left || shard->inline_jobs.count > 0 || shard->stock_due;
	int timeout = work ? 0 : idle_time(shard);
	shard->work_left = false;
	if (timeout == 0) {
		return epoll_wait(shard->epoll_fd, events, EVENTS_MAX, 0);
	}
	if (!mailbox_sleep(shard->inbox) || !kernel_channel_sleep(shard->channel)) {
		timeout = 0;
	}
	urcu_qsbr_thread_offline();
	int n = epoll_wait(shard->epoll_fd, events, EVENTS_MAX, timeout);
	urcu_qsbr_thread_online();
	mailbox_awake(shard->inbox);
	return n;
}

static void turn(struct shard *shard)
{
	struct epoll_event events[EVENTS_MAX];
	int n = wait_for_events(shard, events);
	shard->now_ms = shard_clock_ms();
	/* First, because mail may bring other sockets. */
	take_sockets(shard, events, n);
	size_t mails = take_all_mail(shard);
	kernel_channel_poll(shard->channel);
	mails += updown_take_answers(shard->updown, shard->engine);
	size_t timers =
		timer_wheel_expire(shard->wheel, shard->now_ms, TIMERS_MAX, on_timer, shard);
	shard->work_left |= timers == TIMERS_MAX;
	bool idle = n == 0 && mails == 0 && timers == 0 && !shard->work_left &&
		    shard->inline_jobs.count == 0;
	shard_run_inline_jobs(shard);
	shard_step_reports(shard);
	/* Before the control thread may learn that all is deleted. */
	shard_tell_tally(shard);
	shard_continue_shutdown(shard);
	shard_post_news(shard);
	shard->outboxes_empty = flush_outboxes(shard);
	shard_send_flush(shard);
	shard_tend_stock(shard, idle);
	urcu_qsbr_quiescent_state();
}

/* ---- birth and death ------------------------------------------------------------- */

static bool watch(struct shard *shard, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	return fd < 0 || epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool watch_updown(struct shard *shard)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
	return shard->updown == NULL || epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD,
						updown_port_fd(shard->updown), &event) == 0;
}

static struct ike_engine *make_engine(struct shard *shard)
{
	const struct shard_set *set = shard->set;
	struct ike_engine_config config = {
		.host = &shard->host,
		.crypto = shard->crypto,
		.catalogue = set->config.catalogue,
		.secrets = set->config.secrets,
		.credentials = set->config.credentials,
		.counters = &shard->counters,
		.ike_port = set->config.ike_port,
		.nat_port = set->config.nat_port,
		.fragment_datagram = set->config.fragment_datagram,
		.keep_alive_s = set->config.keep_alive_s,
		.shunt_life_s = set->config.shunt_life_s,
		.unique_ids = set->config.unique_ids,
		.cookie_secret = set->cookie_secret,
	};
	return ike_engine_new(&config);
}

/* What a shard needs, made on its own thread so that its memory is near. NULL, or what could not be
 * made. */
static const char *make_parts(struct shard *shard)
{
	struct kernel_channel_config channel = {
		.arg = shard, .on_answer = on_answer, .on_event = on_event, .on_counters = on_counters};
	shard->now_ms = shard_clock_ms();
	if ((shard->peers = calloc(shard->set->count, sizeof *shard->peers)) == NULL ||
		(shard->receive = receive_batch_new()) == NULL ||
		(shard->send = send_queue_new()) == NULL ||
		(shard->wheel = timer_wheel_new(shard->now_ms)) == NULL) {
		return "memory";
	}
	shard->control.to = shard->set->config.control;
	for (unsigned i = 0; i < shard->set->count; i++) {
		shard->peers[i].to = shard->set->shards[i]->inbox;
		shard->peers[i].depth_limit = PEER_MAIL_DEPTH;
	}
	if ((shard->crypto = crypto_context_new()) == NULL) {
		return "crypto context (memory, or the CPU lacks what intel-ipsec-mb needs)";
	}
	if ((shard->channel = kernel_channel_open(shard->set->config.kernel, &channel)) == NULL) {
		return "kernel channel";
	}
	struct updown *updown = shard->set->config.updown;
	if (updown != NULL && (shard->updown = updown_port_open(updown)) == NULL) {
		return "way to updown";
	}
	if ((shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
		!watch(shard, mailbox_fd(shard->inbox)) ||
		!watch(shard, kernel_channel_fd(shard->channel)) || !watch_updown(shard)) {
		return "epoll";
	}
	shard->engine = make_engine(shard);
	return shard->engine == NULL ? "IKE engine" : NULL;
}

static void free_parts(struct shard *shard)
{
	if (shard->engine != NULL) {
		ike_engine_free(shard->engine);
	}
	if (shard->channel != NULL) {
		kernel_channel_close(shard->channel);
	}
	for (size_t i = 0; i < shard->socket_count; i++) {
		ike_socket_close(shard->sockets[i]);
	}
	free(shard->sockets);
	if (shard->epoll_fd >= 0) {
		close(shard->epoll_fd);
	}
	if (shard->crypto != NULL) {
		crypto_context_free(shard->crypto);
	}
	if (shard->wheel != NULL) {
		timer_wheel_free(shard->wheel);
	}
	send_queue_free(shard->send);
	receive_batch_free(shard->receive);
	shard_drop_news(shard);
	for (unsigned i = 0; shard->peers != NULL && i < shard->set->count; i++) {
		outbox_clear(&shard->peers[i], shard_discard_mail);
	}
	free(shard->peers);
	outbox_clear(&shard->control, free_control_mail);
	secret_wipe(&shard->random, sizeof shard->random);
}

/* The engine may not go while a worker has one of its jobs; the pool always answers, and new jobs
 * are refused. */
static void drain_jobs(struct shard *shard)
{
	uint64_t until = shard_clock_ms() + DRAIN_PATIENCE;
	shard_fail_inline_jobs(shard);
	while (shard->jobs_in_flight > 0 && shard_clock_ms() < until) {
		take_all_mail(shard);
		if (shard->jobs_in_flight > 0 && mailbox_sleep(shard->inbox)) {
			struct pollfd p = {mailbox_fd(shard->inbox), POLLIN, 0};
			(void)poll(&p, 1, 100);
		}
		mailbox_awake(shard->inbox);
		urcu_qsbr_quiescent_state();
	}
	if (shard->jobs_in_flight > 0) {
		log_line(LOG_LINE_ERROR, "shard %u: %u crypto jobs did not come back", shard->index,
			shard->jobs_in_flight);
		shard->engine = NULL; /* rather lost than freed under their hands */
	}
}

static void end(struct shard *shard)
{
	shard_drop_reports(shard);
	if (shard->shutdown != NULL) {
		command_discard(&shard->shutdown->commands[0].mail);
		shard->shutdown = NULL;
	}
	drain_jobs(shard);
}

void *shard_run(void *arg)
{
	struct shard *shard = arg;
	struct shard_set *set = shard->set;
	if (!placement_bind_shard(set->placement, shard->index)) {
		log_line(LOG_LINE_WARNING, "shard %u is not bound to its core: %s", shard->index,
			strerror(errno));
	}
	urcu_qsbr_register_thread();
	const char *missing = make_parts(shard);
	set->start_ok = missing == NULL;
	if (missing != NULL) {
		snprintf(set->start_error, sizeof set->start_error, "shard %u cannot start: no %s",
			shard->index, missing);
	}
	sem_post(&set->ready);
	if (missing == NULL) {
		while (!shard->stopping) {
			turn(shard);
		}
		end(shard);
	}
	free_parts(shard);
	urcu_qsbr_unregister_thread();
	return NULL;
}
