#include "authentication_private.h"
#include "key_exchange.h"

#include "crypto/key_stock.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

static bool is_authentication(const struct crypto_job *job)
{
	return job->kind >= CRYPTO_SIGN;
}

/* The job is one piece of memory, but for the private key of a pair: that the asker takes. */
struct crypto_job *crypto_job_new(
	enum crypto_job_kind kind, const struct algorithm *group, struct bytes peer_public)
{
	const struct key_exchange *ke;
	struct crypto_job *job;
	size_t public_len = 0, peer_len = 0, own_len = 0, shared_len = 0;

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
	if (kind == CRYPTO_KE_BOTH)
		own_len = ke->private_len;
	if (kind != CRYPTO_KE_GENERATE)
		shared_len = ke->shared_len;
	job = calloc(1, sizeof(*job) + public_len + peer_len + own_len + shared_len);
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
	if (own_len)
		job->own_key = (uint8_t *)(job + 1) + public_len + peer_len;
	if (shared_len) {
		job->shared.data = (uint8_t *)(job + 1) + public_len + peer_len + own_len;
		job->shared.len = shared_len;
	}
	if (kind == CRYPTO_KE_GENERATE && !secret_new(&job->private_key, ke->private_len)) {
		crypto_job_free(job);
		return NULL;
	}
	return job;
}

/* A key pair made ahead is for one run. */
static void forget_ready_key(struct crypto_job *job)
{
	if (job->key_ready && job->own_key)
		secret_wipe(job->own_key, key_exchange_by_id(job->group->id)->private_len);
	job->key_ready = false;
}

void crypto_job_free(struct crypto_job *job)
{
	if (!job)
		return;
	forget_ready_key(job);
	secret_release(&job->private_key);
	if (job->shared.data)
		secret_wipe(job->shared.data, job->shared.len);
	if (is_authentication(job))
		authentication_job_release(job);
	free(job);
}

/* What the job has to bring, checked once for all methods. */
static enum crypto_job_result check_job(const struct crypto_job *job, const struct key_exchange *ke)
{
	if (!ke)
		return CRYPTO_JOB_FAILED;
	if (job_has_peer(job) && (!job->peer_public || job->peer_public_len != ke->public_len))
		return CRYPTO_JOB_BAD_PEER_VALUE;
	if (job_has_peer(job) && job->shared.len != ke->shared_len)
		return CRYPTO_JOB_FAILED;
	if (job_has_public(job) && (!job->public_value || job->public_len != ke->public_len))
		return CRYPTO_JOB_FAILED;
	if (job->kind != CRYPTO_KE_BOTH && job->private_key.len != ke->private_len)
		return CRYPTO_JOB_FAILED;
	return CRYPTO_JOB_OK;
}

bool crypto_job_is_sound(const struct crypto_job *job)
{
	return check_job(job, key_exchange_by_id(job->group->id)) == CRYPTO_JOB_OK;
}

/* The peer's value is looked at first: a bad one shall not cost us a key pair. */
static enum crypto_job_result run_steps(
	const struct crypto_job *job, const struct key_exchange *ke, struct ke_scratch *s)
{
	const struct ke_method *method = ke->method;
	enum crypto_job_result result;

	if (job_has_peer(job)) {
		result = method->accept_peer(ke, s, job->peer_public);
		if (result != CRYPTO_JOB_OK)
			return result;
	}
	if (job_makes_key(job)) {
		if (!method->generate(ke, s, job->public_value))
			return CRYPTO_JOB_FAILED;
	} else if (!method->import_private(ke, s, job_private_key(job))) {
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
	if (job_has_public(job) && job->private_key.data)
		secret_wipe(job->private_key.data, job->private_key.len);
	if (job->public_value)
		memset(job->public_value, 0, job->public_len);
}

void crypto_job_run_steps(struct crypto_job *job)
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

/* A job that lacks something is run alone, to its failure; between the others it would only part
 * them. */
static bool jobs_like(const struct crypto_job *a, const struct crypto_job *b)
{
	const struct key_exchange *ke;

	if (is_authentication(a) || is_authentication(b))
		return a == b; /* nothing is gained by their company */
	ke = key_exchange_by_id(a->group->id);
	return a->group->id == b->group->id &&
	       (check_job(a, ke) == CRYPTO_JOB_OK) == (check_job(b, ke) == CRYPTO_JOB_OK);
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
	const struct key_exchange *ke;
	size_t ran = 0;

	if (is_authentication(jobs[0])) {
		authentication_job_run(jobs[0]);
		return 1;
	}
	if (jobs[0]->kind == CRYPTO_KE_GENERATE && jobs[0]->key_ready) {
		jobs[0]->result = CRYPTO_JOB_OK;
		forget_ready_key(jobs[0]);
		return 1;
	}
	ke = key_exchange_by_id(jobs[0]->group->id);
	if (ke && ke->method->run_lanes && check_job(jobs[0], ke) == CRYPTO_JOB_OK)
		ran = ke->method->run_lanes(ke, jobs, count);
	if (ran == 0) {
		crypto_job_run_steps(jobs[0]);
		forget_ready_key(jobs[0]);
		return 1;
	}
	for (size_t i = 0; i < ran; i++) {
		if (jobs[i]->result != CRYPTO_JOB_OK)
			wipe_output(jobs[i]);
		forget_ready_key(jobs[i]);
	}
	return ran;
}

void crypto_job_run(struct crypto_job *job)
{
	crypto_jobs_run_front(&job, 1);
}

void crypto_job_run_batch(struct crypto_job **jobs, size_t count)
{
	key_stock_run_batch(NULL, jobs, count, 0);
}
