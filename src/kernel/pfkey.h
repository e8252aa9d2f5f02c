/* The KAME backend: PF_KEYv2 (RFC 2367) with KAME's policies, as Linux's af_key, FreeBSD and NetBSD
 * have them. The kernel does what a message asks before the call that sends it returns. Its answer
 * goes into the receive queues of all PF_KEY sockets, errors and questions into the asker's only;
 * where a queue is full it is dropped without a word. So a channel reads everything, keeps what
 * bears its numbers, and asks again for what is missing when it has read all.
 *
 * pfkey.c          opening, what the kernel has, IKE sockets
 * pfkey_channel.c, pfkey_send.c  requests and answers
 * pfkey_event.c    what the kernel says by itself
 * pfkey_message.c, pfkey_algorithm.c  the kernel's data
 * pfkey_platform.h what differs between kernels
 * pfkey_sync.c     asking and waiting: at the start and the end only
 * Private to the room. */
#ifndef KERNEL_PFKEY_H
#define KERNEL_PFKEY_H

#include "backend.h"
#include "base/table.h"
#include "pfkey_algorithm.h"
#include "pfkey_message.h"
#include "policies.h"
#include "reqid_map.h"
#include "spi_sequence.h"

struct pfkey_request;
struct pfkey_receive;

struct pfkey_kernel {
	struct kernel kernel;
	struct policies *policies; /* its lock is that of the request IDs, too */
	struct reqid_map *reqids;
	struct spi_sequence spis;
	struct pfkey_algorithms algorithms;
	bool keep_state;
	uint32_t pid;
	unsigned channels;         /* atomic: opened so far */
	struct kernel_stats stats; /* atomic */
};

/* What a channel remembers of an SA that it has added. */
struct pfkey_sa {
	struct table_node node; /* by SPI and direction; first */
	struct pfkey_sa *next, **link;
	uint64_t id;
	uint32_t spi, reqid, kernel_reqid;
	uint8_t direction;
	bool encapsulated;
	struct ip_address local, remote;
	/* The kernel tells when an SA was first used, not when last: packets that were seen, and
	 * when. */
	uint64_t seen_packets, seen_ms;
	struct ipsec_counters *last; /* the kernel has removed it at its hard limit; else NULL */
};

struct pfkey_flight {
	struct pfkey_request *request; /* NULL: none */
	uint32_t sequence;
	uint8_t type; /* of the message, and of its answer */
};

#define PFKEY_FLIGHTS 2048 /* messages; a power of two, more than one request can take */
#define PFKEY_BATCH   64   /* messages sent in one call */

struct pfkey_channel {
	struct kernel_channel channel;
	struct pfkey_kernel *pfkey;
	unsigned number;
	int fd;
	struct pfkey_message *out; /* PFKEY_BATCH */
	unsigned out_count;
	uint32_t sequence;
	struct pfkey_flight flights[PFKEY_FLIGHTS]; /* by sequence number */
	unsigned in_flight, flights_max;            /* flights_max: by room of the receive queue */
	uint32_t queue_size; /* bytes of the receive queue, as the kernel counts them */
	struct pfkey_request *first, **last;           /* to be sent */
	struct pfkey_request *done_first, **done_last; /* to be told */
	uint64_t waiting;                              /* requests that are asked and not told */
	uint64_t checks;    /* of SAs, after lost events: questions of our own that are asked */
	unsigned questions; /* about acquires, likewise */
	bool check_again;   /* more were lost meanwhile */
	bool may_have_lost; /* the queue was as good as full */
	int send_error;     /* errno; why answers are missing, if it is not for want of room */
	uint64_t losses;    /* times that answers were lost */
	struct pfkey_request *barrier; /* nothing may be sent before it has gone on */
	struct table *sas;
	struct pfkey_sa *first_sa;
	struct pfkey_receive *receive;
};

/* ---- pfkey_channel.c ---- */
struct kernel_channel *pfkey_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config);
void pfkey_channel_close(struct kernel_channel *channel);
int pfkey_channel_fd(const struct kernel_channel *channel);
bool pfkey_channel_sleep(struct kernel_channel *channel);
void pfkey_channel_poll(struct kernel_channel *channel);
void pfkey_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request);
uint64_t pfkey_channel_pending(const struct kernel_channel *channel);
/* Asks after every SA: those that have reached a limit unheard are told of. */
void pfkey_channel_check_all(struct pfkey_channel *c);
/* Asks for the policy of an acquire; its answer goes to pfkey_event_acquired. */
void pfkey_channel_ask_policy(struct pfkey_channel *c, uint32_t id);

/* ---- pfkey_sa.c ---- */
/* 0, ENOMEM, or ENOSPC: the kernel's request IDs are all in use. */
int pfkey_sa_add(struct pfkey_channel *c, const struct ipsec_sa *sa, struct pfkey_sa **out);
/* `id` as in struct ipsec_sa; 0: any. */
struct pfkey_sa *pfkey_sa_find(const struct pfkey_channel *c, uint64_t id, uint32_t spi,
	enum ipsec_direction direction, uint32_t reqid);
/* As the kernel names it; `kernel_reqid` 0: it did not say. */
struct pfkey_sa *pfkey_sa_find_told(const struct pfkey_channel *c, uint32_t spi,
	const struct ip_address *destination, uint32_t kernel_reqid);
/* SPIs of ours are not given twice. */
struct pfkey_sa *pfkey_sa_find_inbound(const struct pfkey_channel *c, uint32_t spi);
void pfkey_sa_remove(struct pfkey_channel *c, struct pfkey_sa *sa);
struct pfkey_key pfkey_sa_key(const struct pfkey_sa *sa);
/* Sets `counters->idle_ms` by what was seen before. */
void pfkey_sa_seen(struct pfkey_sa *sa, struct ipsec_counters *counters);

/* ---- pfkey_event.c ---- */
/* A message that answers nothing of this channel's. */
void pfkey_event_take(struct pfkey_channel *c, const struct pfkey_told *told);
/* The policy that an acquire was about. */
void pfkey_event_acquired(struct pfkey_channel *c, const struct pfkey_told *policy);
/* The SA is past a limit; the kernel has removed a hard one. */
void pfkey_event_expired(struct pfkey_channel *c, struct pfkey_sa *sa, bool hard,
	const struct ipsec_counters *counters);

/* ---- pfkey_receive.c: many messages a call ---- */
struct pfkey_receive *pfkey_receive_new(void);
void pfkey_receive_free(struct pfkey_receive *r);
/* Calls `take` for each message that has a header; `bytes` is all of it. Returns how many came; 0:
 * none is there; negative errno values. Never waits. */
int pfkey_receive(struct pfkey_receive *r, int fd,
	void (*take)(void *arg, const struct pfkey_told *told, struct bytes bytes), void *arg);

/* ---- pfkey_sync.c: control thread only, may block ---- */
struct pfkey_sync;
struct pfkey_sync *pfkey_sync_open(uint32_t pid, char *error, size_t error_size);
void pfkey_sync_close(struct pfkey_sync *sync);
struct pfkey_message *pfkey_sync_msg(struct pfkey_sync *sync);
/* Sends what was built in pfkey_sync_msg; the kernel's answer: 0 or errno. `out`, if not NULL, is
 * valid until the next call. */
int pfkey_sync_ask(struct pfkey_sync *sync, struct pfkey_told *out);
/* Removes all SAs and policies that bear KERNEL_OURS. 0 or errno. */
int pfkey_sync_remove_ours(struct pfkey_sync *sync, unsigned *sas, unsigned *policies);

#endif
