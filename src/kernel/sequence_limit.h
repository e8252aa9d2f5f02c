/* Without ESN the sequence number ends at 2^32 (RFC 4303, section 2.2): well before that a new SA
 * is wanted. Private to the room. */
#ifndef KERNEL_SEQUENCE_LIMIT_H
#define KERNEL_SEQUENCE_LIMIT_H

#include <stdint.h>

#define SEQUENCE_SOFT 0xf0000000u /* packets */
#define SEQUENCE_HARD 0xffffffffu

/* `configured` 0: none. */
static inline uint64_t limit_at_most(uint64_t configured, uint64_t at_most)
{
	return configured && configured < at_most ? configured : at_most;
}

#endif
