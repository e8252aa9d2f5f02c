/* What a message costs: PRFs, integrity and encryption, by pluto's own path and by EVP. Sizes: a
 * PRF's input as in key derivation, a protected message of IKE_AUTH's size. */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/symmetric.h"

enum { PRF_INPUT = 80, MESSAGE = 304, MESSAGE_LONG = 1424, AAD = 32 };

struct symmetric {
	enum transform_type type;
	uint16_t id, key_bits;
	size_t len;
	const char *evp; /* of a digest or a cipher; NULL: libcrypto has none */
	const char *mac; /* "HMAC" or "CMAC" of it, for PRFs and integrity */
};

struct symmetric_state {
	const struct symmetric *what;
	const struct algorithm *alg;
	struct crypto_context *context;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
	size_t key_len;
	uint8_t key[64], iv[16], out[64], icv[16], data[MESSAGE_LONG];
};

static void drop(void *arg)
{
	struct symmetric_state *s = arg;

	crypto_context_free(s->context);
	EVP_CIPHER_CTX_free(s->cipher);
	EVP_MAC_CTX_free(s->mac);
	free(s);
}

static struct symmetric_state *make(const struct bench *bench)
{
	struct symmetric_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->what = bench->argument;
	s->alg = algorithm_by_id(s->what->type, s->what->id);
	memset(s->key, 7, sizeof(s->key));
	memset(s->iv, 1, sizeof(s->iv));
	memset(s->data, 3, sizeof(s->data));
	if (!s->alg) {
		free(s);
		return NULL;
	}
	s->key_len = s->alg->type == TRANSFORM_ENCR
			     ? algorithm_encr_keymat_len(s->alg, s->what->key_bits)
			     : s->alg->key_len;
	return s;
}

/* ---- pluto -------------------------------------------------------------------- */

static void *make_own(const struct bench *bench)
{
	struct symmetric_state *s = make(bench);

	if (!s)
		return NULL;
	s->context = crypto_context_new();
	if (s->context)
		return s;
	drop(s);
	return NULL;
}

static bool round_of_own(void *arg)
{
	struct symmetric_state *s = arg;
	struct bytes key = bytes_of(s->key, s->key_len), data = bytes_of(s->data, s->what->len);
	struct encr_request request = {.encr = s->alg,
		.key_bits = s->what->key_bits,
		.keymat = key,
		.iv = bytes_of(s->iv, s->alg->iv_len),
		.data = s->data,
		.len = s->what->len};

	switch (s->what->type) {
	case TRANSFORM_PRF:
		return prf(s->context, s->alg, key, &data, 1, s->out);
	case TRANSFORM_INTEG:
		return integ_compute(s->context, s->alg, key, &data, 1, s->out);
	default:
		if (s->alg->aead) {
			request.aad = bytes_of(s->key, AAD);
			request.icv = s->icv;
		}
		return encr_seal(s->context, &request);
	}
}

/* ---- EVP ------------------------------------------------------------------------ */

static bool make_mac(struct symmetric_state *s)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, s->what->mac, NULL);

	if (mac)
		s->mac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	return s->mac != NULL;
}

static bool make_cipher(struct symmetric_state *s)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, s->what->evp, NULL);

	s->cipher = EVP_CIPHER_CTX_new();
	if (cipher && s->cipher &&
		EVP_EncryptInit_ex2(s->cipher, cipher, s->key, s->iv, NULL) != 1) {
		EVP_CIPHER_free(cipher);
		return false;
	}
	EVP_CIPHER_free(cipher);
	return cipher && s->cipher;
}

static void *make_evp(const struct bench *bench)
{
	struct symmetric_state *s = make(bench);

	if (!s)
		return NULL;
	if (s->what->mac ? make_mac(s) : make_cipher(s))
		return s;
	drop(s);
	return NULL;
}

/* Each message comes with another SA's key, as in pluto's own path. */
static bool run_mac(struct symmetric_state *s)
{
	bool hmac = strcmp(s->what->mac, "HMAC") == 0;
	char name[32];
	OSSL_PARAM params[2] = {OSSL_PARAM_END, OSSL_PARAM_END};
	size_t len;

	strncpy(name, s->what->evp, sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	params[0] = OSSL_PARAM_construct_utf8_string(
		hmac ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER, name, 0);
	return EVP_MAC_init(s->mac, s->key, s->key_len, params) == 1 &&
	       EVP_MAC_update(s->mac, s->data, s->what->len) == 1 &&
	       EVP_MAC_final(s->mac, s->out, &len, sizeof(s->out)) == 1;
}

static bool run_cipher(struct symmetric_state *s)
{
	bool ccm = strstr(s->what->evp, "CCM") != NULL;
	int len = 0, total = (int)s->what->len;

	if (ccm && EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, 16, NULL) != 1)
		return false;
	if (EVP_EncryptInit_ex2(s->cipher, NULL, s->key, s->iv, NULL) != 1)
		return false;
	if (!s->alg->aead)
		return EVP_CIPHER_CTX_set_padding(s->cipher, 0) == 1 &&
		       EVP_EncryptUpdate(s->cipher, s->data, &len, s->data, total) == 1 &&
		       EVP_EncryptFinal_ex(s->cipher, s->out, &len) == 1;
	if (ccm && EVP_EncryptUpdate(s->cipher, NULL, &len, NULL, total) != 1)
		return false;
	return EVP_EncryptUpdate(s->cipher, NULL, &len, s->key, AAD) == 1 &&
	       EVP_EncryptUpdate(s->cipher, s->data, &len, s->data, total) == 1 &&
	       EVP_EncryptFinal_ex(s->cipher, s->out, &len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, 16, s->icv) == 1;
}

static bool round_of_evp(void *arg)
{
	struct symmetric_state *s = arg;

	return s->what->mac ? run_mac(s) : run_cipher(s);
}

/* ---- the list -------------------------------------------------------------------- */

static const struct symmetric_bench {
	const char *what, *name;
	struct symmetric symmetric;
} benches[] = {
	{"PRF", "HMAC-MD5 80 B", {TRANSFORM_PRF, PRF_HMAC_MD5, 0, PRF_INPUT, "MD5", "HMAC"}},
	{"PRF", "HMAC-SHA1 80 B", {TRANSFORM_PRF, PRF_HMAC_SHA1, 0, PRF_INPUT, "SHA1", "HMAC"}},
	{"PRF", "HMAC-SHA2-256 80 B",
		{TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0, PRF_INPUT, "SHA256", "HMAC"}},
	{"PRF", "HMAC-SHA2-384 80 B",
		{TRANSFORM_PRF, PRF_HMAC_SHA2_384, 0, PRF_INPUT, "SHA384", "HMAC"}},
	{"PRF", "HMAC-SHA2-512 80 B",
		{TRANSFORM_PRF, PRF_HMAC_SHA2_512, 0, PRF_INPUT, "SHA512", "HMAC"}},
	{"PRF", "AES-XCBC 80 B", {TRANSFORM_PRF, PRF_AES128_XCBC, 0, PRF_INPUT, NULL, NULL}},
	{"PRF", "AES-CMAC 80 B",
		{TRANSFORM_PRF, PRF_AES128_CMAC, 0, PRF_INPUT, "AES-128-CBC", "CMAC"}},
	{"integrity", "HMAC-MD5-96 304 B",
		{TRANSFORM_INTEG, INTEG_HMAC_MD5_96, 0, MESSAGE, "MD5", "HMAC"}},
	{"integrity", "HMAC-SHA1-96 304 B",
		{TRANSFORM_INTEG, INTEG_HMAC_SHA1_96, 0, MESSAGE, "SHA1", "HMAC"}},
	{"integrity", "AES-XCBC-96 304 B",
		{TRANSFORM_INTEG, INTEG_AES_XCBC_96, 0, MESSAGE, NULL, NULL}},
	{"integrity", "HMAC-SHA2-256-128 304 B",
		{TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0, MESSAGE, "SHA256", "HMAC"}},
	{"integrity", "HMAC-SHA2-384-192 304 B",
		{TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, 0, MESSAGE, "SHA384", "HMAC"}},
	{"integrity", "HMAC-SHA2-512-256 304 B",
		{TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0, MESSAGE, "SHA512", "HMAC"}},
	{"integrity", "AES-CMAC-96 304 B",
		{TRANSFORM_INTEG, INTEG_AES_CMAC_96, 0, MESSAGE, "AES-128-CBC", "CMAC"}},
	{"cipher", "AES-CBC-128 304 B",
		{TRANSFORM_ENCR, ENCR_AES_CBC, 128, MESSAGE, "AES-128-CBC", NULL}},
	{"cipher", "AES-CBC-256 304 B",
		{TRANSFORM_ENCR, ENCR_AES_CBC, 256, MESSAGE, "AES-256-CBC", NULL}},
	{"cipher", "AES-CTR-128 304 B",
		{TRANSFORM_ENCR, ENCR_AES_CTR, 128, MESSAGE, "AES-128-CTR", NULL}},
	{"cipher", "AES-CTR-256 304 B",
		{TRANSFORM_ENCR, ENCR_AES_CTR, 256, MESSAGE, "AES-256-CTR", NULL}},
	{"cipher", "3DES 304 B", {TRANSFORM_ENCR, ENCR_3DES, 0, MESSAGE, "DES-EDE3-CBC", NULL}},
	{"AEAD", "AES-GCM-128 304 B",
		{TRANSFORM_ENCR, ENCR_AES_GCM_16, 128, MESSAGE, "AES-128-GCM", NULL}},
	{"AEAD", "AES-GCM-256 304 B",
		{TRANSFORM_ENCR, ENCR_AES_GCM_16, 256, MESSAGE, "AES-256-GCM", NULL}},
	{"AEAD", "AES-GCM-128 1424 B",
		{TRANSFORM_ENCR, ENCR_AES_GCM_16, 128, MESSAGE_LONG, "AES-128-GCM", NULL}},
	{"AEAD", "AES-CCM-128 304 B",
		{TRANSFORM_ENCR, ENCR_AES_CCM_16, 128, MESSAGE, "AES-128-CCM", NULL}},
	{"AEAD", "AES-CCM-256 304 B",
		{TRANSFORM_ENCR, ENCR_AES_CCM_16, 256, MESSAGE, "AES-256-CCM", NULL}},
	{"AEAD", "ChaCha20-Poly1305 304 B",
		{TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, 0, MESSAGE, "ChaCha20-Poly1305", NULL}},
};

void bench_add_symmetric(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		struct bench b = {.what = benches[i].what,
			.name = benches[i].name,
			.provider = "pluto",
			.batch = 1,
			.argument = &benches[i].symmetric,
			.make = make_own,
			.round = round_of_own,
			.drop = drop};

		bench_add_by_threads(list, &b);
		b.provider = "libcrypto";
		b.make = make_evp;
		b.round = round_of_evp;
		if (benches[i].symmetric.evp)
			bench_add_by_threads(list, &b);
	}
}
