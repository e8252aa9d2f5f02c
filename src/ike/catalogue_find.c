/* The readers' side of the catalogue. A QSBR reader is in a critical section between its quiescent
 * states, so nothing marks it here. */
#include "catalogue_index.h"

#define JUDGED_MAX 256 /* of one hosts-and-identities group */
#define TRIES_MAX  16

static struct connection *found(const struct entry *entry)
{
	struct connection *c = entry != NULL ? connection_ref(entry->connection) : NULL;

	rcu_reader_done();
	return c;
}

struct connection *catalogue_by_name(const struct catalogue *catalogue, const char *name)
{
	return found(name_lookup(catalogue, name));
}

struct connection *catalogue_by_reqid(const struct catalogue *catalogue, uint32_t reqid)
{
	struct index_key key = {.kind = INDEX_REQID, .reqid = reqid};
	struct group *group = index_lookup(catalogue, &key);

	if (group == NULL)
		return found(NULL);
	return found(entry_of_link(rcu_list_next(&group->members), INDEX_REQID));
}

/* One connection speaks for all that have the same proposals. */
static struct entry *judge_proposals(const struct group *hosts, catalogue_judge *judge, void *arg)
{
	struct rcu_link *link = rcu_list_next(&hosts->members);

	for (; link != &hosts->members; link = rcu_list_next(link)) {
		struct group *group = container_of(link, struct group, in_parent);
		struct entry *entry =
			entry_of_link(rcu_list_next(&group->members), INDEX_PROPOSALS);

		count_visit();
		if (judge(entry->connection, arg))
			return entry;
	}
	return NULL;
}

/* Finds look into several groups one after the other. A connection that is replaced meanwhile may
 * leave a group that is yet to come for one that was passed: then nothing was found though it was
 * there all the time, and the find begins again. */
static uint64_t moves(const struct catalogue *catalogue)
{
	return __atomic_load_n(&catalogue->moves, __ATOMIC_SEQ_CST);
}

static struct entry *find_by_hosts(const struct catalogue *catalogue,
	const struct ip_address *local, const struct ip_address *remote, catalogue_judge *judge,
	void *arg)
{
	struct index_key key = {.kind = INDEX_HOSTS, .local = *local, .remote = *remote};
	struct group *hosts = index_lookup(catalogue, &key);
	struct entry *entry = hosts != NULL ? judge_proposals(hosts, judge, arg) : NULL;

	if (entry != NULL || ip_is_unset(remote))
		return entry;
	key.remote = (struct ip_address){0};
	hosts = index_lookup(catalogue, &key);
	return hosts != NULL ? judge_proposals(hosts, judge, arg) : NULL;
}

struct connection *catalogue_find_by_hosts(const struct catalogue *catalogue,
	const struct ip_address *local, const struct ip_address *remote, catalogue_judge *judge,
	void *arg)
{
	struct entry *entry = NULL;

	for (unsigned tries = 0; entry == NULL && tries < TRIES_MAX; tries++) {
		uint64_t before = moves(catalogue);

		entry = find_by_hosts(catalogue, local, remote, judge, arg);
		if (before == moves(catalogue))
			break;
	}
	return found(entry);
}

static struct entry *judge_members(const struct catalogue *catalogue, const struct index_key *key,
	catalogue_judge *judge, void *arg)
{
	struct group *group = index_lookup(catalogue, key);
	struct rcu_link *link;
	unsigned judged = 0;

	if (group == NULL)
		return NULL;
	link = rcu_list_next(&group->members);
	for (; link != &group->members && judged < JUDGED_MAX;
		link = rcu_list_next(link), judged++) {
		struct entry *entry = entry_of_link(link, key->kind);

		count_visit();
		if (judge(entry->connection, arg))
			return entry;
	}
	return NULL;
}

static const struct identity any_identity = {.references = 1, .kind = ID_ANY};

/* Without an IDr all local identities will do, else that one, then %any. */
static struct entry *judge_identities(const struct catalogue *catalogue, struct index_key *key,
	const struct identity *local_id, catalogue_judge *judge, void *arg)
{
	struct entry *entry;

	key->kind = local_id != NULL ? INDEX_BOTH_IDS : INDEX_REMOTE_ID;
	key->local_id = local_id;
	entry = judge_members(catalogue, key, judge, arg);
	if (entry != NULL || local_id == NULL || local_id->kind == ID_ANY)
		return entry;
	key->local_id = &any_identity;
	return judge_members(catalogue, key, judge, arg);
}

static struct entry *find_by_identity(const struct catalogue *catalogue,
	const struct ip_address *local, const struct ip_address *remote,
	const struct identity *local_id, const struct identity *remote_id, catalogue_judge *judge,
	void *arg)
{
	const struct ip_address any_host = {0};
	const struct {
		const struct ip_address *host;
		const struct identity *id;
	} order[] = {
		{remote, remote_id},
		{&any_host, remote_id},
		{remote, &any_identity},
		{&any_host, &any_identity},
	};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct index_key key = {
			.local = *local, .remote = *order[i].host, .remote_id = order[i].id};
		struct entry *entry = judge_identities(catalogue, &key, local_id, judge, arg);

		if (entry != NULL)
			return entry;
	}
	return NULL;
}

struct connection *catalogue_find_by_identity(const struct catalogue *catalogue,
	const struct ip_address *local, const struct ip_address *remote,
	const struct identity *local_id, const struct identity *remote_id, catalogue_judge *judge,
	void *arg)
{
	struct entry *entry = NULL;

	for (unsigned tries = 0; entry == NULL && tries < TRIES_MAX; tries++) {
		uint64_t before = moves(catalogue);

		entry = find_by_identity(catalogue, local, remote, local_id, remote_id, judge, arg);
		if (before == moves(catalogue))
			break;
	}
	return found(entry);
}
