#include "key_exchange.h"

#include <pthread.h>
#include <stdlib.h>

/* Private lengths: MODP exponents are explained in modp_group.c. */
static const struct key_exchange key_exchanges[] = {
	{KE_MODP1024, &modp_method, 0, 128, 128, 24},
	{KE_MODP1536, &modp_method, 1, 192, 192, 24},
	{KE_MODP2048, &modp_method, 2, 256, 256, 32},
	{KE_MODP3072, &modp_method, 3, 384, 384, 40},
	{KE_MODP4096, &modp_method, 4, 512, 512, 48},
	{KE_MODP6144, &modp_method, 5, 768, 768, 48},
	{KE_MODP8192, &modp_method, 6, 1024, 1024, 56},
	{KE_ECP_256, &ecp_method, 0, 64, 32, 32},
	{KE_ECP_384, &ecp_method, 1, 96, 48, 48},
	{KE_ECP_521, &ecp_method, 2, 132, 66, 66},
	{KE_MODP1024_160, &modp_method, 7, 128, 128, 20},
	{KE_MODP2048_224, &modp_method, 8, 256, 256, 28},
	{KE_MODP2048_256, &modp_method, 9, 256, 256, 32},
	{KE_CURVE25519, &x25519_method, 0, 32, 32, 64},
};

const struct key_exchange *key_exchange_by_id(uint16_t id)
{
	for (size_t i = 0; i < sizeof(key_exchanges) / sizeof(key_exchanges[0]); i++) {
		if (key_exchanges[i].id == id)
			return &key_exchanges[i];
	}
	return NULL;
}

const struct key_exchange *key_exchange_at(size_t i)
{
	return i < sizeof(key_exchanges) / sizeof(key_exchanges[0]) ? &key_exchanges[i] : NULL;
}

unsigned key_exchange_lanes(const struct key_exchange *ke)
{
	/* P-521 has none */
	bool lanes = ke->method->run_lanes && ke->id != KE_ECP_521 && cpu_has_lanes();

	return lanes ? KEY_EXCHANGE_LANES : 1;
}

bool cpu_has_lanes(void)
{
#ifdef __x86_64__
	/* Says no, too, where the system does not save the registers of AVX-512. */
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512ifma");
#else
	return false;
#endif
}

static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;
static bool scratch_key_made;

static void scratch_free(void *arg)
{
	struct ke_scratch *s = arg;

	if (!s)
		return;
	for (unsigned i = 0; i < ECP_CURVES; i++) {
		EC_POINT_clear_free(s->peer_point[i]);
		EC_POINT_clear_free(s->result_point[i]);
	}
	EVP_PKEY_CTX_free(s->x25519_keygen);
	EVP_PKEY_CTX_free(s->x25519_import);
	EVP_PKEY_free(s->x25519_own);
	EVP_PKEY_free(s->x25519_peer);
	BN_clear_free(s->private_key);
	BN_clear_free(s->peer);
	BN_clear_free(s->result);
	BN_clear_free(s->spare);
	BN_CTX_free(s->bn);
	free(s);
}

static void make_scratch_key(void)
{
	scratch_key_made = pthread_key_create(&scratch_key, scratch_free) == 0;
}

struct ke_scratch *ke_scratch_get(void)
{
	struct ke_scratch *s;

	pthread_once(&scratch_once, make_scratch_key);
	if (!scratch_key_made)
		return NULL;
	s = pthread_getspecific(scratch_key);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->bn = BN_CTX_new();
	s->private_key = BN_new();
	s->peer = BN_new();
	s->result = BN_new();
	s->spare = BN_new();
	if (!s->bn || !s->private_key || !s->peer || !s->result || !s->spare ||
		pthread_setspecific(scratch_key, s) != 0) {
		scratch_free(s);
		return NULL;
	}
	return s;
}
