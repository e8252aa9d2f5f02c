/* Variables for a script: "KEY=value" and NUL, in turn. A value reaches the script by execve and no
 * other way; a peer may have chosen it, and scripts are not always careful, so what a shell or a
 * terminal might take for more than text (control and non-ASCII bytes, ' " ` and $) is written
 * as \ooo; identities bring their own backslashes, which stay. Any thread, one at a time. */
#ifndef KERNEL_UPDOWN_ENVIRONMENT_H
#define KERNEL_UPDOWN_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#define ENVIRONMENT_VALUE_MAX 4096 /* bytes of one value as written; more is cut */

struct environment {
	char *text; /* malloc'ed; the caller's to free */
	size_t len, size;
	bool failed; /* out of memory: incomplete */
};

void environment_add(struct environment *e, const char *key, const char *value);
void environment_addf(struct environment *e, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
