/* The asynchronous log. A thread formats a line into a buffer of its own and goes on; a log
 * thread writes to syslog (facility authpriv), standard error or a file, in pluto's style:
 * "Nov 22 14:03:11.123456: text". When a thread's buffer is full the line is dropped and
 * counted, and the log thread reports how many were lost as soon as it can write again.
 *
 * Before log_start and after log_stop lines go to standard error directly. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_severity {
	LOG_LINE_DEBUG, /* shown as "| text"; off unless asked for */
	LOG_LINE_INFO,
	LOG_LINE_WARNING,
	LOG_LINE_ERROR,
};

enum log_sink { LOG_TO_SYSLOG, LOG_TO_STDERR, LOG_TO_FILE };

struct log_config {
	enum log_sink sink;
	const char *path;  /* LOG_TO_FILE; copied */
	const char *ident; /* LOG_TO_SYSLOG; copied */
	bool append;       /* LOG_TO_FILE: else the file is emptied */
	bool time;         /* the time stamp (syslog brings its own) */
	bool debug;        /* LOG_LINE_DEBUG is written too */
};

/* Starts the log thread, so after any fork of the daemon. On failure `error` says why, naming the
 * file. */
bool log_start(const struct log_config *config, char *error, size_t error_size);
/* Writes what waits, then ends the log thread (a sink that takes nothing for 5 s is given up). No
 * other thread may log any more. */
void log_stop(void);
/* LOG_LINE_DEBUG is written or not; log_start and log_stop set it too. Any thread. */
void log_set_debug(bool on);
bool log_debug_on(void);
/* One line without its newline; all but printable ASCII is shown as \ooo; longer than 2000 bytes is
 * cut. Any thread; never waits once the log is started; keeps errno. */
void log_line(enum log_severity severity, const char *format, ...)
	__attribute__((format(printf, 2, 3), nonnull(2)));
/* The text as it is: no format. */
void log_text(enum log_severity severity, const char *text, size_t len);
/* Lines lost so far: a thread's buffer was full, or the sink refused them. */
uint64_t log_dropped(void);

#endif
