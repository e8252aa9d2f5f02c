#include "sa_window.h"

#include "shard_set.h"

#include <stdlib.h>

#define CHILDREN_MAX 4096 /* of one IKE SA */

/* False when memory is out. */
static bool grow(void **array, size_t *size, size_t wanted, size_t item)
{
	if (wanted <= *size) {
		return true;
	}
	size_t new_size = *size == 0 ? 64 : *size;
	while (new_size < wanted) {
		new_size *= 2;
	}
	void *data = reallocarray(*array, new_size, item);
	if (data == NULL) {
		return false;
	}
	*array = data;
	*size = new_size;
	return true;
}

static void query(struct sa_window *window, struct shard *shard, const struct child_view *child,
	const struct ike_path *path, uint64_t token, enum ipsec_direction direction)
{
	struct ipsec_request request = {.op = IPSEC_SA_QUERY, .token = token};
	request.sa = (struct ipsec_sa){
		.spi = direction == IPSEC_INBOUND ? child->in_spi : child->out_spi,
		.direction = direction,
		.protocol = child->protocol,
		.mode = child->mode,
		.local = path->local,
		.remote = path->remote,
		.udp_encapsulation = child->udp_encapsulation,
		.reqid = child->reqid,
	};
	if (!child->udp_encapsulation) {
		request.sa.local.port = request.sa.remote.port = 0;
	}
	window->outstanding++;
	kernel_channel_submit(shard->channel, &request);
}

static void query_child(struct sa_window *window, struct shard *shard,
	const struct ike_sa_view *view, const struct child_view *child, uint32_t report_id)
{
	if (!child->established || !grow((void **)&window->children, &window->child_size,
					   window->child_count + 1, sizeof *window->children)) {
		return;
	}
	uint64_t slot = window->child_count++;
	uint64_t token = WINDOW_TOKEN_MASK | (uint64_t)report_id << 24 | slot << 1;
	window->children[slot] = (struct queried_child){view->serial, child->serial, {{0}, {0}}};
	if (sa_counters_find(&window->known, child->serial, window->children[slot].counters)) {
		return;
	}
	query(window, shard, child, &view->path, token, IPSEC_INBOUND);
	query(window, shard, child, &view->path, token | 1, IPSEC_OUTBOUND);
}

bool sa_window_fill(
	struct sa_window *window, struct shard *shard, struct ike_walk *walk, uint32_t report_id)
{
	window->count = window->at = window->outstanding = 0;
	window->child_count = window->next_child = 0;
	while (window->count < WINDOW_SAS && window->child_count < WINDOW_CHILDREN) {
		struct ike_sa_view *view = &window->views[window->count];
		if (!ike_walk_next(walk, view)) {
			return false;
		}
		window->count++;
		view->connection =
			view->connection != NULL ? connection_ref(view->connection) : NULL;
		view->local_id = view->local_id != NULL ? identity_ref(view->local_id) : NULL;
		view->remote_id = view->remote_id != NULL ? identity_ref(view->remote_id) : NULL;
		struct child_view child;
		for (unsigned i = 0; i < view->child_count && i < CHILDREN_MAX &&
				     ike_engine_child_at(shard->engine, view->serial, i, &child);
			i++) {
			query_child(window, shard, view, &child, report_id);
		}
		view->child = (struct child_view){0};
	}
	return true;
}

void sa_window_answer(struct sa_window *window, const struct ipsec_answer *answer)
{
	size_t slot = (answer->token & 0xffffff) >> 1;
	if (slot >= window->child_count || window->outstanding == 0) {
		return;
	}
	window->outstanding--;
	if (answer->error == 0) {
		window->children[slot].counters[answer->token & 1] = answer->counters;
	}
}

/* They are mostly met in the order in which they were asked for: the search goes on where the last
 * one ended. */
static const struct queried_child *find_child(
	struct sa_window *window, uint64_t ike_serial, uint64_t serial)
{
	for (size_t n = 0; n < window->child_count; n++) {
		const struct queried_child *c =
			&window->children[(window->next_child + n) % window->child_count];
		if (c->ike_serial == ike_serial && c->serial == serial) {
			window->next_child = (size_t)(c - window->children) + 1;
			return c;
		}
	}
	return NULL;
}

static void release_view(struct ike_sa_view *view)
{
	connection_unref(view->connection);
	identity_unref(view->local_id);
	identity_unref(view->remote_id);
}

/* Child SAs may have come and gone since the kernel was asked: takes those of now, with the
 * counters that are known of them. */
static void match_children(
	struct sa_window *window, struct ike_engine *engine, struct ike_sa_view *view)
{
	unsigned n = 0;
	struct child_view child;
	for (; n < CHILDREN_MAX && ike_engine_child_at(engine, view->serial, n, &child); n++) {
		if (!grow((void **)&window->shown, &window->shown_size, 2 * (size_t)n + 2,
			    sizeof *window->shown)) {
			break;
		}
		const struct queried_child *known = find_child(window, view->serial, child.serial);
		window->shown[2 * n] = known ? known->counters[0] : (struct ipsec_counters){0};
		window->shown[2 * n + 1] = known ? known->counters[1] : (struct ipsec_counters){0};
	}
	view->child_count = n;
	if (n == 0 || !ike_engine_child_at(engine, view->serial, 0, &view->child)) {
		view->child = (struct child_view){0};
	}
}

const struct ike_sa_view *sa_window_next(
	struct sa_window *window, struct ike_engine *engine, const struct ipsec_counters **counters)
{
	/* The one shown last is kept until now for the visitor. */
	if (window->at > 0) {
		release_view(&window->views[window->at - 1]);
	}
	if (window->at == window->count) {
		window->at = window->count = 0;
		return NULL;
	}
	struct ike_sa_view *view = &window->views[window->at++];
	match_children(window, engine, view);
	*counters = window->shown;
	return view;
}

void sa_window_free(struct sa_window *window)
{
	unsigned from = window->at > 0 ? window->at - 1 : 0;
	for (unsigned i = from; i < window->count; i++) {
		release_view(&window->views[i]);
	}
	sa_counters_free(&window->known);
	free(window->children);
	free(window->shown);
	*window = (struct sa_window){0};
}
