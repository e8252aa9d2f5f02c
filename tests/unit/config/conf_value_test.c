#include "config/conf_file.h"
#include "config/keyvalue.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

static void booleans(void **state)
{
	(void)state;
	static const char *const yes[] = {"yes", "true", "on", "y", "1", "YES"};
	static const char *const no[] = {"no", "false", "off", "n", "0", "Off"};
	static const char *const bad[] = {"", "2", "yess", " yes", "auto"};
	bool v;
	for (size_t i = 0; i < 6; i++) {
		v = false;
		assert_true(conf_bool(yes[i], &v));
		assert_true(v);
		assert_true(conf_bool(no[i], &v));
		assert_false(v);
	}
	for (size_t i = 0; i < 5; i++)
		assert_false(conf_bool(bad[i], &v));
}

static void duration_is(const char *text, unsigned unit, unsigned long long ms)
{
	unsigned long long v = 0;
	assert_true(conf_duration_ms(text, unit, &v));
	if (v != ms)
		fail_msg("%s: %llu ms instead of %llu", text, v, ms);
}

static void durations(void **state)
{
	(void)state;
	duration_is("90", 1000, 90000);
	duration_is("500", 1, 500);
	duration_is("500ms", 1000, 500);
	duration_is("8h", 1000, 8 * 3600000ull);
	duration_is("1.5h", 1000, 5400000);
	duration_is("0.25", 1000, 250);
	duration_is("1m", 1000, 60000);
	duration_is("2d", 1, 2 * 86400000ull);
	duration_is("1w", 1, 7 * 86400000ull);
	duration_is("1500us", 1, 2);
	duration_is("1us", 1, 1);
	duration_is("0", 1000, 0);
	duration_is("0.000000001w", 1000, 1);
	duration_is("18446744073709551615ms", 1, 18446744073709551615ull);
	static const char *const bad[] = {"", "s", "-1", "+1", " 1", "1 s", "1.s", ".5", "1x",
		"1.2.3", "18446744073709551616", "18446744073709551615s", "1.0123456789s", "0x10",
		"1ss"};
	unsigned long long v = 42;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (conf_duration_ms(bad[i], 1000, &v))
			fail_msg("%s is taken for a duration", bad[i]);
	assert_int_equal(v, 42);
}

static void counts_and_bytes(void **state)
{
	(void)state;
	unsigned long long v = 0;
	assert_true(conf_count("25000", &v) && v == 25000);
	assert_true(conf_count("2Ki", &v) && v == 2048);
	assert_true(conf_count("1Ei", &v) && v == 1ull << 60);
	assert_true(conf_bytes("1", &v) && v == 1);
	assert_true(conf_bytes("3MiB", &v) && v == 3ull << 20);
	assert_true(conf_bytes("15EiB", &v) && v == 15ull << 60);
	static const char *const bad[] = {"", "-1", "1K", "1KB", "16EiB", "16Ei", "1.5KiB", "1 KiB",
		"18446744073709551616", "1i", "1iB", "1KiBB", "1\001"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(conf_bytes(bad[i], &v));
		assert_false(conf_count(bad[i], &v));
	}
	assert_false(conf_count("1KiB", &v));
	assert_false(conf_bytes("1Ki", &v));
}

static void percents(void **state)
{
	(void)state;
	unsigned v = 0;
	assert_true(conf_percent("100%", &v) && v == 100);
	assert_true(conf_percent("0", &v) && v == 0);
	assert_false(conf_percent("", &v));
	assert_false(conf_percent("%", &v));
	assert_false(conf_percent("100%%", &v));
	assert_false(conf_percent("-5%", &v));
	assert_false(conf_percent("4294967296%", &v));
}

static void keyvalues(void **state)
{
	(void)state;
	struct keyvalues kv = {0};
	assert_null(keyvalues_get(&kv, "left"));
	assert_true(keyvalues_set(&kv, "Left", "A"));
	assert_string_equal(keyvalues_get(&kv, "left"), "A");
	assert_string_equal(kv.items[0].key, "left");
	errno = 0;
	assert_false(keyvalues_set(&kv, "LEFT", "B"));
	assert_int_equal(errno, EEXIST);
	char key[16] = "k0";
	for (int i = 0; i < 100; i++) {
		key[1] = (char)('0' + i / 10);
		key[2] = (char)('0' + i % 10);
		assert_true(keyvalues_set(&kv, key, key));
	}
	assert_int_equal(kv.count, 101);
	assert_string_equal(keyvalues_get(&kv, "k42"), "k42");
	assert_string_equal(keyvalues_get(&kv, "left"), "A");
	keyvalues_release(&kv);
	assert_int_equal(kv.count, 0);
	keyvalues_release(&kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(booleans),
		cmocka_unit_test(durations),
		cmocka_unit_test(counts_and_bytes),
		cmocka_unit_test(percents),
		cmocka_unit_test(keyvalues),
	};
	return cmocka_run_group_tests_name("conf_value", tests, NULL, NULL);
}
