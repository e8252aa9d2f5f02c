/* leftsubnets= and rightsubnets=. */
#include "subnets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
	char text[4000];
	unsigned count, stop_at;
};

static const char *or_none(const char *value)
{
	return value ? value : "-";
}

static bool note(const char *name, const struct keyvalues *p, void *arg)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "%s %s %s %s %s\n", name,
		or_none(keyvalues_get(p, "leftsubnet")), or_none(keyvalues_get(p, "rightsubnet")),
		or_none(keyvalues_get(p, "connalias")), or_none(keyvalues_get(p, "left")));
	assert_null(keyvalues_get(p, "leftsubnets"));
	assert_null(keyvalues_get(p, "rightsubnets"));
	return ++seen->count != seen->stop_at;
}

static const char *expand(struct seen *seen, const char *const *pairs, char *error, size_t size)
{
	struct keyvalues kv = {0};

	for (; *pairs; pairs += 2)
		assert_true(keyvalues_set(&kv, pairs[0], pairs[1]));
	memset(seen->text, 0, sizeof(seen->text));
	seen->count = 0;
	assert_true(subnets_given(&kv));
	if (subnets_expand("c", &kv, note, seen, error, size))
		assert_string_equal(error, "");
	else
		seen->text[0] = '\0';
	keyvalues_release(&kv);
	return seen->text;
}

static void every_left_one_with_every_right_one(void **state)
{
	const char *both[] = {"left", "192.0.2.1", "leftsubnets", "{10.1.0.0/24 10.1.1.0/24}",
		"rightsubnets", "10.2.0.0/24, 10.2.1.0/24/tcp/80", "connalias", "x y", NULL};
	struct seen seen = {0};
	char error[200];

	(void)state;
	assert_string_equal(expand(&seen, both, error, sizeof(error)),
		"c/1x1 10.1.0.0/24 10.2.0.0/24 c x y 192.0.2.1\n"
		"c/1x2 10.1.0.0/24 10.2.1.0/24/tcp/80 c x y 192.0.2.1\n"
		"c/2x1 10.1.1.0/24 10.2.0.0/24 c x y 192.0.2.1\n"
		"c/2x2 10.1.1.0/24 10.2.1.0/24/tcp/80 c x y 192.0.2.1\n");
	seen.stop_at = 2;
	assert_string_equal(expand(&seen, both, error, sizeof(error)), "");
	assert_int_equal(seen.count, 2);
	assert_string_equal(error, "");
}

static void what_a_side_has_without_a_list_is_number_0(void **state)
{
	const char *right[] = {"rightsubnets", "10.2.0.0/24,10.2.1.0/24", NULL};
	const char *own[] = {"leftsubnet", "10.1.0.0/24", "leftsubnets", "10.1.1.0/24",
		"rightsubnet", "10.2.0.0/24", NULL};
	struct seen seen = {0};
	char error[200];

	(void)state;
	assert_string_equal(expand(&seen, right, error, sizeof(error)),
		"c/0x1 - 10.2.0.0/24 c -\nc/0x2 - 10.2.1.0/24 c -\n");
	assert_string_equal(expand(&seen, own, error, sizeof(error)),
		"c/0x0 10.1.0.0/24 10.2.0.0/24 c -\nc/1x0 10.1.1.0/24 10.2.0.0/24 c -\n");
}

static void bad_lists_are_named(void **state)
{
	const char *brace[] = {"leftsubnets", "{10.1.0.0/24", NULL};
	const char *empty[] = {"leftsubnets", " , ", NULL};
	char *many = calloc(SUBNETS_CONNECTIONS_MAX + 1, 10);
	const char *full[] = {"leftsubnets", many, "rightsubnets", "10.2.0.0/24 10.3.0.0/24", NULL};
	struct seen seen = {0};
	char error[200];

	(void)state;
	expand(&seen, brace, error, sizeof(error));
	assert_string_equal(error, "leftsubnets={10.1.0.0/24: a brace is missing");
	expand(&seen, empty, error, sizeof(error));
	assert_string_equal(error, "leftsubnets= and rightsubnets= make 0 connections");
	for (unsigned i = 0; i < SUBNETS_CONNECTIONS_MAX; i++)
		strcpy(many + 9 * i, "10.0.0.1 ");
	expand(&seen, full, error, sizeof(error));
	assert_string_equal(
		error, "leftsubnets= and rightsubnets= make 8192 connections: too many");
	strcat(many, "10.0.0.1");
	expand(&seen, full, error, sizeof(error));
	assert_string_equal(error, "leftsubnets= has more than 4096 subnets");
	assert_int_equal(seen.count, 0);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_left_one_with_every_right_one),
		cmocka_unit_test(what_a_side_has_without_a_list_is_number_0),
		cmocka_unit_test(bad_lists_are_named),
	};

	return cmocka_run_group_tests_name("subnets", tests, NULL, NULL);
}
