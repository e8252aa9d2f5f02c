/* The file in which leases outlive the process: text, a pool a section, written piece by piece
 * beside the old one and then put in its place. */
#ifndef PLUTO_LEASES_FILE_H
#define PLUTO_LEASES_FILE_H

#include "ike/address_pool.h"

struct leases_file;
struct pools;

/* Reads what there is; what is wrong with it is logged and ignored. NULL when memory is out. */
struct leases_file *leases_file_open(const char *path);
void leases_file_close(struct leases_file *file);
size_t leases_file_bytes(const struct leases_file *file);
/* Gives a new pool what was remembered of it. */
void leases_file_restore(struct leases_file *file, struct address_pool *pool, uint64_t now_s);
/* Begins to write all pools. False: it cannot, logged. */
bool leases_file_begin(struct leases_file *file);
/* Writes some `budget` leases of pools_at(pools, ...) more. True: complete, or given up (logged). A
 * pool that comes or goes meanwhile may be missing; the next file has it. */
bool leases_file_write(
	struct leases_file *file, const struct pools *pools, uint64_t now_s, unsigned budget);

#endif
