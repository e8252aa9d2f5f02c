/* Key exchange by NSS: elliptic curves, and Diffie-Hellman over the primes that libcrypto knows.
 * For a prime that NSS knows itself it chooses the exponent's length by the group's strength. */
#include "bench.h"
#include "nss.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

struct nss_group {
	const char *name;
	SECOidTag curve;        /* SEC_OID_UNKNOWN: Diffie-Hellman */
	const char *type, *evp; /* whose prime and generator */
};

struct nss_exchange {
	PK11SlotInfo *slot;
	SECKEYPrivateKey *peer_private;
	SECKEYPublicKey *peer;
	CK_MECHANISM_TYPE generate, derive;
	SECItem curve;
	struct nss_curve_room room;
	SECKEYDHParams dh;
	uint8_t prime[1024], base[1024];
};

static void drop(void *arg)
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
	void *params = s->generate == CKM_DH_PKCS_KEY_PAIR_GEN ? (void *)&s->dh : (void *)&s->curve;

	return PK11_GenerateKeyPair(
		s->slot, s->generate, params, public_key, PR_FALSE, PR_FALSE, NULL);
}

static bool number(const EVP_PKEY *key, const char *name, uint8_t *room, size_t size, SECItem *item)
{
	BIGNUM *n = NULL;
	bool ok = EVP_PKEY_get_bn_param(key, name, &n) == 1 && (size_t)BN_num_bytes(n) <= size;

	if (ok)
		*item = (SECItem){siUnsignedInteger, room, (unsigned)BN_bn2bin(n, room)};
	BN_free(n);
	return ok;
}

static bool take_group(struct nss_exchange *s, const struct nss_group *group)
{
	EVP_PKEY *key = bench_dh_key(group->type, group->evp);
	bool ok = key &&
		  number(key, OSSL_PKEY_PARAM_FFC_P, s->prime, sizeof(s->prime), &s->dh.prime) &&
		  number(key, OSSL_PKEY_PARAM_FFC_G, s->base, sizeof(s->base), &s->dh.base);

	EVP_PKEY_free(key);
	return ok;
}

static void *make(const struct bench *bench)
{
	const struct nss_group *group = bench->argument;
	struct nss_exchange *s = calloc(1, sizeof(*s));
	bool ok;

	if (!s)
		return NULL;
	s->slot = PK11_GetInternalSlot();
	if (group->curve == SEC_OID_UNKNOWN) {
		s->generate = CKM_DH_PKCS_KEY_PAIR_GEN;
		s->derive = CKM_DH_PKCS_DERIVE;
		ok = take_group(s, group);
	} else {
		s->generate = CKM_EC_KEY_PAIR_GEN;
		s->derive = CKM_ECDH1_DERIVE;
		s->curve = nss_curve_params(group->curve, &s->room);
		ok = s->curve.data != NULL;
	}
	if (ok && s->slot)
		s->peer_private = key_pair(s, &s->peer);
	if (s->peer_private)
		return s;
	drop(s);
	return NULL;
}

static bool round_of(void *arg)
{
	struct nss_exchange *s = arg;
	SECKEYPublicKey *own_public = NULL;
	SECKEYPrivateKey *own = key_pair(s, &own_public);
	PK11SymKey *secret;

	if (!own)
		return false;
	secret = PK11_PubDeriveWithKDF(own, s->peer, PR_FALSE, NULL, NULL, s->derive,
		CKM_HKDF_DERIVE, CKA_DERIVE, 0, CKD_NULL, NULL, NULL);
	if (secret)
		PK11_FreeSymKey(secret);
	SECKEY_DestroyPublicKey(own_public);
	SECKEY_DestroyPrivateKey(own);
	return secret != NULL;
}

void bench_add_nss_key_exchanges(struct bench_list *list)
{
	static const struct nss_group groups[] = {
		{"MODP1024 both", SEC_OID_UNKNOWN, NULL, NULL},
		{"MODP1536 both", SEC_OID_UNKNOWN, "DH", "modp_1536"},
		{"MODP2048 both", SEC_OID_UNKNOWN, "DH", "modp_2048"},
		{"MODP3072 both", SEC_OID_UNKNOWN, "DH", "modp_3072"},
		{"MODP4096 both", SEC_OID_UNKNOWN, "DH", "modp_4096"},
		{"MODP6144 both", SEC_OID_UNKNOWN, "DH", "modp_6144"},
		{"MODP8192 both", SEC_OID_UNKNOWN, "DH", "modp_8192"},
		{"MODP1024_160 both", SEC_OID_UNKNOWN, "DHX", "dh_1024_160"},
		{"MODP2048_224 both", SEC_OID_UNKNOWN, "DHX", "dh_2048_224"},
		{"MODP2048_256 both", SEC_OID_UNKNOWN, "DHX", "dh_2048_256"},
		{"P-256 both", SEC_OID_SECG_EC_SECP256R1, NULL, NULL},
		{"P-384 both", SEC_OID_SECG_EC_SECP384R1, NULL, NULL},
		{"P-521 both", SEC_OID_SECG_EC_SECP521R1, NULL, NULL},
		{"X25519 both", SEC_OID_CURVE25519, NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct bench b = {.what = "key exchange",
			.name = groups[i].name,
			.provider = "NSS",
			.batch = 1,
			.argument = &groups[i],
			.make = make,
			.round = round_of,
			.drop = drop};

		bench_add_by_threads(list, &b);
	}
}
