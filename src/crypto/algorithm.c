#include "crypto/algorithm.h"

#include <stdio.h>

/* Rows are in order of number within their type. The lengths are those of the RFC named. */

#define KEY_128_192_256 .key_bits = {128, 192, 256}
#define IKE_AND_ESP     .ike_capable = true, .esp_capable = true
#define NOT_IN_IKEV1    .ikev1_ike_id = -1, .ikev1_esp_id = -1

/* AES-GCM: RFC 4106, 5282. AES-CCM: RFC 4309, 5282. */
#define AES_GCM .salt_len = 4, .block_len = 1, .iv_len = 8, .aead = true, KEY_128_192_256
#define AES_CCM .salt_len = 3, .block_len = 1, .iv_len = 8, .aead = true, KEY_128_192_256

/* A row of the table is easier to read as it stands. */
/* clang-format off */

static const struct algorithm encrs[] = {
	{.type = TRANSFORM_ENCR, .id = ENCR_3DES, .ikev1_ike_id = 5, .ikev1_esp_id = 3,
		.name = "3DES_CBC", .aliases = {"3des"}, .fixed_key = true, .key_len = 24,
		.block_len = 8, .iv_len = 8, .weak = true, IKE_AND_ESP},
	{.type = TRANSFORM_ENCR, .id = ENCR_NULL, .ikev1_ike_id = -1, .ikev1_esp_id = 11,
		.name = "NULL", .fixed_key = true, .block_len = 1, .weak = true,
		.esp_capable = true},
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_CBC, .ikev1_ike_id = 7, .ikev1_esp_id = 12,
		.name = "AES_CBC", .aliases = {"aes"}, .block_len = 16, .iv_len = 16,
		KEY_128_192_256, IKE_AND_ESP},
	/* RFC 3686, 5930 */
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_CTR, .ikev1_ike_id = -1, .ikev1_esp_id = 13,
		.name = "AES_CTR", .aliases = {"aesctr"}, .salt_len = 4, .block_len = 1, .iv_len = 8,
		KEY_128_192_256, IKE_AND_ESP},
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_CCM_8, .ikev1_ike_id = -1, .ikev1_esp_id = 14,
		.name = "AES_CCM_8", .aliases = {"aes_ccm_a"}, .icv_len = 8, AES_CCM, IKE_AND_ESP},
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_CCM_12, .ikev1_ike_id = -1, .ikev1_esp_id = 15,
		.name = "AES_CCM_12", .aliases = {"aes_ccm_b"}, .icv_len = 12, AES_CCM, IKE_AND_ESP},
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_CCM_16, .ikev1_ike_id = -1, .ikev1_esp_id = 16,
		.name = "AES_CCM_16", .aliases = {"aes_ccm", "aes_ccm_c"}, .icv_len = 16, AES_CCM,
		IKE_AND_ESP},
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_GCM_8, .ikev1_ike_id = -1, .ikev1_esp_id = 18,
		.name = "AES_GCM_8", .aliases = {"aes_gcm_a"}, .icv_len = 8, AES_GCM, IKE_AND_ESP},
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_GCM_12, .ikev1_ike_id = -1, .ikev1_esp_id = 19,
		.name = "AES_GCM_12", .aliases = {"aes_gcm_b"}, .icv_len = 12, AES_GCM, IKE_AND_ESP},
	{.type = TRANSFORM_ENCR, .id = ENCR_AES_GCM_16, .ikev1_ike_id = -1, .ikev1_esp_id = 20,
		.name = "AES_GCM_16", .aliases = {"aes_gcm", "aes_gcm_c"}, .icv_len = 16, AES_GCM,
		IKE_AND_ESP},
	/* RFC 7634 */
	{.type = TRANSFORM_ENCR, .id = ENCR_CHACHA20_POLY1305, NOT_IN_IKEV1,
		.name = "CHACHA20_POLY1305", .aliases = {"chacha20poly1305", "chacha20"},
		.fixed_key = true, .key_len = 32, .salt_len = 4, .block_len = 1, .iv_len = 8,
		.icv_len = 16, .aead = true, IKE_AND_ESP},
};

/* IKEv1 negotiates a hash, of which the PRF is the HMAC (RFC 2409, section 4). */
static const struct algorithm prfs[] = {
	{.type = TRANSFORM_PRF, .id = PRF_HMAC_MD5, .ikev1_ike_id = 1, .ikev1_esp_id = -1,
		.name = "HMAC_MD5", .aliases = {"md5"}, .key_len = 16, .output_len = 16,
		.weak = true, .ike_capable = true},
	{.type = TRANSFORM_PRF, .id = PRF_HMAC_SHA1, .ikev1_ike_id = 2, .ikev1_esp_id = -1,
		.name = "HMAC_SHA1", .aliases = {"sha1", "sha"}, .key_len = 20, .output_len = 20,
		.ike_capable = true},
	/* RFC 4434 */
	{.type = TRANSFORM_PRF, .id = PRF_AES128_XCBC, NOT_IN_IKEV1, .name = "AES_XCBC",
		.aliases = {"aes128_xcbc", "aes_xcbc_128"}, .key_len = 16, .output_len = 16,
		.ike_capable = true},
	{.type = TRANSFORM_PRF, .id = PRF_HMAC_SHA2_256, .ikev1_ike_id = 4, .ikev1_esp_id = -1,
		.name = "HMAC_SHA2_256", .aliases = {"sha2", "sha256", "sha2_256"}, .key_len = 32,
		.output_len = 32, .ike_capable = true},
	{.type = TRANSFORM_PRF, .id = PRF_HMAC_SHA2_384, .ikev1_ike_id = 5, .ikev1_esp_id = -1,
		.name = "HMAC_SHA2_384", .aliases = {"sha384", "sha2_384"}, .key_len = 48,
		.output_len = 48, .ike_capable = true},
	{.type = TRANSFORM_PRF, .id = PRF_HMAC_SHA2_512, .ikev1_ike_id = 6, .ikev1_esp_id = -1,
		.name = "HMAC_SHA2_512", .aliases = {"sha512", "sha2_512"}, .key_len = 64,
		.output_len = 64, .ike_capable = true},
	/* RFC 4615 */
	{.type = TRANSFORM_PRF, .id = PRF_AES128_CMAC, NOT_IN_IKEV1, .name = "AES_CMAC",
		.aliases = {"aes128_cmac"}, .key_len = 16, .output_len = 16, .ike_capable = true},
};

/* RFC 2403, 2404, 3566, 4494, 4868 */
static const struct algorithm integs[] = {
	{.type = TRANSFORM_INTEG, .id = INTEG_NONE, NOT_IN_IKEV1, .name = "NONE",
		.aliases = {"null"}, IKE_AND_ESP},
	{.type = TRANSFORM_INTEG, .id = INTEG_HMAC_MD5_96, .ikev1_ike_id = -1, .ikev1_esp_id = 1,
		.name = "HMAC_MD5_96", .aliases = {"md5", "hmac_md5", "md5_96"}, .key_len = 16,
		.icv_len = 12, .weak = true, IKE_AND_ESP},
	{.type = TRANSFORM_INTEG, .id = INTEG_HMAC_SHA1_96, .ikev1_ike_id = -1, .ikev1_esp_id = 2,
		.name = "HMAC_SHA1_96", .aliases = {"sha1", "sha", "hmac_sha1", "sha1_96"},
		.key_len = 20, .icv_len = 12, IKE_AND_ESP},
	{.type = TRANSFORM_INTEG, .id = INTEG_AES_XCBC_96, .ikev1_ike_id = -1, .ikev1_esp_id = 9,
		.name = "AES_XCBC_96", .aliases = {"aes_xcbc", "aes128_xcbc", "aes128_xcbc_96"},
		.key_len = 16, .icv_len = 12, IKE_AND_ESP},
	{.type = TRANSFORM_INTEG, .id = INTEG_AES_CMAC_96, NOT_IN_IKEV1, .name = "AES_CMAC_96",
		.aliases = {"aes_cmac", "aes128_cmac", "aes128_cmac_96"}, .key_len = 16,
		.icv_len = 12, IKE_AND_ESP},
	{.type = TRANSFORM_INTEG, .id = INTEG_HMAC_SHA2_256_128, .ikev1_ike_id = -1,
		.ikev1_esp_id = 5, .name = "HMAC_SHA2_256_128",
		.aliases = {"sha2", "sha256", "sha2_256", "sha2_256_128", "hmac_sha2_256",
			"sha256_128"},
		.key_len = 32, .icv_len = 16, IKE_AND_ESP},
	{.type = TRANSFORM_INTEG, .id = INTEG_HMAC_SHA2_384_192, .ikev1_ike_id = -1,
		.ikev1_esp_id = 6, .name = "HMAC_SHA2_384_192",
		.aliases = {"sha384", "sha2_384", "sha2_384_192", "hmac_sha2_384", "sha384_192"},
		.key_len = 48, .icv_len = 24, IKE_AND_ESP},
	{.type = TRANSFORM_INTEG, .id = INTEG_HMAC_SHA2_512_256, .ikev1_ike_id = -1,
		.ikev1_esp_id = 7, .name = "HMAC_SHA2_512_256",
		.aliases = {"sha512", "sha2_512", "sha2_512_256", "hmac_sha2_512", "sha512_256"},
		.key_len = 64, .icv_len = 32, IKE_AND_ESP},
};

#define MODP(bits) .ke_bits = (bits), .public_len = (bits) / 8, .shared_len = (bits) / 8

static const struct algorithm kes[] = {
	{.type = TRANSFORM_KE, .id = KE_NONE, NOT_IN_IKEV1, .name = "NONE",
		.aliases = {"null", "dh0"}, .esp_capable = true},
	{.type = TRANSFORM_KE, .id = KE_MODP1024, .ikev1_ike_id = 2, .ikev1_esp_id = -1,
		.name = "MODP1024", .aliases = {"dh2"}, MODP(1024), .weak = true, IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_MODP1536, .ikev1_ike_id = 5, .ikev1_esp_id = -1,
		.name = "MODP1536", .aliases = {"dh5"}, MODP(1536), .weak = true, IKE_AND_ESP},
	/* RFC 3526 */
	{.type = TRANSFORM_KE, .id = KE_MODP2048, .ikev1_ike_id = 14, .ikev1_esp_id = -1,
		.name = "MODP2048", .aliases = {"dh14"}, MODP(2048), IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_MODP3072, .ikev1_ike_id = 15, .ikev1_esp_id = -1,
		.name = "MODP3072", .aliases = {"dh15"}, MODP(3072), IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_MODP4096, .ikev1_ike_id = 16, .ikev1_esp_id = -1,
		.name = "MODP4096", .aliases = {"dh16"}, MODP(4096), IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_MODP6144, .ikev1_ike_id = 17, .ikev1_esp_id = -1,
		.name = "MODP6144", .aliases = {"dh17"}, MODP(6144), IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_MODP8192, .ikev1_ike_id = 18, .ikev1_esp_id = -1,
		.name = "MODP8192", .aliases = {"dh18"}, MODP(8192), IKE_AND_ESP},
	/* RFC 5903: both coordinates in the payload, x alone is the shared secret */
	{.type = TRANSFORM_KE, .id = KE_ECP_256, .ikev1_ike_id = 19, .ikev1_esp_id = -1,
		.name = "DH19", .aliases = {"ecp_256", "ecp256"}, .ke_bits = 256, .public_len = 64,
		.shared_len = 32, IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_ECP_384, .ikev1_ike_id = 20, .ikev1_esp_id = -1,
		.name = "DH20", .aliases = {"ecp_384", "ecp384"}, .ke_bits = 384, .public_len = 96,
		.shared_len = 48, IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_ECP_521, .ikev1_ike_id = 21, .ikev1_esp_id = -1,
		.name = "DH21", .aliases = {"ecp_521", "ecp521"}, .ke_bits = 521, .public_len = 132,
		.shared_len = 66, IKE_AND_ESP},
	/* RFC 5114 */
	{.type = TRANSFORM_KE, .id = KE_MODP1024_160, .ikev1_ike_id = 22, .ikev1_esp_id = -1,
		.name = "DH22", .aliases = {"modp1024_160", "modp1024s160"}, MODP(1024),
		.weak = true, IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_MODP2048_224, .ikev1_ike_id = 23, .ikev1_esp_id = -1,
		.name = "DH23", .aliases = {"modp2048_224", "modp2048s224"}, MODP(2048),
		.weak = true, IKE_AND_ESP},
	{.type = TRANSFORM_KE, .id = KE_MODP2048_256, .ikev1_ike_id = 24, .ikev1_esp_id = -1,
		.name = "DH24", .aliases = {"modp2048_256", "modp2048s256"}, MODP(2048),
		.weak = true, IKE_AND_ESP},
	/* RFC 8031, for IKEv2 only */
	{.type = TRANSFORM_KE, .id = KE_CURVE25519, NOT_IN_IKEV1, .name = "DH31",
		.aliases = {"curve25519", "x25519"}, .ke_bits = 255, .public_len = 32,
		.shared_len = 32, IKE_AND_ESP},
};

/* IKEv1 has the SA attribute "Extended (64-bit) Sequence Number" of value 1 (RFC 4304). */
static const struct algorithm sns[] = {
	{.type = TRANSFORM_SN, .id = SN_32BIT, NOT_IN_IKEV1, .name = "NO", .esp_capable = true},
	{.type = TRANSFORM_SN, .id = SN_EXTENDED, .ikev1_ike_id = -1, .ikev1_esp_id = 1,
		.name = "YES", .esp_capable = true},
};

/* clang-format on */

#define ROWS(array)                                                                                \
	{                                                                                          \
		(array), sizeof(array) / sizeof((array)[0])                                        \
	}

static const struct {
	const struct algorithm *rows;
	size_t count;
} tables[TRANSFORM_TYPES] = {
	[TRANSFORM_ENCR] = ROWS(encrs),
	[TRANSFORM_PRF] = ROWS(prfs),
	[TRANSFORM_INTEG] = ROWS(integs),
	[TRANSFORM_KE] = ROWS(kes),
	[TRANSFORM_SN] = ROWS(sns),
};

const struct algorithm *algorithm_at(enum transform_type type, size_t i)
{
	if ((unsigned)type >= TRANSFORM_TYPES || i >= tables[type].count)
		return NULL;
	return &tables[type].rows[i];
}

const struct algorithm *algorithm_by_id(enum transform_type type, uint16_t id)
{
	const struct algorithm *alg;

	for (size_t i = 0; (alg = algorithm_at(type, i)) != NULL; i++) {
		if (alg->id == id)
			return alg;
	}
	return NULL;
}

static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '-' ? '_' : c;
}

static bool name_equal(const char *known, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (known[i] == '\0' || fold(known[i]) != fold(name[i]))
			return false;
	}
	return known[len] == '\0';
}

static bool has_name(const struct algorithm *alg, const char *name, size_t len)
{
	if (name_equal(alg->name, name, len))
		return true;
	for (size_t i = 0; i < ALGORITHM_ALIASES_MAX && alg->aliases[i] != NULL; i++) {
		if (name_equal(alg->aliases[i], name, len))
			return true;
	}
	return false;
}

const struct algorithm *algorithm_by_name(enum transform_type type, const char *name, size_t len)
{
	const struct algorithm *alg;

	for (size_t i = 0; (alg = algorithm_at(type, i)) != NULL; i++) {
		if (has_name(alg, name, len))
			return alg;
	}
	return NULL;
}

bool algorithm_has_key_bits(const struct algorithm *encr, uint16_t bits)
{
	if (encr->fixed_key)
		return bits == 0;
	for (size_t i = 0; i < ALGORITHM_KEY_BITS_MAX && encr->key_bits[i] != 0; i++) {
		if (encr->key_bits[i] == bits)
			return true;
	}
	return false;
}

size_t algorithm_encr_keymat_len(const struct algorithm *encr, uint16_t bits)
{
	return (encr->fixed_key ? encr->key_len : bits / 8u) + encr->salt_len;
}

const char *algorithm_encr_text(
	const struct algorithm *encr, uint16_t bits, char out[ALGORITHM_TEXT_MAX])
{
	if (encr->fixed_key)
		snprintf(out, ALGORITHM_TEXT_MAX, "%s", encr->name);
	else
		snprintf(out, ALGORITHM_TEXT_MAX, "%s_%u", encr->name, (unsigned)bits);
	return out;
}
