/* Sets of counters, one set per thread: the owner adds without locked instructions, anybody
 * reads. A sum over all sets is exact when the owners are at rest, and never torn. A gauge is a
 * counter from which is also subtracted; only the sum over the sets has a meaning then. */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

struct counter_set {
	size_t count;
	uint64_t *cells; /* on cache lines of their own */
};

/* Zeroed; cells is NULL when memory is out. */
struct counter_set counter_set_new(size_t count);
void counter_set_free(struct counter_set *set);

/* Owner only. */
static inline void counter_add(struct counter_set *set, size_t i, uint64_t n)
{
	uint64_t v = __atomic_load_n(&set->cells[i], __ATOMIC_RELAXED);
	__atomic_store_n(&set->cells[i], v + n, __ATOMIC_RELAXED);
}
static inline void counter_sub(struct counter_set *set, size_t i, uint64_t n)
{
	counter_add(set, i, 0 - n);
}
/* Any thread. */
static inline uint64_t counter_read(const struct counter_set *set, size_t i)
{
	return __atomic_load_n(&set->cells[i], __ATOMIC_RELAXED);
}

#endif
