/* Commands of the control thread, carried out by one shard or by all. */
#ifndef SHARD_COMMAND_H
#define SHARD_COMMAND_H

#include "shard/shard.h"

struct shard;

enum command_kind {
	COMMAND_INITIATE,
	COMMAND_ROUTE,
	COMMAND_UNROUTE,
	COMMAND_TERMINATE,
	COMMAND_REKEY,
	COMMAND_DELETE,
	COMMAND_DELETE_SERIAL,
	COMMAND_SHUTDOWN,
	COMMAND_NOTHING, /* only its DONE is wanted */
};

struct errand;

struct command {
	struct mail mail;
	struct errand *errand;
};

/* One allocation for all the shards that have to do with it; the last one frees it. */
struct errand {
	enum command_kind kind;
	ike_watcher watcher;
	struct connection *connection; /* referenced; may be NULL */
	struct ip_address remote;
	/* COMMAND_INITIATE of a connection that might share another's IKE SA: each shard is asked
	 * for one, this one is the last, and the same for all that could share. */
	bool sharing;
	unsigned home;
	bool unroute, trap_only, unwant;
	enum ike_sa_kind sa_kind;
	uint64_t serial;
	unsigned patience_ms;
	unsigned left, count;      /* atomic */
	struct shard_mail *done;   /* goes to the control thread in the end; may be NULL */
	struct command commands[]; /* one a shard */
};

/* With mail for `shards` shards, and one DONE mail if `wants_done`. Takes a reference of `c`, which
 * may be NULL. NULL when memory is out. */
struct errand *errand_new(enum command_kind kind, unsigned shards, bool wants_done,
	ike_watcher watcher, struct connection *c);
/* On the shard. */
void shard_take_command(struct shard *shard, struct mail *mail);
/* Each time around the loop while shard->shutdown is set. */
void shard_continue_shutdown(struct shard *shard);
/* Behind all lines that the shard has for the control thread: this shard's part is done. */
void shard_finish_errand(struct shard *shard, struct errand *errand, unsigned count);
/* Of a command that no shard will take any more. */
void command_discard(struct mail *mail);

#endif
