/* A hash table that one thread changes while others look things up under RCU: all items lie in one
 * list, sorted by the bits of their hashes in reverse, and buckets are marks in that list (a
 * split-ordered list). So the table grows bucket by bucket, by a mark more, without moving an item;
 * an addition costs the same in every table. It does not shrink: a bucket is 16 bytes. */
#ifndef IKE_RCU_TABLE_H
#define IKE_RCU_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rcu_node {
	struct rcu_node *next;
	uint64_t order;
};

struct rcu_table;

typedef bool rcu_match(const struct rcu_node *node, const void *key);

/* NULL when memory is out. */
struct rcu_table *rcu_table_new(void);
/* No reader may be left; the items are simply forgotten. */
void rcu_table_free(struct rcu_table *table);

/* ---- any reader ---- */
struct rcu_node *rcu_table_find(
	const struct rcu_table *table, uint64_t hash, rcu_match *match, const void *key);

/* ---- the writer ---- */
/* Never fails: without memory for more buckets the chains grow longer. */
void rcu_table_add(struct rcu_table *table, struct rcu_node *node, uint64_t hash);
/* `old` must be in the table; `node` has the same hash. */
void rcu_table_replace(struct rcu_table *table, struct rcu_node *old, struct rcu_node *node);
/* Must be in the table; readers may still be at it until a grace period is over. */
void rcu_table_remove(struct rcu_table *table, struct rcu_node *node);

/* How many objects look-ups have touched: compiled in for the test that proves their cost. */
#ifdef COUNT_VISITS
extern _Thread_local uint64_t visits;
#define count_visit() (visits++)
#else
#define count_visit() ((void)0)
#endif

#endif
