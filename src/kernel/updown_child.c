#include "updown_child.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- start ------------------------------------------------------------------------- */

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
			       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) ||
	       posix_spawnattr_setpgroup(attributes, 0) ||
	       posix_spawnattr_setsigmask(attributes, &none) ||
	       posix_spawnattr_setsigdefault(attributes, &all);
}

static int set_files(posix_spawn_file_actions_t *files, int output)
{
	return posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0) ||
	       posix_spawn_file_actions_adddup2(files, output, 1) ||
	       posix_spawn_file_actions_adddup2(files, output, 2) ||
	       posix_spawn_file_actions_addclosefrom_np(files, 3);
}

static int spawn(pid_t *pid, const char *command, char *const environment[], int output)
{
	char shell[] = "sh", option[] = "-c";
	union {
		const char *in;
		char *out;
	} text = {.in = command};
	char *const arguments[] = {shell, option, text.out, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int error;

	if (posix_spawnattr_init(&attributes))
		return ENOMEM;
	if (posix_spawn_file_actions_init(&files)) {
		posix_spawnattr_destroy(&attributes);
		return ENOMEM;
	}
	error = set_attributes(&attributes) || set_files(&files, output)
			? ENOMEM
			: posix_spawn(pid, "/bin/sh", &files, &attributes, arguments, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return error;
}

/* A number of a child that was not waited for yet belongs to nobody else. */
static void give_up(pid_t pid)
{
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int child_start(struct child *c, const char *command, char *const environment[],
	const char *verb, const char *prefix, unsigned timeout_ms, uint64_t now_ms)
{
	int ends[2], error;

	*c = (struct child){.prefix = prefix, .timeout_ms = timeout_ms, .pid_fd = -1};
	snprintf(c->verb, sizeof(c->verb), "%s", verb);
	if (pipe2(ends, O_CLOEXEC))
		return errno;
	error = spawn(&c->pid, command, environment, ends[1]);
	close(ends[1]);
	if (!error) {
		c->pid_fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
		error = c->pid_fd < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) ? errno : 0;
		if (error) {
			give_up(c->pid);
			if (c->pid_fd >= 0)
				close(c->pid_fd);
		}
	}
	if (error) {
		close(ends[0]);
		c->pid = 0;
		return error;
	}
	c->output = ends[0];
	c->deadline_ms = now_ms + timeout_ms;
	return 0;
}

/* ---- output ------------------------------------------------------------------------- */

static void say(struct child *c)
{
	c->line[c->line_len] = '\0';
	if (c->line_len)
		memcpy(c->last_line, c->line, c->line_len + 1);
	c->line_len = 0;
	if (c->lines++ < CHILD_LINES_MAX)
		log_line(LOG_LINE_INFO, "%s%s output: %s", c->prefix, c->verb, c->line);
	else if (c->lines == CHILD_LINES_MAX + 1)
		log_line(LOG_LINE_WARNING, "%s%s output: further lines are not logged", c->prefix,
			c->verb);
}

static void take(struct child *c, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			say(c);
		else if (c->line_len < CHILD_LINE_MAX)
			c->line[c->line_len++] = text[i] ? text[i] : ' ';
	}
}

static void stop_reading(struct child *c)
{
	if (c->output >= 0)
		close(c->output);
	c->output = -1;
}

void child_read(struct child *c)
{
	char text[4096];

	for (unsigned turn = 0; turn < 16 && c->output >= 0; turn++) {
		ssize_t n = read(c->output, text, sizeof(text));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			stop_reading(c);
			return;
		}
		take(c, text, (size_t)n);
		c->read += (size_t)n;
		if (c->read > CHILD_OUTPUT_MAX) {
			log_line(LOG_LINE_WARNING, "%s%s writes too much: its output is closed",
				c->prefix, c->verb);
			stop_reading(c);
		}
	}
}

/* ---- the end ------------------------------------------------------------------------ */

void child_late(struct child *c, uint64_t now_ms)
{
	if (c->stage == CHILD_RUNS) {
		log_line(LOG_LINE_ERROR, "%s%s command still runs after %g s: terminating it",
			c->prefix, c->verb, c->timeout_ms / 1000.0);
		kill(-c->pid, SIGTERM);
		c->stage = CHILD_TERMINATED;
		c->deadline_ms = now_ms + CHILD_GRACE_MS;
		return;
	}
	child_kill(c);
}

void child_kill(struct child *c)
{
	kill(-c->pid, SIGKILL);
	c->stage = CHILD_KILLED;
	c->deadline_ms = UINT64_MAX;
}

static void tell(const struct child *c, int status, char *why, size_t size)
{
	const char *colon = c->last_line[0] ? ": " : "";

	if (c->stage != CHILD_RUNS)
		snprintf(why, size, "%s command did not end within %g s", c->verb,
			c->timeout_ms / 1000.0);
	else if (WIFSIGNALED(status))
		snprintf(why, size, "%s command was ended by signal %d%s%.150s", c->verb,
			WTERMSIG(status), colon, c->last_line);
	else
		snprintf(why, size, "%s command exited with status %d%s%.150s", c->verb,
			WEXITSTATUS(status), colon, c->last_line);
	for (char *p = why; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

bool child_end(struct child *c, char *why, size_t size)
{
	int status = -1;
	pid_t pid;
	bool ok;

	/* What is left of a group that was told to end goes with it. */
	if (c->stage != CHILD_RUNS)
		kill(-c->pid, SIGKILL);
	while ((pid = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
		;
	child_read(c);
	if (c->line_len)
		say(c);
	ok = pid == c->pid && c->stage == CHILD_RUNS && WIFEXITED(status) &&
	     WEXITSTATUS(status) == 0;
	if (!ok)
		tell(c, status, why, size);
	stop_reading(c);
	close(c->pid_fd);
	c->pid = 0;
	return ok;
}
