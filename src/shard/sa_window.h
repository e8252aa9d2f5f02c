/* A few IKE SAs at a time whose Child SAs' counters are fetched from the kernel, so that a report
 * can show them. Of the shard's thread. */
#ifndef SHARD_SA_WINDOW_H
#define SHARD_SA_WINDOW_H

#include "sa_counters.h"
#include "shard/shard.h"

struct shard;

#define WINDOW_SAS 32
#define WINDOW_CHILDREN                                                                            \
	256 /* a window is full at one of both; one SA with more has the counters of its first     \
	       4096 */

struct queried_child {
	uint64_t ike_serial, serial;
	struct ipsec_counters counters[2]; /* in, out */
};

struct sa_window {
	struct sa_counters known; /* need not be asked for */
	struct ike_sa_view
		views[WINDOW_SAS]; /* connection and identities referenced, Child SA not valid */
	unsigned count, at;
	struct queried_child *children; /* in order of the views */
	size_t child_count, child_size, next_child;
	unsigned outstanding;         /* queries without an answer */
	struct ipsec_counters *shown; /* what the visitor is given */
	size_t shown_size;
};

/* Tokens of requests that are not the engine's have these bits. */
#define WINDOW_TOKEN_MASK 0xffff000000000000u
static inline bool window_token(uint64_t token)
{
	return (token & WINDOW_TOKEN_MASK) == WINDOW_TOKEN_MASK;
}
static inline uint32_t window_token_report(uint64_t token)
{
	return (uint32_t)(token >> 24) & 0xffffff;
}

/* Of the question for all counters at once: no window has so many slots. */
static inline uint64_t window_token_of_all(uint32_t report_id)
{
	return WINDOW_TOKEN_MASK | (uint64_t)report_id << 24 | 0xffffff;
}

/* Walks on until the window is full and asks for the counters; false: the walk is over. */
bool sa_window_fill(
	struct sa_window *window, struct shard *shard, struct ike_walk *walk, uint32_t report_id);
void sa_window_answer(struct sa_window *window, const struct ipsec_answer *answer);
/* The next SA with what is known of it now; NULL: the window is empty. Valid until the next call
 * into the engine. */
const struct ike_sa_view *sa_window_next(struct sa_window *window, struct ike_engine *engine,
	const struct ipsec_counters **counters);
void sa_window_free(struct sa_window *window);

#endif
