#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log_sink.h"

/* While lines come, the log thread looks every so many milliseconds, and nobody pays to wake it;
 * when none came in that time it sleeps, and the next line wakes it at once. A ring that is half
 * full wakes it too. */
#define NAP_MS 5
/* Lines that are written before the log thread looks at what else there is to do. */
#define BATCH 1024
/* How long log_stop waits for a sink that takes nothing. */
#define STOP_S 5

enum awareness { LOG_AT_WORK, LOG_NAPPING, LOG_ASLEEP };

static struct {
	_Atomic bool running, debug, stopping;
	_Atomic int awareness;
	_Atomic uint64_t dropped;
	_Atomic(struct log_ring *) fresh; /* rings that the log thread has not seen yet */
	int fd;                           /* eventfd that wakes the log thread */
	bool stuck;                       /* a log thread was given up */
	pthread_t thread;
	/* The log thread's own while it runs. */
	struct log_ring *rings;
	uint64_t reported; /* of `dropped` */
	struct log_output output;
} state = {.fd = -1};

static _Thread_local struct log_ring *own_ring;
static pthread_key_t ring_key;
static pthread_once_t ring_key_once = PTHREAD_ONCE_INIT;

/* ---- threads that log --------------------------------------------------- */

static void thread_ends(void *ring)
{
	own_ring = NULL;
	/* The log thread empties it, then frees it. */
	atomic_store_explicit(&((struct log_ring *)ring)->closed, true, memory_order_release);
}

static void make_ring_key(void)
{
	if (pthread_key_create(&ring_key, thread_ends))
		abort();
}

static struct log_ring *ring_of_thread(void)
{
	struct log_ring *ring = own_ring;

	if (ring)
		return ring;
	pthread_once(&ring_key_once, make_ring_key);
	ring = log_ring_new();
	if (!ring)
		return NULL;
	if (pthread_setspecific(ring_key, ring)) {
		free(ring);
		return NULL;
	}
	own_ring = ring;
	ring->next = atomic_load(&state.fresh);
	while (!atomic_compare_exchange_weak(&state.fresh, &ring->next, ring))
		;
	return ring;
}

/* The store that published the line and this load are sequentially consistent, as are the log
 * thread's announcement and its last look at the rings: one of the two sees the other. */
static void wake_if_needed(const struct log_ring *ring)
{
	int awareness = atomic_load(&state.awareness);

	if (awareness == LOG_AT_WORK ||
		(awareness == LOG_NAPPING && log_ring_used(ring) < LOG_RING_BYTES / 2))
		return;
	if (atomic_exchange(&state.awareness, LOG_AT_WORK) != LOG_AT_WORK)
		(void)eventfd_write(state.fd, 1);
}

static void log_now(enum log_severity severity, const char *text, size_t len)
{
	struct log_record record = log_record_now(severity, len);
	char line[LOG_LINE_MAX];
	size_t line_len = log_line_format(line, &record, text, false);

	(void)log_write_all(STDERR_FILENO, line, line_len);
}

void log_text(enum log_severity severity, const char *text, size_t len)
{
	int saved = errno;
	struct log_ring *ring;

	if (severity == LOG_LINE_DEBUG && !log_debug_on())
		return;
	if (len > LOG_TEXT_MAX)
		len = LOG_TEXT_MAX;
	if (!atomic_load_explicit(&state.running, memory_order_acquire)) {
		log_now(severity, text, len);
	} else {
		ring = ring_of_thread();
		if (ring && log_ring_put(ring, log_record_now(severity, len), text))
			wake_if_needed(ring);
		else
			atomic_fetch_add_explicit(&state.dropped, 1, memory_order_relaxed);
	}
	errno = saved;
}

void log_line(enum log_severity severity, const char *format, ...)
{
	int saved = errno; /* also the format's %m */
	char text[LOG_TEXT_MAX + 1];
	va_list args;
	int len;

	if (severity == LOG_LINE_DEBUG && !log_debug_on())
		return;
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0) /* a conversion failed; what was meant is better than nothing */
		log_text(severity, format, strlen(format));
	else
		log_text(severity, text,
			(size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
	errno = saved;
}

void log_set_debug(bool on)
{
	atomic_store_explicit(&state.debug, on, memory_order_relaxed);
}

bool log_debug_on(void)
{
	return atomic_load_explicit(&state.debug, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&state.dropped, memory_order_relaxed);
}

/* ---- the log thread ------------------------------------------------------ */

/* Also frees the rings of ended threads, once they are empty. */
static void adopt_rings(void)
{
	struct log_ring *fresh = atomic_exchange(&state.fresh, NULL);
	struct log_ring **at;

	while (fresh) {
		struct log_ring *next = fresh->next;

		fresh->next = state.rings;
		state.rings = fresh;
		fresh = next;
	}
	for (at = &state.rings; *at;) {
		struct log_ring *ring = *at;
		struct log_record record;

		if (atomic_load_explicit(&ring->closed, memory_order_acquire) &&
			!log_ring_peek(ring, &record)) {
			*at = ring->next;
			free(ring);
		} else {
			at = &ring->next;
		}
	}
}

/* The ring that holds the oldest line: so threads' lines come out nearly in the order of time. */
static struct log_ring *oldest(struct log_record *record)
{
	struct log_ring *found = NULL;
	struct log_record head;

	for (struct log_ring *ring = state.rings; ring; ring = ring->next) {
		if (log_ring_peek(ring, &head) && (!found || head.time_us < record->time_us)) {
			found = ring;
			*record = head;
		}
	}
	return found;
}

static void count_lost(uint64_t lines)
{
	if (lines > 0)
		atomic_fetch_add_explicit(&state.dropped, lines, memory_order_relaxed);
}

/* The report itself may be lost too; then `reported` stays, and the next one tells all. */
static void report_dropped(void)
{
	uint64_t dropped = log_dropped();
	char text[80];
	int len;

	if (dropped == state.reported)
		return;
	len = snprintf(text, sizeof(text), "WARNING: %llu log lines were lost",
		(unsigned long long)(dropped - state.reported));
	struct log_record record = log_record_now(LOG_LINE_WARNING, (size_t)len);

	if (log_output_line(&state.output, &record, text) + log_output_flush(&state.output) == 0)
		state.reported = dropped;
}

/* Writes some of what waits, and returns how many lines. */
static unsigned write_batch(void)
{
	struct log_record record;
	struct log_ring *ring;
	char text[LOG_TEXT_MAX];
	unsigned lines = 0;

	adopt_rings();
	while (lines < BATCH && (ring = oldest(&record))) {
		log_ring_take(ring, &record, text);
		count_lost(log_output_line(&state.output, &record, text));
		lines++;
	}
	count_lost(log_output_flush(&state.output));
	report_dropped();
	return lines;
}

/* Writes what waits. False when there was nothing. */
static bool drain(void)
{
	unsigned lines, all = 0;

	do {
		lines = write_batch();
		all += lines;
	} while (lines == BATCH);
	return all > 0;
}

static bool is_idle(void)
{
	struct log_record record;

	return !atomic_load(&state.fresh) && !oldest(&record) && !atomic_load(&state.stopping);
}

/* Waits in the given state of awareness until somebody wakes the thread or the time is over. */
static void rest(int awareness, int timeout_ms)
{
	struct pollfd p = {.fd = state.fd, .events = POLLIN};
	eventfd_t count;

	atomic_store(&state.awareness, awareness);
	if ((awareness == LOG_NAPPING || is_idle()) && poll(&p, 1, timeout_ms) > 0)
		(void)eventfd_read(state.fd, &count);
	atomic_store(&state.awareness, LOG_AT_WORK);
}

static void *log_thread(void *unused)
{
	(void)unused;
	while (!atomic_load(&state.stopping)) {
		if (drain())
			rest(LOG_NAPPING, NAP_MS);
		else
			rest(LOG_ASLEEP, -1);
	}
	drain();
	adopt_rings(); /* for those that are empty only now */
	return NULL;
}

static bool start_thread(char *error, size_t error_size)
{
	sigset_t all, before;
	int e;

	/* Signals belong to the thread that started the daemon. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&state.thread, NULL, log_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e)
		snprintf(error, error_size, "cannot start the log thread: %s", strerror(e));
	else
		pthread_setname_np(state.thread, "log");
	return e == 0;
}

bool log_start(const struct log_config *config, char *error, size_t error_size)
{
	if (atomic_load(&state.running) || state.stuck) {
		snprintf(error, error_size,
			state.stuck ? "the log's last sink never took its lines"
				    : "the log is started already");
		return false;
	}
	if (!log_output_open(&state.output, config, error, error_size))
		return false;
	if (state.fd < 0)
		state.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (state.fd < 0) {
		snprintf(error, error_size, "cannot make the log's eventfd: %s", strerror(errno));
		log_output_close(&state.output);
		return false;
	}
	atomic_store(&state.stopping, false);
	atomic_store(&state.awareness, LOG_AT_WORK);
	if (!start_thread(error, error_size)) {
		log_output_close(&state.output);
		return false;
	}
	atomic_store(&state.debug, config->debug);
	atomic_store_explicit(&state.running, true, memory_order_release);
	return true;
}

void log_stop(void)
{
	struct timespec until;

	if (!atomic_load(&state.running))
		return;
	atomic_store(&state.running, false);
	atomic_store(&state.debug, false);
	atomic_store(&state.stopping, true);
	(void)eventfd_write(state.fd, 1);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_S;
	/* A pipe that nobody reads must not keep the daemon from ending. */
	if (pthread_timedjoin_np(state.thread, NULL, &until)) {
		pthread_detach(state.thread);
		state.stuck = true;
		return;
	}
	log_output_close(&state.output);
}
