/* What was learned from the kernel's routing: own addresses, routes and neighbours of the twins.
 * One hash table for the three; routes are found by asking for each prefix length in use, longest
 * first. Packet threads read, the control thread changes. */
#ifndef DATAPLANE_FIB_H
#define DATAPLANE_FIB_H

#include "flow.h"
#include "grace.h"
#include "grace_table.h"

#define FIB_KERNEL                                                                                 \
	0xff /* a "port": by an interface that is not ours, or not to be forwarded at all */

enum fib_kind { FIB_ADDRESS, FIB_ROUTE, FIB_NEIGHBOUR };

struct fib_key {
	struct ip_key address;
	uint8_t kind, family;
	uint8_t len;    /* FIB_ROUTE: of the prefix */
	uint32_t index; /* FIB_NEIGHBOUR: port; else 0 */
};

struct fib_entry {
	struct grace_node node;
	struct retired retired;
	struct fib_entry *next, **link;
	uint32_t epoch; /* of the last time that the kernel spoke of it */
	struct fib_key key;
	uint8_t port;           /* FIB_ROUTE */
	uint8_t gateway_family; /* FIB_ROUTE: 0: the destination is on the link */
	struct ip_key gateway;
	uint32_t metric, table;
	uint32_t interface; /* FIB_ADDRESS, FIB_ROUTE */
	uint8_t mac[6];     /* FIB_NEIGHBOUR */
	bool stale;         /* atomic: the kernel would have it confirmed before it relies on it */
	uint64_t asked_ms;  /* atomic: when it was asked for its confirmation */
};

struct fib {
	struct grace *grace;
	struct grace_table table;
	struct fib_entry *all;
	uint64_t seed[2];
	uint64_t lens[2][3]; /* atomic bit sets: prefix lengths in use, IPv4 and IPv6 */
	uint32_t counts[2][129];
	uint64_t generation; /* atomic: grows with each change that can alter a packet's way */
	uint32_t epoch;
};

bool fib_init(struct fib *fib, struct grace *grace);
/* No reader is left. */
void fib_end(struct fib *fib);

/* Control thread. The entry's content replaces that of an equal entry (equal key, table, metric and
 * interface). False: no memory. */
bool fib_set(struct fib *fib, const struct fib_entry *entry);
void fib_remove(struct fib *fib, const struct fib_entry *entry);
/* A new epoch begins: what fib_set does not confirm until fib_sweep goes. */
void fib_mark(struct fib *fib);
void fib_sweep(struct fib *fib);

/* Packet threads. */
static inline uint64_t fib_generation(const struct fib *fib)
{
	return __atomic_load_n(&fib->generation, __ATOMIC_ACQUIRE);
}
bool fib_is_local(const struct fib *fib, uint8_t family, const struct ip_key *address);
struct fib_hop {
	uint8_t port, family;
	struct ip_key address; /* of the next hop */
};
/* False: no route. */
bool fib_route(
	const struct fib *fib, uint8_t family, const struct ip_key *dst, struct fib_hop *hop);
/* NULL: not known yet. Valid until the next quiescent point. */
struct fib_entry *fib_neighbour(
	const struct fib *fib, uint8_t port, uint8_t family, const struct ip_key *address);

#endif
