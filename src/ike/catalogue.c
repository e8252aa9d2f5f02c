/* The writer's side of the catalogue. */
#include "catalogue_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void destroy(struct catalogue *catalogue)
{
	rcu_table_free(catalogue->names);
	rcu_table_free(catalogue->groups);
	if (catalogue->aliases != NULL)
		table_free(catalogue->aliases);
	free(catalogue);
}

struct catalogue *catalogue_new(void)
{
	struct catalogue *catalogue = calloc(1, sizeof(*catalogue));

	if (catalogue == NULL)
		return NULL;
	catalogue->names = rcu_table_new();
	catalogue->groups = rcu_table_new();
	catalogue->aliases = table_new();
	if (catalogue->names == NULL || catalogue->groups == NULL || catalogue->aliases == NULL) {
		destroy(catalogue);
		return NULL;
	}
	return catalogue;
}

/* ---- aliases ---------------------------------------------------------------------- */

static struct alias_group *find_alias(const struct catalogue *catalogue, const char *name)
{
	struct table_node *node = table_first(catalogue->aliases, name_hash(name));

	for (; node != NULL; node = table_next(node)) {
		struct alias_group *group = container_of(node, struct alias_group, by_name);

		if (strcmp(group->name, name) == 0)
			return group;
	}
	return NULL;
}

static struct alias_group *new_alias(struct catalogue *catalogue, const char *name)
{
	size_t len = strlen(name) + 1;
	struct alias_group *group = calloc(1, sizeof(*group) + len);

	if (group == NULL)
		return NULL;
	memcpy(group->name, name, len);
	if (!table_insert(catalogue->aliases, &group->by_name, name_hash(name))) {
		free(group);
		return NULL;
	}
	return group;
}

static void drop_unused_alias(struct catalogue *catalogue, struct alias_group *group)
{
	if (group->members != NULL)
		return;
	table_remove(catalogue->aliases, &group->by_name);
	free(group);
}

static bool has_alias(const struct entry *entry, const struct alias_group *group)
{
	for (size_t i = 0; i < entry->alias_count; i++)
		if (entry->aliases[i].group == group)
			return true;
	return false;
}

static void alias_abandon(struct catalogue *catalogue, struct entry *entry)
{
	for (size_t i = 0; i < entry->alias_count; i++)
		drop_unused_alias(catalogue, entry->aliases[i].group);
}

/* Finds or makes the groups of the connection's aliases. False when memory is out. */
static bool alias_prepare(struct catalogue *catalogue, struct entry *entry)
{
	char **alias = entry->connection->aliases;

	for (; alias != NULL && *alias != NULL; alias++) {
		struct alias_group *group = find_alias(catalogue, *alias);

		if (strcmp(*alias, entry->connection->name) == 0 ||
			(group != NULL && has_alias(entry, group)))
			continue;
		if (group == NULL)
			group = new_alias(catalogue, *alias);
		if (group == NULL) {
			alias_abandon(catalogue, entry);
			return false;
		}
		entry->aliases[entry->alias_count++] =
			(struct alias_member){.group = group, .entry = entry};
	}
	return true;
}

static void alias_publish(struct entry *entry)
{
	for (size_t i = 0; i < entry->alias_count; i++) {
		struct alias_member *member = &entry->aliases[i];

		serial_tree_insert(
			&member->group->members, &member->by_serial, entry->by_serial.serial);
	}
}

static void alias_withdraw(struct entry *entry)
{
	for (size_t i = 0; i < entry->alias_count; i++) {
		struct alias_member *member = &entry->aliases[i];

		serial_tree_remove(&member->group->members, &member->by_serial);
	}
}

/* ---- entries ---------------------------------------------------------------------- */

static size_t count_aliases(const struct connection *c)
{
	size_t count = 0;

	while (c->aliases != NULL && c->aliases[count] != NULL)
		count++;
	return count;
}

static struct entry *entry_prepare(struct catalogue *catalogue, struct connection *c)
{
	struct entry *entry =
		calloc(1, sizeof(*entry) + count_aliases(c) * sizeof(entry->aliases[0]));

	if (entry == NULL)
		return NULL;
	entry->connection = c;
	if (!alias_prepare(catalogue, entry)) {
		free(entry);
		return NULL;
	}
	if (!index_prepare(catalogue, entry)) {
		alias_abandon(catalogue, entry);
		free(entry);
		return NULL;
	}
	connection_ref(c);
	return entry;
}

static size_t entry_bytes(const struct entry *entry)
{
	return sizeof(*entry) + count_aliases(entry->connection) * sizeof(entry->aliases[0]) +
	       connection_bytes(entry->connection);
}

static void entry_reclaim(struct rcu_head *head)
{
	struct entry *entry = container_of(head, struct entry, rcu);

	rcu_grace_over();
	connection_unref(entry->connection);
	free(entry);
}

static struct entry *entry_of_serial(const struct catalogue *catalogue, uint64_t serial)
{
	struct serial_node *node = serial_tree_find(catalogue->serials, serial);

	return node != NULL ? container_of(node, struct entry, by_serial) : NULL;
}

/* May `c` come in, in the place of `old` (NULL: none)? */
static int check(const struct catalogue *catalogue, struct connection *c, const struct entry *old)
{
	const struct entry *other = name_lookup(catalogue, c->name);

	if (other != NULL && other != old)
		return EEXIST;
	for (char **alias = c->aliases; alias != NULL && *alias != NULL; alias++) {
		other = name_lookup(catalogue, *alias);
		if (other != NULL && other != old)
			return EEXIST;
	}
	if (c->local.id == NULL || c->remote.id == NULL)
		return EINVAL;
	if (c->serial == 0)
		c->serial = catalogue->last_serial + 1;
	other = entry_of_serial(catalogue, c->serial);
	return other != NULL && other != old ? EINVAL : 0;
}

static void insert_serial(struct catalogue *catalogue, struct entry *entry)
{
	uint64_t serial = entry->connection->serial;

	serial_tree_insert(&catalogue->serials, &entry->by_serial, serial);
	if (serial > catalogue->last_serial)
		catalogue->last_serial = serial;
}

int catalogue_add(struct catalogue *catalogue, struct connection *c)
{
	int error = check(catalogue, c, NULL);
	struct entry *entry;

	if (error != 0)
		return error;
	entry = entry_prepare(catalogue, c);
	if (entry == NULL)
		return ENOMEM;
	insert_serial(catalogue, entry);
	alias_publish(entry);
	index_publish(catalogue, entry, NULL);
	rcu_table_add(catalogue->names, &entry->by_name, name_hash(c->name));
	catalogue->count++;
	catalogue->bytes += entry_bytes(entry);
	return 0;
}

int catalogue_replace(struct catalogue *catalogue, struct connection *c)
{
	struct entry *old = name_lookup(catalogue, c->name), *entry;
	int error;

	if (old == NULL)
		return ENOENT;
	error = check(catalogue, c, old);
	if (error != 0)
		return error;
	entry = entry_prepare(catalogue, c);
	if (entry == NULL)
		return ENOMEM;
	serial_tree_remove(&catalogue->serials, &old->by_serial);
	insert_serial(catalogue, entry);
	alias_withdraw(old);
	alias_publish(entry);
	alias_abandon(catalogue, old);
	/* A reader finds the new one before the old one is gone. */
	index_publish(catalogue, entry, old);
	rcu_table_replace(catalogue->names, &old->by_name, &entry->by_name);
	__atomic_add_fetch(&catalogue->moves, 1, __ATOMIC_SEQ_CST);
	index_withdraw(catalogue, old, entry);
	catalogue->bytes += entry_bytes(entry) - entry_bytes(old);
	rcu_reclaim_later(&old->rcu, entry_reclaim);
	return 0;
}

static void withdraw(struct catalogue *catalogue, struct entry *entry)
{
	rcu_table_remove(catalogue->names, &entry->by_name);
	index_withdraw(catalogue, entry, NULL);
	alias_withdraw(entry);
	alias_abandon(catalogue, entry);
	serial_tree_remove(&catalogue->serials, &entry->by_serial);
	catalogue->count--;
	catalogue->bytes -= entry_bytes(entry);
	rcu_reclaim_later(&entry->rcu, entry_reclaim);
}

int catalogue_remove(struct catalogue *catalogue, const char *name)
{
	struct entry *entry = name_lookup(catalogue, name);

	if (entry == NULL)
		return ENOENT;
	withdraw(catalogue, entry);
	return 0;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (catalogue == NULL)
		return;
	while (catalogue->serials != NULL)
		withdraw(catalogue, container_of(catalogue->serials, struct entry, by_serial));
	urcu_qsbr_barrier();
	destroy(catalogue);
}

/* ---- questions of the writer -------------------------------------------------------- */

size_t catalogue_count(const struct catalogue *catalogue)
{
	return catalogue->count;
}

size_t catalogue_bytes(const struct catalogue *catalogue)
{
	return catalogue->bytes;
}

struct connection *catalogue_after(const struct catalogue *catalogue, uint64_t after)
{
	struct serial_node *node = serial_tree_after(catalogue->serials, after);

	if (node == NULL)
		return NULL;
	return connection_ref(container_of(node, struct entry, by_serial)->connection);
}

struct connection *catalogue_by_alias(
	const struct catalogue *catalogue, const char *alias, size_t i)
{
	const struct entry *named = name_lookup(catalogue, alias);
	const struct alias_group *group = find_alias(catalogue, alias);
	struct serial_node *node;

	if (named != NULL && i-- == 0)
		return connection_ref(named->connection);
	node = group != NULL ? serial_tree_at(group->members, i) : NULL;
	if (node == NULL)
		return NULL;
	return connection_ref(
		container_of(node, struct alias_member, by_serial)->entry->connection);
}
