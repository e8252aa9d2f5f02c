/* Start and stop, commands, timers, jobs, news between shards. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void start_and_stop(void **state)
{
	(void)state;
	for (unsigned shards = 1; shards <= 4; shards++) {
		for (int workers = 0; workers <= 2; workers++) {
			struct shard_config config = fixture_config(shards, workers, 64);
			char line[100];
			fixture_start(&config);
			assert_true(shard_set_placement(
				set, shards + (unsigned)workers - 1, line, sizeof line));
			assert_false(shard_set_placement(
				set, shards + (unsigned)workers, line, sizeof line));
			assert_int_equal(shard_set_crypto_stats(set).workers, workers);
			fixture_stop();
		}
	}
}

static void bad_configurations(void **state)
{
	(void)state;
	char error[300];
	struct shard_config config = fixture_config(1, 0, 64);
	config.ike_port = 0;
	assert_null(shard_set_start(&config, error, sizeof error));
	assert_string_equal(error, "no IKE port");
	config.ike_port = config.nat_port;
	assert_null(shard_set_start(&config, error, sizeof error));
	assert_non_null(strstr(error, "20701"));
	config.ike_port = 500;
	config.shards = 100000;
	assert_null(shard_set_start(&config, error, sizeof error));
	assert_non_null(strstr(error, "100000"));
	mailbox_free(control);
}

/* Those that have started are ended again (nothing leaks: sanitizer). */
static void start_fails_halfway(void **state)
{
	(void)state;
	char error[300];
	for (unsigned n = 0; n < 3; n++) {
		struct shard_config config = fixture_config(3, 1, 64);
		char wanted[100];
		fake_kernel_channels = n;
		assert_null(shard_set_start(&config, error, sizeof error));
		snprintf(wanted, sizeof wanted, "shard %u cannot start: no kernel channel", n);
		assert_string_equal(error, wanted);
		mailbox_free(control);
	}
}

static void idle_sleeps(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(2, 0, 64);
	struct shard_stats before, after;
	fixture_start(&config);
	sleep_ms(300);
	assert_true(shard_set_stats(set, 1, &before));
	sleep_ms(1000);
	assert_true(shard_set_stats(set, 1, &after));
	assert_false(shard_set_stats(set, 2, &after));
	/* Not even a millisecond of a second. */
	assert_in_range(after.cpu_ns - before.cpu_ns, 0, 1000000);
	fixture_stop();
}

/* Initiating arms a timer; its line and the release come back, in order, to its watcher. */
static void timers(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(3, 0, 4096);
	struct connection *c = connection_new("x");
	unsigned lines = 0, releases = 0, fired = 0;
	fixture_start(&config);
	for (ike_watcher w = 1; w <= 600; w++) {
		shard_set_initiate(set, c, NULL, w);
	}
	connection_unref(c);
	while (releases < 600) {
		struct shard_mail *m = next_mail(5000);
		assert_non_null(m);
		assert_in_range(m->watcher, 1, 600);
		/* Round robin */
		assert_int_equal(m->shard, (m->watcher - 1) % 3);
		lines += m->mail.kind == SHARD_MAIL_LINE;
		releases += m->mail.kind == SHARD_MAIL_RELEASE;
		assert_true(lines >= releases);
		shard_mail_free(m);
	}
	assert_int_equal(lines, 600);
	for (unsigned i = 0; i < 3; i++) {
		fired += fake_read(&fake.timers[i]);
	}
	assert_int_equal(fired, 600);
	assert_int_equal(fake_read(&fake.early_timers), 0);
	assert_int_equal(fake_read(&fake.late_timers), 0);
	fixture_stop();
}

/* Each is initiated where an IKE SA is that it can share; where none is, at the group's shard. */
static void shared(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(3, 0, 4096);
	fixture_start(&config);
	for (ike_watcher w = 1; w <= 12; w++) {
		struct connection *c = connection_new("x");
		c->reqid = w % 4; /* the fake shard of this number has one; 0: nobody has */
		shard_set_initiate_shared(set, c, w / 4, w);
		connection_unref(c);
	}
	for (unsigned releases = 0; releases < 12;) {
		struct shard_mail *m = next_mail(5000);
		assert_non_null(m);
		unsigned has = m->watcher % 4;
		assert_int_equal(m->shard, has != 0 ? has - 1 : m->watcher / 4 % 3);
		releases += m->mail.kind == SHARD_MAIL_RELEASE;
		shard_mail_free(m);
	}
	fixture_stop();
}

/* A connection has one shard: the one to which the kernel tells acquires of its reqid. */
static void one_shard_to_a_connection(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(3, 0, 4096);
	struct connection *c = connection_new("x");
	c->remote.host = ip_v4(0xc0000202);
	c->reqid = 16385; /* of 3: 2 */
	fixture_start(&config);
	shard_set_route(set, c, 7);
	shard_mail_free(expect_mail(SHARD_MAIL_RELEASE));
	assert_int_equal(fake_read(&fake.routed[2]), 1);
	for (unsigned i = 0; i < 2; i++) {
		shard_set_initiate(set, c, NULL, 8);
		struct shard_mail *m = expect_mail(SHARD_MAIL_LINE);
		assert_int_equal(m->shard, 2);
		shard_mail_free(m);
		shard_mail_free(expect_mail(SHARD_MAIL_RELEASE));
	}
	shard_set_unroute(set, c, false, 9);
	shard_mail_free(expect_mail(SHARD_MAIL_DONE));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fake_read(&fake.unrouted[i]), 1);
	}
	connection_unref(c);
	fixture_stop();
}

static void jobs(int workers)
{
	struct shard_config config = fixture_config(2, workers, 1024);
	struct connection *c = connection_new("x");
	fake_jobs_per_initiate = 100;
	fixture_start(&config);
	shard_set_initiate(set, c, NULL, 5);
	shard_set_initiate(set, c, NULL, 6);
	connection_unref(c);
	for (unsigned i = 0; i < 200; i++) {
		shard_mail_free(expect_mail(SHARD_MAIL_LINE));
	}
	assert_int_equal(fake_read(&fake.jobs[0]), 100);
	assert_int_equal(fake_read(&fake.jobs[1]), 100);
	assert_int_equal(fake_read(&fake.jobs_failed), 0);
	assert_int_equal(fake_read(&fake.submit_refused), 0);
	struct crypto_pool_stats stats = shard_set_crypto_stats(set);
	assert_int_equal(stats.submitted, 200);
	assert_int_equal(stats.done, 200);
	assert_true(stats.batches > 0 && stats.run_ns > 0);
	fixture_stop();
}

static void jobs_inline(void **state)
{
	(void)state;
	jobs(0);
}

static void jobs_of_workers(void **state)
{
	(void)state;
	jobs(2);
}

/* More than can be queued is refused, the rest runs. */
static void job_overload(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(1, 0, 4096);
	struct connection *c = connection_new("x");
	fake_jobs_per_initiate = 1000;
	fixture_start(&config);
	shard_set_initiate(set, c, NULL, 5);
	connection_unref(c);
	for (unsigned i = 0; i < 512; i++) {
		shard_mail_free(expect_mail(SHARD_MAIL_LINE));
	}
	assert_int_equal(fake_read(&fake.submit_refused), 488);
	assert_int_equal(shard_set_crypto_stats(set).refused, 488);
	fixture_stop();
}

/* The engine sees all its jobs again before it ends; the fake aborts else. */
static void stop_with_jobs_in_flight(void **state)
{
	(void)state;
	for (int workers = 0; workers <= 1; workers++) {
		struct shard_config config = fixture_config(2, workers, 4096);
		struct connection *c = connection_new("x");
		fake_jobs_per_initiate = 400;
		fixture_start(&config);
		shard_set_initiate(set, c, NULL, 5);
		shard_set_initiate(set, c, NULL, 6);
		connection_unref(c);
		fixture_stop();
		assert_int_equal(fake.jobs[0] + fake.jobs[1] + fake.submit_refused, 800);
	}
}

/* One DONE, behind all the lines of all the shards, though the mailbox is far too small for them.
 */
static void done_is_last(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(4, 0, 16);
	struct connection *c = connection_new("x");
	unsigned lines = 0;
	fake_lines = 300;
	fake_sas = 7;
	fixture_start(&config);
	for (ike_watcher w = 1; w <= 3; w++) {
		shard_set_terminate(set, c, false, w);
		for (;;) {
			struct shard_mail *m = next_mail(5000);
			assert_non_null(m);
			assert_int_equal(m->watcher, w);
			if (m->mail.kind == SHARD_MAIL_DONE) {
				assert_true(m->last);
				assert_int_equal(m->count, 4 * 7);
				shard_mail_free(m);
				break;
			}
			assert_int_equal(m->mail.kind, SHARD_MAIL_LINE);
			lines++;
			shard_mail_free(m);
		}
		assert_int_equal(lines, w * 4 * 300);
	}
	assert_null(next_mail(50));
	connection_unref(c);
	fixture_stop();
}

/* A control thread that sleeps loses lines, counted, but no DONE; the shard goes on. */
static void lines_are_bounded(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(1, 0, 16);
	struct connection *c = connection_new("x");
	struct shard_stats stats;
	unsigned lines = 0, done = 0;
	fake_lines = 10000;
	fixture_start(&config);
	shard_set_terminate(set, c, false, 1);
	do {
		sleep_ms(5);
		assert_true(shard_set_stats(set, 0, &stats));
	} while (stats.lines_lost == 0);
	while (done == 0) {
		struct shard_mail *m = next_mail(5000);
		assert_non_null(m);
		lines += m->mail.kind == SHARD_MAIL_LINE;
		done += m->mail.kind == SHARD_MAIL_DONE;
		shard_mail_free(m);
	}
	assert_true(shard_set_stats(set, 0, &stats));
	assert_int_equal(lines + stats.lines_lost, 10000);
	assert_in_range(lines, 16 + 4096, 10000 - 1);
	connection_unref(c);
	fixture_stop();
}

static void delete_serial(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(3, 0, 64);
	fixture_start(&config);
	shard_set_delete_serial(set, 1002, 1);
	struct shard_mail *m = expect_mail(SHARD_MAIL_DONE);
	assert_int_equal(m->count, 1);
	shard_mail_free(m);
	shard_set_delete_serial(set, 5000, 2);
	m = expect_mail(SHARD_MAIL_DONE);
	assert_int_equal(m->watcher, 2);
	assert_int_equal(m->count, 0);
	shard_mail_free(m);
	fixture_stop();
}

static void established_is_told(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(4, 0, 64);
	struct connection *c = connection_new("tell");
	fixture_start(&config);
	for (unsigned i = 0; i < 500; i++) {
		shard_set_initiate(set, c, NULL, 0);
	}
	/* 125 from each shard to each of the three others */
	for (unsigned i = 0; i < 4; i++) {
		wait_for(&fake.news[i], 375);
	}
	connection_unref(c);
	fixture_stop();
	/* and none when nobody wants to know */
	config = fixture_config(2, 0, 64);
	config.unique_ids = false;
	c = connection_new("tell");
	fixture_start(&config);
	shard_set_initiate(set, c, NULL, 0);
	connection_unref(c);
	sleep_ms(50);
	assert_int_equal(fake_read(&fake.news[1]), 0);
	fixture_stop();
}

static void shutdown_waits(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(2, 0, 64);
	fake_sas = 1000;
	fixture_start(&config);
	shard_set_shutdown(set, 5000, 9);
	struct shard_mail *m = expect_mail(SHARD_MAIL_DONE);
	assert_int_equal(m->watcher, 9);
	assert_int_equal(m->count, 2000);
	shard_mail_free(m);
	assert_int_equal(fake_read(&fake.listening[0]), 1);
	fixture_stop();
	config = fixture_config(2, 0, 64);
	fake_never_idle = true;
	fixture_start(&config);
	uint64_t before = test_now_ms();
	shard_set_shutdown(set, 300, 9);
	shard_mail_free(expect_mail(SHARD_MAIL_DONE));
	assert_in_range(test_now_ms() - before, 299, 2000);
	fixture_stop();
	/* Stopped in the middle of it: nothing leaks (sanitizer) */
	config = fixture_config(2, 0, 64);
	fake_never_idle = true;
	fixture_start(&config);
	shard_set_shutdown(set, 60000, 9);
	sleep_ms(20);
	fixture_stop();
}

static void stats(void **state)
{
	(void)state;
	struct shard_config config = fixture_config(2, 0, 64);
	struct shard_stats s;
	fake_sas = 5;
	fixture_start(&config);
	sleep_ms(50);
	assert_true(shard_set_stats(set, 1, &s));
	assert_int_equal(s.ike_sas, 5);
	assert_int_equal(s.memory.ike_sas, 500);
	assert_int_equal(shard_set_counter(set, 0), 0);
	assert_int_equal(shard_set_counter(set, 1000), 0);
	fixture_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_and_stop),
		cmocka_unit_test(bad_configurations),
		cmocka_unit_test(start_fails_halfway),
		cmocka_unit_test(idle_sleeps),
		cmocka_unit_test(timers),
		cmocka_unit_test(one_shard_to_a_connection),
		cmocka_unit_test(shared),
		cmocka_unit_test(jobs_inline),
		cmocka_unit_test(jobs_of_workers),
		cmocka_unit_test(job_overload),
		cmocka_unit_test(stop_with_jobs_in_flight),
		cmocka_unit_test(done_is_last),
		cmocka_unit_test(lines_are_bounded),
		cmocka_unit_test(delete_serial),
		cmocka_unit_test(established_is_told),
		cmocka_unit_test(shutdown_waits),
		cmocka_unit_test(stats),
	};
	return cmocka_run_group_tests_name("shard set", tests, NULL, NULL);
}
