/* Failures in words, and revivals. */
#include "failure.h"

#include "engine_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REVIVAL_STEP_S 5
#define REVIVAL_MAX_S  300

struct revival {
	struct engine_timer timer;
	struct table_node by_connection;
	struct revival *next, **link;
	struct connection *connection;
	struct ip_address remote;
	unsigned attempt;
};

static void revival_free(struct ike_engine *engine, struct revival *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	table_remove(engine->revivals, &r->by_connection);
	engine->host->cancel(engine->host, &r->timer.timer);
	connection_unref(r->connection);
	free(r);
}

static void revival_due(struct ike_engine *engine, struct engine_timer *timer)
{
	struct revival *r = (struct revival *)((char *)timer - offsetof(struct revival, timer));
	struct connection *c = connection_ref(r->connection);
	struct ip_address remote = r->remote;
	unsigned attempt = r->attempt;

	revival_free(engine, r);
	if (engine->listening)
		initiate_attempt(engine, c, &remote, 0, attempt, 0);
	connection_unref(c);
}

void revival_plan(struct ike_engine *engine, struct connection *c, const struct ip_address *remote,
	unsigned attempt)
{
	unsigned delay_s = (attempt - 1) * REVIVAL_STEP_S;
	struct revival *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	if (!table_insert(engine->revivals, &r->by_connection, table_hash_u64(c->serial))) {
		free(r);
		return;
	}
	if (delay_s > REVIVAL_MAX_S)
		delay_s = REVIVAL_MAX_S;
	r->connection = connection_ref(c);
	r->remote = *remote;
	r->attempt = attempt;
	r->timer.due = revival_due;
	r->link = &engine->first_revival;
	r->next = engine->first_revival;
	if (r->next)
		r->next->link = &r->next;
	engine->first_revival = r;
	engine_count(engine, COUNT_REVIVALS);
	connection_log(engine, c, 0, LOG_LINE_INFO, RC_OK,
		"connection is supposed to remain up; revival attempt %u scheduled in %u seconds",
		attempt, delay_s);
	engine->host->arm(engine->host, &r->timer.timer, engine_now(engine) + delay_s * 1000ull);
}

static void revive(struct ike_sa *sa)
{
	unsigned attempt = sa->negotiation ? sa->negotiation->attempt + 1 : 1;

	if (sa->connection->keying_tries && attempt >= sa->connection->keying_tries)
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "gave up after %u attempts (keyingtries)",
			attempt);
	else
		revival_plan(sa->engine, sa->connection, &sa->path.remote.address, attempt);
}

void revival_forget(struct ike_engine *engine, const struct connection *c)
{
	struct table_node *node = table_first(engine->revivals, table_hash_u64(c->serial)), *next;

	for (; node; node = next) {
		struct revival *r =
			(struct revival *)((char *)node - offsetof(struct revival, by_connection));

		next = table_next(node);
		if (r->connection->serial == c->serial)
			revival_free(engine, r);
	}
}

void revival_forget_all(struct ike_engine *engine)
{
	while (engine->first_revival)
		revival_free(engine, engine->first_revival);
}

static void end_failed(struct ike_sa *sa, enum finish_reason reason)
{
	bool wanted = sa->keep_up && sa->connection && !sa->engine->shutting_down &&
		      !(sa->wants & WANT_DELETE_IKE);

	if (sa->state != STATE_ESTABLISHED_IKE_SA && sa->state != STATE_ZOMBIE)
		engine_count(sa->engine, COUNT_IKE_FAILED);
	if (wanted)
		revive(sa);
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "deleting IKE SA (%s)", ike_state_story(sa));
	ike_sa_free(sa, reason);
}

void fail_ike_sa(
	struct ike_sa *sa, enum finish_reason reason, enum ike_rc code, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ike_sa_log(sa, LOG_LINE_ERROR, code, "%s", text);
	end_failed(sa, reason);
}

static const char *no_response_hint(const struct ike_sa *sa)
{
	switch (sa->exchange->purpose) {
	case FOR_INIT:
		return "No response (or no acceptable response) to our first IKEv2 message";
	case FOR_AUTH:
		return "Possible authentication failure: no acceptable response to our first "
		       "encrypted message";
	case FOR_LIVENESS:
		return "The peer does not answer liveness checks and is taken for dead";
	default:
		return "No response to our Delete; the SA is gone here all the same";
	}
}

void fail_no_response(struct ike_sa *sa)
{
	const struct exchange *x = sa->exchange;
	unsigned waited = (engine_now(sa->engine) - x->started_ms) / 1000;

	fail_ike_sa(sa, FINISHED_RETRANSMITS, RC_RETRANSMISSION,
		"%s: %u second timeout exceeded after %u retransmits.  %s",
		ike_state_name(sa->state), waited, x->retransmits, no_response_hint(sa));
}
