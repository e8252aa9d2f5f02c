/* Wanted connections and their revival. */
#include "wanted.h"

#include "engine_state.h"
#include "failure.h"
#include "sharing.h"
#include "unique.h"

#include <stdio.h>
#include <stdlib.h>

#define REVIVAL_STEP_S 5
#define REVIVAL_MAX_S  300
/* An SA that lived shorter counts as one more failed attempt: a peer that accepts and deletes at
 * once is not asked in a tight loop. */
#define LIVED_MS 30000

struct wanted {
	struct engine_timer timer; /* armed: the next attempt */
	struct table_node node;
	struct wanted *next, **link;
	struct connection *connection;
	struct ip_address remote;
	unsigned attempts; /* that failed, since it was last up for a while */
};

static uint64_t wanted_hash(
	struct ike_engine *engine, uint64_t connection_serial, const struct ip_address *remote)
{
	struct {
		uint64_t serial;
		struct ip_address remote;
	} key = {.serial = connection_serial};

	if (remote)
		key.remote = *remote;
	return table_hash(&engine->seed, &key, sizeof(key));
}

/* A template has one entry a peer; a permanent connection has one peer, and `remote` is NULL. */
static struct wanted *wanted_find_serial(
	struct ike_engine *engine, uint64_t connection_serial, const struct ip_address *remote)
{
	struct table_node *node =
		table_first(engine->wanted, wanted_hash(engine, connection_serial, remote));

	for (; node; node = table_next(node)) {
		struct wanted *w = container_of(node, struct wanted, node);

		if (w->connection->serial == connection_serial &&
			(!remote || ip_equal(&w->remote, remote)))
			return w;
	}
	return NULL;
}

static const struct ip_address *key_address(
	const struct connection *c, const struct ip_address *remote)
{
	return connection_is_template(c) ? remote : NULL;
}

static struct wanted *wanted_find(
	struct ike_engine *engine, const struct connection *c, const struct ip_address *remote)
{
	return wanted_find_serial(engine, c->serial, key_address(c, remote));
}

static void wanted_free(struct ike_engine *engine, struct wanted *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	table_remove(engine->wanted, &w->node);
	engine->host->cancel(engine->host, &w->timer.timer);
	connection_unref(w->connection);
	free(w);
}

static void revive(struct ike_engine *engine, struct engine_timer *timer)
{
	struct wanted *w = container_of(timer, struct wanted, timer);

	if (engine->listening)
		initiate_connection(engine, w->connection, &w->remote, 0); /* `w` may be gone */
	else
		wanted_later(engine, w->connection, &w->remote);
}

bool wanted_hurry(struct ike_engine *engine, const struct connection *c)
{
	struct wanted *w = wanted_find(engine, c, &c->remote.host);

	if (!w || !timer_is_armed(&w->timer.timer))
		return false;
	engine->host->cancel(engine->host, &w->timer.timer);
	revive(engine, &w->timer);
	return true;
}

void wanted_later(
	struct ike_engine *engine, const struct connection *c, const struct ip_address *remote)
{
	struct wanted *w = wanted_find(engine, c, remote);

	if (w && !timer_is_armed(&w->timer.timer))
		engine->host->arm(engine->host, &w->timer.timer,
			engine_now(engine) + REVIVAL_STEP_S * 1000ull);
}

void wanted_add(struct ike_engine *engine, struct connection *c, const struct ip_address *remote)
{
	struct wanted *w = wanted_find(engine, c, remote);

	if (w)
		wanted_free(engine, w);
	w = calloc(1, sizeof(*w));
	if (!w || !table_insert(engine->wanted, &w->node,
			  wanted_hash(engine, c->serial, key_address(c, remote)))) {
		free(w); /* it comes up all the same, but is not kept up */
		return;
	}
	w->timer.due = revive;
	w->connection = connection_ref(c);
	w->remote = *remote;
	w->link = &engine->first_wanted;
	w->next = engine->first_wanted;
	if (w->next)
		w->next->link = &w->next;
	engine->first_wanted = w;
}

void wanted_forget(struct ike_engine *engine, const struct connection *c)
{
	struct wanted *w, *next;

	if (!connection_is_template(c)) {
		w = wanted_find(engine, c, &c->remote.host);
		if (w)
			wanted_free(engine, w);
		return;
	}
	for (w = engine->first_wanted; w; w = next) {
		next = w->next;
		if (w->connection->serial == c->serial)
			wanted_free(engine, w);
	}
}

bool connection_is_wanted(
	struct ike_engine *engine, const struct connection *c, const struct ip_address *remote)
{
	return wanted_find(engine, c, remote);
}

void wanted_forget_all(struct ike_engine *engine)
{
	while (engine->first_wanted)
		wanted_free(engine, engine->first_wanted);
}

/* On the IKE SA of another connection. */
static bool is_served_as_guest(const struct ike_engine *engine, const struct connection *c,
	const struct ip_address *remote, const struct ike_sa *but_by)
{
	struct sharing_walk walk;
	const struct ike_sa *sa;

	sharing_walk_start(&walk, engine, c);
	while ((sa = sharing_walk_next(&walk))) {
		if (sa != but_by && walk.guests && sa->state != STATE_ZOMBIE && !sa->rekeyed &&
			!(sa->wants & WANT_DELETE_IKE) && sharing_carries(sa, c) &&
			ip_equal(&sa->path.remote.address, remote))
			return true;
	}
	return false;
}

bool connection_is_served(const struct ike_engine *engine, const struct connection *c,
	const struct ip_address *remote, const struct ike_sa *but_by)
{
	struct table_node *node = table_first(engine->by_connection, table_hash_u64(c->serial));

	for (; node; node = table_next(node)) {
		const struct ike_sa *sa = container_of(node, struct ike_sa, by_connection);

		if (sa != but_by && sa->connection->serial == c->serial &&
			sa->state != STATE_ZOMBIE && !sa->rekeyed &&
			(sa->initiator || sa->state == STATE_ESTABLISHED_IKE_SA) &&
			!(sa->wants & WANT_DELETE_IKE) &&
			ip_equal(&sa->path.remote.address, remote))
			return true;
	}
	return is_served_as_guest(engine, c, remote, but_by);
}

void wanted_gone_elsewhere(struct ike_engine *engine, const struct ike_news *news)
{
	struct wanted *w = wanted_find_serial(engine, news->connection_serial, NULL);

	if (w && !connection_is_served(engine, w->connection, &news->peer, NULL))
		wanted_later(engine, w->connection, &w->remote);
}

/* Nobody wants it here, but another engine may. */
static void tell_gone(const struct ike_sa *sa, const struct connection *c)
{
	struct ike_news news = news_of(sa, IKE_NEWS_GONE);

	news.connection_serial = c->serial;
	if (sa->established_ms && !connection_is_template(c))
		sa->engine->host->tell(sa->engine->host, &news);
}

/* In the SA's name, if it is the SA's connection. */
static void say(
	struct ike_sa *sa, const struct connection *c, enum log_severity severity, const char *text)
{
	if (sa->connection->serial == c->serial)
		ike_sa_log(sa, severity, RC_OK, "%s", text);
	else
		connection_log(sa->engine, c, 0, severity, RC_OK, "%s", text);
}

/* It served this connection, or would have. */
static void connection_gone(struct ike_sa *sa, const struct connection *c)
{
	struct ike_engine *engine = sa->engine;
	uint64_t now = engine_now(engine);
	struct wanted *w = wanted_find(engine, c, &sa->path.remote.address);
	unsigned delay_s;
	char text[120];

	if (!w)
		tell_gone(sa, c);
	if (!w || timer_is_armed(&w->timer.timer) ||
		connection_is_served(engine, c, &sa->path.remote.address, sa))
		return;
	if (sa->established_ms && now - sa->established_ms > LIVED_MS)
		w->attempts = 0;
	w->attempts++;
	if (w->connection->keying_tries && w->attempts >= w->connection->keying_tries) {
		snprintf(
			text, sizeof(text), "gave up after %u attempts (keyingtries)", w->attempts);
		say(sa, c, LOG_LINE_WARNING, text);
		wanted_free(engine, w);
		return;
	}
	delay_s = (w->attempts - 1) * REVIVAL_STEP_S;
	if (delay_s > REVIVAL_MAX_S)
		delay_s = REVIVAL_MAX_S;
	engine_count(engine, COUNT_REVIVALS);
	snprintf(text, sizeof(text),
		"connection is supposed to remain up; revival attempt %u scheduled in %u seconds",
		w->attempts, delay_s);
	say(sa, c, LOG_LINE_INFO, text);
	engine->host->arm(engine->host, &w->timer.timer, now + delay_s * 1000ull);
}

void wanted_sa_gone(struct ike_sa *sa)
{
	const struct connection *guest;

	if (!sa->connection || sa->rekeyed || sa->engine->shutting_down)
		return;
	if (!sa->initiator && !sa->established_ms)
		return; /* a stranger's: it never served */
	/* The one that it is named for first, so that an IKE SA that follows is its again. */
	if (!sa->superseded_elsewhere)
		connection_gone(sa, sa->connection);
	for (unsigned i = 0; (guest = sharing_guest(sa, i)); i++)
		connection_gone(sa, guest);
}
