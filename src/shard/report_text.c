#include "report_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct report_text *text, size_t len)
{
	if (text->size - text->len > len) {
		return true;
	}
	size_t size = text->size == 0 ? 4096 : text->size;
	while (size - text->len <= len) {
		size *= 2;
	}
	char *data = size <= REPORT_TEXT_MAX ? realloc(text->data, size) : NULL;
	if (data == NULL) {
		text->cut = true;
		return false;
	}
	text->data = data;
	text->size = size;
	return true;
}

void report_printf(struct report_text *text, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len <= 0 || !make_room(text, (size_t)len)) {
		return;
	}
	va_start(args, format);
	vsnprintf(text->data + text->len, (size_t)len + 1, format, args);
	va_end(args);
	text->len += (size_t)len;
}

/* How much of the text goes into one chunk. */
static size_t chunk_len(const struct report_text *text)
{
	if (text->len <= REPORT_CHUNK_MAX) {
		return text->len;
	}
	const char *end = memrchr(text->data, '\n', REPORT_CHUNK_MAX);
	return end != NULL ? (size_t)(end - text->data) + 1 : REPORT_CHUNK_MAX;
}

struct shard_mail *report_text_take(struct report_text *text)
{
	size_t len = chunk_len(text);
	struct shard_mail *m = calloc(1, sizeof *m + len + 1);
	if (m == NULL) {
		return NULL;
	}
	m->mail.kind = SHARD_MAIL_CHUNK;
	m->len = len;
	if (len > 0) {
		memcpy(m->text, text->data, len);
		text->len -= len;
		memmove(text->data, text->data + len, text->len);
	}
	return m;
}

void report_text_free(struct report_text *text)
{
	free(text->data);
	*text = (struct report_text){0};
}
