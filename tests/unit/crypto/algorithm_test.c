#include "symmetric_fixture.h"

#include <stdio.h>
#include <strings.h>

static const struct algorithm *by_name(enum transform_type type, const char *name)
{
	return algorithm_by_name(type, name, strlen(name));
}

static void assert_name(enum transform_type type, const char *name, uint16_t id)
{
	const struct algorithm *alg = by_name(type, name);

	if (!alg || alg->id != id)
		fail_msg("%s is not %u of type %d", name, (unsigned)id, (int)type);
}

static void rows_are_found_by_number_and_by_all_names(void **state)
{
	(void)state;
	for (int type = TRANSFORM_ENCR; type < TRANSFORM_TYPES; type++) {
		const struct algorithm *alg, *before = NULL;
		size_t count = 0;

		for (; (alg = algorithm_at(type, count)) != NULL; count++) {
			assert_int_equal(alg->type, type);
			assert_true(!before || before->id < alg->id);
			assert_ptr_equal(algorithm_by_id(type, alg->id), alg);
			/* Unique: every name finds its own row. */
			assert_ptr_equal(by_name(type, alg->name), alg);
			for (size_t i = 0; i < ALGORITHM_ALIASES_MAX && alg->aliases[i]; i++)
				assert_ptr_equal(by_name(type, alg->aliases[i]), alg);
			before = alg;
		}
		assert_true(count >= 2);
		assert_null(algorithm_at(type, count));
		assert_null(algorithm_at(type, SIZE_MAX));
	}
}

static void unknown_types_numbers_and_names_are_null(void **state)
{
	(void)state;
	assert_null(algorithm_at(0, 0));
	assert_null(algorithm_at(TRANSFORM_TYPES, 0));
	assert_null(algorithm_at((enum transform_type) - 1, 0));
	assert_null(algorithm_by_id(TRANSFORM_ENCR, 2)); /* DES */
	assert_null(algorithm_by_id(TRANSFORM_KE, 1));
	assert_null(algorithm_by_id(TRANSFORM_KE, 65535));
	assert_null(algorithm_by_id(0, 12));
	assert_null(by_name(TRANSFORM_ENCR, ""));
	assert_null(by_name(TRANSFORM_ENCR, "aes_cb"));
	assert_null(by_name(TRANSFORM_ENCR, "aes_cbcc"));
	assert_null(by_name(TRANSFORM_ENCR, "aes256"));
	assert_null(by_name(TRANSFORM_PRF, "dh31"));
	assert_null(algorithm_by_name(TRANSFORM_ENCR, "aes\0", 4));
}

static void names_need_no_end_and_no_case(void **state)
{
	(void)state;
	assert_ptr_equal(algorithm_by_name(TRANSFORM_ENCR, "aes_gcm_16-sha2", 10),
		known(TRANSFORM_ENCR, 20));
	assert_ptr_equal(algorithm_by_name(TRANSFORM_ENCR, "aes256", 3), known(TRANSFORM_ENCR, 12));
	assert_name(TRANSFORM_ENCR, "AES-GCM-C", ENCR_AES_GCM_16);
	assert_name(TRANSFORM_PRF, "Sha2_512", PRF_HMAC_SHA2_512);
}

static void aliases_of_the_proposal_grammar(void **state)
{
	(void)state;
	assert_name(TRANSFORM_ENCR, "aes", ENCR_AES_CBC);
	assert_name(TRANSFORM_ENCR, "3des", ENCR_3DES);
	assert_name(TRANSFORM_ENCR, "null", ENCR_NULL);
	assert_name(TRANSFORM_ENCR, "aes_gcm", ENCR_AES_GCM_16);
	assert_name(TRANSFORM_ENCR, "aes_gcm_a", ENCR_AES_GCM_8);
	assert_name(TRANSFORM_ENCR, "aes_gcm_b", ENCR_AES_GCM_12);
	assert_name(TRANSFORM_ENCR, "aes_ccm", ENCR_AES_CCM_16);
	assert_name(TRANSFORM_ENCR, "aes_ccm_8", ENCR_AES_CCM_8);
	assert_name(TRANSFORM_ENCR, "aes_ctr", ENCR_AES_CTR);
	assert_name(TRANSFORM_ENCR, "chacha20_poly1305", ENCR_CHACHA20_POLY1305);
	assert_name(TRANSFORM_PRF, "md5", PRF_HMAC_MD5);
	assert_name(TRANSFORM_PRF, "sha1", PRF_HMAC_SHA1);
	assert_name(TRANSFORM_PRF, "sha2", PRF_HMAC_SHA2_256);
	assert_name(TRANSFORM_PRF, "sha256", PRF_HMAC_SHA2_256);
	assert_name(TRANSFORM_PRF, "sha2_384", PRF_HMAC_SHA2_384);
	assert_name(TRANSFORM_PRF, "aes_xcbc", PRF_AES128_XCBC);
	assert_name(TRANSFORM_INTEG, "sha1_96", INTEG_HMAC_SHA1_96);
	assert_name(TRANSFORM_INTEG, "sha2_256", INTEG_HMAC_SHA2_256_128);
	assert_name(TRANSFORM_INTEG, "sha2_512_256", INTEG_HMAC_SHA2_512_256);
	assert_name(TRANSFORM_INTEG, "aes_cmac", INTEG_AES_CMAC_96);
	assert_name(TRANSFORM_INTEG, "aes_xcbc_96", INTEG_AES_XCBC_96);
	assert_name(TRANSFORM_INTEG, "none", INTEG_NONE);
	assert_name(TRANSFORM_KE, "none", KE_NONE);
	assert_name(TRANSFORM_KE, "dh0", KE_NONE);
	assert_name(TRANSFORM_KE, "dh5", KE_MODP1536);
	assert_name(TRANSFORM_KE, "modp2048", KE_MODP2048);
	assert_name(TRANSFORM_KE, "dh18", KE_MODP8192);
	assert_name(TRANSFORM_KE, "dh19", KE_ECP_256);
	assert_name(TRANSFORM_KE, "ecp_384", KE_ECP_384);
	assert_name(TRANSFORM_KE, "curve25519", KE_CURVE25519);
	assert_name(TRANSFORM_KE, "dh24", KE_MODP2048_256);
	assert_name(TRANSFORM_SN, "yes", SN_EXTENDED);
}

static void keying_material_is_key_and_salt(void **state)
{
	static const struct {
		uint16_t id, bits, len;
	} cases[] = {
		{ENCR_AES_GCM_16, 128, 20},
		{ENCR_AES_GCM_8, 256, 36},
		{ENCR_AES_CCM_12, 192, 27},
		{ENCR_AES_CBC, 256, 32},
		{ENCR_AES_CTR, 128, 20},
		{ENCR_CHACHA20_POLY1305, 0, 36},
		{ENCR_3DES, 0, 24},
		{ENCR_NULL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct algorithm *encr = known(TRANSFORM_ENCR, cases[i].id);

		assert_true(algorithm_has_key_bits(encr, cases[i].bits));
		assert_int_equal(algorithm_encr_keymat_len(encr, cases[i].bits), cases[i].len);
	}
	for (size_t i = 0; algorithm_at(TRANSFORM_ENCR, i); i++) {
		const struct algorithm *encr = algorithm_at(TRANSFORM_ENCR, i);
		uint16_t bits = encr->key_bits[0];

		assert_int_equal(encr->fixed_key, bits == 0);
		assert_false(algorithm_has_key_bits(encr, 1));
		assert_false(algorithm_has_key_bits(encr, encr->fixed_key ? 256 : 0));
		assert_true(algorithm_encr_keymat_len(encr, 256) <= ENCR_KEYMAT_MAX);
		assert_true(encr->icv_len <= ICV_MAX);
		assert_int_equal(encr->aead, encr->icv_len > 0);
	}
}

static void lengths_fit_the_room_that_callers_have(void **state)
{
	(void)state;
	for (size_t i = 0; algorithm_at(TRANSFORM_PRF, i); i++)
		assert_in_range(algorithm_at(TRANSFORM_PRF, i)->output_len, 1, PRF_OUTPUT_MAX);
	for (size_t i = 1; algorithm_at(TRANSFORM_INTEG, i); i++)
		assert_in_range(algorithm_at(TRANSFORM_INTEG, i)->icv_len, 12, ICV_MAX);
	for (size_t i = 1; algorithm_at(TRANSFORM_KE, i); i++) {
		const struct algorithm *ke = algorithm_at(TRANSFORM_KE, i);
		size_t coordinate = (ke->ke_bits + 7u) / 8;
		bool ecp = ke->id >= KE_ECP_256 && ke->id <= KE_ECP_521;

		assert_int_equal(ke->shared_len, coordinate);
		assert_int_equal(ke->public_len, ecp ? 2 * coordinate : coordinate);
	}
}

static void weak_ones_are_those_for_old_peers(void **state)
{
	static const struct {
		enum transform_type type;
		uint16_t id;
	} weak[] = {
		{TRANSFORM_ENCR, ENCR_3DES},
		{TRANSFORM_ENCR, ENCR_NULL},
		{TRANSFORM_PRF, PRF_HMAC_MD5},
		{TRANSFORM_INTEG, INTEG_HMAC_MD5_96},
		{TRANSFORM_KE, KE_MODP1024},
		{TRANSFORM_KE, KE_MODP1536},
		{TRANSFORM_KE, KE_MODP1024_160},
		{TRANSFORM_KE, KE_MODP2048_224},
		{TRANSFORM_KE, KE_MODP2048_256},
	};
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		assert_true(known(weak[i].type, weak[i].id)->weak);
	for (int type = TRANSFORM_ENCR; type < TRANSFORM_TYPES; type++) {
		for (size_t i = 0; algorithm_at(type, i); i++)
			count += algorithm_at(type, i)->weak;
	}
	assert_int_equal(count, sizeof(weak) / sizeof(weak[0]));
	assert_false(known(TRANSFORM_ENCR, ENCR_NULL)->ike_capable);
	assert_false(known(TRANSFORM_KE, KE_NONE)->ike_capable);
}

static void numbers_of_ikev1(void **state)
{
	static const struct {
		enum transform_type type;
		uint16_t id;
		int16_t ike, esp;
	} cases[] = {
		{TRANSFORM_ENCR, ENCR_3DES, 5, 3},
		{TRANSFORM_ENCR, ENCR_AES_CBC, 7, 12},
		{TRANSFORM_ENCR, ENCR_AES_CTR, -1, 13},
		{TRANSFORM_ENCR, ENCR_AES_GCM_16, -1, 20},
		{TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, -1, -1},
		{TRANSFORM_PRF, PRF_HMAC_MD5, 1, -1},
		{TRANSFORM_PRF, PRF_HMAC_SHA1, 2, -1},
		{TRANSFORM_PRF, PRF_HMAC_SHA2_256, 4, -1},
		{TRANSFORM_PRF, PRF_HMAC_SHA2_384, 5, -1},
		{TRANSFORM_PRF, PRF_HMAC_SHA2_512, 6, -1},
		{TRANSFORM_PRF, PRF_AES128_XCBC, -1, -1},
		{TRANSFORM_INTEG, INTEG_HMAC_MD5_96, -1, 1},
		{TRANSFORM_INTEG, INTEG_HMAC_SHA1_96, -1, 2},
		{TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, -1, 5},
		{TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, -1, 6},
		{TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, -1, 7},
		{TRANSFORM_INTEG, INTEG_AES_XCBC_96, -1, 9},
		{TRANSFORM_INTEG, INTEG_AES_CMAC_96, -1, -1},
		{TRANSFORM_KE, KE_MODP1024, 2, -1},
		{TRANSFORM_KE, KE_MODP2048, 14, -1},
		{TRANSFORM_KE, KE_ECP_521, 21, -1},
		{TRANSFORM_KE, KE_CURVE25519, -1, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct algorithm *alg = known(cases[i].type, cases[i].id);

		assert_int_equal(alg->ikev1_ike_id, cases[i].ike);
		assert_int_equal(alg->ikev1_esp_id, cases[i].esp);
	}
}

static void texts_as_in_reports(void **state)
{
	char text[ALGORITHM_TEXT_MAX];

	(void)state;
	assert_string_equal(
		algorithm_encr_text(known(TRANSFORM_ENCR, 20), 256, text), "AES_GCM_16_256");
	assert_string_equal(
		algorithm_encr_text(known(TRANSFORM_ENCR, 12), 128, text), "AES_CBC_128");
	assert_string_equal(
		algorithm_encr_text(known(TRANSFORM_ENCR, 28), 0, text), "CHACHA20_POLY1305");
	assert_string_equal(known(TRANSFORM_INTEG, 12)->name, "HMAC_SHA2_256_128");
	assert_string_equal(known(TRANSFORM_PRF, 7)->name, "HMAC_SHA2_512");
	assert_string_equal(known(TRANSFORM_KE, 14)->name, "MODP2048");
	assert_string_equal(known(TRANSFORM_KE, 31)->name, "DH31");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found_by_number_and_by_all_names),
		cmocka_unit_test(unknown_types_numbers_and_names_are_null),
		cmocka_unit_test(names_need_no_end_and_no_case),
		cmocka_unit_test(aliases_of_the_proposal_grammar),
		cmocka_unit_test(keying_material_is_key_and_salt),
		cmocka_unit_test(lengths_fit_the_room_that_callers_have),
		cmocka_unit_test(weak_ones_are_those_for_old_peers),
		cmocka_unit_test(numbers_of_ikev1),
		cmocka_unit_test(texts_as_in_reports),
	};

	return cmocka_run_group_tests_name("algorithm", tests, NULL, NULL);
}
