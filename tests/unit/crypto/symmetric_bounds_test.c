/* What no caller may pass, the longest input, and what stays in memory afterwards. */
#include "symmetric_fixture.h"

#include <stdlib.h>

static uint8_t big[SYMMETRIC_INPUT_MAX + 1];

static struct encr_request gcm_request(uint8_t *data, size_t len, uint8_t *icv)
{
	static uint8_t keymat[20], iv[8];

	random_fill(keymat, sizeof(keymat));
	return (struct encr_request){.encr = known(TRANSFORM_ENCR, ENCR_AES_GCM_16),
		.key_bits = 128,
		.keymat = bytes_of(keymat, sizeof(keymat)),
		.iv = bytes_of(iv, sizeof(iv)),
		.data = data,
		.len = len,
		.icv = icv};
}

static void misfit_requests_are_refused_untouched(void **state)
{
	struct crypto_context *context = crypto_context_new();
	uint8_t data[64], before[64], icv[16];
	const struct encr_request good = gcm_request(data, sizeof(data), icv);
	struct encr_request bad[10];
	size_t count = 0;

	(void)state;
	random_fill(data, sizeof(data));
	memcpy(before, data, sizeof(data));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = good;
	bad[count++].key_bits = 256;
	bad[count++].key_bits = 0;
	bad[count++].keymat.len = 19;
	bad[count++].keymat.len = 21;
	bad[count++].iv.len = 7;
	bad[count++].iv.len = 12;
	bad[count++].icv = NULL;
	bad[count++].encr = known(TRANSFORM_PRF, PRF_HMAC_SHA1);
	bad[count++].len = ENCR_DATA_MAX + 1;
	bad[count++].aad.len = SYMMETRIC_INPUT_MAX + 1;
	assert_int_equal(count, sizeof(bad) / sizeof(bad[0]));
	for (size_t i = 0; i < count; i++) {
		assert_false(encr_seal(context, &bad[i]));
		assert_false(encr_open(context, &bad[i]));
		assert_memory_equal(data, before, sizeof(data));
	}
	assert_true(encr_seal(context, &good));
	assert_true(encr_open(context, &good));
	assert_memory_equal(data, before, sizeof(data));
	crypto_context_free(context);
}

static void a_part_of_a_block_and_an_icv_without_aead_are_refused(void **state)
{
	struct crypto_context *context = crypto_context_new();
	uint8_t data[32] = {0}, keymat[32] = {0}, iv[16] = {0}, icv[16];
	struct encr_request cbc = {.encr = known(TRANSFORM_ENCR, ENCR_AES_CBC),
		.key_bits = 256,
		.keymat = bytes_of(keymat, 32),
		.iv = bytes_of(iv, 16),
		.data = data,
		.len = 31};
	struct encr_request des = {.encr = known(TRANSFORM_ENCR, ENCR_3DES),
		.keymat = bytes_of(keymat, 24),
		.iv = bytes_of(iv, 8),
		.data = data,
		.len = 12};

	(void)state;
	assert_false(encr_seal(context, &cbc));
	assert_false(encr_open(context, &cbc));
	assert_false(encr_seal(context, &des));
	cbc.len = des.len = 32;
	assert_true(encr_seal(context, &cbc));
	assert_true(encr_seal(context, &des));
	cbc.icv = icv;
	assert_false(encr_seal(context, &cbc));
	cbc.icv = NULL;
	cbc.aad = bytes_of(iv, 4);
	assert_false(encr_seal(context, &cbc));
	crypto_context_free(context);
}

static void wrong_kinds_keys_and_numbers_of_parts_are_refused(void **state)
{
	struct crypto_context *context = crypto_context_new();
	const struct algorithm *sha1 = known(TRANSFORM_PRF, PRF_HMAC_SHA1);
	const struct algorithm *integ = known(TRANSFORM_INTEG, INTEG_HMAC_SHA1_96);
	uint8_t key[21] = {0}, out[64];
	struct bytes parts[SYMMETRIC_PARTS_MAX + 1] = {0};

	(void)state;
	assert_false(prf(context, integ, bytes_of(key, 20), parts, 1, out));
	assert_false(prf_plus(context, integ, bytes_of(key, 20), parts, 1, out, 20));
	assert_false(integ_compute(context, sha1, bytes_of(key, 20), parts, 1, out));
	assert_false(integ_compute(
		context, known(TRANSFORM_INTEG, INTEG_NONE), bytes_of(key, 0), parts, 1, out));
	assert_false(integ_compute(context, integ, bytes_of(key, 19), parts, 1, out));
	assert_false(integ_compute(context, integ, bytes_of(key, 21), parts, 1, out));
	assert_false(prf(context, sha1, bytes_of(key, 20), parts, SYMMETRIC_PARTS_MAX + 1, out));
	assert_false(hash_sha1(context, parts, SYMMETRIC_PARTS_MAX + 1, out));
	assert_true(prf(context, sha1, bytes_of(key, 20), parts, SYMMETRIC_PARTS_MAX, out));
	assert_true(prf(context, sha1, bytes_of(key, 20), NULL, 0, out));
	assert_true(integ_compute(context, integ, bytes_of(key, 20), parts, 1, out));
	crypto_context_free(context);
}

static void prf_plus_ends_after_255_outputs(void **state)
{
	struct crypto_context *context = crypto_context_new();
	const struct algorithm *alg = known(TRANSFORM_PRF, PRF_AES128_XCBC);
	uint8_t out[255 * 16 + 1];
	struct bytes seed = bytes_of("seed", 4);

	(void)state;
	assert_true(prf_plus(context, alg, seed, &seed, 1, out, 255 * 16));
	assert_false(prf_plus(context, alg, seed, &seed, 1, out, 255 * 16 + 1));
	assert_true(prf_plus(context, alg, seed, &seed, 1, out, 0));
	crypto_context_free(context);
}

static void run_longest_data(struct crypto_context *context, const struct algorithm *encr)
{
	uint8_t keymat[ENCR_KEYMAT_MAX] = {0}, iv[16] = {0}, icv[16];
	uint16_t bits = encr->key_bits[0];
	struct encr_request r = {.encr = encr,
		.key_bits = bits,
		.keymat = bytes_of(keymat, algorithm_encr_keymat_len(encr, bits)),
		.iv = bytes_of(iv, encr->iv_len),
		.data = big,
		.len = ENCR_DATA_MAX,
		.icv = encr->aead ? icv : NULL};
	uint8_t *before = malloc(ENCR_DATA_MAX);

	assert_non_null(before);
	memcpy(before, big, ENCR_DATA_MAX);
	assert_true(encr_seal(context, &r));
	assert_true(encr_open(context, &r));
	assert_memory_equal(big, before, ENCR_DATA_MAX);
	free(before);
	r.len += encr->block_len;
	assert_false(encr_seal(context, &r));
}

static void run_longest(struct crypto_context *context)
{
	struct bytes longest[2] = {bytes_of(big, 1), bytes_of(big, SYMMETRIC_INPUT_MAX - 1)};
	struct bytes too_long[2] = {bytes_of(big, 1), bytes_of(big, SYMMETRIC_INPUT_MAX)};
	struct bytes overflow[2] = {bytes_of(big, 2), bytes_of(big, SIZE_MAX)};
	uint8_t key[64] = {0}, out[PRF_OUTPUT_MAX];
	const struct algorithm *alg;

	for (size_t i = 0; (alg = algorithm_at(TRANSFORM_PRF, i)) != NULL; i++) {
		struct bytes k = bytes_of(key, alg->key_len);

		assert_true(prf(context, alg, k, longest, 2, out));
		assert_true(prf_plus(context, alg, k, longest, 2, out, alg->output_len));
		assert_true(prf(context, alg, bytes_of(big, SYMMETRIC_INPUT_MAX), NULL, 0, out));
		assert_false(
			prf(context, alg, bytes_of(big, SYMMETRIC_INPUT_MAX + 1), NULL, 0, out));
		assert_false(prf(context, alg, k, too_long, 2, out));
		assert_false(prf(context, alg, k, overflow, 2, out));
		assert_false(prf_plus(context, alg, k, too_long, 2, out, 1));
	}
	for (size_t i = 1; (alg = algorithm_at(TRANSFORM_INTEG, i)) != NULL; i++) {
		struct bytes k = bytes_of(key, alg->key_len);

		assert_true(integ_compute(context, alg, k, longest, 2, out));
		assert_false(integ_compute(context, alg, k, too_long, 2, out));
	}
	assert_true(hash_sha2_256(context, longest, 2, out));
	assert_false(hash_sha2_256(context, too_long, 2, out));
	for (size_t i = 0; (alg = algorithm_at(TRANSFORM_ENCR, i)) != NULL; i++)
		run_longest_data(context, alg);
}

static void the_longest_input_works_and_one_byte_more_does_not(void **state)
{
	(void)state;
	random_fill(big, sizeof(big));
	for_each_context(run_longest);
}

/* AAD of a length that CCM codes in six bytes */
static void ccm_with_long_aad(void **state)
{
	struct crypto_context *context = crypto_context_new();
	uint8_t data[16] = {0}, keymat[19] = {1}, iv[8] = {2}, icv[16], other[16];
	struct encr_request r = {.encr = known(TRANSFORM_ENCR, ENCR_AES_CCM_16),
		.key_bits = 128,
		.keymat = bytes_of(keymat, 19),
		.iv = bytes_of(iv, 8),
		.data = data,
		.len = 16,
		.icv = icv,
		.aad = bytes_of(big, 0xff00)};
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[11] = {0}, sealed[16];
	int len;

	(void)state;
	assert_true(encr_seal(context, &r));
	memcpy(nonce, keymat + 16, 3);
	memcpy(nonce + 3, iv, 8);
	EVP_EncryptInit_ex2(ctx, EVP_aes_128_ccm(), NULL, NULL, NULL);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 11, NULL);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, NULL);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, keymat, nonce, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, NULL, 16), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, big, 0xff00), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, sealed, &len, (uint8_t[16]){0}, 16), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, other), 1);
	EVP_CIPHER_CTX_free(ctx);
	assert_memory_equal(data, sealed, 16);
	assert_memory_equal(icv, other, 16);
	crypto_context_free(context);
}

static void assert_absent(
	struct crypto_context *context, const void *secret, size_t len, const char *of)
{
	size_t manager = imb_get_mb_mgr_size();

	if (memmem(context, sizeof(*context), secret, len))
		fail_msg("%s stays in the context", of);
	if (memmem(context->wide, manager, secret, len) ||
		memmem(context->lone, manager, secret, len))
		fail_msg("%s stays in a manager", of);
}

static void assert_rooms_wiped(struct crypto_context *context)
{
	assert_true(all_zero(&context->gcm, sizeof(context->gcm)));
	assert_true(all_zero(&context->cbc_mac, sizeof(context->cbc_mac)));
	assert_true(all_zero(&context->aes, sizeof(context->aes)));
	assert_true(all_zero(&context->hmac, sizeof(context->hmac)));
	assert_true(all_zero(context->scratch, sizeof(context->scratch)));
}

static void run_wiped(struct crypto_context *context)
{
	uint8_t key[64], message[500], out[300], icv[ICV_MAX], data[480], keymat[ENCR_KEYMAT_MAX];
	uint8_t iv[16] = {0};
	struct bytes part = bytes_of(message, sizeof(message));
	const struct algorithm *alg;

	random_fill(key, sizeof(key));
	random_fill(message, sizeof(message));
	random_fill(keymat, sizeof(keymat));
	for (size_t i = 0; (alg = algorithm_at(TRANSFORM_PRF, i)) != NULL; i++) {
		assert_true(prf_plus(context, alg, bytes_of(key, sizeof(key)), &part, 1, out, 300));
		assert_rooms_wiped(context);
		assert_absent(context, key, 16, alg->name);
		assert_absent(context, message + 480, 16, alg->name);
		assert_absent(context, out, 16, alg->name);
		assert_true(prf(context, alg, bytes_of(key, sizeof(key)), &part, 1, out));
		assert_rooms_wiped(context);
		assert_absent(context, out, 16, alg->name);
	}
	for (size_t i = 1; (alg = algorithm_at(TRANSFORM_INTEG, i)) != NULL; i++) {
		assert_true(
			integ_compute(context, alg, bytes_of(key, alg->key_len), &part, 1, icv));
		assert_rooms_wiped(context);
		assert_absent(context, key, 16, alg->name);
	}
	for (size_t i = 0; (alg = algorithm_at(TRANSFORM_ENCR, i)) != NULL; i++) {
		uint16_t bits = alg->key_bits[0];
		struct encr_request r = {.encr = alg,
			.key_bits = bits,
			.keymat = bytes_of(keymat, algorithm_encr_keymat_len(alg, bits)),
			.iv = bytes_of(iv, alg->iv_len),
			.data = data,
			.len = sizeof(data),
			.icv = alg->aead ? icv : NULL};

		memcpy(data, message, sizeof(data));
		assert_true(encr_seal(context, &r));
		assert_rooms_wiped(context);
		assert_absent(context, keymat, 16, alg->name);
		assert_absent(context, message + 464, 16, alg->name);
		assert_true(encr_open(context, &r));
		assert_rooms_wiped(context);
		assert_absent(context, message + 464, 16, alg->name);
	}
}

static void nothing_stays_in_the_context(void **state)
{
	(void)state;
	for_each_context(run_wiped);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(misfit_requests_are_refused_untouched),
		cmocka_unit_test(a_part_of_a_block_and_an_icv_without_aead_are_refused),
		cmocka_unit_test(wrong_kinds_keys_and_numbers_of_parts_are_refused),
		cmocka_unit_test(prf_plus_ends_after_255_outputs),
		cmocka_unit_test(the_longest_input_works_and_one_byte_more_does_not),
		cmocka_unit_test(ccm_with_long_aad),
		cmocka_unit_test(nothing_stays_in_the_context),
	};

	return cmocka_run_group_tests_name("symmetric bounds", tests, NULL, NULL);
}
