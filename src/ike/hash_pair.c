#include "hash_pair.h"

static const struct {
	uint16_t prf, integ;
} pairs[] = {
	{PRF_HMAC_MD5, INTEG_HMAC_MD5_96},
	{PRF_HMAC_SHA1, INTEG_HMAC_SHA1_96},
	{PRF_AES128_XCBC, INTEG_AES_XCBC_96},
	{PRF_HMAC_SHA2_256, INTEG_HMAC_SHA2_256_128},
	{PRF_HMAC_SHA2_384, INTEG_HMAC_SHA2_384_192},
	{PRF_HMAC_SHA2_512, INTEG_HMAC_SHA2_512_256},
	{PRF_AES128_CMAC, INTEG_AES_CMAC_96},
};

#define PAIR_COUNT (sizeof(pairs) / sizeof(pairs[0]))

uint16_t integ_of_prf(uint16_t prf)
{
	for (unsigned i = 0; i < PAIR_COUNT; i++)
		if (pairs[i].prf == prf)
			return pairs[i].integ;
	return INTEG_NONE;
}

uint16_t prf_of_integ(uint16_t integ)
{
	for (unsigned i = 0; i < PAIR_COUNT; i++)
		if (pairs[i].integ == integ)
			return pairs[i].prf;
	return 0;
}
