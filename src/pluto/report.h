/* Reports: pieces of text made as fast as the client reads, here from the catalogue and on the
 * shards' threads from their SAs. */
#ifndef PLUTO_REPORT_H
#define PLUTO_REPORT_H

#include "shard/shard.h"

struct pluto;
struct client;
struct report;
struct sa_index;

enum step_result {
	STEP_MORE, /* has written some; call again when there is room */
	STEP_WAIT, /* the shards have the word */
	STEP_DONE
};
typedef enum step_result report_step(struct report *report);

/* Read by the shards' threads while they report: not changed once the report has started. */
struct report_filter {
	char *name; /* of a connection; NULL: all */
	uint64_t now_s;
};

struct report {
	struct pluto *pluto;
	struct client *client;
	report_step *const *steps; /* NULL ends */
	struct report_filter filter;
	uint64_t after;  /* position in the catalogue: the last serial shown */
	size_t alias_at; /* or among the connections of an alias */
	size_t loaded, active, routed;
	struct sa_index *sas; /* filled by report_gather_sas */
	enum { WALK_IDLE, WALK_RUNNING, WALK_READY, WALK_DONE } walk;
	bool cancelled;
	void (*take)(struct report *report, const char *text,
		size_t len); /* chunk text; NULL: to the client */
};

/* Becomes the client's; the text comes by and by. `name` NULL: about everything. False when memory
 * is out. */
bool report_start(struct client *client, report_step *const *steps, const char *name);
void report_free(struct report *report);
/* Goes on until the client has enough or the shards have the word. True: complete. */
bool report_pump(struct report *report);
/* True: it may be freed now; else when report_chunk or report_stopped say so. */
bool report_cancel(struct report *report);
/* Both: true when a cancelled report may now be freed. */
bool report_chunk(struct report *report, const struct shard_mail *mail);
bool report_stopped(struct report *report, const struct shard_mail *mail);

/* For steps. */
void report_text_line(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A step that is a walk over the SAs of all shards: its whole body. */
enum step_result report_walk(struct report *report, shard_visit *visit, bool want_counters);
/* A step: learns for every connection which SAs it has (sa_index.h). */
report_step report_gather_sas;

#endif
