/* Scripts: their order, their number, their limits. */
#include "updown_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/updown_environment.h"

#include <cmocka.h>

#define TRACE "echo $TOKEN $PLUTO_VERB >>$DIR/trace"
#define PAIR  "10.1.0.0/24 10.2.0.0/24"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void expect_trace(struct asker *a, const char *wanted)
{
	char *trace;

	settle(a);
	trace = trace_of(a);
	assert_string_equal(trace, wanted);
	free(trace);
}

static void start(struct asker *a, unsigned children, unsigned timeout_ms)
{
	struct updown_config config = {.children = children, .timeout_ms = timeout_ms};

	asker_start(a, &config);
}

static void users_share_a_seat(void **state)
{
	struct asker a;

	(void)state;
	start(&a, 4, 0);
	bring_up(&a, request_of(&a, UPDOWN_UP, 1, 1, PAIR, TRACE));
	bring_up(&a, request_of(&a, UPDOWN_UP, 2, 1, PAIR, TRACE));
	bring_down(&a, 1);
	expect_trace(&a, "1 prepare-client\n1 route-client\n1 up-client\n");
	bring_down(&a, 2);
	bring_down(&a, 2); /* one too many does no harm */
	bring_up(&a, request_of(&a, UPDOWN_UP, 3, 1, PAIR, TRACE));
	unroute(&a, 1); /* while it is used: when that has ended */
	expect_trace(&a, "1 prepare-client\n1 route-client\n1 up-client\n1 down-client\n3 up-client\n");
	bring_down(&a, 3);
	expect_trace(&a, "1 prepare-client\n1 route-client\n1 up-client\n1 down-client\n3 up-client\n"
			 "3 down-client\n3 unroute-client\n");
	assert_int_equal(updown_stats(a.updown).seats, 0);
	asker_stop(&a);
}

static void an_instance_is_unrouted_with_its_last_user(void **state)
{
	struct updown_request *r;
	struct asker a;

	(void)state;
	start(&a, 4, 0);
	r = request_of(&a, UPDOWN_UP, 1, 1, PAIR, TRACE);
	r->peer_hash = 77;
	bring_up(&a, r);
	bring_down(&a, 1);
	expect_trace(&a, "1 prepare-client\n1 route-client\n1 up-client\n1 down-client\n1 unroute-client\n");
	asker_stop(&a);
}

static void routed_without_an_sa(void **state)
{
	struct asker a;

	(void)state;
	start(&a, 4, 0);
	bring_up(&a, request_of(&a, UPDOWN_ROUTE, 1, 1, PAIR, TRACE));
	bring_up(&a, request_of(&a, UPDOWN_UP, 2, 1, PAIR, TRACE));
	bring_down(&a, 2);
	unroute(&a, 1);
	expect_trace(&a, "1 prepare-client\n1 route-client\n2 up-client\n2 down-client\n2 unroute-client\n");
	asker_stop(&a);
}

/* Of one connection one after the other, of several at once, but no more than so many. */
static void order_and_number(void **state)
{
	struct asker a;
	char *trace;

	(void)state;
	start(&a, 3, 0);
	for (uint64_t i = 1; i <= 12; i++)
		updown_submit(a.port, request_of(&a, UPDOWN_UP, i, i, PAIR,
			"case $PLUTO_VERB in up-*) mkdir $DIR/run.$TOKEN; sleep 0.2; "
			"ls -d $DIR/run.* | wc -l >>$DIR/trace; rmdir $DIR/run.$TOKEN;; esac"));
	for (unsigned i = 0; i < 12; i++)
		assert_true(answer_of(&a).ok);
	settle(&a);
	trace = trace_of(&a);
	for (const char *line = trace; *line; line = strchr(line, '\n') + 1)
		assert_in_range(atoi(line), 1, 3);
	assert_non_null(strstr(trace, "3\n"));
	free(trace);
	asker_stop(&a);
}

static void a_long_queue_is_in_order(void **state)
{
	struct asker a;
	char wanted[4096] = "";

	(void)state;
	start(&a, 8, 0);
	for (uint64_t i = 1; i <= 10; i++) {
		char pair[64];

		snprintf(pair, sizeof(pair), "10.1.0.0/24 10.2.%u.0/24", (unsigned)i);
		updown_submit(a.port, request_of(&a, UPDOWN_UP, i, 5, pair,
					      "case $PLUTO_VERB in up-*) " TRACE ";; esac"));
		sprintf(wanted + strlen(wanted), "%u up-client\n", (unsigned)i);
	}
	for (unsigned i = 1; i <= 10; i++)
		assert_int_equal(answer_of(&a).token, i);
	expect_trace(&a, wanted);
	asker_stop(&a);
}

static void a_failure_is_undone(void **state)
{
	static const struct {
		const char *verb, *trace;
	} rows[] = {
		{"prepare", "1 prepare-client\n"},
		{"route", "1 prepare-client\n1 route-client\n1 unroute-client\n"},
		{"up", "1 prepare-client\n1 route-client\n1 up-client\n1 down-client\n1 unroute-client\n"},
	};
	struct updown_answer answer;
	char script[200], why[100];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct asker a;

		start(&a, 4, 0);
		snprintf(script, sizeof(script), TRACE "; case $PLUTO_VERB in %s-*) echo oh; exit 7;; esac",
			rows[i].verb);
		updown_submit(a.port, request_of(&a, UPDOWN_UP, 1, 1, PAIR, script));
		answer = answer_of(&a);
		assert_false(answer.ok);
		snprintf(why, sizeof(why), "%s-client command exited with status 7: oh", rows[i].verb);
		assert_string_equal(answer.why, why);
		expect_trace(&a, rows[i].trace);
		assert_int_equal(updown_stats(a.updown).seats, 0);
		bring_down(&a, 1);
		settle(&a);
		asker_stop(&a);
	}
}

static void no_such_program(void **state)
{
	struct updown_answer answer;
	struct asker a;

	(void)state;
	start(&a, 4, 0);
	updown_submit(a.port, request_of(&a, UPDOWN_UP, 1, 1, PAIR, "/no/such/program"));
	answer = answer_of(&a);
	assert_false(answer.ok);
	assert_non_null(strstr(answer.why, "exited with status 127"));
	asker_stop(&a);
}

/* The group is told to end, then made to. */
static void the_time_limit(void **state)
{
	struct updown_answer answer;
	struct asker a;
	double began = now();

	(void)state;
	start(&a, 4, 300);
	updown_submit(a.port, request_of(&a, UPDOWN_UP, 1, 1, PAIR,
		"trap '' TERM; (trap '' TERM; echo $$ >$DIR/pid; while :; do sleep 1; done) & "
		"while :; do sleep 1; done"));
	answer = answer_of(&a);
	assert_false(answer.ok);
	assert_string_equal(answer.why, "prepare-client command did not end within 0.3 s");
	assert_true(now() - began >= 2.3);
	assert_int_equal(updown_stats(a.updown).timed_out, 1);
	/* a zombie may be left, if nobody takes care of orphans here */
	assert_int_not_equal(shell("sleep 0.2; ps -eo pgid=,stat= | grep \"^ *$(cat %s/pid) [^Z]\"",
				     a.directory),
		0);
	asker_stop(&a);
}

static void output_is_bounded(void **state)
{
	struct asker a;

	(void)state;
	start(&a, 4, 10000);
	/* more than is read: the writer is ended by SIGPIPE, the script goes on */
	bring_up(&a, request_of(&a, UPDOWN_UP, 1, 1, PAIR, "printf '\\0\\033'; yes | head -c 10000000; :"));
	asker_stop(&a);
}

static void what_was_not_begun_is_dropped(void **state)
{
	struct updown_answer answers[2];
	struct asker a;

	(void)state;
	start(&a, 1, 0);
	updown_submit(a.port, request_of(&a, UPDOWN_UP, 1, 1, PAIR, "sleep 0.3; " TRACE));
	updown_submit(a.port, request_of(&a, UPDOWN_UP, 2, 1, "10.1.0.0/24 10.3.0.0/24", TRACE));
	bring_down(&a, 2);
	answers[0] = answer_of(&a);
	answers[1] = answer_of(&a);
	assert_int_equal(answers[0].token + answers[1].token, 3);
	assert_false(answers[answers[0].token == 2 ? 0 : 1].ok);
	assert_true(answers[answers[0].token == 1 ? 0 : 1].ok);
	expect_trace(&a, "1 prepare-client\n1 route-client\n1 up-client\n");
	asker_stop(&a);
}

static void another_connections_route_is_in_use(void **state)
{
	struct updown_answer answer;
	struct updown_request *r;
	struct asker a;

	(void)state;
	start(&a, 4, 0);
	bring_up(&a, request_of(&a, UPDOWN_UP, 1, 1, PAIR, TRACE));
	updown_submit(a.port, request_of(&a, UPDOWN_UP, 2, 2, PAIR, TRACE));
	answer = answer_of(&a);
	assert_false(answer.ok);
	assert_string_equal(answer.why, "cannot route -- route already in use for \"c1\"");
	/* Who answers a peer has the newer connection; and one that is only routed makes way. */
	r = request_of(&a, UPDOWN_UP, 3, 3, PAIR, TRACE);
	r->initiator = false;
	bring_up(&a, r);
	bring_down(&a, 3);
	bring_down(&a, 1);
	settle(&a);
	bring_up(&a, request_of(&a, UPDOWN_UP, 4, 4, PAIR, TRACE));
	asker_stop(&a);
}

static void the_end_takes_all_down_in_time(void **state)
{
	struct asker a;
	double began;
	char *trace;

	(void)state;
	start(&a, 4, 0);
	bring_up(&a, request_of(&a, UPDOWN_UP, 1, 1, PAIR, TRACE));
	bring_up(&a, request_of(&a, UPDOWN_UP, 2, 2, "10.1.0.0/24 10.3.0.0/24",
			     "case $PLUTO_VERB in down-*) sleep 60;; esac"));
	updown_submit(a.port, request_of(&a, UPDOWN_UP, 3, 3, "10.1.0.0/24 10.4.0.0/24", "sleep 50"));
	began = now();
	updown_stop(a.updown, 1000, false);
	assert_true(now() - began < 20);
	trace = trace_of(&a);
	assert_string_equal(trace, "1 prepare-client\n1 route-client\n1 up-client\n"
				   "1 down-client\n1 unroute-client\n");
	free(trace);
	shell("rm -r %s", a.directory);
}

static void values_are_text(void **state)
{
	struct environment e = {0};
	char long_value[3 * ENVIRONMENT_VALUE_MAX];

	(void)state;
	environment_add(&e, "A", "x\n'\"`$(id)\\\x7f\xff");
	assert_string_equal(e.text, "A=x\\012\\047\\042\\140\\044(id)\\\\177\\377");
	memset(long_value, '$', sizeof(long_value) - 1);
	long_value[sizeof(long_value) - 1] = '\0';
	for (unsigned i = 0; i < 10; i++)
		environment_add(&e, "LONG", long_value);
	assert_false(e.failed);
	assert_int_equal(e.len, strlen(e.text) + 1 + 10 * (strlen(e.text + strlen(e.text) + 1) + 1));
	assert_true(strlen(e.text + strlen(e.text) + 1) <= ENVIRONMENT_VALUE_MAX + 5);
	free(e.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_text),
		cmocka_unit_test(users_share_a_seat),
		cmocka_unit_test(an_instance_is_unrouted_with_its_last_user),
		cmocka_unit_test(routed_without_an_sa),
		cmocka_unit_test(order_and_number),
		cmocka_unit_test(a_long_queue_is_in_order),
		cmocka_unit_test(a_failure_is_undone),
		cmocka_unit_test(no_such_program),
		cmocka_unit_test(the_time_limit),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(what_was_not_begun_is_dropped),
		cmocka_unit_test(another_connections_route_is_in_use),
		cmocka_unit_test(the_end_takes_all_down_in_time),
	};

	return cmocka_run_group_tests_name("updown scripts", tests, NULL, NULL);
}
