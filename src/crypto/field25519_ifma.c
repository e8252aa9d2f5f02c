/* The longer functions of the field; see the header. */
#include "field25519_ifma.h"

struct fe fe_square_times(const struct fe *a, unsigned times)
{
	struct fe x = *a;

	for (unsigned i = 0; i < times; i++)
		x = fe_square(&x);
	return x;
}

static struct fe multiply(const struct fe *a, const struct fe *b)
{
	return fe_multiply(a, b);
}

/* a^(p - 2) = a^(2^255 - 21). Names tell the exponent: a_n is a^(2^n - 1). */
struct fe fe_invert(const struct fe *a)
{
	struct fe a2, a9, a11, a_5, a_10, a_20, a_40, a_50, a_100, a_200, a_250, x;

	a2 = fe_square_times(a, 1);
	x = fe_square_times(&a2, 2);
	a9 = multiply(&x, a);
	a11 = multiply(&a9, &a2);
	x = fe_square_times(&a11, 1);
	a_5 = multiply(&x, &a9);
	x = fe_square_times(&a_5, 5);
	a_10 = multiply(&x, &a_5);
	x = fe_square_times(&a_10, 10);
	a_20 = multiply(&x, &a_10);
	x = fe_square_times(&a_20, 20);
	a_40 = multiply(&x, &a_20);
	x = fe_square_times(&a_40, 10);
	a_50 = multiply(&x, &a_10);
	x = fe_square_times(&a_50, 50);
	a_100 = multiply(&x, &a_50);
	x = fe_square_times(&a_100, 100);
	a_200 = multiply(&x, &a_100);
	x = fe_square_times(&a_200, 50);
	a_250 = multiply(&x, &a_50);
	x = fe_square_times(&a_250, 5);
	return multiply(&x, &a11);
}

/* Carries from limb to limb; what goes out at the top is dropped, and returned. */
static __m512i carry_through(struct fe *a)
{
	__m512i carry = _mm512_setzero_si512();

	for (int i = 0; i < FE_LIMBS; i++) {
		a->v[i] = _mm512_add_epi64(a->v[i], carry);
		carry = _mm512_srli_epi64(a->v[i], FE_LIMB_BITS);
		a->v[i] = _mm512_and_si512(a->v[i], fe_every(FE_LIMB_MASK));
	}
	return carry;
}

void fe_pack(const struct fe *a, __m512i w[4])
{
	const __m512i nineteen = fe_every(19);
	struct fe x = *a, over;
	__m512i *l = x.v, top;

	/* The first round leaves less than 2^255 + 19, the second less than 2^255 and whole limbs.
	 */
	for (int round = 0; round < 2; round++) {
		top = carry_through(&x);
		l[0] = _mm512_madd52lo_epu64(l[0], top, nineteen);
	}
	/* x is p or more when x + 19 has the bit 2^255; then x + 19 - 2^255 is x - p. */
	over = x;
	over.v[0] = _mm512_add_epi64(over.v[0], nineteen);
	top = carry_through(&over);
	l[0] = _mm512_madd52lo_epu64(l[0], top, nineteen);
	carry_through(&x);
	w[0] = _mm512_or_si512(l[0], _mm512_slli_epi64(l[1], 51));
	w[1] = _mm512_or_si512(_mm512_srli_epi64(l[1], 13), _mm512_slli_epi64(l[2], 38));
	w[2] = _mm512_or_si512(_mm512_srli_epi64(l[2], 26), _mm512_slli_epi64(l[3], 25));
	w[3] = _mm512_or_si512(_mm512_srli_epi64(l[3], 39), _mm512_slli_epi64(l[4], 12));
}
