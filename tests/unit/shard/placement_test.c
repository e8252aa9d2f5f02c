#include "placement.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect(unsigned cores, unsigned shards, int workers, unsigned s, unsigned w)
{
	unsigned got_s = 0, got_w = 0;
	placement_counts(cores, shards, workers, &got_s, &got_w);
	if (got_s != s || got_w != w) {
		fail_msg("%u cores, asked for %u and %d: %u shards, %u workers instead of %u, %u",
			cores, shards, workers, got_s, got_w, s, w);
	}
}

static void counts(void **state)
{
	(void)state;
	expect(1, 0, -1, 1, 0);
	expect(2, 0, -1, 2, 0);
	expect(3, 0, -1, 1, 2);
	expect(4, 0, -1, 1, 3);
	expect(8, 0, -1, 3, 5);
	expect(16, 0, -1, 5, 11);
	expect(64, 0, -1, 21, 43);
	/* what is asked for is given */
	expect(2, 4, 3, 4, 3);
	expect(1, 1, 1, 1, 1);
	expect(64, 2, 0, 2, 0);
	/* one of both asked for */
	expect(8, 0, 0, 8, 0);
	expect(8, 0, 6, 2, 6);
	expect(8, 0, 8, 1, 8);
	expect(8, 2, -1, 2, 4);
	expect(8, 6, -1, 6, 2);
	expect(8, 8, -1, 8, 0);
	expect(2, 4, -1, 4, 0);
	expect(0, 0, -1, 1, 0);
}

static void this_machine(void **state)
{
	(void)state;
	struct placement *p = placement_new(2, 1, true);
	char text[200];
	assert_non_null(p);
	assert_int_equal(placement_shards(p), 2);
	assert_int_equal(placement_workers(p), 1);
	assert_non_null(placement_worker_cpus(p));
	assert_true(placement_text(p, 0, text, sizeof text));
	assert_int_equal(strncmp(text, "shard 0 on core ", 16), 0);
	assert_true(placement_text(p, 2, text, sizeof text));
	assert_int_equal(strncmp(text, "crypto worker 0 on core ", 24), 0);
	assert_false(placement_text(p, 3, text, sizeof text));
	placement_free(p);
}

static void binding(void **state)
{
	(void)state;
	cpu_set_t before, bound;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	unsigned cpus = (unsigned)CPU_COUNT(&before);
	struct placement *p = placement_new(cpus, 0, true);
	cpu_set_t seen;
	CPU_ZERO(&seen);
	assert_non_null(p);
	for (unsigned i = 0; i < cpus; i++) {
		assert_true(placement_bind_shard(p, i));
		assert_int_equal(sched_getaffinity(0, sizeof bound, &bound), 0);
		assert_int_equal(CPU_COUNT(&bound), 1);
		CPU_OR(&seen, &seen, &bound);
	}
	/* Never two on one while another is free. */
	assert_true(CPU_EQUAL(&seen, &before));
	placement_free(p);
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static void unpinned(void **state)
{
	(void)state;
	cpu_set_t before, after;
	struct placement *p = placement_new(3, 2, false);
	char text[200];
	assert_non_null(p);
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	assert_true(placement_bind_shard(p, 1));
	assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
	assert_null(placement_worker_cpus(p));
	assert_true(placement_text(p, 1, text, sizeof text));
	assert_string_equal(text, "shard 1 not pinned");
	placement_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(this_machine),
		cmocka_unit_test(binding),
		cmocka_unit_test(unpinned),
	};
	return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
