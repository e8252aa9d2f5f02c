#include "daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void parent_waits(int fd, pid_t child)
{
	char byte;
	ssize_t n;
	int status;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	/* The child has ended, or is about to. */
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(1);
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

int daemon_fork(int *ready)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	child = fork();
	if (child < 0) {
		int error = errno;

		close(ends[0]);
		close(ends[1]);
		errno = error;
		return -1;
	}
	if (child > 0) {
		close(ends[1]);
		parent_waits(ends[0], child);
	}
	close(ends[0]);
	setsid();
	*ready = ends[1];
	return 0;
}

void daemon_ready(int ready, bool keep_stderr)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t n;

	do
		n = write(ready, "r", 1);
	while (n < 0 && errno == EINTR);
	close(ready);
	if (null < 0)
		return;
	dup2(null, 0);
	dup2(null, 1);
	if (!keep_stderr)
		dup2(null, 2);
	if (null > 2)
		close(null);
}
