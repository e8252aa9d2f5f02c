#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mailbox.h"

static bool readable(const struct mailbox *box, int timeout_ms)
{
	struct pollfd p = {.fd = mailbox_fd(box), .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void bounded_and_in_order(void **state)
{
	struct mailbox *box = mailbox_new(5); /* becomes 8 */
	struct mail mails[9] = {{0}}, *taken[16];

	(void)state;
	assert_non_null(box);
	assert_int_equal(mailbox_take(box, taken, 16), 0);
	/* Often enough around that each cell is used many times. */
	for (int lap = 0; lap < 100; lap++) {
		size_t first = (size_t)lap % 8;

		for (size_t i = 0; i < 8; i++)
			assert_true(mailbox_post(box, &mails[i]));
		assert_int_equal(mailbox_depth(box), 8);
		assert_false(mailbox_post(box, &mails[8]));
		assert_true(mailbox_refused(box) == (uint64_t)lap * 2 + 1);
		assert_int_equal(mailbox_take(box, taken, first), first);
		for (size_t i = 0; i < first; i++) {
			assert_ptr_equal(taken[i], &mails[i]);
			assert_true(mailbox_post(box, &mails[i]));
		}
		assert_false(mailbox_post(box, &mails[8]));
		assert_int_equal(mailbox_take(box, taken, 16), 8);
		for (size_t i = 0; i < 8; i++)
			assert_ptr_equal(taken[i], &mails[(first + i) % 8]);
		assert_int_equal(mailbox_depth(box), 0);
	}
	mailbox_free(box);
	mailbox_free(NULL);
}

static void sizes(void **state)
{
	struct mail mail = {0}, *taken[4];
	struct mailbox *box = mailbox_new(0);

	(void)state;
	assert_non_null(box);
	assert_true(mailbox_post(box, &mail));
	assert_true(mailbox_post(box, &mail));
	assert_false(mailbox_post(box, &mail));
	assert_int_equal(mailbox_take(box, taken, 4), 2);
	mailbox_free(box);
	assert_null(mailbox_new(SIZE_MAX));
	assert_null(mailbox_new(SIZE_MAX / 16 + 1));
}

static void wakes_only_the_sleeper(void **state)
{
	struct mailbox *box = mailbox_new(64);
	struct mail mail = {0}, *taken[64];

	(void)state;
	/* A consumer that is awake costs no system call. */
	for (int i = 0; i < 10; i++)
		assert_true(mailbox_post(box, &mail));
	assert_true(mailbox_wakeups(box) == 0);
	assert_false(readable(box, 0));
	/* Mail is waiting: no sleep. */
	assert_false(mailbox_sleep(box));
	mailbox_awake(box);
	assert_int_equal(mailbox_take(box, taken, 64), 10);
	assert_true(mailbox_sleep(box));
	assert_false(readable(box, 0));
	/* Many posts, one wake-up. */
	for (int i = 0; i < 10; i++)
		assert_true(mailbox_post(box, &mail));
	assert_true(mailbox_wakeups(box) == 1);
	assert_true(readable(box, 0));
	mailbox_awake(box);
	assert_false(readable(box, 0));
	assert_int_equal(mailbox_take(box, taken, 64), 10);
	/* A sleep that something else ended. */
	assert_true(mailbox_sleep(box));
	mailbox_awake(box);
	mailbox_awake(box);
	assert_true(mailbox_post(box, &mail));
	assert_true(mailbox_wakeups(box) == 1);
	assert_false(readable(box, 0));
	mailbox_free(box);
}

/* ---- threads ---------------------------------------------------------------- */

#define PRODUCERS 4
#define EACH      20000

struct parcel {
	struct mail mail; /* first */
	uint32_t producer, number;
	bool opened;
};

struct producer {
	struct mailbox *box;
	struct parcel *parcels;
	uint32_t id;
	uint64_t refused;
	bool slow;
};

static void *produce(void *arg)
{
	struct producer *p = arg;

	for (uint32_t i = 0; i < EACH; i++) {
		struct parcel *parcel = &p->parcels[i];

		parcel->mail.kind = 7;
		parcel->producer = p->id;
		parcel->number = i;
		while (!mailbox_post(p->box, &parcel->mail)) {
			p->refused++;
			sched_yield();
		}
		/* Now and then the consumer runs dry and goes to sleep. */
		if (p->slow && i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* Every parcel arrives once, each producer's in order, and no wake-up is lost. */
static void deliver(size_t capacity, bool slow)
{
	struct mailbox *box = mailbox_new(capacity);
	struct producer producers[PRODUCERS];
	pthread_t threads[PRODUCERS];
	uint32_t next[PRODUCERS] = {0};
	struct mail *taken[64];
	uint64_t refused = 0;
	size_t total = 0;

	assert_non_null(box);
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){.box = box, .id = i, .slow = slow};
		producers[i].parcels = calloc(EACH, sizeof(struct parcel));
		assert_non_null(producers[i].parcels);
		assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
	}
	while (total < PRODUCERS * EACH) {
		size_t n = mailbox_take(box, taken, 64);

		for (size_t i = 0; i < n; i++) {
			struct parcel *parcel = (struct parcel *)taken[i];

			assert_int_equal(parcel->mail.kind, 7);
			assert_false(parcel->opened);
			assert_int_equal(parcel->number, next[parcel->producer]++);
			parcel->opened = true;
		}
		total += n;
		assert_true(mailbox_depth(box) <= capacity);
		/* The sleep ends by mail: ten seconds without are a wake-up that was lost. */
		if (n == 0 && mailbox_sleep(box))
			assert_true(readable(box, 10000));
		mailbox_awake(box);
	}
	for (int i = 0; i < PRODUCERS; i++) {
		pthread_join(threads[i], NULL);
		refused += producers[i].refused;
		assert_int_equal(next[i], EACH);
		free(producers[i].parcels);
	}
	assert_true(mailbox_refused(box) == refused);
	assert_int_equal(mailbox_take(box, taken, 64), 0);
	mailbox_free(box);
}

static void many_producers(void **state)
{
	(void)state;
	deliver(1024, false);
}

static void many_producers_tiny_box(void **state)
{
	(void)state;
	deliver(2, false);
}

static void many_producers_sleepy_consumer(void **state)
{
	(void)state;
	deliver(4096, true);
}

/* One mail there, one back: each side sleeps each time, so each hand-over is a race
 * between going to sleep and posting. */
struct player {
	struct mailbox *mine, *other;
	struct mail ball;
	unsigned rounds;
	_Atomic bool late;
};

static struct mail *wait_for(struct player *p)
{
	struct mail *mail;

	while (mailbox_take(p->mine, &mail, 1) == 0) {
		if (mailbox_sleep(p->mine) && !readable(p->mine, 10000)) {
			p->late = true;
			return NULL;
		}
		mailbox_awake(p->mine);
	}
	return mail;
}

static void *play(void *arg)
{
	struct player *p = arg;

	for (unsigned i = 0; i < p->rounds; i++) {
		struct mail *mail = wait_for(p);

		if (!mail || !mailbox_post(p->other, mail))
			break;
	}
	return NULL;
}

static void ping_pong(void **state)
{
	struct mailbox *here = mailbox_new(4), *there = mailbox_new(4);
	struct player a = {.mine = here, .other = there, .rounds = 20000};
	struct player b = {.mine = there, .other = here, .rounds = 20000};
	struct mail *mail;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, play, &b), 0);
	assert_true(mailbox_post(there, &a.ball));
	play(&a);
	pthread_join(thread, NULL);
	assert_false(a.late);
	assert_false(b.late);
	assert_int_equal(mailbox_take(there, &mail, 1), 1);
	assert_ptr_equal(mail, &a.ball);
	mailbox_free(here);
	mailbox_free(there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounded_and_in_order),
		cmocka_unit_test(sizes),
		cmocka_unit_test(wakes_only_the_sleeper),
		cmocka_unit_test(many_producers),
		cmocka_unit_test(many_producers_tiny_box),
		cmocka_unit_test(many_producers_sleepy_consumer),
		cmocka_unit_test(ping_pong),
	};

	return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
