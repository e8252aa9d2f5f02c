#include "mac.h"

#include "base/secret.h"
#include "cbc_mac.h"
#include "hash.h"

#include <string.h>

static bool is_hmac(enum mac mac)
{
	return mac <= MAC_HMAC_SHA2_512;
}

static enum hash hash_of(enum mac mac)
{
	switch (mac) {
	case MAC_HMAC_MD5:
		return HASH_MD5;
	case MAC_HMAC_SHA1:
		return HASH_SHA1;
	case MAC_HMAC_SHA2_384:
		return HASH_SHA2_384;
	case MAC_HMAC_SHA2_512:
		return HASH_SHA2_512;
	default:
		return HASH_SHA2_256;
	}
}

size_t mac_output_len(enum mac mac)
{
	return is_hmac(mac) ? hash_output_len(hash_of(mac)) : AES_BLOCK;
}

/* RFC 2104 */
static bool hmac_set_key(struct crypto_context *context, enum hash hash, struct bytes key)
{
	struct hmac_room *room = &context->hmac;
	size_t block = hash_block_len(hash);

	if (key.len > block) {
		if (!hash_run(context, hash, key, room->long_key))
			return false;
		key = bytes_of(room->long_key, hash_output_len(hash));
	}
	memset(room->inner, 0x36, block);
	memset(room->outer, 0x5c, block);
	for (size_t i = 0; i < key.len; i++) {
		room->inner[i] ^= key.data[i];
		room->outer[i] ^= key.data[i];
	}
	return true;
}

/* Two plain hashes: cheaper for one message than jobs of HMAC, whose key has to be hashed
 * by the library's slower one-block functions first. */
static bool hmac_run(
	struct crypto_context *context, enum hash hash, struct bytes message, uint8_t *out)
{
	struct hmac_room *room = &context->hmac;
	size_t block = hash_block_len(hash);
	uint8_t *start = context->scratch + (message.data - context->scratch) - block;

	memcpy(start, room->inner, block);
	return hash_run(context, hash, bytes_of(start, block + message.len), room->outer + block) &&
	       hash_run(context, hash, bytes_of(room->outer, block + hash_output_len(hash)), out);
}

bool mac_set_key(struct crypto_context *context, enum mac mac, struct bytes key)
{
	if (is_hmac(mac))
		return hmac_set_key(context, hash_of(mac), key);
	if (key.len != AES_BLOCK)
		return false;
	if (mac == MAC_AES_XCBC)
		cbc_mac_set_xcbc_key(context, key.data);
	else
		cbc_mac_set_cmac_key(context, key.data);
	return true;
}

bool mac_run(struct crypto_context *context, enum mac mac, struct bytes message, uint8_t *out)
{
	if (is_hmac(mac))
		return hmac_run(context, hash_of(mac), message, out);
	return cbc_mac_update(context, message) && cbc_mac_finish_masked(context, out);
}

void mac_wipe(struct crypto_context *context, enum mac mac)
{
	if (is_hmac(mac))
		secret_wipe(&context->hmac, sizeof(context->hmac));
	else
		cbc_mac_wipe(context);
	context_wipe_scratch(context);
}
