/* Reading IP headers: fields, fragments, extension headers, and packets cut off anywhere, in memory of their exact size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow.h"

static const uint8_t udp4[] = {0x45, 0x2e, 0, 36, 0, 1, 0x40, 0, 63, 17, 0, 0, 10, 1, 0, 2, 10, 2, 0, 3,
	0x0f, 0xa0, 0x13, 0x88, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};

/* Hop-by-hop, routing, fragment (first), destination options, then TCP. */
static const uint8_t chain6[] = {0x6b, 0x80, 0, 0, 0, 52, 0, 9, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3,
	43, 0, 1, 4, 0, 0, 0, 0,
	44, 0, 0, 0, 0, 0, 0, 0,
	60, 0, 0, 1, 0, 0, 0, 9,
	6, 0, 1, 4, 0, 0, 0, 0,
	0x00, 0x50, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 2, 0, 0, 0, 0, 0, 0};

static bool parse(const uint8_t *packet, size_t len, struct flow *flow)
{
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, packet, len);
	bool ok = flow_parse(copy, len, flow);
	free(copy);
	return ok;
}

static void fields_are_read(void **state)
{
	struct flow f;
	(void)state;
	assert_true(parse(udp4, sizeof(udp4), &f));
	assert_int_equal(f.family, AF_INET);
	assert_int_equal(f.protocol, 17);
	assert_int_equal(f.tos, 0x2e);
	assert_int_equal(f.hop_limit, 63);
	assert_true(f.dont_fragment && f.has_ports);
	assert_int_equal(f.src_port, 4000);
	assert_int_equal(f.dst_port, 5000);
	assert_int_equal(f.header_len, 20);
	assert_int_equal(f.len, 36);
	assert_true(parse(chain6, sizeof(chain6), &f));
	assert_int_equal(f.protocol, 6);
	assert_int_equal(f.header_len, 72);
	assert_int_equal(f.protocol_at, 64);
	assert_int_equal(f.transport_at, 64);
	assert_int_equal(f.next_header_at, 56);
	assert_int_equal(f.fragment, FLOW_FIRST_FRAGMENT);
	assert_int_equal(f.tos, 0xb8);
	assert_int_equal(f.src_port, 80);
	assert_int_equal(f.dst_port, 443);
}

static void later_fragments_have_no_ports(void **state)
{
	uint8_t copy[sizeof(udp4)], six[sizeof(chain6)];
	struct flow f;
	(void)state;
	memcpy(copy, udp4, sizeof(copy));
	copy[6] = 0x20;
	assert_true(parse(copy, sizeof(copy), &f));
	assert_int_equal(f.fragment, FLOW_FIRST_FRAGMENT);
	assert_true(f.has_ports);
	copy[7] = 9;
	assert_true(parse(copy, sizeof(copy), &f));
	assert_int_equal(f.fragment, FLOW_LATER_FRAGMENT);
	assert_false(f.has_ports);
	memcpy(six, chain6, sizeof(six));
	six[59] = 0x11;
	assert_true(parse(six, sizeof(six), &f));
	assert_int_equal(f.fragment, FLOW_LATER_FRAGMENT);
	assert_false(f.has_ports);
	assert_int_equal(f.header_len, 64);
}

static void cut_off_packets_are_refused(void **state)
{
	struct flow f;
	(void)state;
	for (size_t len = 0; len < sizeof(udp4); len++)
		assert_false(parse(udp4, len, &f));
	for (size_t len = 0; len < sizeof(chain6); len++)
		assert_false(parse(chain6, len, &f));
	/* With a length field that says so too. */
	for (size_t len = 20; len < 24; len++) {
		uint8_t copy[sizeof(udp4)];
		memcpy(copy, udp4, sizeof(copy));
		copy[3] = (uint8_t)len;
		assert_false(parse(copy, len, &f));
	}
	for (size_t len = 40; len < 72; len++) {
		uint8_t copy[sizeof(chain6)];
		memcpy(copy, chain6, sizeof(copy));
		copy[5] = (uint8_t)(len - 40);
		assert_false(parse(copy, len, &f));
	}
	uint8_t header[20] = {0x44};
	assert_false(parse(header, sizeof(header), &f));
	header[0] = 0x55;
	assert_false(parse(header, sizeof(header), &f));
}

static void endless_chains_end(void **state)
{
	uint8_t packet[40 + 8 * 20] = {0x60};
	struct flow f;
	(void)state;
	packet[5] = 160;
	packet[6] = 60;
	for (unsigned i = 0; i < 20; i++)
		packet[40 + i * 8] = 60;
	assert_false(parse(packet, sizeof(packet), &f));
}

static void noise_stays_in_bounds(void **state)
{
	uint64_t x = 88172645463325252u;
	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		uint8_t packet[120];
		struct flow f;
		size_t size = i & 1 ? sizeof(udp4) : sizeof(chain6);
		memcpy(packet, i & 1 ? udp4 : chain6, size);
		for (unsigned n = 0; n < 1 + i % 5; n++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			packet[(x >> 8) % size] = (uint8_t)(x >> 40);
		}
		size_t len = i % 7 ? size : (size_t)(x >> 33) % (size + 1);
		if (parse(packet, len, &f)) {
			assert_true(f.len <= len && f.header_len <= f.len && f.transport_at <= f.header_len);
			assert_true(f.protocol_at < f.header_len && f.next_header_at < f.transport_at);
		}
	}
}

static void prefixes_and_ranges_of_keys(void **state)
{
	struct ip_address a, b, c;
	(void)state;
	assert_true(ip_parse("10.1.255.7", &a) && ip_parse("10.0.0.0", &b) && ip_parse("10.2.0.0", &c));
	struct ip_key k = ip_key_of_address(&a), first = ip_key_of_address(&b), last = ip_key_of_address(&c);
	struct ip_key p8 = ip_key_prefix(&k, 8), p0 = ip_key_prefix(&k, 0), p32 = ip_key_prefix(&k, 32);
	assert_true(ip_key_equal(&p8, &first));
	assert_int_equal(p0.word[0] | p0.word[1], 0);
	assert_true(ip_key_equal(&p32, &k));
	assert_true(ip_key_within(&k, &first, &last));
	assert_false(ip_key_within(&last, &first, &k));
	assert_true(ip_parse("fd00::1:0:0:5", &a) && ip_parse("fd00::1:0:0:0", &b) && ip_parse("fd00::1:0:0:9", &c));
	k = ip_key_of_address(&a), first = ip_key_of_address(&b), last = ip_key_of_address(&c);
	assert_true(ip_key_within(&k, &first, &last));
	assert_true(ip_key_within(&first, &first, &first));
	assert_false(ip_key_within(&last, &first, &k));
	struct ip_key p125 = ip_key_prefix(&k, 125), p64 = ip_key_prefix(&k, 64);
	assert_true(ip_key_equal(&p125, &first));
	assert_int_equal(p64.word[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read),
		cmocka_unit_test(later_fragments_have_no_ports),
		cmocka_unit_test(cut_off_packets_are_refused),
		cmocka_unit_test(endless_chains_end),
		cmocka_unit_test(noise_stays_in_bounds),
		cmocka_unit_test(prefixes_and_ranges_of_keys),
	};
	return cmocka_run_group_tests_name("dataplane flow", tests, NULL, NULL);
}
