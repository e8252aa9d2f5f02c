/* A range of addresses as the fewest prefixes. */
#ifndef DATAPLANE_PREFIX_SPLIT_H
#define DATAPLANE_PREFIX_SPLIT_H

#include "flow.h"

struct prefix {
	struct ip_key address;
	uint8_t family, len;
};

/* Two for each bit but one, at most. */
#define PREFIX_SPLIT_MAX 254

/* Returns how many were written to `out`; 0 when the range is none. */
unsigned prefix_split(const struct ip_range *range, struct prefix out[PREFIX_SPLIT_MAX]);

#endif
