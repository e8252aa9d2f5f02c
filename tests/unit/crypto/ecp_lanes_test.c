/* P-256 and P-384 in lanes: against libcrypto, each lane for itself, and as jobs. (The vectors of RFC
 * 5903 are run as single jobs, which are in lanes for P-384 only.) */
#include "job_test.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/rand.h>

#include "ecp_ifma.h"

static const struct curve {
	const struct ecp_ifma *ifma;
	uint16_t id;
	int nid;
} curves[] = {
	{&ecp_ifma_256, KE_ECP_256, NID_X9_62_prime256v1},
	{&ecp_ifma_384, KE_ECP_384, NID_secp384r1},
};
enum { CURVES = 2 };

static EC_GROUP *group;
static EC_POINT *point;
static BIGNUM *k, *x, *y;
static BN_CTX *bn;
static const struct curve *curve;
static size_t len;

static void use_curve(unsigned i)
{
	EC_GROUP_free(group);
	EC_POINT_free(point);
	curve = &curves[i];
	len = curve->ifma->len;
	group = EC_GROUP_new_by_curve_name(curve->nid);
	assert_non_null(group);
	point = EC_POINT_new(group);
	assert_non_null(point);
}

static int start(void **state)
{
	(void)state;
	bn = BN_CTX_new();
	k = BN_new();
	x = BN_new();
	y = BN_new();
	return bn && k && x && y ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	EC_GROUP_free(group);
	EC_POINT_free(point);
	BN_free(k);
	BN_free(x);
	BN_free(y);
	BN_CTX_free(bn);
	return 0;
}

struct lanes {
	uint8_t scalar[ECP_LANES][ECP_LEN_MAX], point[ECP_LANES][2 * ECP_LEN_MAX];
	uint8_t x[ECP_LANES + 1][ECP_LEN_MAX], y[ECP_LANES + 1][ECP_LEN_MAX];
};

static void put(const BIGNUM *n, uint8_t *out)
{
	assert_int_equal(BN_bn2binpad(n, out, (int)len), (int)len);
}

static void put_point(uint8_t *out)
{
	assert_true(EC_POINT_get_affine_coordinates(group, point, x, y, bn));
	put(x, out);
	put(y, out + len);
}

static void random_scalar(uint8_t *out)
{
	do {
		assert_true(BN_rand_range(k, EC_GROUP_get0_order(group)));
	} while (BN_is_zero(k));
	put(k, out);
}

static void random_point(uint8_t *out)
{
	uint8_t scalar[ECP_LEN_MAX];

	random_scalar(scalar);
	assert_true(EC_POINT_mul(group, point, k, NULL, NULL, bn));
	put_point(out);
}

static void random_lanes(struct lanes *l)
{
	for (size_t i = 0; i < ECP_LANES; i++) {
		random_scalar(l->scalar[i]);
		random_point(l->point[i]);
	}
}

/* 1, 2, 3 ..., the order less 1, 2, 3 ..., digits that carry all through, or never. */
static void edge_scalar(unsigned i, uint8_t *out)
{
	static const uint8_t patterns[] = {0x88, 0x77, 0x78, 0x87, 0x80, 0x08, 0x70, 0x07, 0x7f,
		0xf7, 0x8f, 0xf8, 0x01, 0x10, 0xff};

	if (i < 10) {
		BN_set_word(k, i + 1);
	} else if (i < 20) {
		BN_copy(k, EC_GROUP_get0_order(group));
		BN_sub_word(k, i - 9);
	} else if (i < 20 + sizeof(patterns)) {
		memset(out, patterns[i - 20], len);
		BN_bin2bn(out, (int)len, k);
		BN_nnmod(k, k, EC_GROUP_get0_order(group), bn);
	} else if (i < 40) {
		BN_rshift1(k, EC_GROUP_get0_order(group));
		BN_add_word(k, i - 36);
	} else {
		random_scalar(out);
		return;
	}
	put(k, out);
}
enum { EDGE_SCALARS = 48 };

/* Multiples of the generator next to the neutral point, and the smallest coordinates. */
static void edge_point(unsigned i, uint8_t *out)
{
	if (i < 16) {
		BN_set_word(k, i / 2 + 1);
		assert_true(EC_POINT_mul(group, point, k, NULL, NULL, bn));
		if (i % 2)
			assert_true(EC_POINT_invert(group, point, bn));
		put_point(out);
		return;
	}
	for (BN_ULONG word = i < 24 ? i - 16 : 0;; word++) {
		BN_set_word(x, word);
		if (i >= 24)
			BN_sub(x, EC_GROUP_get0_field(group), BN_value_one());
		if (i >= 24)
			BN_sub_word(x, word + 3 * (i - 24));
		if (EC_POINT_set_compressed_coordinates(group, point, x, i & 1, bn))
			break;
	}
	put_point(out);
}
enum { EDGE_POINTS = 32 };

static void fill_lanes(struct lanes *l, struct ecp_lane lane[ECP_LANES])
{
	memset(l->x, 0xa5, sizeof(l->x));
	memset(l->y, 0xa5, sizeof(l->y));
	for (size_t i = 0; i < ECP_LANES; i++)
		lane[i] = (struct ecp_lane){l->scalar[i], l->point[i], l->x[i], l->y[i]};
}

static unsigned multiply(struct lanes *l, size_t count)
{
	struct ecp_lane lane[ECP_LANES];
	unsigned bad;

	fill_lanes(l, lane);
	bad = curve->ifma->multiply(lane, count);
	for (size_t i = count; i <= ECP_LANES; i++)
		assert_int_equal(l->x[i][0], 0xa5);
	return bad;
}

static void multiply_base(struct lanes *l, size_t count)
{
	struct ecp_lane lane[ECP_LANES];

	fill_lanes(l, lane);
	curve->ifma->multiply_base(lane, count);
	for (size_t i = count; i <= ECP_LANES; i++)
		assert_int_equal(l->x[i][0], 0xa5);
}

static void expect_point(const struct lanes *l, size_t lane)
{
	uint8_t expected[2 * ECP_LEN_MAX];

	put_point(expected);
	assert_memory_equal(l->x[lane], expected, len);
	assert_memory_equal(l->y[lane], expected + len, len);
}

static void expect_products(const struct lanes *l, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		BN_bin2bn(l->point[i], (int)len, x);
		BN_bin2bn(l->point[i] + len, (int)len, y);
		BN_bin2bn(l->scalar[i], (int)len, k);
		assert_true(EC_POINT_set_affine_coordinates(group, point, x, y, bn));
		assert_true(EC_POINT_mul(group, point, NULL, point, k, bn));
		expect_point(l, i);
	}
}

static void expect_base_products(const struct lanes *l, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		BN_bin2bn(l->scalar[i], (int)len, k);
		assert_true(EC_POINT_mul(group, point, k, NULL, NULL, bn));
		expect_point(l, i);
	}
}

/* ---- products ------------------------------------------------------------------ */

static void need_lanes(void)
{
	if (!cpu_has_lanes()) {
		print_message("this CPU has no AVX-512 IFMA\n");
		skip();
	}
}

static void constants(void **state)
{
	(void)state;
	for (unsigned c = 0; c < CURVES; c++) {
		uint8_t expected[2 * ECP_LEN_MAX];

		use_curve(c);
		put(EC_GROUP_get0_field(group), expected);
		assert_memory_equal(curve->ifma->p, expected, len);
		put(EC_GROUP_get0_order(group), expected);
		assert_memory_equal(curve->ifma->order, expected, len);
		assert_true(EC_POINT_copy(point, EC_GROUP_get0_generator(group)));
		put_point(expected);
		assert_memory_equal(curve->ifma->generator, expected, 2 * len);
	}
}

static void random_inputs(void **state)
{
	size_t wanted = getenv("PLUTONIUM_LONG_TESTS") ? 1000000 : 10000;
	struct lanes l;

	(void)state;
	need_lanes();
	for (unsigned c = 0; c < CURVES; c++) {
		/* libcrypto's P-384 is slow */
		size_t left = c == 0 ? wanted : wanted / 16;

		use_curve(c);
		for (size_t round = 0; left > 0; round++) {
			size_t count = round % 4 ? ECP_LANES : 1 + round / 4 % ECP_LANES;

			random_lanes(&l);
			assert_int_equal(multiply(&l, count), 0);
			expect_products(&l, count);
			multiply_base(&l, count);
			expect_base_products(&l, count);
			left -= left < count ? left : count;
		}
	}
}

static void edges(void **state)
{
	struct lanes l;

	(void)state;
	need_lanes();
	for (unsigned c = 0; c < CURVES; c++) {
		use_curve(c);
		for (unsigned at = 0; at < EDGE_SCALARS * (c ? 4 : EDGE_POINTS); at += ECP_LANES) {
			for (unsigned i = 0; i < ECP_LANES; i++) {
				edge_scalar((at + i) % EDGE_SCALARS, l.scalar[i]);
				edge_point((at / EDGE_SCALARS + 5 * i) % EDGE_POINTS, l.point[i]);
			}
			assert_int_equal(multiply(&l, ECP_LANES), 0);
			expect_products(&l, ECP_LANES);
			multiply_base(&l, ECP_LANES);
			expect_base_products(&l, ECP_LANES);
		}
	}
}

/* The lane is told, and the others have their products. */
static void off_the_curve_in_every_lane(void **state)
{
	struct lanes l;

	(void)state;
	need_lanes();
	for (unsigned c = 0; c < CURVES; c++) {
		use_curve(c);
		for (size_t bad = 0; bad < 6 * ECP_LANES; bad++) {
			size_t lane = bad % ECP_LANES, from = lane + 1;

			random_lanes(&l);
			if (bad < ECP_LANES)
				l.point[lane][2 * len - 1] ^= 1;
			else if (bad < 2 * ECP_LANES)
				l.point[lane][len - 1] ^= 1;
			else if (bad < 3 * ECP_LANES)
				memset(l.point[lane], 0, 2 * len);
			else
				l.point[lane][bad * 7 % (2 * len)] ^= (uint8_t)(1 << bad % 8);
			assert_int_equal(multiply(&l, ECP_LANES), 1u << lane);
			expect_products(&l, lane);
			for (; from < ECP_LANES; from++) {
				struct lanes one = {0};

				memcpy(one.scalar[0], l.scalar[from], len);
				memcpy(one.point[0], l.point[from], 2 * len);
				memcpy(one.x[0], l.x[from], len);
				memcpy(one.y[0], l.y[from], len);
				expect_products(&one, 1);
			}
		}
	}
}

static void lanes_are_independent(void **state)
{
	struct lanes first, second;

	(void)state;
	need_lanes();
	for (unsigned c = 0; c < CURVES; c++) {
		use_curve(c);
		for (unsigned round = 0; round < 32; round++) {
			size_t changed = round % ECP_LANES;

			random_lanes(&first);
			second = first;
			random_scalar(second.scalar[changed]);
			random_point(second.point[changed]);
			multiply(&first, ECP_LANES);
			multiply(&second, ECP_LANES);
			for (size_t lane = 0; lane < ECP_LANES; lane++)
				assert_int_equal(memcmp(first.x[lane], second.x[lane], len) == 0,
					lane != changed);
		}
	}
}

/* ---- jobs ------------------------------------------------------------------------ */

enum { BATCH = 18 };

enum fault { NO_FAULT, OFF_CURVE, OUT_OF_RANGE, SHORT_VALUE, ZERO_KEY, LARGE_KEY, FAULTS };

struct order {
	struct crypto_job *job, *peer;
	enum fault fault;
};

static struct crypto_job *key_pair(void)
{
	struct crypto_job *job =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(curve->id), bytes_of(NULL, 0));

	assert_non_null(job);
	crypto_job_run_steps(job);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	return job;
}

static struct order make_order(enum crypto_job_kind kind, enum fault fault)
{
	struct order o = {.peer = key_pair(), .fault = fault};
	struct value value = {.len = 2 * len};

	memcpy(value.data, o.peer->public_value, value.len);
	if (fault == OFF_CURVE)
		value.data[value.len - 1] ^= 1;
	if (fault == OUT_OF_RANGE)
		memcpy(value.data + (kind == CRYPTO_KE_BOTH ? len : 0), curve->ifma->p, len);
	if (fault == SHORT_VALUE)
		value.len--;
	o.job = crypto_job_new(kind, group_of(curve->id), value_bytes(&value));
	assert_non_null(o.job);
	if (kind == CRYPTO_KE_DERIVE) {
		struct crypto_job *own = key_pair();

		if (fault == ZERO_KEY)
			memset(own->private_key.data, 0, len);
		if (fault == LARGE_KEY)
			memcpy(own->private_key.data, curve->ifma->order, len);
		assert_true(secret_copy(&o.job->private_key, secret_bytes(&own->private_key)));
		crypto_job_free(own);
	}
	return o;
}

static enum crypto_job_result expected_result(const struct order *o)
{
	if (o->fault == NO_FAULT || !job_has_peer(o->job))
		return CRYPTO_JOB_OK;
	if (o->fault < ZERO_KEY)
		return CRYPTO_JOB_BAD_PEER_VALUE;
	return o->job->kind == CRYPTO_KE_DERIVE ? CRYPTO_JOB_FAILED : CRYPTO_JOB_OK;
}

/* The secret of a private key and a public value, by libcrypto. */
static struct crypto_job *derive(const struct secret *private_key, const uint8_t *public_value)
{
	struct crypto_job *job =
		derive_job(curve->id, secret_bytes(private_key), bytes_of(public_value, 2 * len));

	crypto_job_run_steps(job);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	return job;
}

static void expect_done(const struct order *o)
{
	const struct crypto_job *job = o->job;
	struct crypto_job *theirs, *ours;

	assert_int_equal(job->result, expected_result(o));
	if (job->result != CRYPTO_JOB_OK) {
		assert_true(all_zero(job->shared.data, len));
		assert_true(!job->public_value || all_zero(job->public_value, 2 * len));
		return;
	}
	if (job->kind == CRYPTO_KE_DERIVE) {
		ours = derive(&job->private_key, o->peer->public_value);
		assert_memory_equal(ours->shared.data, job->shared.data, len);
		crypto_job_free(ours);
		return;
	}
	theirs = derive(&o->peer->private_key, job->public_value);
	if (job->kind == CRYPTO_KE_BOTH) {
		assert_memory_equal(theirs->shared.data, job->shared.data, len);
	} else {
		ours = derive(&job->private_key, o->peer->public_value);
		assert_memory_equal(theirs->shared.data, ours->shared.data, len);
		crypto_job_free(ours);
	}
	crypto_job_free(theirs);
}

/* Batches of all sizes, of one kind or mixed (kind 3), with and without what is wrong. */
static void batches(void **state)
{
	struct order orders[BATCH];
	struct crypto_job *jobs[BATCH];
	unsigned at = 0;

	(void)state;
	for (unsigned round = 0; round < 16 * BATCH; round++) {
		size_t count = 1 + round / 16;
		unsigned kind = round % 4;

		if (round % 16 == 15 || round % 16 == 0)
			use_curve(round % 16 == 15); /* fewer of the slow one */
		for (size_t i = 0; i < count; i++) {
			unsigned this_kind = kind == 3 ? at % 3 : kind;
			unsigned fault = round % 8 < 4 ? NO_FAULT : at / 3 % FAULTS;

			at += 1 + round % 3;
			orders[i] = make_order((enum crypto_job_kind)this_kind, (enum fault)fault);
			jobs[i] = orders[i].job;
		}
		crypto_job_run_batch(jobs, count);
		for (size_t i = 0; i < count; i++) {
			expect_done(&orders[i]);
			crypto_job_free(orders[i].job);
			crypto_job_free(orders[i].peer);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants),
		cmocka_unit_test(random_inputs),
		cmocka_unit_test(edges),
		cmocka_unit_test(off_the_curve_in_every_lane),
		cmocka_unit_test(lanes_are_independent),
		cmocka_unit_test(batches),
	};

	return cmocka_run_group_tests_name("ecp lanes", tests, start, stop);
}
