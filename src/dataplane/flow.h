/* What classification needs to know of an IP packet, read once with every bound checked. */
#ifndef DATAPLANE_FLOW_H
#define DATAPLANE_FLOW_H

#include "base/address.h"

#include <endian.h>
#include <string.h>

/* An address as two words in network order; IPv4 fills the first four bytes, the rest is zero. */
struct ip_key {
	uint64_t word[2];
};

static inline struct ip_key ip_key_of(const void *bytes, uint8_t family)
{
	struct ip_key key = {{0, 0}};
	memcpy(&key, bytes, family == AF_INET ? 4 : 16);
	return key;
}
static inline struct ip_key ip_key_of_address(const struct ip_address *a)
{
	return ip_key_of(a->bytes, a->family);
}
static inline struct ip_address ip_address_of_key(const struct ip_key *key, uint8_t family)
{
	return ip_from_bytes(family, (const uint8_t *)key);
}
static inline bool ip_key_equal(const struct ip_key *a, const struct ip_key *b)
{
	return ((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1])) == 0;
}
/* The first `len` bits; `len` up to 128. */
static inline struct ip_key ip_key_prefix(const struct ip_key *key, unsigned len)
{
	uint64_t high = len >= 64 ? ~0ull : len ? ~0ull << (64 - len) : 0;
	uint64_t low = len <= 64 ? 0 : len >= 128 ? ~0ull : ~0ull << (128 - len);
	return (struct ip_key){{key->word[0] & htobe64(high), key->word[1] & htobe64(low)}};
}
/* For hash tables: `a` and `b` are random, so that nobody can aim at one bucket. */
static inline uint64_t key_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}
static inline bool ip_key_within(
	const struct ip_key *key, const struct ip_key *first, const struct ip_key *last)
{
	uint64_t k0 = be64toh(key->word[0]), k1 = be64toh(key->word[1]);
	uint64_t f0 = be64toh(first->word[0]), l0 = be64toh(last->word[0]);
	if (k0 < f0 || k0 > l0)
		return false;
	return (k0 > f0 || k1 >= be64toh(first->word[1])) &&
	       (k0 < l0 || k1 <= be64toh(last->word[1]));
}

enum flow_fragment { FLOW_WHOLE, FLOW_FIRST_FRAGMENT, FLOW_LATER_FRAGMENT };

struct flow {
	struct ip_key src, dst;
	uint8_t family;   /* AF_INET, AF_INET6 */
	uint8_t protocol; /* of the payload behind all extension headers */
	uint8_t tos;      /* DSCP and ECN */
	uint8_t hop_limit;
	uint8_t fragment;   /* enum flow_fragment */
	bool dont_fragment; /* always so in IPv6 */
	bool has_ports;
	uint16_t src_port, dst_port; /* host order; ICMP: type and code in both, as in RFC 7296,
					section 3.13.1 */
	uint16_t header_len;         /* to the payload of `protocol` */
	uint16_t protocol_at;        /* offset of the byte that holds `protocol` */
	uint16_t transport_at; /* where transport mode puts ESP: behind what routers on the way read
				*/
	uint16_t next_header_at; /* offset of the byte that names what is at transport_at */
	uint32_t len;            /* the packet's own length; what follows is link padding */
};

/* `packet` begins with the IP header. False when it is no well-formed IPv4 or IPv6 packet of at
 * most `len` bytes. */
bool flow_parse(const uint8_t *packet, size_t len, struct flow *flow);
/* Neighbour discovery (RFC 4861), which no policy may cut off. */
bool flow_is_neighbour_discovery(const struct flow *flow);
bool flow_is_multicast(const struct flow *flow);

#endif
