#include "pfkey_algorithm.h"

#include <string.h>

#include "pfkey_platform.h"

struct number {
	uint16_t id;
	uint8_t number;
};

/* Most ciphers have the numbers of IKE's ESP transforms (RFC 2407), which IKEv2 kept. */
static const struct number encryption[] = {
	{ENCR_3DES, SADB_EALG_3DESCBC},
	{ENCR_NULL, SADB_EALG_NULL},
	{ENCR_AES_CBC, 12},
	{ENCR_AES_CTR, 13},
	{ENCR_AES_CCM_8, 14},
	{ENCR_AES_CCM_12, 15},
	{ENCR_AES_CCM_16, 16},
	{ENCR_AES_GCM_8, 18},
	{ENCR_AES_GCM_12, 19},
	{ENCR_AES_GCM_16, 20},
#ifdef SADB_X_EALG_CHACHA20POLY1305
	{ENCR_CHACHA20_POLY1305, SADB_X_EALG_CHACHA20POLY1305},
#endif
};

static const struct number integrity[] = {
	{INTEG_HMAC_MD5_96, SADB_AALG_MD5HMAC},
	{INTEG_HMAC_SHA1_96, SADB_AALG_SHA1HMAC},
	{INTEG_AES_XCBC_96, SADB_X_AALG_AES_XCBC_MAC},
#if PFKEY_SHA2_256_USABLE
	{INTEG_HMAC_SHA2_256_128, PFKEY_AALG_SHA2_256},
#endif
	{INTEG_HMAC_SHA2_384_192, PFKEY_AALG_SHA2_384},
	{INTEG_HMAC_SHA2_512_256, PFKEY_AALG_SHA2_512},
};

static uint8_t find(const struct number *list, size_t count, uint16_t id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].id == id)
			return list[i].number;
	return 0;
}

uint8_t pfkey_encryption_number(uint16_t encr)
{
	return find(encryption, sizeof(encryption) / sizeof(encryption[0]), encr);
}

uint8_t pfkey_integrity_number(uint16_t integ)
{
	return find(integrity, sizeof(integrity) / sizeof(integrity[0]), integ);
}

static bool next(struct bytes *list, struct sadb_alg *out)
{
	if (list->len < sizeof(*out))
		return false;
	memcpy(out, list->data, sizeof(*out));
	*list = bytes_of(list->data + sizeof(*out), list->len - sizeof(*out));
	return true;
}

/* Some kernels count a cipher's salt in its key, some do not. */
static uint8_t key_bits_of(const struct algorithm *a, const struct sadb_alg *alg)
{
	uint8_t set = 0;

	if (a->fixed_key)
		return 1;
	for (unsigned i = 0; i < ALGORITHM_KEY_BITS_MAX && a->key_bits[i]; i++) {
		uint32_t bits = a->key_bits[i], salted = bits + 8u * a->salt_len;

		if ((bits >= alg->sadb_alg_minbits && bits <= alg->sadb_alg_maxbits) ||
			(salted >= alg->sadb_alg_minbits && salted <= alg->sadb_alg_maxbits))
			set |= (uint8_t)(1u << i);
	}
	return set;
}

static void take_encryption(struct pfkey_algorithms *out, const struct sadb_alg *alg)
{
	const struct algorithm *a;

	for (size_t i = 0; (a = algorithm_at(TRANSFORM_ENCR, i)); i++) {
		if (a->id >= 64 || !a->esp_capable || pfkey_encryption_number(a->id) == 0 ||
			pfkey_encryption_number(a->id) != alg->sadb_alg_id)
			continue;
		out->key_bits[a->id] = key_bits_of(a, alg);
		if (out->key_bits[a->id])
			out->encrs |= 1ull << a->id;
	}
}

static void take_integrity(struct pfkey_algorithms *out, const struct sadb_alg *alg)
{
	const struct algorithm *a;

	for (size_t i = 0; (a = algorithm_at(TRANSFORM_INTEG, i)); i++)
		if (a->id < 64 && a->esp_capable && pfkey_integrity_number(a->id) != 0 &&
			pfkey_integrity_number(a->id) == alg->sadb_alg_id)
			out->integs |= 1ull << a->id;
}

void pfkey_algorithms_read(
	struct pfkey_algorithms *out, struct bytes auth_algs, struct bytes encr_algs)
{
	struct sadb_alg alg;

	memset(out, 0, sizeof(*out));
	while (next(&auth_algs, &alg))
		take_integrity(out, &alg);
	while (next(&encr_algs, &alg))
		take_encryption(out, &alg);
}

bool pfkey_algorithms_have(
	const struct pfkey_algorithms *have, uint16_t encr, uint16_t key_bits, uint16_t integ)
{
	const struct algorithm *a = algorithm_by_id(TRANSFORM_ENCR, encr);
	bool has_key = false;

	if (!a || encr >= 64 || !(have->encrs & 1ull << encr))
		return false;
	if (a->fixed_key)
		has_key = key_bits == 0;
	for (unsigned i = 0; i < ALGORITHM_KEY_BITS_MAX && a->key_bits[i]; i++)
		has_key =
			has_key || (a->key_bits[i] == key_bits && (have->key_bits[encr] & 1u << i));
	if (!has_key)
		return false;
	if (integ == INTEG_NONE)
		return a->aead;
	return !a->aead && integ < 64 && (have->integs & 1ull << integ);
}
