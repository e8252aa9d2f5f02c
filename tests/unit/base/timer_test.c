#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/timer.h"

#define DAY_MS UINT64_C(86400000)

/* ---- a plain log of what fired ------------------------------------------- */

struct log {
	struct timer *fired[64];
	unsigned count;
};

static void note(struct timer *timer, void *arg)
{
	struct log *log = arg;

	assert_false(timer_is_armed(timer));
	assert_true(log->count < 64);
	log->fired[log->count++] = timer;
}

static void ignore(struct timer *timer, void *arg)
{
	(void)timer;
	(void)arg;
}

static void empty_wheel(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(1000);
	struct timer never = {0};

	(void)state;
	assert_non_null(wheel);
	assert_true(timer_wheel_next(wheel) == UINT64_MAX);
	assert_true(timer_wheel_count(wheel) == 0);
	assert_int_equal(timer_wheel_expire(wheel, 1000 * DAY_MS, 0, ignore, NULL), 0);
	timer_cancel(wheel, &never);
	assert_false(timer_is_armed(&never));
	timer_wheel_free(wheel);
}

static void size_matters(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct timer), 24);
}

/* Around every power of 64, from awkward starting times: never early, never late. */
static void fires_to_the_millisecond(void **state)
{
	static const uint64_t starts[] = {0, 1, 63, 64, 4095, 1234567890123, UINT64_C(1) << 60};

	(void)state;
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (unsigned bits = 0; bits < 60; bits++) {
			for (int off = -1; off <= 1; off++) {
				uint64_t delay = (UINT64_C(1) << bits) + (uint64_t)off;
				struct timer_wheel *wheel = timer_wheel_new(starts[s]);
				struct timer timer = {0};
				struct log log = {0};

				timer_arm(wheel, &timer, starts[s] + delay);
				assert_true(timer_wheel_next(wheel) <= starts[s] + delay);
				assert_true(timer_wheel_next(wheel) >= starts[s]);
				if (delay > 0)
					assert_int_equal(
						timer_wheel_expire(wheel, starts[s] + delay - 1, 0,
							note, &log),
						0);
				assert_true(timer_is_armed(&timer));
				assert_int_equal(
					timer_wheel_expire(wheel, starts[s] + delay, 0, note, &log),
					1);
				assert_ptr_equal(log.fired[0], &timer);
				assert_true(timer_wheel_next(wheel) == UINT64_MAX);
				timer_wheel_free(wheel);
			}
		}
	}
}

static void due_for_ever(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(5);
	struct timer never = {0}, soon = {0};
	struct log log = {0};

	(void)state;
	timer_arm(wheel, &never, UINT64_MAX);
	timer_arm(wheel, &soon, 6);
	assert_int_equal(timer_wheel_expire(wheel, UINT64_MAX - 1, 0, note, &log), 1);
	assert_ptr_equal(log.fired[0], &soon);
	assert_true(timer_is_armed(&never));
	assert_int_equal(timer_wheel_expire(wheel, UINT64_MAX, 0, note, &log), 1);
	timer_wheel_free(wheel);
}

static void order_and_ties(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct timer t[6] = {{0}};
	struct log log = {0};
	static const int want[] = {3, 5, 0, 2, 4, 1};

	(void)state;
	timer_arm(wheel, &t[0], 100000);
	timer_arm(wheel, &t[1], 100001);
	timer_arm(wheel, &t[2], 100000);
	timer_arm(wheel, &t[3], 7);
	assert_int_equal(timer_wheel_expire(wheel, 99999, 1, note, &log), 1);
	/* Armed late, for the times that the others already wait for. */
	timer_arm(wheel, &t[4], 100000);
	timer_arm(wheel, &t[5], 99999);
	assert_int_equal(timer_wheel_expire(wheel, 200000, 0, note, &log), 5);
	for (int i = 0; i < 6; i++)
		assert_ptr_equal(log.fired[i], &t[want[i]]);
	timer_wheel_free(wheel);
}

static void past_and_rearm_and_cancel(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(1000);
	struct timer a = {0}, b = {0}, c = {0};
	struct log log = {0};

	(void)state;
	timer_arm(wheel, &a, 10); /* long past */
	assert_true(timer_wheel_next(wheel) <= 1000);
	timer_arm(wheel, &b, 5000);
	timer_arm(wheel, &b, 2000);
	timer_arm(wheel, &c, 3000);
	assert_true(timer_wheel_count(wheel) == 3);
	timer_cancel(wheel, &c);
	timer_cancel(wheel, &c);
	assert_true(timer_wheel_count(wheel) == 2);
	/* The clock of a caller may not run backwards, and if it does nothing happens. */
	assert_int_equal(timer_wheel_expire(wheel, 999, 0, note, &log), 0);
	assert_int_equal(timer_wheel_expire(wheel, 1000, 0, note, &log), 1);
	assert_ptr_equal(log.fired[0], &a);
	assert_int_equal(timer_wheel_expire(wheel, 6000, 0, note, &log), 1);
	assert_ptr_equal(log.fired[1], &b);
	assert_true(timer_wheel_count(wheel) == 0);
	timer_wheel_free(wheel);
}

/* After the last timer of a slot is cancelled there is no idle wake-up for it. */
static void cancelled_timers_wake_nobody(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct timer t[200] = {{0}}, far = {0};
	uint64_t seed = 9;

	(void)state;
	timer_arm(wheel, &far, 1000 * DAY_MS);
	uint64_t quiet = timer_wheel_next(wheel);

	for (int i = 0; i < 200; i++)
		timer_arm(wheel, &t[i], 1 + unit_random(&seed) % (30 * DAY_MS));
	assert_true(timer_wheel_next(wheel) < quiet);
	for (int i = 0; i < 200; i++)
		timer_cancel(wheel, &t[i]);
	assert_true(timer_wheel_next(wheel) == quiet);
	timer_wheel_free(wheel);
}

/* ---- from within fire ------------------------------------------------------ */

struct again {
	struct timer_wheel *wheel;
	struct timer timer;
	uint64_t delay, now;
	unsigned fired;
};

static void arm_again(struct timer *timer, void *arg)
{
	struct again *again = arg;

	assert_ptr_equal(timer, &again->timer);
	again->fired++;
	timer_arm(again->wheel, timer, timer->due_ms + again->delay);
}

static void rearming_for_now_ends(void **state)
{
	struct again again = {.wheel = timer_wheel_new(0)};

	(void)state;
	timer_arm(again.wheel, &again.timer, 50);
	for (unsigned i = 1; i < 10; i++) {
		assert_int_equal(timer_wheel_expire(again.wheel, 100, 0, arm_again, &again), 1);
		assert_int_equal(again.fired, i);
		assert_true(timer_is_armed(&again.timer));
		assert_true(timer_wheel_next(again.wheel) <= 100);
		assert_true(timer_wheel_count(again.wheel) == 1);
	}
	timer_wheel_free(again.wheel);
}

struct victims {
	struct timer_wheel *wheel;
	struct timer *cancel;
	struct log log;
};

static void cancel_other(struct timer *timer, void *arg)
{
	struct victims *v = arg;

	note(timer, &v->log);
	timer_cancel(v->wheel, v->cancel);
}

static void fire_may_cancel_its_neighbours(void **state)
{
	struct victims v = {.wheel = timer_wheel_new(0)};
	struct timer t[4] = {{0}};

	(void)state;
	for (int i = 0; i < 4; i++)
		timer_arm(v.wheel, &t[i], 10);
	v.cancel = &t[1];
	assert_int_equal(timer_wheel_expire(v.wheel, 10, 1, cancel_other, &v), 1);
	assert_false(timer_is_armed(&t[1]));
	v.cancel = &t[3];
	assert_int_equal(timer_wheel_expire(v.wheel, 10, 0, cancel_other, &v), 1);
	assert_ptr_equal(v.log.fired[1], &t[2]);
	assert_true(timer_wheel_count(v.wheel) == 0);
	timer_wheel_free(v.wheel);
}

static void free_it(struct timer *timer, void *arg)
{
	unsigned *count = arg;

	++*count;
	free(timer);
}

static void fire_may_free_the_timer(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	unsigned count = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct timer *timer = calloc(1, sizeof(*timer));

		assert_non_null(timer);
		timer_arm(wheel, timer, (uint64_t)(i % 7) * 1000);
	}
	timer_wheel_expire(wheel, DAY_MS, 0, free_it, &count);
	assert_int_equal(count, 1000);
	timer_wheel_free(wheel);
}

/* ---- bounded work ---------------------------------------------------------- */

static void jump_of_years_is_quick(void **state)
{
	enum { N = 1000 };
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct timer *t = calloc(N, sizeof(*t));
	uint64_t seed = 1;
	struct timespec before, after;

	(void)state;
	assert_non_null(t);
	for (int i = 0; i < N; i++)
		timer_arm(wheel, &t[i], unit_random(&seed) % (3000 * DAY_MS));
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(timer_wheel_expire(wheel, 3000 * DAY_MS, 0, ignore, NULL), N);
	clock_gettime(CLOCK_MONOTONIC, &after);
	/* 2.6e11 ticks: to walk them takes minutes. */
	assert_true(after.tv_sec - before.tv_sec < 2);
	timer_wheel_free(wheel);
	free(t);
}

static void limit_bounds_the_moves_too(void **state)
{
	enum { N = 10000 };
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct timer *t = calloc(N, sizeof(*t)), late = {0};
	struct log log = {0};
	uint64_t due = 5 * 4096 + 77;
	unsigned calls = 0, fired = 0;

	(void)state;
	assert_non_null(t);
	for (int i = 0; i < N; i++)
		timer_arm(wheel, &t[i], due);
	/* Ten thousand must move down before the first one can fire. */
	assert_int_equal(timer_wheel_expire(wheel, due, 10, note, &log), 0);
	assert_true(timer_wheel_next(wheel) <= due);
	/* Armed in the middle of that: still the last one of its time. */
	timer_arm(wheel, &late, due);
	while (fired < N) {
		unsigned n = timer_wheel_expire(wheel, due, 10, ignore, NULL);

		assert_in_range(n, 0, 10);
		assert_true(timer_is_armed(&late));
		fired += n;
		assert_true(++calls < 3 * N);
	}
	assert_int_equal(fired, N);
	assert_int_equal(timer_wheel_expire(wheel, due, 10, note, &log), 1);
	assert_ptr_equal(log.fired[0], &late);
	timer_wheel_free(wheel);
	free(t);
}

/* Who wakes up only when timer_wheel_next says so wakes up at most once a level for a timer. */
static void few_idle_wakeups(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(12345);
	struct timer t = {0};
	unsigned wakeups = 0, fired = 0;

	(void)state;
	timer_arm(wheel, &t, 12345 + 400 * DAY_MS + 98765);
	while (!fired) {
		uint64_t next = timer_wheel_next(wheel);

		assert_true(next != UINT64_MAX);
		fired = timer_wheel_expire(wheel, next, 0, ignore, NULL);
		assert_true(++wakeups <= 7);
	}
	timer_wheel_free(wheel);
}

/* ---- against a model: a list of (due, order of arming), searched for the smallest ----------- */

#define MODEL_TIMERS 150

struct model_timer {
	struct timer timer; /* first */
	bool armed, late;
	uint64_t asked, due, order;
};

struct model {
	struct timer_wheel *wheel;
	struct model_timer timers[MODEL_TIMERS];
	uint64_t seed, now, order, target, armed, count_fired;
	bool expiring,
		exact; /* exact: the wheel stands at `now`, nothing was left over by a limit */
};

static uint64_t random_due(struct model *m)
{
	uint64_t r = unit_random(&m->seed);

	switch (unit_random(&m->seed) % 10) {
	case 0:
		return m->now;
	case 1:
		return m->now - r % (m->now + 1); /* past */
	case 2:
		return m->now + r % 4;
	case 3:
	case 4:
		return m->now + r % 64;
	case 5:
		return m->now + r % 5000;
	case 6:
		return (m->now / 4096 + r % 3) * 4096; /* many at one moment, on a border */
	case 7:
		return m->now + r % (40 * DAY_MS);
	case 8:
		return m->now + r % 1000000;
	default:
		return r % 50 ? m->now + r % 300000 : UINT64_MAX - r % 3;
	}
}

static void model_arm(struct model *m, struct model_timer *t)
{
	t->asked = random_due(m);
	timer_arm(m->wheel, &t->timer, t->asked);
	m->armed += !t->armed;
	t->armed = true;
	t->order = ++m->order;
	t->late = m->expiring && t->asked <= m->target;
	t->due = t->timer.due_ms;
	/* What is past counts as the present. */
	assert_true(t->due >= t->asked);
	if (t->asked > m->now)
		assert_true(t->due == t->asked);
	else if (!m->expiring && m->exact)
		assert_true(t->due == m->now);
	else
		assert_true(t->due <= (m->expiring ? m->target : m->now));
}

static void model_cancel(struct model *m, struct model_timer *t)
{
	timer_cancel(m->wheel, &t->timer);
	m->armed -= t->armed;
	t->armed = false;
	assert_false(timer_is_armed(&t->timer));
}

static struct model_timer *model_first(struct model *m)
{
	struct model_timer *first = NULL;

	for (int i = 0; i < MODEL_TIMERS; i++) {
		struct model_timer *t = &m->timers[i];

		if (!t->armed || t->late)
			continue;
		if (!first || t->due < first->due ||
			(t->due == first->due && t->order < first->order))
			first = t;
	}
	return first;
}

static struct model_timer *any_timer(struct model *m)
{
	return &m->timers[unit_random(&m->seed) % MODEL_TIMERS];
}

static void model_fire(struct timer *timer, void *arg)
{
	struct model *m = arg;
	struct model_timer *t = (struct model_timer *)timer;

	assert_true(t->armed && !t->late);
	assert_true(t->due <= m->target && t->asked <= m->target);
	assert_ptr_equal(t, model_first(m));
	assert_false(timer_is_armed(timer));
	t->armed = false;
	m->armed--;
	m->count_fired++;
	for (uint64_t n = unit_random(&m->seed) % 4; n > 0; n--) {
		if (unit_random(&m->seed) % 2)
			model_arm(m, any_timer(m));
		else
			model_cancel(m, any_timer(m));
	}
}

static uint64_t random_step(struct model *m)
{
	switch (unit_random(&m->seed) % 8) {
	case 0:
		return 0;
	case 1:
	case 2:
		return 1;
	case 3:
		return unit_random(&m->seed) % 64;
	case 4:
		return unit_random(&m->seed) % 5000;
	case 5:
		return unit_random(&m->seed) % 300000;
	case 6:
		return 4096 - m->now % 4096; /* to the border */
	default:
		return unit_random(&m->seed) % 50 ? 2 : unit_random(&m->seed) % (20 * DAY_MS);
	}
}

/* Late ones get their due time when the call is over, in their order of arming. */
static void model_late(struct model *m)
{
	for (int i = 0; i < MODEL_TIMERS; i++) {
		struct model_timer *t = &m->timers[i];

		if (!t->armed || !t->late)
			continue;
		t->late = false;
		t->due = t->timer.due_ms;
		assert_true(t->due >= t->asked && t->due <= m->now);
		if (m->exact)
			assert_true(t->due == m->now);
	}
}

static void model_expire(struct model *m)
{
	unsigned limit = unit_random(&m->seed) % 3 ? 0 : 1 + (unsigned)(unit_random(&m->seed) % 5);
	uint64_t before = m->count_fired;
	struct model_timer *first;
	unsigned fired;

	m->now += random_step(m);
	m->target = m->now;
	m->expiring = true;
	fired = timer_wheel_expire(m->wheel, m->now, limit, model_fire, m);
	m->expiring = false;
	assert_true(fired == m->count_fired - before);
	if (limit)
		assert_true(fired <= limit);
	first = model_first(m);
	if (!limit)
		assert_true(!first || first->due > m->now);
	m->exact = !limit;
	model_late(m);
}

static void model_check(struct model *m)
{
	struct model_timer *first = model_first(m);
	uint64_t next = timer_wheel_next(m->wheel);

	assert_true(timer_wheel_count(m->wheel) == m->armed);
	assert_true(first ? next <= first->due : next == UINT64_MAX);
	/* Early is allowed, but not earlier than the present: that would be a busy loop. */
	if (m->exact)
		assert_true(next >= m->now);
	for (int i = 0; i < MODEL_TIMERS; i++)
		assert_int_equal(timer_is_armed(&m->timers[i].timer), m->timers[i].armed);
}

static void random_against_a_model(void **state)
{
	struct model *m = malloc(sizeof(*m));

	(void)state;
	assert_non_null(m);
	for (uint64_t seed = 1; seed <= 100; seed++) {
		memset(m, 0, sizeof(*m));
		m->seed = seed;
		m->now = seed % 3 ? seed * 12345 : 1700000000000;
		m->exact = true;
		m->wheel = timer_wheel_new(m->now);
		for (int step = 0; step < 4000; step++) {
			uint64_t r = unit_random(&m->seed) % 10;

			if (r < 5)
				model_arm(m, any_timer(m));
			else if (r < 6)
				model_cancel(m, any_timer(m));
			else
				model_expire(m);
			model_check(m);
		}
		assert_true(m->count_fired > 500);
		timer_wheel_free(m->wheel);
	}
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_wheel),
		cmocka_unit_test(size_matters),
		cmocka_unit_test(fires_to_the_millisecond),
		cmocka_unit_test(due_for_ever),
		cmocka_unit_test(order_and_ties),
		cmocka_unit_test(past_and_rearm_and_cancel),
		cmocka_unit_test(cancelled_timers_wake_nobody),
		cmocka_unit_test(rearming_for_now_ends),
		cmocka_unit_test(fire_may_cancel_its_neighbours),
		cmocka_unit_test(fire_may_free_the_timer),
		cmocka_unit_test(jump_of_years_is_quick),
		cmocka_unit_test(limit_bounds_the_moves_too),
		cmocka_unit_test(few_idle_wakeups),
		cmocka_unit_test(random_against_a_model),
	};

	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
