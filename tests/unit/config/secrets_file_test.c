#include "config/secrets_file.h"
#include "test_dir.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_dir dir;
static char error[1024];
/* What came out, an entry a line: "KIND LINE index,index ppk=value" with the value in hexadecimal.
 */
static char got[4096];
static unsigned refuse_at;

static bool take(const struct secret_line *line, void *arg, char *reason, size_t reason_size)
{
	(void)arg;
	if (refuse_at != 0 && line->line == refuse_at) {
		snprintf(reason, reason_size, "no room for line %u", line->line);
		return false;
	}
	size_t used = strlen(got);
	used += (size_t)snprintf(got + used, sizeof(got) - used, "%d %u ", line->kind, line->line);
	for (size_t i = 0; i < line->index_count; i++) {
		used += (size_t)snprintf(
			got + used, sizeof(got) - used, "%s%s", i > 0 ? "," : "", line->indices[i]);
	}
	used += (size_t)snprintf(
		got + used, sizeof(got) - used, " %s=", line->ppk_id != NULL ? line->ppk_id : "");
	for (size_t i = 0; i < line->value.len; i++) {
		used += (size_t)snprintf(
			got + used, sizeof(got) - used, "%02x", line->value.data[i]);
	}
	snprintf(got + used, sizeof(got) - used, "\n");
	return true;
}

static bool read_again(void)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/ipsec.secrets", dir.path);
	error[0] = got[0] = '\0';
	return secrets_file_read(path, take, NULL, error, sizeof(error));
}

static void gives(const char *text, const char *entries)
{
	test_dir_puts(&dir, "ipsec.secrets", text);
	if (!read_again())
		fail_msg("%s", error);
	assert_string_equal(got, entries);
}

/* Nothing comes out, and the reason gives away nothing of the secret, which is "hush" in all of
 * these. */
static void refused(const char *text, unsigned line, const char *reason)
{
	char place[200];
	test_dir_puts(&dir, "ipsec.secrets", text);
	assert_false(read_again());
	snprintf(place, sizeof(place), "%s/ipsec.secrets:%u: ", dir.path, line);
	if (strncmp(error, place, strlen(place)) != 0 || strstr(error, reason) == NULL)
		fail_msg("\"%s\" is not \"%s...%s\"", error, place, reason);
	assert_null(strstr(error, "hush"));
	assert_string_equal(got, "");
}

static int setup(void **state)
{
	(void)state;
	test_dir_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_dir_remove(&dir);
	return 0;
}

static void entries(void **state)
{
	(void)state;
	gives("# comment\n"
	      "@west @east : PSK \"abc\" # comment\n"
	      "192.0.2.1 %any: PSK 0x00_ff\n"
	      ": psk 'a\"b'\n"
	      "user@a.test\n"
	      "\t192.0.2.2 # goes on\n"
	      "# even here\n"
	      "\n"
	      "\t:\n"
	      "\tPSK\n"
	      "\t0tplain\n"
	      "@user : XAUTH \"pw\"\n"
	      ": PPKS \"id 1\" 0sAAEC\n",
		"0 2 @west,@east =616263\n"
		"0 3 192.0.2.1,%any =00ff\n"
		"0 4  =612262\n"
		"0 5 user@a.test,192.0.2.2 =706c61696e\n"
		"1 12 @user =7077\n"
		"2 13  id 1=000102\n");
	gives("", "");
}

static void colons(void **state)
{
	(void)state;
	gives("2001:db8::1 2001:db8:: : PSK \"a\"\n"
	      "2001:db8::1: PSK \"a\"\n"
	      "2001:db8::: PSK \"a\"\n"
	      ":: 0::0 : PSK \"a\"\n"
	      "\"::1\" \"C=CA, O=a : b\" : PSK \"a\"\n",
		"0 1 2001:db8::1,2001:db8:: =61\n"
		"0 2 2001:db8::1 =61\n"
		"0 3 2001:db8:: =61\n"
		"0 4 ::,0::0 =61\n"
		"0 5 ::1,C=CA, O=a : b =61\n");
	refused("@a :PSK \"hush\"\n", 1, "white space is missing behind the ':'");
	refused("@a PSK \"hush\"\n", 1, "no ':'");
	refused("\"2001:db8::2\": PSK \"hush\"\n", 1, "white space is missing behind a quote");
}

static void private_keys_are_passed_over(void **state)
{
	(void)state;
	gives("@a : RSA\t{\n"
	      "\t# RSA 2048 bits\n"
	      "\tModulus: 0x00 \"odd 'text\n"
	      "\t}\n"
	      ": ECDSA key.pem \"hush\n"
	      ": PIN %smartcard hush\n"
	      ": PSK \"x\"\n",
		"3 1 @a =\n3 5  =\n3 6  =\n0 7  =78\n");
}

static void values(void **state)
{
	(void)state;
	gives(": PSK 0xAbCd\n: PSK 0X01_02_0304\n", "0 1  =abcd\n0 2  =01020304\n");
	gives(": PSK 0sYQ==\n: PSK 0sYWI=\n: PSK 0sYWJj\n: PSK 0sYQ\n: PSK 0s+/+/\n",
		"0 1  =61\n0 2  =6162\n0 3  =616263\n0 4  =61\n0 5  =fbffbf\n");
	gives(": PSK \"0xnot hex\"\n", "0 1  =30786e6f7420686578\n");
	gives(": PSK 0ta#b\n: PSK \"\xc3\xa4\"\n", "0 1  =612362\n0 2  =c3a4\n");
	refused(": PSK hush\n", 1, "double quotes");
	refused(": PSK 0hush\n", 1, "double quotes");
	refused(": PSK 0xhush\n", 1, "hexadecimal");
	refused(": PSK 0xabc\n", 1, "hexadecimal");
	refused(": PSK 0xa_bc\n", 1, "hexadecimal");
	refused(": PSK 0x_ab\n", 1, "hexadecimal");
	refused(": PSK 0xab_\n", 1, "hexadecimal");
	refused(": PSK 0xab__cd\n", 1, "hexadecimal");
	refused(": PSK 0shush!\n", 1, "base64");
	refused(": PSK 0sYWJjh\n", 1, "base64");
	refused(": PSK 0sYR==\n", 1, "base64");
	refused(": PSK 0sYWI==\n", 1, "base64");
	refused(": PSK 0s=\n", 1, "base64");
	refused(": PSK \"\"\n", 1, "empty");
	refused(": PSK 0x\n", 1, "empty");
	refused(": PSK 0s\n", 1, "empty");
}

static void wrong_entries(void **state)
{
	(void)state;
	refused("@a :\n\n@b : PSK \"hush\"\n", 1, "ends behind its ':'");
	refused("@a : PSK\n", 1, "has no secret");
	refused("@a : PPKS\n", 1, "no name for its PPK");
	refused("@a : hush \"hush\"\n", 1, "expected PSK, XAUTH or PPKS");
	refused(": \"hush\"\n", 1, "expected PSK, XAUTH or PPKS");
	refused("@a : PSK \"hush\" hush\n", 1, "behind the secret");
	refused("@a : PSK \"hush\n", 1, "closing quote");
	refused("@a : PSK \"hush\"hush\n", 1, "behind a quote");
	refused("@a @b\n: PSK \"hush\"\n", 1, "no ':'");
	refused("@a\"hush\" : PSK \"hush\"\n", 1, "around a whole word");
	refused("\"\" : PSK \"hush\"\n", 1, "an index of 0 bytes");
	refused(" @a : PSK \"hush\"\n", 1, "none before it");
	refused("@a : PSK \"good\"\n: PSK \"hush\001\"\n", 2, "control character");
}

static void all_or_nothing(void **state)
{
	(void)state;
	refused("@a : PSK \"one\"\n@b : PSK \"two\"\n@c : PSK hush\n", 3, "double quotes");
	refuse_at = 2;
	test_dir_puts(
		&dir, "ipsec.secrets", "@a : PSK \"one\"\n@b : PSK \"two\"\n@c : PSK \"3\"\n");
	assert_false(read_again());
	refuse_at = 0;
	assert_string_equal(error, "no room for line 2");
	assert_string_equal(got, "0 1 @a =6f6e65\n");
}

static void includes(void **state)
{
	(void)state;
	test_dir_puts(&dir, "b.part", "@b : PSK \"b\"\n");
	test_dir_puts(&dir, "a.part", "@a\n : PSK \"a\"");
	gives("include *.part\ninclude \"a.part\" # again\ninclude *.none\n: PSK \"c\"\n",
		"0 1 @a =61\n0 1 @b =62\n0 1 @a =61\n0 4  =63\n");
	refused("include missing\n", 1, "missing: No such file");
	refused("include\n", 1, "needs the name");
	refused("include a.part b.part\n", 1, "behind the included file");
	refused("include ipsec.secrets\n", 1, "includes itself");
	refused("include a.part\n : PSK \"hush\"\n", 2, "none before it");
	test_dir_puts(&dir, "a.part", "@a : PSK hush\n");
	test_dir_puts(&dir, "ipsec.secrets", "include a.part\n");
	assert_false(read_again());
	assert_non_null(strstr(error, "/a.part:1: "));
}

static void too_many_indices(void **state)
{
	(void)state;
	char text[8192] = "";
	size_t used = 0;
	for (unsigned i = 0; i < 1025; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "@%u ", i);
	snprintf(text + used, sizeof(text) - used, ": PSK \"hush\"\n");
	refused(text, 1, "more than 1024 indices");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(colons),
		cmocka_unit_test(private_keys_are_passed_over),
		cmocka_unit_test(values),
		cmocka_unit_test(wrong_entries),
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(includes),
		cmocka_unit_test(too_many_indices),
	};
	return cmocka_run_group_tests_name("secrets_file", tests, setup, teardown);
}
