/* Address pools: clients ask for addresses of a server through loss, rekeying, reauthentication and
 * returns. No address is two clients' at one time, each client finds its own again, and all are
 * given back at the end. */
#include "fixture.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

#define CLIENTS 200
#define PART    (CLIENTS / 2) /* of a node */

static struct address_pool *pool;
static struct node *server, *nodes[2];
static struct connection *clients[CLIENTS], *serving;
static struct ip_address first_address[CLIENTS];

static struct address_pool *pool_of(const char *text)
{
	struct ip_range range;
	char error[200];

	assert_true(ip_range_parse(text, &range));
	return address_pool_new(&range, 1, error, sizeof(error));
}

static void set_secret(struct node *node)
{
	struct secret_store *store = secret_store_new();
	const char *secret = "a preshared key of good length";

	secret_store_add_psk(store, NULL, 0, bytes_of(secret, strlen(secret)));
	secret_vault_replace(node->vault, store);
}

static void set_selector(struct connection_end *end, const char *subnet)
{
	end->selectors = calloc(1, sizeof(*end->selectors));
	assert_true(traffic_selector_parse(subnet, end->selectors));
	end->selector_count = 1;
}

static struct connection *connection_of(
	struct world *world, const char *name, struct node *me, const char *my_id)
{
	struct connection *c = world_connection(world, name);
	char error[200];

	c->local.host = me->address;
	c->local.id = identity_parse(my_id, error, sizeof(error));
	c->ike_proposals = proposal_parse_ike("aes_gcm128-sha2_256;dh31", error, sizeof(error));
	c->child_proposals = proposal_parse_child("aes_gcm128", false, 2, error, sizeof(error));
	c->rekey_margin_s = 540;
	c->pfs = true;
	return c;
}

static struct connection *client_of(struct world *world, unsigned i, struct node *me)
{
	struct connection *c;
	char name[32], error[200];

	snprintf(name, sizeof(name), "@client%u", i);
	c = connection_of(world, name + 1, me, name);
	c->remote.host = server->address;
	c->remote.id = identity_parse("@server", error, sizeof(error));
	c->local.modecfg_client = true;
	set_selector(&c->remote, "10.2.0.0/16");
	c->reauth = i % 5 == 0;
	if (i % 3 == 0) {
		c->ike_life_s = 120 + i;
		c->child_life_s = 100 + i;
		c->rekey_margin_s = 20;
	}
	catalogue_add(me->catalogue, c);
	return c;
}

static struct connection *server_of(struct world *world, const char *id)
{
	struct connection *c = connection_of(world, "server", server, "@server");
	char error[200];

	c->remote.id = identity_parse(id, error, sizeof(error));
	c->remote.pools[0] = address_pool_ref(pool);
	c->narrowing = true;
	set_selector(&c->local, "10.2.0.0/16");
	catalogue_add(server->catalogue, c);
	return c;
}

/* Does a client have another address than it had at first? */
static void check_sticky(struct world *world)
{
	char id[IDENTITY_TEXT_MAX];
	struct ike_sa_view view;
	struct ike_walk walk;

	ike_walk_start(server->engine, &walk);
	while (ike_walk_next(&walk, &view)) {
		unsigned i;

		if (ip_is_unset(&view.lent[0]) || !view.remote_id)
			continue;
		identity_text(view.remote_id, id);
		i = (unsigned)strtoul(id + strlen("@client"), NULL, 10) % CLIENTS;
		if (ip_is_unset(&first_address[i]))
			first_address[i] = view.lent[0];
		else if (!ip_equal(&first_address[i], &view.lent[0]))
			world_fail(world, "client %u has got another address", i);
	}
}

static void watch(struct world *world)
{
	static unsigned events;

	if (!server->engine || ++events % 16)
		return;
	check_leases(server, pool);
	check_sticky(world);
}

static struct world *world_of(uint64_t seed)
{
	struct world *world = world_new(seed, getenv("SIMULATOR_VERBOSE"));

	world->weather = (struct weather){.delay_min = 1, .delay_max = 30};
	server = node_add(world, false);
	nodes[0] = node_add(world, false);
	nodes[1] = node_add(world, false);
	memset(first_address, 0, sizeof(first_address));
	for (unsigned i = 0; i < 3; i++) {
		set_secret(world->nodes[i]);
		node_start(world->nodes[i]);
	}
	return world;
}

static void end(struct world *world, unsigned client_count)
{
	check_clean_end(world, 60000);
	assert_string_equal(world->failure, "");
	assert_int_equal(address_pool_stats(pool).in_use, 0);
	for (unsigned i = 0; i < client_count; i++)
		connection_unref(clients[i]);
	connection_unref(serving);
	world_free(world);
	urcu_qsbr_barrier();
	assert_true(address_pool_is_unused(pool));
	address_pool_unref(pool);
}

/* ---- what happens ---------------------------------------------------------------------------- */

static struct node *node_of(unsigned client)
{
	return nodes[client / PART];
}

static void do_initiate(struct world *world, unsigned at, void *arg)
{
	struct connection *c = arg;

	if (world->nodes[at]->engine)
		ike_engine_initiate(world->nodes[at]->engine, c, NULL, 0);
}

static void do_terminate(struct world *world, unsigned at, void *arg)
{
	struct connection *c = arg;

	if (world->nodes[at]->engine)
		ike_engine_terminate(world->nodes[at]->engine, c, true, 0);
	world_act(world, at, 1000 + random_below(&world->random, 20000), do_initiate, c);
}

static void do_rekey(struct world *world, unsigned at, void *arg)
{
	struct connection *c = arg;

	if (world->nodes[at]->engine)
		ike_engine_rekey(world->nodes[at]->engine, c,
			random_chance(&world->random, 50) ? IKE_SA : CHILD_SA, 0);
}

static void do_power_cut(struct world *world, unsigned at, void *arg)
{
	(void)arg;
	node_kill(world->nodes[at]);
	node_start(world->nodes[at]);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (node_of(i) == world->nodes[at])
			world_act(world, at, random_below(&world->random, 5000), do_initiate,
				clients[i]);
	}
}

static void schedule(struct world *world, unsigned i, uint64_t chaos_ms)
{
	struct random_source *dice = &world->random;
	unsigned at = node_of(i)->index;

	world_act(world, at, random_below(dice, 20000), do_initiate, clients[i]);
	if (random_chance(dice, 40))
		world_act(
			world, at, 20000 + random_below(dice, chaos_ms), do_terminate, clients[i]);
	if (random_chance(dice, 40))
		world_act(world, at, 20000 + random_below(dice, chaos_ms), do_rekey, clients[i]);
	if (random_chance(dice, 20)) /* again, while the old one is there */
		world_act(world, at, 20000 + random_below(dice, chaos_ms), do_initiate, clients[i]);
}

static void two_hundred_clients_through_bad_weather(uint64_t seed)
{
	const uint64_t chaos_ms = 180000;
	struct world *world;

	pool = pool_of("10.5.0.0/24");
	world = world_of(seed);
	serving = server_of(world, "%any");
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = client_of(world, i, node_of(i));
	for (unsigned i = 0; i < CLIENTS; i++)
		schedule(world, i, chaos_ms);
	world->watch = watch;
	world->weather = (struct weather){
		.loss = 15, .duplication = 5, .corruption = 2, .delay_min = 1, .delay_max = 400};
	world_act(world, nodes[0]->index, 90000, do_power_cut, NULL);
	world_act(world, server->index, 60000, do_rekey, serving);
	world_run(world, 20000 + chaos_ms);
	world->weather = (struct weather){.delay_min = 1, .delay_max = 20};
	world_run(world, 20000 + chaos_ms + 300000);
	assert_string_equal(world->failure, "");
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_true(connection_is_up(node_of(i), clients[i]->name));
	assert_int_equal(address_pool_stats(pool).in_use, CLIENTS);
	/* The clients' half of it: what each carries is its own address. */
	assert_int_equal(count_established(nodes[0]) + count_established(nodes[1]),
		count_established(server));
	check_agreement(world, 120000);
	end(world, CLIENTS);
}

static void clients_keep_their_addresses(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		two_hundred_clients_through_bad_weather(seed);
}

/* ---- single things ------------------------------------------------------------------------------
 */

static struct world *small_world(const char *range, const char *id, unsigned client_count)
{
	struct world *world;

	pool = pool_of(range);
	world = world_of(7);
	serving = server_of(world, id);
	for (unsigned i = 0; i < client_count; i++)
		clients[i] = client_of(world, i, nodes[0]);
	return world;
}

static void initiate(struct world *world, unsigned i)
{
	ike_engine_initiate(nodes[0]->engine, clients[i], NULL, 0);
	world_run(world, world->now_ms + 3000);
}

static bool view_of(struct node *node, const char *connection, struct ike_sa_view *view)
{
	struct ike_walk walk;
	bool found = false;

	ike_walk_start(node->engine, &walk);
	while (!found && ike_walk_next(&walk, view))
		found = view->established && view->connection &&
			!strcmp(view->connection->name, connection);
	ike_walk_end(&walk);
	return found;
}

static void the_client_carries_its_address(void **state)
{
	struct world *world = small_world("10.5.0.10-10.5.0.20", "%any", 1);
	struct ike_sa_view view;
	char text[TRAFFIC_SELECTOR_TEXT_MAX], ip[IP_TEXT_MAX];

	(void)state;
	initiate(world, 0);
	assert_true(view_of(nodes[0], "client0", &view));
	assert_string_equal(ip_text(&view.given[0], ip), "10.5.0.10");
	assert_int_equal(view.child.local_ts_count, 1);
	assert_string_equal(traffic_selector_text(view.child.local_ts, text), "10.5.0.10/32");
	assert_string_equal(traffic_selector_text(view.child.remote_ts, text), "10.2.0.0/16");
	assert_true(view_of(server, "server", &view));
	assert_string_equal(ip_text(&view.lent[0], ip), "10.5.0.10");
	assert_string_equal(traffic_selector_text(view.child.remote_ts, text), "10.5.0.10/32");
	end(world, 1);
}

static void an_offer_goes_with_the_address(void **state)
{
	struct world *world = small_world("10.5.0.10-10.5.0.20", "%any", 2);
	struct modecfg_offer *offer = calloc(1, sizeof(*offer));
	struct ike_sa_view view;

	(void)state;
	offer->references = 1;
	offer->dns[offer->dns_count++] = ip_v4(0x0a000035);
	assert_true(ip_parse("2001:db8::35", &offer->dns[offer->dns_count++]));
	offer->domains = strdup("a.test b.test");
	offer->banner = strdup("be good\x1b[2J");
	serving->modecfg = offer;
	clients[1]->ignore_peer_dns = true;
	initiate(world, 0);
	initiate(world, 1);
	assert_true(view_of(nodes[0], "client0", &view));
	assert_string_equal(view.peer_dns, "10.0.0.53 2001:db8::35");
	assert_string_equal(view.peer_domains, "a.test b.test");
	assert_string_equal(view.peer_banner, "be good [2J");
	assert_true(view_of(nodes[0], "client1", &view));
	assert_null(view.peer_dns);
	assert_null(view.peer_domains);
	end(world, 2);
}

static void an_exhausted_pool_refuses_the_child_sa(void **state)
{
	struct world *world = small_world("10.5.0.10-10.5.0.10", "%any", 2);

	(void)state;
	initiate(world, 0);
	initiate(world, 1);
	assert_true(connection_is_up(nodes[0], "client0"));
	assert_false(connection_is_up(nodes[0], "client1"));
	assert_true(fixture_counter(server, "total.ikev2.sent.notifies.error."
					    "INTERNAL_ADDRESS_FAILURE") > 0);
	assert_true(fixture_counter(server, "plutonium.leases.exhausted") > 0);
	/* It tries again, and there is one for it when the other has gone. */
	ike_engine_terminate(nodes[0]->engine, clients[0], true, 0);
	world_run(world, world->now_ms + 120000);
	assert_true(connection_is_up(nodes[0], "client1"));
	assert_int_equal(fixture_counter(server, "plutonium.leases.stolen"), 1);
	end(world, 2);
}

static void who_does_not_ask_is_refused(void **state)
{
	struct world *world = small_world("10.5.0.10-10.5.0.20", "%any", 1);

	(void)state;
	clients[0]->local.modecfg_client = false;
	initiate(world, 0);
	assert_false(connection_is_up(nodes[0], "client0"));
	assert_true(
		fixture_counter(server, "total.ikev2.sent.notifies.error.FAILED_CP_REQUIRED") > 0);
	assert_int_equal(address_pool_stats(pool).in_use, 0);
	end(world, 1);
}

static void a_server_without_a_pool_leaves_the_client_without(void **state)
{
	struct world *world = small_world("10.5.0.10-10.5.0.20", "%any", 1);

	(void)state;
	address_pool_unref(serving->remote.pools[0]);
	serving->remote.pools[0] = NULL;
	initiate(world, 0);
	assert_false(connection_is_up(nodes[0], "client0"));
	end(world, 1);
}

static void the_anonymous_never_get_the_same_on_purpose(void **state)
{
	struct world *world = small_world("10.5.0.10-10.5.0.20", "%any", 1);

	(void)state;
	serving->remote.auth = serving->local.auth = AUTH_METHOD_NULL;
	clients[0]->remote.auth = clients[0]->local.auth = AUTH_METHOD_NULL;
	initiate(world, 0);
	assert_true(connection_is_up(nodes[0], "client0"));
	assert_int_equal(address_pool_stats(pool).remembered, 0);
	end(world, 1);
}

static void without_sharing_two_of_one_identity_have_two_addresses(void **state)
{
	struct world *world = small_world("10.5.0.10-10.5.0.20", "%any", 1);

	(void)state;
	serving->dont_share_lease = true;
	server->shared_ids = true;
	node_kill(server);
	node_start(server);
	clients[1] = client_of(world, 0, nodes[1]);
	initiate(world, 0);
	ike_engine_initiate(nodes[1]->engine, clients[1], NULL, 0);
	world_run(world, world->now_ms + 20);
	assert_true(address_pool_stats(pool).in_use <= 2);
	for (unsigned i = 0; i < 100 && address_pool_stats(pool).in_use < 2; i++)
		world_run(world, world->now_ms + 20);
	assert_int_equal(address_pool_stats(pool).in_use, 2);
	end(world, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_carries_its_address),
		cmocka_unit_test(an_offer_goes_with_the_address),
		cmocka_unit_test(an_exhausted_pool_refuses_the_child_sa),
		cmocka_unit_test(who_does_not_ask_is_refused),
		cmocka_unit_test(a_server_without_a_pool_leaves_the_client_without),
		cmocka_unit_test(the_anonymous_never_get_the_same_on_purpose),
		cmocka_unit_test(without_sharing_two_of_one_identity_have_two_addresses),
		cmocka_unit_test(clients_keep_their_addresses),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
