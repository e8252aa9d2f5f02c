#include "hash.h"

size_t hash_block_len(enum hash hash)
{
	return hash >= HASH_SHA2_384 ? IMB_SHA_512_BLOCK_SIZE : IMB_SHA_256_BLOCK_SIZE;
}

size_t hash_output_len(enum hash hash)
{
	static const uint8_t lens[] = {16, 20, 32, 48, 64};

	return lens[hash];
}

static bool run_md5(EVP_MD_CTX *md5, struct bytes data, uint8_t *out)
{
	return md5 && EVP_DigestInit_ex2(md5, NULL, NULL) == 1 &&
	       EVP_DigestUpdate(md5, data.data, data.len) == 1 &&
	       EVP_DigestFinal_ex(md5, out, NULL) == 1;
}

/* The library uses SHA-NI in jobs only: two to three times as fast as its direct functions,
 * which in turn are ahead of a lone job where there are no such instructions. Jobs have a
 * limit: the library counts their lengths in 16 bits. */
#define HASH_JOB_MAX 65534

static bool run_sha_ni(struct crypto_context *context, IMB_HASH_ALG alg, size_t len,
	struct bytes data, uint8_t *out)
{
	IMB_JOB *job = job_next(context->lone, data.data, out);

	job->hash_alg = alg;
	job->msg_len_to_hash_in_bytes = data.len;
	job->auth_tag_output = out;
	job->auth_tag_output_len_in_bytes = len;
	return job_run(context->lone);
}

bool hash_run(struct crypto_context *context, enum hash hash, struct bytes data, uint8_t *out)
{
	bool as_job = context->sha_ni && data.len <= HASH_JOB_MAX;

	/* The direct functions refuse only null pointers. */
	if (data.len == 0)
		data.data = context->scratch;
	switch (hash) {
	case HASH_MD5:
		return run_md5(context->md5, data, out);
	case HASH_SHA1:
		if (as_job)
			return run_sha_ni(context, IMB_AUTH_SHA_1, 20, data, out);
		IMB_SHA1(context->lone, data.data, data.len, out);
		return true;
	case HASH_SHA2_256:
		if (as_job)
			return run_sha_ni(context, IMB_AUTH_SHA_256, 32, data, out);
		IMB_SHA256(context->lone, data.data, data.len, out);
		return true;
	case HASH_SHA2_384:
		IMB_SHA384(context->lone, data.data, data.len, out);
		return true;
	case HASH_SHA2_512:
		IMB_SHA512(context->lone, data.data, data.len, out);
		return true;
	}
	return false;
}

static bool hash_parts(struct crypto_context *context, enum hash hash, const struct bytes *parts,
	size_t part_count, uint8_t *out)
{
	struct bytes data;
	bool ok = context_gather(context, parts, part_count, &data) &&
		  hash_run(context, hash, data, out);

	context_wipe_scratch(context);
	return ok;
}

bool hash_sha1(struct crypto_context *context, const struct bytes *parts, size_t part_count,
	uint8_t out[20])
{
	return hash_parts(context, HASH_SHA1, parts, part_count, out);
}

bool hash_sha2_256(struct crypto_context *context, const struct bytes *parts, size_t part_count,
	uint8_t out[32])
{
	return hash_parts(context, HASH_SHA2_256, parts, part_count, out);
}
