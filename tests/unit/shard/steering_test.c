/* The kernel's BPF program against its twin in C, over real sockets; and the twin against the rules
 * in words. */
#include "socket.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARDS 4

struct header {
	uint64_t spi_i, spi_r;
	uint8_t version, flags;
	size_t len; /* of the message without marker */
	bool bad_marker;
};

/* The kernel room, as far as sockets need it. */
bool kernel_prepare_socket(const struct kernel *kernel, int fd, uint8_t family, bool nat)
{
	(void)kernel, (void)fd, (void)family, (void)nat;
	return true;
}

static size_t build(const struct header *h, bool nat, uint8_t *out, size_t size)
{
	struct writer w = writer_of(out, size);
	if (nat) {
		write_u32(&w, h->bad_marker ? 0x01000000 : 0);
	}
	write_u64(&w, h->spi_i);
	write_u64(&w, h->spi_r);
	write_u8(&w, 33);
	write_u8(&w, h->version);
	write_u8(&w, 34);
	write_u8(&w, h->flags);
	write_u32(&w, 7);
	write_u32(&w, 28);
	write_zeros(&w, 600);
	assert_false(w.failed);
	return (nat ? ESP_MARKER_LEN : 0) + h->len;
}

static uint64_t random_spi(void)
{
	return (uint64_t)(uint32_t)mrand48() << 32 | (uint32_t)mrand48();
}

/* Every shape that the rules tell apart, and random ones. */
static struct header random_header(unsigned i)
{
	static const uint8_t versions[] = {0x20, 0x20, 0x20, 0x10, 0x11, 0x21, 0x30, 0x00, 0xf0};
	static const uint8_t flags[] = {0x00, 0x08, 0x20, 0x28, 0xff, 0xf7, 0x10, 0x18};
	static const size_t lens[] = {28, 29, 100, 600, 28, 28, 27, 19, 4, 0, 1, 20};
	struct header h = {
		.spi_i = i % 13 == 0 ? 0 : random_spi(),
		.spi_r = i % 3 == 0   ? 0
			 : i % 7 == 0 ? (uint32_t)random_spi()
				      : random_spi(),
		.version = versions[(unsigned)lrand48() % sizeof versions],
		.flags = flags[(unsigned)lrand48() % sizeof flags],
		.len = lens[(unsigned)lrand48() % (sizeof lens / sizeof lens[0])],
		.bad_marker = lrand48() % 16 == 0,
	};
	if (i % 7 == 1) {
		h.spi_r &= 0xffffffff00000000;
	}
	return h;
}

struct group {
	struct steering steering;
	struct ike_socket *sockets[SHARDS];
	struct sockaddr_storage to;
	socklen_t to_len;
	int sender;
	bool nat;
};

static void open_group(struct group *g, const char *address, bool nat, bool steered)
{
	struct listen_address local = {.interface = "lo"};
	char error[200] = "";
	assert_true(ip_parse(address, &local.address));
	assert_true(steering_init(&g->steering, SHARDS));
	g->nat = nat;
	struct socket_group_config config = {.address = &local,
		.nat = nat,
		.shards = SHARDS,
		.steering = steered ? &g->steering : NULL,
		.buffer = 1 << 20};
	for (config.port = 20500; config.port < 20600; config.port++) {
		if (socket_group_open(&config, g->sockets, error, sizeof error)) {
			break;
		}
	}
	if (config.port == 20600) {
		fail_msg("%s", error);
	}
	struct ip_endpoint to = {local.address, config.port};
	g->to_len = ip_to_sockaddr(&to, &g->to);
	g->sender = socket(local.address.family, SOCK_DGRAM, 0);
	assert_true(g->sender >= 0);
}

static void close_group(struct group *g)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		ike_socket_close(g->sockets[i]);
	}
	close(g->sender);
}

/* Which socket gets it. */
static unsigned receiver_of(struct group *g, const uint8_t *payload, size_t len)
{
	struct pollfd p[SHARDS];
	uint8_t got[1000];
	assert_int_equal(
		sendto(g->sender, payload, len, 0, (struct sockaddr *)&g->to, g->to_len), len);
	for (unsigned i = 0; i < SHARDS; i++) {
		p[i] = (struct pollfd){g->sockets[i]->fd, POLLIN, 0};
	}
	assert_int_equal(poll(p, SHARDS, 2000), 1);
	for (unsigned i = 0; i < SHARDS; i++) {
		if (p[i].revents & POLLIN) {
			assert_int_equal(recv(p[i].fd, got, sizeof got, 0), len);
			assert_memory_equal(got, payload, len);
			return i;
		}
	}
	fail();
	return 0;
}

static void compare(const char *address, bool nat)
{
	struct group g;
	unsigned seen[SHARDS] = {0}, any = 0;
	open_group(&g, address, nat, true);
	for (unsigned i = 0; i < 4000; i++) {
		struct header h = random_header(i);
		uint8_t payload[1000];
		size_t len = build(&h, nat, payload, sizeof payload);
		unsigned owner = steering_owner(&g.steering, nat, payload, len);
		unsigned receiver = receiver_of(&g, payload, len);
		if (owner == STEERING_ANY) {
			any++;
		} else {
			seen[owner]++;
			if (owner != receiver) {
				fail_msg("SPIs %lx %lx version %x flags %x: C says %u, the kernel "
					 "%u",
					h.spi_i, h.spi_r, h.version, h.flags, owner, receiver);
			}
		}
	}
	assert_true(any > 100);
	for (unsigned i = 0; i < SHARDS; i++) {
		assert_true(seen[i] > 200);
	}
	close_group(&g);
}

static void kernel_agrees_v4(void **state)
{
	(void)state;
	compare("127.0.0.1", false);
}

static void kernel_agrees_v4_nat(void **state)
{
	(void)state;
	compare("127.0.0.1", true);
}

static void kernel_agrees_v6(void **state)
{
	(void)state;
	compare("::1", false);
}

static void kernel_agrees_v6_nat(void **state)
{
	(void)state;
	compare("::1", true);
}

/* Without the program the kernel does not know the rules: the comparison above can fail. */
static void kernel_differs_unsteered(void **state)
{
	(void)state;
	struct group g;
	unsigned wrong = 0;
	open_group(&g, "127.0.0.1", false, false);
	for (unsigned i = 0; i < 64; i++) {
		struct header h = {random_spi(), random_spi(), 0x20, 0x08, 100, false};
		uint8_t payload[1000];
		size_t len = build(&h, false, payload, sizeof payload);
		wrong += steering_owner(&g.steering, false, payload, len) !=
			 receiver_of(&g, payload, len);
	}
	assert_true(wrong > 16);
	close_group(&g);
}

static unsigned owner_of(const struct steering *s, const struct header *h, bool nat, bool sent)
{
	uint8_t payload[1000];
	size_t len = build(h, nat, payload, sizeof payload);
	return sent ? steering_owner_of_sent(s, nat, payload, len)
		    : steering_owner(s, nat, payload, len);
}

static void rules(void **state)
{
	(void)state;
	struct steering s;
	assert_true(steering_init(&s, 251));
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t a = random_spi(), b = random_spi() | 1;
		unsigned of_a = steering_of_spi(&s, a), of_b = steering_of_spi(&s, b);
		for (unsigned nat = 0; nat < 2; nat++) {
			/* From the original initiator: ours is the responder's, if there is one
			 * yet. */
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x20, 0x08, 28, 0}, nat, false),
				of_b);
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x20, 0x28, 28, 0}, nat, false),
				of_b);
			assert_int_equal(
				owner_of(&s, &(struct header){a, 0, 0x20, 0x08, 28, 0}, nat, false),
				of_a);
			/* From the original responder */
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x20, 0x20, 28, 0}, nat, false),
				of_a);
			assert_int_equal(
				owner_of(&s, &(struct header){a, 0, 0x20, 0x20, 28, 0}, nat, false),
				of_a);
			/* IKEv1 has no such flag */
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x10, 0x08, 28, 0}, nat, false),
				of_a);
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x10, 0x00, 28, 0}, nat, false),
				of_a);
			/* What we sent ourselves */
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x20, 0x08, 28, 0}, nat, true),
				of_a);
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x20, 0x20, 28, 0}, nat, true),
				of_b);
			assert_int_equal(
				owner_of(&s, &(struct header){a, 0, 0x20, 0x20, 28, 0}, nat, true),
				of_a);
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x10, 0x00, 28, 0}, nat, true),
				of_a);
			assert_int_equal(
				owner_of(&s, &(struct header){a, b, 0x20, 0x08, 27, 0}, nat, false),
				STEERING_ANY);
		}
		assert_int_equal(
			owner_of(&s, &(struct header){a, b, 0x20, 0x08, 99, true}, true, false),
			STEERING_ANY);
	}
}

/* SPIs that an attacker may choose (counters, one bit different) spread as random ones do, and
 * differently each start. */
static void spreads(void **state)
{
	(void)state;
	struct steering s, t;
	unsigned same = 0;
	assert_true(steering_init(&s, 8));
	assert_true(steering_init(&t, 8));
	for (unsigned shape = 0; shape < 4; shape++) {
		unsigned count[8] = {0};
		for (uint64_t i = 0; i < 80000; i++) {
			uint64_t spi = shape == 0   ? i
				       : shape == 1 ? i << 32
				       : shape == 2 ? i << 47
						    : i << 32 | i;
			count[steering_of_spi(&s, spi)]++;
			same += steering_of_spi(&s, spi) == steering_of_spi(&t, spi);
		}
		for (unsigned i = 0; i < 8; i++) {
			assert_in_range(count[i], 8500, 11500);
		}
	}
	assert_in_range(same, 320000 / 8 / 2, 320000 / 8 * 2);
}

static void second_daemon_is_refused(void **state)
{
	(void)state;
	struct group g;
	struct ike_socket *sockets[SHARDS];
	struct ip_endpoint bound;
	char error[200] = "";
	open_group(&g, "127.0.0.1", false, true);
	assert_true(ip_from_sockaddr((struct sockaddr *)&g.to, g.to_len, &bound));
	struct listen_address local = {.address = bound.address};
	struct socket_group_config config = {
		.address = &local, .port = bound.port, .shards = SHARDS, .steering = &g.steering};
	assert_false(socket_group_open(&config, sockets, error, sizeof error));
	assert_non_null(strstr(error, "127.0.0.1:"));
	assert_non_null(strstr(error, "Address already in use"));
	config.shards = 1;
	assert_false(socket_group_open(&config, sockets, error, sizeof error));
	close_group(&g);
}

int main(void)
{
	srand48(20260101);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_agrees_v4),
		cmocka_unit_test(kernel_agrees_v4_nat),
		cmocka_unit_test(kernel_agrees_v6),
		cmocka_unit_test(kernel_agrees_v6_nat),
		cmocka_unit_test(kernel_differs_unsteered),
		cmocka_unit_test(rules),
		cmocka_unit_test(spreads),
		cmocka_unit_test(second_daemon_is_refused),
	};
	return cmocka_run_group_tests_name("steering", tests, NULL, NULL);
}
