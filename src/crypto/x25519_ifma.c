/* X25519 in eight lanes, each with an operation of its own. Branches and addresses depend on the
 * number of lanes only: bits of scalars become masks and permutations of registers. */
#include "x25519_ifma.h"

#include <stdbool.h>
#include <string.h>

#include <pthread.h>

#include "field25519_ifma.h"
#define IFMA_STACK_USED 16384
#include "wipe_ifma.h"

enum {
	WORDS = 4, /* of a scalar or a coordinate */
};

struct lane_words {
	uint64_t word[WORDS][X25519_LANES] __attribute__((aligned(64)));
};

/* ---- in and out ----------------------------------------------------------- */

static void put_lane(struct lane_words *to, size_t lane, const uint8_t from[X25519_LEN])
{
	for (unsigned w = 0; w < WORDS; w++)
		memcpy(&to->word[w][lane], from + 8 * w, 8);
}

/* RFC 7748, section 5, decodeScalar25519. */
static void put_scalar(struct lane_words *to, size_t lane, const uint8_t from[X25519_LEN])
{
	put_lane(to, lane, from);
	to->word[0][lane] &= ~7ull;
	to->word[3][lane] &= ~(1ull << 63);
	to->word[3][lane] |= 1ull << 62;
}

static void load(const struct lane_words *from, __m512i w[WORDS])
{
	for (unsigned i = 0; i < WORDS; i++)
		w[i] = _mm512_load_si512(from->word[i]);
}

static void give_results(const struct fe *result, const struct x25519_lane *lanes, size_t count)
{
	struct lane_words packed;
	__m512i w[WORDS];

	fe_pack(result, w);
	for (unsigned i = 0; i < WORDS; i++)
		_mm512_store_si512(packed.word[i], w[i]);
	for (size_t lane = 0; lane < count; lane++) {
		for (unsigned i = 0; i < WORDS; i++)
			memcpy(lanes[lane].result + 8 * i, &packed.word[i][lane], 8);
	}
	secret_wipe(&packed, sizeof(packed));
}

/* ---- any point: the ladder ------------------------------------------------ */

/* Two points that differ by the one that is multiplied, as x/z. */
struct ladder {
	struct fe x2, z2, x3, z3;
};

/* RFC 7748, section 5, with its names: `x1` is the point. */
FE_INLINE void ladder_step(struct ladder *l, const struct fe *x1)
{
	struct fe a = fe_add(&l->x2, &l->z2), b = fe_subtract(&l->x2, &l->z2);
	struct fe c = fe_add(&l->x3, &l->z3), d = fe_subtract(&l->x3, &l->z3);
	struct fe da = fe_multiply(&d, &a), cb = fe_multiply(&c, &b);
	struct fe aa = fe_square(&a), bb = fe_square(&b);
	struct fe e = fe_subtract(&aa, &bb), sum = fe_add(&da, &cb);
	struct fe difference = fe_subtract(&da, &cb), t;

	l->x3 = fe_square(&sum);
	t = fe_square(&difference);
	l->z3 = fe_multiply(x1, &t);
	l->x2 = fe_multiply(&aa, &bb);
	t = fe_add_times(&aa, &e, 121665);
	l->z2 = fe_multiply(&e, &t);
}

static __attribute__((noinline)) void multiply(const struct x25519_lane *lanes, size_t count)
{
	struct lane_words scalars = {0}, points = {0};
	__m512i scalar[WORDS], u[WORDS];
	struct ladder l;
	struct fe x1, result;
	__mmask8 swapped = 0;

	for (size_t lane = 0; lane < count; lane++) {
		put_scalar(&scalars, lane, lanes[lane].scalar);
		put_lane(&points, lane, lanes[lane].point);
	}
	load(&scalars, scalar);
	load(&points, u);
	x1 = fe_unpack(u);
	l = (struct ladder){fe_small(1), fe_small(0), x1, fe_small(1)};
	/* bit 255 is always 0 */
	scalar[3] = _mm512_slli_epi64(scalar[3], 1);
	for (unsigned bit = 1; bit < 256; bit++) {
		__m512i *word = &scalar[3 - bit / 64];
		__mmask8 set = _mm512_movepi64_mask(*word);

		*word = _mm512_slli_epi64(*word, 1);
		swapped = _kxor_mask8(swapped, set);
		fe_swap(swapped, &l.x2, &l.x3);
		fe_swap(swapped, &l.z2, &l.z3);
		swapped = set;
		ladder_step(&l, &x1);
	}
	/* the lowest bits are 0: nothing is left swapped */
	l.z2 = fe_invert(&l.z2);
	result = fe_multiply(&l.x2, &l.z2);
	give_results(&result, lanes, count);
	secret_wipe(&scalars, sizeof(scalars));
}

void x25519_ifma_multiply(const struct x25519_lane *lanes, size_t count)
{
	multiply(lanes, count);
	wipe_registers();
	wipe_stack();
}

/* ---- the base point: a table ---------------------------------------------- */

/* On the twisted Edwards curve -x^2 + y^2 = 1 + dx^2y^2, which RFC 7748 (section 4.1) maps to
 * Curve25519: u = (1 + y)/(1 - y). Extended coordinates: x = X/Z, y = Y/Z, xy = T/Z. */
struct point {
	struct fe x, y, z, t;
};

/* A point of the table: x and y as the addition takes them. */
struct table_point {
	struct fe sum, difference, product; /* y + x, y - x, 2dxy */
};

enum {
	ROWS = 32,   /* row i: multiples of 256^i * B; lane j has the (j + 1)-fold */
	DIGITS = 64, /* of a scalar, of 4 bits, -8 to 8 */
};

static struct table_point table[ROWS];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static const uint8_t curve_2d[X25519_LEN] = {0x59, 0xf1, 0xb2, 0x26, 0x94, 0x9b, 0xd6, 0xeb, 0x56,
	0xb1, 0x83, 0x82, 0x9a, 0x14, 0xe0, 0x00, 0x30, 0xd1, 0xf3, 0xee, 0xf2, 0x80, 0x8e, 0x19,
	0xe7, 0xfc, 0xdf, 0x56, 0xdc, 0xd9, 0x06, 0x24};
static const uint8_t base_x[X25519_LEN] = {0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2,
	0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69, 0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0,
	0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21};
static const uint8_t base_y[X25519_LEN] = {0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};

static struct fe constant(const uint8_t value[X25519_LEN])
{
	struct lane_words words;
	__m512i w[WORDS];

	for (size_t lane = 0; lane < X25519_LANES; lane++)
		put_lane(&words, lane, value);
	load(&words, w);
	return fe_unpack(w);
}

/* The last step of addition and doubling alike. */
FE_INLINE struct point from_completed(
	const struct fe *e, const struct fe *f, const struct fe *g, const struct fe *h)
{
	return (struct point){
		fe_multiply(e, f), fe_multiply(g, h), fe_multiply(f, g), fe_multiply(e, h)};
}

/* Complete: right for all pairs of points, the neutral one and equal ones too. */
FE_INLINE struct point add_table_point(const struct point *p, const struct table_point *q)
{
	struct fe down = fe_subtract(&p->y, &p->x), up = fe_add(&p->y, &p->x);
	struct fe a = fe_multiply(&down, &q->difference), b = fe_multiply(&up, &q->sum);
	struct fe c = fe_multiply(&p->t, &q->product), d = fe_add(&p->z, &p->z);
	struct fe e = fe_subtract(&b, &a), f = fe_subtract(&d, &c);
	struct fe g = fe_add(&d, &c), h = fe_add(&b, &a);

	return from_completed(&e, &f, &g, &h);
}

static struct point twice(const struct point *p)
{
	struct fe a = fe_square(&p->x), b = fe_square(&p->y), zz = fe_square(&p->z);
	struct fe c = fe_add(&zz, &zz), sum = fe_add(&p->x, &p->y), ss = fe_square(&sum);
	struct fe h = fe_add(&a, &b), e = fe_subtract(&h, &ss), g = fe_subtract(&a, &b);
	struct fe f = fe_add(&c, &g);

	return from_completed(&e, &f, &g, &h);
}

static struct table_point to_table_point(const struct point *p, const struct fe *two_d)
{
	struct fe inverse = fe_invert(&p->z);
	struct fe x = fe_multiply(&p->x, &inverse), y = fe_multiply(&p->y, &inverse);
	struct fe xy = fe_multiply(&x, &y);

	return (struct table_point){fe_add(&y, &x), fe_subtract(&y, &x), fe_multiply(&xy, two_d)};
}

static void make_table(void)
{
	const struct point neutral = {fe_small(0), fe_small(1), fe_small(1), fe_small(0)};
	struct fe two_d = constant(curve_2d), x = constant(base_x), y = constant(base_y);
	struct point base = {x, y, fe_small(1), fe_multiply(&x, &y)}, p = neutral;
	struct table_point base_point = to_table_point(&base, &two_d);

	for (unsigned times = 0; times < X25519_LANES; times++) {
		__mmask8 more = (__mmask8)(0xffu << times);
		struct point sum = add_table_point(&p, &base_point);

		p.x = fe_select(more, &p.x, &sum.x);
		p.y = fe_select(more, &p.y, &sum.y);
		p.z = fe_select(more, &p.z, &sum.z);
		p.t = fe_select(more, &p.t, &sum.t);
	}
	for (unsigned row = 0; row < ROWS; row++) {
		table[row] = to_table_point(&p, &two_d);
		for (unsigned i = 0; i < 8; i++)
			p = twice(&p);
	}
}

/* A lane's digit times the row's point: the table's lane is chosen by a permutation of registers.
 */
FE_INLINE struct table_point table_point_of(const struct table_point *row, __m512i digit)
{
	const struct fe zero = fe_small(0), one = fe_small(1);
	__mmask8 negative = _mm512_movepi64_mask(digit);
	__m512i size = _mm512_abs_epi64(digit);
	__m512i which = _mm512_sub_epi64(size, fe_every(1));
	__mmask8 none = _mm512_testn_epi64_mask(size, size);
	struct table_point p;
	struct fe minus;

	for (unsigned i = 0; i < FE_LIMBS; i++) {
		p.sum.v[i] = _mm512_permutexvar_epi64(which, row->sum.v[i]);
		p.difference.v[i] = _mm512_permutexvar_epi64(which, row->difference.v[i]);
		p.product.v[i] = _mm512_permutexvar_epi64(which, row->product.v[i]);
	}
	p.sum = fe_select(none, &p.sum, &one);
	p.difference = fe_select(none, &p.difference, &one);
	p.product = fe_select(none, &p.product, &zero);
	minus = fe_subtract(&zero, &p.product);
	fe_swap(negative, &p.sum, &p.difference);
	p.product = fe_select(negative, &p.product, &minus);
	return p;
}

struct digits {
	int8_t digit[DIGITS][X25519_LANES] __attribute__((aligned(64)));
};

/* A digit of 8 or more is written as 16 less, with one more in the next; the last has room. */
static void put_digits(struct digits *to, size_t lane, const struct lane_words *scalars)
{
	int carry = 0;

	for (unsigned i = 0; i < DIGITS; i++) {
		int digit = (int)(scalars->word[i / 16][lane] >> (i % 16 * 4) & 15) + carry;

		carry = i == DIGITS - 1 ? 0 : (digit + 8) >> 4;
		to->digit[i][lane] = (int8_t)(digit - carry * 16);
	}
}

FE_INLINE void add_digits(struct point *p, const struct digits *digits, unsigned first)
{
	for (unsigned row = 0; row < ROWS; row++) {
		__m128i bytes = _mm_loadl_epi64((const __m128i *)digits->digit[2 * row + first]);
		struct table_point q = table_point_of(&table[row], _mm512_cvtepi8_epi64(bytes));

		*p = add_table_point(p, &q);
	}
}

static __attribute__((noinline)) void multiply_base(const struct x25519_lane *lanes, size_t count)
{
	struct point p = {fe_small(0), fe_small(1), fe_small(1), fe_small(0)};
	struct lane_words scalars = {0};
	struct digits digits = {0};
	struct fe over, under, result;

	for (size_t lane = 0; lane < count; lane++) {
		put_scalar(&scalars, lane, lanes[lane].scalar);
		put_digits(&digits, lane, &scalars);
	}
	add_digits(&p, &digits, 1);
	for (unsigned i = 0; i < 4; i++)
		p = twice(&p);
	add_digits(&p, &digits, 0);
	over = fe_add(&p.z, &p.y);
	under = fe_subtract(&p.z, &p.y);
	under = fe_invert(&under);
	result = fe_multiply(&over, &under);
	give_results(&result, lanes, count);
	secret_wipe(&scalars, sizeof(scalars));
	secret_wipe(&digits, sizeof(digits));
}

void x25519_ifma_multiply_base(const struct x25519_lane *lanes, size_t count)
{
	pthread_once(&table_once, make_table);
	multiply_base(lanes, count);
	wipe_registers();
	wipe_stack();
}
