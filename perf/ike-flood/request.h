/* An IKE_SA_INIT request within UDP and IPv4, as a stranger might send it; each one differs. */
#ifndef IKE_FLOOD_REQUEST_H
#define IKE_FLOOD_REQUEST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define REQUEST_MAX 512

/* Not for keys: what makes requests differ. */
struct dice {
	uint64_t state[2];
};

/* From the system's random bytes. */
struct dice dice_new(void);
uint64_t dice_throw(struct dice *dice);

struct request {
	uint8_t bytes[REQUEST_MAX];
	unsigned len;
};

/* What all have in common. False: no keys could be made. `to`, in network order, is port 500 of the
 * responder. */
bool request_prepare(struct request *request, struct in_addr to);
/* Gives it a source address of the prefix (host order), a source port, an SPI, a public value, a
 * nonce and NAT detection hashes of its own. */
void request_vary(struct request *request, struct dice *dice, uint32_t prefix, unsigned prefix_len);

#endif
