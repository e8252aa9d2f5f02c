#include "report.h"

#include "pluto.h"
#include "sa_index.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool report_start(struct client *client, report_step *const *steps, const char *name)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return false;
	r->pluto = client->pluto;
	r->client = client;
	r->steps = steps;
	r->filter.now_s = (uint64_t)time(NULL);
	if (name) {
		r->filter.name = strdup(name);
		if (!r->filter.name) {
			free(r);
			return false;
		}
	}
	client->report = r;
	return true;
}

void report_free(struct report *r)
{
	if (!r)
		return;
	sa_index_free(r->sas);
	free(r->filter.name);
	free(r);
}

bool report_pump(struct report *r)
{
	while (*r->steps && r->client->out_len < CLIENT_OUT_LOW && !r->client->broken) {
		switch ((*r->steps)(r)) {
		case STEP_MORE:
			break;
		case STEP_WAIT:
			return false;
		case STEP_DONE:
			r->steps++;
			r->walk = WALK_IDLE;
			r->take = NULL;
			r->after = 0;
			r->alias_at = 0;
			break;
		}
	}
	return !*r->steps;
}

void report_text_line(struct report *r, const char *format, ...)
{
	char text[8192];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n] = '\n';
	client_report_text(r->client, text, (size_t)n + 1);
}

/* ---- the shards' part --------------------------------------------------------- */

enum step_result report_walk(struct report *r, shard_visit *visit, bool want_counters)
{
	switch (r->walk) {
	case WALK_IDLE:
		r->walk = WALK_RUNNING;
		shard_report_start(
			r->pluto->shards, r->client->watcher, visit, want_counters, &r->filter);
		return STEP_WAIT;
	case WALK_RUNNING:
		return STEP_WAIT;
	case WALK_READY:
		r->walk = WALK_RUNNING;
		shard_report_continue(r->pluto->shards, r->client->watcher);
		return STEP_WAIT;
	case WALK_DONE:
		break;
	}
	return STEP_DONE;
}

/* The last shard's last chunk. */
static bool walk_ends(const struct report *r, const struct shard_mail *mail)
{
	return mail->last && mail->shard + 1 == shard_set_count(r->pluto->shards);
}

bool report_chunk(struct report *r, const struct shard_mail *mail)
{
	if (r->walk != WALK_RUNNING)
		return false;
	r->walk = walk_ends(r, mail) ? WALK_DONE : WALK_READY;
	if (r->cancelled)
		return r->walk == WALK_DONE;
	if (r->take)
		r->take(r, mail->text, mail->len);
	else
		client_report_text(r->client, mail->text, mail->len);
	return false;
}

bool report_stopped(struct report *r, const struct shard_mail *mail)
{
	(void)mail;
	return r->cancelled;
}

bool report_cancel(struct report *r)
{
	if (r->walk != WALK_RUNNING && r->walk != WALK_READY)
		return true;
	if (!r->cancelled) {
		r->cancelled = true;
		shard_report_cancel(r->pluto->shards, r->client->watcher);
	}
	return false;
}

/* ---- gathering ---------------------------------------------------------------- */

static void take_sas(struct report *r, const char *text, size_t len)
{
	if (!sa_index_take(r->sas, text, len))
		r->client->broken = true;
}

enum step_result report_gather_sas(struct report *r)
{
	if (!r->sas) {
		r->sas = sa_index_new();
		if (!r->sas) {
			r->client->broken = true;
			return STEP_DONE;
		}
	}
	r->take = take_sas;
	return report_walk(r, sa_index_visit, false);
}
