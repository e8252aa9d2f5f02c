#include "log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static bool open_file(
	struct log_output *output, const struct log_config *config, char *error, size_t error_size)
{
	/* O_APPEND also for an emptied file: somebody may truncate it to rotate it. */
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;

	if (!config->path || !config->path[0]) {
		snprintf(error, error_size, "cannot open the log file: no name was given");
		return false;
	}
	output->fd = open(config->path, config->append ? flags : flags | O_TRUNC, 0640);
	if (output->fd < 0) {
		snprintf(error, error_size, "cannot open the log file \"%s\": %s", config->path,
			strerror(errno));
		return false;
	}
	return true;
}

bool log_output_open(
	struct log_output *output, const struct log_config *config, char *error, size_t error_size)
{
	output->sink = config->sink;
	output->time = config->time && config->sink != LOG_TO_SYSLOG;
	output->fd = -1;
	output->gathered = 0;
	output->gathered_lines = 0;
	switch (config->sink) {
	case LOG_TO_FILE:
		return open_file(output, config, error, error_size);
	case LOG_TO_STDERR:
		output->fd = STDERR_FILENO;
		return true;
	case LOG_TO_SYSLOG:
		snprintf(output->ident, sizeof(output->ident), "%s",
			config->ident ? config->ident : "pluto");
		openlog(output->ident, LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
		return true;
	}
	snprintf(error, error_size, "unknown log sink %d", (int)config->sink);
	return false;
}

void log_output_close(struct log_output *output)
{
	if (output->sink == LOG_TO_SYSLOG)
		closelog();
	if (output->sink == LOG_TO_FILE && output->fd >= 0)
		close(output->fd);
	output->fd = -1;
}

static void write_syslog(const char *line, size_t len, uint32_t severity)
{
	static const int priorities[] = {
		[LOG_LINE_DEBUG] = LOG_DEBUG,
		[LOG_LINE_INFO] = LOG_INFO,
		[LOG_LINE_WARNING] = LOG_WARNING,
		[LOG_LINE_ERROR] = LOG_ERR,
	};

	syslog(severity <= LOG_LINE_ERROR ? priorities[severity] : LOG_ERR, "%.*s", (int)len, line);
}

bool log_write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			poll(&p, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			return false;
		}
	}
	return true;
}

uint64_t log_output_flush(struct log_output *output)
{
	uint64_t lines = output->gathered_lines;
	size_t len = output->gathered;

	output->gathered = 0;
	output->gathered_lines = 0;
	if (len == 0 || log_write_all(output->fd, output->buffer, len))
		return 0;
	return lines;
}

uint64_t log_output_line(
	struct log_output *output, const struct log_record *record, const char *text)
{
	char line[LOG_LINE_MAX];
	size_t len = log_line_format(line, record, text, output->time);
	uint64_t lost = 0;

	if (output->sink == LOG_TO_SYSLOG) {
		write_syslog(line, len - 1, record->severity);
		return 0;
	}
	if (output->gathered + len > sizeof(output->buffer))
		lost = log_output_flush(output);
	memcpy(output->buffer + output->gathered, line, len);
	output->gathered += len;
	output->gathered_lines++;
	return lost;
}
