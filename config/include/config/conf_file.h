/* The reader of ipsec.conf's syntax: sections and parameters. (What a keyword means is not decided
 * here.)
 *
 * The parameters of a conn are complete: what also= and the "conn %default" sections before it
 * bring is in them, %default itself, also= and x-comments are not. A value stands without its
 * quotes or braces; "{a b}" gives "a b". An empty line does not end a section, the next line in the
 * first column does. */
#ifndef CONFIG_CONF_FILE_H
#define CONFIG_CONF_FILE_H

#include "config/keyvalue.h"

struct conf_section {
	char *name; /* of a conn; NULL: config setup */
	const char *file;
	unsigned line;
	struct keyvalues parameters;
	struct conf_origin { /* of parameters.items[i]: for messages */
		const char *file;
		unsigned line;
	} * origins;
};

struct conf_file {
	struct conf_section setup; /* all "config setup" sections in one; line 0: there is none */
	size_t conn_count;
	struct conf_section *conns; /* in the order of the file */
	size_t file_count;
	char **files; /* names that the sections point to */
};

/* False with "FILE:LINE: reason". Warnings (a duplicate keyword) go to `warn`, as "FILE:LINE:
 * text". Any thread; reads files, so it may block. */
bool conf_file_read(const char *path, struct conf_file *out,
	void (*warn)(const char *text, void *arg), void *arg, char *error, size_t error_size);
void conf_file_release(struct conf_file *conf);

/* Values: each false when the text is not one; `out` is untouched then. */
bool conf_bool(const char *text, bool *out);
/* "90", "1.5h"; a number without a unit counts in units of default_unit_ms. Rounded up to a whole
 * millisecond. */
bool conf_duration_ms(const char *text, unsigned default_unit_ms, unsigned long long *ms);
bool conf_count(const char *text, unsigned long long *out); /* with Ki..Ei */
bool conf_bytes(const char *text, unsigned long long *out); /* with KiB..EiB */
bool conf_percent(const char *text, unsigned *out);         /* "100%"; "100" is taken too */

#endif
