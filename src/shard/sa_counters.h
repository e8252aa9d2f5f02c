/* Counters of many Child SAs, as the kernel has told them at one time. Of the shard's thread. */
#ifndef SHARD_SA_COUNTERS_H
#define SHARD_SA_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipsec.h"

struct table;
struct sa_counters_block;

/* Zeroed: empty. */
struct sa_counters {
	struct table *by_id;
	struct sa_counters_block *blocks;
	size_t used; /* of the first block */
};

/* Without memory it is not known, which a later question makes good. */
void sa_counters_take(struct sa_counters *counters, const struct ipsec_counted *counted);
/* In and out of the pair; false: not both are known. */
bool sa_counters_find(
	const struct sa_counters *counters, uint64_t id, struct ipsec_counters out[2]);
void sa_counters_free(struct sa_counters *counters);

#endif
