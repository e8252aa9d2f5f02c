/* Address pools (RFC 7296, section 2.19): addresses that are lent to peers. One pool is shared by
 * all connections that name the same ranges, and by all engines of the daemon, without a lock.
 *
 * Threads: what takes and returns leases may be called by any thread that is a reader as
 * ike/catalogue.h has it. What is marked "keeper" belongs to one thread at a time, which must be
 * such a reader too. Memory goes with the leases that were lent at one time, not with the size of
 * the pool: 48 bytes an address and 48 a remembered identity, beside the identity itself. */
#ifndef IKE_ADDRESS_POOL_H
#define IKE_ADDRESS_POOL_H

#include "base/address.h"
#include "ike/identity.h"

#define POOL_RANGES_MAX 16
#define POOL_SIZE_MAX   0xfffffffeu /* addresses; what lies behind is not lent */
#define POOL_TEXT_MAX   (POOL_RANGES_MAX * 2 * IP_TEXT_MAX)
/* A returned address is kept for the identity that had it so long, while others are free. */
#define LEASE_LINGER_S 86400

struct address_pool;

/* Of one family, in any order; they are sorted and joined. With one reference. NULL with a reason
 * in `error`: ranges that overlap, several families, 0.0.0.0 or ::, too many, no memory. */
struct address_pool *address_pool_new(
	const struct ip_range *ranges, unsigned count, char *error, size_t error_size);
struct address_pool *address_pool_ref(struct address_pool *pool);
void address_pool_unref(struct address_pool *pool); /* NULL is allowed */
/* Is there only the caller's reference left? */
bool address_pool_is_unused(const struct address_pool *pool);
/* The i-th range in order; NULL past the end. */
const struct ip_range *address_pool_range(const struct address_pool *pool, unsigned i);
bool address_pool_same(const struct address_pool *a, const struct address_pool *b);
bool address_pool_overlaps(const struct address_pool *a, const struct address_pool *b);
/* "10.5.0.10-10.5.0.20", several with commas between. Returns `out`. */
const char *address_pool_text(const struct address_pool *pool, char out[POOL_TEXT_MAX]);

/* ---- leases ---------------------------------------------------------------- */

/* Who asks. */
struct lease_asker {
	const struct identity
		*id; /* gets the same address again; NULL: never the same on purpose */
	bool share;  /* may have an address together with another holder of the same identity and
			connection, one of which is about to end */
	uint64_t connection; /* its serial */
	uint32_t instance;
	const struct ip_address *peer;
	uint64_t now_s; /* of a clock that never goes back, and that the keeper has too */
};

struct lease {
	struct address_pool *pool; /* NULL: no lease. The lease has a reference of its own */
	uint32_t slot;
	struct ip_address address;
};

enum lease_kind {
	LEASE_NONE,   /* there is no free address */
	LEASE_FRESH,  /* never lent before, or no longer anybody's */
	LEASE_STOLEN, /* was remembered for another identity: no other was left */
	LEASE_KEPT,   /* the one that this identity had */
	LEASE_SHARED, /* that it still has */
};

/* O(1). An asker whose address is in use and not shared gets another one, which is not
 * remembered. */
enum lease_kind address_pool_take(
	struct address_pool *pool, const struct lease_asker *asker, struct lease *out);
/* Gives it back; `lease` is none afterwards. Harmless on one that is none. */
void address_pool_return(struct lease *lease, uint64_t now_s);

/* ---- keeper ---------------------------------------------------------------- */

struct address_pool_stats {
	uint64_t size;
	uint64_t leases; /* lent at one time or another: these have memory */
	uint64_t in_use;
	uint64_t remembered; /* identities */
	uint64_t bytes;      /* with the identities, which SAs may share */
	uint64_t changes;    /* grows with every lease taken or returned */
};
struct address_pool_stats address_pool_stats(const struct address_pool *pool);

/* Forgets identities whose leases have lingered for too long, or have been lent to others. Looks at
 * a part of the pool, of about `budget` identities; true when it has come round. */
bool address_pool_sweep(struct address_pool *pool, uint64_t now_s, unsigned budget);

struct lease_view {
	struct ip_address address;
	const struct identity
		*id;      /* remembered; NULL: none. Until the reader's next quiescent state */
	unsigned holders; /* 0: free */
	uint32_t connection, instance; /* of the last one; the serial's lower half */
	struct ip_address peer;
	uint64_t returned_s; /* if it has no holders */
};
/* The next lease, from *position (0 at first) on, that has holders or is remembered; looks at
 * `budget` of them at most. False: none of these (then *position has moved on, or is at the end).
 */
bool address_pool_next(const struct address_pool *pool, uint64_t *position, unsigned budget,
	struct lease_view *view);
bool address_pool_at_end(const struct address_pool *pool, uint64_t position);
/* Before the pool is used: what was remembered by an earlier process, in order of addresses. False:
 * not an address of the pool, out of order, too far from the others, no memory. */
bool address_pool_restore(struct address_pool *pool, const struct ip_address *address,
	const struct identity *id, uint64_t returned_s);

#endif
