/* X25519 (RFC 7748) in eight lanes by AVX-512 IFMA. Private to this room. */
#ifndef CRYPTO_X25519_IFMA_H
#define CRYPTO_X25519_IFMA_H

#include <stddef.h>
#include <stdint.h>

enum { X25519_LEN = 32, X25519_LANES = 8 };

struct x25519_lane {
	const uint8_t *scalar; /* clamped on the way in */
	const uint8_t *point;  /* any 32 bytes */
	uint8_t *result; /* all zero when the point is of small order; may be `scalar` or `point` */
};

/* Both take the same time for all scalars and points of the same count (up to X25519_LANES), and
 * leave nothing secret in registers or on the stack. Only on CPUs with AVX-512 F, DQ and IFMA.
 * The first writes scalar * point into each lane's result, ... */
void x25519_ifma_multiply(const struct x25519_lane *lanes, size_t count);
/* ... the second scalar * 9, by a table of multiples, some times as fast; `point` is not read. */
void x25519_ifma_multiply_base(const struct x25519_lane *lanes, size_t count);

#endif
