/* Signatures by libcrypto, with a key that NSS has let out, and for keys that stay in NSS the parts
 * that do not need the key. */
#include "authentication_private.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static EVP_PKEY *import(struct bytes exported, const char *password)
{
	const unsigned char *at = exported.data;
	X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)exported.len);
	PKCS8_PRIV_KEY_INFO *info =
		sealed ? PKCS8_decrypt(sealed, password, (int)strlen(password)) : NULL;
	EVP_PKEY *pkey = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info); /* wipes */
	X509_SIG_free(sealed);
	ERR_clear_error();
	return pkey;
}

struct private_key *private_key_new(void *nss, struct bytes exported, const char *password)
{
	struct private_key *key = calloc(1, sizeof(*key));

	if (!key) {
		nss_key_free(nss);
		return NULL;
	}
	key->pkey = exported.len ? import(exported, password) : NULL;
	if (key->pkey)
		nss_key_free(nss);
	else
		key->nss = nss;
	return key;
}

void private_key_free(struct private_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	if (key->nss)
		nss_key_free(key->nss);
	free(key);
}

const EVP_MD *signature_md(enum signature_hash hash)
{
	switch (hash) {
	case SIGHASH_SHA1:
		return EVP_sha1();
	case SIGHASH_SHA2_384:
		return EVP_sha384();
	case SIGHASH_SHA2_512:
		return EVP_sha512();
	default:
		return EVP_sha256();
	}
}

/* ---- ECDSA's two forms -------------------------------------------------------- */

static size_t field_len(const EVP_PKEY *pkey)
{
	return ((size_t)EVP_PKEY_get_bits(pkey) + 7) / 8;
}

/* DER to r | s, in place. */
static size_t raw_of_der(uint8_t *signature, size_t len, size_t field)
{
	const unsigned char *at = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	bool ok = sig && 2 * field <= SIGNATURE_LEN_MAX &&
		  BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, (int)field) > 0 &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + field, (int)field) > 0;

	ECDSA_SIG_free(sig);
	return ok ? 2 * field : 0;
}

/* r | s to DER; 0 when it is none. */
static size_t der_of_raw(struct bytes raw, uint8_t *out, size_t room)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw.data, (int)(raw.len / 2), NULL);
	BIGNUM *s = BN_bin2bn(raw.data + raw.len / 2, (int)(raw.len / 2), NULL);
	unsigned char *at = out;
	int len = 0;

	if (sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
		r = s = NULL;
		len = i2d_ECDSA_SIG(sig, NULL);
		if (len > 0 && (size_t)len <= room)
			i2d_ECDSA_SIG(sig, &at);
		else
			len = 0;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return (size_t)len;
}

/* ---- signing ------------------------------------------------------------------- */

static bool set_padding(EVP_PKEY_CTX *context, const struct signature_scheme_info *info)
{
	return !info->pss ||
	       (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0);
}

static size_t sign_by_libcrypto(EVP_PKEY *pkey, const struct signature_scheme_info *info,
	bool raw_ecdsa, struct bytes octets, uint8_t *out)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *context;
	size_t len = SIGNATURE_LEN_MAX;

	if (!md || EVP_DigestSignInit(md, &context, signature_md(info->hash), NULL, pkey) <= 0 ||
		!set_padding(context, info) ||
		EVP_DigestSign(md, out, &len, octets.data, octets.len) <= 0)
		len = 0;
	EVP_MD_CTX_free(md);
	if (len && raw_ecdsa)
		len = raw_of_der(out, len, field_len(pkey));
	return len;
}

static size_t sign_by_nss(void *key, const struct signature_scheme_info *info, bool raw_ecdsa,
	struct bytes octets, uint8_t *out)
{
	uint8_t digest[EVP_MAX_MD_SIZE], raw[SIGNATURE_LEN_MAX];
	unsigned digest_len;
	size_t len;

	if (!EVP_Digest(
		    octets.data, octets.len, digest, &digest_len, signature_md(info->hash), NULL))
		return 0;
	len = nss_key_sign(key, info, bytes_of(digest, digest_len), raw, sizeof(raw));
	if (len && info->kind == KEY_ECDSA && !raw_ecdsa)
		return der_of_raw(bytes_of(raw, len), out, SIGNATURE_LEN_MAX);
	memcpy(out, raw, len);
	return len;
}

size_t private_key_sign(const struct private_key *key, enum signature_scheme scheme, bool raw_ecdsa,
	struct bytes octets, uint8_t *out)
{
	const struct signature_scheme_info *info = signature_scheme_info(scheme);
	size_t len;

	if (key->pkey)
		len = sign_by_libcrypto(key->pkey, info, raw_ecdsa, octets, out);
	else
		len = sign_by_nss(key->nss, info, raw_ecdsa, octets, out);
	ERR_clear_error();
	return len;
}

/* ---- verifying ------------------------------------------------------------------- */

bool signature_verify(EVP_PKEY *pkey, enum signature_scheme scheme, bool raw_ecdsa,
	struct bytes octets, struct bytes signature)
{
	const struct signature_scheme_info *info = signature_scheme_info(scheme);
	uint8_t der[SIGNATURE_LEN_MAX];
	EVP_MD_CTX *md;
	EVP_PKEY_CTX *context;
	bool ok;

	if (signature.len > SIGNATURE_LEN_MAX)
		return false;
	if (raw_ecdsa) {
		if (signature.len != 2 * field_len(pkey))
			return false;
		signature = bytes_of(der, der_of_raw(signature, der, sizeof(der)));
	}
	md = EVP_MD_CTX_new();
	ok = md && EVP_DigestVerifyInit(md, &context, signature_md(info->hash), NULL, pkey) > 0 &&
	     set_padding(context, info) &&
	     EVP_DigestVerify(md, signature.data, signature.len, octets.data, octets.len) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}
