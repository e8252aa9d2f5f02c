#include "xfrm_algorithm.h"

#include <stddef.h>

struct name {
	uint16_t id;
	const char *name;
};

static const struct name encryption[] = {
	{ENCR_3DES, "cbc(des3_ede)"},
	{ENCR_NULL, "ecb(cipher_null)"},
	{ENCR_AES_CBC, "cbc(aes)"},
	{ENCR_AES_CTR, "rfc3686(ctr(aes))"},
	{ENCR_AES_CCM_8, "rfc4309(ccm(aes))"},
	{ENCR_AES_CCM_12, "rfc4309(ccm(aes))"},
	{ENCR_AES_CCM_16, "rfc4309(ccm(aes))"},
	{ENCR_AES_GCM_8, "rfc4106(gcm(aes))"},
	{ENCR_AES_GCM_12, "rfc4106(gcm(aes))"},
	{ENCR_AES_GCM_16, "rfc4106(gcm(aes))"},
	{ENCR_CHACHA20_POLY1305, "rfc7539esp(chacha20,poly1305)"},
};

static const struct name integrity[] = {
	{INTEG_HMAC_MD5_96, "hmac(md5)"},
	{INTEG_HMAC_SHA1_96, "hmac(sha1)"},
	{INTEG_AES_XCBC_96, "xcbc(aes)"},
	{INTEG_AES_CMAC_96, "cmac(aes)"},
	{INTEG_HMAC_SHA2_256_128, "hmac(sha256)"},
	{INTEG_HMAC_SHA2_384_192, "hmac(sha384)"},
	{INTEG_HMAC_SHA2_512_256, "hmac(sha512)"},
};

static const char *find(const struct name *names, size_t count, uint16_t id)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].id == id)
			return names[i].name;
	return NULL;
}

const char *xfrm_encryption_name(uint16_t encr)
{
	return find(encryption, sizeof(encryption) / sizeof(encryption[0]), encr);
}

const char *xfrm_integrity_name(uint16_t integ)
{
	return find(integrity, sizeof(integrity) / sizeof(integrity[0]), integ);
}
