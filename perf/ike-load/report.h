/* What the threads have seen, put together and told. */
#ifndef IKE_LOAD_REPORT_H
#define IKE_LOAD_REPORT_H

#include "generator.h"

/* Each writes its phase to standard output: a line of JSON, or for people. The threads are done
 * with the phase, or have nothing to do in it. */
void report_setup(const struct options *options, const struct generator *generators);
/* How things stand, for a comparison later. */
struct held {
	uint64_t up, established; /* Child SAs: now, and ever */
};
struct held held_now(const struct options *options, const struct generator *generators);
/* `before`: at its begin. */
void report_hold(const struct options *options, const struct generator *generators, double seconds,
	struct held before);
void report_delete(
	const struct options *options, const struct generator *generators, double seconds);
/* Child SAs that are up. */
uint64_t tunnels_up(const struct options *options, const struct generator *generators);

#endif
