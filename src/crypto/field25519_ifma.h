/* Eight elements of GF(2^255 - 19), one a 64-bit lane, by AVX-512 IFMA. Private to this room, and
 * only for files that are compiled for that instruction set.
 *
 * Radix 2^51: the multiplier takes operands below 2^52 and gives the low or the high 52 bits of the
 * product. An element is "loose": each limb is below 2^51 + 2^15. All that goes in and comes out is
 * loose; what every function does takes the same time for all values. */
#ifndef CRYPTO_FIELD25519_IFMA_H
#define CRYPTO_FIELD25519_IFMA_H

#include <immintrin.h>
#include <stdint.h>

#define FE_INLINE static inline __attribute__((always_inline))
/* Dozens of products in a line are what makes the lanes fast, and what a sanitizing compiler chews
 * on for minutes. */
#ifdef FE_PRODUCTS_APART
#define FE_PRODUCT static __attribute__((noinline, unused))
#else
#define FE_PRODUCT FE_INLINE
#endif

/* Arrays of vectors become registers only where their indices are constants. */
#define FE_UNROLL    _Pragma("GCC unroll 16")
#define FE_LIMBS     5
#define FE_LIMB_BITS 51
#define FE_LIMB_MASK ((1ull << FE_LIMB_BITS) - 1)

struct fe {
	__m512i v[FE_LIMBS];
};

FE_INLINE __m512i fe_every(uint64_t value)
{
	return _mm512_set1_epi64((long long)value);
}

/* A number below 2^51, the same in all lanes. */
FE_INLINE struct fe fe_small(uint64_t value)
{
	__m512i zero = _mm512_setzero_si512();

	return (struct fe){{fe_every(value), zero, zero, zero, zero}};
}

/* Limbs of up to 63 bits to loose ones; carries of up to 12 bits keep to the bound. */
FE_INLINE struct fe fe_carry(const struct fe *a)
{
	const __m512i mask = fe_every(FE_LIMB_MASK);
	__m512i c0 = _mm512_srli_epi64(a->v[0], FE_LIMB_BITS);
	__m512i c1 = _mm512_srli_epi64(a->v[1], FE_LIMB_BITS);
	__m512i c2 = _mm512_srli_epi64(a->v[2], FE_LIMB_BITS);
	__m512i c3 = _mm512_srli_epi64(a->v[3], FE_LIMB_BITS);
	__m512i c4 = _mm512_srli_epi64(a->v[4], FE_LIMB_BITS);

	return (struct fe){{
		_mm512_madd52lo_epu64(_mm512_and_si512(a->v[0], mask), c4, fe_every(19)),
		_mm512_add_epi64(_mm512_and_si512(a->v[1], mask), c0),
		_mm512_add_epi64(_mm512_and_si512(a->v[2], mask), c1),
		_mm512_add_epi64(_mm512_and_si512(a->v[3], mask), c2),
		_mm512_add_epi64(_mm512_and_si512(a->v[4], mask), c3),
	}};
}

FE_INLINE struct fe fe_add(const struct fe *a, const struct fe *b)
{
	struct fe sum;

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		sum.v[i] = _mm512_add_epi64(a->v[i], b->v[i]);
	return fe_carry(&sum);
}

/* a + 2p - b: no limb of 2p is below a loose one. */
FE_INLINE struct fe fe_subtract(const struct fe *a, const struct fe *b)
{
	const __m512i two_p0 = fe_every((1ull << 52) - 38), two_p = fe_every((1ull << 52) - 2);
	struct fe difference;

	difference.v[0] = _mm512_sub_epi64(_mm512_add_epi64(a->v[0], two_p0), b->v[0]);
	FE_UNROLL
	for (int i = 1; i < FE_LIMBS; i++)
		difference.v[i] = _mm512_sub_epi64(_mm512_add_epi64(a->v[i], two_p), b->v[i]);
	return fe_carry(&difference);
}

/* `b` in the lanes of `which`, `a` in the others. */
FE_INLINE struct fe fe_select(__mmask8 which, const struct fe *a, const struct fe *b)
{
	struct fe out;

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		out.v[i] = _mm512_mask_blend_epi64(which, a->v[i], b->v[i]);
	return out;
}

FE_INLINE void fe_swap(__mmask8 which, struct fe *a, struct fe *b)
{
	struct fe old = *a;

	*a = fe_select(which, a, b);
	*b = fe_select(which, b, &old);
}

/* Low parts of a product of limbs i and j belong to column i + j, high parts to the column above,
 * doubled, since 2^52 is twice the radix. */
#define FE_LO(sum, x, y) sum = _mm512_madd52lo_epu64(sum, x, y)
#define FE_HI(sum, x, y) sum = _mm512_madd52hi_epu64(sum, x, y)
#define FE_BOTH(k, x, y) (FE_LO(lo[k], x, y), FE_HI(hi[k], x, y))
#define FE_TWICE(x)      _mm512_add_epi64(x, x)
#define FE_COLUMNS       10

/* Ten columns, each below 2^56, to a loose element: 2^255 is 19. */
FE_INLINE struct fe fe_fold(const __m512i column[FE_COLUMNS])
{
	struct fe folded;

	FE_UNROLL
	for (int k = 0; k < FE_LIMBS; k++)
		folded.v[k] = _mm512_add_epi64(
			column[k], _mm512_mullo_epi64(column[k + FE_LIMBS], fe_every(19)));
	return fe_carry(&folded);
}

FE_PRODUCT struct fe fe_multiply(const struct fe *a, const struct fe *b)
{
	__m512i lo[9], hi[9], column[FE_COLUMNS];

	FE_UNROLL
	for (int k = 0; k < 9; k++)
		lo[k] = hi[k] = _mm512_setzero_si512();
	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++) {
		FE_BOTH(i + 0, a->v[i], b->v[0]);
		FE_BOTH(i + 1, a->v[i], b->v[1]);
		FE_BOTH(i + 2, a->v[i], b->v[2]);
		FE_BOTH(i + 3, a->v[i], b->v[3]);
		FE_BOTH(i + 4, a->v[i], b->v[4]);
	}
	column[0] = lo[0];
	FE_UNROLL
	for (int k = 1; k < 9; k++)
		column[k] = _mm512_add_epi64(lo[k], FE_TWICE(hi[k - 1]));
	column[9] = FE_TWICE(hi[8]);
	return fe_fold(column);
}

/* Products of two different limbs count twice. The high parts of those, which count four times, are
 * added twice: that is cheaper than sums of their own. */
FE_PRODUCT struct fe fe_square(const struct fe *a)
{
	__m512i once[FE_COLUMNS], twice[FE_COLUMNS], column[FE_COLUMNS];

	FE_UNROLL
	for (int k = 0; k < FE_COLUMNS; k++)
		once[k] = twice[k] = _mm512_setzero_si512();
	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++) {
		FE_LO(once[2 * i], a->v[i], a->v[i]);
		FE_HI(twice[2 * i + 1], a->v[i], a->v[i]);
		FE_UNROLL
		for (int j = i + 1; j < FE_LIMBS; j++) {
			FE_LO(twice[i + j], a->v[i], a->v[j]);
			FE_HI(twice[i + j + 1], a->v[i], a->v[j]);
			FE_HI(twice[i + j + 1], a->v[i], a->v[j]);
		}
	}
	FE_UNROLL
	for (int k = 0; k < FE_COLUMNS; k++)
		column[k] = _mm512_add_epi64(once[k], FE_TWICE(twice[k]));
	return fe_fold(column);
}

/* a + b * factor, where factor is below 2^17. */
FE_INLINE struct fe fe_add_times(const struct fe *a, const struct fe *b, uint64_t factor)
{
	const __m512i f = fe_every(factor);
	struct fe sum = *a;
	__m512i top = _mm512_setzero_si512();

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		FE_LO(sum.v[i], b->v[i], f);
	FE_UNROLL
	for (int i = 0; i < FE_LIMBS - 1; i++) {
		FE_HI(sum.v[i + 1], b->v[i], f);
		FE_HI(sum.v[i + 1], b->v[i], f);
	}
	FE_HI(top, b->v[4], f);
	FE_LO(sum.v[0], top, fe_every(2 * 19));
	return fe_carry(&sum);
}

/* Not inlined: what follows is a chain of squarings, and there is nothing to overlap it with. */
struct fe fe_square_times(const struct fe *a, unsigned times);
/* 1/a, and 0 of 0. */
struct fe fe_invert(const struct fe *a);

/* From 255 bits in four words a lane; the 256th is left out (RFC 7748, section 5). */
FE_INLINE struct fe fe_unpack(const __m512i w[4])
{
	const __m512i mask = fe_every(FE_LIMB_MASK);

	return (struct fe){{
		_mm512_and_si512(w[0], mask),
		_mm512_and_si512(
			_mm512_or_si512(_mm512_srli_epi64(w[0], 51), _mm512_slli_epi64(w[1], 13)),
			mask),
		_mm512_and_si512(
			_mm512_or_si512(_mm512_srli_epi64(w[1], 38), _mm512_slli_epi64(w[2], 26)),
			mask),
		_mm512_and_si512(
			_mm512_or_si512(_mm512_srli_epi64(w[2], 25), _mm512_slli_epi64(w[3], 39)),
			mask),
		_mm512_and_si512(_mm512_srli_epi64(w[3], 12), mask),
	}};
}

/* To the number below p in four words a lane. */
void fe_pack(const struct fe *a, __m512i w[4]);

#endif
