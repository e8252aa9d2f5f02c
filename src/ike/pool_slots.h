/* The addresses of a pool that were lent at one time or another, one slot each, and the stacks in
 * which those lie that nobody holds. Private to the pool.
 *
 * A slot's word says all that decides about it, and changes by compare-and-swap only: a version,
 * which changes with its owner; a tag of the connection; how many hold it; whether an identity is
 * remembered for it; whether it lies in a stack. Who sets the last puts it there, who takes it out
 * clears it, so that it lies in one at most. A slot that is taken again by its identity stays in
 * its stack and is dropped by whoever meets it there. */
#ifndef IKE_POOL_SLOTS_H
#define IKE_POOL_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record;

struct slot {
	uint64_t word;
	struct record *record; /* whose it is; NULL: nobody's */
	uint32_t next;         /* in the stack: slot + 1; 0: the last */
	uint32_t returned_s;
	uint32_t connection, instance, peer[4];
};

/* version: 24 bits | tag: 16 | holders: 22 | remembered | stacked */
#define SLOT_STACKED    UINT64_C(1)
#define SLOT_REMEMBERED UINT64_C(2)
#define SLOT_HOLDER     UINT64_C(4)
#define SLOT_TAG_AT     24
#define SLOT_VERSION_AT 40

static inline uint32_t slot_holders(uint64_t word)
{
	return (uint32_t)(word >> 2) & 0x3fffff;
}
static inline uint16_t slot_tag(uint64_t word)
{
	return (uint16_t)(word >> SLOT_TAG_AT);
}
static inline uint32_t slot_version(uint64_t word)
{
	return (uint32_t)(word >> SLOT_VERSION_AT);
}

/* Stacks of returned slots by the time of return, so that the oldest is lent first. */
#define STACK_PERIOD_S   1800
#define STACKS           64

#define SLOT_SEGMENTS    27
#define SLOT_FIRST_BITS  6
#define SLOT_FIRST_COUNT (1u << SLOT_FIRST_BITS)

struct pool_slots {
	uint32_t size;   /* of the pool */
	uint32_t grown;  /* atomic: slots that exist */
	uint32_t in_use; /* atomic */
	uint64_t free;   /* stack of nobody's: a counter against confusion, and slot + 1 */
	uint64_t returned[STACKS];
	struct slot *segments[SLOT_SEGMENTS]; /* that double */
};

void pool_slots_release(struct pool_slots *slots);
/* Below slots->grown. */
struct slot *pool_slot(const struct pool_slots *slots, uint32_t i);
size_t pool_slots_bytes(const struct pool_slots *slots);

enum slot_claim { CLAIM_NONE, CLAIM_FRESH, CLAIM_STOLEN };
/* A slot for a holder that nobody has: one that is nobody's, else a new one, else the one that was
 * returned first. `remembered`: an identity is going to be. */
enum slot_claim pool_slots_claim(
	struct pool_slots *slots, uint16_t tag, bool remembered, uint64_t now_s, uint32_t *out);
enum slot_join { JOIN_DONE, JOIN_IN_USE, JOIN_LOST };
/* Another holder for the slot, if it still is of this version; in one that is in use only if
 * `share` and the tag is the same. *alone: it had none. */
enum slot_join pool_slots_join(struct pool_slots *slots, uint32_t i, uint32_t version, uint16_t tag,
	bool share, bool *alone);
/* One holder less. `forget`: an identity was to be remembered, and is not. */
void pool_slots_return(struct pool_slots *slots, uint32_t i, bool forget, uint64_t now_s);
/* The slot of this version becomes nobody's. False: it is held, or another's. */
bool pool_slots_forget(struct pool_slots *slots, uint32_t i, uint32_t version);
/* Takes up to `budget` slots out of the stack of the period that is over by `age_s`: into the stack
 * where they belong by now. */
void pool_slots_tidy(struct pool_slots *slots, uint64_t now_s, uint64_t age_s, unsigned budget);
/* The slots up to i come to be, nobody's; i is remembered for an identity, and was returned then.
 * For one thread alone. False: no memory. */
bool pool_slots_restore(struct pool_slots *slots, uint32_t i, uint64_t returned_s);

#endif
