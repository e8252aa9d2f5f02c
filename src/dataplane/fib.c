#include "fib.h"

#include <stdlib.h>
#include <sys/random.h>

bool fib_init(struct fib *fib, struct grace *grace)
{
	*fib = (struct fib){.grace = grace};
	return grace_table_init(&fib->table, grace) &&
	       getrandom(fib->seed, sizeof(fib->seed), 0) == sizeof(fib->seed);
}

void fib_end(struct fib *fib)
{
	struct fib_entry *next;
	for (struct fib_entry *e = fib->all; e; e = next) {
		next = e->next;
		free(e);
	}
	grace_table_end(&fib->table);
	*fib = (struct fib){0};
}

static uint64_t key_hash(const struct fib *fib, const struct fib_key *key)
{
	uint64_t rest = (uint64_t)key->index << 24 | (uint64_t)key->kind << 16 |
			(uint64_t)key->family << 8 | key->len;
	uint64_t h =
		key_mix(key->address.word[0] ^ fib->seed[0], key->address.word[1] ^ fib->seed[1]);
	return key_mix(h ^ rest, fib->seed[1] | 1);
}

static bool key_equal(const struct fib_key *a, const struct fib_key *b)
{
	return ip_key_equal(&a->address, &b->address) && a->kind == b->kind &&
	       a->family == b->family && a->len == b->len && a->index == b->index;
}

static struct fib_entry *entry_of(struct grace_node *node)
{
	return (struct fib_entry *)((char *)node - offsetof(struct fib_entry, node));
}

/* The first entry of a key, then each next one. */
static struct fib_entry *match(struct grace_cursor *cursor, const struct fib_key *key)
{
	for (; cursor->node; grace_table_next(cursor)) {
		struct fib_entry *e = entry_of(cursor->node);
		if (key_equal(&e->key, key))
			return e;
	}
	return NULL;
}

static struct fib_entry *find_equal(const struct fib *fib, const struct fib_entry *entry)
{
	struct grace_cursor cursor = grace_table_first(&fib->table, key_hash(fib, &entry->key));
	for (struct fib_entry *e; (e = match(&cursor, &entry->key)) != NULL;
		grace_table_next(&cursor))
		if (e->metric == entry->metric && e->table == entry->table &&
			e->interface == entry->interface)
			return e;
	return NULL;
}

static unsigned family_index(uint8_t family)
{
	return family == AF_INET ? 0 : 1;
}

static void count_len(struct fib *fib, const struct fib_key *key, int change)
{
	if (key->kind != FIB_ROUTE)
		return;
	unsigned f = family_index(key->family);
	uint64_t *word = &fib->lens[f][key->len / 64], bit = 1ull << (key->len % 64);
	fib->counts[f][key->len] += (uint32_t)change;
	if (fib->counts[f][key->len] > 0)
		__atomic_fetch_or(word, bit, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(word, ~bit, __ATOMIC_RELEASE);
}

static void changed(struct fib *fib)
{
	__atomic_add_fetch(&fib->generation, 1, __ATOMIC_ACQ_REL);
}

static void release_entry(struct retired *retired)
{
	free((char *)retired - offsetof(struct fib_entry, retired));
}

static void unlink_entry(struct fib *fib, struct fib_entry *entry)
{
	grace_table_remove(&fib->table, &entry->node);
	count_len(fib, &entry->key, -1);
	*entry->link = entry->next;
	if (entry->next)
		entry->next->link = entry->link;
	grace_retire(fib->grace, &entry->retired, release_entry);
}

static bool same_way(const struct fib_entry *a, const struct fib_entry *b)
{
	return a->port == b->port && a->gateway_family == b->gateway_family &&
	       ip_key_equal(&a->gateway, &b->gateway) &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

bool fib_set(struct fib *fib, const struct fib_entry *entry)
{
	struct fib_entry *old = find_equal(fib, entry);
	if (old && same_way(old, entry)) {
		old->epoch = fib->epoch;
		__atomic_store_n(&old->stale, entry->stale, __ATOMIC_RELAXED);
		return true;
	}
	struct fib_entry *e = malloc(sizeof(*e));
	if (!e)
		return false;
	*e = *entry;
	e->epoch = fib->epoch;
	e->next = fib->all;
	e->link = &fib->all;
	if (e->next)
		e->next->link = &e->next;
	fib->all = e;
	count_len(fib, &e->key, 1);
	grace_table_insert(&fib->table, &e->node, key_hash(fib, &e->key));
	if (old)
		unlink_entry(fib, old);
	changed(fib);
	return true;
}

void fib_remove(struct fib *fib, const struct fib_entry *entry)
{
	struct fib_entry *old = find_equal(fib, entry);
	if (!old)
		return;
	unlink_entry(fib, old);
	changed(fib);
}

void fib_mark(struct fib *fib)
{
	fib->epoch++;
}

void fib_sweep(struct fib *fib)
{
	struct fib_entry *next;
	for (struct fib_entry *e = fib->all; e; e = next) {
		next = e->next;
		if (e->epoch != fib->epoch) {
			unlink_entry(fib, e);
			changed(fib);
		}
	}
}

/* ---- packet threads ---- */

bool fib_is_local(const struct fib *fib, uint8_t family, const struct ip_key *address)
{
	struct fib_key key = {.address = *address, .kind = FIB_ADDRESS, .family = family};
	struct grace_cursor cursor = grace_table_first(&fib->table, key_hash(fib, &key));
	return match(&cursor, &key) != NULL;
}

bool fib_route(const struct fib *fib, uint8_t family, const struct ip_key *dst, struct fib_hop *hop)
{
	const uint64_t *lens = fib->lens[family_index(family)];
	for (int word = 2; word >= 0; word--) {
		uint64_t bits = __atomic_load_n(&lens[word], __ATOMIC_ACQUIRE);
		while (bits) {
			unsigned bit = 63 - (unsigned)__builtin_clzll(bits),
				 len = (unsigned)word * 64 + bit;
			bits &= ~(1ull << bit);
			struct fib_key key = {.address = ip_key_prefix(dst, len),
				.kind = FIB_ROUTE,
				.family = family,
				.len = (uint8_t)len};
			struct grace_cursor cursor =
				grace_table_first(&fib->table, key_hash(fib, &key));
			struct fib_entry *best = NULL;
			for (struct fib_entry *e; (e = match(&cursor, &key)) != NULL;
				grace_table_next(&cursor))
				if (!best || e->metric < best->metric)
					best = e;
			if (!best)
				continue;
			hop->port = best->port;
			hop->family = best->gateway_family ? best->gateway_family : family;
			hop->address = best->gateway_family ? best->gateway : *dst;
			return true;
		}
	}
	return false;
}

struct fib_entry *fib_neighbour(
	const struct fib *fib, uint8_t port, uint8_t family, const struct ip_key *address)
{
	struct fib_key key = {
		.address = *address, .kind = FIB_NEIGHBOUR, .family = family, .index = port};
	struct grace_cursor cursor = grace_table_first(&fib->table, key_hash(fib, &key));
	return match(&cursor, &key);
}
