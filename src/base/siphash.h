/* SipHash-c-d (Aumasson, Bernstein: "SipHash: a fast short-input PRF"). The numbers of rounds are
 * arguments, so that the published vectors of SipHash-2-4 prove the code that 1-3 uses; the
 * compiler folds them. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t siphash_rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void siphash_rounds(uint64_t v[4], unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = siphash_rotate(v[1], 13) ^ v[0];
		v[3] = siphash_rotate(v[3], 16) ^ v[2];
		v[0] = siphash_rotate(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = siphash_rotate(v[3], 21) ^ v[0];
		v[1] = siphash_rotate(v[1], 17) ^ v[2];
		v[2] = siphash_rotate(v[2], 32);
	}
}

static inline void siphash_word(uint64_t v[4], uint64_t word, unsigned rounds)
{
	v[3] ^= word;
	siphash_rounds(v, rounds);
	v[0] ^= word;
}

static inline uint64_t siphash(uint64_t k0, uint64_t k1, const void *key, size_t len,
	unsigned compression, unsigned finalization)
{
	const uint8_t *at = key;
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
	uint64_t word, last = (uint64_t)len << 56;
	size_t left = len;

	for (; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8);
		siphash_word(v, le64toh(word), compression);
	}
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)at[i] << 8 * i;
	siphash_word(v, last, compression);
	v[2] ^= 0xff;
	siphash_rounds(v, finalization);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
