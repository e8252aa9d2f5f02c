/* An intrusive hash table for one thread: it grows and shrinks by one bucket at a time (linear
 * hashing), so that no insertion ever pays for a million. Keys are hashed by the caller, with a
 * secret seed where a stranger chooses the key. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next;
	uint64_t hash;
};

struct table;

struct table *table_new(void);
/* The nodes are simply forgotten. */
void table_free(struct table *table);
/* Several nodes of one hash are allowed. False when memory is out: not inserted. */
bool table_insert(struct table *table, struct table_node *node, uint64_t hash);
/* The node must be in the table. */
void table_remove(struct table *table, struct table_node *node);
/* The first node of this hash, then each next one; NULL at the end. The caller compares keys. */
struct table_node *table_first(const struct table *table, uint64_t hash);
struct table_node *table_next(const struct table_node *node);
size_t table_count(const struct table *table);
size_t table_bytes(const struct table *table);

/* A keyed hash (SipHash-1-3 or better) for keys that a stranger chooses. */
struct table_seed {
	uint64_t k0, k1;
};
uint64_t table_hash(const struct table_seed *seed, const void *key, size_t len);
/* For keys that we chose ourselves at random or in sequence. */
static inline uint64_t table_hash_u64(uint64_t v)
{
	v ^= v >> 32;
	v *= 0x9e3779b97f4a7c15u;
	return v ^ (v >> 29);
}

#endif
