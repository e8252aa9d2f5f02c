#include "log_ring.h"

#include <stdlib.h>
#include <string.h>

#define UNIT sizeof(struct log_record)

_Static_assert(LOG_RING_BYTES % sizeof(struct log_record) == 0, "a header may not go around");
_Static_assert((LOG_RING_BYTES & (LOG_RING_BYTES - 1)) == 0, "offsets are masked");

struct log_ring *log_ring_new(void)
{
	struct log_ring *ring = aligned_alloc(_Alignof(struct log_ring), sizeof(*ring));

	/* The data stays untouched, so that a quiet thread's ring costs a page or two. */
	if (ring)
		memset(ring, 0, offsetof(struct log_ring, data));
	return ring;
}

static size_t record_bytes(const struct log_record *record)
{
	return UNIT + (record->len + UNIT - 1) / UNIT * UNIT;
}

static void copy_in(struct log_ring *ring, size_t at, const void *from, size_t len)
{
	size_t offset = at & (LOG_RING_BYTES - 1);
	size_t straight = len < LOG_RING_BYTES - offset ? len : LOG_RING_BYTES - offset;

	memcpy(ring->data + offset, from, straight);
	memcpy(ring->data, (const uint8_t *)from + straight, len - straight);
}

static void copy_out(const struct log_ring *ring, size_t at, void *to, size_t len)
{
	size_t offset = at & (LOG_RING_BYTES - 1);
	size_t straight = len < LOG_RING_BYTES - offset ? len : LOG_RING_BYTES - offset;

	memcpy(to, ring->data + offset, straight);
	memcpy((uint8_t *)to + straight, ring->data, len - straight);
}

bool log_ring_put(struct log_ring *ring, struct log_record record, const char *text)
{
	size_t in = atomic_load_explicit(&ring->in, memory_order_relaxed);
	size_t out = atomic_load_explicit(&ring->out, memory_order_acquire);

	if (record.len > LOG_TEXT_MAX)
		record.len = LOG_TEXT_MAX;
	if (record_bytes(&record) > LOG_RING_BYTES - (in - out))
		return false;
	copy_in(ring, in, &record, sizeof(record));
	copy_in(ring, in + UNIT, text, record.len);
	/* Sequentially consistent: see how the log thread goes to sleep. */
	atomic_store(&ring->in, in + record_bytes(&record));
	return true;
}

bool log_ring_peek(const struct log_ring *ring, struct log_record *record)
{
	size_t out = atomic_load_explicit(&ring->out, memory_order_relaxed);

	if (atomic_load(&ring->in) == out)
		return false;
	copy_out(ring, out, record, sizeof(*record));
	return true;
}

void log_ring_take(struct log_ring *ring, const struct log_record *record, char text[LOG_TEXT_MAX])
{
	size_t out = atomic_load_explicit(&ring->out, memory_order_relaxed);

	copy_out(ring, out + UNIT, text, record->len);
	atomic_store_explicit(&ring->out, out + record_bytes(record), memory_order_release);
}

size_t log_ring_used(const struct log_ring *ring)
{
	size_t out = atomic_load_explicit(&ring->out, memory_order_relaxed);

	return atomic_load_explicit(&ring->in, memory_order_relaxed) - out;
}
