/* Putting a line together in a buffer of fixed size: what does not fit is cut. */
#ifndef PLUTO_LINE_H
#define PLUTO_LINE_H

#include <stddef.h>

struct line {
	char *text;
	size_t size, len;
};

struct line line_of(char *text, size_t size);
void line_add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends it by a newline, even if it was cut. */
void line_end(struct line *line);

#endif
