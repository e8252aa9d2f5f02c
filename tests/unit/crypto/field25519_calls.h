/* The field of x25519_ifma.c for tests, which are not compiled for its instruction set. */
#ifndef FIELD25519_CALLS_H
#define FIELD25519_CALLS_H

#include <stdint.h>

enum { FIELD_LIMBS = 5, FIELD_WORDS = 4, FIELD_LANES = 8 };

enum field_operation {
	FIELD_ADD,
	FIELD_SUBTRACT,
	FIELD_MULTIPLY,
	FIELD_SQUARE,    /* of a */
	FIELD_ADD_TIMES, /* a + 121665 b */
	FIELD_INVERT,    /* of a */
	FIELD_OPERATIONS
};

void field_call(enum field_operation operation, uint64_t a[FIELD_LIMBS][FIELD_LANES],
	uint64_t b[FIELD_LIMBS][FIELD_LANES], uint64_t out[FIELD_LIMBS][FIELD_LANES]);
void field_call_pack(
	uint64_t a[FIELD_LIMBS][FIELD_LANES], uint64_t words[FIELD_WORDS][FIELD_LANES]);
void field_call_unpack(
	uint64_t words[FIELD_WORDS][FIELD_LANES], uint64_t out[FIELD_LIMBS][FIELD_LANES]);

#endif
