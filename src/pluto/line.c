#include "line.h"

#include <stdarg.h>
#include <stdio.h>

struct line line_of(char *text, size_t size)
{
	text[0] = '\0';
	return (struct line){.text = text, .size = size};
}

void line_add(struct line *line, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->len, line->size - line->len, format, args);
	va_end(args);
	if (n < 0)
		return;
	line->len += (size_t)n;
	if (line->len >= line->size)
		line->len = line->size - 1;
}

void line_end(struct line *line)
{
	if (line->len + 1 >= line->size)
		line->len = line->size - 2;
	line->text[line->len++] = '\n';
	line->text[line->len] = '\0';
}
