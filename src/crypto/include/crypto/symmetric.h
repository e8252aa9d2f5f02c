/* Per-message symmetric work for IKE, by intel-ipsec-mb (MD5 and 3DES, for old peers, by
 * libcrypto): PRF, prf+, integrity, encryption. Keys come in raw and are expanded for each call;
 * nothing is kept but in the context's scratch memory, which is wiped after each call.
 *
 * A context belongs to one thread (it holds that thread's managers); no call blocks or
 * allocates after crypto_context_new. */
#ifndef CRYPTO_SYMMETRIC_H
#define CRYPTO_SYMMETRIC_H

#include "base/bytes.h"
#include "crypto/algorithm.h"

struct crypto_context;

/* NULL when memory is out or the CPU lacks what intel-ipsec-mb needs. */
struct crypto_context *crypto_context_new(void);
void crypto_context_free(struct crypto_context *context);

#define PRF_OUTPUT_MAX      64
#define ICV_MAX             32
#define ENCR_KEYMAT_MAX     40
#define SYMMETRIC_PARTS_MAX 12
/* Of all parts together, of a PRF's key, of AAD: the longest IKE message and what is joined to
 * it, in bytes. */
#define SYMMETRIC_INPUT_MAX (65535 + 8192)
/* Of data to encrypt: no IKE message has room for more. */
#define ENCR_DATA_MAX 65520

/* prf(key, parts[0] | parts[1] | ...) into out[alg->output_len] (RFC 7296, section 2.13).
 * Key lengths that the algorithm does not prefer are handled as RFC 2104, 4434 and 4615 say.
 * False only for arguments that no caller may pass (unknown algorithm, too many parts, more
 * than SYMMETRIC_INPUT_MAX) and where libcrypto's configuration has no MD5 or 3DES (FIPS). */
bool prf(struct crypto_context *context, const struct algorithm *prf_alg, struct bytes key,
	const struct bytes *parts, size_t part_count, uint8_t *out);
/* prf+ (RFC 7296, section 2.13): out_len up to 255 outputs, else false. */
bool prf_plus(struct crypto_context *context, const struct algorithm *prf_alg, struct bytes key,
	const struct bytes *parts, size_t part_count, uint8_t *out, size_t out_len);
/* Plain hashes: SHA-1 for NAT detection (RFC 7296, section 2.23). */
bool hash_sha1(struct crypto_context *context, const struct bytes *parts, size_t part_count,
	uint8_t out[20]);
bool hash_sha2_256(struct crypto_context *context, const struct bytes *parts, size_t part_count,
	uint8_t out[32]);

/* integ->icv_len bytes over the parts. key.len is integ->key_len. */
bool integ_compute(struct crypto_context *context, const struct algorithm *integ, struct bytes key,
	const struct bytes *parts, size_t part_count, uint8_t *icv);

/* The encryption of an IKE SK payload (RFC 7296, section 3.14; RFC 5282 for AEAD), or of any data
 * of the same shape. In place: `data` is a whole number of blocks. `keymat` is key and
 * salt. For AEAD `icv` takes or holds encr->icv_len bytes and `aad` is authenticated;
 * without AEAD both are NULL/empty and the caller runs integ_compute over the packet. */
struct encr_request {
	const struct algorithm *encr;
	uint16_t key_bits;
	struct bytes keymat;
	struct bytes iv; /* encr->iv_len */
	struct bytes aad;
	uint8_t *data;
	size_t len;
	uint8_t *icv;
};
bool encr_seal(struct crypto_context *context, const struct encr_request *request);
/* False when the ICV is wrong: `data` is then wiped. Neither changes anything when the
 * request's lengths do not fit its algorithm: they then return false at once. */
bool encr_open(struct crypto_context *context, const struct encr_request *request);

#endif
