/* The variables that a script is given, by the names that updown scripts have always known. */
#ifndef SHARD_UPDOWN_VARIABLES_H
#define SHARD_UPDOWN_VARIABLES_H

#include "ike/engine.h"
#include "kernel/updown_environment.h"

/* Of all pairs of the SA. `wall_s`: now. */
void variables_common(struct environment *e, const struct ike_updown *wish, const char *backend,
	uint64_t wall_s);
/* Of one pair of selectors. */
void variables_of_pair(struct environment *e, const struct traffic_selector *local,
	const struct traffic_selector *remote);

#endif
