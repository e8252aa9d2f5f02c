/* Key pairs made ahead; see the header. Of each group a ring, the oldest key first out. */
#include "crypto/key_stock.h"

#include "key_exchange.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* As many as run side by side, where the CPU has lanes. */
#define BATCH KEY_EXCHANGE_LANES
/* Making a key is not interrupted. Of MODP-6144 and -8192 one takes 1 to 2 ms, for which what comes in
 * meanwhile would have to wait: those are made when they are needed. */
#define PUBLIC_LEN_MAX 512

struct group_stock {
	const struct key_exchange *ke;
	/* NULL while the group is not in use: `size` key pairs, private and public value, and when
	 * each was made. */
	uint8_t *keys;
	uint64_t *made_ms;
	unsigned first, held;
	unsigned lanes; /* key pairs that are made at once */
	/* In window number `window`, and in the one before. */
	uint64_t window, asked, asked_before;
	/* making failed in this window; the next one tries again */
	bool failed;
	/* Written by the owner, read by all. */
	_Atomic uint64_t held_now, made, used, expired;
};

struct key_stock {
	unsigned size;
	struct group_stock groups[KEY_STOCK_GROUPS_MAX];
	size_t group_count;
};

static void add(_Atomic uint64_t *cell, uint64_t n)
{
	atomic_store_explicit(
		cell, atomic_load_explicit(cell, memory_order_relaxed) + n, memory_order_relaxed);
}

static uint64_t value(const _Atomic uint64_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

struct key_stock *key_stock_new(unsigned size)
{
	struct key_stock *stock;
	const struct key_exchange *ke;

	if (size == 0 || size > KEY_STOCK_SIZE_MAX)
		return NULL;
	stock = calloc(1, sizeof(*stock));
	if (!stock)
		return NULL;
	stock->size = size;
	while (stock->group_count < KEY_STOCK_GROUPS_MAX &&
		(ke = key_exchange_at(stock->group_count))) {
		struct group_stock *g = &stock->groups[stock->group_count++];

		g->ke = ke;
		g->lanes = key_exchange_lanes(ke);
		if (g->lanes > size)
			g->lanes = size;
	}
	return stock;
}

/* ---- a group's ring ------------------------------------------------------- */

static size_t pair_len(const struct group_stock *g)
{
	return (size_t)g->ke->private_len + g->ke->public_len;
}

static unsigned place(const struct key_stock *stock, const struct group_stock *g, unsigned i)
{
	return (g->first + i) % stock->size;
}

static uint8_t *private_at(const struct key_stock *stock, const struct group_stock *g, unsigned i)
{
	return g->keys + place(stock, g, i) * pair_len(g);
}

static void set_held(struct group_stock *g, unsigned held)
{
	g->held = held;
	atomic_store_explicit(&g->held_now, held, memory_order_relaxed);
}

/* Wipes the oldest. */
static void drop_first(const struct key_stock *stock, struct group_stock *g)
{
	secret_wipe(private_at(stock, g, 0), pair_len(g));
	g->first = place(stock, g, 1);
	set_held(g, g->held - 1);
}

static void release(const struct key_stock *stock, struct group_stock *g)
{
	add(&g->expired, g->held);
	set_held(g, 0);
	if (g->keys)
		secret_wipe(g->keys, stock->size * pair_len(g));
	free(g->keys);
	free(g->made_ms);
	g->keys = NULL;
	g->made_ms = NULL;
	g->first = 0;
}

static bool ready(const struct key_stock *stock, struct group_stock *g)
{
	if (g->keys)
		return true;
	g->keys = malloc(stock->size * pair_len(g));
	g->made_ms = malloc(stock->size * sizeof(*g->made_ms));
	if (g->keys && g->made_ms)
		return true;
	free(g->keys);
	free(g->made_ms);
	g->keys = NULL;
	g->made_ms = NULL;
	return false;
}

void key_stock_free(struct key_stock *stock)
{
	if (!stock)
		return;
	for (size_t i = 0; i < stock->group_count; i++)
		release(stock, &stock->groups[i]);
	free(stock);
}

/* ---- demand --------------------------------------------------------------- */

static void enter_window(struct group_stock *g, uint64_t now_ms)
{
	uint64_t window = now_ms / KEY_STOCK_WINDOW_MS;

	if (window <= g->window)
		return;
	g->asked_before = window == g->window + 1 ? g->asked : 0;
	g->asked = 0;
	g->window = window;
	g->failed = false;
}

/* How many the group should hold: whole batches, but for the stock's size. */
static unsigned wanted_of(
	const struct key_stock *stock, const struct group_stock *g, uint64_t now_ms)
{
	uint64_t past = now_ms / KEY_STOCK_WINDOW_MS - g->window;
	uint64_t asked = past == 0 ? g->asked + g->asked_before : past == 1 ? g->asked : 0;

	asked = (asked + BATCH - 1) / BATCH * BATCH;
	return asked < stock->size ? (unsigned)asked : stock->size;
}

static bool may_make(const struct key_stock *stock, const struct group_stock *g, uint64_t now_ms)
{
	return !g->failed && wanted_of(stock, g, now_ms) >= g->held + g->lanes;
}

static bool first_is_old(const struct group_stock *g, uint64_t now_ms)
{
	return g->held > 0 && now_ms >= g->made_ms[g->first] + KEY_STOCK_AGE_MS;
}

/* ---- giving out ----------------------------------------------------------- */

/* Into the job, and out of here. */
static void give(const struct key_stock *stock, struct group_stock *g, struct crypto_job *job)
{
	const uint8_t *key = private_at(stock, g, 0);

	memcpy(job->kind == CRYPTO_KE_BOTH ? job->own_key : job->private_key.data, key,
		g->ke->private_len);
	memcpy(job->public_value, key + g->ke->private_len, g->ke->public_len);
	job->key_ready = true;
	drop_first(stock, g);
	add(&g->used, 1);
}

/* Lanes that a run with peers' values leaves empty make key pairs for nothing. Not so P-256: for a
 * few jobs libcrypto is faster than its lanes. */
static size_t lanes_left(const struct group_stock *g, size_t derives)
{
	if (g->lanes == 1 || g->ke->id == KE_ECP_256)
		return 0;
	return derives < KEY_EXCHANGE_LANES ? KEY_EXCHANGE_LANES - derives : 0;
}

static struct group_stock *group_of(struct key_stock *stock, const struct crypto_job *job)
{
	for (size_t i = 0; job->group && i < stock->group_count; i++) {
		if (stock->groups[i].ke->id == job->group->id)
			return &stock->groups[i];
	}
	return NULL;
}

void key_stock_supply(
	struct key_stock *stock, struct crypto_job *const *jobs, size_t count, uint64_t now_ms)
{
	struct group_stock *g = group_of(stock, jobs[0]);
	size_t derives = 0, left;

	if (!g || g->ke->public_len > PUBLIC_LEN_MAX || !crypto_job_is_sound(jobs[0]))
		return;
	if (count > KEY_EXCHANGE_LANES)
		count = KEY_EXCHANGE_LANES;
	enter_window(g, now_ms);
	for (size_t i = 0; i < count; i++)
		derives += job_has_peer(jobs[i]);
	left = lanes_left(g, derives);
	for (size_t i = 0; i < count; i++) {
		if (!job_makes_key(jobs[i]))
			continue;
		if (jobs[i]->kind == CRYPTO_KE_BOTH && left > 0) {
			left--;
			continue;
		}
		while (first_is_old(g, now_ms)) {
			drop_first(stock, g);
			add(&g->expired, 1);
		}
		/* once a job, even if it comes by again */
		g->asked += !jobs[i]->key_asked;
		jobs[i]->key_asked = true;
		if (g->held > 0)
			give(stock, g, jobs[i]);
	}
}

void key_stock_run_batch(
	struct key_stock *stock, struct crypto_job **jobs, size_t count, uint64_t now_ms)
{
	for (size_t done = 0; done < count;) {
		size_t like_end = done + crypto_jobs_gather(jobs + done, count - done);

		while (done < like_end) {
			if (stock)
				key_stock_supply(stock, jobs + done, like_end - done, now_ms);
			done += crypto_jobs_run_front(jobs + done, like_end - done);
		}
	}
}

/* ---- idle moments ------------------------------------------------------------- */

/* Behind those that are held. The jobs lie on this stack, what they make in the ring. */
static void make(const struct key_stock *stock, struct group_stock *g, uint64_t now_ms)
{
	struct crypto_job all[BATCH] = {0}, *jobs[BATCH];
	const struct algorithm *group = algorithm_by_id(TRANSFORM_KE, g->ke->id);
	unsigned n = 0;
	size_t ran;

	if (!group || !ready(stock, g)) {
		g->failed = true;
		return;
	}
	for (; n < g->lanes; n++) {
		uint8_t *key = private_at(stock, g, g->held + n);

		all[n] = (struct crypto_job){.kind = CRYPTO_KE_GENERATE,
			.group = group,
			.private_key = {.data = key, .len = g->ke->private_len},
			.public_value = key + g->ke->private_len,
			.public_len = g->ke->public_len};
		jobs[n] = &all[n];
	}
	ran = crypto_jobs_run_front(jobs, n);
	for (size_t i = 0; i < ran; i++) {
		if (all[i].result != CRYPTO_JOB_OK) {
			g->failed = true;
			return;
		}
		g->made_ms[place(stock, g, g->held)] = now_ms;
		set_held(g, g->held + 1);
		add(&g->made, 1);
	}
}

/* When a group will next be looked at, if nothing is asked of it. */
static uint64_t due_of(const struct key_stock *stock, const struct group_stock *g, uint64_t now_ms)
{
	uint64_t unused, old;

	if (may_make(stock, g, now_ms))
		return now_ms;
	if (!g->keys)
		return UINT64_MAX;
	unused = (g->window + (g->asked > 0 ? 2 : 1)) * KEY_STOCK_WINDOW_MS;
	old = g->held > 0 ? g->made_ms[g->first] + KEY_STOCK_AGE_MS : UINT64_MAX;
	return unused < old ? unused : old;
}

uint64_t key_stock_due(const struct key_stock *stock, uint64_t now_ms)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < stock->group_count; i++) {
		const struct group_stock *g = &stock->groups[i];

		if (g->asked > 0 || g->asked_before > 0 || g->keys) {
			uint64_t at = due_of(stock, g, now_ms);

			if (at < due)
				due = at;
		}
	}
	return due;
}

bool key_stock_work(struct key_stock *stock, uint64_t now_ms)
{
	for (size_t i = 0; i < stock->group_count; i++) {
		struct group_stock *g = &stock->groups[i];

		if (g->asked == 0 && g->asked_before == 0 && !g->keys)
			continue;
		enter_window(g, now_ms);
		while (first_is_old(g, now_ms)) {
			drop_first(stock, g);
			add(&g->expired, 1);
		}
		if (wanted_of(stock, g, now_ms) == 0)
			release(stock, g);
		if (may_make(stock, g, now_ms)) {
			make(stock, g, now_ms);
			return key_stock_due(stock, now_ms) <= now_ms;
		}
	}
	return false;
}

/* ---- reports ------------------------------------------------------------------- */

const struct algorithm *key_stock_group(size_t i)
{
	const struct key_exchange *ke = i < KEY_STOCK_GROUPS_MAX ? key_exchange_at(i) : NULL;

	return ke ? algorithm_by_id(TRANSFORM_KE, ke->id) : NULL;
}

void key_stock_add_stats(
	const struct key_stock *stock, struct key_stock_stats stats[KEY_STOCK_GROUPS_MAX])
{
	for (size_t i = 0; stock && i < stock->group_count; i++) {
		const struct group_stock *g = &stock->groups[i];

		stats[i].held += value(&g->held_now);
		stats[i].made += value(&g->made);
		stats[i].used += value(&g->used);
		stats[i].expired += value(&g->expired);
	}
}
