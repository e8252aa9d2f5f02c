#include "client.h"

#include "commands.h"
#include "control_loop.h"
#include "control_socket.h"
#include "pluto.h"
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_START 12 /* what control_request_length wants to see */

bool clients_init(struct clients *clients)
{
	memset(clients, 0, sizeof(*clients));
	clients->by_watcher = table_new();
	return clients->by_watcher;
}

ike_watcher clients_new_watcher(struct clients *clients)
{
	return ++clients->last_watcher;
}

struct client *client_by_watcher(const struct clients *clients, ike_watcher watcher)
{
	struct table_node *node = table_first(clients->by_watcher, table_hash_u64(watcher));

	for (; node; node = table_next(node)) {
		struct client *client =
			(struct client *)((char *)node - offsetof(struct client, node));

		if (client->watcher == watcher)
			return client;
	}
	return NULL;
}

/* ---- life ------------------------------------------------------------------- */

static void client_free(struct client *client)
{
	struct clients *clients = &client->pluto->clients;

	*client->link = client->next;
	if (client->next)
		client->next->link = client->link;
	table_remove(clients->by_watcher, &client->node);
	clients->count--;
	control_request_release(&client->request);
	free(client->in);
	free(client->out);
	free(client);
}

/* The connection goes; the rest too, unless a report is still with the shards. */
static void client_close(struct client *client)
{
	if (client->state != CLIENT_GONE) {
		client->state = CLIENT_GONE;
		control_loop_forget(client->pluto, client->fd);
		close(client->fd);
		client->fd = -1;
		client->out_len = 0;
	}
	if (client->report && !report_cancel(client->report))
		return;
	report_free(client->report);
	client_free(client);
}

void clients_release(struct clients *clients)
{
	struct client *next;

	for (struct client *c = clients->first; c; c = next) {
		next = c->next;
		if (c->fd >= 0)
			close(c->fd);
		report_free(c->report);
		client_free(c);
	}
	table_free(clients->by_watcher);
	clients->by_watcher = NULL;
}

/* One that does not read its answer must not keep others out. */
static bool make_room(struct pluto *p)
{
	struct client *worst = NULL;

	for (struct client *c = p->clients.first; c; c = c->next)
		if (c->state != CLIENT_GONE && c->out_len &&
			(!worst || c->since_ms < worst->since_ms))
			worst = c;
	if (!worst || pluto_now_ms() - worst->since_ms < CLIENT_STUCK_MS)
		return false;
	log_line(LOG_LINE_WARNING,
		"control socket: a client that does not read its answer makes room");
	client_close(worst);
	return p->clients.count < CLIENTS_MAX;
}

static struct client *client_new(struct pluto *p, int fd)
{
	struct clients *clients = &p->clients;
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->pluto = p;
	c->fd = fd;
	c->watcher = clients_new_watcher(clients);
	c->since_ms = pluto_now_ms();
	if (!table_insert(clients->by_watcher, &c->node, table_hash_u64(c->watcher))) {
		free(c);
		return NULL;
	}
	c->events = EPOLLIN;
	c->link = &clients->first;
	c->next = clients->first;
	if (c->next)
		c->next->link = &c->next;
	clients->first = c;
	clients->count++;
	return c;
}

static void refuse(int fd, const char *answer)
{
	ssize_t n = send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)n; /* it is told if it can be told */
	close(fd);
}

void client_accept(struct pluto *p, int fd)
{
	struct client *c;

	if (!control_socket_may(p->options.control_socket, fd)) {
		refuse(fd, "056 permission denied: only root and the group of the control socket "
			   "may\n");
		return;
	}
	if (p->clients.count >= CLIENTS_MAX && !make_room(p)) {
		refuse(fd, "052 too many clients at once\n");
		return;
	}
	c = client_new(p, fd);
	if (!c) {
		refuse(fd, "052 out of memory\n");
		return;
	}
	if (!control_loop_watch(p, fd, EPOLLIN, c->watcher))
		client_close(c);
}

/* ---- output ----------------------------------------------------------------- */

static bool out_reserve(struct client *c, size_t len)
{
	size_t room = c->out_room ? c->out_room : 4096;
	char *out;

	if (c->out_start && (c->out_len == 0 || c->out_start + c->out_len + len > c->out_room)) {
		memmove(c->out, c->out + c->out_start, c->out_len);
		c->out_start = 0;
	}
	if (c->out_len + len <= c->out_room)
		return true;
	while (room < c->out_len + len)
		room *= 2;
	out = realloc(c->out, room);
	if (!out)
		return false;
	c->out = out;
	c->out_room = room;
	return true;
}

static void out_append(struct client *c, const char *text, size_t len)
{
	if (c->out_len == 0)
		c->since_ms = pluto_now_ms();
	memcpy(c->out + c->out_start + c->out_len, text, len);
	c->out_len += len;
}

static bool add_line(struct client *c, enum ike_rc code, const char *text, size_t len)
{
	char prefix[8];

	if (!out_reserve(c, len + 5))
		return false;
	snprintf(prefix, sizeof(prefix), "%03u ", (unsigned)code % 1000);
	out_append(c, prefix, 4);
	out_append(c, text, len);
	out_append(c, "\n", 1);
	return true;
}

void client_text(struct client *c, enum ike_rc code, const char *text, size_t len)
{
	char note[80];

	if (c->state == CLIENT_GONE)
		return;
	if (c->out_len + len > CLIENT_OUT_MAX) {
		c->lost++;
		return;
	}
	if (c->lost) {
		snprintf(note, sizeof(note), "(%llu lines were lost: they were not read in time)",
			(unsigned long long)c->lost);
		if (add_line(c, RC_OK, note, strlen(note)))
			c->lost = 0;
	}
	if (!add_line(c, code, text, len))
		c->lost++;
}

void client_line(struct client *c, enum ike_rc code, const char *format, ...)
{
	char text[2048];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		return;
	client_text(c, code, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void client_report_text(struct client *c, const char *text, size_t len)
{
	if (c->state == CLIENT_GONE)
		return;
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) + 1 : len;

		if (!out_reserve(c, n + 4)) {
			c->broken = true; /* half a report would be worse than none */
			return;
		}
		if (!c->in_line)
			out_append(c, "000 ", 4);
		out_append(c, text, n);
		c->in_line = !end;
		text += n;
		len -= n;
	}
}

static bool client_send(struct client *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_start, c->out_len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		c->out_start += (size_t)n;
		c->out_len -= (size_t)n;
		c->since_ms = pluto_now_ms();
	}
	c->out_start = 0;
	return true;
}

static void want_events(struct client *c)
{
	uint32_t events =
		(c->state == CLIENT_READING ? EPOLLIN : 0u) | (c->out_len ? EPOLLOUT : 0u);

	if (events == c->events)
		return;
	c->events = events;
	control_loop_change(c->pluto, c->fd, events, c->watcher);
}

/* Sends, fills up from the report, and closes when all is said. */
static void client_flush(struct client *c)
{
	size_t before;

	if (c->state == CLIENT_GONE)
		return;
	do {
		if (c->broken || !client_send(c)) {
			client_close(c);
			return;
		}
		before = c->out_len;
		if (c->report && c->out_len < CLIENT_OUT_LOW && report_pump(c->report)) {
			report_free(c->report);
			c->report = NULL;
			client_settle(c);
		}
	} while (c->out_len > before);
	if (c->state == CLIENT_ENDING && c->out_len == 0)
		client_close(c);
	else
		want_events(c);
}

void clients_flush(struct pluto *p)
{
	struct client *next;

	for (struct client *c = p->clients.first; c; c = next) {
		next = c->next;
		client_flush(c);
	}
}

uint64_t clients_expire(struct pluto *p)
{
	uint64_t now = pluto_now_ms(), soonest = UINT64_MAX;
	struct client *next;

	for (struct client *c = p->clients.first; c; c = next) {
		next = c->next;
		if (c->state != CLIENT_READING)
			continue;
		if (c->since_ms + CLIENT_REQUEST_MS <= now) {
			client_line(c, RC_BAD_MESSAGE, "the request did not come in time");
			client_send(c);
			client_close(c);
		} else if (c->since_ms + CLIENT_REQUEST_MS < soonest) {
			soonest = c->since_ms + CLIENT_REQUEST_MS;
		}
	}
	return soonest;
}

/* ---- the request ------------------------------------------------------------ */

void client_settle(struct client *c)
{
	if (c->state == CLIENT_WORKING && c->commands == 0 && c->releases <= 0 && !c->report)
		c->state = CLIENT_ENDING;
}

void client_expects_done(struct client *c)
{
	c->commands++;
}

void client_done(struct client *c, unsigned count)
{
	if (c->commands)
		c->commands--;
	c->releases += count;
	client_settle(c);
}

void client_expects_release(struct client *c)
{
	c->releases++;
}

void client_released(struct client *c)
{
	c->releases--;
	client_settle(c);
}

void client_report_over(struct client *c)
{
	report_free(c->report);
	c->report = NULL;
	if (c->state == CLIENT_GONE)
		client_free(c);
	else
		client_settle(c);
}

static void request_bad(struct client *c, const char *why)
{
	log_line(LOG_LINE_WARNING, "control socket: ignoring a request: %s", why);
	client_line(c, RC_BAD_MESSAGE, "%s", why);
	c->state = CLIENT_ENDING;
}

static void request_complete(struct client *c)
{
	char error[256];

	c->state = CLIENT_WORKING;
	if (!control_request_decode(
		    bytes_of(c->in, c->in_len), &c->request, error, sizeof(error))) {
		request_bad(c, error);
		return;
	}
	free(c->in);
	c->in = NULL;
	command_run(c->pluto, c);
	client_settle(c);
}

/* Its first bytes say how long the message is. */
static bool learn_length(struct client *c)
{
	char error[256];

	c->in_need = control_request_length(bytes_of(c->in, c->in_len), error, sizeof(error));
	if (c->in_need >= REQUEST_START && c->in_need <= CONTROL_REQUEST_MAX)
		return true;
	request_bad(c, c->in_need ? "the request has a wrong length" : error);
	return false;
}

static void client_read(struct client *c)
{
	while (c->state == CLIENT_READING) {
		size_t want = c->in_need ? c->in_need : REQUEST_START;
		uint8_t *in = realloc(c->in, want);
		ssize_t n;

		if (!in) {
			request_bad(c, "out of memory");
			return;
		}
		c->in = in;
		n = recv(c->fd, c->in + c->in_len, want - c->in_len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			c->state = CLIENT_ENDING; /* gone before it said anything */
			return;
		}
		c->in_len += (size_t)n;
		if (c->in_len == REQUEST_START && !c->in_need && !learn_length(c))
			return;
		if (c->in_need && c->in_len == c->in_need)
			request_complete(c);
	}
}

void client_event(struct client *c, uint32_t events)
{
	if (events & EPOLLIN)
		client_read(c);
	if (events & (EPOLLERR | EPOLLHUP)) {
		/* Both directions are closed: nobody reads any more. */
		client_close(c);
		return;
	}
	client_flush(c);
}
