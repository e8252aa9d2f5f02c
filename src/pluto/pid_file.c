#include "pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool path_of(const char *rundir, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/pluto.pid", rundir);

	return n > 0 && n < PATH_MAX;
}

static long holder(int fd)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	return n > 0 ? strtol(text, NULL, 10) : 0;
}

/* Two starting at once may lock a file that the other has just removed: then it is locked anew. */
static bool still_there(int fd, const char *path)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

enum pid_file_result pid_file_lock(const char *rundir, int *fd, char *error, size_t error_size)
{
	char path[PATH_MAX];

	if (!path_of(rundir, path)) {
		snprintf(error, error_size, "the run directory's path is too long");
		return PID_FILE_FAILED;
	}
	if (mkdir(rundir, 0755) != 0 && errno != EEXIST) {
		snprintf(error, error_size, "cannot make the run directory %s: %s", rundir,
			strerror(errno));
		return PID_FILE_FAILED;
	}
	for (;;) {
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (*fd < 0) {
			snprintf(error, error_size, "cannot open %s: %s", path, strerror(errno));
			return PID_FILE_FAILED;
		}
		if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
			snprintf(error, error_size,
				"lock file \"%s\" is held: pluto is running already (process %ld)",
				path, holder(*fd));
			close(*fd);
			return PID_FILE_LOCKED;
		}
		if (still_there(*fd, path))
			return PID_FILE_OK;
		close(*fd);
	}
}

bool pid_file_write(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

void pid_file_remove(const char *rundir, int fd)
{
	char path[PATH_MAX];

	if (path_of(rundir, path))
		unlink(path);
	close(fd);
}
