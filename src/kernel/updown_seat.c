#include "updown_seat.h"

#include "base/log.h"
#include "kernel/updown_environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seat {
	struct seat *next; /* of the lane */
	struct lane *lane;
	struct updown_request *about; /* who made it, or brought it up last: owned */
	struct use *uses;
	unsigned users;
	bool up, routed, kept; /* kept: stays routed without users */
	unsigned pair_count;
	struct seat_pair {
		struct table_node node; /* by selectors */
		struct seat *seat;
		struct route_hold *hold;
		bool in_table;
	} pairs[];
};

/* From UP to DOWN. */
struct use {
	struct table_node node;
	uint64_t token;
	struct lane *lane;
	struct seat *seat;              /* NULL: not up yet */
	struct use *next, **link;       /* of the seat */
	struct updown_request *waiting; /* its turn has not come */
};

struct step {
	enum verb verb;
	unsigned pairs; /* so many of them */
};

struct work {
	struct updown_request *request; /* NULL: the lane does nothing */
	struct seat *seat;
	struct step steps[4];
	unsigned step_count, step, pair;
	bool undoing;    /* it has failed */
	bool was_routed; /* before */
	char why[UPDOWN_WHY_MAX];
};

struct lane {
	struct table_node node;
	struct lanes *lanes;
	uint64_t connection, peer_hash;
	struct updown_request *first, **last;
	struct seat *seats;
	struct work work;
	struct lane *next_ready;
	struct lane *next, **link; /* of all */
};

static void count(uint64_t *cell, int64_t n)
{
	__atomic_fetch_add(cell, (uint64_t)n, __ATOMIC_RELAXED);
}

bool lanes_init(struct lanes *l)
{
	l->lanes = table_new();
	l->uses = table_new();
	l->selectors = table_new();
	l->last_ready = &l->first_ready;
	return l->lanes && l->uses && l->selectors;
}

void lanes_free(struct lanes *l)
{
	table_free(l->lanes);
	table_free(l->uses);
	table_free(l->selectors);
}

bool lanes_idle(const struct lanes *l)
{
	return table_count(l->lanes) == 0;
}

/* ---- look-up ------------------------------------------------------------------------- */

static struct lane *lane_find(const struct lanes *l, uint64_t connection, uint64_t peer_hash)
{
	struct table_node *node =
		table_first(l->lanes, table_hash_u64(connection ^ peer_hash));

	for (; node; node = table_next(node)) {
		struct lane *lane = (struct lane *)(void *)node;

		if (lane->connection == connection && lane->peer_hash == peer_hash)
			return lane;
	}
	return NULL;
}

static struct lane *lane_get(struct lanes *l, uint64_t connection, uint64_t peer_hash)
{
	struct lane *lane = lane_find(l, connection, peer_hash);

	if (lane)
		return lane;
	lane = calloc(1, sizeof(*lane));
	if (!lane)
		return NULL;
	lane->lanes = l;
	lane->connection = connection;
	lane->peer_hash = peer_hash;
	lane->last = &lane->first;
	if (!table_insert(l->lanes, &lane->node, table_hash_u64(connection ^ peer_hash))) {
		free(lane);
		return NULL;
	}
	lane->link = &l->first;
	lane->next = l->first;
	if (lane->next)
		lane->next->link = &lane->next;
	l->first = lane;
	return lane;
}

static struct use *use_find(const struct lanes *l, uint64_t token)
{
	struct table_node *node = table_first(l->uses, table_hash_u64(token));

	for (; node; node = table_next(node)) {
		struct use *use = (struct use *)(void *)node;

		if (use->token == token)
			return use;
	}
	return NULL;
}

static struct use *use_new(struct lanes *l, struct lane *lane, struct updown_request *request)
{
	struct use *use = calloc(1, sizeof(*use));

	if (!use)
		return NULL;
	*use = (struct use){.token = request->token, .lane = lane, .waiting = request};
	if (table_insert(l->uses, &use->node, table_hash_u64(use->token)))
		return use;
	free(use);
	return NULL;
}

static void use_free(struct lanes *l, struct use *use)
{
	if (!use)
		return;
	if (use->seat) {
		*use->link = use->next;
		if (use->next)
			use->next->link = use->link;
	}
	table_remove(l->uses, &use->node);
	free(use);
}

static void use_join(struct use *use, struct seat *seat)
{
	use->seat = seat;
	use->link = &seat->uses;
	use->next = seat->uses;
	if (use->next)
		use->next->link = &use->next;
	seat->uses = use;
	seat->users++;
}

static uint64_t pair_hash(const struct lanes *l, const struct updown_pair *p)
{
	struct {
		uint8_t bytes[4][16];
		uint16_t ports[4];
		uint8_t protocols[2], families[2];
	} key = {0};

	memcpy(key.bytes[0], p->local.range.first.bytes, 16);
	memcpy(key.bytes[1], p->local.range.last.bytes, 16);
	memcpy(key.bytes[2], p->remote.range.first.bytes, 16);
	memcpy(key.bytes[3], p->remote.range.last.bytes, 16);
	key.ports[0] = p->local.port_first;
	key.ports[1] = p->local.port_last;
	key.ports[2] = p->remote.port_first;
	key.ports[3] = p->remote.port_last;
	key.protocols[0] = p->local.protocol;
	key.protocols[1] = p->remote.protocol;
	key.families[0] = p->local.range.first.family;
	key.families[1] = p->remote.range.first.family;
	return table_hash(&l->seed, &key, sizeof(key));
}

static bool same_pair(const struct updown_pair *a, const struct updown_pair *b)
{
	return traffic_selector_equal(&a->local, &b->local) &&
	       traffic_selector_equal(&a->remote, &b->remote);
}

static struct seat *seat_find(const struct lane *lane, const struct updown_request *r)
{
	for (struct seat *seat = lane->seats; seat; seat = seat->next) {
		unsigned same = 0;

		while (same < r->pair_count && same < seat->pair_count &&
			same_pair(&seat->about->pairs[same], &r->pairs[same]))
			same++;
		if (same == r->pair_count && same == seat->pair_count)
			return seat;
	}
	return NULL;
}

/* Another permanent connection that is up with the same selectors, as long as it does not make way:
 * who answers a peer takes its connection for the newer one. */
static const char *conflict(const struct lanes *l, const struct updown_request *r)
{
	if (r->peer_hash || !r->initiator)
		return NULL;
	for (unsigned i = 0; i < r->pair_count; i++) {
		struct table_node *node = table_first(l->selectors, pair_hash(l, &r->pairs[i]));

		for (; node; node = table_next(node)) {
			const struct seat_pair *p = (const struct seat_pair *)(void *)node;
			const struct updown_request *other = p->seat->about;

			if (p->seat->users && p->seat->lane->connection != r->connection &&
				!p->seat->lane->peer_hash &&
				same_pair(&other->pairs[p - p->seat->pairs], &r->pairs[i]) &&
				strcmp(other->name, r->name) != 0)
				return other->name;
		}
	}
	return NULL;
}

/* ---- seats ---------------------------------------------------------------------------- */

static struct seat *seat_new(struct lane *lane, struct updown_request *about)
{
	struct lanes *l = lane->lanes;
	struct seat *seat =
		calloc(1, sizeof(*seat) + about->pair_count * sizeof(seat->pairs[0]));

	if (!seat)
		return NULL;
	seat->lane = lane;
	seat->about = about;
	seat->pair_count = about->pair_count;
	for (unsigned i = 0; i < seat->pair_count; i++) {
		struct seat_pair *p = &seat->pairs[i];

		p->seat = seat;
		p->in_table =
			table_insert(l->selectors, &p->node, pair_hash(l, &about->pairs[i]));
	}
	seat->next = lane->seats;
	lane->seats = seat;
	count(&l->seats, 1);
	return seat;
}

static void seat_free(struct seat *seat)
{
	struct lanes *l = seat->lane->lanes;
	struct seat **link = &seat->lane->seats;

	for (unsigned i = 0; i < seat->pair_count; i++) {
		struct seat_pair *p = &seat->pairs[i];

		if (p->in_table)
			table_remove(l->selectors, &p->node);
		if (p->hold)
			route_release(l->routes, p->hold);
	}
	while (seat->uses)
		use_free(l, seat->uses);
	while (*link != seat)
		link = &(*link)->next;
	*link = seat->next;
	updown_request_free(seat->about);
	free(seat);
	count(&l->seats, -1);
}

/* ---- steps ---------------------------------------------------------------------------- */

static void add_step(struct work *w, enum verb verb, unsigned pairs)
{
	w->steps[w->step_count++] = (struct step){.verb = verb, .pairs = pairs};
}

static void verb_text(const struct seat *seat, enum verb verb, unsigned pair, char out[32])
{
	static const char *const names[] = {"prepare", "route", "up", "down", "unroute"};
	const struct updown_pair *p = &seat->about->pairs[pair];

	snprintf(out, 32, "%s-%s%s", names[verb], p->local_is_host ? "host" : "client",
		p->local.range.first.family == AF_INET6 ? "-v6" : "");
}

static bool native_step(struct lanes *l, struct seat *seat, enum verb verb, unsigned pair,
	char *why, size_t size)
{
	const struct updown_request *r = seat->about;
	struct seat_pair *p = &seat->pairs[pair];
	const struct route_wish wish = {.me = r->me,
		.peer = r->peer,
		.nexthop = r->nexthop,
		.source = r->source,
		.metric = r->metric,
		.mtu = r->mtu,
		.device = r->device};

	if (!l->config->routes)
		return true;
	if (verb == VERB_UNROUTE) {
		route_release(l->routes, p->hold);
		p->hold = NULL;
	}
	/* With transport mode the peer itself is the client: it is reached already. */
	if (verb != VERB_ROUTE || !r->tunnel || p->hold)
		return true;
	return route_hold(l->routes, &r->pairs[pair].remote.range, &wish, r->prefix, &p->hold, why,
		size);
}

/* What only this thread knows: the device and the way to the peer. */
static void add_way(struct lanes *l, const struct updown_request *r, struct environment *e)
{
	char name[IF_NAMESIZE] = "", text[IP_TEXT_MAX];
	struct ip_address next = r->nexthop;
	struct route_hop hop = {0};

	if (l->routes && route_lookup(l->routes, &r->peer, &r->me, &hop) == 0) {
		if (hop.interface && !if_indextoname(hop.interface, name))
			name[0] = '\0';
		if (ip_is_unset(&next))
			next = hop.gateway;
	}
	if (ip_is_unset(&next))
		next = r->peer;
	environment_add(e, "PLUTO_INTERFACE", name);
	environment_add(e, "PLUTO_NEXT_HOP", ip_text(&next, text));
}

static void add_run(struct lanes *l, const struct work *w, const char *verb, struct environment *e)
{
	const struct updown_request *r = w->request;
	uint64_t in = r->op == UPDOWN_DOWN ? r->bytes_in : 0,
		 out = r->op == UPDOWN_DOWN ? r->bytes_out : 0;

	environment_add(e, "PATH", l->config->path);
	environment_add(e, "PLUTO_VERB", verb);
	environment_addf(e, "PLUTO_IN_BYTES", "%llu", (unsigned long long)in);
	environment_addf(e, "PLUTO_OUT_BYTES", "%llu", (unsigned long long)out);
	environment_addf(e, "PLUTO_INBYTES", "%llu", (unsigned long long)in);
	environment_addf(e, "PLUTO_OUTBYTES", "%llu", (unsigned long long)out);
	add_way(l, w->seat->about, e);
}

#define VARIABLES_MAX 128

static size_t point_at(char *text, size_t len, char **out, size_t count)
{
	for (size_t at = 0; at < len && count < VARIABLES_MAX - 1; at += strlen(text + at) + 1)
		out[count++] = text + at;
	return count;
}

static int start_child(struct lanes *l, struct lane *lane, unsigned child)
{
	struct work *w = &lane->work;
	struct updown_request *r = w->seat->about;
	struct updown_pair *p = &r->pairs[w->pair];
	char *variables[VARIABLES_MAX], verb[32];
	struct environment own = {0};
	size_t n;
	int error;

	verb_text(w->seat, w->steps[w->step].verb, w->pair, verb);
	add_run(l, w, verb, &own);
	n = point_at(own.text, own.failed ? 0 : own.len, variables, 0);
	n = point_at(r->environment, r->environment_len, variables, n);
	n = point_at(p->environment, p->environment_len, variables, n);
	variables[n] = NULL;
	error = own.failed ? ENOMEM
			   : child_start(&l->children[child], r->command, variables, verb,
				     r->prefix, l->config->timeout_ms, l->now_ms);
	free(own.text);
	return error;
}

static int find_free_child(const struct lanes *l)
{
	for (unsigned i = 0; i < l->config->children; i++)
		if (!l->children[i].pid)
			return (int)i;
	return -1;
}

static void wait_in_line(struct lanes *l, struct lane *lane)
{
	lane->next_ready = NULL;
	*l->last_ready = lane;
	l->last_ready = &lane->next_ready;
}

/* A step has failed: what was done before is undone. */
static void undo(struct work *w)
{
	enum verb failed = w->steps[w->step].verb;
	unsigned pairs = w->pair + 1, all = w->seat->pair_count;

	w->undoing = true;
	w->step_count = w->step = w->pair = 0;
	if (failed == VERB_UP)
		add_step(w, VERB_DOWN, pairs);
	if (failed != VERB_PREPARE && !w->was_routed)
		add_step(w, VERB_UNROUTE, failed == VERB_ROUTE ? pairs : all);
}

static void step_done(struct lane *lane, bool ok, const char *why)
{
	struct work *w = &lane->work;
	bool may_fail = w->request->op == UPDOWN_UP || w->request->op == UPDOWN_ROUTE;

	if (!ok && (!may_fail || w->undoing))
		log_line(LOG_LINE_WARNING, "%s%s", w->seat->about->prefix, why);
	if (!ok && may_fail && !w->undoing) {
		snprintf(w->why, sizeof(w->why), "%s", why);
		undo(w);
		return;
	}
	if (++w->pair < w->steps[w->step].pairs)
		return;
	w->pair = 0;
	w->step++;
}

/* False: it waits, for a child or for one to be free. */
static bool do_step(struct lanes *l, struct lane *lane)
{
	struct work *w = &lane->work;
	char why[UPDOWN_WHY_MAX] = "";
	int child, error;

	if (!w->seat->about->command) {
		step_done(lane, native_step(l, w->seat, w->steps[w->step].verb, w->pair, why,
					sizeof(why)),
			why);
		return true;
	}
	child = find_free_child(l);
	if (child < 0) {
		wait_in_line(l, lane);
		return false;
	}
	error = start_child(l, lane, (unsigned)child);
	count(&l->runs, 1);
	if (error) {
		snprintf(why, sizeof(why), "/bin/sh cannot be run: %s (errno %d)",
			strerror(error), error);
		count(&l->failed, 1);
		step_done(lane, false, why);
		return true;
	}
	l->child_lane[child] = lane;
	count(&l->running, 1);
	if (!l->watch(l->arg, (unsigned)child))
		child_kill(&l->children[child]);
	return false;
}

/* ---- work ------------------------------------------------------------------------------ */

static void begin_up(struct lane *lane, struct updown_request *r)
{
	struct lanes *l = lane->lanes;
	struct work *w = &lane->work;
	struct seat *seat = seat_find(lane, r);
	const char *other = conflict(l, r);
	struct use *use = r->op == UPDOWN_UP ? use_find(l, r->token) : NULL;

	if (use)
		use->waiting = NULL;
	w->seat = seat;
	if (other) {
		snprintf(w->why, sizeof(w->why), "cannot route -- route already in use for \"%s\"",
			other);
		w->undoing = true;
		return;
	}
	if (!seat)
		w->seat = seat = seat_new(lane, r);
	if (!seat) {
		snprintf(w->why, sizeof(w->why), "out of memory");
		w->undoing = true;
		return;
	}
	if (r->op == UPDOWN_UP && !seat->up && seat->about != r) { /* routed: with news of the SA */
		updown_request_free(seat->about);
		seat->about = r;
	}
	w->was_routed = seat->routed;
	if (!seat->routed) {
		add_step(w, VERB_PREPARE, seat->pair_count);
		add_step(w, VERB_ROUTE, seat->pair_count);
	}
	if (r->op == UPDOWN_UP && !seat->up)
		add_step(w, VERB_UP, seat->pair_count);
}

static bool has_routes(const struct seat *seat)
{
	for (unsigned i = 0; i < seat->pair_count; i++)
		if (seat->pairs[i].hold)
			return true;
	return false;
}

static void finish_up(struct lane *lane)
{
	struct lanes *l = lane->lanes;
	struct work *w = &lane->work;
	struct updown_request *r = w->request;
	struct use *use = r->op == UPDOWN_UP ? use_find(l, r->token) : NULL;
	struct seat *seat = w->seat;
	bool ok = !w->undoing, owned = seat && seat->about == r;
	bool nothing = ok && !seat->about->command && !has_routes(seat);

	l->answer(l->arg, r, ok, nothing, w->why);
	if (ok && !nothing) {
		seat->routed = true;
		seat->kept = seat->kept || r->peer_hash == 0;
		if (r->op == UPDOWN_UP) {
			seat->up = true;
			use_join(use, seat);
		}
	} else {
		use_free(l, use);
		if (seat && !seat->routed && !seat->users)
			seat_free(seat); /* with what it is about */
	}
	if (!owned)
		updown_request_free(r);
}

static void begin_down(struct lane *lane, struct updown_request *r)
{
	struct work *w = &lane->work;
	struct use *use = use_find(lane->lanes, r->token);

	w->seat = use ? use->seat : NULL;
	use_free(lane->lanes, use);
	if (!w->seat || --w->seat->users) {
		w->seat = NULL;
		return;
	}
	if (w->seat->up)
		add_step(w, VERB_DOWN, w->seat->pair_count);
	if (w->seat->routed && !w->seat->kept)
		add_step(w, VERB_UNROUTE, w->seat->pair_count);
	w->seat->up = false;
}

/* One seat after the other. */
static void begin_unroute(struct lane *lane)
{
	struct work *w = &lane->work;
	struct seat *seat;

	for (seat = lane->seats; seat; seat = seat->next) {
		seat->kept = false;
		if (lane->lanes->closing || !seat->users)
			break;
	}
	w->seat = seat;
	if (!seat)
		return;
	if (seat->up)
		add_step(w, VERB_DOWN, seat->pair_count);
	if (seat->routed)
		add_step(w, VERB_UNROUTE, seat->pair_count);
	seat->users = 0;
	seat->up = false;
}

static void finish_down(struct lane *lane)
{
	struct work *w = &lane->work;
	struct seat *seat = w->seat;
	bool again = w->request->op == UPDOWN_UNROUTE && seat;

	if (seat && !seat->kept && !seat->users)
		seat_free(seat);
	if (again) { /* as long as there are any */
		w->request->next = lane->first;
		if (!lane->first)
			lane->last = &w->request->next;
		lane->first = w->request;
		return;
	}
	updown_request_free(w->request);
}

static void begin(struct lane *lane)
{
	struct updown_request *r = lane->first;

	lane->first = r->next;
	if (!lane->first)
		lane->last = &lane->first;
	r->next = NULL;
	lane->work = (struct work){.request = r};
	count(&lane->lanes->waiting, 1);
	switch (r->op) {
	case UPDOWN_UP:
	case UPDOWN_ROUTE:
		begin_up(lane, r);
		return;
	case UPDOWN_DOWN:
		begin_down(lane, r);
		return;
	case UPDOWN_UNROUTE:
		begin_unroute(lane);
		return;
	}
}

static void finish(struct lane *lane)
{
	enum updown_op op = lane->work.request->op;

	if (op == UPDOWN_UP || op == UPDOWN_ROUTE)
		finish_up(lane);
	else
		finish_down(lane);
	lane->work.request = NULL;
	count(&lane->lanes->waiting, -1);
}

static void free_if_empty(struct lanes *l, struct lane *lane)
{
	if (lane->seats)
		return;
	*lane->link = lane->next;
	if (lane->next)
		lane->next->link = lane->link;
	table_remove(l->lanes, &lane->node);
	free(lane);
}

/* As far as it goes without waiting. The lane may be gone afterwards. */
static void advance(struct lanes *l, struct lane *lane)
{
	for (;;) {
		if (!lane->work.request) {
			if (!lane->first) {
				free_if_empty(l, lane);
				return;
			}
			begin(lane);
		}
		if (lane->work.step < lane->work.step_count) {
			if (!do_step(l, lane))
				return;
		} else {
			finish(lane);
		}
	}
}

/* ---- from outside ---------------------------------------------------------------------- */

static void append(struct lanes *l, struct lane *lane, struct updown_request *r)
{
	r->next = NULL;
	*lane->last = r;
	lane->last = &r->next;
	if (!lane->work.request)
		advance(l, lane);
}

static void refuse(struct lanes *l, struct updown_request *r, const char *why)
{
	l->answer(l->arg, r, false, false, why);
	updown_request_free(r);
}

static void ask_up(struct lanes *l, struct updown_request *r)
{
	struct lane *lane = l->closing ? NULL : lane_get(l, r->connection, r->peer_hash);

	if (!lane) {
		refuse(l, r, l->closing ? "shutting down" : "out of memory");
		return;
	}
	if (r->op == UPDOWN_UP && !use_new(l, lane, r)) {
		refuse(l, r, "out of memory");
		if (!lane->work.request && !lane->first)
			free_if_empty(l, lane);
		return;
	}
	append(l, lane, r);
}

static void take_out(struct lane *lane, struct updown_request *r)
{
	struct updown_request **link = &lane->first;

	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
	if (!*link)
		lane->last = link;
}

static void ask_down(struct lanes *l, struct updown_request *r)
{
	struct use *use = use_find(l, r->token);

	if (use && use->waiting) { /* nothing has been done for it yet */
		take_out(use->lane, use->waiting);
		refuse(l, use->waiting, "the SA has gone");
		use_free(l, use);
		use = NULL;
	}
	if (use)
		append(l, use->lane, r);
	else
		updown_request_free(r);
}

static void ask_unroute(struct lanes *l, struct updown_request *r)
{
	struct lane *lane = lane_find(l, r->connection, r->peer_hash);

	if (lane)
		append(l, lane, r);
	else
		updown_request_free(r);
}

void lanes_ask(struct lanes *l, struct updown_request *request)
{
	switch (request->op) {
	case UPDOWN_UP:
	case UPDOWN_ROUTE:
		ask_up(l, request);
		return;
	case UPDOWN_DOWN:
		ask_down(l, request);
		return;
	case UPDOWN_UNROUTE:
		ask_unroute(l, request);
		return;
	}
}

static void serve(struct lanes *l)
{
	while (l->first_ready && find_free_child(l) >= 0) {
		struct lane *lane = l->first_ready;

		l->first_ready = lane->next_ready;
		if (!l->first_ready)
			l->last_ready = &l->first_ready;
		advance(l, lane);
	}
}

void lanes_child_ended(struct lanes *l, unsigned child)
{
	struct lane *lane = l->child_lane[child];
	struct child *c = &l->children[child];
	bool late = c->stage != CHILD_RUNS;
	char why[UPDOWN_WHY_MAX] = "";
	bool ok = child_end(c, why, sizeof(why));

	l->child_lane[child] = NULL;
	count(&l->running, -1);
	count(&l->failed, !ok);
	count(&l->timed_out, late);
	step_done(lane, ok, why);
	advance(l, lane);
	serve(l);
}

/* ---- the end --------------------------------------------------------------------------- */

static void refuse_waiting(struct lanes *l, struct lane *lane)
{
	struct updown_request **link = &lane->first;

	while (*link) {
		struct updown_request *r = *link;

		if (r->op == UPDOWN_UP || r->op == UPDOWN_ROUTE) {
			*link = r->next;
			if (r->op == UPDOWN_UP)
				use_free(l, use_find(l, r->token));
			refuse(l, r, "shutting down");
		} else {
			link = &r->next;
		}
	}
	lane->last = link;
}

void lanes_close(struct lanes *l)
{
	struct lane *next;

	l->closing = true;
	for (struct lane *lane = l->first; lane; lane = next) {
		struct updown_request *r = calloc(1, sizeof(*r));

		next = lane->next;
		refuse_waiting(l, lane);
		if (!r)
			continue;
		r->op = UPDOWN_UNROUTE;
		append(l, lane, r);
	}
}

unsigned lanes_give_up(struct lanes *l)
{
	unsigned given_up = 0;

	while (l->first) {
		struct lane *lane = l->first;
		struct work *w = &lane->work;
		struct updown_request *r;

		if (w->request && w->seat && w->seat->about == w->request)
			w->request = NULL; /* goes with the seat */
		updown_request_free(w->request);
		while ((r = lane->first)) {
			lane->first = r->next;
			updown_request_free(r);
		}
		for (; lane->seats; given_up++)
			seat_free(lane->seats);
		free_if_empty(l, lane);
	}
	return given_up;
}
