/* Which end of a connection are we? Decided by the addresses that are listened on. */
#ifndef PLUTO_ORIENTATION_H
#define PLUTO_ORIENTATION_H

#include "ike/connection.h"
#include "shard/shard.h"

/* The addresses, to be found fast. */
struct address_set {
	size_t count;
	struct ip_address *sorted;
};

/* False when memory is out. */
bool address_set_make(
	struct address_set *set, const struct listen_address *addresses, size_t count);
void address_set_release(struct address_set *set);
bool address_set_has(const struct address_set *set, const struct ip_address *address);

enum orient_result { ORIENT_SAME, ORIENT_CHANGED, ORIENT_NO_MEMORY };

/* ORIENT_CHANGED: `*out` is a copy of `c` with the ends where they now belong (serial, reqid and
 * all else are kept), with one reference. A connection is oriented when exactly one of its ends is
 * ours. */
enum orient_result connection_orient(
	const struct connection *c, const struct address_set *ours, struct connection **out);
/* Its ends as described. */
const struct connection_end *connection_left(const struct connection *c);
const struct connection_end *connection_right(const struct connection *c);
/* "neither left=192.0.2.1 nor right=192.0.2.2 match an interface", or "both ... match". Returns
 * `out`. */
#define ORIENT_TEXT_MAX 160
const char *connection_unoriented_text(
	const struct connection *c, const struct address_set *ours, char out[ORIENT_TEXT_MAX]);

/* One reference; for a change that the original, which is shared, may not see. NULL when memory is
 * out. */
struct connection *connection_copy(const struct connection *c);

#endif
