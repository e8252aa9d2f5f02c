/* The "xfrm" backend on a kernel that has ESP: xfrm_kernel_test CASE, in a network namespace of its
 * own. Run by kernel_test.sh in the virtual machine. */
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

#define TOKENS   100000
#define TINY     2304 /* bytes: the kernel's least receive buffer, room for two or three answers */
#define PATIENCE 60   /* s */
#define PAIRS    1000

/* ---- what a channel's owner sees ---- */

struct owner {
	unsigned answers, errors, events, counted;
	int error[TOKENS]; /* by token; -1: no answer yet */
	struct ipsec_counters counters[TOKENS];
	struct ipsec_event event[64];
};

static struct owner owner;
static struct kernel *kernel;
static struct kernel_channel *channel;

static void on_answer(void *arg, const struct ipsec_answer *answer)
{
	struct owner *o = arg;
	assert_in_range(answer->token, 0, TOKENS - 1);
	assert_int_equal(o->error[answer->token], -1); /* no request is answered twice */
	o->error[answer->token] = answer->error;
	o->counters[answer->token] = answer->counters;
	o->answers++;
	o->errors += answer->error != 0;
}

static void on_event(void *arg, const struct ipsec_event *event)
{
	struct owner *o = arg;
	if (o->events < 64)
		o->event[o->events] = *event;
	o->events++;
}

static void on_counters(void *arg, uint64_t token, const struct ipsec_counted *counted)
{
	struct owner *o = arg;
	uint64_t at = 2 * (counted->id - 1) + counted->direction;
	assert_int_equal(token, TOKENS - 1);
	assert_in_range(at, 0, TOKENS - 2);
	assert_int_equal(o->error[at], -1); /* each once */
	o->error[at] = 0;
	o->counters[at] = counted->counters;
	o->counted++;
}

static void start_over(void)
{
	owner = (struct owner){0};
	memset(owner.error, 0xff, sizeof(owner.error));
}

static struct kernel_channel *open_channel(void)
{
	struct kernel_channel_config config = {&owner, on_answer, on_event, on_counters};
	struct kernel_channel *c = kernel_channel_open(kernel, &config);
	assert_non_null(c);
	return c;
}

static int set_up(void **state)
{
	struct kernel_config config = {.backend = "xfrm"};
	char error[200] = "";
	(void)state;
	if (unshare(CLONE_NEWNET) != 0 || system("ip link set lo up") != 0)
		return -1;
	kernel = kernel_open(&config, error, sizeof(error));
	if (!kernel) {
		fprintf(stderr, "%s\n", error);
		return -1;
	}
	start_over();
	channel = open_channel();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kernel_channel_close(channel);
	kernel_close(kernel);
	return 0;
}

/* As a shard does: poll, then sleep on the descriptor. */
static void turn(int timeout_ms)
{
	struct pollfd fd = {.fd = kernel_channel_fd(channel), .events = POLLIN};
	if (kernel_channel_sleep(channel))
		poll(&fd, 1, timeout_ms);
	kernel_channel_poll(channel);
}

static void await_answers(unsigned count)
{
	time_t end = time(NULL) + PATIENCE;
	while (owner.answers < count && time(NULL) < end)
		turn(100);
	assert_int_equal(owner.answers, count);
	assert_int_equal(kernel_channel_pending(channel), 0);
}

static void await_events(unsigned count)
{
	time_t end = time(NULL) + PATIENCE;
	while (owner.events < count && time(NULL) < end)
		turn(100);
	assert_int_equal(owner.events, count);
}

/* What `ip` says, a number. */
static unsigned count_of(const char *command)
{
	unsigned n = 0;
	FILE *f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static unsigned sas_in_kernel(void)
{
	return count_of("ip xfrm state | grep -c '^src'");
}

/* ---- SAs ---- */

static struct traffic_selector local_ts, remote_ts;

static struct ipsec_request make_sa(uint32_t n, enum ipsec_direction direction, uint64_t token)
{
	struct ipsec_request r = {.op = IPSEC_SA_ADD, .token = token};
	r.sa = (struct ipsec_sa){
		.id = 1 + n,
		.spi = 0x10000000u + n,
		.direction = direction,
		.protocol = IPSEC_ESP,
		.mode = IPSEC_TUNNEL,
		.local.address = ip_v4(0xc0000201),
		.remote.address = ip_v4(0xc6330000 + n),
		.esn = true,
		.replay_window = direction == IPSEC_INBOUND ? 128 : 0,
		.encr = ENCR_AES_GCM_16,
		.encr_key_len = 20,
		.reqid = 1000 + n,
		.local_ts = &local_ts,
		.remote_ts = &remote_ts,
		.local_ts_count = 1,
		.remote_ts_count = 1,
	};
	memset(r.sa.encr_key, (int)(n % 255 + 1), sizeof(r.sa.encr_key));
	memset(r.sa.integ_key, (int)(n % 255 + 1), sizeof(r.sa.integ_key));
	for (unsigned i = 0; i < IPSEC_KEY_MAX; i++)
		r.sa.encr_key[i] ^= (uint8_t)(13 * i);
	return r;
}

static void submit_sa(enum ipsec_op op, uint32_t n, enum ipsec_direction direction, uint64_t token)
{
	struct ipsec_request r = make_sa(n, direction, token);
	r.op = op;
	kernel_channel_submit(channel, &r);
}

static void submit_policy(enum ipsec_op op, uint32_t n, uint64_t token)
{
	struct traffic_selector local, remote;
	struct ipsec_request r = {.op = op, .token = token};
	assert_true(traffic_selector_parse("10.1.0.0/16", &local));
	remote = local;
	remote.range.first = remote.range.last = ip_v4(0x0a020000 + n);
	r.policy = (struct ipsec_policy){
		.reqid = 1000 + n,
		.mode = IPSEC_TUNNEL,
		.local = ip_v4(0xc0000201),
		.remote = ip_v4(0xc6330000 + n),
		.local_ts = &local,
		.remote_ts = &remote,
		.local_ts_count = 1,
		.remote_ts_count = 1,
	};
	kernel_channel_submit(channel, &r);
}

static uint64_t cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void all_are_good(unsigned count)
{
	await_answers(count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(owner.error[i], 0);
}

static void figure(const char *what, unsigned count, uint64_t started_us, uint64_t cpu)
{
	uint64_t us = now_us() - started_us, used = cpu_us() - cpu;
	printf("figure: %u SAs %s in %.1f s: %.0f a second, %.0f us of CPU each\n", count, what,
		(double)us / 1e6, (double)count * 1e6 / (double)us, (double)used / count);
}

/* One question for the counters of all. */
static void all_at_once(void)
{
	struct ipsec_request r = {.op = IPSEC_SA_QUERY_ALL, .token = TOKENS - 1};
	uint64_t started, cpu;
	start_over();
	started = now_us(), cpu = cpu_us();
	kernel_channel_submit(channel, &r);
	assert_int_equal(kernel_channel_pending(channel), 1);
	await_answers(1);
	figure("read at once", 2 * PAIRS, started, cpu);
	assert_int_equal(owner.error[TOKENS - 1], 0);
	assert_int_equal(owner.counted, 2 * PAIRS);
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		assert_true(owner.error[i] == 0 && owner.counters[i].add_time > 0);
}

static void many(void **state)
{
	uint64_t started = now_us(), cpu = cpu_us();
	struct kernel_stats stats;
	(void)state;
	for (unsigned i = 0; i < PAIRS; i++) {
		submit_sa(IPSEC_SA_ADD, i, IPSEC_INBOUND, 3 * i);
		submit_sa(IPSEC_SA_ADD, i, IPSEC_OUTBOUND, 3 * i + 1);
		submit_policy(IPSEC_POLICY_ADD, i, 3 * i + 2);
	}
	assert_int_equal(owner.answers, 0); /* nothing waits, nothing is told but by polling */
	all_are_good(3 * PAIRS);
	figure("and half as many policies added", 2 * PAIRS, started, cpu);
	assert_int_equal(sas_in_kernel(), 2 * PAIRS);
	start_over();
	started = now_us(), cpu = cpu_us();
	for (unsigned i = 0; i < PAIRS; i++) {
		submit_sa(IPSEC_SA_QUERY, i, IPSEC_INBOUND, 2 * i);
		submit_sa(IPSEC_SA_QUERY, i, IPSEC_OUTBOUND, 2 * i + 1);
	}
	all_are_good(2 * PAIRS);
	figure("asked after", 2 * PAIRS, started, cpu);
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		assert_true(owner.counters[i].add_time > 0);
		assert_true(owner.counters[i].idle_ms == UINT64_MAX);
	}
	all_at_once();
	start_over();
	started = now_us(), cpu = cpu_us();
	for (unsigned i = 0; i < PAIRS; i++) {
		submit_sa(IPSEC_SA_DELETE, i, IPSEC_OUTBOUND, 3 * i);
		submit_sa(IPSEC_SA_DELETE, i, IPSEC_INBOUND, 3 * i + 1);
		submit_policy(IPSEC_POLICY_DELETE, i, 3 * i + 2);
	}
	all_are_good(3 * PAIRS);
	figure("and their policies deleted", 2 * PAIRS, started, cpu);
	assert_int_equal(sas_in_kernel(), 0);
	assert_int_equal(count_of("ip xfrm policy | grep -c '^src 10'"), 0);
	stats = kernel_stats(kernel);
	assert_int_equal(stats.overruns, 0);
	assert_int_equal(stats.asked_again, 0);
}

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

/* A peer chooses one SPI for two pairs: the second is refused, and what unwinds it leaves the first. */
static void one_spi_twice(void **state)
{
	(void)state;
	for (unsigned id = 1; id <= 2; id++) {
		struct ipsec_request r = make_sa(20, IPSEC_OUTBOUND, id);
		r.sa.id = id;
		kernel_channel_submit(channel, &r);
	}
	struct ipsec_request unwind = make_sa(20, IPSEC_OUTBOUND, 3);
	unwind.op = IPSEC_SA_DELETE;
	unwind.sa.id = 2;
	await_answers(2);
	kernel_channel_submit(channel, &unwind);
	await_answers(3);
	assert_int_equal(owner.error[1], 0);
	assert_int_equal(owner.error[2], EEXIST);
	assert_int_equal(owner.error[3], ESRCH);
	assert_int_equal(sas_in_kernel(), 1);
	unwind.sa.id = 1;
	unwind.token = 4;
	kernel_channel_submit(channel, &unwind);
	await_answers(4);
	assert_int_equal(owner.error[4], 0);
	assert_int_equal(sas_in_kernel(), 0);
}

/* ---- traffic ---- */

static unsigned long transmitted(void)
{
	char line[400];
	unsigned long packets = 0;
	FILE *f = fopen("/proc/self/net/dev", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, " v0: %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", &packets);
	fclose(f);
	return packets;
}

/* A datagram to an address of 198.51.100.0/24, which routes to a veth: does it leave, in clear or
 * not? (What is dropped for want of an SA is no error for the sender.) */
static bool send_to(uint8_t host)
{
	unsigned long before = transmitted();
	static int fd = -1;
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(0xc6336400u + host)};
	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (sendto(fd, "discard", 7, 0, (struct sockaddr *)&to, sizeof(to)) != 7)
		return false;
	for (unsigned ms = 0; ms < 100 && transmitted() == before; ms += 10)
		usleep(10000);
	return transmitted() != before;
}

static void route_traffic(void)
{
	/* Not the loopback device: no policy is applied there. */
	assert_int_equal(system("sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 && ip link add "
				"v0 type veth peer name v1 && ip link set v0 arp off up && "
				"ip link set v1 up && ip address add 192.0.2.1/32 dev v0 && "
				"ip route add 198.51.100.0/24 dev v0 src 192.0.2.1 && "
				"ip route add 198.18.0.0/15 dev v0 src 192.0.2.1"),
		0);
}

static void submit_traffic_policy(enum ipsec_op op, enum ipsec_policy_action action, bool trap,
	uint32_t reqid, const char *to, uint64_t token)
{
	struct traffic_selector local, remote;
	struct ipsec_request r = {.op = op, .token = token};
	assert_true(traffic_selector_parse("192.0.2.1/32", &local));
	assert_true(traffic_selector_parse(to, &remote));
	r.policy = (struct ipsec_policy){
		.reqid = reqid,
		.action = action,
		.mode = IPSEC_TUNNEL,
		.trap = trap,
		.local = ip_v4(0xc0000201),
		.remote = ip_v4(0xc6120001),
		.local_ts = &local,
		.remote_ts = &remote,
		.local_ts_count = 1,
		.remote_ts_count = 1,
	};
	kernel_channel_submit(channel, &r);
}

static void submit_limited_sa(uint32_t reqid, uint64_t soft, uint64_t hard, uint64_t token)
{
	struct ipsec_request r = make_sa(reqid, IPSEC_OUTBOUND, token);
	r.sa.remote.address = ip_v4(0xc6120001);
	r.sa.reqid = reqid;
	r.sa.limits.soft_packets = soft;
	r.sa.limits.hard_packets = hard;
	kernel_channel_submit(channel, &r);
}

static void limits(void **state)
{
	(void)state;
	route_traffic();
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/24", 0);
	submit_limited_sa(5, 3, 5, 1);
	all_are_good(2);
	for (unsigned i = 0; i < 10; i++)
		send_to(1);
	await_events(2);
	assert_int_equal(owner.event[0].kind, IPSEC_EXPIRE_SOFT);
	assert_int_equal(owner.event[1].kind, IPSEC_EXPIRE_HARD);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(owner.event[i].spi, 0x10000005);
		assert_int_equal(owner.event[i].reqid, 5);
		assert_int_equal(owner.event[i].id, 6);
		assert_int_equal(owner.event[i].direction, IPSEC_OUTBOUND);
	}
	/* The kernel has removed it; its last counters are told all the same. */
	struct ipsec_request r = make_sa(5, IPSEC_OUTBOUND, 2);
	r.op = IPSEC_SA_DELETE;
	r.sa.reqid = 5;
	kernel_channel_submit(channel, &r);
	await_answers(3);
	assert_int_equal(owner.error[2], 0);
	assert_true(owner.counters[2].packets >= 5 && owner.counters[2].bytes >= 5 * 7);
}

static void settle(void)
{
	for (unsigned i = 0; i < 5; i++)
		turn(50);
}

static void policies(void **state)
{
	(void)state;
	route_traffic();
	assert_true(send_to(1));
	/* Protected, with no SA: dropped, and nobody is asked. */
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, false, 5, "198.51.100.0/24", 0);
	all_are_good(1);
	assert_false(send_to(1));
	settle();
	assert_int_equal(owner.events, 0);
	/* The more specific wins, whichever came first: a bypass within it, and a discard within
	 * that. */
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_DISCARD, false, 6, "198.51.100.3/32", 1);
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_BYPASS, false, 7, "198.51.100.0/29", 2);
	all_are_good(3);
	assert_false(send_to(9));
	assert_true(send_to(4));
	assert_false(send_to(3));
	/* A trap asks. */
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_PROTECT, true, 8, "198.51.100.128/25", 3);
	all_are_good(4);
	assert_false(send_to(200));
	await_events(1);
	assert_int_equal(owner.event[0].kind, IPSEC_ACQUIRE);
	assert_int_equal(owner.event[0].reqid, 8);
	char text[TRAFFIC_SELECTOR_TEXT_MAX];
	assert_string_equal(
		traffic_selector_text(&owner.event[0].remote_ts, text), "198.51.100.200/32/UDP/9");
	assert_int_equal(owner.event[0].local_ts.range.first.bytes[3], 1);
	/* One reqid more for the same traffic: the newest has it, then the one before again. */
	submit_traffic_policy(IPSEC_POLICY_ADD, IPSEC_BYPASS, false, 9, "198.51.100.0/24", 4);
	all_are_good(5);
	assert_true(send_to(9));
	submit_traffic_policy(IPSEC_POLICY_DELETE, IPSEC_BYPASS, false, 9, "198.51.100.0/24", 5);
	all_are_good(6);
	assert_false(send_to(9));
	submit_traffic_policy(IPSEC_POLICY_DELETE, IPSEC_PROTECT, false, 5, "198.51.100.0/24", 6);
	all_are_good(7);
	assert_true(send_to(9));
}

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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(overrun, set_up, tear_down),
		cmocka_unit_test_setup_teardown(algorithms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_spi_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(policies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(event_overrun, set_up, tear_down),
		cmocka_unit_test_setup_teardown(move, set_up, tear_down),
		cmocka_unit_test_setup_teardown(move_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bound, set_up, tear_down),
	};
	if (argc != 2)
		return 2;
	cmocka_set_test_filter(argv[1]);
	traffic_selector_parse("10.1.0.0/16", &local_ts);
	traffic_selector_parse("10.2.0.0/16", &remote_ts);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
