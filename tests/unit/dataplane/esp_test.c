/* ESP packets against a second implementation (libcrypto), byte for byte, and against RFC 7634's example. Every packet lies
 * in memory of exactly its size, so that a sanitizer sees a step beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "esp.h"
#include "dataplane/dataplane.h"

#define SPI 0x01020304u

struct which {
	uint16_t encr, key_len, integ;
	const char *name;
};

static const struct which transforms[] = {
	{20, 16, 0, "AES_GCM_16_128"}, {20, 24, 0, "AES_GCM_16_192"}, {20, 32, 0, "AES_GCM_16_256"},
	{19, 16, 0, "AES_GCM_12_128"}, {19, 32, 0, "AES_GCM_12_256"}, {18, 16, 0, "AES_GCM_8_128"},
	{18, 24, 0, "AES_GCM_8_192"}, {28, 32, 0, "CHACHA20_POLY1305"},
	{12, 16, 2, "AES_CBC_128+SHA1"}, {12, 24, 2, "AES_CBC_192+SHA1"}, {12, 32, 2, "AES_CBC_256+SHA1"},
	{12, 16, 12, "AES_CBC_128+SHA2_256"}, {12, 32, 12, "AES_CBC_256+SHA2_256"},
	{12, 24, 13, "AES_CBC_192+SHA2_384"}, {12, 32, 13, "AES_CBC_256+SHA2_384"},
	{12, 16, 14, "AES_CBC_128+SHA2_512"}, {12, 32, 14, "AES_CBC_256+SHA2_512"},
	{11, 0, 2, "NULL+SHA1"}, {11, 0, 12, "NULL+SHA2_256"}, {11, 0, 14, "NULL+SHA2_512"},
};
#define TRANSFORMS (sizeof(transforms) / sizeof(transforms[0]))

static struct esp_engine engine;
static uint8_t encr_key[36], integ_key[64];

static struct esp_context *context_new(const struct which *w, bool esn)
{
	struct esp_context *c = calloc(1, sizeof(*c));
	assert_true(esp_transform_find(w->encr, w->key_len, w->integ, &c->transform));
	c->spi = SPI;
	c->esn = esn;
	c->keys = aligned_alloc(64, esp_keys_size(&c->transform));
	esp_keys_expand(&engine, c, encr_key, integ_key);
	return c;
}

static void context_free(struct esp_context *c)
{
	free(c->keys);
	free(c);
}

/* ---- the second implementation ---- */

static const EVP_CIPHER *cipher_of(const struct esp_transform *t)
{
	if (t->kind == ESP_CHACHA_POLY)
		return EVP_chacha20_poly1305();
	if (t->kind == ESP_GCM)
		return t->key_len == 16 ? EVP_aes_128_gcm() : t->key_len == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
	return t->key_len == 16 ? EVP_aes_128_cbc() : t->key_len == 24 ? EVP_aes_192_cbc() : EVP_aes_256_cbc();
}

static const EVP_MD *digest_of(uint16_t integ)
{
	return integ == 2 ? EVP_sha1() : integ == 12 ? EVP_sha256() : integ == 13 ? EVP_sha384() : EVP_sha512();
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void reference_aead(const struct esp_context *c, uint8_t *esp, size_t len, uint64_t seq, const uint8_t *plain)
{
	const struct esp_transform *t = &c->transform;
	uint8_t nonce[12], aad[12];
	int n, aad_len = c->esn ? 12 : 8;
	size_t plain_len = len - esp_overhead(t);
	memcpy(nonce, encr_key + t->key_len, 4);
	memcpy(nonce + 4, esp + 8, 8);
	put32(aad, SPI);
	if (c->esn)
		put32(aad + 4, (uint32_t)(seq >> 32));
	put32(aad + aad_len - 4, (uint32_t)seq);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_EncryptInit_ex(x, cipher_of(t), NULL, NULL, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL), 1);
	assert_int_equal(EVP_EncryptInit_ex(x, NULL, NULL, encr_key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(x, NULL, &n, aad, aad_len), 1);
	assert_int_equal(EVP_EncryptUpdate(x, esp + 16, &n, plain, (int)plain_len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(x, esp + 16 + n, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, t->icv_len, esp + len - t->icv_len), 1);
	EVP_CIPHER_CTX_free(x);
}

static void reference_hmac(const struct esp_context *c, uint8_t *esp, size_t len, uint64_t seq, const uint8_t *plain)
{
	const struct esp_transform *t = &c->transform;
	size_t plain_len = len - esp_overhead(t), covered = len - t->icv_len;
	uint8_t *ciphertext = esp + 8 + t->iv_len;
	int n;
	if (t->kind == ESP_CBC_HMAC) {
		EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
		assert_int_equal(EVP_EncryptInit_ex(x, cipher_of(t), NULL, encr_key, esp + 8), 1);
		EVP_CIPHER_CTX_set_padding(x, 0);
		assert_int_equal(EVP_EncryptUpdate(x, ciphertext, &n, plain, (int)plain_len), 1);
		EVP_CIPHER_CTX_free(x);
	} else {
		memcpy(ciphertext, plain, plain_len);
	}
	uint8_t *message = malloc(covered + 4), mac[64];
	unsigned mac_len;
	memcpy(message, esp, covered);
	put32(message + covered, (uint32_t)(seq >> 32));
	HMAC(digest_of(t->integ), integ_key, t->integ_key_len, message, covered + (c->esn ? 4 : 0), mac, &mac_len);
	memcpy(esp + covered, mac, t->icv_len);
	free(message);
}

/* `esp` holds the IV. */
static void reference_seal(const struct esp_context *c, uint8_t *esp, size_t len, uint64_t seq, const uint8_t *plain)
{
	put32(esp, SPI);
	put32(esp + 4, (uint32_t)seq);
	if (c->transform.integ)
		reference_hmac(c, esp, len, seq, plain);
	else
		reference_aead(c, esp, len, seq, plain);
}

/* ---- tests ---- */

static void fill(uint8_t *out, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static size_t esp_len_for(const struct esp_context *c, size_t payload)
{
	size_t align = c->transform.align;
	return (payload + 2 + align - 1) / align * align + esp_overhead(&c->transform);
}

/* A burst of packets of many sizes: sealed here, equal to libcrypto's; sealed by libcrypto, opened here. */
static void check_transform(const struct which *w, bool esn, uint64_t first_seq)
{
	enum { COUNT = ESP_BURST_MAX };
	struct esp_context *c = context_new(w, esn);
	struct esp_op *ops = calloc(COUNT, sizeof(*ops));
	uint8_t *plain[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		ops[i].context = c;
		ops[i].len = (uint32_t)esp_len_for(c, i < 40 ? i * 3 : i * 23);
		ops[i].esp = malloc(ops[i].len);
		ops[i].seq = first_seq + i;
		plain[i] = malloc(esp_payload_len(&ops[i]));
		fill(plain[i], esp_payload_len(&ops[i]), i);
		memcpy(esp_payload(&ops[i]), plain[i], esp_payload_len(&ops[i]));
	}
	esp_seal_burst(&engine, ops, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		uint8_t *reference = malloc(ops[i].len);
		assert_true(ops[i].ok);
		memcpy(reference, ops[i].esp, ops[i].len);
		reference_seal(c, reference, ops[i].len, ops[i].seq, plain[i]);
		assert_memory_equal(reference, ops[i].esp, ops[i].len);
		/* Another IV and all by the other one, for the way back. */
		fill(ops[i].esp + 8, c->transform.iv_len, i + 99);
		reference_seal(c, ops[i].esp, ops[i].len, ops[i].seq, plain[i]);
		assert_true(esp_len_possible(&c->transform, ops[i].len));
		free(reference);
	}
	esp_open_burst(&engine, ops, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(ops[i].ok);
		assert_memory_equal(esp_payload(&ops[i]), plain[i], esp_payload_len(&ops[i]));
		free(ops[i].esp);
		free(plain[i]);
	}
	free(ops);
	context_free(c);
}

static void libcrypto_agrees(void **state)
{
	(void)state;
	for (size_t i = 0; i < TRANSFORMS; i++) {
		check_transform(&transforms[i], false, 1);
		check_transform(&transforms[i], true, 1);
	}
}

static void libcrypto_agrees_over_the_turn_of_esn(void **state)
{
	(void)state;
	for (size_t i = 0; i < TRANSFORMS; i++)
		check_transform(&transforms[i], true, 0xffffffffull - 20);
}

static bool open_one(const struct esp_context *c, uint8_t *esp, size_t len, uint64_t seq)
{
	struct esp_op op = {.context = c, .esp = esp, .len = (uint32_t)len, .seq = seq};
	esp_open_burst(&engine, &op, 1);
	return op.ok;
}

static void no_changed_byte_passes(void **state)
{
	(void)state;
	for (size_t t = 0; t < TRANSFORMS; t++) {
		struct esp_context *c = context_new(&transforms[t], true);
		size_t len = esp_len_for(c, 61);
		uint8_t *sealed = malloc(len), *copy = malloc(len);
		struct esp_op op = {.context = c, .esp = sealed, .len = (uint32_t)len, .seq = 0x200000007};
		fill(sealed, len, 1);
		esp_seal_burst(&engine, &op, 1);
		for (size_t i = 4; i < len; i++) { /* the SPI is looked up, and in an AEAD's AAD as it was */
			for (unsigned bit = 0; bit < 8; bit++) {
				uint64_t seq = op.seq;
				memcpy(copy, sealed, len);
				copy[i] ^= (uint8_t)(1 << bit);
				if (i < 8)
					seq ^= 1ull << ((7 - i) * 8 + bit);
				assert_false(open_one(c, copy, len, seq));
			}
		}
		memcpy(copy, sealed, len);
		assert_false(open_one(c, copy, len, op.seq + (1ull << 32))); /* the high half counts too */
		memcpy(copy, sealed, len);
		assert_true(open_one(c, copy, len, op.seq));
		free(sealed);
		free(copy);
		context_free(c);
	}
}

static void no_truncated_packet_passes(void **state)
{
	(void)state;
	for (size_t t = 0; t < TRANSFORMS; t++) {
		struct esp_context *c = context_new(&transforms[t], false);
		size_t len = esp_len_for(c, 45);
		uint8_t *sealed = malloc(len);
		struct esp_op op = {.context = c, .esp = sealed, .len = (uint32_t)len, .seq = 9};
		fill(sealed, len, 1);
		esp_seal_burst(&engine, &op, 1);
		for (size_t n = 0; n < len; n++) {
			uint8_t *copy = malloc(n ? n : 1);
			memcpy(copy, sealed, n);
			if (esp_len_possible(&c->transform, n))
				assert_false(open_one(c, copy, n, 9));
			free(copy);
		}
		free(sealed);
		context_free(c);
	}
}

static void mixed_bursts_keep_their_packets_apart(void **state)
{
	struct esp_context *contexts[TRANSFORMS];
	struct esp_op ops[TRANSFORMS] = {0};
	uint8_t plain[TRANSFORMS][256];
	(void)state;
	for (size_t i = 0; i < TRANSFORMS; i++) {
		contexts[i] = context_new(&transforms[i], i % 2);
		ops[i].context = contexts[i];
		ops[i].len = (uint32_t)esp_len_for(contexts[i], 33 + i * 5);
		ops[i].esp = malloc(ops[i].len);
		ops[i].seq = i + 1;
		fill(plain[i], sizeof(plain[i]), (unsigned)i);
		memcpy(esp_payload(&ops[i]), plain[i], esp_payload_len(&ops[i]));
	}
	esp_seal_burst(&engine, ops, TRANSFORMS);
	ops[3].esp[20] ^= 1;
	ops[10].esp[30] ^= 1;
	esp_open_burst(&engine, ops, TRANSFORMS);
	for (size_t i = 0; i < TRANSFORMS; i++) {
		assert_int_equal(ops[i].ok, i != 3 && i != 10);
		if (ops[i].ok)
			assert_memory_equal(esp_payload(&ops[i]), plain[i], esp_payload_len(&ops[i]));
		free(ops[i].esp);
		context_free(contexts[i]);
	}
}

/* RFC 7634, appendix A. */
static void rfc7634_example(void **state)
{
	static const uint8_t packet[] = {0x01, 0x02, 0x03, 0x04, 0, 0, 0, 5,
		0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
		0x24, 0x03, 0x94, 0x28, 0xb9, 0x7f, 0x41, 0x7e, 0x3c, 0x13, 0x75, 0x3a, 0x4f, 0x05, 0x08, 0x7b,
		0x67, 0xc3, 0x52, 0xe6, 0xa7, 0xfa, 0xb1, 0xb9, 0x82, 0xd4, 0x66, 0xef, 0x40, 0x7a, 0xe5, 0xc6,
		0x14, 0xee, 0x80, 0x99, 0xd5, 0x28, 0x44, 0xeb, 0x61, 0xaa, 0x95, 0xdf, 0xab, 0x4c, 0x02, 0xf7,
		0x2a, 0xa7, 0x1e, 0x7c, 0x4c, 0x4f, 0x64, 0xc9, 0xbe, 0xfe, 0x2f, 0xac, 0xc6, 0x38, 0xe8, 0xf3,
		0xcb, 0xec, 0x16, 0x3f, 0xac, 0x46, 0x9b, 0x50, 0x27, 0x73, 0xf6, 0xfb, 0x94, 0xe6, 0x64, 0xda,
		0x91, 0x65, 0xb8, 0x28, 0x29, 0xf6, 0x41, 0xe0,
		0x76, 0xaa, 0xa8, 0x26, 0x6b, 0x7f, 0xb0, 0xf7, 0xb1, 0x1b, 0x36, 0x99, 0x07, 0xe1, 0xad, 0x43};
	static const uint8_t head[] = {0x45, 0x00, 0x00, 0x54, 0xa6, 0xf2, 0x00, 0x00, 0x40, 0x01, 0xe7, 0x78,
		0xc6, 0x33, 0x64, 0x05, 0xc0, 0x00, 0x02, 0x05, 0x08, 0x00, 0x5b, 0x7a};
	static const uint8_t tail[] = {0x34, 0x35, 0x36, 0x37, 0x01, 0x02, 0x02, 0x04};
	struct which w = {28, 32, 0, ""};
	uint8_t *copy = malloc(sizeof(packet));
	uint8_t key[36];
	(void)state;
	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)(0x80 + i);
	for (unsigned i = 0; i < 4; i++)
		key[32 + i] = (uint8_t)(0xa0 + i);
	struct esp_context *c = context_new(&w, false);
	esp_keys_expand(&engine, c, key, NULL);
	memcpy(copy, packet, sizeof(packet));
	assert_true(esp_len_possible(&c->transform, sizeof(packet)));
	assert_true(open_one(c, copy, sizeof(packet), 5));
	assert_memory_equal(copy + 16, head, sizeof(head));
	assert_memory_equal(copy + sizeof(packet) - 16 - sizeof(tail), tail, sizeof(tail));
	free(copy);
	context_free(c);
}

static void ivs_are_never_equal(void **state)
{
	enum { COUNT = 500 };
	static const struct which aead = {20, 16, 0, ""}, cbc = {12, 16, 2, ""};
	const struct which *both[] = {&aead, &cbc};
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct esp_context *c = context_new(both[k], false);
		uint8_t ivs[COUNT][16] = {{0}};
		for (unsigned i = 0; i < COUNT; i++) {
			uint8_t packet[128] = {0};
			struct esp_op op = {.context = c, .esp = packet, .len = (uint32_t)esp_len_for(c, 20), .seq = i + 1};
			esp_seal_burst(&engine, &op, 1);
			memcpy(ivs[i], packet + 8, c->transform.iv_len);
			for (unsigned j = 0; j < i; j++)
				assert_memory_not_equal(ivs[i], ivs[j], c->transform.iv_len);
		}
		context_free(c);
	}
}

static void unknown_transforms_are_refused(void **state)
{
	struct esp_transform t;
	(void)state;
	assert_false(esp_transform_find(20, 20, 0, &t));
	assert_false(esp_transform_find(20, 16, 2, &t));
	assert_false(esp_transform_find(12, 16, 0, &t));
	assert_false(esp_transform_find(11, 0, 0, &t));
	assert_false(esp_transform_find(3, 24, 2, &t));
	assert_false(esp_transform_find(28, 16, 0, &t));
	assert_false(esp_transform_find(12, 16, 1, &t));
	assert_true(dataplane_supports(20, 128, 0, true));
	assert_true(dataplane_supports(28, 0, 0, false));
	assert_true(dataplane_supports(28, 256, 0, false));
	assert_true(dataplane_supports(12, 256, 14, false));
	assert_true(dataplane_supports(11, 0, 12, false));
	assert_false(dataplane_supports(12, 0, 12, false));
	assert_false(dataplane_supports(12, 129, 12, false));
	assert_false(dataplane_supports(28, 128, 0, false));
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(encr_key); i++)
		encr_key[i] = (uint8_t)(i * 5 + 1);
	for (unsigned i = 0; i < sizeof(integ_key); i++)
		integ_key[i] = (uint8_t)(i * 3 + 7);
	return esp_engine_init(&engine) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	esp_engine_end(&engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libcrypto_agrees),
		cmocka_unit_test(libcrypto_agrees_over_the_turn_of_esn),
		cmocka_unit_test(no_changed_byte_passes),
		cmocka_unit_test(no_truncated_packet_passes),
		cmocka_unit_test(mixed_bursts_keep_their_packets_apart),
		cmocka_unit_test(rfc7634_example),
		cmocka_unit_test(ivs_are_never_equal),
		cmocka_unit_test(unknown_transforms_are_refused),
	};
	return cmocka_run_group_tests_name("dataplane ESP", tests, setup, teardown);
}
