/* Private to this room: the keyed functions under PRFs and integrity algorithms. */
#ifndef CRYPTO_MAC_PRIVATE_H
#define CRYPTO_MAC_PRIVATE_H

#include "context.h"

enum mac {
	MAC_HMAC_MD5,
	MAC_HMAC_SHA1,
	MAC_HMAC_SHA2_256,
	MAC_HMAC_SHA2_384,
	MAC_HMAC_SHA2_512,
	MAC_AES_XCBC,
	MAC_AES_CMAC,
};

size_t mac_output_len(enum mac mac);
/* HMAC: any length up to SYMMETRIC_INPUT_MAX. AES: 16 bytes. */
bool mac_set_key(struct crypto_context *context, enum mac mac, struct bytes key);
/* With the key set before, any number of times. `message` lies in the scratch with a hash
 * block of room in front of it (hash_block_len), which HMAC overwrites. */
bool mac_run(struct crypto_context *context, enum mac mac, struct bytes message, uint8_t *out);
/* Key and scratch. */
void mac_wipe(struct crypto_context *context, enum mac mac);

#endif
