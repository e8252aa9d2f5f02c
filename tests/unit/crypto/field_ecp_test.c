/* The fields under P-256 and P-384 in lanes, against libcrypto's big numbers: with numbers next to
 * the multiples of p and limbs at the ends, where a carry or a p is lost first. */
#include "job_test.h"

#include <openssl/bn.h>
#include <openssl/rand.h>

#include "field_ecp_calls.h"

#define LIMB_BITS 52
#define ROUNDS    15000

static const struct field_calls *field;
static BIGNUM *p, *bound, *radix_inverse;
static BN_CTX *bn;

static void use_field(const struct field_calls *calls)
{
	static const char p_256[] =
		"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
	static const char p_384[] =
		"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
		"ffffffff0000000000000000ffffffff";
	BIGNUM *radix = BN_new();

	field = calls;
	assert_true(BN_hex2bn(&p, calls->bits == 256 ? p_256 : p_384));
	/* 2.1 p */
	BN_copy(bound, p);
	BN_mul_word(bound, 21);
	BN_div_word(bound, 10);
	BN_set_bit(radix, (int)field->limbs * LIMB_BITS);
	assert_non_null(BN_mod_inverse(radix_inverse, radix, p, bn));
	BN_free(radix);
}

static int start(void **state)
{
	(void)state;
	bn = BN_CTX_new();
	p = BN_new();
	bound = BN_new();
	radix_inverse = BN_new();
	return bn && p && bound && radix_inverse ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	BN_free(p);
	BN_free(bound);
	BN_free(radix_inverse);
	BN_CTX_free(bn);
	return 0;
}

static BIGNUM *number(field_element e, unsigned lane)
{
	BIGNUM *n = BN_new(), *limb = BN_new();

	for (unsigned i = field->limbs; i-- > 0;) {
		BN_lshift(n, n, LIMB_BITS);
		BN_set_word(limb, e[i][lane]);
		BN_add(n, n, limb);
	}
	BN_free(limb);
	return n;
}

static void put_number(const BIGNUM *n, field_element e, unsigned lane)
{
	BIGNUM *rest = BN_dup(n), *limb = BN_new();

	for (unsigned i = 0; i < field->limbs; i++) {
		BN_copy(limb, rest);
		if (BN_num_bits(limb) > LIMB_BITS)
			BN_mask_bits(limb, LIMB_BITS);
		e[i][lane] = BN_get_word(limb);
		BN_rshift(rest, rest, LIMB_BITS);
	}
	BN_free(rest);
	BN_free(limb);
}

/* Below 2.1p: anything, next to 0, p, 2p, the end or a power of two, or of limbs of zeros and ones.
 */
static void random_number(BIGNUM *n)
{
	uint8_t choice[4];
	unsigned limbs = field->limbs;

	assert_int_equal(RAND_bytes(choice, sizeof(choice)), 1);
	switch (choice[0] % 8) {
	case 0:
	case 1:
		BN_rand_range(n, bound);
		return;
	case 2: /* choice 0, p or 2p */
	case 3:
		BN_copy(n, p);
		BN_mul_word(n, choice[1] % 3);
		if (choice[1] % 3 == 0 || choice[2] & 1)
			BN_add_word(n, choice[3]);
		else
			BN_sub_word(n, choice[3] + 1u);
		return;
	case 4:
		BN_sub(n, bound, BN_value_one());
		BN_sub_word(n, choice[1]);
		return;
	case 5:
		BN_zero(n);
		BN_set_bit(n, (int)field->bits - (choice[1] % 8 ? choice[2] : 0));
		if (choice[3] & 1)
			BN_sub_word(n, 1);
		return;
	default:
		BN_zero(n);
		for (unsigned i = 0; i < limbs; i++) {
			BIGNUM *limb = BN_new();

			BN_set_word(limb, choice[1] >> i & 1 ? (1ull << LIMB_BITS) - 1 : 0);
			BN_lshift(limb, limb, (int)i * LIMB_BITS);
			BN_add(n, n, limb);
			BN_free(limb);
		}
		BN_nnmod(n, n, bound, bn);
	}
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
	default:
		BN_mod_mul(out, a, b, p, bn);
		BN_mod_mul(out, out, radix_inverse, p, bn);
	}
}

static void run_operation(enum field_operation operation)
{
	field_element a, b, out;
	BIGNUM *n = BN_new(), *right = BN_new();

	for (unsigned lane = 0; lane < FIELD_LANES; lane++) {
		random_number(n);
		put_number(n, a, lane);
		random_number(n);
		put_number(n, b, lane);
	}
	field->call(operation, a, b, out);
	for (unsigned lane = 0; lane < FIELD_LANES; lane++) {
		BIGNUM *x = number(a, lane), *y = number(b, lane), *got = number(out, lane);

		for (unsigned i = 0; i < field->limbs; i++)
			assert_true(out[i][lane] < 1ull << LIMB_BITS);
		assert_true(BN_cmp(got, bound) < 0);
		expected(operation, right, x, y);
		BN_nnmod(got, got, p, bn);
		assert_int_equal(BN_cmp(got, right), 0);
		BN_free(x);
		BN_free(y);
		BN_free(got);
	}
	BN_free(n);
	BN_free(right);
}

static void operations(void **state)
{
	static const struct field_calls *const fields[] = {&field_calls_256, &field_calls_384};

	(void)state;
	if (!cpu_has_lanes())
		skip();
	for (unsigned f = 0; f < 2; f++) {
		use_field(fields[f]);
		for (unsigned round = 0; round < ROUNDS; round++)
			run_operation((enum field_operation)(round % FIELD_OPERATIONS));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations),
	};

	return cmocka_run_group_tests_name("fields of P-256 and P-384", tests, start, stop);
}
