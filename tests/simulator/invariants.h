/* What must hold, whatever the network did. A broken one is noted by world_fail. */
#ifndef SIMULATOR_INVARIANTS_H
#define SIMULATOR_INVARIANTS_H

#include "node.h"

/* Both ends agree on every Child SA and its keys, or an end that is alone with one finds out within
 * `settle_ms` (time goes on meanwhile). What an engine calls established is in its kernel, and
 * nothing else is. */
void check_agreement(struct world *world, uint64_t settle_ms);
/* After a shutdown: no SA, no kernel SA, no gauge above zero, no watcher left waiting, no job out,
 * no SPI lost. */
void check_all_gone(struct node *node);
/* At any time: gauges are what a walk counts; what is called established is in the kernel with its
 * policy. */
void check_books(struct node *node);
/* Takes every connection down and its policy out, shuts down and checks that all is gone. */
void check_clean_end(struct world *world, uint64_t patience_ms);
/* At any time: an address that the node has lent is one identity's, what an established Child SA of a
 * client carries for it is its address and nothing else, and the pool knows how many are in use. */
void check_leases(struct node *node, const struct address_pool *pool);
bool connection_is_up(struct node *node, const char *name);
/* Established Child SAs. */
unsigned count_established(struct node *node);

#endif
