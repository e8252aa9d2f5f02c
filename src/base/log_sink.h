/* Where the log thread writes to. Lines for a descriptor are gathered and written together. */
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include "base/log.h"
#include "log_line.h"

struct log_output {
	enum log_sink sink;
	bool time;
	int fd; /* -1: syslog */
	char ident[64];
	size_t gathered;         /* bytes in `buffer`; ... */
	uint64_t gathered_lines; /* ... lines */
	char buffer[64 << 10];
};

/* False: `error` says why. */
bool log_output_open(
	struct log_output *output, const struct log_config *config, char *error, size_t error_size);
void log_output_close(struct log_output *output);
/* Both return how many lines were lost, because they could not be written. */
uint64_t log_output_line(
	struct log_output *output, const struct log_record *record, const char *text);
uint64_t log_output_flush(struct log_output *output);

/* All of it, in spite of signals and partial writes; waits where the descriptor is non-blocking.
 * False: errno says why. */
bool log_write_all(int fd, const char *data, size_t len);

#endif
