/* The dataplane's own objects: ports, packet threads, and what they share. */
#ifndef DATAPLANE_DP_H
#define DATAPLANE_DP_H

#include <pthread.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "base/counter.h"
#include "base/mailbox.h"
#include "dataplane/dataplane.h"
#include "esp.h"
#include "fib.h"
#include "flow.h"
#include "grace.h"
#include "sad.h"
#include "spd.h"

#define LCORES_MAX  64
#define BURST       32
#define TX_BATCH    64
#define PENDING_MAX 128 /* packets that wait for a neighbour, per packet thread */
#define ETHER_LEN   14
#define NAT_T_PORT  4500
#define IKE_PORT    500
#define FRAME_MAX   (RTE_MBUF_DEFAULT_DATAROOM)

enum {
	PROTOCOL_ICMP = 1,
	PROTOCOL_IPV4 = 4,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_IPV6 = 41,
	PROTOCOL_ESP = 50,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_NONE = 59
};

/* In the order of stat_names[] in stats.c. */
enum counter {
	STAT_ESP_IN_PACKETS,
	STAT_ESP_IN_BYTES,
	STAT_ESP_OUT_PACKETS,
	STAT_ESP_OUT_BYTES,
	STAT_TO_TWIN,
	STAT_FROM_TWIN,
	STAT_FORWARDED,
	STAT_NO_SA,
	STAT_NO_SPI,
	STAT_REPLAY,
	STAT_AUTH,
	STAT_SELECTOR,
	STAT_CLEAR,
	STAT_MALFORMED,
	STAT_NO_ROUTE,
	STAT_NO_BUFFER,
	STAT_TOO_BIG,
	STAT_EXPIRED,
	STAT_FRAGMENT,
	STAT_ECN,
	STAT_KEEPALIVES,
	STAT_EVENTS_LOST,
	STAT_IDLE_SLEEPS,
	STAT_BUSY_POLLS,
	STAT_COUNT,
};

/* A source address for what the gateway itself says on a port. */
struct port_source {
	struct retired retired;
	bool has4, has6;
	struct ip_key address4, address6;
};

struct port {
	unsigned index;
	uint16_t id; /* DPDK's */
	bool started;
	char device[64], twin[16];
	int twin_fd;         /* -1: no twin */
	int wake_fd;         /* readable when frames wait; -1: unknown */
	unsigned twin_index; /* of the interface */
	struct rte_ether_addr mac;
	uint16_t mtu;
	unsigned owner;             /* the lcore that receives and sends on it */
	struct port_source *source; /* atomic */
	struct rte_mbuf *spare;     /* owner: for the next read from the twin */
};

enum origin { ORIGIN_PORT, ORIGIN_TWIN, ORIGIN_TUNNEL, ORIGIN_SELF };

/* Why a packet was handed to another lcore. */
enum handover { HANDOVER_ESP_IN, HANDOVER_OUTBOUND, HANDOVER_SEND, HANDOVER_TWIN };

/* Travels in each mbuf's private area. Behind classification the mbuf's data begins at the IP
 * header. */
struct packet {
	struct flow flow;
	uint8_t port; /* where it came in */
	uint8_t origin;
	uint8_t handover, target; /* target: port of HANDOVER_SEND and HANDOVER_TWIN */
	uint16_t esp_at;          /* from the IP header */
	bool encapsulated;        /* in UDP */
	uint16_t outer_port;      /* source port of the encapsulation */
};

static inline struct packet *packet_of(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

struct outbound {
	struct rte_mbuf *mbuf;
	struct sa *sa;
};

struct pending {
	struct rte_mbuf *mbuf; /* NULL: free */
	struct fib_hop hop;
	uint64_t until_ms;
};

struct lcore {
	struct dataplane *dp;
	unsigned index;
	pthread_t thread;
	bool running, failed;
	uint64_t now_ms;
	struct counter_set counters;
	struct esp_engine engine;

	unsigned esp_in_count, esp_out_count;
	struct rte_mbuf *esp_in[ESP_BURST_MAX];
	struct outbound esp_out[ESP_BURST_MAX];
	/* Two, since what comes out of one tunnel may fill the batch of another. */
	struct esp_op ops[ESP_BURST_MAX], ops_in[ESP_BURST_MAX];
	struct {
		unsigned count;
		struct rte_mbuf *mbufs[TX_BATCH];
	} tx[DATAPLANE_PORTS_MAX];

	unsigned pending_count;
	uint64_t pending_generation, pending_tried_ms;
	struct pending pending[PENDING_MAX];

	unsigned icmp_tokens;
	uint64_t icmp_filled_ms;
	uint16_t ip_id;

	struct rte_ring *ring; /* handed over to this lcore */
	int wake_fd;           /* eventfd */
	bool asleep;           /* atomic */
} __attribute__((aligned(64)));

struct dataplane {
	unsigned port_count, lcore_count;
	struct port ports[DATAPLANE_PORTS_MAX];
	struct lcore *lcores;
	unsigned idle_sleep_us;
	int cpus[LCORES_MAX]; /* -1: anywhere */
	uint32_t sa_capacity;
	struct rte_mempool *pool;

	struct grace grace;
	struct sad sad;
	struct spd spd;
	struct fib fib;
	struct netlink *netlink;
	struct esp_engine control_engine;
	/* UDP ports that ESP comes in on: bits for packet threads, users for the control thread. */
	uint64_t nat_ports[65536 / 64];
	uint32_t *nat_port_users;

	pthread_t control;
	struct mailbox *box;
	bool stop_lcores;            /* atomic */
	bool control_ended;          /* the control thread saw MAIL_STOP */
	pthread_mutex_t client_lock; /* control path only */
	struct dataplane_client event_client;
	bool events_off;

	/* The start: the control thread reports to the starter. */
	pthread_mutex_t start_lock;
	pthread_cond_t start_told;
	int start_state; /* 0 running, 1 up, -1 failed */
	char start_error[256];
};

static inline void count(struct lcore *lc, enum counter stat, uint64_t n)
{
	counter_add(&lc->counters, stat, n);
}

static inline void drop(struct lcore *lc, struct rte_mbuf *m, enum counter why)
{
	counter_add(&lc->counters, why, 1);
	rte_pktmbuf_free(m);
}

static inline bool is_nat_port(const struct dataplane *dp, uint16_t port)
{
	return __atomic_load_n(&dp->nat_ports[port / 64], __ATOMIC_RELAXED) >> (port % 64) & 1;
}

/* ---- classify.c ---- */
/* A frame as it came from a port or from a port's twin. Takes the mbuf. */
void classify_from_port(struct lcore *lc, struct port *port, struct rte_mbuf *m);
void classify_from_twin(struct lcore *lc, struct port *port, struct rte_mbuf *m);
/* An IP packet that came out of a tunnel or is the gateway's own, with its flow filled in. */
void classify_inner(struct lcore *lc, struct rte_mbuf *m);

/* ---- esp_in.c, esp_out.c ---- */
void esp_in_add(struct lcore *lc, struct rte_mbuf *m);
void esp_in_run(struct lcore *lc);
/* The packet goes out under a policy that protects it. */
void esp_out_add(struct lcore *lc, struct rte_mbuf *m, struct policy *policy);
void esp_out_run(struct lcore *lc);

/* ---- forward.c ---- */
/* An IP packet towards a next hop; waits a little for its neighbour to be known. */
void forward_to_hop(struct lcore *lc, struct rte_mbuf *m, const struct fib_hop *hop);
/* The hop to an address; false: no route over a port of ours. */
bool forward_find_hop(
	struct lcore *lc, uint8_t family, const struct ip_key *dst, struct fib_hop *hop);
/* Forwards by route, or leaves it to the kernel where a route leads elsewhere or the packet needs
 * an answer. */
void forward_packet(struct lcore *lc, struct rte_mbuf *m);
/* Takes one from the hop limit; false when it was the last. */
bool forward_age(struct rte_mbuf *m);
/* To the kernel, as if it had come in on the port. */
void forward_to_kernel(struct lcore *lc, struct rte_mbuf *m, unsigned port);
void forward_retry_pending(struct lcore *lc);
void forward_drop_pending(struct lcore *lc);

/* ---- icmp.c, fragment.c ---- */
/* Tells the sender that no more than `mtu` bytes go through. The packet stays the caller's. */
void icmp_too_big(struct lcore *lc, const struct rte_mbuf *m, unsigned mtu);
/* Cuts an IPv4 packet into fragments of at most `mtu` bytes; takes the packet. Returns how many, 0
 * when it cannot be (counted). */
#define FRAGMENTS_MAX 16
unsigned fragment_ipv4(
	struct lcore *lc, struct rte_mbuf *m, unsigned mtu, struct rte_mbuf *out[FRAGMENTS_MAX]);
uint16_t ipv4_checksum(const uint8_t *header, unsigned len);

/* ---- lcore.c ---- */
bool lcore_start(struct dataplane *dp, unsigned index, char *error, size_t error_size);
void lcore_join(struct lcore *lc);
void lcore_wake(struct lcore *lc);
/* Gives the packet to another lcore, which goes on as packet->handover says. */
void lcore_hand_over(struct lcore *lc, unsigned to, struct rte_mbuf *m, enum handover why);
uint64_t clock_ms(void);

/* ---- port.c ---- */
bool port_open(struct dataplane *dp, unsigned index, const struct dataplane_port *config,
	char *error, size_t error_size);
void port_close(struct port *port);
/* A whole frame: queued for the end of this round. */
void port_send(struct lcore *lc, unsigned port, struct rte_mbuf *m);
void port_flush(struct lcore *lc, unsigned port);

/* ---- twin.c ---- */
bool twin_open(struct port *port, char *error, size_t error_size);
void twin_close(struct port *port);
/* A whole frame into the kernel. */
void twin_send(struct lcore *lc, unsigned port, struct rte_mbuf *m);
/* Up to `max` frames out of the kernel. */
unsigned twin_receive(struct lcore *lc, struct port *port, struct rte_mbuf **out, unsigned max);

/* ---- eal.c ---- */
bool eal_start(unsigned memory_mb, const char *file_prefix, char *error, size_t error_size);
void eal_stop(void);

/* ---- control.c ---- */
enum { MAIL_REQUEST, MAIL_EVENT, MAIL_NEIGHBOUR, MAIL_STOP };
struct request_mail {
	struct mail mail;
	struct dataplane_client client;
	struct ipsec_request request;
	struct traffic_selector selectors[];
};
struct event_mail {
	struct mail mail;
	struct dataplane_client client; /* all zero: the event client */
	struct ipsec_event event;
};
struct neighbour_mail {
	struct mail mail;
	uint8_t port, family;
	struct ip_key address;
};
/* The control thread's life, from EAL's start to its end. `arg`: the dataplane_config's ports are
 * in dp->ports. */
struct control_start {
	struct dataplane *dp;
	const struct dataplane_config *config;
};
void *control_main(void *arg);

/* ---- events.c: packet threads to the control thread ---- */
void event_sa(struct lcore *lc, struct sa *sa, enum ipsec_event_kind kind);
void event_moved(struct lcore *lc, struct sa *sa, const struct ip_endpoint *remote);
void event_acquire(struct lcore *lc, struct policy *policy, const struct flow *flow);
void event_neighbour(struct lcore *lc, const struct fib_hop *hop);

/* ---- netlink.c ---- */
struct netlink *netlink_open(struct dataplane *dp, char *error, size_t error_size);
void netlink_close(struct netlink *netlink);
int netlink_fd(const struct netlink *netlink);
/* Takes in what waits. Control thread. */
void netlink_run(struct netlink *netlink);
/* Has the first full picture been taken in? */
bool netlink_ready(const struct netlink *netlink);
/* Has the kernel resolve, or confirm, a neighbour. */
void netlink_resolve(
	struct netlink *netlink, unsigned port, uint8_t family, const struct ip_key *address);

#endif
