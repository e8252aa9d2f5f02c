/* Two gateways in one process, without ports and threads: frames are put into classification and taken out of the
 * send queues. West has 10.1.0.0/16 and fd01::/32 behind its LAN, east 10.2.0.0/16 and fd02::/32; their WAN addresses are
 * 192.0.2.1/2 and 2001:db8::1/2. */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "dp.h"

enum { WAN, LAN, PORTS };

struct gateway {
	struct dataplane dp;
	struct lcore lc;
	int kernel[PORTS]; /* the kernel's end of the twins */
};

struct frame {
	unsigned len;
	uint8_t bytes[2200];
};

bool gateways_start(void);
void gateways_stop(void);
/* index 0: west, 1: east */
struct gateway *gateway_new(unsigned index);
void gateway_free(struct gateway *gw);
void gateway_run(struct gateway *gw);
void from_port(struct gateway *gw, unsigned port, const struct frame *frame);
void from_twin(struct gateway *gw, unsigned port, const struct frame *frame);
/* The next frame that was sent on a port, or given to a twin; false: none. */
bool sent_on_port(struct gateway *gw, unsigned port, struct frame *frame);
bool given_to_twin(struct gateway *gw, unsigned port, struct frame *frame);
uint64_t counted(const struct gateway *gw, enum counter which);
struct sa *add_sa(struct gateway *gw, const struct ipsec_sa *request);
void add_policy(struct gateway *gw, const struct ipsec_policy *policy);
/* The next mail to the control thread; NULL: none. The caller frees it. */
struct mail *next_mail(struct gateway *gw);

/* An IP packet in a frame to the gateway's port. Protocol 17 gets ports 4000 -> 5000, 1 an echo request. `payload` is behind
 * the transport header. */
void make_packet(struct frame *frame, const struct gateway *to, unsigned port, const char *src, const char *dst,
	uint8_t protocol, unsigned payload);
void refresh_ipv4(struct frame *frame);

#endif
