/* Private to this room: unkeyed hashes over one piece of memory. */
#ifndef CRYPTO_HASH_PRIVATE_H
#define CRYPTO_HASH_PRIVATE_H

#include "context.h"

enum hash { HASH_MD5, HASH_SHA1, HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512 };

size_t hash_block_len(enum hash hash);
size_t hash_output_len(enum hash hash);
/* `out` takes hash_output_len bytes and may lie in `data`. */
bool hash_run(struct crypto_context *context, enum hash hash, struct bytes data, uint8_t *out);

#endif
