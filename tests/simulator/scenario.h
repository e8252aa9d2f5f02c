/* What happens in one run, all of it decided by the seed. */
#ifndef SIMULATOR_SCENARIO_H
#define SIMULATOR_SCENARIO_H

#include "world.h"

struct tally {
	uint64_t runs, tunnels, datagrams, lost, corrupted, restarts, rekeyings, virtual_s;
};

/* Runs the seed from the first message to the last. False: `failure` names the broken invariant. */
bool scenario_run(
	uint64_t seed, bool verbose, struct tally *tally, char *failure, size_t failure_size);

#endif
