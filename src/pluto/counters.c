#include "counters.h"

#include "ike/counters.h"

#include <stdlib.h>
#include <string.h>

struct named {
	const char *key;
	size_t cell;
};

struct counters {
	size_t count;
	struct named *sorted;
	uint64_t *base; /* by cell */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->key, ((const struct named *)b)->key);
}

struct counters *counters_new(void)
{
	struct counters *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->count = ike_counter_count();
	c->sorted = calloc(c->count + 1, sizeof(*c->sorted));
	c->base = calloc(c->count + 1, sizeof(*c->base));
	if (!c->sorted || !c->base) {
		counters_free(c);
		return NULL;
	}
	for (size_t i = 0; i < c->count; i++)
		c->sorted[i] = (struct named){.key = ike_counter_key(i), .cell = i};
	qsort(c->sorted, c->count, sizeof(*c->sorted), compare);
	return c;
}

void counters_free(struct counters *c)
{
	if (!c)
		return;
	free(c->sorted);
	free(c->base);
	free(c);
}

static uint64_t cell_value(const struct counters *c, const struct shard_set *shards, size_t cell)
{
	return shard_set_counter(shards, cell) - c->base[cell];
}

uint64_t counters_value(const struct counters *c, const struct shard_set *shards, const char *key)
{
	struct named wanted = {.key = key};
	const struct named *found = bsearch(&wanted, c->sorted, c->count, sizeof(wanted), compare);

	return found ? cell_value(c, shards, found->cell) : 0;
}

bool counters_at(const struct counters *c, const struct shard_set *shards, size_t i,
	const char **key, uint64_t *value)
{
	if (i >= c->count)
		return false;
	*key = ike_counter_key(i);
	*value = cell_value(c, shards, i);
	return true;
}

void counters_clear(struct counters *c, const struct shard_set *shards)
{
	for (size_t i = 0; i < c->count; i++)
		if (strncmp(ike_counter_key(i), "total.", 6) == 0)
			c->base[i] = shard_set_counter(shards, i);
}
