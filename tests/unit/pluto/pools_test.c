/* The daemon's pools: one for equal ranges, none that overlap; and the file in which leases outlive
 * the process, whatever is in it. */
#include "pools.h"

#include "leases_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

#define POOL "10.5.0.10-10.5.0.20"

static char path[64];
static uint64_t now;
static struct catalogue *catalogue;

static uint64_t now_ms(void)
{
	return now;
}

static struct pools *open_pools(void)
{
	struct pools *pools = pools_new(catalogue, path, now_ms);

	assert_non_null(pools);
	return pools;
}

static struct address_pool *get(struct pools *pools, const char *range, char error[400])
{
	struct ip_range r;

	assert_true(ip_range_parse(range, &r));
	return pools_get(pools, "c", &r, 1, error, 400);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

static void read_file(char *out, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

static enum lease_kind take(struct address_pool *pool, const char *who, struct lease *out)
{
	char error[100];
	struct identity *id = identity_parse(who, error, sizeof(error));
	struct lease_asker asker = {.id = id, .connection = 1, .now_s = now / 1000};
	enum lease_kind kind = address_pool_take(pool, &asker, out);

	identity_unref(id);
	return kind;
}

static void add_connection(const char *name, struct address_pool *pool)
{
	struct connection *c = connection_new(name);
	char error[100];

	c->local.id = identity_parse("@us", error, sizeof(error));
	c->remote.id = identity_parse("%any", error, sizeof(error));
	c->ike_proposals = proposal_parse_ike(NULL, error, sizeof(error));
	c->child_proposals = proposal_parse_child(NULL, false, 2, error, sizeof(error));
	c->remote.pools[0] = address_pool_ref(pool);
	assert_int_equal(catalogue_add(catalogue, c), 0);
	connection_unref(c);
}

static void equal_ranges_are_one_pool_and_others_do_not_overlap(void **state)
{
	struct pools *pools = open_pools();
	char error[400];
	struct address_pool *a = get(pools, POOL, error), *b = get(pools, POOL, error), *c;

	(void)state;
	assert_ptr_equal(a, b);
	add_connection("other", a);
	assert_null(get(pools, "10.5.0.20-10.5.0.30", error));
	assert_string_equal(error, "it overlaps with addresspool " POOL " of another connection");
	c = get(pools, "10.5.0.21-10.5.0.30", error);
	assert_non_null(c);
	assert_ptr_not_equal(c, a);
	address_pool_unref(c);
	/* When no connection has it any more, it is not in the way. */
	catalogue_remove(catalogue, "other");
	c = get(pools, "10.5.0.0/24", error);
	assert_non_null(c);
	address_pool_unref(a);
	address_pool_unref(b);
	address_pool_unref(c);
	pools_free(pools);
	unlink(path);
}

static void what_nobody_needs_is_let_go(void **state)
{
	struct pools *pools = open_pools();
	char error[400];
	struct address_pool *a = get(pools, POOL, error);
	struct lease lease;

	(void)state;
	now = 1000;
	take(a, "@a", &lease);
	address_pool_unref(a);
	address_pool_return(&lease, 1);
	pools_tick(pools);
	assert_non_null(pools_at(pools, 0));
	now += (LEASE_LINGER_S + 1) * 1000ull;
	pools_tick(pools);
	assert_null(pools_at(pools, 0));
	assert_int_equal(pools_due(pools), UINT64_MAX);
	pools_free(pools);
	unlink(path);
}

static void leases_outlive_the_process(void **state)
{
	struct pools *pools = open_pools();
	struct lease lease, other;
	char error[400], text[400];
	struct address_pool *a = get(pools, POOL, error);

	(void)state;
	now = 100000000;
	take(a, "@a.test", &lease);
	take(a, "C=DE, O=b, CN=\"c\"", &other);
	address_pool_return(&other, now / 1000 - 500);
	/* Saved in the course of time ... */
	for (unsigned i = 0; i < 40; i++, now += 1000)
		pools_tick(pools);
	read_file(text, sizeof(text));
	assert_ptr_equal(strstr(text, "plutonium leases 1\npool " POOL "\n10.5.0.10 "), text);
	assert_non_null(strstr(text, " 2 612e74657374\n")); /* FQDN a.test */
	assert_string_equal(text + strlen(text) - 4, "end\n");
	/* ... and at the end. */
	unlink(path);
	address_pool_return(&lease, now / 1000);
	address_pool_unref(a);
	pools_free(pools);

	now = 5000; /* another clock */
	pools = open_pools();
	assert_true(pools_bytes(pools) > 0);
	/* What nobody has asked for yet is kept in the file. */
	a = get(pools, "10.9.0.0/24", error);
	take(a, "@c", &other);
	address_pool_return(&other, 5);
	address_pool_unref(a);
	pools_free(pools);
	pools = open_pools();
	a = get(pools, POOL, error);
	assert_int_equal(address_pool_stats(a).remembered, 2);
	assert_int_equal(take(a, "@A.TEST", &lease), LEASE_KEPT);
	assert_int_equal(lease.address.bytes[3], 10);
	address_pool_return(&lease, 5);
	address_pool_unref(a);
	pools_free(pools);
	unlink(path);
}

/* How many leases come of it. */
static uint64_t restored(const char *text)
{
	struct pools *pools;
	struct address_pool *a;
	char error[400];
	uint64_t count;

	write_file(text);
	pools = open_pools();
	a = get(pools, POOL, error);
	count = address_pool_stats(a).remembered;
	address_pool_unref(a);
	pools_free(pools);
	unlink(path);
	return count;
}

#define HEAD "plutonium leases 1\npool " POOL "\n"

static void a_bad_file_does_no_harm(void **state)
{
	(void)state;
	now = 1000000;
	assert_int_equal(restored(HEAD "10.5.0.10 1700000000 2 61\nend\n"), 1);
	assert_int_equal(restored(""), 0);
	assert_int_equal(restored("end\n"), 0);
	assert_int_equal(restored("plutonium leases 1\nend\n"), 0);
	assert_int_equal(restored("plutonium leases 2\npool " POOL "\n10.5.0.10 1 2 61\nend\n"), 0);
	assert_int_equal(restored(HEAD "10.5.0.10 1700000000 2 61\n"), 0); /* cut off */
	assert_int_equal(restored(HEAD "10.5.0.10 1700000000 2 61\nen"), 0);
	assert_int_equal(restored("pool " POOL "\n10.5.0.10 1 2 61\nend\n"), 0);
	assert_int_equal(restored("plutonium leases 1\n10.5.0.10 1 2 61\nend\n"), 0);
	/* Bad lines among good ones. */
	assert_int_equal(restored(HEAD "10.5.0.9 1 2 61\n10.5.0.10 1 2 6\n10.5.0.10 1 2 6g\n"
				       "10.5.0.10 1 13 61\n10.5.0.10 1 0 61\n10.5.0.10 1 999 61\n"
				       "10.5.0.10\n\nx\n10.5.0.11 1 2 62\n10.5.0.11 1 2 63\n"
				       "10.5.0.12 99999999999999999999999 2 64\nend\n"),
		1);
	assert_int_equal(
		restored("plutonium leases 1\npool 10.5.0.0/24\n10.5.0.10 1 2 61\nend\n"), 0);
}

static void any_cut_of_a_file_does_no_harm(void **state)
{
	static const char whole[] = HEAD "10.5.0.10 1700000000 2 61\n10.5.0.11 1 2 62\nend\n";
	char text[sizeof(whole)];

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		memcpy(text, whole, len);
		text[len] = '\0';
		assert_int_equal(restored(text), 0);
	}
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		memcpy(text, whole, sizeof(whole));
		text[i] ^= 1 << (i % 7);
		assert_true(restored(text) <= 2);
	}
}

static void a_directory_that_is_not_there_is_said(void **state)
{
	struct pools *pools = pools_new(catalogue, "/nonexistent/leases", now_ms);
	char error[400];
	struct address_pool *a = get(pools, POOL, error);
	struct lease lease;

	(void)state;
	take(a, "@a", &lease);
	address_pool_return(&lease, 0);
	for (unsigned i = 0; i < 40; i++, now += 1000)
		pools_tick(pools);
	address_pool_unref(a);
	pools_free(pools);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_ranges_are_one_pool_and_others_do_not_overlap),
		cmocka_unit_test(what_nobody_needs_is_let_go),
		cmocka_unit_test(leases_outlive_the_process),
		cmocka_unit_test(a_bad_file_does_no_harm),
		cmocka_unit_test(any_cut_of_a_file_does_no_harm),
		cmocka_unit_test(a_directory_that_is_not_there_is_said),
	};
	int failed;

	snprintf(path, sizeof(path), "/tmp/pools_test.%ld", (long)getpid());
	urcu_qsbr_register_thread();
	catalogue = catalogue_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	catalogue_free(catalogue);
	urcu_qsbr_unregister_thread();
	return failed;
}
