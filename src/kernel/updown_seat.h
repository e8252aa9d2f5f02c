/* Seats: what is up or routed for the selectors of a connection, its users, and the steps from one
 * state to the next. A lane is a connection, or one peer of a template: what is asked of it is done in
 * order, one step after the other. Private to updown; its thread only.
 *
 * A lane that needs a child while all are busy waits in line; the thread calls lanes_serve when one
 * has ended. */
#ifndef KERNEL_UPDOWN_SEAT_H
#define KERNEL_UPDOWN_SEAT_H

#include "base/table.h"
#include "kernel/updown.h"
#include "updown_child.h"
#include "updown_route.h"

#define CHILDREN_MAX     UPDOWN_CHILDREN_MAX
#define CHILDREN_USUAL   8
#define TIMEOUT_USUAL_MS 30000

enum verb { VERB_PREPARE, VERB_ROUTE, VERB_UP, VERB_DOWN, VERB_UNROUTE };

struct lane;

struct lanes {
	const struct updown_config *config;
	struct route_table *routes;
	struct table *lanes, *uses, *selectors;
	struct table_seed seed;
	struct lane *first;                     /* of all */
	struct lane *first_ready, **last_ready; /* wait for a child */
	struct child children[CHILDREN_MAX];
	struct lane *child_lane[CHILDREN_MAX];
	bool closing; /* nothing new */
	uint64_t now_ms;
	/* The thread's: */
	void *arg;
	void (*answer)(void *arg, struct updown_request *request, bool ok, bool nothing,
		const char *why);
	bool (*watch)(void *arg, unsigned child); /* the descriptors of a new child */
	uint64_t runs, failed, timed_out, running, seats, waiting; /* atomic, for any reader */
};

bool lanes_init(struct lanes *l);
void lanes_free(struct lanes *l);
/* Takes the request. */
void lanes_ask(struct lanes *l, struct updown_request *request);
/* The child has ended: the next step, and whoever waits for a child. */
void lanes_child_ended(struct lanes *l, unsigned child);
/* Takes everything down that is up or routed; requests that wait are answered. */
void lanes_close(struct lanes *l);
/* Forgets what is left, and lets go of its routes; no child runs. Returns how many seats that were. */
unsigned lanes_give_up(struct lanes *l);
/* No lane is left. */
bool lanes_idle(const struct lanes *l);

#endif
