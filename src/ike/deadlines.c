/* Deadlines. */
#include "deadlines.h"

#include "child_sa.h"
#include "create_child.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_sa_init.h"

#define REPLACE_AGAIN_MS 10000
/* A million message IDs are left, and more IVs than they can use. */
#define MESSAGE_ID_HIGH (UINT32_MAX - (1u << 20))
#define IV_HIGH         (UINT64_MAX - (1ull << 32))

static bool due(uint64_t at, uint64_t now)
{
	return at && at <= now;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (!a)
		return b;
	return b && b < a ? b : a;
}

/* Within its second at a place of its own, so that what is of one age is not due at once. */
static uint64_t child_ms(const struct child_sa *child, uint32_t at_s)
{
	return at_s ? at_s * 1000ull + child->serial * 7919 % 1000 : 0;
}

static uint64_t children_due(const struct ike_sa *sa)
{
	uint64_t due = 0;

	for (const struct child_sa *child = sa->children; child; child = child->next)
		due = earlier(due, earlier(child_ms(child, child->replace_s),
					   child_ms(child, child->expire_s)));
	return due;
}

void ike_sa_schedule(struct ike_sa *sa)
{
	struct ike_engine *engine = sa->engine;
	uint64_t due = earlier(sa->linger_until, earlier(sa->expire_at, sa->replace_at));

	due = earlier(due, earlier(sa->liveness_at, sa->keepalive_at));
	if (sa->negotiation)
		due = earlier(
			due, earlier(sa->negotiation->give_up_at, sa->negotiation->retry_job_at));
	due = earlier(due, earlier(children_due(sa), create_child_due(sa)));
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

/* So long before its end an SA is rekeyed. Who responded leaves it to the initiator at first, so
 * that both do it at one time less often. */
static uint64_t rekey_margin(
	struct ike_engine *engine, const struct connection *c, uint64_t life, bool initiator)
{
	uint64_t margin = c->rekey_margin_s * 1000ull;

	margin += fuzz(engine, margin, c->rekey_fuzz_percent);
	if (margin >= life)
		margin = life / 2;
	return initiator ? margin : margin / 2;
}

void deadlines_child_begin(struct child_sa *child, bool initiator)
{
	struct ike_engine *engine = child->ike_sa->engine;
	const struct connection *c = child->connection;
	uint64_t now = engine_now(engine), life = c->child_life_s * 1000ull;

	child->expire_s = (now + life) / 1000;
	if (c->rekey)
		child->replace_s = (now + life - rekey_margin(engine, c, life, initiator)) / 1000;
	ike_sa_schedule(child->ike_sa);
}

void deadlines_child_again(struct child_sa *child)
{
	uint32_t at = (engine_now(child->ike_sa->engine) + REPLACE_AGAIN_MS) / 1000;

	if (child->state != CHILD_ESTABLISHED || !child->newest || at >= child->expire_s)
		return;
	child->replace_s = at;
	ike_sa_schedule(child->ike_sa);
}

void deadlines_rekey_child(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;

	child->replace_s = 0;
	if (sa->replacing) /* its Child SAs are about to be replaced with it */
		deadlines_child_again(child);
	else
		create_child_rekey(child);
}

void deadlines_child_expired(struct child_sa *child)
{
	if (child->state == CHILD_ESTABLISHED)
		child_sa_delete(child);
}

void deadlines_exhaustion(struct ike_sa *sa)
{
	if (sa->state != STATE_ESTABLISHED_IKE_SA || sa->rekeyed || sa->replacing ||
		(sa->next_request_id < MESSAGE_ID_HIGH &&
			sa->expected_request_id < MESSAGE_ID_HIGH && sa->iv_counter < IV_HIGH))
		return;
	sa->replace_at = engine_now(sa->engine);
}

void deadlines_begin(struct ike_sa *sa)
{
	const struct connection *c = sa->connection;
	uint64_t now = engine_now(sa->engine);
	uint64_t life = c->ike_life_s * 1000ull;

	sa->expire_at = now + life;
	/* Reauthentication is the initiator's; who is not lets the SA expire. */
	if (c->rekey && (sa->initiator || !c->reauth))
		sa->replace_at = now + life - rekey_margin(sa->engine, c, life, sa->initiator);
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
	if (sa->state != STATE_ESTABLISHED_IKE_SA || sa->rekeyed || at >= sa->expire_at)
		return;
	sa->replace_at = at;
	ike_sa_schedule(sa);
}

static void reauthenticate(struct ike_sa *sa)
{
	sa->replace_at = 0;
	sa->replacing = true;
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "initiating a new IKE SA to replace #%llu",
		(unsigned long long)sa->serial);
	initiate_sa(sa->engine, sa->connection, &sa->path.remote.address, 0, sa->serial);
}

void deadlines_reauthenticate(struct ike_sa *sa)
{
	if (sa->state == STATE_ESTABLISHED_IKE_SA && !sa->replacing && !sa->rekeyed &&
		!connection_is_template(sa->connection) &&
		(sa->initiator || !sa->peer_behind_nat))
		reauthenticate(sa);
}

static void replace(struct ike_sa *sa)
{
	sa->replace_at = 0;
	if (sa->connection->reauth)
		reauthenticate(sa);
	else if (!sa->replacing)
		create_child_rekey_ike(sa);
}

static void pass_children(struct ike_sa *sa, uint64_t now)
{
	for (struct child_sa *child = sa->children; child; child = child->next) {
		if (due(child_ms(child, child->expire_s), now)) {
			child_sa_log(child, LOG_LINE_INFO, RC_OK, "Child SA expired; deleting it");
			deadlines_child_expired(child);
		} else if (due(child_ms(child, child->replace_s), now)) {
			deadlines_rekey_child(child);
		}
	}
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
	while (child && child->state != CHILD_ESTABLISHED)
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
	pass_children(sa, now);
	if (due(create_child_due(sa), now))
		create_child_next(sa);
	if (due(sa->liveness_at, now))
		check_liveness(sa, now);
	if (due(sa->keepalive_at, now))
		send_keepalive(sa);
	ike_sa_schedule(sa);
}
