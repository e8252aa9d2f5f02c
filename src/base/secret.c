#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

bool secret_new(struct secret *s, size_t len)
{
	*s = (struct secret){0};
	if (len == 0)
		return true;
	s->data = calloc(1, len);
	if (!s->data)
		return false;
	s->len = len;
	return true;
}

bool secret_copy(struct secret *s, struct bytes from)
{
	if (!secret_new(s, from.len))
		return false;
	if (from.len > 0)
		memcpy(s->data, from.data, from.len);
	return true;
}

void secret_release(struct secret *s)
{
	secret_wipe(s->data, s->len);
	free(s->data);
	*s = (struct secret){0};
}

void secret_wipe(void *data, size_t len)
{
	if (len > 0)
		explicit_bzero(data, len);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	/* volatile: the compiler must not learn that the loop could end early. */
	const volatile uint8_t *x = a, *y = b;
	volatile uint8_t differs = 0;

	for (size_t i = 0; i < len; i++)
		differs |= x[i] ^ y[i];
	return differs == 0;
}
