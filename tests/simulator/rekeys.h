/* Runs of nothing but rekeying: two gateways, a bad network, and both ends that rekey when they
 * like, often at one time. */
#ifndef SIMULATOR_REKEYS_H
#define SIMULATOR_REKEYS_H

#include "scenario.h"

/* False: `failure` names the broken invariant. */
bool rekeys_run(
	uint64_t seed, bool verbose, struct tally *tally, char *failure, size_t failure_size);

#endif
