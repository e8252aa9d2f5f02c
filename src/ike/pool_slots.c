/* The slots of an address pool. */
#include "pool_slots.h"

#include <stdlib.h>

/* A search for what was returned first passes by so many that are held again at most. */
#define STALE_MAX 65536

/* ---- where they are ------------------------------------------------------------- */

/* Segment 0 has [0, 64), segment n > 0 has [2^(n+5), 2^(n+6)). They never move. */
static unsigned segment_of(uint32_t i, uint32_t *start)
{
	unsigned n = i < SLOT_FIRST_COUNT ? 0 : 32 - SLOT_FIRST_BITS - (unsigned)__builtin_clz(i);

	*start = n == 0 ? 0 : SLOT_FIRST_COUNT << (n - 1);
	return n;
}

static size_t segment_len(unsigned n)
{
	return n == 0 ? SLOT_FIRST_COUNT : (size_t)SLOT_FIRST_COUNT << (n - 1);
}

struct slot *pool_slot(const struct pool_slots *slots, uint32_t i)
{
	uint32_t start;
	unsigned n = segment_of(i, &start);

	return &__atomic_load_n(&slots->segments[n], __ATOMIC_ACQUIRE)[i - start];
}

static bool have_segment(struct pool_slots *slots, uint32_t i)
{
	uint32_t start;
	unsigned n = segment_of(i, &start);
	struct slot *none = NULL, *fresh;

	if (__atomic_load_n(&slots->segments[n], __ATOMIC_ACQUIRE))
		return true;
	fresh = calloc(segment_len(n), sizeof(*fresh)); /* pages that nobody has touched yet */
	if (!fresh)
		return false;
	if (!__atomic_compare_exchange_n(
		    &slots->segments[n], &none, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		free(fresh);
	return true;
}

void pool_slots_release(struct pool_slots *slots)
{
	for (unsigned n = 0; n < SLOT_SEGMENTS; n++)
		free(slots->segments[n]);
}

size_t pool_slots_bytes(const struct pool_slots *slots)
{
	return (size_t)__atomic_load_n(&slots->grown, __ATOMIC_RELAXED) * sizeof(struct slot);
}

/* ---- stacks --------------------------------------------------------------------- */

static void push(struct pool_slots *slots, uint64_t *stack, uint32_t i)
{
	uint64_t head = __atomic_load_n(stack, __ATOMIC_RELAXED), wanted;

	do {
		__atomic_store_n(&pool_slot(slots, i)->next, (uint32_t)head, __ATOMIC_RELAXED);
		wanted = ((head >> 32) + 1) << 32 | (i + 1u);
	} while (!__atomic_compare_exchange_n(
		stack, &head, wanted, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* The slot may be another's by now, and its `next` of another stack: then the head has another
 * count. */
static bool pop(const struct pool_slots *slots, uint64_t *stack, uint32_t *out)
{
	uint64_t head = __atomic_load_n(stack, __ATOMIC_ACQUIRE), wanted;

	do {
		if (!(uint32_t)head)
			return false;
		*out = (uint32_t)head - 1;
		wanted = ((head >> 32) + 1) << 32 |
			 __atomic_load_n(&pool_slot(slots, *out)->next, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(
		stack, &head, wanted, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return true;
}

static uint64_t *stack_of(struct pool_slots *slots, uint64_t returned_s)
{
	return &slots->returned[returned_s / STACK_PERIOD_S % STACKS];
}

static uint64_t load_word(const struct slot *slot)
{
	return __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
}

static bool change_word(struct slot *slot, uint64_t *from, uint64_t to)
{
	return __atomic_compare_exchange_n(
		&slot->word, from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static uint64_t held_word(uint64_t version, uint16_t tag, bool remembered)
{
	return version << SLOT_VERSION_AT | (uint64_t)tag << SLOT_TAG_AT | SLOT_HOLDER |
	       (remembered ? SLOT_REMEMBERED : 0);
}

/* ---- claiming ------------------------------------------------------------------- */

/* One that the caller has taken out of a stack. False: it is held, and left to its holder. */
static bool claim_popped(
	struct pool_slots *slots, uint32_t i, uint16_t tag, bool remembered, bool *was_remembered)
{
	struct slot *slot = pool_slot(slots, i);
	uint64_t word = load_word(slot), wanted;
	bool held;

	do {
		held = slot_holders(word);
		wanted = held ? word & ~SLOT_STACKED
			      : held_word(slot_version(word) + 1u, tag, remembered);
	} while (!change_word(slot, &word, wanted));
	if (held)
		return false;
	*was_remembered = word & SLOT_REMEMBERED;
	__atomic_store_n(&slot->record, NULL, __ATOMIC_RELEASE);
	__atomic_add_fetch(&slots->in_use, 1, __ATOMIC_RELAXED);
	return true;
}

static bool claim_new(struct pool_slots *slots, uint16_t tag, bool remembered, uint32_t *out)
{
	uint32_t n = __atomic_load_n(&slots->grown, __ATOMIC_RELAXED);

	do {
		if (n >= slots->size || !have_segment(slots, n))
			return false;
	} while (!__atomic_compare_exchange_n(
		&slots->grown, &n, n + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	__atomic_store_n(
		&pool_slot(slots, n)->word, held_word(0, tag, remembered), __ATOMIC_RELEASE);
	__atomic_add_fetch(&slots->in_use, 1, __ATOMIC_RELAXED);
	*out = n;
	return true;
}

/* Has it been returned again since it came into this stack? Then it goes where it belongs. */
static bool move_on(struct pool_slots *slots, const uint64_t *stack, uint32_t i)
{
	struct slot *slot = pool_slot(slots, i);
	uint64_t *right = stack_of(slots, __atomic_load_n(&slot->returned_s, __ATOMIC_RELAXED));

	if (right == stack || slot_holders(load_word(slot)))
		return false;
	push(slots, right, i);
	return true;
}

static bool claim_oldest(struct pool_slots *slots, uint16_t tag, bool remembered, uint64_t now_s,
	uint32_t *out, bool *was_remembered)
{
	unsigned stale = 0;

	if (__atomic_load_n(&slots->in_use, __ATOMIC_RELAXED) >= slots->size)
		return false;
	for (unsigned age = STACKS; age-- > 0;) {
		uint64_t *stack =
			&slots->returned[(now_s / STACK_PERIOD_S - age + 2ull * STACKS) % STACKS];

		while (stale < STALE_MAX && pop(slots, stack, out)) {
			stale++;
			if (!move_on(slots, stack, *out) &&
				claim_popped(slots, *out, tag, remembered, was_remembered))
				return true;
		}
	}
	return false;
}

enum slot_claim pool_slots_claim(
	struct pool_slots *slots, uint16_t tag, bool remembered, uint64_t now_s, uint32_t *out)
{
	bool was_remembered = false;

	while (pop(slots, &slots->free, out)) {
		if (claim_popped(slots, *out, tag, remembered, &was_remembered))
			return was_remembered ? CLAIM_STOLEN : CLAIM_FRESH;
	}
	if (claim_new(slots, tag, remembered, out))
		return CLAIM_FRESH;
	if (!claim_oldest(slots, tag, remembered, now_s, out, &was_remembered))
		return CLAIM_NONE;
	return was_remembered ? CLAIM_STOLEN : CLAIM_FRESH;
}

enum slot_join pool_slots_join(struct pool_slots *slots, uint32_t i, uint32_t version, uint16_t tag,
	bool share, bool *alone)
{
	struct slot *slot = pool_slot(slots, i);
	uint64_t word = load_word(slot), wanted;
	const uint64_t tag_mask = UINT64_C(0xffff) << SLOT_TAG_AT;

	do {
		*alone = !slot_holders(word);
		if (slot_version(word) != version)
			return JOIN_LOST;
		if (!*alone && (!share || slot_tag(word) != tag))
			return JOIN_IN_USE;
		wanted = ((word & ~tag_mask) | (uint64_t)tag << SLOT_TAG_AT) + SLOT_HOLDER;
	} while (!change_word(slot, &word, wanted));
	if (*alone)
		__atomic_add_fetch(&slots->in_use, 1, __ATOMIC_RELAXED);
	return JOIN_DONE;
}

/* ---- giving back ---------------------------------------------------------------- */

void pool_slots_return(struct pool_slots *slots, uint32_t i, bool forget, uint64_t now_s)
{
	struct slot *slot = pool_slot(slots, i);
	uint64_t word = load_word(slot), wanted;
	bool last, stack;

	__atomic_store_n(&slot->returned_s, (uint32_t)now_s, __ATOMIC_RELAXED);
	do {
		wanted = (word - SLOT_HOLDER) & ~(forget ? SLOT_REMEMBERED : 0);
		last = !slot_holders(wanted);
		stack = last && !(word & SLOT_STACKED);
		wanted |= stack ? SLOT_STACKED : 0;
	} while (!change_word(slot, &word, wanted));
	if (last)
		__atomic_sub_fetch(&slots->in_use, 1, __ATOMIC_RELAXED);
	if (stack)
		push(slots, wanted & SLOT_REMEMBERED ? stack_of(slots, now_s) : &slots->free, i);
}

bool pool_slots_forget(struct pool_slots *slots, uint32_t i, uint32_t version)
{
	struct slot *slot = pool_slot(slots, i);
	uint64_t word = load_word(slot), wanted;

	do {
		if (slot_holders(word) || slot_version(word) != version)
			return false;
		wanted = (uint64_t)(slot_version(word) + 1u) << SLOT_VERSION_AT | SLOT_STACKED;
	} while (!change_word(slot, &word, wanted));
	if (!(word & SLOT_STACKED))
		push(slots, &slots->free, i);
	return true;
}

void pool_slots_tidy(struct pool_slots *slots, uint64_t now_s, uint64_t age_s, unsigned budget)
{
	uint64_t *stack;
	uint32_t i;

	if (now_s < age_s)
		return;
	stack = stack_of(slots, now_s - age_s);
	while (budget-- && pop(slots, stack, &i)) {
		struct slot *slot = pool_slot(slots, i);
		uint64_t word = load_word(slot);

		while (slot_holders(word) && !change_word(slot, &word, word & ~SLOT_STACKED))
			;
		if (slot_holders(word))
			continue;
		if (!(word & SLOT_REMEMBERED))
			push(slots, &slots->free, i);
		else if (!move_on(slots, stack, i)) {
			push(slots, stack, i); /* not forgotten yet: next time */
			return;
		}
	}
}

bool pool_slots_restore(struct pool_slots *slots, uint32_t i, uint64_t returned_s)
{
	for (; slots->grown <= i; slots->grown++) {
		uint32_t n = slots->grown;
		struct slot *slot;

		if (!have_segment(slots, n))
			return false;
		slot = pool_slot(slots, n);
		slot->word = SLOT_STACKED | (n == i ? SLOT_REMEMBERED : 0);
		slot->returned_s = (uint32_t)returned_s;
		push(slots, n == i ? stack_of(slots, returned_s) : &slots->free, n);
	}
	return true;
}
