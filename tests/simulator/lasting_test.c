/* What outlasts one SA or one message: the way of an answer, policies of an earlier narrowing, and
 * the operator's wish when another engine's SA takes over and goes. */
#include "fixture_asserts.h"

#include <string.h>
#include <urcu/urcu-qsbr.h>

static const struct side_config usual;

enum { OFFSET_EXCHANGE = 18, INFORMATIONAL = 37 };

/* ---- the way of an answer ----------------------------------------------------------------- */

static bool informational_is_lost(struct fixture *f, unsigned i, const uint8_t *bytes, size_t len)
{
	(void)f;
	(void)i;
	(void)len;
	return bytes[OFFSET_EXCHANGE] == INFORMATIONAL;
}

static void an_answer_goes_to_where_its_request_came_from(void **state)
{
	struct side_config west = {.dpd_s = 5};
	struct fixture *f = fixture_new(&west, &usual, false);
	const struct captured *request, *answer;
	struct ike_path path;
	unsigned before;

	(void)state;
	come_up(f);
	f->drop = informational_is_lost;
	before = f->captured_count;
	for (unsigned i = 0; i < 120 && f->captured_count == before; i++)
		fixture_pass(f, 100);
	request = &f->captured[before];
	path = (struct ike_path){.local = request->path.remote, .remote = request->path.local};
	path.remote.port = 1234;
	fixture_inject(f->east, &path, request->bytes, request->len);
	answer = &f->captured[before + 1];
	assert_int_equal(f->captured_count, before + 2);
	assert_int_equal(answer->path.remote.port, 1234);
	/* No NAT was found, so the SA itself stays where it is. */
	ike_engine_terminate(f->east->engine, f->east_connection, false, 0);
	assert_int_equal(f->captured_count, before + 3);
	assert_int_equal(f->captured[before + 2].path.remote.port, 500);
	end(f);
}

/* ---- policies ------------------------------------------------------------------------------ */

static bool is_protected(const struct node *node, const char *local, const char *remote)
{
	struct traffic_selector l, r;
	struct ipsec_policy policy = {.reqid = 16388,
		.local_ts = &l,
		.local_ts_count = 1,
		.remote_ts = &r,
		.remote_ts_count = 1};

	traffic_selector_parse(local, &l);
	traffic_selector_parse(remote, &r);
	return node_has_policy(node, &policy);
}

static void come_up_with(struct fixture *f, const char *subnet)
{
	traffic_selector_parse(subnet, f->west_connection->local.selectors);
	come_up(f);
	ike_engine_terminate(f->west->engine, f->west_connection, true, 0);
	fixture_pass(f, 1000);
	assert_int_equal(count_established(f->east), 0);
}

static void what_an_earlier_narrowing_covered_stays_closed(void **state)
{
	struct side_config east = {.narrowing = true};
	struct fixture *f = fixture_new(&usual, &east, false);
	char subnet[32];

	(void)state;
	come_up_with(f, "10.1.0.0/25");
	come_up_with(f, "10.1.0.128/25");
	assert_true(is_protected(f->east, "10.2.0.0/24", "10.1.0.0/25"));
	assert_true(is_protected(f->east, "10.2.0.0/24", "10.1.0.128/25"));
	/* A peer that narrows ever otherwise holds no more than so many. */
	for (unsigned i = 0; i < 40; i++) {
		snprintf(subnet, sizeof(subnet), "10.1.0.%u/32", i);
		come_up_with(f, subnet);
		assert_true(f->east->policy_count <= 17);
	}
	assert_true(is_protected(f->east, "10.2.0.0/24", subnet));
	ike_engine_terminate(f->east->engine, f->east_connection, true, 0);
	fixture_pass(f, 1000);
	assert_false(is_protected(f->east, "10.2.0.0/24", subnet));
	check_clean_end(f->world, 60000);
	end(f);
}

/* ---- the wish ------------------------------------------------------------------------------ */

static struct ike_news news_of(const struct fixture *f, enum ike_news_kind kind)
{
	return (struct ike_news){
		.kind = kind,
		.local = f->west_connection->local.id,
		.remote = f->west_connection->remote.id,
		.connection_serial = f->west_connection->serial,
		.ike_serial = 1000000,
		.peer = f->east->address,
		.initiator = true,
	};
}

static void what_another_engine_took_over_and_lost_comes_back(void **state)
{
	struct side_config lasting = {.keying_tries = 3};
	struct fixture *f = fixture_new(&lasting, &usual, false);
	struct ike_news established = news_of(f, IKE_NEWS_ESTABLISHED),
			gone = news_of(f, IKE_NEWS_GONE);

	(void)state;
	come_up(f);
	ike_engine_news(f->west->engine, &gone);
	fixture_pass(f, 20000);
	assert_int_equal(fixture_counter(f->west, "total.ikev2.ike.established"), 1);
	ike_engine_news(f->west->engine, &established);
	fixture_pass(f, 100000);
	assert_int_equal(count_established(f->west), 0);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 0);
	ike_engine_news(f->west->engine, &gone);
	fixture_pass(f, 10000);
	assert_int_equal(count_established(f->west), 1);
	/* Not what the operator has taken down since. */
	ike_engine_news(f->west->engine, &established);
	fixture_pass(f, 20000);
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	ike_engine_news(f->west->engine, &gone);
	fixture_pass(f, 20000);
	assert_int_equal(count_established(f->west), 0);
	end(f);
}

static void who_does_not_want_a_lost_connection_tells_who_may(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	come_up(f);
	assert_int_equal(f->west->told[IKE_NEWS_GONE], 0);
	ike_engine_terminate(f->east->engine, f->east_connection, false, 0);
	fixture_pass(f, 2000);
	assert_int_equal(f->east->told[IKE_NEWS_GONE], 1);
	assert_int_equal(f->west->told[IKE_NEWS_GONE], 0); /* it revives */
	end(f);
}

/* ---- crossing ------------------------------------------------------------------------------ */

/* Messages overtake each other, also the Delete of the old IKE SA the answer to the other's
 * request; no message is lost, so that nothing needs the patience of a retransmission. */
static void of_ike_sas_rekeyed_by_both_ends_at_once_one_is_left_soon(void **state)
{
	struct side_config side = {.ike = "aes_gcm128-sha2_256;dh31"};
	struct fixture *f = fixture_new(&side, &side, false);

	(void)state;
	come_up(f);
	f->world->weather = (struct weather){.delay_min = 1, .delay_max = 60};
	for (unsigned i = 0; i < 200; i++) {
		node_rekey_watched(f->west, f->west_connection, IKE_SA);
		fixture_pass(f, i % 20);
		node_rekey_watched(f->east, f->east_connection, IKE_SA);
		fixture_pass(f, 6000); /* who was told of a Delete repeats its answer for 5 s */
		assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
		assert_int_equal(ike_engine_sa_count(f->east->engine), 1);
		assert_int_equal(count_established(f->west), 1);
		assert_int_equal(count_established(f->east), 1);
	}
	/* Both had a part in it, again and again. */
	assert_true(fixture_counter(f->west, "total.ikev2.ike.established") > 300);
	check_agreement(f->world, 0);
	check_clean_end(f->world, 60000);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_goes_to_where_its_request_came_from),
		cmocka_unit_test(what_an_earlier_narrowing_covered_stays_closed),
		cmocka_unit_test(what_another_engine_took_over_and_lost_comes_back),
		cmocka_unit_test(of_ike_sas_rekeyed_by_both_ends_at_once_one_is_left_soon),
		cmocka_unit_test(who_does_not_want_a_lost_connection_tells_who_may),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("lasting", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
