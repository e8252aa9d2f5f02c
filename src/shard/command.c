#include "command.h"

#include "shard_set.h"

#include <stdlib.h>

#define SHUTDOWN_STEP 64 /* SAs, each time around the loop */

struct errand *errand_new(enum command_kind kind, unsigned shards, bool wants_done,
	ike_watcher watcher, struct connection *c)
{
	struct errand *e = calloc(1, sizeof *e + shards * sizeof e->commands[0]);
	struct shard_mail *done = wants_done ? calloc(1, sizeof *done + 1) : NULL;
	if (e == NULL || (wants_done && done == NULL)) {
		log_line(LOG_LINE_ERROR, "out of memory: a command is not carried out");
		free(e);
		free(done);
		return NULL;
	}
	e->kind = kind;
	e->watcher = watcher;
	e->connection = c != NULL ? connection_ref(c) : NULL;
	e->left = shards;
	e->done = done;
	for (unsigned i = 0; i < shards; i++) {
		e->commands[i] = (struct command){{INBOX_COMMAND}, e};
	}
	return e;
}

/* Another shard has done its part. The last one: what the control thread is to be told (or NULL),
 * and the errand is no more. */
static struct mail *errand_leave(void *arg)
{
	struct errand *e = arg;
	if (__atomic_sub_fetch(&e->left, 1, __ATOMIC_ACQ_REL) != 0) {
		return NULL;
	}
	struct shard_mail *done = e->done;
	if (done != NULL) {
		done->mail.kind = SHARD_MAIL_DONE;
		done->watcher = e->watcher;
		done->count = __atomic_load_n(&e->count, __ATOMIC_RELAXED);
		done->last = true;
	}
	connection_unref(e->connection);
	free(e);
	return done != NULL ? &done->mail : NULL;
}

void command_discard(struct mail *mail)
{
	free(errand_leave(((struct command *)mail)->errand));
}

void shard_finish_errand(struct shard *shard, struct errand *e, unsigned count)
{
	__atomic_add_fetch(&e->count, count, __ATOMIC_RELAXED);
	if (!outbox_post_marker(&shard->control, errand_leave, e)) {
		log_line(LOG_LINE_ERROR, "out of memory: a command's end is not told");
	}
}

/* There may be an IKE SA for it on the next shard. */
static bool pass_on(struct shard *shard, struct errand *e)
{
	unsigned next = (shard->index + 1) % shard->set->count;

	return e->sharing && shard->index != e->home &&
	       !ike_engine_can_share(shard->engine, e->connection) &&
	       outbox_post_vital(&shard->peers[next], &e->commands[0].mail);
}

static void initiate(struct shard *shard, struct errand *e)
{
	if (pass_on(shard, e)) {
		return;
	}
	ike_engine_initiate(shard->engine, e->connection, &e->remote, e->watcher);
	shard_finish_errand(shard, e, 1);
}

static void route(struct shard *shard, struct errand *e)
{
	ike_engine_route(shard->engine, e->connection, e->watcher);
	shard_finish_errand(shard, e, 1);
}

static void unroute(struct shard *shard, struct errand *e)
{
	ike_engine_unroute(shard->engine, e->connection, e->trap_only);
	shard_finish_errand(shard, e, 0);
}

static void terminate(struct shard *shard, struct errand *e)
{
	shard_finish_errand(shard, e,
		ike_engine_terminate(shard->engine, e->connection, e->unroute, e->watcher));
}

static void rekey(struct shard *shard, struct errand *e)
{
	shard_finish_errand(shard, e,
		ike_engine_rekey(shard->engine, e->connection, e->sa_kind, e->watcher));
}

static void delete(struct shard *shard, struct errand *e)
{
	if (e->unwant) {
		ike_engine_unwant(shard->engine, e->connection);
	}
	shard_finish_errand(shard, e,
		ike_engine_delete(shard->engine, e->connection, e->sa_kind, e->watcher));
}

static void delete_serial(struct shard *shard, struct errand *e)
{
	shard_finish_errand(
		shard, e, ike_engine_delete_serial(shard->engine, e->serial, e->watcher) ? 1 : 0);
}

static void begin_shutdown(struct shard *shard, struct errand *e)
{
	if (shard->shutdown != NULL) {
		/* A second wish to end changes nothing about the first. */
		shard_finish_errand(shard, e, 0);
		return;
	}
	shard->shutdown = e;
	shard->shutdown_more = true;
	shard->shutdown_until_ms = shard->now_ms + e->patience_ms;
	__atomic_add_fetch(
		&e->count, (unsigned)ike_engine_sa_count(shard->engine), __ATOMIC_RELAXED);
	ike_engine_listen(shard->engine, false);
	shard_continue_shutdown(shard);
}

void shard_continue_shutdown(struct shard *shard)
{
	struct errand *e = shard->shutdown;
	if (e == NULL) {
		return;
	}
	if (shard->shutdown_more) {
		shard->shutdown_more = ike_engine_shutdown(shard->engine, SHUTDOWN_STEP);
		shard->work_left |= shard->shutdown_more;
	}
	if ((!shard->shutdown_more && ike_engine_idle(shard->engine)) ||
		shard->now_ms >= shard->shutdown_until_ms) {
		shard->shutdown = NULL;
		shard_finish_errand(shard, e, 0);
	}
}

void shard_take_command(struct shard *shard, struct mail *mail)
{
	struct errand *e = ((struct command *)mail)->errand;
	switch (e->kind) {
	case COMMAND_INITIATE:
		initiate(shard, e);
		break;
	case COMMAND_ROUTE:
		route(shard, e);
		break;
	case COMMAND_UNROUTE:
		unroute(shard, e);
		break;
	case COMMAND_TERMINATE:
		terminate(shard, e);
		break;
	case COMMAND_REKEY:
		rekey(shard, e);
		break;
	case COMMAND_DELETE:
		delete(shard, e);
		break;
	case COMMAND_DELETE_SERIAL:
		delete_serial(shard, e);
		break;
	case COMMAND_SHUTDOWN:
		begin_shutdown(shard, e);
		break;
	case COMMAND_NOTHING:
		shard_finish_errand(shard, e, 0);
		break;
	}
}
