#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* The linker sends the room's calls of free() here (--wrap): is it wiped when it goes? */
void __real_free(void *p);
void __wrap_free(void *p);
static const uint8_t *watched;
static size_t watched_len, watched_dirty, watched_freed;

void __wrap_free(void *p)
{
	if (p && p == watched) {
		for (size_t i = 0; i < watched_len; i++)
			watched_dirty += watched[i] != 0;
		watched_freed++;
		watched = NULL;
	}
	__real_free(p);
}

static void release_wipes(void **state)
{
	struct secret s;

	(void)state;
	assert_true(secret_copy(&s, bytes_of("battery staple", 14)));
	watched = s.data;
	watched_len = s.len;
	secret_release(&s);
	assert_int_equal(watched_freed, 1);
	assert_int_equal(watched_dirty, 0);
}

static void new_is_zeroed(void **state)
{
	struct secret s;
	static const uint8_t zeros[100];

	(void)state;
	assert_true(secret_new(&s, 100));
	assert_int_equal(s.len, 100);
	assert_memory_equal(s.data, zeros, 100);
	secret_release(&s);
	assert_null(s.data);
	assert_int_equal(s.len, 0);
	secret_release(&s);
}

static void empty_is_fine(void **state)
{
	struct secret s;

	(void)state;
	assert_true(secret_new(&s, 0));
	assert_int_equal(secret_bytes(&s).len, 0);
	secret_release(&s);
	assert_true(secret_copy(&s, bytes_of(NULL, 0)));
	secret_release(&s);
}

static void copy_is_a_copy(void **state)
{
	char from[] = "correct horse";
	struct secret s;

	(void)state;
	assert_true(secret_copy(&s, bytes_of(from, 13)));
	from[0] = 'X';
	assert_true(bytes_equal(secret_bytes(&s), bytes_of("correct horse", 13)));
	secret_release(&s);
}

static void wipe_wipes(void **state)
{
	uint8_t data[16];
	static const uint8_t zeros[16];

	(void)state;
	memset(data, 0x5a, sizeof(data));
	secret_wipe(data + 1, 14);
	assert_memory_equal(data + 1, zeros, 14);
	assert_int_equal(data[0], 0x5a);
	assert_int_equal(data[15], 0x5a);
	secret_wipe(NULL, 0);
}

/* Every single bit counts, wherever it is. */
static void equal_sees_each_bit(void **state)
{
	uint8_t a[67], b[67];

	(void)state;
	memset(a, 0x3c, sizeof(a));
	memcpy(b, a, sizeof(a));
	assert_true(secret_equal(a, b, sizeof(a)));
	for (size_t bit = 0; bit < sizeof(a) * 8; bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(secret_equal(a, b, sizeof(a)));
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(secret_equal(a, b, sizeof(a)));
	assert_true(secret_equal(NULL, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_is_zeroed),
		cmocka_unit_test(empty_is_fine),
		cmocka_unit_test(copy_is_a_copy),
		cmocka_unit_test(wipe_wipes),
		cmocka_unit_test(release_wipes),
		cmocka_unit_test(equal_sees_each_bit),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
