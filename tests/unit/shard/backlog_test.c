#include "backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool begins;

static bool wants(struct backlog *b, uint64_t now_ms, bool piling_up)
{
	return backlog_wants_cookies(b, now_ms, piling_up, &begins);
}

/* Behind without a break from `from` until `until`. */
static void behind(struct backlog *b, uint64_t from, uint64_t until)
{
	for (uint64_t t = from; t <= until; t++) {
		backlog_note(b, t, true);
	}
}

static void asks_when_behind_and_piling_up(void **state)
{
	(void)state;
	struct backlog b = {0};
	assert_false(wants(&b, 1000, true));
	behind(&b, 1000, 1049);
	assert_false(wants(&b, 1049, true));
	backlog_note(&b, 1050, true);
	assert_false(wants(&b, 1050, false));
	assert_true(wants(&b, 1050, true));
	assert_true(begins);
	assert_true(wants(&b, 1050, true));
	assert_false(begins);
}

static void a_moment_of_air_begins_anew(void **state)
{
	(void)state;
	struct backlog b = {0};
	behind(&b, 1, 45);
	backlog_note(&b, 46, false);
	behind(&b, 47, 96);
	assert_false(wants(&b, 96, true));
	backlog_note(&b, 97, true);
	assert_true(wants(&b, 97, true));
}

/* Cookies take the load away, and the half-open SAs with it: that must not end them at once. */
static void asks_for_as_long_as_half_open_sas_last(void **state)
{
	(void)state;
	struct backlog b = {0};
	behind(&b, 100, 150);
	assert_true(wants(&b, 150, true));
	backlog_note(&b, 151, false);
	assert_true(wants(&b, 30149, false));
	assert_false(begins);
	assert_false(wants(&b, 30150, true));
	behind(&b, 30150, 30200);
	assert_true(wants(&b, 30200, true));
	assert_true(begins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_when_behind_and_piling_up),
		cmocka_unit_test(a_moment_of_air_begins_anew),
		cmocka_unit_test(asks_for_as_long_as_half_open_sas_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
