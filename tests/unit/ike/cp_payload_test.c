/* The Configuration payload: bytes as RFC 7296, section 3.15.1 draws them, both ways, and what is
 * malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cp_payload.h"

#define SLICE(s) ((struct bytes){.data = (const uint8_t *)(s), .len = sizeof(s) - 1})

/* From memory of exactly its length, so that a sanitizer sees a read past it. */
static bool decode(struct bytes body, struct configuration *out)
{
	uint8_t *copy = malloc(body.len ? body.len : 1);
	bool ok;

	if (body.len)
		memcpy(copy, body.data, body.len);
	ok = cp_payload_decode(bytes_of(copy, body.len), out);
	free(copy);
	return ok;
}

static void assert_ip(const struct ip_address *a, const char *expected)
{
	char text[IP_TEXT_MAX];

	assert_string_equal(ip_text(a, text), expected);
}

static void a_request_names_what_it_wants(void **state)
{
	static const char body[] = "\1\0\0\0"
				   "\0\1\0\0"                 /* INTERNAL_IP4_ADDRESS, any */
				   "\0\3\0\0"                 /* INTERNAL_IP4_DNS */
				   "\x80\x08\0\x11\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x40"
				   "\0\x19\0\0"               /* INTERNAL_DNS_DOMAIN */
				   "\0\7\0\3" "abc"           /* APPLICATION_VERSION */
				   "\x7a\xbc\0\2" "zz";       /* unknown */
	struct configuration c;

	(void)state;
	assert_true(decode(SLICE(body), &c));
	assert_int_equal(c.type, CFG_REQUEST);
	assert_true(c.names_ip4 && c.names_ip6 && c.names_dns && c.names_domain);
	assert_true(ip_is_unset(&c.ip4));
	assert_ip(&c.ip6, "2001:db8::7");
	assert_int_equal(c.dns_count, 0);
	assert_int_equal(c.domain_count, 0);
}

static void a_reply_is_taken_apart(void **state)
{
	static const char body[] = "\2\0\0\0"
				   "\0\1\0\4\x0a\5\0\x0a"
				   "\0\2\0\4\xff\xff\xff\xff"
				   "\0\3\0\4\x0a\0\0\1"
				   "\0\xa\0\x10\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\x35"
				   "\0\xd\0\x8\x0a\1\0\0\xff\xff\0\0"
				   "\0\xf\0\x11\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\0\x20"
				   "\0\x19\0\xc" "example.test"
				   "\x70\0\0\5" "hello";
	struct configuration c;
	char text[IP_RANGE_TEXT_MAX];

	(void)state;
	assert_true(decode(SLICE(body), &c));
	assert_int_equal(c.type, CFG_REPLY);
	assert_ip(&c.ip4, "10.5.0.10");
	assert_ip(&c.netmask, "255.255.255.255");
	assert_int_equal(c.dns_count, 2);
	assert_ip(&c.dns[0], "10.0.0.1");
	assert_ip(&c.dns[1], "2001:db8::35");
	assert_int_equal(c.subnet_count, 2);
	assert_string_equal(ip_range_text(&c.subnets[0], text), "10.1.0.0/16");
	assert_string_equal(ip_range_text(&c.subnets[1], text), "2001:db8::/32");
	assert_int_equal(c.domain_count, 1);
	assert_int_equal(c.domains[0].len, 12);
	assert_int_equal(c.banner.len, 5);
}

static void malformed_ones_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
#define CASE(s) {s, sizeof(s) - 1}
		CASE(""), CASE("\1\0\0"), CASE("\0\0\0\0"), CASE("\5\0\0\0"),
		CASE("\1\0\0\0\0"), CASE("\1\0\0\0\0\1\0"), CASE("\1\0\0\0\0\1\0\4\1\2\3"),
		CASE("\1\0\0\0\0\1\0\3\1\2\3"), CASE("\1\0\0\0\0\1\0\5\1\2\3\4\5"),
		CASE("\2\0\0\0\0\xa\0\4\1\2\3\4"),
		CASE("\2\0\0\0\0\x8\0\x10" "0123456789abcdef"),
		CASE("\2\0\0\0\0\x8\0\x11" "0123456789abcdef\x81"),
		CASE("\2\0\0\0\0\xd\0\x8\x0a\1\0\0\xff\0\xff\0"),
		CASE("\2\0\0\0\0\xf\0\x11" "0123456789abcdef\x81"),
		CASE("\1\0\0\0\0\7\xff\xff"),
	};
	struct configuration c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_false(decode(bytes_of(cases[i].bytes, cases[i].len), &c));
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
	static uint8_t body[4 + 3000 * 8];
	struct writer w = writer_of(body, sizeof(body));
	struct configuration c;

	(void)state;
	write_u32(&w, 0x02000000);
	for (unsigned i = 0; i < 1000; i++) {
		write_u16(&w, INTERNAL_IP4_DNS);
		write_u16(&w, 4);
		write_u32(&w, i);
		write_u16(&w, INTERNAL_DNS_DOMAIN);
		write_u16(&w, 1);
		write_u8(&w, 'x');
	}
	assert_true(decode(writer_bytes(&w), &c));
	assert_int_equal(c.dns_count, CONFIGURATION_DNS_MAX);
	assert_int_equal(c.domain_count, CONFIGURATION_DOMAINS_MAX);
	for (size_t len = 0; len < 64; len++)
		decode(bytes_of(body, len), &c);
}

static void what_is_written_is_read(void **state)
{
	static const struct ike_header header = {.version = IKE_VERSION_2};
	struct ip_address ip4 = ip_v4(0x0a050001), ip6;
	uint8_t buffer[400];
	struct message_writer m;
	struct configuration c;

	(void)state;
	assert_true(ip_parse("2001:db8::5", &ip6));
	message_begin(&m, buffer, sizeof(buffer), &header);
	cp_payload_begin(&m, CFG_REPLY);
	cp_address(&m, &ip4);
	cp_address(&m, &ip6);
	cp_dns(&m, &ip6);
	cp_dns(&m, &ip4);
	cp_attribute(&m, INTERNAL_DNS_DOMAIN, SLICE("a.test"));
	cp_payload_end(&m);
	assert_true(message_end(&m));
	assert_true(decode(bytes_of(buffer + IKE_HEADER_LEN + 4,
				   writer_len(&m.w) - IKE_HEADER_LEN - 4),
		&c));
	assert_true(ip_equal(&c.ip4, &ip4) && ip_equal(&c.ip6, &ip6));
	assert_int_equal(c.dns_count, 2);
	assert_true(ip_equal(&c.dns[0], &ip6) && ip_equal(&c.dns[1], &ip4));
	assert_int_equal(c.domain_count, 1);
}

static void domains_are_only_what_a_script_may_see(void **state)
{
	char text[DOMAIN_TEXT_MAX];
	static char long_one[300];

	(void)state;
	assert_true(configuration_domain_text(SLICE("example.test"), text));
	assert_string_equal(text, "example.test");
	assert_true(configuration_domain_text(SLICE("_sip.x-1.test."), text));
	assert_false(configuration_domain_text(SLICE(""), text));
	assert_false(configuration_domain_text(SLICE(".test"), text));
	assert_false(configuration_domain_text(SLICE("-v"), text));
	assert_false(configuration_domain_text(SLICE("a..test"), text));
	assert_false(configuration_domain_text(SLICE("a b"), text));
	assert_false(configuration_domain_text(SLICE("$(reboot)"), text));
	assert_false(configuration_domain_text(SLICE("a\0b"), text));
	assert_false(configuration_domain_text(SLICE("a\nb"), text));
	memset(long_one, 'x', sizeof(long_one));
	assert_true(configuration_domain_text(bytes_of(long_one, 253), text));
	assert_false(configuration_domain_text(bytes_of(long_one, 254), text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_names_what_it_wants),
		cmocka_unit_test(a_reply_is_taken_apart),
		cmocka_unit_test(malformed_ones_are_refused),
		cmocka_unit_test(more_than_there_is_room_for_is_left_out),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(domains_are_only_what_a_script_may_see),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
