/* Pools of objects of one size, for one owner thread: no locks, no per-object header, and the
 * memory of released objects is wiped (they hold keys) and used again. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab_pool;

struct slab_stats {
	const char *name;
	size_t object_size;
	uint64_t in_use, capacity; /* objects */
	uint64_t bytes;            /* held from the system */
};

/* `name` is kept by reference. NULL when memory is out. */
struct slab_pool *slab_pool_new(const char *name, size_t object_size);
/* All objects go with it, wiped. */
void slab_pool_free(struct slab_pool *pool);
/* Zeroed, aligned to 16; NULL when memory is out. */
void *slab_alloc(struct slab_pool *pool);
/* NULL is allowed. Wholly empty slabs go back to the system, but for one kept in hand. */
void slab_free(struct slab_pool *pool, void *object);
struct slab_stats slab_pool_stats(const struct slab_pool *pool);

#endif
