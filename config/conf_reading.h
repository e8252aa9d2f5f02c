/* ipsec.conf between its lines and its finished sections. */
#ifndef CONFIG_CONF_READING_H
#define CONFIG_CONF_READING_H

#include "base/table.h"
#include "config/conf_file.h"
#include "text_file.h"

#define CONF_PARAMETERS_MAX 512 /* of one section; bounds what a section costs */
#define CONF_ALSO_MAX       64  /* in one section */
#define CONF_ALSO_DEPTH_MAX 32

struct also {
	char *name;
	struct conf_origin origin;
};

/* A conn as it is written. */
struct raw_conn {
	struct table_node by_name;
	struct conf_section section;
	size_t default_count; /* so many parameters of %default stood before it */
	size_t also_count;
	struct also *also;
	bool resolving, resolved;
	unsigned height; /* of the also= tree beneath, once resolved */
};

struct conf_reading {
	struct text_reading text;
	struct conf_file *out;
	void (*warn)(const char *text, void *arg);
	void *warn_arg;
	struct conf_section defaults;
	size_t conn_count, conn_room;
	struct raw_conn **conns;
	struct table *names;
	struct table_seed seed;
	/* Where the next parameter goes; NULL: no section is open. */
	struct conf_section *open;
	struct raw_conn *open_conn; /* NULL: config setup or %default */
};

/* 0, EEXIST (nothing is changed then), E2BIG or ENOMEM. */
int conf_section_set(struct conf_section *section, const char *key, const char *value,
	struct conf_origin origin);
void conf_section_release(struct conf_section *section);
struct raw_conn *conf_find_conn(const struct conf_reading *reading, const char *name);
/* "FILE:LINE: reason" for an origin; false. */
bool conf_fail_at(struct conf_reading *reading, struct conf_origin origin, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Fills in what also= and %default bring, for all conns. */
bool conf_resolve_also(struct conf_reading *reading);

#endif
