/* The engines' counters by their keys, summed over the shards, and what --clearstats has taken off.
 * Control thread. */
#ifndef PLUTO_COUNTERS_H
#define PLUTO_COUNTERS_H

#include "shard/shard.h"

struct counters;

struct counters *counters_new(void);
void counters_free(struct counters *counters);
/* 0 for a key that nobody counts. */
uint64_t counters_value(
	const struct counters *counters, const struct shard_set *shards, const char *key);
/* The i-th counter's key and value, in the engine's order; false past the end. */
bool counters_at(const struct counters *counters, const struct shard_set *shards, size_t i,
	const char **key, uint64_t *value);
/* All total.* begin at 0 again. The engines' cells are not touched: they are not ours to write. */
void counters_clear(struct counters *counters, const struct shard_set *shards);

#endif
