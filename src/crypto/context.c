#include "context.h"

#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

/* Both managers need AES-NI; no manager of the library runs without. */
static bool cpu_suffices(uint64_t features)
{
	return (features & IMB_CPUFLAGS_SSE) == IMB_CPUFLAGS_SSE;
}

static IMB_MGR *manager_new(void (*init)(IMB_MGR *), uint64_t flags)
{
	IMB_MGR *manager = alloc_mb_mgr(flags);

	if (!manager)
		return NULL;
	init(manager);
	/* The own field: imb_get_errno() also looks at a variable that all threads share. */
	if (manager->imb_errno != 0) {
		free_mb_mgr(manager);
		return NULL;
	}
	return manager;
}

static void init_widest(IMB_MGR *manager)
{
	init_mb_mgr_auto(manager, NULL);
}

static EVP_CIPHER_CTX *des3_new(void)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "DES-EDE3-CBC", NULL);
	EVP_CIPHER_CTX *des3 = EVP_CIPHER_CTX_new();
	bool ok = cipher && des3 && EVP_EncryptInit_ex2(des3, cipher, NULL, NULL, NULL) == 1;

	EVP_CIPHER_free(cipher);
	if (ok)
		return des3;
	EVP_CIPHER_CTX_free(des3);
	return NULL;
}

static EVP_MD_CTX *md5_new(void)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "MD5", NULL);
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	bool ok = md && md5 && EVP_DigestInit_ex2(md5, md, NULL) == 1;

	EVP_MD_free(md);
	if (ok)
		return md5;
	EVP_MD_CTX_free(md5);
	return NULL;
}

struct crypto_context *context_new_with(void (*init_wide)(IMB_MGR *), uint64_t flags)
{
	struct crypto_context *context;
	size_t alignment = _Alignof(struct crypto_context);
	size_t size = (sizeof(*context) + alignment - 1) / alignment * alignment;

	if (!cpu_suffices(imb_get_feature_flags()))
		return NULL;
	context = aligned_alloc(alignment, size);
	if (!context)
		return NULL;
	memset(context, 0, size);
	context->wide = manager_new(init_wide, flags);
	context->lone = manager_new(init_mb_mgr_sse, flags);
	if (!context->wide || !context->lone) {
		crypto_context_free(context);
		return NULL;
	}
	context->sha_ni = (context->lone->features & IMB_FEATURE_SHANI) != 0;
	context->md5 = md5_new();
	context->des3 = des3_new();
	return context;
}

struct crypto_context *crypto_context_new(void)
{
	return context_new_with(init_widest, 0);
}

void crypto_context_free(struct crypto_context *context)
{
	if (!context)
		return;
	if (context->wide)
		free_mb_mgr(context->wide);
	if (context->lone)
		free_mb_mgr(context->lone);
	EVP_MD_CTX_free(context->md5);
	EVP_CIPHER_CTX_free(context->des3);
	secret_wipe(context, sizeof(*context));
	free(context);
}

IMB_JOB *job_next(IMB_MGR *manager, const uint8_t *in, uint8_t *out)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(manager);

	memset(job, 0, sizeof(*job));
	job->src = in;
	job->dst = out;
	job->cipher_mode = IMB_CIPHER_NULL;
	job->hash_alg = IMB_AUTH_NULL;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	return job;
}

bool job_run(IMB_MGR *manager)
{
	/* A lone job stays in its lane until it is flushed; a refused one comes back at once. */
	IMB_JOB *job = IMB_SUBMIT_JOB(manager);

	if (!job)
		job = IMB_FLUSH_JOB(manager);
	return job && job->status == IMB_STATUS_COMPLETED;
}

bool parts_len(const struct bytes *parts, size_t part_count, size_t *len)
{
	size_t total = 0;

	if (part_count > SYMMETRIC_PARTS_MAX)
		return false;
	for (size_t i = 0; i < part_count; i++) {
		if (parts[i].len > SYMMETRIC_INPUT_MAX - total)
			return false;
		total += parts[i].len;
	}
	*len = total;
	return true;
}

bool context_gather(struct crypto_context *context, const struct bytes *parts, size_t part_count,
	struct bytes *gathered)
{
	uint8_t *start = context->scratch + SCRATCH_HEADROOM;
	size_t len, at = 0;

	if (!parts_len(parts, part_count, &len))
		return false;
	for (size_t i = 0; i < part_count; i++) {
		if (parts[i].len == 0)
			continue;
		memcpy(start + at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	/* One byte more for prf+'s counter. */
	if (context->scratch_used < SCRATCH_HEADROOM + len + 1)
		context->scratch_used = SCRATCH_HEADROOM + len + 1;
	*gathered = bytes_of(start, len);
	return true;
}

void context_wipe_scratch(struct crypto_context *context)
{
	secret_wipe(context->scratch, context->scratch_used);
	context->scratch_used = 0;
}
