#include "base/timer.h"

#include <assert.h>
#include <stdlib.h>

/* A due time is read as a number of eleven digits to the base of 64. A timer waits on the
 * level of the highest digit in which its due time differs from the wheel's present, in the slot
 * that this digit names; all timers of a lower level are due before those of a higher one.
 * When the present reaches a slot, its timers move to lower levels. So the earliest slot
 * that is in use is two bit scans away, and a jump of days costs as much as the slots that
 * are in use, not the ticks between. */
#define DIGIT_BITS 6
#define DIGITS     (1u << DIGIT_BITS)
#define LEVELS     11
/* How many timers may move to a lower level in the time that one may fire: a bounded call
 * must not stall on a slot in which a hundred thousand timers wait. */
#define MOVES_PER_FIRE 16

/* Timers in a ring through a head that is no timer itself: joining at the end, leaving and the test
 * for emptiness need not know which list it is. */
struct timer_list {
	struct timer head;
};

struct timer_wheel {
	uint64_t now;    /* no slot before it is in use */
	uint64_t target; /* while expiring: where to */
	bool expiring;
	/* Not 0: the slot that the present has just reached on this level still moves down. */
	unsigned moving;
	uint64_t count;
	uint64_t levels;        /* bit n: used[n] is not 0 */
	uint64_t used[LEVELS];  /* bit n: slot n has timers */
	struct timer_list late; /* armed by `fire` for a time that is being expired */
	struct timer_list slots[LEVELS][DIGITS];
};

static void list_init(struct timer_list *list)
{
	list->head.next = &list->head;
	list->head.link = &list->head.next;
}

static bool list_is_empty(const struct timer_list *list)
{
	return list->head.next == &list->head;
}

static void list_append(struct timer_list *list, struct timer *timer)
{
	timer->next = &list->head;
	timer->link = list->head.link;
	*timer->link = timer;
	list->head.link = &timer->next;
}

struct timer_wheel *timer_wheel_new(uint64_t now_ms)
{
	struct timer_wheel *wheel = calloc(1, sizeof(*wheel));

	if (!wheel)
		return NULL;
	wheel->now = now_ms;
	list_init(&wheel->late);
	for (unsigned level = 0; level < LEVELS; level++) {
		for (unsigned slot = 0; slot < DIGITS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
	return wheel;
}

void timer_wheel_free(struct timer_wheel *wheel)
{
	free(wheel);
}

static unsigned digit(uint64_t time, unsigned level)
{
	return (unsigned)(time >> level * DIGIT_BITS) & (DIGITS - 1);
}

static unsigned top_differing_level(uint64_t a, uint64_t b)
{
	return a == b ? 0 : (63 - (unsigned)__builtin_clzll(a ^ b)) / DIGIT_BITS;
}

static void mark_used(struct timer_wheel *wheel, unsigned level, unsigned slot)
{
	wheel->used[level] |= UINT64_C(1) << slot;
	wheel->levels |= UINT64_C(1) << level;
}

static void mark_empty(struct timer_wheel *wheel, unsigned level, unsigned slot)
{
	wheel->used[level] &= ~(UINT64_C(1) << slot);
	if (wheel->used[level] == 0)
		wheel->levels &= ~(UINT64_C(1) << level);
}

static void enter_slot(struct timer_wheel *wheel, struct timer *timer, unsigned level)
{
	unsigned slot = digit(timer->due_ms, level);

	list_append(&wheel->slots[level][slot], timer);
	mark_used(wheel, level, slot);
}

static void enter(struct timer_wheel *wheel, struct timer *timer)
{
	enter_slot(wheel, timer, top_differing_level(timer->due_ms, wheel->now));
}

/* Takes a timer off its list; when this was a slot's last one, the slot is marked. */
static void leave(struct timer_wheel *wheel, struct timer *timer)
{
	struct timer *next = timer->next;

	*timer->link = next;
	next->link = timer->link;
	timer->next = NULL;
	timer->link = NULL;
	/* Only a list's head can be its own neighbour. */
	if (next->next == next && next != &wheel->late.head) {
		size_t i = (size_t)((struct timer_list *)next - &wheel->slots[0][0]);

		mark_empty(wheel, (unsigned)(i / DIGITS), (unsigned)(i % DIGITS));
	}
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ms)
{
	timer_cancel(wheel, timer);
	timer->due_ms = due_ms > wheel->now ? due_ms : wheel->now;
	wheel->count++;
	if (wheel->expiring && timer->due_ms <= wheel->target)
		list_append(&wheel->late, timer);
	else if (top_differing_level(timer->due_ms, wheel->now) < wheel->moving)
		/* Behind those of its time that were armed before and have not moved yet. */
		enter_slot(wheel, timer, wheel->moving);
	else
		enter(wheel, timer);
}

void timer_cancel(struct timer_wheel *wheel, struct timer *timer)
{
	if (!timer_is_armed(timer))
		return;
	leave(wheel, timer);
	wheel->count--;
}

/* The start of the earliest slot in use; the caller knows that there is one. */
static uint64_t earliest(const struct timer_wheel *wheel, unsigned *level, unsigned *slot)
{
	uint64_t above;

	*level = (unsigned)__builtin_ctzll(wheel->levels);
	*slot = (unsigned)__builtin_ctzll(wheel->used[*level]);
	above = (*level + 1) * DIGIT_BITS < 64 ? ~UINT64_C(0) << (*level + 1) * DIGIT_BITS : 0;
	return (wheel->now & above) | (uint64_t)*slot << *level * DIGIT_BITS;
}

/* Moves the timers of the slot that the present has reached to lower levels. False when the
 * budget ended first. */
static bool move_down(struct timer_wheel *wheel, uint64_t *moves)
{
	unsigned level = wheel->moving;
	struct timer_list *list = &wheel->slots[level][digit(wheel->now, level)];

	while (!list_is_empty(list)) {
		struct timer *timer = list->head.next;

		if (*moves == 0)
			return false;
		--*moves;
		leave(wheel, timer);
		enter(wheel, timer);
	}
	wheel->moving = 0;
	return true;
}

/* Goes on to the earliest slot that has timers due up to the target, down to level 0.
 * NULL when there is none, or when the budget for moves is used up. */
static struct timer_list *next_due_slot(struct timer_wheel *wheel, uint64_t *moves)
{
	for (;;) {
		unsigned level, slot;
		uint64_t start;

		if (wheel->moving && !move_down(wheel, moves))
			return NULL;
		if (wheel->levels == 0)
			return NULL;
		start = earliest(wheel, &level, &slot);
		if (start > wheel->target)
			return NULL;
		wheel->now = start;
		if (level == 0)
			return &wheel->slots[0][slot];
		wheel->moving = level;
	}
}

/* What `fire` armed for the past or the present waits for the next call, or a timer that
 * re-arms itself so would never let this one end. */
static void enter_late(struct timer_wheel *wheel)
{
	while (!list_is_empty(&wheel->late)) {
		struct timer *timer = wheel->late.head.next;

		leave(wheel, timer);
		wheel->count--;
		timer_arm(wheel, timer, timer->due_ms);
	}
}

unsigned timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ms, unsigned limit,
	void (*fire)(struct timer *timer, void *arg), void *arg)
{
	uint64_t moves = limit ? (uint64_t)limit * MOVES_PER_FIRE : UINT64_MAX;
	unsigned fired = 0;
	struct timer_list *slot = NULL;

	assert(!wheel->expiring);
	if (now_ms < wheel->now)
		return 0;
	wheel->target = now_ms;
	wheel->expiring = true;
	while ((limit == 0 || fired < limit) && (slot = next_due_slot(wheel, &moves))) {
		while (!list_is_empty(slot) && (limit == 0 || fired < limit)) {
			struct timer *timer = slot->head.next;

			leave(wheel, timer);
			wheel->count--;
			fired++;
			fire(timer, arg);
		}
	}
	/* All that was due has fired, unless a limit ended the call. */
	if (!slot && !wheel->moving)
		wheel->now = now_ms;
	wheel->expiring = false;
	enter_late(wheel);
	return fired;
}

uint64_t timer_wheel_next(const struct timer_wheel *wheel)
{
	unsigned level, slot;

	if (wheel->count == 0)
		return UINT64_MAX;
	if (wheel->moving)
		return wheel->now;
	return earliest(wheel, &level, &slot);
}

uint64_t timer_wheel_count(const struct timer_wheel *wheel)
{
	return wheel->count;
}
