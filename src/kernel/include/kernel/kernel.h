/* The SA and policy interface of the operating system or dataplane. Each shard opens a channel of
 * its own and writes requests without waiting; answers and events come back when it polls. (RFC
 * 4301, section 4.4.)
 *
 * Backends: "dpdk" (the user-space dataplane), "xfrm" (Linux's own IPsec, in the network namespace of
 * the process), "pfkey" (the same by PF_KEYv2, the interface that the BSDs have too), "none" (answers
 * success, installs nothing: tests and load generators). */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "base/ipsec.h"
#include "base/traffic_selector.h"
#include "crypto/algorithm.h"

struct kernel;
struct kernel_channel;
struct dataplane;

struct kernel_config {
	const char *backend;         /* a name of the above */
	struct dataplane *dataplane; /* "dpdk"; borrowed */
	/* "xfrm", once there is a trap: so long a packet's question for an SA stays open, and none
	 * is asked again; 0: as the system has it. */
	uint32_t acquire_expires_s;
};

/* "xfrm", "pfkey": finds what the kernel has by trying, which may take seconds when it has to load modules;
 * removes what an earlier run of this program has left in it. Control thread. */
struct kernel *kernel_open(const struct kernel_config *config, char *error, size_t error_size);
/* After the channels are closed. Takes all SAs and policies of ours out of the operating system. */
void kernel_close(struct kernel *kernel);
/* kernel_close is to leave them there: until the next kernel_open. */
void kernel_leave_state(struct kernel *kernel);
const char *kernel_name(const struct kernel *kernel);
/* Can it tie SAs and policies to marks, interfaces and devices? */
bool kernel_binds(const struct kernel *kernel);
/* May a proposal with this ESP transform be offered? */
bool kernel_supports(
	const struct kernel *kernel, uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn);

/* The same for AH with this integrity transform. */
bool kernel_supports_ah(const struct kernel *kernel, uint16_t integ, bool esn);
/* What not every backend has, as a mask. */
enum kernel_ability {
	KERNEL_IPCOMP = 1, /* struct ipsec_sa's ipcomp_cpi */
	KERNEL_TFC = 2,    /* tfc_padding */
	KERNEL_BEET = 4,
};
unsigned kernel_abilities(const struct kernel *kernel);

/* Any thread. All 0 where a backend cannot lose anything. */
struct kernel_stats {
	uint64_t overruns;    /* times that answers were lost, for want of room or memory */
	uint64_t asked_again; /* requests that were sent again therefore */
	uint64_t events_lost; /* times that events were lost */
};
struct kernel_stats kernel_stats(const struct kernel *kernel);
/* What an IKE socket needs beside this backend, before it is bound: its own traffic passes by all
 * policies, and ESP in UDP on the NAT-T port (`nat`) goes to the SAs. False with errno. Any thread. */
bool kernel_prepare_socket(const struct kernel *kernel, int fd, uint8_t family, bool nat);

/* One per thread that asks. `on_answer` and `on_event` are called from kernel_channel_poll only, on
 * the channel's thread. Events of SAs go to the channel that added them, acquires to the channel
 * whose number is reqid modulo the number of channels. */
struct kernel_channel_config {
	void *arg;
	void (*on_answer)(void *arg, const struct ipsec_answer *answer);
	void (*on_event)(void *arg, const struct ipsec_event *event);
	/* Of IPSEC_SA_QUERY_ALL with that token, before its answer. NULL: it is never asked. */
	void (*on_counters)(void *arg, uint64_t token, const struct ipsec_counted *counted);
};
struct kernel_channel *kernel_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config);
void kernel_channel_close(struct kernel_channel *channel);
/* Readable when kernel_channel_poll has work. */
int kernel_channel_fd(const struct kernel_channel *channel);
/* False when something is to be polled at once: do not sleep. Call it last before sleeping. */
bool kernel_channel_sleep(struct kernel_channel *channel);
void kernel_channel_poll(struct kernel_channel *channel);
/* Never blocks and never fails: what cannot be sent now is queued; an error is an answer. Copies
 * the request; wipes its copy of the keys when done. */
void kernel_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request);
uint32_t kernel_channel_allocate_spi(struct kernel_channel *channel);
void kernel_channel_release_spi(struct kernel_channel *channel, uint32_t spi);
/* A CPI for an inbound IPComp SA (RFC 3173, section 3.3), host order: none that is in use by this
 * kernel interface. 0: all are, or it has no KERNEL_IPCOMP. Released here if it was never given to
 * IPSEC_SA_ADD, else by IPSEC_SA_DELETE. */
uint16_t kernel_channel_allocate_cpi(struct kernel_channel *channel);
void kernel_channel_release_cpi(struct kernel_channel *channel, uint16_t cpi);
uint64_t kernel_channel_pending(const struct kernel_channel *channel);

/* The host's own addresses, by netlink: for orientation and --listen. */
struct local_address {
	struct ip_address address;
	char interface[16];
	unsigned interface_index;
};
/* An allocated array of `*count`; the caller frees it. False with errno. May block: control thread
 * only. */
bool local_addresses(struct local_address **out, size_t *count);

#endif
