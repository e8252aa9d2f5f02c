#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

struct ip_address ip_v4(uint32_t host_order)
{
	return (struct ip_address){
		.family = AF_INET,
		.bytes = {(uint8_t)(host_order >> 24), (uint8_t)(host_order >> 16),
			(uint8_t)(host_order >> 8), (uint8_t)host_order},
	};
}

struct ip_address ip_from_bytes(uint8_t family, const uint8_t *bytes)
{
	struct ip_address a = {0};
	size_t len = ip_len(family);

	if (len > 0) {
		a.family = family;
		memcpy(a.bytes, bytes, len);
	}
	return a;
}

size_t ip_len(uint8_t family)
{
	switch (family) {
	case AF_INET:
		return 4;
	case AF_INET6:
		return 16;
	default:
		return 0;
	}
}

unsigned ip_bits(uint8_t family)
{
	return (unsigned)ip_len(family) * 8;
}

bool ip_equal(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int ip_compare(const struct ip_address *a, const struct ip_address *b)
{
	/* AF_INET is smaller than AF_INET6, and unset is smaller than both. */
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool ip_is_unset(const struct ip_address *a)
{
	return a->family == 0;
}

bool ip_is_any(const struct ip_address *a)
{
	static const uint8_t zeros[16];

	return !ip_is_unset(a) && memcmp(a->bytes, zeros, sizeof(zeros)) == 0;
}

bool ip_is_loopback(const struct ip_address *a)
{
	static const uint8_t one[16] = {[15] = 1};

	if (a->family == AF_INET)
		return a->bytes[0] == 127;
	return a->family == AF_INET6 && memcmp(a->bytes, one, sizeof(one)) == 0;
}

bool ip_is_link_local(const struct ip_address *a)
{
	if (a->family == AF_INET)
		return a->bytes[0] == 169 && a->bytes[1] == 254;
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool ip_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	return a->port == b->port && ip_equal(&a->address, &b->address);
}

/* Sets all bits from number `from` (0: the first one) to `ones`. */
static void fill_bits(struct ip_address *a, unsigned from, bool ones)
{
	unsigned bits = ip_bits(a->family);

	for (unsigned i = from / 8; i < bits / 8; i++) {
		uint8_t mask = i == from / 8 ? (uint8_t)(0xff >> from % 8) : 0xff;

		if (ones)
			a->bytes[i] |= mask;
		else
			a->bytes[i] &= (uint8_t)~mask;
	}
}

struct ip_subnet ip_subnet_of(const struct ip_address *a, uint8_t prefix_len)
{
	struct ip_subnet s = {.address = *a, .prefix_len = prefix_len};

	if (s.prefix_len > ip_bits(a->family))
		s.prefix_len = (uint8_t)ip_bits(a->family);
	fill_bits(&s.address, s.prefix_len, false);
	return s;
}

bool ip_subnet_has(const struct ip_subnet *s, const struct ip_address *a)
{
	struct ip_subnet own;

	if (a->family != s->address.family || ip_is_unset(a))
		return false;
	own = ip_subnet_of(a, s->prefix_len);
	return ip_equal(&own.address, &s->address);
}

struct ip_range ip_range_of_subnet(const struct ip_subnet *s)
{
	struct ip_range r = {.first = s->address, .last = s->address};

	fill_bits(&r.last, s->prefix_len, true);
	return r;
}

/* How many bits two addresses of one family have in common at their start. */
static unsigned common_bits(const struct ip_address *a, const struct ip_address *b)
{
	unsigned bits = ip_bits(a->family), n = 0;

	while (n < bits && a->bytes[n / 8] == b->bytes[n / 8])
		n += 8;
	while (n < bits && !((a->bytes[n / 8] ^ b->bytes[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

bool ip_subnet_of_range(const struct ip_range *r, struct ip_subnet *out)
{
	struct ip_subnet s;
	struct ip_range whole;

	if (r->first.family != r->last.family || ip_is_unset(&r->first))
		return false;
	s = ip_subnet_of(&r->first, (uint8_t)common_bits(&r->first, &r->last));
	whole = ip_range_of_subnet(&s);
	if (!ip_range_equal(&whole, r))
		return false;
	*out = s;
	return true;
}

bool ip_range_has(const struct ip_range *r, const struct ip_address *a)
{
	return !ip_is_unset(a) && ip_compare(&r->first, a) <= 0 && ip_compare(a, &r->last) <= 0;
}

bool ip_range_within(const struct ip_range *inner, const struct ip_range *outer)
{
	return ip_range_has(outer, &inner->first) && ip_range_has(outer, &inner->last);
}

bool ip_range_intersect(const struct ip_range *a, const struct ip_range *b, struct ip_range *out)
{
	const struct ip_address *first, *last;

	if (a->first.family != b->first.family || ip_is_unset(&a->first))
		return false;
	first = ip_compare(&a->first, &b->first) > 0 ? &a->first : &b->first;
	last = ip_compare(&a->last, &b->last) < 0 ? &a->last : &b->last;
	if (ip_compare(first, last) > 0)
		return false;
	*out = (struct ip_range){.first = *first, .last = *last};
	return true;
}

bool ip_range_equal(const struct ip_range *a, const struct ip_range *b)
{
	return ip_equal(&a->first, &b->first) && ip_equal(&a->last, &b->last);
}

socklen_t ip_to_sockaddr(const struct ip_endpoint *e, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (e->address.family == AF_INET) {
		struct sockaddr_in *sin = (struct sockaddr_in *)out;

		sin->sin_family = AF_INET;
		sin->sin_port = htons(e->port);
		memcpy(&sin->sin_addr, e->address.bytes, 4);
		return sizeof(*sin);
	}
	if (e->address.family == AF_INET6) {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)out;

		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(e->port);
		memcpy(&sin6->sin6_addr, e->address.bytes, 16);
		return sizeof(*sin6);
	}
	return 0;
}

bool ip_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct ip_endpoint *out)
{
	/* Copies, because a caller's buffer need not be aligned for the bigger type. */
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;
	sa_family_t family;

	if (len < sizeof(family))
		return false;
	memcpy(&family, sa, sizeof(family));
	if (family == AF_INET && len >= sizeof(sin)) {
		memcpy(&sin, sa, sizeof(sin));
		out->address = ip_from_bytes(AF_INET, (const uint8_t *)&sin.sin_addr);
		out->port = ntohs(sin.sin_port);
		return true;
	}
	if (family == AF_INET6 && len >= sizeof(sin6)) {
		memcpy(&sin6, sa, sizeof(sin6));
		out->address = ip_from_bytes(AF_INET6, (const uint8_t *)&sin6.sin6_addr);
		out->port = ntohs(sin6.sin6_port);
		return true;
	}
	return false;
}
