/* A hierarchical timer wheel with intrusive timers, 1 ms per tick. Arming, re-arming and
 * cancelling are O(1) and allocate nothing. A wheel and its timers belong to one thread;
 * time is whatever the owner passes in, so that a simulator can run it on virtual time. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
	struct timer *next, **link; /* link is NULL when not armed */
	uint64_t due_ms;            /* as armed, or the wheel's time where that was later */
};

struct timer_wheel;

struct timer_wheel *timer_wheel_new(uint64_t now_ms);
/* Armed timers are simply forgotten. */
void timer_wheel_free(struct timer_wheel *wheel);
/* A due time in the past counts as the wheel's present and fires at the next
 * timer_wheel_expire. Re-arms an armed one. */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ms);
/* Harmless when not armed. */
void timer_cancel(struct timer_wheel *wheel, struct timer *timer);
static inline bool timer_is_armed(const struct timer *timer)
{
	return timer->link != 0;
}
/* Moves the wheel to now_ms and gives each timer that has become due to `fire`, in order of
 * due time (ties: order of arming), never before its due time. `fire` may arm and cancel any timer;
 * what it arms for now_ms or earlier fires at the next call, so that a call always ends. Returns
 * how many fired. `limit` bounds one call's work (0: no limit): there is more to do when
 * timer_wheel_next is not later than now_ms, even if nothing fired. */
unsigned timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ms, unsigned limit,
	void (*fire)(struct timer *timer, void *arg), void *arg);
/* No timer fires before the returned time (it may be early, never late);
 * UINT64_MAX when nothing is armed. */
uint64_t timer_wheel_next(const struct timer_wheel *wheel);
uint64_t timer_wheel_count(const struct timer_wheel *wheel);

#endif
