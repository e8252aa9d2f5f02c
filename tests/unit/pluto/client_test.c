/* Clients of the control socket: whole and broken requests, and ones that do not read. */
#include "client.h"
#include "control_loop.h"
#include "pluto.h"
#include "report.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* What main.c has. */
uint64_t pluto_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pluto_shut_down(struct pluto *p, bool leave_state, struct client *client)
{
	(void)p, (void)leave_state, (void)client;
	fail_msg("nobody asked for it");
}

static struct pluto p;

static int set_up(void **state)
{
	(void)state;
	memset(&p, 0, sizeof(p));
	p.options.control_socket = strdup("/tmp/none");
	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	return p.options.control_socket && p.epoll >= 0 && clients_init(&p.clients) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	clients_release(&p.clients);
	close(p.epoll);
	free(p.options.control_socket);
	return 0;
}

/* A connected client; the returned descriptor is its own end. */
static int connected(struct client **client)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	client_accept(&p, ends[1]);
	*client = client_by_watcher(&p.clients, p.clients.last_watcher);
	return ends[0];
}

/* All that is there to be read: malloc'ed. */
static char *read_all(int fd, bool *end)
{
	size_t len = 0, room = 1 << 20;
	char *text = calloc(1, room);
	ssize_t n;

	while ((n = read(fd, text + len, room - len - 1)) > 0)
		len += (size_t)n;
	*end = n == 0;
	return text;
}

static void expect_answer(int fd, const char *expected)
{
	bool end;
	char *text = read_all(fd, &end);

	assert_true(end);
	assert_string_equal(text, expected);
	free(text);
	close(fd);
}

static uint8_t *request_for(const char *command, size_t *len)
{
	struct control_request request = {.command = strdup(command)};
	uint8_t *message = control_request_encode(&request, len);

	assert_non_null(message);
	control_request_release(&request);
	return message;
}

static void test_request(void **state)
{
	struct client *c;
	int fd = connected(&c);
	size_t len;
	uint8_t *message = request_for("fipsstatus", &len);

	(void)state;
	assert_int_equal(write(fd, message, len), len);
	client_event(c, EPOLLIN);
	expect_answer(fd, "000 FIPS mode disabled\n");
	assert_int_equal(p.clients.count, 0);
	free(message);
}

static void test_request_byte_by_byte(void **state)
{
	struct client *c;
	int fd = connected(&c);
	size_t len;
	uint8_t *message = request_for("fipsstatus", &len);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(p.clients.count, 1);
		assert_int_equal(write(fd, message + i, 1), 1);
		client_event(c, EPOLLIN);
	}
	expect_answer(fd, "000 FIPS mode disabled\n");
	assert_int_equal(p.clients.count, 0);
	free(message);
}

static void test_unknown_command(void **state)
{
	struct client *c;
	int fd = connected(&c);
	size_t len;
	uint8_t *message = request_for("fly", &len);

	(void)state;
	assert_int_equal(write(fd, message, len), len);
	client_event(c, EPOLLIN);
	expect_answer(fd, "050 unknown command 'fly'\n");
	free(message);
}

/* Whatever the bytes are: an answer in words, or the connection stays open for more, and nothing
 * grows. */
static void test_garbage(void **state)
{
	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t *message, garbage[64];
		struct client *c;
		size_t len;
		int fd = connected(&c);
		bool end;
		char *text;

		message = request_for("fipsstatus", &len);
		if (round % 2) {
			message[(size_t)random() % len] ^= (uint8_t)(1 << random() % 8);
			assert_int_equal(write(fd, message, len), len);
		} else {
			len = (size_t)random() % sizeof(garbage);
			for (size_t i = 0; i < len; i++)
				garbage[i] = (uint8_t)random();
			assert_int_equal(write(fd, garbage, len), len);
		}
		client_event(c, EPOLLIN);
		text = read_all(fd, &end);
		if (end)
			assert_memory_equal(text, "0", *text ? 1 : 0);
		free(text);
		free(message);
		close(fd);
		if (p.clients.first)
			client_event(p.clients.first, EPOLLIN | EPOLLHUP);
		assert_int_equal(p.clients.count, 0);
	}
}

static void test_slow_request(void **state)
{
	struct client *c;
	int fd = connected(&c);

	(void)state;
	assert_true(clients_expire(&p) <= pluto_now_ms() + CLIENT_REQUEST_MS);
	assert_int_equal(p.clients.count, 1);
	c->since_ms -= CLIENT_REQUEST_MS;
	assert_true(clients_expire(&p) == UINT64_MAX);
	expect_answer(fd, "050 the request did not come in time\n");
	assert_int_equal(p.clients.count, 0);
}

static void test_gone_before_request(void **state)
{
	struct client *c;
	int fd = connected(&c);

	(void)state;
	close(fd);
	client_event(c, EPOLLIN | EPOLLHUP);
	assert_int_equal(p.clients.count, 0);
}

static void test_unread_lines_are_lost_and_counted(void **state)
{
	static char long_line[1000];
	unsigned sent = 0, lost;
	struct client *c;
	int fd = connected(&c);
	bool end;
	char *text, *note;

	(void)state;
	memset(long_line, 'x', sizeof(long_line));
	c->state = CLIENT_WORKING;
	client_expects_release(c);
	while (c->lost < 10 && sent < 100000) {
		client_text(c, RC_OK, long_line, sizeof(long_line));
		clients_flush(&p);
		sent++;
	}
	assert_int_equal(c->lost, 10);
	assert_true(c->out_len <= CLIENT_OUT_MAX);
	assert_true(c->out_room <= 2 * CLIENT_OUT_MAX);
	/* It reads again: what was lost is said, and the next lines come. */
	text = read_all(fd, &end);
	assert_false(end);
	free(text);
	clients_flush(&p);
	client_line(c, RC_FATAL, "the end");
	client_released(c);
	clients_flush(&p);
	text = read_all(fd, &end);
	while (!end) {
		free(text);
		clients_flush(&p);
		text = read_all(fd, &end);
	}
	note = strstr(text, "000 (");
	assert_non_null(note);
	assert_int_equal(sscanf(note, "000 (%u lines were lost", &lost), 1);
	assert_int_equal(lost, 10);
	assert_non_null(strstr(text, "056 the end\n"));
	free(text);
	close(fd);
	assert_int_equal(p.clients.count, 0);
}

/* ---- reports ------------------------------------------------------------------ */

#define BIG_LINES 200000

static enum step_result big_step(struct report *r)
{
	if (r->after == BIG_LINES)
		return STEP_DONE;
	report_text_line(r, "line %llu of a report that is far longer than any socket buffer",
		(unsigned long long)r->after++);
	return STEP_MORE;
}

static report_step *const big[] = {big_step, NULL};

/* The report is made as fast as it is read, all of it, and nothing is lost. */
static void test_report(void **state)
{
	struct client *c;
	int fd = connected(&c);
	unsigned long long expected = 0;
	char line[160];
	FILE *f;

	(void)state;
	c->state = CLIENT_WORKING;
	assert_true(report_start(c, big, NULL));
	for (unsigned i = 0; i < 10; i++) {
		clients_flush(&p);
		assert_true(c->out_len < CLIENT_OUT_LOW + 1000);
	}
	assert_true(c->report->after < BIG_LINES / 10);
	f = fdopen(fd, "r");
	assert_non_null(f);
	for (;;) {
		char wanted[160];

		errno = 0;
		if (!fgets(line, sizeof(line), f)) {
			if (errno != EAGAIN)
				break;
			clearerr(f);
			clients_flush(&p);
			continue;
		}
		if (!strchr(line, '\n')) { /* a read ended within it */
			size_t len = strlen(line);

			clearerr(f);
			clients_flush(&p);
			assert_non_null(fgets(line + len, (int)(sizeof(line) - len), f));
		}
		snprintf(wanted, sizeof(wanted),
			"000 line %llu of a report that is far longer than any socket buffer\n",
			expected++);
		assert_string_equal(line, wanted);
	}
	assert_int_equal(expected, BIG_LINES);
	assert_int_equal(p.clients.count, 0);
	fclose(f);
}

static void test_report_abandoned(void **state)
{
	struct client *c;
	int fd = connected(&c);

	(void)state;
	c->state = CLIENT_WORKING;
	assert_true(report_start(c, big, NULL));
	clients_flush(&p);
	close(fd);
	clients_flush(&p);
	while (p.clients.first)
		client_event(p.clients.first, EPOLLHUP);
	assert_int_equal(p.clients.count, 0);
}

/* All places are taken by clients that do not read: the one that is stuck longest makes room, not
 * before its time. */
static void test_room_for_others(void **state)
{
	int fds[CLIENTS_MAX], late[2];
	struct client *c, *oldest = NULL;
	char answer[128] = "";

	(void)state;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		fds[i] = connected(&c);
		c->state = CLIENT_WORKING;
		client_expects_release(c);
		client_line(c, RC_OK, "never read");
		if (i == 5)
			oldest = c;
	}
	assert_int_equal(p.clients.count, CLIENTS_MAX);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, late), 0);
	client_accept(&p, late[1]);
	assert_true(read(late[0], answer, sizeof(answer) - 1) > 0);
	assert_string_equal(answer, "052 too many clients at once\n");
	close(late[0]);
	oldest->since_ms -= CLIENT_STUCK_MS;
	connected(&c);
	assert_int_equal(p.clients.count, CLIENTS_MAX);
	assert_non_null(c);
	assert_int_equal(read(fds[5], answer, 1), 0);
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_request_byte_by_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown_command, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone_before_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_unread_lines_are_lost_and_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_report, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_report_abandoned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room_for_others, set_up, tear_down),
	};

	/* Thousands of bad requests are said to the log. */
	const struct log_config log = {.sink = LOG_TO_FILE, .path = "/dev/null", .append = true};
	char error[128];
	int status;

	if (!log_start(&log, error, sizeof(error)))
		return 1;
	status = cmocka_run_group_tests_name("client", tests, NULL, NULL);
	log_stop();
	return status;
}
