/* Mail that waits for a full mailbox. One owner thread, which never blocks: it flushes each time
 * around its loop. */
#ifndef SHARD_OUTBOX_H
#define SHARD_OUTBOX_H

#include "base/mailbox.h"
#include <stdint.h>

struct waiting_mail {
	struct mail *mail; /* NULL: only `delivered` is wanted */
	struct mail *(*delivered)(
		void *arg); /* all before it is delivered: may return one more mail; or NULL */
	void *arg;
};

struct outbox {
	struct mailbox *to;
	size_t depth_limit; /* posts only while the mailbox holds fewer; 0: until it is full */
	struct waiting_mail *ring;
	size_t size, first, count;
};

#define OUTBOX_LIMIT 4096 /* waiting mail that may be lost is refused beyond */

/* In order behind what waits. False: more than OUTBOX_LIMIT wait, or memory is out; the mail stays
 * the caller's. */
bool outbox_post(struct outbox *box, struct mail *mail);
/* For mail that must not be lost, of which there is little: without the limit. */
bool outbox_post_vital(struct outbox *box, struct mail *mail);
/* Calls `delivered` when all mail before it is in the mailbox. */
bool outbox_post_marker(struct outbox *box, struct mail *(*delivered)(void *arg), void *arg);
/* True when nothing waits any more. */
bool outbox_flush(struct outbox *box);
/* Gives undelivered mail to `discard` and runs the markers' functions; what they return, too. */
void outbox_clear(struct outbox *box, void (*discard)(struct mail *mail));

#endif
