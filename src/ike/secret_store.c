/* An entry is put into one hash table under each way in which it can match, so that a look-up tries
 * these ways from the best to the weakest, each by one probe:
 *
 *     pair      both identities are listed
 *     with any  one is listed, and %any is too     ours, then the peer's
 *     single    one is listed, and nothing else is ours, then the peer's
 *     any       only %any is listed
 *     none      nothing is listed
 *
 * Ours alone goes before the peer's with %any. An entry that lists one of the two and somebody else
 * is no match: its secret is not between these two. */
#include "secret_store.h"

#include "base/secret.h"
#include "base/table.h"
#include "container_of.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum match { MATCH_PAIR, MATCH_WITH_ANY, MATCH_SINGLE, MATCH_ANY, MATCH_NONE };

struct psk_entry;

/* One way to an entry. */
struct psk_key {
	struct table_node node;
	const struct psk_entry *entry;
	const struct identity *a, *b; /* NULL where the way has none; a pair has no order */
	enum match match;
};

struct psk_entry {
	struct psk_entry *next;
	struct secret psk;
	size_t key_count;
	struct psk_key *keys;
	bool with_any;
	size_t id_count;
	struct identity *ids[]; /* each once, without %any */
};

struct secret_store {
	struct table *keys;
	struct psk_entry *entries;
	size_t count, bytes;
};

struct secret_store *secret_store_new(void)
{
	struct secret_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return NULL;
	store->keys = table_new();
	if (store->keys == NULL) {
		free(store);
		return NULL;
	}
	return store;
}

static void entry_free(struct psk_entry *entry)
{
	for (size_t i = 0; i < entry->id_count; i++)
		identity_unref(entry->ids[i]);
	secret_release(&entry->psk);
	free(entry->keys);
	free(entry);
}

void secret_store_free(struct secret_store *store)
{
	if (store == NULL)
		return;
	table_free(store->keys);
	while (store->entries != NULL) {
		struct psk_entry *entry = store->entries;

		store->entries = entry->next;
		entry_free(entry);
	}
	free(store);
}

size_t secret_store_count(const struct secret_store *store)
{
	return store->count;
}

size_t secret_store_bytes(const struct secret_store *store)
{
	return sizeof(*store) + store->bytes + table_bytes(store->keys);
}

static size_t entry_bytes(const struct psk_entry *entry)
{
	size_t bytes = sizeof(*entry) + entry->psk.len + entry->key_count * sizeof(*entry->keys);

	for (size_t i = 0; i < entry->id_count; i++)
		bytes += sizeof(entry->ids[0]) + sizeof(*entry->ids[i]) + entry->ids[i]->len;
	return bytes;
}

/* ---- ways --------------------------------------------------------------------- */

/* The order of a and b does not count. */
static uint64_t hash_way(enum match match, const struct identity *a, const struct identity *b)
{
	uint64_t sum = a != NULL ? identity_hash(a) : 0;

	sum += b != NULL ? identity_hash(b) : 0;
	return table_hash_u64(sum + match);
}

static bool same(const struct identity *a, const struct identity *b)
{
	return a == NULL || b == NULL ? a == b : identity_equal(a, b);
}

static const struct psk_entry *find(const struct secret_store *store, enum match match,
	const struct identity *a, const struct identity *b)
{
	struct table_node *node = table_first(store->keys, hash_way(match, a, b));

	for (; node != NULL; node = table_next(node)) {
		const struct psk_key *key = container_of(node, struct psk_key, node);

		if (key->match == match && ((same(key->a, a) && same(key->b, b)) ||
						   (same(key->a, b) && same(key->b, a))))
			return key->entry;
	}
	return NULL;
}

bool secret_store_find_psk(const struct secret_store *store, const struct identity *local,
	const struct identity *remote, struct bytes *psk)
{
	const struct psk_entry *entry = find(store, MATCH_PAIR, local, remote);

	if (entry == NULL)
		entry = find(store, MATCH_WITH_ANY, local, NULL);
	if (entry == NULL)
		entry = find(store, MATCH_SINGLE, local, NULL);
	if (entry == NULL)
		entry = find(store, MATCH_WITH_ANY, remote, NULL);
	if (entry == NULL)
		entry = find(store, MATCH_SINGLE, remote, NULL);
	if (entry == NULL)
		entry = find(store, MATCH_ANY, NULL, NULL);
	if (entry == NULL)
		entry = find(store, MATCH_NONE, NULL, NULL);
	if (entry == NULL)
		return false;
	*psk = secret_bytes(&entry->psk);
	return true;
}

/* ---- adding ------------------------------------------------------------------- */

/* 0.0.0.0 and :: are old ways to write %any. */
static bool is_any(const struct identity *id)
{
	static const uint8_t zeros[16];

	if (id->kind == ID_ANY)
		return true;
	return (id->kind == ID_IPV4_ADDR || id->kind == ID_IPV6_ADDR) && id->len <= sizeof(zeros) &&
	       memcmp(id->data, zeros, id->len) == 0;
}

static void take_identity(struct psk_entry *entry, const struct identity *id)
{
	if (is_any(id)) {
		entry->with_any = true;
		return;
	}
	for (size_t i = 0; i < entry->id_count; i++)
		if (identity_equal(entry->ids[i], id))
			return;
	entry->ids[entry->id_count++] = identity_ref(id);
}

static void add_way(struct psk_entry *entry, enum match match, const struct identity *a,
	const struct identity *b)
{
	entry->keys[entry->key_count++] =
		(struct psk_key){.entry = entry, .match = match, .a = a, .b = b};
}

/* False when memory is out. */
static bool make_ways(struct psk_entry *entry)
{
	size_t n = entry->id_count;

	entry->keys = calloc(n * (n - (n > 0)) / 2 + n + 1, sizeof(*entry->keys));
	if (entry->keys == NULL)
		return false;
	if (n == 0)
		add_way(entry, entry->with_any ? MATCH_ANY : MATCH_NONE, NULL, NULL);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < i; j++)
			add_way(entry, MATCH_PAIR, entry->ids[i], entry->ids[j]);
		if (entry->with_any)
			add_way(entry, MATCH_WITH_ANY, entry->ids[i], NULL);
		else if (n == 1)
			add_way(entry, MATCH_SINGLE, entry->ids[i], NULL);
	}
	return true;
}

static bool same_secret(const struct psk_entry *a, const struct psk_entry *b)
{
	return a->psk.len == b->psk.len && secret_equal(a->psk.data, b->psk.data, a->psk.len);
}

static bool contradicts(const struct secret_store *store, const struct psk_entry *entry)
{
	for (size_t i = 0; i < entry->key_count; i++) {
		const struct psk_key *key = &entry->keys[i];
		const struct psk_entry *other = find(store, key->match, key->a, key->b);

		if (other != NULL && !same_secret(entry, other))
			return true;
	}
	return false;
}

/* False when memory is out; nothing is inserted then. */
static bool insert_ways(struct secret_store *store, struct psk_entry *entry)
{
	for (size_t i = 0; i < entry->key_count; i++) {
		struct psk_key *key = &entry->keys[i];

		if (!table_insert(store->keys, &key->node, hash_way(key->match, key->a, key->b))) {
			while (i-- > 0)
				table_remove(store->keys, &entry->keys[i].node);
			return false;
		}
	}
	return true;
}

int secret_store_add_psk(struct secret_store *store, const struct identity *const *ids,
	size_t id_count, struct bytes psk)
{
	struct psk_entry *entry;
	int error = ENOMEM;

	if (id_count > SECRET_IDENTITIES_MAX)
		return E2BIG;
	entry = calloc(1, sizeof(*entry) + id_count * sizeof(entry->ids[0]));
	if (entry == NULL)
		return ENOMEM;
	for (size_t i = 0; i < id_count; i++)
		take_identity(entry, ids[i]);
	if (secret_copy(&entry->psk, psk) && make_ways(entry)) {
		error = contradicts(store, entry) ? EEXIST : 0;
		if (error == 0 && !insert_ways(store, entry))
			error = ENOMEM;
	}
	if (error != 0) {
		entry_free(entry);
		return error;
	}
	entry->next = store->entries;
	store->entries = entry;
	store->count++;
	store->bytes += entry_bytes(entry);
	return 0;
}
