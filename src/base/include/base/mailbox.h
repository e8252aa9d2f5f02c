/* A bounded, lock-free mailbox of pointers: many producers, one consumer, who is woken by
 * an eventfd only when it sleeps.
 *
 * Consumer's loop:
 *     n = mailbox_take(box, mail, 64);           handle the mail ...
 *     if (n == 0 && mailbox_sleep(box)) { poll on mailbox_fd(box); }
 *     mailbox_awake(box);                        after the poll, whatever it said
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mailbox;

/* First member of everything that is posted; kinds are the receiver's to define. */
struct mail {
	uint32_t kind;
};

/* `capacity` is rounded up to a power of two. NULL when memory or descriptors are out. */
struct mailbox *mailbox_new(size_t capacity);
/* Nobody may post any more; what was not taken is the caller's to take before. */
void mailbox_free(struct mailbox *box);
/* Any thread. False when full: the mail stays the caller's, and the refusal is counted. */
bool mailbox_post(struct mailbox *box, struct mail *mail);
/* Consumer only: takes up to `max` in order of arrival. */
size_t mailbox_take(struct mailbox *box, struct mail **mail, size_t max);
/* Consumer only: announces sleep. False if mail is waiting: do not sleep. */
bool mailbox_sleep(struct mailbox *box);
/* Consumer only: no longer asleep; clears the eventfd. */
void mailbox_awake(struct mailbox *box);
/* Readable while a sleeping consumer has mail. */
int mailbox_fd(const struct mailbox *box);
/* Approximate, any thread. */
size_t mailbox_depth(const struct mailbox *box);
uint64_t mailbox_refused(const struct mailbox *box);
/* How often the eventfd had to be written. */
uint64_t mailbox_wakeups(const struct mailbox *box);

#endif
