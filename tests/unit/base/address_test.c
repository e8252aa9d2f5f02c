#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"

static struct ip_address parsed(const char *text)
{
	struct ip_address a;

	if (!ip_parse(text, &a))
		fail_msg("\"%s\" was refused", text);
	return a;
}

static struct ip_range range(const char *text)
{
	struct ip_range r;

	if (!ip_range_parse(text, &r))
		fail_msg("\"%s\" was refused", text);
	return r;
}

static struct ip_subnet subnet(const char *text)
{
	struct ip_subnet s;

	if (!ip_subnet_parse(text, &s))
		fail_msg("\"%s\" was refused", text);
	return s;
}

static void address_texts(void **state)
{
	/* RFC 5952's own examples are among them. */
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"0.0.0.0", "0.0.0.0"},
		{"192.0.2.1", "192.0.2.1"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:0db8::0001", "2001:db8::1"},
		{"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"2001:DB8:AAAA::B", "2001:db8:aaaa::b"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	char out[IP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_address a = parsed(cases[i].in);

		assert_string_equal(ip_text(&a, out), cases[i].out);
	}
}

static void refused_addresses(void **state)
{
	static const char *const bad[] = {"", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256",
		"1.2.3.-4", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4/32", "0x1.2.3.4",
		"example.com", "localhost", ":", ":::", "1::2::3", "2001:db8::g", "fe80::1%eth0",
		"[::1]", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::1.2.3",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111",
		"%any", "1,2,3,4"};
	struct ip_address a = ip_v4(42);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ip_parse(bad[i], &a))
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_true(a.family == AF_INET && a.bytes[3] == 42);
}

static void construction(void **state)
{
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct ip_address a = ip_v4(0xc0000201), b = parsed("192.0.2.1");
	char out[IP_TEXT_MAX];

	(void)state;
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(ip_equal(&a, &b));
	a = ip_from_bytes(AF_INET, v6);
	assert_string_equal(ip_text(&a, out), "32.1.13.184");
	b = ip_v4(0x20010db8);
	assert_memory_equal(&a, &b, sizeof(a));
	a = ip_from_bytes(AF_INET6, v6);
	assert_string_equal(ip_text(&a, out), "2001:db8::1");
	a = ip_from_bytes(99, v6);
	assert_true(ip_is_unset(&a));
	assert_string_equal(ip_text(&a, out), "<unset>");
	assert_int_equal(ip_len(AF_INET), 4);
	assert_int_equal(ip_len(AF_INET6), 16);
	assert_int_equal(ip_len(0), 0);
	assert_int_equal(ip_bits(AF_INET6), 128);
}

static void kinds(void **state)
{
	static const struct {
		const char *text;
		bool any, loopback, link_local;
	} cases[] = {
		{"0.0.0.0", true, false, false},
		{"::", true, false, false},
		{"127.0.0.1", false, true, false},
		{"127.255.0.9", false, true, false},
		{"128.0.0.1", false, false, false},
		{"::1", false, true, false},
		{"::2", false, false, false},
		{"169.254.3.4", false, false, true},
		{"169.253.3.4", false, false, false},
		{"fe80::1", false, false, true},
		{"febf::1", false, false, true},
		{"fec0::1", false, false, false},
		{"7f00::1", false, false, false},
		{"a9fe::", false, false, false},
	};
	struct ip_address unset = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_address a = parsed(cases[i].text);

		assert_int_equal(ip_is_any(&a), cases[i].any);
		assert_int_equal(ip_is_loopback(&a), cases[i].loopback);
		assert_int_equal(ip_is_link_local(&a), cases[i].link_local);
		assert_false(ip_is_unset(&a));
	}
	assert_true(ip_is_unset(&unset));
	assert_false(ip_is_any(&unset));
	assert_false(ip_is_loopback(&unset));
}

static void order(void **state)
{
	static const char *const sorted[] = {"0.0.0.0", "0.0.0.1", "9.255.255.255", "10.0.0.0",
		"127.0.0.1", "128.0.0.0", "255.255.255.255", "::", "::1", "::2", "::1:0",
		"1::", "8000::", "ffff::"};
	size_t n = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			struct ip_address a = parsed(sorted[i]), b = parsed(sorted[k]);
			int c = ip_compare(&a, &b);

			assert_int_equal(c < 0, i < k);
			assert_int_equal(c > 0, i > k);
			assert_int_equal(ip_equal(&a, &b), i == k);
		}
	}
}

static void subnet_texts(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"10.0.0.0/8", "10.0.0.0/8"}, {"10.0.0.1", "10.0.0.1/32"},
		{"0.0.0.0/0", "0.0.0.0/0"}, {"::/0", "::/0"}, {"::1", "::1/128"},
		{"2001:db8::/32", "2001:db8::/32"}, {"192.0.2.128/25", "192.0.2.128/25"}};
	static const char *const bad[] = {"10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/",
		"10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/8 ", "10.0.0.0/08",
		"10.0.0.0/8/8", "/8", "", "10.0.0.0/256", "10.0.0.0/4294967304", "10.0.0.0/0x8",
		"2001:db8::1/64", "192.0.2.1/24", "10.0.0.0/255.0.0.0", "::/1000",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0/1"};
	char out[IP_RANGE_TEXT_MAX];
	struct ip_subnet s = subnet("10.0.0.0/8");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_subnet t = subnet(cases[i].in);

		assert_string_equal(ip_subnet_text(&t, out), cases[i].out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ip_subnet_parse(bad[i], &s))
			fail_msg("\"%s\" was taken", bad[i]);
	}
	assert_string_equal(ip_subnet_text(&s, out), "10.0.0.0/8");
}

static void range_texts(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"},
		{"10.0.0.0-10.0.0.255", "10.0.0.0/24"}, {"10.0.0.4-10.0.0.4", "10.0.0.4/32"},
		{"10.0.0.0-10.0.0.2", "10.0.0.0-10.0.0.2"},
		{"10.0.0.1-10.0.0.2", "10.0.0.1-10.0.0.2"},
		{"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
		{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"2001:db8::1-2001:db8::ffff", "2001:db8::1-2001:db8::ffff"}, {"::/0", "::/0"},
		{"127.255.255.255-128.0.0.0", "127.255.255.255-128.0.0.0"},
		{"1111:1111:1111:1111:1111:1111:1111:1111-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
			"1111:1111:1111:1111:1111:1111:1111:1111-"
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"}};
	static const char *const bad[] = {"10.0.0.9-10.0.0.1", "10.0.0.1-::1", "10.0.0.1-",
		"-10.0.0.1", "10.0.0.1--10.0.0.2", "10.0.0.1-10.0.0.2-10.0.0.3",
		"10.0.0.0/24-10.0.1.0/24", "-", "10.0.0.1 - 10.0.0.2", "::2-::1"};
	char out[IP_RANGE_TEXT_MAX];
	struct ip_range r = {0};

	(void)state;
	assert_string_equal(ip_range_text(&r, out), "<unset>");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = range(cases[i].in);
		assert_string_equal(ip_range_text(&r, out), cases[i].out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ip_range_parse(bad[i], &r))
			fail_msg("\"%s\" was taken", bad[i]);
	}
}

static void endpoint_texts(void **state)
{
	struct ip_endpoint e = {parsed("192.0.2.1"), 500}, f = {parsed("2001:db8::1"), 4500};
	struct ip_endpoint unset = {0};
	char out[IP_RANGE_TEXT_MAX];

	(void)state;
	assert_string_equal(ip_endpoint_text(&e, out), "192.0.2.1:500");
	assert_string_equal(ip_endpoint_text(&f, out), "[2001:db8::1]:4500");
	assert_string_equal(ip_endpoint_text(&unset, out), "<unset>:0");
	assert_false(ip_endpoint_equal(&e, &f));
	f = e;
	assert_true(ip_endpoint_equal(&e, &f));
	f.port++;
	assert_false(ip_endpoint_equal(&e, &f));
}

static void subnets_contain(void **state)
{
	struct ip_subnet eight = subnet("10.0.0.0/8"), odd = subnet("192.0.2.160/27");
	struct ip_subnet all4 = subnet("0.0.0.0/0"), all6 = subnet("::/0"),
			 six = subnet("fe80::/10");
	struct ip_address a = parsed("10.255.3.4"), b = parsed("11.0.0.0"),
			  c = parsed("192.0.2.191");
	struct ip_address d = parsed("192.0.2.192"), e = parsed("febf::1"), f = parsed("fec0::");
	struct ip_address unset = {0};
	struct ip_subnet s;
	char out[IP_RANGE_TEXT_MAX];

	(void)state;
	assert_true(ip_subnet_has(&eight, &a));
	assert_false(ip_subnet_has(&eight, &b));
	assert_true(ip_subnet_has(&odd, &c));
	assert_false(ip_subnet_has(&odd, &d));
	assert_true(ip_subnet_has(&six, &e));
	assert_false(ip_subnet_has(&six, &f));
	assert_true(ip_subnet_has(&all4, &d));
	assert_false(ip_subnet_has(&all4, &e));
	assert_true(ip_subnet_has(&all6, &e));
	assert_false(ip_subnet_has(&all6, &d));
	assert_false(ip_subnet_has(&all4, &unset));
	s = ip_subnet_of(&c, 27);
	assert_string_equal(ip_subnet_text(&s, out), "192.0.2.160/27");
	s = ip_subnet_of(&c, 200);
	assert_string_equal(ip_subnet_text(&s, out), "192.0.2.191/32");
	s = ip_subnet_of(&c, 0);
	assert_string_equal(ip_subnet_text(&s, out), "0.0.0.0/0");
}

static void ranges_relate(void **state)
{
	struct ip_range a = range("10.0.0.5-10.0.0.20"), b = range("10.0.0.10-10.0.0.30"), out;
	struct ip_range inner = range("10.0.0.6-10.0.0.7"), apart = range("10.0.0.21-10.0.0.22");
	struct ip_range all4 = range("0.0.0.0/0"), all6 = range("::/0"), unset = {0};
	struct ip_range want = range("10.0.0.10-10.0.0.20");
	struct ip_address first = parsed("10.0.0.5"), before = parsed("10.0.0.4");

	(void)state;
	assert_true(ip_range_has(&a, &first));
	assert_false(ip_range_has(&a, &before));
	assert_false(ip_range_has(&all6, &first));
	assert_true(ip_range_intersect(&a, &b, &out));
	assert_true(ip_range_equal(&out, &want));
	assert_true(ip_range_intersect(&b, &a, &out));
	assert_true(ip_range_equal(&out, &want));
	assert_false(ip_range_intersect(&a, &apart, &out));
	assert_false(ip_range_intersect(&all4, &all6, &out));
	assert_false(ip_range_intersect(&unset, &unset, &out));
	assert_true(ip_range_equal(&out, &want));
	assert_true(ip_range_within(&inner, &a));
	assert_false(ip_range_within(&a, &inner));
	assert_false(ip_range_within(&b, &a));
	assert_true(ip_range_within(&a, &a));
	assert_true(ip_range_within(&a, &all4));
	assert_false(ip_range_within(&a, &all6));
	assert_false(ip_range_within(&unset, &all4));
}

/* Every prefix length, there and back, and one address more or less is no subnet. */
static void subnets_are_ranges(void **state)
{
	static const char *const bases[] = {
		"170.85.170.85", "2aaa:5555:aaaa:5555:aaaa:5555:aaaa:5555"};

	(void)state;
	for (int f = 0; f < 2; f++) {
		struct ip_address base = parsed(bases[f]);
		unsigned bits = ip_bits(base.family);

		for (unsigned len = 0; len <= bits; len++) {
			struct ip_subnet s = ip_subnet_of(&base, (uint8_t)len), t;
			struct ip_range r = ip_range_of_subnet(&s);

			assert_true(ip_subnet_of_range(&r, &t));
			assert_true(ip_equal(&s.address, &t.address));
			assert_int_equal(s.prefix_len, t.prefix_len);
			assert_true(ip_range_has(&r, &base));
			assert_true(ip_subnet_has(&s, &r.last));
			if (bits - len < 2)
				continue;
			r.first.bytes[bits / 8 - 1] |= 1;
			assert_false(ip_subnet_of_range(&r, &t));
			r = ip_range_of_subnet(&s);
			r.last.bytes[bits / 8 - 1] &= 0xfe;
			assert_false(ip_subnet_of_range(&r, &t));
		}
	}
}

/* IPv4 against plain 32-bit arithmetic. */
static void random_v4_match_a_model(void **state)
{
	uint64_t seed = 11;

	(void)state;
	for (int run = 0; run < 100000; run++) {
		/* Few bits apart, so that the cases meet often enough. */
		uint32_t base = (uint32_t)unit_random(&seed);
		uint32_t x[4];
		struct ip_range a, b, out;
		uint32_t first, last;
		unsigned len = unit_random(&seed) % 33;
		struct ip_address at;
		struct ip_subnet s;
		uint32_t mask = len ? UINT32_MAX << (32 - len) : 0;

		for (int i = 0; i < 4; i++)
			x[i] = base ^ (uint32_t)(unit_random(&seed) & 63);
		a.first = ip_v4(x[0] < x[1] ? x[0] : x[1]);
		a.last = ip_v4(x[0] < x[1] ? x[1] : x[0]);
		b.first = ip_v4(x[2] < x[3] ? x[2] : x[3]);
		b.last = ip_v4(x[2] < x[3] ? x[3] : x[2]);
		first = x[0] < x[1] ? x[0] : x[1];
		if (first < (x[2] < x[3] ? x[2] : x[3]))
			first = x[2] < x[3] ? x[2] : x[3];
		last = x[0] < x[1] ? x[1] : x[0];
		if (last > (x[2] < x[3] ? x[3] : x[2]))
			last = x[2] < x[3] ? x[3] : x[2];
		assert_int_equal(ip_range_intersect(&a, &b, &out), first <= last);
		if (first <= last) {
			struct ip_range want = {ip_v4(first), ip_v4(last)};

			assert_true(ip_range_equal(&out, &want));
			assert_true(ip_range_within(&out, &a) && ip_range_within(&out, &b));
		}
		at = ip_v4(x[0]);
		s = ip_subnet_of(&at, (uint8_t)len);
		at = ip_v4(x[0] & mask);
		assert_true(ip_equal(&s.address, &at));
		at = ip_v4(x[1]);
		assert_int_equal(ip_subnet_has(&s, &at), (x[0] & mask) == (x[1] & mask));
	}
}

static void socket_addresses(void **state)
{
	struct ip_endpoint e = {parsed("192.0.2.1"), 500}, f = {parsed("2001:db8::1"), 4500}, out;
	struct ip_endpoint unset = {0};
	struct sockaddr_storage ss;
	socklen_t len;

	(void)state;
	len = ip_to_sockaddr(&e, &ss);
	assert_int_equal(len, sizeof(struct sockaddr_in));
	assert_true(ip_from_sockaddr((struct sockaddr *)&ss, len, &out));
	assert_true(ip_endpoint_equal(&e, &out));
	assert_false(ip_from_sockaddr((struct sockaddr *)&ss, len - 1, &out));
	assert_false(ip_from_sockaddr((struct sockaddr *)&ss, 0, &out));
	len = ip_to_sockaddr(&f, &ss);
	assert_int_equal(len, sizeof(struct sockaddr_in6));
	assert_true(ip_from_sockaddr((struct sockaddr *)&ss, len, &out));
	assert_true(ip_endpoint_equal(&f, &out));
	assert_false(ip_from_sockaddr((struct sockaddr *)&ss, sizeof(struct sockaddr_in), &out));
	assert_int_equal(ip_to_sockaddr(&unset, &ss), 0);
	ss.ss_family = AF_UNIX;
	assert_false(ip_from_sockaddr((struct sockaddr *)&ss, sizeof(ss), &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_texts),
		cmocka_unit_test(refused_addresses),
		cmocka_unit_test(construction),
		cmocka_unit_test(kinds),
		cmocka_unit_test(order),
		cmocka_unit_test(subnet_texts),
		cmocka_unit_test(range_texts),
		cmocka_unit_test(endpoint_texts),
		cmocka_unit_test(subnets_contain),
		cmocka_unit_test(ranges_relate),
		cmocka_unit_test(subnets_are_ranges),
		cmocka_unit_test(random_v4_match_a_model),
		cmocka_unit_test(socket_addresses),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
