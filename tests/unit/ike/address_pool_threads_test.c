/* Several threads take and return leases of one pool while a keeper sweeps it: no address is two
 * clients' at one time, none is lost, and who comes again gets the same. Run it under
 * ThreadSanitizer and AddressSanitizer too. */
#include "ike/address_pool.h"
#include "rcu_list.h"

#include <urcu/urcu-qsbr.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define THREADS    4u
#define ROUNDS     4000u
#define HELD       16u /* by a thread at one time */
#define IDENTITIES 200u

static struct address_pool *pool;
static struct identity *ids[IDENTITIES];
static uint32_t owner[1024]; /* atomic, by the last byte(s) of the address: who has it, + 1 */
static uint32_t holders[1024];
static uint64_t now_s; /* atomic */
static bool stop;      /* atomic */
static unsigned views; /* atomic: leases that the keeper has seen */

struct holding {
	struct lease lease;
	unsigned who;
};

struct worker {
	pthread_t thread;
	unsigned number, faults, taken, none;
	uint64_t random;
	struct holding held[HELD];
};

static unsigned below(struct worker *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

static unsigned place(const struct lease *lease)
{
	return (lease->address.bytes[2] * 256u + lease->address.bytes[3]) % 1024;
}

/* An address is one identity's as long as anybody holds it. */
static void note_taken(struct worker *w, const struct holding *h)
{
	uint32_t *who = &owner[place(&h->lease)], before = 0;

	__atomic_add_fetch(&holders[place(&h->lease)], 1, __ATOMIC_SEQ_CST);
	if (!__atomic_compare_exchange_n(
		    who, &before, h->who + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		w->faults += before != h->who + 1;
}

/* Before it is given back. While two share it the test cannot tell who is the last, so identities
 * that share belong to one thread. */
static void note_returned(struct holding *h)
{
	if (__atomic_sub_fetch(&holders[place(&h->lease)], 1, __ATOMIC_SEQ_CST) == 0)
		__atomic_store_n(&owner[place(&h->lease)], 0, __ATOMIC_SEQ_CST);
}

static void give_back(struct holding *h)
{
	note_returned(h);
	address_pool_return(&h->lease, __atomic_load_n(&now_s, __ATOMIC_RELAXED));
}

static void take(struct worker *w, struct holding *h)
{
	bool own = below(w, 2);
	struct lease_asker asker = {.share = own,
		.connection = 1,
		.peer = &(struct ip_address){.family = AF_INET, .bytes = {1, 2, 3, 4}},
		.now_s = __atomic_load_n(&now_s, __ATOMIC_RELAXED)};

	/* Identities that all threads use are not shared: then each has an address of its own. */
	h->who = own ? w->number + THREADS * below(w, IDENTITIES / 2 / THREADS)
		     : IDENTITIES / 2 + below(w, IDENTITIES / 2);
	asker.id = ids[h->who];
	if (address_pool_take(pool, &asker, &h->lease) == LEASE_NONE) {
		w->none++;
		return;
	}
	w->taken++;
	/* Two clients of one identity that do not share must not meet either. */
	if (!own)
		h->who = IDENTITIES + w->number * HELD + (unsigned)(h - w->held);
	note_taken(w, h);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	urcu_qsbr_register_thread();
	/* Longer, if the keeper has not had its turn yet. */
	for (unsigned i = 0;
		i < ROUNDS || (i < 1000 * ROUNDS && !__atomic_load_n(&views, __ATOMIC_RELAXED));
		i++) {
		struct holding *h = &w->held[below(w, HELD)];

		if (h->lease.pool)
			give_back(h);
		else
			take(w, h);
		rcu_reader_done();
		urcu_qsbr_quiescent_state();
	}
	for (unsigned i = 0; i < HELD; i++)
		if (w->held[i].lease.pool)
			give_back(&w->held[i]);
	rcu_reader_done();
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void look(void)
{
	struct lease_view view;
	char text[IDENTITY_TEXT_MAX];
	uint64_t at = 0;

	while (!address_pool_at_end(pool, at)) {
		if (!address_pool_next(pool, &at, 32, &view))
			continue;
		__atomic_add_fetch(&views, view.id ? strlen(identity_text(view.id, text)) > 0 : 1,
			__ATOMIC_RELAXED);
	}
}

static void *keep(void *arg)
{
	(void)arg;
	urcu_qsbr_register_thread();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		/* Hours pass quickly, so that leases are forgotten all the time. */
		uint64_t now = __atomic_add_fetch(&now_s, 3000, __ATOMIC_RELAXED);

		address_pool_sweep(pool, now, 100);
		look();
		rcu_reader_done();
		urcu_qsbr_quiescent_state();
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void run(const char *range)
{
	static struct worker workers[THREADS];
	struct ip_range r;
	char error[200];
	pthread_t keeper;
	unsigned taken = 0;

	assert_true(ip_range_parse(range, &r));
	pool = address_pool_new(&r, 1, error, sizeof(error));
	assert_non_null(pool);
	memset(workers, 0, sizeof(workers));
	stop = false;
	views = 0;
	urcu_qsbr_thread_offline();
	pthread_create(&keeper, NULL, keep, NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].number = i;
		workers[i].random = i + 1;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(keeper, NULL);
	urcu_qsbr_thread_online();
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(workers[i].faults, 0);
		taken += workers[i].taken;
	}
	assert_true(taken > ROUNDS / 4);
	assert_true(views > 0);
	assert_int_equal(address_pool_stats(pool).in_use, 0);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(holders[i], 0);
}

/* All is there again, once. */
static void check_all_are_free(unsigned size)
{
	static struct lease leases[1024];
	bool seen[1024] = {false};
	struct lease_asker asker = {.now_s = now_s};

	for (unsigned i = 0; i < size; i++) {
		assert_int_not_equal(address_pool_take(pool, &asker, &leases[i]), LEASE_NONE);
		assert_false(seen[place(&leases[i])]);
		seen[place(&leases[i])] = true;
	}
	for (unsigned i = 0; i < size; i++)
		address_pool_return(&leases[i], now_s);
	address_pool_unref(pool);
	urcu_qsbr_barrier();
}

static void a_pool_with_room_for_all(void **state)
{
	(void)state;
	run("10.5.0.0/22");
	check_all_are_free(1024);
}

/* Fewer addresses than holders: leases are taken from identities that have gone. */
static void a_pool_that_is_too_small(void **state)
{
	(void)state;
	run("10.5.0.0-10.5.0.39");
	check_all_are_free(40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_with_room_for_all),
		cmocka_unit_test(a_pool_that_is_too_small),
	};
	char text[32], error[100];
	int failed;

	urcu_qsbr_register_thread();
	for (unsigned i = 0; i < IDENTITIES; i++) {
		snprintf(text, sizeof(text), "@client%u.test", i);
		ids[i] = identity_parse(text, error, sizeof(error));
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (unsigned i = 0; i < IDENTITIES; i++)
		identity_unref(ids[i]);
	urcu_qsbr_unregister_thread();
	return failed;
}
