/* Counters told at one time: each pair's are found, in both directions or not at all. */
#include "sa_counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void take(
	struct sa_counters *counters, uint64_t id, enum ipsec_direction direction, uint64_t bytes)
{
	struct ipsec_counted counted = {
		.id = id, .direction = direction, .counters = {.bytes = bytes}};
	sa_counters_take(counters, &counted);
}

static void pairs_are_found(void **state)
{
	struct sa_counters counters = {0};
	struct ipsec_counters found[2];
	(void)state;
	assert_false(sa_counters_find(&counters, 1, found));
	for (uint64_t id = 1; id <= 1000; id++) {
		take(&counters, id, IPSEC_OUTBOUND, 2 * id);
	}
	assert_false(sa_counters_find(&counters, 7, found));
	for (uint64_t id = 1000; id >= 1; id--) {
		take(&counters, id, IPSEC_INBOUND, 3 * id);
	}
	for (uint64_t id = 1; id <= 1000; id++) {
		assert_true(sa_counters_find(&counters, id, found));
		assert_int_equal(found[IPSEC_INBOUND].bytes, 3 * id);
		assert_int_equal(found[IPSEC_OUTBOUND].bytes, 2 * id);
	}
	assert_false(sa_counters_find(&counters, 1001, found));
	take(&counters, 7, IPSEC_INBOUND, 1); /* told again: the newest counts */
	assert_true(sa_counters_find(&counters, 7, found));
	assert_int_equal(found[IPSEC_INBOUND].bytes, 1);
	sa_counters_free(&counters);
	assert_false(sa_counters_find(&counters, 7, found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(pairs_are_found)};
	return cmocka_run_group_tests_name("shard counters", tests, NULL, NULL);
}
