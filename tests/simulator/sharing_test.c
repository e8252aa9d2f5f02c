/* Several connections between the same two ends: one IKE SA carries the Child SAs of all. */
#include "fixture.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

#define MANY 130 /* more than one IKE SA may have */

struct stage {
	struct fixture *f;
	unsigned count;
	struct connection *west[MANY], *east[MANY]; /* [0] is the fixture's own */
};

static void set_up(struct stage *s, const struct side_config *west, const struct side_config *east,
	unsigned count)
{
	*s = (struct stage){.f = fixture_new(west, east, false), .count = count};
	s->west[0] = connection_ref(s->f->west_connection);
	s->east[0] = connection_ref(s->f->east_connection);
	for (unsigned i = 1; i < count; i++) {
		s->west[i] = fixture_add(s->f, west, true, i);
		s->east[i] = fixture_add(s->f, east, false, i);
	}
}

static void tear_down(struct stage *s)
{
	check_agreement(s->f->world, 5000); /* one may be being rekeyed just now */
	check_books(s->f->west);
	check_books(s->f->east);
	check_clean_end(s->f->world, 60000);
	assert_string_equal(s->f->world->failure, "");
	for (unsigned i = 0; i < s->count; i++) {
		connection_unref(s->west[i]);
		connection_unref(s->east[i]);
	}
	fixture_free(s->f);
}

static unsigned up(struct node *node, const struct connection *c)
{
	struct ike_sa_view view;
	struct child_view child;
	struct ike_walk walk;
	unsigned found = 0;

	ike_walk_start(node->engine, &walk);
	while (ike_walk_next(&walk, &view)) {
		for (unsigned i = 0; ike_engine_child_at(node->engine, view.serial, i, &child); i++)
			found += child.established && child.connection->serial == c->serial;
	}
	return found;
}

/* The connections whose bit is set have one Child SA at each end, the others none. */
static void expect_up(struct stage *s, unsigned bits, unsigned ike_sas)
{
	for (unsigned i = 0; i < s->count; i++) {
		assert_int_equal(up(s->f->west, s->west[i]), bits >> i & 1);
		assert_int_equal(up(s->f->east, s->east[i]), bits >> i & 1);
	}
	assert_int_equal(ike_engine_sa_count(s->f->west->engine), ike_sas);
	assert_int_equal(ike_engine_sa_count(s->f->east->engine), ike_sas);
}

static ike_watcher initiate(struct stage *s, unsigned i)
{
	ike_watcher watcher = node_watcher(s->f->west);

	ike_engine_initiate(s->f->west->engine, s->west[i], NULL, watcher);
	return watcher;
}

static void come_up(struct stage *s)
{
	for (unsigned i = 0; i < s->count; i++)
		initiate(s, i);
	fixture_pass(s->f, 2000);
	expect_up(s, (1u << s->count) - 1, 1);
}

static void terminate(struct stage *s, unsigned i)
{
	node_terminate_watched(s->f->west, s->west[i], false);
	fixture_pass(s->f, 6000); /* who was told of a Delete repeats its answer for 5 s */
}

static const struct side_config usual;

static void commands_at_one_moment_make_one_ike_sa(void **state)
{
	struct stage s;
	ike_watcher again;

	(void)state;
	set_up(&s, &usual, &usual, 4);
	come_up(&s);
	assert_true(fixture_told(s.f, "initiating IKEv2 connection"));
	assert_true(fixture_told(s.f, "IPsec tunnel [10.1.2.0/24===10.2.2.0/24]"));
	again = initiate(&s, 2);
	assert_int_equal(s.f->west->watcher_state[again - 1], 2);
	assert_true(fixture_told(s.f, "connection has a Child SA using IKE SA #"));
	fixture_pass(s.f, 1000);
	expect_up(&s, 15, 1);
	for (unsigned i = 0; i < s.f->west->watcher_count; i++)
		assert_int_equal(s.f->west->watcher_state[i], 2);
	tear_down(&s);
}

static void the_last_to_leave_ends_the_ike_sa(void **state)
{
	struct stage s;

	(void)state;
	set_up(&s, &usual, &usual, 4);
	come_up(&s);
	terminate(&s, 2);
	expect_up(&s, 11, 1);
	terminate(&s, 0); /* it has set up the IKE SA, which goes on under another's name */
	expect_up(&s, 10, 1);
	node_rekey_watched(s.f->west, s.west[3], IKE_SA);
	fixture_pass(s.f, 6000);
	expect_up(&s, 10, 1);
	initiate(&s, 0);
	fixture_pass(s.f, 1000);
	expect_up(&s, 11, 1);
	assert_int_equal(fixture_counter(s.f->west, "total.ikev2.ike.established"), 2);
	terminate(&s, 3);
	terminate(&s, 1);
	expect_up(&s, 1, 1);
	terminate(&s, 0);
	expect_up(&s, 0, 0);
	tear_down(&s);
}

static void each_is_rekeyed_and_deleted_by_its_own_name(void **state)
{
	struct stage s;

	(void)state;
	set_up(&s, &usual, &usual, 3);
	come_up(&s);
	node_rekey_watched(s.f->west, s.west[1], CHILD_SA);
	fixture_pass(s.f, 1000);
	expect_up(&s, 7, 1);
	assert_int_equal(fixture_counter(s.f->west, "total.ikev2.child.established"), 4);
	node_rekey_watched(s.f->east, s.east[2], IKE_SA);
	fixture_pass(s.f, 6000);
	expect_up(&s, 7, 1);
	assert_int_equal(fixture_counter(s.f->west, "total.ikev2.child.established"), 4);
	assert_int_equal(ike_engine_delete(s.f->west->engine, s.west[2], CHILD_SA, 0), 1);
	fixture_pass(s.f, 1000);
	expect_up(&s, 3, 1);
	fixture_pass(s.f, 10000); /* it is wanted */
	expect_up(&s, 7, 1);
	ike_engine_unwant(s.f->west->engine, s.west[2]);
	assert_int_equal(ike_engine_delete(s.f->west->engine, s.west[2], CHILD_SA, 0), 1);
	fixture_pass(s.f, 20000);
	expect_up(&s, 3, 1);
	tear_down(&s);
}

static void what_the_peer_has_lost_comes_back_on_one_ike_sa(void **state)
{
	struct side_config lasting = {.keying_tries = 100, .dpd_s = 5};
	struct stage s;

	(void)state;
	set_up(&s, &lasting, &usual, 4);
	come_up(&s);
	node_kill(s.f->east);
	node_start(s.f->east);
	fixture_pass(s.f, 60000);
	expect_up(&s, 15, 1);
	assert_int_equal(ike_engine_delete(s.f->west->engine, s.west[1], IKE_SA, 0), 1);
	fixture_pass(s.f, 20000);
	expect_up(&s, 15, 1);
	tear_down(&s);
}

static void an_ike_sa_takes_no_more_than_so_many(void **state)
{
	struct side_config quiet = {.esp = "aes_gcm128"};
	struct stage s;

	(void)state;
	set_up(&s, &quiet, &quiet, MANY);
	for (unsigned i = 0; i < MANY; i++)
		initiate(&s, i);
	fixture_pass(s.f, 20000);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(up(s.f->west, s.west[i]), 1);
		assert_int_equal(up(s.f->east, s.east[i]), 1);
	}
	assert_int_equal(ike_engine_sa_count(s.f->west->engine), 2);
	tear_down(&s);
}

static void other_proposals_have_an_ike_sa_of_their_own(void **state)
{
	struct side_config other = {.ike = "aes_gcm128-sha2_256;dh31"};
	struct connection *west, *east;
	struct stage s;

	(void)state;
	set_up(&s, &usual, &usual, 1);
	west = fixture_add(s.f, &other, true, 9);
	east = fixture_add(s.f, &other, false, 9);
	come_up(&s);
	ike_engine_initiate(s.f->west->engine, west, NULL, 0);
	fixture_pass(s.f, 1000);
	expect_up(&s, 1, 2);
	assert_int_equal(up(s.f->west, west), 1);
	assert_int_equal(up(s.f->east, east), 1);
	connection_unref(west);
	connection_unref(east);
	tear_down(&s);
}

/* ---- both ends at one time ----------------------------------------------------------------- */

static void of_child_sas_made_by_both_ends_at_once_one_is_left(void **state)
{
	struct side_config side = {.esp = "aes_gcm128;dh31", .keying_tries = 1000};
	struct stage s;
	unsigned crossed = 0;
	uint64_t before;

	(void)state;
	for (unsigned pfs = 0; pfs < 2; pfs++) {
		side.pfs = pfs;
		set_up(&s, &side, &side, 1);
		come_up(&s);
		ike_engine_initiate(s.f->east->engine, s.east[0], NULL, 0);
		fixture_pass(s.f, 8000);
		s.f->world->weather = (struct weather){.delay_min = 1, .delay_max = 60};
		for (unsigned i = 0; i < 100; i++) {
			fixture_pass(s.f, 31000); /* then it is made anew at once */
			before = fixture_counter(s.f->west, "total.ikev2.child.established");
			ike_engine_delete(s.f->west->engine, s.west[0], CHILD_SA, 0);
			fixture_pass(s.f, i % 20);
			ike_engine_delete(s.f->east->engine, s.east[0], CHILD_SA, 0);
			fixture_pass(s.f, 6000);
			expect_up(&s, 1, 1);
			crossed += fixture_counter(s.f->west, "total.ikev2.child.established") >
				   before + 1;
		}
		tear_down(&s);
	}
	assert_true(crossed > 20);
}

/* ---- chance -------------------------------------------------------------------------------- */

static void act(struct world *world, unsigned at, void *arg)
{
	struct stage *s = arg;
	struct node *node = world->nodes[at];
	struct connection **mine = node == s->f->west ? s->west : s->east,
			  *c = mine[random_below(&world->random, s->count)];
	enum ike_sa_kind kind = random_chance(&world->random, 40) ? IKE_SA : CHILD_SA;

	switch (random_below(&world->random, 6)) {
	case 0:
	case 1:
		ike_engine_initiate(node->engine, c, NULL, node_watcher(node));
		break;
	case 2:
		node_terminate_watched(node, c, random_chance(&world->random, 20));
		break;
	case 3:
		ike_engine_delete(node->engine, c, kind, 0);
		break;
	default:
		node_rekey_watched(node, c, kind);
	}
}

static bool hear_nothing(
	struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	(void)world, (void)path, (void)bytes, (void)len;
	return true;
}

static void run(uint64_t seed)
{
	struct side_config side = {.dpd_s = 10,
		.keying_tries = 1000,
		.retransmit_timeout_s = 20,
		.life_s = 120 + seed % 200,
		.child_life_s = 60 + seed % 300,
		.margin_s = 20,
		.pfs = seed % 3 == 0,
		.reauth = seed % 5 == 0};
	struct weather good = {.delay_min = 1, .delay_max = 20};
	struct stage s;
	struct world *world;

	set_up(&s, &side, &side, 4);
	world = s.f->world;
	world->random.state += seed * 0x2545f4914f6cdd1du;
	world->wire = hear_nothing;
	world->hear = NULL;
	world->weather = (struct weather){.loss = seed % 20,
		.duplication = seed % 15,
		.delay_min = 1,
		.delay_max = 1 + seed % 7 * 150};
	for (unsigned i = 0; i < 60; i++)
		world_act(world, random_below(&world->random, 2),
			random_below(&world->random, 300000), act, &s);
	fixture_pass(s.f, 300000);
	world->weather = good;
	for (unsigned i = 0; i < s.count; i++) /* now all are wanted, from both sides */ {
		ike_engine_initiate(s.f->west->engine, s.west[i], NULL, 0);
		fixture_pass(s.f, 5);
		ike_engine_initiate(s.f->east->engine, s.east[i], NULL, 0);
	}
	fixture_pass(s.f, 300000);
	for (unsigned i = 0; i < s.count; i++) {
		if (!up(s.f->west, s.west[i]) || !up(s.f->east, s.east[i]))
			world_fail(world, "seed %llu: connection %u is not up",
				(unsigned long long)seed, i);
	}
	check_agreement(world, 120000);
	tear_down(&s);
	urcu_qsbr_quiescent_state();
}

static void whatever_is_ordered_all_agree_in_the_end(void **state)
{
	const char *first = getenv("SHARING_SEED"), *count = getenv("SHARING_COUNT");
	uint64_t seed = first ? strtoull(first, NULL, 0) : 1,
		 end = seed + (count ? strtoull(count, NULL, 0) : 40);

	(void)state;
	for (; seed < end; seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_at_one_moment_make_one_ike_sa),
		cmocka_unit_test(the_last_to_leave_ends_the_ike_sa),
		cmocka_unit_test(each_is_rekeyed_and_deleted_by_its_own_name),
		cmocka_unit_test(what_the_peer_has_lost_comes_back_on_one_ike_sa),
		cmocka_unit_test(an_ike_sa_takes_no_more_than_so_many),
		cmocka_unit_test(other_proposals_have_an_ike_sa_of_their_own),
		cmocka_unit_test(of_child_sas_made_by_both_ends_at_once_one_is_left),
		cmocka_unit_test(whatever_is_ordered_all_agree_in_the_end),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("sharing", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
