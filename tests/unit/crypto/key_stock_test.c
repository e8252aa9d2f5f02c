/* Key pairs made ahead: each good, given out once, bounded in number and age, wiped; nothing is
 * done while nobody asks. Time is the test's own. */
#include "job_test.h"

#include "crypto/key_stock.h"

#include <poll.h>
#include <time.h>

enum { SIZE = 24 };

/* ---- what is freed must be wiped ------------------------------------------------ */

/* The linker sends this program's calls of malloc and free here. */
void *__real_malloc(size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void __wrap_free(void *p);

static struct {
	void *memory;
	size_t size;
	bool wiped;
} watched;
static size_t watch_size; /* the next allocation of this size is watched until it is freed */

void *__wrap_malloc(size_t size)
{
	void *p = __real_malloc(size);

	if (p && watch_size && size == watch_size) {
		watched.memory = p;
		watched.size = size;
		watch_size = 0;
	}
	return p;
}

void __wrap_free(void *p)
{
	if (p && p == watched.memory) {
		watched.wiped = all_zero(p, watched.size);
		watched.memory = NULL;
	}
	__real_free(p);
}

/* ---- helpers ------------------------------------------------------------------- */

static const uint64_t start_ms = 1000 * (uint64_t)KEY_STOCK_WINDOW_MS;

static struct key_stock *new_stock(unsigned size)
{
	struct key_stock *stock = key_stock_new(size);

	assert_non_null(stock);
	return stock;
}

static struct key_stock_stats stats_of(const struct key_stock *stock, uint16_t id)
{
	struct key_stock_stats all[KEY_STOCK_GROUPS_MAX] = {0};
	const struct algorithm *group;

	key_stock_add_stats(stock, all);
	for (size_t i = 0; (group = key_stock_group(i)); i++) {
		if (group->id == id)
			return all[i];
	}
	fail_msg("no group %u", id);
	return all[0];
}

static struct crypto_job *generate(struct key_stock *stock, uint16_t id, uint64_t now_ms)
{
	struct crypto_job *job =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(id), bytes_of(NULL, 0));

	assert_non_null(job);
	key_stock_run_batch(stock, &job, 1, now_ms);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	return job;
}

static void ask(struct key_stock *stock, uint16_t id, uint64_t now_ms)
{
	crypto_job_free(generate(stock, id, now_ms));
}

/* Returns how many steps there were. */
static unsigned work_off(struct key_stock *stock, uint64_t now_ms)
{
	unsigned steps = 0;

	while (key_stock_due(stock, now_ms) <= now_ms) {
		key_stock_work(stock, now_ms);
		assert_true(++steps <= 2 * KEY_STOCK_SIZE_MAX);
	}
	return steps;
}

/* By steps, so by libcrypto: what the stock's lanes have made is checked by another hand. */
static void expect_pair(const struct crypto_job *job)
{
	uint16_t id = job->group->id;
	struct crypto_job *peer = generate(NULL, id, 0);
	struct crypto_job *ours = derive_job(id, secret_bytes(&job->private_key),
		bytes_of(peer->public_value, peer->public_len));
	struct crypto_job *theirs = derive_job(
		id, secret_bytes(&peer->private_key), bytes_of(job->public_value, job->public_len));

	crypto_job_run_steps(ours);
	crypto_job_run_steps(theirs);
	assert_int_equal(ours->result, CRYPTO_JOB_OK);
	assert_int_equal(theirs->result, CRYPTO_JOB_OK);
	assert_memory_equal(ours->shared.data, theirs->shared.data, ours->shared.len);
	assert_false(all_zero(ours->shared.data, ours->shared.len));
	crypto_job_free(peer);
	crypto_job_free(ours);
	crypto_job_free(theirs);
}

/* ---- tests ----------------------------------------------------------------------- */

static void bad_sizes(void **state)
{
	(void)state;
	assert_null(key_stock_new(0));
	assert_null(key_stock_new(KEY_STOCK_SIZE_MAX + 1));
}

static void nothing_is_done_for_nobody(void **state)
{
	struct key_stock *stock = new_stock(SIZE);

	(void)state;
	assert_true(key_stock_due(stock, start_ms) == UINT64_MAX);
	assert_false(key_stock_work(stock, start_ms));
	for (size_t i = 0; i < ALL_GROUPS; i++)
		assert_int_equal(stats_of(stock, all_groups[i]).made, 0);
	key_stock_free(stock);
}

/* Every group: good pairs, no two alike, taken from the stock and counted. */
static void pairs_of_every_group(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		struct key_stock *stock = new_stock(SIZE);
		struct crypto_job *jobs[9];
		struct key_stock_stats stats;

		jobs[8] = generate(stock, all_groups[i], start_ms);
		assert_int_equal(stats_of(stock, all_groups[i]).used, 0);
		work_off(stock, start_ms);
		/* a key of these takes too long to be made in between */
		if (jobs[8]->public_len > 512) {
			assert_int_equal(stats_of(stock, all_groups[i]).made, 0);
			crypto_job_free(jobs[8]);
			key_stock_free(stock);
			continue;
		}
		assert_int_equal(stats_of(stock, all_groups[i]).held, 8);
		for (unsigned k = 0; k < 8; k++)
			jobs[k] = generate(stock, all_groups[i], start_ms);
		stats = stats_of(stock, all_groups[i]);
		assert_int_equal(stats.held, 0);
		assert_int_equal(stats.used, 8);
		assert_int_equal(stats.made, 8);
		for (unsigned k = 0; k < 9; k++) {
			if (k == 0 || k == 7)
				expect_pair(jobs[k]);
			for (unsigned other = 0; other < k; other++) {
				assert_memory_not_equal(jobs[k]->public_value,
					jobs[other]->public_value, jobs[k]->public_len);
				assert_memory_not_equal(jobs[k]->private_key.data,
					jobs[other]->private_key.data, jobs[k]->private_key.len);
			}
		}
		for (unsigned k = 0; k < 9; k++)
			crypto_job_free(jobs[k]);
		key_stock_free(stock);
	}
}

static struct crypto_job *both_job(uint16_t id, const struct crypto_job *peer)
{
	struct crypto_job *job = crypto_job_new(
		CRYPTO_KE_BOTH, group_of(id), bytes_of(peer->public_value, peer->public_len));

	assert_non_null(job);
	return job;
}

static void expect_shared(const struct crypto_job *job, const struct crypto_job *peer)
{
	struct crypto_job *theirs = derive_job(job->group->id, secret_bytes(&peer->private_key),
		bytes_of(job->public_value, job->public_len));

	assert_int_equal(job->result, CRYPTO_JOB_OK);
	crypto_job_run_steps(theirs);
	assert_int_equal(theirs->result, CRYPTO_JOB_OK);
	assert_memory_equal(theirs->shared.data, job->shared.data, job->shared.len);
	crypto_job_free(theirs);
}

/* A responder's jobs, alone and many together, with stocks that are full, nearly empty, empty. */
static void responders(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		struct key_stock *stock = new_stock(SIZE);
		struct crypto_job *peer = generate(NULL, all_groups[i], 0), *jobs[11];
		uint64_t used = 0;

		for (unsigned k = 0; k < 3; k++)
			ask(stock, all_groups[i], start_ms);
		work_off(stock, start_ms);
		for (unsigned count = 1; count <= 11; count += 5) {
			for (unsigned k = 0; k < count; k++)
				jobs[k] = both_job(all_groups[i], peer);
			key_stock_run_batch(stock, jobs, count, start_ms);
			for (unsigned k = 0; k < count; k++) {
				expect_shared(jobs[k], peer);
				assert_false(jobs[k]->key_ready);
				assert_true(all_zero(jobs[k]->own_key,
					key_exchange_by_id(all_groups[i])->private_len));
				for (unsigned other = 0; other < k; other++)
					assert_memory_not_equal(jobs[k]->public_value,
						jobs[other]->public_value, jobs[k]->public_len);
			}
			for (unsigned k = 0; k < count; k++)
				crypto_job_free(jobs[k]);
		}
		used = stats_of(stock, all_groups[i]).used;
		/* where empty lanes make a key for nothing only a crowd asks the stock */
		assert_true(used <= stats_of(stock, all_groups[i]).made);
		assert_int_equal(used > 0, peer->public_len <= 512);
		crypto_job_free(peer);
		key_stock_free(stock);
	}
}

/* What is wrong with a job stays wrong, and nothing is left of the key that it got. */
static void bad_peers(void **state)
{
	static const uint16_t groups[] = {KE_MODP2048, KE_ECP_256, KE_ECP_521};

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct key_stock *stock = new_stock(SIZE);
		uint8_t zeros[KE_PUBLIC_MAX] = {0};
		struct crypto_job *job;
		uint16_t len = group_of(groups[i])->public_len;

		ask(stock, groups[i], start_ms);
		work_off(stock, start_ms);
		job = crypto_job_new(CRYPTO_KE_BOTH, group_of(groups[i]), bytes_of(zeros, len));
		assert_non_null(job);
		key_stock_run_batch(stock, &job, 1, start_ms);
		assert_int_equal(job->result, CRYPTO_JOB_BAD_PEER_VALUE);
		assert_int_equal(stats_of(stock, groups[i]).used, 1);
		assert_true(all_zero(job->public_value, job->public_len));
		assert_true(all_zero(job->shared.data, job->shared.len));
		assert_false(job->key_ready);
		crypto_job_free(job);
		/* one that cannot be run takes no key */
		job = crypto_job_new(
			CRYPTO_KE_BOTH, group_of(groups[i]), bytes_of(zeros, len - 1u));
		assert_non_null(job);
		key_stock_run_batch(stock, &job, 1, start_ms);
		assert_int_equal(job->result, CRYPTO_JOB_BAD_PEER_VALUE);
		assert_int_equal(stats_of(stock, groups[i]).used, 1);
		crypto_job_free(job);
		key_stock_free(stock);
	}
}

/* As many as were asked for, in whole batches, and never more than the size. */
static void bounded(void **state)
{
	static const unsigned sizes[] = {1, 5, 8, 20, 64};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct key_stock *stock = new_stock(sizes[i]);

		for (unsigned asked = 1; asked <= 80; asked++) {
			struct key_stock_stats stats;
			unsigned most = (asked + 7) / 8 * 8;

			ask(stock, KE_CURVE25519, start_ms);
			work_off(stock, start_ms);
			stats = stats_of(stock, KE_CURVE25519);
			assert_true(stats.held <= (most < sizes[i] ? most : sizes[i]));
			assert_true(stats.held > 0 || sizes[i] < 8);
			assert_int_equal(stats.made, stats.held + stats.used + stats.expired);
		}
		key_stock_free(stock);
	}
}

/* A group that nobody asks for is wiped after two windows at most, and then there is nothing to do
 * for ever. */
static void out_of_use(void **state)
{
	struct key_stock *stock = new_stock(SIZE);
	struct key_stock_stats stats;
	uint64_t now = start_ms + 1, due;
	unsigned wakeups = 0;

	(void)state;
	watch_size = SIZE * (64 + 32);
	ask(stock, KE_CURVE25519, now);
	work_off(stock, now);
	assert_non_null(watched.memory);
	while ((due = key_stock_due(stock, now)) != UINT64_MAX) {
		assert_true(due > now);
		now = due;
		key_stock_work(stock, now);
		assert_true(++wakeups <= 3);
	}
	assert_true(now > start_ms + KEY_STOCK_WINDOW_MS);
	assert_true(now <= start_ms + 2 * KEY_STOCK_WINDOW_MS);
	stats = stats_of(stock, KE_CURVE25519);
	assert_int_equal(stats.held, 0);
	assert_int_equal(stats.expired, 8);
	assert_null(watched.memory);
	assert_true(watched.wiped);
	/* and once more */
	ask(stock, KE_CURVE25519, now);
	work_off(stock, now);
	assert_int_equal(stats_of(stock, KE_CURVE25519).held, 8);
	key_stock_free(stock);
}

/* Asked for slowly: no key older than the age is given out, whether or not anybody looked after the
 * stock. */
static void too_old(void **state)
{
	struct key_stock *stock = new_stock(SIZE);
	struct crypto_job *first, *later;
	struct key_stock_stats stats;

	(void)state;
	ask(stock, KE_ECP_256, start_ms);
	work_off(stock, start_ms);
	first = generate(stock, KE_ECP_256, start_ms + KEY_STOCK_AGE_MS - 1);
	assert_int_equal(stats_of(stock, KE_ECP_256).used, 1);
	later = generate(stock, KE_ECP_256, start_ms + KEY_STOCK_AGE_MS);
	stats = stats_of(stock, KE_ECP_256);
	assert_int_equal(stats.used, 1);
	assert_int_equal(stats.expired, 7);
	assert_int_equal(stats.held, 0);
	expect_pair(later);
	crypto_job_free(first);
	crypto_job_free(later);
	key_stock_free(stock);
	/* and when somebody does */
	stock = new_stock(SIZE);
	for (uint64_t now = start_ms; now < start_ms + 4 * (uint64_t)KEY_STOCK_AGE_MS;
		now += 9000) {
		ask(stock, KE_ECP_256, now);
		work_off(stock, now);
	}
	stats = stats_of(stock, KE_ECP_256);
	assert_true(stats.expired > 0 && stats.used > stats.expired);
	key_stock_free(stock);
}

static void wiped_at_the_end(void **state)
{
	struct key_stock *stock = new_stock(SIZE);

	(void)state;
	watch_size = SIZE * (32 + 64);
	watched.wiped = false;
	ask(stock, KE_ECP_256, start_ms);
	work_off(stock, start_ms);
	assert_non_null(watched.memory);
	assert_false(all_zero(watched.memory, watched.size));
	key_stock_free(stock);
	assert_null(watched.memory);
	assert_true(watched.wiped);
}

/* A key that has been given out is nowhere in the stock any more. */
static void given_out_is_wiped(void **state)
{
	struct key_stock *stock = new_stock(SIZE);
	struct crypto_job *job;
	const uint8_t *memory;

	(void)state;
	watch_size = SIZE * (32 + 64);
	ask(stock, KE_ECP_256, start_ms);
	work_off(stock, start_ms);
	memory = watched.memory;
	assert_non_null(memory);
	assert_false(all_zero(memory, 32 + 64));
	job = generate(stock, KE_ECP_256, start_ms);
	assert_true(all_zero(memory, 32 + 64));
	for (size_t at = 0; at + 32 <= watched.size; at++)
		assert_memory_not_equal(memory + at, job->private_key.data, 32);
	crypto_job_free(job);
	key_stock_free(stock);
}

/* ---- a worker's ------------------------------------------------------------------- */

static void wait_for_stats(struct crypto_pool *pool, size_t group, uint64_t held)
{
	for (unsigned tries = 0; tries < 20000; tries++) {
		struct key_stock_stats all[KEY_STOCK_GROUPS_MAX] = {0};

		crypto_pool_add_key_stats(pool, all);
		if (all[group].held == held)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	fail_msg("the worker does not hold %u keys", (unsigned)held);
}

static void run_on(struct crypto_pool *pool, struct mailbox *box)
{
	struct crypto_job *job =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(KE_CURVE25519), bytes_of(NULL, 0));
	struct pollfd fd = {.fd = mailbox_fd(box), .events = POLLIN};
	struct mail *mail;

	assert_non_null(job);
	job->reply = box;
	assert_true(crypto_pool_submit(pool, job));
	while (mailbox_take(box, &mail, 1) == 0) {
		if (mailbox_sleep(box))
			poll(&fd, 1, 1000);
		mailbox_awake(box);
	}
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	expect_pair(job);
	crypto_job_free(job);
}

static void a_worker_makes_keys_when_it_is_idle(void **state)
{
	struct crypto_pool_config config = {.workers = 1, .queue_capacity = 16, .keys_ahead = 16};
	char error[128] = "";
	struct crypto_pool *pool = crypto_pool_start(&config, error, sizeof(error));
	struct mailbox *box = mailbox_new(16);
	struct key_stock_stats all[KEY_STOCK_GROUPS_MAX] = {0};
	size_t group = 0;

	(void)state;
	assert_non_null(pool);
	assert_non_null(box);
	while (key_stock_group(group)->id != KE_CURVE25519)
		group++;
	run_on(pool, box);
	wait_for_stats(pool, group, 8);
	for (unsigned i = 0; i < 3; i++)
		run_on(pool, box);
	crypto_pool_add_key_stats(pool, all);
	assert_int_equal(all[group].used, 3);
	crypto_pool_stop(pool);
	mailbox_free(box);
	config.keys_ahead = KEY_STOCK_SIZE_MAX + 1;
	assert_null(crypto_pool_start(&config, error, sizeof(error)));
	assert_non_null(strstr(error, "keys made ahead"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_sizes),
		cmocka_unit_test(nothing_is_done_for_nobody),
		cmocka_unit_test(pairs_of_every_group),
		cmocka_unit_test(responders),
		cmocka_unit_test(bad_peers),
		cmocka_unit_test(bounded),
		cmocka_unit_test(out_of_use),
		cmocka_unit_test(too_old),
		cmocka_unit_test(wiped_at_the_end),
		cmocka_unit_test(given_out_is_wiped),
		cmocka_unit_test(a_worker_makes_keys_when_it_is_idle),
	};

	return cmocka_run_group_tests_name("key stock", tests, NULL, NULL);
}
