/* Values that a hostile peer may send (RFC 6989, RFC 7748 section 6.1), and exchanges of ours. */
#include "job_test.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "modp_group.h"

static void expect_result(
	uint16_t id, enum crypto_job_kind kind, struct bytes peer, enum crypto_job_result expected)
{
	struct crypto_job *job = crypto_job_new(kind, group_of(id), peer);

	assert_non_null(job);
	if (kind == CRYPTO_KE_DERIVE) {
		struct crypto_job *own =
			crypto_job_new(CRYPTO_KE_GENERATE, group_of(id), bytes_of(NULL, 0));

		assert_non_null(own);
		crypto_job_run(own);
		assert_int_equal(own->result, CRYPTO_JOB_OK);
		job->private_key = own->private_key;
		own->private_key = (struct secret){0};
		crypto_job_free(own);
	}
	crypto_job_run(job);
	assert_int_equal(job->result, expected);
	assert_int_equal(all_zero(job->shared.data, job->shared.len), expected != CRYPTO_JOB_OK);
	if (job->public_value)
		assert_int_equal(
			all_zero(job->public_value, job->public_len), expected != CRYPTO_JOB_OK);
	crypto_job_free(job);
}

static void expect_peer(uint16_t id, struct bytes peer, enum crypto_job_result expected)
{
	expect_result(id, CRYPTO_KE_DERIVE, peer, expected);
	expect_result(id, CRYPTO_KE_BOTH, peer, expected);
}

static void expect_bad(uint16_t id, const struct value *peer)
{
	expect_peer(id, value_bytes(peer), CRYPTO_JOB_BAD_PEER_VALUE);
}

static void expect_good(uint16_t id, const struct value *peer)
{
	expect_peer(id, value_bytes(peer), CRYPTO_JOB_OK);
}

static struct value our_public(uint16_t id)
{
	struct crypto_job *job =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(id), bytes_of(NULL, 0));
	struct value v = {0};

	assert_non_null(job);
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	v.len = job->public_len;
	memcpy(v.data, job->public_value, v.len);
	crypto_job_free(job);
	return v;
}

static struct value of_bn(const BIGNUM *n, size_t len)
{
	struct value v = {.len = len};

	assert_int_equal(BN_bn2binpad(n, v.data, (int)len), (int)len);
	return v;
}

/* ---- all groups ------------------------------------------------------------- */

static void lengths_agree_with_the_algorithm_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		const struct algorithm *group = group_of(all_groups[i]);
		const struct key_exchange *ke = key_exchange_by_id(all_groups[i]);

		assert_non_null(ke);
		assert_int_equal(ke->public_len, group->public_len);
		assert_int_equal(ke->shared_len, group->shared_len);
		assert_true(ke->private_len <= KE_PRIVATE_LEN_MAX);
		assert_true(ke->public_len <= KE_PUBLIC_MAX);
	}
	/* ... and the table knows no method more than we do */
	for (size_t i = 0; algorithm_at(TRANSFORM_KE, i); i++) {
		uint16_t id = algorithm_at(TRANSFORM_KE, i)->id;

		assert_int_equal(key_exchange_by_id(id) != NULL, id != KE_NONE);
	}
}

static void wrong_lengths(void **state)
{
	uint8_t data[2 * KE_PUBLIC_MAX];

	(void)state;
	memset(data, 2, sizeof(data));
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		size_t len = key_exchange_by_id(all_groups[i])->public_len;
		size_t wrong[] = {0, 1, len - 1, len + 1, len / 2, 2 * len};

		for (size_t w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++)
			expect_result(all_groups[i], CRYPTO_KE_BOTH, bytes_of(data, wrong[w]),
				CRYPTO_JOB_BAD_PEER_VALUE);
	}
	/* the uncompressed form of SEC 1 has one byte too many */
	struct value v = our_public(KE_ECP_256);
	memmove(v.data + 1, v.data, v.len);
	v.data[0] = 4;
	v.len++;
	expect_bad(KE_ECP_256, &v);
}

/* One side generates and later derives, the other does both in one go. */
static void both_sides_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		const struct algorithm *group = group_of(all_groups[i]);
		struct crypto_job *a, *b, *c;

		a = crypto_job_new(CRYPTO_KE_GENERATE, group, bytes_of(NULL, 0));
		crypto_job_run(a);
		assert_int_equal(a->result, CRYPTO_JOB_OK);
		b = crypto_job_new(CRYPTO_KE_BOTH, group, bytes_of(a->public_value, a->public_len));
		crypto_job_run(b);
		assert_int_equal(b->result, CRYPTO_JOB_OK);
		c = derive_job(all_groups[i], secret_bytes(&a->private_key),
			bytes_of(b->public_value, b->public_len));
		crypto_job_run(c);
		assert_int_equal(c->result, CRYPTO_JOB_OK);
		assert_int_equal(b->shared.len, group->shared_len);
		assert_int_equal(c->shared.len, group->shared_len);
		assert_memory_equal(b->shared.data, c->shared.data, group->shared_len);
		assert_false(all_zero(b->shared.data, b->shared.len));
		crypto_job_free(a);
		crypto_job_free(b);
		crypto_job_free(c);
	}
}

static void two_keys_differ(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		struct value a = our_public(all_groups[i]), b = our_public(all_groups[i]);

		assert_memory_not_equal(a.data, b.data, a.len);
	}
}

static void unusable_jobs(void **state)
{
	const struct algorithm *none = group_of(KE_NONE);
	struct value peer = our_public(KE_ECP_256);
	struct crypto_job *job;

	(void)state;
	assert_null(crypto_job_new(CRYPTO_KE_BOTH, NULL, value_bytes(&peer)));
	assert_null(crypto_job_new(CRYPTO_KE_BOTH, none, value_bytes(&peer)));
	assert_null(crypto_job_new(CRYPTO_KE_BOTH,
		algorithm_by_id(TRANSFORM_PRF, PRF_HMAC_SHA2_256), value_bytes(&peer)));
	assert_null(
		crypto_job_new((enum crypto_job_kind)7, group_of(KE_ECP_256), value_bytes(&peer)));
	/* no private key, a short one, zero, and one past the order */
	job = crypto_job_new(CRYPTO_KE_DERIVE, group_of(KE_ECP_256), value_bytes(&peer));
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_FAILED);
	assert_true(secret_new(&job->private_key, 31));
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_FAILED);
	secret_release(&job->private_key);
	assert_true(secret_new(&job->private_key, 32));
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_FAILED);
	memset(job->private_key.data, 0xff, 32);
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_FAILED);
	crypto_job_free(job);
	crypto_job_free(NULL);
}

/* ---- MODP ------------------------------------------------------------------- */

static void modp_range(void **state)
{
	BIGNUM *n = BN_new();

	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		const struct key_exchange *ke = key_exchange_by_id(all_groups[i]);
		const struct modp_group *group;
		struct value v;

		if (ke->method != &modp_method)
			continue;
		group = modp_group_get(ke->index);
		for (unsigned word = 0; word <= 1; word++) {
			BN_set_word(n, word);
			v = of_bn(n, ke->public_len);
			expect_bad(ke->id, &v);
		}
		BN_copy(n, group->p);
		BN_sub_word(n, 1);
		for (int k = 0; k < 4; k++) { /* p - 1 ... p + 2 */
			v = of_bn(n, ke->public_len);
			expect_bad(ke->id, &v);
			BN_add_word(n, 1);
		}
		memset(v.data, 0xff, v.len);
		expect_bad(ke->id, &v);
		/* the ends of the range: of no subgroup, so only for the safe primes */
		BN_set_word(n, 2);
		v = of_bn(n, ke->public_len);
		if (!group->q)
			expect_good(ke->id, &v);
		else
			expect_bad(ke->id, &v);
		BN_sub(n, group->p, BN_value_one());
		BN_sub_word(n, 1);
		v = of_bn(n, ke->public_len);
		if (!group->q)
			expect_good(ke->id, &v);
		else
			expect_bad(ke->id, &v);
	}
	BN_free(n);
}

/* Elements of order 2q, and of small order in the cofactor's group. */
static void modp_subgroup(void **state)
{
	static const uint16_t ids[] = {KE_MODP1024_160, KE_MODP2048_224, KE_MODP2048_256};
	BN_CTX *bn = BN_CTX_new();
	BIGNUM *n = BN_new(), *cofactor = BN_new(), *rem = BN_new();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct key_exchange *ke = key_exchange_by_id(ids[i]);
		const struct modp_group *group = modp_group_get(ke->index);
		struct value v = our_public(ids[i]);

		expect_good(ids[i], &v);
		BN_bin2bn(v.data, (int)v.len, n);
		BN_sub(n, group->p, n);
		v = of_bn(n, ke->public_len);
		expect_bad(ids[i], &v);
		/* 3^q has an order that divides the cofactor: an attack's typical value */
		BN_set_word(n, 3);
		BN_mod_exp(n, n, group->q, group->p, bn);
		assert_false(BN_is_one(n));
		v = of_bn(n, ke->public_len);
		expect_bad(ids[i], &v);
		/* 3^cofactor lies in the subgroup */
		assert_true(BN_div(cofactor, rem, group->p_minus_1, group->q, bn));
		assert_true(BN_is_zero(rem));
		BN_set_word(n, 3);
		BN_mod_exp(n, n, cofactor, group->p, bn);
		v = of_bn(n, ke->public_len);
		expect_good(ids[i], &v);
	}
	BN_free(n);
	BN_free(cofactor);
	BN_free(rem);
	BN_CTX_free(bn);
}

/* The window method against plain exponentiation, many random exponents. */
static void modp_public_is_g_to_the_x(void **state)
{
	static const uint16_t subgroup_ids[] = {KE_MODP1024_160, KE_MODP2048_224, KE_MODP2048_256};
	BN_CTX *bn = BN_CTX_new();
	BIGNUM *x = BN_new(), *y = BN_new(), *g = BN_new();

	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		const struct key_exchange *ke = key_exchange_by_id(all_groups[i]);
		const struct modp_group *group;
		bool safe = true;

		if (ke->method != &modp_method)
			continue;
		group = modp_group_get(ke->index);
		for (size_t k = 0; k < 3; k++)
			safe = safe && ke->id != subgroup_ids[k];
		assert_int_equal(safe, group->q == NULL);
		assert_non_null(BN_copy(g, group->generator));
		if (safe)
			assert_true(BN_is_word(g, 2));
		for (int round = 0; round < (ke->public_len > 512 ? 2 : 12); round++) {
			struct crypto_job *job = crypto_job_new(
				CRYPTO_KE_GENERATE, group_of(ke->id), bytes_of(NULL, 0));
			struct value v;

			crypto_job_run(job);
			assert_int_equal(job->result, CRYPTO_JOB_OK);
			BN_bin2bn(job->private_key.data, (int)job->private_key.len, x);
			assert_true(BN_num_bits(x) <= (int)group->exponent_bits);
			if (group->q)
				assert_true(BN_cmp(x, group->q) < 0);
			BN_mod_exp(y, g, x, group->p, bn);
			v = of_bn(y, ke->public_len);
			assert_memory_equal(job->public_value, v.data, v.len);
			crypto_job_free(job);
		}
	}
	BN_free(x);
	BN_free(y);
	BN_free(g);
	BN_CTX_free(bn);
}

/* A shared secret with zeros in front keeps its length (RFC 7296, section 2.14). */
static void modp_shared_is_left_padded(void **state)
{
	struct value peer = {.len = 256}, one = {.len = 32};
	struct crypto_job *job;

	(void)state;
	peer.data[255] = 3;
	one.data[31] = 5;
	job = derive_job(KE_MODP2048, value_bytes(&one), value_bytes(&peer));
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	assert_int_equal(job->shared.len, 256);
	assert_true(all_zero(job->shared.data, 255));
	assert_int_equal(job->shared.data[255], 3 * 3 * 3 * 3 * 3);
	crypto_job_free(job);
}

/* ---- ECP -------------------------------------------------------------------- */

static void ecp_values(void **state)
{
	static const struct {
		uint16_t id;
		int nid;
	} curves[] = {{KE_ECP_256, NID_X9_62_prime256v1}, {KE_ECP_384, NID_secp384r1},
		{KE_ECP_521, NID_secp521r1}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		EC_GROUP *curve = EC_GROUP_new_by_curve_name(curves[i].nid);
		const BIGNUM *p = EC_GROUP_get0_field(curve);
		struct value good = our_public(curves[i].id), v;
		size_t half = good.len / 2;
		BIGNUM *n = BN_new();

		expect_good(curves[i].id, &good);
		/* -P is on the curve */
		v = good;
		BN_bin2bn(good.data + half, (int)half, n);
		BN_sub(n, p, n);
		BN_bn2binpad(n, v.data + half, (int)half);
		expect_good(curves[i].id, &v);
		/* infinity's usual stand-in */
		memset(v.data, 0, v.len);
		expect_bad(curves[i].id, &v);
		memset(v.data, 0xff, v.len);
		expect_bad(curves[i].id, &v);
		/* off the curve, by one bit in either coordinate */
		for (size_t at = 0; at < 2; at++) {
			v = good;
			v.data[half * (at + 1) - 1] ^= 1;
			expect_bad(curves[i].id, &v);
		}
		/* x = p, y = p, and swapped coordinates */
		v = good;
		BN_bn2binpad(p, v.data, (int)half);
		expect_bad(curves[i].id, &v);
		v = good;
		BN_bn2binpad(p, v.data + half, (int)half);
		expect_bad(curves[i].id, &v);
		memcpy(v.data, good.data + half, half);
		memcpy(v.data + half, good.data, half);
		expect_bad(curves[i].id, &v);
		BN_free(n);
		EC_GROUP_free(curve);
	}
}

/* A point of the curve whose coordinates are not reduced: 66 bytes have room for x + p. */
static void ecp_521_not_reduced(void **state)
{
	EC_GROUP *curve = EC_GROUP_new_by_curve_name(NID_secp521r1);
	struct value good = our_public(KE_ECP_521), v;
	BIGNUM *n = BN_new();

	(void)state;
	for (size_t at = 0; at < 132; at += 66) {
		v = good;
		BN_bin2bn(v.data + at, 66, n);
		BN_add(n, n, EC_GROUP_get0_field(curve));
		assert_int_equal(BN_bn2binpad(n, v.data + at, 66), 66);
		expect_bad(KE_ECP_521, &v);
	}
	BN_free(n);
	EC_GROUP_free(curve);
}

/* y with x = 0 exists on P-256 (b is a square): small x, full-size checks. */
static void ecp_256_x_zero_and_x_p(void **state)
{
	EC_GROUP *curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *point = EC_POINT_new(curve);
	BIGNUM *x = BN_new(), *y = BN_new();
	struct value v = {.len = 64};

	(void)state;
	BN_zero(x);
	assert_true(EC_POINT_set_compressed_coordinates(curve, point, x, 0, NULL));
	assert_true(EC_POINT_get_affine_coordinates(curve, point, x, y, NULL));
	BN_bn2binpad(x, v.data, 32);
	BN_bn2binpad(y, v.data + 32, 32);
	expect_good(KE_ECP_256, &v);
	/* the same point, written as x = p */
	BN_bn2binpad(EC_GROUP_get0_field(curve), v.data, 32);
	expect_bad(KE_ECP_256, &v);
	BN_free(x);
	BN_free(y);
	EC_POINT_free(point);
	EC_GROUP_free(curve);
}

/* ---- Curve25519 ---------------------------------------------------------------- */

static void x25519_small_order(void **state)
{
	static const char *const values[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p - 1 */
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p */
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 1 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct value v = from_hex(values[i]);

		expect_bad(KE_CURVE25519, &v);
		v.data[31] |= 0x80; /* masked, so the same */
		expect_bad(KE_CURVE25519, &v);
	}
}

/* RFC 7748, section 5: values that are not canonical are accepted, reduced. */
static void x25519_not_canonical(void **state)
{
	static const char nine[] =
		"0900000000000000000000000000000000000000000000000000000000000000";
	static const char nine_and_p[] =
		"f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
	struct value peers[3] = {from_hex(nine), from_hex(nine_and_p), from_hex(nine)};
	struct crypto_job *own =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(KE_CURVE25519), bytes_of(NULL, 0));

	(void)state;
	peers[2].data[31] |= 0x80;
	crypto_job_run(own);
	assert_int_equal(own->result, CRYPTO_JOB_OK);
	for (size_t i = 0; i < 3; i++) {
		struct crypto_job *job = derive_job(
			KE_CURVE25519, secret_bytes(&own->private_key), value_bytes(&peers[i]));

		crypto_job_run(job);
		assert_int_equal(job->result, CRYPTO_JOB_OK);
		/* 9 is the base point: the result is our public value */
		assert_memory_equal(job->shared.data, own->public_value, 32);
		crypto_job_free(job);
	}
	crypto_job_free(own);
}

/* ---- batches ------------------------------------------------------------------- */

/* Mixed groups, kinds and bad values in one batch: each job gets its own result. */
static void batch_of_all(void **state)
{
	enum { EACH = 3, JOBS = (ALL_GROUPS - 1) * EACH };
	struct crypto_job *jobs[JOBS], *original[JOBS];
	size_t n = 0;

	(void)state;
	for (size_t round = 0; round < EACH; round++) {
		for (size_t i = 0; i < ALL_GROUPS; i++) {
			uint16_t id = all_groups[i];
			struct value peer;

			if (id == KE_MODP8192)
				continue;
			if (round == 1)
				peer = (struct value){.len = group_of(id)->public_len};
			else
				peer = our_public(id);
			jobs[n] = crypto_job_new(round == 2 ? CRYPTO_KE_GENERATE : CRYPTO_KE_BOTH,
				group_of(id), value_bytes(&peer));
			jobs[n]->tag = round;
			original[n] = jobs[n];
			n++;
		}
	}
	assert_int_equal(n, JOBS);
	crypto_job_run_batch(jobs, n);
	for (size_t i = 0; i < n; i++) {
		size_t seen = 0;

		assert_int_equal(original[i]->result,
			original[i]->tag == 1 ? CRYPTO_JOB_BAD_PEER_VALUE : CRYPTO_JOB_OK);
		for (size_t k = 0; k < n; k++)
			seen += jobs[k] == original[i];
		assert_int_equal(seen, 1);
	}
	for (size_t i = 0; i < n; i++)
		crypto_job_free(original[i]);
	crypto_job_run_batch(NULL, 0);
}

static void gather_keeps_order(void **state)
{
	static const uint16_t ids[] = {
		KE_ECP_256, KE_CURVE25519, KE_ECP_256, KE_ECP_384, KE_ECP_256, KE_CURVE25519};
	struct value peer = our_public(KE_ECP_256);
	struct crypto_job *jobs[6];
	static const uint64_t expected[] = {0, 2, 4, 1, 3, 5};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		jobs[i] = crypto_job_new(CRYPTO_KE_BOTH, group_of(ids[i]), value_bytes(&peer));
		jobs[i]->tag = i;
	}
	assert_int_equal(crypto_jobs_gather(jobs, 6), 3);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(jobs[i]->tag, expected[i]);
	assert_int_equal(crypto_jobs_gather(jobs + 3, 3), 2);
	assert_int_equal(jobs[4]->tag, 5);
	for (size_t i = 0; i < 6; i++)
		crypto_job_free(jobs[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_agree_with_the_algorithm_table),
		cmocka_unit_test(wrong_lengths),
		cmocka_unit_test(both_sides_agree),
		cmocka_unit_test(two_keys_differ),
		cmocka_unit_test(unusable_jobs),
		cmocka_unit_test(modp_range),
		cmocka_unit_test(modp_subgroup),
		cmocka_unit_test(modp_public_is_g_to_the_x),
		cmocka_unit_test(modp_shared_is_left_padded),
		cmocka_unit_test(ecp_values),
		cmocka_unit_test(ecp_521_not_reduced),
		cmocka_unit_test(ecp_256_x_zero_and_x_p),
		cmocka_unit_test(x25519_small_order),
		cmocka_unit_test(x25519_not_canonical),
		cmocka_unit_test(batch_of_all),
		cmocka_unit_test(gather_keeps_order),
	};

	return cmocka_run_group_tests_name("peer values", tests, NULL, NULL);
}
