#include "selector.h"

#include <errno.h>
#include <stdlib.h>

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
	struct selector *at;
	unsigned count;
	enum selector_ports ports;
};

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

/* 0: no word for it */
static unsigned ports_of(const struct traffic_selector *ts, enum selector_ports ports,
	struct port_mask out[PORTS_MAX])
{
	uint32_t first = ts->port_first, last = ts->port_last;
	bool single = ports == SELECTOR_SINGLE_PORTS && last - first != 65535;
	unsigned n = 0;

	if (single && (first == 0 || (last >= first && last - first >= PORTS_MAX)))
		return 0;
	while (n < PORTS_MAX && first <= last) {
		unsigned bits = single ? 0 : block_bits(first, last, 16);

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

/* RFC 7296, section 3.13.1: type and code are in the port fields. */
static int icmp_ports(
	const struct traffic_selector *ts, enum selector_ports ports, struct selector *s)
{
	bool single = ports == SELECTOR_SINGLE_PORTS;

	if (ts->port_first == 0 && ts->port_last == 65535)
		return 0;
	if (ts->port_first >> 8 != ts->port_last >> 8 || (single && ts->port_first < 256))
		return EOPNOTSUPP;
	s->source_port = ts->port_first >> 8;
	s->source_mask = 0xffff;
	if ((ts->port_first & 0xff) == 0 && (ts->port_last & 0xff) == 0xff)
		return 0;
	if (ts->port_first != ts->port_last || (single && (ts->port_first & 0xff) == 0))
		return EOPNOTSUPP;
	s->destination_port = ts->port_first & 0xff;
	s->destination_mask = 0xffff;
	return 0;
}

static int add_ports(struct list *list, const struct selector *base,
	const struct traffic_selector *local, const struct traffic_selector *remote)
{
	struct port_mask l[PORTS_MAX], r[PORTS_MAX];
	unsigned l_count = ports_of(local, list->ports, l),
		 r_count = ports_of(remote, list->ports, r);

	if (l_count == 0 || r_count == 0)
		return EOPNOTSUPP;
	for (unsigned i = 0; i < l_count; i++) {
		for (unsigned k = 0; k < r_count; k++) {
			if (list->count == SELECTORS_MAX)
				return E2BIG;
			struct selector *s = &list->at[list->count++];

			*s = *base;
			s->source_port = l[i].port;
			s->source_mask = l[i].mask;
			s->destination_port = r[k].port;
			s->destination_mask = r[k].mask;
		}
	}
	return 0;
}

static int add_icmp(struct list *list, const struct selector *base,
	const struct traffic_selector *local, const struct traffic_selector *remote)
{
	struct selector s = *base;
	int error = icmp_ports(local, list->ports, &s);

	if (!error && !s.source_mask)
		error = icmp_ports(remote, list->ports, &s);
	if (error)
		return error;
	if (list->count == SELECTORS_MAX)
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
		struct selector s = {
			.source = src->address,
			.destination = dst->address,
			.source_len = src->len,
			.destination_len = dst->len,
			.family = family,
			.protocol = local->protocol ? local->protocol : remote->protocol,
		};
		int error = is_icmp(s.protocol) ? add_icmp(list, &s, local, remote)
						: add_ports(list, &s, local, remote);

		if (error)
			return error;
	}
	return 0;
}

int selectors_of(const struct traffic_selector *local, unsigned local_count,
	const struct traffic_selector *remote, unsigned remote_count, enum selector_ports ports,
	struct selector **out, unsigned *count)
{
	struct list list = {calloc(SELECTORS_MAX, sizeof(struct selector)), 0, ports};
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

struct selector selector_reversed(const struct selector *s)
{
	struct selector r = *s;

	r.source = s->destination;
	r.destination = s->source;
	r.source_len = s->destination_len;
	r.destination_len = s->source_len;
	if (!is_icmp(s->protocol)) {
		r.source_port = s->destination_port;
		r.source_mask = s->destination_mask;
		r.destination_port = s->source_port;
		r.destination_mask = s->source_mask;
	}
	return r;
}

unsigned selector_width(const struct selector *s)
{
	unsigned bits = s->family == AF_INET ? 64 : 256;

	return (bits - s->source_len - s->destination_len) * 8 + (s->protocol ? 0 : 4) +
	       (s->source_mask == 0xffff ? 0 : 2) + (s->destination_mask == 0xffff ? 0 : 1);
}

struct selector selector_of_neighbours(bool advertisements)
{
	return (struct selector){
		.source = {.family = AF_INET6},
		.destination = {.family = AF_INET6},
		.family = AF_INET6,
		.protocol = IPPROTO_ICMPV6,
		.source_port = advertisements ? 136 : 135,
		.source_mask = 0xffff,
	};
}
