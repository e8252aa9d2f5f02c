#include "field25519_calls.h"

#include "field25519_ifma.h"

static struct fe load(uint64_t from[FIELD_LIMBS][FIELD_LANES])
{
	struct fe a;

	for (int i = 0; i < FIELD_LIMBS; i++)
		a.v[i] = _mm512_loadu_si512(from[i]);
	return a;
}

static void store(const struct fe *a, uint64_t to[FIELD_LIMBS][FIELD_LANES])
{
	for (int i = 0; i < FIELD_LIMBS; i++)
		_mm512_storeu_si512(to[i], a->v[i]);
}

static struct fe run(enum field_operation operation, const struct fe *a, const struct fe *b)
{
	switch (operation) {
	case FIELD_ADD:
		return fe_add(a, b);
	case FIELD_SUBTRACT:
		return fe_subtract(a, b);
	case FIELD_MULTIPLY:
		return fe_multiply(a, b);
	case FIELD_SQUARE:
		return fe_square(a);
	case FIELD_ADD_TIMES:
		return fe_add_times(a, b, 121665);
	case FIELD_INVERT:
	default:
		return fe_invert(a);
	}
}

void field_call(enum field_operation operation, uint64_t a[FIELD_LIMBS][FIELD_LANES],
	uint64_t b[FIELD_LIMBS][FIELD_LANES], uint64_t out[FIELD_LIMBS][FIELD_LANES])
{
	struct fe x = load(a), y = load(b), result = run(operation, &x, &y);

	store(&result, out);
}

void field_call_pack(uint64_t a[FIELD_LIMBS][FIELD_LANES], uint64_t words[FIELD_WORDS][FIELD_LANES])
{
	struct fe x = load(a);
	__m512i w[FIELD_WORDS];

	fe_pack(&x, w);
	for (int i = 0; i < FIELD_WORDS; i++)
		_mm512_storeu_si512(words[i], w[i]);
}

void field_call_unpack(
	uint64_t words[FIELD_WORDS][FIELD_LANES], uint64_t out[FIELD_LIMBS][FIELD_LANES])
{
	__m512i w[FIELD_WORDS];
	struct fe x;

	for (int i = 0; i < FIELD_WORDS; i++)
		w[i] = _mm512_loadu_si512(words[i]);
	x = fe_unpack(w);
	store(&x, out);
}
