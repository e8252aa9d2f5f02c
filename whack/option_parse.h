/* From whack's command line to a request. */
#ifndef WHACK_OPTION_PARSE_H
#define WHACK_OPTION_PARSE_H

#include "config/control_message.h"

#include <stdio.h>

#define WHACK_EXIT_USAGE   1  /* unknown, ambiguous, without its value */
#define WHACK_EXIT_PROBLEM 33 /* whack itself sees a problem */

struct whack_call {
	struct control_request request;
	const char *name, *label; /* of the argument vector, or NULL */
	char ctlsocket[108];      /* sun_path */
	bool help, version;
};

/* 0, or whack's exit status after the reason was written to `err`. The call is released by the
 * caller in any case. */
int whack_parse(struct whack_call *call, int argc, char *const argv[], FILE *err);
void whack_call_release(struct whack_call *call);

/* Where pluto listens for commands. False: too long. */
bool control_path_of_rundir(const char *rundir, char *out, size_t size);

/* Every option and what it takes. */
void whack_usage(FILE *out);

#endif
