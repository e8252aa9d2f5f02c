#include "key_exchange.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

static bool has_peer(const struct crypto_job *job)
{
	return job->kind != CRYPTO_KE_GENERATE;
}

static bool has_public(const struct crypto_job *job)
{
	return job->kind != CRYPTO_KE_DERIVE;
}

/* The job and its public parts are one piece of memory; only the secrets are pieces of their own,
 * so that the asker can take them. */
struct crypto_job *crypto_job_new(
	enum crypto_job_kind kind, const struct algorithm *group, struct bytes peer_public)
{
	const struct key_exchange *ke;
	struct crypto_job *job;
	size_t public_len = 0, peer_len = 0;

	if (!group || group->type != TRANSFORM_KE || (unsigned)kind > CRYPTO_KE_BOTH)
		return NULL;
	ke = key_exchange_by_id(group->id);
	if (!ke)
		return NULL;
	if (kind != CRYPTO_KE_DERIVE)
		public_len = ke->public_len;
	/* A value of a wrong length is not worth its memory: the job will refuse it. */
	if (kind != CRYPTO_KE_GENERATE && peer_public.len == ke->public_len)
		peer_len = ke->public_len;
	job = calloc(1, sizeof(*job) + public_len + peer_len);
	if (!job)
		return NULL;
	job->kind = kind;
	job->group = group;
	job->result = CRYPTO_JOB_FAILED;
	if (public_len) {
		job->public_value = (uint8_t *)(job + 1);
		job->public_len = (uint16_t)public_len;
	}
	if (peer_len) {
		job->peer_public = (uint8_t *)(job + 1) + public_len;
		job->peer_public_len = (uint16_t)peer_len;
		memcpy(job->peer_public, peer_public.data, peer_len);
	}
	if ((kind == CRYPTO_KE_GENERATE && !secret_new(&job->private_key, ke->private_len)) ||
		(kind != CRYPTO_KE_GENERATE && !secret_new(&job->shared, ke->shared_len))) {
		crypto_job_free(job);
		return NULL;
	}
	return job;
}

void crypto_job_free(struct crypto_job *job)
{
	if (!job)
		return;
	secret_release(&job->private_key);
	secret_release(&job->shared);
	free(job);
}

/* What the job has to bring, checked once for all methods. */
static enum crypto_job_result check_job(const struct crypto_job *job, const struct key_exchange *ke)
{
	if (!ke)
		return CRYPTO_JOB_FAILED;
	if (has_peer(job) && (!job->peer_public || job->peer_public_len != ke->public_len))
		return CRYPTO_JOB_BAD_PEER_VALUE;
	if (has_peer(job) && job->shared.len != ke->shared_len)
		return CRYPTO_JOB_FAILED;
	if (has_public(job) && (!job->public_value || job->public_len != ke->public_len))
		return CRYPTO_JOB_FAILED;
	if (job->kind != CRYPTO_KE_BOTH && job->private_key.len != ke->private_len)
		return CRYPTO_JOB_FAILED;
	return CRYPTO_JOB_OK;
}

/* The peer's value is looked at first: a bad one shall not cost us a key pair. */
static enum crypto_job_result run_steps(
	const struct crypto_job *job, const struct key_exchange *ke, struct ke_scratch *s)
{
	const struct ke_method *method = ke->method;
	enum crypto_job_result result;

	if (has_peer(job)) {
		result = method->accept_peer(ke, s, job->peer_public);
		if (result != CRYPTO_JOB_OK)
			return result;
	}
	if (has_public(job)) {
		if (!method->generate(ke, s, job->public_value))
			return CRYPTO_JOB_FAILED;
	} else if (!method->import_private(ke, s, job->private_key.data)) {
		return CRYPTO_JOB_FAILED;
	}
	if (job->kind == CRYPTO_KE_GENERATE)
		return method->export_private(ke, s, job->private_key.data) ? CRYPTO_JOB_OK
									    : CRYPTO_JOB_FAILED;
	return method->agree(ke, s, job->shared.data);
}

/* Whoever overlooks the result shall not find half a secret. */
static void wipe_output(struct crypto_job *job)
{
	if (job->shared.data)
		secret_wipe(job->shared.data, job->shared.len);
	if (has_public(job) && job->private_key.data)
		secret_wipe(job->private_key.data, job->private_key.len);
	if (job->public_value)
		memset(job->public_value, 0, job->public_len);
}

void crypto_job_run(struct crypto_job *job)
{
	const struct key_exchange *ke = key_exchange_by_id(job->group->id);
	struct ke_scratch *s = ke_scratch_get();

	job->result = s ? check_job(job, ke) : CRYPTO_JOB_FAILED;
	if (job->result == CRYPTO_JOB_OK) {
		job->result = run_steps(job, ke, s);
		ke->method->forget(ke, s);
	}
	if (job->result != CRYPTO_JOB_OK) {
		wipe_output(job);
		/* the queue of errors is this thread's, and nobody else reads it */
		ERR_clear_error();
	}
}

static bool jobs_like(const struct crypto_job *a, const struct crypto_job *b)
{
	return a->kind == b->kind && a->group->id == b->group->id;
}

size_t crypto_jobs_gather(struct crypto_job **jobs, size_t count)
{
	size_t like = 0;

	for (size_t i = 0; i < count; i++) {
		struct crypto_job *job = jobs[i];

		if (!jobs_like(jobs[0], job))
			continue;
		memmove(jobs + like + 1, jobs + like, (i - like) * sizeof(*jobs));
		jobs[like++] = job;
	}
	return like;
}

size_t crypto_jobs_run_front(struct crypto_job **jobs, size_t count)
{
	const struct key_exchange *ke = key_exchange_by_id(jobs[0]->group->id);

	if (ke && ke->method->run_lanes && count > 1) {
		struct ke_scratch *s = ke_scratch_get();

		if (s)
			return ke->method->run_lanes(ke, s, jobs, count);
	}
	crypto_job_run(jobs[0]);
	return 1;
}

void crypto_job_run_batch(struct crypto_job **jobs, size_t count)
{
	for (size_t done = 0; done < count;) {
		size_t like_end = done + crypto_jobs_gather(jobs + done, count - done);

		while (done < like_end)
			done += crypto_jobs_run_front(jobs + done, like_end - done);
	}
}
