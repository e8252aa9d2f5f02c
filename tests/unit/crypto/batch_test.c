/* The former of batches: it takes what waits and waits for nothing, so that a lone job pays nothing
 * and load alone makes batches; one derivation, or a CPU without lanes, is libcrypto's. */
#include "job_test.h"

#include <poll.h>
#include <time.h>

#include "x25519_ifma.h"

/* ---- the linker sends the library's calls here ------------------------------------------ */

void __real_x25519_ifma_multiply(const struct x25519_lane *lanes, size_t count);
void __wrap_x25519_ifma_multiply(const struct x25519_lane *lanes, size_t count);
void __real_x25519_ifma_multiply_base(const struct x25519_lane *lanes, size_t count);
void __wrap_x25519_ifma_multiply_base(const struct x25519_lane *lanes, size_t count);
bool __real_cpu_has_lanes(void);
bool __wrap_cpu_has_lanes(void);

static unsigned runs, base_runs, lanes_used;
static bool no_lanes;

void __wrap_x25519_ifma_multiply(const struct x25519_lane *lanes, size_t count)
{
	runs++;
	lanes_used += (unsigned)count;
	__real_x25519_ifma_multiply(lanes, count);
}

void __wrap_x25519_ifma_multiply_base(const struct x25519_lane *lanes, size_t count)
{
	base_runs++;
	lanes_used += (unsigned)count;
	__real_x25519_ifma_multiply_base(lanes, count);
}

bool __wrap_cpu_has_lanes(void)
{
	return !no_lanes && __real_cpu_has_lanes();
}

/* ---- which way a batch goes --------------------------------------------------------------- */

enum { BATCH_MAX = 20 };

static struct crypto_job *job_of(enum crypto_job_kind kind, const struct crypto_job *peer)
{
	struct bytes point = bytes_of(peer->public_value, peer->public_len);
	struct crypto_job *job;

	if (kind == CRYPTO_KE_DERIVE)
		return derive_job(peer->group->id, secret_bytes(&peer->private_key), point);
	job = crypto_job_new(kind, peer->group, point);
	assert_non_null(job);
	return job;
}

static void run(enum crypto_job_kind kind, size_t count)
{
	struct crypto_job *peer =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(KE_CURVE25519), bytes_of(NULL, 0));
	struct crypto_job *jobs[BATCH_MAX];

	assert_non_null(peer);
	crypto_job_run_steps(peer);
	for (size_t i = 0; i < count; i++)
		jobs[i] = job_of(kind, peer);
	runs = base_runs = lanes_used = 0;
	crypto_job_run_batch(jobs, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(jobs[i]->result, CRYPTO_JOB_OK);
		crypto_job_free(jobs[i]);
	}
	crypto_job_free(peer);
}

static void one_derivation_is_libcryptos(void **state)
{
	(void)state;
	run(CRYPTO_KE_DERIVE, 1);
	assert_int_equal(lanes_used, 0);
}

static void more_are_side_by_side(void **state)
{
	(void)state;
	if (!__real_cpu_has_lanes())
		skip();
	for (unsigned count = 2; count <= 8; count++) {
		run(CRYPTO_KE_DERIVE, count);
		assert_int_equal(runs, 1);
		assert_int_equal(lanes_used, count);
	}
	run(CRYPTO_KE_DERIVE, 16);
	assert_int_equal(runs, 2);
	/* what is left of the second run alone */
	run(CRYPTO_KE_DERIVE, 9);
	assert_int_equal(runs, 1);
	assert_int_equal(lanes_used, 8);
	/* a responder's job is two operations: new keys take the lanes that are left */
	run(CRYPTO_KE_BOTH, 1);
	assert_int_equal(runs, 1);
	assert_int_equal(base_runs, 0);
	assert_int_equal(lanes_used, 2);
	run(CRYPTO_KE_BOTH, 8);
	assert_int_equal(runs, 1);
	assert_int_equal(base_runs, 1);
	assert_int_equal(lanes_used, 16);
}

static void without_lanes_all_are_libcryptos(void **state)
{
	(void)state;
	no_lanes = true;
	run(CRYPTO_KE_DERIVE, 8);
	assert_int_equal(lanes_used, 0);
	run(CRYPTO_KE_BOTH, 16);
	assert_int_equal(lanes_used, 0);
	run(CRYPTO_KE_GENERATE, 8);
	assert_int_equal(lanes_used, 0);
	no_lanes = false;
}

/* ---- what a worker takes -------------------------------------------------------------------- */

static struct crypto_job *submit(struct crypto_pool *pool, struct mailbox *box, uint16_t group)
{
	struct crypto_job *job =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(group), bytes_of(NULL, 0));

	assert_non_null(job);
	job->reply = box;
	assert_true(crypto_pool_submit(pool, job));
	return job;
}

static void receive(struct mailbox *box, unsigned count)
{
	struct pollfd fd = {.fd = mailbox_fd(box), .events = POLLIN};
	struct mail *mail;

	while (count > 0) {
		if (mailbox_take(box, &mail, 1) == 1) {
			struct crypto_job *job = (struct crypto_job *)mail;

			assert_int_equal(job->result, CRYPTO_JOB_OK);
			crypto_job_free(job);
			count--;
			continue;
		}
		if (mailbox_sleep(box))
			assert_true(poll(&fd, 1, 20000) > 0);
		mailbox_awake(box);
	}
}

static struct crypto_pool *start(struct mailbox **box)
{
	struct crypto_pool_config config = {.workers = 1, .queue_capacity = 64};
	char error[128] = "";
	struct crypto_pool *pool = crypto_pool_start(&config, error, sizeof(error));

	assert_non_null(pool);
	*box = mailbox_new(64);
	assert_non_null(*box);
	return pool;
}

/* A lone job is a batch, and its answer comes although nothing follows it. */
static void a_lone_job_waits_for_nobody(void **state)
{
	struct mailbox *box;
	struct crypto_pool *pool = start(&box);

	(void)state;
	for (unsigned i = 1; i <= 50; i++) {
		submit(pool, box, KE_CURVE25519);
		receive(box, 1);
		assert_int_equal(crypto_pool_stats(pool).batches, i);
	}
	crypto_pool_stop(pool);
	mailbox_free(box);
}

/* What has come while the worker was busy is one batch, without a pause in between. (It is asked to
 * be busy for longer than it takes to submit; where that fails, once more.) */
static void what_waits_is_one_batch(void **state)
{
	struct mailbox *box;
	struct crypto_pool *pool = start(&box);
	bool seen = false;

	(void)state;
	submit(pool, box, KE_MODP8192); /* its table is made */
	receive(box, 1);
	for (unsigned round = 0; round < 50 && !seen; round++) {
		struct crypto_pool_stats before = crypto_pool_stats(pool), after;

		submit(pool, box, KE_MODP8192);
		while (crypto_pool_stats(pool).batches == before.batches)
			nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
		for (unsigned i = 0; i < 8; i++)
			submit(pool, box, KE_CURVE25519);
		receive(box, 9);
		after = crypto_pool_stats(pool);
		assert_int_equal(after.done - before.done, 9);
		seen = after.batches - before.batches == 2;
	}
	assert_true(seen);
	crypto_pool_stop(pool);
	mailbox_free(box);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_derivation_is_libcryptos),
		cmocka_unit_test(more_are_side_by_side),
		cmocka_unit_test(without_lanes_all_are_libcryptos),
		cmocka_unit_test(a_lone_job_waits_for_nobody),
		cmocka_unit_test(what_waits_is_one_batch),
	};

	return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
