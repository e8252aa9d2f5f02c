/* The thread of updown, and the way to it and back. */
#include "kernel/updown.h"

#include "base/log.h"
#include "updown_seat.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATH_USUAL "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* For killed children, which end as soon as the system lets them. */
#define KILLED_PATIENCE_MS 1000

/* A stack that anybody pushes on and one takes as a whole. Its length is bounded by who pushes: an SA
 * has two requests and one answer. */
struct updown_port {
	struct updown_port *next;
	struct updown *updown;
	int fd;
	struct updown_answer *answers; /* atomic */
};

struct updown {
	struct updown_config config;
	struct lanes lanes;
	struct updown_port *ports;       /* atomic */
	struct updown_request *requests; /* atomic */
	int wake_fd, epoll_fd;
	pthread_t thread;
	bool stopping, leave_state; /* atomic; the latter and patience are set before the first */
	unsigned patience_ms;
	uint64_t routes; /* atomic, for readers */
};

enum { EVENT_WAKE = 0, EVENT_CHILD = 1 << 8, EVENT_OUTPUT = 2 << 8 };

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wake(int fd)
{
	uint64_t one = 1;

	/* It cannot be full: nobody counts to 2^64. */
	if (write(fd, &one, sizeof(one)) < 0)
		log_line(LOG_LINE_ERROR, "updown: eventfd: %s", strerror(errno));
}

/* ---- any thread ------------------------------------------------------------------------ */

struct updown_port *updown_port_open(struct updown *u)
{
	struct updown_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->updown = u;
	port->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (port->fd < 0) {
		free(port);
		return NULL;
	}
	port->next = __atomic_load_n(&u->ports, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&u->ports, &port->next, port, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return port;
}

int updown_port_fd(const struct updown_port *port)
{
	return port->fd;
}

struct updown_answer *updown_port_take(struct updown_port *port)
{
	struct updown_answer *taken, *in_order = NULL;

	if (!__atomic_load_n(&port->answers, __ATOMIC_RELAXED))
		return NULL;
	taken = __atomic_exchange_n(&port->answers, NULL, __ATOMIC_ACQUIRE);
	while (taken) {
		struct updown_answer *next = taken->next;

		taken->next = in_order;
		in_order = taken;
		taken = next;
	}
	return in_order;
}

static void push_answer(struct updown_port *port, struct updown_answer *answer)
{
	struct updown_answer *before = __atomic_load_n(&port->answers, __ATOMIC_RELAXED);

	/* Once it is there it is the taker's. */
	do {
		answer->next = before;
	} while (!__atomic_compare_exchange_n(&port->answers, &before, answer, true,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (!before)
		wake(port->fd);
}

struct updown_request *updown_request_new(enum updown_op op, unsigned pair_count)
{
	struct updown_request *r =
		calloc(1, sizeof(*r) + pair_count * sizeof(struct updown_pair));

	if (!r)
		return NULL;
	r->op = op;
	r->pair_count = pair_count;
	/* Now, because later it would be too late to say that there is no memory. */
	r->answer = calloc(1, sizeof(*r->answer));
	if (r->answer)
		return r;
	free(r);
	return NULL;
}

void updown_request_free(struct updown_request *request)
{
	if (!request)
		return;
	for (unsigned i = 0; i < request->pair_count; i++)
		free(request->pairs[i].environment);
	free(request->name);
	free(request->prefix);
	free(request->command);
	free(request->environment);
	free(request->answer);
	free(request);
}

void updown_submit(struct updown_port *port, struct updown_request *request)
{
	struct updown *u = port->updown;
	struct updown_request *before = __atomic_load_n(&u->requests, __ATOMIC_RELAXED);

	request->port = port;
	/* Once it is there it is the thread's. */
	do {
		request->next = before;
	} while (!__atomic_compare_exchange_n(&u->requests, &before, request, true,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (!before)
		wake(u->wake_fd);
}

struct updown_stats updown_stats(const struct updown *u)
{
	const struct lanes *l = &u->lanes;

	return (struct updown_stats){
		.runs = __atomic_load_n(&l->runs, __ATOMIC_RELAXED),
		.failed = __atomic_load_n(&l->failed, __ATOMIC_RELAXED),
		.timed_out = __atomic_load_n(&l->timed_out, __ATOMIC_RELAXED),
		.running = __atomic_load_n(&l->running, __ATOMIC_RELAXED),
		.waiting = __atomic_load_n(&l->waiting, __ATOMIC_RELAXED),
		.seats = __atomic_load_n(&l->seats, __ATOMIC_RELAXED),
		.routes = __atomic_load_n(&u->routes, __ATOMIC_RELAXED),
	};
}

/* ---- the thread ------------------------------------------------------------------------- */

static void answer(
	void *arg, struct updown_request *request, bool ok, bool nothing, const char *why)
{
	struct updown_answer *a = request->answer;

	(void)arg;
	if (!a || !request->port)
		return;
	request->answer = NULL;
	a->token = request->token;
	a->ok = ok;
	a->nothing = nothing;
	snprintf(a->why, sizeof(a->why), "%s", why);
	push_answer(request->port, a);
}

static bool watch(struct updown *u, int fd, uint32_t event, uint32_t flags)
{
	struct epoll_event e = {.events = EPOLLIN | flags, .data.u32 = event};

	return epoll_ctl(u->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

static bool watch_child(void *arg, unsigned child)
{
	struct updown *u = arg;
	const struct child *c = &u->lanes.children[child];

	return watch(u, c->pid_fd, EVENT_CHILD | child, 0) &&
	       watch(u, c->output, EVENT_OUTPUT | child, 0);
}

static void take_requests(struct updown *u)
{
	struct updown_request *taken =
		__atomic_exchange_n(&u->requests, NULL, __ATOMIC_ACQUIRE);
	struct updown_request *in_order = NULL;

	while (taken) {
		struct updown_request *next = taken->next;

		taken->next = in_order;
		in_order = taken;
		taken = next;
	}
	while (in_order) {
		struct updown_request *next = in_order->next;

		lanes_ask(&u->lanes, in_order);
		in_order = next;
	}
}

/* Milliseconds until a child is late or `until` is there; -1: never. */
static int patience(const struct updown *u, uint64_t until)
{
	uint64_t next = until;

	for (unsigned i = 0; i < u->config.children; i++) {
		const struct child *c = &u->lanes.children[i];

		if (c->pid && c->deadline_ms < next)
			next = c->deadline_ms;
	}
	if (next == UINT64_MAX)
		return -1;
	if (next <= u->lanes.now_ms)
		return 0;
	return next - u->lanes.now_ms > 3600000 ? 3600000 : (int)(next - u->lanes.now_ms);
}

static void handle(struct updown *u, uint32_t event)
{
	unsigned i = event & 0xff;
	struct child *c = &u->lanes.children[i];

	if (event == EVENT_WAKE || !c->pid)
		return;
	if (event & EVENT_OUTPUT) {
		if (c->output >= 0)
			child_read(c);
	} else {
		lanes_child_ended(&u->lanes, i);
	}
}

static void turn(struct updown *u, uint64_t until)
{
	struct epoll_event events[16];
	int n;

	u->lanes.now_ms = now_ms();
	n = epoll_wait(u->epoll_fd, events, 16, patience(u, until));
	u->lanes.now_ms = now_ms();
	/* Output before ends, so that a child's number means who it meant. */
	for (int i = 0; i < n; i++)
		if (events[i].data.u32 & EVENT_OUTPUT)
			handle(u, events[i].data.u32);
	for (int i = 0; i < n; i++)
		if (!(events[i].data.u32 & EVENT_OUTPUT))
			handle(u, events[i].data.u32);
	for (unsigned i = 0; i < u->config.children; i++) {
		struct child *c = &u->lanes.children[i];

		if (c->pid && c->deadline_ms <= u->lanes.now_ms)
			child_late(c, u->lanes.now_ms);
	}
	take_requests(u);
	__atomic_store_n(&u->routes, route_count(u->lanes.routes), __ATOMIC_RELAXED);
}

static void wait_until_idle(struct updown *u, unsigned ms)
{
	uint64_t until = now_ms() + ms;

	while (!lanes_idle(&u->lanes) && now_ms() < until)
		turn(u, until);
}

static void kill_children(struct updown *u)
{
	uint64_t until = now_ms() + KILLED_PATIENCE_MS;

	/* Nothing more is begun: lanes that go on would start the next ones. */
	u->config.children = 0;
	for (unsigned i = 0; i < CHILDREN_MAX; i++)
		if (u->lanes.children[i].pid)
			child_kill(&u->lanes.children[i]);
	while (u->lanes.running && now_ms() < until)
		turn(u, until);
}

static void close_all(struct updown *u)
{
	unsigned left;

	take_requests(u);
	if (u->leave_state) {
		route_table_leave(u->lanes.routes);
		if (!u->lanes.running)
			lanes_give_up(&u->lanes);
		return;
	}
	lanes_close(&u->lanes);
	wait_until_idle(u, u->patience_ms);
	if (!lanes_idle(&u->lanes))
		kill_children(u);
	left = u->lanes.running ? 0 : lanes_give_up(&u->lanes);
	if (left)
		log_line(LOG_LINE_WARNING, "updown: %u were not taken down in time", left);
	if (u->config.routes && !route_table_flush(u->lanes.routes))
		log_line(LOG_LINE_WARNING, "updown: routes cannot be removed: %s",
			strerror(errno));
}

static void *run(void *arg)
{
	struct updown *u = arg;

	while (!__atomic_load_n(&u->stopping, __ATOMIC_ACQUIRE))
		turn(u, UINT64_MAX);
	close_all(u);
	return NULL;
}

/* ---- start and stop ---------------------------------------------------------------------- */

static void free_all(struct updown *u)
{
	struct updown_answer *a;

	while (u->ports) {
		struct updown_port *port = u->ports;

		u->ports = port->next;
		while ((a = port->answers)) {
			port->answers = a->next;
			free(a);
		}
		close(port->fd);
		free(port);
	}
	if (u->lanes.routes)
		route_table_close(u->lanes.routes);
	lanes_free(&u->lanes);
	if (u->epoll_fd >= 0)
		close(u->epoll_fd);
	if (u->wake_fd >= 0)
		close(u->wake_fd);
	free(u);
}

static void apply(struct updown *u, const struct updown_config *config)
{
	u->config = *config;
	if (!u->config.children)
		u->config.children = CHILDREN_USUAL;
	if (u->config.children > CHILDREN_MAX)
		u->config.children = CHILDREN_MAX;
	if (!u->config.timeout_ms)
		u->config.timeout_ms = TIMEOUT_USUAL_MS;
	if (!u->config.path)
		u->config.path = PATH_USUAL;
	u->lanes.config = &u->config;
	u->lanes.arg = u;
	u->lanes.answer = answer;
	u->lanes.watch = watch_child;
}

static const char *make(struct updown *u)
{
	u->lanes.routes = route_table_open();
	if (!u->lanes.routes)
		return "netlink";
	u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (u->wake_fd < 0 || u->epoll_fd < 0 || !watch(u, u->wake_fd, EVENT_WAKE, EPOLLET))
		return "epoll";
	if (!lanes_init(&u->lanes))
		return "tables";
	if (u->config.routes && !route_table_flush(u->lanes.routes))
		return "removing routes that an earlier run has left";
	return pthread_create(&u->thread, NULL, run, u) ? "thread" : NULL;
}

struct updown *updown_start(const struct updown_config *config, char *error, size_t error_size)
{
	struct updown *u = calloc(1, sizeof(*u));
	const char *missing;

	if (!u) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	u->wake_fd = u->epoll_fd = -1;
	signal(SIGCHLD, SIG_DFL); /* or children could not be waited for */
	apply(u, config);
	missing = make(u);
	if (!missing)
		return u;
	snprintf(error, error_size, "updown cannot start: %s: %s", missing, strerror(errno));
	free_all(u);
	return NULL;
}

void updown_stop(struct updown *u, unsigned patience_ms, bool leave_state)
{
	if (!u)
		return;
	u->patience_ms = patience_ms;
	u->leave_state = leave_state;
	__atomic_store_n(&u->stopping, true, __ATOMIC_RELEASE);
	wake(u->wake_fd);
	pthread_join(u->thread, NULL);
	free_all(u);
}
