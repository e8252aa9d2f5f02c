/* The two ends of a connection: hosts, identities, authentication, selectors. */
#include "compile.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- hosts -------------------------------------------------------------------- */

/* The address from which the kernel would send to `remote`, by its routes. No packet is sent. */
static bool source_towards(const struct ip_address *remote, struct ip_address *out)
{
	struct ip_endpoint to = {.address = *remote, .port = 500}, from;
	struct sockaddr_storage sa;
	socklen_t len = ip_to_sockaddr(&to, &sa);
	int fd = socket(remote->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)&sa, len) == 0;

	len = sizeof(sa);
	ok = ok && getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	     ip_from_sockaddr((const struct sockaddr *)&sa, len, &from);
	if (fd >= 0)
		close(fd);
	if (ok)
		*out = from.address;
	return ok;
}

static bool compile_host(struct compile *cc, struct end_text *t, struct connection_end *e)
{
	if (!t->host)
		return compile_fail(cc, "%s= is missing", t->side);
	if (strcasecmp(t->host, "%any") == 0) {
		t->any = true;
		return true;
	}
	if (strcasecmp(t->host, "%defaultroute") == 0)
		return true;
	if (t->host[0] == '%')
		return compile_fail(cc, "%s=%s is not implemented yet", t->side, t->host);
	if (!ip_parse(t->host, &e->host))
		return compile_fail(cc,
			"%s=%s is not an IP address (host names are not implemented yet)", t->side,
			t->host);
	if (ip_is_any(&e->host)) { /* the obsolete spelling */
		memset(&e->host, 0, sizeof(e->host));
		t->any = true;
	}
	return true;
}

static bool resolve_default_route(struct compile *cc, struct end_text *t, struct connection_end *e,
	const struct connection_end *other)
{
	char ip[IP_TEXT_MAX];

	if (t->any || !ip_is_unset(&e->host))
		return true;
	if (ip_is_unset(&other->host))
		return compile_fail(
			cc, "%s=%%defaultroute needs the address of the other end", t->side);
	return source_towards(&other->host, &e->host) ||
	       compile_fail(cc, "%s=%%defaultroute: there is no route to %s", t->side,
		       ip_text(&other->host, ip));
}

static bool compile_hosts(struct compile *cc)
{
	struct end_text *t = cc->ends;
	struct connection_end *left = &cc->c->local, *right = &cc->c->remote;

	if (!compile_host(cc, &t[0], left) || !compile_host(cc, &t[1], right) ||
		!resolve_default_route(cc, &t[0], left, right) ||
		!resolve_default_route(cc, &t[1], right, left))
		return false;
	if (t[0].any && t[1].any)
		return compile_fail(cc, "left=%%any and right=%%any: one end must have an address");
	if (!t[0].any && !t[1].any && left->host.family != right->host.family)
		return compile_fail(cc, "left=%s and right=%s are not of one address family",
			t[0].host, t[1].host);
	for (unsigned i = 0; i < 2; i++) {
		const struct connection_end *e = i ? right : left;

		if (cc->host_family && !t[i].any && e->host.family != cc->host_family)
			return compile_fail(cc, "%s=%s is not an %s address", t[i].side, t[i].host,
				cc->host_family == AF_INET ? "IPv4" : "IPv6");
	}
	return true;
}

static bool compile_port(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	unsigned long long port;

	if (!t->ikeport)
		return true;
	if (!conf_count(t->ikeport, &port) || port < 1 || port > 65535)
		return compile_fail(cc, "%sikeport=%s is not a port", t->side, t->ikeport);
	e->ike_port = (uint16_t)port;
	return true;
}

static bool compile_nexthop(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	if (!t->nexthop)
		return true;
	if (!ip_parse(t->nexthop, &e->nexthop))
		return compile_fail(cc, "%snexthop=%s is not an IP address", t->side, t->nexthop);
	if (ip_is_any(&e->nexthop)) /* the obsolete spelling of %direct */
		memset(&e->nexthop, 0, sizeof(e->nexthop));
	if (!ip_is_unset(&e->nexthop) && !ip_is_unset(&e->host) &&
		e->nexthop.family != e->host.family)
		return compile_fail(cc, "%snexthop=%s and %s=%s are not of one address family",
			t->side, t->nexthop, t->side, t->host);
	return true;
}

static bool compile_updown(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	if (t->sourceip && (!ip_parse(t->sourceip, &e->source_ip) || ip_is_any(&e->source_ip)))
		return compile_fail(
			cc, "%ssourceip=%s is not one IP address", t->side, t->sourceip);
	if (!t->updown)
		return true;
	e->updown_none = *t->updown == '\0' || strcasecmp(t->updown, "%disabled") == 0;
	if (e->updown_none)
		return true;
	e->updown = strdup(t->updown);
	return e->updown || compile_fail(cc, "out of memory");
}

/* Packets from it would not be carried. */
static void check_source(struct compile *cc, const struct end_text *t, const struct connection_end *e)
{
	bool carried = e->selector_count == 0 && ip_equal(&e->source_ip, &e->host);

	if (ip_is_unset(&e->source_ip))
		return;
	for (unsigned i = 0; i < e->selector_count; i++)
		carried |= ip_range_has(&e->selectors[i].range, &e->source_ip);
	if (!carried)
		compile_warn(cc, "%ssourceip=%s is not in %ssubnet=", t->side, t->sourceip, t->side);
}

/* ---- identity ------------------------------------------------------------------ */

static bool compile_identity(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	char reason[256] = "out of memory";
	bool done;

	if (!compile_identity_of_certificate(cc, t, e, &done) || done)
		return done;
	if (t->id)
		e->id = identity_parse(t->id, reason, sizeof(reason));
	else if (t->any)
		e->id = identity_parse("%any", reason, sizeof(reason));
	else
		e->id = identity_of_address(&e->host);
	if (!e->id)
		return compile_fail(cc, "%sid=%s: %s", t->side, t->id ? t->id : "", reason);
	compile_adopt_subject(e);
	return true;
}

/* ---- selectors ---------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {{"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"gre", 47}, {"esp", 50}, {"ah", 51},
	{"icmpv6", 58}, {"ipv6-icmp", 58}, {"ipip", 4}, {"ipv6", 41}, {"l2tp", 115}, {"sctp", 132}};

static bool parse_protocol(const char *text, uint8_t *out)
{
	unsigned long long n;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcasecmp(text, protocols[i].name) == 0) {
			*out = protocols[i].number;
			return true;
		}
	if (strcasecmp(text, "%any") == 0) {
		*out = 0;
		return true;
	}
	if (!conf_count(text, &n) || n > 255)
		return false;
	*out = (uint8_t)n;
	return true;
}

/* "17/1701", "tcp", "udp/%any", "17/%opaque" into the protocol and ports of `ts`. */
static bool parse_protoport(const char *text, struct traffic_selector *ts)
{
	size_t len = strcspn(text, "/");
	char protocol[32];
	const char *port = text[len] ? text + len + 1 : "%any";
	unsigned long long n;

	if (len >= sizeof(protocol))
		return false;
	memcpy(protocol, text, len);
	protocol[len] = '\0';
	if (!parse_protocol(protocol, &ts->protocol))
		return false;
	ts->port_first = 0;
	ts->port_last = 65535;
	if (strcasecmp(port, "%any") == 0)
		return true;
	if (strcasecmp(port, "%opaque") == 0) {
		ts->port_first = 65535;
		ts->port_last = 0;
		return ts->protocol != 0;
	}
	if (!conf_count(port, &n) || n > 65535)
		return false;
	if (n == 0)
		return true; /* as %any */
	ts->port_first = ts->port_last = (uint16_t)n;
	return ts->protocol != 0;
}

static bool add_selector(struct compile *cc, const struct end_text *t, struct connection_end *e,
	const struct traffic_selector *ts)
{
	struct traffic_selector *more;

	if (e->selector_count == IPSEC_SELECTORS_MAX)
		return compile_fail(
			cc, "%ssubnet= has more than %d selectors", t->side, IPSEC_SELECTORS_MAX);
	more = reallocarray(e->selectors, e->selector_count + 1, sizeof(*more));
	if (!more)
		return compile_fail(cc, "out of memory");
	e->selectors = more;
	e->selectors[e->selector_count++] = *ts;
	return true;
}

static bool add_subnet(
	struct compile *cc, const struct end_text *t, struct connection_end *e, const char *text)
{
	struct traffic_selector ts;

	if (strncasecmp(text, "vhost:", 6) == 0 || strncasecmp(text, "vnet:", 5) == 0)
		return compile_fail(cc, "%ssubnet=%s is not implemented yet", t->side, text);
	if (!traffic_selector_parse(text, &ts))
		return compile_fail(cc, "%ssubnet=%s is not a subnet", t->side, text);
	if (cc->client_family && ts.range.first.family != cc->client_family)
		return compile_fail(cc, "%ssubnet=%s is not %s", t->side, text,
			cc->client_family == AF_INET ? "IPv4" : "IPv6");
	if (t->protoport) {
		if (ts.protocol)
			return compile_fail(cc,
				"%ssubnet=%s names a protocol, and %sprotoport= does too", t->side,
				text, t->side);
		if (!parse_protoport(t->protoport, &ts))
			return compile_fail(
				cc, "%sprotoport=%s is not PROTOCOL/PORT", t->side, t->protoport);
	}
	return add_selector(cc, t, e, &ts);
}

/* A host that is its own client, for some of its traffic only. */
static bool add_host(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	struct ip_range host = {.first = e->host, .last = e->host};
	struct traffic_selector ts = traffic_selector_of_range(&host);

	if (t->any)
		return compile_fail(
			cc, "%sprotoport= with %s=%%any is not implemented yet", t->side, t->side);
	if (!parse_protoport(t->protoport, &ts))
		return compile_fail(
			cc, "%sprotoport=%s is not PROTOCOL/PORT", t->side, t->protoport);
	return add_selector(cc, t, e, &ts);
}

static bool compile_selectors(
	struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	char *copy, *rest, *word;
	bool ok = true;

	if (!t->subnet)
		return t->protoport ? add_host(cc, t, e) : true;
	copy = rest = strdup(t->subnet);
	if (!copy)
		return compile_fail(cc, "out of memory");
	while (ok && (word = strsep(&rest, ", \t")))
		if (*word)
			ok = add_subnet(cc, t, e, word);
	free(copy);
	if (ok && e->selector_count == 0)
		return compile_fail(cc, "%ssubnet= is empty", t->side);
	return ok;
}

static uint8_t selector_family(const struct connection_end *e, unsigned i)
{
	return e->selector_count ? e->selectors[i].range.first.family : e->host.family;
}

/* Every selector must meet one of its family on the other side. */
static bool families_meet(const struct connection_end *a, const struct connection_end *b)
{
	for (unsigned i = 0; i < (a->selector_count ? a->selector_count : 1); i++) {
		uint8_t family = selector_family(a, i);
		bool met = family == 0;

		for (unsigned j = 0; !met && j < (b->selector_count ? b->selector_count : 1); j++)
			met = selector_family(b, j) == family || selector_family(b, j) == 0;
		if (!met)
			return false;
	}
	return true;
}

/* Transport mode carries the hosts' own packets. */
static bool is_host_only(const struct connection_end *e)
{
	for (unsigned i = 0; i < e->selector_count; i++)
		if (!ip_equal(&e->selectors[i].range.first, &e->host) ||
			!ip_equal(&e->selectors[i].range.last, &e->host))
			return false;
	return true;
}

/* Its addresses come from the other end, and need not be of its host's family. */
static bool is_lent(const struct connection_end *e)
{
	return e->pools[0] || e->pools[1] || e->modecfg_client;
}

static bool check_selectors(struct compile *cc)
{
	const struct connection *c = cc->c;

	if (is_lent(&c->local) || is_lent(&c->remote))
		return true; /* compile_modecfg sees to it */
	if (!families_meet(&c->local, &c->remote) || !families_meet(&c->remote, &c->local))
		return compile_fail(
			cc, "leftsubnet= and rightsubnet= are not of one address family");
	if (c->mode != IPSEC_TRANSPORT)
		return true;
	for (unsigned i = 0; i < 2; i++)
		if (!is_host_only(i ? &c->remote : &c->local))
			return compile_fail(cc, "type=transport does not go with %ssubnet=%s",
				cc->ends[i].side, cc->ends[i].subnet);
	return true;
}

static bool check_distinct(struct compile *cc)
{
	const struct connection_end *left = &cc->c->local, *right = &cc->c->remote;

	if (cc->ends[0].any || cc->ends[1].any || !ip_equal(&left->host, &right->host))
		return true;
	return left->ike_port != right->ike_port ||
	       compile_fail(cc, "left= and right= are the same address, %s", cc->ends[0].host);
}

bool compile_ends(struct compile *cc)
{
	if (!compile_hosts(cc))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		const struct end_text *t = &cc->ends[i];
		struct connection_end *e = i ? &cc->c->remote : &cc->c->local;

		if (!compile_port(cc, t, e) || !compile_nexthop(cc, t, e) ||
			!compile_auth(cc, t, e) || !compile_identity(cc, t, e) ||
			!compile_selectors(cc, t, e) || !compile_pool(cc, t, e) ||
			!compile_updown(cc, t, e))
			return false;
		check_source(cc, t, e);
	}
	return check_distinct(cc) && check_selectors(cc) && compile_auth_of_both(cc) &&
	       compile_modecfg(cc);
}
