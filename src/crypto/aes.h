/* Private to this room: AES in its two plain modes. */
#ifndef CRYPTO_AES_PRIVATE_H
#define CRYPTO_AES_PRIVATE_H

#include "context.h"

/* 16, 24 or 32 bytes; false for others. */
bool aes_expand(struct crypto_context *context, struct bytes key, struct aes_keys *keys);
/* In place; `len` in whole blocks. `iv` is not changed. */
bool aes_cbc_encrypt(struct crypto_context *context, const struct aes_keys *keys, size_t key_len,
	const uint8_t iv[AES_BLOCK], uint8_t *data, size_t len);
bool aes_cbc_decrypt(struct crypto_context *context, const struct aes_keys *keys, size_t key_len,
	const uint8_t iv[AES_BLOCK], uint8_t *data, size_t len);
/* In place, from the whole counter block given, of which the last 4 bytes count. */
bool aes_ctr(struct crypto_context *context, const struct aes_keys *keys, size_t key_len,
	const uint8_t counter[AES_BLOCK], uint8_t *data, size_t len);

#endif
