/* One run of a script: a child process in a process group of its own, with a time limit, whose output
 * is logged. Private to updown; its thread only. */
#ifndef KERNEL_UPDOWN_CHILD_H
#define KERNEL_UPDOWN_CHILD_H

#include "kernel/updown.h"

#include <sys/types.h>

#define CHILD_LINE_MAX   400         /* characters of a line of output that are logged; */
#define CHILD_LINES_MAX  32          /* lines of one run; */
#define CHILD_OUTPUT_MAX (256 << 10) /* bytes that are read: then the script's pipe is closed */
#define CHILD_GRACE_MS   2000        /* between TERM and KILL */

struct child {
	pid_t pid; /* 0: none */
	int pid_fd, output;
	uint64_t deadline_ms; /* of the next signal */
	enum { CHILD_RUNS, CHILD_TERMINATED, CHILD_KILLED } stage;
	const char *prefix; /* borrowed while it runs */
	char verb[32], line[CHILD_LINE_MAX + 1], last_line[CHILD_LINE_MAX + 1];
	size_t line_len, read;
	unsigned lines;
	unsigned timeout_ms;
};

/* Starts `/bin/sh -c command` with the variables of `environment` (NULL-terminated) and no others.
 * 0 or an errno value. */
int child_start(struct child *c, const char *command, char *const environment[],
	const char *verb, const char *prefix, unsigned timeout_ms, uint64_t now_ms);
/* The output is readable: logs its lines. */
void child_read(struct child *c);
/* The deadline is over: signals the group. */
void child_late(struct child *c, uint64_t now_ms);
/* At once, the whole group. */
void child_kill(struct child *c);
/* pid_fd is readable. True: it has ended with status 0; else `why` tells the rest. Takes the last
 * output, frees all. */
bool child_end(struct child *c, char *why, size_t size);

#endif
