/* Leases of address pools: who gets which address. */
#include "ike/address_pool.h"

#include <urcu/urcu-qsbr.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct ip_address peer = {.family = AF_INET, .bytes = {192, 0, 2, 9}};

static struct address_pool *pool_of(const char *a, const char *b, char error[200])
{
	struct ip_range ranges[2];

	assert_true(ip_range_parse(a, &ranges[0]));
	assert_true(!b || ip_range_parse(b, &ranges[1]));
	return address_pool_new(ranges, b ? 2 : 1, error, 200);
}

static struct address_pool *pool(const char *range)
{
	char error[200];
	struct address_pool *p = pool_of(range, NULL, error);

	assert_non_null(p);
	return p;
}

static struct identity *identity(unsigned i)
{
	char text[32], error[100];

	snprintf(text, sizeof(text), "@client%u.test", i);
	return identity_parse(text, error, sizeof(error));
}

struct asking {
	unsigned who; /* 0: nobody in particular */
	bool share;
	uint64_t connection, now_s;
};

static enum lease_kind take(struct address_pool *p, struct asking a, struct lease *out)
{
	struct identity *id = a.who ? identity(a.who) : NULL;
	struct lease_asker asker = {.id = id,
		.share = a.share,
		.connection = a.connection,
		.instance = 7,
		.peer = &peer,
		.now_s = a.now_s};
	enum lease_kind kind = address_pool_take(p, &asker, out);

	identity_unref(id);
	return kind;
}

static void assert_address(const struct lease *lease, const char *expected)
{
	char text[IP_TEXT_MAX];

	assert_string_equal(ip_text(&lease->address, text), expected);
}

static void sweep(struct address_pool *p, uint64_t now_s)
{
	while (!address_pool_sweep(p, now_s, 8))
		;
	urcu_qsbr_barrier();
}

static void addresses_are_lent_from_the_first_on_and_then_no_more(void **state)
{
	struct address_pool *p = pool("10.5.0.254-10.5.1.1");
	static const char *const expected[] = {"10.5.0.254", "10.5.0.255", "10.5.1.0", "10.5.1.1"};
	struct lease leases[5];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(take(p, (struct asking){.who = i + 1}, &leases[i]), LEASE_FRESH);
		assert_address(&leases[i], expected[i]);
	}
	assert_int_equal(take(p, (struct asking){.who = 9}, &leases[4]), LEASE_NONE);
	assert_null(leases[4].pool);
	assert_int_equal(take(p, (struct asking){0}, &leases[4]), LEASE_NONE);
	assert_int_equal(address_pool_stats(p).in_use, 4);
	for (unsigned i = 0; i < 5; i++)
		address_pool_return(&leases[i], 0);
	assert_int_equal(address_pool_stats(p).in_use, 0);
	address_pool_unref(p);
}

static void an_identity_gets_its_address_again(void **state)
{
	struct address_pool *p = pool("10.5.0.0/24");
	struct lease a, b, other;

	(void)state;
	take(p, (struct asking){.who = 1}, &a);
	take(p, (struct asking){.who = 2}, &b);
	address_pool_return(&a, 10);
	assert_int_equal(take(p, (struct asking){.who = 3}, &other), LEASE_FRESH);
	assert_address(&other, "10.5.0.2");
	assert_int_equal(take(p, (struct asking){.who = 1}, &a), LEASE_KEPT);
	assert_address(&a, "10.5.0.0");
	address_pool_return(&a, 0);
	address_pool_return(&b, 0);
	address_pool_return(&other, 0);
	address_pool_unref(p);
}

static void the_old_and_the_new_sa_of_a_client_share_its_address(void **state)
{
	struct address_pool *p = pool("10.5.0.0/24");
	struct asking asking = {.who = 1, .share = true, .connection = 5};
	struct lease old, fresh, others;

	(void)state;
	take(p, asking, &old);
	assert_int_equal(take(p, asking, &fresh), LEASE_SHARED);
	assert_true(ip_equal(&old.address, &fresh.address));
	/* By another connection nobody makes way. */
	asking.connection = 6;
	assert_int_equal(take(p, asking, &others), LEASE_FRESH);
	assert_false(ip_equal(&old.address, &others.address));
	address_pool_return(&others, 0);
	address_pool_return(&old, 0);
	assert_int_equal(address_pool_stats(p).in_use, 1);
	asking.connection = 5;
	assert_int_equal(take(p, asking, &old), LEASE_SHARED);
	address_pool_return(&old, 0);
	address_pool_return(&fresh, 0);
	assert_int_equal(address_pool_stats(p).in_use, 0);
	address_pool_unref(p);
}

static void an_address_in_use_is_not_shared_unasked(void **state)
{
	struct address_pool *p = pool("10.5.0.0/24");
	struct asking asking = {.who = 1, .connection = 5};
	struct lease a, b;

	(void)state;
	take(p, asking, &a);
	assert_int_equal(take(p, asking, &b), LEASE_FRESH);
	assert_false(ip_equal(&a.address, &b.address));
	address_pool_return(&b, 0);
	address_pool_return(&a, 0);
	/* The one that is remembered is the first one's. */
	assert_int_equal(take(p, asking, &a), LEASE_KEPT);
	assert_address(&a, "10.5.0.0");
	address_pool_return(&a, 0);
	address_pool_unref(p);
}

static void nobody_gets_the_same_on_purpose(void **state)
{
	struct address_pool *p = pool("10.5.0.0/24");
	struct lease a;

	(void)state;
	take(p, (struct asking){0}, &a);
	address_pool_return(&a, 0);
	assert_int_equal(address_pool_stats(p).remembered, 0);
	/* It was given back for anybody: no new one is needed. */
	assert_int_equal(take(p, (struct asking){.who = 1}, &a), LEASE_FRESH);
	assert_address(&a, "10.5.0.0");
	address_pool_return(&a, 0);
	address_pool_unref(p);
}

static void the_longest_returned_goes_to_others_when_nothing_else_is_left(void **state)
{
	struct address_pool *p = pool("10.5.0.0-10.5.0.2");
	struct lease a, b, c, d;

	(void)state;
	take(p, (struct asking){.who = 1}, &a);
	take(p, (struct asking){.who = 2}, &b);
	take(p, (struct asking){.who = 3}, &c);
	address_pool_return(&b, 10000);
	address_pool_return(&a, 20000);
	/* Comes and goes once more, so that it is not the oldest any more. */
	assert_int_equal(take(p, (struct asking){.who = 2, .now_s = 20000}, &b), LEASE_KEPT);
	address_pool_return(&b, 30000);
	assert_int_equal(take(p, (struct asking){.who = 4, .now_s = 40000}, &d), LEASE_STOLEN);
	assert_address(&d, "10.5.0.0");
	assert_int_equal(take(p, (struct asking){.who = 2, .now_s = 40000}, &b), LEASE_KEPT);
	/* Its own has gone, and there is no other. */
	assert_int_equal(take(p, (struct asking){.who = 1, .now_s = 40000}, &a), LEASE_NONE);
	address_pool_return(&b, 40000);
	assert_int_equal(take(p, (struct asking){.who = 1, .now_s = 40000}, &a), LEASE_STOLEN);
	assert_address(&a, "10.5.0.1");
	address_pool_return(&a, 40000);
	assert_int_equal(take(p, (struct asking){.who = 1, .now_s = 40000}, &a), LEASE_KEPT);
	address_pool_return(&a, 40000);
	address_pool_return(&c, 40000);
	address_pool_return(&d, 40000);
	address_pool_unref(p);
}

static void what_lingers_is_forgotten_after_a_while(void **state)
{
	struct address_pool *p = pool("10.5.0.0/24");
	struct lease leases[3], again;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		take(p, (struct asking){.who = i + 1}, &leases[i]);
	address_pool_return(&leases[0], 100);
	address_pool_return(&leases[1], 50000);
	sweep(p, 100 + LEASE_LINGER_S - 1);
	assert_int_equal(address_pool_stats(p).remembered, 3);
	sweep(p, 100 + LEASE_LINGER_S);
	assert_int_equal(address_pool_stats(p).remembered, 2);
	/* Later its address is there for others again, before new ones are taken. */
	sweep(p, 100 + LEASE_LINGER_S + 3600);
	assert_int_equal(
		take(p, (struct asking){.who = 9, .now_s = 100 + LEASE_LINGER_S + 3600}, &again),
		LEASE_FRESH);
	assert_address(&again, "10.5.0.0");
	assert_int_equal(
		take(p, (struct asking){.who = 2, .now_s = 100000}, &leases[1]), LEASE_KEPT);
	address_pool_return(&again, 200000);
	address_pool_return(&leases[1], 200000);
	address_pool_return(&leases[2], 200000);
	sweep(p, 400000);
	assert_int_equal(address_pool_stats(p).remembered, 0);
	address_pool_unref(p);
}

static void identities_without_a_lease_are_swept(void **state)
{
	struct address_pool *p = pool("10.5.0.0-10.5.0.0");
	struct lease a;

	(void)state;
	for (unsigned i = 1; i <= 500; i++) {
		assert_int_not_equal(
			take(p, (struct asking){.who = i, .now_s = 5000}, &a), LEASE_NONE);
		address_pool_return(&a, 5000);
	}
	assert_int_equal(address_pool_stats(p).remembered, 500);
	sweep(p, 5000);
	assert_int_equal(address_pool_stats(p).remembered, 1);
	/* However many come between two sweeps, the memory is bounded. */
	for (unsigned i = 1; i <= 5000; i++) {
		take(p, (struct asking){.who = i, .now_s = 5000}, &a);
		address_pool_return(&a, 5000);
	}
	assert_true(address_pool_stats(p).remembered < 1100);
	assert_int_equal(address_pool_stats(p).leases, 1);
	address_pool_unref(p);
}

static void several_ranges_are_one_pool(void **state)
{
	char error[200], text[POOL_TEXT_MAX];
	struct address_pool *p = pool_of("10.6.0.8-10.6.0.9", "10.5.0.0/31", error),
			    *joined = pool_of("10.5.0.2/31", "10.5.0.0/31", error),
			    *same = pool("10.5.0.0/30"), *inside = pool("10.5.0.3-10.5.0.3");
	struct lease leases[4];

	(void)state;
	assert_string_equal(address_pool_text(p, text), "10.5.0.0-10.5.0.1,10.6.0.8-10.6.0.9");
	assert_true(address_pool_same(joined, same));
	assert_false(address_pool_same(p, same));
	assert_true(address_pool_overlaps(p, same));
	assert_true(address_pool_overlaps(same, inside));
	assert_false(address_pool_overlaps(p, inside));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(take(p, (struct asking){0}, &leases[i]), LEASE_FRESH);
	assert_address(&leases[2], "10.6.0.8");
	for (unsigned i = 0; i < 4; i++)
		address_pool_return(&leases[i], 0);
	address_pool_unref(p);
	address_pool_unref(joined);
	address_pool_unref(same);
	address_pool_unref(inside);
}

static void bad_ranges_are_refused_in_words(void **state)
{
	char error[200];

	(void)state;
	assert_null(pool_of("10.5.0.0/24", "10.5.0.9-10.5.1.0", error));
	assert_string_equal(error, "10.5.0.0/24 and 10.5.0.9-10.5.1.0 overlap");
	assert_null(pool_of("10.5.0.0/24", "2001:db8::/64", error));
	assert_string_equal(error, "10.5.0.0/24 and 2001:db8::/64 are not of one address family");
	assert_null(pool_of("0.0.0.0-0.0.0.9", NULL, error));
	assert_string_equal(error, "0.0.0.0-0.0.0.9 begins at the address zero");
}

static void a_huge_pool_costs_what_is_used(void **state)
{
	struct address_pool *p = pool("2001:db8::/64");
	size_t empty = address_pool_stats(p).bytes;
	struct lease a, b;

	(void)state;
	assert_int_equal(address_pool_stats(p).size, POOL_SIZE_MAX);
	assert_int_equal(take(p, (struct asking){.who = 1}, &a), LEASE_FRESH);
	assert_address(&a, "2001:db8::");
	assert_int_equal(take(p, (struct asking){.who = 2}, &b), LEASE_FRESH);
	assert_address(&b, "2001:db8::1");
	assert_true(address_pool_stats(p).bytes - empty < 400);
	address_pool_return(&a, 0);
	address_pool_return(&b, 0);
	address_pool_unref(p);
}

static void views_tell_who_has_what(void **state)
{
	struct address_pool *p = pool("2001:db8::10-2001:db8::20");
	struct lease a, b, c;
	struct lease_view view;
	char text[IDENTITY_TEXT_MAX];
	uint64_t at = 0;

	(void)state;
	take(p, (struct asking){.who = 1, .connection = 3}, &a);
	take(p, (struct asking){0}, &b);
	take(p, (struct asking){.who = 2, .connection = 4}, &c);
	address_pool_return(&b, 5);
	address_pool_return(&c, 6);
	assert_true(address_pool_next(p, &at, 10, &view));
	assert_string_equal(identity_text(view.id, text), "@client1.test");
	assert_int_equal(view.holders, 1);
	assert_int_equal(view.connection, 3);
	assert_int_equal(view.instance, 7);
	assert_true(ip_equal(&view.peer, &peer));
	assert_true(address_pool_next(p, &at, 10, &view));
	assert_int_equal(view.holders, 0);
	assert_int_equal(view.returned_s, 6);
	assert_true(ip_equal(&view.address, &(struct ip_address){.family = AF_INET6,
						    .bytes = {0x20, 1, 0xd, 0xb8, [15] = 0x12}}));
	assert_false(address_pool_next(p, &at, 10, &view));
	assert_true(address_pool_at_end(p, at));
	address_pool_return(&a, 0);
	address_pool_unref(p);
}

static bool restore(struct address_pool *p, const char *address, unsigned who, uint64_t returned_s)
{
	struct identity *id = identity(who);
	struct ip_address a;
	bool ok;

	assert_true(ip_parse(address, &a));
	ok = address_pool_restore(p, &a, id, returned_s);
	identity_unref(id);
	return ok;
}

static void what_an_earlier_process_lent_is_remembered(void **state)
{
	struct address_pool *p = pool("10.0.0.0/8");
	struct lease a;

	(void)state;
	assert_true(restore(p, "10.0.0.3", 1, 100));
	assert_true(restore(p, "10.0.0.5", 2, 90));
	assert_false(restore(p, "10.0.0.4", 3, 90)); /* out of order */
	assert_false(restore(p, "10.0.0.9", 2, 90)); /* has one */
	assert_false(restore(p, "11.0.0.9", 3, 90)); /* not ours */
	assert_false(restore(p, "10.9.0.9", 3, 90)); /* too far out */
	assert_int_equal(take(p, (struct asking){.who = 2, .now_s = 200}, &a), LEASE_KEPT);
	assert_address(&a, "10.0.0.5");
	address_pool_return(&a, 200);
	/* What lies between is free. */
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(
			take(p, (struct asking){.who = 10 + i, .now_s = 200}, &a), LEASE_FRESH);
		assert_int_not_equal(a.address.bytes[3], 3);
		assert_int_not_equal(a.address.bytes[3], 5);
		assert_true(a.address.bytes[3] < 5);
		address_pool_return(&a, 200);
	}
	sweep(p, 300 + LEASE_LINGER_S);
	assert_int_equal(address_pool_stats(p).remembered, 0);
	address_pool_unref(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_lent_from_the_first_on_and_then_no_more),
		cmocka_unit_test(an_identity_gets_its_address_again),
		cmocka_unit_test(the_old_and_the_new_sa_of_a_client_share_its_address),
		cmocka_unit_test(an_address_in_use_is_not_shared_unasked),
		cmocka_unit_test(nobody_gets_the_same_on_purpose),
		cmocka_unit_test(the_longest_returned_goes_to_others_when_nothing_else_is_left),
		cmocka_unit_test(what_lingers_is_forgotten_after_a_while),
		cmocka_unit_test(identities_without_a_lease_are_swept),
		cmocka_unit_test(several_ranges_are_one_pool),
		cmocka_unit_test(bad_ranges_are_refused_in_words),
		cmocka_unit_test(a_huge_pool_costs_what_is_used),
		cmocka_unit_test(views_tell_who_has_what),
		cmocka_unit_test(what_an_earlier_process_lent_is_remembered),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
