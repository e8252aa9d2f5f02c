/* Configuration files as lines and words: what the readers of ipsec.conf and ipsec.secrets have in
 * common. Every buffer that held a file's text is wiped. */
#ifndef CONFIG_TEXT_FILE_H
#define CONFIG_TEXT_FILE_H

#include "base/secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define TEXT_FILE_MAX    (64u << 20)  /* bytes of one file */
#define TEXT_TOTAL_MAX   (256u << 20) /* bytes of a file and all that it includes */
#define TEXT_FILES_MAX   1000000u     /* files, likewise */
#define TEXT_LINE_MAX    65536u       /* bytes of a line */
#define TEXT_INCLUDE_MAX 10           /* depth */

struct text_error {
	char *text;
	size_t size;
};

/* A file that is being read, and how it was reached. */
struct text_file {
	const struct text_file *includer; /* NULL: the first */
	const char *path;
	struct secret content; /* its first `len` bytes */
	size_t len;
	dev_t device;
	ino_t inode;
	size_t at;     /* offset of the next line */
	unsigned line; /* number of the line that was given out last, from 1 */
};

/* What one reading of a file with its includes has used up so far. */
struct text_budget {
	size_t bytes, files;
};

/* One file after the other, each given to `each`; false with a reason in `error`. */
struct text_reading {
	struct text_budget used;
	struct text_error error;
	bool (*each)(struct text_reading *reading, struct text_file *file);
	void *arg;
};

/* "FILE:LINE: reason" for the line that was given out last; always false. */
bool text_fail(struct text_reading *reading, const struct text_file *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool text_read_file(struct text_reading *reading, const char *path);
/* A file, or all files of a pattern, relative to the directory of `file`. */
bool text_include(struct text_reading *reading, const struct text_file *file, struct bytes name);

/* The next line without its end; false at the end of the file and on an error, which `failed`
 * tells. The slice is valid as long as the file is. */
bool text_next_line(
	struct text_reading *reading, struct text_file *file, struct bytes *line, bool *failed);

static inline bool text_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}
/* Letters, digits, '.', '_', '-'; of a bounded length and with a letter, digit or '_' in front. */
bool text_is_name(struct bytes word);
/* Passes blanks; false if nothing is left but a comment, which begins by a '#' behind a blank.
 * `line_start`: the place is as good as behind a blank. */
bool text_skip_blanks(struct bytes *rest, bool line_start);
/* A word as far as the next blank. */
struct bytes text_bare_word(struct bytes *rest);
/* Text up to `end`, which stands somewhere behind the first byte of `rest`; false when it does not.
 * Neither mark is a part of `out`. */
bool text_quoted(struct bytes *rest, uint8_t end, struct bytes *out);
bool text_equal(struct bytes word, const char *text); /* letters of any case */
/* NULL when memory is out. */
char *text_copy(struct bytes word);
/* Adds a copy to a growing array of names, whose owner frees them all; NULL when memory is out. */
const char *text_keep_name(char ***names, size_t *count, const char *name);

#endif
