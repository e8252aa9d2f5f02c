/* A shard's own figures: written by its thread, read by any. */
#ifndef SHARD_TALLY_H
#define SHARD_TALLY_H

#include "ike/engine.h"
#include <stdint.h>

struct tally {
	uint64_t ike_sas, timers, kernel_pending;
	uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
	uint64_t not_ike, shed;
	uint64_t asks_cookies; /* for its backlog: 1 */
	uint64_t handed_over, handed_in, hand_over_lost;
	uint64_t send_errors;
	uint64_t lines_lost, news_lost;
	uint64_t jobs_inline, jobs_done, jobs_refused, job_batches, job_wait_ns, job_run_ns;
	struct ike_memory memory;
};

static inline uint64_t tally_read(const uint64_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_RELAXED);
}
/* Owner only. */
static inline void tally_set(uint64_t *cell, uint64_t value)
{
	__atomic_store_n(cell, value, __ATOMIC_RELAXED);
}
static inline void tally_add(uint64_t *cell, uint64_t n)
{
	tally_set(cell, tally_read(cell) + n);
}

struct shard;
/* Takes down what is measured rather than counted; the engine's memory only now and then: sets
 * shard->tally_due_ms to when it wants to be called again at the latest; UINT64_MAX: not until
 * something has happened. */
void shard_tell_tally(struct shard *shard);

#endif
