/* Signatures by NSS, over a message of IKE_AUTH's size. It has no Ed25519. */
#include "bench.h"
#include "nss.h"

#include <stdlib.h>
#include <string.h>

#include <cryptohi.h>

enum { SIGNED = 512, RSA_EXPONENT = 65537 };

struct nss_signature {
	const char *name;
	int rsa_bits; /* 0: ECDSA */
	SECOidTag curve, algorithm;
	bool verify;
};

struct nss_signature_state {
	const struct nss_signature *what;
	SECKEYPrivateKey *key;
	SECKEYPublicKey *public_key;
	SECItem signature;
	uint8_t message[SIGNED];
};

static void drop(void *arg)
{
	struct nss_signature_state *s = arg;

	SECITEM_FreeItem(&s->signature, PR_FALSE);
	if (s->public_key)
		SECKEY_DestroyPublicKey(s->public_key);
	if (s->key)
		SECKEY_DestroyPrivateKey(s->key);
	free(s);
}

static SECKEYPrivateKey *generate(const struct nss_signature *what, SECKEYPublicKey **public_key)
{
	PK11RSAGenParams rsa = {.keySizeInBits = what->rsa_bits, .pe = RSA_EXPONENT};
	PK11SlotInfo *slot = PK11_GetInternalSlot();
	CK_MECHANISM_TYPE mechanism =
		what->rsa_bits ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
	SECKEYPrivateKey *key = NULL;
	struct nss_curve_room room;
	SECItem curve = {siBuffer, NULL, 0};

	if (!what->rsa_bits)
		curve = nss_curve_params(what->curve, &room);
	if (slot && (what->rsa_bits || curve.data))
		key = PK11_GenerateKeyPair(slot, mechanism,
			what->rsa_bits ? (void *)&rsa : (void *)&curve, public_key, PR_FALSE,
			PR_FALSE, NULL);
	if (slot)
		PK11_FreeSlot(slot);
	return key;
}

/* Copies of the one key of this kind: large RSA keys take seconds to make. */
static void take_key(struct nss_signature_state *s)
{
	static const struct nss_signature *kind;
	static SECKEYPrivateKey *key;
	static SECKEYPublicKey *public_key;

	if (!kind || kind->rsa_bits != s->what->rsa_bits || kind->curve != s->what->curve) {
		if (key) {
			SECKEY_DestroyPrivateKey(key);
			SECKEY_DestroyPublicKey(public_key);
		}
		key = generate(s->what, &public_key);
		kind = s->what;
	}
	if (key) {
		s->key = SECKEY_CopyPrivateKey(key);
		s->public_key = SECKEY_CopyPublicKey(public_key);
	}
}

static bool sign(struct nss_signature_state *s, SECItem *signature)
{
	return SEC_SignData(signature, s->message, sizeof(s->message), s->key,
		       s->what->algorithm) == SECSuccess;
}

static void *make(const struct bench *bench)
{
	struct nss_signature_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->what = bench->argument;
	memset(s->message, 5, sizeof(s->message));
	take_key(s);
	if (s->key && s->public_key && sign(s, &s->signature))
		return s;
	drop(s);
	return NULL;
}

static bool round_of(void *arg)
{
	struct nss_signature_state *s = arg;
	SECItem signature = {siBuffer, NULL, 0};
	bool ok;

	if (s->what->verify)
		return VFY_VerifyData(s->message, sizeof(s->message), s->public_key, &s->signature,
			       s->what->algorithm, NULL) == SECSuccess;
	ok = sign(s, &signature);
	SECITEM_FreeItem(&signature, PR_FALSE);
	return ok;
}

#define BOTH(name, bits, curve, algorithm)                                                         \
	{name " sign", bits, curve, algorithm, false},                                             \
	{                                                                                          \
		name " verify", bits, curve, algorithm, true                                       \
	}
#define RSA(bits)                                                                                  \
	BOTH("RSA-" #bits, bits, SEC_OID_UNKNOWN, SEC_OID_PKCS1_SHA256_WITH_RSA_ENCRYPTION)

void bench_add_nss_signatures(struct bench_list *list)
{
	static const struct nss_signature signatures[] = {
		RSA(2048),
		RSA(3072),
		RSA(4096),
		BOTH("ECDSA P-256", 0, SEC_OID_SECG_EC_SECP256R1,
			SEC_OID_ANSIX962_ECDSA_SHA256_SIGNATURE),
		BOTH("ECDSA P-384", 0, SEC_OID_SECG_EC_SECP384R1,
			SEC_OID_ANSIX962_ECDSA_SHA384_SIGNATURE),
		BOTH("ECDSA P-521", 0, SEC_OID_SECG_EC_SECP521R1,
			SEC_OID_ANSIX962_ECDSA_SHA512_SIGNATURE),
	};

	for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
		struct bench b = {.what = "signature",
			.name = signatures[i].name,
			.provider = "NSS",
			.batch = 1,
			.argument = &signatures[i],
			.make = make,
			.round = round_of,
			.drop = drop};

		bench_add_by_threads(list, &b);
	}
}
