#include "base/mailbox.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Two cache lines: CPUs fetch them in pairs. */
#define LINE 128

/* A cell is free for the producer of position p when turn == p, holds its mail when turn == p + 1,
 * and is free for the next lap when turn == p + capacity. */
struct cell {
	_Atomic size_t turn;
	struct mail *mail;
};

struct mailbox {
	/* Never written after mailbox_new. */
	_Alignas(LINE) struct cell *cells;
	size_t mask;
	int fd;
	/* The producers'. */
	_Alignas(LINE) _Atomic size_t tail;
	_Atomic uint64_t refused, wakeups;
	/* The consumer's. */
	_Alignas(LINE) _Atomic size_t head;
	bool slept; /* the eventfd may have been written since the last mailbox_awake */
	/* Read by each producer, written when the consumer goes to sleep. */
	_Alignas(LINE) _Atomic bool asleep;
};

struct mailbox *mailbox_new(size_t capacity)
{
	struct mailbox *box;
	size_t size = 2;

	while (size < capacity) {
		if (size > SIZE_MAX / (4 * sizeof(struct cell)))
			return NULL;
		size *= 2;
	}
	box = aligned_alloc(LINE, sizeof(*box));
	if (!box)
		return NULL;
	*box = (struct mailbox){.mask = size - 1};
	box->cells = calloc(size, sizeof(*box->cells));
	box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!box->cells || box->fd < 0) {
		mailbox_free(box);
		return NULL;
	}
	for (size_t i = 0; i < size; i++)
		atomic_init(&box->cells[i].turn, i);
	return box;
}

void mailbox_free(struct mailbox *box)
{
	if (!box)
		return;
	if (box->fd >= 0)
		close(box->fd);
	free(box->cells);
	free(box);
}

/* Only the first producer that finds the consumer asleep pays for the system call. */
static void wake(struct mailbox *box)
{
	if (!atomic_exchange(&box->asleep, false))
		return;
	atomic_fetch_add_explicit(&box->wakeups, 1, memory_order_relaxed);
	/* Cannot fail: the descriptor is ours, and the count far from its limit. */
	(void)eventfd_write(box->fd, 1);
}

bool mailbox_post(struct mailbox *box, struct mail *mail)
{
	size_t at = atomic_load_explicit(&box->tail, memory_order_relaxed);
	struct cell *cell;

	for (;;) {
		ptrdiff_t lag;

		cell = &box->cells[at & box->mask];
		lag = (ptrdiff_t)(atomic_load_explicit(&cell->turn, memory_order_acquire) - at);
		if (lag < 0) {
			/* Not taken since the last lap. */
			atomic_fetch_add_explicit(&box->refused, 1, memory_order_relaxed);
			return false;
		}
		if (lag > 0) /* another producer was faster */
			at = atomic_load_explicit(&box->tail, memory_order_relaxed);
		else if (atomic_compare_exchange_weak_explicit(&box->tail, &at, at + 1,
				 memory_order_relaxed, memory_order_relaxed))
			break;
	}
	cell->mail = mail;
	/* Sequentially consistent against mailbox_sleep: either this producer sees that the
	 * consumer sleeps, or the consumer sees this mail. */
	atomic_store(&cell->turn, at + 1);
	if (atomic_load(&box->asleep))
		wake(box);
	return true;
}

size_t mailbox_take(struct mailbox *box, struct mail **mail, size_t max)
{
	size_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
	size_t n;

	for (n = 0; n < max; n++) {
		struct cell *cell = &box->cells[(head + n) & box->mask];

		if (atomic_load_explicit(&cell->turn, memory_order_acquire) != head + n + 1)
			break;
		mail[n] = cell->mail;
		atomic_store_explicit(&cell->turn, head + n + box->mask + 1, memory_order_release);
	}
	if (n > 0)
		atomic_store_explicit(&box->head, head + n, memory_order_relaxed);
	return n;
}

bool mailbox_sleep(struct mailbox *box)
{
	size_t head = atomic_load_explicit(&box->head, memory_order_relaxed);

	box->slept = true;
	atomic_store(&box->asleep, true);
	if (atomic_load(&box->cells[head & box->mask].turn) != head + 1)
		return true;
	atomic_store(&box->asleep, false);
	return false;
}

void mailbox_awake(struct mailbox *box)
{
	eventfd_t count;

	if (!box->slept)
		return;
	box->slept = false;
	atomic_store(&box->asleep, false);
	/* Nothing to read unless a producer was the waker. One that is about to write now makes the
	 * next poll return at once: harmless, and cleared then. */
	(void)eventfd_read(box->fd, &count);
}

int mailbox_fd(const struct mailbox *box)
{
	return box->fd;
}

size_t mailbox_depth(const struct mailbox *box)
{
	/* Head first: a head from before the tail keeps the difference from being negative. */
	size_t head = atomic_load(&box->head);
	size_t depth = atomic_load(&box->tail) - head;

	return depth <= box->mask + 1 ? depth : box->mask + 1;
}

uint64_t mailbox_refused(const struct mailbox *box)
{
	return atomic_load_explicit(&box->refused, memory_order_relaxed);
}

uint64_t mailbox_wakeups(const struct mailbox *box)
{
	return atomic_load_explicit(&box->wakeups, memory_order_relaxed);
}
