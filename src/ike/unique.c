/* Uniqueness of IKE SAs. */
#include "unique.h"

#include "engine_state.h"
#include "sharing.h"
#include "wanted.h"

/* Two peers that initiate to each other at one time may each end up with both SAs: if each took
 * away the one that it saw first, none would be left. So an SA of the other role falls only when it
 * is older than this. */
#define CROSSING_MS 10000

uint64_t unique_hash(const struct identity *local, const struct identity *remote)
{
	return identity_hash(local) * 31 + identity_hash(remote);
}

static bool is_of_pair(const struct ike_sa *sa, const struct ike_news *news)
{
	return identity_equal(sa->local_id, news->local) &&
	       identity_equal(sa->remote_id, news->remote);
}

/* Engines that establish SAs of one pair at one time tell each other: the later serial stays. */
static bool is_older(const struct ike_sa *old, const struct ike_news *news, bool elsewhere)
{
	if (old->serial == news->ike_serial || (elsewhere && old->serial > news->ike_serial) ||
		old->state != STATE_ESTABLISHED_IKE_SA || !is_of_pair(old, news))
		return false;
	return news->initial_contact || old->initiator == news->initiator ||
	       engine_now(old->engine) - old->established_ms > CROSSING_MS;
}

/* The connection lets go of an IKE SA that others use. */
static void leave(struct ike_sa *old, struct connection *c)
{
	connection_ref(c);
	sharing_leave(old, c);
	sharing_hand_over(old, c);
	connection_unref(c);
}

static void log_superseded(
	struct ike_sa *old, const struct connection *c, const struct ike_news *news)
{
	const char *how = news->initial_contact ? ", which has made initial contact" : "";

	if (c == old->connection)
		ike_sa_log(old, LOG_LINE_INFO, RC_OK,
			"superseded by IKE SA #%llu of the same peer%s",
			(unsigned long long)news->ike_serial, how);
	else
		connection_log(old->engine, c, 0, LOG_LINE_INFO, RC_OK,
			"superseded on IKE SA #%llu by IKE SA #%llu of the same peer",
			(unsigned long long)old->serial, (unsigned long long)news->ike_serial);
}

static void make_way(struct ike_sa *old, const struct ike_news *news, bool elsewhere)
{
	log_superseded(old, old->connection, news);
	/* With initial contact the peer knows of no other SA: it is not told (RFC 7296,
	 * section 2.4). */
	if (news->initial_contact) {
		old->superseded_elsewhere = elsewhere;
		ike_sa_free(old, FINISHED_SUPERSEDED);
	} else if (sharing_carries_others(old, old->connection)) {
		leave(old, old->connection);
	} else {
		old->superseded_elsewhere = elsewhere;
		ike_sa_delete(old, FINISHED_SUPERSEDED);
	}
}

/* It may have a Child SA on the IKE SA of another connection. */
static void guest_makes_way(struct ike_sa *old, const struct ike_news *news)
{
	struct connection *guest;

	for (unsigned i = 0; (guest = sharing_guest(old, i)); i++) {
		if (guest->serial == news->connection_serial && sharing_carries(old, guest)) {
			log_superseded(old, guest, news);
			leave(old, guest);
			return;
		}
	}
}

static void supersede(struct ike_engine *engine, const struct ike_news *news, bool elsewhere)
{
	struct table_node *node = table_first(
				  engine->by_identity, unique_hash(news->local, news->remote)),
			  *next;

	for (; node; node = next) {
		struct ike_sa *old = container_of(node, struct ike_sa, by_identity);

		next = table_next(node);
		if (!is_older(old, news, elsewhere))
			continue;
		if (news->initial_contact || old->connection->serial == news->connection_serial)
			make_way(old, news, elsewhere);
		else
			guest_makes_way(old, news);
	}
}

struct ike_news news_of(const struct ike_sa *sa, enum ike_news_kind kind)
{
	return (struct ike_news){
		.kind = kind,
		.local = sa->local_id,
		.remote = sa->remote_id,
		.connection_serial = sa->connection->serial,
		.ike_serial = sa->serial,
		.peer = sa->path.remote.address,
		.initiator = sa->initiator,
	};
}

void unique_established(struct ike_sa *sa, bool initial_contact)
{
	struct ike_engine *engine = sa->engine;
	struct ike_news news = news_of(sa, IKE_NEWS_ESTABLISHED);

	news.initial_contact = initial_contact;
	if (sa->remote_id->kind == ID_NULL || (!engine->config.unique_ids && !initial_contact))
		return;
	supersede(engine, &news, false);
	engine->host->tell(engine->host, &news);
}

void ike_engine_news(struct ike_engine *engine, const struct ike_news *news)
{
	if (news->kind == IKE_NEWS_ESTABLISHED)
		supersede(engine, news, true);
	else
		wanted_gone_elsewhere(engine, news);
}
