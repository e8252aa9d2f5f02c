/* Two honest gateways and an insider beside them. */
#include "insider_stage.h"

#include <stdlib.h>
#include <string.h>

static struct connection *connect_insider(
	struct node *node, const char *id, bool template_end, const struct ip_address *insider)
{
	struct connection *c = world_connection(node->world, "insider");
	char error[200];

	c->local.host = node->address;
	if (!template_end)
		c->remote.host = *insider;
	c->local.id = identity_parse(id, error, sizeof(error));
	c->remote.id = identity_parse("@insider", error, sizeof(error));
	c->narrowing = true;
	c->ike_proposals = proposal_parse_ike(
		"aes_gcm128-sha2_256;dh31,aes128-sha2_256;dh31,chacha20_poly1305-sha2_256;dh31",
		error, sizeof(error));
	c->child_proposals = proposal_parse_child(NULL, false, 2, error, sizeof(error));
	c->reqid = 20000 + node->index * 8;
	c->ike_life_s = c->child_life_s = 3600;
	c->rekey_margin_s = 360;
	c->retransmit_timeout_s = 6;
	c->dpd_delay_s = 3;
	c->nat_keepalive = true;
	c->local.selectors = calloc(1, sizeof(struct traffic_selector));
	c->remote.selectors = calloc(1, sizeof(struct traffic_selector));
	traffic_selector_parse("10.2.0.0/24", c->local.selectors);
	traffic_selector_parse("10.66.0.0/24", c->remote.selectors);
	c->local.selector_count = c->remote.selector_count = 1;
	catalogue_add(node->catalogue, c);
	return c;
}

static bool overhear(
	struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	return insider_overhears(world->listener, path, bytes, len);
}

static void set_secrets(struct node *node)
{
	struct secret_store *store = secret_store_new();
	struct identity *id;
	char error[100];

	id = identity_parse("@insider", error, sizeof(error));
	secret_store_add_psk(store, (const struct identity *const *)&id, 1,
		bytes_of(INSIDER_SECRET, strlen(INSIDER_SECRET)));
	secret_store_add_psk(store, NULL, 0, bytes_of("what the honest know", 20));
	secret_vault_replace(node->vault, store);
	identity_unref(id);
}

void stage_set(struct stage *stage, bool against_initiator, uint64_t seed)
{
	static const struct side_config usual = {.dpd_s = 10, .keying_tries = 1000};
	struct fixture *f = fixture_new(&usual, &usual, false);
	char error[100];

	*stage = (struct stage){.f = f, .world = f->world};
	stage->world->random.state += seed;
	stage->node = against_initiator ? f->west : f->east;
	stage->insider = insider_new(stage->world, stage->node);
	stage->insider->target_id =
		identity_parse(against_initiator ? "@west" : "@east", error, sizeof(error));
	stage->connection = connect_insider(stage->node, against_initiator ? "@west" : "@east",
		!against_initiator, &stage->insider->address);
	set_secrets(f->west);
	set_secrets(f->east);
	stage->world->listener = stage->insider;
	stage->world->wire = overhear;
	stage->world->hear = NULL;
	stage->start = *stage->world;
	stage->dice = stage->insider->dice.state;
}

static void node_as_new(struct node *node)
{
	node_kill(node);
	node->generation = 0;
	node->watcher_count = 0;
	node->random.state = node->index;
	counter_set_free(&node->counters);
	node->counters = counter_set_new(ike_counter_count());
	node_start(node);
}

void stage_reset(struct stage *stage)
{
	struct world *world = stage->world;

	while (world->event_count) /* what is still under way comes to nobody */
		world_run(world, world->now_ms + 60000);
	world->now_ms = stage->start.now_ms;
	world->next_serial = stage->start.next_serial;
	world->next_reqid = stage->start.next_reqid;
	world->next_spi = stage->start.next_spi;
	world->random = stage->start.random;
	world->steps = 0;
	node_as_new(stage->f->west);
	node_as_new(stage->f->east);
	insider_forget(stage->insider);
	stage->insider->dice.state = stage->dice;
	keys_from_seed(stage->dice);
}

void stage_clear(struct stage *stage)
{
	connection_unref(stage->connection);
	insider_free(stage->insider);
	fixture_free(stage->f);
}
