#include "aead.h"

#include "aes.h"
#include "base/secret.h"
#include "cbc_mac.h"

#include <string.h>

#define CHACHA20_KEY 32

static size_t key_len_of(const struct encr_request *request)
{
	return request->keymat.len - request->encr->salt_len;
}

/* Salt, which lies behind the key, and explicit IV (RFC 5282, section 4; RFC 7634, section 2).
 * Returns its length. */
static size_t make_nonce(const struct encr_request *request, uint8_t *nonce)
{
	size_t salt_len = request->encr->salt_len;

	memcpy(nonce, request->keymat.data + key_len_of(request), salt_len);
	memcpy(nonce + salt_len, request->iv.data, request->iv.len);
	return salt_len + request->iv.len;
}

/* The library refuses null pointers even where there is nothing to read. */
static const uint8_t *aad_of(const struct encr_request *request, const uint8_t *instead)
{
	return request->aad.len > 0 ? request->aad.data : instead;
}

bool gcm_run(struct crypto_context *context, const struct encr_request *request, bool seal,
	uint8_t tag[AEAD_TAG])
{
	struct gcm_room *room = &context->gcm;
	const uint8_t *key = request->keymat.data;
	IMB_MGR *m = context->wide;
	aes_gcm_enc_dec_t run;
	uint8_t nonce[IMB_GCM_IV_DATA_LEN];

	make_nonce(request, nonce);
	/* The direct functions refuse only null pointers and lengths of a kind that cannot come
	 * here. (Their error code lies in a variable that all threads share: of no use.) */
	switch (key_len_of(request)) {
	case 16:
		IMB_AES128_GCM_PRE(m, key, &room->key);
		run = seal ? m->gcm128_enc : m->gcm128_dec;
		break;
	case 24:
		IMB_AES192_GCM_PRE(m, key, &room->key);
		run = seal ? m->gcm192_enc : m->gcm192_dec;
		break;
	case 32:
		IMB_AES256_GCM_PRE(m, key, &room->key);
		run = seal ? m->gcm256_enc : m->gcm256_dec;
		break;
	default:
		return false;
	}
	run(&room->key, &room->state, request->data, request->data, request->len, nonce,
		aad_of(request, nonce), request->aad.len, tag, AEAD_TAG);
	secret_wipe(room, sizeof(*room));
	return true;
}

/* RFC 3610, with a length field of 4 bytes as RFC 4309 sets it. */
#define CCM_LENGTH_FIELD 4

static void ccm_counter(
	const uint8_t *nonce, size_t nonce_len, uint32_t count, uint8_t block[AES_BLOCK])
{
	struct writer w = writer_of(block, AES_BLOCK);

	write_u8(&w, CCM_LENGTH_FIELD - 1);
	write_copy(&w, nonce, nonce_len);
	write_u32(&w, count);
}

/* The first block, and the length of the AAD if there is any. */
static struct bytes ccm_header(
	const struct encr_request *request, const uint8_t *nonce, size_t nonce_len, uint8_t out[32])
{
	struct writer w = writer_of(out, 32);
	size_t aad_len = request->aad.len;
	uint8_t tag_field = (uint8_t)((request->encr->icv_len - 2) / 2);

	write_u8(&w, (uint8_t)((aad_len > 0 ? 0x40 : 0) | tag_field << 3 | (CCM_LENGTH_FIELD - 1)));
	write_copy(&w, nonce, nonce_len);
	write_u32(&w, (uint32_t)request->len);
	if (aad_len >= 0xff00) {
		write_u16(&w, 0xfffe);
		write_u32(&w, (uint32_t)aad_len);
	} else if (aad_len > 0) {
		write_u16(&w, (uint16_t)aad_len);
	}
	return writer_bytes(&w);
}

static bool ccm_mac(struct crypto_context *context, const struct encr_request *request,
	const uint8_t *nonce, size_t nonce_len, uint8_t tag[AEAD_TAG])
{
	uint8_t header[32];

	return cbc_mac_update(context, ccm_header(request, nonce, nonce_len, header)) &&
	       cbc_mac_update(context, request->aad) && cbc_mac_pad(context) &&
	       cbc_mac_update(context, bytes_of(request->data, request->len)) &&
	       cbc_mac_pad(context) && cbc_mac_finish(context, tag);
}

static bool ccm_crypt(struct crypto_context *context, const struct encr_request *request,
	const uint8_t *nonce, size_t nonce_len, uint32_t count, uint8_t *data, size_t len)
{
	uint8_t counter[AES_BLOCK];

	ccm_counter(nonce, nonce_len, count, counter);
	return aes_ctr(context, &context->cbc_mac.aes, key_len_of(request), counter, data, len);
}

bool ccm_run(struct crypto_context *context, const struct encr_request *request, bool seal,
	uint8_t tag[AEAD_TAG])
{
	struct bytes key = bytes_of(request->keymat.data, key_len_of(request));
	uint8_t nonce[AES_BLOCK];
	size_t nonce_len = make_nonce(request, nonce);
	bool ok;

	/* The MAC is over the clear text; counter 0 hides the tag. */
	ok = cbc_mac_set_key(context, key) &&
	     (seal || ccm_crypt(context, request, nonce, nonce_len, 1, request->data,
			      request->len)) &&
	     ccm_mac(context, request, nonce, nonce_len, tag) &&
	     ccm_crypt(context, request, nonce, nonce_len, 0, tag, AEAD_TAG) &&
	     (!seal ||
		     ccm_crypt(context, request, nonce, nonce_len, 1, request->data, request->len));
	cbc_mac_wipe(context);
	return ok;
}

bool chacha20_poly1305_run(struct crypto_context *context, const struct encr_request *request,
	bool seal, uint8_t tag[AEAD_TAG])
{
	uint8_t nonce[12];
	/* The library's AVX2 code reads 16 bytes behind the key. */
	uint8_t key[CHACHA20_KEY + 16] = {0};
	uint8_t *data = request->len > 0 ? request->data : context->scratch;
	IMB_JOB *job = job_next(context->wide, data, data);
	bool ok;

	memcpy(key, request->keymat.data, CHACHA20_KEY);
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	if (!seal) {
		job->cipher_direction = IMB_DIR_DECRYPT;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
	}
	job->enc_keys = key;
	job->dec_keys = key;
	job->key_len_in_bytes = CHACHA20_KEY;
	job->iv = nonce;
	job->iv_len_in_bytes = make_nonce(request, nonce);
	job->u.CHACHA20_POLY1305.aad = aad_of(request, nonce);
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = request->aad.len;
	job->msg_len_to_cipher_in_bytes = request->len;
	job->msg_len_to_hash_in_bytes = request->len;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = AEAD_TAG;
	ok = job_run(context->wide);
	secret_wipe(key, sizeof(key));
	return ok;
}
