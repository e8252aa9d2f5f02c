#include "outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct numbered {
	struct mail mail;
	unsigned number;
};

static struct mail *numbered(unsigned number)
{
	struct numbered *n = calloc(1, sizeof *n);
	n->number = number;
	return &n->mail;
}

static unsigned take_number(struct mailbox *box)
{
	struct mail *mail;
	assert_int_equal(mailbox_take(box, &mail, 1), 1);
	unsigned number = ((struct numbered *)mail)->number;
	free(mail);
	return number;
}

static unsigned markers_run;

static struct mail *marker(void *arg)
{
	markers_run++;
	return arg;
}

static unsigned discarded;

static void discard(struct mail *mail)
{
	discarded++;
	free(mail);
}

static void keeps_order(void **state)
{
	(void)state;
	struct mailbox *box = mailbox_new(8);
	struct outbox out = {.to = box};
	struct mail *mail;
	markers_run = 0;
	for (unsigned i = 0; i < 200; i++) {
		assert_true(outbox_post(&out, numbered(i)));
	}
	assert_true(outbox_post_marker(&out, marker, numbered(200)));
	assert_true(outbox_post_marker(&out, marker, NULL));
	assert_true(outbox_post(&out, numbered(201)));
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(take_number(box), i);
		/* The marker's turn is when all before it is in the mailbox, not earlier. */
		if (i < 200 - 8) {
			assert_int_equal(markers_run, 0);
		}
		outbox_flush(&out);
	}
	assert_int_equal(take_number(box), 200);
	assert_int_equal(markers_run, 2);
	assert_int_equal(take_number(box), 201);
	assert_true(outbox_flush(&out));
	assert_int_equal(mailbox_take(box, &mail, 1), 0);
	outbox_clear(&out, discard);
	mailbox_free(box);
}

static void limits(void **state)
{
	(void)state;
	struct mailbox *box = mailbox_new(64);
	struct outbox out = {.to = box, .depth_limit = 16};
	unsigned n = 0;
	for (;; n++) {
		struct mail *mail = numbered(n);
		if (!outbox_post(&out, mail)) {
			free(mail);
			break;
		}
	}
	assert_int_equal(mailbox_depth(box), 16);
	assert_int_equal(n, 16 + OUTBOX_LIMIT);
	/* Vital mail gets in all the same. */
	assert_true(outbox_post_vital(&out, numbered(n)));
	discarded = 0;
	markers_run = 0;
	assert_true(outbox_post_marker(&out, marker, numbered(n + 1)));
	outbox_clear(&out, discard);
	assert_int_equal(discarded, OUTBOX_LIMIT + 2);
	assert_int_equal(markers_run, 1);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(take_number(box), i);
	}
	mailbox_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
