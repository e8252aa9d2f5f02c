/* Twenty gateways, each with a tunnel to each. */
#ifndef SIMULATOR_MESH_H
#define SIMULATOR_MESH_H

#include "scenario.h"

/* All initiate to all within seconds, so that most pairs cross, over a network that loses and
 * reorders: in the end each pair has one IKE SA with one Child SA, and both agree on it. False: what
 * failed is in `failure`. */
bool mesh_run(
	uint64_t seed, bool verbose, struct tally *tally, char *failure, size_t failure_size);

#endif
