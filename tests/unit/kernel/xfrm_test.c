/* The "xfrm" backend, as far as it goes on any kernel: selectors, policies and who holds them, what
 * an earlier run has left. In a network namespace of its own; SAs are tested in tests/vm. */
#include "kernel/kernel.h"
#include "selector.h"

#include <errno.h>
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

#define PATIENCE 20 /* s */

static bool usable;
static int errors[64]; /* by token; -1: no answer */
static unsigned answers;

static void on_answer(void *arg, const struct ipsec_answer *answer)
{
	(void)arg;
	assert_true(answer->token < 64 && errors[answer->token] == -1);
	errors[answer->token] = answer->error;
	answers++;
}

static unsigned acquires[2]; /* by channel */
static struct ipsec_event last_acquire;

static void on_event(void *arg, const struct ipsec_event *event)
{
	if (!arg)
		fail();
	last_acquire = *event;
	++*(unsigned *)arg;
}

static struct kernel *open_kernel(void)
{
	struct kernel_config config = {.backend = "xfrm"};
	char error[200] = "";
	struct kernel *kernel = kernel_open(&config, error, sizeof(error));
	if (!kernel)
		fprintf(stderr, "%s\n", error);
	assert_non_null(kernel);
	return kernel;
}

static struct kernel_channel *open_channel(struct kernel *kernel)
{
	struct kernel_channel_config config = {NULL, on_answer, on_event};
	struct kernel_channel *channel = kernel_channel_open(kernel, &config);
	assert_non_null(channel);
	return channel;
}

static void start_over(void)
{
	memset(errors, 0xff, sizeof(errors));
	answers = 0;
}

static void await_answers(struct kernel_channel *channel, unsigned count)
{
	time_t end = time(NULL) + PATIENCE;
	while (answers < count && time(NULL) < end) {
		struct pollfd fd = {.fd = kernel_channel_fd(channel), .events = POLLIN};
		if (kernel_channel_sleep(channel))
			poll(&fd, 1, 100);
		kernel_channel_poll(channel);
	}
	assert_int_equal(answers, count);
	assert_int_equal(kernel_channel_pending(channel), 0);
}

static void submit_policy(struct kernel_channel *channel, enum ipsec_op op, uint32_t reqid,
	const char *remote, uint64_t token)
{
	struct traffic_selector l, r;
	struct ipsec_request request = {.op = op, .token = token};
	assert_true(traffic_selector_parse("10.1.0.0/24", &l));
	assert_true(traffic_selector_parse(remote, &r));
	request.policy = (struct ipsec_policy){
		.reqid = reqid,
		.mode = IPSEC_TUNNEL,
		.local = ip_v4(0xc0000201),
		.remote = ip_v4(0xc0000202),
		.local_ts = &l,
		.remote_ts = &r,
		.local_ts_count = 1,
		.remote_ts_count = 1,
	};
	kernel_channel_submit(channel, &request);
}

static unsigned count_of(const char *pattern)
{
	char command[200];
	unsigned n = 0;
	snprintf(command, sizeof(command), "ip xfrm policy | grep -c '%s'", pattern);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

/* ---- selectors ---- */

static unsigned expand(const char *local, const char *remote, struct selector **out)
{
	struct traffic_selector l, r;
	unsigned count = 0;
	assert_true(traffic_selector_parse(local, &l));
	assert_true(traffic_selector_parse(remote, &r));
	int error = selectors_of(&l, 1, &r, 1, SELECTOR_PORT_MASKS, out, &count);
	if (error)
		errno = error;
	return error ? 0 : count;
}

static bool covers(const struct selector *s, uint32_t address, uint16_t port)
{
	struct ip_subnet prefix = {s->destination, s->destination_len};
	struct ip_address a = ip_v4(address);
	return ip_subnet_has(&prefix, &a) && (port & s->destination_mask) == s->destination_port;
}

/* Of every address and port near the edges: covered once inside, never outside. */
static void ranges_are_covered_exactly(void **state)
{
	struct selector *list;
	unsigned count = expand("10.1.0.0/24", "10.2.0.3-10.2.1.200/TCP/1000-5007", &list);
	(void)state;
	assert_true(count > 1);
	for (uint32_t a = 0x0a020000; a < 0x0a020200; a++) {
		for (unsigned i = 0; i < 8; i++) {
			const uint16_t port =
				(uint16_t[]){0, 999, 1000, 1001, 4096, 5007, 5008, 65535}[i];
			bool inside =
				a >= 0x0a020003 && a <= 0x0a0201c8 && port >= 1000 && port <= 5007;
			unsigned times = 0;
			for (unsigned k = 0; k < count; k++)
				times += covers(&list[k], a, port);
			assert_int_equal(times, inside);
		}
	}
	free(list);
	/* The widest and the narrowest. */
	assert_int_equal(expand("0.0.0.0/0", "::/0", &list), 0);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(expand("::/0", "2001:db8::1/128", &list), 1);
	assert_int_equal(list[0].source_len, 0);
	assert_int_equal(list[0].destination_len, 128);
	free(list);
	assert_int_equal(expand("0.0.0.1-255.255.255.254", "10.0.0.0/8", &list), 62);
	free(list);
	assert_int_equal(expand("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "::/0", &list), 254);
	free(list);
	/* What would be too many, and what the kernel has no word for. */
	assert_int_equal(expand("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
				 "2001:db8::1-2001:db8::6", &list),
		0);
	assert_int_equal(errno, E2BIG);
	assert_int_equal(expand("10.1.0.0/24/TCP/OPAQUE", "10.2.0.0/24", &list), 0);
	assert_int_equal(errno, EOPNOTSUPP);
	/* An echo request is of type 8, code 0, whichever way it goes. */
	assert_int_equal(expand("10.1.0.0/24/ICMP/2048", "10.2.0.0/24/ICMP/2048", &list), 1);
	struct selector back = selector_reversed(&list[0]);
	assert_int_equal(back.source_port, 8);
	assert_int_equal(back.source_mask, 0xffff);
	assert_int_equal(back.destination_port, 0);
	assert_int_equal(back.destination_mask, 0xffff);
	assert_int_equal(back.source_len, 24);
	free(list);
}

static void the_inner_is_the_more_specific(void **state)
{
	static const char *const from_wide_to_narrow[] = {"0.0.0.0/0", "10.0.0.0/8", "10.2.0.0/16",
		"10.2.0.0/16/TCP", "10.2.0.0/16/TCP/443", "10.2.0.0/24/TCP/443",
		"10.2.0.1/32/TCP/443"};
	unsigned before = 4096;
	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		struct selector *list;
		assert_int_equal(expand("10.1.0.0/24", from_wide_to_narrow[i], &list), 1);
		unsigned width = selector_width(&list[0]);
		assert_true(width < before);
		before = width;
		free(list);
	}
}

/* ---- the kernel ---- */

static void needs_kernel(void)
{
	if (!usable)
		skip();
}

static void policies_come_and_go(void **state)
{
	(void)state;
	needs_kernel();
	struct kernel *kernel = open_kernel();
	struct kernel_channel *a = open_channel(kernel), *b = open_channel(kernel);
	start_over();
	submit_policy(a, IPSEC_POLICY_ADD, 16385, "10.2.0.0/24", 0);
	assert_int_equal(answers, 0);
	await_answers(a, 1);
	assert_int_equal(errors[0], 0);
	assert_int_equal(count_of("^src 10"), 3); /* out, in, forwarded */
	/* Another's for the same traffic, by another channel: the newest has it. */
	submit_policy(b, IPSEC_POLICY_ADD, 16386, "10.2.0.0/24", 1);
	await_answers(b, 2);
	assert_int_equal(count_of("reqid 16386"), 3);
	assert_int_equal(count_of("reqid 16385"), 0);
	/* The older one goes, and takes nothing along. */
	submit_policy(a, IPSEC_POLICY_DELETE, 16385, "10.2.0.0/24", 2);
	await_answers(a, 3);
	assert_int_equal(count_of("reqid 16386"), 3);
	submit_policy(a, IPSEC_POLICY_ADD, 16385, "10.2.0.0/24", 3);
	await_answers(a, 4);
	assert_int_equal(count_of("reqid 16385"), 3);
	/* The newest goes, and the one before it is back. */
	submit_policy(a, IPSEC_POLICY_DELETE, 16385, "10.2.0.0/24", 4);
	await_answers(a, 5);
	assert_int_equal(count_of("reqid 16386"), 3);
	submit_policy(b, IPSEC_POLICY_DELETE, 16386, "10.2.0.0/24", 5);
	submit_policy(b, IPSEC_POLICY_DELETE, 16386, "10.2.0.0/24", 6);
	await_answers(b, 7);
	assert_int_equal(errors[5], 0);
	assert_int_equal(errors[6], ENOENT);
	assert_int_equal(count_of("^src 10"), 0);
	kernel_channel_close(a);
	kernel_channel_close(b);
	kernel_close(kernel);
}

struct bound {
	uint32_t reqid, mark_in, mark_out, interface_id;
};

static void submit_bound(
	struct kernel_channel *channel, enum ipsec_op op, const struct bound *bound, uint64_t token)
{
	struct traffic_selector l, r;
	struct ipsec_request request = {.op = op, .token = token};
	assert_true(traffic_selector_parse("10.1.0.0/24", &l));
	assert_true(traffic_selector_parse("10.2.0.0/24", &r));
	request.policy = (struct ipsec_policy){
		.reqid = bound->reqid,
		.local = ip_v4(0xc0000201),
		.remote = ip_v4(0xc0000202),
		.local_ts = &l,
		.remote_ts = &r,
		.local_ts_count = 1,
		.remote_ts_count = 1,
	};
	if (op == IPSEC_POLICY_ADD) { /* a deletion names the reqid only */
		request.policy.mark_in = (struct ipsec_mark){bound->mark_in, bound->mark_in ? 0xff : 0};
		request.policy.mark_out =
			(struct ipsec_mark){bound->mark_out, bound->mark_out ? 0xff : 0};
		request.policy.interface_id = bound->interface_id;
	}
	kernel_channel_submit(channel, &request);
}

/* For the kernel these are different policies, all for the same traffic; the first two meet outbound. */
static void marks_and_interfaces_make_policies_of_their_own(void **state)
{
	static const struct bound bounds[] = {
		{16385, 5, 7, 0}, {16386, 6, 7, 0}, {16387, 0, 0, 9}, {16388, 0, 0, 0}, {16389, 0, 0, 10}};
	(void)state;
	needs_kernel();
	struct kernel *kernel = open_kernel();
	struct kernel_channel *c = open_channel(kernel);
	start_over();
	for (unsigned i = 0; i < 5; i++)
		submit_bound(c, IPSEC_POLICY_ADD, &bounds[i], i);
	await_answers(c, 5);
	assert_int_equal(count_of("^src 10"), 2 + 3 + 3 + 3 + 3);
	assert_int_equal(count_of("mark 0x7/0xff"), 1);
	assert_int_equal(count_of("mark 0x5/0xff"), 2);
	assert_int_equal(count_of("reqid 16385"), 2); /* in and forwarded */
	assert_int_equal(count_of("reqid 16386"), 3);
	assert_int_equal(count_of("if_id 0x9"), 3);
	submit_bound(c, IPSEC_POLICY_DELETE, &bounds[1], 5);
	await_answers(c, 6);
	assert_int_equal(count_of("reqid 16385"), 3);
	assert_int_equal(count_of("reqid 16386"), 0);
	submit_bound(c, IPSEC_POLICY_DELETE, &bounds[3], 6);
	submit_bound(c, IPSEC_POLICY_DELETE, &bounds[2], 7);
	await_answers(c, 8);
	assert_int_equal(count_of("^src 10"), 3 + 3);
	assert_int_equal(count_of("if_id 0xa"), 3);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(errors[i], 0);
	/* What a crash leaves is named by mark and interface, too. */
	kernel_channel_close(c);
	kernel_leave_state(kernel);
	kernel_close(kernel);
	assert_int_equal(count_of("^src 10"), 6);
	kernel = open_kernel();
	assert_int_equal(count_of("^src 10"), 0);
	kernel_close(kernel);
}

/* What a connection has of its own, beside the policies of its SAs. */
static void submit_route(struct kernel_channel *channel, enum ipsec_op op,
	enum ipsec_policy_action action, uint64_t token)
{
	struct traffic_selector l, r;
	struct ipsec_request request = {.op = op, .token = token};
	assert_true(traffic_selector_parse("10.1.0.0/24", &l));
	assert_true(traffic_selector_parse("10.2.0.0/24", &r));
	request.policy = (struct ipsec_policy){
		.reqid = 16385,
		.action = action,
		.mode = IPSEC_TUNNEL,
		.local = ip_v4(0xc0000201),
		.remote = ip_v4(0xc0000203),
		.trap = action == IPSEC_PROTECT,
		.hold = action == IPSEC_PROTECT,
		.route = true,
		.local_ts = &l,
		.remote_ts = &r,
		.local_ts_count = 1,
		.remote_ts_count = 1,
	};
	kernel_channel_submit(channel, &request);
}

static int larval_drop(void)
{
	FILE *f = fopen("/proc/sys/net/core/xfrm_larval_drop", "r");
	int n = -1;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	fclose(f);
	return n;
}

static void trap_stands_behind_its_tunnel(void **state)
{
	(void)state;
	needs_kernel();
	struct kernel *kernel = open_kernel();
	struct kernel_channel *a = open_channel(kernel), *b = open_channel(kernel);
	start_over();
	assert_int_equal(larval_drop(), 1);
	submit_route(a, IPSEC_POLICY_ADD, IPSEC_PROTECT, 0);
	await_answers(a, 1);
	assert_int_equal(larval_drop(), 0); /* the packet that asks waits for its answer */
	assert_int_equal(count_of("dst 192.0.2.3"), 1);
	/* The tunnel's, of another channel; the trap again: it stays behind. */
	submit_policy(b, IPSEC_POLICY_ADD, 16385, "10.2.0.0/24", 1);
	await_answers(b, 2);
	assert_int_equal(count_of("dst 192.0.2.2"), 1);
	submit_route(a, IPSEC_POLICY_ADD, IPSEC_PROTECT, 2);
	await_answers(a, 3);
	assert_int_equal(count_of("dst 192.0.2.2"), 1);
	assert_int_equal(count_of("^src 10"), 3);
	/* A shunt comes to the front, and the trap goes back behind. */
	submit_route(a, IPSEC_POLICY_ADD, IPSEC_DISCARD, 3);
	await_answers(a, 4);
	assert_int_equal(count_of("action block"), 3);
	submit_route(a, IPSEC_POLICY_ADD, IPSEC_BYPASS, 4);
	await_answers(a, 5);
	assert_int_equal(count_of("action block"), 0);
	assert_int_equal(count_of("reqid 16385"), 0);
	submit_route(a, IPSEC_POLICY_ADD, IPSEC_PROTECT, 5);
	await_answers(a, 6);
	assert_int_equal(count_of("dst 192.0.2.2"), 1);
	/* Each goes by itself. */
	submit_policy(b, IPSEC_POLICY_DELETE, 16385, "10.2.0.0/24", 6);
	await_answers(b, 7);
	assert_int_equal(count_of("dst 192.0.2.3"), 1);
	submit_route(a, IPSEC_POLICY_DELETE, IPSEC_PROTECT, 7);
	await_answers(a, 8);
	assert_int_equal(errors[7], 0);
	assert_int_equal(count_of("^src 10"), 0);
	kernel_channel_close(a);
	kernel_channel_close(b);
	kernel_close(kernel);
	assert_int_equal(larval_drop(), 1);
}

static void poll_for(struct kernel_channel *const channels[2], unsigned ms)
{
	for (unsigned i = 0; i < ms / 10; i++) {
		for (unsigned k = 0; k < 2; k++) {
			kernel_channel_sleep(channels[k]);
			kernel_channel_poll(channels[k]);
		}
		usleep(10000);
	}
}

/* A datagram of each of `flows` sockets. */
static void send_flows(unsigned flows)
{
	for (unsigned i = 0; i < flows; i++) {
		struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(20000 + i))},
				   to = {.sin_family = AF_INET, .sin_port = htons(9)};
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		from.sin_addr.s_addr = htonl(0x0a010001);
		to.sin_addr.s_addr = htonl(0x0a020001 + i % 200);
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
		(void)!sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
		close(fd);
	}
}

/* As many packets as may come, the kernel asks once, until its question has expired. */
static void a_flood_against_a_trap_asks_once(void **state)
{
	(void)state;
	needs_kernel();
	assert_int_equal(system("ip link set lo up && ip link add d0 type veth peer name d1 && "
				"ip link set d0 up && ip link set d1 up && "
				"ip address add 10.1.0.1/24 dev lo && ip address add 192.0.2.1/24 dev d0 && "
				"ip route add 10.2.0.0/24 dev d0 src 10.1.0.1"),
		0);
	struct kernel *kernel = open_kernel();
	struct kernel_channel_config configs[] = {
		{&acquires[0], on_answer, on_event}, {&acquires[1], on_answer, on_event}};
	struct kernel_channel *channels[] = {
		kernel_channel_open(kernel, &configs[0]), kernel_channel_open(kernel, &configs[1])};
	start_over();
	submit_route(channels[0], IPSEC_POLICY_ADD, IPSEC_PROTECT, 0); /* reqid 16385: channel 1's */
	await_answers(channels[0], 1);
	send_flows(1000);
	poll_for(channels, 300);
	assert_int_equal(acquires[0], 0);
	assert_int_equal(acquires[1], 1);
	assert_int_equal(last_acquire.kind, IPSEC_ACQUIRE);
	assert_int_equal(last_acquire.reqid, 16385);
	assert_int_equal(last_acquire.local_ts.protocol, IPPROTO_UDP);
	assert_int_equal(last_acquire.local_ts.port_first, 20000);
	assert_int_equal(last_acquire.remote_ts.port_last, 9);
	assert_int_equal(last_acquire.remote_ts.range.first.bytes[3], 1);
	/* What the kernel has kept of them goes with the policy. */
	submit_route(channels[0], IPSEC_POLICY_DELETE, IPSEC_PROTECT, 1);
	await_answers(channels[0], 2);
	assert_int_equal(system("ip xfrm state flush"), 0);
	submit_route(channels[0], IPSEC_POLICY_ADD, IPSEC_PROTECT, 2);
	await_answers(channels[0], 3);
	/* Type and code of ICMP are one number, on both sides. */
	(void)!system("timeout 5 ping -n -q -c 1 -W 1 -I 10.1.0.1 10.2.0.9 >/dev/null 2>&1");
	poll_for(channels, 100);
	assert_int_equal(acquires[1], 2);
	assert_int_equal(last_acquire.local_ts.protocol, IPPROTO_ICMP);
	assert_int_equal(last_acquire.local_ts.port_first, 8 << 8);
	assert_int_equal(last_acquire.remote_ts.port_first, 8 << 8);
	/* A shunt asks nobody. */
	submit_route(channels[0], IPSEC_POLICY_ADD, IPSEC_DISCARD, 3);
	await_answers(channels[0], 4);
	assert_int_equal(system("ip xfrm state flush"), 0);
	send_flows(10);
	poll_for(channels, 100);
	assert_int_equal(acquires[1], 2);
	submit_route(channels[0], IPSEC_POLICY_DELETE, IPSEC_DISCARD, 4);
	await_answers(channels[0], 5);
	kernel_channel_close(channels[0]);
	kernel_channel_close(channels[1]);
	kernel_close(kernel);
}

static void what_was_left_is_removed(void **state)
{
	(void)state;
	needs_kernel();
	struct kernel *kernel = open_kernel();
	struct kernel_channel *c = open_channel(kernel);
	start_over();
	assert_int_equal(
		system("ip xfrm policy add src 10.8.0.0/24 dst 10.9.0.0/24 dir out priority 3"), 0);
	submit_policy(c, IPSEC_POLICY_ADD, 16385, "10.2.0.0/24", 0);
	await_answers(c, 1);
	kernel_channel_close(c);
	kernel_leave_state(kernel);
	kernel_close(kernel);
	assert_int_equal(count_of("^src 10.[12]"), 3);
	kernel = open_kernel();
	assert_int_equal(count_of("^src 10.[12]"), 0);
	assert_int_equal(count_of("^src 10.8"), 1);
	kernel_close(kernel);
	assert_int_equal(count_of("^src"), 1); /* another's alone */
}

/* A kernel that has no ESP says so to every SA; one that has it takes it. Either way the answer is
 * told, and agrees with what is said to be supported. */
static void support_is_what_the_kernel_has(void **state)
{
	(void)state;
	needs_kernel();
	struct kernel *kernel = open_kernel();
	struct kernel_channel *c = open_channel(kernel);
	bool supported = kernel_supports(kernel, ENCR_AES_GCM_16, 128, INTEG_NONE, false);
	struct traffic_selector ts;
	start_over();
	assert_true(traffic_selector_parse("10.1.0.0/24", &ts));
	struct ipsec_request request = {.op = IPSEC_SA_ADD, .token = 1};
	request.sa = (struct ipsec_sa){.spi = kernel_channel_allocate_spi(c),
		.direction = IPSEC_INBOUND,
		.protocol = IPSEC_ESP,
		.local.address = ip_v4(0xc0000201),
		.remote.address = ip_v4(0xc0000202),
		.encr = ENCR_AES_GCM_16,
		.encr_key_len = 20,
		.reqid = 16385,
		.local_ts = &ts,
		.remote_ts = &ts,
		.local_ts_count = 1,
		.remote_ts_count = 1};
	kernel_channel_submit(c, &request);
	await_answers(c, 1);
	assert_int_equal(errors[1] == 0, supported);
	kernel_channel_close(c);
	kernel_close(kernel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_covered_exactly),
		cmocka_unit_test(the_inner_is_the_more_specific),
		cmocka_unit_test(policies_come_and_go),
		cmocka_unit_test(trap_stands_behind_its_tunnel),
		cmocka_unit_test(a_flood_against_a_trap_asks_once),
		cmocka_unit_test(marks_and_interfaces_make_policies_of_their_own),
		cmocka_unit_test(what_was_left_is_removed),
		cmocka_unit_test(support_is_what_the_kernel_has),
	};
	usable = unshare(CLONE_NEWNET) == 0 && system("ip xfrm policy >/dev/null 2>&1") == 0;
	return cmocka_run_group_tests_name("kernel xfrm", tests, NULL, NULL);
}
