/* P-256 and P-384 jobs side by side, in the lanes of ecp_ifma.c. */
#include "ecp_ifma.h"
#include "key_exchange.h"

#include <string.h>

#include <openssl/rand.h>

/* What runs cost, in us on a Zen 5, for the choice between them: one of lanes with peers' points,
 * one with the generator (both however many lanes are used), and libcrypto's for a single job. */
struct ecp_cost {
	unsigned multiply, multiply_base, generate, derive;
};

static const struct ecp_curve {
	const struct ecp_ifma *ifma;
	struct ecp_cost cost;
} ecp_curves[] = {
	{&ecp_ifma_256, {125, 36, 11, 36}},
	{&ecp_ifma_384, {500, 148, 560, 620}},
};

/* Products with peers' points first, then those with the generator. */
struct ecp_work {
	struct ecp_lane lane[2 * ECP_LANES];
	struct crypto_job *derive[ECP_LANES]; /* whose the first lanes are */
	size_t derives, generates;
	uint8_t fresh[ECP_LANES][ECP_LEN_MAX];
	uint8_t generator[2 * ECP_LEN_MAX];
};

/* Whether 0 < scalar < order; the time does not tell. */
static bool is_private_key(const struct ecp_ifma *curve, const uint8_t *scalar)
{
	unsigned any = 0, borrow = 0;

	for (size_t i = curve->len; i-- > 0;) {
		any |= scalar[i];
		borrow = (scalar[i] - curve->order[i] - borrow) >> 8 & 1;
	}
	return any != 0 && borrow == 1;
}

/* RFC 6989, section 2.3; that the point is on the curve the lanes find. */
static bool in_range(const struct ecp_ifma *curve, const uint8_t *point)
{
	return memcmp(point, curve->p, curve->len) < 0 &&
	       memcmp(point + curve->len, curve->p, curve->len) < 0;
}

/* A scalar at or past the order, or 0, comes once in 2^32 tries for P-256. */
static bool make_scalar(const struct ecp_ifma *curve, uint8_t *scalar)
{
	do {
		if (RAND_priv_bytes(scalar, (int)curve->len) != 1)
			return false;
	} while (!is_private_key(curve, scalar));
	return true;
}

static enum crypto_job_result accept_job(
	const struct ecp_ifma *curve, const struct crypto_job *job, uint8_t *fresh)
{
	if (job_has_peer(job) && !in_range(curve, job->peer_public))
		return CRYPTO_JOB_BAD_PEER_VALUE;
	if (job_makes_key(job))
		return make_scalar(curve, fresh) ? CRYPTO_JOB_OK : CRYPTO_JOB_FAILED;
	return is_private_key(curve, job_private_key(job)) ? CRYPTO_JOB_OK : CRYPTO_JOB_FAILED;
}

/* Sets each job's result, as far as it is known. */
static void fill_lanes(struct ecp_work *work, const struct ecp_ifma *curve,
	struct crypto_job *const *jobs, size_t count)
{
	struct ecp_lane generate[ECP_LANES];

	for (size_t i = 0; i < count; i++) {
		struct crypto_job *job = jobs[i];
		uint8_t *fresh = work->fresh[i];

		job->result = accept_job(curve, job, fresh);
		if (job->result != CRYPTO_JOB_OK)
			continue;
		if (job_makes_key(job))
			generate[work->generates++] = (struct ecp_lane){fresh, work->generator,
				job->public_value, job->public_value + curve->len};
		if (job_has_peer(job)) {
			work->derive[work->derives] = job;
			work->lane[work->derives++] = (struct ecp_lane){
				job_makes_key(job) ? fresh : job_private_key(job),
				job->peer_public, job->shared.data, NULL};
		}
		if (job->kind == CRYPTO_KE_GENERATE && job_makes_key(job))
			memcpy(job->private_key.data, fresh, curve->len);
	}
	memcpy(work->lane + work->derives, generate, work->generates * sizeof(generate[0]));
}

/* New key pairs take what the run with peers' points leaves of its lanes. */
static size_t mixed_lanes(size_t derives, size_t generates)
{
	size_t all = derives + generates;

	return derives == 0 ? 0 : all < ECP_LANES ? all : ECP_LANES;
}

static void run_lanes(const struct ecp_work *work, const struct ecp_ifma *curve)
{
	size_t all = work->derives + work->generates;
	size_t mixed = mixed_lanes(work->derives, work->generates);
	unsigned bad = 0;

	if (mixed > 0)
		bad = curve->multiply(work->lane, mixed);
	if (mixed < all)
		curve->multiply_base(work->lane + mixed, all - mixed);
	for (size_t i = 0; i < work->derives; i++) {
		if (bad >> i & 1)
			work->derive[i]->result = CRYPTO_JOB_BAD_PEER_VALUE;
	}
}

static bool worth_it(const struct ecp_cost *cost, struct crypto_job *const *jobs, size_t count)
{
	size_t derives = 0, generates = 0;
	unsigned lanes = 0;

	for (size_t i = 0; i < count; i++) {
		derives += job_has_peer(jobs[i]);
		generates += job_makes_key(jobs[i]);
	}
	if (derives > 0)
		lanes += cost->multiply;
	if (mixed_lanes(derives, generates) < derives + generates)
		lanes += cost->multiply_base;
	return lanes < derives * cost->derive + generates * cost->generate;
}

size_t ecp_run_lanes(const struct key_exchange *ke, struct crypto_job *const *jobs, size_t count)
{
	const struct ecp_curve *curve;
	struct ecp_work work;

	if (ke->index >= sizeof(ecp_curves) / sizeof(ecp_curves[0]) || !cpu_has_lanes())
		return 0;
	curve = &ecp_curves[ke->index];
	if (count > ECP_LANES)
		count = ECP_LANES;
	if (!worth_it(&curve->cost, jobs, count))
		return 0;
	memset(&work, 0, sizeof(work));
	memcpy(work.generator, curve->ifma->generator, 2 * curve->ifma->len);
	fill_lanes(&work, curve->ifma, jobs, count);
	run_lanes(&work, curve->ifma);
	secret_wipe(&work, sizeof(work));
	return count;
}
