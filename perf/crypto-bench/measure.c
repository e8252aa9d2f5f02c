/* Runs of one bench: CPU time of each thread, and the wall clock over all. */
#include "bench.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

struct runner {
	const struct bench *bench;
	void *state;
	uint64_t rounds, cpu_ns, begun_ns, ended_ns;
	pthread_barrier_t *begin;
	bool failed;
};

static uint64_t clock_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void run_rounds(struct runner *r)
{
	uint64_t started = clock_now(CLOCK_THREAD_CPUTIME_ID);

	for (uint64_t i = 0; i < r->rounds; i++) {
		if (!r->bench->round(r->state))
			r->failed = true;
	}
	r->cpu_ns = clock_now(CLOCK_THREAD_CPUTIME_ID) - started;
}

static void *run_thread(void *arg)
{
	struct runner *r = arg;

	pthread_barrier_wait(r->begin);
	r->begun_ns = clock_now(CLOCK_MONOTONIC);
	run_rounds(r);
	r->ended_ns = clock_now(CLOCK_MONOTONIC);
	return NULL;
}

/* Also warms up caches, tables and scratch memory. */
static uint64_t rounds_for(struct runner *r, double run_ms)
{
	uint64_t wanted_ns = (uint64_t)(run_ms * 1e6);

	run_rounds(r); /* the first may make tables */
	for (r->rounds = 1;; r->rounds *= 2) {
		run_rounds(r);
		if (r->cpu_ns * 4 >= wanted_ns || r->failed)
			break;
	}
	if (r->cpu_ns == 0)
		return r->rounds;
	return r->rounds * wanted_ns / r->cpu_ns + 1;
}

/* One run by all threads; false when an operation failed. */
static bool run_once(struct runner *runners, unsigned threads, double *us, double *per_second)
{
	uint64_t cpu_ns = 0, operations = 0, begun_ns = UINT64_MAX, ended_ns = 0;
	pthread_t thread[BENCH_THREADS_MAX];
	pthread_barrier_t begin;
	bool ok = true;

	pthread_barrier_init(&begin, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		runners[i].begin = &begin;
		/* those that are there already would wait for ever */
		if (pthread_create(&thread[i], NULL, run_thread, &runners[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < threads; i++) {
		struct runner *r = &runners[i];

		pthread_join(thread[i], NULL);
		cpu_ns += r->cpu_ns;
		operations += r->rounds * r->bench->batch;
		begun_ns = r->begun_ns < begun_ns ? r->begun_ns : begun_ns;
		ended_ns = r->ended_ns > ended_ns ? r->ended_ns : ended_ns;
		ok = ok && !r->failed;
	}
	pthread_barrier_destroy(&begin);
	*us = (double)cpu_ns / 1e3 / (double)operations;
	*per_second = (double)operations * 1e9 / (double)(ended_ns - begun_ns + 1);
	return ok;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool make_runners(
	const struct bench *bench, struct runner runners[BENCH_THREADS_MAX], unsigned *made)
{
	for (*made = 0; *made < bench->threads; (*made)++) {
		void *state = bench->make(bench);

		if (!state)
			return false;
		runners[*made] = (struct runner){.bench = bench, .state = state, .rounds = 1};
	}
	return true;
}

struct bench_result bench_measure(const struct bench *bench, double run_ms)
{
	struct runner runners[BENCH_THREADS_MAX];
	struct bench_result result = {0};
	double us[BENCH_RUNS], per_second[BENCH_RUNS];
	unsigned made;

	if (make_runners(bench, runners, &made)) {
		uint64_t rounds = rounds_for(&runners[0], run_ms);

		result.available = true;
		for (unsigned i = 0; i < made; i++)
			runners[i].rounds = rounds;
		for (unsigned run = 0; run < BENCH_RUNS; run++)
			result.failed |=
				!run_once(runners, bench->threads, &us[run], &per_second[run]);
		qsort(us, BENCH_RUNS, sizeof(us[0]), by_size);
		qsort(per_second, BENCH_RUNS, sizeof(per_second[0]), by_size);
		result.us = us[BENCH_RUNS / 2];
		result.us_min = us[0];
		result.us_max = us[BENCH_RUNS - 1];
		result.per_second = per_second[BENCH_RUNS / 2];
		result.per_second_min = per_second[0];
		result.per_second_max = per_second[BENCH_RUNS - 1];
	}
	for (unsigned i = 0; i < made; i++)
		bench->drop(runners[i].state);
	return result;
}
