#include "transform.h"

#include "dataplane/dataplane.h"

/* IANA "IKEv2 Transform Type 1" and "Type 3". */
struct cipher {
	uint16_t encr;
	enum esp_kind kind;
	bool aead, aes;
	uint8_t salt_len, iv_len, icv_len, align;
};

static const struct cipher ciphers[] = {
	{11, ESP_NULL_HMAC, false, false, 0, 0, 0, 4},
	{12, ESP_CBC_HMAC, false, true, 0, 16, 0, 16},
	{18, ESP_GCM, true, true, 4, 8, 8, 4},
	{19, ESP_GCM, true, true, 4, 8, 12, 4},
	{20, ESP_GCM, true, true, 4, 8, 16, 4},
	{28, ESP_CHACHA_POLY, true, false, 4, 8, 16, 4},
};

struct hash {
	uint16_t integ;
	uint8_t key_len, icv_len;
};

static const struct hash hashes[] = {
	{2, 20, 12},
	{12, 32, 16},
	{13, 48, 24},
	{14, 64, 32},
};

static const struct cipher *cipher_find(uint16_t encr)
{
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		if (ciphers[i].encr == encr)
			return &ciphers[i];
	return NULL;
}

static const struct hash *hash_find(uint16_t integ)
{
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (hashes[i].integ == integ)
			return &hashes[i];
	return NULL;
}

bool esp_transform_find(uint16_t encr, unsigned key_len, uint16_t integ, struct esp_transform *out)
{
	const struct cipher *cipher = cipher_find(encr);
	const struct hash *hash = integ ? hash_find(integ) : NULL;
	if (!cipher || (integ && !hash) || cipher->aead == (integ != 0))
		return false;
	unsigned fixed = cipher->kind == ESP_CHACHA_POLY ? 32 : 0;
	if (cipher->aes ? key_len != 16 && key_len != 24 && key_len != 32 : key_len != fixed)
		return false;
	*out = (struct esp_transform){
		.kind = cipher->kind,
		.integ = integ,
		.key_len = (uint8_t)key_len,
		.salt_len = cipher->salt_len,
		.integ_key_len = hash ? hash->key_len : 0,
		.iv_len = cipher->iv_len,
		.icv_len = hash ? hash->icv_len : cipher->icv_len,
		.align = cipher->align,
	};
	return true;
}

bool dataplane_supports(uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	(void)esn; /* 32-bit and extended sequence numbers work with every transform */
	const struct cipher *cipher = cipher_find(encr);
	struct esp_transform transform;
	if (!cipher || key_bits % 8 != 0)
		return false;
	/* Ciphers of one key length are negotiated without one. */
	if (cipher->kind == ESP_CHACHA_POLY && key_bits == 0)
		key_bits = 256;
	return esp_transform_find(encr, key_bits / 8, integ, &transform);
}
