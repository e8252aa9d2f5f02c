/* A mesh of gateways that all initiate to each other. */
#include "mesh.h"

#include "invariants.h"
#include "node.h"

#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#define GATEWAYS    20
#define STORM_MS    60000
#define CALM_MS     120000
#define SHUTDOWN_MS 60000

struct mesh {
	struct world *world;
	struct connection *connections[GATEWAYS][GATEWAYS]; /* at the first, to the second */
};

static void set_end(struct connection_end *end, const struct node *node)
{
	char text[32], error[100];
	struct ip_range range = {.first = ip_v4(0x0a640000 + (node->index << 8))};

	range.last = range.first;
	range.last.bytes[3] = 255;
	snprintf(text, sizeof(text), "@node%u", node->index);
	end->host = node->address;
	end->id = identity_parse(text, error, sizeof(error));
	end->auth = AUTH_METHOD_SECRET;
	end->selectors = calloc(1, sizeof(*end->selectors));
	end->selectors[0] = traffic_selector_of_range(&range);
	end->selector_count = 1;
}

static struct connection *connection_to(
	struct world *world, const struct node *from, const struct node *to, bool initial_contact)
{
	struct connection *c;
	char name[32], error[100];

	snprintf(name, sizeof(name), "to-%u", to->index);
	c = world_connection(world, name);
	set_end(&c->local, from);
	set_end(&c->remote, to);
	c->ike_proposals = proposal_parse_ike("aes_gcm128-sha2_256;dh31", error, sizeof(error));
	c->child_proposals = proposal_parse_child("aes_gcm128", false, 2, error, sizeof(error));
	c->rekey_margin_s = 600;
	c->retransmit_timeout_s = 30;
	c->dpd_delay_s = 20;
	c->initial_contact = initial_contact;
	catalogue_add(from->catalogue, c);
	return c;
}

static void build(struct mesh *mesh)
{
	struct world *world = mesh->world;
	bool initial_contact = random_chance(&world->random, 50);

	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct node *node = node_add(world, false);
		struct secret_store *store = secret_store_new();

		secret_store_add_psk(
			store, NULL, 0, bytes_of("of all of them, one and the same", 32));
		secret_vault_replace(node->vault, store);
		node_start(node);
	}
	for (unsigned i = 0; i < GATEWAYS; i++) {
		for (unsigned j = 0; j < GATEWAYS; j++) {
			if (i != j)
				mesh->connections[i][j] = connection_to(
					world, world->nodes[i], world->nodes[j], initial_contact);
		}
	}
}

static void initiate(struct world *world, unsigned at, void *arg)
{
	ike_engine_initiate(world->nodes[at]->engine, arg, NULL, 0);
}

static void schedule(struct mesh *mesh)
{
	struct world *world = mesh->world;
	struct random_source *dice = &world->random;
	unsigned spread = 10 + random_below(dice, 10000);

	for (unsigned i = 0; i < GATEWAYS; i++) {
		for (unsigned j = 0; j < GATEWAYS; j++) {
			if (i != j && (i < j || random_chance(dice, 80)))
				world_act(world, i, random_below(dice, spread), initiate,
					mesh->connections[i][j]);
		}
	}
	world->weather = (struct weather){.loss = random_below(dice, 15),
		.duplication = random_below(dice, 10),
		.delay_min = 1,
		.delay_max = 1 + random_below(dice, 800)};
}

/* Of one node towards one other. */
static void check_pair(struct mesh *mesh, struct node *node, const struct node *peer)
{
	unsigned ike_sas = 0, children = 0;
	struct ike_sa_view view;
	struct child_view child;
	struct ike_walk walk;

	ike_walk_start(node->engine, &walk);
	while (ike_walk_next(&walk, &view)) {
		if (!ip_equal(&view.path.remote.address, &peer->address))
			continue;
		ike_sas++;
		for (unsigned i = 0; ike_engine_child_at(node->engine, view.serial, i, &child); i++)
			children += child.established;
	}
	if (ike_sas != 1 || children != 1)
		world_fail(mesh->world, "node %u has %u IKE SAs with %u Child SAs to node %u",
			node->index, ike_sas, children, peer->index);
}

static void check(struct mesh *mesh)
{
	struct world *world = mesh->world;

	for (unsigned i = 0; i < GATEWAYS; i++) {
		for (unsigned j = 0; j < GATEWAYS; j++) {
			if (i != j)
				check_pair(mesh, world->nodes[i], world->nodes[j]);
		}
		check_books(world->nodes[i]);
	}
	check_agreement(world, 0);
}

static void release(struct mesh *mesh)
{
	for (unsigned i = 0; i < GATEWAYS; i++) {
		for (unsigned j = 0; j < GATEWAYS; j++) {
			if (i != j)
				connection_unref(mesh->connections[i][j]);
		}
	}
	world_free(mesh->world);
}

bool mesh_run(uint64_t seed, bool verbose, struct tally *tally, char *failure, size_t failure_size)
{
	struct mesh mesh = {.world = world_new(seed, verbose)};
	struct world *world = mesh.world;
	bool ok;

	build(&mesh);
	schedule(&mesh);
	world_run(world, STORM_MS);
	world->weather = (struct weather){.delay_min = 1, .delay_max = 20};
	world_run(world, world->now_ms + CALM_MS);
	check(&mesh);
	for (unsigned i = 0; i < GATEWAYS; i++)
		tally->tunnels += count_established(world->nodes[i]);
	check_clean_end(world, SHUTDOWN_MS);
	tally->runs++;
	tally->datagrams += world->datagrams;
	tally->lost += world->lost;
	tally->virtual_s += world->now_ms / 1000;
	ok = !world->failure[0];
	snprintf(failure, failure_size, "%s", world->failure);
	release(&mesh);
	urcu_qsbr_quiescent_state();
	return ok;
}
