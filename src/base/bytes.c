#include "base/bytes.h"

#include <string.h>

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

struct reader reader_of(struct bytes bytes)
{
	/* An empty slice may have no memory at all, and NULL + 0 is not for us to compute. */
	const uint8_t *end = bytes.len > 0 ? bytes.data + bytes.len : bytes.data;

	return (struct reader){.at = bytes.data, .end = end};
}

size_t reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->at);
}

bool reader_done(const struct reader *r)
{
	return !r->failed && r->at == r->end;
}

/* The one place that moves a reader: NULL when fewer than `len` (at least 1) bytes are left. */
static const uint8_t *reader_pass(struct reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (len > reader_left(r)) {
		r->failed = true;
		return NULL;
	}
	r->at += len;
	return at;
}

uint8_t read_u8(struct reader *r)
{
	const uint8_t *p = reader_pass(r, 1);

	return p ? p[0] : 0;
}

uint16_t read_u16(struct reader *r)
{
	const uint8_t *p = reader_pass(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint32_t read_u32(struct reader *r)
{
	const uint8_t *p = reader_pass(r, 4);

	return p ? get_u32(p) : 0;
}

uint64_t read_u64(struct reader *r)
{
	const uint8_t *p = reader_pass(r, 8);

	return p ? (uint64_t)get_u32(p) << 32 | get_u32(p + 4) : 0;
}

struct bytes read_bytes(struct reader *r, size_t len)
{
	const uint8_t *p = len > 0 ? reader_pass(r, len) : NULL;

	return p ? bytes_of(p, len) : bytes_of(NULL, 0);
}

void read_copy(struct reader *r, void *out, size_t len)
{
	const uint8_t *p;

	if (len == 0)
		return;
	p = reader_pass(r, len);
	if (p)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

void read_skip(struct reader *r, size_t len)
{
	if (len > 0)
		reader_pass(r, len);
}

struct reader read_sub(struct reader *r, size_t len)
{
	struct reader sub = reader_of(read_bytes(r, len));

	sub.failed = r->failed;
	return sub;
}

struct bytes read_rest(struct reader *r)
{
	return read_bytes(r, reader_left(r));
}

struct writer writer_of(void *buffer, size_t size)
{
	uint8_t *start = buffer;

	return (struct writer){.start = start, .at = start, .end = size > 0 ? start + size : start};
}

size_t writer_len(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

struct bytes writer_bytes(const struct writer *w)
{
	return bytes_of(w->start, writer_len(w));
}

uint8_t *write_space(struct writer *w, size_t len)
{
	uint8_t *at = w->at;

	if (w->failed || len > (size_t)(w->end - w->at)) {
		w->failed = true;
		return NULL;
	}
	if (len > 0)
		w->at += len;
	return at;
}

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)(v >> 16));
	put_u16(p + 2, (uint16_t)v);
}

void write_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = write_space(w, 1);

	if (p)
		*p = v;
}

void write_u16(struct writer *w, uint16_t v)
{
	uint8_t *p = write_space(w, 2);

	if (p)
		put_u16(p, v);
}

void write_u32(struct writer *w, uint32_t v)
{
	uint8_t *p = write_space(w, 4);

	if (p)
		put_u32(p, v);
}

void write_u64(struct writer *w, uint64_t v)
{
	uint8_t *p = write_space(w, 8);

	if (p) {
		put_u32(p, (uint32_t)(v >> 32));
		put_u32(p + 4, (uint32_t)v);
	}
}

void write_copy(struct writer *w, const void *data, size_t len)
{
	uint8_t *p = write_space(w, len);

	if (p && len > 0)
		memcpy(p, data, len);
}

void write_bytes(struct writer *w, struct bytes bytes)
{
	write_copy(w, bytes.data, bytes.len);
}

void write_zeros(struct writer *w, size_t len)
{
	uint8_t *p = write_space(w, len);

	if (p && len > 0)
		memset(p, 0, len);
}

static uint8_t *patch_space(struct writer *w, size_t at, size_t width)
{
	size_t len = writer_len(w);

	if (w->failed || width > len || at > len - width) {
		w->failed = true;
		return NULL;
	}
	return w->start + at;
}

void patch_u8(struct writer *w, size_t at, uint8_t v)
{
	uint8_t *p = patch_space(w, at, 1);

	if (p)
		*p = v;
}

void patch_u16(struct writer *w, size_t at, uint16_t v)
{
	uint8_t *p = patch_space(w, at, 2);

	if (p)
		put_u16(p, v);
}

void patch_u32(struct writer *w, size_t at, uint32_t v)
{
	uint8_t *p = patch_space(w, at, 4);

	if (p)
		put_u32(p, v);
}
