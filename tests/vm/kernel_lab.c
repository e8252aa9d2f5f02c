#include "kernel_lab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
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

struct owner owner;
struct kernel *kernel;
struct kernel_channel *channel;

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

void start_over(void)
{
	owner = (struct owner){0};
	memset(owner.error, 0xff, sizeof(owner.error));
}

struct kernel_channel *open_channel(void)
{
	struct kernel_channel_config config = {&owner, on_answer, on_event, on_counters};
	struct kernel_channel *c = kernel_channel_open(kernel, &config);
	assert_non_null(c);
	return c;
}

int set_up(const char *backend)
{
	struct kernel_config config = {.backend = backend};
	char error[200] = "";
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

int tear_down(void **state)
{
	(void)state;
	kernel_channel_close(channel);
	kernel_close(kernel);
	return 0;
}

/* As a shard does: poll, then sleep on the descriptor. */
void turn(int timeout_ms)
{
	struct pollfd fd = {.fd = kernel_channel_fd(channel), .events = POLLIN};
	if (kernel_channel_sleep(channel))
		poll(&fd, 1, timeout_ms);
	kernel_channel_poll(channel);
}

void await_answers(unsigned count)
{
	time_t end = time(NULL) + PATIENCE;
	/* A channel may have questions of its own, too. */
	while ((owner.answers < count || kernel_channel_pending(channel)) && time(NULL) < end)
		turn(100);
	assert_int_equal(owner.answers, count);
	assert_int_equal(kernel_channel_pending(channel), 0);
}

void await_events(unsigned count)
{
	time_t end = time(NULL) + PATIENCE;
	while (owner.events < count && time(NULL) < end)
		turn(100);
	assert_int_equal(owner.events, count);
}

/* What `ip` says, a number. */
unsigned count_of(const char *command)
{
	unsigned n = 0;
	FILE *f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

unsigned sas_in_kernel(void)
{
	return count_of("ip xfrm state | grep -c '^src'");
}

/* ---- SAs ---- */

struct ipsec_sa sa_form;

struct ipsec_request make_sa(uint32_t n, enum ipsec_direction direction, uint64_t token)
{
	static struct traffic_selector local_ts, remote_ts;
	struct ipsec_request r = {.op = IPSEC_SA_ADD, .token = token, .sa = sa_form};
	traffic_selector_parse("10.1.0.0/16", &local_ts);
	traffic_selector_parse("10.2.0.0/16", &remote_ts);
	r.sa.id = 1 + n;
	r.sa.spi = 0x10000000u + n;
	r.sa.direction = direction;
	r.sa.protocol = IPSEC_ESP;
	r.sa.mode = IPSEC_TUNNEL;
	r.sa.local.address = ip_v4(0xc0000201);
	r.sa.remote.address = ip_v4(0xc6330000 + n);
	r.sa.replay_window = direction == IPSEC_INBOUND ? 128 : 0;
	r.sa.reqid = 1000 + n;
	r.sa.local_ts = &local_ts;
	r.sa.remote_ts = &remote_ts;
	r.sa.local_ts_count = r.sa.remote_ts_count = 1;
	memset(r.sa.encr_key, (int)(n % 255 + 1), sizeof(r.sa.encr_key));
	memset(r.sa.integ_key, (int)(n % 255 + 1), sizeof(r.sa.integ_key));
	for (unsigned i = 0; i < IPSEC_KEY_MAX; i++)
		r.sa.encr_key[i] ^= (uint8_t)(13 * i);
	return r;
}

void submit_sa(enum ipsec_op op, uint32_t n, enum ipsec_direction direction, uint64_t token)
{
	struct ipsec_request r = make_sa(n, direction, token);
	r.op = op;
	kernel_channel_submit(channel, &r);
}

void submit_policy(enum ipsec_op op, uint32_t n, uint64_t token)
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

uint64_t cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void all_are_good(unsigned count)
{
	await_answers(count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(owner.error[i], 0);
}

void figure(const char *what, unsigned count, uint64_t started_us, uint64_t cpu)
{
	uint64_t us = now_us() - started_us, used = cpu_us() - cpu;
	printf("figure: %u SAs %s in %.1f s: %.0f a second, %.0f us of CPU each\n", count, what,
		(double)us / 1e6, (double)count * 1e6 / (double)us, (double)used / count);
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
bool send_to(uint8_t host)
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

void route_traffic(void)
{
	/* Not the loopback device: no policy is applied there. */
	assert_int_equal(system("sysctl -q -w net.ipv6.conf.default.disable_ipv6=1 && ip link add "
				"v0 type veth peer name v1 && ip link set v0 arp off up && "
				"ip link set v1 up && ip address add 192.0.2.1/32 dev v0 && "
				"ip route add 198.51.100.0/24 dev v0 src 192.0.2.1 && "
				"ip route add 198.18.0.0/15 dev v0 src 192.0.2.1"),
		0);
}

void submit_traffic_policy(enum ipsec_op op, enum ipsec_policy_action action, bool trap,
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

void submit_limited_sa(uint32_t reqid, uint64_t soft, uint64_t hard, uint64_t token)
{
	struct ipsec_request r = make_sa(reqid, IPSEC_OUTBOUND, token);
	r.sa.remote.address = ip_v4(0xc6120001);
	r.sa.reqid = reqid;
	r.sa.limits.soft_packets = soft;
	r.sa.limits.hard_packets = hard;
	kernel_channel_submit(channel, &r);
}

void settle(void)
{
	for (unsigned i = 0; i < 5; i++)
		turn(50);
}
