/* Signatures inside NSS: keys on tokens, and those of a FIPS module. */
#include "authentication_private.h"

#include <string.h>

#include <cryptohi.h>
#include <keyhi.h>
#include <pk11pub.h>

static SECOidTag digest_oid(enum signature_hash hash)
{
	switch (hash) {
	case SIGHASH_SHA1:
		return SEC_OID_SHA1;
	case SIGHASH_SHA2_384:
		return SEC_OID_SHA384;
	case SIGHASH_SHA2_512:
		return SEC_OID_SHA512;
	default:
		return SEC_OID_SHA256;
	}
}

static SECStatus sign_pss(
	SECKEYPrivateKey *key, enum signature_hash hash, SECItem *signature, SECItem *digest)
{
	CK_RSA_PKCS_PSS_PARAMS pss = {.hashAlg = CKM_SHA256, .mgf = CKG_MGF1_SHA256};
	SECItem parameters = {siBuffer, (unsigned char *)&pss, sizeof(pss)};

	if (hash == SIGHASH_SHA2_384)
		pss = (CK_RSA_PKCS_PSS_PARAMS){.hashAlg = CKM_SHA384, .mgf = CKG_MGF1_SHA384};
	else if (hash == SIGHASH_SHA2_512)
		pss = (CK_RSA_PKCS_PSS_PARAMS){.hashAlg = CKM_SHA512, .mgf = CKG_MGF1_SHA512};
	pss.sLen = digest->len;
	return PK11_SignWithMechanism(key, CKM_RSA_PKCS_PSS, &parameters, signature, digest);
}

static SECStatus sign(SECKEYPrivateKey *key, enum key_kind kind, bool pss, enum signature_hash hash,
	SECItem *signature, SECItem *digest)
{
	SECItem owned = {siBuffer, NULL, 0};
	SECStatus status;

	if (pss)
		return sign_pss(key, hash, signature, digest);
	if (kind == KEY_ECDSA)
		return PK11_Sign(key, signature, digest);
	/* PKCS#1 wraps the digest in a DigestInfo; the result is NSS's memory. */
	status = SGN_Digest(key, digest_oid(hash), &owned, digest);
	if (status == SECSuccess && owned.len <= signature->len) {
		memcpy(signature->data, owned.data, owned.len);
		signature->len = owned.len;
	} else {
		status = SECFailure;
	}
	SECITEM_FreeItem(&owned, PR_FALSE);
	return status;
}

size_t nss_key_sign(void *nss_key, const struct signature_scheme_info *info, struct bytes digest,
	uint8_t *out, size_t room)
{
	SECKEYPrivateKey *key = nss_key;
	SECItem in = {siBuffer, (unsigned char *)(uintptr_t)digest.data, (unsigned)digest.len};
	SECItem signature = {siBuffer, out, (unsigned)room};
	int len = PK11_SignatureLen(key);

	if (len <= 0 || (size_t)len > room)
		return 0;
	signature.len = (unsigned)len;
	return sign(key, info->kind, info->pss, info->hash, &signature, &in) == SECSuccess
		       ? signature.len
		       : 0;
}

void nss_key_free(void *nss_key)
{
	SECKEY_DestroyPrivateKey(nss_key);
}
