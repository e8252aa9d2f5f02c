#include "xfrm_selector.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIXES_MAX 254
#define PORTS_MAX    32

typedef unsigned __int128 u128;

struct prefix {
	struct ip_address address;
	uint8_t len;
};

struct port_mask {
	uint16_t port, mask;
};

struct list {
	struct xfrm_selector *at;
	unsigned count;
};

xfrm_address_t xfrm_address_of(const struct ip_address *a)
{
	xfrm_address_t out = {0};

	memcpy(&out, a->bytes, ip_len(a->family));
	return out;
}

struct ip_address xfrm_address_read(const xfrm_address_t *a, uint16_t family)
{
	return ip_from_bytes((uint8_t)family, (const uint8_t *)a);
}

static u128 number_of(const struct ip_address *a)
{
	u128 n = 0;

	for (size_t i = 0; i < ip_len(a->family); i++)
		n = n << 8 | a->bytes[i];
	return n;
}

static struct ip_address address_of(u128 n, uint8_t family)
{
	struct ip_address a = {.family = family};

	for (size_t i = ip_len(family); i-- > 0; n >>= 8)
		a.bytes[i] = (uint8_t)n;
	return a;
}

/* The largest power of two that begins at `first` and does not pass `last`: its number of bits. */
static unsigned block_bits(u128 first, u128 last, unsigned width)
{
	unsigned bits = 0;

	while (bits < width) {
		u128 mask = bits + 1 == 128 ? ~(u128)0 : ((u128)1 << (bits + 1)) - 1;

		if ((first & mask) || last - first < mask)
			break;
		bits++;
	}
	return bits;
}

static unsigned prefixes_of(const struct ip_range *range, struct prefix out[PREFIXES_MAX])
{
	uint8_t family = range->first.family;
	u128 first = number_of(&range->first), last = number_of(&range->last);
	unsigned n = 0;

	while (n < PREFIXES_MAX && first <= last) {
		unsigned bits = block_bits(first, last, ip_bits(family));

		out[n++] = (struct prefix){
			address_of(first, family), (uint8_t)(ip_bits(family) - bits)};
		if (bits == 128 || last - first < (u128)1 << bits ||
			last - first == ((u128)1 << bits) - 1)
			break;
		first += (u128)1 << bits;
	}
	return n;
}

/* 0: OPAQUE */
static unsigned ports_of(const struct traffic_selector *ts, struct port_mask out[PORTS_MAX])
{
	uint32_t first = ts->port_first, last = ts->port_last;
	unsigned n = 0;

	while (n < PORTS_MAX && first <= last) {
		unsigned bits = block_bits(first, last, 16);

		out[n++] = (struct port_mask){
			(uint16_t)first, (uint16_t)(bits == 16 ? 0 : 0xffffu << bits)};
		first += 1u << bits;
	}
	return n;
}

static bool is_icmp(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* RFC 7296, section 3.13.1: type and code are in the port fields; for the kernel the type is the
 * source port and the code the destination port, whichever way the message goes. */
static int icmp_ports(const struct traffic_selector *ts, struct xfrm_selector *s)
{
	if (ts->port_first == 0 && ts->port_last == 65535)
		return 0;
	if (ts->port_first >> 8 != ts->port_last >> 8)
		return EOPNOTSUPP;
	s->sport = htons(ts->port_first >> 8);
	s->sport_mask = 0xffff;
	if ((ts->port_first & 0xff) == 0 && (ts->port_last & 0xff) == 0xff)
		return 0;
	if (ts->port_first != ts->port_last)
		return EOPNOTSUPP;
	s->dport = htons(ts->port_first & 0xff);
	s->dport_mask = 0xffff;
	return 0;
}

static int add_ports(struct list *list, const struct xfrm_selector *base,
	const struct traffic_selector *local, const struct traffic_selector *remote)
{
	struct port_mask l[PORTS_MAX], r[PORTS_MAX];
	unsigned l_count = ports_of(local, l), r_count = ports_of(remote, r);

	if (l_count == 0 || r_count == 0)
		return EOPNOTSUPP;
	for (unsigned i = 0; i < l_count; i++) {
		for (unsigned k = 0; k < r_count; k++) {
			if (list->count == XFRM_SELECTORS_MAX)
				return E2BIG;
			struct xfrm_selector *s = &list->at[list->count++];

			*s = *base;
			s->sport = htons(l[i].port);
			s->sport_mask = htons(l[i].mask);
			s->dport = htons(r[k].port);
			s->dport_mask = htons(r[k].mask);
		}
	}
	return 0;
}

static int add_icmp(struct list *list, const struct xfrm_selector *base,
	const struct traffic_selector *local, const struct traffic_selector *remote)
{
	struct xfrm_selector s = *base;
	int error = icmp_ports(local, &s);

	if (!error && !s.sport_mask)
		error = icmp_ports(remote, &s);
	if (error)
		return error;
	if (list->count == XFRM_SELECTORS_MAX)
		return E2BIG;
	list->at[list->count++] = s;
	return 0;
}

static int add_pair(struct list *list, const struct traffic_selector *local,
	const struct traffic_selector *remote)
{
	struct prefix l[PREFIXES_MAX], r[PREFIXES_MAX];
	uint8_t family = local->range.first.family;
	unsigned l_count, r_count;

	if (family != remote->range.first.family ||
		(local->protocol && remote->protocol && local->protocol != remote->protocol))
		return 0;
	l_count = prefixes_of(&local->range, l);
	r_count = prefixes_of(&remote->range, r);
	for (unsigned i = 0; i < l_count * r_count; i++) {
		const struct prefix *src = &l[i / r_count], *dst = &r[i % r_count];
		struct xfrm_selector s = {
			.saddr = xfrm_address_of(&src->address),
			.daddr = xfrm_address_of(&dst->address),
			.prefixlen_s = src->len,
			.prefixlen_d = dst->len,
			.family = family,
			.proto = local->protocol ? local->protocol : remote->protocol,
		};
		int error = is_icmp(s.proto) ? add_icmp(list, &s, local, remote)
					     : add_ports(list, &s, local, remote);

		if (error)
			return error;
	}
	return 0;
}

int xfrm_selectors(const struct traffic_selector *local, unsigned local_count,
	const struct traffic_selector *remote, unsigned remote_count, struct xfrm_selector **out,
	unsigned *count)
{
	struct list list = {calloc(XFRM_SELECTORS_MAX, sizeof(struct xfrm_selector)), 0};
	int error = list.at ? 0 : ENOMEM;

	for (unsigned i = 0; !error && i < local_count; i++)
		for (unsigned k = 0; !error && k < remote_count; k++)
			error = add_pair(&list, &local[i], &remote[k]);
	if (!error && list.count == 0)
		error = EINVAL;
	if (error) {
		free(list.at);
		return error;
	}
	*out = list.at;
	*count = list.count;
	return 0;
}

struct xfrm_selector xfrm_selector_reversed(const struct xfrm_selector *s)
{
	struct xfrm_selector r = *s;

	r.saddr = s->daddr;
	r.daddr = s->saddr;
	r.prefixlen_s = s->prefixlen_d;
	r.prefixlen_d = s->prefixlen_s;
	if (!is_icmp(s->proto)) {
		r.sport = s->dport;
		r.sport_mask = s->dport_mask;
		r.dport = s->sport;
		r.dport_mask = s->sport_mask;
	}
	return r;
}

unsigned xfrm_selector_width(const struct xfrm_selector *s)
{
	unsigned bits = s->family == AF_INET ? 64 : 256;

	return (bits - s->prefixlen_s - s->prefixlen_d) * 8 + (s->proto ? 0 : 4) +
	       (s->sport_mask == 0xffff ? 0 : 2) + (s->dport_mask == 0xffff ? 0 : 1);
}
