/* Curve25519 jobs side by side, in the lanes of x25519_ifma.c. */
#include "key_exchange.h"
#include "x25519_ifma.h"

#include <string.h>

#include <openssl/rand.h>

/* What waits for the lanes: products with peers' points first, then those with the base point. */
struct lane_work {
	struct x25519_lane lane[2 * X25519_LANES];
	size_t derives, generates;
	uint8_t fresh[X25519_LANES][X25519_LEN]; /* the scalars of new key pairs */
};

static const uint8_t base_point[X25519_LEN] = {9};

/* So that a key is stored as libcrypto would. */
static void clamp(uint8_t scalar[X25519_LEN])
{
	scalar[0] &= 248;
	scalar[31] = (scalar[31] & 127) | 64;
}

/* Fresh scalars, one a job that makes a key pair. */
static bool make_scalars(struct lane_work *work, struct crypto_job *const *jobs, size_t count)
{
	size_t wanted = 0;

	for (size_t i = 0; i < count; i++)
		wanted += job_makes_key(jobs[i]);
	if (wanted > 0 && RAND_priv_bytes(work->fresh[0], (int)(wanted * X25519_LEN)) != 1)
		return false;
	for (size_t i = 0; i < wanted; i++)
		clamp(work->fresh[i]);
	return true;
}

static void fill_lanes(struct lane_work *work, struct crypto_job *const *jobs, size_t count)
{
	struct x25519_lane *next = work->lane;
	size_t fresh = 0;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *scalar =
			job_makes_key(jobs[i]) ? work->fresh[fresh++] : job_private_key(jobs[i]);

		if (job_has_peer(jobs[i]))
			*next++ = (struct x25519_lane){
				scalar, jobs[i]->peer_public, jobs[i]->shared.data};
	}
	work->derives = (size_t)(next - work->lane);
	for (size_t i = 0; i < count; i++) {
		if (job_makes_key(jobs[i]))
			*next++ = (struct x25519_lane){
				work->fresh[work->generates++], base_point, jobs[i]->public_value};
	}
}

static enum crypto_job_result result_of(const struct crypto_job *job)
{
	uint8_t any = 0;

	if (!job_has_peer(job))
		return CRYPTO_JOB_OK;
	/* RFC 7748, section 6.1 */
	for (size_t i = 0; i < X25519_LEN; i++)
		any |= job->shared.data[i];
	return any ? CRYPTO_JOB_OK : CRYPTO_JOB_BAD_PEER_VALUE;
}

static void give_keys(const struct lane_work *work, struct crypto_job *const *jobs, size_t count)
{
	size_t fresh = 0;

	for (size_t i = 0; i < count; i++) {
		struct crypto_job *job = jobs[i];

		job->result = result_of(job);
		if (job->kind == CRYPTO_KE_GENERATE && job_makes_key(job)) {
			memcpy(job->private_key.data, work->fresh[fresh], X25519_LEN);
			memcpy(job->private_key.data + X25519_LEN, job->public_value, X25519_LEN);
		}
		fresh += job_makes_key(job);
	}
}

/* A run with peers' points costs three times one with the base point, however many lanes are used:
 * new key pairs take what is left of its lanes, and a run of their own only when there are more. */
static void run_lanes(const struct lane_work *work)
{
	size_t all = work->derives + work->generates, mixed = 0;

	if (work->derives > 0) {
		mixed = all < X25519_LANES ? all : X25519_LANES;
		x25519_ifma_multiply(work->lane, mixed);
	}
	if (mixed < all)
		x25519_ifma_multiply_base(work->lane + mixed, all - mixed);
}

/* A run with one peer's point costs as much as libcrypto's derivation (30 and 32 us on a Zen 5, and
 * where 512-bit units are narrower it will lose); all else is faster in lanes even when it comes
 * alone (a new key pair 11 and 27 us). */
static bool worth_it(struct crypto_job *const *jobs, size_t count)
{
	size_t derives = 0, generates = 0;

	for (size_t i = 0; i < count; i++) {
		derives += job_has_peer(jobs[i]);
		generates += job_makes_key(jobs[i]);
	}
	return derives > 1 || generates > 0;
}

size_t x25519_run_lanes(const struct key_exchange *ke, struct crypto_job *const *jobs, size_t count)
{
	struct lane_work work;

	(void)ke;
	if (!cpu_has_lanes() || !worth_it(jobs, count))
		return 0;
	if (count > X25519_LANES)
		count = X25519_LANES;
	memset(&work, 0, sizeof(work));
	if (make_scalars(&work, jobs, count)) {
		fill_lanes(&work, jobs, count);
		run_lanes(&work);
		give_keys(&work, jobs, count);
	} else {
		count = 0; /* the steps will say what is wrong */
	}
	secret_wipe(&work, sizeof(work));
	return count;
}
