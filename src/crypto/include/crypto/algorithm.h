/* The one table of algorithms: proposals, parsers, reports and backends all read it.
 * Constant data, any thread. */
#ifndef CRYPTO_ALGORITHM_H
#define CRYPTO_ALGORITHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* IANA "IKEv2 Transform Type Values" (RFC 7296, section 3.3.2). */
enum transform_type {
	TRANSFORM_ENCR = 1,
	TRANSFORM_PRF = 2,
	TRANSFORM_INTEG = 3,
	TRANSFORM_KE = 4, /* key exchange method: a Diffie-Hellman group */
	TRANSFORM_SN = 5, /* sequence numbers: 0 32-bit, 1 extended (RFC 7296: ESN) */
};
#define TRANSFORM_TYPES 6

/* IANA numbers that code has to name. */
enum {
	ENCR_3DES = 3,
	ENCR_NULL = 11,
	ENCR_AES_CBC = 12,
	ENCR_AES_CTR = 13,
	ENCR_AES_CCM_8 = 14,
	ENCR_AES_CCM_12 = 15,
	ENCR_AES_CCM_16 = 16,
	ENCR_AES_GCM_8 = 18,
	ENCR_AES_GCM_12 = 19,
	ENCR_AES_GCM_16 = 20,
	ENCR_CHACHA20_POLY1305 = 28,
	PRF_HMAC_MD5 = 1,
	PRF_HMAC_SHA1 = 2,
	PRF_AES128_XCBC = 4,
	PRF_HMAC_SHA2_256 = 5,
	PRF_HMAC_SHA2_384 = 6,
	PRF_HMAC_SHA2_512 = 7,
	PRF_AES128_CMAC = 8,
	INTEG_NONE = 0,
	INTEG_HMAC_MD5_96 = 1,
	INTEG_HMAC_SHA1_96 = 2,
	INTEG_AES_XCBC_96 = 5,
	INTEG_AES_CMAC_96 = 8,
	INTEG_HMAC_SHA2_256_128 = 12,
	INTEG_HMAC_SHA2_384_192 = 13,
	INTEG_HMAC_SHA2_512_256 = 14,
	KE_NONE = 0,
	KE_MODP1024 = 2,
	KE_MODP1536 = 5,
	KE_MODP2048 = 14,
	KE_MODP3072 = 15,
	KE_MODP4096 = 16,
	KE_MODP6144 = 17,
	KE_MODP8192 = 18,
	KE_ECP_256 = 19,
	KE_ECP_384 = 20,
	KE_ECP_521 = 21,
	KE_MODP1024_160 = 22,
	KE_MODP2048_224 = 23,
	KE_MODP2048_256 = 24,
	KE_CURVE25519 = 31,
	SN_32BIT = 0,
	SN_EXTENDED = 1,
};

/* Key lengths of a cipher, in bits; 0 ends the list. The first is the default. */
#define ALGORITHM_KEY_BITS_MAX 4
/* How a name may be written in ike=, esp=; the reader folds case and takes '-' for '_'. */
#define ALGORITHM_ALIASES_MAX 6

struct algorithm {
	enum transform_type type;
	uint16_t id; /* IKEv2 transform ID */
	/* IKEv1 phase 1 attribute value, -1: none (RFC 2409 appendix A). PRF: of the hash;
	 * KE: of the group, which phase 2 names by the same number. */
	int16_t ikev1_ike_id;
	/* IKEv1 phase 2, -1: none (RFC 2407). ENCR: ESP transform; INTEG: authentication
	 * attribute; SN: extended sequence number attribute. */
	int16_t ikev1_esp_id;
	const char *name; /* as in reports: "AES_GCM_16", "HMAC_SHA2_256_128", "DH31" */
	const char *aliases[ALGORITHM_ALIASES_MAX]; /* "aes_gcm", "aes_gcm_c"; NULL ends */

	/* all lengths in bytes unless the name says bits */
	uint16_t key_bits[ALGORITHM_KEY_BITS_MAX]; /* ENCR with a key length attribute: what may be
						      chosen */
	bool fixed_key;      /* ENCR: no key length attribute is sent (3DES, NULL, ChaCha20) */
	uint16_t salt_len;   /* ENCR: AEAD and CTR, taken behind the key */
	uint16_t block_len;  /* ENCR: padding multiple (1: stream) */
	uint16_t iv_len;     /* ENCR: explicit IV in the packet */
	uint16_t icv_len;    /* AEAD: tag; INTEG: truncated output */
	uint16_t key_len;    /* PRF (preferred), INTEG, ENCR of fixed_key (without salt) */
	uint16_t output_len; /* PRF */
	uint16_t ke_bits;    /* KE: strength as named: 2048, 256, 255 */
	uint16_t public_len; /* KE: length of the value in the KE payload */
	uint16_t shared_len; /* KE: length of g^ir as fed to the PRF */
	bool aead;
	bool weak; /* only if a connection names it (3DES, MD5, MODP1024/1536, DH22-24) */
	bool ike_capable, esp_capable;
};

/* NULL when unknown. `type` and `id` as on the wire. */
const struct algorithm *algorithm_by_id(enum transform_type type, uint16_t id);
/* By name or alias, case folded, without key length: "AES_CBC", "aes", "sha2_256", "dh31". */
const struct algorithm *algorithm_by_name(enum transform_type type, const char *name, size_t len);
/* The i-th algorithm of a type in order of number, NULL past the end. */
const struct algorithm *algorithm_at(enum transform_type type, size_t i);
/* Does the ENCR algorithm have this key length? (0 is right for fixed_key ones.) */
bool algorithm_has_key_bits(const struct algorithm *encr, uint16_t bits);
/* Bytes of keying material that the ENCR algorithm takes with `bits`: key and salt. */
size_t algorithm_encr_keymat_len(const struct algorithm *encr, uint16_t bits);
/* "AES_GCM_16_256": the name with the key length where it has one. Returns `out`. */
#define ALGORITHM_TEXT_MAX 40
const char *algorithm_encr_text(
	const struct algorithm *encr, uint16_t bits, char out[ALGORITHM_TEXT_MAX]);

#endif
