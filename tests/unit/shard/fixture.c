#include "fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

struct shard_set *set;
struct mailbox *control;

void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l}, NULL);
}

uint64_t test_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct shard_config fixture_config(unsigned shards, int nhelpers, size_t control_capacity)
{
	fake_engine_reset();
	fake_kernel_channels = 1000;
	__atomic_store_n(&fake_kernel_holds, false, __ATOMIC_RELEASE);
	__atomic_store_n(&fake_kernel_queries, 0, __ATOMIC_RELEASE);
	control = mailbox_new(control_capacity);
	assert_non_null(control);
	return (struct shard_config){
		.shards = shards,
		.nhelpers = nhelpers,
		.ike_port = TEST_PORT,
		.nat_port = TEST_PORT + 1,
		.unique_ids = true,
		.steering = true,
		.ddos_threshold = 25000,
		.max_half_open = 50000,
		.socket_buffer = 1 << 20,
		.control = control,
	};
}

void fixture_start(const struct shard_config *config)
{
	char error[300] = "";
	set = shard_set_start(config, error, sizeof error);
	if (set == NULL) {
		fail_msg("%s", error);
	}
	assert_int_equal(shard_set_count(set), config->shards);
}

void fixture_stop(void)
{
	struct mail *mail;
	shard_set_stop(set);
	while (mailbox_take(control, &mail, 1) == 1) {
		shard_mail_free((struct shard_mail *)mail);
	}
	mailbox_free(control);
	assert_int_equal(fake.thread_errors, 0);
	assert_int_equal(fake_objects(), 0);
}

struct shard_mail *next_mail(unsigned timeout_ms)
{
	uint64_t until = test_now_ms() + timeout_ms;
	struct mail *mail;
	for (;;) {
		if (mailbox_take(control, &mail, 1) == 1) {
			return (struct shard_mail *)mail;
		}
		uint64_t now = test_now_ms();
		if (now >= until) {
			return NULL;
		}
		if (mailbox_sleep(control)) {
			struct pollfd p = {mailbox_fd(control), POLLIN, 0};
			poll(&p, 1, (int)(until - now));
		}
		mailbox_awake(control);
	}
}

struct shard_mail *expect_mail(enum shard_mail_kind kind)
{
	struct shard_mail *m = next_mail(5000);
	assert_non_null(m);
	assert_int_equal(m->mail.kind, kind);
	return m;
}

void wait_for(const unsigned *cell, unsigned value)
{
	uint64_t until = test_now_ms() + 5000;
	while (fake_read(cell) != value && test_now_ms() < until) {
		sleep_ms(1);
	}
	assert_int_equal(fake_read(cell), value);
}
