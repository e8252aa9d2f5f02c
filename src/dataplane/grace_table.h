/* A hash table that packet threads read without locks while the control thread inserts, removes and
 * grows. Each node has two links: while the table of buckets is replaced by a larger one, readers
 * of the old one go on along the old links. */
#ifndef DATAPLANE_GRACE_TABLE_H
#define DATAPLANE_GRACE_TABLE_H

#include "grace.h"

struct grace_node {
	struct grace_node *next[2];
	uint64_t hash;
};

struct grace_buckets {
	struct retired retired;
	unsigned link; /* which of a node's links is this one's */
	uint64_t mask;
	struct grace_node *at[];
};

struct grace_table {
	struct grace_buckets *buckets;
	struct grace *grace;
	size_t count;
	uint64_t grown; /* token of the last growth: until it has passed the other link is in use */
	bool growing;
};

bool grace_table_init(struct grace_table *table, struct grace *grace);
/* No reader is left; nodes are simply forgotten. */
void grace_table_end(struct grace_table *table);
/* Control thread. The node's content is visible to readers from here on. */
void grace_table_insert(struct grace_table *table, struct grace_node *node, uint64_t hash);
/* Control thread. The node must be in the table, and must be retired by the caller before it is
 * freed. */
void grace_table_remove(struct grace_table *table, struct grace_node *node);
size_t grace_table_bytes(const struct grace_table *table);

struct grace_cursor {
	struct grace_node *node;
	unsigned link;
};

static inline void grace_cursor_match(struct grace_cursor *cursor, uint64_t hash)
{
	while (cursor->node && cursor->node->hash != hash)
		cursor->node = __atomic_load_n(&cursor->node->next[cursor->link], __ATOMIC_ACQUIRE);
}

/* The first node of this hash, newest first as long as the table has not grown. The caller compares
 * keys. */
static inline struct grace_cursor grace_table_first(const struct grace_table *table, uint64_t hash)
{
	const struct grace_buckets *buckets = __atomic_load_n(&table->buckets, __ATOMIC_ACQUIRE);
	struct grace_cursor cursor = {
		__atomic_load_n(&buckets->at[hash & buckets->mask], __ATOMIC_ACQUIRE),
		buckets->link,
	};
	grace_cursor_match(&cursor, hash);
	return cursor;
}

static inline void grace_table_next(struct grace_cursor *cursor)
{
	uint64_t hash = cursor->node->hash;
	cursor->node = __atomic_load_n(&cursor->node->next[cursor->link], __ATOMIC_ACQUIRE);
	grace_cursor_match(cursor, hash);
}

#endif
