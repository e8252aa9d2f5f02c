/* SPIs that nobody can foretell and that never come twice within 2^32: for backends whose SPIs are
 * any numbers. Any thread. Private to the room. */
#ifndef KERNEL_SPI_SEQUENCE_H
#define KERNEL_SPI_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/random.h>

struct spi_sequence {
	uint32_t count; /* atomic */
	uint32_t random;
};

/* False with errno. */
static inline bool spi_sequence_init(struct spi_sequence *s)
{
	uint32_t seed[2];

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return false;
	*s = (struct spi_sequence){seed[0], seed[1]};
	return true;
}

/* A bijection of 32 bits, so that distinct counts give distinct SPIs in no visible order. */
static inline uint32_t spi_mix(uint32_t v)
{
	v ^= v >> 16;
	v *= 0x7feb352du;
	v ^= v >> 15;
	v *= 0x846ca68bu;
	return v ^ (v >> 16);
}

static inline uint32_t spi_sequence_next(struct spi_sequence *s)
{
	for (;;) {
		uint32_t count = __atomic_fetch_add(&s->count, 1, __ATOMIC_RELAXED);
		uint32_t spi = spi_mix(count) ^ s->random;

		if (spi >= 256) /* RFC 4303, section 2.1: 1..255 are reserved, 0 is local use */
			return spi;
	}
}

#endif
