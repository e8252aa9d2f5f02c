/* The SA database. Inbound SAs lie in an array that the low bits of the SPI index, so that the SPI
 * of a packet is the way to its SA; the high bits are random. Outbound SAs are found through their
 * group (spd.h). */
#ifndef DATAPLANE_SAD_H
#define DATAPLANE_SAD_H

#include "sa.h"
#include "spd.h"

#define SAD_CAPACITY_DEFAULT (1u << 20)
#define SAD_CAPACITY_MAX     (1u << 24)

struct sad {
	struct grace *grace;
	struct sa **inbound; /* atomic; the memory appears as it is touched */
	uint32_t *spis;      /* atomic: which SPI holds the place, 0: free */
	uint32_t capacity;   /* a power of two */
	unsigned capacity_bits;
	uint32_t hint; /* atomic: places are given in turn, so that one rests long after its use */
	uint64_t random;                 /* atomic: state of the sequence for the high bits */
	struct table *outbound, *groups; /* control thread */
	struct sa_group *all_groups;
	uint64_t count, bytes; /* atomic */
};

/* `capacity`: 0 is the default. False: no memory, or not a power of two in 256..SAD_CAPACITY_MAX.
 */
bool sad_init(struct sad *sad, struct grace *grace, uint32_t capacity);
/* No reader is left; wipes all. */
void sad_end(struct sad *sad);

/* Any thread, no lock. */
uint32_t sad_allocate_spi(struct sad *sad);
void sad_release_spi(struct sad *sad, uint32_t spi);

/* Control thread. 0 or errno: EEXIST when the place or the outbound SA exists. Takes the SA. */
int sad_add(struct sad *sad, struct sa *sa);
/* An outbound SA is named by its SPI with the remote address, or, if that is not (or no longer) its
 * own, with its reqid. */
struct sa *sad_find(const struct sad *sad, uint32_t spi, enum ipsec_direction direction,
	const struct ip_address *remote, uint32_t reqid);
/* Unlinks it and lets it be wiped after the grace period; an inbound SPI is free again then. */
void sad_remove(struct sad *sad, struct sa *sa);
/* Finds or makes the group of a reqid, and counts the caller as a user. NULL: no memory. */
struct sa_group *sad_group_take(struct sad *sad, uint32_t reqid);
void sad_group_drop(struct sad *sad, struct sa_group *group);

/* Packet threads: the SA of an SPI, or NULL. Valid until the next quiescent point. */
static inline struct sa *sad_inbound(const struct sad *sad, uint32_t spi)
{
	struct sa *sa = __atomic_load_n(&sad->inbound[spi & (sad->capacity - 1)], __ATOMIC_ACQUIRE);
	return sa && sa->esp.spi == spi ? sa : NULL;
}

#endif
