/* Private to this room: what a crypto_context holds and the steps that its users share. */
#ifndef CRYPTO_CONTEXT_PRIVATE_H
#define CRYPTO_CONTEXT_PRIVATE_H

#include "crypto/symmetric.h"

#include <intel-ipsec-mb.h>
#include <openssl/evp.h>

/* Room in front of gathered input: a chained PRF output and a hash's block with the key. */
#define SCRATCH_HEADROOM 256
#define SCRATCH_SIZE     (SCRATCH_HEADROOM + SYMMETRIC_INPUT_MAX + 64)

#define AES_BLOCK        16
/* CBC-MAC runs over its input in pieces of this size. */
#define CBC_MAC_PIECE 1024

struct aes_keys {
	uint32_t encrypt[4 * 15] __attribute__((aligned(16)));
	uint32_t decrypt[4 * 15] __attribute__((aligned(16)));
};

/* Rooms for what is derived from a caller's key during one call; who uses one wipes it. */

struct gcm_room {
	struct gcm_key_data key __attribute__((aligned(64)));
	struct gcm_context_data state __attribute__((aligned(16)));
};

struct hmac_room {
	uint8_t inner[IMB_SHA_512_BLOCK_SIZE]; /* key xor ipad */
	/* key xor opad, and behind it the inner digest */
	uint8_t outer[IMB_SHA_512_BLOCK_SIZE + PRF_OUTPUT_MAX];
	uint8_t long_key[PRF_OUTPUT_MAX];
};

struct cbc_mac_room {
	struct aes_keys aes;
	/* XCBC's K2 and K3, CMAC's K1 and K2 (RFC 3566, 4493) */
	uint8_t full_subkey[AES_BLOCK] __attribute__((aligned(16)));
	uint8_t padded_subkey[AES_BLOCK] __attribute__((aligned(16)));
	uint8_t chain[AES_BLOCK] __attribute__((aligned(16)));
	/* The last block waits here: XCBC and CMAC treat it in a way of their own. */
	uint8_t piece[CBC_MAC_PIECE] __attribute__((aligned(16)));
	size_t filled;
	size_t key_len;
};

struct crypto_context {
	struct gcm_room gcm;
	struct cbc_mac_room cbc_mac;
	struct aes_keys aes;
	struct hmac_room hmac;
	/* Of the widest instruction set: best for what is parallel within one message (GCM, CTR,
	 * CBC decryption, ChaCha20). */
	IMB_MGR *wide;
	/* Of SSE: best for what is a chain (hashes, CBC encryption), of which there is one at a
	 * time here; the wider managers are made to fill many lanes. */
	IMB_MGR *lone;
	bool sha_ni;
	/* By libcrypto, and NULL where its configuration has none. Intel-ipsec-mb has no plain MD5,
	 * which HMAC needs for a long key; its 3DES takes 500 us for 300 bytes without AVX-512
	 * and 33 us with it, libcrypto's 9 us. */
	EVP_MD_CTX *md5;
	EVP_CIPHER_CTX *des3;
	size_t scratch_used;
	uint8_t scratch[SCRATCH_SIZE] __attribute__((aligned(64)));
};

/* Managers made by `init_wide` and alloc_mb_mgr flags, so that the paths of
 * smaller CPUs can be tested on a larger one. NULL when this CPU cannot. */
struct crypto_context *context_new_with(void (*init_wide)(IMB_MGR *), uint64_t flags);

/* A zeroed job of `manager` with in and out set, for job_run. */
IMB_JOB *job_next(IMB_MGR *manager, const uint8_t *in, uint8_t *out);
/* Submits the job and waits for it: false when the library finds fault with it. */
bool job_run(IMB_MGR *manager);

/* Total length; false when it is more than SYMMETRIC_INPUT_MAX or there are too many parts. */
bool parts_len(const struct bytes *parts, size_t part_count, size_t *len);
/* All parts behind the scratch's headroom. */
bool context_gather(struct crypto_context *context, const struct bytes *parts, size_t part_count,
	struct bytes *gathered);
/* Wipes what context_gather filled. */
void context_wipe_scratch(struct crypto_context *context);

#endif
