#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/traffic_selector.h"

static struct traffic_selector selector(const char *text)
{
	struct traffic_selector ts;

	if (!traffic_selector_parse(text, &ts))
		fail_msg("\"%s\" was refused", text);
	return ts;
}

static void texts(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"10.1.0.0/24", "10.1.0.0/24"}, {"10.1.0.7", "10.1.0.7/32"},
		{"10.1.0.1-10.1.0.9", "10.1.0.1-10.1.0.9"}, {"2001:db8::/64", "2001:db8::/64"},
		{"10.1.0.0/24/tcp", "10.1.0.0/24/TCP/0"},
		{"10.1.0.0/24/6/80", "10.1.0.0/24/TCP/80"},
		{"10.1.0.0/24/17/1024-2047", "10.1.0.0/24/UDP/1024-2047"},
		{"10.1.0.0/24/0/0", "10.1.0.0/24"}, {"10.1.0.0/24/0", "10.1.0.0/24"},
		{"10.1.0.0/24/UDP/%any", "10.1.0.0/24/UDP/0"},
		{"10.1.0.0/24/UDP/0-65535", "10.1.0.0/24/UDP/0"},
		{"10.1.0.0/24/udp/%opaque", "10.1.0.0/24/UDP/OPAQUE"},
		{"10.1.0.0/24/253/0", "10.1.0.0/24/253/0"},
		{"10.1.0.0/24/icmp/2048", "10.1.0.0/24/ICMP/2048"},
		{"10.1.0.0/24/icmp/0-0", "10.1.0.0/24/ICMP/0-0"},
		{"::/0/ipv6-icmp", "::/0/IPv6-ICMP/0"}, {"::/0/icmpv6/0", "::/0/IPv6-ICMP/0"},
		{"10.1.0.1-10.1.0.9/tcp/443", "10.1.0.1-10.1.0.9/TCP/443"},
		{"::/0/255/65535", "::/0/255/65535"}};
	static const char *const bad[] = {"", "/", "10.1.0.0/24/", "10.1.0.0/24/tcp/",
		"10.1.0.0/24/tcp/80/", "10.1.0.0/24/tcp/65536", "10.1.0.0/24/256",
		"10.1.0.0/24/nosuch", "10.1.0.0/24/tcp/x", "10.1.0.0/24/tcp/90-80",
		"10.1.0.0/24/tcp/-80", "10.1.0.0/24/tcp/80-", "10.1.0.0/24/0/80",
		"10.1.0.0/24/%any/%opaque", "10.1.0.1/24", "10.1.0.1/tcp/80",
		"10.1.0.0/24/tcp/80-90-99", "10.1.0.9-10.1.0.1/tcp", "10.1.0.0/24/tc",
		"10.1.0.0/24/tcpx", "10.1.0.0/24//80", "10.1.0.0/24/6x/80", "10.1.0.0/24/+6",
		"10.1.0.0/24/99999999999999999999", "10.1.0.0/24/tcp/99999999999999999999",
		"10.1.0.0/24/tcp/ 80"};
	struct traffic_selector ts;
	char out[TRAFFIC_SELECTOR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ts = selector(cases[i].in);
		assert_string_equal(traffic_selector_text(&ts, out), cases[i].out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (traffic_selector_parse(bad[i], &ts))
			fail_msg("\"%s\" was taken", bad[i]);
	}
}

static void longest_text_fits(void **state)
{
	struct traffic_selector ts = selector("1111:1111:1111:1111:1111:1111:1111:1111-"
					      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/"
					      "ipv6-icmp/10000-65534"),
				again;
	char out[TRAFFIC_SELECTOR_TEXT_MAX];

	(void)state;
	again = selector(traffic_selector_text(&ts, out));
	assert_true(traffic_selector_equal(&ts, &again));
}

static void within(void **state)
{
	static const struct {
		const char *inner, *outer;
		bool within;
	} cases[] = {{"10.1.0.0/24", "10.1.0.0/16", true}, {"10.1.0.0/16", "10.1.0.0/24", false},
		{"10.1.0.0/24/tcp", "10.1.0.0/24", true}, {"10.1.0.0/24", "10.1.0.0/24/tcp", false},
		{"10.1.0.0/24/tcp", "10.1.0.0/24/udp", false},
		{"10.1.0.0/24/tcp/80", "10.1.0.0/24/tcp", true},
		{"10.1.0.0/24/tcp/80", "10.1.0.0/24/tcp/80-90", true},
		{"10.1.0.0/24/tcp/79-81", "10.1.0.0/24/tcp/80-90", false},
		{"10.1.0.0/24/tcp", "10.1.0.0/24/tcp/80-90", false},
		/* RFC 4301: ANY encompasses OPAQUE. */
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24/tcp", true},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24", true},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24/tcp/OPAQUE", true},
		{"10.1.0.0/24/tcp", "10.1.0.0/24/tcp/OPAQUE", false},
		{"10.1.0.0/24/tcp/80", "10.1.0.0/24/tcp/OPAQUE", false},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24/tcp/1-65535", false},
		{"::/0", "0.0.0.0/0", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct traffic_selector inner = selector(cases[i].inner);
		struct traffic_selector outer = selector(cases[i].outer);

		if (traffic_selector_within(&inner, &outer) != cases[i].within)
			fail_msg("%s within %s", cases[i].inner, cases[i].outer);
	}
}

static void intersections(void **state)
{
	static const struct {
		const char *a, *b, *out; /* out NULL: nothing in common */
	} cases[] = {{"10.1.0.0/16", "10.1.2.0/24", "10.1.2.0/24"},
		{"10.1.0.0/24", "10.2.0.0/24", NULL}, {"10.1.0.0/24", "::/0", NULL},
		{"10.1.0.0/24/tcp", "10.1.0.0/24", "10.1.0.0/24/TCP/0"},
		{"10.1.0.0/24/tcp", "10.1.0.0/24/udp", NULL},
		{"10.1.0.0/24/tcp/80", "0.0.0.0/0", "10.1.0.0/24/TCP/80"},
		{"10.1.0.0/24/tcp/80-90", "10.1.0.0/24/tcp/85-99", "10.1.0.0/24/TCP/85-90"},
		{"10.1.0.0/24/tcp/80", "10.1.0.0/24/tcp/81", NULL},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24", "10.1.0.0/24/TCP/OPAQUE"},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24/TCP/OPAQUE"},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.0/24/tcp/80", NULL},
		{"10.1.0.1-10.1.0.9", "10.1.0.5-10.1.0.20", "10.1.0.5-10.1.0.9"}};
	char text[TRAFFIC_SELECTOR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct traffic_selector a = selector(cases[i].a), b = selector(cases[i].b);
		struct traffic_selector out = selector("9.9.9.9"), untouched = out;

		for (int turn = 0; turn < 2; turn++) {
			bool any = traffic_selector_intersect(turn ? &b : &a, turn ? &a : &b, &out);

			assert_int_equal(any, cases[i].out != NULL);
			if (any)
				assert_string_equal(
					traffic_selector_text(&out, text), cases[i].out);
			else
				assert_true(traffic_selector_equal(&out, &untouched));
		}
	}
}

/* A peer may send any numbers: ports that are none (first > last, not OPAQUE) match nothing. */
static void nonsense_ports_match_nothing(void **state)
{
	struct traffic_selector nonsense = selector("10.1.0.0/24/tcp"), all = selector("0.0.0.0/0"),
				out;
	struct traffic_selector wide = selector("0.0.0.0/0/tcp/1-65535");

	(void)state;
	nonsense.port_first = 90;
	nonsense.port_last = 80;
	assert_false(traffic_selector_intersect(&nonsense, &all, &out));
	assert_false(traffic_selector_intersect(&wide, &nonsense, &out));
	assert_false(traffic_selector_within(&nonsense, &wide));
	assert_false(traffic_selector_has(&nonsense, &nonsense.range.first, 6, true, 85));
	assert_false(traffic_selector_has(&nonsense, &nonsense.range.first, 6, false, 0));
}

static void packets(void **state)
{
	static const struct {
		const char *ts, *address;
		uint8_t protocol;
		bool has_port;
		uint16_t port;
		bool passes;
	} cases[] = {{"10.1.0.0/24", "10.1.0.9", 6, true, 80, true},
		{"10.1.0.0/24", "10.1.1.9", 6, true, 80, false},
		{"10.1.0.0/24", "10.1.0.9", 47, false, 0, true},
		{"10.1.0.0/24/tcp", "10.1.0.9", 6, true, 80, true},
		{"10.1.0.0/24/tcp", "10.1.0.9", 17, true, 80, false},
		{"10.1.0.0/24/tcp", "10.1.0.9", 6, false, 0, true},
		{"10.1.0.0/24/tcp/80-90", "10.1.0.9", 6, true, 80, true},
		{"10.1.0.0/24/tcp/80-90", "10.1.0.9", 6, true, 90, true},
		{"10.1.0.0/24/tcp/80-90", "10.1.0.9", 6, true, 91, false},
		{"10.1.0.0/24/tcp/80-90", "10.1.0.9", 6, true, 79, false},
		{"10.1.0.0/24/tcp/80-90", "10.1.0.9", 6, false, 85, false},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.9", 6, false, 0, true},
		{"10.1.0.0/24/tcp/OPAQUE", "10.1.0.9", 6, true, 80, false},
		{"10.1.0.0/24/icmp/2048", "10.1.0.9", 1, true, 8 << 8, true},
		{"10.1.0.0/24/icmp/2048", "10.1.0.9", 1, true, 0, false},
		{"::/0", "10.1.0.9", 6, true, 80, false},
		{"::/0", "2001:db8::1", 58, true, 128 << 8, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct traffic_selector ts = selector(cases[i].ts);
		struct ip_address a;

		assert_true(ip_parse(cases[i].address, &a));
		if (traffic_selector_has(&ts, &a, cases[i].protocol, cases[i].has_port,
			    cases[i].port) != cases[i].passes)
			fail_msg("case %zu: %s and %s", i, cases[i].ts, cases[i].address);
	}
}

static struct traffic_selector random_selector(uint64_t *seed)
{
	uint32_t base = 0x0a010000 | (uint32_t)(unit_random(seed) & 0xf);
	struct ip_range r = {ip_v4(base), ip_v4(base + (uint32_t)(unit_random(seed) & 0xf))};
	struct traffic_selector ts = traffic_selector_of_range(&r);

	switch (unit_random(seed) % 3) {
	case 0:
		return ts;
	case 1:
		ts.port_first = 65535;
		ts.port_last = 0;
		break;
	default:
		ts.port_first = (uint16_t)(unit_random(seed) % 16);
		ts.port_last = (uint16_t)(ts.port_first + unit_random(seed) % 16);
	}
	ts.protocol = unit_random(seed) % 2 ? 6 : 17;
	return ts;
}

/* The intersection passes exactly the packets that both pass, and within means what it says. */
static void random_packets_agree(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int run = 0; run < 20000; run++) {
		struct traffic_selector a = random_selector(&seed), b = random_selector(&seed),
					both;
		bool any = traffic_selector_intersect(&a, &b, &both);
		bool inside = traffic_selector_within(&a, &b);

		if (any) {
			assert_true(traffic_selector_within(&both, &a));
			assert_true(traffic_selector_within(&both, &b));
		}
		for (int packet = 0; packet < 30; packet++) {
			struct ip_address at =
				ip_v4(0x0a010000 | (uint32_t)(unit_random(&seed) & 0x1f));
			uint8_t protocol = unit_random(&seed) % 2 ? 6 : 17;
			bool has_port = unit_random(&seed) % 3 != 0;
			uint16_t port = (uint16_t)(unit_random(&seed) % 32);
			bool in_a = traffic_selector_has(&a, &at, protocol, has_port, port);
			bool in_b = traffic_selector_has(&b, &at, protocol, has_port, port);

			assert_int_equal(
				any && traffic_selector_has(&both, &at, protocol, has_port, port),
				in_a && in_b);
			if (inside && in_a)
				assert_true(in_b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(longest_text_fits),
		cmocka_unit_test(within),
		cmocka_unit_test(intersections),
		cmocka_unit_test(nonsense_ports_match_nothing),
		cmocka_unit_test(packets),
		cmocka_unit_test(random_packets_agree),
	};

	return cmocka_run_group_tests_name("traffic_selector", tests, NULL, NULL);
}
