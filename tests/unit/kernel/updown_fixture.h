/* Requests to updown, and its answers, in a network namespace of the test's own. */
#ifndef UPDOWN_FIXTURE_H
#define UPDOWN_FIXTURE_H

#include "kernel/updown.h"

struct asker {
	struct updown *updown;
	struct updown_port *port;
	char directory[64]; /* for scripts' traces */
};

/* False: not allowed here. Once a process. */
bool enter_namespace(void);
/* A veth pair: dev0 192.0.2.1/24 and 2001:db8::1/64 here; lan0 10.9.0.1/24. */
void make_devices(void);
void asker_start(struct asker *a, const struct updown_config *config);
void asker_stop(struct asker *a);
/* "10.1.0.0/24 10.2.0.0/24": one pair of selectors. Without a command: native. */
struct updown_request *request_of(struct asker *a, enum updown_op op, uint64_t token,
	uint64_t connection, const char *pair, const char *command);
/* Waits for the next answer, 30 s at most. */
struct updown_answer answer_of(struct asker *a);
/* UP and its answer, which must be good. */
void bring_up(struct asker *a, struct updown_request *r);
void bring_down(struct asker *a, uint64_t token);
void unroute(struct asker *a, uint64_t connection);
/* Waits until nothing runs or waits. */
void settle(struct asker *a);
/* What the scripts have appended to `trace`; must be free()d. */
char *trace_of(const struct asker *a);
/* system() with a format; its exit status. */
int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first line of a command's output. */
const char *output_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
