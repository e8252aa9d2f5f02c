/* The engine's entry points but for datagrams (dispatch.c) and reports (walk.c). */
#include "child_sa.h"
#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth.h"
#include "ike_sa_init.h"
#include "path.h"
#include "route.h"
#include "sharing.h"
#include "trap.h"
#include "updown.h"
#include "wanted.h"

#include <stdlib.h>
#include <string.h>

#define LOG_LINES_PER_S     20
#define STRAY_ANSWERS_PER_S 500
#define POOL_LINES_PER_S    2 /* that say that a pool is exhausted */

static bool allocate_tables(struct ike_engine *e)
{
	struct table **tables[] = {&e->by_spi, &e->by_serial, &e->by_identity, &e->by_connection,
		&e->requests, &e->children, &e->routes, &e->traps,
		&e->updown_leavers, &e->wanted, &e->guests};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		*tables[i] = table_new();
		if (!*tables[i])
			return false;
	}
	e->sas = slab_pool_new("IKE SA", sizeof(struct ike_sa));
	e->child_pool = slab_pool_new("Child SA", sizeof(struct child_sa));
	e->negotiations = slab_pool_new("negotiation", sizeof(struct negotiation));
	e->creations = slab_pool_new("CREATE_CHILD_SA", sizeof(struct create_child));
	e->guest_pool = sharing_pool_new();
	e->received = malloc(sizeof(*e->received) + PROPOSALS_MAX * sizeof(struct proposal));
	return e->sas && e->child_pool && e->negotiations && e->creations &&
	       e->guest_pool && e->received;
}

struct ike_engine *ike_engine_new(const struct ike_engine_config *config)
{
	struct ike_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->config = *config;
	e->host = config->host;
	e->host->random(e->host, &e->seed, sizeof(e->seed));
	memcpy(e->cookie_secret, config->cookie_secret, sizeof(e->cookie_secret));
	e->log_limit = (struct rate_limit){.rate = LOG_LINES_PER_S, .tokens = LOG_LINES_PER_S};
	e->stray_limit =
		(struct rate_limit){.rate = STRAY_ANSWERS_PER_S, .tokens = STRAY_ANSWERS_PER_S};
	e->pool_limit = (struct rate_limit){.rate = POOL_LINES_PER_S, .tokens = POOL_LINES_PER_S};
	e->listening = true;
	if (!allocate_tables(e)) {
		ike_engine_free(e);
		return NULL;
	}
	return e;
}

void ike_engine_free(struct ike_engine *e)
{
	struct table *tables[] = {e->by_spi, e->by_serial, e->by_identity, e->by_connection,
		e->requests, e->children, e->routes, e->traps, e->updown_leavers, e->wanted, e->guests};

	e->forgetting = true;
	wanted_forget_all(e); /* nothing is begun again for what goes now */
	trap_forget_all(e);
	while (e->oldest) {
		for (struct child_sa *child = e->oldest->children; child; child = child->next)
			child->in_kernel = child->out_kernel = false; /* forgotten */
		ike_sa_free(e->oldest, FINISHED_OTHER);
	}
	route_forget_all(e);
	updown_forget_leavers(e);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (tables[i])
			table_free(tables[i]);
	}
	if (e->sas)
		slab_pool_free(e->sas);
	if (e->child_pool)
		slab_pool_free(e->child_pool);
	if (e->negotiations)
		slab_pool_free(e->negotiations);
	if (e->creations)
		slab_pool_free(e->creations);
	if (e->guest_pool)
		slab_pool_free(e->guest_pool);
	free(e->received);
	secret_wipe(e, sizeof(*e));
	free(e);
}

/* ---- look-up ------------------------------------------------------------------------- */

struct ike_sa *engine_find_spi(struct ike_engine *engine, uint64_t own_spi)
{
	struct table_node *node = table_first(engine->by_spi, table_hash_u64(own_spi));

	for (; node; node = table_next(node)) {
		struct ike_sa *sa = container_of(node, struct ike_sa, by_spi);

		if (ike_sa_own_spi(sa) == own_spi)
			return sa;
	}
	return NULL;
}

struct ike_sa *engine_find_serial(struct ike_engine *engine, uint64_t serial)
{
	struct table_node *node = table_first(engine->by_serial, table_hash_u64(serial));

	for (; node; node = table_next(node)) {
		struct ike_sa *sa = container_of(node, struct ike_sa, by_serial);

		if (sa->serial == serial)
			return sa;
	}
	return NULL;
}

struct child_sa *engine_find_child(struct ike_engine *engine, uint64_t serial)
{
	struct table_node *node = table_first(engine->children, table_hash_u64(serial));

	for (; node; node = table_next(node)) {
		struct child_sa *child = container_of(node, struct child_sa, by_serial);

		if (child->serial == serial)
			return child;
	}
	return NULL;
}

void engine_send(struct ike_engine *engine, const struct ike_path *path, struct bytes messages)
{
	struct ike_header header;

	counter_add(engine->config.counters, COUNT_TRAFFIC_OUT, messages.len);
	while (ike_header_decode(messages, &header) && header.length &&
		header.length <= messages.len) {
		engine->host->send(engine->host, path, bytes_of(messages.data, header.length));
		messages = bytes_of(messages.data + header.length, messages.len - header.length);
	}
}

/* ---- what happens to it -------------------------------------------------------------------- */

void ike_engine_timer(struct ike_engine *engine, struct timer *timer)
{
	struct engine_timer *t = container_of(timer, struct engine_timer, timer);

	t->due(engine, t);
}

void ike_engine_job_done(struct ike_engine *engine, struct crypto_job *job)
{
	(void)engine;
	if (!job->owner)
		crypto_job_free(job); /* its SA has gone meanwhile */
	else if (job->tag == JOB_CREATE_CHILD)
		create_child_job_done(job->owner);
	else
		init_job_done(job->owner, job);
}

static void count_last_traffic(struct ike_engine *engine, const struct ipsec_answer *answer)
{
	enum token_kind kind = ipsec_token_kind(answer->token);
	bool ah = ipsec_token_is_ah(answer->token);

	if (kind == TOKEN_INBOUND)
		counter_add(engine->config.counters, ah ? COUNT_AH_IN : COUNT_ESP_IN,
			answer->counters.bytes);
	else if (kind == TOKEN_OUTBOUND)
		counter_add(engine->config.counters, ah ? COUNT_AH_OUT : COUNT_ESP_OUT,
			answer->counters.bytes);
}

/* The kernel has done, or not done, what a Child SA needs. */
static void child_installed(struct child_sa *child)
{
	const struct negotiation *n = child->ike_sa->negotiation;

	if (n && n->child == child)
		auth_child_installed(child);
	else
		create_child_installed(child);
}

static void child_asked(struct child_sa *child, const struct ipsec_answer *answer)
{
	if (ipsec_token_kind(answer->token) == TOKEN_OUTBOUND)
		child_sa_outbound_answer(child, answer);
	else if (child->state != CHILD_INSTALLING || !child_sa_answer(child, answer))
		return;
	else if (child->ipsec_error || !updown_begin(child))
		child_installed(child);
}

void ike_engine_updown_done(struct ike_engine *engine, uint64_t token,
	enum ike_updown_result result, const char *why)
{
	struct child_sa *child = updown_answer(engine, token, result, why);

	if (child)
		child_installed(child);
}

void ike_engine_ipsec_answer(struct ike_engine *engine, const struct ipsec_answer *answer)
{
	struct child_sa *child;

	if (trap_answer(engine, answer))
		return;
	child = engine_find_child(engine, ipsec_token_serial(answer->token));
	switch (answer->op) {
	case IPSEC_SA_DELETE:
		count_last_traffic(engine, answer);
		updown_removed(engine, child, answer);
		if (child)
			child_sa_removed(child, answer);
		return;
	case IPSEC_SA_QUERY:
		if (child)
			deadlines_traffic_seen(child->ike_sa,
				answer->error ? UINT64_MAX : answer->counters.idle_ms);
		return;
	case IPSEC_SA_MOVE:
		if (child && answer->error)
			child_sa_not_moved(child, answer);
		return;
	case IPSEC_SA_ADD:
	case IPSEC_POLICY_ADD:
		if (child)
			child_asked(child, answer);
		return;
	default:
		return;
	}
}

/* By the serial that it was added with: two pairs may have one outbound SPI. */
static struct child_sa *child_of_event(struct ike_engine *engine, const struct ipsec_event *event)
{
	struct child_sa *child = engine_find_child(engine, event->id);

	return child && child->reqid == event->reqid &&
			       (event->direction == IPSEC_INBOUND ? child->in_spi
								  : child->out_spi) == event->spi
		       ? child
		       : NULL;
}

void ike_engine_ipsec_event(struct ike_engine *engine, const struct ipsec_event *event)
{
	struct child_sa *child;

	if (event->kind == IPSEC_ACQUIRE) {
		trap_acquire(engine, event);
		return;
	}
	child = child_of_event(engine, event);
	if (!child || child->ike_sa->state != STATE_ESTABLISHED_IKE_SA)
		return;
	if (event->kind == IPSEC_REMOTE_MOVED) {
		struct ike_path path = child->ike_sa->path;

		path.remote = event->remote;
		path_heard(child->ike_sa, &path);
	} else if (event->kind == IPSEC_EXPIRE_HARD) {
		child_sa_log(child, LOG_LINE_INFO, RC_OK,
			"Child SA reached its byte or packet limit; deleting it");
		deadlines_child_expired(child);
	} else if (child->connection->rekey && child->newest) {
		deadlines_rekey_child(child);
	}
}

void ike_engine_network_error(
	struct ike_engine *engine, const struct ike_path *path, int error, const char *origin)
{
	packet_log(engine, path, "asynchronous network error report: %s [errno %d, origin %s]",
		strerror(error), error, origin);
}

/* ---- the end ------------------------------------------------------------------------------- */

bool ike_engine_shutdown(struct ike_engine *engine, unsigned limit)
{
	struct ike_sa *sa, *next;

	engine->listening = false;
	engine->shutting_down = true;
	wanted_forget_all(engine);
	for (sa = engine->oldest; sa && limit; sa = next) {
		next = sa->newer;
		if (sa->state == STATE_ZOMBIE || sa->wants & WANT_DELETE_IKE)
			continue;
		ike_sa_delete(sa, FINISHED_COMPLETED);
		limit--;
	}
	return sa != NULL;
}

bool ike_engine_idle(const struct ike_engine *engine)
{
	return table_count(engine->by_serial) == engine->lingering &&
	       !table_count(engine->updown_leavers);
}

void ike_engine_listen(struct ike_engine *engine, bool listening)
{
	engine->listening = listening;
}

uint64_t ike_engine_sa_count(const struct ike_engine *engine)
{
	return table_count(engine->by_serial);
}
