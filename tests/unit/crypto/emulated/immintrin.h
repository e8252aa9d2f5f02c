/* The intrinsics of the lanes (src/crypto/ *_ifma.[ch]) in plain C, for tools that know no AVX-512:
 * the lanes' own code is compiled against this header in place of the compiler's. Each function
 * does what its instruction does, without a branch and without an address that depends on a value,
 * as the instruction has none: what such a tool finds is then the lanes' own. A use of an intrinsic
 * that is not here does not compile. */
#ifndef EMULATED_IMMINTRIN_H
#define EMULATED_IMMINTRIN_H

#include <stdint.h>
#include <string.h>

/* Not inlined: dozens of products in a line are what compilers chew on for minutes. */
#define EMULATED      static __attribute__((noinline, unused))
#define EMULATED_MASK ((1ull << 52) - 1)

typedef struct {
	uint64_t l[8];
} __attribute__((aligned(64))) __m512i;

typedef struct {
	uint64_t l[2];
} __attribute__((aligned(16))) __m128i;

typedef uint8_t __mmask8;

/* All ones where the bit is set. Kept from the compiler, which could make a branch of it. */
EMULATED uint64_t emulated_bit(uint64_t word, unsigned bit)
{
	uint64_t mask = 0 - (word >> bit & 1);

	__asm__("" : "+r"(mask));
	return mask;
}

/* 1 for 0, else 0. */
EMULATED uint64_t emulated_is_zero(uint64_t x)
{
	uint64_t r = ((x | (0 - x)) >> 63) ^ 1;

	__asm__("" : "+r"(r));
	return r;
}

#define EMULATED_EACH(expression)                                                                  \
	__m512i out;                                                                               \
	for (unsigned i = 0; i < 8; i++)                                                           \
		out.l[i] = (expression);                                                           \
	return out

#define EMULATED_MASK_OF(expression)                                                               \
	unsigned out = 0;                                                                          \
	for (unsigned i = 0; i < 8; i++)                                                           \
		out |= (unsigned)(expression) << i;                                                \
	return (__mmask8)out

/* ---- moves ------------------------------------------------------------------------ */

EMULATED __m512i _mm512_setzero_si512(void)
{
	return (__m512i){{0}};
}

EMULATED __m512i _mm512_set1_epi64(long long x)
{
	EMULATED_EACH((uint64_t)x);
}

EMULATED __m512i _mm512_setr_epi64(long long a, long long b, long long c, long long d, long long e,
	long long f, long long g, long long h)
{
	return (__m512i){{(uint64_t)a, (uint64_t)b, (uint64_t)c, (uint64_t)d, (uint64_t)e,
		(uint64_t)f, (uint64_t)g, (uint64_t)h}};
}

EMULATED __m512i _mm512_load_si512(const void *from)
{
	__m512i out;

	memcpy(&out, from, sizeof(out));
	return out;
}

EMULATED void _mm512_store_si512(void *to, __m512i a)
{
	memcpy(to, &a, sizeof(a));
}

EMULATED __m128i _mm_loadl_epi64(const __m128i *from)
{
	__m128i out = {{0}};

	memcpy(&out.l[0], from, 8);
	return out;
}

EMULATED __m128i _mm_cvtsi32_si128(int x)
{
	return (__m128i){{(uint32_t)x, 0}};
}

EMULATED __m512i _mm512_cvtepi8_epi64(__m128i a)
{
	EMULATED_EACH((uint64_t)(int64_t)(int8_t)(a.l[0] >> (8 * i)));
}

EMULATED __m512i _mm512_mask_blend_epi64(__mmask8 which, __m512i a, __m512i b)
{
	EMULATED_EACH(a.l[i] ^ ((a.l[i] ^ b.l[i]) & emulated_bit(which, i)));
}

/* The three lowest bits of an index count. */
EMULATED __m512i _mm512_permutexvar_epi64(__m512i index, __m512i a)
{
	__m512i out = {{0}};

	for (unsigned i = 0; i < 8; i++) {
		for (unsigned k = 0; k < 8; k++)
			out.l[i] |= a.l[k] & (0 - emulated_is_zero((index.l[i] & 7) ^ k));
	}
	return out;
}

/* ---- arithmetic -------------------------------------------------------------------- */

EMULATED __m512i _mm512_add_epi64(__m512i a, __m512i b)
{
	EMULATED_EACH(a.l[i] + b.l[i]);
}

EMULATED __m512i _mm512_sub_epi64(__m512i a, __m512i b)
{
	EMULATED_EACH(a.l[i] - b.l[i]);
}

EMULATED __m512i _mm512_and_si512(__m512i a, __m512i b)
{
	EMULATED_EACH(a.l[i] & b.l[i]);
}

EMULATED __m512i _mm512_or_si512(__m512i a, __m512i b)
{
	EMULATED_EACH(a.l[i] | b.l[i]);
}

EMULATED __m512i _mm512_mullo_epi64(__m512i a, __m512i b)
{
	EMULATED_EACH(a.l[i] * b.l[i]);
}

EMULATED unsigned __int128 emulated_product52(uint64_t a, uint64_t b)
{
	return (unsigned __int128)(a & EMULATED_MASK) * (b & EMULATED_MASK);
}

EMULATED __m512i _mm512_madd52lo_epu64(__m512i sum, __m512i a, __m512i b)
{
	EMULATED_EACH(sum.l[i] + ((uint64_t)emulated_product52(a.l[i], b.l[i]) & EMULATED_MASK));
}

EMULATED __m512i _mm512_madd52hi_epu64(__m512i sum, __m512i a, __m512i b)
{
	EMULATED_EACH(sum.l[i] + (uint64_t)(emulated_product52(a.l[i], b.l[i]) >> 52));
}

EMULATED __m512i _mm512_abs_epi64(__m512i a)
{
	EMULATED_EACH((a.l[i] ^ (0 - (a.l[i] >> 63))) + (a.l[i] >> 63));
}

EMULATED __m512i _mm512_max_epi64(__m512i a, __m512i b)
{
	__m512i out;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t x = a.l[i], y = b.l[i];
		/* the sign of x - y, whether or not that overflows */
		uint64_t less = (x - y) ^ ((x ^ y) & ((x - y) ^ x));

		out.l[i] = x ^ ((x ^ y) & emulated_bit(less, 63));
	}
	return out;
}

/* Counts of 64 and more leave nothing (or, signed, the sign). */
EMULATED __m512i _mm512_srl_epi64(__m512i a, __m128i count)
{
	uint64_t n = count.l[0];

	EMULATED_EACH(n < 64 ? a.l[i] >> n : 0);
}

EMULATED __m512i _mm512_sll_epi64(__m512i a, __m128i count)
{
	uint64_t n = count.l[0];

	EMULATED_EACH(n < 64 ? a.l[i] << n : 0);
}

EMULATED __m512i _mm512_srli_epi64(__m512i a, unsigned n)
{
	EMULATED_EACH(n < 64 ? a.l[i] >> n : 0);
}

EMULATED __m512i _mm512_slli_epi64(__m512i a, unsigned n)
{
	EMULATED_EACH(n < 64 ? a.l[i] << n : 0);
}

EMULATED __m512i _mm512_srai_epi64(__m512i a, unsigned n)
{
	EMULATED_EACH((uint64_t)((int64_t)a.l[i] >> (n < 64 ? n : 63)));
}

/* ---- masks -------------------------------------------------------------------------- */

EMULATED __mmask8 _kxor_mask8(__mmask8 a, __mmask8 b)
{
	return a ^ b;
}

EMULATED __mmask8 _mm512_movepi64_mask(__m512i a)
{
	EMULATED_MASK_OF(a.l[i] >> 63);
}

EMULATED __mmask8 _mm512_cmpeq_epi64_mask(__m512i a, __m512i b)
{
	EMULATED_MASK_OF(emulated_is_zero(a.l[i] ^ b.l[i]));
}

EMULATED __mmask8 _mm512_testn_epi64_mask(__m512i a, __m512i b)
{
	EMULATED_MASK_OF(emulated_is_zero(a.l[i] & b.l[i]));
}

#endif
