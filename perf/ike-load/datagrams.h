/* One UDP socket that speaks for all of the clients' addresses: which one is told with each
 * datagram (IP_PKTINFO). Datagrams come and go in batches. */
#ifndef IKE_LOAD_DATAGRAMS_H
#define IKE_LOAD_DATAGRAMS_H

#include "base/bytes.h"
#include "ike/engine.h"

struct datagrams;

struct datagram_counts {
	uint64_t sent, received, bytes_sent, bytes_received, send_errors;
};

/* `nat`: of port 4500, with the non-ESP marker in front of all. NULL with errno. */
struct datagrams *datagrams_open(uint16_t port, bool nat, unsigned buffer);
void datagrams_close(struct datagrams *d);
int datagrams_fd(const struct datagrams *d);
/* Queues; datagrams_flush sends what is queued. */
void datagrams_send(struct datagrams *d, const struct ike_path *path, struct bytes message);
void datagrams_flush(struct datagrams *d);
/* Gives what has come to `take`, at most one batch. True: there may be more. */
bool datagrams_receive(struct datagrams *d,
	void (*take)(void *arg, const struct ike_path *path, uint8_t *message, size_t len),
	void *arg);
const struct datagram_counts *datagrams_counts(const struct datagrams *d);

#endif
