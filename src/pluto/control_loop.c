#include "control_loop.h"

#include "address_watch.h"
#include "bindings.h"
#include "commands.h"
#include "control_socket.h"
#include "pluto.h"
#include "pools.h"
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <urcu-qsbr.h>

/* What epoll says for descriptors that are no client's; clients have their watcher behind these. */
enum { SOURCE_MAIL = 1, SOURCE_SIGNALS, SOURCE_SOCKET, SOURCE_LINKS, SOURCES };

#define EVENTS_AT_ONCE 64
#define MAIL_AT_ONCE   256
#define ACCEPT_AT_ONCE 16

bool control_loop_watch(struct pluto *p, int fd, uint32_t events, ike_watcher client)
{
	struct epoll_event event = {.events = events, .data.u64 = SOURCES + client};

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void control_loop_change(struct pluto *p, int fd, uint32_t events, ike_watcher client)
{
	struct epoll_event event = {.events = events, .data.u64 = SOURCES + client};

	epoll_ctl(p->epoll, EPOLL_CTL_MOD, fd, &event);
}

void control_loop_forget(struct pluto *p, int fd)
{
	epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static bool watch_source(struct pluto *p, int fd, uint64_t source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = source};

	return fd >= 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool control_loop_open(struct pluto *p)
{
	sigset_t set;

	/* main has blocked them before there was any thread. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll >= 0 && watch_source(p, p->signals, SOURCE_SIGNALS) &&
		watch_source(p, mailbox_fd(p->mailbox), SOURCE_MAIL) &&
		watch_source(p, p->socket, SOURCE_SOCKET) &&
		(address_watch_fd(p) < 0 || watch_source(p, address_watch_fd(p), SOURCE_LINKS)))
		return true;
	log_line(LOG_LINE_ERROR, "cannot set up the control loop: %s", strerror(errno));
	return false;
}

void control_loop_close(struct pluto *p)
{
	if (p->signals >= 0)
		close(p->signals);
	if (p->epoll >= 0)
		close(p->epoll);
	p->signals = p->epoll = -1;
}

/* ---- what comes in ------------------------------------------------------------ */

static void handle_signals(struct pluto *p)
{
	struct signalfd_siginfo info;

	while (read(p->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			log_line(LOG_LINE_INFO,
				"SIGHUP is ignored: perhaps \"whack --listen\" was intended");
			continue;
		}
		log_line(LOG_LINE_INFO, "%s received: shutting down",
			info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
		if (p->shutdown_watcher)
			p->ended = true; /* the second one does not wait for peers */
		else
			pluto_shut_down(p, false, NULL);
	}
}

static void handle_socket(struct pluto *p)
{
	for (unsigned i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = control_socket_accept(p->socket);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR &&
				errno != ECONNABORTED)
				log_line(LOG_LINE_WARNING, "control socket: accept: %s",
					strerror(errno));
			return;
		}
		client_accept(p, fd);
	}
}

static void handle_done(struct pluto *p, const struct shard_mail *mail)
{
	struct client *client;

	if (mail->watcher == p->shutdown_watcher && p->shutdown_watcher) {
		p->ended = p->ended || mail->last;
		return;
	}
	client = client_by_watcher(&p->clients, mail->watcher);
	if (!client)
		return;
	if (client->report) {
		if (report_stopped(client->report, mail))
			client_report_over(client);
		return;
	}
	command_shard_done(p, client, mail);
}

static void handle_mail(struct pluto *p, struct shard_mail *mail)
{
	struct client *client = client_by_watcher(&p->clients, mail->watcher);

	switch (mail->mail.kind) {
	case SHARD_MAIL_LINE:
		if (client)
			client_text(client, mail->code, mail->text, mail->len);
		break;
	case SHARD_MAIL_RELEASE:
		if (client)
			client_released(client);
		break;
	case SHARD_MAIL_CHUNK:
		if (client && client->report && report_chunk(client->report, mail))
			client_report_over(client);
		break;
	case SHARD_MAIL_DONE:
		handle_done(p, mail);
		break;
	default:
		log_line(LOG_LINE_ERROR, "unknown mail of kind %u for the control thread",
			mail->mail.kind);
	}
	shard_mail_free(mail);
}

static size_t take_mail(struct pluto *p)
{
	struct mail *mail[MAIL_AT_ONCE];
	size_t n = mailbox_take(p->mailbox, mail, MAIL_AT_ONCE);

	for (size_t i = 0; i < n; i++)
		handle_mail(p, (struct shard_mail *)mail[i]);
	return n;
}

static void handle_event(struct pluto *p, const struct epoll_event *event)
{
	struct client *client;

	switch (event->data.u64) {
	case SOURCE_MAIL:
		break; /* was only to wake us */
	case SOURCE_SIGNALS:
		handle_signals(p);
		break;
	case SOURCE_SOCKET:
		handle_socket(p);
		break;
	case SOURCE_LINKS:
		address_watch_read(p);
		break;
	default:
		/* By its number: another event of this turn may have closed it. */
		client = client_by_watcher(&p->clients, event->data.u64 - SOURCES);
		if (client && client->state != CLIENT_GONE)
			client_event(client, event->events);
	}
}

/* ---- the loop ----------------------------------------------------------------- */

static int time_to_sleep(struct pluto *p)
{
	uint64_t due = clients_expire(p), now = pluto_now_ms();

	if (address_watch_due(p) < due)
		due = address_watch_due(p);
	if (pools_due(p->pools) < due)
		due = pools_due(p->pools);
	if (p->shutdown_watcher && p->shutdown_deadline_ms < due)
		due = p->shutdown_deadline_ms;
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : due - now > 60000 ? 60000 : (int)(due - now) + 1;
}

/* How many there are; -1 with errno. A stop and continue, or a debugger, interrupts the wait
 * without any signal's being delivered: that is no event. */
static int wait_for_events(struct pluto *p, struct epoll_event *events)
{
	int timeout = time_to_sleep(p), n, cause;

	if (!mailbox_sleep(p->mailbox))
		timeout = 0;
	urcu_qsbr_thread_offline();
	n = epoll_wait(p->epoll, events, EVENTS_AT_ONCE, timeout);
	cause = errno; /* what follows has errors of its own */
	urcu_qsbr_thread_online();
	mailbox_awake(p->mailbox);
	errno = cause;
	return n < 0 && cause == EINTR ? 0 : n;
}

bool control_loop_run(struct pluto *p)
{
	struct epoll_event events[EVENTS_AT_ONCE];

	while (!p->ended) {
		int n = wait_for_events(p, events);

		if (n < 0) {
			log_line(LOG_LINE_ERROR, "control loop: %s", strerror(errno));
			return false;
		}
		take_mail(p);
		for (int i = 0; i < n; i++)
			handle_event(p, &events[i]);
		address_watch_pass(p);
		bindings_tidy(p);
		clients_flush(p);
		if (pluto_now_ms() >= pools_due(p->pools))
			pools_tick(p->pools);
		if (p->shutdown_watcher && pluto_now_ms() >= p->shutdown_deadline_ms)
			p->ended = true;
	}
	return true;
}
