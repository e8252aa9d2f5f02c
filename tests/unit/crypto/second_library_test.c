/* Key exchange against a second library: NSS (freebl) makes a key pair and derives, our jobs are
 * the peer; both must come to the same secret. */
#include "job_test.h"

#include <nspr.h>
#include <nss.h>
#include <keyhi.h>
#include <pk11pub.h>
#include <secerr.h>

#include <openssl/bn.h>

#include "modp_group.h"

static int start_nss(void **state)
{
	(void)state;
	return NSS_NoDB_Init(NULL) == SECSuccess ? 0 : -1;
}

static int stop_nss(void **state)
{
	(void)state;
	return NSS_Shutdown() == SECSuccess ? 0 : -1;
}

static void *copy_to(PLArenaPool *arena, SECItem *item, const uint8_t *data, size_t len)
{
	item->data = PORT_ArenaAlloc(arena, len);
	assert_non_null(item->data);
	item->len = (unsigned)len;
	memcpy(item->data, data, len);
	return item->data;
}

static SECKEYPublicKey *new_public(KeyType type)
{
	PLArenaPool *arena = PORT_NewArena(DER_DEFAULT_CHUNKSIZE);
	SECKEYPublicKey *key;

	assert_non_null(arena);
	key = PORT_ArenaZAlloc(arena, sizeof(*key));
	assert_non_null(key);
	key->arena = arena;
	key->keyType = type;
	return key;
}

/* Left-padded: NSS strips zeros of DH values. */
static struct value padded(const SECItem *item, size_t len)
{
	struct value v = {.len = len};

	assert_true(item->len <= len);
	memcpy(v.data + len - item->len, item->data, item->len);
	return v;
}

static struct value nss_derive(SECKEYPrivateKey *own, SECKEYPublicKey *peer,
	CK_MECHANISM_TYPE mechanism, size_t shared_len)
{
	PK11SymKey *secret = PK11_PubDeriveWithKDF(own, peer, PR_FALSE, NULL, NULL, mechanism,
		CKM_HKDF_DERIVE, CKA_DERIVE, 0, CKD_NULL, NULL, NULL);
	struct value v;

	if (!secret)
		fail_msg("NSS does not derive: %s", PORT_ErrorToName(PORT_GetError()));
	assert_int_equal(PK11_ExtractKeyValue(secret), SECSuccess);
	v = padded(PK11_GetKeyData(secret), shared_len);
	PK11_FreeSymKey(secret);
	return v;
}

static struct crypto_job *our_answer(uint16_t id, const struct value *peer)
{
	struct crypto_job *job = crypto_job_new(CRYPTO_KE_BOTH, group_of(id), value_bytes(peer));

	assert_non_null(job);
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	return job;
}

static void expect_same(const struct crypto_job *job, const struct value *theirs)
{
	assert_int_equal(job->shared.len, theirs->len);
	assert_memory_equal(job->shared.data, theirs->data, theirs->len);
}

/* ---- elliptic curves --------------------------------------------------------- */

static void exchange_on_curve(uint16_t id, SECOidTag oid, CK_MECHANISM_TYPE generate)
{
	const struct algorithm *group = group_of(id);
	bool point = id != KE_CURVE25519; /* NSS has SEC 1's 0x04 in front of x | y */
	const SECOidData *curve = SECOID_FindOIDByTag(oid);
	uint8_t params_data[32];
	SECItem params = {.data = params_data};
	PK11SlotInfo *slot = PK11_GetInternalSlot();
	SECKEYPublicKey *their_public, *our_public;
	SECKEYPrivateKey *their_private;
	struct value theirs = {.len = group->public_len}, shared;
	uint8_t wire[KE_PUBLIC_MAX];
	struct crypto_job *job;

	assert_non_null(slot);
	assert_non_null(curve);
	params_data[0] = SEC_ASN1_OBJECT_ID;
	params_data[1] = (uint8_t)curve->oid.len;
	memcpy(params_data + 2, curve->oid.data, curve->oid.len);
	params.len = curve->oid.len + 2;
	their_private = PK11_GenerateKeyPair(
		slot, generate, &params, &their_public, PR_FALSE, PR_FALSE, NULL);
	assert_non_null(their_private);
	assert_int_equal(their_public->u.ec.publicValue.len, theirs.len + point);
	memcpy(theirs.data, their_public->u.ec.publicValue.data + point, theirs.len);

	job = our_answer(id, &theirs);
	our_public = new_public(ecKey);
	our_public->u.ec.encoding = point ? ECPoint_Uncompressed : ECPoint_XOnly;
	our_public->u.ec.size = their_public->u.ec.size;
	copy_to(our_public->arena, &our_public->u.ec.DEREncodedParams, params_data, params.len);
	wire[0] = 4;
	memcpy(wire + point, job->public_value, job->public_len);
	copy_to(our_public->arena, &our_public->u.ec.publicValue, wire, job->public_len + point);
	shared = nss_derive(their_private, our_public, CKM_ECDH1_DERIVE, group->shared_len);
	expect_same(job, &shared);

	crypto_job_free(job);
	SECKEY_DestroyPublicKey(our_public);
	SECKEY_DestroyPublicKey(their_public);
	SECKEY_DestroyPrivateKey(their_private);
	PK11_FreeSlot(slot);
}

static void curves(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		exchange_on_curve(KE_ECP_256, SEC_OID_SECG_EC_SECP256R1, CKM_EC_KEY_PAIR_GEN);
		exchange_on_curve(KE_ECP_384, SEC_OID_SECG_EC_SECP384R1, CKM_EC_KEY_PAIR_GEN);
		exchange_on_curve(KE_ECP_521, SEC_OID_SECG_EC_SECP521R1, CKM_EC_KEY_PAIR_GEN);
		exchange_on_curve(KE_CURVE25519, SEC_OID_CURVE25519, CKM_EC_KEY_PAIR_GEN);
	}
}

/* ---- MODP ------------------------------------------------------------------------ */

static void exchange_in_group(uint16_t id)
{
	const struct algorithm *alg = group_of(id);
	const struct modp_group *group = modp_group_get(key_exchange_by_id(id)->index);
	PK11SlotInfo *slot = PK11_GetInternalSlot();
	uint8_t prime[KE_PUBLIC_MAX], base[KE_PUBLIC_MAX];
	SECKEYPublicKey *their_public, *our_public;
	SECKEYPrivateKey *their_private;
	struct value theirs, shared;
	struct crypto_job *job;
	SECKEYDHParams params = {0};

	assert_non_null(slot);
	assert_int_equal(BN_bn2binpad(group->p, prime, alg->public_len), alg->public_len);
	params.prime.data = prime;
	params.prime.len = alg->public_len;
	params.base.data = base;
	params.base.len = (unsigned)BN_bn2bin(group->generator, base);
	their_private = PK11_GenerateKeyPair(
		slot, CKM_DH_PKCS_KEY_PAIR_GEN, &params, &their_public, PR_FALSE, PR_FALSE, NULL);
	if (!their_private)
		fail_msg("NSS makes no key in group %u: %s", id, PORT_ErrorToName(PORT_GetError()));
	theirs = padded(&their_public->u.dh.publicValue, alg->public_len);

	job = our_answer(id, &theirs);
	our_public = new_public(dhKey);
	copy_to(our_public->arena, &our_public->u.dh.prime, prime, params.prime.len);
	copy_to(our_public->arena, &our_public->u.dh.base, base, params.base.len);
	copy_to(our_public->arena, &our_public->u.dh.publicValue, job->public_value,
		job->public_len);
	shared = nss_derive(their_private, our_public, CKM_DH_PKCS_DERIVE, alg->shared_len);
	expect_same(job, &shared);

	crypto_job_free(job);
	SECKEY_DestroyPublicKey(our_public);
	SECKEY_DestroyPublicKey(their_public);
	SECKEY_DestroyPrivateKey(their_private);
	PK11_FreeSlot(slot);
}

static void modp_groups(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALL_GROUPS; i++) {
		if (key_exchange_by_id(all_groups[i])->method == &modp_method)
			exchange_in_group(all_groups[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(curves),
		cmocka_unit_test(modp_groups),
	};

	return cmocka_run_group_tests_name("second library", tests, start_nss, stop_nss);
}
