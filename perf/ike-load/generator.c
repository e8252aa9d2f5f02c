/* The loop of a thread of the load generator. */
#include "generator.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <urcu/urcu-qsbr.h>

#include "ike/counters.h"

#define IKE_PORT           500
#define NAT_PORT           4500
#define JOB_BATCH          32
#define BEGIN_BATCH        64 /* a turn: answers must be read meanwhile, also when all begin at once */
#define DELETE_BATCH       16
#define IDLE_MAX_MS        50 /* so that a new phase is seen */
#define DELETE_PATIENCE_MS 30000

uint64_t generator_counter(const struct generator *g, const char *key)
{
	for (size_t i = 0; i < ike_counter_count(); i++) {
		if (!strcmp(ike_counter_key(i), key))
			return counter_read(&g->counters, i);
	}
	return UINT64_MAX;
}

static size_t find_counter(const char *key)
{
	size_t i = 0;

	while (i < ike_counter_count() && strcmp(ike_counter_key(i), key))
		i++;
	return i;
}

/* ---- birth and death --------------------------------------------------------------- */

static bool fail(struct generator *g, const char *what)
{
	snprintf(g->error, sizeof(g->error), "%s: %s", what, strerror(errno));
	return false;
}

static bool open_sockets(struct generator *g)
{
	char what[40];

	g->plain = datagrams_open(IKE_PORT + g->index, false, g->options->socket_buffer);
	g->nat = datagrams_open(NAT_PORT + g->index, true, g->options->socket_buffer);
	snprintf(what, sizeof(what), "UDP ports %u and %u", IKE_PORT + g->index,
		NAT_PORT + g->index);
	return (g->plain && g->nat) || fail(g, what);
}

static bool make_stores(struct generator *g)
{
	struct secret_store *secrets = clients_secrets(g->options);

	g->catalogue = catalogue_new();
	g->vault = secret_vault_new();
	g->counters = counter_set_new(ike_counter_count());
	g->crypto = crypto_context_new();
	g->now_ms = clock_ns() / 1000000;
	g->wheel = timer_wheel_new(g->now_ms);
	g->tunnels = calloc(g->count, sizeof(*g->tunnels));
	g->per_second = calloc(SECONDS_MAX, sizeof(*g->per_second));
	g->child_counter = find_counter("total.ikev2.child.established");
	if (!secrets || !g->catalogue || !g->vault || !g->counters.cells || !g->crypto ||
		!g->wheel || !g->tunnels || !g->per_second ||
		g->child_counter == ike_counter_count()) {
		secret_store_free(secrets);
		return fail(g, "memory or crypto");
	}
	secret_vault_replace(g->vault, secrets);
	return true;
}

static bool make_engine(struct generator *g)
{
	uint8_t cookie_secret[32] = {0}; /* a responder's; we are none */
	struct ike_engine_config config = {
		.host = &g->host,
		.crypto = g->crypto,
		.catalogue = g->catalogue,
		.secrets = g->vault,
		.credentials = g->options->credentials,
		.counters = &g->counters,
		.ike_port = IKE_PORT + g->index,
		.nat_port = NAT_PORT + g->index,
		.cookie_secret = cookie_secret,
	};

	g->last_job = &g->first_job;
	g->engine = ike_engine_new(&config);
	if (!g->engine)
		return fail(g, "IKE engine");
	ike_engine_listen(g->engine, true);
	return true;
}

static bool make_parts(struct generator *g)
{
	generator_host_init(g);
	g->spi = 0x01000000u * (g->index + 1);
	return clients_init(&g->clients, g->options, g->error, sizeof(g->error)) &&
	       make_stores(g) && open_sockets(g) && make_engine(g);
}

static void free_parts(struct generator *g)
{
	struct crypto_job *job;

	while ((job = g->first_job)) {
		g->first_job = job->next;
		job->result = CRYPTO_JOB_FAILED;
		ike_engine_job_done(g->engine, job);
	}
	if (g->engine)
		ike_engine_free(g->engine);
	datagrams_flush(g->plain);
	datagrams_flush(g->nat);
	if (g->wheel)
		timer_wheel_free(g->wheel);
	if (g->crypto)
		crypto_context_free(g->crypto);
	if (g->vault)
		secret_vault_free(g->vault);
	if (g->catalogue)
		catalogue_free(g->catalogue);
	clients_release(&g->clients);
}

void generator_release(struct generator *g)
{
	datagrams_close(g->plain);
	datagrams_close(g->nat);
	counter_set_free(&g->counters);
	free(g->answers.answers);
	free(g->tunnels);
	free(g->per_second);
}

/* ---- what comes in ----------------------------------------------------------------- */

static void take_datagram(void *arg, const struct ike_path *path, uint8_t *message, size_t len)
{
	ike_engine_datagram(((struct generator *)arg)->engine, path, message, len);
}

static void take_timer(struct timer *timer, void *arg)
{
	ike_engine_timer(((struct generator *)arg)->engine, timer);
}

static bool run_jobs(struct generator *g)
{
	struct crypto_job *jobs[JOB_BATCH];
	unsigned n = 0;

	while (n < JOB_BATCH && g->first_job) {
		jobs[n] = g->first_job;
		g->first_job = jobs[n]->next;
		jobs[n++]->next = NULL;
	}
	if (!g->first_job)
		g->last_job = &g->first_job;
	if (n)
		crypto_job_run_batch(jobs, n);
	for (unsigned i = 0; i < n; i++)
		ike_engine_job_done(g->engine, jobs[i]);
	return g->first_job != NULL;
}

static void take_answers(struct generator *g)
{
	struct answer_ring *ring = &g->answers;

	for (size_t left = ring->count; left; left--) {
		struct ipsec_answer answer = ring->answers[ring->first];

		ring->first = (ring->first + 1) & (ring->capacity - 1);
		ring->count--;
		ike_engine_ipsec_answer(g->engine, &answer);
	}
}

/* ---- the phases --------------------------------------------------------------------- */

static bool begin_tunnel(struct generator *g)
{
	unsigned i = g->begun;
	struct connection *c = client_connection(&g->clients, g->first + i);

	g->begun++;
	if (!c) {
		g->finished++;
		causes_count(&g->causes, "out of memory here", 1);
		return false;
	}
	g->in_flight++;
	g->tunnels[i].began_ns = clock_ns();
	ike_engine_initiate(g->engine, c, NULL, i + 1);
	connection_unref(c);
	return true;
}

/* How many may have been begun by now. */
static unsigned due(const struct generator *g, uint64_t now_ns)
{
	double share = g->options->rate / g->options->shards;
	double n = (now_ns - g->start_ns) / 1e9 * share + 1;

	return share == 0 || n > g->count ? g->count : (unsigned)n;
}

/* True: more could have begun. */
static bool begin_tunnels(struct generator *g)
{
	unsigned most = g->options->in_flight / g->options->shards;
	unsigned target = due(g, clock_ns()), end = g->begun + BEGIN_BATCH;

	while (g->begun < target && g->begun < end && g->in_flight < most)
		begin_tunnel(g);
	return g->begun < target && g->in_flight < most;
}

static void give_up(struct generator *g)
{
	if (g->finished == g->count)
		return;
	causes_count(&g->causes, "not finished when --timeout was over", g->count - g->finished);
	g->begun = g->finished = g->count;
	g->given_up = true;
}

static bool setup_done(struct generator *g)
{
	if (clock_ns() - g->start_ns > (uint64_t)g->options->timeout_s * 1000000000u)
		give_up(g);
	return g->finished == g->count;
}

/* Deletes a few at a time, since a burst would not fit into the responder's buffer. */
static bool delete_done(struct generator *g)
{
	uint64_t left = ike_engine_sa_count(g->engine), under_way;

	if (!g->delete_until_ms) {
		g->to_delete = left;
		g->delete_until_ms = g->now_ms + DELETE_PATIENCE_MS;
	}
	under_way =
		left > g->to_delete - g->delete_begun ? left - (g->to_delete - g->delete_begun) : 0;
	if (g->delete_begun < g->to_delete && under_way < g->options->in_flight) {
		ike_engine_shutdown(g->engine, DELETE_BATCH);
		g->delete_begun += DELETE_BATCH;
		if (g->delete_begun > g->to_delete)
			g->delete_begun = g->to_delete;
		g->delete_until_ms = g->now_ms + DELETE_PATIENCE_MS;
	}
	return (g->delete_begun == g->to_delete && ike_engine_idle(g->engine)) ||
	       g->now_ms >= g->delete_until_ms;
}

static enum phase phase_of(const struct generator *g)
{
	return __atomic_load_n(&g->phase, __ATOMIC_ACQUIRE);
}

/* True: there is more to do at once. */
static bool step_phase(struct generator *g, enum phase phase)
{
	bool done = false, more = false;

	if (phase == PHASE_SETUP) {
		if (!g->start_ns)
			g->start_ns = g->end_ns = clock_ns();
		more = begin_tunnels(g);
		done = setup_done(g);
	} else if (phase == PHASE_DELETE) {
		done = delete_done(g);
	}
	if (done)
		__atomic_store_n(&g->done, phase, __ATOMIC_RELEASE);
	return more;
}

/* ---- the loop ----------------------------------------------------------------------- */

static uint64_t idle_ns(const struct generator *g, enum phase phase)
{
	uint64_t next = timer_wheel_next(g->wheel), ms = IDLE_MAX_MS;
	double share = g->options->rate / g->options->shards;

	if (g->first_job || g->answers.count || (phase == PHASE_DELETE && g->done != phase))
		return phase == PHASE_DELETE && !g->first_job && !g->answers.count ? 1000000 : 0;
	if (next < g->now_ms + ms)
		ms = next > g->now_ms ? next - g->now_ms : 0;
	if (phase == PHASE_NONE)
		ms = 1;
	if (phase == PHASE_SETUP && share > 0 && g->begun < g->count && ms * 1e6 > 1e9 / share / 2)
		return (uint64_t)(1e9 / share / 2);
	return ms * 1000000;
}

static void wait_for_events(struct generator *g, enum phase phase)
{
	struct pollfd fds[] = {
		{datagrams_fd(g->plain), POLLIN, 0}, {datagrams_fd(g->nat), POLLIN, 0}};
	uint64_t ns = idle_ns(g, phase);
	struct timespec t = {ns / 1000000000u, ns % 1000000000u};

	if (!ns)
		return;
	urcu_qsbr_thread_offline();
	(void)ppoll(fds, 2, &t, NULL);
	urcu_qsbr_thread_online();
}

static void turn(struct generator *g, enum phase phase)
{
	bool more = false;

	g->now_ms = clock_ns() / 1000000;
	more |= datagrams_receive(g->plain, take_datagram, g);
	more |= datagrams_receive(g->nat, take_datagram, g);
	more |= run_jobs(g);
	take_answers(g);
	timer_wheel_expire(g->wheel, g->now_ms, 256, take_timer, g);
	more |= step_phase(g, phase);
	datagrams_flush(g->plain);
	datagrams_flush(g->nat);
	urcu_qsbr_quiescent_state();
	if (!more)
		wait_for_events(g, phase);
}

void *generator_run(void *arg)
{
	struct generator *g = arg;
	bool ok;
	enum phase phase;

	urcu_qsbr_register_thread();
	ok = make_parts(g);
	__atomic_store_n(&g->started, true, __ATOMIC_RELEASE);
	while (ok && (phase = phase_of(g)) != PHASE_END)
		turn(g, phase);
	if (ok)
		free_parts(g);
	urcu_qsbr_unregister_thread();
	return NULL;
}
