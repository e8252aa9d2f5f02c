#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "sanitizer.h"

#define SLAB_MIN_BYTES   ((size_t)64 << 10)
#define SLAB_MIN_OBJECTS 8
#define ALIGNMENT        16

/* The first word of an object that is not in use. */
struct free_object {
	struct free_object *next;
};

/* Slabs are aligned to their size, so that an object's address leads to its slab. */
struct slab {
	struct slab_pool *pool;
	struct slab *next, **link; /* in one of the pool's lists */
	struct free_object *free;
	uint32_t in_use;
	uint32_t carved; /* objects that were ever handed out; memory behind them is untouched */
};

#define SLAB_HEADER 64
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "a slab's header outgrew its place");

struct slab_pool {
	const char *name;
	size_t object_size; /* as asked for */
	size_t stride;
	size_t slab_bytes;
	uint32_t per_slab;
	uint64_t in_use, slabs;
	struct slab *full, *partial, *empty; /* at most one is kept empty */
};

struct slab_pool *slab_pool_new(const char *name, size_t object_size)
{
	struct slab_pool *pool;
	size_t stride, bytes = SLAB_MIN_BYTES;

	if (object_size > SIZE_MAX / 64)
		return NULL;
	if (object_size == 0)
		object_size = 1;
	stride = (object_size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	while (bytes < SLAB_HEADER + SLAB_MIN_OBJECTS * stride)
		bytes *= 2;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pool->name = name;
	pool->object_size = object_size;
	pool->stride = stride;
	pool->slab_bytes = bytes;
	pool->per_slab = (uint32_t)((bytes - SLAB_HEADER) / stride);
	return pool;
}

static void slab_link(struct slab **list, struct slab *slab)
{
	slab->next = *list;
	slab->link = list;
	if (slab->next)
		slab->next->link = &slab->next;
	*list = slab;
}

static void slab_unlink(struct slab *slab)
{
	*slab->link = slab->next;
	if (slab->next)
		slab->next->link = slab->link;
}

static uint8_t *object_at(const struct slab_pool *pool, struct slab *slab, uint32_t i)
{
	return (uint8_t *)slab + SLAB_HEADER + i * pool->stride;
}

static struct slab *slab_new(struct slab_pool *pool)
{
	struct slab *slab = aligned_alloc(pool->slab_bytes, pool->slab_bytes);

	if (!slab)
		return NULL;
	*slab = (struct slab){.pool = pool};
	ASAN_POISON_MEMORY_REGION(object_at(pool, slab, 0), pool->slab_bytes - SLAB_HEADER);
	pool->slabs++;
	return slab;
}

static void slab_release(struct slab_pool *pool, struct slab *slab)
{
	ASAN_UNPOISON_MEMORY_REGION(object_at(pool, slab, 0), pool->slab_bytes - SLAB_HEADER);
	free(slab);
	pool->slabs--;
}

static void slab_list_release(struct slab_pool *pool, struct slab *slab)
{
	while (slab) {
		struct slab *next = slab->next;

		ASAN_UNPOISON_MEMORY_REGION(object_at(pool, slab, 0), slab->carved * pool->stride);
		secret_wipe(object_at(pool, slab, 0), slab->carved * pool->stride);
		slab_release(pool, slab);
		slab = next;
	}
}

void slab_pool_free(struct slab_pool *pool)
{
	if (!pool)
		return;
	slab_list_release(pool, pool->full);
	slab_list_release(pool, pool->partial);
	slab_list_release(pool, pool->empty);
	free(pool);
}

/* A slab with room, which is then in the list of partial ones. */
static struct slab *slab_with_room(struct slab_pool *pool)
{
	struct slab *slab = pool->partial;

	if (slab)
		return slab;
	slab = pool->empty;
	if (slab)
		slab_unlink(slab);
	else
		slab = slab_new(pool);
	if (slab)
		slab_link(&pool->partial, slab);
	return slab;
}

/* An object out of a slab that has room; the caller counts it. */
static void *slab_take(struct slab_pool *pool, struct slab *slab)
{
	void *object = slab->free;

	if (object) {
		ASAN_UNPOISON_MEMORY_REGION(object, pool->stride);
		slab->free = slab->free->next;
		/* The rest was wiped when it was released. */
		memset(object, 0, sizeof(struct free_object));
	} else {
		object = object_at(pool, slab, slab->carved++);
		ASAN_UNPOISON_MEMORY_REGION(object, pool->stride);
		memset(object, 0, pool->stride);
	}
	ASAN_POISON_MEMORY_REGION(object, pool->stride);
	ASAN_UNPOISON_MEMORY_REGION(object, pool->object_size);
	return object;
}

void *slab_alloc(struct slab_pool *pool)
{
	struct slab *slab = slab_with_room(pool);
	void *object;

	if (!slab)
		return NULL;
	object = slab_take(pool, slab);
	slab->in_use++;
	pool->in_use++;
	if (slab->in_use == pool->per_slab) {
		slab_unlink(slab);
		slab_link(&pool->full, slab);
	}
	return object;
}

/* Where a slab belongs that has one object less than before. */
static void slab_resettle(struct slab_pool *pool, struct slab *slab)
{
	if (slab->in_use > 0 && slab->in_use < pool->per_slab - 1)
		return;
	slab_unlink(slab);
	if (slab->in_use > 0)
		slab_link(&pool->partial, slab);
	else if (!pool->empty)
		slab_link(&pool->empty, slab);
	else
		slab_release(pool, slab);
}

void slab_free(struct slab_pool *pool, void *object)
{
	struct slab *slab;
	struct free_object *released = object;

	if (!object)
		return;
	slab = (struct slab *)((uintptr_t)object & ~(uintptr_t)(pool->slab_bytes - 1));
	assert(slab->pool == pool && slab->in_use > 0);
	assert(!ASAN_POISONED(object)); /* released twice */
	ASAN_UNPOISON_MEMORY_REGION(object, pool->stride);
	secret_wipe(object, pool->stride);
	released->next = slab->free;
	slab->free = released;
	ASAN_POISON_MEMORY_REGION(object, pool->stride);
	slab->in_use--;
	pool->in_use--;
	slab_resettle(pool, slab);
}

struct slab_stats slab_pool_stats(const struct slab_pool *pool)
{
	return (struct slab_stats){
		.name = pool->name,
		.object_size = pool->object_size,
		.in_use = pool->in_use,
		.capacity = pool->slabs * pool->per_slab,
		.bytes = sizeof(*pool) + pool->slabs * pool->slab_bytes,
	};
}
