/* The address pools of the daemon: which there are, and their keeper. On the control thread. */
#ifndef PLUTO_POOLS_H
#define PLUTO_POOLS_H

#include "ike/address_pool.h"
#include "ike/catalogue.h"

struct pools;

/* `path`: of the file in which leases outlive the process; NULL: none. What it holds is read here.
 * `now_ms`: the engines' clock. NULL when memory is out. */
struct pools *pools_new(
	const struct catalogue *catalogue, const char *path, uint64_t (*now_ms)(void));
/* Saves the leases, and lets go of the pools. NULL is allowed. */
void pools_free(struct pools *pools);

/* The pool of these ranges, with a reference for the caller. It must not overlap with another one
 * of a connection that is not named `name`. `pools` NULL: one of its own. NULL with a reason. */
struct address_pool *pools_get(struct pools *pools, const char *name, const struct ip_range *ranges,
	unsigned count, char *error, size_t error_size);
/* The i-th pool, the caller's until the next call; NULL past the end. */
struct address_pool *pools_at(const struct pools *pools, size_t i);
size_t pools_bytes(const struct pools *pools);

/* Forgets what has lingered for too long, a part at a time, and saves leases that have changed. */
void pools_tick(struct pools *pools);
/* When pools_tick has something to do; UINT64_MAX: never. */
uint64_t pools_due(const struct pools *pools);

#endif
