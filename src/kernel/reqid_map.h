/* Request IDs of a kernel that takes small ones only, for those that the engine uses. An ID is held
 * by each SA and policy of it, and is free for another when none is left. One thread at a time.
 * Private to the room. */
#ifndef KERNEL_REQID_MAP_H
#define KERNEL_REQID_MAP_H

#include <stdint.h>

struct reqid_map;

/* Numbers 1 .. `max`. NULL: no memory. */
struct reqid_map *reqid_map_new(uint32_t max);
void reqid_map_free(struct reqid_map *map);
/* Holds it once more. The kernel's number; 0: all are in use, or no memory: not held. */
uint32_t reqid_map_hold(struct reqid_map *map, uint32_t reqid);
void reqid_map_release(struct reqid_map *map, uint32_t reqid);
/* 0: is not held. */
uint32_t reqid_map_find(const struct reqid_map *map, uint32_t reqid);
/* Of a number of the kernel's; 0: nobody holds it. */
uint32_t reqid_map_reverse(const struct reqid_map *map, uint32_t number);

#endif
