/* What the catalogue is made of.
 *
 * A connection has one entry, and an entry lies in one group of each index: the connections that
 * share a reqid, a pair of hosts and a list of IKE proposals, a pair of hosts and the peer's
 * identity, and that with our own identity. A group has no key of its own: it is that of each of
 * its members, and no group that a reader can find is ever empty. */
#ifndef IKE_CATALOGUE_INDEX_H
#define IKE_CATALOGUE_INDEX_H

#include "ike/catalogue.h"
#include "rcu_list.h"
#include "rcu_table.h"
#include "serial_tree.h"

#include "base/table.h"

enum index_kind {
	INDEX_REQID,
	INDEX_PROPOSALS, /* within INDEX_HOSTS */
	INDEX_REMOTE_ID, /* and hosts */
	INDEX_BOTH_IDS,  /* and hosts */
	INDEX_KINDS,
	INDEX_HOSTS = INDEX_KINDS, /* its members are groups by proposals */
};

struct group {
	struct rcu_node node; /* not for INDEX_PROPOSALS */
	struct rcu_head rcu;
	struct rcu_link members;
	struct group *parent; /* INDEX_PROPOSALS: by hosts */
	struct rcu_link in_parent;
	enum index_kind kind;
	bool published;
};

struct index_slot {
	struct rcu_link link;
	struct group *group; /* NULL: this index has no place for the connection */
};

/* Of the writer. */
struct alias_group {
	struct table_node by_name;
	struct serial_node *members;
	char name[];
};

struct alias_member {
	struct serial_node by_serial;
	struct alias_group *group;
	struct entry *entry;
};

struct entry {
	struct rcu_node by_name;
	struct rcu_head rcu;
	struct connection *connection;
	struct index_slot slots[INDEX_KINDS];
	struct serial_node by_serial;
	size_t alias_count;
	struct alias_member aliases[];
};

struct catalogue {
	struct rcu_table *names, *groups;
	uint64_t moves; /* atomic: how many connections were replaced, which may change their groups
			 */
	/* The writer's. */
	struct table *aliases;
	struct serial_node *serials;
	uint64_t last_serial;
	size_t count;
	size_t bytes; /* of the entries and their connections */
};

struct index_key {
	enum index_kind kind;
	uint32_t reqid;
	struct ip_address local, remote;
	const struct identity *local_id, *remote_id; /* NULL: no part of the key */
};

/* ---- any reader, within a read-side critical section ---- */
struct group *index_lookup(const struct catalogue *catalogue, const struct index_key *key);
struct entry *name_lookup(const struct catalogue *catalogue, const char *name);
uint64_t name_hash(const char *name);
static inline struct entry *entry_of_link(struct rcu_link *link, enum index_kind kind)
{
	return container_of(link, struct entry, slots[kind].link);
}

/* ---- the writer ---- */
/* Finds or makes the groups of the entry's connection; false when memory is out: nothing is
 * changed. */
bool index_prepare(const struct catalogue *catalogue, struct entry *entry);
/* Forgets what was prepared. */
void index_abandon(struct entry *entry);
/* Puts a prepared entry into its groups: in the place of `old` (NULL: none) where the group is the
 * same. */
void index_publish(struct catalogue *catalogue, struct entry *entry, struct entry *old);
/* Takes the entry out of all groups but those where `successor` (NULL: none) has taken its place.
 */
void index_withdraw(
	struct catalogue *catalogue, struct entry *entry, const struct entry *successor);

#endif
