/* The load generator: N IKEv2 initiators against one responder. */
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#define LOOK_NS 2000000

static sigset_t stop_signals;

static void block_signals(void)
{
	sigemptyset(&stop_signals);
	sigaddset(&stop_signals, SIGINT);
	sigaddset(&stop_signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &stop_signals, NULL);
}

/* Sleeps. True: the user wants an end. */
static bool stopped(uint64_t ns)
{
	struct timespec t = {ns / 1000000000u, ns % 1000000000u};

	return sigtimedwait(&stop_signals, NULL, &t) > 0;
}

static bool start(const struct options *o, struct generator *generators)
{
	unsigned each = o->tunnels / o->shards, more = o->tunnels % o->shards, first = 0;

	for (unsigned i = 0; i < o->shards; i++) {
		struct generator *g = &generators[i];

		g->options = o;
		g->index = i;
		g->first = first;
		g->count = each + (i < more);
		first += g->count;
		if (pthread_create(&g->thread, NULL, generator_run, g)) {
			fprintf(stderr, "ike_load: thread: %s\n", strerror(errno));
			return false;
		}
		while (!__atomic_load_n(&g->started, __ATOMIC_ACQUIRE))
			(void)stopped(LOOK_NS);
		if (g->error[0]) {
			fprintf(stderr, "ike_load: %s\n", g->error);
			return false;
		}
	}
	return true;
}

static void set_phase(const struct options *o, struct generator *g, enum phase phase)
{
	for (unsigned i = 0; i < o->shards; i++)
		__atomic_store_n(&g[i].phase, phase, __ATOMIC_RELEASE);
}

static bool all_done(const struct options *o, const struct generator *g, enum phase phase)
{
	for (unsigned i = 0; i < o->shards; i++) {
		if (__atomic_load_n(&g[i].done, __ATOMIC_ACQUIRE) != phase)
			return false;
	}
	return true;
}

/* False: stopped by a signal. */
static bool pass_phase(const struct options *o, struct generator *g, enum phase phase)
{
	set_phase(o, g, phase);
	while (!all_done(o, g, phase)) {
		if (stopped(LOOK_NS))
			return false;
	}
	return true;
}

static void hold(const struct options *o, struct generator *g)
{
	uint64_t began = clock_ns();
	struct held before = held_now(o, g);

	set_phase(o, g, PHASE_HOLD);
	(void)stopped(o->hold_s * 1000000000ull);
	report_hold(o, g, (clock_ns() - began) / 1e9, before);
}

static void take_down(const struct options *o, struct generator *g)
{
	uint64_t began = clock_ns();

	if (pass_phase(o, g, PHASE_DELETE))
		report_delete(o, g, (clock_ns() - began) / 1e9);
}

/* All tunnels came up? */
static bool run(const struct options *o, struct generator *g)
{
	uint64_t up = 0;

	if (!pass_phase(o, g, PHASE_SETUP)) {
		fputs("ike_load: stopped during the set-up\n", stderr);
		return false;
	}
	report_setup(o, g);
	up = tunnels_up(o, g);
	if (o->hold_s)
		hold(o, g);
	if (o->take_down)
		take_down(o, g);
	return up == o->tunnels;
}

/* Before there is a thread: the database has one user. */
static bool open_credentials(struct options *o)
{
	struct credentials_config config = {.directory = o->nss_dir};
	char error[300] = "out of memory";

	if (o->auth != AUTH_METHOD_SIGNATURE)
		return true;
	o->credentials = credentials_new(&config);
	if (o->credentials && credentials_open(o->credentials, error, sizeof(error))) {
		o->certificate = credentials_by_nickname(
			o->credentials, o->certificate_name, error, sizeof(error));
		o->authorities = credentials_authorities(o->credentials);
	}
	if (o->certificate && !o->certificate->key)
		snprintf(error, sizeof(error), "there is no private key for it");
	else if (o->certificate && o->authorities)
		return true;
	fprintf(stderr, "ike_load: certificate '%s' of %s: %s\n", o->certificate_name, o->nss_dir,
		error);
	return false;
}

int main(int argc, char **argv)
{
	struct options options = options_parse(argc, argv);
	struct generator *generators = calloc(options.shards, sizeof(*generators));
	bool ok;

	if (!open_credentials(&options)) {
		free(generators);
		return 2;
	}
	if (!generators) {
		fputs("ike_load: out of memory\n", stderr);
		return 1;
	}
	block_signals();
	ok = start(&options, generators) && run(&options, generators);
	set_phase(&options, generators, PHASE_END);
	for (unsigned i = 0; i < options.shards; i++) {
		if (generators[i].thread)
			pthread_join(generators[i].thread, NULL);
		generator_release(&generators[i]);
	}
	free(generators);
	own_certificate_unref(options.certificate);
	authorities_unref(options.authorities);
	credentials_free(options.credentials);
	return ok ? 0 : 1;
}
