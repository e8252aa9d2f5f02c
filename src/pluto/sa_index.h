/* Which SAs each connection has: gathered from the shards before connections are reported. Control
 * thread. */
#ifndef PLUTO_SA_INDEX_H
#define PLUTO_SA_INDEX_H

#include "base/table.h"
#include "shard/shard.h"

struct sa_entry {
	struct table_node node;
	struct sa_entry *next; /* the index's */
	uint64_t connection;   /* its serial */
	uint64_t ike, child;   /* #N of the newest established ones; 0: none */
	uint64_t instances;    /* of a template: with an established Child SA */
	const char *ike_algorithms, *child_algorithms; /* of those, or NULL */
};

struct sa_index;

struct sa_index *sa_index_new(void);
void sa_index_free(struct sa_index *index);
/* NULL: the connection has no SA. */
const struct sa_entry *sa_index_find(const struct sa_index *index, uint64_t connection);
/* Connections (instances each by itself) that have an established Child SA. */
uint64_t sa_index_active(const struct sa_index *index);

/* On the shards: a record for each IKE SA. `arg` is a struct report_filter. */
shard_visit sa_index_visit;
/* Any part of any number of records. False: memory is out. */
bool sa_index_take(struct sa_index *index, const char *text, size_t len);

#endif
