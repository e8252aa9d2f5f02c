/* Updown: what goes with an IPsec SA beside itself. That is the operator's script, or, where there is
 * none, the routes and source addresses that the SA needs. A thread of its own runs it: the threads
 * that ask never wait, answers come back to their ports.
 *
 * Who has the same selectors of the same connection (and, with a template, the same peer) shares a
 * seat: the first user brings it up, the last one down. Within a connection (and peer) all is done in
 * the order in which it was asked; several of them run at once, up to config.children scripts.
 *
 * Native routes are made in the main table by their own protocol number, UPDOWN_ROUTE_PROTOCOL, and
 * only where traffic for the peer's client would otherwise leave by another device than the peer's, or
 * where a source address, nexthop, metric or MTU is asked for. Source addresses that the host does not
 * have are added to the loopback device, with the same number as their IFA_PROTO (Linux 5.18). What
 * bears the number is ours: what a crash has left is removed by updown_start. The newest of several
 * users of one destination has the route, the one before gets it back. */
#ifndef KERNEL_UPDOWN_H
#define KERNEL_UPDOWN_H

#include "base/traffic_selector.h"

/* rtm_protocol and IFA_PROTO ("ip route show proto 80"). */
#define UPDOWN_ROUTE_PROTOCOL 80
#define UPDOWN_PAIRS_MAX      64 /* of selectors, of one SA */
#define UPDOWN_WHY_MAX        256
#define UPDOWN_CHILDREN_MAX   32

struct updown;
struct updown_port;

struct updown_config {
	bool routes; /* of connections without a script; false: nothing is done for them */
	unsigned children;   /* scripts at once; 0: 8 */
	unsigned timeout_ms; /* of one run of a script, then TERM, 2 s later KILL; 0: 30,000 */
	const char *path;    /* PATH of scripts; borrowed */
};

enum updown_op { UPDOWN_UP, UPDOWN_DOWN, UPDOWN_ROUTE, UPDOWN_UNROUTE };

struct updown_pair {
	struct traffic_selector local, remote;
	bool local_is_host; /* the client is the host itself: verbs end in -host, not -client */
	char *environment;  /* see updown_environment.h; what is the pair's own */
	size_t environment_len;
};

/* Made by updown_request_new; what it points to is malloc'ed and goes with it. */
struct updown_request {
	enum updown_op op;
	uint64_t token;      /* UP's is the user's name for DOWN; UNROUTE: not used */
	uint64_t connection; /* its serial */
	/* 0: a permanent connection, whose routes stay until UNROUTE; else what tells the peers of a
	 * template from each other: the seat is unrouted with its last user. */
	uint64_t peer_hash;
	uint64_t bytes_in, bytes_out; /* DOWN */

	/* UP and ROUTE */
	char *name;   /* the connection's */
	char *prefix; /* of lines of the log: `"name" #7: ` */
	char *command; /* for /bin/sh -c; NULL: routes are made natively */
	char *environment; /* common to all pairs: "KEY=value" and NUL, in turn */
	size_t environment_len;
	bool initiator, tunnel;
	struct ip_address me, peer;
	struct ip_address nexthop, source; /* unset: none asked for */
	uint32_t metric, mtu;
	char device[16]; /* an xfrm interface that leads to the client; "": none */

	/* updown's own */
	struct updown_port *port;
	struct updown_request *next;
	struct updown_answer *answer;

	unsigned pair_count;
	struct updown_pair pairs[];
};

/* One to each UP and ROUTE. */
struct updown_answer {
	struct updown_answer *next;
	uint64_t token;
	bool ok;
	bool nothing; /* ok, and nothing is kept up: no DOWN is needed, which does no harm either */
	char why[UPDOWN_WHY_MAX]; /* printable, if not ok */
};

/* Removes what an earlier run has left of routes and addresses, if config->routes. NULL with the
 * reason in `error`. */
struct updown *updown_start(const struct updown_config *config, char *error, size_t error_size);
/* Nobody may ask any more. Takes all seats down and their routes away; scripts have `patience_ms` for
 * it together, then they are killed, and the log says how many seats were given up. `leave_state`:
 * runs nothing and leaves the routes to the next updown_start. Frees the ports. */
void updown_stop(struct updown *u, unsigned patience_ms, bool leave_state);

/* One per thread that asks; lives until updown_stop. NULL: no memory or descriptor. */
struct updown_port *updown_port_open(struct updown *u);
/* Readable by an edge (EPOLLET) when answers have come. */
int updown_port_fd(const struct updown_port *port);
/* Whatever has come, in order; the caller frees each. NULL: nothing. Cheap. */
struct updown_answer *updown_port_take(struct updown_port *port);
/* Zeroed. NULL: no memory. */
struct updown_request *updown_request_new(enum updown_op op, unsigned pair_count);
/* Never waits, never fails; takes the request. */
void updown_submit(struct updown_port *port, struct updown_request *request);
/* Frees one that was not submitted. */
void updown_request_free(struct updown_request *request);

/* Any thread. */
struct updown_stats {
	uint64_t runs, failed, timed_out; /* of scripts */
	uint64_t running, waiting;        /* scripts now; connections with something to be done */
	uint64_t seats, routes;           /* natively made routes in the kernel, now */
};
struct updown_stats updown_stats(const struct updown *u);

#endif
