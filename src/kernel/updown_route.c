/* Routes and source addresses. */
#include "updown_route.h"

#include "base/log.h"
#include "base/table.h"
#include "updown_rtnetlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef IFA_PROTO
#define IFA_PROTO 11 /* Linux 5.18 */
#endif
#define PREFIXES_MAX 64 /* that a range which is no subnet may take */

/* What a route says but for its destination. */
struct via {
	unsigned interface;
	struct ip_address gateway, source;
	uint32_t metric, mtu;
};

struct destination {
	struct table_node node;
	struct ip_subnet subnet;
	struct held *newest; /* who wants it */
	struct via installed;
	bool present;
};

/* One destination of one hold. */
struct held {
	struct destination *destination;
	struct held *older, **link;
	struct via via;
};

struct source {
	struct source *next;
	struct ip_address address;
	unsigned users, interface;
};

struct route_hold {
	struct source *source; /* NULL: an address that is the host's own */
	unsigned count;
	struct held held[];
};

struct route_table {
	struct rtnetlink netlink;
	struct table *destinations;
	struct source *sources;
	uint64_t present;
	bool leave; /* the kernel's are no longer touched */
};

struct route_table *route_table_open(void)
{
	struct route_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->destinations = table_new();
	if (!t->destinations || !rtnetlink_open(&t->netlink)) {
		table_free(t->destinations);
		free(t);
		return NULL;
	}
	return t;
}

void route_table_close(struct route_table *t)
{
	rtnetlink_close(&t->netlink);
	table_free(t->destinations);
	free(t);
}

void route_table_leave(struct route_table *t)
{
	t->leave = true;
}

uint64_t route_count(const struct route_table *t)
{
	return t->present;
}

/* ---- where packets go ------------------------------------------------------------------ */

struct looked_up {
	struct route_hop *out;
	uint8_t family;
};

static void take_hop(const struct nlmsghdr *m, void *arg)
{
	struct looked_up *l = arg;
	const struct rtmsg *head = rtnetlink_head(m);
	const struct rtattr *a;

	if (m->nlmsg_type != RTM_NEWROUTE || m->nlmsg_len < NLMSG_LENGTH(sizeof(*head)))
		return;
	l->out->type = head->rtm_type;
	a = rtnetlink_find(m, sizeof(*head), RTA_OIF);
	if (a && RTA_PAYLOAD(a) == sizeof(uint32_t))
		memcpy(&l->out->interface, rtnetlink_value(a), sizeof(uint32_t));
	a = rtnetlink_find(m, sizeof(*head), RTA_GATEWAY);
	if (a && RTA_PAYLOAD(a) == ip_len(l->family))
		l->out->gateway = ip_from_bytes(l->family, rtnetlink_value(a));
}

int route_lookup(struct route_table *t, const struct ip_address *to, const struct ip_address *from,
	struct route_hop *out)
{
	struct rtmsg head = {.rtm_family = to->family, .rtm_dst_len = (uint8_t)ip_bits(to->family)};
	struct looked_up found = {.out = out, .family = to->family};
	struct rtnetlink_request r;

	memset(out, 0, sizeof(*out));
	if (!ip_is_unset(from))
		head.rtm_src_len = (uint8_t)ip_bits(from->family);
	rtnetlink_begin(&r, RTM_GETROUTE, 0, &head, sizeof(head));
	rtnetlink_put_address(&r, RTA_DST, to);
	rtnetlink_put_address(&r, RTA_SRC, from);
	return rtnetlink_ask(&t->netlink, &r.header, take_hop, &found);
}

/* ---- requests --------------------------------------------------------------------------- */

static void put_metrics(struct rtnetlink_request *r, uint32_t mtu)
{
	uint32_t nested[2] = {0};
	struct rtattr *a = (struct rtattr *)(void *)nested;

	a->rta_type = RTAX_MTU;
	a->rta_len = sizeof(nested);
	nested[1] = mtu;
	rtnetlink_put(r, RTA_METRICS | NLA_F_NESTED, nested, sizeof(nested));
}

static int ask_route(struct route_table *t, uint16_t type, uint16_t flags,
	const struct ip_subnet *subnet, const struct via *via)
{
	struct rtmsg head = {.rtm_family = subnet->address.family,
		.rtm_dst_len = subnet->prefix_len,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = UPDOWN_ROUTE_PROTOCOL,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	struct rtnetlink_request r;

	if (head.rtm_family == AF_INET && ip_is_unset(&via->gateway))
		head.rtm_scope = RT_SCOPE_LINK;
	if (t->leave)
		return 0;
	rtnetlink_begin(&r, type, flags, &head, sizeof(head));
	rtnetlink_put_address(&r, RTA_DST, &subnet->address);
	rtnetlink_put_address(&r, RTA_GATEWAY, &via->gateway);
	rtnetlink_put_address(&r, RTA_PREFSRC, &via->source);
	rtnetlink_put_u32(&r, RTA_OIF, via->interface);
	if (via->metric)
		rtnetlink_put_u32(&r, RTA_PRIORITY, via->metric);
	if (via->mtu && type == RTM_NEWROUTE)
		put_metrics(&r, via->mtu);
	return rtnetlink_ask(&t->netlink, &r.header, NULL, NULL);
}

static int ask_address(
	struct route_table *t, uint16_t type, const struct ip_address *a, unsigned interface)
{
	struct ifaddrmsg head = {.ifa_family = a->family,
		.ifa_prefixlen = (uint8_t)ip_bits(a->family),
		.ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = interface};
	uint8_t protocol = UPDOWN_ROUTE_PROTOCOL;
	struct rtnetlink_request r;

	if (t->leave)
		return 0;
	rtnetlink_begin(&r, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0, &head,
		sizeof(head));
	rtnetlink_put_address(&r, IFA_LOCAL, a);
	rtnetlink_put_address(&r, IFA_ADDRESS, a);
	if (type == RTM_NEWADDR)
		rtnetlink_put(&r, IFA_PROTO, &protocol, sizeof(protocol));
	return rtnetlink_ask(&t->netlink, &r.header, NULL, NULL);
}

/* ---- source addresses --------------------------------------------------------------------- */

/* Sets *out to NULL for one that the host has of its own. 0 or an errno value. */
static int source_take(struct route_table *t, const struct ip_address *address,
	unsigned interface, const char *prefix, struct source **out)
{
	const struct ip_address unset = {0};
	char text[IP_TEXT_MAX];
	struct route_hop hop;
	struct source *s;
	int error;

	*out = NULL;
	for (s = t->sources; s; s = s->next) {
		if (ip_equal(&s->address, address)) {
			s->users++;
			*out = s;
			return 0;
		}
	}
	if (route_lookup(t, address, &unset, &hop) == 0 && hop.type == RTN_LOCAL)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return ENOMEM;
	error = ask_address(t, RTM_NEWADDR, address, interface);
	if (error) {
		free(s);
		return error;
	}
	*s = (struct source){
		.next = t->sources, .address = *address, .users = 1, .interface = interface};
	t->sources = s;
	log_line(LOG_LINE_INFO, "%sadded the source address %s", prefix, ip_text(address, text));
	*out = s;
	return 0;
}

static void source_release(struct route_table *t, struct source *s)
{
	struct source **link = &t->sources;
	int error;

	if (!s || --s->users)
		return;
	error = ask_address(t, RTM_DELADDR, &s->address, s->interface);
	if (error && error != EADDRNOTAVAIL && error != ENODEV)
		log_line(LOG_LINE_WARNING, "the source address cannot be removed: %s",
			strerror(error));
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	free(s);
}

/* ---- destinations ------------------------------------------------------------------------- */

static uint64_t subnet_hash(const struct ip_subnet *s)
{
	static const struct table_seed seed = {0x5bd1e995, 0x9e3779b97f4a7c15};
	uint8_t key[18];

	memcpy(key, s->address.bytes, 16);
	key[16] = s->address.family;
	key[17] = s->prefix_len;
	return table_hash(&seed, key, sizeof(key));
}

static struct destination *destination_find(const struct route_table *t, const struct ip_subnet *s)
{
	struct table_node *node = table_first(t->destinations, subnet_hash(s));

	for (; node; node = table_next(node)) {
		struct destination *d = (struct destination *)(void *)node;

		if (d->subnet.prefix_len == s->prefix_len &&
			ip_equal(&d->subnet.address, &s->address))
			return d;
	}
	return NULL;
}

static struct destination *destination_get(struct route_table *t, const struct ip_subnet *s)
{
	struct destination *d = destination_find(t, s);

	if (d)
		return d;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->subnet = *s;
	if (table_insert(t->destinations, &d->node, subnet_hash(s)))
		return d;
	free(d);
	return NULL;
}

static bool via_equal(const struct via *a, const struct via *b)
{
	return a->interface == b->interface && a->metric == b->metric && a->mtu == b->mtu &&
	       ip_equal(&a->gateway, &b->gateway) && ip_equal(&a->source, &b->source);
}

static void withdraw(struct route_table *t, struct destination *d)
{
	char text[IP_RANGE_TEXT_MAX];
	int error;

	if (!d->present)
		return;
	d->present = false;
	t->present--;
	error = ask_route(t, RTM_DELROUTE, 0, &d->subnet, &d->installed);
	/* It goes by itself with its device or its source address. */
	if (error && error != ESRCH && error != ENODEV && error != ENETUNREACH)
		log_line(LOG_LINE_WARNING, "the route to %s cannot be removed: %s",
			ip_subnet_text(&d->subnet, text), strerror(error));
}

/* The route becomes what its newest user wants. 0, or an errno value: EEXIST is somebody else's route. */
static int install(struct route_table *t, struct destination *d)
{
	const struct via *via = &d->newest->via;
	bool in_place = d->present && d->installed.metric == via->metric;
	int error;

	if (d->present && via_equal(&d->installed, via))
		return 0;
	error = ask_route(t, RTM_NEWROUTE, NLM_F_CREATE | (in_place ? NLM_F_REPLACE : NLM_F_EXCL),
		&d->subnet, via);
	if (error == EEXIST && in_place)
		error = 0;
	if (error)
		return error;
	if (!in_place) {
		withdraw(t, d);
		t->present++;
	}
	d->present = true;
	d->installed = *via;
	return 0;
}

static void drop(struct route_table *t, struct held *h)
{
	struct destination *d = h->destination;
	bool was_newest = d->newest == h;
	char text[IP_RANGE_TEXT_MAX];
	int error;

	*h->link = h->older;
	if (h->older)
		h->older->link = h->link;
	if (d->newest && was_newest && d->present) {
		error = install(t, d);
		if (error) {
			withdraw(t, d);
			log_line(LOG_LINE_WARNING,
				"the route to %s cannot be given back to who had it before: %s",
				ip_subnet_text(&d->subnet, text), strerror(error));
		}
	}
	if (d->newest)
		return;
	withdraw(t, d);
	table_remove(t->destinations, &d->node);
	free(d);
}

static bool hold_one(struct route_table *t, struct held *h, const struct ip_subnet *subnet,
	const struct via *via, const char *prefix, char *why, size_t size)
{
	struct destination *d = destination_get(t, subnet);
	char text[IP_RANGE_TEXT_MAX];
	int error;

	if (!d) {
		snprintf(why, size, "out of memory");
		return false;
	}
	*h = (struct held){.destination = d, .older = d->newest, .link = &d->newest, .via = *via};
	if (h->older)
		h->older->link = &h->older;
	d->newest = h;
	error = install(t, d);
	if (error == 0)
		return true;
	if (error == EEXIST) {
		/* Not ours to replace; and it is a route. */
		log_line(LOG_LINE_WARNING,
			"%sthere is a route to %s that is not ours: it stays as it is", prefix,
			ip_subnet_text(subnet, text));
		return true;
	}
	drop(t, h);
	snprintf(why, size, "cannot route %s: %s (errno %d)", ip_subnet_text(subnet, text),
		strerror(error), error);
	return false;
}

/* ---- a range as prefixes -------------------------------------------------------------------- */

static bool add_one(struct ip_address *a)
{
	for (size_t i = ip_len(a->family); i--;)
		if (++a->bytes[i])
			return true;
	return false;
}

/* The largest prefix that begins at `first` and ends at `last` or before. */
static struct ip_subnet largest(const struct ip_address *first, const struct ip_address *last)
{
	uint8_t len = (uint8_t)ip_bits(first->family);

	while (len) {
		struct ip_subnet wider = ip_subnet_of(first, (uint8_t)(len - 1));
		struct ip_range range = ip_range_of_subnet(&wider);

		if (!ip_equal(&wider.address, first) || ip_compare(&range.last, last) > 0)
			break;
		len--;
	}
	return ip_subnet_of(first, len);
}

/* 0: it takes more than PREFIXES_MAX. All there is becomes two halves, beside the default route. */
static unsigned split(const struct ip_range *range, struct ip_subnet out[PREFIXES_MAX])
{
	struct ip_address at = range->first;
	unsigned count = 0;

	for (;;) {
		struct ip_range covered;

		if (count == PREFIXES_MAX)
			return 0;
		out[count] = largest(&at, &range->last);
		if (out[count].prefix_len == 0)
			out[count].prefix_len = 1;
		covered = ip_range_of_subnet(&out[count++]);
		at = covered.last;
		if (ip_compare(&at, &range->last) >= 0 || !add_one(&at))
			return count;
	}
}

/* ---- holds ---------------------------------------------------------------------------------- */

/* One inside, not the subnet's own name, which may be a broadcast address. */
static struct ip_address sample(const struct ip_subnet *s)
{
	struct ip_address a = s->address;

	if (s->prefix_len + 1u < ip_bits(a.family))
		a.bytes[ip_len(a.family) - 1] |= 1;
	return a;
}

static bool is_asked_for(const struct route_wish *w)
{
	return !ip_is_unset(&w->source) || !ip_is_unset(&w->nexthop) || w->metric || w->mtu;
}

static bool is_needed(struct route_table *t, const struct ip_subnet *s,
	const struct route_wish *wish, const struct route_hop *peer)
{
	const struct ip_address unset = {0};
	struct ip_address inside = sample(s);
	struct route_hop hop;

	if (is_asked_for(wish) || destination_find(t, s))
		return true;
	if (route_lookup(t, &inside, &unset, &hop))
		return true;
	if (hop.type == RTN_LOCAL || hop.type == RTN_BROADCAST || hop.type == RTN_MULTICAST)
		return false;
	return hop.type != RTN_UNICAST || hop.interface != peer->interface;
}

static bool find_device(const struct route_wish *wish, struct route_hop *hop, struct via *via,
	char *why, size_t size)
{
	*hop = (struct route_hop){.interface = if_nametoindex(wish->device)};
	*via = (struct via){.interface = hop->interface,
		.source = wish->source,
		.metric = wish->metric,
		.mtu = wish->mtu};
	if (!hop->interface)
		snprintf(why, size, "cannot route: there is no device %s", wish->device);
	return hop->interface;
}

static bool find_via(struct route_table *t, const struct route_wish *wish, struct route_hop *peer,
	struct via *via, char *why, size_t size)
{
	const struct ip_address *to = ip_is_unset(&wish->nexthop) ? &wish->peer : &wish->nexthop;
	char text[IP_TEXT_MAX];
	int error;

	if (*wish->device)
		return find_device(wish, peer, via, why, size);
	error = route_lookup(t, to, &wish->me, peer);
	if (error) {
		snprintf(why, size, "cannot route: there is no route to %s: %s", ip_text(to, text),
			strerror(error));
		return false;
	}
	*via = (struct via){.interface = peer->interface,
		.gateway = ip_is_unset(&wish->nexthop) ? peer->gateway : wish->nexthop,
		.source = wish->source,
		.metric = wish->metric,
		.mtu = wish->mtu};
	return true;
}

/* A next hop is not reached by way of itself. */
static struct via via_for(const struct via *via, const struct ip_subnet *s)
{
	struct via v = *via;

	if (s->prefix_len == ip_bits(s->address.family) && ip_equal(&s->address, &v.gateway))
		memset(&v.gateway, 0, sizeof(v.gateway));
	return v;
}

static bool hold_all(struct route_table *t, struct route_hold *hold, const struct ip_subnet *subnets,
	unsigned count, const struct route_wish *wish, const struct route_hop *peer,
	const struct via *via, const char *prefix, char *why, size_t size)
{
	for (unsigned i = 0; i < count; i++) {
		struct via own = via_for(via, &subnets[i]);

		if (!is_needed(t, &subnets[i], wish, peer))
			continue;
		if (!hold_one(t, &hold->held[hold->count], &subnets[i], &own, prefix, why, size))
			return false;
		hold->count++;
	}
	return true;
}

static struct route_hold *hold_new(struct route_table *t, unsigned count,
	const struct route_wish *wish, const struct via *via, const char *prefix, char *why,
	size_t size)
{
	struct route_hold *hold = calloc(1, sizeof(*hold) + count * sizeof(hold->held[0]));
	int error = hold ? 0 : ENOMEM;
	char text[IP_TEXT_MAX];

	if (!error && !ip_is_unset(&wish->source))
		error = source_take(t, &wish->source, via->interface, prefix, &hold->source);
	if (!error)
		return hold;
	if (hold)
		snprintf(why, size, "cannot add the source address %s: %s (errno %d)",
			ip_text(&wish->source, text), strerror(error), error);
	else
		snprintf(why, size, "out of memory");
	free(hold);
	return NULL;
}

bool route_hold(struct route_table *t, const struct ip_range *destination,
	const struct route_wish *wish, const char *prefix, struct route_hold **out, char *why,
	size_t size)
{
	struct ip_subnet subnets[PREFIXES_MAX];
	struct route_wish w = *wish;
	struct route_hop peer;
	struct via via;
	unsigned count = split(destination, subnets);

	*out = NULL;
	if (w.source.family != destination->first.family)
		memset(&w.source, 0, sizeof(w.source));
	/* A route of one family by way of the other is not what anybody asks for here. */
	if (destination->first.family != wish->peer.family && !is_asked_for(&w) && !*w.device)
		return true;
	if (*w.device && ip_range_has(destination, &w.peer)) {
		log_line(LOG_LINE_WARNING,
			"%sthe peer itself is in its client's net: no route by device %s is made",
			prefix, w.device);
		return true;
	}
	if (count == 0) {
		log_line(LOG_LINE_WARNING,
			"%sa range of addresses that takes more than %d subnets is not routed",
			prefix, PREFIXES_MAX);
		return true;
	}
	if (!find_via(t, &w, &peer, &via, why, size))
		return false;
	if (via.gateway.family && via.gateway.family != destination->first.family)
		memset(&via.gateway, 0, sizeof(via.gateway));
	*out = hold_new(t, count, &w, &via, prefix, why, size);
	if (!*out)
		return false;
	if (hold_all(t, *out, subnets, count, &w, &peer, &via, prefix, why, size)) {
		if ((*out)->count || (*out)->source)
			return true;
		free(*out);
		*out = NULL;
		return true;
	}
	route_release(t, *out);
	*out = NULL;
	return false;
}

void route_release(struct route_table *t, struct route_hold *hold)
{
	if (!hold)
		return;
	for (unsigned i = 0; i < hold->count; i++)
		drop(t, &hold->held[i]);
	source_release(t, hold->source); /* last: the kernel drops routes that name it */
	free(hold);
}

/* ---- what was left -------------------------------------------------------------------------- */

struct leftovers {
	struct leftover {
		struct leftover *next;
		uint8_t message[] __attribute__((aligned(8)));
	} *first;
	bool failed;
};

static bool is_ours(const struct nlmsghdr *m)
{
	const struct rtmsg *route = rtnetlink_head(m);
	const struct rtattr *a;

	if (m->nlmsg_type == RTM_NEWROUTE)
		return route->rtm_protocol == UPDOWN_ROUTE_PROTOCOL &&
		       !(route->rtm_flags & RTM_F_CLONED);
	a = rtnetlink_find(m, sizeof(struct ifaddrmsg), IFA_PROTO);
	return m->nlmsg_type == RTM_NEWADDR && a && RTA_PAYLOAD(a) == 1 &&
	       *(const uint8_t *)rtnetlink_value(a) == UPDOWN_ROUTE_PROTOCOL;
}

static void collect(const struct nlmsghdr *m, void *arg)
{
	struct leftovers *all = arg;
	struct leftover *one;

	if (m->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg)) || !is_ours(m))
		return;
	one = malloc(sizeof(*one) + m->nlmsg_len);
	if (!one) {
		all->failed = true;
		return;
	}
	memcpy(one->message, m, m->nlmsg_len);
	one->next = all->first;
	all->first = one;
}

static unsigned remove_all(struct route_table *t, struct leftovers *all, uint16_t type)
{
	unsigned count = 0;

	while (all->first) {
		struct leftover *one = all->first;
		struct nlmsghdr *m = (struct nlmsghdr *)(void *)one->message;

		m->nlmsg_type = type;
		m->nlmsg_flags = NLM_F_REQUEST;
		count += rtnetlink_ask(&t->netlink, m, NULL, NULL) == 0;
		all->first = one->next;
		free(one);
	}
	return count;
}

static int flush(struct route_table *t, uint16_t get, uint16_t delete, const char *what)
{
	struct rtmsg head = {.rtm_family = AF_UNSPEC};
	struct leftovers all = {0};
	struct rtnetlink_request r;
	unsigned count;
	int error;

	rtnetlink_begin(&r, get, NLM_F_DUMP, &head,
		get == RTM_GETADDR ? sizeof(struct ifaddrmsg) : sizeof(head));
	error = rtnetlink_ask(&t->netlink, &r.header, collect, &all);
	count = remove_all(t, &all, delete);
	if (count)
		log_line(LOG_LINE_INFO, "removed %u %s that an earlier run had left", count, what);
	return all.failed ? ENOMEM : error;
}

bool route_table_flush(struct route_table *t)
{
	int error = flush(t, RTM_GETROUTE, RTM_DELROUTE, "routes");

	if (!error)
		error = flush(t, RTM_GETADDR, RTM_DELADDR, "source addresses");
	errno = error;
	return !error;
}
