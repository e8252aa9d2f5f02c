/* The host functions of a simulated gateway. */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct node *node_of(struct ike_host *host)
{
	return (struct node *)host;
}

/* ---- host functions ---------------------------------------------------------------------- */

static uint64_t host_now(struct ike_host *host)
{
	return node_of(host)->world->now_ms;
}

static uint64_t host_wall(struct ike_host *host)
{
	return 1700000000 + node_of(host)->world->now_ms / 1000;
}

static void host_random(struct ike_host *host, void *out, size_t len)
{
	uint8_t *p = out;

	while (len--)
		*p++ = random_next(&node_of(host)->random) >> 24;
}

static bool host_owns_spi(struct ike_host *host, uint64_t spi)
{
	(void)host;
	return spi % 2 == 0; /* as if another shard had the odd ones */
}

static void host_send(struct ike_host *host, const struct ike_path *path, struct bytes message)
{
	world_send(node_of(host)->world, path, message.data, message.len);
}

static void host_keepalive(struct ike_host *host, const struct ike_path *path)
{
	node_of(host)->keepalives += path->non_esp_marker;
}

static void host_arm(struct ike_host *host, struct timer *timer, uint64_t due_ms)
{
	timer_arm(node_of(host)->wheel, timer, due_ms);
}

static void host_cancel(struct ike_host *host, struct timer *timer)
{
	timer_cancel(node_of(host)->wheel, timer);
}

static bool host_submit(struct ike_host *host, struct crypto_job *job)
{
	struct node *node = node_of(host);
	struct event event = {
		.kind = EVENT_JOB, .node = node->index, .generation = node->generation, .job = job};

	if (random_chance(&node->world->random, node->overload))
		return false;
	crypto_job_run(job);
	node->jobs_out++;
	world_post(node->world, &event, random_below(&node->world->random, 20));
	return true;
}

static unsigned host_load(struct ike_host *host)
{
	struct node *node = node_of(host);

	return random_chance(&node->world->random, node->overload) ? 95 : 0;
}

static uint32_t host_allocate_spi(struct ike_host *host)
{
	struct node *node = node_of(host);

	if (node->spi_count == NODE_SPIS_MAX)
		return 0;
	return node->spis[node->spi_count++] = node->world->next_spi++;
}

static void forget_spi(struct node *node, uint32_t spi)
{
	for (unsigned i = 0; i < node->spi_count; i++) {
		if (node->spis[i] == spi) {
			node->spis[i] = node->spis[--node->spi_count];
			return;
		}
	}
	world_fail(node->world, "node %u gives back SPI %08x, which it does not have", node->index,
		spi);
}

static void host_release_spi(struct ike_host *host, uint32_t spi)
{
	struct node *node = node_of(host);

	if (node_inbound_sa(node, spi))
		world_fail(node->world, "node %u releases SPI %08x, whose SA is in the kernel",
			node->index, spi);
	forget_spi(node, spi);
}

static uint16_t host_allocate_cpi(struct ike_host *host)
{
	struct node *node = node_of(host);
	uint16_t cpi = (uint16_t)(256 + node->world->next_cpi++ % 61184);

	if (node->no_ipcomp || node->cpi_count == NODE_CPIS_MAX)
		return 0;
	return node->cpis[node->cpi_count++] = cpi;
}

static void forget_cpi(struct node *node, uint16_t cpi)
{
	for (unsigned i = 0; i < node->cpi_count; i++) {
		if (node->cpis[i] == cpi) {
			node->cpis[i] = node->cpis[--node->cpi_count];
			return;
		}
	}
	world_fail(
		node->world, "node %u gives back CPI %u, which it does not have", node->index, cpi);
}

static void host_release_cpi(struct ike_host *host, uint16_t cpi)
{
	forget_cpi(node_of(host), cpi);
}

static uint64_t host_serial(struct ike_host *host)
{
	return ++node_of(host)->world->next_serial;
}

static uint32_t host_reqid(struct ike_host *host)
{
	return node_of(host)->world->next_reqid++;
}

static void host_log(struct ike_host *host, enum log_severity severity, ike_watcher watcher,
	enum ike_rc code, const char *line, size_t len)
{
	struct node *node = node_of(host);

	(void)severity;
	if (watcher && watcher <= node->watcher_count && node->watcher_state[watcher - 1] == 2)
		world_fail(
			node->world, "line for a watcher that was released: %.*s", (int)len, line);
	if (node->world->hear)
		node->world->hear(node, watcher, code, line, len);
	if (node->world->verbose)
		printf("# %9.3f node %u: %s%.*s (%d)\n", node->world->now_ms / 1000.0, node->index,
			watcher ? "> " : "", (int)len, line, code);
}

static void host_release(struct ike_host *host, ike_watcher watcher)
{
	struct node *node = node_of(host);

	if (!watcher || watcher > node->watcher_count || node->watcher_state[watcher - 1] != 1)
		world_fail(node->world, "node %u released watcher %llu that does not wait",
			node->index, (unsigned long long)watcher);
	else if (!--node->watcher_left[watcher - 1])
		node->watcher_state[watcher - 1] = 2;
}

static void host_tell(struct ike_host *host, const struct ike_news *news)
{
	node_of(host)->told[news->kind]++;
}

static bool host_require_cookie(struct ike_host *host, uint64_t half_open)
{
	return node_of(host)->want_cookies || half_open > 20;
}

static bool host_refuse(struct ike_host *host, uint64_t half_open)
{
	(void)host;
	return half_open > 200;
}

/* ---- the kernel -------------------------------------------------------------------------- */

/* An inbound SA is known by its SPI, which is ours. An outbound one's was chosen by its peer, and
 * two peers may choose the same, or one peer twice. 0: of any asker. */
static struct kernel_sa *find_sa(
	struct node *node, uint32_t spi, enum ipsec_direction direction, uint64_t id)
{
	for (unsigned i = 0; i < node->sa_count; i++) {
		struct kernel_sa *sa = &node->sas[i];

		if (sa->present && sa->sa.spi == spi && sa->sa.direction == direction &&
			(direction == IPSEC_INBOUND || !id || sa->sa.id == id))
			return sa;
	}
	return NULL;
}

const struct ipsec_sa *node_inbound_sa(const struct node *node, uint32_t spi)
{
	const struct kernel_sa *found =
		find_sa((struct node *)(uintptr_t)node, spi, IPSEC_INBOUND, 0);

	return found ? &found->sa : NULL;
}

const struct ipsec_sa *node_outbound_sa(const struct node *node, uint32_t spi, uint64_t id)
{
	const struct kernel_sa *found =
		find_sa((struct node *)(uintptr_t)node, spi, IPSEC_OUTBOUND, id);

	return found ? &found->sa : NULL;
}

const struct ipsec_sa *node_sending_sa(const struct node *node, uint32_t reqid)
{
	const struct kernel_sa *newest = NULL;

	for (unsigned i = 0; i < node->sa_count; i++) {
		const struct kernel_sa *sa = &node->sas[i];

		if (sa->present && sa->sa.direction == IPSEC_OUTBOUND &&
			(!reqid || sa->sa.reqid == reqid) &&
			(!newest || sa->order > newest->order))
			newest = sa;
	}
	return newest ? &newest->sa : NULL;
}

/* A second outbound SA of one SPI to one peer: the dataplane and Linux refuse it. */
static bool outbound_taken(const struct node *node, const struct ipsec_sa *sa)
{
	for (unsigned i = 0; i < node->sa_count; i++) {
		const struct kernel_sa *known = &node->sas[i];

		if (known->present && known->sa.direction == IPSEC_OUTBOUND &&
			known->sa.spi == sa->spi &&
			ip_equal(&known->sa.remote.address, &sa->remote.address))
			return true;
	}
	return false;
}

unsigned node_live_sas(const struct node *node)
{
	unsigned live = 0;

	for (unsigned i = 0; i < node->sa_count; i++)
		live += node->sas[i].present;
	return live;
}

static int kernel_add(struct node *node, const struct ipsec_sa *sa)
{
	unsigned place = 0;

	if (random_chance(&node->world->random, node->kernel_errors))
		return EINVAL;
	if (sa->direction == IPSEC_INBOUND ? !!node_inbound_sa(node, sa->spi)
					   : outbound_taken(node, sa))
		return EEXIST;
	while (place < node->sa_count && node->sas[place].present)
		place++;
	if (place == NODE_SAS_MAX)
		return ENOMEM;
	if (place == node->sa_count)
		node->sa_count++;
	node->sas[place].sa = *sa;
	node->sas[place].sa.local_ts = node->sas[place].sa.remote_ts = NULL;
	node->sas[place].present = true;
	node->sas[place].order = ++node->sa_order;
	return 0;
}

static struct ipsec_answer kernel_delete(struct node *node, const struct ipsec_request *request)
{
	struct kernel_sa *found =
		find_sa(node, request->sa.spi, request->sa.direction, request->sa.id);
	struct ipsec_answer answer = {.op = request->op, .token = request->token};

	if (request->sa.direction == IPSEC_INBOUND)
		forget_spi(node, request->sa.spi);
	if (request->sa.direction == IPSEC_INBOUND && request->sa.ipcomp_cpi)
		forget_cpi(node, request->sa.ipcomp_cpi);
	if (!found) {
		answer.error = ENOENT;
		return answer;
	}
	answer.counters.bytes = request->sa.direction == IPSEC_INBOUND ? 17 : 4096;
	secret_wipe(found, sizeof(*found));
	return answer;
}

static int kernel_move(struct node *node, const struct ipsec_sa *sa)
{
	struct kernel_sa *found = find_sa(node, sa->spi, sa->direction, sa->id);

	if (!found)
		return ENOENT;
	if (node->cannot_move)
		return EPERM;
	found->sa.local = sa->local;
	found->sa.remote = sa->remote;
	return 0;
}

static uint64_t mix(uint64_t digest, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		digest = (digest ^ *p++) * 0x100000001b3u;
	return digest;
}

static uint64_t mix_selectors(uint64_t digest, const struct traffic_selector *ts, unsigned count)
{
	for (; count--; ts++) {
		digest = mix(digest, &ts->protocol, sizeof(ts->protocol));
		digest = mix(digest, &ts->port_first, sizeof(ts->port_first));
		digest = mix(digest, &ts->port_last, sizeof(ts->port_last));
		digest = mix(digest, ts->range.first.bytes, sizeof(ts->range.first.bytes));
		digest = mix(digest, ts->range.last.bytes, sizeof(ts->range.last.bytes));
	}
	return mix(digest, "=", 1);
}

static struct kernel_policy digest_of(const struct ipsec_policy *policy)
{
	uint64_t digest =
		mix_selectors(0xcbf29ce484222325u, policy->local_ts, policy->local_ts_count);

	digest = mix_selectors(digest, policy->remote_ts, policy->remote_ts_count);
	return (struct kernel_policy){.reqid = policy->reqid,
		.selectors = mix(digest, &policy->route, sizeof(policy->route)),
		.action = policy->action,
		.trap = policy->trap,
		.protocol = (uint8_t)policy->protocol,
		.ipcomp = policy->ipcomp};
}

static unsigned find_policy(const struct node *node, const struct ipsec_policy *policy)
{
	struct kernel_policy wanted = digest_of(policy);
	unsigned i = 0;

	while (i < node->policy_count && (node->policies[i].reqid != wanted.reqid ||
						 node->policies[i].selectors != wanted.selectors))
		i++;
	return i;
}

bool node_has_policy(const struct node *node, const struct ipsec_policy *policy)
{
	return find_policy(node, policy) < node->policy_count;
}

const struct kernel_policy *node_policy(const struct node *node, const struct ipsec_policy *policy)
{
	unsigned i = find_policy(node, policy);

	return i < node->policy_count ? &node->policies[i] : NULL;
}

const struct kernel_policy *node_route_policy(const struct node *node, const struct connection *c)
{
	struct ipsec_policy policy = {.reqid = c->reqid,
		.route = true,
		.local_ts = c->local.selectors,
		.local_ts_count = c->local.selector_count,
		.remote_ts = c->remote.selectors,
		.remote_ts_count = c->remote.selector_count};
	unsigned i = find_policy(node, &policy);

	return i < node->policy_count ? &node->policies[i] : NULL;
}

static int policy_add(struct node *node, const struct ipsec_policy *policy)
{
	if (random_chance(&node->world->random, node->kernel_errors))
		return EINVAL;
	unsigned i = find_policy(node, policy);

	if (i < node->policy_count) {
		node->policies[i] = digest_of(policy);
		return 0;
	}
	if (node->policy_count == NODE_POLICIES_MAX)
		return ENOMEM;
	node->policies[node->policy_count++] = digest_of(policy);
	return 0;
}

static int policy_delete(struct node *node, const struct ipsec_policy *policy)
{
	unsigned i = find_policy(node, policy);

	if (i == node->policy_count)
		return ENOENT;
	node->policies[i] = node->policies[--node->policy_count];
	return 0;
}

static void host_ipsec(struct ike_host *host, const struct ipsec_request *request)
{
	struct node *node = node_of(host);
	struct event event = {
		.kind = EVENT_IPSEC_ANSWER, .node = node->index, .generation = node->generation};
	uint64_t due;

	event.answer = (struct ipsec_answer){.op = request->op, .token = request->token};
	if (request->op == IPSEC_SA_ADD)
		event.answer.error = kernel_add(node, &request->sa);
	else if (request->op == IPSEC_SA_DELETE)
		event.answer = kernel_delete(node, request);
	else if (request->op == IPSEC_SA_MOVE)
		event.answer.error = kernel_move(node, &request->sa);
	else if (request->op == IPSEC_POLICY_ADD)
		event.answer.error = policy_add(node, &request->policy);
	else if (request->op == IPSEC_POLICY_DELETE)
		event.answer.error = policy_delete(node, &request->policy);
	else if (request->op == IPSEC_SA_QUERY)
		event.answer.counters.idle_ms = UINT64_MAX;
	/* Answers come in order of the requests. */
	due = node->world->now_ms + random_below(&node->world->random, 5);
	if (due > node->last_answer_ms)
		node->last_answer_ms = due;
	world_post(node->world, &event, node->last_answer_ms - node->world->now_ms);
}

/* ---- updown ------------------------------------------------------------------------------ */

static struct node_updown *find_updown(struct node *node, uint64_t token)
{
	for (unsigned i = 0; i < node->updown_count; i++)
		if (node->updowns[i].token == token)
			return &node->updowns[i];
	return NULL;
}

static void forget_updown(struct node *node, struct node_updown *u)
{
	if (u)
		*u = node->updowns[--node->updown_count];
}

static enum ike_updown_result updown_up(struct node *node, const struct ike_updown *request)
{
	const struct updown_ways *ways = &node->updown_ways;
	struct random_source *dice = &node->world->random;
	struct event event = {.kind = EVENT_UPDOWN,
		.node = node->index,
		.generation = node->generation,
		.updown_token = request->token};
	unsigned fate = random_below(dice, 100);

	node->ups++;
	if (find_updown(node, request->token))
		world_fail(node->world, "node %u: #%llu is brought up twice", node->index,
			(unsigned long long)request->token);
	if (!request->in_spi || !request->out_spi || !request->remote_id || !request->local_ts_count)
		world_fail(node->world, "node %u: #%llu is brought up half known", node->index,
			(unsigned long long)request->token);
	if (node->updown_count == NODE_UPDOWNS_MAX)
		return IKE_UPDOWN_FAILED;
	node->updowns[node->updown_count++] = (struct node_updown){.token = request->token};
	event.updown_result = fate < ways->failures			? IKE_UPDOWN_FAILED
			      : fate < ways->failures + ways->nothing ? IKE_UPDOWN_NOTHING
								      : IKE_UPDOWN_DONE;
	world_post(node->world, &event, ways->delay_max_ms ? random_below(dice, ways->delay_max_ms) : 0);
	return IKE_UPDOWN_ASKED;
}

static enum ike_updown_result host_updown(struct ike_host *host, const struct ike_updown *request)
{
	struct node *node = node_of(host);
	struct node_updown *u = find_updown(node, request->token);

	if (request->op == IKE_UPDOWN_UP)
		return node->updown_ways.asked ? updown_up(node, request) : IKE_UPDOWN_NOTHING;
	if (request->op == IKE_UPDOWN_UNROUTE)
		node->unroutes++;
	if (request->op != IKE_UPDOWN_DOWN)
		return IKE_UPDOWN_NOTHING;
	node->downs++;
	node->down_bytes_in = request->bytes_in;
	node->down_bytes_out = request->bytes_out;
	forget_updown(node, u);
	return IKE_UPDOWN_NOTHING;
}

static void updown_answered(struct node *node, const struct event *event)
{
	struct node_updown *u = find_updown(node, event->updown_token);

	if (u && event->updown_result == IKE_UPDOWN_DONE)
		u->up = true;
	else
		forget_updown(node, u);
	ike_engine_updown_done(node->engine, event->updown_token, event->updown_result, "as diced");
}

static const struct ike_host host_functions = {
	.now_ms = host_now,
	.wall_s = host_wall,
	.random = host_random,
	.owns_spi = host_owns_spi,
	.send = host_send,
	.send_keepalive = host_keepalive,
	.arm = host_arm,
	.cancel = host_cancel,
	.submit = host_submit,
	.load = host_load,
	.allocate_spi = host_allocate_spi,
	.release_spi = host_release_spi,
	.allocate_cpi = host_allocate_cpi,
	.release_cpi = host_release_cpi,
	.ipsec = host_ipsec,
	.new_serial = host_serial,
	.new_reqid = host_reqid,
	.log = host_log,
	.release_watcher = host_release,
	.tell = host_tell,
	.updown = host_updown,
	.require_cookie = host_require_cookie,
	.refuse_new = host_refuse,
};

/* ---- life -------------------------------------------------------------------------------- */

struct node *node_add(struct world *world, bool natted)
{
	struct node *node = calloc(1, sizeof(*node));
	unsigned i = world->node_count;

	node->host = host_functions;
	node->world = world;
	node->index = i;
	node->address = ip_v4(natted ? 0x0a000001 + i : 0xc0000201 + i);
	node->natted = natted;
	node->nat_address = ip_v4(0xc6336401 + i);
	node->nat_offset = natted ? 10000 : 0;
	node->random.state = random_next(&world->random);
	node->catalogue = catalogue_new();
	node->vault = secret_vault_new();
	node->counters = counter_set_new(ike_counter_count());
	world->nodes[i] = node;
	world->node_count++;
	return node;
}

void node_start(struct node *node)
{
	uint8_t cookie_secret[32];
	struct ike_engine_config config = {
		.host = &node->host,
		.crypto = node->world->crypto,
		.catalogue = node->catalogue,
		.secrets = node->vault,
		.counters = &node->counters,
		.ike_port = 500,
		.nat_port = 4500,
		.fragment_datagram = node->fragment_datagram,
		.keep_alive_s = 20,
		.unique_ids = !node->shared_ids,
		.cookie_secret = cookie_secret,
	};

	host_random(&node->host, cookie_secret, sizeof(cookie_secret));
	node->wheel = timer_wheel_new(node->world->now_ms);
	node->engine = ike_engine_new(&config);
}

void node_kill(struct node *node)
{
	if (!node->engine)
		return;
	ike_engine_free(node->engine);
	node->engine = NULL;
	node->generation++;
	if (timer_wheel_count(node->wheel))
		world_fail(node->world, "node %u died with %llu timers armed", node->index,
			(unsigned long long)timer_wheel_count(node->wheel));
	timer_wheel_free(node->wheel);
	node->wheel = NULL;
	memset(node->sas, 0, sizeof(node->sas));
	node->sa_count = node->policy_count = node->spi_count = node->updown_count = 0;
	node->cpi_count = 0;
}

void node_free(struct node *node)
{
	node_kill(node);
	catalogue_free(node->catalogue);
	secret_vault_free(node->vault);
	counter_set_free(&node->counters);
	free(node);
}

static void fire(struct timer *timer, void *arg)
{
	struct node *node = arg;

	ike_engine_timer(node->engine, timer);
}

void node_timers(struct node *node)
{
	if (node->engine)
		timer_wheel_expire(node->wheel, node->world->now_ms, 0, fire, node);
}

uint64_t node_next_timer(const struct node *node)
{
	return node->engine ? timer_wheel_next(node->wheel) : UINT64_MAX;
}

void node_event(struct node *node, struct event *event)
{
	switch (event->kind) {
	case EVENT_DATAGRAM:
		ike_engine_datagram(node->engine, &event->path, event->bytes, event->len);
		free(event->bytes);
		break;
	case EVENT_JOB:
		node->jobs_out--;
		ike_engine_job_done(node->engine, event->job);
		break;
	case EVENT_IPSEC_ANSWER:
		ike_engine_ipsec_answer(node->engine, &event->answer);
		break;
	case EVENT_UPDOWN:
		updown_answered(node, event);
		break;
	case EVENT_ACTION:
		break;
	}
}

/* ---- the way there ----------------------------------------------------------------------- */

int node_route(struct world *world, const struct ike_path *path, struct ike_path *seen)
{
	*seen = (struct ike_path){.local = path->remote,
		.remote = path->local,
		.non_esp_marker = path->non_esp_marker};
	for (unsigned i = 0; i < world->node_count; i++) {
		const struct node *from = world->nodes[i];

		if (from->natted && ip_equal(&from->address, &path->local.address)) {
			seen->remote.address = from->nat_address;
			seen->remote.port = path->local.port + from->nat_offset;
		}
	}
	for (unsigned i = 0; i < world->node_count; i++) {
		const struct node *to = world->nodes[i];

		if (!to->natted && ip_equal(&to->address, &path->remote.address))
			return i;
		if (to->natted && ip_equal(&to->nat_address, &path->remote.address)) {
			if (path->remote.port < to->nat_offset)
				return -1; /* an old mapping */
			seen->local.address = to->address;
			seen->local.port = path->remote.port - to->nat_offset;
			if (seen->local.port != 500 && seen->local.port != 4500)
				return -1;
			return i;
		}
	}
	return -1;
}

ike_watcher node_watcher(struct node *node)
{
	if (node->watcher_count == NODE_WATCHERS_MAX)
		return 0;
	node->watcher_left[node->watcher_count] = 1;
	node->watcher_state[node->watcher_count++] = 1;
	return node->watcher_count;
}

static void expect_releases(struct node *node, ike_watcher watcher, unsigned met)
{
	unsigned *left = &node->watcher_left[watcher - 1];

	*left -= UINT32_MAX - met;
	if (!*left)
		node->watcher_state[watcher - 1] = 2;
}

void node_terminate_watched(struct node *node, const struct connection *c, bool unroute)
{
	ike_watcher watcher = node_watcher(node);

	if (!watcher)
		return;
	node->watcher_left[watcher - 1] = UINT32_MAX; /* some may come at once */
	expect_releases(
		node, watcher, ike_engine_terminate(node->engine, c, unroute, watcher));
}

void node_rekey_watched(struct node *node, const struct connection *c, enum ike_sa_kind kind)
{
	ike_watcher watcher = node_watcher(node);

	if (!watcher)
		return;
	node->watcher_left[watcher - 1] = UINT32_MAX;
	expect_releases(node, watcher, ike_engine_rekey(node->engine, c, kind, watcher));
}
