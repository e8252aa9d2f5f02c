#include "config/conf_file.h"
#include "test_dir.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct test_dir dir;
static struct conf_file conf;
static char error[1024];
static char warnings[1024];

static void take_warning(const char *text, void *arg)
{
	(void)arg;
	strncat(warnings, text, sizeof(warnings) - strlen(warnings) - 1);
	strncat(warnings, "\n", sizeof(warnings) - strlen(warnings) - 1);
}

static bool read_again(void)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/ipsec.conf", dir.path);
	conf_file_release(&conf);
	error[0] = warnings[0] = '\0';
	return conf_file_read(path, &conf, take_warning, NULL, error, sizeof(error));
}

static bool read_text(const char *text)
{
	test_dir_puts(&dir, "ipsec.conf", text);
	return read_again();
}

/* The text is refused, with this reason at this line of ipsec.conf. */
static void refused(const char *text, unsigned line, const char *reason)
{
	char place[200];
	assert_false(read_text(text));
	snprintf(place, sizeof(place), "%s/ipsec.conf:%u: ", dir.path, line);
	if (strncmp(error, place, strlen(place)) != 0 || strstr(error, reason) == NULL)
		fail_msg("\"%s\" is not \"%s...%s\"", error, place, reason);
	assert_int_equal(conf.conn_count, 0);
}

static const struct conf_section *conn(const char *name)
{
	for (size_t i = 0; i < conf.conn_count; i++)
		if (strcmp(conf.conns[i].name, name) == 0)
			return &conf.conns[i];
	fail_msg("no conn %s", name);
	return NULL;
}

static const char *value(const char *name, const char *key)
{
	const char *v = keyvalues_get(&conn(name)->parameters, key);
	return v != NULL ? v : "(none)";
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
	conf_file_release(&conf);
	test_dir_remove(&dir);
	return 0;
}

static void sections_and_values(void **state)
{
	(void)state;
	assert_true(read_text("# a comment\n"
			      "version 2.0\n"
			      "config setup\n"
			      "\tUniqueIDs=no # why\n"
			      "    logfile = /var/log/pluto.log\n"
			      "\n"
			      "conn east-west\n"
			      "# in between\n"
			      "\tleft=192.0.2.1\n"
			      "\n"
			      "\tleftid=\"C=CA, O=a # b\"\t# comment\n"
			      "\tleftsubnets={10.0.1.0/24 10.0.2.0/24}\n"
			      "\trightid=@a#b\n"
			      "\tupdown=\n"
			      "\tx-note=whatever\n"
			      "\tX_note=a\n"
			      "conn 2nd.conn_\r\n"
			      "\tright=%any\r\n"));
	assert_string_equal(keyvalues_get(&conf.setup.parameters, "uniqueids"), "no");
	assert_string_equal(keyvalues_get(&conf.setup.parameters, "logfile"), "/var/log/pluto.log");
	assert_int_equal(conf.setup.line, 3);
	assert_null(conf.setup.name);
	assert_int_equal(conf.conn_count, 2);
	assert_string_equal(value("east-west", "left"), "192.0.2.1");
	assert_string_equal(value("east-west", "leftid"), "C=CA, O=a # b");
	assert_string_equal(value("east-west", "leftsubnets"), "10.0.1.0/24 10.0.2.0/24");
	assert_string_equal(value("east-west", "rightid"), "@a#b");
	assert_string_equal(value("east-west", "updown"), "");
	assert_int_equal(conn("east-west")->parameters.count, 5);
	assert_int_equal(conn("east-west")->line, 7);
	assert_int_equal(conn("east-west")->origins[1].line, 11);
	assert_string_equal(conn("east-west")->origins[1].file, conn("east-west")->file);
	assert_string_equal(value("2nd.conn_", "right"), "%any");
	assert_string_equal(warnings, "");
}

static void no_end_of_line_and_nothing(void **state)
{
	(void)state;
	assert_true(read_text("conn a\n left=1.2.3.4"));
	assert_string_equal(value("a", "left"), "1.2.3.4");
	assert_true(read_text(""));
	assert_int_equal(conf.conn_count, 0);
	assert_int_equal(conf.setup.line, 0);
	assert_true(read_text("conn a"));
	assert_int_equal(conn("a")->parameters.count, 0);
}

static void duplicates_are_warned_of(void **state)
{
	(void)state;
	char text[300];
	assert_true(read_text("conn a\n left=1.1.1.1\n LEFT=2.2.2.2\n"));
	assert_string_equal(value("a", "left"), "1.1.1.1");
	snprintf(text, sizeof(text), "%s/ipsec.conf:3: a: duplicate LEFT= is ignored\n", dir.path);
	assert_string_equal(warnings, text);
}

static void defaults_reach_later_conns(void **state)
{
	(void)state;
	assert_true(read_text("conn early\n ike=aes\n"
			      "conn %default\n ike=aes_gcm256\n pfs=no\n"
			      "conn own\n ike=aes128\n"
			      "conn bare\n"
			      "conn %default\n esn=yes\n"
			      "conn late\n"));
	assert_int_equal(conf.conn_count, 4);
	assert_string_equal(value("early", "pfs"), "(none)");
	assert_string_equal(value("own", "ike"), "aes128");
	assert_string_equal(value("own", "pfs"), "no");
	assert_string_equal(value("bare", "ike"), "aes_gcm256");
	assert_string_equal(value("bare", "esn"), "(none)");
	assert_string_equal(value("late", "esn"), "yes");
}

static void also_is_merged(void **state)
{
	(void)state;
	assert_true(read_text("conn %default\n pfs=no\n esn=no\n"
			      "conn a\n also=b\n also=c\n left=1.1.1.1\n"
			      "conn b\n left=2.2.2.2\n right=2.2.2.2\n also=d\n"
			      "conn c\n right=3.3.3.3\n ike=c\n pfs=yes\n"
			      "conn d\n ike=d\n"));
	assert_string_equal(value("a", "left"), "1.1.1.1");
	assert_string_equal(value("a", "right"), "2.2.2.2");
	/* d comes by b, before c; the defaults come last, also those of b. */
	assert_string_equal(value("a", "ike"), "d");
	assert_string_equal(value("a", "pfs"), "yes");
	assert_string_equal(value("a", "esn"), "no");
	assert_string_equal(value("a", "also"), "(none)");
	assert_string_equal(warnings, "");
}

static void also_goes_wrong(void **state)
{
	(void)state;
	refused("conn a\n also=b\nconn b\n also=a\n", 4, "includes itself");
	refused("conn a\n also=a\n", 2, "includes itself");
	refused("conn a\n also=nobody\n", 2, "no such conn");
	refused("config setup\n also=a\n", 2, "named conn");
	refused("conn %default\n also=a\n", 2, "named conn");
}

static void make_chain(char *text, size_t size, unsigned conns, bool backwards)
{
	size_t used = 0;
	for (unsigned i = 0; i < conns; i++) {
		unsigned n = backwards ? conns - 1 - i : i;
		used += (size_t)snprintf(text + used, size - used, "conn c%u\n k%u=%u\n", n, n, n);
		if (n + 1 < conns)
			used += (size_t)snprintf(text + used, size - used, " also=c%u\n", n + 1);
	}
}

static void also_is_bounded(void **state)
{
	(void)state;
	char text[4096];
	for (int backwards = 0; backwards < 2; backwards++) {
		make_chain(text, sizeof(text), 33, backwards);
		assert_true(read_text(text));
		assert_string_equal(value("c0", "k32"), "32");
		make_chain(text, sizeof(text), 34, backwards);
		assert_false(read_text(text));
		assert_non_null(strstr(error, "also= is nested deeper than 32"));
	}
}

static void wrong_lines(void **state)
{
	(void)state;
	refused(" left=1.1.1.1\n", 1, "outside of a section");
	refused("conn a\n\n left\n", 3, "'=' is missing");
	refused("left=1.1.1.1\n", 1, "parameters are indented");
	refused("conn\n", 1, "is not a name");
	refused("conn -a\n", 1, "is not a name");
	refused("conn a/b\n", 1, "is not a name");
	refused("conn a b\n", 1, "unexpected \"b\"");
	refused("config foo\n", 1, "only \"config setup\"");
	refused("config\n", 1, "only \"config setup\"");
	refused("conn a\n 1left=1\n", 2, "not the name of a parameter");
	refused("conn a\n =1\n", 2, "not the name of a parameter");
	refused("conn a\n left=a b\n", 2, "double quotes");
	refused("conn a\n left=\"a b\n", 2, "closing \" is missing");
	refused("conn a\n left={a b\n", 2, "closing } is missing");
	refused("conn a\n left=\"a\"b\n", 2, "unexpected \"b\"");
	refused("conn a\n left=a\"b\"\n", 2, "double quote");
	refused("conn a\nconn b\nconn a\n", 3, "is there already");
	refused("conn a\n left=a\001b\n", 2, "control character \\001 at column 8");
	refused("conn a\n left=a\rb\n", 2, "control character \\015");
	refused("conn a\n left=a\177\n", 2, "control character \\177");
}

static void bytes_that_are_no_text(void **state)
{
	(void)state;
	static const char nul[] = "conn a\n left=1\0.1\n";
	test_dir_write(&dir, "ipsec.conf", nul, sizeof(nul) - 1);
	assert_false(read_again());
	assert_non_null(strstr(error, ":2: control character \\000 at column 8"));
}

static void long_lines(void **state)
{
	(void)state;
	size_t size = 70000;
	char *text = malloc(size);
	assert_non_null(text);
	memset(text, 'a', size);
	memcpy(text, "conn a\n k=", 10);
	text[7 + 65536] = '\0';
	assert_true(read_text(text));
	assert_int_equal(strlen(value("a", "k")), 65536 - 3);
	text[7 + 65536] = 'a';
	text[7 + 65537] = '\0';
	refused(text, 2, "longer than 65536");
	free(text);
}

static void too_many_parameters(void **state)
{
	(void)state;
	char text[16384] = "conn a\n";
	size_t used = strlen(text);
	for (unsigned i = 0; i < 512; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " k%u=\n", i);
	assert_true(read_text(text));
	snprintf(text + used, sizeof(text) - used, " last=\n");
	refused(text, 514, "more than 512 parameters");
	snprintf(text + used, sizeof(text) - used, "conn b\n also=a\n more=\n");
	assert_false(read_text(text));
	assert_non_null(strstr(error, "conn b has more than 512 parameters"));
}

static void includes(void **state)
{
	(void)state;
	test_dir_puts(&dir, "b.conn", "conn b\n left=2.2.2.2\n");
	test_dir_puts(&dir, "a.conn", "conn a\n left=1.1.1.1\n");
	assert_true(read_text("include *.conn # both\ninclude none*.conn\nconn c\n"));
	assert_int_equal(conf.conn_count, 3);
	assert_string_equal(conf.conns[0].name, "a");
	assert_string_equal(value("b", "left"), "2.2.2.2");
	assert_non_null(strstr(conn("b")->file, "/b.conn"));
	assert_int_equal(conn("b")->line, 1);
	assert_true(read_text("include \"a.conn\"\n"));
	assert_int_equal(conf.conn_count, 1);

	refused("\ninclude missing.conn\n", 2, "missing.conn: No such file");
	refused("include\n", 1, "needs the name");
	refused("include a.conn\n right=1\n", 2, "outside of a section");
	refused("include .\n", 1, "not a regular file");
	test_dir_puts(&dir, "a.conn", "conn a\n oops\n");
	assert_false(read_text("include a.conn\n"));
	assert_non_null(strstr(error, "/a.conn:2: '=' is missing"));
}

static void include_loops(void **state)
{
	(void)state;
	refused("include ipsec.conf\n", 1, "includes itself");
	test_dir_puts(&dir, "a.conn", "include b.conn\n");
	test_dir_puts(&dir, "b.conn", "include ./a.conn\n");
	assert_false(read_text("include a.conn\n"));
	assert_non_null(strstr(error, "/b.conn:1: "));
	assert_non_null(strstr(error, "includes itself"));
}

static void include_depth(void **state)
{
	(void)state;
	char name[32], text[32];
	for (unsigned i = 1; i <= 11; i++) {
		snprintf(name, sizeof(name), "%u.conn", i);
		snprintf(text, sizeof(text), "include %u.conn\n", i + 1);
		test_dir_puts(&dir, name, i == 10 ? "conn deep\n" : text);
	}
	assert_true(read_text("include 1.conn\n"));
	assert_int_equal(conf.conn_count, 1);
	test_dir_puts(&dir, "10.conn", "include 11.conn\n");
	test_dir_puts(&dir, "11.conn", "conn deep\n");
	assert_false(read_text("include 1.conn\n"));
	assert_non_null(strstr(error, "/10.conn:1: include files are nested deeper than 10"));
}

static void unusual_files(void **state)
{
	(void)state;
	struct conf_file out;
	assert_false(conf_file_read("/nowhere/ipsec.conf", &out, NULL, NULL, error, sizeof(error)));
	assert_string_equal(error, "/nowhere/ipsec.conf: No such file or directory");
	assert_false(conf_file_read(dir.path, &out, NULL, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "not a regular file"));
	assert_true(conf_file_read("/dev/null", &out, NULL, NULL, error, sizeof(error)));
	conf_file_release(&out);
	assert_false(conf_file_read("/dev/zero", &out, NULL, NULL, error, sizeof(error)));
	assert_string_equal(error, "/dev/zero: is longer than 64 MiB");
	/* A fifo without a writer must not make the reader wait. */
	char path[200];
	snprintf(path, sizeof(path), "%s/fifo", dir.path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(conf_file_read(path, &out, NULL, NULL, error, sizeof(error)));
	assert_non_null(strstr(error, "not a regular file"));
	/* A small buffer for the reason is enough. */
	char small[8];
	assert_false(conf_file_read("/nowhere", &out, NULL, NULL, small, sizeof(small)));
	assert_string_equal(small, "/nowher");
}

static void many_conns(void **state)
{
	(void)state;
	enum { CONNS = 50000 };
	char *text = malloc(CONNS * 64);
	assert_non_null(text);
	size_t used = (size_t)sprintf(text, "conn template\n left=192.0.2.1\n");
	for (unsigned i = 0; i < CONNS; i++) {
		used += (size_t)sprintf(
			text + used, "conn c%u\n also=template\n rightid=@c%u\n", i, i);
	}
	assert_true(read_text(text));
	free(text);
	assert_int_equal(conf.conn_count, CONNS + 1);
	assert_string_equal(value("c49999", "left"), "192.0.2.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_and_values),
		cmocka_unit_test(no_end_of_line_and_nothing),
		cmocka_unit_test(duplicates_are_warned_of),
		cmocka_unit_test(defaults_reach_later_conns),
		cmocka_unit_test(also_is_merged),
		cmocka_unit_test(also_goes_wrong),
		cmocka_unit_test(also_is_bounded),
		cmocka_unit_test(wrong_lines),
		cmocka_unit_test(bytes_that_are_no_text),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(too_many_parameters),
		cmocka_unit_test(includes),
		cmocka_unit_test(include_loops),
		cmocka_unit_test(include_depth),
		cmocka_unit_test(unusual_files),
		cmocka_unit_test(many_conns),
	};
	return cmocka_run_group_tests_name("conf_file", tests, setup, teardown);
}
