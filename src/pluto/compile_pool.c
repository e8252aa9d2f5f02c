/* Address pools and what clients are told: addresspool=, modecfg...=. */
#include "compile.h"
#include "pools.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BANNER_MAX  1024
#define DOMAIN_MAX  253
#define DOMAINS_MAX 16

/* ---- pools -------------------------------------------------------------------- */

struct ranges {
	unsigned count;
	struct ip_range list[POOL_RANGES_MAX];
};

static bool add_range(
	struct compile *cc, const struct end_text *t, struct ranges families[2], const char *word)
{
	const char *slash = strchr(word, '/');
	struct ip_range range;
	struct ranges *r;

	if (!*word)
		return compile_fail(
			cc, "%saddresspool=%s has an empty field", t->side, t->addresspool);
	if (slash && strchr(slash + 1, '/'))
		return compile_fail(cc,
			"%saddresspool=%s: leases of whole subnets are not implemented yet",
			t->side, word);
	if (!ip_range_parse(word, &range))
		return compile_fail(
			cc, "%saddresspool=%s is not a range of addresses", t->side, word);
	r = &families[range.first.family == AF_INET6];
	if (r->count == POOL_RANGES_MAX)
		return compile_fail(cc, "%saddresspool= has more than %d ranges of one family",
			t->side, POOL_RANGES_MAX);
	r->list[r->count++] = range;
	return true;
}

static bool take_pools(struct compile *cc, const struct end_text *t, struct connection_end *e,
	const struct ranges families[2])
{
	char reason[400];

	for (unsigned i = 0; i < 2; i++) {
		if (!families[i].count)
			continue;
		e->pools[i] = pools_get(cc->context->pools, cc->c->name, families[i].list,
			families[i].count, reason, sizeof(reason));
		if (!e->pools[i])
			return compile_fail(
				cc, "%saddresspool=%s: %s", t->side, t->addresspool, reason);
	}
	return true;
}

bool compile_pool(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	struct ranges families[2] = {0};
	char *copy, *rest, *word;
	bool ok = true;

	e->modecfg_server = t->modecfg_server;
	e->modecfg_client = t->modecfg_client;
	if (t->modecfg_server && t->modecfg_client)
		return compile_fail(cc, "%smodecfgserver= and %smodecfgclient= exclude each other",
			t->side, t->side);
	if (!t->addresspool)
		return true;
	if (t->subnet || t->protoport)
		return compile_fail(cc, "%saddresspool= does not go with %s%s=", t->side, t->side,
			t->subnet ? "subnet" : "protoport");
	if (t->modecfg_server)
		return compile_fail(cc,
			"%saddresspool= is for clients, so that %smodecfgserver= does not go with "
			"it",
			t->side, t->side);
	copy = rest = strdup(t->addresspool);
	if (!copy)
		return compile_fail(cc, "out of memory");
	while (ok && (word = strsep(&rest, ", \t")))
		ok = add_range(cc, t, families, word);
	free(copy);
	return ok && take_pools(cc, t, e, families);
}

/* ---- what clients are told ---------------------------------------------------- */

static bool add_dns(struct compile *cc, struct modecfg_offer *offer, const char *word)
{
	if (offer->dns_count == MODECFG_DNS_MAX)
		return compile_fail(cc, "modecfgdns= has more than %d addresses", MODECFG_DNS_MAX);
	if (!ip_parse(word, &offer->dns[offer->dns_count]))
		return compile_fail(cc, "modecfgdns=%s is not an IP address", word);
	offer->dns_count++;
	return true;
}

static bool is_domain(const char *word)
{
	size_t len = strlen(word);

	if (len > DOMAIN_MAX || *word == '.' || *word == '-' || strstr(word, ".."))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)word[i]) && !strchr("-_.", word[i]))
			return false;
	return true;
}

static bool add_domain(struct compile *cc, struct modecfg_offer *offer, const char *word)
{
	size_t used = offer->domains ? strlen(offer->domains) : 0, size = used + strlen(word) + 2;
	char *more;

	if (!is_domain(word))
		return compile_fail(cc, "modecfgdomains=%s is not a domain name", word);
	if (size > DOMAINS_MAX * (DOMAIN_MAX + 1))
		return compile_fail(cc, "modecfgdomains= is too long");
	more = realloc(offer->domains, size);
	if (!more)
		return compile_fail(cc, "out of memory");
	snprintf(more + used, size - used, "%s%s", used ? " " : "", word);
	offer->domains = more;
	return true;
}

static bool each_word(struct compile *cc, struct modecfg_offer *offer, const char *list,
	bool (*add)(struct compile *cc, struct modecfg_offer *offer, const char *word))
{
	char *copy = strdup(list ? list : ""), *rest = copy, *word;
	bool ok = copy || compile_fail(cc, "out of memory");

	while (ok && (word = strsep(&rest, ", \t")))
		if (*word)
			ok = add(cc, offer, word);
	free(copy);
	return ok;
}

static bool set_banner(struct compile *cc, struct modecfg_offer *offer, const char *text)
{
	if (!text)
		return true;
	if (strlen(text) > BANNER_MAX)
		return compile_fail(cc, "modecfgbanner= has more than %d characters", BANNER_MAX);
	offer->banner = strdup(text);
	return offer->banner || compile_fail(cc, "out of memory");
}

static bool compile_offer(struct compile *cc)
{
	struct modecfg_offer *offer;

	if (!cc->modecfgdns && !cc->modecfgdomains && !cc->modecfgbanner)
		return true;
	offer = cc->c->modecfg = calloc(1, sizeof(*offer));
	if (!offer)
		return compile_fail(cc, "out of memory");
	offer->references = 1;
	return each_word(cc, offer, cc->modecfgdns, add_dns) &&
	       each_word(cc, offer, cc->modecfgdomains, add_domain) &&
	       set_banner(cc, offer, cc->modecfgbanner);
}

/* ---- what takes both ends ----------------------------------------------------- */

static bool has_family(const struct connection_end *e, uint8_t family)
{
	if (!e->selector_count)
		return ip_is_unset(&e->host) || e->host.family == family;
	for (unsigned i = 0; i < e->selector_count; i++)
		if (e->selectors[i].range.first.family == family)
			return true;
	return false;
}

static bool check_pool(struct compile *cc, unsigned side)
{
	struct connection *c = cc->c;
	const struct connection_end *e = side ? &c->remote : &c->local,
				    *other = side ? &c->local : &c->remote;
	const struct end_text *t = &cc->ends[side], *to = &cc->ends[!side];

	if (!t->addresspool)
		return true;
	if (to->addresspool)
		return compile_fail(
			cc, "leftaddresspool= and rightaddresspool= exclude each other");
	if (c->mode == IPSEC_TRANSPORT)
		return compile_fail(cc, "type=transport does not go with %saddresspool=", t->side);
	if (cc->narrowing_given && !c->narrowing)
		return compile_fail(cc, "narrowing=no does not go with %saddresspool=", t->side);
	c->narrowing = true;
	for (unsigned i = 0; i < 2; i++)
		if (e->pools[i] && !has_family(other, i ? AF_INET6 : AF_INET))
			return compile_fail(cc,
				"the address family of %saddresspool=%s conflicts with %s%s=%s",
				t->side, t->addresspool, to->side, to->subnet ? "subnet" : "",
				to->subnet ? to->subnet : to->host);
	return true;
}

bool compile_modecfg(struct compile *cc)
{
	const struct connection *c = cc->c;

	if ((c->local.modecfg_client && c->remote.modecfg_client) ||
		(c->local.modecfg_server && c->remote.modecfg_server))
		return compile_fail(cc, "both ends cannot be the %s",
			c->local.modecfg_client ? "modecfgclient" : "modecfgserver");
	if ((c->local.modecfg_client || c->remote.modecfg_client) && c->mode == IPSEC_TRANSPORT)
		return compile_fail(cc, "type=transport does not go with modecfgclient=yes");
	return check_pool(cc, 0) && check_pool(cc, 1) && compile_offer(cc);
}
