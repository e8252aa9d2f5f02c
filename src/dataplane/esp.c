#include "esp.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/secret.h"

#define HMAC_BLOCK_MAX 128

static const uint8_t ipad = 0x36, opad = 0x5c;

bool esp_engine_init(struct esp_engine *engine)
{
	engine->random_left = 0;
	engine->mgr = alloc_mb_mgr(0);
	if (!engine->mgr)
		return false;
	IMB_ARCH arch;
	init_mb_mgr_auto(engine->mgr, &arch);
	if (imb_get_errno(engine->mgr) == 0)
		return true;
	esp_engine_end(engine);
	return false;
}

void esp_engine_end(struct esp_engine *engine)
{
	secret_wipe(engine->random, sizeof(engine->random));
	if (engine->mgr)
		free_mb_mgr(engine->mgr);
	engine->mgr = NULL;
}

/* ---- keys ---- */

size_t esp_keys_size(const struct esp_transform *transform)
{
	size_t size = 0;
	switch (transform->kind) {
	case ESP_GCM:
		size = sizeof(struct gcm_key_data);
		break;
	case ESP_CHACHA_POLY:
		size = sizeof(((union esp_keys *)0)->chacha);
		break;
	case ESP_CBC_HMAC:
	case ESP_NULL_HMAC:
		size = sizeof(((union esp_keys *)0)->cbc);
		break;
	}
	return (size + 63) / 64 * 64;
}

static void expand_hmac_half(struct esp_engine *engine, uint16_t integ, const uint8_t *key,
	size_t key_len, uint8_t pad, uint8_t *out)
{
	uint8_t block[HMAC_BLOCK_MAX];
	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < key_len; i++)
		block[i] ^= key[i];
	switch (integ) {
	case 2:
		IMB_SHA1_ONE_BLOCK(engine->mgr, block, out);
		break;
	case 12:
		IMB_SHA256_ONE_BLOCK(engine->mgr, block, out);
		break;
	case 13:
		IMB_SHA384_ONE_BLOCK(engine->mgr, block, out);
		break;
	case 14:
		IMB_SHA512_ONE_BLOCK(engine->mgr, block, out);
		break;
	}
	secret_wipe(block, sizeof(block));
}

static void expand_gcm(IMB_MGR *mgr, unsigned key_len, const uint8_t *key, struct gcm_key_data *out)
{
	if (key_len == 16)
		IMB_AES128_GCM_PRE(mgr, key, out);
	else if (key_len == 24)
		IMB_AES192_GCM_PRE(mgr, key, out);
	else
		IMB_AES256_GCM_PRE(mgr, key, out);
}

static void expand_aes(IMB_MGR *mgr, unsigned key_len, const uint8_t *key, union esp_keys *out)
{
	if (key_len == 16)
		IMB_AES_KEYEXP_128(mgr, key, out->cbc.encrypt, out->cbc.decrypt);
	else if (key_len == 24)
		IMB_AES_KEYEXP_192(mgr, key, out->cbc.encrypt, out->cbc.decrypt);
	else
		IMB_AES_KEYEXP_256(mgr, key, out->cbc.encrypt, out->cbc.decrypt);
}

void esp_keys_expand(struct esp_engine *engine, struct esp_context *context,
	const uint8_t *encr_key, const uint8_t *integ_key)
{
	const struct esp_transform *t = &context->transform;
	union esp_keys *keys = context->keys;
	memcpy(context->salt, encr_key + t->key_len, t->salt_len);
	switch (t->kind) {
	case ESP_GCM:
		expand_gcm(engine->mgr, t->key_len, encr_key, &keys->gcm);
		return;
	case ESP_CHACHA_POLY:
		memcpy(keys->chacha.key, encr_key, sizeof(keys->chacha.key));
		return;
	case ESP_CBC_HMAC:
		expand_aes(engine->mgr, t->key_len, encr_key, keys);
		break;
	case ESP_NULL_HMAC:
		break;
	}
	expand_hmac_half(engine, t->integ, integ_key, t->integ_key_len, ipad, keys->cbc.inner);
	expand_hmac_half(engine, t->integ, integ_key, t->integ_key_len, opad, keys->cbc.outer);
}

/* ---- what both directions share ---- */

static void put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, 4);
}

/* RFC 4106, section 5 and RFC 7634, section 2.1: SPI and sequence number, with ESN all 64 bits of
 * it. */
static unsigned write_aad(struct esp_op *op)
{
	put32(op->aad, op->context->spi);
	if (!op->context->esn) {
		put32(op->aad + 4, (uint32_t)op->seq);
		return 8;
	}
	put32(op->aad + 4, (uint32_t)(op->seq >> 32));
	put32(op->aad + 8, (uint32_t)op->seq);
	return 12;
}

/* Salt and explicit IV. */
static void write_nonce(struct esp_op *op)
{
	memcpy(op->iv, op->context->salt, 4);
	memcpy(op->iv + 4, op->esp + ESP_HEADER_LEN, 8);
}

static void gcm_run(IMB_MGR *mgr, struct esp_op *op, bool seal)
{
	const struct esp_transform *t = &op->context->transform;
	const struct gcm_key_data *key = &op->context->keys->gcm;
	struct gcm_context_data context;
	uint8_t *payload = esp_payload(op);
	uint64_t len = esp_payload_len(op);
	unsigned aad_len = write_aad(op);
	aes_gcm_enc_dec_t run;
	if (t->key_len == 16)
		run = seal ? mgr->gcm128_enc : mgr->gcm128_dec;
	else if (t->key_len == 24)
		run = seal ? mgr->gcm192_enc : mgr->gcm192_dec;
	else
		run = seal ? mgr->gcm256_enc : mgr->gcm256_dec;
	write_nonce(op);
	run(key, &context, payload, payload, len, op->iv, op->aad, aad_len, op->icv, t->icv_len);
}

static IMB_HASH_ALG hash_alg(uint16_t integ)
{
	switch (integ) {
	case 2:
		return IMB_AUTH_HMAC_SHA_1;
	case 12:
		return IMB_AUTH_HMAC_SHA_256;
	case 13:
		return IMB_AUTH_HMAC_SHA_384;
	default:
		return IMB_AUTH_HMAC_SHA_512;
	}
}

static void fill_chacha(IMB_JOB *job, struct esp_op *op)
{
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->enc_keys = job->dec_keys = op->context->keys->chacha.key;
	job->key_len_in_bytes = 32;
	write_nonce(op);
	job->iv_len_in_bytes = 12;
	job->u.CHACHA20_POLY1305.aad = op->aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = write_aad(op);
	job->hash_start_src_offset_in_bytes = job->cipher_start_src_offset_in_bytes;
	job->msg_len_to_hash_in_bytes = job->msg_len_to_cipher_in_bytes;
}

/* The ICV covers header, IV and ciphertext, and with ESN the high half of the sequence number
 * behind them (RFC 4303, section 2.2.1). It is written where the ICV lies, which has been saved or
 * is yet to come. */
static void fill_hmac(IMB_JOB *job, struct esp_op *op)
{
	const struct esp_transform *t = &op->context->transform;
	union esp_keys *keys = op->context->keys;
	uint32_t covered = op->len - t->icv_len;
	job->hash_alg = hash_alg(t->integ);
	job->u.HMAC._hashed_auth_key_xor_ipad = keys->cbc.inner;
	job->u.HMAC._hashed_auth_key_xor_opad = keys->cbc.outer;
	job->hash_start_src_offset_in_bytes = 0;
	if (op->context->esn)
		put32(op->esp + covered, (uint32_t)(op->seq >> 32));
	job->msg_len_to_hash_in_bytes = covered + (op->context->esn ? 4 : 0);
	if (t->kind == ESP_NULL_HMAC) {
		job->cipher_mode = IMB_CIPHER_NULL;
		return;
	}
	job->cipher_mode = IMB_CIPHER_CBC;
	job->enc_keys = keys->cbc.encrypt;
	job->dec_keys = keys->cbc.decrypt;
	job->key_len_in_bytes = t->key_len;
	memcpy(op->iv, op->esp + ESP_HEADER_LEN, 16);
	job->iv_len_in_bytes = 16;
}

static void job_done(IMB_JOB *job)
{
	struct esp_op *op = job->user_data;
	op->ok = job->status == IMB_STATUS_COMPLETED;
}

static void job_submit(IMB_MGR *mgr, struct esp_op *op, bool seal)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);
	*job = (IMB_JOB){
		.src = op->esp,
		.dst = esp_payload(op),
		.cipher_start_src_offset_in_bytes = (uint64_t)(esp_payload(op) - op->esp),
		.msg_len_to_cipher_in_bytes = esp_payload_len(op),
		.iv = op->iv,
		.auth_tag_output = op->icv,
		.auth_tag_output_len_in_bytes = op->context->transform.icv_len,
		.cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT,
		.chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER,
		.user_data = op,
	};
	if (op->context->transform.kind == ESP_CHACHA_POLY)
		fill_chacha(job, op);
	else
		fill_hmac(job, op);
	for (job = IMB_SUBMIT_JOB(mgr); job; job = IMB_GET_COMPLETED_JOB(mgr))
		job_done(job);
}

static void run_burst(struct esp_engine *engine, struct esp_op *ops, unsigned count, bool seal)
{
	bool jobs = false;
	for (unsigned i = 0; i < count; i++) {
		struct esp_op *op = &ops[i];
		if (op->context->transform.kind == ESP_GCM) {
			gcm_run(engine->mgr, op, seal);
			op->ok = true;
		} else {
			op->ok = false; /* until its job says otherwise */
			job_submit(engine->mgr, op, seal);
			jobs = true;
		}
	}
	if (!jobs)
		return;
	for (IMB_JOB *job; (job = IMB_FLUSH_JOB(engine->mgr)) != NULL;)
		job_done(job);
}

/* ---- out ---- */

static void random_bytes(struct esp_engine *engine, uint8_t *out, unsigned len)
{
	if (engine->random_left < len) {
		size_t have = 0;
		while (have < sizeof(engine->random)) {
			ssize_t n =
				getrandom(engine->random + have, sizeof(engine->random) - have, 0);
			if (n > 0)
				have += (size_t)n;
		}
		engine->random_left = sizeof(engine->random);
	}
	engine->random_left -= len;
	memcpy(out, engine->random + engine->random_left, len);
}

static void write_head(struct esp_engine *engine, struct esp_op *op)
{
	uint8_t *iv = op->esp + ESP_HEADER_LEN;
	put32(op->esp, op->context->spi);
	put32(op->esp + 4, (uint32_t)op->seq);
	switch (op->context->transform.kind) {
	case ESP_GCM:
	case ESP_CHACHA_POLY: /* never twice with one key: that is what the sequence number is */
		put32(iv, (uint32_t)(op->seq >> 32));
		put32(iv + 4, (uint32_t)op->seq);
		break;
	case ESP_CBC_HMAC: /* not to be foretold */
		random_bytes(engine, iv, 16);
		break;
	case ESP_NULL_HMAC:
		break;
	}
}

void esp_seal_burst(struct esp_engine *engine, struct esp_op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		write_head(engine, &ops[i]);
	run_burst(engine, ops, count, true);
	for (unsigned i = 0; i < count; i++) {
		unsigned icv_len = ops[i].context->transform.icv_len;
		memcpy(ops[i].esp + ops[i].len - icv_len, ops[i].icv, icv_len);
	}
}

/* ---- in ---- */

bool esp_len_possible(const struct esp_transform *transform, size_t len)
{
	size_t overhead = esp_overhead(transform);
	if (len < overhead + ESP_TRAILER_LEN)
		return false;
	return (len - overhead) % transform->align == 0;
}

void esp_open_burst(struct esp_engine *engine, struct esp_op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned icv_len = ops[i].context->transform.icv_len;
		memcpy(ops[i].received, ops[i].esp + ops[i].len - icv_len, icv_len);
	}
	run_burst(engine, ops, count, false);
	for (unsigned i = 0; i < count; i++) {
		unsigned icv_len = ops[i].context->transform.icv_len;
		ops[i].ok = ops[i].ok && secret_equal(ops[i].received, ops[i].icv, icv_len);
	}
}
