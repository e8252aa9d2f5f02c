/* What a shard and the set of all shards consist of. Each part names the thread that may touch it.
 */
#ifndef SHARD_SHARD_SET_H
#define SHARD_SHARD_SET_H

#include "backlog.h"
#include "command.h"
#include "outbox.h"
#include "placement.h"
#include "receive.h"
#include "send.h"
#include "shard/shard.h"
#include "socket.h"
#include "steering.h"
#include "tally.h"

#include <pthread.h>
#include <semaphore.h>

#define SHARDS_MAX 256
/* The mailbox is shared out by rank, so that a flood of one kind cannot shut out the kinds that
 * matter more: datagrams handed over use it up to a half, mail between shards a little more,
 * answers of jobs have their places for certain, commands wait for one. */
#define INBOX_CAPACITY     8192
#define HAND_OVER_DEPTH    (INBOX_CAPACITY / 2)
#define PEER_MAIL_DEPTH    (INBOX_CAPACITY * 5 / 8)
#define JOBS_IN_FLIGHT_MAX (INBOX_CAPACITY / 4)
#define INLINE_JOBS_MAX    512

enum inbox_kind {
	INBOX_JOB = 1,    /* struct crypto_job */
	INBOX_DATAGRAM,   /* struct handed_datagram */
	INBOX_ICMP_ERROR, /* struct handed_error */
	INBOX_NEWS, /* struct news_mail */
	INBOX_COMMAND,    /* struct command */
	INBOX_LISTEN,     /* struct listen_order */
	INBOX_REPORT_GO,  /* struct report_mail */
	INBOX_REPORT_CANCEL,
	INBOX_STOP, /* struct shard.stop */
};

struct report;
struct report_run;
struct news;

/* Jobs that wait to be run on the shard itself, where there are no workers. */
struct inline_jobs {
	struct crypto_job *first, **last;
	unsigned count;
};

/* Random bytes in stock; wiped as they are used. */
struct random_stock {
	uint8_t bytes[2048];
	size_t left;
};

/* The sum of the other shards' half-open SAs, read at most every few milliseconds. */
struct half_open_view {
	uint64_t others, read_at_ms;
};

struct shard {
	struct ike_host host; /* first: the engine hands it back */
	struct shard_set *set;
	unsigned index;
	/* Made before the thread starts, freed after it has ended; any thread. */
	struct mailbox *inbox;
	struct counter_set counters;
	struct tally tally;
	uint64_t listen_done; /* atomic: newest listen_order that was carried out */
	struct mail stop;
	/* Control thread */
	pthread_t thread;
	bool running;
	clockid_t cpu_clock;
	/* The shard's thread only, from here on */
	struct ike_engine *engine;
	struct crypto_context *crypto;
	struct kernel_channel *channel;
	struct updown_port *updown; /* NULL: none */
	struct timer_wheel *wheel;
	int epoll_fd;
	uint64_t now_ms;
	bool stopping, work_left, outboxes_empty;
	struct ike_socket **sockets; /* sorted */
	size_t socket_count;
	struct receive_batch *receive;
	struct send_queue *send;
	struct outbox control, *peers;
	struct inline_jobs inline_jobs;
	/* Keys made ahead for them, by this thread when nothing waits; made before the thread starts
	 * and freed after it has ended, since anybody reads its counters. NULL: none. */
	struct key_stock *stock;
	bool stock_due; /* look after it when the next turn finds nothing else */
	unsigned jobs_in_flight;
	struct random_stock random;
	struct half_open_view half_open;
	struct backlog backlog;
	struct news *news; /* that the other shards have not been told yet */
	uint64_t news_due_ms;
	struct report_run *reports;
	uint32_t last_report_id;
	struct errand *shutdown; /* while one is carried out */
	uint64_t shutdown_until_ms;
	bool shutdown_more;
	uint64_t memory_told_ms, tally_due_ms, error_logged_ms;
};

/* An address that is listened on. */
struct listening {
	struct listen_address address;
	bool wanted;
	struct ike_socket *
		*sockets; /* [port][shard]: 2 x shards; those of the second port may be NULL */
};

struct shard_set {
	/* Set at start, then read by any thread */
	struct shard_config config;
	struct placement *placement;
	struct steering steering;
	struct crypto_pool *pool; /* NULL: jobs are run inline */
	/* One helper thread: NSS may block, and knows one certificate of a serial number at a time.
	 * NULL: there are no certificates. */
	struct crypto_pool *validation;
	uint8_t cookie_secret[32];
	size_t half_open_cells[2];
	struct shard **shards;
	unsigned count;
	/* Atomic */
	uint64_t last_serial;
	uint32_t reqids_given;
	int ddos_mode;
	/* Start-up */
	sem_t ready;
	bool start_ok;
	char start_error[256];
	/* Control thread only */
	unsigned next_initiator;
	struct listening *listening;
	size_t listening_count;
	uint64_t listen_orders;
	struct report *reports;
};

static inline struct shard *shard_of_host(struct ike_host *host)
{
	return (struct shard *)host;
}

/* CLOCK_MONOTONIC */
uint64_t shard_clock_ms(void);
uint64_t clock_ns(void);

/* tally.c: half-open IKE SAs as responder, any thread. */
uint64_t shard_half_open(const struct shard *shard);
/* host.c */
void shard_host_init(struct shard *shard);
/* shard.c: the thread's function; `arg` is the shard. */
void *shard_run(void *arg);
/* Frees mail of enum inbox_kind that nobody will take; likewise mail for the control thread. */
void shard_discard_mail(struct mail *mail);
void free_control_mail(struct mail *mail);
/* listen.c */
void shard_take_listen(struct shard *shard, struct mail *mail);
void listen_order_discard(struct mail *mail);
void shard_set_listen_free(struct shard_set *set);
/* jobs.c */
bool shard_submit_job(struct shard *shard, struct crypto_job *job);
unsigned shard_job_load(const struct shard *shard);
/* Runs a batch of the waiting jobs and gives them to the engine. */
void shard_run_inline_jobs(struct shard *shard);
/* At the end of a turn; `idle`: nothing has come in, and nothing is left. */
void shard_tend_stock(struct shard *shard, bool idle);
/* Gives every waiting job back unrun. */
void shard_fail_inline_jobs(struct shard *shard);
/* shard_set.c: never lost, waits while the mailbox is full (the shard is never waiting for the
 * control thread). */
void shard_set_post(struct shard_set *set, unsigned shard, struct mail *mail);

#endif
