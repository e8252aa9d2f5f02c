/* Private to this room: ciphers that authenticate. Keys and nonce are of the request's lengths,
 * which encryption.c has checked. */
#ifndef CRYPTO_AEAD_PRIVATE_H
#define CRYPTO_AEAD_PRIVATE_H

#include "context.h"

#define AEAD_TAG 16

/* In place over request->data; the whole tag, of which the ICV is the first part, into `tag`.
 * Opening does not compare: encr_open does. */
bool gcm_run(struct crypto_context *context, const struct encr_request *request, bool seal,
	uint8_t tag[AEAD_TAG]);
bool ccm_run(struct crypto_context *context, const struct encr_request *request, bool seal,
	uint8_t tag[AEAD_TAG]);
bool chacha20_poly1305_run(struct crypto_context *context, const struct encr_request *request,
	bool seal, uint8_t tag[AEAD_TAG]);

#endif
