/* X25519 in lanes: against RFC 7748, against libcrypto, each lane for itself, and as jobs. */
#include "job_test.h"

#include <stdio.h>

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "x25519_ifma.h"

/* PLUTONIUM_LONG_TESTS in the environment: a million of what else is some thousands. */
static bool long_tests(void)
{
	return getenv("PLUTONIUM_LONG_TESTS") != NULL;
}

static void need_lanes(void)
{
	if (!cpu_has_lanes()) {
		print_message("this CPU has no AVX-512 IFMA\n");
		skip();
	}
}

struct lanes {
	uint8_t scalar[X25519_LANES][32], point[X25519_LANES][32], result[X25519_LANES + 1][32];
};

static void random_bytes(void *data, size_t len)
{
	assert_int_equal(RAND_bytes(data, (int)len), 1);
}

static void fill_lanes(struct lanes *l, struct x25519_lane lane[X25519_LANES])
{
	for (size_t i = 0; i < X25519_LANES; i++)
		lane[i] = (struct x25519_lane){l->scalar[i], l->point[i], l->result[i]};
	memset(l->result, 0xa5, sizeof(l->result));
}

static void expect_untouched(const struct lanes *l, size_t from)
{
	static const uint8_t untouched[32] = {0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5};

	for (size_t i = from; i <= X25519_LANES; i++)
		assert_memory_equal(l->result[i], untouched, 32);
}

static void multiply(struct lanes *l, size_t count)
{
	struct x25519_lane lane[X25519_LANES];

	fill_lanes(l, lane);
	x25519_ifma_multiply(lane, count);
	expect_untouched(l, count);
}

static void multiply_base(struct lanes *l, size_t count)
{
	struct x25519_lane lane[X25519_LANES];

	fill_lanes(l, lane);
	x25519_ifma_multiply_base(lane, count);
	expect_untouched(l, count);
}

/* By libcrypto; all zero when it refuses the result. */
static void expected_product(const uint8_t scalar[32], const uint8_t point[32], uint8_t out[32])
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, scalar, 32);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, 32);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
	size_t len = 32;

	assert_non_null(own);
	assert_non_null(peer);
	assert_int_equal(EVP_PKEY_derive_init(context), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer_ex(context, peer, 0), 1);
	if (EVP_PKEY_derive(context, out, &len) != 1)
		memset(out, 0, 32);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
}

static void expect_products(const struct lanes *l, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t expected[32];

		expected_product(l->scalar[i], l->point[i], expected);
		assert_memory_equal(l->result[i], expected, 32);
	}
}

static void expect_base_products(const struct lanes *l, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		EVP_PKEY *own =
			EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, l->scalar[i], 32);
		uint8_t expected[32];
		size_t len = 32;

		assert_non_null(own);
		assert_int_equal(EVP_PKEY_get_raw_public_key(own, expected, &len), 1);
		assert_memory_equal(l->result[i], expected, 32);
		EVP_PKEY_free(own);
	}
}

/* ---- RFC 7748 ------------------------------------------------------------- */

static const struct {
	const char *scalar, *point, *product;
} rfc7748[] = {
	/* section 5.2 */
	{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
	{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
	/* section 6.1 */
	{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	{"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
};
enum { VECTORS = sizeof(rfc7748) / sizeof(rfc7748[0]) };

/* Each vector in each lane of each batch size, among random others. */
static void vectors_in_every_lane(void **state)
{
	struct lanes l;

	(void)state;
	need_lanes();
	for (size_t v = 0; v < VECTORS; v++) {
		struct value scalar = from_hex(rfc7748[v].scalar);
		struct value point = from_hex(rfc7748[v].point);
		struct value product = from_hex(rfc7748[v].product);

		for (size_t count = 1; count <= X25519_LANES; count++) {
			for (size_t lane = 0; lane < count; lane++) {
				random_bytes(&l, sizeof(l));
				memcpy(l.scalar[lane], scalar.data, 32);
				memcpy(l.point[lane], point.data, 32);
				multiply(&l, count);
				assert_memory_equal(l.result[lane], product.data, 32);
			}
		}
	}
}

static void base_vectors_in_every_lane(void **state)
{
	static const char alice[] =
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
	struct value scalar = from_hex(rfc7748[2].scalar), expected = from_hex(alice);
	struct lanes l;

	(void)state;
	need_lanes();
	for (size_t count = 1; count <= X25519_LANES; count++) {
		for (size_t lane = 0; lane < count; lane++) {
			random_bytes(&l, sizeof(l));
			memcpy(l.scalar[lane], scalar.data, 32);
			multiply_base(&l, count);
			assert_memory_equal(l.result[lane], expected.data, 32);
		}
	}
}

/* Section 5.2; the million takes half a minute. */
static void iterated(void **state)
{
	static const struct {
		unsigned after;
		const char *value;
	} steps[] = {
		{1, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"},
		{1000, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"},
		{1000000, "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424"},
	};
	unsigned last = long_tests() ? 1000000 : 1000, step = 0;
	struct lanes l = {0};

	(void)state;
	need_lanes();
	for (size_t lane = 0; lane < X25519_LANES; lane++)
		l.scalar[lane][0] = l.point[lane][0] = 9;
	for (unsigned i = 1; i <= last; i++) {
		multiply(&l, X25519_LANES);
		memcpy(l.point, l.scalar, sizeof(l.point));
		memcpy(l.scalar, l.result, sizeof(l.scalar));
		if (i == steps[step].after) {
			struct value expected = from_hex(steps[step++].value);

			for (size_t lane = 0; lane < X25519_LANES; lane++)
				assert_memory_equal(l.scalar[lane], expected.data, 32);
		}
	}
	assert_int_equal(step, long_tests() ? 3 : 2);
}

/* ---- edge cases ----------------------------------------------------------- */

enum { EDGE_POINTS_MAX = 256 };

struct edges {
	uint8_t point[EDGE_POINTS_MAX][32];
	size_t count;
};

static void add_number(struct edges *e, const BIGNUM *n)
{
	assert_true(e->count + 2 <= EDGE_POINTS_MAX);
	assert_int_equal(BN_bn2lebinpad(n, e->point[e->count++], 32), 32);
	/* the top bit is masked, whatever lies below */
	memcpy(e->point[e->count], e->point[e->count - 1], 32);
	e->point[e->count++][31] |= 0x80;
}

/* Points of order 1, 2, 4 and 8, on the curve and its twist, as a peer may write them. */
static const char *const small_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p - 1 */
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p */
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 1 */
};
enum { SMALL_ORDERS = sizeof(small_order) / sizeof(small_order[0]) };

static bool is_on_twist(const BIGNUM *u, const BIGNUM *p, BN_CTX *bn)
{
	BIGNUM *t = BN_new();
	int symbol;

	/* u^3 + 486662u^2 + u is no square */
	BN_copy(t, u);
	BN_add_word(t, 486662);
	BN_mod_mul(t, t, u, p, bn);
	BN_add_word(t, 1);
	BN_mod_mul(t, t, u, p, bn);
	symbol = BN_kronecker(t, p, bn);
	BN_free(t);
	return symbol == -1;
}

static void make_edges(struct edges *e)
{
	BN_CTX *bn = BN_CTX_new();
	BIGNUM *p = BN_new(), *n = BN_new();
	size_t twist = 0;

	e->count = 0;
	BN_set_bit(p, 255);
	BN_sub_word(p, 19);
	/* up to 2^255 - 1: around p, and all that is not reduced */
	BN_copy(n, p);
	BN_sub_word(n, 20);
	for (int i = 0; i < 39; i++) {
		add_number(e, n);
		BN_add_word(n, 1);
	}
	for (BN_ULONG word = 0; word < 20; word++) {
		BN_set_word(n, word);
		add_number(e, n);
		twist += is_on_twist(n, p, bn);
	}
	assert_true(twist >= 5 && twist <= 15);
	/* ones and zeros at the borders of limbs and words */
	for (int bit = 51; bit < 255; bit += 51) {
		BN_zero(n);
		BN_set_bit(n, bit);
		add_number(e, n);
		BN_sub_word(n, 1);
		add_number(e, n);
	}
	for (int bit = 64; bit < 255; bit += 64) {
		BN_zero(n);
		BN_set_bit(n, bit);
		add_number(e, n);
		BN_sub_word(n, 1);
		add_number(e, n);
	}
	for (size_t i = 0; i < SMALL_ORDERS; i++) {
		struct value v = from_hex(small_order[i]);

		BN_lebin2bn(v.data, 32, n);
		add_number(e, n);
	}
	BN_free(p);
	BN_free(n);
	BN_CTX_free(bn);
}

/* Scalars that make carries of digits run through, or none, besides random ones. */
static void edge_scalar(unsigned i, uint8_t scalar[32])
{
	static const uint8_t patterns[] = {0x00, 0xff, 0x88, 0x77, 0x78, 0x87, 0x80, 0x08, 0x70,
		0x07, 0x7f, 0xf7, 0x8f, 0xf8, 0x01, 0x10};

	if (i < sizeof(patterns))
		memset(scalar, patterns[i], 32);
	else
		random_bytes(scalar, 32);
}

static void edge_points(void **state)
{
	static struct edges e;
	struct lanes l;
	unsigned at = 0;

	(void)state;
	need_lanes();
	make_edges(&e);
	assert_true(e.count > 150);
	for (unsigned s = 0; s < 24; s++) {
		for (size_t done = 0; done < e.count; done += X25519_LANES) {
			for (size_t lane = 0; lane < X25519_LANES; lane++) {
				edge_scalar((s + at++) % 24, l.scalar[lane]);
				memcpy(l.point[lane], e.point[(done + lane) % e.count], 32);
			}
			multiply(&l, X25519_LANES);
			expect_products(&l, X25519_LANES);
		}
	}
}

static void edge_scalars_of_the_base(void **state)
{
	struct lanes l;

	(void)state;
	need_lanes();
	for (unsigned s = 0; s < 64; s++) {
		for (unsigned lane = 0; lane < X25519_LANES; lane++)
			edge_scalar((s + 3 * lane) % 24, l.scalar[lane]);
		multiply_base(&l, X25519_LANES);
		expect_base_products(&l, X25519_LANES);
	}
	/* every digit in every place */
	for (unsigned digit = 0; digit < 16; digit++) {
		for (unsigned place = 0; place < 64; place++) {
			unsigned lane = (digit + place) % X25519_LANES;

			random_bytes(l.scalar, sizeof(l.scalar));
			l.scalar[lane][place / 2] &= (uint8_t)(place % 2 ? 0x0f : 0xf0);
			l.scalar[lane][place / 2] |= (uint8_t)(place % 2 ? digit << 4 : digit);
			multiply_base(&l, X25519_LANES);
			expect_base_products(&l, X25519_LANES);
		}
	}
}

/* The lane of a point of small order is zero, and it alone. */
static void small_order_in_every_lane(void **state)
{
	struct lanes l;

	(void)state;
	need_lanes();
	for (size_t i = 0; i < SMALL_ORDERS; i++) {
		struct value v = from_hex(small_order[i]);

		for (size_t bad = 0; bad < X25519_LANES; bad++) {
			random_bytes(&l, sizeof(l));
			memcpy(l.point[bad], v.data, 32);
			multiply(&l, X25519_LANES);
			for (size_t lane = 0; lane < X25519_LANES; lane++)
				assert_int_equal(all_zero(l.result[lane], 32), lane == bad);
		}
	}
}

static void result_may_lie_on_the_input(void **state)
{
	struct lanes l, kept;
	struct x25519_lane lane[X25519_LANES];

	(void)state;
	need_lanes();
	random_bytes(&l, sizeof(l));
	kept = l;
	for (size_t i = 0; i < X25519_LANES; i++)
		lane[i] = (struct x25519_lane){
			l.scalar[i], l.point[i], i % 2 ? l.scalar[i] : l.point[i]};
	x25519_ifma_multiply(lane, X25519_LANES);
	for (size_t i = 0; i < X25519_LANES; i++)
		memcpy(kept.result[i], i % 2 ? l.scalar[i] : l.point[i], 32);
	expect_products(&kept, X25519_LANES);
}

/* ---- random --------------------------------------------------------------- */

static void random_inputs(void **state)
{
	size_t wanted = long_tests() ? 1000000 : 10000, done = 0;
	struct lanes l;

	(void)state;
	need_lanes();
	for (size_t round = 0; done < wanted; round++) {
		size_t count = round % 4 ? X25519_LANES : 1 + round / 4 % X25519_LANES;

		random_bytes(&l, sizeof(l));
		multiply(&l, count);
		expect_products(&l, count);
		multiply_base(&l, count);
		expect_base_products(&l, count);
		done += count;
	}
}

/* What is in other lanes, or in none, changes nothing. */
static void lanes_are_independent(void **state)
{
	struct lanes first, second;

	(void)state;
	need_lanes();
	for (unsigned round = 0; round < 200; round++) {
		size_t changed = round % X25519_LANES, count = 1 + round / 8 % X25519_LANES;

		random_bytes(&first, sizeof(first));
		second = first;
		random_bytes(second.scalar[changed], 32);
		random_bytes(second.point[changed], 32);
		multiply(&first, X25519_LANES);
		multiply(&second, X25519_LANES);
		for (size_t lane = 0; lane < X25519_LANES; lane++)
			assert_int_equal(memcmp(first.result[lane], second.result[lane], 32) == 0,
				lane != changed);
		multiply(&second, count);
		for (size_t lane = 0; lane < count; lane++)
			assert_int_equal(memcmp(first.result[lane], second.result[lane], 32) == 0,
				lane != changed);
	}
}

/* ---- jobs ----------------------------------------------------------------- */

enum { BATCH = 20 };

/* A key pair of libcrypto, for the other side of an exchange. */
static struct crypto_job *key_pair(void)
{
	struct crypto_job *job =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(KE_CURVE25519), bytes_of(NULL, 0));

	assert_non_null(job);
	crypto_job_run_steps(job);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	return job;
}

enum fault { NO_FAULT, SMALL_ORDER, SHORT_VALUE, SHORT_KEY };

struct order {
	struct crypto_job *job, *peer;
	enum fault fault;
};

static struct order make_order(enum crypto_job_kind kind, enum fault fault)
{
	struct order o = {.peer = key_pair(), .fault = fault};
	struct value point = {.len = fault == SHORT_VALUE ? 31 : 32};
	struct crypto_job *own;

	if (fault == NO_FAULT || fault == SHORT_KEY)
		memcpy(point.data, o.peer->public_value, 32);
	o.job = crypto_job_new(kind, group_of(KE_CURVE25519), value_bytes(&point));
	assert_non_null(o.job);
	if (kind == CRYPTO_KE_DERIVE) {
		own = key_pair();
		if (fault == SHORT_KEY)
			own->private_key.len--;
		assert_true(secret_copy(&o.job->private_key, secret_bytes(&own->private_key)));
		crypto_job_free(own);
	}
	return o;
}

static void expect_agreement(
	const struct secret *private_key, const uint8_t *public_value, const struct secret *shared)
{
	struct crypto_job *derive =
		derive_job(KE_CURVE25519, secret_bytes(private_key), bytes_of(public_value, 32));

	crypto_job_run_steps(derive);
	assert_int_equal(derive->result, CRYPTO_JOB_OK);
	assert_memory_equal(derive->shared.data, shared->data, 32);
	crypto_job_free(derive);
}

static void expect_done(const struct order *o)
{
	const struct crypto_job *job = o->job;
	struct crypto_job *derive;

	if (o->fault != NO_FAULT && job_has_peer(job) &&
		!(o->fault == SHORT_KEY && job->kind == CRYPTO_KE_BOTH)) {
		assert_int_equal(job->result,
			o->fault == SHORT_KEY ? CRYPTO_JOB_FAILED : CRYPTO_JOB_BAD_PEER_VALUE);
		assert_true(all_zero(job->shared.data, 32));
		assert_true(!job->public_value || all_zero(job->public_value, 32));
		return;
	}
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	switch (job->kind) {
	case CRYPTO_KE_GENERATE:
		assert_memory_equal(job->private_key.data + 32, job->public_value, 32);
		derive = derive_job(KE_CURVE25519, secret_bytes(&job->private_key),
			bytes_of(o->peer->public_value, 32));
		crypto_job_run_steps(derive);
		assert_int_equal(derive->result, CRYPTO_JOB_OK);
		expect_agreement(&o->peer->private_key, job->public_value, &derive->shared);
		crypto_job_free(derive);
		break;
	case CRYPTO_KE_DERIVE:
		expect_agreement(&job->private_key, o->peer->public_value, &job->shared);
		break;
	case CRYPTO_KE_BOTH:
		expect_agreement(&o->peer->private_key, job->public_value, &job->shared);
		break;
	default:
		fail();
	}
}

/* Batches of all sizes, of one kind or mixed (kind 3), with and without what is wrong. */
static void batches(void **state)
{
	struct order orders[BATCH];
	struct crypto_job *jobs[BATCH];
	unsigned at = 0;

	(void)state;
	for (unsigned round = 0; round < 8 * BATCH; round++) {
		size_t count = 1 + round / 8;
		unsigned kind = round % 4;

		for (size_t i = 0; i < count; i++) {
			unsigned this_kind = kind == 3 ? at % 3 : kind;
			unsigned fault = round % 8 < 4 ? NO_FAULT : at / 3 % 4;

			at += 1 + round % 3;
			orders[i] = make_order((enum crypto_job_kind)this_kind, (enum fault)fault);
			jobs[i] = orders[i].job;
		}
		crypto_job_run_batch(jobs, count);
		for (size_t i = 0; i < count; i++) {
			expect_done(&orders[i]);
			for (size_t k = 0; k < i; k++) {
				if (jobs[i]->result == CRYPTO_JOB_OK && jobs[i]->public_value &&
					jobs[k]->public_value)
					assert_memory_not_equal(
						jobs[i]->public_value, jobs[k]->public_value, 32);
			}
		}
		for (size_t i = 0; i < count; i++) {
			crypto_job_free(orders[i].job);
			crypto_job_free(orders[i].peer);
		}
	}
}

/* Of eight jobs one is bad: the others lose nothing, and run together. */
static void a_bad_job_does_not_part_a_batch(void **state)
{
	struct order orders[X25519_LANES + 1];
	struct crypto_job *jobs[X25519_LANES + 1];

	(void)state;
	need_lanes();
	for (size_t i = 0; i <= X25519_LANES; i++) {
		orders[i] = make_order(CRYPTO_KE_BOTH, i == 4 ? SHORT_VALUE : NO_FAULT);
		jobs[i] = orders[i].job;
	}
	assert_int_equal(crypto_jobs_gather(jobs, X25519_LANES + 1), X25519_LANES);
	assert_int_equal(crypto_jobs_run_front(jobs, X25519_LANES), X25519_LANES);
	crypto_job_run(jobs[X25519_LANES]);
	for (size_t i = 0; i <= X25519_LANES; i++) {
		expect_done(&orders[i]);
		crypto_job_free(orders[i].job);
		crypto_job_free(orders[i].peer);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_in_every_lane),
		cmocka_unit_test(base_vectors_in_every_lane),
		cmocka_unit_test(iterated),
		cmocka_unit_test(edge_points),
		cmocka_unit_test(edge_scalars_of_the_base),
		cmocka_unit_test(small_order_in_every_lane),
		cmocka_unit_test(result_may_lie_on_the_input),
		cmocka_unit_test(random_inputs),
		cmocka_unit_test(lanes_are_independent),
		cmocka_unit_test(batches),
		cmocka_unit_test(a_bad_job_does_not_part_a_batch),
	};

	return cmocka_run_group_tests_name("x25519 lanes", tests, NULL, NULL);
}
