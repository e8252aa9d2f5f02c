/* Which thread runs on which core. Built by one thread, then read only. */
#ifndef SHARD_PLACEMENT_H
#define SHARD_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>

struct placement;

/* How many shards and workers for `cores` cores: `shards` 0 and `workers` -1 are to be decided. */
void placement_counts(
	unsigned cores, unsigned shards, int workers, unsigned *shards_out, unsigned *workers_out);
/* NULL when hwloc cannot read the machine or memory is out. `pin` false: threads run where they
 * like. */
struct placement *placement_new(unsigned shards, int workers, bool pin);
void placement_free(struct placement *placement);
unsigned placement_shards(const struct placement *placement);
unsigned placement_workers(const struct placement *placement);
/* CPU numbers of the workers, or NULL: not pinned. */
const unsigned *placement_worker_cpus(const struct placement *placement);
/* Binds the calling thread, and where its memory comes from, for shard `i`. False with errno: it
 * runs anywhere. */
bool placement_bind_shard(const struct placement *placement, unsigned i);
/* "shard 0 on core 2 (CPU 4, node 0)"; workers follow the shards. False past the end. */
bool placement_text(const struct placement *placement, unsigned i, char *out, size_t size);

#endif
