/* intel-ipsec-mb's own interface, one job at a time and sixteen in its lanes, with keys that are
 * already expanded: what batching of messages could save. */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

enum { BATCH_MAX = 16, MESSAGE = 304, AAD = 32 };

struct mb_kind {
	const char *what, *name;
	bool cipher, gcm;
};

struct mb_state {
	const struct mb_kind *kind;
	IMB_MGR *manager;
	unsigned batch;
	uint32_t encrypt[4 * 15] __attribute__((aligned(16)));
	uint32_t decrypt[4 * 15] __attribute__((aligned(16)));
	struct gcm_key_data gcm __attribute__((aligned(64)));
	uint8_t inner[64], outer[64], iv[16], aad[AAD];
	uint8_t data[BATCH_MAX][MESSAGE], tag[BATCH_MAX][16];
};

static void drop(void *arg)
{
	struct mb_state *s = arg;

	if (s->manager)
		free_mb_mgr(s->manager);
	free(s);
}

static void *make(const struct bench *bench)
{
	struct mb_state *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);
	uint8_t key[64];

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
	memset(key, 7, sizeof(key));
	IMB_AES_KEYEXP_128(s->manager, key, s->encrypt, s->decrypt);
	IMB_AES128_GCM_PRE(s->manager, key, &s->gcm);
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] ^= 0x36;
	IMB_SHA256_ONE_BLOCK(s->manager, key, s->inner);
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] ^= 0x36 ^ 0x5c;
	IMB_SHA256_ONE_BLOCK(s->manager, key, s->outer);
	return s;
}

static void fill_job(struct mb_state *s, IMB_JOB *job, unsigned i)
{
	memset(job, 0, sizeof(*job));
	job->src = s->data[i];
	job->dst = s->data[i];
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->cipher_mode = IMB_CIPHER_NULL;
	job->hash_alg = IMB_AUTH_NULL;
	job->key_len_in_bytes = 16;
	job->enc_keys = s->encrypt;
	job->dec_keys = s->decrypt;
	job->iv = s->iv;
	job->iv_len_in_bytes = 16;
	job->msg_len_to_cipher_in_bytes = MESSAGE;
	job->msg_len_to_hash_in_bytes = MESSAGE;
	job->auth_tag_output = s->tag[i];
	job->auth_tag_output_len_in_bytes = 16;
	if (s->kind->gcm) {
		job->cipher_mode = IMB_CIPHER_GCM;
		job->hash_alg = IMB_AUTH_AES_GMAC;
		job->enc_keys = job->dec_keys = &s->gcm;
		job->iv_len_in_bytes = 12;
		job->u.GCM.aad = s->aad;
		job->u.GCM.aad_len_in_bytes = AAD;
	} else if (s->kind->cipher) {
		job->cipher_mode = IMB_CIPHER_CBC;
	} else {
		job->hash_alg = IMB_AUTH_HMAC_SHA_256;
		job->u.HMAC._hashed_auth_key_xor_ipad = s->inner;
		job->u.HMAC._hashed_auth_key_xor_opad = s->outer;
	}
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

void bench_add_ipsec_mb(struct bench_list *list)
{
	static const struct mb_kind kinds[] = {
		{"integrity", "HMAC-SHA2-256-128 304 B", false, false},
		{"cipher", "AES-CBC-128 304 B", true, false},
		{"AEAD", "AES-GCM-128 304 B", true, true},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct bench b = {.what = kinds[i].what,
			.name = kinds[i].name,
			.provider = "intel-ipsec-mb",
			.batch = 1,
			.threads = 1,
			.argument = &kinds[i],
			.make = make,
			.round = round_of,
			.drop = drop};

		bench_add(list, &b);
		b.batch = BATCH_MAX;
		bench_add(list, &b);
	}
}
