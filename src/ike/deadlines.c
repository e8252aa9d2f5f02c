/* Deadlines. */
#include "deadlines.h"

#include "child_sa.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_sa_init.h"

#define REPLACE_AGAIN_MS 10000

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (!a)
		return b;
	return b && b < a ? b : a;
}

void ike_sa_schedule(struct ike_sa *sa)
{
	struct ike_engine *engine = sa->engine;
	uint64_t due = earlier(sa->linger_until, earlier(sa->expire_at, sa->replace_at));

	due = earlier(due, earlier(sa->liveness_at, sa->keepalive_at));
	if (sa->negotiation)
		due = earlier(
			due, earlier(sa->negotiation->give_up_at, sa->negotiation->retry_job_at));
	if (sa->exchange)
		due = earlier(due, earlier(sa->exchange->retransmit_at, sa->exchange->give_up_at));
	if (!due) {
		engine->host->cancel(engine->host, &sa->timer.timer);
		return;
	}
	if (!timer_is_armed(&sa->timer.timer) || sa->timer.timer.due_ms != due)
		engine->host->arm(engine->host, &sa->timer.timer, due);
}

/* Up to `percent` of `ms`, at random, so that SAs of one age are not all replaced at once. */
static uint64_t fuzz(struct ike_engine *engine, uint64_t ms, unsigned percent)
{
	uint32_t random;

	engine->host->random(engine->host, &random, sizeof(random));
	return ms * percent / 100 * random / UINT32_MAX;
}

void deadlines_begin(struct ike_sa *sa)
{
	const struct connection *c = sa->connection;
	uint64_t now = engine_now(sa->engine);
	uint64_t life =
		(c->ike_life_s < c->child_life_s ? c->ike_life_s : c->child_life_s) * 1000ull;
	uint64_t margin = c->rekey_margin_s * 1000ull;

	sa->expire_at = now + life;
	margin += fuzz(sa->engine, margin, c->rekey_fuzz_percent);
	if (margin >= life)
		margin = life / 2;
	/* The initiator replaces; the responder leaves it to the initiator, and lets the SA expire.
	 */
	if (sa->initiator && c->rekey)
		sa->replace_at = now + life - margin;
	if (c->dpd_delay_s)
		sa->liveness_at = now + c->dpd_delay_s * 1000ull;
	deadlines_keepalive(sa);
	ike_sa_schedule(sa);
}

void deadlines_keepalive(struct ike_sa *sa)
{
	uint32_t period = sa->engine->config.keep_alive_s;

	/* Only who is behind a NAT needs to keep its mapping open (RFC 3948, section 4). */
	if (period && sa->behind_nat && sa->path.non_esp_marker && sa->connection &&
		sa->connection->nat_keepalive)
		sa->keepalive_at = engine_now(sa->engine) + period * 1000ull;
}

void deadlines_stop(struct ike_sa *sa)
{
	sa->expire_at = sa->replace_at = sa->liveness_at = sa->keepalive_at = 0;
	ike_sa_schedule(sa);
}

void deadlines_replace_again(struct ike_sa *sa)
{
	uint64_t at = engine_now(sa->engine) + REPLACE_AGAIN_MS;

	sa->replacing = false;
	if (sa->state != STATE_ESTABLISHED_IKE_SA || at >= sa->expire_at)
		return;
	sa->replace_at = at;
	ike_sa_schedule(sa);
}

static void replace(struct ike_sa *sa)
{
	sa->replace_at = 0;
	sa->replacing = true;
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "initiating a new IKE SA to replace #%llu",
		(unsigned long long)sa->serial);
	initiate_sa(sa->engine, sa->connection, &sa->path.remote.address, 0, sa->serial);
}

/* Asks how long the tunnel has been silent; the check is sent only if the answer says too long. */
static void check_liveness(struct ike_sa *sa, uint64_t now)
{
	uint64_t period = sa->connection->dpd_delay_s * 1000ull;
	struct child_sa *child = sa->children;

	sa->liveness_at = now + period;
	if (now - sa->last_heard_ms < period) {
		sa->liveness_at = sa->last_heard_ms + period;
		return;
	}
	while (child && !child->in_kernel)
		child = child->next;
	if (child) {
		struct ipsec_request query = {.op = IPSEC_SA_QUERY,
			.token = ipsec_token(child, TOKEN_INBOUND),
			.sa = {.spi = child->in_spi,
				.direction = IPSEC_INBOUND,
				.reqid = child->reqid,
				.remote = sa->path.remote}};

		sa->engine->host->ipsec(sa->engine->host, &query);
		return;
	}
	sa->wants |= WANT_LIVENESS;
	exchange_next(sa);
}

void deadlines_traffic_seen(struct ike_sa *sa, uint64_t idle_ms)
{
	uint64_t now = engine_now(sa->engine);
	uint64_t period = sa->connection ? sa->connection->dpd_delay_s * 1000ull : 0;

	if (sa->state != STATE_ESTABLISHED_IKE_SA || !period)
		return;
	if (idle_ms < period) {
		sa->liveness_at = now + period - idle_ms;
		ike_sa_schedule(sa);
		return;
	}
	sa->wants |= WANT_LIVENESS;
	exchange_next(sa);
}

static void expire(struct ike_sa *sa)
{
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "IKE SA expired; deleting it");
	sa->expire_at = 0;
	ike_sa_delete(sa, FINISHED_COMPLETED);
}

static void give_up(struct ike_sa *sa)
{
	struct negotiation *n = sa->negotiation;
	const char *name = n->refused_with ? notify_name(n->refused_with) : NULL;

	if (sa->initiator)
		fail_ike_sa(sa, FINISHED_OTHER, RC_FATAL,
			"peer refused IKE_SA_INIT request with %s", name ? name : "an error");
	else
		fail_ike_sa(sa, FINISHED_EXCHANGE_TIMEOUT, RC_RETRANSMISSION,
			"%s: the initiator did not go on with IKE_AUTH in time",
			ike_state_name(sa->state));
}

static bool due(uint64_t at, uint64_t now)
{
	return at && at <= now;
}

static void send_keepalive(struct ike_sa *sa)
{
	sa->engine->host->send_keepalive(sa->engine->host, &sa->path);
	deadlines_keepalive(sa);
}

void deadlines_pass(struct ike_sa *sa)
{
	uint64_t now = engine_now(sa->engine);

	if (due(sa->linger_until, now)) {
		ike_sa_free(sa, sa->finish_reason);
		return;
	}
	if (sa->negotiation && due(sa->negotiation->give_up_at, now)) {
		give_up(sa);
		return;
	}
	if (sa->negotiation && due(sa->negotiation->retry_job_at, now))
		init_retry_job(sa);
	if (!exchange_timer(sa, now))
		return;
	if (due(sa->expire_at, now)) {
		expire(sa);
		return;
	}
	if (due(sa->replace_at, now))
		replace(sa);
	if (due(sa->liveness_at, now))
		check_liveness(sa, now);
	if (due(sa->keepalive_at, now))
		send_keepalive(sa);
	ike_sa_schedule(sa);
}
