/* A range of addresses as one prefix that covers it, or two that do: the key to look it up by. What
 * a prefix has too much is cut off by comparing. (As exact prefixes a range can need 254 of them,
 * of as many lengths.) */
#ifndef DATAPLANE_RANGE_COVER_H
#define DATAPLANE_RANGE_COVER_H

#include "flow.h"

struct range_piece {
	struct ip_key prefix;
	struct ip_key first, last; /* what of it belongs to the range */
	uint8_t family, len;
	bool exact; /* all of it */
};

/* Returns how many of `out` were written; 0 when the range is none. */
unsigned range_cover(const struct ip_range *range, struct range_piece out[2]);

#endif
