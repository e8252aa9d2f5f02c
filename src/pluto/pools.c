#include "pools.h"

#include "leases_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS      1000
#define SAVE_MS      30000 /* between two files at least */
#define SWEEP_BUDGET 4096  /* identities a pool a tick */
#define WRITE_BUDGET 20000 /* leases a tick */

struct pools {
	const struct catalogue *catalogue;
	uint64_t (*now_ms)(void);
	struct leases_file *file;
	struct address_pool **list;
	size_t count;
	uint64_t saved_changes, saved_ms, due_ms;
	bool saving;
};

struct pools *pools_new(
	const struct catalogue *catalogue, const char *path, uint64_t (*now_ms)(void))
{
	struct pools *pools = calloc(1, sizeof(*pools));

	if (!pools)
		return NULL;
	pools->catalogue = catalogue;
	pools->now_ms = now_ms;
	if (path && !(pools->file = leases_file_open(path))) {
		free(pools);
		return NULL;
	}
	return pools;
}

static void drop(struct pools *pools, size_t i)
{
	address_pool_unref(pools->list[i]);
	pools->list[i] = pools->list[--pools->count];
}

struct address_pool *pools_at(const struct pools *pools, size_t i)
{
	return i < pools->count ? pools->list[i] : NULL;
}

size_t pools_bytes(const struct pools *pools)
{
	size_t sum = pools->file ? leases_file_bytes(pools->file) : 0;

	for (size_t i = 0; i < pools->count; i++)
		sum += address_pool_stats(pools->list[i]).bytes;
	return sum;
}

/* ---- which there are ---------------------------------------------------------- */

static bool has_pool(const struct connection *c, const struct address_pool *pool)
{
	for (unsigned i = 0; i < 2; i++)
		if (c->local.pools[i] == pool || c->remote.pools[i] == pool)
			return true;
	return false;
}

/* Of another connection than `name`; looked for only when pools conflict. */
static bool is_used(const struct pools *pools, const struct address_pool *pool, const char *name)
{
	struct connection *c;
	uint64_t after = 0;
	bool used = false;

	while (!used && (c = catalogue_after(pools->catalogue, after))) {
		after = c->serial;
		used = strcmp(c->name, name) != 0 && has_pool(c, pool);
		connection_unref(c);
	}
	return used;
}

/* One that is in the way of `fresh`, NULL: none. Such as no connection has any more are let go:
 * they live on with the SAs that have leases of them, which are about to end. */
static struct address_pool *find_conflict(
	struct pools *pools, const struct address_pool *fresh, const char *name)
{
	for (size_t i = 0; i < pools->count;) {
		if (!address_pool_overlaps(pools->list[i], fresh))
			i++;
		else if (is_used(pools, pools->list[i], name))
			return pools->list[i];
		else
			drop(pools, i);
	}
	return NULL;
}

static struct address_pool *find_same(const struct pools *pools, const struct address_pool *fresh)
{
	for (size_t i = 0; i < pools->count; i++)
		if (address_pool_same(pools->list[i], fresh))
			return pools->list[i];
	return NULL;
}

static bool add(struct pools *pools, struct address_pool *pool)
{
	struct address_pool **more =
		reallocarray(pools->list, pools->count + 1, sizeof(*pools->list));

	if (!more)
		return false;
	pools->list = more;
	more[pools->count++] = address_pool_ref(pool);
	if (pools->file)
		leases_file_restore(pools->file, pool, pools->now_ms() / 1000);
	return true;
}

struct address_pool *pools_get(struct pools *pools, const char *name, const struct ip_range *ranges,
	unsigned count, char *error, size_t error_size)
{
	struct address_pool *fresh = address_pool_new(ranges, count, error, error_size), *other;
	char text[POOL_TEXT_MAX];

	if (!fresh || !pools)
		return fresh;
	other = find_same(pools, fresh);
	if (other) {
		address_pool_unref(fresh);
		return address_pool_ref(other);
	}
	other = find_conflict(pools, fresh, name);
	if (other)
		snprintf(error, error_size,
			"it overlaps with addresspool %.300s of another connection",
			address_pool_text(other, text));
	else if (!add(pools, fresh))
		snprintf(error, error_size, "out of memory");
	else
		return fresh;
	address_pool_unref(fresh);
	return NULL;
}

/* ---- the keeper ---------------------------------------------------------------- */

static uint64_t changes(const struct pools *pools)
{
	uint64_t sum = pools->count;

	for (size_t i = 0; i < pools->count; i++)
		sum += address_pool_stats(pools->list[i]).changes;
	return sum;
}

static void save(struct pools *pools, uint64_t now_ms)
{
	if (!pools->file)
		return;
	if (!pools->saving) {
		uint64_t now = changes(pools);

		if (now == pools->saved_changes || now_ms < pools->saved_ms + SAVE_MS)
			return;
		pools->saved_ms = now_ms;
		pools->saved_changes = now;
		pools->saving = leases_file_begin(pools->file);
	}
	if (pools->saving)
		pools->saving = !leases_file_write(pools->file, pools, now_ms / 1000, WRITE_BUDGET);
}

/* No connection has it, no SA has a lease, and nobody would find his address again. */
static bool is_over(const struct address_pool *pool)
{
	return address_pool_is_unused(pool) && address_pool_stats(pool).remembered == 0;
}

void pools_tick(struct pools *pools)
{
	uint64_t now_ms = pools->now_ms();

	for (size_t i = 0; i < pools->count;) {
		address_pool_sweep(pools->list[i], now_ms / 1000, SWEEP_BUDGET);
		if (is_over(pools->list[i]))
			drop(pools, i);
		else
			i++;
	}
	save(pools, now_ms);
	pools->due_ms = now_ms + TICK_MS;
}

uint64_t pools_due(const struct pools *pools)
{
	return pools->count || pools->saving ? pools->due_ms : UINT64_MAX;
}

void pools_free(struct pools *pools)
{
	if (!pools)
		return;
	if (pools->file && (pools->saving || changes(pools) != pools->saved_changes) &&
		leases_file_begin(pools->file)) {
		while (!leases_file_write(pools->file, pools, pools->now_ms() / 1000, WRITE_BUDGET))
			;
	}
	while (pools->count)
		drop(pools, 0);
	leases_file_close(pools->file);
	free(pools->list);
	free(pools);
}
