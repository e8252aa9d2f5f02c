#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "log_line.h"

static char directory[] = "/tmp/base-log-test-XXXXXX";
static char path[64];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/pluto.log", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static char *whole_file(void)
{
	FILE *f = fopen(path, "r");
	char *text;
	long len;
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	len = (long)st.st_size;
	text = malloc((size_t)len + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)len, f), len);
	text[len] = 0;
	fclose(f);
	return text;
}

static void start_file(bool append, bool time, bool debug)
{
	struct log_config config = {
		.sink = LOG_TO_FILE, .path = path, .append = append, .time = time, .debug = debug};
	char error[200] = "";

	if (!log_start(&config, error, sizeof(error)))
		fail_msg("log_start: %s", error);
}

/* ---- standard error, led elsewhere for a while ------------------------------- */

static int real_stderr = -1;

static void redirect_stderr(int fd)
{
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static void restore_stderr(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
}

static void direct_lines(void **state)
{
	int fds[2];
	char text[200];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	redirect_stderr(fds[1]);
	errno = ENOENT;
	log_line(LOG_LINE_INFO, "starting %s: %m", "up");
	log_line(LOG_LINE_DEBUG, "not shown");
	log_text(LOG_LINE_ERROR, "100%s\nfree", 10);
	restore_stderr();
	assert_int_equal(errno, ENOENT);
	n = read(fds[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = 0;
	assert_string_equal(text, "starting up: No such file or directory\n100%s\\012free\n");
	close(fds[0]);
	close(fds[1]);
}

/* ---- what a line looks like -------------------------------------------------- */

static void line_style(void **state)
{
	/* 2022-11-22 14:03:11.023456 UTC */
	struct log_record record = {
		.time_us = 1669125791023456u, .len = 5, .severity = LOG_LINE_INFO};
	char out[LOG_LINE_MAX + 1];

	(void)state;
	out[log_line_format(out, &record, "text!", true)] = 0;
	assert_string_equal(out, "Nov 22 14:03:11.023456: text!\n");
	record.severity = LOG_LINE_DEBUG;
	out[log_line_format(out, &record, "text!", true)] = 0;
	assert_string_equal(out, "Nov 22 14:03:11.023456: | text!\n");
	out[log_line_format(out, &record, "text!", false)] = 0;
	assert_string_equal(out, "| text!\n");
	record.time_us = 999999; /* a day of one digit, and another second */
	record.severity = LOG_LINE_WARNING;
	record.len = 0;
	out[log_line_format(out, &record, "", true)] = 0;
	assert_string_equal(out, "Jan  1 00:00:00.999999: \n");
}

static void hostile_text(void **state)
{
	static const char text[] = "a\tb\033[2J\r\n\x7f\x80\xff\0z~";
	struct log_record record = {.len = sizeof(text) - 1, .severity = LOG_LINE_INFO};
	char out[LOG_LINE_MAX + 1], worst[LOG_TEXT_MAX];

	(void)state;
	out[log_line_format(out, &record, text, false)] = 0;
	assert_string_equal(out, "a\\011b\\033[2J\\015\\012\\177\\200\\377\\000z~\n");
	/* The longest possible line: the buffer suffices, and no escape is cut in half. */
	memset(worst, 1, sizeof(worst));
	worst[0] = 'x';
	record = (struct log_record){.len = LOG_TEXT_MAX, .severity = LOG_LINE_DEBUG};
	size_t len = log_line_format(out, &record, worst, true);
	assert_true(len <= LOG_LINE_MAX);
	out[len] = 0;
	assert_string_equal(out + len - 5, "\\001\n");
	assert_int_equal(strchr(out, 'x') - out, 26);
	assert_int_equal(len, 26 + 1 + 499 * 4 + 1);
}

/* ---- a file -------------------------------------------------------------------- */

static bool stamped_between(const char *line, time_t from, time_t to)
{
	for (time_t t = from; t <= to; t++) {
		char want[32];
		struct tm tm;

		strftime(want, sizeof(want), "%b %e %T.", gmtime_r(&t, &tm));
		if (!strncmp(line, want, strlen(want)))
			return strspn(line + strlen(want), "0123456789") == 6 &&
			       !strncmp(line + strlen(want) + 6, ": ", 2);
	}
	return false;
}

static void to_a_file(void **state)
{
	time_t before = time(NULL);
	char *text, *line;
	char big[3000];
	struct stat st;

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = 0;
	start_file(false, true, false);
	assert_false(log_debug_on());
	errno = EBUSY;
	log_line(LOG_LINE_INFO, "first %d", 1);
	assert_int_equal(errno, EBUSY);
	log_line(LOG_LINE_DEBUG, "not shown");
	log_set_debug(true);
	assert_true(log_debug_on());
	log_line(LOG_LINE_DEBUG, "shown");
	log_line(LOG_LINE_INFO, "%s", big);
	log_text(LOG_LINE_INFO, big, sizeof(big) - 1);
	log_stop();
	assert_false(log_debug_on());

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~0640, 0);
	text = whole_file();
	line = text;
	assert_true(stamped_between(line, before, time(NULL)));
	assert_int_equal(strncmp(line + 24, "first 1\n", 8), 0);
	line = strchr(line, '\n') + 1;
	assert_true(stamped_between(line, before, time(NULL)));
	assert_int_equal(strncmp(line + 24, "| shown\n", 8), 0);
	for (int i = 0; i < 2; i++) {
		line = strchr(line, '\n') + 1;
		assert_int_equal(strspn(line + 24, "x"), 2000);
		assert_int_equal(line[2024], '\n');
	}
	assert_int_equal(line[2025], 0);
	free(text);
}

static void append_or_empty(void **state)
{
	char *text;

	(void)state;
	for (int i = 0; i < 3; i++) {
		start_file(i == 1, false, false);
		log_line(LOG_LINE_INFO, "turn %d", i);
		log_stop();
		text = whole_file();
		assert_string_equal(text, i == 0   ? "turn 0\n"
					  : i == 1 ? "turn 0\nturn 1\n"
						   : "turn 2\n");
		free(text);
	}
}

static void refusals(void **state)
{
	struct log_config config = {.sink = LOG_TO_FILE, .path = "/nonexistent/pluto.log"};
	char error[200] = "";

	(void)state;
	assert_false(log_start(&config, error, sizeof(error)));
	assert_string_equal(error,
		"cannot open the log file \"/nonexistent/pluto.log\": No such file or directory");
	config.path = "";
	assert_false(log_start(&config, error, sizeof(error)));
	config.sink = (enum log_sink)99;
	assert_false(log_start(&config, error, sizeof(error)));
	start_file(false, false, false);
	config.sink = LOG_TO_STDERR;
	assert_false(log_start(&config, error, sizeof(error)));
	assert_string_equal(error, "the log is started already");
	log_stop();
	log_stop();
}

/* Nobody has to stop the log, or to log more, to see a line. */
static void lines_come_out_soon(void **state)
{
	(void)state;
	start_file(false, false, false);
	for (int i = 0; i < 20; i++) {
		char want[20], *text = NULL;
		bool seen = false;

		snprintf(want, sizeof(want), "line %d\n", i);
		log_line(LOG_LINE_INFO, "line %d", i);
		for (int wait = 0; wait < 5000 && !seen; wait++) {
			usleep(1000);
			text = whole_file();
			seen = strstr(text, want) != NULL;
			free(text);
		}
		assert_true(seen);
		if (i % 2) /* until the log thread sleeps, or only naps */
			usleep(20000);
	}
	log_stop();
}

static void a_full_disk_is_counted(void **state)
{
	struct log_config config = {.sink = LOG_TO_FILE, .path = "/dev/full", .append = true};
	uint64_t before = log_dropped();
	char error[200] = "";

	(void)state;
	assert_true(log_start(&config, error, sizeof(error)));
	for (int i = 0; i < 100; i++)
		log_line(LOG_LINE_INFO, "line %d", i);
	log_stop();
	assert_true(log_dropped() - before == 100);
	/* The next sink that works hears of it. */
	start_file(false, false, false);
	log_line(LOG_LINE_INFO, "here again");
	log_stop();
	char *text = whole_file();
	assert_non_null(strstr(text, "here again\n"));
	/* Which of the two comes first is the log thread's affair. */
	assert_non_null(strstr(text, "WARNING: 100 log lines were lost\n"));
	assert_int_equal(strlen(text), strlen("here again\nWARNING: 100 log lines were lost\n"));
	free(text);
}

/* ---- rings that come and go: the linker sends the calls here (--wrap) ---------------- */

struct log_ring *__real_log_ring_new(void);
struct log_ring *__wrap_log_ring_new(void);
void __real_free(void *p);
void __wrap_free(void *p);

static _Atomic(struct log_ring *) rings[1024];
static _Atomic unsigned rings_made, rings_freed;

struct log_ring *__wrap_log_ring_new(void)
{
	struct log_ring *ring = __real_log_ring_new();

	rings[rings_made++ % 1024] = ring;
	return ring;
}

void __wrap_free(void *p)
{
	for (unsigned i = 0; p && i < 1024 && i < rings_made; i++) {
		if (rings[i] == p) {
			rings[i] = NULL;
			rings_freed++;
		}
	}
	__real_free(p);
}

/* ---- many threads ---------------------------------------------------------------- */

#define THREADS 4
#define EACH    20000

static void *log_much(void *arg)
{
	unsigned id = *(unsigned *)arg;

	for (unsigned i = 0; i < EACH; i++) {
		log_line(LOG_LINE_INFO, "thread %u line %u of some length, as they are", id, i);
		if (i % 500 == 0)
			sched_yield();
	}
	return NULL;
}

/* Per thread in order; whatever is missing is counted and reported. */
static void check_lines(char *text, uint64_t dropped, unsigned threads, unsigned each)
{
	unsigned next[THREADS] = {0};
	unsigned long long lines = 0, reported = 0, n;
	unsigned id, number;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "WARNING: %llu log lines were lost", &n) == 1) {
			reported += n;
			continue;
		}
		assert_int_equal(sscanf(line, "thread %u line %u of", &id, &number), 2);
		assert_true(id < threads);
		assert_true(number >= next[id] && number < each);
		next[id] = number + 1;
		lines++;
	}
	assert_true(lines + dropped == (unsigned long long)threads * each);
	assert_true(reported == dropped);
}

static void many_threads(void **state)
{
	pthread_t threads[THREADS];
	unsigned ids[THREADS];
	uint64_t before = log_dropped();
	char *text;

	(void)state;
	start_file(false, false, false);
	for (unsigned i = 0; i < THREADS; i++) {
		ids[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, log_much, &ids[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_stop();
	text = whole_file();
	check_lines(text, log_dropped() - before, THREADS, EACH);
	free(text);
}

static void *log_one(void *arg)
{
	log_line(LOG_LINE_INFO, "thread 0 line %u of one", *(unsigned *)arg);
	return NULL;
}

static void short_lived_threads(void **state)
{
	enum { N = 300 };
	uint64_t before = log_dropped();
	unsigned made = rings_made, freed = rings_freed;
	pthread_t thread;
	char *text;

	(void)state;
	start_file(false, false, false);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(pthread_create(&thread, NULL, log_one, &i), 0);
		pthread_join(thread, NULL);
	}
	log_stop();
	assert_true(log_dropped() == before);
	/* Their buffers went with them; the threads of the tests before are all gone already. */
	assert_int_equal(rings_made - made, N);
	assert_int_equal(rings_freed - freed, N);
	text = whole_file();
	check_lines(text, 0, 1, N);
	free(text);
}

/* ---- a sink that takes nothing ------------------------------------------------------ */

struct pipe_reader {
	int fd;
	char *text;
	size_t len;
};

static void *read_pipe(void *arg)
{
	struct pipe_reader *r = arg;
	ssize_t n;

	do {
		r->text = realloc(r->text, r->len + 65537);
		n = read(r->fd, r->text + r->len, 65536);
		if (n > 0)
			r->len += (size_t)n;
	} while (n > 0);
	r->text[r->len] = 0;
	return NULL;
}

static void producer_never_waits(void **state)
{
	enum { N = 20000 };
	struct log_config config = {.sink = LOG_TO_STDERR};
	struct pipe_reader reader = {0};
	uint64_t before = log_dropped(), dropped;
	char error[200] = "";
	pthread_t thread;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	redirect_stderr(fds[1]);
	assert_true(log_start(&config, error, sizeof(error)));
	/* About 1 MB: neither the pipe (64 kB) nor the ring can take it, and nobody reads. If
	 * this waited, the test would hang. */
	for (unsigned i = 0; i < N; i++)
		log_line(LOG_LINE_INFO, "thread 0 line %u of a pipe that nobody reads", i);
	dropped = log_dropped() - before;
	reader.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, read_pipe, &reader), 0);
	log_stop();
	restore_stderr();
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	assert_true(dropped > 0 && dropped < N);
	check_lines(reader.text, dropped, 1, N);
	free(reader.text);
}

static void stamp_is_of_the_moment(void **state)
{
	struct log_config config = {.sink = LOG_TO_STDERR, .time = true};
	struct pipe_reader reader = {0};
	char error[200] = "", *line;
	time_t before, after;
	pthread_t thread;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	redirect_stderr(fds[1]);
	assert_true(log_start(&config, error, sizeof(error)));
	for (int i = 0; i < 2000; i++) /* fills the pipe: the log thread hangs */
		log_line(LOG_LINE_INFO, "filler filler filler filler filler filler");
	before = time(NULL);
	log_line(LOG_LINE_INFO, "the moment");
	after = time(NULL);
	usleep(2200000);
	reader.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, read_pipe, &reader), 0);
	log_stop();
	restore_stderr();
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	line = strstr(reader.text, ": the moment\n");
	assert_non_null(line);
	assert_true(stamped_between(line - 22, before, after));
	free(reader.text);
}

/* Runs in a child, because what it does cannot be undone: 0 if all is well. */
static int in_child(int (*run)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(run());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int stop_with_a_stuck_sink(void)
{
	struct log_config config = {.sink = LOG_TO_STDERR};
	char error[200] = "";
	time_t before;
	int fds[2];

	alarm(60);
	if (pipe(fds) || dup2(fds[1], STDERR_FILENO) < 0 ||
		!log_start(&config, error, sizeof(error)))
		return 1;
	for (int i = 0; i < 5000; i++)
		log_line(LOG_LINE_INFO, "thread 0 line %d of a pipe that nobody ever reads", i);
	before = time(NULL);
	log_stop();
	if (time(NULL) - before > 20)
		return 2;
	return log_start(&config, error, sizeof(error)) ? 3 : 0;
}

static void stop_gives_up_a_stuck_sink(void **state)
{
	(void)state;
	assert_int_equal(in_child(stop_with_a_stuck_sink), 0);
}

/* ---- syslog: a socket of our own at /dev/log, in a mount namespace of our own --------- */

#define NOT_ALLOWED 77

static int syslog_in_a_namespace(void)
{
	struct log_config config = {
		.sink = LOG_TO_SYSLOG, .ident = "pluto", .time = true, .debug = true};
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	/* authpriv is 10: priority 80 + severity */
	static const char *const want[] = {"<86>", "<87>", "<84>", "<83>"};
	static const char *const text[] = {": hello\\012", ": | detail", ": beware", ": broken"};
	char error[200] = "", got[3000];
	int fd;

	alarm(60);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("none", "/dev", "tmpfs", 0, NULL))
		return NOT_ALLOWED;
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return NOT_ALLOWED;
	if (!log_start(&config, error, sizeof(error)))
		return 1;
	log_text(LOG_LINE_INFO, "hello\n", 6);
	log_line(LOG_LINE_DEBUG, "detail");
	log_line(LOG_LINE_WARNING, "beware");
	log_line(LOG_LINE_ERROR, "broken");
	log_stop();
	for (int i = 0; i < 4; i++) {
		ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

		if (n < 0)
			return 10 + i;
		got[n] = 0;
		if (strncmp(got, want[i], 4))
			return 20 + i;
		/* "<86>Nov 22 14:03:11 pluto[123]: hello\012" */
		if (!strstr(got, " pluto[") || strlen(got) < strlen(text[i]) ||
			strcmp(got + strlen(got) - strlen(text[i]), text[i]))
			return 30 + i;
	}
	return 0;
}

static void to_syslog(void **state)
{
	int result = in_child(syslog_in_a_namespace);

	(void)state;
	if (result == NOT_ALLOWED)
		skip();
	assert_int_equal(result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_lines),
		cmocka_unit_test(line_style),
		cmocka_unit_test(hostile_text),
		cmocka_unit_test(to_a_file),
		cmocka_unit_test(append_or_empty),
		cmocka_unit_test(refusals),
		cmocka_unit_test(lines_come_out_soon),
		cmocka_unit_test(a_full_disk_is_counted),
		cmocka_unit_test(many_threads),
		cmocka_unit_test(short_lived_threads),
		cmocka_unit_test(producer_never_waits),
		cmocka_unit_test(stamp_is_of_the_moment),
		cmocka_unit_test(stop_gives_up_a_stuck_sink),
		cmocka_unit_test(to_syslog),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests_name("log", tests, make_directory, remove_directory);
}
