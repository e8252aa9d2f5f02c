/* The pid file, which is also the lock that keeps a second pluto from this run directory. */
#ifndef PLUTO_PID_FILE_H
#define PLUTO_PID_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum pid_file_result { PID_FILE_OK, PID_FILE_LOCKED, PID_FILE_FAILED };

/* Makes `rundir` if it is missing and locks RUNDIR/pluto.pid; `*fd` holds the lock, and the
 * children of this process inherit it. A file that a dead pluto left is no hindrance. The reason is
 * in `error`. */
enum pid_file_result pid_file_lock(const char *rundir, int *fd, char *error, size_t error_size);
/* Writes this process's number. */
bool pid_file_write(int fd);
/* Removes the file, then unlocks. */
void pid_file_remove(const char *rundir, int fd);

#endif
