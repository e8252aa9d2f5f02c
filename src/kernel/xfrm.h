/* The Linux kernel's IPsec by XFRM netlink (libnl-3). The kernel does what a message asks before
 * the call that sends it returns, and puts the answer into the sender's receive queue: so requests
 * are sent many at a time, and no more than the queue has room for the answers of. Private to the
 * room.
 *
 * xfrm.c          opening, the probe of what the kernel has, IKE sockets
 * xfrm_channel.c  requests and answers; xfrm_request.c one request
 * xfrm_dump.c     all counters at once
 * xfrm_event.c    what the kernel says by itself
 * xfrm_message.c, xfrm_algorithm.c, xfrm_binding.c  the kernel's data
 * xfrm_hold.c     settings of the kernel that traps need
 * xfrm_sync.c     asking and waiting: at the start and the end only */
#ifndef KERNEL_XFRM_H
#define KERNEL_XFRM_H

#include "backend.h"
#include "base/table.h"
#include "policies.h"
#include "cpi_set.h"
#include "spi_sequence.h"
#include "xfrm_message.h"

struct nl_sock;
struct xfrm_request;
struct xfrm_receive;

struct xfrm_kernel {
	struct kernel kernel;
	struct policies *policies;
	struct spi_sequence spis;
	struct cpi_set cpis;
	uint64_t encrs, integs, ah_integs; /* bit n: number n */
	bool esn, esn_aead, esn_ah, ipcomp;
	bool keep_state;
	uint32_t acquire_expires_s;
	unsigned holding;          /* atomic: what traps need of the kernel has been set */
	char larval_drop[16];      /* as it was before; empty: not changed */
	unsigned channels;         /* atomic: opened so far */
	uint64_t sas;              /* atomic: of all channels */
	struct kernel_stats stats; /* atomic */
};

/* What a channel remembers of an SA that it has added: requests and events name the SA by less than
 * the kernel files it under. */
struct xfrm_sa {
	struct table_node node; /* first */
	struct xfrm_sa *next, **link;
	uint64_t id;
	uint32_t spi, reqid;
	uint8_t direction, protocol;
	uint16_t cpi; /* of the IPComp SA beside it; 0: none */
	struct ip_address local, remote;
	struct ipsec_mark mark;
	struct ipsec_counters *last; /* the kernel has removed it at its hard limit; else NULL */
};

struct xfrm_flight {
	struct xfrm_request *request; /* NULL: none */
	uint32_t sequence;
	uint8_t kind;
};

#define XFRM_FLIGHTS 4096 /* messages; a power of two, more than one request can take */

struct xfrm_channel {
	struct kernel_channel channel;
	struct xfrm_kernel *xfrm;
	unsigned number;
	struct nl_sock *socket, *events;
	int epoll;
	struct nl_msg *msg; /* the one being built */
	uint8_t *out;       /* messages to be sent together */
	size_t out_len;
	uint32_t sequence;
	struct xfrm_flight flights[XFRM_FLIGHTS]; /* by sequence number */
	unsigned in_flight;
	size_t awaited, window; /* bytes of receive queue: what answers will take, may take */
	size_t window_max;
	struct xfrm_request *first, **last;           /* to be sent */
	struct xfrm_request *done_first, **done_last; /* to be told */
	uint64_t waiting;                             /* requests that are asked and not told */
	uint64_t checks;  /* of SAs, after lost events: questions of our own that are asked */
	bool check_again; /* more were lost meanwhile */
	int send_error;   /* errno; why answers are missing, if it is not for want of room */
	uint64_t losses;  /* times that answers were lost */
	struct xfrm_request *barrier; /* nothing may be sent before it has gone on */
	struct table *sas;
	struct xfrm_sa *first_sa;
	struct xfrm_receive *receive;
	struct xfrm_dump *dump; /* NULL: none was asked for yet */
};

/* ---- xfrm_channel.c ---- */
struct kernel_channel *xfrm_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config);
void xfrm_channel_close(struct kernel_channel *channel);
int xfrm_channel_fd(const struct kernel_channel *channel);
bool xfrm_channel_sleep(struct kernel_channel *channel);
void xfrm_channel_poll(struct kernel_channel *channel);
void xfrm_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request);
uint64_t xfrm_channel_pending(const struct kernel_channel *channel);
/* Asks after every SA: those that have reached a limit unheard are told of. */
void xfrm_channel_check_all(struct xfrm_channel *c);

/* ---- xfrm_sa.c ---- */
struct xfrm_sa *xfrm_sa_add(struct xfrm_channel *c, const struct ipsec_sa *sa);
/* `id` as in struct ipsec_sa; 0: any. */
struct xfrm_sa *xfrm_sa_find(const struct xfrm_channel *c, uint64_t id, uint32_t spi,
	enum ipsec_direction direction, uint32_t reqid);
/* The one that the kernel tells of; NULL: it is none of this channel's. */
struct xfrm_sa *xfrm_sa_of_info(const struct xfrm_channel *c, const struct xfrm_usersa_info *info);
void xfrm_sa_remove(struct xfrm_channel *c, struct xfrm_sa *sa);
struct xfrm_key xfrm_sa_key(const struct xfrm_sa *sa);
/* Of the IPComp SA beside it. */
struct xfrm_key xfrm_sa_ipcomp_key(const struct xfrm_sa *sa);

/* ---- xfrm_event.c ---- */
void xfrm_events_poll(struct xfrm_channel *c);
/* The SA is past a limit; the kernel has removed a hard one. */
void xfrm_event_expired(struct xfrm_channel *c, struct xfrm_sa *sa, bool hard,
	const struct ipsec_counters *counters);

/* ---- xfrm_hold.c ---- */
/* A trap comes whose packets may wait: once, sets this network namespace so that packets wait for
 * their SA (net.core.xfrm_larval_drop 0), and how long a question stays open (xfrm_acq_expires).
 * Any channel. */
void xfrm_hold_begin(struct xfrm_kernel *x);
/* As it was. */
void xfrm_hold_end(struct xfrm_kernel *x);

/* ---- xfrm_receive.c: many datagrams a call ---- */
struct xfrm_receive *xfrm_receive_new(void);
void xfrm_receive_free(struct xfrm_receive *r);
/* Calls `take` for each message. Returns how many datagrams came; 0: none is there; -ENOBUFS: some
 * were lost; other negative errno values. Never waits. */
int xfrm_receive(struct xfrm_receive *r, int fd, void (*take)(void *arg, struct nlmsghdr *message),
	void *arg);

/* ---- xfrm_sync.c: control thread only, may block ---- */
struct xfrm_sync;
struct xfrm_sync *xfrm_sync_open(char *error, size_t error_size);
void xfrm_sync_close(struct xfrm_sync *sync);
struct nl_msg *xfrm_sync_msg(struct xfrm_sync *sync);
/* Sends what was built in xfrm_sync_msg; the kernel's answer: 0 or errno. */
int xfrm_sync_ask(struct xfrm_sync *sync);
/* Removes all SAs and policies that bear KERNEL_OURS. 0 or errno. */
int xfrm_sync_remove_ours(struct xfrm_sync *sync, unsigned *sas, unsigned *policies);

#endif
