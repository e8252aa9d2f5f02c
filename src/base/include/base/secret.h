/* Memory that is wiped when it is released, and comparison in constant time.
 * Any thread; a secret has one owner at a time. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/bytes.h"

struct secret {
	uint8_t *data;
	size_t len;
};

/* Zeroed memory of `len` bytes (0: an empty secret); false (and an empty secret) when there is
 * none. `s` is overwritten: what it held before must have been released. */
bool secret_new(struct secret *s, size_t len);
bool secret_copy(struct secret *s, struct bytes from);
/* Wipes and frees; the secret is empty afterwards. Harmless on an empty one. */
void secret_release(struct secret *s);
static inline struct bytes secret_bytes(const struct secret *s)
{
	return bytes_of(s->data, s->len);
}

/* Never removed by the optimizer. */
void secret_wipe(void *data, size_t len);
/* Time depends on `len` only. */
bool secret_equal(const void *a, const void *b, size_t len);

#endif
