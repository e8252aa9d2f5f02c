/* What a message costs by NSS, with a key that is in the slot already. It has no AES-CCM. */
#include "bench.h"
#include "nss.h"

#include <stdlib.h>
#include <string.h>

enum { AAD = 32, DATA_MAX = 1424, TAG = 16 };

struct nss_symmetric {
	const char *what, *name;
	CK_MECHANISM_TYPE mechanism;
	unsigned key_len, len;
	bool mac;
};

struct nss_symmetric_state {
	const struct nss_symmetric *what;
	PK11SlotInfo *slot;
	PK11SymKey *key;
	uint8_t iv[16], aad[AAD], data[DATA_MAX], out[DATA_MAX + TAG];
};

static void drop(void *arg)
{
	struct nss_symmetric_state *s = arg;

	if (s->key)
		PK11_FreeSymKey(s->key);
	if (s->slot)
		PK11_FreeSlot(s->slot);
	free(s);
}

static void *make(const struct bench *bench)
{
	struct nss_symmetric_state *s = calloc(1, sizeof(*s));
	/* three DES keys that differ */
	uint8_t key[64];
	SECItem item = {siBuffer, key, 0};

	if (!s)
		return NULL;
	s->what = bench->argument;
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7 + 1);
	item.len = s->what->key_len;
	s->slot = PK11_GetInternalSlot();
	if (s->slot)
		s->key = PK11_ImportSymKey(s->slot, s->what->mechanism, PK11_OriginUnwrap,
			s->what->mac ? CKA_SIGN : CKA_ENCRYPT, &item, NULL);
	if (s->key)
		return s;
	drop(s);
	return NULL;
}

static bool run_mac(struct nss_symmetric_state *s)
{
	SECItem data = {siBuffer, s->data, s->what->len};
	SECItem out = {siBuffer, s->out, sizeof(s->out)};

	return PK11_SignWithSymKey(s->key, s->what->mechanism, NULL, &out, &data) == SECSuccess;
}

static bool run_cipher(struct nss_symmetric_state *s)
{
	CK_NSS_GCM_PARAMS gcm = {
		.pIv = s->iv, .ulIvLen = 12, .pAAD = s->aad, .ulAADLen = AAD, .ulTagBits = TAG * 8};
	CK_NSS_AEAD_PARAMS aead = {.pNonce = s->iv,
		.ulNonceLen = 12,
		.pAAD = s->aad,
		.ulAADLen = AAD,
		.ulTagLen = TAG};
	CK_AES_CTR_PARAMS ctr = {.ulCounterBits = 32};
	SECItem param = {siBuffer, s->iv, sizeof(s->iv)};
	unsigned len = 0;

	switch (s->what->mechanism) {
	case CKM_AES_GCM:
		param = (SECItem){siBuffer, (unsigned char *)&gcm, sizeof(gcm)};
		break;
	case CKM_NSS_CHACHA20_POLY1305:
		param = (SECItem){siBuffer, (unsigned char *)&aead, sizeof(aead)};
		break;
	case CKM_AES_CTR:
		param = (SECItem){siBuffer, (unsigned char *)&ctr, sizeof(ctr)};
		break;
	case CKM_DES3_CBC:
		param.len = 8;
		break;
	default:
		break;
	}
	return PK11_Encrypt(s->key, s->what->mechanism, &param, s->out, &len, sizeof(s->out),
		       s->data, s->what->len) == SECSuccess;
}

static bool round_of(void *arg)
{
	struct nss_symmetric_state *s = arg;

	return s->what->mac ? run_mac(s) : run_cipher(s);
}

void bench_add_nss_symmetric(struct bench_list *list)
{
	static const struct nss_symmetric kinds[] = {
		{"PRF", "HMAC-MD5 80 B", CKM_MD5_HMAC, 16, 80, true},
		{"PRF", "HMAC-SHA1 80 B", CKM_SHA_1_HMAC, 20, 80, true},
		{"PRF", "HMAC-SHA2-256 80 B", CKM_SHA256_HMAC, 32, 80, true},
		{"PRF", "HMAC-SHA2-384 80 B", CKM_SHA384_HMAC, 48, 80, true},
		{"PRF", "HMAC-SHA2-512 80 B", CKM_SHA512_HMAC, 64, 80, true},
		{"PRF", "AES-XCBC 80 B", CKM_AES_XCBC_MAC, 16, 80, true},
		{"PRF", "AES-CMAC 80 B", CKM_AES_CMAC, 16, 80, true},
		{"integrity", "HMAC-MD5-96 304 B", CKM_MD5_HMAC, 16, 304, true},
		{"integrity", "HMAC-SHA1-96 304 B", CKM_SHA_1_HMAC, 20, 304, true},
		{"integrity", "AES-XCBC-96 304 B", CKM_AES_XCBC_MAC, 16, 304, true},
		{"integrity", "AES-CMAC-96 304 B", CKM_AES_CMAC, 16, 304, true},
		{"integrity", "HMAC-SHA2-256-128 304 B", CKM_SHA256_HMAC, 32, 304, true},
		{"integrity", "HMAC-SHA2-384-192 304 B", CKM_SHA384_HMAC, 48, 304, true},
		{"integrity", "HMAC-SHA2-512-256 304 B", CKM_SHA512_HMAC, 64, 304, true},
		{"cipher", "AES-CBC-128 304 B", CKM_AES_CBC, 16, 304, false},
		{"cipher", "AES-CBC-256 304 B", CKM_AES_CBC, 32, 304, false},
		{"cipher", "AES-CTR-128 304 B", CKM_AES_CTR, 16, 304, false},
		{"cipher", "AES-CTR-256 304 B", CKM_AES_CTR, 32, 304, false},
		{"cipher", "3DES 304 B", CKM_DES3_CBC, 24, 304, false},
		{"AEAD", "AES-GCM-128 304 B", CKM_AES_GCM, 16, 304, false},
		{"AEAD", "AES-GCM-256 304 B", CKM_AES_GCM, 32, 304, false},
		{"AEAD", "AES-GCM-128 1424 B", CKM_AES_GCM, 16, 1424, false},
		{"AEAD", "ChaCha20-Poly1305 304 B", CKM_NSS_CHACHA20_POLY1305, 32, 304, false},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct bench b = {.what = kinds[i].what,
			.name = kinds[i].name,
			.provider = "NSS",
			.batch = 1,
			.argument = &kinds[i],
			.make = make,
			.round = round_of,
			.drop = drop};

		bench_add_by_threads(list, &b);
	}
}
