#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

#include "siphash.h"

/* Buckets live in segments that double: segment 0 holds buckets [0, 64), segment n > 0 holds
 * [2^(n+5), 2^(n+6)). No bucket ever moves, and a segment's memory is not touched before its
 * buckets come into use one by one. */
#define FIRST_BITS    6
#define FIRST_BUCKETS (1u << FIRST_BITS)
#define SEGMENTS      (64 - FIRST_BITS)
/* A table shrinks when it has more than this many buckets for a node; ... */
#define SPARSE 4
/* ... and gives up this many buckets for one removal, so that it keeps pace with a mass removal. */
#define SHRINK_STEPS SPARSE

struct table {
	size_t count, buckets;
	/* buckets is in [level, 2 * level): those below buckets - level are split already. */
	size_t level;
	struct table_node **segments[SEGMENTS];
	struct table_node *first[FIRST_BUCKETS];
};

struct table *table_new(void)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->segments[0] = table->first;
	table->buckets = FIRST_BUCKETS;
	table->level = FIRST_BUCKETS;
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (unsigned i = 1; i < SEGMENTS; i++)
		free(table->segments[i]);
	free(table);
}

static unsigned segment_of(size_t bucket)
{
	return bucket < FIRST_BUCKETS ? 0 : 64 - FIRST_BITS - (unsigned)__builtin_clzl(bucket);
}

static size_t segment_start(unsigned segment)
{
	return segment == 0 ? 0 : (size_t)FIRST_BUCKETS << (segment - 1);
}

static size_t segment_size(unsigned segment)
{
	return segment == 0 ? FIRST_BUCKETS : segment_start(segment);
}

static struct table_node **bucket_at(const struct table *table, size_t bucket)
{
	unsigned segment = segment_of(bucket);

	return &table->segments[segment][bucket - segment_start(segment)];
}

static struct table_node **bucket_of_hash(const struct table *table, uint64_t hash)
{
	size_t bucket = hash & (2 * table->level - 1);

	return bucket_at(table, bucket < table->buckets ? bucket : bucket - table->level);
}

/* Splits one bucket into itself and a new last one. Without memory the chains grow longer
 * instead, until the next insertion tries again. */
static void table_grow(struct table *table)
{
	unsigned segment = segment_of(table->buckets);
	struct table_node **from, **to, *node;

	if (!table->segments[segment]) {
		table->segments[segment] =
			malloc(segment_size(segment) * sizeof(struct table_node *));
		if (!table->segments[segment])
			return;
	}
	from = bucket_at(table, table->buckets - table->level);
	to = bucket_at(table, table->buckets);
	while ((node = *from)) {
		if (node->hash & table->level) {
			*from = node->next;
			*to = node;
			to = &node->next;
		} else {
			from = &node->next;
		}
	}
	*to = NULL;
	table->buckets++;
	if (table->buckets == 2 * table->level)
		table->level *= 2;
}

/* Joins the last bucket to the one that it was split from. */
static void table_shrink(struct table *table)
{
	size_t last = table->buckets - 1;
	unsigned segment = segment_of(last);
	struct table_node **end;

	if (table->buckets == table->level)
		table->level /= 2;
	end = bucket_at(table, last - table->level);
	while (*end)
		end = &(*end)->next;
	*end = *bucket_at(table, last);
	table->buckets = last;
	if (last == segment_start(segment)) {
		free(table->segments[segment]);
		table->segments[segment] = NULL;
	}
}

bool table_insert(struct table *table, struct table_node *node, uint64_t hash)
{
	struct table_node **bucket;

	if (table->count >= table->buckets)
		table_grow(table);
	bucket = bucket_of_hash(table, hash);
	node->hash = hash;
	node->next = *bucket;
	*bucket = node;
	table->count++;
	return true;
}

void table_remove(struct table *table, struct table_node *node)
{
	struct table_node **at = bucket_of_hash(table, node->hash);

	while (*at != node) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = node->next;
	node->next = NULL;
	table->count--;
	for (unsigned i = 0; i < SHRINK_STEPS; i++) {
		if (table->buckets == FIRST_BUCKETS || table->count >= table->buckets / SPARSE)
			return;
		table_shrink(table);
	}
}

static struct table_node *same_hash(struct table_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct table_node *table_first(const struct table *table, uint64_t hash)
{
	return same_hash(*bucket_of_hash(table, hash), hash);
}

struct table_node *table_next(const struct table_node *node)
{
	return same_hash(node->next, node->hash);
}

size_t table_count(const struct table *table)
{
	return table->count;
}

size_t table_bytes(const struct table *table)
{
	size_t bytes = sizeof(*table);

	for (unsigned i = 1; i < SEGMENTS; i++) {
		if (table->segments[i])
			bytes += segment_size(i) * sizeof(struct table_node *);
	}
	return bytes;
}

uint64_t table_hash(const struct table_seed *seed, const void *key, size_t len)
{
	return siphash(seed->k0, seed->k1, key, len, 1, 3);
}
