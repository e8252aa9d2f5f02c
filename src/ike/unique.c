/* Uniqueness of IKE SAs. */
#include "unique.h"

#include "engine_state.h"
#include "sharing.h"
#include "wanted.h"

/* Two peers that initiate to each other at one time may each end up with both SAs: if each took
 * away the one that it saw first, none would be left. So of two of different roles, neither much
 * older than the other, both ends choose the one with the higher initiator's SPI, and its
 * initiator, who alone is sure that both have it, deletes the other. */
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

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static bool crosses(const struct ike_sa *sa, const struct ike_news *news)
{
	return sa->initiator != news->initiator && !news->initial_contact &&
	       distance(sa->established_ms, news->established_ms) <= CROSSING_MS;
}

static bool is_meant(const struct ike_sa *sa, const struct ike_news *news)
{
	return sa->serial != news->ike_serial && sa->state == STATE_ESTABLISHED_IKE_SA &&
	       !sa->rekeyed && is_of_pair(sa, news);
}

/* Engines that establish SAs of one pair at one time tell each other: the later serial stays. */
static bool is_older(const struct ike_sa *old, const struct ike_news *news, bool elsewhere)
{
	if (!is_meant(old, news) || (elsewhere && old->serial > news->ike_serial))
		return false;
	return news->initial_contact || !crosses(old, news);
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

static void delete_loser(struct ike_sa *loser, uint64_t winner)
{
	ike_sa_log(loser, LOG_LINE_INFO, RC_OK,
		"both ends have initiated at one time: IKE SA #%llu stays, deleting this one",
		(unsigned long long)winner);
	ike_sa_delete(loser, FINISHED_SUPERSEDED);
}

/* One that stays, of which the engine that has the other one may have heard too early. */
static void settle_crossing(struct ike_sa *sa, const struct ike_news *news, struct ike_sa *fresh)
{
	bool stays = sa->spi_i > news->spi_i;
	struct ike_news again;

	if (!stays && news->initiator) {
		sa->superseded_elsewhere = !fresh;
		delete_loser(sa, news->ike_serial);
	} else if (stays && sa->initiator && fresh) {
		delete_loser(fresh, sa->serial);
	} else if (stays && sa->initiator && sa->serial < news->ike_serial) {
		again = news_of(sa, IKE_NEWS_ESTABLISHED);
		sa->engine->host->tell(sa->engine->host, &again);
	}
}

/* Those that cross are of one matter if they could carry the same Child SAs. */
static bool is_same_matter(
	const struct ike_sa *sa, const struct ike_news *news, const struct ike_sa *fresh)
{
	return sa->connection->serial == news->connection_serial ||
	       (fresh && sharing_is_possible(sa->connection, fresh->connection));
}

/* `fresh`: the SA that the news are of, if it is this engine's. */
static void supersede(struct ike_engine *engine, const struct ike_news *news, struct ike_sa *fresh)
{
	struct table_node *node = table_first(
				  engine->by_identity, unique_hash(news->local, news->remote)),
			  *next;

	for (; node; node = next) {
		struct ike_sa *old = container_of(node, struct ike_sa, by_identity);

		next = table_next(node);
		if (is_meant(old, news) && crosses(old, news)) {
			if (is_same_matter(old, news, fresh))
				settle_crossing(old, news, fresh);
		} else if (is_older(old, news, !fresh)) {
			if (news->initial_contact ||
				old->connection->serial == news->connection_serial)
				make_way(old, news, !fresh);
			else
				guest_makes_way(old, news);
		}
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
		.spi_i = sa->spi_i,
		.established_ms = sa->established_ms,
		.peer = sa->path.remote.address,
		.initiator = sa->initiator,
	};
}

bool unique_knows_other(const struct ike_sa *sa)
{
	struct table_node *node =
		table_first(sa->engine->by_identity, unique_hash(sa->local_id, sa->remote_id));

	for (; node; node = table_next(node)) {
		const struct ike_sa *other = container_of(node, struct ike_sa, by_identity);

		if (other != sa && other->state == STATE_ESTABLISHED_IKE_SA &&
			identity_equal(other->local_id, sa->local_id) &&
			identity_equal(other->remote_id, sa->remote_id))
			return true;
	}
	return false;
}

void unique_established(struct ike_sa *sa, bool initial_contact)
{
	struct ike_engine *engine = sa->engine;
	struct ike_news news = news_of(sa, IKE_NEWS_ESTABLISHED);

	news.initial_contact = initial_contact;
	if (sa->remote_id->kind == ID_NULL || (!engine->config.unique_ids && !initial_contact))
		return;
	supersede(engine, &news, sa);
	engine->host->tell(engine->host, &news);
}

void ike_engine_news(struct ike_engine *engine, const struct ike_news *news)
{
	if (news->kind == IKE_NEWS_ESTABLISHED)
		supersede(engine, news, NULL);
	else
		wanted_gone_elsewhere(engine, news);
}
