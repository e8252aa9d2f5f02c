#include "kernel_lab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PAIRS 1000

const char *acquired_ts;
bool counts_all;

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
	assert_int_equal(owner.error[TOKENS - 1], counts_all ? 0 : EOPNOTSUPP);
	if (!counts_all)
		return;
	figure("read at once", 2 * PAIRS, started, cpu);
	assert_int_equal(owner.counted, 2 * PAIRS);
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		assert_true(owner.error[i] == 0 && owner.counters[i].add_time > 0);
}

void case_many(void **state)
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

/* A peer chooses one SPI for two pairs: the second is refused, and what unwinds it leaves the
 * first. */
void case_one_spi_twice(void **state)
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

void case_limits(void **state)
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

void case_policies(void **state)
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
	assert_string_equal(traffic_selector_text(&owner.event[0].remote_ts, text), acquired_ts);
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
