/* CPIs of IPComp (RFC 3173, section 3.3): there are few, so that each must be given back. Any
 * thread. Private to the room. */
#ifndef KERNEL_CPI_SET_H
#define KERNEL_CPI_SET_H

#include <stdbool.h>
#include <stdint.h>

/* Those that are negotiated: the ones below are well known or reserved, the ones above private. */
#define CPI_FIRST 256u
#define CPI_LAST  61439u

struct cpi_set {
	uint32_t next;                  /* atomic; counts on, so that none comes again soon */
	uint64_t taken[(1 << 16) / 64]; /* atomic; a bit each */
};

/* 0: all are taken. */
static inline uint16_t cpi_set_take(struct cpi_set *s)
{
	for (uint32_t i = 0; i <= CPI_LAST - CPI_FIRST; i++) {
		uint32_t n = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
		uint32_t cpi = CPI_FIRST + n % (CPI_LAST - CPI_FIRST + 1);
		uint64_t bit = 1ull << cpi % 64;

		if (!(__atomic_fetch_or(&s->taken[cpi / 64], bit, __ATOMIC_ACQUIRE) & bit))
			return (uint16_t)cpi;
	}
	return 0;
}

static inline void cpi_set_give_back(struct cpi_set *s, uint16_t cpi)
{
	__atomic_fetch_and(&s->taken[cpi / 64], ~(1ull << cpi % 64), __ATOMIC_RELEASE);
}

#endif
