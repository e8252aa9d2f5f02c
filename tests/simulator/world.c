/* Virtual time, chance and the network. */
#include "world.h"

#include "node.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

/* More steps than any honest run takes: an engine that talks to itself for ever is a failure. */
#define STEPS_MAX 3000000

/* splitmix64: small, and the same everywhere. */
uint64_t random_next(struct random_source *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t random_below(struct random_source *r, uint64_t n)
{
	return n ? random_next(r) % n : 0;
}

bool random_chance(struct random_source *r, unsigned percent)
{
	return random_below(r, 100) < percent;
}

struct world *world_new(uint64_t seed, bool verbose)
{
	struct world *world = calloc(1, sizeof(*world));

	world->seed = seed;
	world->random.state = seed * 0x2545f4914f6cdd1du + 1;
	world->now_ms = 1000;
	world->next_spi = 0x1000;
	world->next_reqid = 1u << 20;
	world->verbose = verbose;
	world->crypto = crypto_context_new();
	keys_from_seed(seed);
	return world;
}

void world_fail(struct world *world, const char *format, ...)
{
	va_list args;

	if (world->failure[0])
		return;
	va_start(args, format);
	vsnprintf(world->failure, sizeof(world->failure), format, args);
	va_end(args);
}

/* ---- events: a heap by time, then by order of posting ------------------------------------ */

static bool event_before(const struct event *a, const struct event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap_events(struct event *a, struct event *b)
{
	struct event t = *a;

	*a = *b;
	*b = t;
}

void world_post(struct world *world, const struct event *event, uint64_t delay_ms)
{
	size_t i = world->event_count++;

	if (i == world->event_room) {
		world->event_room = world->event_room ? 2 * world->event_room : 256;
		world->heap = realloc(world->heap, world->event_room * sizeof(*world->heap));
	}
	world->heap[i] = *event;
	world->heap[i].at_ms = world->now_ms + delay_ms;
	world->heap[i].order = world->next_order++;
	for (; i && event_before(&world->heap[i], &world->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap_events(&world->heap[i], &world->heap[(i - 1) / 2]);
}

static struct event take_event(struct world *world)
{
	struct event *heap = world->heap, top = heap[0];
	size_t i = 0, n = --world->event_count;

	heap[0] = heap[n];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= n)
			return top;
		if (child + 1 < n && event_before(&heap[child + 1], &heap[child]))
			child++;
		if (!event_before(&heap[child], &heap[i]))
			return top;
		swap_events(&heap[i], &heap[child]);
		i = child;
	}
}

static void drop_event(struct event *event)
{
	free(event->bytes);
	if (event->job) {
		event->job->owner = NULL;
		crypto_job_free(event->job);
	}
}

void world_act(struct world *world, unsigned node, uint64_t delay_ms,
	void (*action)(struct world *world, unsigned node, void *arg), void *arg)
{
	struct event event = {.kind = EVENT_ACTION, .node = node, .action = action, .arg = arg};

	world_post(world, &event, delay_ms);
}

/* ---- the network ------------------------------------------------------------------------- */

static void deliver_later(struct world *world, unsigned node, const struct ike_path *path,
	const uint8_t *bytes, size_t len)
{
	const struct weather *w = &world->weather;
	struct event event = {.kind = EVENT_DATAGRAM, .node = node, .path = *path, .len = len};

	event.generation = world->nodes[node]->generation;
	event.bytes = malloc(len ? len : 1);
	memcpy(event.bytes, bytes, len);
	if (len && random_chance(&world->random, w->corruption)) {
		unsigned flips = 1 + random_below(&world->random, 3);

		world->corrupted++;
		while (flips--)
			event.bytes[random_below(&world->random, len)] ^=
				1u << random_below(&world->random, 8);
		if (random_chance(&world->random, 20))
			event.len = random_below(&world->random, len);
	}
	world_post(world, &event,
		w->delay_min + random_below(&world->random, w->delay_max - w->delay_min + 1));
}

void world_send(struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	struct ike_path seen = *path; /* as the receiver sees it */
	int to = node_route(world, path, &seen);
	unsigned copies = random_chance(&world->random, world->weather.duplication) ? 2 : 1;

	world->datagrams++;
	if (world->wire && !world->wire(world, path, bytes, len))
		return;
	while (copies--) {
		if (to < 0 || random_chance(&world->random, world->weather.loss))
			world->lost++;
		else
			deliver_later(world, to, &seen, bytes, len);
	}
}

/* ---- time -------------------------------------------------------------------------------- */

static void handle(struct world *world, struct event *event)
{
	struct node *node = world->nodes[event->node];

	if (event->kind == EVENT_ACTION) {
		event->action(world, event->node, event->arg);
		return;
	}
	if (!node->engine || event->generation != node->generation) {
		drop_event(event);
		return;
	}
	node_event(node, event);
}

static uint64_t next_time(const struct world *world)
{
	uint64_t next = world->event_count ? world->heap[0].at_ms : UINT64_MAX;

	for (unsigned i = 0; i < world->node_count; i++) {
		uint64_t at = node_next_timer(world->nodes[i]);

		if (at < next)
			next = at;
	}
	return next < world->now_ms ? world->now_ms : next;
}

void world_run(struct world *world, uint64_t until_ms)
{
	for (;;) {
		uint64_t next = next_time(world);

		if (next > until_ms || world->failure[0])
			break;
		if (++world->steps > STEPS_MAX) {
			world_fail(world, "no rest after %d steps", STEPS_MAX);
			break;
		}
		world->now_ms = next;
		for (unsigned i = 0; i < world->node_count; i++)
			node_timers(world->nodes[i]);
		if (world->event_count && world->heap[0].at_ms <= world->now_ms) {
			struct event event = take_event(world);

			handle(world, &event);
			if (world->watch)
				world->watch(world);
		}
		urcu_qsbr_quiescent_state();
	}
	world->now_ms = until_ms;
}

void world_free(struct world *world)
{
	while (world->event_count) {
		struct event event = take_event(world);

		drop_event(&event);
	}
	for (unsigned i = 0; i < world->node_count; i++)
		node_free(world->nodes[i]);
	crypto_context_free(world->crypto);
	free(world->heap);
	free(world);
}

/* ---- connections ----------------------------------------------------------------------- */

struct connection *world_connection(struct world *world, const char *name)
{
	struct connection *c = connection_new(name);

	c->serial = ++world->next_serial;
	c->oriented = true;
	c->protocol = IPSEC_ESP;
	c->mode = IPSEC_TUNNEL;
	c->reqid = 16384 + c->serial;
	c->ike_life_s = c->child_life_s = 28800;
	c->rekey = c->fragmentation = true;
	c->retransmit_interval_ms = 500;
	c->retransmit_timeout_s = 20;
	c->dpd_delay_s = 10;
	c->replay_window = 128;
	c->encapsulation = CHOICE_AUTO;
	return c;
}
