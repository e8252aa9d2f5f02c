/* A line of the log as it is written: time stamp, mark of severity, text without control
 * characters. */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include "log_ring.h"

/* "Nov 22 14:03:11.123456: | " + text + newline + NUL */
#define LOG_LINE_MAX (32 + LOG_TEXT_MAX + 2)

/* Formats at `out` (not terminated) and returns the length, with the newline at the end. */
size_t log_line_format(
	char out[LOG_LINE_MAX], const struct log_record *record, const char *text, bool time);
/* A record of the present moment. */
struct log_record log_record_now(uint32_t severity, size_t len);

#endif
