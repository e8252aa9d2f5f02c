#include "kernel/updown_environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct environment *e, size_t more)
{
	size_t size = e->size ? e->size : 512;
	char *text;

	if (e->failed)
		return false;
	while (size - e->len < more)
		size *= 2;
	if (size == e->size)
		return true;
	text = realloc(e->text, size);
	if (!text) {
		e->failed = true;
		return false;
	}
	e->text = text;
	e->size = size;
	return true;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && !strchr("'\"`$", c);
}

void environment_add(struct environment *e, const char *key, const char *value)
{
	size_t key_len = strlen(key), start;

	if (!make_room(e, key_len + 1 + ENVIRONMENT_VALUE_MAX + 1))
		return;
	memcpy(e->text + e->len, key, key_len);
	e->len += key_len;
	e->text[e->len++] = '=';
	start = e->len;
	for (; *value && e->len - start <= ENVIRONMENT_VALUE_MAX - 4; value++) {
		unsigned char c = (unsigned char)*value;

		if (is_plain(c))
			e->text[e->len++] = (char)c;
		else
			e->len += (size_t)sprintf(e->text + e->len, "\\%03o", c);
	}
	e->text[e->len++] = '\0';
}

void environment_addf(struct environment *e, const char *key, const char *format, ...)
{
	char value[512];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	environment_add(e, key, value);
}
