/* The "pfkey" backend on a kernel that has ESP and PF_KEY: pfkey_kernel_test CASE, in a network
 * namespace of its own. Run by pfkey_test.sh in the virtual machine. */
#include "kernel_lab.h"
#include "pfkey.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE 60 /* s */

static struct pfkey_channel *pfkey_channel(void)
{
	return (struct pfkey_channel *)channel;
}

static void make_tiny(int bytes)
{
	struct pfkey_channel *c = pfkey_channel();
	socklen_t len = sizeof(bytes);
	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	assert_int_equal(getsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len), 0);
	c->queue_size = (uint32_t)bytes;
}

static void submit_all(enum ipsec_op sa_op, enum ipsec_op policy_op, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		submit_sa(sa_op, i, IPSEC_INBOUND, 3 * i);
		submit_sa(sa_op, i, IPSEC_OUTBOUND, 3 * i + 1);
		submit_policy(policy_op, i, 3 * i + 2);
	}
}

/* Most answers are lost, without a word, and yet each request gets its own. */
static void overrun(void **state)
{
	struct kernel_stats stats;
	(void)state;
	make_tiny(8192);
	submit_all(IPSEC_SA_ADD, IPSEC_POLICY_ADD, 200);
	submit_sa(IPSEC_SA_ADD, 7, IPSEC_INBOUND, 600); /* and an error is its own */
	await_answers(601);
	for (unsigned i = 0; i < 601; i++)
		assert_int_equal(owner.error[i], i == 600 ? EEXIST : 0);
	assert_int_equal(sas_in_kernel(), 400);
	assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10.1'"), 200);
	stats = kernel_stats(kernel);
	printf("figure: %llu requests asked again, none lost\n",
		(unsigned long long)stats.asked_again);
	assert_true(stats.asked_again > 0 && stats.events_lost > 0);
	pfkey_channel()->flights_max = PFKEY_FLIGHTS; /* as if it had all been forgotten */
	start_over();
	submit_all(IPSEC_SA_DELETE, IPSEC_POLICY_DELETE, 200);
	all_are_good(600);
	assert_int_equal(sas_in_kernel(), 0);
	assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10'"), 0);
	assert_int_equal(owner.events, 0);
}

/* Answers go to everybody: each channel takes its own. */
static void two_channels(void **state)
{
	struct kernel_channel *first = channel, *second = open_channel();
	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		channel = i % 2 ? first : second;
		submit_sa(IPSEC_SA_ADD, i, IPSEC_INBOUND, i);
		if (i % 50 == 0) {
			channel = first;
			turn(0);
			channel = second;
			turn(0);
		}
	}
	time_t end = time(NULL) + PATIENCE;
	while (owner.answers < 500 && time(NULL) < end) {
		channel = channel == first ? second : first;
		turn(1);
	}
	assert_int_equal(owner.answers, 500);
	assert_int_equal(owner.errors, 0);
	assert_int_equal(sas_in_kernel(), 500);
	assert_int_equal(kernel_stats(kernel).asked_again, 0);
	/* What one has added, the other does not know. */
	channel = second;
	submit_sa(IPSEC_SA_QUERY, 1, IPSEC_INBOUND, 500);
	submit_sa(IPSEC_SA_QUERY, 2, IPSEC_INBOUND, 501);
	await_answers(502);
	assert_int_equal(owner.error[500], ESRCH);
	assert_int_equal(owner.error[501], 0);
	kernel_channel_close(second);
	channel = first;
}

/* ---- algorithms ---- */

static void add_both(
	uint32_t *n, const struct algorithm *encr, uint16_t bits, const struct algorithm *integ)
{
	for (int direction = 0; direction < 2; direction++, ++*n) {
		struct ipsec_request r = make_sa(*n, (enum ipsec_direction)direction, *n);
		r.sa.encr = encr->id;
		r.sa.encr_key_len = (uint16_t)algorithm_encr_keymat_len(encr, bits);
		r.sa.integ = integ->id;
		r.sa.integ_key_len = integ->key_len;
		r.sa.mode = *n % 3 ? IPSEC_TUNNEL : IPSEC_TRANSPORT;
		kernel_channel_submit(channel, &r);
	}
}

/* Every transform that is said to be supported can be installed. What PF_KEY has no number for, no
 * ESN, and not as RFC 4868 has it, is not. */
static void algorithms(void **state)
{
	const struct algorithm *encr, *integ;
	uint32_t n = 0;
	(void)state;
	for (size_t e = 0; (encr = algorithm_at(TRANSFORM_ENCR, e)); e++) {
		for (unsigned k = 0; k < ALGORITHM_KEY_BITS_MAX && (k == 0 || encr->key_bits[k]);
			k++) {
			for (size_t i = 0; (integ = algorithm_at(TRANSFORM_INTEG, i)); i++) {
				uint16_t bits = encr->key_bits[k];
				assert_false(
					kernel_supports(kernel, encr->id, bits, integ->id, true));
				if (!kernel_supports(kernel, encr->id, bits, integ->id, false))
					continue;
				assert_false(encr->aead);
				assert_int_not_equal(integ->id, INTEG_HMAC_SHA2_256_128);
				add_both(&n, encr, bits, integ);
			}
		}
	}
	printf("figure: %u transforms of ESP\n", n / 2);
	assert_true(n / 2 >= 3 * 5 + 3 * 5 + 5); /* AES-CBC, AES-CTR, 3DES; with five each */
	all_are_good(n);
	assert_int_equal(sas_in_kernel(), n);
	/* The kernel is of one mind with us on how long each check value is. */
	assert_int_equal(count_of("ip xfrm state | grep -c 'hmac(sha512).* 256$'"),
		count_of("ip xfrm state | grep -c 'hmac(sha512)'"));
	assert_int_equal(count_of("ip xfrm state | grep -c 'hmac(sha384).* 192$'"),
		count_of("ip xfrm state | grep -c 'hmac(sha384)'"));
	assert_true(count_of("ip xfrm state | grep -c 'hmac(sha512)'") > 0);
}

/* Why AEAD and SHA-256 are not supported: what the kernel makes of them when it is asked all the
 * same. (A kernel that does better makes this fail: then they can be had.) */
static void what_is_missing(void **state)
{
	struct pfkey_sync *sync;
	struct pfkey_message *m;
	char error[200];
	(void)state;
	sync = pfkey_sync_open((uint32_t)getpid(), error, sizeof(error));
	assert_non_null(sync);
	m = pfkey_sync_msg(sync);
	struct ipsec_request r = make_sa(1, IPSEC_INBOUND, 0);
	r.sa.encr = ENCR_AES_GCM_16;
	r.sa.encr_key_len = 20;
	r.sa.integ = 0;
	assert_int_equal(pfkey_put_sa_add(m, &r.sa, 1), 0);
	assert_int_equal(pfkey_sync_ask(sync, NULL), ENOSYS);
	r = make_sa(2, IPSEC_INBOUND, 0);
	r.sa.integ_key_len = 32;
	assert_int_equal(pfkey_put_sa_add(m, &r.sa, 1), 0);
	for (size_t at = sizeof(struct sadb_msg); at < m->len;) {
		struct sadb_ext ext;
		memcpy(&ext, m->bytes + at, sizeof(ext));
		if (ext.sadb_ext_type == SADB_EXT_SA)
			m->bytes[at + offsetof(struct sadb_sa, sadb_sa_auth)] = PFKEY_AALG_SHA2_256;
		at += ext.sadb_ext_len * 8u;
	}
	assert_int_equal(pfkey_sync_ask(sync, NULL), 0);
	assert_int_equal(count_of("ip xfrm state | grep -c 'hmac(sha256).* 96$'"), 1);
	pfkey_sync_close(sync);
}

static void errors(void **state)
{
	const int expected[] = {0, EEXIST, ENOSYS, EINVAL, EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT,
		EOPNOTSUPP, ESRCH, ESRCH, ENOENT, 0, 0, EOPNOTSUPP, EOPNOTSUPP,
		EOPNOTSUPP};
	struct ipsec_request r;
	struct traffic_selector ts[2];
	(void)state;
	submit_sa(IPSEC_SA_ADD, 1, IPSEC_INBOUND, 0);
	/* The same SPI again under another reqid: the kernel refuses it, and the first stays. */
	r = make_sa(1, IPSEC_INBOUND, 1);
	r.sa.reqid = 4;
	kernel_channel_submit(channel, &r);
	r = make_sa(2, IPSEC_INBOUND, 2);
	r.sa.encr = 999;
	kernel_channel_submit(channel, &r);
	r = make_sa(3, IPSEC_INBOUND, 3);
	r.sa.encr_key_len = 19;
	kernel_channel_submit(channel, &r);
	r = make_sa(4, IPSEC_INBOUND, 4);
	r.sa.integ = 0;
	kernel_channel_submit(channel, &r);
	r = make_sa(5, IPSEC_INBOUND, 5);
	r.sa.local.address = (struct ip_address){.family = AF_INET6};
	kernel_channel_submit(channel, &r);
	r = make_sa(6, IPSEC_INBOUND, 6);
	r.sa.protocol = IPSEC_AH;
	kernel_channel_submit(channel, &r);
	r = make_sa(7, IPSEC_INBOUND, 7);
	r.sa.esn = true;
	kernel_channel_submit(channel, &r);
	r.sa.esn = false;
	r.sa.interface_id = 9;
	r.token = 15;
	kernel_channel_submit(channel, &r);
	submit_sa(IPSEC_SA_DELETE, 7, IPSEC_INBOUND, 8);
	submit_sa(IPSEC_SA_QUERY, 7, IPSEC_OUTBOUND, 9);
	submit_policy(IPSEC_POLICY_DELETE, 7, 10);
	submit_sa(IPSEC_SA_QUERY, 1, IPSEC_INBOUND, 11);
	submit_sa(IPSEC_SA_DELETE, 1, IPSEC_INBOUND, 12);
	/* Both families in one SA; a range of ports. */
	assert_true(traffic_selector_parse("10.1.0.0/16", &ts[0]));
	assert_true(traffic_selector_parse("fd00::/64", &ts[1]));
	r = make_sa(8, IPSEC_INBOUND, 13);
	r.sa.local_ts = r.sa.remote_ts = ts;
	r.sa.local_ts_count = r.sa.remote_ts_count = 2;
	kernel_channel_submit(channel, &r);
	submit_traffic_policy(
		IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/24/TCP/1000-2000", 14);
	await_answers(16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(owner.error[i], expected[i]);
	assert_int_equal(sas_in_kernel(), 0);
	/* Nothing of it holds one of the kernel's few request IDs. */
	struct reqid_map *map = pfkey_channel()->pfkey->reqids;
	for (uint32_t number = 1; number <= PFKEY_REQID_MAX; number++)
		assert_int_equal(reqid_map_reverse(map, number), 0);
}

/* ---- traffic ---- */

static void byte_limits(void **state)
{
	(void)state;
	route_traffic();
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/24", 0);
	struct ipsec_request r = make_sa(5, IPSEC_OUTBOUND, 1);
	r.sa.remote.address = ip_v4(0xc6120001);
	r.sa.reqid = 5;
	/* of 35 bytes with their header */
	r.sa.limits = (struct ipsec_limits){.soft_bytes = 80, .hard_bytes = 150};
	kernel_channel_submit(channel, &r);
	all_are_good(2);
	for (unsigned i = 0; i < 10; i++)
		send_to(1);
	await_events(2);
	assert_int_equal(owner.event[0].kind, IPSEC_EXPIRE_SOFT);
	assert_int_equal(owner.event[1].kind, IPSEC_EXPIRE_HARD);
	assert_int_equal(owner.event[1].spi, 0x10000005);
	assert_int_equal(owner.event[1].reqid, 5);
	r.op = IPSEC_SA_DELETE;
	r.token = 2;
	kernel_channel_submit(channel, &r);
	await_answers(3);
	assert_int_equal(owner.error[2], 0);
	assert_true(owner.counters[2].bytes >= 140);
}

/* The kernel does not tell when an SA was last used: what was seen, then. */
static void idle_time(void **state)
{
	struct ipsec_request r = make_sa(5, IPSEC_OUTBOUND, 1);
	(void)state;
	route_traffic();
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/24", 0);
	submit_limited_sa(5, 0, 0, 1);
	all_are_good(2);
	r.op = IPSEC_SA_QUERY;
	r.sa.reqid = 5;
	r.sa.remote.address = ip_v4(0xc6120001);
	for (unsigned i = 2; i < 5; i++) {
		r.token = i;
		kernel_channel_submit(channel, &r);
		all_are_good(i + 1);
		if (i == 2)
			assert_true(send_to(1));
		else
			usleep(50000);
	}
	assert_true(owner.counters[2].idle_ms == UINT64_MAX);
	assert_int_equal(owner.counters[3].idle_ms, 0);
	assert_in_range(owner.counters[4].idle_ms, 50, 60000);
	assert_int_equal(owner.counters[4].packets, 1);
}

/* Events that are lost: what they were about is found by asking. */
static void event_overrun(void **state)
{
	(void)state;
	route_traffic();
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/25", 0);
	submit_limited_sa(5, 3, 5, 1);
	submit_limited_sa(7, 3, 5, 2); /* carries nothing: nothing is to be told of it */
	for (unsigned i = 0; i < 20; i++) {
		char to[40];
		snprintf(to, sizeof(to), "198.51.100.%u/32", 130 + i);
		submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, true, 20 + i, to, 3 + i);
	}
	all_are_good(23);
	make_tiny(4096);
	for (unsigned i = 0; i < 20; i++)
		send_to((uint8_t)(130 + i));
	for (unsigned i = 0; i < 10; i++)
		send_to(1);
	time_t end = time(NULL) + PATIENCE;
	unsigned hard = 0;
	while (!hard && time(NULL) < end) {
		turn(100);
		for (unsigned i = 0; i < owner.events && i < EVENTS; i++)
			hard += owner.event[i].kind == IPSEC_EXPIRE_HARD &&
				owner.event[i].spi == 0x10000005;
	}
	assert_int_equal(hard, 1);
	for (unsigned i = 0; i < owner.events && i < EVENTS; i++)
		assert_int_not_equal(owner.event[i].spi, 0x10000007);
	assert_true(kernel_stats(kernel).events_lost > 0);
	assert_true(owner.events < 20);
}

/* Other ports of UDP encapsulation: the SA goes on. Other addresses: not with PF_KEY. */
static void move(void **state)
{
	struct ipsec_request out = make_sa(5, IPSEC_OUTBOUND, 1), in = make_sa(9, IPSEC_INBOUND, 2);
	(void)state;
	route_traffic();
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/24", 0);
	out.sa.reqid = 5;
	out.sa.remote.address = ip_v4(0xc6120001);
	out.sa.udp_encapsulation = in.sa.udp_encapsulation = true;
	out.sa.local.port = out.sa.remote.port = in.sa.local.port = in.sa.remote.port = 4500;
	kernel_channel_submit(channel, &out);
	kernel_channel_submit(channel, &in);
	all_are_good(3);
	for (unsigned i = 0; i < 4; i++)
		assert_true(send_to(1));
	out.op = in.op = IPSEC_SA_MOVE;
	out.token = 3;
	in.token = 4;
	out.sa.remote.port = in.sa.remote.port = 1024;
	kernel_channel_submit(channel, &out);
	kernel_channel_submit(channel, &in);
	all_are_good(5);
	assert_true(send_to(1));
	out.op = IPSEC_SA_QUERY;
	out.token = 5;
	kernel_channel_submit(channel, &out);
	all_are_good(6);
	assert_int_equal(owner.counters[5].packets, 5); /* it goes on counting */
	assert_int_equal(
		count_of("ip xfrm state | grep -c 'encap type espinudp sport 1024 dport 4500'"), 1);
	assert_int_equal(
		count_of("ip xfrm state | grep -c 'encap type espinudp sport 4500 dport 1024'"), 1);
	assert_int_equal(count_of("ip xfrm state | grep -c 'oseq 0x5'"), 1);
	out.op = IPSEC_SA_MOVE;
	out.token = 6;
	out.sa.remote.address = ip_v4(0xc6120002);
	kernel_channel_submit(channel, &out);
	await_answers(7);
	assert_int_equal(owner.error[6], EOPNOTSUPP);
	assert_int_equal(sas_in_kernel(), 2);
	assert_true(send_to(1));
}

/* A later run knows what an earlier one has left, by whichever interface, and nobody else's. */
static void left_over(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		submit_sa(IPSEC_SA_ADD, i, IPSEC_INBOUND, 2 * i);
		submit_policy(IPSEC_POLICY_ADD, i, 2 * i + 1);
	}
	all_are_good(600);
	assert_int_equal(
		system("ip xfrm state add src 198.51.100.1 dst 198.51.100.2 proto esp spi 0x1234 "
		       "reqid 7 mode tunnel enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f "
		       "auth 'hmac(sha1)' 0x000102030405060708090a0b0c0d0e0f10111213 && "
		       "ip xfrm policy add src 10.8.0.0/24 dst 10.9.0.0/24 dir out priority 3"),
		0);
	for (unsigned i = 0; i < 2; i++) {
		kernel_channel_close(channel);
		kernel_leave_state(kernel);
		kernel_close(kernel);
		assert_int_equal(sas_in_kernel(), i == 0 ? 301 : 1);
		struct kernel_config config = {.backend = i == 0 ? "pfkey" : "xfrm"};
		char error[200];
		kernel = kernel_open(&config, error, sizeof(error));
		assert_non_null(kernel);
		channel = open_channel();
		assert_int_equal(sas_in_kernel(), 1);
		assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10.1'"), 0);
		assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10.8'"), 1);
		if (i == 1)
			break;
		start_over();
		submit_policy(IPSEC_POLICY_ADD, 1, 0);
		all_are_good(1);
		assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10.1'"), 1);
	}
}

static int set_up_pfkey(void **state)
{
	(void)state;
	return set_up("pfkey");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(case_many, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(overrun, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(two_channels, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(algorithms, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(what_is_missing, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(errors, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(case_one_spi_twice, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(case_limits, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(byte_limits, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(idle_time, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(case_policies, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(event_overrun, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(move, set_up_pfkey, tear_down),
		cmocka_unit_test_setup_teardown(left_over, set_up_pfkey, tear_down),
	};
	if (argc != 2)
		return 2;
	cmocka_set_test_filter(argv[1]);
	acquired_ts = "198.51.100.128/25"; /* the policy's: of the packet PF_KEY says nothing */
	sa_form = (struct ipsec_sa){.encr = ENCR_AES_CBC,
		.encr_key_len = 16,
		.integ = INTEG_HMAC_SHA2_512_256,
		.integ_key_len = 64};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
