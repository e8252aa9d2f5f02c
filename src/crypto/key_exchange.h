/* The key exchange methods behind crypto/job.h. Private to this room.
 *
 * Each family of groups (MODP, ECP, Curve25519) brings one `ke_method`: small steps over the
 * calling thread's scratch, which holds our own key pair and the peer's value between the
 * steps. job.c puts the steps together for each kind of job. */
#ifndef CRYPTO_KEY_EXCHANGE_H
#define CRYPTO_KEY_EXCHANGE_H

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto/job.h"

/* The longest private key of any method: Curve25519's pair takes 64 bytes, P-521's scalar 66. */
#define KE_PRIVATE_LEN_MAX 72

enum { ECP_CURVES = 3 };
/* Operations side by side in a run of lanes. */
enum { KEY_EXCHANGE_LANES = 8 };

/* What one thread reuses from job to job: libcrypto's objects cost more to make than some of the
 * operations on them. Between jobs it holds no secret. */
struct ke_scratch {
	BN_CTX *bn;
	BIGNUM *private_key, *peer, *result, *spare;
	EC_POINT *peer_point[ECP_CURVES], *result_point[ECP_CURVES];
	EVP_PKEY_CTX *x25519_keygen, *x25519_import;
	EVP_PKEY *x25519_own, *x25519_peer;
};

struct key_exchange;

struct ke_method {
	/* Checks the peer's value as RFC 6989 asks; `peer` has the right length. */
	enum crypto_job_result (*accept_peer)(
		const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *peer);
	/* A fresh key pair; `public_value` takes ke->public_len bytes. */
	bool (*generate)(
		const struct key_exchange *ke, struct ke_scratch *s, uint8_t *public_value);
	/* The key pair out of and into ke->private_len bytes. */
	bool (*export_private)(
		const struct key_exchange *ke, struct ke_scratch *s, uint8_t *private_key);
	bool (*import_private)(
		const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *private_key);
	/* Own key and accepted peer into ke->shared_len bytes. */
	enum crypto_job_result (*agree)(
		const struct key_exchange *ke, struct ke_scratch *s, uint8_t *shared);
	/* Wipes what the steps left in the scratch. */
	void (*forget)(const struct key_exchange *ke, struct ke_scratch *s);
	/* Optional: runs the first of `count` jobs of this group, of any kinds, side by side, and
	 * returns how many it ran; their results are set, and each has all that it needs. 0 when
	 * the steps are the better way: on a CPU without lanes, or for so few jobs. */
	size_t (*run_lanes)(
		const struct key_exchange *ke, struct crypto_job *const *jobs, size_t count);
};

struct key_exchange {
	uint16_t id; /* KE_... */
	const struct ke_method *method;
	unsigned index; /* of the group within its family */
	uint16_t public_len, shared_len, private_len;
};

/* Whether the CPU and the system have AVX-512 IFMA; the run_lanes below return 0 where not. */
bool cpu_has_lanes(void);
size_t x25519_run_lanes(
	const struct key_exchange *ke, struct crypto_job *const *jobs, size_t count);
size_t ecp_run_lanes(const struct key_exchange *ke, struct crypto_job *const *jobs, size_t count);

extern const struct ke_method modp_method, ecp_method, x25519_method;

/* The i-th of all methods, NULL past the end. */
const struct key_exchange *key_exchange_at(size_t i);
/* How many key pairs of a group are made side by side here: KEY_EXCHANGE_LANES or 1. */
unsigned key_exchange_lanes(const struct key_exchange *ke);
/* NULL when there is no such method. */
const struct key_exchange *key_exchange_by_id(uint16_t id);
/* The calling thread's scratch, made at the first call and released with the thread; NULL when
 * memory is out. */
struct ke_scratch *ke_scratch_get(void);

static inline bool job_has_peer(const struct crypto_job *job)
{
	return job->kind != CRYPTO_KE_GENERATE;
}

static inline bool job_has_public(const struct crypto_job *job)
{
	return job->kind != CRYPTO_KE_DERIVE;
}

/* Not so when it has got one from a stock. */
static inline bool job_makes_key(const struct crypto_job *job)
{
	return job_has_public(job) && !job->key_ready;
}

/* Of a job that makes none. */
static inline const uint8_t *job_private_key(const struct crypto_job *job)
{
	return job->kind == CRYPTO_KE_BOTH ? job->own_key : job->private_key.data;
}

/* Whether the job has all that its kind needs. */
bool crypto_job_is_sound(const struct crypto_job *job);

/* By the method's steps, whatever lanes there are: by libcrypto. */
void crypto_job_run_steps(struct crypto_job *job);

/* Steps of a batch for the pool (job.c): moves the jobs that are like jobs[0] (of its group, and as
 * fit to be run) to the front, in their order, and returns how many they are ... */
size_t crypto_jobs_gather(struct crypto_job **jobs, size_t count);
/* ... and runs from the front of such like jobs; returns how many were run. */
size_t crypto_jobs_run_front(struct crypto_job **jobs, size_t count);

struct key_stock;
/* Between the two: key pairs from the stock for those of the like jobs that the next run can take. */
void key_stock_supply(
	struct key_stock *stock, struct crypto_job *const *jobs, size_t count, uint64_t now_ms);

#endif
