/* Random input of all lengths, compared with libcrypto (3DES, which we take from libcrypto, with
 * intel-ipsec-mb; XCBC and the key rules of the PRFs by hand over libcrypto's AES). */
#include "symmetric_fixture.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define LENGTH_MAX 3000
#define CANARY     0xc5

/* All short lengths, where blocks begin and end; further up by small random steps. */
static size_t next_length(size_t len)
{
	return len < 288 ? len + 1 : len + 1 + random_below(40);
}

static const char *digest_name(const struct algorithm *prf_alg)
{
	switch (prf_alg->id) {
	case PRF_HMAC_MD5:
		return "MD5";
	case PRF_HMAC_SHA1:
		return "SHA1";
	case PRF_HMAC_SHA2_256:
		return "SHA256";
	case PRF_HMAC_SHA2_384:
		return "SHA384";
	case PRF_HMAC_SHA2_512:
		return "SHA512";
	default:
		return NULL;
	}
}

static void aes_ecb(const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;

	assert_int_equal(EVP_EncryptInit_ex2(ctx, EVP_aes_128_ecb(), key, NULL, NULL), 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, in, 16), 1);
	assert_int_equal(len, 16);
	EVP_CIPHER_CTX_free(ctx);
}

/* RFC 3566, section 4, step by step */
static void xcbc(const uint8_t key[16], struct bytes message, uint8_t out[16])
{
	uint8_t k[3][16], constant[16], e[16] = {0};
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		memset(constant, i + 1, sizeof(constant));
		aes_ecb(key, constant, k[i]);
	}
	while (message.len - at > 16) {
		for (size_t i = 0; i < 16; i++)
			e[i] ^= message.data[at + i];
		aes_ecb(k[0], e, e);
		at += 16;
	}
	for (size_t i = 0; i < message.len - at; i++)
		e[i] ^= message.data[at + i];
	if (message.len - at < 16)
		e[message.len - at] ^= 0x80;
	for (size_t i = 0; i < 16; i++)
		e[i] ^= message.len - at == 16 ? k[1][i] : k[2][i];
	aes_ecb(k[0], e, out);
}

static void cmac(const uint8_t key[16], struct bytes message, uint8_t out[16])
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char[]){"AES-128-CBC"}, 0),
		OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	size_t len = 0;

	assert_int_equal(EVP_MAC_init(ctx, key, 16, params), 1);
	assert_int_equal(EVP_MAC_update(ctx, message.data, message.len), 1);
	assert_int_equal(EVP_MAC_final(ctx, out, &len, 16), 1);
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
}

static void reference_prf(
	const struct algorithm *alg, struct bytes key, struct bytes message, uint8_t *out)
{
	uint8_t fitted[16] = {0}, zeros[16] = {0};
	unsigned len = 0;

	if (digest_name(alg)) {
		const EVP_MD *md = EVP_get_digestbyname(digest_name(alg));

		assert_non_null(HMAC(md, key.data ? key.data : zeros, (int)key.len, message.data,
			message.len, out, &len));
		assert_int_equal(len, alg->output_len);
		return;
	}
	if (alg->id == PRF_AES128_XCBC) {
		if (key.len > 16)
			xcbc(zeros, key, fitted);
		else
			memcpy(fitted, key.data, key.len);
		xcbc(fitted, message, out);
		return;
	}
	if (key.len != 16)
		cmac(zeros, key, fitted);
	else
		memcpy(fitted, key.data, key.len);
	cmac(fitted, message, out);
}

static void run_prfs(struct crypto_context *context)
{
	static uint8_t message[LENGTH_MAX + 100];
	const struct algorithm *alg;

	for (size_t i = 0; (alg = algorithm_at(TRANSFORM_PRF, i)) != NULL; i++) {
		for (size_t len = 0; len <= LENGTH_MAX; len = next_length(len)) {
			uint8_t key[300], out[PRF_OUTPUT_MAX + 1], expected[PRF_OUTPUT_MAX];
			struct bytes parts[SYMMETRIC_PARTS_MAX];
			size_t key_len = random_below(sizeof(key) + 1);
			size_t count;

			random_fill(key, key_len);
			random_fill(message, len);
			count = random_parts(message, len, parts, SYMMETRIC_PARTS_MAX);
			out[alg->output_len] = CANARY;
			assert_true(prf(context, alg, bytes_of(key, key_len), parts, count, out));
			reference_prf(
				alg, bytes_of(key, key_len), bytes_of(message, len), expected);
			if (memcmp(out, expected, alg->output_len) != 0)
				fail_msg("%s: key of %zu, message of %zu", alg->name, key_len, len);
			assert_int_equal(out[alg->output_len], CANARY);
		}
	}
}

static void prfs(void **state)
{
	(void)state;
	for_each_context(run_prfs);
}

/* RFC 7296, section 2.13, as it is written */
static void reference_prf_plus(const struct algorithm *alg, struct bytes key, struct bytes seed,
	uint8_t *out, size_t out_len)
{
	uint8_t t[PRF_OUTPUT_MAX], input[PRF_OUTPUT_MAX + 600 + 1];
	size_t chained = 0;

	assert_true(seed.len <= 600);
	for (uint8_t n = 1; out_len > 0; n++) {
		size_t take = out_len < alg->output_len ? out_len : alg->output_len;

		memcpy(input, t, chained);
		memcpy(input + chained, seed.data, seed.len);
		input[chained + seed.len] = n;
		reference_prf(alg, key, bytes_of(input, chained + seed.len + 1), t);
		chained = alg->output_len;
		memcpy(out, t, take);
		out += take;
		out_len -= take;
	}
}

static void run_prf_plus(struct crypto_context *context)
{
	static uint8_t out[255 * PRF_OUTPUT_MAX + 1], expected[sizeof(out)];
	const struct algorithm *alg;

	for (size_t i = 0; (alg = algorithm_at(TRANSFORM_PRF, i)) != NULL; i++) {
		size_t longest = 255u * alg->output_len;

		for (unsigned round = 0; round < 60; round++) {
			uint8_t key[100], seed[600];
			struct bytes parts[SYMMETRIC_PARTS_MAX];
			size_t key_len = random_below(sizeof(key) + 1);
			size_t seed_len = random_below(sizeof(seed) + 1);
			size_t len = round == 0 ? longest : random_below(400);
			size_t count;

			random_fill(key, key_len);
			random_fill(seed, seed_len);
			count = random_parts(seed, seed_len, parts, SYMMETRIC_PARTS_MAX);
			out[len] = CANARY;
			assert_true(prf_plus(
				context, alg, bytes_of(key, key_len), parts, count, out, len));
			reference_prf_plus(alg, bytes_of(key, key_len), bytes_of(seed, seed_len),
				expected, len);
			if (memcmp(out, expected, len) != 0)
				fail_msg("%s: %zu from a seed of %zu", alg->name, len, seed_len);
			assert_int_equal(out[len], CANARY);
		}
	}
}

static void prf_pluses(void **state)
{
	(void)state;
	for_each_context(run_prf_plus);
}

static const struct algorithm *prf_of_integ(const struct algorithm *integ)
{
	static const uint16_t ids[][2] = {
		{INTEG_HMAC_MD5_96, PRF_HMAC_MD5},
		{INTEG_HMAC_SHA1_96, PRF_HMAC_SHA1},
		{INTEG_AES_XCBC_96, PRF_AES128_XCBC},
		{INTEG_AES_CMAC_96, PRF_AES128_CMAC},
		{INTEG_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256},
		{INTEG_HMAC_SHA2_384_192, PRF_HMAC_SHA2_384},
		{INTEG_HMAC_SHA2_512_256, PRF_HMAC_SHA2_512},
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (ids[i][0] == integ->id)
			return known(TRANSFORM_PRF, ids[i][1]);
	}
	fail_msg("%s: no reference", integ->name);
	return NULL;
}

static void run_integs(struct crypto_context *context)
{
	static uint8_t message[LENGTH_MAX + 100];
	const struct algorithm *alg;

	/* from 1: NONE has nothing to compute */
	for (size_t i = 1; (alg = algorithm_at(TRANSFORM_INTEG, i)) != NULL; i++) {
		for (size_t len = 0; len <= LENGTH_MAX; len = next_length(len)) {
			uint8_t key[64], icv[ICV_MAX + 1], expected[PRF_OUTPUT_MAX];
			struct bytes parts[SYMMETRIC_PARTS_MAX];
			size_t count;

			random_fill(key, alg->key_len);
			random_fill(message, len);
			count = random_parts(message, len, parts, SYMMETRIC_PARTS_MAX);
			icv[alg->icv_len] = CANARY;
			assert_true(integ_compute(
				context, alg, bytes_of(key, alg->key_len), parts, count, icv));
			reference_prf(prf_of_integ(alg), bytes_of(key, alg->key_len),
				bytes_of(message, len), expected);
			if (memcmp(icv, expected, alg->icv_len) != 0)
				fail_msg("%s: message of %zu", alg->name, len);
			assert_int_equal(icv[alg->icv_len], CANARY);
		}
	}
}

static void integs(void **state)
{
	(void)state;
	for_each_context(run_integs);
}

static void run_hashes(struct crypto_context *context)
{
	static uint8_t message[LENGTH_MAX + 100];

	for (size_t len = 0; len <= LENGTH_MAX; len = next_length(len)) {
		uint8_t out[32], expected[32];
		struct bytes parts[SYMMETRIC_PARTS_MAX];
		size_t count;

		random_fill(message, len);
		count = random_parts(message, len, parts, SYMMETRIC_PARTS_MAX);
		assert_true(hash_sha1(context, parts, count, out));
		assert_int_equal(EVP_Digest(message, len, expected, NULL, EVP_sha1(), NULL), 1);
		assert_memory_equal(out, expected, 20);
		assert_true(hash_sha2_256(context, parts, count, out));
		assert_int_equal(EVP_Digest(message, len, expected, NULL, EVP_sha256(), NULL), 1);
		assert_memory_equal(out, expected, 32);
	}
}

static void hashes(void **state)
{
	(void)state;
	for_each_context(run_hashes);
}

static const EVP_CIPHER *reference_cipher(const struct algorithm *encr, uint16_t bits)
{
	size_t size = bits == 128 ? 0 : bits == 192 ? 1 : 2;

	switch (encr->id) {
	case ENCR_AES_CBC:
		return (const EVP_CIPHER *[]){
			EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc()}[size];
	case ENCR_AES_CTR:
		return (const EVP_CIPHER *[]){
			EVP_aes_128_ctr(), EVP_aes_192_ctr(), EVP_aes_256_ctr()}[size];
	case ENCR_AES_GCM_8:
	case ENCR_AES_GCM_12:
	case ENCR_AES_GCM_16:
		return (const EVP_CIPHER *[]){
			EVP_aes_128_gcm(), EVP_aes_192_gcm(), EVP_aes_256_gcm()}[size];
	case ENCR_AES_CCM_8:
	case ENCR_AES_CCM_12:
	case ENCR_AES_CCM_16:
		return (const EVP_CIPHER *[]){
			EVP_aes_128_ccm(), EVP_aes_192_ccm(), EVP_aes_256_ccm()}[size];
	case ENCR_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	default:
		fail_msg("%s: no reference", encr->name);
		return NULL;
	}
}

/* 3DES, one block cipher call of the other library over the whole message */
static void reference_3des(const struct encr_request *r, const uint8_t *clear, uint8_t *sealed)
{
	IMB_MGR *manager = alloc_mb_mgr(0);
	uint64_t schedules[3][IMB_DES_KEY_SCHED_SIZE / 8];
	const void *keys[3];
	IMB_JOB *job;

	assert_non_null(manager);
	init_mb_mgr_auto(manager, NULL);
	for (size_t i = 0; i < 3; i++) {
		IMB_DES_KEYSCHED(manager, schedules[i], r->keymat.data + 8 * i);
		keys[i] = schedules[i];
	}
	if (r->len > 0) {
		job = job_next(manager, clear, sealed);
		job->cipher_mode = IMB_CIPHER_DES3;
		job->enc_keys = keys;
		job->dec_keys = keys;
		job->key_len_in_bytes = 24;
		job->iv = r->iv.data;
		job->iv_len_in_bytes = 8;
		job->msg_len_to_cipher_in_bytes = r->len;
		assert_true(job_run(manager));
	}
	free_mb_mgr(manager);
}

/* What the request must give, by libcrypto, from the clear text. */
static void reference_seal(
	const struct encr_request *r, const uint8_t *clear, uint8_t *sealed, uint8_t *icv)
{
	EVP_CIPHER_CTX *ctx;
	size_t key_len = r->keymat.len - r->encr->salt_len;
	uint8_t iv[16] = {0};
	int len = 0, nonce_len = r->encr->salt_len + r->encr->iv_len;
	bool ccm = r->encr->salt_len == 3;

	if (r->encr->id == ENCR_NULL) {
		memcpy(sealed, clear, r->len);
		return;
	}
	if (r->encr->id == ENCR_3DES) {
		reference_3des(r, clear, sealed);
		return;
	}
	memcpy(iv, r->keymat.data + key_len, r->encr->salt_len);
	memcpy(iv + r->encr->salt_len, r->iv.data, r->iv.len);
	if (r->encr->id == ENCR_AES_CTR)
		iv[15] = 1;
	ctx = EVP_CIPHER_CTX_new();
	assert_int_equal(
		EVP_EncryptInit_ex2(ctx, reference_cipher(r->encr, r->key_bits), NULL, NULL, NULL),
		1);
	if (r->encr->aead)
		assert_int_equal(
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, nonce_len, NULL), 1);
	if (ccm)
		assert_int_equal(
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, r->encr->icv_len, NULL), 1);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, r->keymat.data, iv, NULL), 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	if (ccm)
		assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, NULL, (int)r->len), 1);
	if (r->aad.len > 0)
		assert_int_equal(
			EVP_EncryptUpdate(ctx, NULL, &len, r->aad.data, (int)r->aad.len), 1);
	if (r->len > 0 || ccm)
		assert_int_equal(EVP_EncryptUpdate(ctx, sealed, &len, clear, (int)r->len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, sealed + r->len, &len), 1);
	if (r->encr->aead)
		assert_int_equal(
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, r->encr->icv_len, icv), 1);
	EVP_CIPHER_CTX_free(ctx);
}

struct message {
	uint8_t keymat[ENCR_KEYMAT_MAX], iv[16], aad[400];
	uint8_t clear[LENGTH_MAX + 100], expected[LENGTH_MAX + 100];
	/* what is sealed, its ICV, and a canary */
	uint8_t data[LENGTH_MAX + 100 + ICV_MAX];
	uint8_t expected_icv[ICV_MAX];
};

static struct encr_request random_request(
	struct message *m, const struct algorithm *encr, uint16_t bits, size_t len)
{
	struct encr_request r = {.encr = encr, .key_bits = bits, .data = m->data, .len = len};

	random_fill(m->keymat, sizeof(m->keymat));
	random_fill(m->iv, sizeof(m->iv));
	random_fill(m->aad, sizeof(m->aad));
	random_fill(m->clear, len);
	memcpy(m->data, m->clear, len);
	r.keymat = bytes_of(m->keymat, algorithm_encr_keymat_len(encr, bits));
	r.iv = bytes_of(m->iv, encr->iv_len);
	if (encr->aead) {
		r.icv = m->data + len;
		r.aad = bytes_of(m->aad, random_below(8) == 0 ? 0 : random_below(sizeof(m->aad)));
	}
	m->data[len + encr->icv_len] = CANARY;
	return r;
}

/* One bit is wrong somewhere in what is authenticated. */
static void run_forgery(struct crypto_context *context, struct message *m, struct encr_request *r)
{
	size_t at = random_below((uint32_t)(r->len + r->encr->icv_len + r->aad.len));
	uint8_t bit = (uint8_t)(1u << random_below(8));
	uint8_t *place = at < r->len + r->encr->icv_len ? m->data + at
							: m->aad + (at - r->len - r->encr->icv_len);

	*place ^= bit;
	assert_false(encr_open(context, r));
	assert_true(all_zero(m->data, r->len));
	*place ^= bit;
}

static void run_message(struct crypto_context *context, struct message *m,
	const struct algorithm *encr, uint16_t bits, size_t len)
{
	struct encr_request r = random_request(m, encr, bits, len);

	reference_seal(&r, m->clear, m->expected, m->expected_icv);
	assert_true(encr_seal(context, &r));
	if (memcmp(m->data, m->expected, len) != 0)
		fail_msg("%s_%u: %zu bytes of data", encr->name, (unsigned)bits, len);
	if (encr->aead && memcmp(r.icv, m->expected_icv, encr->icv_len) != 0)
		fail_msg("%s_%u: ICV of %zu, AAD %zu", encr->name, (unsigned)bits, len, r.aad.len);
	assert_int_equal(m->data[len + encr->icv_len], CANARY);
	assert_true(encr_open(context, &r));
	assert_memory_equal(m->data, m->clear, len);
	assert_int_equal(m->data[len + encr->icv_len], CANARY);
	if (!encr->aead)
		return;
	assert_true(encr_seal(context, &r));
	run_forgery(context, m, &r);
}

static void run_cipher(struct crypto_context *context, const struct algorithm *encr, uint16_t bits)
{
	static struct message m;
	size_t limit = encr->id == ENCR_3DES ? 400 : LENGTH_MAX;

	for (size_t len = 0; len <= limit; len = next_length(len)) {
		if (len % encr->block_len == 0)
			run_message(context, &m, encr, bits, len);
		else if (len > 288)
			run_message(context, &m, encr, bits, len - len % encr->block_len);
	}
}

static void run_ciphers(struct crypto_context *context)
{
	const struct algorithm *encr;

	for (size_t i = 0; (encr = algorithm_at(TRANSFORM_ENCR, i)) != NULL; i++) {
		if (encr->fixed_key)
			run_cipher(context, encr, 0);
		for (size_t k = 0; k < ALGORITHM_KEY_BITS_MAX && encr->key_bits[k] != 0; k++)
			run_cipher(context, encr, encr->key_bits[k]);
	}
}

static void ciphers(void **state)
{
	(void)state;
	for_each_context(run_ciphers);
}

/* Around the 16 bits in which the library counts the lengths of jobs. */
static void run_long(struct crypto_context *context)
{
	static uint8_t message[SYMMETRIC_INPUT_MAX];
	const struct algorithm *alg;

	random_fill(message, sizeof(message));
	for (size_t i = 0; (alg = algorithm_at(TRANSFORM_PRF, i)) != NULL; i++) {
		for (size_t len = 65350; len < 65550; len += 1 + random_below(20)) {
			struct bytes key = bytes_of(message + 7, 20), part = bytes_of(message, len);
			uint8_t out[PRF_OUTPUT_MAX], expected[PRF_OUTPUT_MAX];

			assert_true(prf(context, alg, key, &part, 1, out));
			reference_prf(alg, key, part, expected);
			if (memcmp(out, expected, alg->output_len) != 0)
				fail_msg("%s: message of %zu", alg->name, len);
		}
	}
}

static void long_messages(void **state)
{
	(void)state;
	for_each_context(run_long);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(prfs),
		cmocka_unit_test(prf_pluses),
		cmocka_unit_test(integs),
		cmocka_unit_test(hashes),
		cmocka_unit_test(ciphers),
		cmocka_unit_test(long_messages),
	};

	return cmocka_run_group_tests_name("symmetric against a second library", tests, NULL, NULL);
}
