/* The "xfrm" backend on a kernel that has ESP: xfrm_kernel_test CASE, in a network namespace of its
 * own. Run by kernel_test.sh in the virtual machine. */
#include "kernel_lab.h"
#include "xfrm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sched.h>
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

static void make_tiny(struct nl_sock *s)
{
	int bytes = 1;
	assert_int_equal(
		setsockopt(nl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

/* Most answers are lost, and yet each request gets its own. */
static void overrun(void **state)
{
	struct xfrm_channel *c = (struct xfrm_channel *)channel;
	size_t window = c->window;
	struct kernel_stats stats;
	(void)state;
	make_tiny(c->socket);
	for (unsigned i = 0; i < 200; i++) {
		submit_sa(IPSEC_SA_ADD, i, IPSEC_INBOUND, 3 * i);
		submit_sa(IPSEC_SA_ADD, i, IPSEC_OUTBOUND, 3 * i + 1);
		submit_policy(IPSEC_POLICY_ADD, i, 3 * i + 2);
	}
	submit_sa(IPSEC_SA_ADD, 7, IPSEC_INBOUND, 600); /* and an error is its own */
	await_answers(601);
	for (unsigned i = 0; i < 601; i++)
		assert_int_equal(owner.error[i], i == 600 ? EEXIST : 0);
	assert_int_equal(sas_in_kernel(), 400);
	assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10.1'"), 200);
	stats = kernel_stats(kernel);
	printf("figure: %llu overruns, %llu requests asked again, none lost\n",
		(unsigned long long)stats.overruns, (unsigned long long)stats.asked_again);
	assert_true(stats.overruns > 0 && stats.asked_again > 0);
	assert_true(c->window < window);
	c->window = window; /* as if it had all been forgotten */
	start_over();
	for (unsigned i = 0; i < 200; i++) {
		submit_sa(IPSEC_SA_DELETE, i, IPSEC_INBOUND, 3 * i);
		submit_sa(IPSEC_SA_DELETE, i, IPSEC_OUTBOUND, 3 * i + 1);
		submit_policy(IPSEC_POLICY_DELETE, i, 3 * i + 2);
	}
	all_are_good(600);
	assert_int_equal(sas_in_kernel(), 0);
	assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10'"), 0);
}

/* ---- algorithms ---- */

static void add_both(uint32_t *n, const struct algorithm *encr, uint16_t bits,
	const struct algorithm *integ, bool esn)
{
	for (int direction = 0; direction < 2; direction++, ++*n) {
		struct ipsec_request r = make_sa(*n, (enum ipsec_direction)direction, *n);
		r.sa.encr = encr->id;
		r.sa.encr_key_len = (uint16_t)algorithm_encr_keymat_len(encr, bits);
		r.sa.integ = integ ? integ->id : 0;
		r.sa.integ_key_len = integ ? integ->key_len : 0;
		r.sa.esn = esn;
		r.sa.replay_window = direction ? 0 : (uint32_t[]){0, 20, 128, 4096}[*n / 2 % 4];
		r.sa.mode = *n % 3 ? IPSEC_TUNNEL : IPSEC_TRANSPORT;
		kernel_channel_submit(channel, &r);
	}
}

/* Every transform that is said to be supported can be installed: all key lengths, windows, with and
 * without ESN. */
static void algorithms(void **state)
{
	const struct algorithm *encr, *integ;
	uint32_t n = 0;
	(void)state;
	for (size_t e = 0; (encr = algorithm_at(TRANSFORM_ENCR, e)); e++) {
		for (unsigned k = 0; k < ALGORITHM_KEY_BITS_MAX && (k == 0 || encr->key_bits[k]);
			k++) {
			for (size_t i = 0; (integ = algorithm_at(TRANSFORM_INTEG, i)); i++) {
				for (int esn = 0; esn < 2; esn++) {
					if (kernel_supports(kernel, encr->id, encr->key_bits[k],
						    integ->id, esn))
						add_both(&n, encr, encr->key_bits[k],
							integ->id ? integ : NULL, esn);
				}
			}
		}
	}
	printf("figure: %u transforms of ESP\n", n / 2);
	assert_true(n / 2 >=
		    2 * (6 * 3 + 1 + 7 * 6 + 7 * 2)); /* GCM, CCM; ChaCha20; CBC, CTR; 3DES, NULL */
	all_are_good(n);
	assert_int_equal(sas_in_kernel(), n);
}

static void errors(void **state)
{
	struct ipsec_request r;
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
	r.sa.integ = INTEG_HMAC_SHA2_256_128;
	kernel_channel_submit(channel, &r);
	r = make_sa(5, IPSEC_INBOUND, 5);
	r.sa.local.address = (struct ip_address){.family = AF_INET6};
	kernel_channel_submit(channel, &r);
	r = make_sa(6, IPSEC_INBOUND, 6);
	r.sa.protocol = IPSEC_AH;
	kernel_channel_submit(channel, &r);
	submit_sa(IPSEC_SA_DELETE, 7, IPSEC_INBOUND, 7);
	submit_sa(IPSEC_SA_QUERY, 7, IPSEC_OUTBOUND, 8);
	submit_policy(IPSEC_POLICY_DELETE, 7, 9);
	submit_sa(IPSEC_SA_QUERY, 1, IPSEC_INBOUND, 10);
	submit_sa(IPSEC_SA_DELETE, 1, IPSEC_INBOUND, 11);
	await_answers(12);
	const int expected[] = {0, EEXIST, ENOSYS, EINVAL, EINVAL, EAFNOSUPPORT,
		EINVAL /* AH with a cipher */, ESRCH, ESRCH, ENOENT, 0, 0};
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(owner.error[i], expected[i]);
	assert_int_equal(sas_in_kernel(), 0);
}

/* ---- traffic ---- */

/* Events that are lost: what they were about is found by asking. */
static void event_overrun(void **state)
{
	struct xfrm_channel *c = (struct xfrm_channel *)channel;
	(void)state;
	route_traffic();
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/25", 0);
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, true, 6, "198.51.100.128/25", 1);
	submit_limited_sa(5, 3, 5, 2);
	submit_limited_sa(7, 3, 5, 3); /* carries nothing: nothing is to be told of it */
	all_are_good(4);
	make_tiny(c->events);
	for (unsigned i = 0; i < 30; i++)
		send_to((uint8_t)(130 + i));
	for (unsigned i = 0; i < 10; i++)
		send_to(1);
	sleep(1);
	/* A few acquires have come through; then the limits of the SA, which were not among them.
	 */
	time_t end = time(NULL) + PATIENCE;
	unsigned hard = 0;
	while (!hard && time(NULL) < end) {
		turn(100);
		for (unsigned i = 0; i < owner.events && i < 64; i++)
			hard += owner.event[i].kind == IPSEC_EXPIRE_HARD &&
				owner.event[i].spi == 0x10000005;
	}
	assert_int_equal(hard, 1);
	for (unsigned i = 0; i < owner.events && i < 64; i++)
		assert_int_not_equal(owner.event[i].spi, 0x10000007);
	assert_true(kernel_stats(kernel).events_lost > 0);
	assert_true(owner.events < 30);
}

/* ---- moving ---- */

static void move(void **state)
{
	(void)state;
	route_traffic();
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/24", 0);
	submit_limited_sa(5, 0, 0, 1);
	struct ipsec_request in = make_sa(9, IPSEC_INBOUND, 2);
	in.sa.udp_encapsulation = true;
	in.sa.local.port = 4500;
	in.sa.remote.port = 4500;
	kernel_channel_submit(channel, &in);
	all_are_good(3);
	for (unsigned i = 0; i < 4; i++)
		assert_true(send_to(1));
	struct ipsec_request r = make_sa(5, IPSEC_OUTBOUND, 3);
	r.op = IPSEC_SA_MOVE;
	r.sa.reqid = 5;
	r.sa.remote.address = ip_v4(0xc6120002);
	kernel_channel_submit(channel, &r);
	in.op = IPSEC_SA_MOVE;
	in.token = 4;
	in.sa.remote.port = 1024;
	kernel_channel_submit(channel, &in);
	r.op = IPSEC_SA_QUERY;
	r.token = 5;
	kernel_channel_submit(channel, &r);
	all_are_good(6);
	assert_int_equal(owner.counters[5].packets, 4); /* it goes on counting */
	assert_int_equal(count_of("ip xfrm state | grep -c '^src 192.0.2.1 dst 198.18.0.2'"), 1);
	assert_int_equal(
		count_of("ip xfrm state | grep -c 'encap type espinudp sport 1024 dport 4500'"), 1);
	assert_int_equal(sas_in_kernel(), 2);
	/* No sequence number comes twice, and the policy has followed. */
	assert_int_equal(count_of("ip xfrm state | grep -c 'oseq 0x100004'"), 1);
	assert_true(send_to(1));
	assert_int_equal(count_of("ip xfrm state | grep -c 'oseq 0x100005'"), 1);
	r.op = IPSEC_SA_DELETE;
	r.token = 6;
	kernel_channel_submit(channel, &r);
	in.op = IPSEC_SA_DELETE;
	in.token = 7;
	kernel_channel_submit(channel, &in);
	all_are_good(8);
	assert_int_equal(owner.counters[6].packets, 5);
	assert_int_equal(sas_in_kernel(), 0);
}

/* The place that it is to be moved to is another's: that it is gone is told. */
static void move_fails(void **state)
{
	struct ipsec_request r = make_sa(1, IPSEC_OUTBOUND, 1), there = make_sa(1, IPSEC_OUTBOUND, 0);
	(void)state;
	there.sa.id = 99;
	there.sa.reqid = 99;
	there.sa.remote.address = ip_v4(0xc6120002);
	kernel_channel_submit(channel, &there);
	kernel_channel_submit(channel, &r);
	all_are_good(2);
	r.op = IPSEC_SA_MOVE;
	r.token = 2;
	r.sa.remote.address = there.sa.remote.address;
	kernel_channel_submit(channel, &r);
	await_answers(3);
	assert_int_equal(owner.error[2], EEXIST);
}

/* ---- marks, interfaces, devices ---- */

/* The kernel finds a marked SA only for who names its mark. */
static void bound(void **state)
{
	struct ipsec_request r = make_sa(1, IPSEC_OUTBOUND, 0);
	(void)state;
	r.sa.mark = (struct ipsec_mark){5, 0xff};
	r.sa.set_mark = (struct ipsec_mark){0x700, 0xff00};
	r.sa.interface_id = 77;
	kernel_channel_submit(channel, &r);
	r.op = IPSEC_SA_QUERY;
	r.token = 1;
	r.sa.mark = r.sa.set_mark = (struct ipsec_mark){0, 0}; /* it is remembered */
	kernel_channel_submit(channel, &r);
	all_are_good(2);
	assert_int_equal(count_of("ip xfrm state | grep -c 'mark 0x5/0xff'"), 1);
	assert_int_equal(count_of("ip xfrm state | grep -c 'output-mark 0x700/0xff00'"), 1);
	assert_int_equal(count_of("ip xfrm state | grep -c 'if_id 0x4d'"), 1);
	r.op = IPSEC_SA_MOVE;
	r.token = 2;
	r.sa.remote.address = ip_v4(0xc6120002);
	kernel_channel_submit(channel, &r);
	all_are_good(3);
	assert_int_equal(count_of("ip xfrm state | grep -c '^src 192.0.2.1 dst 198.18.0.2'"), 1);
	assert_int_equal(count_of("ip xfrm state | grep -c 'output-mark 0x700/0xff00'"), 1);
	assert_int_equal(count_of("ip xfrm state | grep -c 'mark 0x5/0xff'"), 1);
	assert_int_equal(count_of("ip xfrm state | grep -c 'if_id 0x4d'"), 1);
	/* What a crash leaves is found, too. */
	kernel_channel_close(channel);
	kernel_leave_state(kernel);
	kernel_close(kernel);
	assert_int_equal(sas_in_kernel(), 1);
	kernel = kernel_open(&(struct kernel_config){.backend = "xfrm"}, (char[200]){0}, 200);
	assert_non_null(kernel);
	assert_int_equal(sas_in_kernel(), 0);
	channel = open_channel();
}

static int set_up_xfrm(void **state)
{
	(void)state;
	return set_up("xfrm");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(case_many, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(overrun, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(algorithms, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(errors, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(case_one_spi_twice, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(case_limits, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(case_policies, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(event_overrun, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(move, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(move_fails, set_up_xfrm, tear_down),
		cmocka_unit_test_setup_teardown(bound, set_up_xfrm, tear_down),
	};
	if (argc != 2)
		return 2;
	cmocka_set_test_filter(argv[1]);
	counts_all = true;
	acquired_ts = "198.51.100.200/32/UDP/9"; /* the packet's own */
	sa_form = (struct ipsec_sa){.esn = true, .encr = ENCR_AES_GCM_16, .encr_key_len = 20};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
