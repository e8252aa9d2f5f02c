#include "catalogue_index.h"

#include <stdlib.h>
#include <string.h>

#ifdef RCU_TELL_SANITIZER
char rcu_grace_period;

/* Read by the sanitizer: liburcu's own memory is ordered by what it does not see either. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:liburcu-qsbr.so";
}
#endif
/* What is looked up may come from a stranger, but what lies in the tables is the operator's. */
static const struct table_seed seed = {0x636f6e6e65637469u, 0x6361746c6f677565u};

/* ---- keys --------------------------------------------------------------------- */

static void write_address(struct writer *w, const struct ip_address *address)
{
	write_u8(w, address->family);
	write_copy(w, address->bytes, sizeof(address->bytes));
}

static uint64_t key_hash(const struct index_key *key)
{
	uint8_t buffer[64];
	struct writer w = writer_of(buffer, sizeof(buffer));

	write_u8(&w, (uint8_t)key->kind);
	write_u32(&w, key->reqid);
	write_address(&w, &key->local);
	write_address(&w, &key->remote);
	write_u64(&w, key->local_id != NULL ? identity_hash(key->local_id) : 0);
	write_u64(&w, key->remote_id != NULL ? identity_hash(key->remote_id) : 0);
	return table_hash(&seed, buffer, writer_len(&w));
}

static struct index_key key_of(enum index_kind kind, const struct connection *c)
{
	struct index_key key = {.kind = kind};

	if (kind == INDEX_REQID) {
		key.reqid = c->reqid;
		return key;
	}
	key.local = c->local.host;
	key.remote = c->remote.host;
	if (kind == INDEX_REMOTE_ID || kind == INDEX_BOTH_IDS)
		key.remote_id = c->remote.id;
	if (kind == INDEX_BOTH_IDS)
		key.local_id = c->local.id;
	return key;
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
	return a == NULL || b == NULL ? a == b : identity_equal(a, b);
}

static bool key_equal(const struct index_key *a, const struct index_key *b)
{
	return a->kind == b->kind && a->reqid == b->reqid && ip_equal(&a->local, &b->local) &&
	       ip_equal(&a->remote, &b->remote) && same_identity(a->local_id, b->local_id) &&
	       same_identity(a->remote_id, b->remote_id);
}

static const struct connection *any_member(const struct group *group)
{
	struct rcu_link *first = rcu_list_next(&group->members);
	enum index_kind kind = group->kind;

	if (kind == INDEX_HOSTS) {
		first = rcu_list_next(&container_of(first, struct group, in_parent)->members);
		kind = INDEX_PROPOSALS;
	}
	return entry_of_link(first, kind)->connection;
}

static bool group_matches(const struct rcu_node *node, const void *key)
{
	const struct group *group = container_of_const(node, struct group, node);
	struct index_key own = key_of(group->kind, any_member(group));

	return key_equal(&own, key);
}

struct group *index_lookup(const struct catalogue *catalogue, const struct index_key *key)
{
	struct rcu_node *node =
		rcu_table_find(catalogue->groups, key_hash(key), group_matches, key);

	return node != NULL ? container_of(node, struct group, node) : NULL;
}

uint64_t name_hash(const char *name)
{
	return table_hash(&seed, name, strlen(name));
}

static bool name_matches(const struct rcu_node *node, const void *name)
{
	const struct entry *entry = container_of_const(node, struct entry, by_name);

	return strcmp(entry->connection->name, name) == 0;
}

struct entry *name_lookup(const struct catalogue *catalogue, const char *name)
{
	struct rcu_node *node =
		rcu_table_find(catalogue->names, name_hash(name), name_matches, name);

	return node != NULL ? container_of(node, struct entry, by_name) : NULL;
}

/* ---- groups come and go --------------------------------------------------------- */

static struct group *group_new(enum index_kind kind)
{
	struct group *group = calloc(1, sizeof(*group));

	if (group == NULL)
		return NULL;
	group->kind = kind;
	rcu_list_init(&group->members);
	return group;
}

static struct group *group_for(
	const struct catalogue *catalogue, enum index_kind kind, const struct connection *c)
{
	struct index_key key = key_of(kind, c);
	struct group *group = index_lookup(catalogue, &key);

	return group != NULL ? group : group_new(kind);
}

static bool same_proposals(const struct connection *a, const struct connection *b)
{
	if (a->ikev1 != b->ikev1)
		return false;
	if (a->ike_proposals == b->ike_proposals)
		return true;
	return a->ike_proposals != NULL && b->ike_proposals != NULL &&
	       proposal_list_equal(a->ike_proposals, b->ike_proposals);
}

static struct group *find_proposals(const struct group *hosts, const struct connection *c)
{
	struct rcu_link *link = hosts->members.next;

	for (; link != &hosts->members; link = link->next) {
		struct group *group = container_of(link, struct group, in_parent);

		if (same_proposals(any_member(group), c))
			return group;
	}
	return NULL;
}

static struct group *proposals_for(const struct catalogue *catalogue, const struct connection *c)
{
	struct group *hosts = group_for(catalogue, INDEX_HOSTS, c);
	struct group *group;

	if (hosts == NULL)
		return NULL;
	group = find_proposals(hosts, c);
	if (group != NULL)
		return group;
	group = group_new(INDEX_PROPOSALS);
	if (group == NULL) {
		if (!hosts->published)
			free(hosts);
		return NULL;
	}
	group->parent = hosts;
	return group;
}

static void group_reclaim(struct rcu_head *head)
{
	rcu_grace_over();
	free(container_of(head, struct group, rcu));
}

static void group_publish(struct catalogue *catalogue, struct group *group)
{
	if (group->published)
		return;
	group->published = true;
	if (group->kind == INDEX_PROPOSALS) {
		rcu_list_append(&group->parent->members, &group->in_parent);
		group_publish(catalogue, group->parent);
		return;
	}
	struct index_key key = key_of(group->kind, any_member(group));
	rcu_table_add(catalogue->groups, &group->node, key_hash(&key));
}

static bool is_last(const struct rcu_link *members)
{
	return members->next->next == members;
}

/* The last member takes the group with it, instead of leaving it empty. */
static void group_remove(struct catalogue *catalogue, struct group *group, struct rcu_link *link)
{
	if (!is_last(&group->members)) {
		rcu_list_remove(link);
		return;
	}
	if (group->kind == INDEX_PROPOSALS)
		group_remove(catalogue, group->parent, &group->in_parent);
	else
		rcu_table_remove(catalogue->groups, &group->node);
	rcu_reclaim_later(&group->rcu, group_reclaim);
}

/* ---- entries ---------------------------------------------------------------------- */

/* Shunts and connections that are not between us and somebody are not found by hosts. */
static bool belongs(enum index_kind kind, const struct connection *c)
{
	if (kind == INDEX_REQID)
		return c->reqid != 0;
	return c->oriented && c->shunt == IPSEC_PROTECT;
}

bool index_prepare(const struct catalogue *catalogue, struct entry *entry)
{
	const struct connection *c = entry->connection;

	for (enum index_kind kind = 0; kind < INDEX_KINDS; kind++) {
		struct index_slot *slot = &entry->slots[kind];

		if (!belongs(kind, c))
			continue;
		slot->group = kind == INDEX_PROPOSALS ? proposals_for(catalogue, c)
						      : group_for(catalogue, kind, c);
		if (slot->group == NULL) {
			index_abandon(entry);
			return false;
		}
	}
	return true;
}

void index_abandon(struct entry *entry)
{
	for (enum index_kind kind = 0; kind < INDEX_KINDS; kind++) {
		struct group *group = entry->slots[kind].group;

		if (group == NULL || group->published)
			continue;
		if (group->parent != NULL && !group->parent->published)
			free(group->parent);
		free(group);
	}
}

void index_publish(struct catalogue *catalogue, struct entry *entry, struct entry *old)
{
	for (enum index_kind kind = 0; kind < INDEX_KINDS; kind++) {
		struct index_slot *slot = &entry->slots[kind];

		if (slot->group == NULL)
			continue;
		if (old != NULL && old->slots[kind].group == slot->group) {
			rcu_list_replace(&old->slots[kind].link, &slot->link);
			continue;
		}
		rcu_list_append(&slot->group->members, &slot->link);
		group_publish(catalogue, slot->group);
	}
}

void index_withdraw(struct catalogue *catalogue, struct entry *entry, const struct entry *successor)
{
	for (enum index_kind kind = 0; kind < INDEX_KINDS; kind++) {
		struct index_slot *slot = &entry->slots[kind];

		if (slot->group == NULL)
			continue;
		if (successor == NULL || successor->slots[kind].group != slot->group)
			group_remove(catalogue, slot->group, &slot->link);
	}
}
