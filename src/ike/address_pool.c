/* Address pools: which address goes to whom. */
#include "ike/address_pool.h"

#include "pool_records.h"
#include "pool_slots.h"

#include "rcu_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Identities are remembered so many more than there are leases: the keeper comes round to forget
 * those whose leases others have. */
#define RECORDS_SPARE 1024

struct address_pool {
	uint32_t references; /* atomic */
	unsigned range_count;
	struct ip_range ranges[POOL_RANGES_MAX];
	uint64_t before[POOL_RANGES_MAX + 1]; /* addresses in front of each range */
	uint64_t sweep_at, restored;
	struct pool_records records;
	uint64_t changes; /* atomic */
	struct pool_slots slots;
};

/* ---- addresses ------------------------------------------------------------------ */

/* a + n; n fits. */
static struct ip_address ip_plus(const struct ip_address *a, uint64_t n)
{
	struct ip_address out = *a;

	for (size_t i = ip_len(a->family); i-- > 0 && n; n >>= 8) {
		n += out.bytes[i];
		out.bytes[i] = (uint8_t)n;
	}
	return out;
}

/* b - a, at most POOL_SIZE_MAX. */
static uint64_t ip_distance(const struct ip_address *a, const struct ip_address *b)
{
	uint64_t out = 0, high = 0;
	size_t len = ip_len(a->family);
	int borrow = 0;
	uint8_t digits[16];

	for (size_t i = len; i-- > 0;) {
		int d = b->bytes[i] - a->bytes[i] - borrow;

		borrow = d < 0;
		digits[i] = (uint8_t)d;
	}
	for (size_t i = 0; i < len; i++) {
		if (len - i > sizeof(out))
			high |= digits[i];
		else
			out = out << 8 | digits[i];
	}
	return high || out > POOL_SIZE_MAX ? POOL_SIZE_MAX : out;
}

static struct ip_address address_at(const struct address_pool *pool, uint32_t slot)
{
	unsigned i = 0;

	while (slot >= pool->before[i + 1])
		i++;
	return ip_plus(&pool->ranges[i].first, slot - pool->before[i]);
}

static bool slot_of(const struct address_pool *pool, const struct ip_address *a, uint32_t *slot)
{
	for (unsigned i = 0; i < pool->range_count; i++) {
		uint64_t at;

		if (!ip_range_has(&pool->ranges[i], a))
			continue;
		at = pool->before[i] + ip_distance(&pool->ranges[i].first, a);
		*slot = (uint32_t)at;
		return at < pool->slots.size;
	}
	return false;
}

/* ---- birth and death ------------------------------------------------------------ */

static int compare_ranges(const void *a, const void *b)
{
	const struct ip_range *x = a, *y = b;

	return ip_compare(&x->first, &y->first);
}

static bool check_ranges(const struct ip_range *r, unsigned count, char *error, size_t size)
{
	char a[IP_RANGE_TEXT_MAX], b[IP_RANGE_TEXT_MAX];

	for (unsigned i = 0; i < count; i++) {
		if (r[i].first.family != r[0].first.family) {
			snprintf(error, size, "%s and %s are not of one address family",
				ip_range_text(&r[0], a), ip_range_text(&r[i], b));
			return false;
		}
		if (ip_is_any(&r[i].first)) {
			snprintf(error, size, "%s begins at the address zero",
				ip_range_text(&r[i], a));
			return false;
		}
		if (i && ip_compare(&r[i].first, &r[i - 1].last) <= 0) {
			snprintf(error, size, "%s and %s overlap", ip_range_text(&r[i - 1], a),
				ip_range_text(&r[i], b));
			return false;
		}
	}
	return true;
}

/* Neighbours become one, so that equal pools are equal however they were written. */
static void join_ranges(struct address_pool *pool)
{
	unsigned kept = 0;

	for (unsigned i = 1; i < pool->range_count; i++) {
		struct ip_address behind = ip_plus(&pool->ranges[kept].last, 1);

		if (ip_equal(&behind, &pool->ranges[i].first))
			pool->ranges[kept].last = pool->ranges[i].last;
		else
			pool->ranges[++kept] = pool->ranges[i];
	}
	pool->range_count = kept + 1;
}

static void measure(struct address_pool *pool)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < pool->range_count; i++) {
		pool->before[i] = sum;
		sum += ip_distance(&pool->ranges[i].first, &pool->ranges[i].last) + 1;
	}
	pool->before[pool->range_count] = sum;
	pool->slots.size = (uint32_t)(sum > POOL_SIZE_MAX ? POOL_SIZE_MAX : sum);
}

struct address_pool *address_pool_new(
	const struct ip_range *ranges, unsigned count, char *error, size_t error_size)
{
	struct address_pool *pool;

	if (count == 0 || count > POOL_RANGES_MAX) {
		snprintf(error, error_size, "a pool has 1 to %d ranges", POOL_RANGES_MAX);
		return NULL;
	}
	pool = calloc(1, sizeof(*pool));
	if (!pool) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	pool->references = 1;
	pool->range_count = count;
	memcpy(pool->ranges, ranges, count * sizeof(*ranges));
	qsort(pool->ranges, count, sizeof(*ranges), compare_ranges);
	if (!check_ranges(pool->ranges, count, error, error_size)) {
		free(pool);
		return NULL;
	}
	join_ranges(pool);
	measure(pool);
	if (!pool_records_init(&pool->records, pool->slots.size)) {
		snprintf(error, error_size, "out of memory");
		free(pool);
		return NULL;
	}
	return pool;
}

struct address_pool *address_pool_ref(struct address_pool *pool)
{
	__atomic_add_fetch(&pool->references, 1, __ATOMIC_RELAXED);
	return pool;
}

void address_pool_unref(struct address_pool *pool)
{
	if (!pool || __atomic_sub_fetch(&pool->references, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	pool_records_release(&pool->records);
	pool_slots_release(&pool->slots);
	free(pool);
}

bool address_pool_is_unused(const struct address_pool *pool)
{
	return __atomic_load_n(&pool->references, __ATOMIC_ACQUIRE) == 1;
}

/* ---- what it is ----------------------------------------------------------------- */

const struct ip_range *address_pool_range(const struct address_pool *pool, unsigned i)
{
	return i < pool->range_count ? &pool->ranges[i] : NULL;
}

bool address_pool_same(const struct address_pool *a, const struct address_pool *b)
{
	bool same = a->range_count == b->range_count;

	for (unsigned i = 0; same && i < a->range_count; i++)
		same = ip_range_equal(&a->ranges[i], &b->ranges[i]);
	return same;
}

bool address_pool_overlaps(const struct address_pool *a, const struct address_pool *b)
{
	struct ip_range both;

	for (unsigned i = 0; i < a->range_count; i++) {
		for (unsigned j = 0; j < b->range_count; j++) {
			if (ip_range_intersect(&a->ranges[i], &b->ranges[j], &both))
				return true;
		}
	}
	return false;
}

const char *address_pool_text(const struct address_pool *pool, char out[POOL_TEXT_MAX])
{
	char first[IP_TEXT_MAX], last[IP_TEXT_MAX];
	size_t used = 0;

	for (unsigned i = 0; i < pool->range_count; i++)
		used += (size_t)snprintf(out + used, POOL_TEXT_MAX - used, "%s%s-%s", i ? "," : "",
			ip_text(&pool->ranges[i].first, first),
			ip_text(&pool->ranges[i].last, last));
	return out;
}

/* ---- taking --------------------------------------------------------------------- */

static uint64_t lease_word(const struct address_pool *pool, uint32_t slot)
{
	uint64_t word = __atomic_load_n(&pool_slot(&pool->slots, slot)->word, __ATOMIC_ACQUIRE);

	return (uint64_t)slot_version(word) << 32 | slot;
}

/* Connections that differ by 65536 look alike; that only lets one identity share its own address
 * over both. */
static uint16_t tag_of(const struct lease_asker *asker)
{
	return (uint16_t)asker->connection;
}

static enum lease_kind claim(
	struct address_pool *pool, const struct lease_asker *asker, bool remembered, uint32_t *slot)
{
	switch (pool_slots_claim(&pool->slots, tag_of(asker), remembered, asker->now_s, slot)) {
	case CLAIM_FRESH:
		return LEASE_FRESH;
	case CLAIM_STOLEN:
		return LEASE_STOLEN;
	default:
		return LEASE_NONE;
	}
}

static void give_up(struct address_pool *pool, const struct lease_asker *asker, uint32_t slot)
{
	pool_slots_return(&pool->slots, slot, true, asker->now_s);
}

/* For an identity that is not known yet. False: it is by now, so look again. */
static bool take_first(struct address_pool *pool, const struct lease_asker *asker, uint64_t hash,
	struct record *seen, uint32_t *slot, enum lease_kind *kind)
{
	struct record *record;
	bool no_memory;

	*kind = claim(pool, asker, true, slot);
	if (*kind == LEASE_NONE)
		return true;
	record = pool_records_add(
		&pool->records, asker->id, hash, seen, lease_word(pool, *slot), &no_memory);
	if (record) {
		__atomic_store_n(&pool_slot(&pool->slots, *slot)->record, record, __ATOMIC_RELEASE);
		return true;
	}
	give_up(pool, asker, *slot);
	*kind = LEASE_NONE;
	return no_memory;
}

/* For one whose lease somebody else has got. False: look again. */
static bool take_instead(struct address_pool *pool, const struct lease_asker *asker,
	struct record *record, uint64_t lost, uint32_t *slot, enum lease_kind *kind)
{
	*kind = claim(pool, asker, true, slot);
	if (*kind == LEASE_NONE)
		return true;
	if (__atomic_compare_exchange_n(&record->lease, &lost, lease_word(pool, *slot), false,
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&pool_slot(&pool->slots, *slot)->record, record, __ATOMIC_RELEASE);
		return true;
	}
	give_up(pool, asker, *slot);
	return false;
}

static bool take_again(struct address_pool *pool, const struct lease_asker *asker,
	struct record *record, uint32_t *slot, enum lease_kind *kind)
{
	uint64_t lease = __atomic_load_n(&record->lease, __ATOMIC_ACQUIRE);
	bool alone;

	if (lease == RECORD_DEAD)
		return false;
	*slot = (uint32_t)lease;
	switch (pool_slots_join(&pool->slots, *slot, (uint32_t)(lease >> 32), tag_of(asker),
		asker->share, &alone)) {
	case JOIN_DONE:
		*kind = alone ? LEASE_KEPT : LEASE_SHARED;
		return true;
	case JOIN_IN_USE:
		*kind = claim(pool, asker, false, slot);
		return true;
	default:
		return take_instead(pool, asker, record, lease, slot, kind);
	}
}

static bool may_remember(const struct address_pool *pool)
{
	return __atomic_load_n(&pool->records.count, __ATOMIC_RELAXED) <
	       2ull * __atomic_load_n(&pool->slots.grown, __ATOMIC_RELAXED) + RECORDS_SPARE;
}

static enum lease_kind take_for_identity(
	struct address_pool *pool, const struct lease_asker *asker, uint32_t *slot)
{
	uint64_t hash = identity_hash(asker->id);
	struct record *record, *seen;
	enum lease_kind kind;
	bool done;

	do {
		record = pool_records_find(&pool->records, asker->id, hash, &seen);
		if (!record && !may_remember(pool))
			return claim(pool, asker, false, slot);
		done = record ? take_again(pool, asker, record, slot, &kind)
			      : take_first(pool, asker, hash, seen, slot, &kind);
	} while (!done);
	return kind;
}

/* For reports; what two holders write at one time is one's or the other's. */
static void note_holder(struct slot *slot, const struct lease_asker *asker)
{
	uint32_t peer[4] = {0};

	if (asker->peer && asker->peer->family == AF_INET6) {
		memcpy(peer, asker->peer->bytes, sizeof(peer));
	} else if (asker->peer) { /* as an IPv4-mapped address */
		peer[2] = htonl(0xffff);
		memcpy(&peer[3], asker->peer->bytes, sizeof(peer[3]));
	}
	for (unsigned i = 0; i < 4; i++)
		__atomic_store_n(&slot->peer[i], peer[i], __ATOMIC_RELAXED);
	__atomic_store_n(&slot->connection, (uint32_t)asker->connection, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->instance, asker->instance, __ATOMIC_RELAXED);
}

enum lease_kind address_pool_take(
	struct address_pool *pool, const struct lease_asker *asker, struct lease *out)
{
	enum lease_kind kind;
	uint32_t slot;

	*out = (struct lease){0};
	kind = asker->id ? take_for_identity(pool, asker, &slot) : claim(pool, asker, false, &slot);
	rcu_reader_done();
	if (kind == LEASE_NONE)
		return kind;
	note_holder(pool_slot(&pool->slots, slot), asker);
	__atomic_add_fetch(&pool->changes, 1, __ATOMIC_RELAXED);
	*out = (struct lease){
		.pool = address_pool_ref(pool), .slot = slot, .address = address_at(pool, slot)};
	return kind;
}

void address_pool_return(struct lease *lease, uint64_t now_s)
{
	struct address_pool *pool = lease->pool;

	if (!pool)
		return;
	pool_slots_return(&pool->slots, lease->slot, false, now_s);
	__atomic_add_fetch(&pool->changes, 1, __ATOMIC_RELAXED);
	address_pool_unref(pool);
	*lease = (struct lease){0};
}

/* ---- the keeper ------------------------------------------------------------------ */

struct address_pool_stats address_pool_stats(const struct address_pool *pool)
{
	return (struct address_pool_stats){
		.size = pool->slots.size,
		.leases = __atomic_load_n(&pool->slots.grown, __ATOMIC_RELAXED),
		.in_use = __atomic_load_n(&pool->slots.in_use, __ATOMIC_RELAXED),
		.remembered = __atomic_load_n(&pool->records.count, __ATOMIC_RELAXED),
		.bytes = sizeof(*pool) + pool_slots_bytes(&pool->slots) +
			 pool_records_bytes(&pool->records),
		.changes = __atomic_load_n(&pool->changes, __ATOMIC_RELAXED),
	};
}

/* Has its lease gone to another, or lingered for too long? Then it is dead afterwards. */
static bool let_die(struct address_pool *pool, struct record *record, uint64_t now_s)
{
	uint64_t lease = __atomic_load_n(&record->lease, __ATOMIC_ACQUIRE);
	uint32_t version = (uint32_t)(lease >> 32);
	struct slot *slot = pool_slot(&pool->slots, (uint32_t)lease);
	uint64_t word = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
	uint64_t returned = __atomic_load_n(&slot->returned_s, __ATOMIC_RELAXED);

	if (slot_version(word) == version &&
		(slot_holders(word) || returned + LEASE_LINGER_S > now_s ||
			!pool_slots_forget(&pool->slots, (uint32_t)lease, version)))
		return false;
	if (!__atomic_compare_exchange_n(
		    &record->lease, &lease, RECORD_DEAD, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false; /* it has got another lease in this moment */
	__atomic_compare_exchange_n(&slot->record, &(struct record *){record}, NULL, false,
		__ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	return true;
}

static unsigned sweep_list(struct address_pool *pool, uint64_t i, uint64_t now_s)
{
	struct record *record = __atomic_load_n(&pool->records.heads[i], __ATOMIC_ACQUIRE), *next;
	unsigned seen = 1;

	for (; record; record = next, seen++) {
		next = record->next;
		if (let_die(pool, record, now_s))
			pool_records_remove(&pool->records, i, record);
	}
	return seen;
}

bool address_pool_sweep(struct address_pool *pool, uint64_t now_s, unsigned budget)
{
	pool_slots_tidy(&pool->slots, now_s, LEASE_LINGER_S + 2 * STACK_PERIOD_S, budget);
	for (unsigned seen = 0; seen < budget;) {
		seen += sweep_list(pool, pool->sweep_at, now_s);
		if (++pool->sweep_at > pool->records.mask) {
			pool->sweep_at = 0;
			return true;
		}
	}
	return false;
}

static void view_peer(const struct slot *slot, struct ip_address *out)
{
	uint32_t peer[4];

	for (unsigned i = 0; i < 4; i++)
		peer[i] = __atomic_load_n(&slot->peer[i], __ATOMIC_RELAXED);
	if (!peer[0] && !peer[1] && peer[2] == htonl(0xffff))
		*out = ip_from_bytes(AF_INET, (const uint8_t *)&peer[3]);
	else
		*out = ip_from_bytes(AF_INET6, (const uint8_t *)peer);
}

static bool view_slot(const struct address_pool *pool, uint32_t i, struct lease_view *view)
{
	const struct slot *slot = pool_slot(&pool->slots, i);
	uint64_t word = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
	const struct record *record = __atomic_load_n(&slot->record, __ATOMIC_ACQUIRE);

	if (!slot_holders(word) && !(word & SLOT_REMEMBERED))
		return false;
	*view = (struct lease_view){
		.address = address_at(pool, i),
		.id = record && word & SLOT_REMEMBERED ? record->id : NULL,
		.holders = slot_holders(word),
		.connection = __atomic_load_n(&slot->connection, __ATOMIC_RELAXED),
		.instance = __atomic_load_n(&slot->instance, __ATOMIC_RELAXED),
		.returned_s = __atomic_load_n(&slot->returned_s, __ATOMIC_RELAXED),
	};
	view_peer(slot, &view->peer);
	return true;
}

bool address_pool_next(const struct address_pool *pool, uint64_t *position, unsigned budget,
	struct lease_view *view)
{
	while (budget-- && !address_pool_at_end(pool, *position)) {
		if (view_slot(pool, (uint32_t)(*position)++, view))
			return true;
	}
	return false;
}

bool address_pool_at_end(const struct address_pool *pool, uint64_t position)
{
	return position >= __atomic_load_n(&pool->slots.grown, __ATOMIC_ACQUIRE);
}

bool address_pool_restore(struct address_pool *pool, const struct ip_address *address,
	const struct identity *id, uint64_t returned_s)
{
	uint64_t hash = identity_hash(id);
	struct record *seen, *record;
	bool no_memory;
	uint32_t slot;

	/* A file that names few addresses must not take the memory of many. */
	if (!slot_of(pool, address, &slot) || slot < pool->slots.grown ||
		slot > 4 * pool->restored + 65536 ||
		pool_records_find(&pool->records, id, hash, &seen) ||
		!pool_slots_restore(&pool->slots, slot, returned_s))
		return false;
	record = pool_records_add(
		&pool->records, id, hash, seen, lease_word(pool, slot), &no_memory);
	if (!record) {
		pool_slots_forget(&pool->slots, slot, 0);
		return false;
	}
	pool_slot(&pool->slots, slot)->record = record;
	pool->restored++;
	return true;
}
