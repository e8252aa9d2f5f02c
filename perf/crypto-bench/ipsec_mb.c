/* intel-ipsec-mb's own interface, one job at a time and sixteen in its lanes, with keys that are
 * already expanded: what batching of messages could save. */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

enum { BATCH_MAX = 16, DATA_MAX = 1424, AAD = 32, ROUND_KEYS = 15 };

struct mb_kind {
	const char *what, *name;
	IMB_CIPHER_MODE cipher;
	IMB_HASH_ALG hash;
	unsigned key_len, iv_len, tag_len, len;
};

struct mb_state {
	const struct mb_kind *kind;
	IMB_MGR *manager;
	unsigned batch;
	uint32_t encrypt[4 * ROUND_KEYS] __attribute__((aligned(16)));
	uint32_t decrypt[4 * ROUND_KEYS] __attribute__((aligned(16)));
	uint8_t subkey[2][16] __attribute__((aligned(16)));
	uint64_t des[3][IMB_DES_KEY_SCHED_SIZE / 8];
	const void *des_keys[3];
	struct gcm_key_data gcm __attribute__((aligned(64)));
	uint8_t inner[64], outer[64], iv[16], aad[AAD];
	/* the library reads behind the key of ChaCha20 */
	uint8_t key[64];
	uint8_t data[BATCH_MAX][DATA_MAX], tag[BATCH_MAX][64];
};

static void drop(void *arg)
{
	struct mb_state *s = arg;

	if (s->manager)
		free_mb_mgr(s->manager);
	free(s);
}

static void hash_block(IMB_MGR *m, IMB_HASH_ALG hash, const uint8_t *block, uint8_t *out)
{
	switch (hash) {
	case IMB_AUTH_MD5:
		IMB_MD5_ONE_BLOCK(m, block, out);
		break;
	case IMB_AUTH_HMAC_SHA_1:
		IMB_SHA1_ONE_BLOCK(m, block, out);
		break;
	case IMB_AUTH_HMAC_SHA_256:
		IMB_SHA256_ONE_BLOCK(m, block, out);
		break;
	case IMB_AUTH_HMAC_SHA_384:
		IMB_SHA384_ONE_BLOCK(m, block, out);
		break;
	default:
		IMB_SHA512_ONE_BLOCK(m, block, out);
		break;
	}
}

/* The hash's state behind the block of the key (RFC 2104). */
static void expand_hmac(struct mb_state *s)
{
	uint8_t block[128];

	for (unsigned outer = 0; outer < 2; outer++) {
		memset(block, outer ? 0x5c : 0x36, sizeof(block));
		for (unsigned i = 0; i < s->kind->key_len; i++)
			block[i] ^= s->key[i];
		hash_block(s->manager, s->kind->hash, block, outer ? s->outer : s->inner);
	}
}

static void expand_aes(struct mb_state *s)
{
	if (s->kind->key_len == 16) {
		IMB_AES_KEYEXP_128(s->manager, s->key, s->encrypt, s->decrypt);
		IMB_AES128_GCM_PRE(s->manager, s->key, &s->gcm);
	} else {
		IMB_AES_KEYEXP_256(s->manager, s->key, s->encrypt, s->decrypt);
		IMB_AES256_GCM_PRE(s->manager, s->key, &s->gcm);
	}
}

static void expand_key(struct mb_state *s)
{
	if (s->kind->cipher == IMB_CIPHER_DES3) {
		for (unsigned i = 0; i < 3; i++) {
			IMB_DES_KEYSCHED(s->manager, s->des[i], s->key + 8 * i);
			s->des_keys[i] = s->des[i];
		}
		return;
	}
	switch (s->kind->hash) {
	case IMB_AUTH_AES_XCBC:
		IMB_AES_XCBC_KEYEXP(s->manager, s->key, s->encrypt, s->subkey[0], s->subkey[1]);
		break;
	case IMB_AUTH_AES_CMAC:
		expand_aes(s);
		IMB_AES_CMAC_SUBKEY_GEN_128(s->manager, s->encrypt, s->subkey[0], s->subkey[1]);
		break;
	case IMB_AUTH_NULL:
	case IMB_AUTH_AES_GMAC:
	case IMB_AUTH_AES_CCM:
		expand_aes(s);
		break;
	case IMB_AUTH_CHACHA20_POLY1305:
		break;
	default:
		expand_hmac(s);
		break;
	}
}

static void *make(const struct bench *bench)
{
	struct mb_state *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->kind = bench->argument;
	s->batch = bench->batch;
	s->manager = alloc_mb_mgr(0);
	if (!s->manager) {
		drop(s);
		return NULL;
	}
	init_mb_mgr_auto(s->manager, NULL);
	for (unsigned i = 0; i < sizeof(s->key); i++)
		s->key[i] = (uint8_t)(i * 7 + 1);
	expand_key(s);
	return s;
}

static void fill_hash(struct mb_state *s, IMB_JOB *job)
{
	switch (s->kind->hash) {
	case IMB_AUTH_NULL:
		break;
	case IMB_AUTH_AES_GMAC:
		job->enc_keys = job->dec_keys = &s->gcm;
		job->u.GCM.aad = s->aad;
		job->u.GCM.aad_len_in_bytes = AAD;
		break;
	case IMB_AUTH_AES_CCM:
		job->u.CCM.aad = s->aad;
		job->u.CCM.aad_len_in_bytes = AAD;
		break;
	case IMB_AUTH_CHACHA20_POLY1305:
		job->enc_keys = job->dec_keys = s->key;
		job->u.CHACHA20_POLY1305.aad = s->aad;
		job->u.CHACHA20_POLY1305.aad_len_in_bytes = AAD;
		break;
	case IMB_AUTH_AES_XCBC:
		job->u.XCBC._k1_expanded = s->encrypt;
		job->u.XCBC._k2 = s->subkey[0];
		job->u.XCBC._k3 = s->subkey[1];
		break;
	case IMB_AUTH_AES_CMAC:
		job->u.CMAC._key_expanded = s->encrypt;
		job->u.CMAC._skey1 = s->subkey[0];
		job->u.CMAC._skey2 = s->subkey[1];
		break;
	default:
		job->u.HMAC._hashed_auth_key_xor_ipad = s->inner;
		job->u.HMAC._hashed_auth_key_xor_opad = s->outer;
		break;
	}
}

static void fill_job(struct mb_state *s, IMB_JOB *job, unsigned i)
{
	const struct mb_kind *kind = s->kind;

	memset(job, 0, sizeof(*job));
	job->src = s->data[i];
	job->dst = s->data[i];
	job->cipher_direction = IMB_DIR_ENCRYPT;
	/* CCM signs what is to be encrypted */
	job->chain_order =
		kind->hash == IMB_AUTH_AES_CCM ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
	job->cipher_mode = kind->cipher;
	job->hash_alg = kind->hash;
	job->key_len_in_bytes = kind->key_len;
	job->enc_keys = s->encrypt;
	job->dec_keys = s->decrypt;
	if (kind->cipher == IMB_CIPHER_DES3)
		job->enc_keys = job->dec_keys = s->des_keys;
	job->iv = s->iv;
	job->iv_len_in_bytes = kind->iv_len;
	job->msg_len_to_cipher_in_bytes = kind->len;
	job->msg_len_to_hash_in_bytes = kind->len;
	job->auth_tag_output = s->tag[i];
	job->auth_tag_output_len_in_bytes = kind->tag_len;
	fill_hash(s, job);
}

static bool round_of(void *arg)
{
	struct mb_state *s = arg;
	unsigned good = 0;
	IMB_JOB *job;

	for (unsigned i = 0; i < s->batch; i++) {
		fill_job(s, IMB_GET_NEXT_JOB(s->manager), i);
		job = IMB_SUBMIT_JOB(s->manager);
		good += job && job->status == IMB_STATUS_COMPLETED;
		while ((job = IMB_GET_COMPLETED_JOB(s->manager)))
			good += job->status == IMB_STATUS_COMPLETED;
	}
	while ((job = IMB_FLUSH_JOB(s->manager)))
		good += job->status == IMB_STATUS_COMPLETED;
	return good == s->batch;
}

#define MAC(what, name, hash, key, tag, len)                                                       \
	{                                                                                          \
		what, name, IMB_CIPHER_NULL, hash, key, 0, tag, len                                \
	}
#define CIPHER(name, mode, key, iv)                                                                \
	{                                                                                          \
		"cipher", name, mode, IMB_AUTH_NULL, key, iv, 0, 304                               \
	}

static const struct mb_kind kinds[] = {
	/* the library gives 12 bytes of MD5 and XCBC at most: the same work */
	MAC("PRF", "HMAC-MD5 80 B", IMB_AUTH_MD5, 16, 12, 80),
	MAC("PRF", "HMAC-SHA1 80 B", IMB_AUTH_HMAC_SHA_1, 20, 20, 80),
	MAC("PRF", "HMAC-SHA2-256 80 B", IMB_AUTH_HMAC_SHA_256, 32, 32, 80),
	MAC("PRF", "HMAC-SHA2-384 80 B", IMB_AUTH_HMAC_SHA_384, 48, 48, 80),
	MAC("PRF", "HMAC-SHA2-512 80 B", IMB_AUTH_HMAC_SHA_512, 64, 64, 80),
	MAC("PRF", "AES-XCBC 80 B", IMB_AUTH_AES_XCBC, 16, 12, 80),
	MAC("PRF", "AES-CMAC 80 B", IMB_AUTH_AES_CMAC, 16, 16, 80),
	MAC("integrity", "HMAC-MD5-96 304 B", IMB_AUTH_MD5, 16, 12, 304),
	MAC("integrity", "HMAC-SHA1-96 304 B", IMB_AUTH_HMAC_SHA_1, 20, 12, 304),
	MAC("integrity", "AES-XCBC-96 304 B", IMB_AUTH_AES_XCBC, 16, 12, 304),
	MAC("integrity", "AES-CMAC-96 304 B", IMB_AUTH_AES_CMAC, 16, 12, 304),
	MAC("integrity", "HMAC-SHA2-256-128 304 B", IMB_AUTH_HMAC_SHA_256, 32, 16, 304),
	MAC("integrity", "HMAC-SHA2-384-192 304 B", IMB_AUTH_HMAC_SHA_384, 48, 24, 304),
	MAC("integrity", "HMAC-SHA2-512-256 304 B", IMB_AUTH_HMAC_SHA_512, 64, 32, 304),
	CIPHER("AES-CBC-128 304 B", IMB_CIPHER_CBC, 16, 16),
	CIPHER("AES-CBC-256 304 B", IMB_CIPHER_CBC, 32, 16),
	CIPHER("AES-CTR-128 304 B", IMB_CIPHER_CNTR, 16, 16),
	CIPHER("AES-CTR-256 304 B", IMB_CIPHER_CNTR, 32, 16),
	CIPHER("3DES 304 B", IMB_CIPHER_DES3, 24, 8),
	{"AEAD", "AES-GCM-128 304 B", IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC, 16, 12, 16, 304},
	{"AEAD", "AES-GCM-256 304 B", IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC, 32, 12, 16, 304},
	{"AEAD", "AES-GCM-128 1424 B", IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC, 16, 12, 16, 1424},
	{"AEAD", "AES-CCM-128 304 B", IMB_CIPHER_CCM, IMB_AUTH_AES_CCM, 16, 11, 16, 304},
	{"AEAD", "AES-CCM-256 304 B", IMB_CIPHER_CCM, IMB_AUTH_AES_CCM, 32, 11, 16, 304},
	{"AEAD", "ChaCha20-Poly1305 304 B", IMB_CIPHER_CHACHA20_POLY1305,
		IMB_AUTH_CHACHA20_POLY1305, 32, 12, 16, 304},
};

void bench_add_ipsec_mb(struct bench_list *list)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct bench b = {.what = kinds[i].what,
			.name = kinds[i].name,
			.provider = "intel-ipsec-mb",
			.batch = 1,
			.argument = &kinds[i],
			.make = make,
			.round = round_of,
			.drop = drop};

		bench_add_by_threads(list, &b);
		b.batch = BATCH_MAX;
		bench_add_by_threads(list, &b);
	}
}
