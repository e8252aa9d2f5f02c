/* One security association in the dataplane (RFC 4301, section 4.4.2): what a packet thread needs
 * of it, and who may touch which part. */
#ifndef DATAPLANE_SA_H
#define DATAPLANE_SA_H

#include "base/ipsec.h"
#include "base/table.h"
#include "dataplane/dataplane.h"
#include "esp.h"
#include "fib.h"
#include "flow.h"
#include "grace.h"
#include "replay.h"

#define OUTER_HEADER_MAX 48 /* IPv6 and UDP */

/* A traffic selector in the form that packets are compared with. */
struct selector {
	struct ip_key first, last;
	uint8_t family, protocol;
	uint16_t port_first, port_last;
};

/* Where an SA's packets go from and to. Replaced as a whole when the SA moves. */
struct sa_path {
	struct retired retired;
	struct ip_key local, remote;
	uint8_t family;
	uint16_t local_port, remote_port;
	bool udp_encapsulation;
	uint8_t header_len;               /* of the outer header with UDP's */
	uint8_t header[OUTER_HEADER_MAX]; /* lengths, TOS, ID, DF and checksums are filled in per
					     packet */
};

/* The next hop, kept as long as no route and no neighbour has changed. Owner lcore. */
struct sa_hop {
	const struct sa_path *path;
	uint64_t generation, checked_ms;
	struct fib_hop hop;
	uint16_t mtu;
};

/* Written by the owner lcore, read by anybody. */
struct sa_counters {
	uint64_t bytes, packets, replayed, failed_auth, bad_selector;
	uint64_t used_ms; /* 0: not yet */
};

struct sa {
	/* Fixed. */
	struct esp_context esp;
	enum ipsec_mode mode;
	enum ipsec_direction direction;
	uint64_t id; /* the asker's, 0: none */
	uint32_t reqid;
	bool decap_dscp, no_pmtu_discovery;
	uint8_t local_count, remote_count;
	struct selector *selectors; /* local, then remote; none: anything */
	struct ipsec_limits limits;
	struct dataplane_client client;
	uint64_t add_time; /* seconds since the epoch */
	unsigned owner;    /* lcore */
	size_t size;

	/* Replaced by the control thread: atomic. */
	struct sa_path *path;

	/* Owner lcore. */
	uint64_t seq;         /* outbound: the last one sent */
	struct replay replay; /* inbound */
	struct sa_counters counters;
	bool soft_told, stopped; /* `stopped`: hard limit or end of the sequence numbers */
	struct sa_hop hop;
	struct ip_endpoint moved_to; /* what was reported last */
	uint64_t moved_ms;

	/* Control thread. */
	struct retired retired;
	struct table_node node; /* outbound: by SPI and remote address */
	struct sa_group *group; /* outbound */
	struct sa *next_of_group;
};

/* Builds an SA from a request that was checked by sa_check. NULL: no memory. Keys are expanded by
 * `engine`. */
struct sa *sa_new(const struct ipsec_sa *request, struct esp_engine *engine);
/* Wipes it. No reader is left. */
void sa_free(struct sa *sa);
/* 0, or why the request cannot be an SA: EINVAL, EPROTONOSUPPORT, EAFNOSUPPORT. */
int sa_check(const struct ipsec_sa *request);
/* NULL: no memory. */
struct sa_path *sa_path_new(
	const struct ip_endpoint *local, const struct ip_endpoint *remote, bool udp_encapsulation);
void sa_path_release(struct retired *retired);
struct ipsec_counters sa_counters_read(const struct sa *sa, uint64_t now_ms);

static inline struct sa_path *sa_path_of(const struct sa *sa)
{
	return __atomic_load_n(&sa->path, __ATOMIC_ACQUIRE);
}
/* Does the SA carry this packet? (RFC 4301, section 5.2, step 4) */
bool sa_selects(const struct sa *sa, const struct flow *flow, enum ipsec_direction direction);

#endif
