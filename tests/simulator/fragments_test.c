/* IKE messages in fragments (RFC 7383): between two of ours, and from a peer that cuts as it likes.
 */
#include "fixture.h"
#include "insider_stage.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

enum { AUTH = 35, INFORMATIONAL = 37, SKF = 53 };
enum { OFFSET_NEXT = 16, OFFSET_EXCHANGE = 18, OFFSET_FLAGS = 19 };
/* IPv4's and UDP's headers. */
#define HEADERS 28

static unsigned count_of(const struct fixture *f, unsigned exchange, bool response, unsigned *cut)
{
	unsigned count = 0;

	*cut = 0;
	for (unsigned i = 0; i < f->captured_count; i++) {
		const struct captured *c = &f->captured[i];

		if (c->bytes[OFFSET_EXCHANGE] != exchange ||
			(bool)(c->bytes[OFFSET_FLAGS] & 0x20) != response)
			continue;
		count++;
		*cut += c->bytes[OFFSET_NEXT] == SKF;
	}
	return count;
}

static const struct captured *nth(
	const struct fixture *f, unsigned exchange, bool response, unsigned n)
{
	for (unsigned i = 0; i < f->captured_count; i++) {
		const struct captured *c = &f->captured[i];

		if (c->bytes[OFFSET_EXCHANGE] == exchange &&
			(bool)(c->bytes[OFFSET_FLAGS] & 0x20) == response && !n--)
			return c;
	}
	return NULL;
}

static void come_up(struct fixture *f)
{
	fixture_initiate(f);
	fixture_pass(f, 3000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(count_established(f->east), 1);
	check_agreement(f->world, 1000);
}

static void end(struct fixture *f)
{
	assert_string_equal(f->world->failure, "");
	fixture_free(f);
}

/* ---- two of ours --------------------------------------------------------------------------- */

static void every_suite_travels_in_fragments(void **state)
{
	static const char *const ike[] = {"aes_gcm128-sha2_256;dh31", "aes128-sha2_256;dh31",
		"aes_ccm256-sha2_384;dh31", "aes_ctr128-sha2_256;dh31",
		"chacha20_poly1305-sha2_256;dh31", "3des-sha1;dh31"};
	unsigned cut;

	(void)state;
	for (unsigned i = 0; i < sizeof(ike) / sizeof(ike[0]); i++) {
		struct side_config side = {.ike = ike[i], .fragment_datagram = 160 + 7 * i};
		struct fixture *f = fixture_new(&side, &side, false);

		come_up(f);
		assert_true(count_of(f, AUTH, false, &cut) > 1);
		assert_int_equal(cut, count_of(f, AUTH, false, &cut));
		assert_true(count_of(f, AUTH, true, &cut) > 1);
		for (unsigned m = 0; m < f->captured_count; m++) {
			if (f->captured[m].bytes[OFFSET_EXCHANGE] == AUTH)
				assert_true(f->captured[m].len + HEADERS <= side.fragment_datagram);
		}
		end(f);
	}
}

static void what_fits_is_not_cut(void **state)
{
	struct side_config side = {0};
	struct fixture *f = fixture_new(&side, &side, false);
	unsigned cut;

	(void)state;
	come_up(f);
	assert_int_equal(count_of(f, AUTH, false, &cut), 1);
	assert_int_equal(cut, 0);
	end(f);
}

static void nobody_cuts_for_who_cannot_join(void **state)
{
	struct side_config can = {.fragment_datagram = 160},
			   cannot = {.fragment_datagram = 160, .no_fragmentation = true};
	unsigned cut;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture *f = fixture_new(i ? &cannot : &can, i ? &can : &cannot, false);

		come_up(f);
		assert_int_equal(count_of(f, AUTH, false, &cut), 1);
		assert_int_equal(count_of(f, AUTH, true, &cut), 1);
		end(f);
	}
}

static bool second_auth_fragment_is_lost_once(
	struct fixture *f, unsigned i, const uint8_t *bytes, size_t len)
{
	(void)i;
	(void)len;
	return bytes[OFFSET_EXCHANGE] == AUTH && nth(f, AUTH, bytes[OFFSET_FLAGS] & 0x20, 1) &&
	       !nth(f, AUTH, bytes[OFFSET_FLAGS] & 0x20, 2);
}

static void a_lost_fragment_comes_again_with_all(void **state)
{
	struct side_config side = {.fragment_datagram = 200};
	struct fixture *f = fixture_new(&side, &side, false);

	(void)state;
	f->drop = second_auth_fragment_is_lost_once;
	come_up(f);
	assert_true(fixture_counter(f->west, "total.ikev2.sent.retransmits") >= 1 ||
		    fixture_told(f, "retransmitting IKE_AUTH request"));
	end(f);
}

static void only_the_first_fragment_asks_for_the_response_again(void **state)
{
	struct side_config side = {.fragment_datagram = 200};
	struct fixture *f = fixture_new(&side, &side, false);
	unsigned sent, responses, cut;

	(void)state;
	come_up(f);
	responses = count_of(f, AUTH, true, &cut);
	for (unsigned n = 0; n < 3; n++) {
		const struct captured *c = nth(f, AUTH, false, n);
		struct ike_path path = {.local = c->path.remote, .remote = c->path.local};

		sent = f->captured_count;
		fixture_inject(f->east, &path, c->bytes, c->len);
		assert_int_equal(f->captured_count, sent + (n ? 0 : responses));
	}
	end(f);
}

/* ---- a peer that cuts as it likes ------------------------------------------------------------ */

static const char suite[] = "aes_gcm128-sha2_256;dh31";

static void begin_auth(struct stage *stage)
{
	assert_true(insider_initiate(stage->insider, suite));
	insider_begin(stage->insider, EXCHANGE_IKE_AUTH, 0, 1);
	chain_auth(stage->insider, 0);
}

static uint64_t unfinished(const struct stage *stage)
{
	return ike_engine_memory(stage->node->engine).fragments;
}

static void stage_end(struct stage *stage)
{
	check_clean_end(stage->world, 60000);
	assert_string_equal(stage->world->failure, "");
	stage_clear(stage);
}

static void expect_up(struct stage *stage, unsigned children)
{
	insider_wait(stage->insider, 100);
	assert_int_equal(count_established(stage->node), children);
}

static void order_and_repetition_do_not_matter(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	begin_auth(&stage);
	insider_send_part(stage.insider, 3, 3);
	insider_send_part(stage.insider, 3, 3);
	insider_send_part(stage.insider, 1, 3);
	insider_send_part(stage.insider, 1, 3);
	expect_up(&stage, 0);
	insider_send_part(stage.insider, 2, 3);
	expect_up(&stage, 1);
	stage_end(&stage);
}

static void a_finer_cut_takes_the_place_of_a_coarser_one(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	begin_auth(&stage);
	insider_send_part(stage.insider, 1, 2);
	insider_send_part(stage.insider, 1, 3);
	insider_send_part(stage.insider, 2, 2); /* of a set that is given up */
	expect_up(&stage, 0);
	insider_send_part(stage.insider, 2, 3);
	insider_send_part(stage.insider, 3, 3);
	expect_up(&stage, 1);
	stage_end(&stage);
}

static void numbers_without_sense_are_refused(void **state)
{
	static const struct {
		unsigned number, total;
	} wrong[] = {{0, 0}, {0, 3}, {4, 3}, {1, 65}, {65535, 65535}, {2, 1}};
	struct bytes inner = bytes_of("words", 5);
	struct stage stage;
	uint64_t before;

	(void)state;
	stage_set(&stage, false, 1);
	begin_auth(&stage);
	before = unfinished(&stage);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		insider_send_fragment(
			stage.insider, inner, PAYLOAD_IDi, wrong[i].number, wrong[i].total);
	assert_int_equal(unfinished(&stage), before);
	insider_send_part(stage.insider, 1, 2);
	assert_true(unfinished(&stage) > before);
	insider_send_part(stage.insider, 2, 2);
	expect_up(&stage, 1);
	stage_end(&stage);
}

/* One fragment of each message and no more, in many SAs. */
static void what_is_left_unfinished_is_bounded(void **state)
{
	static uint8_t filler[50000];
	struct insider *insider;
	struct stage stage;
	uint64_t most = 0;

	(void)state;
	stage_set(&stage, false, 1);
	insider = stage.insider;
	node_kill(stage.node);
	stage.node->shared_ids = true; /* or each SA would take the one before away */
	node_start(stage.node);
	for (unsigned i = 0; i < 120; i++) {
		begin_auth(&stage);
		insider_send(insider);
		insider_wait(insider, 40);
		insider_begin(insider, EXCHANGE_INFORMATIONAL, 0, 2);
		insider_send_fragment(insider, bytes_of(filler, sizeof(filler)), 0, 1, 2);
		if (unfinished(&stage) > most)
			most = unfinished(&stage);
	}
	assert_true(most > 3 << 20);
	assert_true(most <= 4 << 20);
	ike_engine_terminate(stage.node->engine, stage.connection, true, 0);
	insider_wait(insider, 60000);
	assert_int_equal(unfinished(&stage), 0);
	begin_auth(&stage);
	insider_send_part(insider, 1, 2);
	insider_send_part(insider, 2, 2);
	expect_up(&stage, 1);
	stage_end(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_suite_travels_in_fragments),
		cmocka_unit_test(what_fits_is_not_cut),
		cmocka_unit_test(nobody_cuts_for_who_cannot_join),
		cmocka_unit_test(a_lost_fragment_comes_again_with_all),
		cmocka_unit_test(only_the_first_fragment_asks_for_the_response_again),
		cmocka_unit_test(order_and_repetition_do_not_matter),
		cmocka_unit_test(a_finer_cut_takes_the_place_of_a_coarser_one),
		cmocka_unit_test(numbers_without_sense_are_refused),
		cmocka_unit_test(what_is_left_unfinished_is_bounded),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("fragments", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
