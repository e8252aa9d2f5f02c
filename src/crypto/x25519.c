/* Curve25519 (RFC 7748, RFC 8031) through EVP, the only way that libcrypto offers; x25519_lanes.c
 * has another one. A private key is stored as scalar | public value: an import without the
 * public value would compute it. */
#include "key_exchange.h"
#include "x25519_ifma.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/proverr.h>

static enum crypto_job_result x25519_accept_peer(
	const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *peer)
{
	/* Any 32 bytes are a value: the function masks the top bit and reduces (RFC 7748, section
	 * 5); what is of small order shows in the result. */
	EVP_PKEY_free(s->x25519_peer);
	s->x25519_peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer, ke->public_len);
	return s->x25519_peer ? CRYPTO_JOB_OK : CRYPTO_JOB_FAILED;
}

static bool x25519_generate(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *public_value)
{
	size_t len = ke->public_len;

	if (!s->x25519_keygen) {
		s->x25519_keygen = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
		if (!s->x25519_keygen || EVP_PKEY_keygen_init(s->x25519_keygen) <= 0) {
			EVP_PKEY_CTX_free(s->x25519_keygen);
			s->x25519_keygen = NULL;
			return false;
		}
	}
	EVP_PKEY_free(s->x25519_own);
	s->x25519_own = NULL;
	return EVP_PKEY_keygen(s->x25519_keygen, &s->x25519_own) > 0 &&
	       EVP_PKEY_get_raw_public_key(s->x25519_own, public_value, &len) > 0 &&
	       len == ke->public_len;
}

static bool x25519_export_private(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *private_key)
{
	size_t scalar_len = X25519_LEN, public_len = X25519_LEN;

	(void)ke;
	return EVP_PKEY_get_raw_private_key(s->x25519_own, private_key, &scalar_len) > 0 &&
	       EVP_PKEY_get_raw_public_key(s->x25519_own, private_key + X25519_LEN, &public_len) >
		       0 &&
	       scalar_len == X25519_LEN && public_len == X25519_LEN;
}

static bool x25519_import_private(
	const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *private_key)
{
	uint8_t copy[2 * X25519_LEN]; /* the parameters are not const */
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, copy, X25519_LEN),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy + X25519_LEN, X25519_LEN),
		OSSL_PARAM_END,
	};
	bool ok;

	(void)ke;
	if (!s->x25519_import) {
		s->x25519_import = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
		if (!s->x25519_import || EVP_PKEY_fromdata_init(s->x25519_import) <= 0) {
			EVP_PKEY_CTX_free(s->x25519_import);
			s->x25519_import = NULL;
			return false;
		}
	}
	EVP_PKEY_free(s->x25519_own);
	s->x25519_own = NULL;
	memcpy(copy, private_key, sizeof(copy));
	ok = EVP_PKEY_fromdata(s->x25519_import, &s->x25519_own, EVP_PKEY_KEYPAIR, params) > 0;
	secret_wipe(copy, sizeof(copy));
	return ok;
}

static enum crypto_job_result x25519_agree(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *shared)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, s->x25519_own, NULL);
	enum crypto_job_result result = CRYPTO_JOB_FAILED;
	size_t len = ke->shared_len;
	uint8_t any = 0;

	if (!context || EVP_PKEY_derive_init(context) <= 0 ||
		EVP_PKEY_derive_set_peer_ex(context, s->x25519_peer, 0) <= 0)
		goto out;
	if (EVP_PKEY_derive(context, shared, &len) <= 0) {
		/* libcrypto refuses the all-zero secret by this reason, and nothing else */
		if (ERR_GET_REASON(ERR_peek_last_error()) == PROV_R_FAILED_DURING_DERIVATION)
			result = CRYPTO_JOB_BAD_PEER_VALUE;
		goto out;
	}
	if (len != ke->shared_len)
		goto out;
	/* RFC 7748, section 6.1, in case that another provider serves us */
	for (size_t i = 0; i < len; i++)
		any |= shared[i];
	result = any ? CRYPTO_JOB_OK : CRYPTO_JOB_BAD_PEER_VALUE;
out:
	EVP_PKEY_CTX_free(context);
	return result;
}

static void x25519_forget(const struct key_exchange *ke, struct ke_scratch *s)
{
	(void)ke;
	/* libcrypto wipes the scalar */
	EVP_PKEY_free(s->x25519_own);
	EVP_PKEY_free(s->x25519_peer);
	s->x25519_own = NULL;
	s->x25519_peer = NULL;
}

const struct ke_method x25519_method = {
	.accept_peer = x25519_accept_peer,
	.generate = x25519_generate,
	.export_private = x25519_export_private,
	.import_private = x25519_import_private,
	.agree = x25519_agree,
	.forget = x25519_forget,
	.run_lanes = x25519_run_lanes,
};
