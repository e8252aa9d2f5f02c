/* A ring of log records between one thread that logs and the log thread. A record is a header and
 * the text, padded to the header's size, and may go around the ring's end. */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RING_BYTES ((size_t)256 << 10)
#define LOG_TEXT_MAX   2000

struct log_record {
	uint64_t time_us; /* since the epoch, at the moment of logging */
	uint32_t len;
	uint32_t severity;
};

struct log_ring {
	struct log_ring *next;
	/* Counts of bytes, which only grow: `in` is the producer's, `out` the log thread's. */
	_Alignas(128) _Atomic size_t in;
	_Alignas(128) _Atomic size_t out;
	_Atomic bool closed; /* its thread has ended */
	_Alignas(16) uint8_t data[LOG_RING_BYTES];
};

/* NULL when memory is out. free() releases it. */
struct log_ring *log_ring_new(void);
/* Producer: false when there is no room. The text is cut to LOG_TEXT_MAX. */
bool log_ring_put(struct log_ring *ring, struct log_record record, const char *text);
/* Consumer: the oldest record's header, without taking it. */
bool log_ring_peek(const struct log_ring *ring, struct log_record *record);
/* Consumer: takes the record that log_ring_peek showed. */
void log_ring_take(struct log_ring *ring, const struct log_record *record, char text[LOG_TEXT_MAX]);
/* Any of the two. */
size_t log_ring_used(const struct log_ring *ring);

#endif
