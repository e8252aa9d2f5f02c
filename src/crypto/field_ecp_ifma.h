/* Eight elements of the field of P-256 or P-384 (ECP_BITS), one a 64-bit lane, by AVX-512 IFMA.
 * Private to this room, and only for files that are compiled for that instruction set.
 *
 * Montgomery form, radix 2^52. Between functions the limbs are below 2^52 and the number is below
 * 2.1p: a product of two such is below (2.1p)^2/R + p < 1.3p, since R is 16p or more. What every
 * function does takes the same time for all values. */
#ifndef CRYPTO_FIELD_ECP_IFMA_H
#define CRYPTO_FIELD_ECP_IFMA_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define FE_INLINE static inline __attribute__((always_inline))
/* See field25519_ifma.h. */
#ifdef FE_PRODUCTS_APART
#define FE_PRODUCT static __attribute__((noinline, unused))
#else
#define FE_PRODUCT FE_INLINE
#endif
/* Arrays of vectors become registers only where their indices are constants. */
#define FE_UNROLL    _Pragma("GCC unroll 16")
#define FE_LIMB_BITS 52
#define FE_LIMB_MASK ((1ull << FE_LIMB_BITS) - 1)

#if ECP_BITS == 256
#define FE_LIMBS 5
#define FE_N0    1ull /* -1/p modulo 2^52 */
static const uint64_t fe_p[FE_LIMBS] = {
	0xfffffffffffff, 0x00fffffffffff, 0x0000000000000, 0x0001000000000, 0x0ffffffff0000};
#elif ECP_BITS == 384
#define FE_LIMBS 8
#define FE_N0    0x100000001ull
static const uint64_t fe_p[FE_LIMBS] = {0x00000ffffffff, 0xff00000000000, 0xffffffeffffff,
	0xfffffffffffff, 0xfffffffffffff, 0xfffffffffffff, 0xfffffffffffff, 0x00000000fffff};
#else
#error "no such curve"
#endif

/* In the top limb, where the bits past those of p begin. */
#define FE_TOP_SHIFT (ECP_BITS - FE_LIMB_BITS * (FE_LIMBS - 1))

struct fe {
	__m512i v[FE_LIMBS];
};

/* Lane h of limb i: of max(h - 1, 0) * p, not carried: signed, and exact in 64 bits. */
static struct fe fe_multiples_of_p;

FE_INLINE __m512i fe_every(uint64_t value)
{
	return _mm512_set1_epi64((long long)value);
}

FE_INLINE struct fe fe_zero(void)
{
	struct fe out;

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		out.v[i] = _mm512_setzero_si512();
	return out;
}

/* Before all else. */
static inline void fe_make_multiples_of_p(void)
{
	const __m512i times = _mm512_setr_epi64(0, 0, 1, 2, 3, 4, 5, 6);

	for (int i = 0; i < FE_LIMBS; i++)
		fe_multiples_of_p.v[i] = _mm512_mullo_epi64(times, fe_every(fe_p[i]));
}

/* Signed limbs of a number that is not negative to limbs below 2^52. */
FE_INLINE void fe_carry(struct fe *a)
{
	FE_UNROLL
	for (int i = 0; i < FE_LIMBS - 1; i++) {
		__m512i carry = _mm512_srai_epi64(a->v[i], FE_LIMB_BITS);

		a->v[i] = _mm512_and_si512(a->v[i], fe_every(FE_LIMB_MASK));
		a->v[i + 1] = _mm512_add_epi64(a->v[i + 1], carry);
	}
}

/* A number below 6p in limbs of less than 2^54 either way becomes one below 2.1p. The top bits tell
 * how often p is in it, but for some lower carries: with one p left where there are some, those
 * cannot make it negative. */
FE_INLINE void fe_reduce(struct fe *a)
{
	__m512i times = _mm512_srai_epi64(a->v[FE_LIMBS - 1], FE_TOP_SHIFT);

	/* a carry from below may be missing from a small number */
	times = _mm512_max_epi64(times, _mm512_setzero_si512());
	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		a->v[i] = _mm512_sub_epi64(
			a->v[i], _mm512_permutexvar_epi64(times, fe_multiples_of_p.v[i]));
	fe_carry(a);
}

FE_INLINE struct fe fe_add(const struct fe *a, const struct fe *b)
{
	struct fe sum;

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		sum.v[i] = _mm512_add_epi64(a->v[i], b->v[i]);
	fe_reduce(&sum);
	return sum;
}

/* a + 3p - b */
FE_INLINE struct fe fe_subtract(const struct fe *a, const struct fe *b)
{
	struct fe difference;

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		difference.v[i] =
			_mm512_sub_epi64(_mm512_add_epi64(a->v[i], fe_every(3 * fe_p[i])), b->v[i]);
	fe_reduce(&difference);
	return difference;
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

/* a * b / R, where R is 2^(52 * FE_LIMBS). Sums stay below 2^52 * 4 * FE_LIMBS + carries. */
FE_PRODUCT struct fe fe_multiply(const struct fe *a, const struct fe *b)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i lo[FE_LIMBS + 1], hi[FE_LIMBS + 1], carry = zero;
	struct fe out;

	FE_UNROLL
	for (int j = 0; j <= FE_LIMBS; j++)
		lo[j] = hi[j] = zero;
	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++) {
		__m512i q;

		FE_UNROLL
		for (int j = 0; j < FE_LIMBS; j++) {
			lo[j] = _mm512_madd52lo_epu64(lo[j], a->v[i], b->v[j]);
			hi[j + 1] = _mm512_madd52hi_epu64(hi[j + 1], a->v[i], b->v[j]);
		}
		lo[0] = _mm512_add_epi64(_mm512_add_epi64(lo[0], hi[0]), carry);
		/* the multiplier takes the lowest 52 bits only */
		q = FE_N0 == 1 ? lo[0] : _mm512_madd52lo_epu64(zero, lo[0], fe_every(FE_N0));
		FE_UNROLL
		for (int j = 0; j < FE_LIMBS; j++) {
			if (fe_p[j] == 0)
				continue;
			lo[j] = _mm512_madd52lo_epu64(lo[j], q, fe_every(fe_p[j]));
			hi[j + 1] = _mm512_madd52hi_epu64(hi[j + 1], q, fe_every(fe_p[j]));
		}
		carry = _mm512_srli_epi64(lo[0], FE_LIMB_BITS);
		FE_UNROLL
		for (int j = 0; j < FE_LIMBS; j++) {
			lo[j] = lo[j + 1];
			hi[j] = hi[j + 1];
		}
		lo[FE_LIMBS] = hi[FE_LIMBS] = zero;
	}
	FE_UNROLL
	for (int j = 0; j < FE_LIMBS; j++)
		out.v[j] = _mm512_add_epi64(lo[j], hi[j]);
	out.v[0] = _mm512_add_epi64(out.v[0], carry);
	fe_carry(&out);
	return out;
}

#endif
