#include "mac.h"

#include "base/secret.h"

#include <string.h>

static bool mac_of_prf(const struct algorithm *alg, enum mac *mac)
{
	if (alg->type != TRANSFORM_PRF)
		return false;
	switch (alg->id) {
	case PRF_HMAC_MD5:
		*mac = MAC_HMAC_MD5;
		return true;
	case PRF_HMAC_SHA1:
		*mac = MAC_HMAC_SHA1;
		return true;
	case PRF_AES128_XCBC:
		*mac = MAC_AES_XCBC;
		return true;
	case PRF_HMAC_SHA2_256:
		*mac = MAC_HMAC_SHA2_256;
		return true;
	case PRF_HMAC_SHA2_384:
		*mac = MAC_HMAC_SHA2_384;
		return true;
	case PRF_HMAC_SHA2_512:
		*mac = MAC_HMAC_SHA2_512;
		return true;
	case PRF_AES128_CMAC:
		*mac = MAC_AES_CMAC;
		return true;
	default:
		return false;
	}
}

/* A key of any length as the 16 bytes that AES takes. XCBC: padded with zeros or, when too
 * long, its MAC under the key of zeros (RFC 4434, section 2). CMAC: the latter for every
 * length but 16 (RFC 4615, section 3). */
static bool fit_aes_key(
	struct crypto_context *context, enum mac mac, struct bytes key, uint8_t fitted[AES_BLOCK])
{
	static const uint8_t zeros[AES_BLOCK];

	if (key.len == AES_BLOCK || (mac == MAC_AES_XCBC && key.len < AES_BLOCK)) {
		memset(fitted, 0, AES_BLOCK);
		if (key.len > 0)
			memcpy(fitted, key.data, key.len);
		return true;
	}
	return mac_set_key(context, mac, bytes_of(zeros, AES_BLOCK)) &&
	       mac_run(context, mac, key, fitted);
}

static bool set_prf_key(struct crypto_context *context, enum mac mac, struct bytes key)
{
	uint8_t fitted[AES_BLOCK];
	bool ok;

	if (key.len > SYMMETRIC_INPUT_MAX)
		return false;
	if (mac != MAC_AES_XCBC && mac != MAC_AES_CMAC)
		return mac_set_key(context, mac, key);
	ok = fit_aes_key(context, mac, key, fitted) &&
	     mac_set_key(context, mac, bytes_of(fitted, AES_BLOCK));
	secret_wipe(fitted, sizeof(fitted));
	return ok;
}

bool prf(struct crypto_context *context, const struct algorithm *prf_alg, struct bytes key,
	const struct bytes *parts, size_t part_count, uint8_t *out)
{
	struct bytes message;
	enum mac mac;
	bool ok;

	if (!mac_of_prf(prf_alg, &mac))
		return false;
	ok = set_prf_key(context, mac, key) &&
	     context_gather(context, parts, part_count, &message) &&
	     mac_run(context, mac, message, out);
	mac_wipe(context, mac);
	return ok;
}

/* T1 = prf(K, S | 0x01), Tn = prf(K, Tn-1 | S | n). S stays in its place in the scratch; Tn-1 is
 * put in front of it and n behind it. */
static bool expand(struct crypto_context *context, enum mac mac, struct bytes seed, uint8_t *out,
	size_t out_len)
{
	uint8_t *start = context->scratch + SCRATCH_HEADROOM;
	size_t step = mac_output_len(mac);
	size_t chained = 0;
	uint8_t t[PRF_OUTPUT_MAX];
	bool ok = true;

	for (unsigned n = 1; ok && out_len > 0; n++) {
		size_t take = out_len < step ? out_len : step;

		start[seed.len] = (uint8_t)n;
		ok = mac_run(context, mac, bytes_of(start - chained, chained + seed.len + 1), t);
		memcpy(out, t, take);
		out += take;
		out_len -= take;
		chained = step;
		memcpy(start - chained, t, chained);
	}
	secret_wipe(t, sizeof(t));
	return ok;
}

bool prf_plus(struct crypto_context *context, const struct algorithm *prf_alg, struct bytes key,
	const struct bytes *parts, size_t part_count, uint8_t *out, size_t out_len)
{
	struct bytes seed;
	enum mac mac;
	bool ok;

	if (!mac_of_prf(prf_alg, &mac) || out_len > 255 * mac_output_len(mac))
		return false;
	ok = set_prf_key(context, mac, key) && context_gather(context, parts, part_count, &seed) &&
	     expand(context, mac, seed, out, out_len);
	mac_wipe(context, mac);
	if (!ok)
		secret_wipe(out, out_len);
	return ok;
}
