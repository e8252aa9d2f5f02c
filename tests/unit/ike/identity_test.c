/* Identities: text forms, payloads, comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ike/identity.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct identity *parse(const char *text)
{
	char error[200] = "";
	struct identity *id = identity_parse(text, error, sizeof(error));

	if (id == NULL)
		fail_msg("'%s': %s", text, error);
	return id;
}

static void parses_and_shows_every_form(void **state)
{
	static const struct {
		const char *text;
		uint8_t kind, len;
		const char *shown;
	} cases[] = {
		{"192.0.2.1", ID_IPV4_ADDR, 4, "192.0.2.1"},
		{"2001:DB8::1", ID_IPV6_ADDR, 16, "2001:db8::1"},
		{"@a.test", ID_FQDN, 6, "@a.test"},
		{"a.test", ID_FQDN, 6, "@a.test"},
		{"@10.1.2.3", ID_FQDN, 8, "@10.1.2.3"},
		{"user@a.test", ID_RFC822_ADDR, 11, "user@a.test"},
		{"@user@a.test", ID_RFC822_ADDR, 11, "user@a.test"},
		{"@[branch 12]", ID_KEY_ID, 9, "@[branch 12]"},
		{"@[a@b]", ID_KEY_ID, 3, "@[a@b]"},
		{"@#616263", ID_KEY_ID, 3, "@[abc]"},
		{"@#0x00ff", ID_KEY_ID, 2, "@#00ff"},
		{"@#5d", ID_KEY_ID, 1, "@#5d"},
		{"@~3000", ID_DER_ASN1_DN, 2, "@~3000"},
		{"%any", ID_ANY, 0, "%any"},
		{"%ANY6", ID_ANY, 0, "%any"},
		{"0.0.0.0", ID_ANY, 0, "%any"},
		{"::", ID_ANY, 0, "%any"},
		{"%null", ID_NULL, 0, "%null"},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[IDENTITY_TEXT_MAX];
		struct identity *id = parse(cases[i].text);
		assert_int_equal(id->kind, cases[i].kind);
		assert_int_equal(id->len, cases[i].len);
		assert_string_equal(identity_text(id, text), cases[i].shown);
		struct identity *again = parse(text);
		assert_true(identity_equal(id, again));
		identity_unref(again);
		identity_unref(id);
	}
}

static void refuses_with_a_reason(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"", "empty"},
		{"@", "empty"},
		{"@[]", "closing"},
		{"@[abc", "closing"},
		{"@#", "missing"},
		{"@#0x", "missing"},
		{"@#123", "even number"},
		{"@#zz", "even number"},
		{"192.0.2.256", "IPv4"},
		{"192.0.2", "IPv4"},
		{"2001:db8::g", "IPv6"},
		{"@two words", "blanks"},
		{"a\tb", "blanks"},
		{"@\xc3\xa9.test", "unprintable"},
		{"user@", "user@domain"},
		{"@user@", "user@domain"},
		{"a@b@c", "user@domain"},
		{"%fromcert", "%any"},
		{"%", "%any"},
		{"C=DE, CN", "distinguished"},
		{"=x", "distinguished"},
		{"C=DE, CN=", "distinguished"},
		{"C=Germany", "cannot be part"},
		{"nonsense=x", "cannot be part"},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char error[200] = "";
		struct identity *id = identity_parse(cases[i].text, error, sizeof(error));
		assert_null(id);
		if (strstr(error, cases[i].reason) == NULL)
			fail_msg("'%s': %s", cases[i].text, error);
	}
}

static void refuses_what_is_too_long(void **state)
{
	char *text = malloc(IDENTITY_LEN_MAX * 2 + 8);
	char error[120];
	(void)state;

	memset(text, 'a', IDENTITY_LEN_MAX);
	text[IDENTITY_LEN_MAX] = '\0';
	struct identity *id = identity_parse(text, error, sizeof(error));
	assert_non_null(id);
	assert_int_equal(id->len, IDENTITY_LEN_MAX);
	identity_unref(id);
	strcat(text, "a");
	assert_null(identity_parse(text, error, sizeof(error)));
	assert_non_null(strstr(error, "too long"));

	memset(text, 'b', IDENTITY_LEN_MAX * 2 + 4);
	memcpy(text, "@#", 2);
	text[IDENTITY_LEN_MAX * 2 + 4] = '\0';
	assert_null(identity_parse(text, error, sizeof(error)));
	assert_non_null(strstr(error, "too long"));
	assert_null(identity_parse(text, error, 3)); /* an error buffer may be small */
	assert_null(identity_new(ID_KEY_ID, bytes_of(text, IDENTITY_LEN_MAX + 1)));
	free(text);
}

static void decodes_payloads(void **state)
{
	static const struct {
		const char *body;
		size_t len;
		const char *shown; /* NULL: refused */
	} cases[] = {
		{"\x01\0\0\0\xc0\0\x02\x01", 8, "192.0.2.1"},
		{"\x01\xff\xff\xff\xc0\0\x02\x01", 8, "192.0.2.1"}, /* RESERVED is not looked at */
		{"\x01\0\0\0\xc0\0\x02", 7, NULL},
		{"\x01\0\0\0\xc0\0\x02\x01\0", 9, NULL},
		{"\x05\0\0\0\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 20, "2001:db8::1"},
		{"\x05\0\0\0\xc0\0\x02\x01", 8, NULL},
		{"\x02\0\0\0a.test", 10, "@a.test"},
		{"\x02\0\0\0", 4, NULL},
		{"\x02\0\0\0a\0b", 7, NULL},
		{"\x02\0\0\0a\nb'", 8, "@a\\012b\\047"},
		{"\x03\0\0\0u@a.test", 12, "u@a.test"},
		{"\x03\0\0\0", 4, NULL},
		{"\x09\0\0\0\x30\0", 6, "@~3000"},
		{"\x0b\0\0\0key", 7, "@[key]"},
		{"\x0b\0\0\0k\0y", 7, "@#6b0079"},
		{"\x0b\0\0\0", 4, NULL},
		{"\x0d\0\0\0", 4, "%null"},
		{"\x0d\0\0\0x", 5, NULL},
		{"\0\0\0\0", 4, NULL}, /* %any must never come from a peer */
		{"\0\0\0\0\xc0\0\x02\x01", 8, NULL},
		{"\x0c\0\0\0x", 5, NULL},
		{"\xff\0\0\0x", 5, NULL},
		{"\x02\0\0", 3, NULL},
		{"", 0, NULL},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char error[120] = "", text[IDENTITY_TEXT_MAX];
		struct identity *id = identity_from_payload(
			bytes_of(cases[i].body, cases[i].len), error, sizeof(error));
		if (cases[i].shown == NULL) {
			assert_null(id);
			assert_true(strlen(error) > 10);
			continue;
		}
		assert_non_null(id);
		assert_string_equal(identity_text(id, text), cases[i].shown);
		identity_unref(id);
	}
}

static void a_long_foreign_name_is_cut_whole(void **state)
{
	uint8_t body[4 + IDENTITY_LEN_MAX + 1] = {ID_FQDN};
	char text[IDENTITY_TEXT_MAX], error[80];
	(void)state;

	memset(body + 4, 0x01, sizeof(body) - 4);
	struct identity *id =
		identity_from_payload(bytes_of(body, sizeof(body) - 1), error, sizeof(error));
	assert_non_null(id);
	identity_text(id, text);
	assert_true(strlen(text) < IDENTITY_TEXT_MAX);
	assert_int_equal((strlen(text) - 1) % 4, 0); /* '@' and whole escapes */
	identity_unref(id);
	assert_null(identity_from_payload(bytes_of(body, sizeof(body)), error, sizeof(error)));
	assert_non_null(strstr(error, "too long"));
}

static void compares(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{"@A.Test", "@a.tEST", true},
		{"@a.test", "@b.test", false},
		{"@a.test", "@a.test.", false},
		{"user@A.test", "user@a.test", true},
		{"User@a.test", "user@a.test", false}, /* a mailbox may tell cases apart */
		{"@[Key]", "@[key]", false},
		{"@[key]", "@#6b6579", true},
		{"192.0.2.1", "@192.0.2.1", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"%any", "%any", true},
		{"%null", "%any", false},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct identity *a = parse(cases[i].a), *b = parse(cases[i].b);
		assert_int_equal(identity_equal(a, b), cases[i].equal);
		assert_int_equal(identity_equal(b, a), cases[i].equal);
		assert_int_equal(identity_matches(a, b), cases[i].equal || a->kind == ID_ANY);
		if (cases[i].equal)
			assert_true(identity_hash(a) == identity_hash(b));
		else
			assert_true(identity_hash(a) != identity_hash(b));
		identity_unref(a);
		identity_unref(b);
	}
}

static void any_matches_everything_but_is_matched_only_by_itself(void **state)
{
	struct identity *any = parse("%any"), *name = parse("@a.test"), *null = parse("%null");
	(void)state;

	assert_true(identity_matches(any, name));
	assert_true(identity_matches(any, null));
	assert_false(identity_matches(name, any));
	assert_false(identity_matches(name, null));
	identity_unref(any);
	identity_unref(name);
	identity_unref(null);
}

static void references_keep_it(void **state)
{
	struct ip_address unset = {0};
	struct ip_address v6;
	(void)state;

	struct identity *id = parse("@a.test");
	struct identity *other = identity_ref(id);
	assert_ptr_equal(other, id);
	identity_unref(id);
	assert_int_equal(other->kind, ID_FQDN);
	identity_unref(other);
	identity_unref(NULL);

	id = identity_of_address(&unset);
	assert_int_equal(id->kind, ID_ANY);
	identity_unref(id);
	assert_true(ip_parse("2001:db8::7", &v6));
	id = identity_of_address(&v6);
	assert_int_equal(id->kind, ID_IPV6_ADDR);
	assert_memory_equal(id->data, v6.bytes, 16);
	identity_unref(id);
}

static void kinds_have_names(void **state)
{
	(void)state;
	assert_string_equal(identity_kind_name(ID_FQDN), "FQDN");
	assert_string_equal(identity_kind_name(ID_RFC822_ADDR), "USER_FQDN");
	assert_string_equal(identity_kind_name(ID_IPV6_ADDR), "IPV6_ADDR");
	assert_string_equal(identity_kind_name(200), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_shows_every_form),
		cmocka_unit_test(refuses_with_a_reason),
		cmocka_unit_test(refuses_what_is_too_long),
		cmocka_unit_test(decodes_payloads),
		cmocka_unit_test(a_long_foreign_name_is_cut_whole),
		cmocka_unit_test(compares),
		cmocka_unit_test(any_matches_everything_but_is_matched_only_by_itself),
		cmocka_unit_test(references_keep_it),
		cmocka_unit_test(kinds_have_names),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
