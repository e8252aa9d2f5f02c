/* A run has three parts. Chaos: connections come and go while the network loses, doubles, delays,
 * reorders and corrupts, nodes lose power and come back, NAT mappings change. Calm: the network is
 * good; what is wanted comes up, and what only one end believes in goes. Shutdown: everything goes.
 * The invariants are checked at the end of calm and of shutdown, the local ones all the time. */
#include "scenario.h"

#include "invariants.h"
#include "node.h"

#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#define CHAOS_MS 240000
#define CALM_MS  900000
/* Liveness period, the retransmissions that follow, and some air. */
#define SETTLE_MS   120000
#define SHUTDOWN_MS 60000

static const char *const ike_texts[] = {
	NULL, /* the defaults */
	"aes_gcm256-sha2_512;dh31",
	"aes_gcm128-sha2_256;dh31,aes256-sha2_256;dh19",
	"aes128-sha1;dh31",
	"chacha20_poly1305-sha2_256;dh19+dh31",
	"aes256-sha2_256;dh19",
};
static const char *const esp_texts[] = {
	NULL, "aes_gcm128", "aes128-sha2_256", "chacha20_poly1305,aes_gcm256"};

/* One connection as both its ends are told of it. */
struct plan {
	unsigned initiator, responder;
	char name[32];
	bool wrong_secret, wrong_selectors, incompatible, template_end;
	bool wanted; /* the last word of the operator, and the node that heard it has not died since
		      */
};

struct run {
	struct world *world;
	struct plan plans[NODES_MAX * NODES_MAX];
	unsigned plan_count;
	bool kernel_errors, traps, updown_failures;
	struct tally *tally;
};

/* ---- connections --------------------------------------------------------------------------- */

static void set_end(struct connection_end *end, const struct ip_address *host, unsigned node,
	bool any, bool wrong)
{
	char id[32], error[100];
	struct ip_range range = {.first = ip_v4(0x0a640000 + (node << 8) + (wrong ? 0x8000 : 0))};

	range.last = range.first;
	range.last.bytes[3] = 255;
	if (!any)
		end->host = *host;
	snprintf(id, sizeof(id), "@node%u", node);
	end->id = identity_parse(id, error, sizeof(error));
	end->auth = AUTH_METHOD_SECRET;
	end->selectors = calloc(1, sizeof(*end->selectors));
	end->selectors[0] = traffic_selector_of_range(&range);
	end->selector_count = 1;
}

static void add_connection(struct run *run, const struct plan *plan, bool at_initiator,
	const char *ike, const char *esp)
{
	struct world *world = run->world;
	struct node *i = world->nodes[plan->initiator], *r = world->nodes[plan->responder];
	struct node *me = at_initiator ? i : r;
	struct random_source dice = {world->seed * 977 + plan->initiator * 8 + plan->responder};
	struct connection *c = world_connection(world, plan->name);
	char error[200];

	set_end(&c->local, &me->address, me->index, false, false);
	if (at_initiator)
		set_end(&c->remote, &r->address, r->index, false, plan->wrong_selectors);
	else
		set_end(&c->remote, i->natted ? &i->nat_address : &i->address, i->index,
			plan->template_end, false);
	c->ike_proposals = proposal_parse_ike(ike, error, sizeof(error));
	c->child_proposals = proposal_parse_child(esp, false, 2, error, sizeof(error));
	if (!c->ike_proposals || !c->child_proposals) {
		world_fail(world, "proposal does not parse: %s", error);
		connection_unref(c);
		return;
	}
	c->ike_life_s = random_chance(&dice, 40) ? 90 + random_below(&dice, 300) : 28800;
	c->child_life_s = random_chance(&dice, 40) ? 60 + random_below(&dice, 300) : 28800;
	c->rekey_margin_s =
		(c->ike_life_s < c->child_life_s ? c->ike_life_s : c->child_life_s) / 6;
	c->pfs = random_chance(&dice, 50);
	c->reauth = random_chance(&dice, 20);
	c->rekey_fuzz_percent = 100;
	c->nat_keepalive = true;
	c->fragmentation = random_chance(&dice, 80);
	c->compress = random_chance(&dice, 40);
	if (random_chance(&dice, 20) && !i->natted) { /* AH passes no NAT */
		proposal_list_unref(c->child_proposals);
		c->child_proposals = proposal_parse_child(NULL, true, 2, error, sizeof(error));
		c->protocol = IPSEC_AH;
	}
	catalogue_add(me->catalogue, c);
	connection_unref(c);
}

static void add_secret(struct secret_store *store, unsigned a, unsigned b, bool wrong)
{
	char text[32], error[100], value[64];
	struct identity *ids[2];

	snprintf(text, sizeof(text), "@node%u", a);
	ids[0] = identity_parse(text, error, sizeof(error));
	snprintf(text, sizeof(text), "@node%u", b);
	ids[1] = identity_parse(text, error, sizeof(error));
	snprintf(value, sizeof(value), "secret of %u and %u%s", a < b ? a : b, a < b ? b : a,
		wrong ? "?" : "");
	secret_store_add_psk(
		store, (const struct identity *const *)ids, 2, bytes_of(value, strlen(value)));
	identity_unref(ids[0]);
	identity_unref(ids[1]);
}

static void plan_pair(struct run *run, unsigned i, unsigned r, struct secret_store **stores)
{
	struct random_source *dice = &run->world->random;
	struct plan *plan = &run->plans[run->plan_count++];
	const char *ike = ike_texts[random_below(dice, 6)], *esp = esp_texts[random_below(dice, 4)];
	const char *ike_r = random_chance(dice, 60) ? ike : ike_texts[random_below(dice, 6)];

	*plan = (struct plan){.initiator = i, .responder = r};
	snprintf(plan->name, sizeof(plan->name), "c%u-%u", i, r);
	plan->template_end = run->world->nodes[i]->natted || random_chance(dice, 30);
	plan->wrong_secret = random_chance(dice, 8);
	plan->wrong_selectors = random_chance(dice, 8);
	plan->incompatible = ike_r != ike; /* perhaps: no claim is made about these */
	add_connection(run, plan, true, ike, esp);
	add_connection(run, plan, false, ike_r, random_chance(dice, 70) ? esp : NULL);
	add_secret(stores[i], i, r, false);
	add_secret(stores[r], r, i, plan->wrong_secret);
}

static void build(struct run *run)
{
	struct world *world = run->world;
	unsigned nodes = 2 + random_below(&world->random, 4);
	struct secret_store *stores[NODES_MAX];

	for (unsigned i = 0; i < nodes; i++) {
		/* Responders first, so that a node behind a NAT only ever initiates. */
		struct node *node =
			node_add(world, i && i + 1 == nodes && random_chance(&world->random, 50));

		stores[i] = secret_store_new();
		node->want_cookies = random_chance(&world->random, 25);
		if (random_chance(&world->random, 15))
			node->overload = 10;
		if (random_chance(&world->random, 40))
			node->fragment_datagram = 150 + random_below(&world->random, 400);
	}
	for (unsigned i = 0; i < nodes; i++) {
		for (unsigned r = 0; r < i; r++)
			plan_pair(run, i, r, stores);
	}
	for (unsigned i = 0; i < nodes; i++) {
		secret_vault_replace(world->nodes[i]->vault, stores[i]);
		node_start(world->nodes[i]);
	}
}

/* ---- what happens -----------------------------------------------------------------------------
 */

static struct run *current; /* actions carry a plan; the run is the only one of its time */

static void do_initiate(struct world *world, unsigned at, void *arg)
{
	struct plan *plan = arg;
	struct node *node = world->nodes[at];
	struct connection *c = catalogue_by_name(node->catalogue, plan->name);
	struct ip_address none = {0};

	if (node->engine && !ip_is_unset(&c->remote.host)) {
		ike_engine_initiate(node->engine, c, &none, node_watcher(node));
		if (at == plan->initiator)
			plan->wanted = true;
	}
	connection_unref(c);
}

static void do_terminate(struct world *world, unsigned at, void *arg)
{
	struct plan *plan = arg;
	struct node *node = world->nodes[at];
	struct connection *c = catalogue_by_name(node->catalogue, plan->name);

	if (node->engine)
		ike_engine_terminate(node->engine, c, random_chance(&world->random, 50), 0);
	if (at == plan->initiator)
		plan->wanted = false;
	connection_unref(c);
}

/* Both ends at one time, every other time. */
static void do_rekey(struct world *world, unsigned at, void *arg)
{
	struct plan *plan = arg;
	enum ike_sa_kind kind = random_chance(&world->random, 50) ? IKE_SA : CHILD_SA;
	bool both = random_chance(&world->random, 50);

	for (unsigned i = 0; i < world->node_count; i++) {
		struct node *node = world->nodes[i];
		struct connection *c = catalogue_by_name(node->catalogue, plan->name);

		if (c && node->engine && (i == at || both))
			node_rekey_watched(node, c, kind);
		connection_unref(c);
	}
}

static void do_route(struct world *world, unsigned at, void *arg)
{
	struct plan *plan = arg;
	struct node *node = world->nodes[at];
	struct connection *c = catalogue_by_name(node->catalogue, plan->name);

	if (node->engine && !connection_is_template(c))
		ike_engine_route(node->engine, c, node_watcher(node));
	connection_unref(c);
}

static void do_unroute(struct world *world, unsigned at, void *arg)
{
	struct plan *plan = arg;
	struct node *node = world->nodes[at];
	struct connection *c = catalogue_by_name(node->catalogue, plan->name);

	if (node->engine)
		ike_engine_unroute(node->engine, c, at & 1);
	connection_unref(c);
}

/* Some packets at once. */
static void do_traffic(struct world *world, unsigned at, void *arg)
{
	struct plan *plan = arg;
	struct node *node = world->nodes[at];
	struct connection *c = catalogue_by_name(node->catalogue, plan->name);
	struct ipsec_event event = {.kind = IPSEC_ACQUIRE,
		.reqid = c->reqid,
		.local_ts = c->local.selectors[0],
		.remote_ts = c->remote.selectors[0]};

	event.local_ts.range.last = event.local_ts.range.first;
	event.remote_ts.range.last = event.remote_ts.range.first;
	for (unsigned i = 0; node->engine && i < 5; i++)
		ike_engine_ipsec_event(node->engine, &event);
	connection_unref(c);
}

static void do_start(struct world *world, unsigned at, void *arg)
{
	(void)arg;
	if (!world->nodes[at]->engine)
		node_start(world->nodes[at]);
}

static void do_kill(struct world *world, unsigned at, void *arg)
{
	(void)arg;
	node_kill(world->nodes[at]);
	current->tally->restarts++;
	for (unsigned i = 0; i < current->plan_count; i++) {
		if (current->plans[i].initiator == at)
			current->plans[i].wanted = false; /* the operator's word died with it */
	}
	world_act(world, at, 1000 + random_below(&world->random, 60000), do_start, NULL);
}

static void do_remap(struct world *world, unsigned at, void *arg)
{
	(void)arg;
	world->nodes[at]->nat_offset += 100;
}

/* Scripts that take long, and often fail; or only take long. */
static void begin_updown(struct run *run)
{
	struct random_source *dice = &run->world->random;
	struct updown_ways ways = {
		.asked = true, .delay_max_ms = random_below(dice, 20000), .nothing = random_below(dice, 30)};

	if (random_chance(dice, 30))
		ways.failures = random_below(dice, 60);
	run->updown_failures = ways.failures;
	for (unsigned i = 0; i < run->world->node_count; i++)
		if (random_chance(dice, 80))
			run->world->nodes[i]->updown_ways = ways;
}

static void schedule_chaos(struct run *run)
{
	struct world *world = run->world;
	struct random_source *dice = &world->random;

	for (unsigned i = 0; i < run->plan_count; i++) {
		struct plan *plan = &run->plans[i];

		world_act(world, plan->initiator, random_below(dice, 30000), do_initiate, plan);
		if (random_chance(dice, 30)) /* crossing */
			world_act(world, plan->responder, random_below(dice, 30000), do_initiate,
				plan);
		if (random_chance(dice, 30))
			world_act(world, plan->initiator, random_below(dice, CHAOS_MS),
				do_terminate, plan);
		if (random_chance(dice, 30))
			world_act(world, plan->responder, random_below(dice, CHAOS_MS),
				do_terminate, plan);
		if (random_chance(dice, 50))
			world_act(world, plan->initiator, random_below(dice, CHAOS_MS), do_initiate,
				plan);
		for (unsigned n = random_below(dice, 6); n; n--)
			world_act(world,
				random_chance(dice, 50) ? plan->initiator : plan->responder,
				random_below(dice, CHAOS_MS + CALM_MS / 2), do_rekey, plan);
	}
	for (unsigned i = 0; i < world->node_count; i++) {
		if (random_chance(dice, 30))
			world_act(world, i, random_below(dice, CHAOS_MS), do_kill, NULL);
		if (world->nodes[i]->natted && random_chance(dice, 50))
			world_act(world, i, random_below(dice, CHAOS_MS), do_remap, NULL);
	}
	world->weather = (struct weather){
		.loss = random_below(dice, 40),
		.duplication = random_below(dice, 20),
		.corruption = random_below(dice, 10),
		.delay_min = 1,
		.delay_max = 1 + random_below(dice, 3000),
	};
	run->kernel_errors = random_chance(dice, 20);
	for (unsigned i = 0; i < world->node_count && run->kernel_errors; i++)
		world->nodes[i]->kernel_errors = 10;
	if (random_chance(dice, 40))
		begin_updown(run);
}

/* With dice of their own: the other seeds go on as they always went. */
static void schedule_traps(struct run *run)
{
	struct world *world = run->world;
	struct random_source dice = {world->seed * 31 + 7};

	run->traps = world->seed % 3 == 0;
	for (unsigned i = 0; run->traps && i < run->plan_count; i++) {
		struct plan *plan = &run->plans[i];
		const unsigned ends[] = {plan->initiator, plan->responder};

		for (unsigned e = 0; e < 2; e++) {
			for (unsigned n = random_below(&dice, 4); n; n--)
				world_act(world, ends[e], random_below(&dice, CHAOS_MS), do_route,
					plan);
			for (unsigned n = random_below(&dice, 20); n; n--)
				world_act(world, ends[e], random_below(&dice, CHAOS_MS + CALM_MS),
					do_traffic, plan);
			if (random_chance(&dice, 30))
				world_act(world, ends[e], random_below(&dice, CHAOS_MS), do_unroute,
					plan);
		}
	}
}

/* What is trapped comes up by traffic, within the longest pause after failures. */
static void check_traps(struct run *run)
{
	for (unsigned i = 0; run->traps && i < run->plan_count; i++)
		do_traffic(run->world, run->plans[i].initiator, &run->plans[i]);
	world_run(run->world, run->world->now_ms + (run->traps ? 120000 : 0));
	for (unsigned i = 0; run->traps && i < run->plan_count; i++) {
		const struct plan *plan = &run->plans[i];
		struct node *node = run->world->nodes[plan->initiator];
		struct connection *c = catalogue_by_name(node->catalogue, plan->name);

		if (node_route_policy(node, c) && !plan->wrong_secret && !plan->wrong_selectors &&
			!plan->incompatible && !run->kernel_errors &&
			!connection_is_up(node, plan->name))
			world_fail(run->world,
				"%s is trapped at node %u, and traffic does not bring it up",
				plan->name, plan->initiator);
		connection_unref(c);
	}
}

static void begin_calm(struct run *run)
{
	struct world *world = run->world;

	world->weather = (struct weather){.delay_min = 1, .delay_max = 20};
	for (unsigned i = 0; i < world->node_count; i++) {
		world->nodes[i]->kernel_errors = world->nodes[i]->overload = 0;
		world->nodes[i]->updown_ways.failures = 0;
		world->nodes[i]->updown_ways.delay_max_ms = 100;
	}
}

static void check_wanted(struct run *run)
{
	for (unsigned i = 0; i < run->plan_count; i++) {
		const struct plan *plan = &run->plans[i];

		if (!plan->wanted || plan->wrong_secret || plan->wrong_selectors ||
			plan->incompatible || run->kernel_errors || run->updown_failures)
			continue;
		if (!connection_is_up(run->world->nodes[plan->initiator], plan->name))
			world_fail(run->world,
				"%s is wanted and allowed, but not up at node %u after %d s of "
				"calm",
				plan->name, plan->initiator, CALM_MS / 1000);
	}
}

bool scenario_run(
	uint64_t seed, bool verbose, struct tally *tally, char *failure, size_t failure_size)
{
	struct world *world = world_new(seed, verbose);
	struct run run = {.world = world, .tally = tally};
	bool ok;

	current = &run;
	build(&run);
	schedule_chaos(&run);
	schedule_traps(&run);
	world_run(world, CHAOS_MS);
	begin_calm(&run);
	world_run(world, world->now_ms + CALM_MS);
	check_wanted(&run);
	check_traps(&run);
	check_agreement(world, SETTLE_MS);
	for (unsigned i = 0; i < world->node_count; i++)
		check_books(world->nodes[i]);
	for (unsigned i = 0; i < world->node_count; i++)
		tally->tunnels += count_established(world->nodes[i]);
	check_clean_end(world, SHUTDOWN_MS);
	tally->runs++;
	tally->datagrams += world->datagrams;
	tally->lost += world->lost;
	tally->corrupted += world->corrupted;
	tally->virtual_s += world->now_ms / 1000;
	ok = !world->failure[0];
	snprintf(failure, failure_size, "%s", world->failure);
	world_free(world);
	urcu_qsbr_quiescent_state();
	return ok;
}
