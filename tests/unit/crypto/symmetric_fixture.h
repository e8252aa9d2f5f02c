/* What the symmetric tests share: vectors as text, contexts of every kind of CPU. */
#ifndef SYMMETRIC_FIXTURE_H
#define SYMMETRIC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "context.h"

#define VECTOR_MAX 2048

struct vector {
	uint8_t data[VECTOR_MAX];
	size_t len;
};

/* "0a0b" bytes, "'text" text, "aa*80" a byte so many times. */
void vector_read(const char *text, struct vector *vector);
static inline struct bytes vector_bytes(const struct vector *vector)
{
	return bytes_of(vector->data, vector->len);
}

/* Runs the test with the widest context of this machine and with those of lesser ones. */
void for_each_context(void (*run)(struct crypto_context *context));

const struct algorithm *known(enum transform_type type, uint16_t id);
/* Repeatable: the seed is constant. */
uint32_t random_below(uint32_t limit);
void random_fill(void *data, size_t len);
/* `len` bytes cut at random into at most `max` parts, some of them empty; returns their number. */
size_t random_parts(const uint8_t *data, size_t len, struct bytes *parts, size_t max);
bool all_zero(const void *data, size_t len);

#endif
