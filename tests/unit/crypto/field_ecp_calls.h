/* The fields of ecp_ifma.c for tests, which are not compiled for its instruction set. */
#ifndef FIELD_ECP_CALLS_H
#define FIELD_ECP_CALLS_H

#include <stdint.h>

enum { FIELD_LIMBS_MAX = 8, FIELD_LANES = 8 };

enum field_operation { FIELD_ADD, FIELD_SUBTRACT, FIELD_MULTIPLY, FIELD_OPERATIONS };

typedef uint64_t field_element[FIELD_LIMBS_MAX][FIELD_LANES];

struct field_calls {
	unsigned bits, limbs;
	void (*call)(enum field_operation operation, field_element a, field_element b,
		field_element out);
};

extern const struct field_calls field_calls_256, field_calls_384;

#endif
