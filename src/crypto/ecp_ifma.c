/* P-256 or P-384 (ECP_BITS) in eight lanes, each with an operation of its own. Branches and
 * addresses depend on the number of lanes only. Points are projective, and added by the complete
 * formulas of Renes, Costello and Batina for a = -3 (2016, algorithms 4 and 6), right for all
 * pairs. */
#include "ecp_ifma.h"

#include <pthread.h>
#include <string.h>

#include "field_ecp_ifma.h"
#define IFMA_STACK_USED 40960
#include "wipe_ifma.h"

enum {
	LEN = ECP_BITS / 8,
	WORDS = LEN / 8,
	DIGITS = LEN * 2 + 1,    /* of a scalar: of 4 bits, -8 to 8, and what is carried */
	ROWS = (DIGITS + 1) / 2, /* row i: multiples of 256^i * G; lane j has the (j + 1)-fold */
	MULTIPLES = 8,
};

struct point {
	struct fe x, y, z;
};

struct lane_words {
	uint64_t word[WORDS][ECP_LANES] __attribute__((aligned(64)));
};

struct digits {
	int8_t digit[DIGITS][ECP_LANES] __attribute__((aligned(64)));
};

#if ECP_BITS == 256
#define ECP_IFMA ecp_ifma_256
static const uint8_t curve_b[LEN] = {0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb,
	0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc, 0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b,
	0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b};
#define ECP_GENERATOR                                                                              \
	0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,  \
		0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45,      \
		0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e,      \
		0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,      \
		0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
#define ECP_P                                                                                      \
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  \
		0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,      \
		0xff, 0xff, 0xff, 0xff
#define ECP_ORDER                                                                                  \
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  \
		0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2,      \
		0xfc, 0x63, 0x25, 0x51
#else
#define ECP_IFMA ecp_ifma_384
static const uint8_t curve_b[LEN] = {0xb3, 0x31, 0x2f, 0xa7, 0xe2, 0x3e, 0xe7, 0xe4, 0x98, 0x8e,
	0x05, 0x6b, 0xe3, 0xf8, 0x2d, 0x19, 0x18, 0x1d, 0x9c, 0x6e, 0xfe, 0x81, 0x41, 0x12, 0x03,
	0x14, 0x08, 0x8f, 0x50, 0x13, 0x87, 0x5a, 0xc6, 0x56, 0x39, 0x8d, 0x8a, 0x2e, 0xd1, 0x9d,
	0x2a, 0x85, 0xc8, 0xed, 0xd3, 0xec, 0x2a, 0xef};
#define ECP_GENERATOR                                                                              \
	0xaa, 0x87, 0xca, 0x22, 0xbe, 0x8b, 0x05, 0x37, 0x8e, 0xb1, 0xc7, 0x1e, 0xf3, 0x20, 0xad,  \
		0x74, 0x6e, 0x1d, 0x3b, 0x62, 0x8b, 0xa7, 0x9b, 0x98, 0x59, 0xf7, 0x41, 0xe0,      \
		0x82, 0x54, 0x2a, 0x38, 0x55, 0x02, 0xf2, 0x5d, 0xbf, 0x55, 0x29, 0x6c, 0x3a,      \
		0x54, 0x5e, 0x38, 0x72, 0x76, 0x0a, 0xb7, 0x36, 0x17, 0xde, 0x4a, 0x96, 0x26,      \
		0x2c, 0x6f, 0x5d, 0x9e, 0x98, 0xbf, 0x92, 0x92, 0xdc, 0x29, 0xf8, 0xf4, 0x1d,      \
		0xbd, 0x28, 0x9a, 0x14, 0x7c, 0xe9, 0xda, 0x31, 0x13, 0xb5, 0xf0, 0xb8, 0xc0,      \
		0x0a, 0x60, 0xb1, 0xce, 0x1d, 0x7e, 0x81, 0x9d, 0x7a, 0x43, 0x1d, 0x7c, 0x90,      \
		0xea, 0x0e, 0x5f
#define ECP_P                                                                                      \
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  \
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,      \
		0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00,      \
		0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff
#define ECP_ORDER                                                                                  \
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  \
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81,      \
		0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec,      \
		0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73
#endif

static struct fe curve_b_fe, r_squared, one; /* Montgomery form, but the second */
static struct point table[ROWS];
static pthread_once_t constants_once = PTHREAD_ONCE_INIT, table_once = PTHREAD_ONCE_INIT;

/* ---- in and out ----------------------------------------------------------- */

static void put_lane(struct lane_words *to, size_t lane, const uint8_t from[LEN])
{
	for (unsigned w = 0; w < WORDS; w++) {
		uint64_t word;

		memcpy(&word, from + LEN - 8 * (w + 1), 8);
		to->word[w][lane] = __builtin_bswap64(word);
	}
}

FE_INLINE __m512i bits_at(const struct lane_words *from, int bit)
{
	__m512i low = _mm512_load_si512(from->word[bit / 64]);

	low = _mm512_srl_epi64(low, _mm_cvtsi32_si128(bit % 64));
	if (bit % 64 > 64 - FE_LIMB_BITS && bit / 64 + 1 < WORDS)
		low = _mm512_or_si512(
			low, _mm512_sll_epi64(_mm512_load_si512(from->word[bit / 64 + 1]),
				     _mm_cvtsi32_si128(64 - bit % 64)));
	return _mm512_and_si512(low, fe_every(FE_LIMB_MASK));
}

/* Not yet Montgomery form. */
static struct fe unpack(const struct lane_words *from)
{
	struct fe out;

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++)
		out.v[i] = bits_at(from, i * FE_LIMB_BITS);
	return out;
}

static struct fe multiply_fe(const struct fe *a, const struct fe *b)
{
	return fe_multiply(a, b);
}

static struct fe to_montgomery(const struct fe *a)
{
	return multiply_fe(a, &r_squared);
}

/* The number below p, in plain form: a product by 1 is p or less. */
static struct fe canonical(const struct fe *a)
{
	struct fe plain_one = fe_zero(), x, less;
	__mmask8 smaller;

	plain_one.v[0] = fe_every(1);
	x = multiply_fe(a, &plain_one);
	for (int i = 0; i < FE_LIMBS; i++)
		less.v[i] = _mm512_sub_epi64(x.v[i], fe_every(fe_p[i]));
	fe_carry(&less);
	smaller = _mm512_movepi64_mask(less.v[FE_LIMBS - 1]);
	return fe_select(smaller, &less, &x);
}

static __mmask8 is_zero(const struct fe *a)
{
	struct fe x = canonical(a);
	__m512i any = x.v[0];

	for (int i = 1; i < FE_LIMBS; i++)
		any = _mm512_or_si512(any, x.v[i]);
	return _mm512_testn_epi64_mask(any, any);
}

/* Limbs to bytes, the most significant first. */
static void give(const struct fe *a, const struct ecp_lane *lanes, size_t count, bool y)
{
	uint64_t limb[FE_LIMBS + 1][ECP_LANES] __attribute__((aligned(64))) = {0};
	struct fe x = canonical(a);

	for (int i = 0; i < FE_LIMBS; i++)
		_mm512_store_si512(limb[i], x.v[i]);
	for (size_t lane = 0; lane < count; lane++) {
		uint8_t *out = y ? lanes[lane].y : lanes[lane].x;

		for (int w = 0; out && w < WORDS; w++) {
			int i = 64 * w / FE_LIMB_BITS, shift = 64 * w % FE_LIMB_BITS;
			uint64_t word = limb[i][lane] >> shift | limb[i + 1][lane]
									 << (FE_LIMB_BITS - shift);

			/* a third limb has a part in it */
			if (2 * FE_LIMB_BITS - shift < 64 && i + 2 < FE_LIMBS)
				word |= limb[i + 2][lane] << (2 * FE_LIMB_BITS - shift);
			word = __builtin_bswap64(word);
			memcpy(out + LEN - 8 * (w + 1), &word, 8);
		}
	}
	secret_wipe(limb, sizeof(limb));
}

/* ---- points ----------------------------------------------------------------- */

static struct point add(const struct point *p, const struct point *q)
{
	struct fe t0 = fe_multiply(&p->x, &q->x), t1 = fe_multiply(&p->y, &q->y);
	struct fe t2 = fe_multiply(&p->z, &q->z), t3 = fe_add(&p->x, &p->y);
	struct fe t4 = fe_add(&q->x, &q->y), x, y, z;

	t3 = fe_multiply(&t3, &t4);
	t4 = fe_add(&t0, &t1);
	t3 = fe_subtract(&t3, &t4);
	t4 = fe_add(&p->y, &p->z);
	x = fe_add(&q->y, &q->z);
	t4 = fe_multiply(&t4, &x);
	x = fe_add(&t1, &t2);
	t4 = fe_subtract(&t4, &x);
	x = fe_add(&p->x, &p->z);
	y = fe_add(&q->x, &q->z);
	x = fe_multiply(&x, &y);
	y = fe_add(&t0, &t2);
	y = fe_subtract(&x, &y);
	z = fe_multiply(&curve_b_fe, &t2);
	x = fe_subtract(&y, &z);
	z = fe_add(&x, &x);
	x = fe_add(&x, &z);
	z = fe_subtract(&t1, &x);
	x = fe_add(&t1, &x);
	y = fe_multiply(&curve_b_fe, &y);
	t1 = fe_add(&t2, &t2);
	t2 = fe_add(&t1, &t2);
	y = fe_subtract(&y, &t2);
	y = fe_subtract(&y, &t0);
	t1 = fe_add(&y, &y);
	y = fe_add(&t1, &y);
	t1 = fe_add(&t0, &t0);
	t0 = fe_add(&t1, &t0);
	t0 = fe_subtract(&t0, &t2);
	t1 = fe_multiply(&t4, &y);
	t2 = fe_multiply(&t0, &y);
	y = fe_multiply(&x, &z);
	y = fe_add(&y, &t2);
	x = fe_multiply(&t3, &x);
	x = fe_subtract(&x, &t1);
	z = fe_multiply(&t4, &z);
	t1 = fe_multiply(&t3, &t0);
	z = fe_add(&z, &t1);
	return (struct point){x, y, z};
}

static struct point twice(const struct point *p)
{
	struct fe t0 = fe_multiply(&p->x, &p->x), t1 = fe_multiply(&p->y, &p->y);
	struct fe t2 = fe_multiply(&p->z, &p->z), t3 = fe_multiply(&p->x, &p->y), x, y, z;

	t3 = fe_add(&t3, &t3);
	z = fe_multiply(&p->x, &p->z);
	z = fe_add(&z, &z);
	y = fe_multiply(&curve_b_fe, &t2);
	y = fe_subtract(&y, &z);
	x = fe_add(&y, &y);
	y = fe_add(&x, &y);
	x = fe_subtract(&t1, &y);
	y = fe_add(&t1, &y);
	y = fe_multiply(&x, &y);
	x = fe_multiply(&x, &t3);
	t3 = fe_add(&t2, &t2);
	t2 = fe_add(&t2, &t3);
	z = fe_multiply(&curve_b_fe, &z);
	z = fe_subtract(&z, &t2);
	z = fe_subtract(&z, &t0);
	t3 = fe_add(&z, &z);
	z = fe_add(&z, &t3);
	t3 = fe_add(&t0, &t0);
	t0 = fe_add(&t3, &t0);
	t0 = fe_subtract(&t0, &t2);
	t0 = fe_multiply(&t0, &z);
	y = fe_add(&y, &t0);
	t0 = fe_multiply(&p->y, &p->z);
	t0 = fe_add(&t0, &t0);
	z = fe_multiply(&t0, &z);
	x = fe_subtract(&x, &z);
	z = fe_multiply(&t0, &t1);
	z = fe_add(&z, &z);
	z = fe_add(&z, &z);
	return (struct point){x, y, z};
}

static struct point neutral(void)
{
	return (struct point){fe_zero(), one, fe_zero()};
}

FE_INLINE struct point select_point(__mmask8 which, const struct point *a, const struct point *b)
{
	return (struct point){fe_select(which, &a->x, &b->x), fe_select(which, &a->y, &b->y),
		fe_select(which, &a->z, &b->z)};
}

/* ---- constants ---------------------------------------------------------------- */

static struct fe constant(const uint8_t value[LEN])
{
	struct lane_words words;
	struct fe plain;

	for (size_t lane = 0; lane < ECP_LANES; lane++)
		put_lane(&words, lane, value);
	plain = unpack(&words);
	return to_montgomery(&plain);
}

static void make_constants(void)
{
	struct fe x = fe_zero();

	fe_make_multiples_of_p();
	x.v[0] = fe_every(1);
	for (unsigned bit = 0; bit < 2 * FE_LIMBS * FE_LIMB_BITS; bit++) {
		if (bit == FE_LIMBS * FE_LIMB_BITS)
			one = x; /* R */
		x = fe_add(&x, &x);
	}
	r_squared = x;
	curve_b_fe = constant(curve_b);
}

static void make_table(void)
{
	struct point g = {constant(ECP_IFMA.generator), constant(ECP_IFMA.generator + LEN), one},
		     p = neutral();

	for (unsigned times = 0; times < MULTIPLES; times++) {
		struct point sum = add(&p, &g);

		p = select_point((__mmask8)(0xffu << times), &p, &sum);
	}
	for (unsigned row = 0; row < ROWS; row++) {
		table[row] = p;
		for (unsigned i = 0; i < 8; i++)
			p = twice(&p);
	}
}

/* ---- scalars -------------------------------------------------------------------- */

/* A digit of 8 or more is written as 16 less, with one more in the next. */
static void put_digits(struct digits *to, size_t lane, const uint8_t scalar[LEN])
{
	int carry = 0;

	for (unsigned i = 0; i < DIGITS - 1; i++) {
		int digit = (scalar[LEN - 1 - i / 2] >> (i % 2 * 4) & 15) + carry;

		carry = (digit + 8) >> 4;
		to->digit[i][lane] = (int8_t)(digit - carry * 16);
	}
	to->digit[DIGITS - 1][lane] = (int8_t)carry;
}

FE_INLINE __m512i digits_at(const struct digits *digits, unsigned i)
{
	return _mm512_cvtepi8_epi64(_mm_loadl_epi64((const __m128i *)digits->digit[i]));
}

/* The neutral point where the digit is 0, minus the point where it is negative. */
FE_INLINE struct point for_digit(const struct point *p, __m512i digit)
{
	const struct point none = neutral();
	struct point out = select_point(_mm512_testn_epi64_mask(digit, digit), p, &none);
	struct fe zero = fe_zero(), minus = fe_subtract(&zero, &out.y);

	out.y = fe_select(_mm512_movepi64_mask(digit), &out.y, &minus);
	return out;
}

/* By a permutation of registers. */
FE_INLINE struct point from_row(const struct point *row, __m512i digit)
{
	__m512i which = _mm512_sub_epi64(_mm512_abs_epi64(digit), fe_every(1));
	struct point p;

	FE_UNROLL
	for (int i = 0; i < FE_LIMBS; i++) {
		p.x.v[i] = _mm512_permutexvar_epi64(which, row->x.v[i]);
		p.y.v[i] = _mm512_permutexvar_epi64(which, row->y.v[i]);
		p.z.v[i] = _mm512_permutexvar_epi64(which, row->z.v[i]);
	}
	return for_digit(&p, digit);
}

/* By reading all multiples, which are other points in each lane. */
static struct point from_multiples(const struct point multiples[MULTIPLES], __m512i digit)
{
	__m512i size = _mm512_abs_epi64(digit);
	struct point p = multiples[0];

	for (unsigned i = 1; i < MULTIPLES; i++)
		p = select_point(_mm512_cmpeq_epi64_mask(size, fe_every(i + 1)), &p, &multiples[i]);
	return for_digit(&p, digit);
}

/* ---- products ------------------------------------------------------------------- */

/* a^(p - 2), by four bits of the exponent, which is no secret, at a time; 0 of 0. */
static struct fe invert(const struct fe *a)
{
	struct fe power[16], x = one;

	power[0] = one;
	for (unsigned i = 1; i < 16; i++)
		power[i] = multiply_fe(&power[i - 1], a);
	for (unsigned i = 0; i < 2 * LEN; i++) {
		/* p - 2 differs from p in its last digit only: that is 15 */
		unsigned digit = (ECP_IFMA.p[i / 2] >> (i % 2 ? 0 : 4)) & 15;

		if (i == 2 * LEN - 1)
			digit -= 2;
		for (unsigned k = 0; k < 4; k++)
			x = multiply_fe(&x, &x);
		x = multiply_fe(&x, &power[digit]);
	}
	secret_wipe(power, sizeof(power));
	return x;
}

static void give_point(const struct point *p, const struct ecp_lane *lanes, size_t count)
{
	struct fe inverse = invert(&p->z);
	struct fe x = fe_multiply(&p->x, &inverse), y = fe_multiply(&p->y, &inverse);

	give(&x, lanes, count, false);
	give(&y, lanes, count, true);
}

/* The lanes for which y^2 is not x^3 - 3x + b. */
static __mmask8 off_the_curve(const struct fe *x, const struct fe *y)
{
	struct fe three = fe_add(&one, &one), left = fe_multiply(y, y), right = fe_multiply(x, x);
	struct fe difference;

	three = fe_add(&three, &one);
	right = fe_subtract(&right, &three);
	right = fe_multiply(&right, x);
	right = fe_add(&right, &curve_b_fe);
	difference = fe_subtract(&left, &right);
	return (__mmask8)~is_zero(&difference);
}

static __attribute__((noinline)) unsigned run(const struct ecp_lane *lanes, size_t count)
{
	struct lane_words xs = {0}, ys = {0};
	struct digits digits = {0};
	struct point multiples[MULTIPLES], p;
	struct fe x, y;
	unsigned bad;

	for (size_t lane = 0; lane < count; lane++) {
		put_digits(&digits, lane, lanes[lane].scalar);
		put_lane(&xs, lane, lanes[lane].point);
		put_lane(&ys, lane, lanes[lane].point + LEN);
	}
	x = unpack(&xs);
	y = unpack(&ys);
	x = to_montgomery(&x);
	y = to_montgomery(&y);
	bad = off_the_curve(&x, &y);
	multiples[0] = (struct point){x, y, one};
	multiples[1] = twice(&multiples[0]);
	for (unsigned i = 2; i < MULTIPLES; i++)
		multiples[i] = add(&multiples[i - 1], &multiples[0]);
	p = from_multiples(multiples, digits_at(&digits, DIGITS - 1));
	for (unsigned i = DIGITS - 1; i-- > 0;) {
		struct point q = from_multiples(multiples, digits_at(&digits, i));

		for (unsigned k = 0; k < 4; k++)
			p = twice(&p);
		p = add(&p, &q);
	}
	give_point(&p, lanes, count);
	secret_wipe(&digits, sizeof(digits));
	return bad & ((1u << count) - 1);
}

static __attribute__((noinline)) void run_base(const struct ecp_lane *lanes, size_t count)
{
	struct point p = neutral();
	struct digits digits = {0};

	for (size_t lane = 0; lane < count; lane++)
		put_digits(&digits, lane, lanes[lane].scalar);
	for (unsigned first = 2; first-- > 0;) {
		for (unsigned i = first; i < DIGITS; i += 2) {
			struct point q = from_row(&table[i / 2], digits_at(&digits, i));

			p = add(&p, &q);
		}
		for (unsigned i = 0; first == 1 && i < 4; i++)
			p = twice(&p);
	}
	give_point(&p, lanes, count);
	secret_wipe(&digits, sizeof(digits));
}

static unsigned multiply(const struct ecp_lane *lanes, size_t count)
{
	unsigned bad;

	pthread_once(&constants_once, make_constants);
	bad = run(lanes, count);
	wipe_registers();
	wipe_stack();
	return bad;
}

static void multiply_base(const struct ecp_lane *lanes, size_t count)
{
	pthread_once(&constants_once, make_constants);
	pthread_once(&table_once, make_table);
	run_base(lanes, count);
	wipe_registers();
	wipe_stack();
}

const struct ecp_ifma ECP_IFMA = {
	.len = LEN,
	.p = {ECP_P},
	.order = {ECP_ORDER},
	.generator = {ECP_GENERATOR},
	.multiply = multiply,
	.multiply_base = multiply_base,
};
