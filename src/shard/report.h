/* Reports over all IKE SAs: one shard after the other, chunk by chunk at the client's pace. */
#ifndef SHARD_REPORT_H
#define SHARD_REPORT_H

#include "report_text.h"
#include "sa_window.h"

struct shard;
struct shard_set;
struct report;

struct report_mail {
	struct mail mail;
	struct report *report;
};

/* Owned by the control thread; between `go` and the chunk that answers it, the shard `current`
 * reads it and writes the atomic members. */
struct report {
	struct report *next;
	ike_watcher watcher;
	shard_visit *visit;
	bool want_counters;
	void *arg;
	unsigned current; /* atomic: whose turn it is */
	bool asked;       /* atomic: a chunk is being made */
	bool finished;    /* atomic: no shard will touch it any more, but for a cancel under way */
	bool cancel_done; /* atomic */
	bool cancelled;   /* control thread's */
	struct report_mail go, cancel;
};

/* One shard's work on a report. */
struct report_run {
	struct report_run *next;
	struct report *report;
	uint32_t id; /* 24 bits, in the tokens of queries */
	struct ike_walk walk;
	bool walk_over;
	bool running; /* else waits for the client */
	bool gathering; /* waits for the kernel to have told all counters */
	struct report_text text;
	struct sa_window window;
};

/* ---- on the shard ---- */
void shard_take_report_go(struct shard *shard, struct mail *mail);
void shard_take_report_cancel(struct shard *shard, struct mail *mail);
/* A bounded piece of work on each report that can go on; each time around the loop. */
void shard_step_reports(struct shard *shard);
/* The answer to a query whose token is a window's. */
void shard_report_answer(struct shard *shard, const struct ipsec_answer *answer);
/* One of all counters that were asked for at once. */
void shard_report_counters(struct shard *shard, uint64_t token, const struct ipsec_counted *counted);
/* Forgets all; before the engine goes. */
void shard_drop_reports(struct shard *shard);
/* ---- on the control thread, when all shards have ended ---- */
void shard_set_free_reports(struct shard_set *set);

#endif
