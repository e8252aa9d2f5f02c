/* The identities that an address pool remembers. */
#include "pool_records.h"

#include "rcu_list.h"

#include <stdlib.h>

/* Lists for a pool of 4 million addresses; in a larger one that is used as a whole they grow longer
 * than 4. */
#define LISTS_MIN 16
#define LISTS_MAX (1u << 20)

bool pool_records_init(struct pool_records *records, uint64_t size)
{
	uint64_t lists = LISTS_MIN;

	while (lists < LISTS_MAX && lists * 4 < size)
		lists *= 2;
	records->heads = calloc(lists, sizeof(*records->heads)); /* untouched pages cost nothing */
	records->mask = lists - 1;
	return records->heads;
}

static void free_record(struct record *record)
{
	identity_unref(record->id);
	free(record);
}

void pool_records_release(struct pool_records *records)
{
	for (uint64_t i = 0; records->heads && i <= records->mask; i++) {
		struct record *record = records->heads[i], *next;

		for (; record; record = next) {
			next = record->next;
			free_record(record);
		}
	}
	free(records->heads);
}

size_t pool_records_bytes(const struct pool_records *records)
{
	return (records->mask + 1) * sizeof(*records->heads) +
	       __atomic_load_n(&records->count, __ATOMIC_RELAXED) * sizeof(struct record) +
	       __atomic_load_n(&records->id_bytes, __ATOMIC_RELAXED);
}

static struct record *load(struct record **from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

struct record *pool_records_find(const struct pool_records *records, const struct identity *id,
	uint64_t hash, struct record **seen)
{
	struct record *record = load(&records->heads[hash & records->mask]);

	*seen = record;
	for (; record; record = load(&record->next)) {
		if (record->hash == hash && identity_matches(record->id, id) &&
			__atomic_load_n(&record->lease, __ATOMIC_ACQUIRE) != RECORD_DEAD)
			return record;
	}
	return NULL;
}

static size_t id_bytes(const struct identity *id)
{
	return sizeof(*id) + id->len;
}

/* What has been seen at the head cannot come back there once it has left: its memory is not used
 * again while we read. So the head is the same only if nothing was put in. */
struct record *pool_records_add(struct pool_records *records, const struct identity *id,
	uint64_t hash, struct record *seen, uint64_t lease, bool *no_memory)
{
	struct record *record = malloc(sizeof(*record));

	*no_memory = !record;
	if (!record)
		return NULL;
	*record = (struct record){.next = seen, .hash = hash, .lease = lease};
	record->id = identity_ref(id);
	if (!__atomic_compare_exchange_n(&records->heads[hash & records->mask], &seen, record,
		    false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		free_record(record);
		return NULL;
	}
	__atomic_add_fetch(&records->count, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&records->id_bytes, id_bytes(id), __ATOMIC_RELAXED);
	return record;
}

static void reclaim(struct rcu_head *head)
{
	rcu_grace_over();
	free_record(container_of(head, struct record, rcu));
}

void pool_records_remove(struct pool_records *records, uint64_t i, struct record *record)
{
	struct record **head = &records->heads[i], *before = record;

	__atomic_sub_fetch(&records->count, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&records->id_bytes, id_bytes(record->id), __ATOMIC_RELAXED);
	if (!__atomic_compare_exchange_n(
		    head, &before, record->next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		/* Others stand before it, and nobody but us changes what follows whom. */
		while (before->next != record)
			before = before->next;
		__atomic_store_n(&before->next, record->next, __ATOMIC_RELEASE);
	}
	rcu_reclaim_later(&record->rcu, reclaim);
}
