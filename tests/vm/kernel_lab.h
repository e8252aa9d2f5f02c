/* What the programs share that try a backend by itself on a kernel that has ESP: a channel's owner,
 * SAs and policies to ask for, traffic for them. Each case runs in a network namespace of its own.
 */
#ifndef KERNEL_LAB_H
#define KERNEL_LAB_H

#include "kernel/kernel.h"

#define TOKENS 100000
#define EVENTS 64

/* What the owner sees. */
struct owner {
	unsigned answers, errors, events, counted;
	int error[TOKENS]; /* by token; -1: no answer yet */
	struct ipsec_counters counters[TOKENS];
	struct ipsec_event event[EVENTS];
};

extern struct owner owner;
extern struct kernel *kernel;
extern struct kernel_channel *channel;
/* Algorithms and ESN of the SAs that are made; the test program's. */
extern struct ipsec_sa sa_form;

/* cmocka's: 0 is good. */
int set_up(const char *backend);
int tear_down(void **state);
void start_over(void);
struct kernel_channel *open_channel(void);

/* As a shard does: poll, then sleep on the descriptor. */
void turn(int timeout_ms);
void await_answers(unsigned count);
/* All of so many, and none with an error. */
void all_are_good(unsigned count);
void await_events(unsigned count);
void settle(void);
/* What a shell command says, a number. */
unsigned count_of(const char *command);
unsigned sas_in_kernel(void);

/* The n-th tunnel SA: reqid 1000 + n, to an address of its own. */
struct ipsec_request make_sa(uint32_t n, enum ipsec_direction direction, uint64_t token);
void submit_sa(enum ipsec_op op, uint32_t n, enum ipsec_direction direction, uint64_t token);
void submit_policy(enum ipsec_op op, uint32_t n, uint64_t token);

uint64_t cpu_us(void);
uint64_t now_us(void);
void figure(const char *what, unsigned count, uint64_t started_us, uint64_t cpu);

/* ---- traffic: from 192.0.2.1 to 198.51.100.0/24, tunnels to 198.18.0.1 ---- */

void route_traffic(void);
/* A datagram to a host of that net: does it leave, in clear or not? (What is dropped for want of an
 * SA is no error for the sender.) */
bool send_to(uint8_t host);
void submit_traffic_policy(enum ipsec_op op, enum ipsec_policy_action action, bool trap,
	uint32_t reqid, const char *to, uint64_t token);
/* Outbound; limits in packets. */
void submit_limited_sa(uint32_t reqid, uint64_t soft, uint64_t hard, uint64_t token);

/* ---- kernel_cases.c: what all backends of an operating system do alike ---- */

/* The remote selector that an acquire tells of a UDP packet to port 9 of 198.51.100.200, under a
 * policy for 198.51.100.128/25. */
extern const char *acquired_ts;
extern bool counts_all; /* IPSEC_SA_QUERY_ALL */
void case_many(void **state);
void case_one_spi_twice(void **state);
void case_limits(void **state);
void case_policies(void **state);

#endif
