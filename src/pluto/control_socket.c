#include "control_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static int failed(int fd, const char *what, const char *path, char *error, size_t error_size)
{
	snprintf(error, error_size, "cannot %s the control socket %s: %s", what, path,
		strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Only a socket is ours to remove. */
static bool remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return false;
	}
	return unlink(path) == 0;
}

int control_socket_open(const char *path, char *error, size_t error_size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, bound;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return failed(-1, "name", path, error, error_size);
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(fd, "make", path, error, error_size);
	if (!remove_stale(path))
		return failed(fd, "replace", path, error, error_size);
	mask = umask(0117);
	bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (bound != 0)
		return failed(fd, "bind", path, error, error_size);
	if (listen(fd, BACKLOG) != 0)
		return failed(fd, "listen on", path, error, error_size);
	return fd;
}

void control_socket_close(const char *path, int fd)
{
	unlink(path);
	close(fd);
}

int control_socket_accept(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static bool has_group(int client, gid_t group)
{
	gid_t small[64], *groups = small;
	socklen_t len = sizeof(small);
	bool found = false;

	if (getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0) {
		if (errno != ERANGE)
			return false;
		groups = malloc(len);
		if (!groups)
			return false;
		if (getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
			len = 0;
	}
	for (size_t i = 0; i < len / sizeof(*groups) && !found; i++)
		found = groups[i] == group;
	if (groups != small)
		free(groups);
	return found;
}

bool control_socket_may(const char *path, int client)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct stat st;

	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	if (lstat(path, &st) != 0)
		return false;
	return peer.gid == st.st_gid || has_group(client, st.st_gid);
}
