/* Leases of one address pool over several threads, and what they cost in memory:
 *   pool_bench [ADDRESSES [THREADS]] (1000000 1)
 * Each thread takes its share of all addresses for identities of its own, gives them back, and
 * takes them again. By each thread's CPU time, so that other work on the machine does not count;
 * the slowest thread decides. */
#include "ike/address_pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <urcu/urcu-qsbr.h>

#define THREADS_MAX 256
#define QUIET_EVERY 64 /* leases between two quiescent states, as an event loop has them */

enum { FRESH, RETURNED, KEPT, PHASES };
static const char *const phase_names[] = {"taken", "given back", "taken again"};

static struct address_pool *pool;
static pthread_barrier_t barrier;

struct worker {
	pthread_t thread;
	unsigned first, count;
	unsigned wrong;
	struct identity **ids;
	struct lease *leases;
	double seconds[PHASES];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_identities(struct worker *w)
{
	char text[64], error[100];

	w->ids = calloc(w->count, sizeof(*w->ids));
	w->leases = calloc(w->count, sizeof(*w->leases));
	if (!w->ids || !w->leases)
		exit(1);
	for (unsigned i = 0; i < w->count; i++) {
		snprintf(text, sizeof(text), "@client%u.example.test", w->first + i);
		w->ids[i] = identity_parse(text, error, sizeof(error));
		if (!w->ids[i])
			exit(1);
	}
}

static void take_all(struct worker *w, enum lease_kind expected)
{
	for (unsigned i = 0; i < w->count; i++) {
		struct lease_asker asker = {.id = w->ids[i], .share = true, .connection = 1};

		w->wrong += address_pool_take(pool, &asker, &w->leases[i]) != expected;
		if (i % QUIET_EVERY == 0)
			urcu_qsbr_quiescent_state();
	}
}

static void return_all(struct worker *w)
{
	for (unsigned i = 0; i < w->count; i++)
		address_pool_return(&w->leases[i], 0);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	make_identities(w);
	urcu_qsbr_register_thread();
	for (int phase = 0; phase < PHASES; phase++) {
		double begun;

		urcu_qsbr_thread_offline();
		pthread_barrier_wait(&barrier);
		urcu_qsbr_thread_online();
		begun = now();
		if (phase == RETURNED)
			return_all(w);
		else
			take_all(w, phase == FRESH ? LEASE_FRESH : LEASE_KEPT);
		w->seconds[phase] = now() - begun;
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void report(const struct worker *workers, unsigned threads, unsigned addresses)
{
	struct address_pool_stats s = address_pool_stats(pool);

	for (int phase = 0; phase < PHASES; phase++) {
		double longest = 0;

		for (unsigned i = 0; i < threads; i++)
			if (workers[i].seconds[phase] > longest)
				longest = workers[i].seconds[phase];
		printf("%-12s %8.0f leases/s (%.2f us each)\n", phase_names[phase],
			addresses / longest, longest * 1e6 / addresses);
	}
	printf("memory       %8.1f bytes a lease, of which its identity has %zu\n",
		(double)s.bytes / addresses, sizeof(struct identity) + workers[0].ids[0]->len);
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	unsigned addresses = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
	unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1, wrong = 0;
	struct ip_range range = {.first = ip_v4(0x0a000000)};
	char error[200];

	if (!addresses || addresses > 1u << 24 || !threads || threads > THREADS_MAX) {
		fputs("usage: pool_bench [ADDRESSES [THREADS]]\n", stderr);
		return 2;
	}
	range.last = ip_v4(0x0a000000 + addresses - 1);
	urcu_qsbr_register_thread();
	pool = address_pool_new(&range, 1, error, sizeof(error));
	pthread_barrier_init(&barrier, NULL, threads);
	urcu_qsbr_thread_offline();
	for (unsigned i = 0; i < threads; i++) {
		workers[i].first = (unsigned)((uint64_t)addresses * i / threads);
		workers[i].count =
			(unsigned)((uint64_t)addresses * (i + 1) / threads) - workers[i].first;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		wrong += workers[i].wrong;
	}
	printf("%u addresses, %u threads%s\n", addresses, threads, wrong ? ": WRONG leases" : "");
	report(workers, threads, addresses);
	return wrong ? 1 : 0;
}
