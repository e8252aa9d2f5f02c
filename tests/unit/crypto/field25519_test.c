/* The field under X25519 in lanes, against libcrypto's big numbers: with limbs at the ends of what
 * is allowed, where a carry is lost first. */
#include "job_test.h"

#include <openssl/bn.h>
#include <openssl/rand.h>

#include "field25519_calls.h"

typedef uint64_t element[FIELD_LIMBS][FIELD_LANES];

#define LIMB_BITS 51
/* Limbs of what goes in and comes out are below this. */
#define LOOSE  ((1ull << 51) + (1ull << 15))
#define ROUNDS 20000

static BN_CTX *bn;
static BIGNUM *p;

static int start(void **state)
{
	(void)state;
	bn = BN_CTX_new();
	p = BN_new();
	return bn && p && BN_set_bit(p, 255) && BN_sub_word(p, 19) ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	BN_free(p);
	BN_CTX_free(bn);
	return 0;
}

static uint64_t random_word(void)
{
	uint64_t word;

	assert_int_equal(RAND_bytes((uint8_t *)&word, sizeof(word)), 1);
	return word;
}

/* Of each eight limbs some are as large or as small as may be. */
static void random_element(element e)
{
	for (int i = 0; i < FIELD_LIMBS; i++) {
		for (int lane = 0; lane < FIELD_LANES; lane++) {
			uint64_t word = random_word();

			switch (word >> 61) {
			case 0:
				e[i][lane] = LOOSE - 1 - (word & 1);
				break;
			case 1:
				e[i][lane] = word & 1;
				break;
			case 2:
				e[i][lane] = (1ull << LIMB_BITS) - 1 - (word & 31);
				break;
			case 3:
				e[i][lane] = (1ull << LIMB_BITS) + (word & 31);
				break;
			default:
				e[i][lane] = word % LOOSE;
			}
		}
	}
}

static BIGNUM *number(element e, int lane)
{
	BIGNUM *n = BN_new(), *limb = BN_new();

	for (int i = FIELD_LIMBS - 1; i >= 0; i--) {
		assert_true(BN_lshift(n, n, LIMB_BITS));
		assert_true(BN_set_word(limb, e[i][lane]));
		assert_true(BN_add(n, n, limb));
	}
	BN_free(limb);
	return n;
}

static void expected(enum field_operation operation, BIGNUM *out, const BIGNUM *a, const BIGNUM *b)
{
	switch (operation) {
	case FIELD_ADD:
		BN_mod_add(out, a, b, p, bn);
		break;
	case FIELD_SUBTRACT:
		BN_mod_sub(out, a, b, p, bn);
		break;
	case FIELD_MULTIPLY:
		BN_mod_mul(out, a, b, p, bn);
		break;
	case FIELD_SQUARE:
		BN_mod_sqr(out, a, p, bn);
		break;
	case FIELD_ADD_TIMES:
		BN_copy(out, b);
		BN_mul_word(out, 121665);
		BN_mod_add(out, out, a, p, bn);
		break;
	case FIELD_INVERT:
	default:
		BN_nnmod(out, a, p, bn);
		if (!BN_is_zero(out))
			BN_mod_inverse(out, out, p, bn);
	}
}

static void expect_right(enum field_operation operation, element a, element b, element out)
{
	BIGNUM *right = BN_new();

	for (int lane = 0; lane < FIELD_LANES; lane++) {
		BIGNUM *x = number(a, lane), *y = number(b, lane), *got = number(out, lane);

		for (int i = 0; i < FIELD_LIMBS; i++)
			assert_true(out[i][lane] < LOOSE);
		expected(operation, right, x, y);
		BN_nnmod(got, got, p, bn);
		assert_int_equal(BN_cmp(got, right), 0);
		BN_free(x);
		BN_free(y);
		BN_free(got);
	}
	BN_free(right);
}

static void operations(void **state)
{
	element a, b, out;

	(void)state;
	if (!cpu_has_lanes())
		skip();
	for (unsigned round = 0; round < ROUNDS; round++) {
		enum field_operation operation = (enum field_operation)(round % FIELD_INVERT);

		random_element(a);
		random_element(b);
		field_call(operation, a, b, out);
		expect_right(operation, a, b, out);
	}
	for (unsigned round = 0; round < 100; round++) {
		random_element(a);
		if (round == 0)
			memset(a, 0, sizeof(a));
		field_call(FIELD_INVERT, a, a, out);
		expect_right(FIELD_INVERT, a, a, out);
	}
}

/* All limbs at the largest, and at zero, at once. */
static void extremes(void **state)
{
	element a, b, out;

	(void)state;
	if (!cpu_has_lanes())
		skip();
	for (unsigned ends = 0; ends < 4; ends++) {
		for (int i = 0; i < FIELD_LIMBS * FIELD_LANES; i++) {
			a[i / FIELD_LANES][i % FIELD_LANES] = ends & 1 ? LOOSE - 1 : 0;
			b[i / FIELD_LANES][i % FIELD_LANES] = ends & 2 ? LOOSE - 1 : 0;
		}
		for (int operation = 0; operation < FIELD_OPERATIONS; operation++) {
			field_call((enum field_operation)operation, a, b, out);
			expect_right((enum field_operation)operation, a, b, out);
		}
	}
}

static void expect_packed(element a)
{
	uint64_t words[FIELD_WORDS][FIELD_LANES];
	BIGNUM *got = BN_new();

	field_call_pack(a, words);
	for (int lane = 0; lane < FIELD_LANES; lane++) {
		uint64_t column[FIELD_WORDS];
		BIGNUM *right = number(a, lane);

		for (int w = 0; w < FIELD_WORDS; w++)
			column[w] = words[w][lane];
		BN_lebin2bn((const uint8_t *)column, sizeof(column), got);
		BN_nnmod(right, right, p, bn);
		assert_int_equal(BN_cmp(got, right), 0);
		BN_free(right);
	}
	BN_free(got);
}

/* The one form of a number: most of all around 0, p and 2p. */
static void packing(void **state)
{
	element a;

	(void)state;
	if (!cpu_has_lanes())
		skip();
	for (unsigned round = 0; round < ROUNDS / 4; round++) {
		random_element(a);
		expect_packed(a);
	}
	for (unsigned low = 0; low < 64; low++) {
		for (int lane = 0; lane < FIELD_LANES; lane++) {
			/* limbs of zeros, of ones, and of 2^51 */
			uint64_t rest = lane % 3 == 0 ? 0 : (1ull << LIMB_BITS) - (lane % 3 == 1);

			for (int i = 0; i < FIELD_LIMBS; i++)
				a[i][lane] = rest;
			a[0][lane] = lane < 4 ? (1ull << LIMB_BITS) - 40 + low : low;
		}
		expect_packed(a);
	}
}

static void unpacking(void **state)
{
	uint64_t words[FIELD_WORDS][FIELD_LANES], column[FIELD_WORDS];
	BIGNUM *right = BN_new();
	element out;

	(void)state;
	if (!cpu_has_lanes())
		skip();
	for (unsigned round = 0; round < 1000; round++) {
		for (int i = 0; i < FIELD_WORDS * FIELD_LANES; i++)
			words[i / FIELD_LANES][i % FIELD_LANES] =
				round % 8 == 0 ? UINT64_MAX : random_word();
		field_call_unpack(words, out);
		for (int lane = 0; lane < FIELD_LANES; lane++) {
			BIGNUM *got = number(out, lane);

			for (int w = 0; w < FIELD_WORDS; w++)
				column[w] = words[w][lane];
			BN_lebin2bn((const uint8_t *)column, sizeof(column), right);
			BN_mask_bits(right, 255);
			assert_int_equal(BN_cmp(got, right), 0);
			BN_free(got);
		}
	}
	BN_free(right);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations),
		cmocka_unit_test(extremes),
		cmocka_unit_test(packing),
		cmocka_unit_test(unpacking),
	};

	return cmocka_run_group_tests_name("field of 2^255 - 19", tests, start, stop);
}
