#include "control_client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Codes that are exit statuses. */
#define EXIT_FLOOR 20
#define EXIT_ROOF  100

#define CODE_DONE  5

static void take_code(struct answer_reader *r)
{
	int code;

	for (unsigned i = 0; i < 3; i++)
		if (!isdigit((unsigned char)r->code[i]))
			return;
	code = (r->code[0] - '0') * 100 + (r->code[1] - '0') * 10 + (r->code[2] - '0');
	if (r->status == 0 && code >= EXIT_FLOOR && code < EXIT_ROOF)
		r->status = code;
}

/* A line that does not begin with a code is text altogether. */
static void flush_code(struct answer_reader *r)
{
	bool coded = r->code_chars == 4 && isdigit((unsigned char)r->code[0]) &&
		     isdigit((unsigned char)r->code[1]) && isdigit((unsigned char)r->code[2]) &&
		     r->code[3] == ' ';

	if (coded) {
		take_code(r);
	} else if (r->code_chars) {
		fwrite(r->code, 1, r->code_chars, r->out);
		r->text = true;
	}
	r->code_chars = CODE_DONE;
}

static void end_line(struct answer_reader *r)
{
	/* "NNN " alone sets the exit status; "000 " alone is an empty line of a report. */
	bool bare_status =
		r->code_chars == CODE_DONE && !r->text && strncmp(r->code, "000", 3) != 0;

	if (!bare_status)
		fputc('\n', r->out);
	r->code_chars = 0;
	r->text = false;
}

void answer_reader_take(struct answer_reader *r, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n') {
			if (r->code_chars != CODE_DONE)
				flush_code(r);
			end_line(r);
		} else if (r->code_chars < 4) {
			r->code[r->code_chars++] = bytes[i];
			if (r->code_chars == 4)
				flush_code(r);
		} else {
			fputc(bytes[i], r->out);
			r->text = true;
		}
	}
}

void answer_reader_end(struct answer_reader *r)
{
	if (r->code_chars && r->code_chars != CODE_DONE)
		flush_code(r);
	if (r->text)
		fputc('\n', r->out);
	fflush(r->out);
}

static int connect_to(const char *program, const char *path, FILE *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(err, "%s: ERROR: the control socket's path is too long: %s\n", program,
			path);
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (errno == ENOENT)
		fprintf(err, "%s: ERROR: Pluto is not running (no \"%s\"): %s (errno %d)\n",
			program, path, strerror(errno), errno);
	else
		fprintf(err, "%s: ERROR: connect(pluto_ctl) failed: %s (errno %d)\n", program,
			strerror(errno), errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool send_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int receive(const char *program, int fd, FILE *out, FILE *err)
{
	struct answer_reader reader = {.out = out};
	bool answered = false;
	char bytes[16384];
	ssize_t n;

	for (;;) {
		n = recv(fd, bytes, sizeof(bytes), 0);
		if (n < 0 && errno == EINTR)
			continue;
		/* A refusal leaves our request unread: the system calls that a reset. */
		if (n < 0 && errno == ECONNRESET && answered)
			n = 0;
		if (n <= 0)
			break;
		answered = true;
		answer_reader_take(&reader, bytes, (size_t)n);
		/* Progress is to be seen as it happens. */
		fflush(out);
	}
	answer_reader_end(&reader);
	if (n < 0) {
		fprintf(err, "%s: ERROR: reading pluto's answer: %s (errno %d)\n", program,
			strerror(errno), errno);
		return CONTROL_EXIT_PROBLEM;
	}
	return reader.status;
}

int control_talk(const char *program, const char *path, const struct control_request *request,
	FILE *out, FILE *err)
{
	size_t len;
	uint8_t *message = control_request_encode(request, &len);
	int fd, status;

	if (!message) {
		fprintf(err, "%s: ERROR: the request is too long\n", program);
		return CONTROL_EXIT_PROBLEM;
	}
	fd = connect_to(program, path, err);
	if (fd < 0) {
		free(message);
		return CONTROL_EXIT_PROBLEM;
	}
	/* A refusal closes early: its reason is still to be read. */
	if (!send_all(fd, message, len) && errno != EPIPE) {
		fprintf(err, "%s: ERROR: writing to pluto: %s (errno %d)\n", program,
			strerror(errno), errno);
		status = CONTROL_EXIT_PROBLEM;
	} else {
		status = receive(program, fd, out, err);
	}
	free(message);
	close(fd);
	return status;
}
