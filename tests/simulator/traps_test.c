/* Traps and shunts: traffic that initiates a connection, once; what is left when its tunnel or its
 * negotiation ends; never clear traffic that nobody asked for. */
#include "fixture.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

static const struct side_config usual;
enum { OFFSET_EXCHANGE = 18 };
enum { SA_INIT = 34, AUTH = 35, CREATE_CHILD_SA = 36 };

static void end(struct fixture *f)
{
	check_books(f->west);
	check_books(f->east);
	check_clean_end(f->world, 60000);
	assert_null(node_route_policy(f->west, f->west_connection));
	assert_int_equal(f->west_connection->routing->users, 0);
	assert_int_equal(f->west_connection->routing->tunnels, 0);
	assert_string_equal(f->world->failure, "");
	fixture_free(f);
}

static void route(struct fixture *f, struct node *node, struct connection *c)
{
	ike_watcher watcher = node_watcher(node);

	ike_engine_route(node->engine, c, watcher);
	fixture_pass(f, 20);
	assert_int_equal(node->watcher_state[watcher - 1], 2);
}

/* A TCP packet of the host `n` in the subnet, or its answer. */
static void packet(struct node *node, const struct connection *c, unsigned n)
{
	struct ipsec_event event = {
		.kind = IPSEC_ACQUIRE, .reqid = c->reqid, .direction = IPSEC_OUTBOUND};

	event.local_ts = c->local.selectors[0];
	event.remote_ts = c->remote.selectors[0];
	event.local_ts.range.first.bytes[3] = event.remote_ts.range.first.bytes[3] = (uint8_t)n;
	event.local_ts.range.last = event.local_ts.range.first;
	event.remote_ts.range.last = event.remote_ts.range.first;
	event.local_ts.protocol = event.remote_ts.protocol = 6;
	event.local_ts.port_first = event.local_ts.port_last = (uint16_t)(40000 + n / 256);
	event.remote_ts.port_first = event.remote_ts.port_last = 80;
	ike_engine_ipsec_event(node->engine, &event);
}

static void ask(struct fixture *f)
{
	packet(f->west, f->west_connection, 7);
}

static enum routing_state state_of(const struct fixture *f)
{
	return routing_state(f->west_connection->routing);
}

static enum ipsec_policy_action action_of(const struct fixture *f)
{
	const struct kernel_policy *p = node_route_policy(f->west, f->west_connection);

	assert_non_null(p);
	assert_int_equal(p->trap, p->action == IPSEC_PROTECT);
	return p->action;
}

/* ---- traffic initiates -------------------------------------------------------------- */

static void traffic_brings_the_tunnel_up(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	assert_int_equal(state_of(f), ROUTING_ONDEMAND);
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
	ask(f);
	assert_int_equal(state_of(f), ROUTING_NEGOTIATION);
	fixture_pass(f, 2000);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(f->west_connection->routing->tunnels, 1);
	check_agreement(f->world, 1000);
	end(f);
}

static void nothing_is_initiated_without_a_trap(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	ask(f);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
	/* A policy of an SA that has gone asks too, and nobody answers. */
	fixture_initiate(f);
	fixture_pass(f, 1000);
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	fixture_pass(f, 1000);
	ask(f);
	fixture_pass(f, 1000);
	assert_int_equal(count_established(f->west), 0);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), 1);
	end(f);
}

static void many_packets_make_one_negotiation(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	struct ipsec_event gone = {.kind = IPSEC_ACQUIRE, .reqid = 99};

	(void)state;
	route(f, f->west, f->west_connection);
	for (unsigned i = 0; i < 1000; i++) {
		packet(f->west, f->west_connection, i);
		ike_engine_ipsec_event(f->west->engine, &gone);
		assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	}
	fixture_pass(f, 2000);
	for (unsigned i = 0; i < 1000; i++)
		packet(f->west, f->west_connection, i);
	fixture_pass(f, 2000);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), 1);
	assert_int_equal(f->west_connection->routing->acquires, 2000);
	end(f);
}

static bool drop_first(struct fixture *f, unsigned i, const uint8_t *bytes, size_t len)
{
	(void)f, (void)bytes, (void)len;
	return i == 0 || i == 2;
}

static void lost_messages_change_nothing(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	f->drop = drop_first;
	route(f, f->west, f->west_connection);
	ask(f);
	fixture_pass(f, 300);
	ask(f);
	fixture_pass(f, 4000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	end(f);
}

/* A responder that may narrow sees which packet it was, by the answer that it gives. */
static void packet_comes_first_among_the_selectors(void **state)
{
	struct side_config west = {.narrowing = true, .peer_subnet = "10.2.0.0/16"},
			   east = {.narrowing = true, .subnet = "10.2.0.0/24"};
	struct fixture *f = fixture_new(&west, &east, false);
	struct ike_sa_view view;
	struct ike_walk walk;

	(void)state;
	route(f, f->west, f->west_connection);
	ask(f);
	/* Ours proposes two, while the answer is awaited. */
	fixture_pass(f, 40);
	for (unsigned ms = 0; ms < 400 && !fixture_sent_by(f, f->west, AUTH); ms++)
		fixture_pass(f, 1);
	ike_walk_start(f->west->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	assert_int_equal(view.child_count, 1);
	assert_int_equal(view.child.local_ts_count, 2);
	assert_int_equal(view.child.remote_ts_count, 2);
	assert_int_equal(view.child.local_ts[0].range.first.bytes[3], 7);
	assert_int_equal(view.child.local_ts[0].protocol, 6);
	assert_int_equal(view.child.remote_ts[0].port_first, 80);
	assert_int_equal(view.child.remote_ts[1].port_last, 65535);
	fixture_pass(f, 2000);
	ike_walk_start(f->west->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	assert_int_equal(view.child.remote_ts_count, 1);
	assert_int_equal(view.child.remote_ts[0].range.last.bytes[3], 255);
	assert_int_equal(count_established(f->west), 1);
	end(f);
}

static void both_ends_ask_at_one_time(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	for (unsigned lag = 0; lag < 60; lag += 3) {
		route(f, f->west, f->west_connection);
		route(f, f->east, f->east_connection);
		ask(f);
		fixture_pass(f, lag);
		packet(f->east, f->east_connection, 9);
		fixture_pass(f, 60000);
		assert_true(count_established(f->west) >= 1 && count_established(f->west) <= 2);
		assert_int_equal(count_established(f->west), count_established(f->east));
		assert_int_equal(state_of(f), ROUTING_TUNNEL);
		check_agreement(f->world, 1000);
		ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
		ike_engine_terminate(f->east->engine, f->east_connection, true, 0);
		fixture_pass(f, 60000);
	}
	end(f);
}

/* ---- what is left -------------------------------------------------------------------- */

static void trap_is_back_when_the_tunnel_goes(void **state)
{
	struct side_config west = {.dpd_s = 5};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	for (unsigned way = 0; way < 3; way++) {
		ask(f);
		fixture_pass(f, 2000);
		assert_int_equal(state_of(f), ROUTING_TUNNEL);
		if (way == 0)
			ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
		else if (way == 1)
			ike_engine_terminate(f->east->engine, f->east_connection, false, 0);
		else
			f->drop = fixture_drop_all;
		fixture_pass(f, 60000);
		f->drop = NULL;
		assert_int_equal(count_established(f->west), 0);
		assert_int_equal(state_of(f), ROUTING_ONDEMAND);
		assert_int_equal(action_of(f), IPSEC_PROTECT);
		fixture_pass(f, 60000);
	}
	assert_int_equal(f->west_connection->routing->tunnels, 0);
	end(f);
}

/* The IKE SA stays, the Child SA goes: the next packet asks for another one on it. */
static void child_sa_is_made_anew_on_its_ike_sa(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	ask(f);
	fixture_pass(f, 2000);
	ike_engine_delete(f->west->engine, f->west_connection, CHILD_SA, 0);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 0);
	assert_int_equal(state_of(f), ROUTING_ONDEMAND);
	ask(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), 1);
	assert_int_equal(fixture_sent_by(f, f->west, CREATE_CHILD_SA), 1);
	check_agreement(f->world, 1000);
	end(f);
}

static void unroute_takes_only_what_no_sa_uses(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	ask(f);
	fixture_pass(f, 2000);
	assert_int_equal(f->west->policy_count, 2);
	ike_engine_unroute(f->west->engine, f->west_connection, false);
	assert_null(node_route_policy(f->west, f->west_connection));
	assert_int_equal(f->west->policy_count, 1);
	assert_int_equal(state_of(f), ROUTING_NONE);
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	fixture_pass(f, 2000);
	assert_int_equal(f->west->policy_count, 1); /* drops */
	ike_engine_unroute(f->west->engine, f->west_connection, true);
	assert_int_equal(f->west->policy_count, 1);
	ike_engine_unroute(f->west->engine, f->west_connection, false);
	assert_int_equal(f->west->policy_count, 0);
	ask(f);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), 1);
	end(f);
}

static void routing_twice_is_routing_once(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	ike_engine_route(f->west->engine, f->west_connection, 0);
	route(f, f->west, f->west_connection);
	assert_int_equal(f->west->policy_count, 1);
	assert_int_equal(f->west_connection->routing->users, 1);
	ask(f);
	route(f, f->west, f->west_connection);
	fixture_pass(f, 2000);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	route(f, f->west, f->west_connection);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	end(f);
}

/* ---- failures -------------------------------------------------------------------------- */

static void failed_negotiation_waits_for_new_traffic(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	f->drop = fixture_drop_all;
	ask(f);
	fixture_pass(f, 20000);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
	assert_int_equal(state_of(f), ROUTING_ONDEMAND);
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	fixture_pass(f, 100000);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 0); /* nobody wants it up */
	f->drop = NULL;
	ask(f);
	fixture_pass(f, 2000);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	end(f);
}

/* A peer that refuses at once is not asked as often as packets come, and no packet is forgotten. */
static void refusals_are_not_asked_for_in_a_loop(void **state)
{
	struct side_config east = {.secret = "another key, which is of no use here"};
	struct fixture *f = fixture_new(&usual, &east, false);
	unsigned sent;

	(void)state;
	route(f, f->west, f->west_connection);
	for (unsigned i = 0; i < 600; i++) {
		ask(f);
		fixture_pass(f, 100);
	}
	sent = fixture_sent_by(f, f->west, SA_INIT);
	assert_in_range(sent, 4, 8); /* after 1, 2, 4, 8, 16 seconds */
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	ask(f);
	fixture_pass(f, 31000);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), sent + 1);
	end(f);
}

static void refused_child_sa_is_a_failure(void **state)
{
	struct side_config west = {.esp = "aes_gcm128"}, east = {.esp = "aes_gcm256"};
	struct fixture *f = fixture_new(&west, &east, false);

	(void)state;
	route(f, f->west, f->west_connection);
	ask(f);
	fixture_pass(f, 3000);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	assert_int_equal(count_established(f->west), 0);
	assert_int_equal(state_of(f), ROUTING_ONDEMAND);
	ask(f);
	fixture_pass(f, 5000);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), 1);
	assert_int_equal(fixture_sent_by(f, f->west, CREATE_CHILD_SA), 1);
	assert_int_equal(state_of(f), ROUTING_ONDEMAND);
	end(f);
}

static void failure_shunt_lasts_its_time(void **state)
{
	static const enum ipsec_policy_action actions[] = {IPSEC_BYPASS, IPSEC_DISCARD};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct side_config west = {.failure_shunt = actions[i]};
		struct fixture *f = fixture_new(&west, &usual, false);

		f->drop = fixture_drop_all;
		route(f, f->west, f->west_connection);
		ask(f);
		fixture_pass(f, 1000);
		assert_int_equal(action_of(f), IPSEC_PROTECT);
		fixture_pass(f, 9000);
		assert_int_equal(state_of(f), ROUTING_FAILURE);
		assert_int_equal(action_of(f), actions[i]);
		assert_true(f->west_connection->routing->shunt_until_s > 1700000000 + 900);
		assert_int_equal(fixture_counter(f->west, "current.states.shunts"), 1);
		fixture_pass(f, 880000);
		assert_int_equal(action_of(f), actions[i]);
		fixture_pass(f, 30000);
		assert_int_equal(state_of(f), ROUTING_ONDEMAND);
		assert_int_equal(action_of(f), IPSEC_PROTECT);
		assert_int_equal(fixture_counter(f->west, "current.states.shunts"), 0);
		f->drop = NULL;
		ask(f);
		fixture_pass(f, 2000);
		assert_int_equal(state_of(f), ROUTING_TUNNEL);
		end(f);
	}
}

static void tunnel_ends_the_failure_shunt(void **state)
{
	struct side_config west = {.failure_shunt = IPSEC_BYPASS};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	f->drop = fixture_drop_all;
	route(f, f->west, f->west_connection);
	ask(f);
	fixture_pass(f, 20000);
	assert_int_equal(action_of(f), IPSEC_BYPASS);
	f->drop = NULL;
	ike_engine_initiate(f->east->engine, f->east_connection, NULL, 0);
	fixture_pass(f, 2000);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	ike_engine_terminate(f->east->engine, f->east_connection, false, 0);
	fixture_pass(f, 2000);
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	end(f);
}

/* What the operator ends has not failed: nothing is opened. */
static void terminate_is_not_a_failure(void **state)
{
	struct side_config west = {.failure_shunt = IPSEC_BYPASS, .retransmit_timeout_s = 30};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	for (unsigned ms = 0; ms < 90; ms += 3) {
		ask(f);
		fixture_pass(f, ms);
		ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
		assert_int_equal(action_of(f), IPSEC_PROTECT);
		fixture_pass(f, 40000);
		assert_int_equal(action_of(f), IPSEC_PROTECT);
		assert_int_equal(state_of(f), ROUTING_ONDEMAND);
	}
	end(f);
}

static void negotiation_pass_lasts_as_long_as_the_negotiation(void **state)
{
	struct side_config west = {.negotiation_pass = true};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	ask(f);
	assert_int_equal(action_of(f), IPSEC_BYPASS);
	fixture_pass(f, 2000);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	fixture_pass(f, 5000);
	f->drop = fixture_drop_all;
	ask(f);
	assert_int_equal(action_of(f), IPSEC_BYPASS);
	fixture_pass(f, 20000);
	assert_int_equal(action_of(f), IPSEC_PROTECT);
	end(f);
}

/* Wanted up and trapped: traffic need not wait for the next revival. */
static void traffic_hurries_a_revival(void **state)
{
	struct side_config west = {.keying_tries = 1000};
	struct fixture *f = fixture_new(&west, &usual, false);
	unsigned sent;

	(void)state;
	route(f, f->west, f->west_connection);
	f->drop = fixture_drop_all;
	fixture_initiate(f);
	fixture_pass(f, 250000);
	while (ike_engine_sa_count(f->west->engine))
		fixture_pass(f, 100);
	sent = fixture_sent_by(f, f->west, SA_INIT);
	fixture_pass(f, 4000);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), sent);
	f->drop = NULL;
	ask(f);
	fixture_pass(f, 31000);
	assert_int_equal(state_of(f), ROUTING_TUNNEL);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	end(f);
}

/* ---- other kinds of connections ----------------------------------------------------------- */

static void shunts_never_negotiate(void **state)
{
	static const enum ipsec_policy_action actions[] = {IPSEC_BYPASS, IPSEC_DISCARD};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct side_config west = {.shunt = actions[i]};
		struct fixture *f = fixture_new(&west, &usual, false);
		ike_watcher watcher;

		route(f, f->west, f->west_connection);
		assert_int_equal(state_of(f), ROUTING_NEVER_NEGOTIATE);
		assert_int_equal(action_of(f), actions[i]);
		ask(f);
		watcher = fixture_initiate(f);
		assert_int_equal(f->west->watcher_state[watcher - 1], 2);
		assert_int_equal(fixture_code(f), RC_INITSHUNT);
		assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
		ike_engine_unroute(f->west->engine, f->west_connection, false);
		assert_int_equal(f->west->policy_count, 0);
		end(f);
	}
}

static void template_is_not_routed(void **state)
{
	struct side_config west = {.template_remote = true};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	assert_true(fixture_told(f, "without knowing the peer's IP address"));
	assert_int_equal(fixture_code(f), RC_ROUTE);
	assert_int_equal(f->west->policy_count, 0);
	end(f);
}

static void kernel_that_refuses_is_told(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	f->west->kernel_errors = 100;
	route(f, f->west, f->west_connection);
	assert_int_equal(fixture_code(f), RC_ROUTE);
	assert_int_equal(state_of(f), ROUTING_NONE);
	assert_int_equal(f->west_connection->routing->users, 0);
	f->west->kernel_errors = 0;
	route(f, f->west, f->west_connection);
	assert_int_equal(state_of(f), ROUTING_ONDEMAND);
	end(f);
}

static void trap_goes_with_its_connection(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	route(f, f->west, f->west_connection);
	catalogue_remove(f->west->catalogue, "tunnel");
	ask(f); /* before the engine has heard of it */
	assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
	ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
	assert_int_equal(f->west->policy_count, 0);
	ask(f);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
	end(f);
}

/* auto=keep: the peer brings it up, this end keeps it up. */
static void kept_connection_comes_back(void **state)
{
	struct side_config west = {.keep = true, .keying_tries = 1000};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	fixture_pass(f, 60000);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), 0);
	ike_engine_initiate(f->east->engine, f->east_connection, NULL, 0);
	fixture_pass(f, 2000);
	ike_engine_terminate(f->east->engine, f->east_connection, false, 0);
	fixture_pass(f, 10000);
	assert_true(fixture_sent_by(f, f->west, SA_INIT) >= 1);
	assert_int_equal(count_established(f->west), 1);
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	fixture_pass(f, 60000);
	assert_int_equal(count_established(f->west), 0);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traffic_brings_the_tunnel_up),
		cmocka_unit_test(nothing_is_initiated_without_a_trap),
		cmocka_unit_test(many_packets_make_one_negotiation),
		cmocka_unit_test(lost_messages_change_nothing),
		cmocka_unit_test(packet_comes_first_among_the_selectors),
		cmocka_unit_test(both_ends_ask_at_one_time),
		cmocka_unit_test(trap_is_back_when_the_tunnel_goes),
		cmocka_unit_test(child_sa_is_made_anew_on_its_ike_sa),
		cmocka_unit_test(unroute_takes_only_what_no_sa_uses),
		cmocka_unit_test(routing_twice_is_routing_once),
		cmocka_unit_test(failed_negotiation_waits_for_new_traffic),
		cmocka_unit_test(refusals_are_not_asked_for_in_a_loop),
		cmocka_unit_test(refused_child_sa_is_a_failure),
		cmocka_unit_test(failure_shunt_lasts_its_time),
		cmocka_unit_test(tunnel_ends_the_failure_shunt),
		cmocka_unit_test(terminate_is_not_a_failure),
		cmocka_unit_test(negotiation_pass_lasts_as_long_as_the_negotiation),
		cmocka_unit_test(traffic_hurries_a_revival),
		cmocka_unit_test(shunts_never_negotiate),
		cmocka_unit_test(template_is_not_routed),
		cmocka_unit_test(kernel_that_refuses_is_told),
		cmocka_unit_test(trap_goes_with_its_connection),
		cmocka_unit_test(kept_connection_comes_back),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
