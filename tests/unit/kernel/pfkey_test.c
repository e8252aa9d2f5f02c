/* The "pfkey" backend, as far as it goes without a kernel that has PF_KEY: messages made, told,
 * made up and mutated; request IDs; what is read of a kernel's list of algorithms. The rest is
 * tested in tests/vm. */
#include "pfkey_algorithm.h"
#include "pfkey_message.h"
#include "reqid_map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/kernel.h"

static struct ipsec_sa make_sa(const char *remote, const char *local)
{
	struct ipsec_sa sa = {
		.spi = 0x10203040,
		.direction = IPSEC_OUTBOUND,
		.protocol = IPSEC_ESP,
		.mode = IPSEC_TUNNEL,
		.local.port = 4500,
		.remote.port = 1024,
		.udp_encapsulation = true,
		.encr = ENCR_AES_CBC,
		.encr_key_len = 16,
		.integ = INTEG_HMAC_SHA2_512_256,
		.integ_key_len = 64,
		.reqid = 65536,
		.limits = {.soft_bytes = 1000, .hard_bytes = 2000},
	};
	assert_true(ip_parse(local, &sa.local.address));
	assert_true(ip_parse(remote, &sa.remote.address));
	memset(sa.encr_key, 0xe1, sizeof(sa.encr_key));
	memset(sa.integ_key, 0xa2, sizeof(sa.integ_key));
	return sa;
}

static struct bytes bytes_of_message(const struct pfkey_message *m)
{
	return bytes_of(m->bytes, m->len);
}

static bool contains(struct bytes where, uint8_t value, size_t times)
{
	size_t run = 0;
	for (size_t i = 0; i < where.len && run < times; i++)
		run = where.data[i] == value ? run + 1 : 0;
	return run == times;
}

static void an_sa_is_told_as_it_was_made(void **state)
{
	static const char *const ends[][2] = {
		{"192.0.2.2", "192.0.2.1"}, {"2001:db8::2", "2001:db8::1"}};
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ipsec_sa sa = make_sa(ends[i][0], ends[i][1]);
		struct pfkey_message m;
		struct pfkey_told told;
		assert_int_equal(pfkey_put_sa_add(&m, &sa, 17), 0);
		pfkey_message_number(m.bytes, 0x400007, 4711);
		assert_int_equal(m.len % 8, 0);
		assert_true(pfkey_read(bytes_of_message(&m), &told));
		assert_true(told.is_whole && told.has_sa && told.has_sa2 && told.has_hard &&
			    told.has_soft && !told.has_current && !told.has_policy);
		assert_int_equal(told.type, SADB_ADD);
		assert_int_equal(told.satype, SADB_SATYPE_ESP);
		assert_int_equal(told.sequence, 0x400007);
		assert_int_equal(told.pid, 4711);
		assert_int_equal(told.spi, sa.spi);
		assert_int_equal(told.reqid, 17);
		assert_true(ip_equal(&told.source.address, &sa.local.address));
		assert_true(ip_equal(&told.destination.address, &sa.remote.address));
		assert_int_equal(told.nat_source_port, 4500);
		assert_int_equal(told.nat_destination_port, 1024);
		assert_true(told.soft.sadb_lifetime_bytes == 1000);
		assert_true(told.hard.sadb_lifetime_bytes == 2000);
		/* Sequence numbers must not come again. */
		assert_int_equal(told.hard.sadb_lifetime_allocations, 0xffffffff);
		assert_true(
			told.soft.sadb_lifetime_allocations < told.hard.sadb_lifetime_allocations);
		assert_true(pfkey_is_ours(&told));
		assert_true(contains(bytes_of_message(&m), 0xe1, 16));
		assert_true(contains(bytes_of_message(&m), 0xa2, 64));
		struct bytes before = bytes_of_message(&m);
		pfkey_message_wipe(&m);
		assert_false(contains(before, 0xa2, 2));
		assert_int_equal(m.len, 0);
	}
}

static void what_has_no_word_is_refused(void **state)
{
	struct ipsec_sa sa = make_sa("192.0.2.2", "192.0.2.1"), other;
	struct traffic_selector ts[2];
	struct pfkey_message m;
	(void)state;
	other = sa;
	other.esn = true;
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EOPNOTSUPP);
	other = sa;
	other.mark.mask = 1;
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EOPNOTSUPP);
	other = sa;
	other.offload_device = 1;
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EOPNOTSUPP);
	other = sa;
	other.mode = (enum ipsec_mode)7;
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EOPNOTSUPP);
	other = sa;
	other.protocol = IPSEC_AH;
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EPROTONOSUPPORT);
	other = sa;
	other.integ = INTEG_AES_CMAC_96;
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), ENOSYS);
	other = sa;
	other.encr = ENCR_AES_GCM_16; /* with integrity, which it has itself */
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EINVAL);
	other = sa;
	other.integ_key_len = IPSEC_KEY_MAX + 1;
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EINVAL);
	other = sa;
	assert_true(ip_parse("2001:db8::1", &other.local.address));
	assert_int_equal(pfkey_put_sa_add(&m, &other, 1), EAFNOSUPPORT);
	assert_true(traffic_selector_parse("10.1.0.0/16", &ts[0]));
	assert_true(traffic_selector_parse("fd00::/64", &ts[1]));
	sa.local_ts = sa.remote_ts = ts;
	sa.local_ts_count = sa.remote_ts_count = 2;
	assert_int_equal(pfkey_put_sa_add(&m, &sa, 1), PFKEY_INNER_BY_PROXY ? EOPNOTSUPP : 0);
	sa.local_ts = sa.remote_ts = ts + 1; /* IPv6 in IPv4 */
	sa.local_ts_count = sa.remote_ts_count = 1;
	assert_int_equal(pfkey_put_sa_add(&m, &sa, 1), 0);
}

static struct selector make_selector(const char *local, const char *remote)
{
	struct traffic_selector l, r;
	struct selector *list, out;
	unsigned count;
	assert_true(traffic_selector_parse(local, &l));
	assert_true(traffic_selector_parse(remote, &r));
	assert_int_equal(selectors_of(&l, 1, &r, 1, SELECTOR_SINGLE_PORTS, &list, &count), 0);
	assert_int_equal(count, 1);
	out = list[0];
	free(list);
	return out;
}

static void a_policy_is_told_as_it_was_made(void **state)
{
	struct selector s = make_selector("10.1.0.0/16", "10.2.3.0/24/TCP/443");
	struct policy_values v = {.reqid = 70000,
		.mode = IPSEC_TUNNEL,
		.priority = 7,
		.trap = true,
		.local = ip_v4(0xc0000201),
		.remote = ip_v4(0xc0000202)};
	struct pfkey_message m;
	struct pfkey_told told;
	(void)state;
	for (enum policy_way way = POLICY_OUT; way <= POLICY_FORWARD; way++) {
		bool out = way == POLICY_OUT;
		if (way == POLICY_FORWARD && !PFKEY_DIR_FORWARD)
			continue;
		assert_int_equal(pfkey_put_policy(&m, way, &s, &v, 42), 0);
		assert_true(pfkey_read(bytes_of_message(&m), &told));
		assert_true(told.is_whole && told.has_policy && pfkey_is_ours(&told));
		assert_int_equal(told.type, SADB_X_SPDUPDATE);
		assert_int_equal(told.reqid, 42);
		assert_int_equal(told.policy.sadb_x_policy_type, IPSEC_POLICY_IPSEC);
		const struct pfkey_address *l = out ? &told.source : &told.destination;
		const struct pfkey_address *r = out ? &told.destination : &told.source;
		assert_true(ip_equal(&l->address, &s.source));
		assert_true(ip_equal(&r->address, &s.destination));
		assert_int_equal(l->prefix_len, 16);
		assert_int_equal(r->prefix_len, 24);
		assert_int_equal(l->port, 0);
		assert_int_equal(r->port, 443);
		assert_int_equal(l->protocol, IPPROTO_TCP);
		if (PFKEY_POLICY_HAS_PRIORITY)
			assert_true(policy_priority_is_trap(pfkey_policy_priority(&told.policy)));
	}
	v.trap = false;
	v.action = IPSEC_DISCARD;
	assert_int_equal(pfkey_put_policy(&m, POLICY_OUT, &s, &v, 42), 0);
	assert_true(pfkey_read(bytes_of_message(&m), &told));
	assert_int_equal(told.policy.sadb_x_policy_type, IPSEC_POLICY_DISCARD);
	assert_int_equal(told.reqid, 0);
	assert_int_equal(pfkey_put_policy(&m, POLICY_IN, &s, NULL, 0), 0);
	assert_true(pfkey_read(bytes_of_message(&m), &told));
	assert_int_equal(told.type, SADB_X_SPDDELETE);
	/* Between IPv6 gateways, IPv4 inside. */
	v.action = IPSEC_PROTECT;
	assert_true(ip_parse("2001:db8::1", &v.local));
	assert_true(ip_parse("2001:db8::2", &v.remote));
	assert_int_equal(pfkey_put_policy(&m, POLICY_OUT, &s, &v, 42), 0);
	assert_true(pfkey_read(bytes_of_message(&m), &told));
	assert_true(told.is_whole);
	assert_int_equal(told.policy.sadb_x_policy_len * 8,
		sizeof(struct sadb_x_policy) + sizeof(struct sadb_x_ipsecrequest) +
			2 * sizeof(struct sockaddr_in6));
}

/* One port or all of them can be said, and 0 means all. */
static void ports_are_single_or_all(void **state)
{
	static const struct {
		const char *remote;
		int error;
		unsigned count;
	} cases[] = {
		{"10.2.0.0/16", 0, 1}, {"10.2.0.0/16/TCP/80", 0, 1},
		{"10.2.0.0/16/TCP/80-83", 0, 4}, {"10.2.0.0/16/TCP/65520-65535", 0, 16},
		{"10.2.0.0/16/TCP/1024-65535", EOPNOTSUPP, 0},
		{"10.2.0.0/16/TCP/0-3", EOPNOTSUPP, 0}, {"10.2.0.0/16/TCP/OPAQUE", EOPNOTSUPP, 0},
		{"10.2.0.0/16/ICMP/2048", EOPNOTSUPP, 0},  /* type 8, code 0 */
		{"10.2.0.0/16/ICMP/2048-2303", 0, 1},      /* type 8 */
		{"10.2.0.0/16/ICMP/769", 0, 1},            /* type 3, code 1 */
		{"10.2.0.0/16/ICMP/0-255", EOPNOTSUPP, 0}, /* type 0 */
	};
	struct traffic_selector l, r;
	(void)state;
	assert_true(traffic_selector_parse("10.1.0.0/16", &l));
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct selector *list;
		unsigned count = 0;
		assert_true(traffic_selector_parse(cases[i].remote, &r));
		assert_int_equal(selectors_of(&l, 1, &r, 1, SELECTOR_SINGLE_PORTS, &list, &count),
			cases[i].error);
		assert_int_equal(count, cases[i].count);
		if (count)
			free(list);
	}
}

static void other_ports_leave_all_else(void **state)
{
	struct ipsec_sa sa = make_sa("192.0.2.2", "192.0.2.1");
	struct pfkey_message m, moved;
	struct pfkey_told before, after;
	(void)state;
	assert_int_equal(pfkey_put_sa_add(&m, &sa, 17), 0);
	assert_true(pfkey_read(bytes_of_message(&m), &before));
	assert_int_equal(pfkey_put_sa_ports(&moved, bytes_of_message(&m), 4500, 999), 0);
	assert_true(pfkey_read(bytes_of_message(&moved), &after));
	assert_int_equal(after.type, SADB_UPDATE);
	assert_int_equal(after.nat_source_port, 4500);
	assert_int_equal(after.nat_destination_port, 999);
	assert_int_equal(after.spi, before.spi);
	assert_true(contains(bytes_of_message(&moved), 0xa2, 64));
	/* Told without keys, or not encapsulated, or in pieces. */
	struct pfkey_key key = {sa.local.address, sa.remote.address, sa.spi, SADB_SATYPE_ESP};
	assert_int_equal(pfkey_put_sa_key(&m, SADB_GET, &key), 0);
	assert_int_equal(pfkey_put_sa_ports(&moved, bytes_of_message(&m), 1, 2), EBADMSG);
	sa.udp_encapsulation = false;
	assert_int_equal(pfkey_put_sa_add(&m, &sa, 17), 0);
	assert_int_equal(pfkey_put_sa_ports(&moved, bytes_of_message(&m), 1, 2), EBADMSG);
	assert_int_equal(pfkey_put_sa_ports(&moved, bytes_of(m.bytes, 8), 1, 2), EMSGSIZE);
}

/* ---- hostile messages ---- */

static struct bytes with_extension(
	uint8_t buffer[512], uint16_t units, uint16_t type, size_t len, size_t told_len)
{
	struct sadb_msg head = {.sadb_msg_version = PF_KEY_V2,
		.sadb_msg_type = SADB_EXPIRE,
		.sadb_msg_seq = 5,
		.sadb_msg_len = (uint16_t)(told_len / 8)};
	struct sadb_ext ext = {units, type};
	memset(buffer, 0, 512);
	memcpy(buffer, &head, sizeof(head));
	memcpy(buffer + sizeof(head), &ext, sizeof(ext));
	return bytes_of(buffer, len);
}

static void odd_messages_are_not_whole(void **state)
{
	struct pfkey_told told;
	uint8_t buffer[512];
	(void)state;
	/* Shorter than a header; of another version. */
	for (size_t len = 0; len < sizeof(struct sadb_msg); len++)
		assert_false(pfkey_read(with_extension(buffer, 1, 1, len, 16), &told));
	(void)with_extension(buffer, 1, SADB_EXT_SA, 24, 24);
	buffer[0] = 3;
	assert_false(pfkey_read(bytes_of(buffer, 24), &told));
	/* Says that it is longer than it is, or shorter than a header. */
	assert_true(pfkey_read(with_extension(buffer, 2, SADB_EXT_SA, 24, 32), &told));
	assert_false(told.is_whole);
	assert_int_equal(told.sequence, 5); /* whose it is can be said */
	assert_true(pfkey_read(with_extension(buffer, 2, SADB_EXT_SA, 32, 8), &told));
	assert_false(told.is_whole);
	/* An extension of no length, past the end, too short for its kind, with a rest. */
	for (uint16_t type = 0; type < 64; type++) {
		assert_true(pfkey_read(with_extension(buffer, 0, type, 40, 40), &told));
		assert_false(told.is_whole);
		assert_true(pfkey_read(with_extension(buffer, 60, type, 40, 40), &told));
		assert_false(told.is_whole);
		assert_true(pfkey_read(with_extension(buffer, 2, type, 40, 40), &told));
		assert_false(told.is_whole);
		assert_false(told.has_sa || told.has_hard || told.has_policy);
	}
	/* What is not known is passed over. */
	assert_true(pfkey_read(with_extension(buffer, 3, 200, 40, 40), &told));
	assert_true(told.is_whole);
	assert_true(pfkey_read(with_extension(buffer, 1, SADB_EXT_LIFETIME_HARD, 24, 24), &told));
	assert_false(told.is_whole);
	/* An address of no known family, or with more bits than it has. */
	assert_true(pfkey_read(with_extension(buffer, 3, SADB_EXT_ADDRESS_SRC, 40, 40), &told));
	assert_false(told.is_whole);
	(void)with_extension(buffer, 3, SADB_EXT_ADDRESS_SRC, 40, 40);
	buffer[24] = AF_INET;
	assert_true(pfkey_read(bytes_of(buffer, 40), &told));
	assert_true(told.is_whole);
	buffer[21] = 33;
	assert_true(pfkey_read(bytes_of(buffer, 40), &told));
	assert_false(told.is_whole);
}

static void use(struct bytes message)
{
	struct pfkey_algorithms algorithms;
	struct pfkey_message out;
	struct pfkey_told told;
	if (!pfkey_read(message, &told))
		return;
	if (!told.is_whole)
		assert_false(told.has_sa || told.has_policy || told.auth_algs.len);
	pfkey_algorithms_read(&algorithms, told.auth_algs, told.encr_algs);
	(void)pfkey_counters(&told);
	(void)pfkey_is_ours(&told);
	if (pfkey_put_sa_ports(&out, message, 1, 2) == 0)
		assert_int_equal(out.len, message.len);
}

/* In memory of exactly its size, so that a sanitizer or memcheck sees any read past it. */
static void use_exactly(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	use(bytes_of(copy, len));
	free(copy);
}

static void mutated_messages_are_read_safely(void **state)
{
	struct ipsec_sa sa = make_sa("2001:db8::2", "2001:db8::1");
	struct selector s = make_selector("10.1.0.0/16", "10.2.0.0/16");
	struct policy_values v = {.reqid = 1, .mode = IPSEC_TUNNEL, .remote = ip_v4(1)};
	struct pfkey_message messages[3];
	uint32_t random = 12345;
	(void)state;
	assert_int_equal(pfkey_put_sa_add(&messages[0], &sa, 1), 0);
	assert_int_equal(pfkey_put_policy(&messages[1], POLICY_OUT, &s, &v, 1), 0);
	sa.udp_encapsulation = false;
	assert_int_equal(pfkey_put_sa_add(&messages[2], &sa, 1), 0);
	for (unsigned i = 0; i < 3; i++)
		for (size_t len = 0; len <= messages[i].len; len++)
			use_exactly(messages[i].bytes, len);
	for (unsigned i = 0; i < 60000; i++) {
		struct pfkey_message m = messages[i % 3];
		for (unsigned changes = 0; changes <= i % 4; changes++) {
			random = random * 1664525u + 1013904223u;
			m.bytes[(random >> 8) % m.len] = (uint8_t)(random >> 24);
		}
		use_exactly(m.bytes, m.len - (i % 5 == 0 ? random % 9 : 0));
	}
}

/* ---- algorithms ---- */

static void algorithms_are_those_of_the_list(void **state)
{
	struct sadb_alg auth[] = {{.sadb_alg_id = SADB_AALG_SHA1HMAC},
		{.sadb_alg_id = PFKEY_AALG_SHA2_256}, {.sadb_alg_id = PFKEY_AALG_SHA2_512},
		{.sadb_alg_id = 99}};
	struct sadb_alg encr[] = {
		{.sadb_alg_id = 12, .sadb_alg_minbits = 128, .sadb_alg_maxbits = 192},
		{.sadb_alg_id = 13, .sadb_alg_minbits = 160, .sadb_alg_maxbits = 288},
		{.sadb_alg_id = 20, .sadb_alg_minbits = 128, .sadb_alg_maxbits = 256},
		{.sadb_alg_id = SADB_EALG_3DESCBC,
			.sadb_alg_minbits = 192,
			.sadb_alg_maxbits = 192}};
	struct pfkey_algorithms have;
	(void)state;
	pfkey_algorithms_read(
		&have, bytes_of(auth, sizeof(auth) - 1), bytes_of(encr, sizeof(encr)));
	assert_true(pfkey_algorithms_have(&have, ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96));
	assert_true(pfkey_algorithms_have(&have, ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_512_256));
	assert_false(pfkey_algorithms_have(&have, ENCR_AES_CBC, 256, INTEG_HMAC_SHA1_96));
	assert_false(pfkey_algorithms_have(&have, ENCR_AES_CBC, 128, INTEG_NONE));
	assert_false(pfkey_algorithms_have(&have, ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_384_192));
	assert_int_equal(pfkey_algorithms_have(&have, ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128),
		PFKEY_SHA2_256_USABLE);
	assert_true(pfkey_algorithms_have(&have, ENCR_AES_CTR, 128, INTEG_HMAC_SHA1_96));
	assert_true(pfkey_algorithms_have(&have, ENCR_AES_CTR, 256, INTEG_HMAC_SHA1_96));
	assert_true(pfkey_algorithms_have(&have, ENCR_AES_GCM_16, 256, INTEG_NONE));
	assert_false(pfkey_algorithms_have(&have, ENCR_AES_GCM_16, 256, INTEG_HMAC_SHA1_96));
	assert_false(pfkey_algorithms_have(&have, ENCR_AES_GCM_12, 256, INTEG_NONE));
	assert_true(pfkey_algorithms_have(&have, ENCR_3DES, 0, INTEG_HMAC_SHA1_96));
	assert_false(pfkey_algorithms_have(&have, 999, 128, INTEG_HMAC_SHA1_96));
	assert_false(pfkey_algorithms_have(&have, ENCR_AES_CBC, 128, 999));
}

/* ---- request IDs ---- */

static void request_ids_are_held_and_rest(void **state)
{
	struct reqid_map *map = reqid_map_new(100);
	(void)state;
	assert_non_null(map);
	assert_int_equal(reqid_map_reverse(map, 0), 0);
	assert_int_equal(reqid_map_reverse(map, 1), 0);
	assert_int_equal(reqid_map_reverse(map, 101), 0);
	for (uint32_t i = 1; i <= 100; i++)
		assert_in_range(reqid_map_hold(map, 70000 + i), 1, 100);
	assert_int_equal(reqid_map_hold(map, 80000), 0); /* all are in use */
	assert_int_equal(reqid_map_hold(map, 70007), reqid_map_find(map, 70007));
	reqid_map_release(map, 80000); /* was never held */
	for (uint32_t i = 1; i <= 100; i++)
		assert_int_equal(reqid_map_reverse(map, reqid_map_find(map, 70000 + i)), 70000 + i);
	uint32_t number = reqid_map_find(map, 70007);
	reqid_map_release(map, 70007);
	assert_int_equal(reqid_map_find(map, 70007), number); /* was held twice */
	reqid_map_release(map, 70007);
	assert_int_equal(reqid_map_find(map, 70007), 0);
	assert_int_equal(reqid_map_reverse(map, number), 0);
	assert_int_equal(reqid_map_hold(map, 80000), number);
	for (uint32_t i = 1; i <= 100; i++)
		reqid_map_release(map, 70000 + i);
	/* A number that was given up comes again last. */
	number = reqid_map_hold(map, 1);
	reqid_map_release(map, 1);
	for (unsigned i = 0; i < 98; i++) {
		uint32_t next = reqid_map_hold(map, 2);
		assert_int_not_equal(next, number);
		reqid_map_release(map, 2);
	}
	reqid_map_free(map);
}

/* A kernel without PF_KEY is named, not fallen over. */
static void without_pf_key_it_says_so(void **state)
{
	struct kernel_config config = {.backend = "pfkey"};
	char error[200] = "";
	(void)state;
	int fd = socket(PF_KEY, SOCK_RAW, PF_KEY_V2);
	if (fd >= 0)
		skip(); /* what follows would look at this machine's own SAs */
	assert_null(kernel_open(&config, error, sizeof(error)));
	assert_non_null(strstr(error, "kernel interface \"pfkey\": no PF_KEY socket"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_sa_is_told_as_it_was_made),
		cmocka_unit_test(what_has_no_word_is_refused),
		cmocka_unit_test(a_policy_is_told_as_it_was_made),
		cmocka_unit_test(ports_are_single_or_all),
		cmocka_unit_test(other_ports_leave_all_else),
		cmocka_unit_test(odd_messages_are_not_whole),
		cmocka_unit_test(mutated_messages_are_read_safely),
		cmocka_unit_test(algorithms_are_those_of_the_list),
		cmocka_unit_test(request_ids_are_held_and_rest),
		cmocka_unit_test(without_pf_key_it_says_so),
	};
	return cmocka_run_group_tests_name("kernel pfkey", tests, NULL, NULL);
}
