/* What whack prints of pluto's answer, however it is cut into pieces, and its exit status. */
#include "control_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *answer, size_t piece, const char *printed, int status)
{
	struct answer_reader reader = {0};
	char *out = NULL;
	size_t size;

	reader.out = open_memstream(&out, &size);
	for (size_t at = 0; at < strlen(answer); at += piece) {
		size_t len = strlen(answer) - at;

		answer_reader_take(&reader, answer + at, len < piece ? len : piece);
	}
	answer_reader_end(&reader);
	fclose(reader.out);
	assert_string_equal(out, printed);
	assert_int_equal(reader.status, status);
	free(out);
}

static void test_answers(void **state)
{
	static const struct {
		const char *answer, *printed;
		int status;
	} rows[] = {
		{"", "", 0},
		{"000 one\n000 two\n", "one\ntwo\n", 0},
		{"000 one\n021 no such\n056 later\n", "one\nno such\nlater\n", 21},
		{"000 a\n000 \n000 b\n", "a\n\nb\n", 0}, /* an empty line of a report */
		{"051 \n000 a\n", "a\n", 51},            /* a bare status prints nothing */
		{"010 x\n019 y\n", "x\ny\n", 0},         /* below the floor */
		{"200 x\n", "x\n", 0},                   /* above the roof */
		{"000 no end", "no end\n", 0},
		{"12x strange\n", "12x strange\n", 0},
		{"ab\n", "ab\n", 0},
		{"024\n", "024\n", 0},
		{"000  two blanks\n", " two blanks\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece <= 7; piece++)
			check(rows[i].answer, piece, rows[i].printed, rows[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};

	return cmocka_run_group_tests_name("answer_reader", tests, NULL, NULL);
}
