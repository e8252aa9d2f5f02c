/* Nobody dies here and nobody is taken down, so that more can be claimed than in a scenario: from
 * the first moment to the last each tunnel has a pair that works, however the rekeyings cross. */
#include "rekeys.h"

#include "fixture.h"
#include "invariants.h"

#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#define UP_MS     3000
#define REKEYS_MS 600000
#define SETTLE_MS 200000
/* A retransmission here and there, when one came too early. */
#define CROSS_MS 8000

static const char *const esp_texts[] = {
	NULL, "aes_gcm128", "aes128-sha2_256;dh19", "aes_gcm256;dh31"};
static const char *const ike_texts[] = {NULL, "aes128-sha1;dh31,aes_gcm128-sha2_256;dh31"};

/* Whatever a node sends now, its peer can open. */
static void check_sending(struct world *world)
{
	struct fixture *f = world->listener;
	struct node *ends[] = {f->west, f->east};

	for (unsigned i = 0; i < 2; i++) {
		const struct ipsec_sa *out = node_sending_sa(ends[i], 0);

		if (!out)
			world_fail(world, "node %u has nothing to send by", ends[i]->index);
		else if (!node_inbound_sa(ends[1 - i], out->spi))
			world_fail(world, "node %u sends by SPI %08x, which its peer does not have",
				ends[i]->index, out->spi);
	}
}

static bool hear_nothing(
	struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	(void)world;
	(void)path;
	(void)bytes;
	(void)len;
	return true;
}

static struct side_config dice_side(struct random_source *dice, bool pfs)
{
	struct side_config side = {.pfs = pfs,
		.life_s = random_chance(dice, 70) ? 90 + random_below(dice, 400) : 28800,
		.child_life_s = random_chance(dice, 70) ? 60 + random_below(dice, 300) : 28800,
		.margin_s = 40,
		.dpd_s = 10,
		.keying_tries = 1000,
		.retransmit_timeout_s = 200};

	return side;
}

static void do_rekey(struct world *world, unsigned at, void *arg)
{
	struct fixture *f = world->listener;
	unsigned dice = random_below(&world->random, 8);
	enum ike_sa_kind kind = dice & 1 ? IKE_SA : CHILD_SA;

	(void)arg;
	if (at == f->west->index || dice & 2)
		node_rekey_watched(f->west, f->west_connection, kind);
	if (dice & 4 && random_chance(&world->random, 30))
		kind = kind == IKE_SA ? CHILD_SA : IKE_SA;
	if (at == f->east->index || dice & 2)
		node_rekey_watched(f->east, f->east_connection, kind);
}

static void check_one_pair(struct world *world, struct node *node)
{
	unsigned children = count_established(node);

	if (children != 1)
		world_fail(
			world, "node %u: %u Child SAs where one is enough", node->index, children);
	if (ike_engine_sa_count(node->engine) != 1)
		world_fail(world, "node %u: %llu IKE SAs where one is enough", node->index,
			(unsigned long long)ike_engine_sa_count(node->engine));
}

static bool is_settled(const struct fixture *f)
{
	return count_established(f->west) == 1 && count_established(f->east) == 1 &&
	       ike_engine_sa_count(f->west->engine) == 1 &&
	       ike_engine_sa_count(f->east->engine) == 1;
}

/* A second at the end without any plan: the last exchanges come to their ends. */
static void settle(struct fixture *f)
{
	struct world *world = f->world;

	world->weather = (struct weather){.delay_min = 1, .delay_max = 5};
	for (unsigned i = 0; i < 100; i++) {
		fixture_pass(f, SETTLE_MS / 100);
		if (is_settled(f))
			return;
	}
}

/* Both order one thing at about one time, and messages overtake each other, but none is lost:
 * seconds later nothing is left of it but what was to be. (A lifetime may end just then.) */
static void cross(struct fixture *f)
{
	struct world *world = f->world;
	struct random_source *dice = &world->random;
	enum ike_sa_kind kind = random_chance(dice, 60) ? IKE_SA : CHILD_SA;

	world->weather = (struct weather){.delay_min = 1, .delay_max = 1 + random_below(dice, 200)};
	node_rekey_watched(f->west, f->west_connection, kind);
	fixture_pass(f, random_below(dice, 40));
	node_rekey_watched(f->east, f->east_connection, kind);
	fixture_pass(f, CROSS_MS);
	for (unsigned i = 0; i < 5 && !is_settled(f); i++)
		fixture_pass(f, CROSS_MS / 4);
	check_one_pair(world, f->west);
	check_one_pair(world, f->east);
}

static void run(struct fixture *f)
{
	struct world *world = f->world;
	struct random_source *dice = &world->random;

	fixture_initiate(f);
	fixture_pass(f, UP_MS);
	world->weather = (struct weather){.loss = random_below(dice, 12),
		.duplication = random_below(dice, 20),
		.corruption = random_below(dice, 5),
		.delay_min = 1,
		.delay_max = 1 + random_below(dice, random_chance(dice, 50) ? 50 : 2000)};
	world->watch = check_sending;
	for (unsigned n = random_below(dice, 40); n; n--)
		world_act(world, random_below(dice, 2), random_below(dice, REKEYS_MS), do_rekey,
			NULL);
	fixture_pass(f, REKEYS_MS);
	settle(f);
	check_one_pair(world, f->west);
	check_one_pair(world, f->east);
	for (unsigned n = 3; n; n--)
		cross(f);
	check_agreement(world, 0);
	check_books(f->west);
	check_books(f->east);
	world->watch = NULL;
}

bool rekeys_run(
	uint64_t seed, bool verbose, struct tally *tally, char *failure, size_t failure_size)
{
	struct random_source dice = {seed * 31 + 7};
	bool pfs = random_chance(&dice, 50);
	struct side_config west = dice_side(&dice, pfs), east = dice_side(&dice, pfs);
	struct fixture *f;
	struct world *world;
	bool ok;

	west.ike = east.ike = ike_texts[random_below(&dice, 2)];
	west.esp = east.esp = esp_texts[random_below(&dice, 4)];
	east.template_remote = random_chance(&dice, 40);
	west.compress = random_chance(&dice, 40);
	east.compress = random_chance(&dice, 70);
	if (random_chance(&dice, 25)) {
		west.ah = east.ah = true;
		west.esp = east.esp = random_chance(&dice, 50) ? "sha2_256;dh19" : NULL;
	}
	f = fixture_new(&west, &east, false);
	world = f->world;
	world->verbose |= verbose;
	world->random.state += seed * 0x2545f4914f6cdd1du;
	world->wire = hear_nothing;
	world->hear = NULL;
	run(f);
	tally->tunnels += count_established(f->west) + count_established(f->east);
	tally->rekeyings += fixture_counter(f->west, "total.ikev2.child.established") +
			    fixture_counter(f->west, "total.ikev2.ike.established") - 2;
	check_clean_end(world, SETTLE_MS);
	tally->runs++;
	tally->datagrams += world->datagrams;
	tally->lost += world->lost;
	tally->corrupted += world->corrupted;
	tally->virtual_s += world->now_ms / 1000;
	ok = !world->failure[0];
	snprintf(failure, failure_size, "%s", world->failure);
	fixture_free(f);
	urcu_qsbr_quiescent_state();
	return ok;
}
