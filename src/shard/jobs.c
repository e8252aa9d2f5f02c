/* Public-key work: to the workers, or, where there are none, done by the shard between two turns of
 * its loop. */
#include "shard_set.h"

#define INLINE_BATCH 16
/* A turn of the loop may bring more requests than one batch; they wait better in the socket's
 * buffer than here, where they would be refused. But timers and established SAs wait meanwhile. */
#define INLINE_TURN_NS 2000000

static bool queue_inline(struct shard *shard, struct crypto_job *job)
{
	struct inline_jobs *q = &shard->inline_jobs;
	if (q->count == INLINE_JOBS_MAX) {
		tally_add(&shard->tally.jobs_refused, 1);
		return false;
	}
	job->submitted_ns = clock_ns();
	job->next = NULL;
	*(q->count == 0 ? &q->first : q->last) = job;
	q->last = &job->next;
	q->count++;
	tally_add(&shard->tally.jobs_inline, 1);
	return true;
}

bool shard_submit_job(struct shard *shard, struct crypto_job *job)
{
	if (shard->stopping) {
		return false;
	}
	job->mail.kind = INBOX_JOB;
	job->reply = shard->inbox;
	struct crypto_pool *pool = shard->set->pool;
	if (job->kind == CRYPTO_VALIDATE) {
		pool = shard->set->validation; /* it may block: never on a shard or a worker */
	}
	if (pool == NULL) {
		return job->kind != CRYPTO_VALIDATE && queue_inline(shard, job);
	}
	/* Answers must always find room in the mailbox. */
	if (shard->jobs_in_flight == JOBS_IN_FLIGHT_MAX || !crypto_pool_submit(pool, job)) {
		tally_add(&shard->tally.jobs_refused, 1);
		return false;
	}
	shard->jobs_in_flight++;
	return true;
}

unsigned shard_job_load(const struct shard *shard)
{
	if (shard->set->pool == NULL) {
		return shard->inline_jobs.count * 100 / INLINE_JOBS_MAX;
	}
	unsigned own = shard->jobs_in_flight * 100 / JOBS_IN_FLIGHT_MAX;
	unsigned pool = crypto_pool_load(shard->set->pool);
	return own > pool ? own : pool;
}

static unsigned take_inline(struct inline_jobs *q, struct crypto_job **jobs, unsigned max)
{
	unsigned n = 0;
	for (; n < max && q->count > 0; n++) {
		jobs[n] = q->first;
		q->first = jobs[n]->next;
		jobs[n]->next = NULL;
		q->count--;
	}
	return n;
}

/* Returns when it ended. */
static uint64_t run_inline_batch(struct shard *shard, uint64_t start)
{
	struct crypto_job *jobs[INLINE_BATCH];
	unsigned n = take_inline(&shard->inline_jobs, jobs, INLINE_BATCH);
	struct tally *tally = &shard->tally;
	for (unsigned i = 0; i < n; i++) {
		tally_add(&tally->job_wait_ns, start - jobs[i]->submitted_ns);
	}
	key_stock_run_batch(shard->stock, jobs, n, start / 1000000);
	tally_add(&tally->job_run_ns, clock_ns() - start);
	tally_add(&tally->jobs_done, n);
	tally_add(&tally->job_batches, 1);
	shard->now_ms = shard_clock_ms();
	for (unsigned i = 0; i < n; i++) {
		ike_engine_job_done(shard->engine, jobs[i]);
	}
	return clock_ns();
}

void shard_run_inline_jobs(struct shard *shard)
{
	if (shard->inline_jobs.count == 0) {
		return;
	}
	uint64_t start = clock_ns(), now = start;
	do {
		now = run_inline_batch(shard, now);
	} while (shard->inline_jobs.count >= INLINE_BATCH && now - start < INLINE_TURN_NS);
}

void shard_tend_stock(struct shard *shard, bool idle)
{
	if (shard->stock == NULL) {
		return;
	}
	if (idle && shard->stock_due) {
		key_stock_work(shard->stock, shard->now_ms);
	}
	shard->stock_due = key_stock_due(shard->stock, shard->now_ms) <= shard->now_ms;
}

void shard_fail_inline_jobs(struct shard *shard)
{
	struct crypto_job *job;
	while (take_inline(&shard->inline_jobs, &job, 1) == 1) {
		job->result = CRYPTO_JOB_FAILED;
		ike_engine_job_done(shard->engine, job);
	}
}
