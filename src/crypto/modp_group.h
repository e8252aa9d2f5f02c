/* The constants of the MODP groups (RFC 2409, 3526, 5114), made ready for arithmetic. Private. */
#ifndef CRYPTO_MODP_GROUP_H
#define CRYPTO_MODP_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bn.h>

enum { MODP_GROUPS = 10 };

struct modp_group {
	BIGNUM *p, *p_minus_1, *generator;
	BIGNUM *q; /* order of the subgroup, only where RFC 6989 section 2.2 wants it checked */
	BN_MONT_CTX *mont;
	unsigned exponent_bits; /* of our private keys; below q where there is a q */
	/* Powers of the generator in Montgomery form, fixed size each: entry d of window i
	 * is g^((d + offset) * 16^i), where each window has an offset by which no entry begins with a
	 * zero byte. A short number would be read by fewer steps, and one that lacks a word would take
	 * another path through the multiplication: which entry it was would show. */
	unsigned windows;
	size_t words; /* 64-bit words of an entry */
	uint64_t *powers;
	BIGNUM *start; /* g^-(sum of all offset * 16^i): takes back what the offsets added */
};

/* The group of a key_exchange's index; made at the first call (for the largest 30 ms), then
 * read-only for ever and for all threads. NULL when memory is out. */
const struct modp_group *modp_group_get(unsigned index);
/* Copies entry `digit` of `window` without letting memory accesses tell which. */
void modp_group_select(
	const struct modp_group *group, unsigned window, unsigned digit, uint64_t *out);

#endif
