#include "mac.h"

#include "base/secret.h"

#include <string.h>

static bool mac_of_integ(const struct algorithm *alg, enum mac *mac)
{
	if (alg->type != TRANSFORM_INTEG)
		return false;
	switch (alg->id) {
	case INTEG_HMAC_MD5_96:
		*mac = MAC_HMAC_MD5;
		return true;
	case INTEG_HMAC_SHA1_96:
		*mac = MAC_HMAC_SHA1;
		return true;
	case INTEG_AES_XCBC_96:
		*mac = MAC_AES_XCBC;
		return true;
	case INTEG_AES_CMAC_96:
		*mac = MAC_AES_CMAC;
		return true;
	case INTEG_HMAC_SHA2_256_128:
		*mac = MAC_HMAC_SHA2_256;
		return true;
	case INTEG_HMAC_SHA2_384_192:
		*mac = MAC_HMAC_SHA2_384;
		return true;
	case INTEG_HMAC_SHA2_512_256:
		*mac = MAC_HMAC_SHA2_512;
		return true;
	default:
		return false;
	}
}

bool integ_compute(struct crypto_context *context, const struct algorithm *integ, struct bytes key,
	const struct bytes *parts, size_t part_count, uint8_t *icv)
{
	uint8_t full[PRF_OUTPUT_MAX];
	struct bytes message;
	enum mac mac;
	bool ok;

	if (!mac_of_integ(integ, &mac) || key.len != integ->key_len)
		return false;
	ok = mac_set_key(context, mac, key) &&
	     context_gather(context, parts, part_count, &message) &&
	     mac_run(context, mac, message, full);
	mac_wipe(context, mac);
	if (ok)
		memcpy(icv, full, integ->icv_len);
	/* What was cut off is as good as a part of the key to a forger. */
	secret_wipe(full, sizeof(full));
	return ok;
}
