/* NSS: elliptic curves, and AES-GCM. (Its Diffie-Hellman makes key pairs from the prime alone, with
 * exponents of a length of its own.) */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nss.h>
#include <keyhi.h>
#include <pk11pub.h>

enum { MESSAGE = 304, AAD = 32 };

/* ---- elliptic curves ------------------------------------------------------------ */

struct nss_curve {
	const char *name;
	SECOidTag oid;
};

struct nss_exchange {
	PK11SlotInfo *slot;
	SECKEYPrivateKey *peer_private;
	SECKEYPublicKey *peer;
	SECItem params;
	uint8_t params_data[32];
};

static void drop_exchange(void *arg)
{
	struct nss_exchange *s = arg;

	if (s->peer)
		SECKEY_DestroyPublicKey(s->peer);
	if (s->peer_private)
		SECKEY_DestroyPrivateKey(s->peer_private);
	if (s->slot)
		PK11_FreeSlot(s->slot);
	free(s);
}

static SECKEYPrivateKey *key_pair(struct nss_exchange *s, SECKEYPublicKey **public_key)
{
	return PK11_GenerateKeyPair(
		s->slot, CKM_EC_KEY_PAIR_GEN, &s->params, public_key, PR_FALSE, PR_FALSE, NULL);
}

static void *make_exchange(const struct bench *bench)
{
	const struct nss_curve *curve = bench->argument;
	const SECOidData *oid = SECOID_FindOIDByTag(curve->oid);
	struct nss_exchange *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->slot = PK11_GetInternalSlot();
	if (s->slot && oid && oid->oid.len + 2 <= sizeof(s->params_data)) {
		s->params_data[0] = SEC_ASN1_OBJECT_ID;
		s->params_data[1] = (uint8_t)oid->oid.len;
		memcpy(s->params_data + 2, oid->oid.data, oid->oid.len);
		s->params = (SECItem){siBuffer, s->params_data, oid->oid.len + 2};
		s->peer_private = key_pair(s, &s->peer);
	}
	if (s->peer_private)
		return s;
	drop_exchange(s);
	return NULL;
}

static bool round_of_exchange(void *arg)
{
	struct nss_exchange *s = arg;
	SECKEYPublicKey *own_public = NULL;
	SECKEYPrivateKey *own = key_pair(s, &own_public);
	PK11SymKey *secret;

	if (!own)
		return false;
	secret = PK11_PubDeriveWithKDF(own, s->peer, PR_FALSE, NULL, NULL, CKM_ECDH1_DERIVE,
		CKM_HKDF_DERIVE, CKA_DERIVE, 0, CKD_NULL, NULL, NULL);
	if (secret)
		PK11_FreeSymKey(secret);
	SECKEY_DestroyPublicKey(own_public);
	SECKEY_DestroyPrivateKey(own);
	return secret != NULL;
}

/* ---- AES-GCM ---------------------------------------------------------------------- */

struct nss_gcm {
	PK11SlotInfo *slot;
	PK11SymKey *key;
	uint8_t iv[12], aad[AAD], data[MESSAGE], out[MESSAGE + 16];
};

static void drop_gcm(void *arg)
{
	struct nss_gcm *s = arg;

	if (s->key)
		PK11_FreeSymKey(s->key);
	if (s->slot)
		PK11_FreeSlot(s->slot);
	free(s);
}

static void *make_gcm(const struct bench *bench)
{
	struct nss_gcm *s = calloc(1, sizeof(*s));

	(void)bench;
	if (!s)
		return NULL;
	s->slot = PK11_GetInternalSlot();
	if (s->slot)
		s->key = PK11_KeyGen(s->slot, CKM_AES_KEY_GEN, NULL, 16, NULL);
	if (s->key)
		return s;
	drop_gcm(s);
	return NULL;
}

static bool round_of_gcm(void *arg)
{
	struct nss_gcm *s = arg;
	CK_NSS_GCM_PARAMS gcm = {.pIv = s->iv,
		.ulIvLen = sizeof(s->iv),
		.pAAD = s->aad,
		.ulAADLen = sizeof(s->aad),
		.ulTagBits = 128};
	SECItem param = {siBuffer, (unsigned char *)&gcm, sizeof(gcm)};
	unsigned len = 0;

	return PK11_Encrypt(s->key, CKM_AES_GCM, &param, s->out, &len, sizeof(s->out), s->data,
		       sizeof(s->data)) == SECSuccess;
}

void bench_add_nss(struct bench_list *list)
{
	static const struct nss_curve curves[] = {
		{"P-256 both", SEC_OID_SECG_EC_SECP256R1},
		{"P-384 both", SEC_OID_SECG_EC_SECP384R1},
		{"P-521 both", SEC_OID_SECG_EC_SECP521R1},
		{"X25519 both", SEC_OID_CURVE25519},
	};
	struct bench b = {.what = "key exchange", .provider = "NSS", .batch = 1, .threads = 1};

	if (!NSS_IsInitialized() && NSS_NoDB_Init(NULL) != SECSuccess)
		return;
	b.make = make_exchange;
	b.round = round_of_exchange;
	b.drop = drop_exchange;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		b.name = curves[i].name;
		b.argument = &curves[i];
		bench_add(list, &b);
	}
	b = (struct bench){.what = "AEAD",
		.name = "AES-GCM-128 304 B",
		.provider = "NSS",
		.batch = 1,
		.threads = 1,
		.make = make_gcm,
		.round = round_of_gcm,
		.drop = drop_gcm};
	bench_add(list, &b);
}
