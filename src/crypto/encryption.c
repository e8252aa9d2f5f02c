#include "aead.h"
#include "aes.h"

#include "base/secret.h"

#include <string.h>

static bool well_formed(const struct encr_request *request)
{
	const struct algorithm *encr = request->encr;

	if (encr->type != TRANSFORM_ENCR || !algorithm_has_key_bits(encr, request->key_bits))
		return false;
	if (request->keymat.len != algorithm_encr_keymat_len(encr, request->key_bits) ||
		request->iv.len != encr->iv_len)
		return false;
	if (request->len > ENCR_DATA_MAX || request->len % encr->block_len != 0)
		return false;
	if (!encr->aead)
		return !request->icv && request->aad.len == 0;
	return request->icv && request->aad.len <= SYMMETRIC_INPUT_MAX;
}

static bool run_cbc(struct crypto_context *context, const struct encr_request *request, bool seal)
{
	struct bytes key = request->keymat;
	bool ok = aes_expand(context, key, &context->aes) &&
		  (seal ? aes_cbc_encrypt : aes_cbc_decrypt)(context, &context->aes, key.len,
			  request->iv.data, request->data, request->len);

	secret_wipe(&context->aes, sizeof(context->aes));
	return ok;
}

/* Nonce from the keying material, explicit IV, block counter from 1 (RFC 3686, section 4;
 * RFC 5930). Opening is the same as sealing. */
static bool run_ctr(struct crypto_context *context, const struct encr_request *request)
{
	size_t key_len = request->keymat.len - request->encr->salt_len;
	struct bytes key = bytes_of(request->keymat.data, key_len);
	uint8_t counter[AES_BLOCK];
	struct writer w = writer_of(counter, sizeof(counter));
	bool ok;

	write_copy(&w, request->keymat.data + key_len, request->encr->salt_len);
	write_bytes(&w, request->iv);
	write_u32(&w, 1);
	ok = aes_expand(context, key, &context->aes) &&
	     aes_ctr(context, &context->aes, key_len, counter, request->data, request->len);
	secret_wipe(&context->aes, sizeof(context->aes));
	return ok;
}

static bool run_3des(struct crypto_context *context, const struct encr_request *request, bool seal)
{
	static const uint8_t no_key[24], no_iv[8];
	EVP_CIPHER_CTX *des3 = context->des3;
	int done = 0;
	bool ok;

	if (!des3)
		return false;
	ok = EVP_CipherInit_ex2(des3, NULL, request->keymat.data, request->iv.data, seal, NULL) ==
		     1 &&
	     EVP_CIPHER_CTX_set_padding(des3, 0) == 1 &&
	     EVP_CipherUpdate(des3, request->data, &done, request->data, (int)request->len) == 1 &&
	     (size_t)done == request->len;
	/* A new schedule over the old: what is wiped here is the key. */
	return EVP_CipherInit_ex2(des3, NULL, no_key, no_iv, seal, NULL) == 1 && ok;
}

static bool run_plain(struct crypto_context *context, const struct encr_request *request, bool seal)
{
	switch (request->encr->id) {
	case ENCR_NULL:
		return true;
	case ENCR_3DES:
		return run_3des(context, request, seal);
	case ENCR_AES_CBC:
		return run_cbc(context, request, seal);
	case ENCR_AES_CTR:
		return run_ctr(context, request);
	default:
		return false;
	}
}

static bool run_aead(struct crypto_context *context, const struct encr_request *request, bool seal,
	uint8_t tag[AEAD_TAG])
{
	switch (request->encr->id) {
	case ENCR_AES_GCM_8:
	case ENCR_AES_GCM_12:
	case ENCR_AES_GCM_16:
		return gcm_run(context, request, seal, tag);
	case ENCR_AES_CCM_8:
	case ENCR_AES_CCM_12:
	case ENCR_AES_CCM_16:
		return ccm_run(context, request, seal, tag);
	case ENCR_CHACHA20_POLY1305:
		return chacha20_poly1305_run(context, request, seal, tag);
	default:
		return false;
	}
}

bool encr_seal(struct crypto_context *context, const struct encr_request *request)
{
	uint8_t tag[AEAD_TAG];
	bool ok;

	if (!well_formed(request))
		return false;
	if (!request->encr->aead)
		return run_plain(context, request, true);
	ok = run_aead(context, request, true, tag);
	if (ok)
		memcpy(request->icv, tag, request->encr->icv_len);
	secret_wipe(tag, sizeof(tag));
	return ok;
}

bool encr_open(struct crypto_context *context, const struct encr_request *request)
{
	uint8_t tag[AEAD_TAG];
	bool ok;

	if (!well_formed(request))
		return false;
	if (!request->encr->aead) {
		ok = run_plain(context, request, false);
	} else {
		/* The right tag of a forged message must not leave this function. */
		ok = run_aead(context, request, false, tag) &&
		     secret_equal(tag, request->icv, request->encr->icv_len);
		secret_wipe(tag, sizeof(tag));
	}
	if (!ok)
		secret_wipe(request->data, request->len);
	return ok;
}
