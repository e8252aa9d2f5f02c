#include "prefix_split.h"

typedef unsigned __int128 u128;

/* The address in the number's top bits, so that IPv4 and IPv6 count alike. */
static u128 number_of(const struct ip_address *a)
{
	u128 n = 0;
	for (unsigned i = 0; i < 16; i++)
		n = n << 8 | a->bytes[i];
	return n;
}

static struct prefix prefix_of(u128 n, uint8_t family, unsigned len)
{
	uint8_t bytes[16];
	for (unsigned i = 16; i-- > 0; n >>= 8)
		bytes[i] = (uint8_t)n;
	return (struct prefix){ip_key_of(bytes, family), family, (uint8_t)len};
}

unsigned prefix_split(const struct ip_range *range, struct prefix out[PREFIX_SPLIT_MAX])
{
	uint8_t family = range->first.family;
	unsigned bits = ip_bits(family), count = 0;
	if (bits == 0 || range->last.family != family)
		return 0;
	unsigned shift = 128 - bits;
	u128 at = number_of(&range->first), last = number_of(&range->last);
	if (shift)
		last |= ((u128)1 << shift) - 1;
	while (at <= last && count < PREFIX_SPLIT_MAX) {
		/* The largest block that begins here and does not pass the end. */
		unsigned free_bits = shift;
		while (free_bits < 128) {
			u128 mask = free_bits == 127 ? ~(u128)0 : ((u128)1 << (free_bits + 1)) - 1;
			if ((at & mask) != 0 || mask > last - at)
				break;
			free_bits++;
		}
		out[count++] = prefix_of(at, family, 128 - free_bits);
		if (free_bits == 128)
			break;
		u128 next = at + ((u128)1 << free_bits);
		if (next <= at)
			break;
		at = next;
	}
	return count;
}
