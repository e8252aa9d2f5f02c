/* Shards: pinned threads that each host an IKE engine with its sockets, timers, kernel channel, log
 * and counters. The control thread talks to them by mail and never shares their data. */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "base/mailbox.h"
#include "crypto/job.h"
#include "crypto/key_stock.h"
#include "ike/engine.h"
#include "kernel/kernel.h"
#include "kernel/updown.h"

struct shard_set;

/* Reqids that the shards give to instances of templates start here; a connection's own must be
 * smaller. */
#define SHARD_REQID_FIRST 0x80000000u

enum ddos_mode { DDOS_AUTO, DDOS_BUSY, DDOS_UNLIMITED };

struct shard_config {
	unsigned shards; /* 0: decided by hwloc */
	int nhelpers;    /* crypto workers; -1: decided by hwloc; 0: inline */
	/* Ephemeral key pairs made ahead, a group and a thread that does public-key work, at most
	 * KEY_STOCK_SIZE_MAX; 0: none. */
	unsigned keys_ahead;
	struct kernel *kernel;
	struct catalogue *catalogue;
	struct secret_vault *secrets;
	struct credentials *credentials; /* NULL: no certificates; outlives the shards */
	struct updown *updown; /* NULL: neither scripts nor routes; outlives the shards */
	bool updown_routes;    /* it makes routes where there is no script */
	uint16_t ike_port, nat_port; /* 0 for nat_port: none */
	uint16_t fragment_datagram;  /* see ike/engine.h */
	uint32_t keep_alive_s;
	uint32_t shunt_life_s; /* see ike/engine.h */
	bool unique_ids;
	bool steering;            /* false: no BPF, everything by hand-over (tests) */
	bool pin;                 /* false: do not pin (tests) */
	enum ddos_mode ddos_mode; /* changed later by shard_set_ddos_mode */
	/* Daemon-wide half-open IKE SAs as responder: from so many on a cookie is asked for, or
	 * nothing new is begun. A shard that does not keep up asks from a part of it on. */
	uint64_t ddos_threshold, max_half_open; /* 0 for max_half_open: no limit */
	size_t socket_buffer;                   /* 0: the kernel's default */
	struct mailbox *
		control; /* the control thread's: all mail below of kind SHARD_MAIL_* comes there */
};

/* ---- mail to the control thread: each is malloc'ed, the receiver frees it by shard_mail_free --
 */
enum shard_mail_kind {
	SHARD_MAIL_LINE = 0x100, /* a line for a watcher */
	SHARD_MAIL_RELEASE,      /* a watcher's wait is over */
	SHARD_MAIL_DONE, /* all shards have finished a command; once a command, behind all its lines
			  */
	SHARD_MAIL_CHUNK, /* text of a report; ask for more by shard_report_continue */
};
struct shard_mail {
	struct mail mail;
	ike_watcher watcher;
	unsigned shard;
	enum ike_rc code; /* LINE */
	unsigned count;   /* DONE: how many SAs were met, by all shards together */
	bool last;        /* DONE: always; CHUNK: this shard's report is complete */
	size_t len;
	char text[];
};
void shard_mail_free(struct shard_mail *mail);

struct shard_set *shard_set_start(
	const struct shard_config *config, char *error, size_t error_size);
/* Stops the threads at once (no deletes are sent; see shard_set_shutdown). */
void shard_set_stop(struct shard_set *set);
unsigned shard_set_count(const struct shard_set *set);
/* One line a thread for the log: "shard 0 on core 2, crypto worker 0 on core 3 ...". False past the
 * end. */
bool shard_set_placement(const struct shard_set *set, unsigned i, char *out, size_t size);

/* ---- control thread only --------------------------------------------------- */
struct listen_address {
	struct ip_address address;
	char interface[16];
};
/* Binds every shard's sockets on these addresses (port ike_port and nat_port), replaces the former
 * set: sockets whose address stays are kept. With count 0: closes all (--unlisten). Reports what
 * failed per address in `error`, the rest is bound; returns how many addresses are bound. */
size_t shard_set_listen(struct shard_set *set, const struct listen_address *addresses, size_t count,
	char *error, size_t error_size);
void shard_set_ddos_mode(struct shard_set *set, enum ddos_mode mode);
/* Has a shard initiate: a template's peers in turn by one after the other, any other connection
 * always by the one that acquires of its reqid come to. Takes its own reference. */
void shard_set_initiate(struct shard_set *set, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher);
/* The same for a connection that may share the IKE SA of others: the shard that has one does it,
 * else one that is the same for all of the group (a number of the caller's). */
void shard_set_initiate_shared(
	struct shard_set *set, struct connection *c, uint64_t group, ike_watcher watcher);
/* On the shard that acquires of its reqid come to, which releases the watcher. */
void shard_set_route(struct shard_set *set, struct connection *c, ike_watcher watcher);
/* On every shard; one SHARD_MAIL_DONE. `trap_only`: see ike_engine_unroute. */
void shard_set_unroute(
	struct shard_set *set, struct connection *c, bool trap_only, ike_watcher watcher);
/* On every shard; one SHARD_MAIL_DONE. */
void shard_set_terminate(
	struct shard_set *set, struct connection *c, bool unroute, ike_watcher watcher);
void shard_set_rekey(
	struct shard_set *set, struct connection *c, enum ike_sa_kind kind, ike_watcher watcher);
/* `unwant`: it is no longer kept up. */
void shard_set_delete(struct shard_set *set, struct connection *c, enum ike_sa_kind kind,
	bool unwant, ike_watcher watcher);
void shard_set_delete_serial(struct shard_set *set, uint64_t serial, ike_watcher watcher);
/* Deletes all SAs everywhere; DONE when all peers have answered or `patience_ms` is over. Nothing
 * new is begun from then on. */
void shard_set_shutdown(struct shard_set *set, unsigned patience_ms, ike_watcher watcher);

/* A report over all SAs, one at a time a watcher: `visit` runs on the shards' threads, once per IKE
 * SA, and appends text. Child SA counters (where `want_counters`) are fetched before:
 * counters[2*i], [2*i+1] are in and out of the view's i-th child. A shard hands in chunks of
 * bounded size and waits for shard_report_continue before the next, so that a client that does not
 * read costs one chunk. Shards report one after the other, in order: continue after each chunk but
 * the last one, which is `last` and from shard shard_set_count - 1. A chunk has at most 32 KiB,
 * whole lines where they are shorter than that, and may be empty. */
struct report_text; /* append with report_printf */
void report_printf(struct report_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
typedef void shard_visit(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg);
/* `arg` must live until the last chunk, or until shard_report_cancel has been answered by DONE
 * (always one, behind any chunk that was under way). */
void shard_report_start(struct shard_set *set, ike_watcher watcher, shard_visit *visit,
	bool want_counters, void *arg);
void shard_report_continue(struct shard_set *set, ike_watcher watcher);
void shard_report_cancel(struct shard_set *set, ike_watcher watcher);

/* ---- any thread -------------------------------------------------------------- */
/* Sum over the shards of an engine counter (ike/counters.h). */
uint64_t shard_set_counter(const struct shard_set *set, size_t i);
struct shard_stats {
	uint64_t ike_sas; /* held now, any state */
	uint64_t half_open;
	bool asks_cookies; /* in DDOS_AUTO, because it does not keep up; whatever the threshold */
	uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
	uint64_t handed_over; /* datagrams that landed on another shard's socket and were passed on
			       */
	uint64_t handed_in;   /* ... and were taken in here */
	uint64_t hand_over_lost; /* the owner's mailbox was full */
	uint64_t shed; /* strangers' requests, dropped because a socket's buffer was nearly full */
	uint64_t not_ike;     /* datagrams on the NAT-T port without the marker: ESP, keepalives */
	uint64_t send_errors; /* datagrams that could not be sent */
	uint64_t lines_lost;  /* lines for watchers: the control thread did not keep up */
	uint64_t news_lost;   /* news for other shards (uniqueids) */
	uint64_t mailbox_depth, mailbox_refused, wakeups;
	uint64_t timers;
	uint64_t kernel_pending;
	uint64_t cpu_ns; /* of the shard's thread */
	struct ike_memory memory;
};
bool shard_set_stats(const struct shard_set *set, unsigned shard, struct shard_stats *out);
struct crypto_pool_stats shard_set_crypto_stats(const struct shard_set *set);
/* Of the i-th group (key_stock_group), all threads together. */
void shard_set_key_stats(
	const struct shard_set *set, struct key_stock_stats stats[KEY_STOCK_GROUPS_MAX]);

#endif
