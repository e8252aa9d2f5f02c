/* Datagrams through real sockets: steering, hand-over, listening, ICMP errors, cookies. */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct listen_address lo(const char *text)
{
	struct listen_address a = {.interface = "lo"};
	assert_true(ip_parse(text, &a.address));
	return a;
}

static void listen_on(const char *text)
{
	struct listen_address a = lo(text);
	char error[300] = "";
	if (shard_set_listen(set, &a, 1, error, sizeof error) != 1) {
		fail_msg("%s", error);
	}
}

struct peer {
	int fd;
	struct sockaddr_storage to;
	socklen_t to_len;
	bool nat;
};

static struct peer peer_to(const char *text, uint16_t port)
{
	struct ip_endpoint e = {lo(text).address, port};
	struct peer p = {.nat = port != TEST_PORT};
	p.fd = socket(e.address.family, SOCK_DGRAM, 0);
	p.to_len = ip_to_sockaddr(&e, &p.to);
	assert_int_equal(connect(p.fd, (struct sockaddr *)&p.to, p.to_len), 0);
	return p;
}

static bool as_stranger;

/* A first request with a random SPI and a tag. */
static void send_request(const struct peer *p, unsigned tag)
{
	uint8_t message[204] = {0};
	size_t marker = p->nat ? 4 : 0;
	uint8_t *at = message + marker;
	for (unsigned i = 0; i < 8; i++) {
		at[i] = (uint8_t)lrand48();
	}
	at[17] = 0x20;
	at[FAKE_FIRST_AT] = as_stranger;
	at[19] = 0x08;
	at[198] = (uint8_t)(tag >> 8);
	at[199] = (uint8_t)tag;
	assert_int_equal(send(p->fd, message, 200 + marker, 0), 200 + marker);
}

/* The tag of an echo; the marker is there where it belongs. */
static int receive_tag(const struct peer *p, int timeout_ms)
{
	uint8_t message[300];
	struct pollfd poller = {p->fd, POLLIN, 0};
	if (poll(&poller, 1, timeout_ms) != 1) {
		return -1;
	}
	size_t marker = p->nat ? 4 : 0;
	ssize_t len = recv(p->fd, message, sizeof message, 0);
	if (len < 0) {
		/* The port is closed. */
		return -1;
	}
	assert_int_equal(len, 200 + marker);
	assert_memory_equal(message, "\0\0\0\0", marker);
	return message[len - 2] << 8 | message[len - 1];
}

static void total(uint64_t *over, uint64_t *in, uint64_t *lost)
{
	*over = *in = *lost = 0;
	for (unsigned i = 0; i < shard_set_count(set); i++) {
		struct shard_stats s;
		assert_true(shard_set_stats(set, i, &s));
		*over += s.handed_over;
		*in += s.handed_in;
		*lost += s.hand_over_lost;
	}
}

/* All requests reach their owner's engine and are echoed. */
static void exchange(const char *address, uint16_t port, unsigned count)
{
	struct peer p = peer_to(address, port);
	unsigned sent = 0, got = 0;
	for (unsigned i = 0; i < count; i++) {
		__atomic_store_n(&fake.tag_taken_by[i], 0, __ATOMIC_RELEASE);
	}
	while (got < count) {
		while (sent < count && sent - got < 50) {
			send_request(&p, sent++);
		}
		int tag = receive_tag(&p, 5000);
		assert_in_range(tag, 0, count - 1);
		got++;
	}
	for (unsigned i = 0; i < count; i++) {
		assert_in_range(fake_read(&fake.tag_taken_by[i]), 1, shard_set_count(set));
	}
	assert_int_equal(fake_read(&fake.not_owned), 0);
	close(p.fd);
}

static void exchange_everywhere(unsigned count)
{
	struct listen_address both[2] = {lo("127.0.0.1"), lo("::1")};
	char error[300] = "";
	assert_int_equal(shard_set_listen(set, both, 2, error, sizeof error), 2);
	assert_string_equal(error, "");
	exchange("127.0.0.1", TEST_PORT, count);
	exchange("127.0.0.1", TEST_PORT + 1, count);
	exchange("::1", TEST_PORT, count);
	exchange("::1", TEST_PORT + 1, count);
	for (unsigned i = 0; i < shard_set_count(set); i++) {
		assert_in_range(fake_read(&fake.datagrams[i]),
			4 * count / shard_set_count(set) * 8 / 10, 4 * count);
	}
}

static void steered(void **state)
{
	(void)state;
	uint64_t over, in, lost;
	struct shard_config config = fixture_config(4, 0, 64);
	fixture_start(&config);
	exchange_everywhere(1000);
	total(&over, &in, &lost);
	assert_int_equal(over, 0);
	assert_int_equal(lost, 0);
	fixture_stop();
}

static void handed_over(void **state)
{
	(void)state;
	uint64_t over, in, lost;
	struct shard_config config = fixture_config(4, 0, 64);
	config.steering = false;
	fixture_start(&config);
	exchange_everywhere(1000);
	total(&over, &in, &lost);
	/* Three of four land on a wrong one: one client port is one socket. */
	assert_in_range(over, 2000, 4000);
	assert_int_equal(in, over);
	assert_int_equal(lost, 0);
	fixture_stop();
}

/* A shard that hangs does not hold up the one that has its datagrams; its mailbox keeps room for
 * what matters more than they. */
static void flooded_owner(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(4, 0, 64);
	struct shard_stats s;
	uint64_t over, in, lost;
	unsigned receiver = 0;
	struct sockaddr_in sink = {.sin_family = AF_INET,
		.sin_port = htons(TEST_PORT + 98),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int sink_fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(sink_fd, (struct sockaddr *)&sink, sizeof sink), 0);
	config.steering = false;
	fake_echo_port = TEST_PORT + 98; /* nobody reads so many echoes */
	fixture_start(&config);
	listen_on("127.0.0.1");
	struct peer p = peer_to("127.0.0.1", TEST_PORT);
	send_request(&p, 0);
	sleep_ms(100);
	while (shard_set_stats(set, receiver, &s) && s.datagrams_in == 0) {
		receiver++;
	}
	assert_in_range(receiver, 0, 3);
	unsigned hung = (receiver + 1) % 4;
	__atomic_store_n(&fake_hung, hung + 1, __ATOMIC_RELEASE);
	for (unsigned i = 1; i <= 24000; i++) {
		send_request(&p, i);
		uint64_t until = test_now_ms() + 5000;
		while (i % 100 == 0 && s.datagrams_in < i && test_now_ms() < until) {
			assert_true(shard_set_stats(set, receiver, &s));
		}
	}
	total(&over, &in, &lost);
	assert_in_range(lost, 1000, 3000);
	assert_true(shard_set_stats(set, hung, &s));
	assert_in_range(s.mailbox_depth, 4000, 4096);
	/* Commands are not shut out; they wait for it to go on. */
	shard_set_delete_serial(set, 1000 + hung, 5);
	assert_null(next_mail(100));
	__atomic_store_n(&fake_hung, 0, __ATOMIC_RELEASE);
	struct shard_mail *m = expect_mail(SHARD_MAIL_DONE);
	assert_int_equal(m->count, 1);
	shard_mail_free(m);
	sleep_ms(200);
	total(&over, &in, &lost);
	assert_int_equal(over, in);
	assert_true(shard_set_stats(set, receiver, &s));
	assert_int_equal(fake_read(&fake.datagrams[0]) + fake_read(&fake.datagrams[1]) +
				 fake_read(&fake.datagrams[2]) + fake_read(&fake.datagrams[3]) +
				 lost,
		s.datagrams_in);
	close(p.fd);
	close(sink_fd);
	fixture_stop();
}

static void one_shard(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(1, 0, 64);
	fixture_start(&config);
	exchange_everywhere(300);
	fixture_stop();
}

/* Sockets come and go; the order of the group is the order of the shards each time, and what stays
 * is not interrupted. */
static void listening_again(void **state)
{
	(void)state;
	uint64_t over, in, lost;
	struct shard_config config = fixture_config(4, 0, 64);
	struct listen_address two[2] = {lo("127.0.0.1"), lo("127.0.0.2")};
	char error[300] = "";
	fixture_start(&config);
	assert_int_equal(fake_read(&fake.listening[0]), 0);
	struct peer stays = peer_to("127.0.0.1", TEST_PORT);
	for (unsigned round = 0; round < 20; round++) {
		listen_on("127.0.0.1");
		send_request(&stays, 7);
		assert_int_equal(shard_set_listen(set, two, 2, error, sizeof error), 2);
		send_request(&stays, 8);
		exchange("127.0.0.2", TEST_PORT, 50);
		assert_int_equal(receive_tag(&stays, 1000) + receive_tag(&stays, 1000), 15);
		if (round % 4 == 3) {
			assert_int_equal(shard_set_listen(set, NULL, 0, error, sizeof error), 0);
		}
	}
	total(&over, &in, &lost);
	assert_int_equal(over, 0);
	for (unsigned i = 0; i < 4; i++) {
		wait_for(&fake.listening[i], 1);
	}
	send_request(&stays, 9);
	assert_int_equal(receive_tag(&stays, 100), -1);
	close(stays.fd);
	fixture_stop();
}

static void part_fails(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(2, 0, 64);
	struct listen_address three[4] = {
		lo("127.0.0.1"), lo("192.0.2.77"), lo("127.0.0.3"), lo("127.0.0.1")};
	struct sockaddr_in taken = {.sin_family = AF_INET,
		.sin_port = htons(TEST_PORT + 1),
		.sin_addr.s_addr = htonl(0x7f000003)};
	char error[300] = "";
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&taken, sizeof taken), 0);
	fixture_start(&config);
	assert_int_equal(shard_set_listen(set, three, 4, error, sizeof error), 1);
	assert_string_equal(error, "192.0.2.77:20700: Cannot assign requested address; "
				   "127.0.0.3:20701: Address already in use");
	exchange("127.0.0.1", TEST_PORT, 50);
	close(fd);
	assert_int_equal(shard_set_listen(set, three, 4, error, sizeof error), 2);
	exchange("127.0.0.3", TEST_PORT + 1, 50);
	fixture_stop();
}

/* Keepalives, ESP and rubbish are no IKE; the greatest datagram comes through whole. */
static void odd_datagrams(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(2, 0, 64);
	static uint8_t big[65507];
	static uint8_t back[65536];
	struct shard_stats s, t;
	fixture_start(&config);
	listen_on("127.0.0.1");
	struct peer nat = peer_to("127.0.0.1", TEST_PORT + 1),
		    plain = peer_to("127.0.0.1", TEST_PORT);
	send(nat.fd, "\xff", 1, 0);
	send(nat.fd, "", 0, 0);
	send(nat.fd, "abcdefghijklmnopqrstuvwxyz0123456789", 36, 0);
	send(plain.fd, "", 0, 0);
	send(plain.fd, "x", 1, 0);
	assert_int_equal(recv(plain.fd, back, sizeof back, 0), 0);
	assert_int_equal(recv(plain.fd, back, sizeof back, 0), 1);
	memset(big, 0x20, sizeof big);
	assert_int_equal(send(plain.fd, big, sizeof big, 0), sizeof big);
	struct pollfd poller = {plain.fd, POLLIN, 0};
	/* Not owned by the SPI's rule of the fake, but whole. */
	assert_int_equal(poll(&poller, 1, 2000), 1);
	assert_int_equal(recv(plain.fd, back, sizeof back, 0), sizeof big);
	assert_memory_equal(back, big, sizeof big);
	uint64_t until = test_now_ms() + 2000;
	do {
		sleep_ms(1);
		assert_true(shard_set_stats(set, 0, &s));
		assert_true(shard_set_stats(set, 1, &t));
	} while (s.not_ike + t.not_ike < 3 && test_now_ms() < until);
	assert_int_equal(s.not_ike + t.not_ike, 3);
	assert_int_equal(s.datagrams_in + t.datagrams_in, 6);
	assert_int_equal(s.datagrams_out + t.datagrams_out, 3);
	assert_int_equal(s.bytes_in + t.bytes_in, 1 + 0 + 36 + 0 + 1 + 65507);
	close(nat.fd);
	close(plain.fd);
	fixture_stop();
}

/* The echo goes to a closed port: the ICMP error reaches the engine that sent it, whatever socket
 * the kernel told. */
static void icmp_errors(const char *address, uint16_t port)
{
	struct shard_config config = fixture_config(4, 0, 64);
	uint64_t over, in, lost;
	fake_echo_port = TEST_PORT + 99;
	fixture_start(&config);
	listen_on(address);
	for (unsigned i = 0; i < 200; i++) {
		struct peer p = peer_to(address, port);
		unsigned owner = 0, before[4];
		for (unsigned n = 0; n < 4; n++) {
			before[n] = fake_read(&fake.network_errors[n]);
		}
		__atomic_store_n(&fake.tag_taken_by[i], 0, __ATOMIC_RELEASE);
		send_request(&p, i);
		uint64_t until = test_now_ms() + 5000;
		while ((owner = fake_read(&fake.tag_taken_by[i])) == 0 && test_now_ms() < until) {
			sleep_ms(1);
		}
		assert_in_range(owner, 1, 4);
		wait_for(&fake.network_errors[owner - 1], before[owner - 1] + 1);
		close(p.fd);
	}
	assert_int_equal(fake_read(&fake.last_network_error), ECONNREFUSED);
	/* The kernel did choose others: those were handed over. */
	total(&over, &in, &lost);
	assert_in_range(over, 1, 200);
	assert_int_equal(over, in);
	fixture_stop();
}

static void icmp_errors_v4(void **state)
{
	(void)state;
	icmp_errors("127.0.0.1", TEST_PORT);
}

static void icmp_errors_v6_nat(void **state)
{
	(void)state;
	icmp_errors("::1", TEST_PORT + 1);
}

/* Before its buffer overflows a socket drops strangers' requests, and nothing else. */
static void strangers_are_shed(void **state)
{
	(void)state;
	enum { strangers = 370, others = 10 };
	struct shard_config config = fixture_config(1, 0, 64);
	struct shard_stats s;
	config.socket_buffer = 262144; /* which the kernel doubles: some 400 datagrams */
	fixture_start(&config);
	listen_on("127.0.0.1");
	struct peer p = peer_to("127.0.0.1", TEST_PORT);
	__atomic_store_n(&fake_hung, 1, __ATOMIC_RELEASE);
	send_request(&p, 0);
	sleep_ms(100);
	as_stranger = true;
	for (unsigned i = 1; i <= strangers; i++) {
		send_request(&p, i);
	}
	as_stranger = false;
	for (unsigned i = 0; i < others; i++) {
		send_request(&p, 1000 + i);
	}
	__atomic_store_n(&fake_hung, 0, __ATOMIC_RELEASE);
	wait_for(&fake.tag_taken_by[1000 + others - 1], 1);
	assert_true(shard_set_stats(set, 0, &s));
	assert_in_range(s.shed, 10, strangers);
	assert_int_equal(s.datagrams_in, 1 + strangers + others);
	for (unsigned i = 0; i < others; i++) {
		assert_int_equal(fake_read(&fake.tag_taken_by[1000 + i]), 1);
	}
	/* When there is room again, strangers are heard. */
	as_stranger = true;
	send_request(&p, 2000);
	as_stranger = false;
	wait_for(&fake.tag_taken_by[2000], 1);
	close(p.fd);
	fixture_stop();
}

static void ddos_modes(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(1, 0, 64);
	config.ddos_mode = DDOS_AUTO;
	config.ddos_threshold = 1;
	config.max_half_open = 0;
	fixture_start(&config);
	listen_on("127.0.0.1");
	exchange("127.0.0.1", TEST_PORT, 5);
	assert_int_equal(fake_read(&fake.cookies_required), 0);
	shard_set_ddos_mode(set, DDOS_BUSY);
	exchange("127.0.0.1", TEST_PORT, 5);
	assert_int_equal(fake_read(&fake.cookies_required), 5);
	shard_set_ddos_mode(set, DDOS_UNLIMITED);
	exchange("127.0.0.1", TEST_PORT, 5);
	assert_int_equal(fake_read(&fake.cookies_required), 5);
	assert_int_equal(fake_read(&fake.news_refused), 0);
	fixture_stop();
	config = fixture_config(1, 0, 64);
	config.ddos_threshold = 0;
	fixture_start(&config);
	listen_on("127.0.0.1");
	exchange("127.0.0.1", TEST_PORT, 5);
	assert_int_equal(fake_read(&fake.cookies_required), 5);
	fixture_stop();
}

int main(void)
{
	srand48(20260102);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steered),
		cmocka_unit_test(handed_over),
		cmocka_unit_test(flooded_owner),
		cmocka_unit_test(one_shard),
		cmocka_unit_test(listening_again),
		cmocka_unit_test(part_fails),
		cmocka_unit_test(odd_datagrams),
		cmocka_unit_test(icmp_errors_v4),
		cmocka_unit_test(icmp_errors_v6_nat),
		cmocka_unit_test(strangers_are_shed),
		cmocka_unit_test(ddos_modes),
	};
	return cmocka_run_group_tests_name("datagrams", tests, NULL, NULL);
}
