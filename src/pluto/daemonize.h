/* The daemon fork: the parent waits until the child says that it serves. */
#ifndef PLUTO_DAEMONIZE_H
#define PLUTO_DAEMONIZE_H

#include <stdbool.h>

/* Before any thread exists. In the child it returns 0 with `*ready` open; the parent does not
 * return but exits, with 0 as soon as daemon_ready is called, else with the child's exit status. -1
 * with errno: there was no fork. */
int daemon_fork(int *ready);
/* Lets the parent go and the standard streams with it (`keep_stderr`: but for stderr). */
void daemon_ready(int ready, bool keep_stderr);

#endif
