/* Configuration payloads: what an IKE SA has of them, and the server's part. */
#include "configuration.h"

#include "engine_state.h"
#include "negotiation_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool configuration_serves(const struct connection *c)
{
	return c->remote.pools[0] || c->remote.pools[1];
}

static struct peer_configuration *configuration_of(struct ike_sa *sa)
{
	if (sa->configuration)
		return sa->configuration;
	sa->configuration = calloc(1, sizeof(*sa->configuration));
	if (sa->configuration) {
		sa->configuration->bytes = sizeof(*sa->configuration);
		sa->engine->configuration_bytes += sizeof(*sa->configuration);
	}
	return sa->configuration;
}

void configuration_drop(struct ike_sa *sa)
{
	struct peer_configuration *p = sa->configuration;

	if (!p)
		return;
	for (unsigned i = 0; i < 2; i++)
		address_pool_return(&p->leases[i], engine_now(sa->engine) / 1000);
	sa->engine->configuration_bytes -= p->bytes;
	free(p->dns);
	free(p->domains);
	free(p->banner);
	free(p);
	sa->configuration = NULL;
}

void configuration_inherit(struct ike_sa *from, struct ike_sa *to)
{
	configuration_drop(to);
	to->configuration = from->configuration;
	from->configuration = NULL;
}

/* ---- selectors ------------------------------------------------------------------ */

static unsigned add_host(const struct ip_address *a, struct traffic_selector *out, unsigned count)
{
	struct ip_range host = {.first = *a, .last = *a};

	if (ip_is_unset(a))
		return count;
	out[count] = traffic_selector_of_range(&host);
	return count + 1;
}

static unsigned pool_selectors(const struct connection *c, struct traffic_selector *out)
{
	const struct ip_range *range;
	unsigned count = 0;

	for (unsigned f = 0; f < 2; f++) {
		const struct address_pool *pool = c->remote.pools[f];

		for (unsigned i = 0; pool && count < IPSEC_SELECTORS_MAX &&
				     (range = address_pool_range(pool, i));
			i++)
			out[count++] = traffic_selector_of_range(range);
	}
	return count;
}

/* The peer's: the addresses that it has from us, and no others. */
static unsigned lent_selectors(
	const struct ike_sa *sa, const struct connection *c, struct traffic_selector *out)
{
	const struct peer_configuration *p = sa->configuration;
	unsigned count = 0;

	for (unsigned i = 0; p && i < 2; i++) {
		if (p->leases[i].pool && p->leases[i].pool == c->remote.pools[i])
			count = add_host(&p->leases[i].address, out, count);
	}
	if (count || sa->state == STATE_ESTABLISHED_IKE_SA)
		return count;
	return pool_selectors(c, out); /* which connection is it? */
}

/* Which families are talked about on the other side of the tunnel? */
static bool has_family(const struct ike_sa *sa, const struct connection *c, uint8_t family)
{
	struct traffic_selector remote[IPSEC_SELECTORS_MAX];
	unsigned count = end_selectors(&c->remote, &sa->path.remote.address, remote);

	for (unsigned i = 0; i < count; i++) {
		if (remote[i].range.first.family == family)
			return true;
	}
	return false;
}

static bool wants_family(const struct ike_sa *sa, const struct connection *c, uint8_t family)
{
	if (!c->local.selector_count)
		return has_family(sa, c, family);
	for (unsigned i = 0; i < c->local.selector_count; i++) {
		if (c->local.selectors[i].range.first.family == family)
			return true;
	}
	return false;
}

static unsigned add_everything(uint8_t family, struct traffic_selector *out, unsigned count)
{
	struct ip_subnet all = {.address = {.family = family}};
	struct ip_range range = ip_range_of_subnet(&all);

	out[count] = traffic_selector_of_range(&range);
	return count + 1;
}

/* Ours: the addresses that we have from the peer; before we know them, any. */
static unsigned given_selectors(
	const struct ike_sa *sa, const struct connection *c, struct traffic_selector *out)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	const struct peer_configuration *p = sa->configuration;
	unsigned count = 0;

	for (unsigned i = 0; p && i < 2; i++)
		count = add_host(&p->given[i], out, count);
	for (unsigned i = 0; !p && i < 2; i++) {
		if (wants_family(sa, c, families[i]))
			count = add_everything(families[i], out, count);
	}
	return count;
}

unsigned configuration_selectors(const struct ike_sa *sa, const struct connection *c, bool local,
	struct traffic_selector *out)
{
	if (local && configuration_asks(c) && !c->local.selector_count)
		return given_selectors(sa, c, out);
	if (!local && configuration_serves(c))
		return lent_selectors(sa, c, out);
	return local ? end_selectors(&c->local, &sa->path.local.address, out)
		     : end_selectors(&c->remote, &sa->path.remote.address, out);
}

/* ---- server ---------------------------------------------------------------------- */

static void log_lease(struct ike_sa *sa, enum lease_kind kind, const struct lease *lease)
{
	static const char *const words[] = {
		[LEASE_FRESH] = "assigning unused lease",
		[LEASE_STOLEN] = "assigning lease, remembered for another client until now,",
		[LEASE_KEPT] = "assigning the client's former lease",
		[LEASE_SHARED] = "keeping the client's lease",
	};
	char pool[POOL_TEXT_MAX], ip[IP_TEXT_MAX];

	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "%s %s/%u from addresspool %s", words[kind],
		ip_text(&lease->address, ip), ip_bits(lease->address.family),
		address_pool_text(lease->pool, pool));
}

static void log_exhausted(struct ike_sa *sa, const struct address_pool *pool)
{
	char text[POOL_TEXT_MAX];

	engine_count(sa->engine, COUNT_LEASES_REFUSED);
	if (rate_limit_pass(&sa->engine->pool_limit, engine_now(sa->engine)))
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "no free address remains in addresspool %s",
			address_pool_text(pool, text));
}

/* Identities that anybody may claim do not find their address again, nor share it. */
static struct lease_asker asker_of(const struct ike_sa *sa)
{
	const struct connection *c = sa->connection;
	bool known = c->remote.auth != AUTH_METHOD_NULL && sa->remote_id->kind != ID_NULL;

	return (struct lease_asker){
		.id = known ? sa->remote_id : NULL,
		.share = sa->engine->config.unique_ids && !c->dont_share_lease,
		.connection = c->serial,
		.instance = sa->instance,
		.peer = &sa->path.remote.address,
		.now_s = engine_now(sa->engine) / 1000,
	};
}

static bool lend(struct ike_sa *sa, struct address_pool *pool, struct lease *lease)
{
	struct lease_asker asker = asker_of(sa);
	enum lease_kind kind = address_pool_take(pool, &asker, lease);

	if (kind == LEASE_NONE) {
		log_exhausted(sa, pool);
		return false;
	}
	engine_count(sa->engine, COUNT_LEASES + kind);
	log_lease(sa, kind, lease);
	return true;
}

/* One address of each family that is asked for and that there is a pool of will do. */
static uint16_t lend_all(struct ike_sa *sa, const struct configuration *asked)
{
	struct peer_configuration *p = configuration_of(sa);
	const bool wanted[2] = {asked->names_ip4, asked->names_ip6};
	unsigned lent = 0;

	for (unsigned i = 0; p && i < 2; i++) {
		struct address_pool *pool = sa->connection->remote.pools[i];

		if (wanted[i] && pool && !p->leases[i].pool)
			lent += lend(sa, pool, &p->leases[i]);
	}
	if (lent)
		return 0;
	configuration_drop(sa);
	return N_INTERNAL_ADDRESS_FAILURE;
}

uint16_t configuration_serve(struct ike_sa *sa, const struct configuration *asked)
{
	if (!configuration_serves(sa->connection))
		return 0;
	if (!asked) {
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
			"the peer does not ask for an address, and has to");
		return N_FAILED_CP_REQUIRED;
	}
	sa->negotiation->asked_domains = asked->names_domain;
	return lend_all(sa, asked);
}

/* RFC 8598, section 3.2: one attribute a domain. */
static void encode_domains(const char *domains, struct message_writer *m)
{
	while (domains && *domains) {
		size_t len = strcspn(domains, " ");

		cp_attribute(m, INTERNAL_DNS_DOMAIN, bytes_of(domains, len));
		domains += len;
		domains += strspn(domains, " ");
	}
}

static void encode_offer(const struct modecfg_offer *offer, bool domains, struct message_writer *m)
{
	for (unsigned i = 0; offer && i < offer->dns_count; i++)
		cp_dns(m, &offer->dns[i]);
	if (offer && domains)
		encode_domains(offer->domains, m);
	if (offer && offer->banner)
		cp_attribute(
			m, CONFIGURATION_BANNER, bytes_of(offer->banner, strlen(offer->banner)));
}

static void encode_reply(const struct ike_sa *sa, bool domains, struct message_writer *m)
{
	const struct peer_configuration *p = sa->configuration;

	cp_payload_begin(m, CFG_REPLY);
	for (unsigned i = 0; p && i < 2; i++) {
		if (p->leases[i].pool)
			cp_address(m, &p->leases[i].address);
	}
	encode_offer(sa->connection->modecfg, domains, m);
	cp_payload_end(m);
}

void configuration_reply_encode(const struct ike_sa *sa, struct message_writer *m)
{
	if (configuration_serves(sa->connection) && sa->configuration)
		encode_reply(sa, sa->negotiation->asked_domains, m);
}

/* What is to be set is not: an empty CFG_ACK says so (RFC 7296, section 3.15). */
void configuration_answer(
	const struct ike_sa *sa, const struct payload_list *request, struct message_writer *m)
{
	const struct payload *p = payload_find(request, PAYLOAD_CP);
	struct configuration asked;

	if (!p || !cp_payload_decode(p->body, &asked))
		return;
	if (asked.type == CFG_REQUEST && configuration_serves(sa->connection)) {
		encode_reply(sa, asked.names_domain, m);
	} else if (asked.type == CFG_REQUEST || asked.type == CFG_SET) {
		cp_payload_begin(m, asked.type == CFG_SET ? CFG_ACK : CFG_REPLY);
		cp_payload_end(m);
	}
}
