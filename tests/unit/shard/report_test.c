/* Reports: every SA once and in order, chunk by chunk, at the client's pace. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned visits; /* atomic */
static unsigned wrong;  /* atomic: what a visitor, on another thread, must not assert */

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);                           \
	} while (0)

static void show_serial(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	(void)engine;
	(void)counters;
	CHECK(arg == &visits);
	CHECK(strcmp(view->connection->name, "report") == 0);
	__atomic_add_fetch(&visits, 1, __ATOMIC_RELEASE);
	report_printf(text, "%lu %60s\n", view->serial, "");
}

static void show_traffic(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	(void)arg;
	CHECK(strcmp(view->connection->name, "report") == 0);
	__atomic_add_fetch(&visits, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < view->child_count; i++) {
		struct child_view child = view->child;
		CHECK(i == 0 || ike_engine_child_at(engine, view->serial, i, &child));
		CHECK(counters[2 * i].bytes == child.in_spi);
		CHECK(counters[2 * i].packets == 1);
		CHECK(counters[2 * i + 1].bytes == child.out_spi);
		CHECK(counters[2 * i + 1].packets == 2);
	}
	report_printf(text, "%lu\n", view->serial);
}

static void show_nothing(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	(void)text;
	(void)engine;
	(void)view;
	(void)counters;
	(void)arg;
	__atomic_add_fetch(&visits, 1, __ATOMIC_RELEASE);
}

static void show_much(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	(void)engine;
	(void)counters;
	(void)arg;
	for (unsigned i = 0; i < 5000; i++) {
		report_printf(text, "%lu %u\n", view->serial, i);
	}
}

static void begin(unsigned shards, unsigned sas, unsigned children)
{
	struct shard_config config = fixture_config(shards, 0, 256);
	fake_sas = sas;
	fake_children = children;
	visits = wrong = 0;
	fixture_start(&config);
}

/* Reads a report to its end; checks that the numbers grow within a shard, each line is whole, and
 * returns how many lines. */
static unsigned read_report(ike_watcher watcher, unsigned *chunks)
{
	unsigned lines = 0, shard = 0;
	unsigned long last = 0;
	for (;;) {
		struct shard_mail *m = expect_mail(SHARD_MAIL_CHUNK);
		assert_int_equal(m->watcher, watcher);
		assert_int_equal(m->shard, shard);
		assert_in_range(m->len, 0, 32768);
		(*chunks)++;
		const char *at = m->text, *end = m->text + m->len;
		while (at < end) {
			unsigned long serial = strtoul(at, NULL, 10);
			assert_true(serial >= last);
			assert_int_equal(serial / 1000000, shard + 1);
			last = serial;
			lines++;
			at = memchr(at, '\n', (size_t)(end - at));
			assert_non_null(at);
			at++;
		}
		shard += m->last;
		bool over = m->last && m->shard == shard_set_count(set) - 1;
		shard_mail_free(m);
		if (over) {
			return lines;
		}
		shard_report_continue(set, watcher);
	}
}

static void everything_once(void **state)
{
	(void)state;
	unsigned chunks = 0;
	begin(3, 5000, 1);
	shard_report_start(set, 1, show_serial, false, &visits);
	assert_int_equal(read_report(1, &chunks), 15000);
	assert_in_range(chunks, 15000 * 65 / 32768, 60);
	assert_int_equal(fake_read(&visits), 15000);
	assert_int_equal(fake_read(&wrong), 0);
	assert_null(next_mail(50));
	fixture_stop();
}

static void nothing_to_say(void **state)
{
	(void)state;
	unsigned chunks = 0;
	begin(2, 50000, 1);
	shard_report_start(set, 1, show_nothing, false, NULL);
	assert_int_equal(read_report(1, &chunks), 0);
	assert_int_equal(chunks, 2);
	assert_int_equal(fake_read(&visits), 100000);
	fixture_stop();
	begin(2, 0, 0);
	chunks = 0;
	shard_report_start(set, 1, show_traffic, true, NULL);
	assert_int_equal(read_report(1, &chunks), 0);
	assert_int_equal(chunks, 2);
	fixture_stop();
}

/* A client that does not read: the shard makes one chunk and does not go on. */
static void client_that_stops_reading(void **state)
{
	(void)state;
	struct shard_stats before, after;
	begin(2, 20000, 1);
	shard_report_start(set, 1, show_serial, false, &visits);
	struct shard_mail *m = expect_mail(SHARD_MAIL_CHUNK);
	assert_false(m->last);
	shard_mail_free(m);
	sleep_ms(300);
	unsigned made = fake_read(&visits);
	assert_in_range(made, 32768 / 70, 32768 / 65 + 200);
	assert_true(shard_set_stats(set, 0, &before));
	assert_null(next_mail(400));
	assert_true(shard_set_stats(set, 0, &after));
	assert_int_equal(fake_read(&visits), made);
	assert_in_range(after.cpu_ns - before.cpu_ns, 0, 2000000);
	/* Another client is served meanwhile. */
	unsigned chunks = 0;
	shard_report_start(set, 2, show_serial, false, &visits);
	assert_int_equal(read_report(2, &chunks), 40000);
	shard_report_cancel(set, 1);
	m = expect_mail(SHARD_MAIL_DONE);
	assert_int_equal(m->watcher, 1);
	shard_mail_free(m);
	fixture_stop();
}

static void counters(void **state)
{
	(void)state;
	unsigned chunks = 0;
	begin(2, 300, 3);
	shard_report_start(set, 4, show_traffic, true, NULL);
	assert_int_equal(read_report(4, &chunks), 600);
	assert_int_equal(fake_read(&wrong), 0);
	assert_int_equal(fake_read(&visits), 600);
	assert_int_equal(fake_read(&fake_kernel_queries), 2 * 300 * 3 * 2);
	fixture_stop();
	/* One with more Child SAs than a window has */
	begin(1, 2, 1000);
	chunks = 0;
	shard_report_start(set, 4, show_traffic, true, NULL);
	assert_int_equal(read_report(4, &chunks), 2);
	assert_int_equal(fake_read(&wrong), 0);
	fixture_stop();
}

/* What the kernel tells of by itself is not asked for; what it has left out is. */
static void counters_at_once(void **state)
{
	(void)state;
	unsigned chunks = 0;
	fake_kernel_tells = 300;
	begin(2, 300, 3);
	shard_report_start(set, 4, show_traffic, true, NULL);
	assert_int_equal(read_report(4, &chunks), 600);
	assert_int_equal(fake_read(&wrong), 0);
	assert_int_equal(fake_read(&fake_kernel_queries), 0);
	fixture_stop();
	fake_kernel_tells = 200;
	begin(2, 300, 3);
	chunks = 0;
	shard_report_start(set, 4, show_traffic, true, NULL);
	assert_int_equal(read_report(4, &chunks), 600);
	assert_int_equal(fake_read(&wrong), 0);
	assert_int_equal(fake_read(&fake_kernel_queries), 2 * 100 * 3 * 2);
	fixture_stop();
	fake_kernel_tells = 0;
}

/* Cancelled while the kernel has not answered; the late answers hit nobody. */
static void cancel_while_kernel_is_slow(void **state)
{
	(void)state;
	begin(1, 100, 2);
	__atomic_store_n(&fake_kernel_holds, true, __ATOMIC_RELEASE);
	shard_report_start(set, 1, show_traffic, true, NULL);
	assert_null(next_mail(50));
	assert_int_equal(fake_read(&visits), 0);
	shard_report_cancel(set, 1);
	shard_mail_free(expect_mail(SHARD_MAIL_DONE));
	unsigned chunks = 0;
	shard_report_start(set, 1, show_traffic, true, NULL);
	sleep_ms(20);
	__atomic_store_n(&fake_kernel_holds, false, __ATOMIC_RELEASE);
	assert_int_equal(read_report(1, &chunks), 100);
	assert_int_equal(fake_read(&wrong), 0);
	fixture_stop();
}

static void one_sa_with_much(void **state)
{
	(void)state;
	unsigned chunks = 0;
	begin(1, 3, 1);
	shard_report_start(set, 1, show_much, false, NULL);
	assert_int_equal(read_report(1, &chunks), 15000);
	assert_true(chunks >= 5);
	fixture_stop();
}

/* Cancels at every possible moment, many reports at a time: always one DONE each, then nothing. */
static void cancels(void **state)
{
	(void)state;
	begin(3, 2000, 1);
	for (unsigned round = 0; round < 200; round++) {
		unsigned done = 0;
		for (ike_watcher w = 1; w <= 3; w++) {
			shard_report_start(set, w, show_serial, w == 3, &visits);
		}
		for (unsigned i = 0; i < round % 20; i++) {
			struct shard_mail *m = next_mail(5000);
			assert_non_null(m);
			assert_int_equal(m->mail.kind, SHARD_MAIL_CHUNK);
			shard_report_continue(set, m->watcher);
			shard_mail_free(m);
		}
		for (ike_watcher w = 1; w <= 3; w++) {
			shard_report_cancel(set, w);
		}
		while (done < 3) {
			struct shard_mail *m = next_mail(5000);
			assert_non_null(m);
			done += m->mail.kind == SHARD_MAIL_DONE;
			shard_mail_free(m);
		}
		assert_null(next_mail(0));
	}
	shard_report_cancel(set, 77);
	shard_mail_free(expect_mail(SHARD_MAIL_DONE));
	assert_int_equal(fake_read(&wrong), 0);
	fixture_stop();
}

static void stop_in_the_middle(void **state)
{
	(void)state;
	begin(2, 20000, 1);
	for (ike_watcher w = 1; w <= 5; w++) {
		shard_report_start(set, w, w % 2 ? show_traffic : show_serial, w % 2, &visits);
	}
	sleep_ms(5);
	fixture_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_once),
		cmocka_unit_test(nothing_to_say),
		cmocka_unit_test(client_that_stops_reading),
		cmocka_unit_test(counters),
		cmocka_unit_test(counters_at_once),
		cmocka_unit_test(cancel_while_kernel_is_slow),
		cmocka_unit_test(one_sa_with_much),
		cmocka_unit_test(cancels),
		cmocka_unit_test(stop_in_the_middle),
	};
	return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}
