/* The user-space ESP dataplane on DPDK: ports with TAP twins, SAD, SPD, ESP in and out (RFC 4301,
 * 4303, 3948). Knows nothing of IKE.
 *
 * Each port (net_af_xdp on a veth or NIC, or any DPDK device) has a TAP twin in the kernel:
 * addresses, neighbours and routes are the twin's and are learned by netlink; IKE, ARP, ICMP and
 * everything that is neither ESP for us nor protected traffic goes through it. One lcore thread or
 * several run the packets; SA and policy requests come in through dataplane_submit and are answered
 * through the callback, both on the caller's terms below.
 *
 * A twin is made, brought up and given the port's MAC address and MTU at the start (one that exists
 * as a TAP device is taken as it is, and stays); addresses and routes are the operator's. The
 * device below must have none of its own. What no policy protects is forwarded by the kernel, if it
 * may (net.ipv4.ip_forward).
 *
 * Not done: ESP packets that arrive in IP fragments are dropped and counted (tunnels cut packets
 * before they protect them, so that ours never are); transport mode carries whole datagrams only;
 * ICMP errors about ESP packets on their way do not lower a tunnel's MTU, which is that of its
 * port. */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

#include "base/ipsec.h"
#include "base/mailbox.h"

struct dataplane;

#define DATAPLANE_PORTS_MAX 16

struct dataplane_port {
	const char *device; /* a network interface ("wan0": net_af_xdp on it), or a DPDK device
			       string ("net_pcap0,...") */
	const char *twin;   /* the TAP twin's name; NULL: no twin (benchmarks) */
};

struct dataplane_config {
	unsigned port_count;
	struct dataplane_port ports[DATAPLANE_PORTS_MAX];
	unsigned lcore_count;    /* packet threads; 0: one */
	const unsigned *cpus;    /* to pin them to, or NULL */
	uint32_t sa_capacity;    /* a power of two; the SPI's low bits index it. 0: 2^20, grown on
				    demand */
	unsigned idle_sleep_us;  /* longest sleep of an idle lcore; 0: default (500) */
	const char *file_prefix; /* tells EALs of one machine apart; NULL: none (--in-memory) */
};

/* Comes with each answer or event, on the dataplane's control thread: must not block. */
struct dataplane_client {
	void *arg;
	void (*answer)(void *arg, const struct ipsec_answer *answer);
	void (*event)(void *arg, const struct ipsec_event *event);
};

/* Initializes EAL (once per process), opens the ports, starts the threads. On failure `error` says
 * what is missing, in an operator's words. */
struct dataplane *dataplane_start(
	const struct dataplane_config *config, char *error, size_t error_size);
/* Stops the lcores, removes the twins, wipes all keys. No client may submit any more. */
void dataplane_stop(struct dataplane *dp);

/* Any thread. Copies the request. Answers come in order of submission per thread. False: the
 * queue is full; try again later. */
bool dataplane_submit(struct dataplane *dp, const struct dataplane_client *client,
	const struct ipsec_request *request);
/* An SPI whose low bits are a free place in the SA table; 0: full. Any thread, no waiting. */
uint32_t dataplane_allocate_spi(struct dataplane *dp);
void dataplane_release_spi(struct dataplane *dp, uint32_t spi);
/* Events of an SA go to the client that added it, where that has an event function; acquires, and
 * the rest, go to this one. Call before the first request. NULL: no event to anybody any more, and
 * none is under way when it returns. */
void dataplane_set_event_client(struct dataplane *dp, const struct dataplane_client *client);
/* Can the dataplane run this ESP transform? (IANA IKEv2 numbers; key length in bits) */
bool dataplane_supports(uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn);

struct dataplane_stats {
	uint64_t esp_in_packets, esp_in_bytes; /* taken in and delivered; bytes of plaintext */
	uint64_t esp_out_packets, esp_out_bytes;
	uint64_t to_twin, from_twin, forwarded; /* packets */
	uint64_t dropped_no_sa, dropped_no_spi, dropped_replay, dropped_auth, dropped_selector,
		dropped_clear, dropped_malformed, dropped_no_route, dropped_no_buffer,
		dropped_too_big, dropped_expired, dropped_fragment,
		dropped_ecn; /* ESP in IP fragments; congestion marks that RFC 6040 forbids */
	uint64_t nat_keepalives, events_lost;
	uint64_t sas, policies;
	uint64_t idle_sleeps, busy_polls;
	uint64_t buffers_free; /* packet buffers that are neither under way nor lent to a port */
	uint64_t memory_bytes; /* SAD + SPD, not the packet buffers */
};
/* Any thread. */
struct dataplane_stats dataplane_stats(const struct dataplane *dp);
/* Name and value of each statistic in turn, for reports: false past the end. */
bool dataplane_stat_at(
	const struct dataplane_stats *stats, size_t i, const char **name, uint64_t *value);

#endif
