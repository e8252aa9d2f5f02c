#include "range_cover.h"

typedef unsigned __int128 u128;

static u128 number_of(const struct ip_key *key)
{
	return (u128)be64toh(key->word[0]) << 64 | be64toh(key->word[1]);
}

static struct ip_key key_of(u128 n)
{
	return (struct ip_key){{htobe64((uint64_t)(n >> 64)), htobe64((uint64_t)n)}};
}

/* The leading bits that two addresses have in common. */
static unsigned common_bits(u128 a, u128 b, unsigned most)
{
	uint64_t high = (uint64_t)((a ^ b) >> 64), low = (uint64_t)(a ^ b);
	unsigned n = high  ? (unsigned)__builtin_clzll(high)
		     : low ? 64 + (unsigned)__builtin_clzll(low)
			   : 128;
	return n < most ? n : most;
}

/* IPv4 addresses lie in the top 32 bits, with zeros behind: their last address of a prefix as well.
 */
static u128 host_mask(unsigned len, unsigned bits)
{
	u128 below_len = len == 0 ? ~(u128)0 : ((u128)1 << (128 - len)) - 1;
	u128 below_bits = bits == 128 ? 0 : ((u128)1 << (128 - bits)) - 1;
	return len == 128 ? 0 : below_len & ~below_bits;
}

static struct range_piece piece_of(u128 first, u128 last, uint8_t family)
{
	unsigned bits = ip_bits(family), len = common_bits(first, last, bits);
	u128 hosts = host_mask(len, bits);
	return (struct range_piece){
		.prefix = key_of(first & ~hosts),
		.first = key_of(first),
		.last = key_of(last),
		.family = family,
		.len = (uint8_t)len,
		.exact = (first & hosts) == 0 && (last & hosts) == hosts,
	};
}

unsigned range_cover(const struct ip_range *range, struct range_piece out[2])
{
	uint8_t family = range->first.family;
	unsigned bits = ip_bits(family);
	if (bits == 0 || range->last.family != family)
		return 0;
	struct ip_key f = ip_key_of_address(&range->first), l = ip_key_of_address(&range->last);
	u128 first = number_of(&f), last = number_of(&l);
	if (first > last)
		return 0;
	out[0] = piece_of(first, last, family);
	if (out[0].exact)
		return 1;
	/* In the middle of the covering prefix, where both halves have longer ones of their own. */
	u128 middle = (last & ~host_mask(out[0].len + 1u, bits));
	out[0] = piece_of(first, middle - ((u128)1 << (128 - bits)), family);
	out[1] = piece_of(middle, last, family);
	return 2;
}
