#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/slab.h"
#include "sanitizer.h"

/* The linker sends the room's calls of free() here (--wrap): nothing but wiped objects may go. */
void __real_free(void *p);
void __wrap_free(void *p);
static const uint8_t *watched;
static size_t watched_len, watched_dirty, watched_freed;

void __wrap_free(void *p)
{
	const uint8_t *start = p;

	if (p && watched > start && watched < start + 65536) {
		for (size_t i = 0; i < watched_len; i++)
			watched_dirty += watched[i] != 0;
		watched_freed++;
		watched = NULL;
	}
	__real_free(p);
}

static bool is_zero(const void *p, size_t len)
{
	const uint8_t *at = p;

	for (size_t i = 0; i < len; i++) {
		if (at[i])
			return false;
	}
	return true;
}

static void zeroed_and_aligned(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 8, 15, 16, 17, 100, 2000, 9000, 70000};

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct slab_pool *pool = slab_pool_new("zero", sizes[s]);
		void *objects[40];

		assert_non_null(pool);
		for (int turn = 0; turn < 3; turn++) {
			for (int i = 0; i < 40; i++) {
				objects[i] = slab_alloc(pool);
				assert_non_null(objects[i]);
				assert_int_equal((uintptr_t)objects[i] % 16, 0);
				assert_true(is_zero(objects[i], sizes[s]));
				memset(objects[i], 0xa5, sizes[s]);
				for (int k = 0; k < i; k++)
					assert_ptr_not_equal(objects[k], objects[i]);
			}
			for (int i = 0; i < 40; i++)
				slab_free(pool, objects[i]);
		}
		slab_free(pool, NULL);
		slab_pool_free(pool);
	}
	slab_pool_free(NULL);
	assert_null(slab_pool_new("absurd", SIZE_MAX));
	assert_null(slab_pool_new("absurd", SIZE_MAX / 2));
}

static void counts(void **state)
{
	enum { N = 1000, SIZE = 1000 };
	struct slab_pool *pool = slab_pool_new("counts", SIZE);
	struct slab_stats stats = slab_pool_stats(pool);
	void *objects[N];
	uint64_t one_slab;

	(void)state;
	assert_string_equal(stats.name, "counts");
	assert_int_equal(stats.object_size, SIZE);
	assert_true(stats.in_use == 0 && stats.capacity == 0);
	assert_in_range(stats.bytes, 1, 4096);
	objects[0] = slab_alloc(pool);
	one_slab = slab_pool_stats(pool).bytes;
	for (int i = 1; i < N; i++)
		objects[i] = slab_alloc(pool);
	stats = slab_pool_stats(pool);
	assert_true(stats.in_use == N);
	assert_true(stats.capacity >= N);
	/* Little is lost: 1008 bytes for an object, and a part of the last slab. */
	assert_true(stats.bytes <= N * 1050 + one_slab);
	for (int i = 0; i < N; i++)
		slab_free(pool, objects[i]);
	stats = slab_pool_stats(pool);
	assert_true(stats.in_use == 0);
	/* One empty slab is kept in hand. */
	assert_true(stats.bytes == one_slab);
	objects[0] = slab_alloc(pool);
	assert_true(slab_pool_stats(pool).bytes == one_slab);
	slab_free(pool, objects[0]);
	slab_pool_free(pool);
}

/* An allocation and a release at the border of a slab must not go to the system each time. */
static void no_thrash_at_the_border(void **state)
{
	struct slab_pool *pool = slab_pool_new("border", 1000);
	void *first = slab_alloc(pool), *last;
	uint64_t per_slab = slab_pool_stats(pool).capacity, bytes;
	void **objects = calloc(per_slab, sizeof(*objects));

	(void)state;
	assert_non_null(objects);
	for (uint64_t i = 1; i < per_slab; i++)
		objects[i] = slab_alloc(pool);
	assert_true(slab_pool_stats(pool).capacity == per_slab);
	last = slab_alloc(pool);
	bytes = slab_pool_stats(pool).bytes;
	assert_true(slab_pool_stats(pool).capacity == 2 * per_slab);
	for (int i = 0; i < 10; i++) {
		slab_free(pool, last);
		assert_true(slab_pool_stats(pool).bytes == bytes);
		last = slab_alloc(pool);
		assert_true(slab_pool_stats(pool).bytes == bytes);
	}
	slab_free(pool, last);
	slab_free(pool, first);
	for (uint64_t i = 1; i < per_slab; i++)
		slab_free(pool, objects[i]);
	free(objects);
	slab_pool_free(pool);
}

static void random_against_a_model(void **state)
{
	enum { N = 600, SIZE = 700 };
	struct slab_pool *pool = slab_pool_new("random", SIZE);
	uint8_t *objects[N] = {0};
	uint64_t seed = 2, in_use = 0;

	(void)state;
	for (int step = 0; step < 60000; step++) {
		size_t i = unit_random(&seed) % N;
		unsigned bias = step / 10000 % 2 ? 3 : 7;

		if (!objects[i] && unit_random(&seed) % 10 < bias) {
			objects[i] = slab_alloc(pool);
			assert_non_null(objects[i]);
			assert_true(is_zero(objects[i], SIZE));
			memset(objects[i], (int)(i % 255 + 1), SIZE);
			in_use++;
		} else if (objects[i] && unit_random(&seed) % 10 >= bias) {
			/* Nobody else wrote to it. */
			for (size_t k = 0; k < SIZE; k++)
				assert_int_equal(objects[i][k], i % 255 + 1);
			slab_free(pool, objects[i]);
			objects[i] = NULL;
			in_use--;
		}
		assert_true(slab_pool_stats(pool).in_use == in_use);
		assert_true(slab_pool_stats(pool).capacity >= in_use);
	}
	/* What is in use at the end goes with the pool. */
	assert_true(in_use > 0);
	slab_pool_free(pool);
}

static void memory_goes_back_wiped(void **state)
{
	struct slab_pool *pool = slab_pool_new("keys", 500);
	void *object = slab_alloc(pool);

	(void)state;
	memset(object, 0x77, 500);
	watched = object;
	watched_len = 500;
	slab_pool_free(pool);
	assert_int_equal(watched_freed, 1);
	assert_int_equal(watched_dirty, 0);
}

/* Without sanitizers a released object can be looked at: only the free list's word is in it. */
static void released_object_is_wiped(void **state)
{
	struct slab_pool *pool = slab_pool_new("keys", 500);
	uint8_t *object = slab_alloc(pool), *keeper = slab_alloc(pool);

	(void)state;
	memset(object, 0x77, 500);
	slab_free(pool, object);
#ifdef BASE_ASAN
	for (size_t i = 0; i < 500; i++)
		assert_true(ASAN_POISONED(object + i));
	assert_false(ASAN_POISONED(keeper + 499));
	/* 500 is no multiple of 16: the byte behind the object belongs to nobody. */
	assert_true(ASAN_POISONED(keeper + 500));
#else
	assert_true(is_zero(object + sizeof(void *), 500 - sizeof(void *)));
#endif
	slab_free(pool, keeper);
	slab_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_and_aligned),
		cmocka_unit_test(counts),
		cmocka_unit_test(no_thrash_at_the_border),
		cmocka_unit_test(random_against_a_model),
		cmocka_unit_test(memory_goes_back_wiped),
		cmocka_unit_test(released_object_is_wiped),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
