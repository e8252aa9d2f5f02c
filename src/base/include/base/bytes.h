/* Bounds-checked reading and writing of network-order bytes.
 *
 * A reader and a writer carry a sticky `failed` flag: after the first access past
 * the end every further read returns zeros (or an empty slice) and every further write is
 * dropped, so that a parser or a builder checks once, at its end. No call can
 * touch memory outside the buffer. Plain data, no allocation, any thread. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed slice of memory; the owner of the memory outlives it. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
	return (struct bytes){.data = data, .len = len};
}

bool bytes_equal(struct bytes a, struct bytes b);

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

struct reader reader_of(struct bytes bytes);
size_t reader_left(const struct reader *r);
/* All was read, and nothing failed. */
bool reader_done(const struct reader *r);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* The next `len` bytes as a slice of the reader's buffer; empty on failure. */
struct bytes read_bytes(struct reader *r, size_t len);
/* Copies `len` bytes; zeros `out` on failure. */
void read_copy(struct reader *r, void *out, size_t len);
void read_skip(struct reader *r, size_t len);
/* A reader over the next `len` bytes, which `r` then has passed. A failure
 * is `r`'s and the sub-reader's. */
struct reader read_sub(struct reader *r, size_t len);
/* What is left, all of it. */
struct bytes read_rest(struct reader *r);

struct writer {
	uint8_t *start, *at, *end;
	bool failed;
};

struct writer writer_of(void *buffer, size_t size);
size_t writer_len(const struct writer *w);
struct bytes writer_bytes(const struct writer *w);
void write_u8(struct writer *w, uint8_t v);
void write_u16(struct writer *w, uint16_t v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, struct bytes bytes);
void write_copy(struct writer *w, const void *data, size_t len);
void write_zeros(struct writer *w, size_t len);
/* `len` bytes to be filled in by the caller, or NULL on failure. */
uint8_t *write_space(struct writer *w, size_t len);
/* Overwrites what was written before; `at` is an offset from the start.
 * Fails the writer when at + width is past what was written. */
void patch_u8(struct writer *w, size_t at, uint8_t v);
void patch_u16(struct writer *w, size_t at, uint16_t v);
void patch_u32(struct writer *w, size_t at, uint32_t v);

#endif
