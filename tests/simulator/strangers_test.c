/* What strangers, and events of the gateway itself in great number, may not achieve; and what the
 * engine does about things that fail for a while. */
#include "fixture.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

static const struct side_config usual;
enum { OFFSET_EXCHANGE = 18, OFFSET_FLAGS = 19, OFFSET_LENGTH = 24 };
enum { SA_INIT = 34, AUTH = 35, INFORMATIONAL = 37 };

static void end(struct fixture *f)
{
	check_books(f->west);
	check_books(f->east);
	check_clean_end(f->world, 60000);
	assert_string_equal(f->world->failure, "");
	fixture_free(f);
}

/* ---- strangers ------------------------------------------------------------------------------- */

static void flood_does_not_hide_the_right_group(void **state)
{
	struct side_config west = {.ike = "aes_gcm128-sha2_256;dh19+dh31"},
			   east = {.ike = "aes_gcm128-sha2_256;dh31"};
	struct fixture *f = fixture_new(&west, &east, false);
	uint8_t stray[28] = {[7] = 1, [15] = 1, [17] = 0x20, [18] = AUTH, [19] = 8, [27] = 28};
	struct ike_path path = {.local = {.address = f->east->address, .port = 500},
		.remote = {.address = ip_v4(0xcb007109), .port = 500}};

	(void)state;
	f->drop = fixture_drop_all;
	fixture_initiate(f);
	fixture_pass(f, 100);
	f->drop = NULL;
	for (unsigned i = 0; i < 2000; i++)
		fixture_inject(f->east, &path, stray, sizeof(stray));
	path = fixture_arriving(&f->captured[0]);
	fixture_inject(f->east, &path, f->captured[0].bytes, f->captured[0].len);
	fixture_pass(f, 400);
	assert_int_equal(count_established(f->west), 1);
	end(f);
}

static void very_long_request_is_refused_and_not_kept(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	uint8_t *message;
	struct ike_path path;
	size_t len, more = 60000;

	(void)state;
	f->drop = fixture_drop_all;
	fixture_initiate(f);
	fixture_pass(f, 100);
	f->drop = NULL;
	/* The honest request with a long vendor ID in front. */
	len = f->captured[0].len + more;
	message = calloc(1, len);
	memcpy(message, f->captured[0].bytes, 28);
	memcpy(message + 28 + more, f->captured[0].bytes + 28, f->captured[0].len - 28);
	message[28] = message[16];
	message[16] = 43;
	message[30] = more >> 8;
	message[31] = more & 255;
	message[OFFSET_LENGTH + 1] = len >> 16;
	message[OFFSET_LENGTH + 2] = len >> 8;
	message[OFFSET_LENGTH + 3] = len & 255;
	path = fixture_arriving(&f->captured[0]);
	fixture_inject(f->east, &path, message, len);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 0);
	free(message);
	end(f);
}

static void forged_responses_do_not_fill_the_log(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	uint8_t forged[36] = {[16] = 41,
		[17] = 0x20,
		[18] = SA_INIT,
		[19] = 0x20,
		[27] = 36,
		[31] = 8,
		[35] = 14};
	struct ike_path path;

	(void)state;
	f->drop = fixture_drop_all;
	fixture_initiate(f);
	fixture_pass(f, 100);
	path = (struct ike_path){
		.local = f->captured[0].path.local, .remote = f->captured[0].path.remote};
	memcpy(forged, f->captured[0].bytes, 8);
	for (unsigned i = 0; i < 1000; i++)
		fixture_inject(f->west, &path, forged, sizeof(forged));
	assert_true(fixture_told(f, "received unauthenticated NO_PROPOSAL_CHOSEN"));
	assert_true(f->line_count < 30);
	end(f);
}

static void repeated_request_is_answered_where_it_came_from(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	const struct captured *auth = NULL;
	struct ike_path path;
	unsigned before;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	for (unsigned i = 0; i < f->captured_count && !auth; i++) {
		if (f->captured[i].bytes[OFFSET_EXCHANGE] == AUTH)
			auth = &f->captured[i];
	}
	assert_non_null(auth);
	path = fixture_arriving(auth);
	path.remote.port = 4567;
	before = f->captured_count;
	fixture_inject(f->east, &path, auth->bytes, auth->len);
	assert_int_equal(f->captured_count, before + 1);
	assert_int_equal(f->captured[before].path.remote.port, 4567);
	/* The SA itself stays where it is. */
	ike_engine_terminate(f->east->engine, f->east_connection, false, 0);
	assert_int_equal(f->captured[before + 1].path.remote.port, 500);
	fixture_pass(f, 1000);
	end(f);
}

static unsigned lines;

static void count_lines(
	struct node *node, ike_watcher watcher, enum ike_rc code, const char *line, size_t len)
{
	(void)node;
	(void)watcher;
	(void)code;
	(void)line;
	(void)len;
	lines++;
}

static void garbage_is_answered_and_logged_within_limits(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	uint8_t stray[28] = {[7] = 1, [15] = 1, [17] = 0x20, [18] = AUTH, [19] = 8, [27] = 28};
	struct ike_path path = {.local = {.address = f->east->address, .port = 500},
		.remote = {.address = ip_v4(0xcb007109), .port = 500}};

	(void)state;
	lines = 0;
	f->world->hear = count_lines;
	for (unsigned i = 0; i < 3000; i++) {
		fixture_inject(f->east, &path, stray, sizeof(stray));
		fixture_inject(f->east, &path, stray, 20);
	}
	assert_true(f->world->datagrams > 0 && f->world->datagrams <= 500);
	assert_true(lines > 0 && lines <= 20);
	end(f);
}

/* Half-open SAs of many strangers bring the cookies, and are forgotten with them. */
static void half_open_count_comes_down_again(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	struct ike_path path;
	uint8_t *message;
	size_t len;

	(void)state;
	f->drop = fixture_drop_all;
	fixture_initiate(f);
	fixture_pass(f, 100);
	len = f->captured[0].len;
	message = malloc(len);
	memcpy(message, f->captured[0].bytes, len);
	path = fixture_arriving(&f->captured[0]);
	for (unsigned i = 0; i < 30; i++) {
		message[0] = i;
		fixture_inject(f->east, &path, message, len);
	}
	free(message);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 21);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.cookies.sent"), 9);
	fixture_pass(f, 40000);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 0);
	f->drop = NULL;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->east), 1);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.cookies.sent"), 9);
	end(f);
}

static void work_under_way_outlives_its_sa(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		fixture_initiate(f);
		ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
		assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
		fixture_pass(f, 30);
	}
	assert_int_equal(f->west->jobs_out, 0);
	end(f);
}

/* ---- the gateway's own events ---------------------------------------------------------------- */

static void both_soft_limits_make_one_replacement(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	struct ipsec_event event = {.kind = IPSEC_EXPIRE_SOFT, .reqid = f->west_connection->reqid};
	struct ike_sa_view view;
	struct ike_walk walk;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	ike_walk_start(f->west->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	event.id = view.child.serial;
	event.direction = IPSEC_INBOUND;
	event.spi = view.child.in_spi;
	ike_engine_ipsec_event(f->west->engine, &event);
	fixture_pass(f, 1);
	event.direction = IPSEC_OUTBOUND;
	event.spi = view.child.out_spi;
	ike_engine_ipsec_event(f->west->engine, &event);
	fixture_pass(f, 1);
	fixture_pass(f, 5000);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(fixture_counter(f->west, "total.ikev2.child.established"), 2);
	end(f);
}

static void replacement_that_fails_is_tried_again(void **state)
{
	struct side_config west = {.life_s = 300, .keying_tries = 1000, .reauth = true};
	struct fixture *f = fixture_new(&west, &usual, false);
	unsigned requests;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	requests = fixture_sent_by(f, f->west, SA_INIT);
	assert_int_equal(count_established(f->west), 1);
	f->drop = fixture_drop_all;
	/* The margin is 30 s and a try takes 3 s. */
	fixture_pass(f, 278000);
	assert_int_equal(count_established(f->west), 1);
	assert_true(fixture_sent_by(f, f->west, SA_INIT) > requests);
	f->drop = NULL;
	fixture_pass(f, 15000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(fixture_counter(f->west, "plutonium.ikev2.revivals"), 0);
	assert_int_equal(fixture_counter(f->west, "total.ikev2.ike.established"), 2);
	end(f);
}

static void nothing_is_revived_by_who_does_not_listen(void **state)
{
	struct side_config west = {.keying_tries = 1000};
	struct fixture *f = fixture_new(&west, &usual, false);
	unsigned requests;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	ike_engine_listen(f->west->engine, false);
	ike_engine_terminate(f->east->engine, f->east_connection, false, 0);
	requests = fixture_sent_by(f, f->west, SA_INIT);
	fixture_pass(f, 30000);
	assert_int_equal(fixture_sent_by(f, f->west, SA_INIT), requests);
	ike_engine_listen(f->west->engine, true);
	fixture_pass(f, 10000);
	assert_int_equal(count_established(f->west), 1);
	end(f);
}

static void replaced_sa_goes_without_uniqueness_too(void **state)
{
	struct side_config west = {.life_s = 300};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct node *node = i ? f->west : f->east;

		node_kill(node);
		node->shared_ids = true;
		node_start(node);
	}
	fixture_initiate(f);
	fixture_pass(f, 280000);
	assert_int_equal(fixture_counter(f->west, "total.ikev2.ike.established"), 2);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 1);
	end(f);
}

static void sa_that_is_not_replaced_expires(void **state)
{
	struct side_config brief = {.life_s = 300};
	struct fixture *f = fixture_new(&brief, &usual, false);

	(void)state;
	f->west_connection->rekey = false;
	f->west_connection->keying_tries = 1;
	fixture_initiate(f);
	fixture_pass(f, 299000);
	assert_int_equal(count_established(f->west), 1);
	fixture_pass(f, 3000);
	assert_int_equal(count_established(f->west), 0);
	assert_int_equal(count_established(f->east), 0);
	end(f);
}

static void mapping_is_kept_alive_and_followed(void **state)
{
	struct side_config east = {.template_remote = true, .dpd_s = 5};
	struct side_config west = {.dpd_s = 5};
	struct fixture *f = fixture_new(&west, &east, true);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 61000);
	assert_int_equal(f->west->keepalives, 3);
	assert_int_equal(f->east->keepalives, 0);
	check_books(f->east);
	f->west->nat_offset += 100;
	fixture_pass(f, 10000); /* liveness checks from behind the NAT show the new mapping */
	check_books(f->east);
	check_agreement(f->world, 1000);
	assert_int_equal(count_established(f->east), 1);
	end(f);
}

/* A Child SA that the kernel cannot move would say established and carry nothing: another one takes
 * its place, at the new address. */
static void sa_that_cannot_be_moved_is_replaced(void **state)
{
	struct side_config west = {.dpd_s = 10}, east = {0};
	struct fixture *f = fixture_new(&west, &east, true);
	const struct ipsec_sa *sending;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 1);
	f->east->cannot_move = true;
	f->west->nat_offset += 100;
	fixture_pass(f, 60000);
	assert_int_equal(fixture_counter(f->east, "total.ikev2.child.established"), 2);
	assert_int_equal(node_live_sas(f->east), 2);
	assert_int_equal(node_live_sas(f->west), 2);
	sending = node_sending_sa(f->east, 0);
	assert_non_null(sending);
	assert_int_equal(sending->remote.port, 4500 + 10100);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flood_does_not_hide_the_right_group),
		cmocka_unit_test(very_long_request_is_refused_and_not_kept),
		cmocka_unit_test(forged_responses_do_not_fill_the_log),
		cmocka_unit_test(repeated_request_is_answered_where_it_came_from),
		cmocka_unit_test(garbage_is_answered_and_logged_within_limits),
		cmocka_unit_test(half_open_count_comes_down_again),
		cmocka_unit_test(work_under_way_outlives_its_sa),
		cmocka_unit_test(both_soft_limits_make_one_replacement),
		cmocka_unit_test(replacement_that_fails_is_tried_again),
		cmocka_unit_test(nothing_is_revived_by_who_does_not_listen),
		cmocka_unit_test(replaced_sa_goes_without_uniqueness_too),
		cmocka_unit_test(sa_that_is_not_replaced_expires),
		cmocka_unit_test(mapping_is_kept_alive_and_followed),
		cmocka_unit_test(sa_that_cannot_be_moved_is_replaced),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("strangers", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
