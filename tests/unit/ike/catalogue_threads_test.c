/* Two readers find connections and secrets while a writer adds, replaces and removes them. Run it
 * under ThreadSanitizer and AddressSanitizer too. */
#include "connection_maker.h"
#include "ike/catalogue.h"
#include "ike/secrets.h"
#include "rcu_list.h"

#include <urcu/urcu-qsbr.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FINDERS 2
#define ROUNDS  400u /* of the writer */
#define PEERS   64u  /* that are there always, but replaced all the time */
#define GUESTS  64u  /* that come and go */
#define LOCAL   "192.0.2.1"

static struct catalogue *catalogue;
static struct secret_vault *vault;
static struct proposal_list *proposals[2];
static struct identity *peer_ids[PEERS + GUESTS], *gateway;
static struct ip_address local;
static bool stop; /* atomic */

struct finder {
	pthread_t thread;
	unsigned faults, finds, guests;
};

static struct connection *peer(unsigned i, unsigned round)
{
	char name[16];
	struct connection *c;

	snprintf(name, sizeof(name), "c%u", i);
	c = connection_new(name);
	assert_non_null(c);
	c->oriented = true;
	c->local.host = local;
	c->local.id = identity_ref(gateway);
	c->remote.id = identity_ref(peer_ids[i]);
	/* Now here, now there: every second one changes hosts and proposals. */
	if (i % 2 == 0 && round % 2 == 0)
		c->remote.host = ip_v4(0xc6336400 + i);
	c->ike_proposals = proposal_list_ref(proposals[(i + round) % 2]);
	c->reqid = 16384 + i;
	return c;
}

static bool judge(const struct connection *c, void *arg)
{
	/* Reads what a freed connection would not have any more. */
	return c->ike_proposals->count == 1 && c->reqid >= 16384 && arg == NULL;
}

/* Is it what was asked for? */
static bool is_peer(struct connection *c, unsigned i)
{
	char name[16];
	bool ok;

	snprintf(name, sizeof(name), "c%u", i);
	ok = c != NULL && strcmp(c->name, name) == 0 && identity_equal(c->remote.id, peer_ids[i]);
	connection_unref(c);
	return ok;
}

static void find_peer(struct finder *r, unsigned i)
{
	struct ip_address remote = ip_v4(0xc6336400 + i);
	char name[16];

	snprintf(name, sizeof(name), "c%u", i);
	r->faults += !is_peer(catalogue_find_by_identity(catalogue, &local, &remote,
				      i & 2 ? gateway : NULL, peer_ids[i], judge, NULL),
		i);
	r->faults += !is_peer(catalogue_by_name(catalogue, name), i);
	r->faults += !is_peer(catalogue_by_reqid(catalogue, 16384 + i), i);
	struct connection *c = catalogue_find_by_hosts(catalogue, &local, &remote, judge, NULL);
	r->faults += c == NULL;
	connection_unref(c);
	r->finds += 4;
}

static void find_guest(struct finder *r, unsigned i)
{
	struct ip_address remote = ip_v4(0xc6336400 + i);
	struct connection *c = catalogue_find_by_identity(
		catalogue, &local, &remote, NULL, peer_ids[i], judge, NULL);

	if (c != NULL) {
		r->guests++;
		r->faults += !is_peer(c, i);
	}
}

/* A secret is 32 equal bytes, whichever it is. */
static void find_secret(struct finder *r, unsigned i)
{
	struct bytes psk;

	if (!secret_vault_find_psk(vault, gateway, peer_ids[i], &psk) || psk.len != 32) {
		r->faults++;
		return;
	}
	for (size_t at = 1; at < psk.len; at++)
		r->faults += psk.data[at] != psk.data[0];
}

static void *read_all(void *arg)
{
	struct finder *r = arg;

	urcu_qsbr_register_thread();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (unsigned i = 0; i < PEERS; i++) {
			find_peer(r, i);
			find_secret(r, i);
		}
		for (unsigned i = 0; i < GUESTS; i++)
			find_guest(r, PEERS + i);
		rcu_reader_done();
		urcu_qsbr_quiescent_state();
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void publish_secrets(unsigned round)
{
	struct secret_store *store = secret_store_new();
	uint8_t psk[32];

	assert_non_null(store);
	for (unsigned i = 0; i < PEERS; i++) {
		const struct identity *ids[] = {gateway, peer_ids[i]};

		memset(psk, (int)(round + i), sizeof(psk));
		assert_int_equal(
			secret_store_add_psk(store, ids, 2, bytes_of(psk, sizeof(psk))), 0);
	}
	secret_vault_replace(vault, store);
}

static void write_round(unsigned round)
{
	char name[16];

	for (unsigned i = 0; i < PEERS + GUESTS; i++) {
		struct connection *c = peer(i, round);
		int error;

		if (i < PEERS && round > 0) {
			error = catalogue_replace(catalogue, c);
		} else if (i < PEERS || round % 2 == 0) {
			error = catalogue_add(catalogue, c);
		} else {
			snprintf(name, sizeof(name), "c%u", i);
			error = catalogue_remove(catalogue, name);
		}
		assert_int_equal(error, 0);
		connection_unref(c);
	}
	if (round % 16 == 0)
		publish_secrets(round);
	urcu_qsbr_quiescent_state();
}

static void readers_see_whole_connections(void **state)
{
	struct finder finders[FINDERS] = {0};

	(void)state;
	write_round(0);
	for (unsigned i = 0; i < FINDERS; i++)
		assert_int_equal(
			pthread_create(&finders[i].thread, NULL, read_all, &finders[i]), 0);
	for (unsigned round = 1; round < ROUNDS; round++)
		write_round(round);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	urcu_qsbr_thread_offline();
	for (unsigned i = 0; i < FINDERS; i++)
		pthread_join(finders[i].thread, NULL);
	urcu_qsbr_thread_online();
	for (unsigned i = 0; i < FINDERS; i++) {
		assert_int_equal(finders[i].faults, 0);
		assert_true(finders[i].finds > 0);
		assert_true(finders[i].guests > 0);
	}
}

static void is_mine_alone(const uint32_t *references)
{
	assert_int_equal(__atomic_load_n(references, __ATOMIC_ACQUIRE), 1);
}

static void nothing_is_left(void **state)
{
	(void)state;
	catalogue_free(catalogue);
	secret_vault_free(vault);
	for (unsigned i = 0; i < PEERS + GUESTS; i++)
		is_mine_alone(&peer_ids[i]->references);
	is_mine_alone(&gateway->references);
	for (unsigned i = 0; i < 2; i++)
		is_mine_alone(&proposals[i]->references);
}

static int setup(void **state)
{
	(void)state;
	urcu_qsbr_register_thread();
	catalogue = catalogue_new();
	vault = secret_vault_new();
	local = make_address(LOCAL);
	gateway = make_identity("@gateway");
	for (unsigned i = 0; i < PEERS + GUESTS; i++) {
		char text[16];

		snprintf(text, sizeof(text), "@peer-%u", i);
		peer_ids[i] = make_identity(text);
	}
	proposals[0] = make_proposals(12);
	proposals[1] = make_proposals(20);
	return catalogue == NULL || vault == NULL;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEERS + GUESTS; i++)
		identity_unref(peer_ids[i]);
	identity_unref(gateway);
	proposal_list_unref(proposals[0]);
	proposal_list_unref(proposals[1]);
	urcu_qsbr_unregister_thread();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_whole_connections),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("catalogue_threads", tests, setup, teardown);
}
