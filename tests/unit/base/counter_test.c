#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/counter.h"

#define THREADS 3
#define ADDS    200000

static void starts_at_zero(void **state)
{
	struct counter_set set = counter_set_new(100);

	(void)state;
	assert_non_null(set.cells);
	assert_int_equal(set.count, 100);
	assert_int_equal((uintptr_t)set.cells % 64, 0);
	for (size_t i = 0; i < 100; i++)
		assert_true(counter_read(&set, i) == 0);
	counter_set_free(&set);
	assert_null(set.cells);
	counter_set_free(&set);
}

static void odd_sizes(void **state)
{
	struct counter_set set = counter_set_new(0);

	(void)state;
	assert_non_null(set.cells);
	counter_set_free(&set);
	set = counter_set_new(SIZE_MAX);
	assert_null(set.cells);
	assert_int_equal(set.count, 0);
	set = counter_set_new(SIZE_MAX / 8 - 1);
	assert_null(set.cells);
}

static void gauge_over_two_sets(void **state)
{
	struct counter_set a = counter_set_new(2), b = counter_set_new(2);

	(void)state;
	/* Made here, ended there. */
	counter_add(&a, 1, 5);
	counter_sub(&b, 1, 3);
	assert_true(counter_read(&a, 1) + counter_read(&b, 1) == 2);
	assert_true(counter_read(&a, 0) + counter_read(&b, 0) == 0);
	counter_set_free(&a);
	counter_set_free(&b);
}

static void *add_many(void *set)
{
	for (int i = 0; i < ADDS; i++)
		counter_add(set, 3, 1);
	return NULL;
}

static void others_may_read(void **state)
{
	struct counter_set sets[THREADS];
	pthread_t threads[THREADS];
	uint64_t before = 0, sum;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		sets[i] = counter_set_new(8);
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, &sets[i]), 0);
	}
	do {
		sum = 0;
		for (int i = 0; i < THREADS; i++)
			sum += counter_read(&sets[i], 3);
		assert_true(sum >= before && sum <= THREADS * ADDS);
		before = sum;
	} while (sum < THREADS * ADDS);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_true(counter_read(&sets[i], 3) == ADDS);
		assert_true(counter_read(&sets[i], 2) == 0);
		counter_set_free(&sets[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_at_zero),
		cmocka_unit_test(odd_sizes),
		cmocka_unit_test(gauge_over_two_sets),
		cmocka_unit_test(others_may_read),
	};

	return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
