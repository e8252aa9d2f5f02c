/* ECDH on P-256 and P-384 (RFC 5903) in eight lanes by AVX-512 IFMA. Private to this room. */
#ifndef CRYPTO_ECP_IFMA_H
#define CRYPTO_ECP_IFMA_H

#include <stddef.h>
#include <stdint.h>

enum { ECP_LANES = 8, ECP_LEN_MAX = 48 };

/* Numbers have the curve's length, most significant byte first. */
struct ecp_lane {
	const uint8_t *scalar; /* below the order, not 0 */
	const uint8_t *point;  /* x | y, each below p */
	uint8_t *x, *y;        /* the result's; `y` may be NULL; not the input's memory */
};

/* For up to ECP_LANES lanes, in the same time for all scalars of the same count; nothing secret is
 * left in registers or on the stack. Only on CPUs with AVX-512 F, DQ and IFMA. */
struct ecp_ifma {
	size_t len; /* bytes of a coordinate and of a scalar */
	uint8_t p[ECP_LEN_MAX], order[ECP_LEN_MAX], generator[2 * ECP_LEN_MAX];
	/* scalar * point; a bit set for each lane whose point is not on the curve, with results of
	 * no meaning. */
	unsigned (*multiply)(const struct ecp_lane *lanes, size_t count);
	/* scalar * generator; `point` is not read. */
	void (*multiply_base)(const struct ecp_lane *lanes, size_t count);
};

extern const struct ecp_ifma ecp_ifma_256, ecp_ifma_384;

#endif
