#include "sa_counters.h"

#include "base/table.h"

#include <stdlib.h>

#define BLOCK_PAIRS 256

struct pair {
	struct table_node node; /* first */
	uint64_t id;
	uint8_t known; /* bit n: of direction n */
	struct ipsec_counters counters[2];
};

struct sa_counters_block {
	struct sa_counters_block *next;
	struct pair pairs[BLOCK_PAIRS];
};

static struct pair *find(const struct sa_counters *counters, uint64_t id)
{
	struct table_node *n =
		counters->by_id != NULL ? table_first(counters->by_id, table_hash_u64(id)) : NULL;
	while (n != NULL && ((struct pair *)n)->id != id) {
		n = table_next(n);
	}
	return (struct pair *)n;
}

static struct pair *add(struct sa_counters *counters, uint64_t id)
{
	if (counters->by_id == NULL && (counters->by_id = table_new()) == NULL) {
		return NULL;
	}
	if (counters->blocks == NULL || counters->used == BLOCK_PAIRS) {
		struct sa_counters_block *block = calloc(1, sizeof *block);
		if (block == NULL) {
			return NULL;
		}
		block->next = counters->blocks;
		counters->blocks = block;
		counters->used = 0;
	}
	struct pair *pair = &counters->blocks->pairs[counters->used];
	pair->id = id;
	if (!table_insert(counters->by_id, &pair->node, table_hash_u64(id))) {
		return NULL;
	}
	counters->used++;
	return pair;
}

void sa_counters_take(struct sa_counters *counters, const struct ipsec_counted *counted)
{
	struct pair *pair = find(counters, counted->id);
	if (pair == NULL && (pair = add(counters, counted->id)) == NULL) {
		return;
	}
	pair->counters[counted->direction] = counted->counters;
	pair->known |= (uint8_t)(1u << counted->direction);
}

bool sa_counters_find(const struct sa_counters *counters, uint64_t id, struct ipsec_counters out[2])
{
	const struct pair *pair = find(counters, id);
	if (pair == NULL || pair->known != 3) {
		return false;
	}
	out[0] = pair->counters[0];
	out[1] = pair->counters[1];
	return true;
}

void sa_counters_free(struct sa_counters *counters)
{
	if (counters->by_id != NULL) {
		table_free(counters->by_id);
	}
	while (counters->blocks != NULL) {
		struct sa_counters_block *block = counters->blocks;
		counters->blocks = block->next;
		free(block);
	}
	*counters = (struct sa_counters){0};
}
