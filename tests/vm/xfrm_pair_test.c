/* Two hosts on the "xfrm" backend, each in a network namespace of its own, without IKE: what is
 * sent by one comes out at the other, whatever the protocol, the mode and the algorithms.
 * xfrm_pair_test CASE; run by protocols_test.sh in the virtual machine. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
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

#include "crypto/algorithm.h"
#include "kernel/kernel.h"

#define PATIENCE 60 /* s */
#define PORT     4000
#define WAIT_MS  3000 /* for a datagram */

struct host {
	const char *name, *outer, *outer6, *inner, *inner6;
	struct kernel *kernel;
	struct kernel_channel *channel;
	unsigned asked, answered, errors;
	int last_error;
	struct ipsec_counters counters;
	int udp4, udp6, wire;
};

static struct host a = {.name = "a",
	.outer = "192.0.2.1",
	.outer6 = "2001:db8::1",
	.inner = "10.1.0.1",
	.inner6 = "fd00:1::1"};
static struct host b = {.name = "b",
	.outer = "192.0.2.2",
	.outer6 = "2001:db8::2",
	.inner = "10.2.0.1",
	.inner6 = "fd00:2::1"};

static void on_answer(void *arg, const struct ipsec_answer *answer)
{
	struct host *h = arg;
	h->answered++;
	h->errors += answer->error != 0;
	if (answer->error)
		h->last_error = answer->error;
	if (answer->op == IPSEC_SA_QUERY)
		h->counters = answer->counters;
}

static void on_event(void *arg, const struct ipsec_event *event)
{
	(void)arg;
	(void)event;
}

/* ---- two hosts ---- */

__attribute__((format(printf, 1, 2))) static bool run(const char *format, ...)
{
	char command[600];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command) == 0;
}

static int bound(int family)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(family, SOCK_DGRAM, 0), one = 1;
	assert_true(fd >= 0);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	assert_int_equal(bind(fd, family == AF_INET ? (void *)&any : (void *)&any6,
				 family == AF_INET ? sizeof(any) : sizeof(any6)),
		0);
	return fd;
}

static int all_packets(void)
{
	struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	here.sll_ifindex = (int)if_nametoindex("wan");
	assert_true(fd >= 0 && here.sll_ifindex);
	assert_int_equal(bind(fd, (void *)&here, sizeof(here)), 0);
	return fd;
}

/* In the namespace where the process is now. */
static void open_host(struct host *h, const struct host *peer)
{
	struct kernel_config config = {.backend = "xfrm"};
	struct kernel_channel_config channel = {h, on_answer, on_event};
	char error[200] = "";
	assert_true(run("ip link set lo up && ip link set wan up && "
			"ip address add %s/24 dev wan && ip address add %s/64 dev wan nodad && "
			"ip address add %s/24 dev lo && ip address add %s/64 dev lo nodad",
		h->outer, h->outer6, h->inner, h->inner6));
	assert_true(run("ip route add %s via %s src %s && ip route add %s via %s src %s",
		peer->inner, peer->outer, h->inner, peer->inner6, peer->outer6, h->inner6));
	h->kernel = kernel_open(&config, error, sizeof(error));
	if (!h->kernel)
		fail_msg("%s", error);
	h->channel = kernel_channel_open(h->kernel, &channel);
	assert_non_null(h->channel);
	h->udp4 = bound(AF_INET);
	h->udp6 = bound(AF_INET6);
	h->wire = all_packets();
}

static int set_up(void **state)
{
	int pid = getpid();
	(void)state;
	if (unshare(CLONE_NEWNET) != 0)
		return -1;
	int first = open("/proc/self/ns/net", O_RDONLY);
	if (first < 0 || unshare(CLONE_NEWNET) != 0 ||
		!run("ip link add wan type veth peer name peer"))
		return -1;
	/* The other end of the wire goes into the first one. */
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, first);
	if (!run("ip link set peer netns %s", path))
		return -1;
	open_host(&b, &a);
	if (setns(first, CLONE_NEWNET) != 0 || !run("ip link set peer name wan"))
		return -1;
	close(first);
	open_host(&a, &b);
	return 0;
}

static void close_host(struct host *h)
{
	kernel_channel_close(h->channel);
	kernel_close(h->kernel);
	close(h->udp4);
	close(h->udp6);
	close(h->wire);
}

static int tear_down(void **state)
{
	(void)state;
	close_host(&a);
	close_host(&b);
	return 0;
}

static void submit(struct host *h, const struct ipsec_request *request)
{
	kernel_channel_submit(h->channel, request);
	h->asked++;
}

static void await(struct host *h)
{
	time_t end = time(NULL) + PATIENCE;
	while (h->answered < h->asked && time(NULL) < end) {
		struct pollfd fd = {.fd = kernel_channel_fd(h->channel), .events = POLLIN};
		if (kernel_channel_sleep(h->channel))
			poll(&fd, 1, 100);
		kernel_channel_poll(h->channel);
	}
	assert_int_equal(h->answered, h->asked);
}

static void await_good(struct host *h)
{
	await(h);
	if (h->errors)
		fail_msg("%s: the kernel says %s", h->name, strerror(h->last_error));
}

/* ---- pairs of SAs ---- */

/* What both hosts have in common. */
struct plan {
	enum ipsec_protocol protocol;
	enum ipsec_mode mode;
	const struct algorithm *encr, *integ;
	uint16_t key_bits;
	bool esn, inner6, outer6, ipcomp;
	uint16_t tfc;
};

#define REQID  77
#define SPI(h) (0x1000u + ((h) == &b))
#define CPI(h) ((uint16_t)(300 + ((h) == &b)))

static struct ip_address address(const char *text)
{
	struct ip_address out;
	assert_true(ip_parse(text, &out));
	return out;
}

static struct traffic_selector selector_of(const struct host *h, const struct plan *p)
{
	struct ip_range range;
	range.first = address(p->mode == IPSEC_TRANSPORT ? p->outer6 ? h->outer6 : h->outer
			      : p->inner6                ? h->inner6
							 : h->inner);
	range.last = range.first;
	return traffic_selector_of_range(&range);
}

static struct ipsec_request sa_request(const struct host *h, const struct host *peer,
	const struct plan *p, enum ipsec_direction direction, enum ipsec_op op)
{
	const struct host *to = direction == IPSEC_OUTBOUND ? peer : h;
	struct ipsec_request r = {.op = op};
	r.sa = (struct ipsec_sa){
		.spi = SPI(to),
		.direction = direction,
		.protocol = p->protocol,
		.mode = p->mode,
		.local.address = address(p->outer6 ? h->outer6 : h->outer),
		.remote.address = address(p->outer6 ? peer->outer6 : peer->outer),
		.esn = p->esn,
		.replay_window = direction == IPSEC_INBOUND ? 128 : 0,
		.encr = p->encr ? p->encr->id : 0,
		.integ = p->integ ? p->integ->id : 0,
		.encr_key_len =
			p->encr ? (uint16_t)algorithm_encr_keymat_len(p->encr, p->key_bits) : 0,
		.integ_key_len = p->integ ? p->integ->key_len : 0,
		.reqid = REQID,
		.ipcomp_cpi = p->ipcomp ? CPI(to) : 0,
		.tfc_padding = p->tfc,
	};
	/* Of the packets' receiver */
	for (unsigned i = 0; i < IPSEC_KEY_MAX; i++) {
		r.sa.encr_key[i] = (uint8_t)(13 * i + SPI(to));
		r.sa.integ_key[i] = (uint8_t)(29 * i + SPI(to));
	}
	return r;
}

static void ask_for(struct host *h, const struct host *peer, const struct plan *p, bool add)
{
	struct traffic_selector local = selector_of(h, p), remote = selector_of(peer, p);
	for (int d = 0; d < 2; d++) {
		struct ipsec_request r = sa_request(
			h, peer, p, (enum ipsec_direction)d, add ? IPSEC_SA_ADD : IPSEC_SA_DELETE);
		r.sa.local_ts = &local;
		r.sa.remote_ts = &remote;
		r.sa.local_ts_count = r.sa.remote_ts_count = 1;
		submit(h, &r);
	}
	struct ipsec_request policy = {.op = add ? IPSEC_POLICY_ADD : IPSEC_POLICY_DELETE};
	policy.policy = (struct ipsec_policy){
		.reqid = REQID,
		.mode = p->mode,
		.protocol = p->protocol,
		.ipcomp = p->ipcomp,
		.local = address(p->outer6 ? h->outer6 : h->outer),
		.remote = address(p->outer6 ? peer->outer6 : peer->outer),
		.local_ts = &local,
		.remote_ts = &remote,
		.local_ts_count = 1,
		.remote_ts_count = 1,
	};
	submit(h, &policy);
}

static void both(const struct plan *p, bool add)
{
	ask_for(&a, &b, p, add);
	ask_for(&b, &a, p, add);
	await_good(&a);
	await_good(&b);
}

static uint64_t carried(struct host *h, const struct host *peer, const struct plan *p,
	enum ipsec_direction direction)
{
	struct ipsec_request r = sa_request(h, peer, p, direction, IPSEC_SA_QUERY);
	submit(h, &r);
	await_good(h);
	return h->counters.packets;
}

/* ---- traffic ---- */

static bool comes(int fd, const uint8_t *bytes, size_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t got[4096];
	ssize_t n = 0;
	while (poll(&p, 1, WAIT_MS) == 1) {
		n = recv(fd, got, sizeof(got), 0);
		if (n == (ssize_t)len && memcmp(got, bytes, len) == 0)
			return true;
	}
	return false;
}

/* One datagram, and it arrives as it was. */
static bool send_one(
	const struct host *from, const struct host *to, const struct plan *p, size_t len)
{
	bool v6 = p->mode == IPSEC_TRANSPORT ? p->outer6 : p->inner6;
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	uint8_t bytes[2048];
	struct ip_address where = selector_of(to, p).range.first;
	static uint8_t count;
	memset(bytes, ++count, len);
	memcpy(&to4.sin_addr, where.bytes, 4);
	memcpy(&to6.sin6_addr, where.bytes, 16);
	if (sendto(v6 ? from->udp6 : from->udp4, bytes, len, 0, v6 ? (void *)&to6 : (void *)&to4,
		    v6 ? sizeof(to6) : sizeof(to4)) != (ssize_t)len)
		return false;
	return comes(v6 ? to->udp6 : to->udp4, bytes, len);
}

/* What has left on the wire since the last look: the IP packets' lengths. Returns how many of
 * `protocol`; others that are not ICMPv6 or IGMP fail. */
static unsigned on_the_wire(
	const struct host *h, uint8_t protocol, unsigned lengths[], unsigned room)
{
	uint8_t bytes[2048];
	struct sockaddr_ll how;
	socklen_t size = sizeof(how);
	unsigned count = 0;
	ssize_t n;
	while ((n = recvfrom(h->wire, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC, (void *)&how,
			&size)) > 0) {
		uint16_t ether = ntohs(how.sll_protocol);
		uint8_t next = ether == ETH_P_IP ? bytes[9] : bytes[6];
		if (how.sll_pkttype != PACKET_OUTGOING ||
			(ether != ETH_P_IP && ether != ETH_P_IPV6) || next == IPPROTO_ICMPV6 ||
			next == IPPROTO_IGMP || next == 0)
			continue;
		if (next != protocol)
			fail_msg("protocol %u on the wire", next);
		if (count < room)
			lengths[count] = (unsigned)n;
		count++;
	}
	return count;
}

static const char *plan_text(const struct plan *p, char out[120])
{
	char encr[ALGORITHM_TEXT_MAX] = "";
	if (p->encr)
		algorithm_encr_text(p->encr, p->key_bits, encr);
	snprintf(out, 120, "%s %s %s%s%s%s%s%s", p->protocol == IPSEC_AH ? "AH" : "ESP", encr,
		p->integ ? p->integ->name : "", p->esn ? " ESN" : "",
		p->mode == IPSEC_TUNNEL ? " tunnel"
		: p->mode == IPSEC_BEET ? " beet"
					: " transport",
		p->inner6 ? " of IPv6" : "", p->outer6 ? " over IPv6" : "",
		p->ipcomp ? " IPComp" : "");
	return out;
}

/* Datagrams of each length both ways; each is one packet of the protocol, and the SAs have counted
 * them. `lengths`: of what a has sent, as IP packets; NULL: nobody asks. */
static void traffic(const struct plan *p, const size_t *sizes, unsigned count, unsigned *lengths)
{
	char text[120];
	on_the_wire(&a, (uint8_t)p->protocol, NULL, 0);
	on_the_wire(&b, (uint8_t)p->protocol, NULL, 0);
	for (unsigned i = 0; i < count; i++)
		if (!send_one(&a, &b, p, sizes[i]) || !send_one(&b, &a, p, sizes[i]))
			fail_msg("%s: %zu bytes do not arrive", plan_text(p, text), sizes[i]);
	if (on_the_wire(&a, (uint8_t)p->protocol, lengths, lengths ? count : 0) != count ||
		on_the_wire(&b, (uint8_t)p->protocol, NULL, 0) != count)
		fail_msg("%s: not %u packets on the wire", plan_text(p, text), count);
	for (int d = 0; d < 2; d++)
		if (carried(&a, &b, p, (enum ipsec_direction)d) != count ||
			carried(&b, &a, p, (enum ipsec_direction)d) != count)
			fail_msg("%s: the SAs have not counted %u packets", plan_text(p, text),
				count);
}

static void try_plan(const struct plan *p)
{
	static const size_t sizes[] = {5, 300};
	both(p, true);
	traffic(p, sizes, 2, NULL);
	both(p, false);
}

static bool clean(void)
{
	return run("! ip xfrm state | grep -q '^src' && ! ip xfrm policy | grep -q '^src 1'");
}

/* ---- the cases ---- */

/* Every cipher in every key length, and every integrity algorithm; not each with each. */
static bool is_worth_it(const struct algorithm *encr, unsigned k, const struct algorithm *integ)
{
	return encr->aead || integ->id == INTEG_HMAC_SHA2_256_128 ||
	       (encr->id == ENCR_AES_CBC && k == 0);
}

static void esp(void **state)
{
	const struct algorithm *encr, *integ;
	unsigned count = 0;
	(void)state;
	for (size_t e = 0; (encr = algorithm_at(TRANSFORM_ENCR, e)); e++)
		for (unsigned k = 0; k < ALGORITHM_KEY_BITS_MAX && (!k || encr->key_bits[k]); k++)
			for (size_t i = 0; (integ = algorithm_at(TRANSFORM_INTEG, i)); i++) {
				struct plan p = {.protocol = IPSEC_ESP,
					.mode = count % 2 ? IPSEC_TRANSPORT : IPSEC_TUNNEL,
					.encr = encr,
					.key_bits = encr->key_bits[k],
					.integ = integ->id ? integ : NULL,
					.esn = count % 3 == 0};
				if (!is_worth_it(encr, k, integ) ||
					!kernel_supports(
						a.kernel, encr->id, p.key_bits, integ->id, p.esn))
					continue;
				try_plan(&p);
				count++;
			}
	printf("figure: %u transforms of ESP carry traffic\n", count);
	/* GCM and CCM with three ICVs and key lengths each, ChaCha20; CBC, CTR, 3DES and NULL; the
	 * other integrity algorithms */
	assert_int_equal(count, 2 * 3 * 3 + 1 + 3 + 3 + 1 + 1 + 6);
	assert_true(clean());
}

static void ah(void **state)
{
	const struct algorithm *integ;
	unsigned count = 0;
	(void)state;
	for (size_t i = 0; (integ = algorithm_at(TRANSFORM_INTEG, i)); i++)
		for (unsigned n = 0; n < 16; n++) {
			struct plan p = {.protocol = IPSEC_AH,
				.mode = n & 1 ? IPSEC_TRANSPORT : IPSEC_TUNNEL,
				.integ = integ,
				.esn = n & 2,
				.inner6 = n & 4,
				.outer6 = n & 8};
			if (!kernel_supports_ah(a.kernel, integ->id, p.esn) ||
				(p.mode == IPSEC_TRANSPORT && p.inner6 != p.outer6))
				continue;
			try_plan(&p);
			count++;
		}
	printf("figure: %u kinds of AH carry traffic\n", count);
	assert_int_equal(count, 7 * 2 * (4 + 2));
	assert_true(clean());
}

static const struct algorithm *named(enum transform_type type, const char *name)
{
	const struct algorithm *found = algorithm_by_name(type, name, strlen(name));
	assert_non_null(found);
	return found;
}

/* Small datagrams are not compressed and pass, large ones are and are smaller. */
static void ipcomp(void **state)
{
	static const size_t sizes[] = {5, 1200, 40, 900};
	(void)state;
	assert_true(kernel_abilities(a.kernel) & KERNEL_IPCOMP);
	for (unsigned n = 0; n < 16; n++) {
		struct plan p = {.protocol = n & 1 ? IPSEC_AH : IPSEC_ESP,
			.mode = n & 2 ? IPSEC_TRANSPORT : IPSEC_TUNNEL,
			.encr = n & 1 ? NULL : named(TRANSFORM_ENCR, "aes"),
			.key_bits = 128,
			.integ = named(TRANSFORM_INTEG, "sha2_256"),
			.inner6 = n & 4,
			.outer6 = n & 8,
			.ipcomp = true};
		unsigned lengths[4] = {0};
		if (p.mode == IPSEC_TRANSPORT && p.inner6 != p.outer6)
			continue;
		both(&p, true);
		traffic(&p, sizes, 4, lengths);
		assert_in_range(lengths[1], 60, 250);
		assert_in_range(lengths[3], 60, 250);
		both(&p, false);
		assert_true(clean());
	}
}

/* A refused SA takes its IPComp SA along; one that is refused by its CPI does not come to be. */
static void ipcomp_refused(void **state)
{
	struct plan p = {.protocol = IPSEC_ESP,
		.encr = named(TRANSFORM_ENCR, "aes"),
		.key_bits = 128,
		.integ = named(TRANSFORM_INTEG, "sha2_256"),
		.ipcomp = true};
	struct ipsec_request r = sa_request(&a, &b, &p, IPSEC_INBOUND, IPSEC_SA_ADD);
	(void)state;
	p.ipcomp = false;
	struct ipsec_request plain = sa_request(&a, &b, &p, IPSEC_INBOUND, IPSEC_SA_ADD);
	plain.sa.reqid = 5;
	submit(&a, &plain);
	await_good(&a);
	submit(&a, &r);
	await(&a);
	assert_int_equal(a.last_error, EEXIST);
	assert_true(run("! ip xfrm state | grep -q 'proto comp'"));
	a.errors = 0;
	plain.op = IPSEC_SA_DELETE;
	submit(&a, &plain);
	assert_true(run("ip xfrm state add src 192.0.2.2 dst 192.0.2.1 proto comp spi %u reqid 9 "
			"mode tunnel comp deflate",
		CPI(&a)));
	submit(&a, &r);
	await(&a);
	assert_int_equal(a.last_error, EEXIST);
	assert_int_equal(a.errors, 1);
	assert_true(run("! ip xfrm state | grep -q 'proto esp' && ip xfrm state flush"));
	a.errors = 0;
}

/* With new end points: the counters go on, and so do the datagrams. */
static void ipcomp_moved(void **state)
{
	static const size_t sizes[] = {5, 1200};
	struct plan p = {.protocol = IPSEC_ESP,
		.encr = named(TRANSFORM_ENCR, "aes"),
		.key_bits = 128,
		.integ = named(TRANSFORM_INTEG, "sha2_256"),
		.ipcomp = true};
	(void)state;
	both(&p, true);
	traffic(&p, sizes, 2, NULL);
	assert_true(run("ip address add 192.0.2.9/24 dev wan"));
	for (int d = 0; d < 2; d++) {
		struct ipsec_request at_a =
			sa_request(&a, &b, &p, (enum ipsec_direction)d, IPSEC_SA_MOVE);
		struct ipsec_request at_b =
			sa_request(&b, &a, &p, (enum ipsec_direction)d, IPSEC_SA_MOVE);
		at_a.sa.local.address = at_b.sa.remote.address = address("192.0.2.9");
		submit(&a, &at_a);
		submit(&b, &at_b);
	}
	await_good(&a);
	await_good(&b);
	assert_true(run("! ip xfrm state | grep -q '192.0.2.1'"));
	assert_true(run("ip xfrm state | grep -q 'src 192.0.2.9 dst 192.0.2.2'"));
	a.outer = "192.0.2.9";
	assert_true(send_one(&a, &b, &p, 1200) && send_one(&b, &a, &p, 1200));
	assert_true(send_one(&a, &b, &p, 5) && send_one(&b, &a, &p, 5));
	both(&p, false);
	a.outer = "192.0.2.1";
	assert_true(clean());
}

/* Packets of every size are of one size on the wire. */
static void tfc(void **state)
{
	static const size_t sizes[] = {5, 100, 700, 1300};
	struct plan p = {.protocol = IPSEC_ESP,
		.encr = named(TRANSFORM_ENCR, "aes_gcm"),
		.key_bits = 128,
		.tfc = 1000};
	unsigned lengths[4] = {0};
	(void)state;
	both(&p, true);
	traffic(&p, sizes, 4, lengths);
	assert_in_range(lengths[0], 1000, 1100);
	assert_int_equal(lengths[1], lengths[0]);
	assert_int_equal(lengths[2], lengths[0]);
	assert_true(lengths[3] > 1300);
	both(&p, false);
	/* As much as the path takes */
	p.tfc = 9000;
	both(&p, true);
	traffic(&p, sizes, 4, lengths);
	assert_in_range(lengths[0], 1440, 1500);
	assert_int_equal(lengths[3], lengths[0]);
	both(&p, false);
	p.mode = IPSEC_TRANSPORT;
	struct ipsec_request r = sa_request(&a, &b, &p, IPSEC_OUTBOUND, IPSEC_SA_ADD);
	submit(&a, &r);
	await(&a);
	assert_int_equal(a.last_error, EINVAL);
	a.errors = 0;
	assert_true(clean());
}

/* The inner addresses come out as they went in, and are not on the wire: as long as transport mode.
 */
static void beet(void **state)
{
	static const size_t sizes[] = {5, 300, 1000};
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct plan p = {.protocol = IPSEC_ESP,
			.mode = IPSEC_BEET,
			.encr = named(TRANSFORM_ENCR, "aes_gcm"),
			.key_bits = 128,
			.inner6 = n & 1,
			.outer6 = n & 2};
		unsigned beet_lengths[3], transport_lengths[3];
		both(&p, true);
		traffic(&p, sizes, 3, beet_lengths);
		assert_true(run("ip xfrm state | grep -q 'mode beet'"));
		both(&p, false);
		p.mode = IPSEC_TRANSPORT;
		both(&p, true);
		traffic(&p, sizes, 3, transport_lengths);
		both(&p, false);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(beet_lengths[i], transport_lengths[i]);
	}
	/* It has one inner address of each side. */
	struct plan p = {.protocol = IPSEC_ESP,
		.mode = IPSEC_BEET,
		.encr = named(TRANSFORM_ENCR, "aes_gcm"),
		.key_bits = 128};
	struct ipsec_request r = sa_request(&a, &b, &p, IPSEC_INBOUND, IPSEC_SA_ADD);
	struct traffic_selector wide;
	assert_true(traffic_selector_parse("10.1.0.0/24", &wide));
	r.sa.local_ts = r.sa.remote_ts = &wide;
	r.sa.local_ts_count = r.sa.remote_ts_count = 1;
	submit(&a, &r);
	await(&a);
	assert_int_equal(a.last_error, EINVAL);
	a.errors = 0;
	assert_true(clean());
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(esp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ah, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ipcomp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ipcomp_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ipcomp_moved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tfc, set_up, tear_down),
		cmocka_unit_test_setup_teardown(beet, set_up, tear_down),
	};
	if (argc != 2)
		return 2;
	cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
