#include "log_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

struct log_record log_record_now(uint32_t severity, size_t len)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct log_record){
		.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
		.len = (uint32_t)(len < LOG_TEXT_MAX ? len : LOG_TEXT_MAX),
		.severity = severity,
	};
}

/* "Nov 22 14:03:11." The local time of a second is looked up once a thread: libc takes a lock for
 * it. */
static const char *second_text(time_t second)
{
	static _Thread_local time_t cached = (time_t)-1;
	static _Thread_local char text[24];
	struct tm tm;

	if (second != cached) {
		localtime_r(&second, &tm);
		strftime(text, sizeof(text), "%b %e %T.", &tm);
		cached = second;
	}
	return text;
}

/* All but printable ASCII becomes \ooo: a terminal or a log file must not obey a peer. */
static size_t escape(char *out, size_t size, const char *text, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f) {
			if (at + 1 > size)
				break;
			out[at++] = (char)c;
		} else {
			if (at + 4 > size)
				break;
			out[at++] = '\\';
			out[at++] = (char)('0' + (c >> 6));
			out[at++] = (char)('0' + (c >> 3 & 7));
			out[at++] = (char)('0' + (c & 7));
		}
	}
	return at;
}

size_t log_line_format(
	char out[LOG_LINE_MAX], const struct log_record *record, const char *text, bool time)
{
	size_t at = 0;

	if (time)
		at += (size_t)snprintf(out, LOG_LINE_MAX,
			"%s%06u: ", second_text((time_t)(record->time_us / 1000000)),
			(unsigned)(record->time_us % 1000000));
	if (record->severity == LOG_LINE_DEBUG) {
		memcpy(out + at, "| ", 2);
		at += 2;
	}
	at += escape(out + at, LOG_TEXT_MAX, text, record->len);
	out[at++] = '\n';
	return at;
}
