/* The socket that whack talks to, and who may. */
#ifndef PLUTO_CONTROL_SOCKET_H
#define PLUTO_CONTROL_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

/* A listening, non-blocking stream socket, read and written by its owner and its group; what a dead
 * pluto left at `path` is removed (whoever calls holds the pid file's lock). -1 with the reason in
 * `error`. */
int control_socket_open(const char *path, char *error, size_t error_size);
/* Removes the file too. */
void control_socket_close(const char *path, int fd);
/* The next client, non-blocking; -1 with errno. */
int control_socket_accept(int fd);
/* Is the peer root, the daemon's own user, or in the group that owns the socket file? */
bool control_socket_may(const char *path, int client);

#endif
