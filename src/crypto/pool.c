/* The pool of crypto workers. Each worker has an inbox (a bounded lock-free mailbox) and takes
 * what waits in it as a batch. A job counts against its worker's capacity from submission to
 * delivery, so that shards that do not fetch their answers are refused new work instead of growing
 * the pool. */
#include "key_exchange.h"

#include "crypto/key_stock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	/* Two rounds of eight lanes. More would only keep jobs from other, idle workers. */
	BATCH_MAX = 16,
	WORKERS_MAX = 1024,
	QUEUE_CAPACITY_MAX = 1 << 20,
	CPU_NUMBER_MAX = 65535,
};

/* A full reply mailbox is tried again after pauses of 50 us to 20 ms. After two seconds the answer
 * is late: the exchange that asked has long retransmitted or is gone. */
#define RETRY_MIN_NS  (50 * 1000ull)
#define RETRY_MAX_NS  (20 * 1000 * 1000ull)
#define LATE_AFTER_NS (2 * 1000 * 1000 * 1000ull)
#define NS_PER_MS     (1000 * 1000ull)

/* Lines of their own: submitters write the first, the worker the second. */
struct crypto_worker {
	_Alignas(64) _Atomic uint64_t pending; /* submitted, and neither delivered nor late */
	_Atomic uint64_t submitted;

	_Alignas(64) _Atomic uint64_t running;
	_Atomic uint64_t outgoing; /* done, not delivered, not late */
	_Atomic uint64_t done, wait_ns, run_ns, batches, undelivered;

	_Alignas(64) struct crypto_pool *pool;
	struct mailbox *inbox;
	struct mail stop_mail;
	struct key_stock *stock; /* NULL: nothing is made ahead */
	pthread_t thread;
	/* Answers whose mailbox was full, oldest first; late ones too. The worker's own. */
	struct crypto_job *outbox, **outbox_end;
	uint64_t retry_at_ns, retry_pause_ns;
};

struct crypto_pool {
	unsigned workers;
	uint64_t capacity;
	_Atomic bool stopping;
	_Alignas(64) _Atomic unsigned next;
	_Atomic uint64_t refused;
	/* With zero workers one stands for all threads that run jobs inline: for the counters. */
	struct crypto_worker worker[];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void uncount(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

static uint64_t value(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- answers ------------------------------------------------------------ */

static void outbox_append(struct crypto_worker *w, struct crypto_job *job)
{
	if (!w->outbox) {
		w->retry_pause_ns = RETRY_MIN_NS;
		w->retry_at_ns = job->finished_ns + RETRY_MIN_NS;
	}
	job->next = NULL;
	*w->outbox_end = job;
	w->outbox_end = &job->next;
	count(&w->outgoing, 1);
}

/* After a successful post the job is the receiver's, who may have freed it already. */
static void deliver(struct crypto_worker *w, struct crypto_job *job)
{
	if (mailbox_post(job->reply, &job->mail))
		uncount(&w->pending, 1);
	else
		outbox_append(w, job);
}

static bool is_late(const struct crypto_job *job)
{
	return job->finished_ns == 0;
}

static void make_late(struct crypto_worker *w, struct crypto_job *job)
{
	secret_release(&job->private_key);
	secret_wipe(job->shared.data, job->shared.len);
	job->result = CRYPTO_JOB_FAILED;
	job->finished_ns = 0;
	count(&w->undelivered, 1);
	uncount(&w->outgoing, 1);
	uncount(&w->pending, 1);
}

/* Tries the answers in the outbox once, when their time has come: all of them, since one mailbox is
 * full and others may not be, but not the same full mailbox for each of a row of answers. */
static void retry_outbox(struct crypto_worker *w, uint64_t now)
{
	struct crypto_job **at = &w->outbox, *job;
	const struct mailbox *full = NULL;
	bool any = false;

	if (!w->outbox || now < w->retry_at_ns)
		return;
	while ((job = *at)) {
		struct crypto_job *next = job->next;
		bool late = is_late(job);

		if (job->reply != full && mailbox_post(job->reply, &job->mail)) {
			*at = next;
			any = true;
			if (!late) {
				uncount(&w->outgoing, 1);
				uncount(&w->pending, 1);
			}
			continue;
		}
		full = job->reply;
		if (!late && now - job->finished_ns > LATE_AFTER_NS)
			make_late(w, job);
		at = &job->next;
	}
	w->outbox_end = at;
	w->retry_pause_ns = any ? RETRY_MIN_NS : w->retry_pause_ns * 2;
	if (w->retry_pause_ns > RETRY_MAX_NS)
		w->retry_pause_ns = RETRY_MAX_NS;
	w->retry_at_ns = now + w->retry_pause_ns;
}

/* ---- the worker ---------------------------------------------------------- */

static bool stopping(const struct crypto_worker *w)
{
	return atomic_load_explicit(&w->pool->stopping, memory_order_acquire);
}

/* Runs one job, or some lanes' worth; returns how many. */
static size_t run_front(struct crypto_worker *w, struct crypto_job **jobs, size_t n, uint64_t *now)
{
	uint64_t started = *now;
	size_t ran;

	atomic_store_explicit(&w->running, 1, memory_order_relaxed);
	if (w->stock)
		key_stock_supply(w->stock, jobs, n, started / NS_PER_MS);
	ran = crypto_jobs_run_front(jobs, n);
	*now = now_ns();
	count(&w->run_ns, *now - started);
	count(&w->done, ran);
	for (size_t i = 0; i < ran; i++) {
		count(&w->wait_ns, started - jobs[i]->submitted_ns);
		jobs[i]->finished_ns = *now;
		deliver(w, jobs[i]);
	}
	atomic_store_explicit(&w->running, 0, memory_order_relaxed);
	return ran;
}

static void drop(struct crypto_worker *w, struct crypto_job *job)
{
	uncount(&w->pending, 1);
	crypto_job_free(job);
}

/* Takes a batch and runs it; answers go out job by job, not at the end. False when nothing waited.
 */
static bool run_waiting(struct crypto_worker *w)
{
	struct crypto_job *jobs[BATCH_MAX];
	struct mail *mail[BATCH_MAX];
	size_t taken = mailbox_take(w->inbox, mail, BATCH_MAX), n = 0, at = 0;
	uint64_t now;

	for (size_t i = 0; i < taken; i++) {
		if (mail[i] != &w->stop_mail)
			jobs[n++] = (struct crypto_job *)mail[i];
	}
	if (n == 0)
		return taken > 0;
	now = now_ns();
	count(&w->batches, 1);
	while (at < n && !stopping(w)) {
		size_t like_end = at + crypto_jobs_gather(jobs + at, n - at);

		while (at < like_end && !stopping(w)) {
			at += run_front(w, jobs + at, like_end - at, &now);
			retry_outbox(w, now);
		}
	}
	for (; at < n; at++)
		drop(w, jobs[at]);
	return true;
}

/* Until when, if there is no mail: UINT64_MAX for ever. */
static uint64_t sleep_end(const struct crypto_worker *w, uint64_t now)
{
	uint64_t end = w->outbox ? w->retry_at_ns : UINT64_MAX, due_ms;

	if (!w->stock)
		return end;
	due_ms = key_stock_due(w->stock, now / NS_PER_MS);
	return due_ms < end / NS_PER_MS ? due_ms * NS_PER_MS : end;
}

/* Sleeps until there is mail, the outbox is to be tried again, or the stock looked after. */
static void wait_for_mail(const struct crypto_worker *w)
{
	struct pollfd fd = {.fd = mailbox_fd(w->inbox), .events = POLLIN};
	uint64_t now = now_ns(), end = sleep_end(w, now), pause_ns = end > now ? end - now : 0;
	struct timespec pause = {
		.tv_sec = (time_t)(pause_ns / 1000000000u), .tv_nsec = (long)(pause_ns % 1000000000u)};

	ppoll(&fd, 1, end != UINT64_MAX ? &pause : NULL, NULL);
}

/* Nothing waits: one step of what can be done ahead, or of what is over. False when there was
 * nothing to do. */
static bool work_ahead(struct crypto_worker *w)
{
	uint64_t now_ms = now_ns() / NS_PER_MS;

	if (!w->stock || key_stock_due(w->stock, now_ms) > now_ms)
		return false;
	key_stock_work(w->stock, now_ms);
	return true;
}

static void *work(void *arg)
{
	struct crypto_worker *w = arg;

	while (!stopping(w)) {
		bool ran = run_waiting(w);

		if (w->outbox)
			retry_outbox(w, now_ns());
		if (ran || work_ahead(w))
			continue;
		if (mailbox_sleep(w->inbox))
			wait_for_mail(w);
		mailbox_awake(w->inbox);
	}
	return NULL;
}

/* ---- start and stop ------------------------------------------------------ */

/* 0, or an errno. The affinity is part of the creation: a worker never runs elsewhere. */
static int start_thread(struct crypto_worker *w, const unsigned *cpu)
{
	size_t set_size = cpu ? CPU_ALLOC_SIZE(*cpu + 1) : 0;
	cpu_set_t *set = cpu ? CPU_ALLOC(*cpu + 1) : NULL;
	sigset_t all, before;
	pthread_attr_t attr;
	int err;

	if (cpu && !set)
		return ENOMEM;
	err = pthread_attr_init(&attr);
	if (err == 0) {
		if (cpu) {
			CPU_ZERO_S(set_size, set);
			CPU_SET_S(*cpu, set_size, set);
			err = pthread_attr_setaffinity_np(&attr, set_size, set);
		}
		if (err == 0) {
			/* signals are the main thread's */
			sigfillset(&all);
			pthread_sigmask(SIG_SETMASK, &all, &before);
			err = pthread_create(&w->thread, &attr, work, w);
			pthread_sigmask(SIG_SETMASK, &before, NULL);
		}
		pthread_attr_destroy(&attr);
	}
	if (set)
		CPU_FREE(set);
	return err;
}

static bool start_worker(struct crypto_pool *pool, unsigned i,
	const struct crypto_pool_config *config, char *error, size_t error_size)
{
	struct crypto_worker *w = &pool->worker[i];
	const unsigned *cpu = config->cpus ? &config->cpus[i] : NULL;
	char name[24];
	int err;

	/* one more for the mail that wakes it to stop */
	w->inbox = mailbox_new(config->queue_capacity + 1);
	if (!w->inbox) {
		snprintf(error, error_size, "crypto worker %u: no memory for its mailbox", i);
		return false;
	}
	if (config->keys_ahead && !(w->stock = key_stock_new(config->keys_ahead))) {
		snprintf(error, error_size, "crypto worker %u: no memory for its keys", i);
		mailbox_free(w->inbox);
		return false;
	}
	err = cpu && *cpu > CPU_NUMBER_MAX ? EINVAL : start_thread(w, cpu);
	if (err != 0) {
		char where[32] = "";

		if (cpu)
			snprintf(where, sizeof(where), " on CPU %u", *cpu);
		snprintf(error, error_size, "crypto worker %u: no thread%s: %s", i, where,
			strerror(err));
		key_stock_free(w->stock);
		mailbox_free(w->inbox);
		return false;
	}
	snprintf(name, sizeof(name), "crypto-%u", i);
	pthread_setname_np(w->thread, name);
	return true;
}

static void stop_worker(struct crypto_worker *w)
{
	struct crypto_job *job, *next;
	struct mail *mail;

	/* refused only when the inbox is full: then it is awake, or will be by what is in there */
	mailbox_post(w->inbox, &w->stop_mail);
	pthread_join(w->thread, NULL);
	key_stock_free(w->stock);
	while (mailbox_take(w->inbox, &mail, 1) > 0) {
		if (mail != &w->stop_mail)
			drop(w, (struct crypto_job *)mail);
	}
	mailbox_free(w->inbox);
	for (job = w->outbox; job; job = next) {
		next = job->next;
		if (!mailbox_post(job->reply, &job->mail))
			crypto_job_free(job);
	}
}

static void stop_workers(struct crypto_pool *pool, unsigned count_started)
{
	atomic_store_explicit(&pool->stopping, true, memory_order_release);
	for (unsigned i = 0; i < count_started; i++)
		stop_worker(&pool->worker[i]);
	free(pool);
}

struct crypto_pool *crypto_pool_start(
	const struct crypto_pool_config *config, char *error, size_t error_size)
{
	unsigned slots = config->workers ? config->workers : 1;
	struct crypto_pool *pool;
	size_t size;

	if (config->workers > WORKERS_MAX) {
		snprintf(error, error_size, "%u crypto workers are more than %d", config->workers,
			WORKERS_MAX);
		return NULL;
	}
	if (config->workers &&
		(config->queue_capacity == 0 || config->queue_capacity > QUEUE_CAPACITY_MAX)) {
		snprintf(error, error_size,
			"a crypto worker's queue of %zu jobs is not between 1 and %d",
			config->queue_capacity, QUEUE_CAPACITY_MAX);
		return NULL;
	}
	if (config->keys_ahead > KEY_STOCK_SIZE_MAX) {
		snprintf(error, error_size, "%u keys made ahead a group are more than %d",
			config->keys_ahead, KEY_STOCK_SIZE_MAX);
		return NULL;
	}
	size = sizeof(*pool) + slots * sizeof(struct crypto_worker);
	pool = aligned_alloc(64, (size + 63) / 64 * 64);
	if (!pool) {
		snprintf(error, error_size, "no memory for %u crypto workers", config->workers);
		return NULL;
	}
	memset(pool, 0, size);
	pool->workers = config->workers;
	pool->capacity = config->queue_capacity;
	for (unsigned i = 0; i < slots; i++) {
		pool->worker[i].pool = pool;
		pool->worker[i].outbox_end = &pool->worker[i].outbox;
	}
	for (unsigned i = 0; i < pool->workers; i++) {
		if (!start_worker(pool, i, config, error, error_size)) {
			stop_workers(pool, i);
			return NULL;
		}
	}
	return pool;
}

void crypto_pool_stop(struct crypto_pool *pool)
{
	if (pool)
		stop_workers(pool, pool->workers);
}

/* ---- submission ---------------------------------------------------------- */

static bool run_inline(struct crypto_pool *pool, struct crypto_job *job)
{
	struct crypto_worker *w = &pool->worker[0];
	uint64_t run_ns;

	crypto_job_run(job);
	job->finished_ns = now_ns();
	run_ns = job->finished_ns - job->submitted_ns;
	if (!mailbox_post(job->reply, &job->mail)) {
		count(&pool->refused, 1);
		return false;
	}
	count(&w->submitted, 1);
	count(&w->done, 1);
	count(&w->batches, 1);
	count(&w->run_ns, run_ns);
	return true;
}

static bool offer(struct crypto_pool *pool, struct crypto_worker *w, struct crypto_job *job)
{
	if (atomic_fetch_add_explicit(&w->pending, 1, memory_order_relaxed) < pool->capacity &&
		mailbox_post(w->inbox, &job->mail)) {
		count(&w->submitted, 1);
		return true;
	}
	uncount(&w->pending, 1);
	return false;
}

bool crypto_pool_submit(struct crypto_pool *pool, struct crypto_job *job)
{
	unsigned n = pool->workers, first, second;

	job->submitted_ns = now_ns();
	job->finished_ns = 0;
	job->next = NULL;
	if (n == 0)
		return run_inline(pool, job);
	first = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed) % n;
	second = (first + 1) % n;
	/* Of two neighbours the one with less to do: groups differ in cost by a factor of 200, and
	 * an X25519 shall not queue behind a MODP-8192 while the next worker is idle. */
	if (value(&pool->worker[second].pending) < value(&pool->worker[first].pending))
		first = second;
	for (unsigned i = 0; i < n; i++) {
		if (offer(pool, &pool->worker[(first + i) % n], job))
			return true;
	}
	count(&pool->refused, 1);
	return false;
}

/* ---- reports ------------------------------------------------------------- */

unsigned crypto_pool_load(const struct crypto_pool *pool)
{
	uint64_t pending = 0, capacity = pool->capacity * pool->workers;

	for (unsigned i = 0; i < pool->workers; i++)
		pending += value(&pool->worker[i].pending);
	if (capacity == 0)
		return 0;
	return pending >= capacity ? 100 : (unsigned)(pending * 100 / capacity);
}

struct crypto_pool_stats crypto_pool_stats(const struct crypto_pool *pool)
{
	struct crypto_pool_stats stats = {
		.workers = pool->workers,
		.refused = value(&pool->refused),
	};
	unsigned slots = pool->workers ? pool->workers : 1;

	for (unsigned i = 0; i < slots; i++) {
		const struct crypto_worker *w = &pool->worker[i];
		uint64_t pending = value(&w->pending);
		uint64_t busy = value(&w->running) + value(&w->outgoing);

		/* read one after the other, so the difference may be off by what moved meanwhile */
		stats.depth += pending > busy ? pending - busy : 0;
		stats.submitted += value(&w->submitted);
		stats.done += value(&w->done);
		stats.wait_ns += value(&w->wait_ns);
		stats.run_ns += value(&w->run_ns);
		stats.batches += value(&w->batches);
		stats.undelivered += value(&w->undelivered);
	}
	return stats;
}

void crypto_pool_add_key_stats(const struct crypto_pool *pool, struct key_stock_stats *stats)
{
	for (unsigned i = 0; i < pool->workers; i++)
		key_stock_add_stats(pool->worker[i].stock, stats);
}
