/* The reader of ipsec.conf's syntax: sections and parameters. (What a keyword means is not decided here.) */
#ifndef CONFIG_CONF_FILE_H
#define CONFIG_CONF_FILE_H

#include "config/keyvalue.h"

struct conf_section {
	char *name;                 /* of a conn; NULL: config setup */
	const char *file;
	unsigned line;
	struct keyvalues parameters;
};

struct conf_file {
	struct conf_section setup;
	size_t conn_count;
	struct conf_section *conns;
};

/* False with "FILE:LINE: reason". Warnings (a duplicate keyword) go to `warn`. */
bool conf_file_read(const char *path, struct conf_file *out,
	void (*warn)(const char *text, void *arg), void *arg, char *error, size_t error_size);
void conf_file_release(struct conf_file *conf);

/* Values: each false when the text is not one. */
bool conf_bool(const char *text, bool *out);
bool conf_duration_ms(const char *text, unsigned default_unit_ms, unsigned long long *ms);
bool conf_count(const char *text, unsigned long long *out); /* with Ki..Ei */
bool conf_bytes(const char *text, unsigned long long *out); /* with KiB..EiB */
bool conf_percent(const char *text, unsigned *out);

#endif
