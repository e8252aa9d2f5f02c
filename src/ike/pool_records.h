/* The identities that a pool remembers, and which lease each has: lists by hash, into which any
 * thread puts new ones at the head, and out of which the pool's keeper alone takes some. Private to
 * the pool; readers of RCU only. */
#ifndef IKE_POOL_RECORDS_H
#define IKE_POOL_RECORDS_H

#include "ike/identity.h"

#include <urcu/urcu-qsbr.h>

struct record {
	struct record *next; /* written before it is put in, then by the keeper only */
	uint64_t hash;
	uint64_t lease; /* atomic: the slot's version, and the slot; or RECORD_DEAD */
	struct identity *id;
	struct rcu_head rcu;
};

/* It is about to go, and stands for nothing. */
#define RECORD_DEAD UINT64_MAX

struct pool_records {
	struct record **heads;
	uint64_t mask;
	uint64_t count, id_bytes; /* atomic */
};

/* For a pool of this size. False: no memory. */
bool pool_records_init(struct pool_records *records, uint64_t size);
/* No reader may be left. */
void pool_records_release(struct pool_records *records);
size_t pool_records_bytes(const struct pool_records *records);

/* The identity's record; NULL: none, then *seen is what pool_records_add wants to know. */
struct record *pool_records_find(const struct pool_records *records, const struct identity *id,
	uint64_t hash, struct record **seen);
/* Puts one in. NULL: somebody else has put one in since, perhaps the same identity's; or no memory
 * (*no_memory). */
struct record *pool_records_add(struct pool_records *records, const struct identity *id,
	uint64_t hash, struct record *seen, uint64_t lease, bool *no_memory);
/* Keeper: takes a dead one out of list `i`. */
void pool_records_remove(struct pool_records *records, uint64_t i, struct record *record);

#endif
