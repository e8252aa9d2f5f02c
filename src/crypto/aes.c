#include "aes.h"

bool aes_expand(struct crypto_context *context, struct bytes key, struct aes_keys *keys)
{
	switch (key.len) {
	case 16:
		IMB_AES_KEYEXP_128(context->lone, key.data, keys->encrypt, keys->decrypt);
		return true;
	case 24:
		IMB_AES_KEYEXP_192(context->lone, key.data, keys->encrypt, keys->decrypt);
		return true;
	case 32:
		IMB_AES_KEYEXP_256(context->lone, key.data, keys->encrypt, keys->decrypt);
		return true;
	default:
		return false;
	}
}

static bool aes_run(IMB_MGR *manager, IMB_CIPHER_MODE mode, IMB_CIPHER_DIRECTION direction,
	const struct aes_keys *keys, size_t key_len, const uint8_t *iv, uint8_t *data, size_t len)
{
	IMB_JOB *job;

	if (len == 0)
		return true;
	job = job_next(manager, data, data);
	job->cipher_mode = mode;
	job->cipher_direction = direction;
	if (direction == IMB_DIR_DECRYPT)
		job->chain_order = IMB_ORDER_HASH_CIPHER;
	job->enc_keys = keys->encrypt;
	job->dec_keys = keys->decrypt;
	job->key_len_in_bytes = key_len;
	job->iv = iv;
	job->iv_len_in_bytes = AES_BLOCK;
	job->msg_len_to_cipher_in_bytes = len;
	return job_run(manager);
}

bool aes_cbc_encrypt(struct crypto_context *context, const struct aes_keys *keys, size_t key_len,
	const uint8_t iv[AES_BLOCK], uint8_t *data, size_t len)
{
	return aes_run(
		context->lone, IMB_CIPHER_CBC, IMB_DIR_ENCRYPT, keys, key_len, iv, data, len);
}

bool aes_cbc_decrypt(struct crypto_context *context, const struct aes_keys *keys, size_t key_len,
	const uint8_t iv[AES_BLOCK], uint8_t *data, size_t len)
{
	return aes_run(
		context->wide, IMB_CIPHER_CBC, IMB_DIR_DECRYPT, keys, key_len, iv, data, len);
}

bool aes_ctr(struct crypto_context *context, const struct aes_keys *keys, size_t key_len,
	const uint8_t counter[AES_BLOCK], uint8_t *data, size_t len)
{
	return aes_run(
		context->wide, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, keys, key_len, counter, data, len);
}
