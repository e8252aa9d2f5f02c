/* What changes and finds cost in a big catalogue, counted in the objects that they touch (members
 * of hash chains, of groups, judged ones): its sources are compiled with this counter. */
#include "catalogue_index.h"
#include "connection_maker.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define CONNECTIONS 100000u
#define LOCAL       "192.0.2.1"
/* Chains of a hash table are of random length: one member each on the average, and hardly ever ten.
 */
#define FIND_MEAN_MAX 12
#define FIND_MAX      80
#define ADD_MEAN_MAX  20
#define ADD_MAX       100

static struct catalogue *catalogue;
static struct proposal_list *proposals;
static struct identity *gateway;
static unsigned judged;

static bool judge_yes(const struct connection *c, void *arg)
{
	(void)c;
	(void)arg;
	judged++;
	return true;
}

static bool judge_no(const struct connection *c, void *arg)
{
	(void)c;
	(void)arg;
	judged++;
	return false;
}

static struct identity *peer_identity(unsigned i)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "peer-%u.example.org", i);

	return identity_new(ID_FQDN, bytes_of(text, (size_t)len));
}

/* Templates of one pair of hosts: (local, %any). */
static struct connection *peer_connection(unsigned i)
{
	char name[16];
	struct connection *c;

	snprintf(name, sizeof(name), "c%u", i);
	c = connection_new(name);
	assert_non_null(c);
	c->oriented = true;
	c->local.host = make_address(LOCAL);
	c->local.id = identity_ref(gateway);
	c->remote.id = peer_identity(i);
	c->ike_proposals = proposal_list_ref(proposals);
	c->reqid = 16384 + i;
	return c;
}

struct cost {
	uint64_t sum, most;
	unsigned count;
};

static void cost_add(struct cost *cost, uint64_t visited)
{
	cost->sum += visited;
	cost->count++;
	if (visited > cost->most)
		cost->most = visited;
}

static struct cost cost_of_adding(unsigned from, unsigned to)
{
	struct cost cost = {0};

	for (unsigned i = from; i < to; i++) {
		struct connection *c = peer_connection(i);

		visits = 0;
		assert_int_equal(catalogue_add(catalogue, c), 0);
		cost_add(&cost, visits);
		connection_unref(c);
	}
	return cost;
}

/* Only this one peer must come before the judge. */
static uint64_t cost_of_finding(unsigned i, catalogue_judge *judge, bool with_our_id)
{
	struct ip_address local = make_address(LOCAL), remote = make_address("198.51.100.7");
	struct identity *id = peer_identity(i);
	struct connection *c;
	char name[16];

	judged = 0;
	visits = 0;
	c = catalogue_find_by_identity(
		catalogue, &local, &remote, with_our_id ? gateway : NULL, id, judge, NULL);
	snprintf(name, sizeof(name), "c%u", i);
	assert_int_equal(judged, 1);
	if (judge == judge_yes) {
		assert_non_null(c);
		assert_string_equal(c->name, name);
	} else {
		assert_null(c);
	}
	connection_unref(c);
	identity_unref(id);
	return visits;
}

static struct cost cost_of_finds(unsigned count)
{
	struct cost cost = {0};

	for (unsigned i = 0; i < count; i += count / 100)
		for (unsigned form = 0; form < 4; form++)
			cost_add(&cost,
				cost_of_finding(i, form & 1 ? judge_yes : judge_no, form & 2));
	return cost;
}

static void is_below(const char *what, struct cost cost, uint64_t mean, uint64_t most)
{
	print_message("# %s: %.1f objects on the average, %u at most\n", what,
		(double)cost.sum / cost.count, (unsigned)cost.most);
	assert_in_range(cost.sum / cost.count, 1, mean);
	assert_in_range(cost.most, 1, most);
}

static void as_cheap_as_in_a_small_one(void **state)
{
	(void)state;
	is_below("add to < 100", cost_of_adding(0, 100), ADD_MEAN_MAX, ADD_MAX);
	is_below("find in 100", cost_of_finds(100), FIND_MEAN_MAX, FIND_MAX);
	cost_of_adding(100, CONNECTIONS - 1000);
	is_below("add to 100000", cost_of_adding(CONNECTIONS - 1000, CONNECTIONS), ADD_MEAN_MAX,
		ADD_MAX);
	is_below("find in 100000", cost_of_finds(CONNECTIONS), FIND_MEAN_MAX, FIND_MAX);
	assert_int_equal(catalogue_count(catalogue), CONNECTIONS);
}

static void hosts_are_judged_once(void **state)
{
	struct ip_address local = make_address(LOCAL), remote = make_address("198.51.100.7");
	struct connection *c;

	(void)state;
	judged = 0;
	visits = 0;
	c = catalogue_find_by_hosts(catalogue, &local, &remote, judge_no, NULL);
	assert_null(c);
	assert_int_equal(judged, 1);
	assert_in_range(visits, 1, FIND_MAX);
}

static void unknown_peers(void **state)
{
	struct ip_address local = make_address(LOCAL), remote = make_address("198.51.100.7");
	struct identity *id = peer_identity(CONNECTIONS);

	(void)state;
	judged = 0;
	visits = 0;
	assert_null(catalogue_find_by_identity(
		catalogue, &local, &remote, gateway, id, judge_yes, NULL));
	assert_int_equal(judged, 0);
	assert_in_range(visits, 0, FIND_MAX);
	identity_unref(id);
}

static void names_and_reqids(void **state)
{
	struct connection *c;

	(void)state;
	visits = 0;
	c = catalogue_by_name(catalogue, "c77777");
	assert_non_null(c);
	connection_unref(c);
	c = catalogue_by_reqid(catalogue, 16384 + 4711);
	assert_non_null(c);
	assert_string_equal(c->name, "c4711");
	connection_unref(c);
	assert_in_range(visits, 2, FIND_MAX);
}

static void replacing_and_removing(void **state)
{
	struct cost cost = {0};

	(void)state;
	for (unsigned i = 0; i < CONNECTIONS; i += 2) {
		struct connection *c = peer_connection(i);
		char name[16];

		snprintf(name, sizeof(name), "c%u", i + 1);
		visits = 0;
		assert_int_equal(catalogue_replace(catalogue, c), 0);
		assert_int_equal(catalogue_remove(catalogue, name), 0);
		cost_add(&cost, visits);
		connection_unref(c);
		urcu_qsbr_quiescent_state();
	}
	is_below("replace one, remove one", cost, 2 * ADD_MEAN_MAX, 2 * ADD_MAX);
	assert_int_equal(catalogue_count(catalogue), CONNECTIONS / 2);
	assert_in_range(cost_of_finding(CONNECTIONS - 2, judge_yes, true), 1, FIND_MAX);
}

static int setup(void **state)
{
	(void)state;
	urcu_qsbr_register_thread();
	catalogue = catalogue_new();
	proposals = make_proposals(20);
	gateway = make_identity("@gateway.example.org");
	return catalogue == NULL;
}

static int teardown(void **state)
{
	(void)state;
	catalogue_free(catalogue);
	proposal_list_unref(proposals);
	identity_unref(gateway);
	urcu_qsbr_unregister_thread();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_cheap_as_in_a_small_one),
		cmocka_unit_test(hosts_are_judged_once),
		cmocka_unit_test(unknown_peers),
		cmocka_unit_test(names_and_reqids),
		cmocka_unit_test(replacing_and_removing),
	};
	return cmocka_run_group_tests_name("catalogue_cost", tests, setup, teardown);
}
