/* Public-key work as jobs: a shard submits, a pinned worker runs it (in batches), the answer comes
 * into the shard's mailbox. With zero workers a job runs at once on the
 * submitter's thread and the answer comes into the mailbox all the same.
 *
 * A job owns all that it touches: the asker may be deleted while it is in flight (it then
 * clears `owner`, which only the asker's thread reads or writes). The pool frees no job while
 * it runs, so that this pointer stays good until the answer comes or the pool is stopped. */
#ifndef CRYPTO_JOB_H
#define CRYPTO_JOB_H

#include "base/mailbox.h"
#include "base/secret.h"
#include "crypto/algorithm.h"

enum crypto_job_kind {
	CRYPTO_KE_GENERATE, /* an ephemeral key pair for `group` */
	CRYPTO_KE_DERIVE,   /* from `private_key` and `peer_public` to `shared` */
	CRYPTO_KE_BOTH,     /* generate and derive in one go: a responder's whole work */
	/* struct authentication_job: crypto/authentication.h */
	CRYPTO_SIGN,
	CRYPTO_VERIFY,
	CRYPTO_VALIDATE, /* may block */
};

enum crypto_job_result {
	CRYPTO_JOB_OK,
	CRYPTO_JOB_BAD_PEER_VALUE, /* RFC 6989: out of range, off the curve, of small order;
				      all-zero secret (RFC 7748) */
	CRYPTO_JOB_FAILED,         /* library or memory */
	CRYPTO_JOB_REFUSED,        /* the peer's certificate or signature, with a reason */
	CRYPTO_JOB_UNKNOWN_CHAIN,  /* the peer's certificate must be validated first */
};

#define KE_PUBLIC_MAX 1024
/* Of a private key in the provider's own form; opaque to the asker. */
#define KE_PRIVATE_MAX 1024

struct crypto_job {
	struct mail mail; /* kind: set by the submitter's host */
	enum crypto_job_kind kind;
	enum crypto_job_result result;
	const struct algorithm *group; /* NULL where there is no key exchange */
	void *owner;               /* asker's thread only */
	uint64_t tag;              /* asker's */
	uint64_t submitted_ns;     /* set by the pool; CLOCK_MONOTONIC */
	uint64_t finished_ns;      /* set by the pool */
	struct mailbox *reply;     /* set by the submitter's host */
	struct secret private_key; /* out of GENERATE, into DERIVE */
	/* group->shared_len bytes, left-padded (RFC 7296, section 2.14). Part of the job: never
	 * released, wiped with it. */
	struct secret shared;
	uint16_t peer_public_len;
	uint8_t *peer_public; /* freed with the job */
	uint16_t public_len;
	uint8_t *public_value;   /* group->public_len bytes; freed with the job */
	struct crypto_job *next; /* whoever holds the job */
	/* A key pair made ahead, between a stock (crypto/key_stock.h) and the run: the public value
	 * is in `public_value`, the private key of BOTH in `own_key` (room freed with the job, empty
	 * but for this time), of GENERATE in `private_key`. */
	uint8_t *own_key;
	bool key_ready, key_asked;
};

/* A zeroed job with room for what `kind` needs; NULL when memory is out, or `group` is not a key
 * exchange method that this room knows. `peer_public` is copied (and ignored for GENERATE); one of
 * a wrong length makes a job that ends as BAD_PEER_VALUE. For DERIVE the caller puts the
 * `private_key` in. */
struct crypto_job *crypto_job_new(
	enum crypto_job_kind kind, const struct algorithm *group, struct bytes peer_public);
/* Wipes and frees. */
void crypto_job_free(struct crypto_job *job);
/* Runs the job on this thread, whatever it is. */
void crypto_job_run(struct crypto_job *job);
/* Runs many on this thread, those of one group together; reorders `jobs`. */
void crypto_job_run_batch(struct crypto_job **jobs, size_t count);

struct crypto_pool;

struct crypto_pool_config {
	unsigned workers;      /* 0: inline */
	const unsigned *cpus;  /* one per worker, or NULL: not pinned */
	size_t queue_capacity; /* of each worker: jobs from submission to delivery */
	/* Key pairs that each worker makes ahead when nothing waits, at most so many a group
	 * (crypto/key_stock.h); 0: none. */
	unsigned keys_ahead;
};

struct crypto_pool_stats {
	unsigned workers;
	uint64_t submitted, done, refused; /* jobs */
	uint64_t depth;                    /* waiting now */
	uint64_t wait_ns, run_ns; /* sums over done jobs; jobs of one batch share its run time */
	uint64_t batches;         /* takes from a queue; done / batches = average of what waited */
	/* Answers whose mailbox was full for too long: wiped, and they come late, as
	 * CRYPTO_JOB_FAILED, or are freed at the stop. */
	uint64_t undelivered;
};

/* NULL when it cannot be had; `error` then says why. */
struct crypto_pool *crypto_pool_start(
	const struct crypto_pool_config *config, char *error, size_t error_size);
/* Waits for running jobs; queued ones are freed unrun. Nobody may submit any more, nor touch
 * a job in flight. The reply mailboxes are freed after this, even when all answers have come: a
 * worker may still be inside the post whose mail was taken. What they hold is the caller's. */
void crypto_pool_stop(struct crypto_pool *pool);
/* Any thread. False when the queues are full (overload): the job stays the caller's.
 * Afterwards the job is the pool's until it comes out of `reply`. With zero workers the job is run
 * now, on this thread, and posted to `reply`; false when `reply` is full (the job may be
 * submitted again, and is then run again). */
bool crypto_pool_submit(struct crypto_pool *pool, struct crypto_job *job);
/* Share of the queues in use, 0..100: a host refuses new negotiations above its mark. */
unsigned crypto_pool_load(const struct crypto_pool *pool);
struct crypto_pool_stats crypto_pool_stats(const struct crypto_pool *pool);
struct key_stock_stats;
/* Adds the workers' stocks (crypto/key_stock.h) to KEY_STOCK_GROUPS_MAX groups. Any thread. */
void crypto_pool_add_key_stats(const struct crypto_pool *pool, struct key_stock_stats *stats);

#endif
