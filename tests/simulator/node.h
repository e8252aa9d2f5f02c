/* One simulated gateway: an engine with its host, a kernel that remembers SAs and policies, and
 * watchers. */
#ifndef SIMULATOR_NODE_H
#define SIMULATOR_NODE_H

#include "world.h"

#include "ike/counters.h"

#define NODE_SAS_MAX      4096
#define NODE_POLICIES_MAX 4096
#define NODE_SPIS_MAX     8192
#define NODE_CPIS_MAX     4096
#define NODE_WATCHERS_MAX 4096
#define NODE_UPDOWNS_MAX  4096

struct kernel_sa {
	bool present;
	uint64_t order; /* of addition */
	struct ipsec_sa sa;
};

struct kernel_policy {
	uint32_t reqid;
	uint8_t protocol;
	bool ipcomp;        /* packets leave by an IPComp SA, too */
	uint64_t selectors; /* a digest */
	enum ipsec_policy_action action;
	bool trap;
};

/* What goes with a Child SA, from UP to DOWN. */
struct node_updown {
	uint64_t token;
	bool up; /* it was answered well */
};

/* How a node's scripts behave. */
struct updown_ways {
	bool asked;             /* false: there are none */
	unsigned delay_max_ms;  /* until the answer */
	unsigned failures, nothing; /* percent of the answers */
};

struct node {
	struct ike_host host; /* first: the engine hands it back */
	struct world *world;
	unsigned index, generation;
	struct ip_address address;
	/* behind a NAT that shows another address, and ports mapped by an offset that may change */
	bool natted;
	struct ip_address nat_address;
	uint16_t nat_offset;
	struct ike_engine *engine; /* NULL: down */
	struct timer_wheel *wheel;
	struct catalogue *catalogue;
	struct secret_vault *vault;
	struct counter_set counters;
	struct random_source random;
	bool want_cookies, shared_ids;
	uint16_t fragment_datagram; /* 0: as usual */
	unsigned keepalives;
	unsigned told[2];                 /* news for other engines, by kind */
	unsigned kernel_errors, overload; /* percent */
	bool cannot_move;                 /* the kernel keeps SAs where they are */
	struct kernel_sa sas[NODE_SAS_MAX];
	unsigned sa_count;
	uint64_t sa_order;
	struct kernel_policy policies[NODE_POLICIES_MAX];
	unsigned policy_count;
	uint32_t spis[NODE_SPIS_MAX]; /* given out, neither released nor deleted with their SA */
	unsigned spi_count;
	uint16_t cpis[NODE_CPIS_MAX]; /* likewise, of IPComp */
	unsigned cpi_count;
	bool no_ipcomp;                           /* the kernel has none */
	uint8_t watcher_state[NODE_WATCHERS_MAX]; /* 0 unused, 1 waits, 2 released */
	unsigned watcher_left[NODE_WATCHERS_MAX]; /* releases to come */
	unsigned watcher_count;
	uint64_t jobs_out, last_answer_ms;
	struct updown_ways updown_ways;
	struct node_updown updowns[NODE_UPDOWNS_MAX];
	unsigned updown_count;
	unsigned ups, downs, unroutes; /* asked for, so far */
	uint64_t down_bytes_in, down_bytes_out; /* of the last DOWN */
};

struct node *node_add(struct world *world, bool natted);
void node_free(struct node *node);
/* Power on with nothing remembered, and power off without a word. */
void node_start(struct node *node);
void node_kill(struct node *node);
void node_timers(struct node *node);
uint64_t node_next_timer(const struct node *node);
void node_event(struct node *node, struct event *event);
/* Who gets what is sent along the path (-1: nobody), and how it looks to the receiver. */
int node_route(struct world *world, const struct ike_path *path, struct ike_path *seen);
ike_watcher node_watcher(struct node *node);
/* Takes the connection down with a watcher that waits for the end of each SA. */
void node_terminate_watched(struct node *node, const struct connection *c, bool unroute);
/* The same for a rekeying. */
void node_rekey_watched(struct node *node, const struct connection *c, enum ike_sa_kind kind);
/* What the policy of these selectors asks for; NULL: there is none. */
const struct kernel_policy *node_policy(const struct node *node, const struct ipsec_policy *policy);
const struct ipsec_sa *node_inbound_sa(const struct node *node, uint32_t spi);
/* Of the Child SA #id; 0: of any. */
const struct ipsec_sa *node_outbound_sa(const struct node *node, uint32_t spi, uint64_t id);
/* The outbound SA that packets of this reqid leave by: the newest (0: of any). NULL: none. */
const struct ipsec_sa *node_sending_sa(const struct node *node, uint32_t reqid);
unsigned node_live_sas(const struct node *node);
bool node_has_policy(const struct node *node, const struct ipsec_policy *policy);
/* The policy that --route has installed for the connection, as it is now. NULL: none. */
const struct kernel_policy *node_route_policy(const struct node *node, const struct connection *c);

#endif
