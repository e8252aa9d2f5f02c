#include "outbox.h"

#include <stdlib.h>

static bool grow(struct outbox *box)
{
	size_t size = box->size == 0 ? 64 : 2 * box->size;
	struct waiting_mail *ring = calloc(size, sizeof *ring);
	if (ring == NULL) {
		return false;
	}
	for (size_t i = 0; i < box->count; i++) {
		ring[i] = box->ring[(box->first + i) % box->size];
	}
	free(box->ring);
	box->ring = ring;
	box->size = size;
	box->first = 0;
	return true;
}

static bool append(struct outbox *box, struct waiting_mail waiting)
{
	if (box->count == box->size && !grow(box)) {
		return false;
	}
	box->ring[(box->first + box->count++) % box->size] = waiting;
	return true;
}

static bool deliver(struct outbox *box, struct mail *mail)
{
	if (box->depth_limit != 0 && mailbox_depth(box->to) >= box->depth_limit) {
		return false;
	}
	return mailbox_post(box->to, mail);
}

bool outbox_post_vital(struct outbox *box, struct mail *mail)
{
	return (outbox_flush(box) && deliver(box, mail)) ||
	       append(box, (struct waiting_mail){.mail = mail});
}

bool outbox_post(struct outbox *box, struct mail *mail)
{
	return box->count < OUTBOX_LIMIT && outbox_post_vital(box, mail);
}

bool outbox_post_marker(struct outbox *box, struct mail *(*delivered)(void *arg), void *arg)
{
	bool ok = append(box, (struct waiting_mail){.delivered = delivered, .arg = arg});
	(void)outbox_flush(box);
	return ok;
}

bool outbox_flush(struct outbox *box)
{
	while (box->count > 0) {
		struct waiting_mail *w = &box->ring[box->first];
		if (w->mail != NULL && !deliver(box, w->mail)) {
			return false;
		}
		w->mail = NULL;
		if (w->delivered != NULL) {
			/* Its mail takes the marker's place. */
			w->mail = w->delivered(w->arg);
			w->delivered = NULL;
		}
		if (w->mail == NULL) {
			box->first = (box->first + 1) % box->size;
			box->count--;
		}
	}
	return true;
}

void outbox_clear(struct outbox *box, void (*discard)(struct mail *mail))
{
	for (; box->count > 0; box->count--) {
		struct waiting_mail *w = &box->ring[box->first];
		struct mail *more = w->delivered != NULL ? w->delivered(w->arg) : NULL;
		if (w->mail != NULL) {
			discard(w->mail);
		}
		if (more != NULL) {
			discard(more);
		}
		box->first = (box->first + 1) % box->size;
	}
	free(box->ring);
	box->ring = NULL;
	box->size = box->first = 0;
}
