/* What goes with Child SAs: asked for once, waited for, undone when it fails, and not asked for again by
 * rekeying. */
#include "fixture.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

static const struct updown_ways quick = {.asked = true}, failing = {.asked = true, .failures = 100},
				idle = {.asked = true, .nothing = 100};

static struct fixture *begin(struct updown_ways west, struct updown_ways east)
{
	static const struct side_config patient = {.retransmit_timeout_s = 60};
	struct fixture *f = fixture_new(&patient, &patient, false);

	f->west->updown_ways = west;
	f->east->updown_ways = east;
	return f;
}

static void end(struct fixture *f)
{
	ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
	ike_engine_terminate(f->east->engine, f->east_connection, true, 0);
	check_clean_end(f->world, 120000);
	assert_string_equal(f->world->failure, "");
	assert_int_equal(f->west->updown_count + f->east->updown_count, 0);
	fixture_free(f);
}

static void it_goes_with_the_first_and_the_last(void **state)
{
	struct fixture *f = begin(quick, quick);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 1);
	for (unsigned i = 0; i < 3; i++) {
		node_rekey_watched(i & 1 ? f->east : f->west, i & 1 ? f->east_connection : f->west_connection,
			i == 2 ? IKE_SA : CHILD_SA);
		fixture_pass(f, 3000);
	}
	assert_int_equal(fixture_counter(f->west, "total.ikev2.child.established"), 3);
	assert_int_equal(f->west->ups, 1);
	assert_int_equal(f->east->ups, 1);
	assert_int_equal(f->west->downs, 0);
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	fixture_pass(f, 3000);
	assert_int_equal(f->west->downs, 1);
	assert_int_equal(f->east->downs, 1);
	/* what three pairs have carried, by the simulator's kernel */
	assert_int_equal(f->west->down_bytes_in, 3 * 17);
	assert_int_equal(f->west->down_bytes_out, 3 * 4096);
	assert_int_equal(f->west->unroutes, 0);
	ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
	assert_int_equal(f->west->unroutes, 1);
	end(f);
}

static void where_nothing_is_needed_nothing_is_undone(void **state)
{
	struct fixture *f = begin(idle, quick);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(ike_engine_memory(f->west->engine).updown, 0);
	assert_true(ike_engine_memory(f->east->engine).updown > 0);
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	fixture_pass(f, 3000);
	assert_int_equal(f->west->downs, 0);
	assert_int_equal(f->east->downs, 1);
	end(f);
}

static void a_failure_at_the_initiator_ends_the_child(void **state)
{
	struct fixture *f = begin(failing, quick);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 0);
	assert_int_equal(count_established(f->east), 0);
	assert_true(fixture_told(f, "Child SA refused: as diced"));
	assert_int_equal(fixture_code(f), RC_ROUTE);
	assert_int_equal(node_live_sas(f->west), 0);
	assert_int_equal(f->west->downs, 0); /* a failed one has undone itself */
	assert_int_equal(f->east->downs, 1);
	end(f);
}

static void a_failure_at_the_responder_refuses_the_child(void **state)
{
	struct fixture *f = begin(quick, failing);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 0);
	assert_int_equal(count_established(f->east), 0);
	assert_true(fixture_told(f, "rejected Child SA with NO_PROPOSAL_CHOSEN"));
	assert_int_equal(node_live_sas(f->east), 0);
	assert_int_equal(f->west->ups, 0);
	end(f);
}

/* The initiator retransmits; the responder answers when its script has ended. */
static void a_late_script_is_waited_for(void **state)
{
	struct fixture *f = begin(quick, quick);

	(void)state;
	for (unsigned ms = 4000; ms <= 16000; ms *= 2) {
		f->east->updown_ways.delay_max_ms = ms;
		fixture_initiate(f);
		fixture_pass(f, ms + 2000);
		assert_int_equal(count_established(f->west), 1);
		assert_int_equal(count_established(f->east), 1);
		ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
		fixture_pass(f, 3000);
		assert_int_equal(f->east->updown_count, 0);
	}
	assert_int_equal(f->east->ups, 3);
	end(f);
}

/* Taken down while the script runs: its answer finds nothing, and DOWN has been asked for. */
static void taken_down_while_it_runs(void **state)
{
	struct fixture *f = begin(quick, quick);

	(void)state;
	f->west->updown_ways.delay_max_ms = 20000;
	fixture_initiate(f);
	for (unsigned i = 0; i < 100 && !f->west->ups; i++)
		fixture_pass(f, 20);
	assert_int_equal(f->west->ups, 1);
	assert_int_equal(count_established(f->west), 0);
	ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
	fixture_pass(f, 30000);
	assert_int_equal(f->west->downs, 1);
	assert_int_equal(f->west->updown_count, 0);
	assert_int_equal(count_established(f->east), 0);
	assert_int_equal(node_live_sas(f->west) + node_live_sas(f->east), 0);
	end(f);
}

static void a_shutdown_waits_for_the_last_figures(void **state)
{
	struct fixture *f = begin(quick, quick);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	while (ike_engine_shutdown(f->west->engine, 1))
		;
	for (unsigned i = 0; i < 100 && !ike_engine_idle(f->west->engine); i++)
		fixture_pass(f, 100);
	assert_true(ike_engine_idle(f->west->engine));
	assert_int_equal(f->west->downs, 1);
	assert_int_equal(f->west->down_bytes_in, 17);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_with_the_first_and_the_last),
		cmocka_unit_test(where_nothing_is_needed_nothing_is_undone),
		cmocka_unit_test(a_failure_at_the_initiator_ends_the_child),
		cmocka_unit_test(a_failure_at_the_responder_refuses_the_child),
		cmocka_unit_test(a_late_script_is_waited_for),
		cmocka_unit_test(taken_down_while_it_runs),
		cmocka_unit_test(a_shutdown_waits_for_the_last_figures),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("updown", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
