#include "field_ecp_calls.h"

#include "field_ecp_ifma.h"

static struct fe load(field_element from)
{
	struct fe a;

	for (int i = 0; i < FE_LIMBS; i++)
		a.v[i] = _mm512_loadu_si512(from[i]);
	return a;
}

static struct fe run(enum field_operation operation, const struct fe *a, const struct fe *b)
{
	switch (operation) {
	case FIELD_ADD:
		return fe_add(a, b);
	case FIELD_SUBTRACT:
		return fe_subtract(a, b);
	case FIELD_MULTIPLY:
	default:
		return fe_multiply(a, b);
	}
}

static void call(
	enum field_operation operation, field_element a, field_element b, field_element out)
{
	struct fe x = load(a), y = load(b), result;

	fe_make_multiples_of_p();
	result = run(operation, &x, &y);
	for (int i = 0; i < FE_LIMBS; i++)
		_mm512_storeu_si512(out[i], result.v[i]);
}

#if ECP_BITS == 256
const struct field_calls field_calls_256 = {ECP_BITS, FE_LIMBS, call};
#else
const struct field_calls field_calls_384 = {ECP_BITS, FE_LIMBS, call};
#endif
