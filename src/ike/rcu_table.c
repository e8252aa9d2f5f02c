#include "rcu_table.h"

#include <stdlib.h>

/* Marks live in segments that double: segment 0 holds buckets [0, 64), segment n > 0 holds
 * [2^(n+5), 2^(n+6)). They never move. */
#define FIRST_BITS    6
#define FIRST_BUCKETS (1u << FIRST_BITS)
#define SEGMENTS      (64 - FIRST_BITS)

struct rcu_table {
	size_t buckets; /* atomic; only grows, and after its mark is in place */
	size_t count;
	struct rcu_node *segments[SEGMENTS];
	struct rcu_node first[FIRST_BUCKETS];
};

#ifdef COUNT_VISITS
_Thread_local uint64_t visits;
#endif

static uint64_t reverse_bits(uint64_t v)
{
	v = (v >> 1 & 0x5555555555555555u) | (v & 0x5555555555555555u) << 1;
	v = (v >> 2 & 0x3333333333333333u) | (v & 0x3333333333333333u) << 2;
	v = (v >> 4 & 0x0f0f0f0f0f0f0f0fu) | (v & 0x0f0f0f0f0f0f0f0fu) << 4;
	return __builtin_bswap64(v);
}

/* Items are odd and marks are even, so that a bucket's mark stands before all its items. */
static uint64_t item_order(uint64_t hash)
{
	return reverse_bits(hash) | 1;
}

static uint64_t mark_order(size_t bucket)
{
	return reverse_bits(bucket);
}

static struct rcu_node *mark_at(const struct rcu_table *table, size_t bucket)
{
	unsigned segment =
		bucket < FIRST_BUCKETS ? 0 : 64 - FIRST_BITS - (unsigned)__builtin_clzl(bucket);
	size_t start = segment == 0 ? 0 : (size_t)FIRST_BUCKETS << (segment - 1);

	return &table->segments[segment][bucket - start];
}

static struct rcu_node *mark_of(const struct rcu_table *table, uint64_t hash)
{
	size_t buckets = __atomic_load_n(&table->buckets, __ATOMIC_ACQUIRE);
	size_t level = (size_t)1 << (63 - __builtin_clzl(buckets));
	size_t bucket = hash & (2 * level - 1);

	return mark_at(table, bucket < buckets ? bucket : bucket - level);
}

static struct rcu_node *next_of(const struct rcu_node *node)
{
	return __atomic_load_n(&node->next, __ATOMIC_ACQUIRE);
}

static void link_behind(struct rcu_node *before, struct rcu_node *node)
{
	node->next = before->next;
	__atomic_store_n(&before->next, node, __ATOMIC_RELEASE);
}

/* The last node, from `from` on, that comes before `order`. */
static struct rcu_node *last_before(struct rcu_node *from, uint64_t order)
{
	while (from->next != NULL && from->next->order < order) {
		count_visit();
		from = from->next;
	}
	return from;
}

struct rcu_table *rcu_table_new(void)
{
	struct rcu_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->segments[0] = table->first;
	table->buckets = 1;
	return table;
}

void rcu_table_free(struct rcu_table *table)
{
	if (table == NULL)
		return;
	for (unsigned i = 1; i < SEGMENTS; i++)
		free(table->segments[i]);
	free(table);
}

struct rcu_node *rcu_table_find(
	const struct rcu_table *table, uint64_t hash, rcu_match *match, const void *key)
{
	uint64_t order = item_order(hash);
	struct rcu_node *node = next_of(mark_of(table, hash));

	for (; node != NULL && node->order <= order; node = next_of(node)) {
		count_visit();
		if (node->order == order && match(node, key))
			return node;
	}
	return NULL;
}

static void grow(struct rcu_table *table)
{
	size_t bucket = table->buckets;
	size_t level = (size_t)1 << (63 - __builtin_clzl(bucket));
	struct rcu_node *mark;

	if (bucket == level && bucket >= FIRST_BUCKETS) {
		unsigned segment = 64 - FIRST_BITS - (unsigned)__builtin_clzl(bucket);

		/* Pages that nobody has touched yet. */
		table->segments[segment] = calloc(level, sizeof(*mark));
		if (table->segments[segment] == NULL)
			return;
	}
	mark = mark_at(table, bucket);
	mark->order = mark_order(bucket);
	link_behind(last_before(mark_at(table, bucket - level), mark->order), mark);
	__atomic_store_n(&table->buckets, bucket + 1, __ATOMIC_RELEASE);
}

void rcu_table_add(struct rcu_table *table, struct rcu_node *node, uint64_t hash)
{
	node->order = item_order(hash);
	link_behind(last_before(mark_of(table, hash), node->order), node);
	if (++table->count > table->buckets)
		grow(table);
}

/* The bucket begins at the same place for the reversed order as for the hash, but for its highest
 * bit. */
static struct rcu_node *before_node(const struct rcu_table *table, const struct rcu_node *node)
{
	struct rcu_node *before = mark_of(table, reverse_bits(node->order & ~(uint64_t)1));

	while (before->next != node) {
		count_visit();
		before = before->next;
	}
	return before;
}

void rcu_table_replace(struct rcu_table *table, struct rcu_node *old, struct rcu_node *node)
{
	struct rcu_node *before = before_node(table, old);

	node->order = old->order;
	node->next = old->next;
	__atomic_store_n(&before->next, node, __ATOMIC_RELEASE);
}

void rcu_table_remove(struct rcu_table *table, struct rcu_node *node)
{
	struct rcu_node *before = before_node(table, node);

	__atomic_store_n(&before->next, node->next, __ATOMIC_RELEASE);
	table->count--;
}
