/* The Security Association payload: proposals, transforms, attributes (RFC 7296, section 3.3). */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

enum { MORE_PROPOSALS = 2, MORE_TRANSFORMS = 3 };
enum { ATTRIBUTE_KEY_LENGTH = 14, ATTRIBUTE_TV = 0x8000 };

struct sa_decoder {
	char *error;
	size_t error_size;
	unsigned proposal; /* counted from 1, for the error text */
};

__attribute__((format(printf, 2, 3))) static bool malformed(
	const struct sa_decoder *d, const char *format, ...)
{
	va_list args;
	int n = snprintf(d->error, d->error_size, "proposal %u: ", d->proposal);

	if (n >= 0 && (size_t)n < d->error_size) {
		va_start(args, format);
		vsnprintf(d->error + n, d->error_size - (size_t)n, format, args);
		va_end(args);
	}
	return false;
}

/* The only attribute there is: Key Length, always type/value. Anything else makes the transform one
 * that we must not choose, but leaves the others of the proposal alone (section 3.3.6). */
static bool attributes_decode(struct reader *r, struct transform *t)
{
	bool have_key_length = false;

	while (reader_left(r) > 0) {
		uint16_t type = read_u16(r);
		uint16_t value = read_u16(r);

		if ((type & ATTRIBUTE_TV) == 0)
			read_skip(r, value);
		if (type == (ATTRIBUTE_TV | ATTRIBUTE_KEY_LENGTH) && !have_key_length) {
			t->key_bits = value;
			have_key_length = true;
		} else {
			t->unknown_attribute = true;
		}
	}
	return !r->failed;
}

static bool transform_decode(
	const struct sa_decoder *d, struct reader *r, bool last, struct transform *t)
{
	uint8_t more = read_u8(r);
	read_skip(r, 1);
	uint16_t length = read_u16(r);

	*t = (struct transform){0};
	t->type = read_u8(r);
	read_skip(r, 1);
	t->id = read_u16(r);
	if (r->failed)
		return malformed(d, "ends within a transform");
	if (more != (last ? 0 : MORE_TRANSFORMS))
		return malformed(d, "transform count and 'last transform' mark disagree");
	if (length < 8)
		return malformed(d, "transform of length %u", length);
	struct reader attributes = read_sub(r, length - 8u);
	if (!attributes_decode(&attributes, t))
		return malformed(d, "transform attributes are cut short");
	return true;
}

static bool spi_len_fits(uint8_t protocol, uint8_t spi_len)
{
	switch (protocol) {
	case PROTOCOL_IKE:
		return spi_len == 0 || spi_len == 8;
	case PROTOCOL_AH:
	case PROTOCOL_ESP:
		return spi_len == 4;
	default:
		return true;
	}
}

static bool proposal_decode(const struct sa_decoder *d, struct reader *r, struct proposal *p)
{
	p->number = read_u8(r);
	p->protocol = read_u8(r);
	p->spi_len = read_u8(r);
	p->transform_count = read_u8(r);
	p->spi = 0;
	struct reader spi = read_sub(r, p->spi_len);
	if (p->spi_len == 4)
		p->spi = read_u32(&spi);
	else if (p->spi_len == 8)
		p->spi = read_u64(&spi);
	if (r->failed)
		return malformed(d, "ends within its header");
	if (!spi_len_fits(p->protocol, p->spi_len))
		return malformed(d, "SPI of %u bytes for protocol %u", p->spi_len, p->protocol);
	if (p->transform_count > TRANSFORMS_MAX)
		return malformed(d, "more than %u transforms", TRANSFORMS_MAX);
	for (unsigned i = 0; i < p->transform_count; i++)
		if (!transform_decode(d, r, i + 1 == p->transform_count, &p->transforms[i]))
			return false;
	if (reader_left(r) > 0)
		return malformed(d, "%zu bytes behind its last transform", reader_left(r));
	return true;
}

bool sa_payload_decode(struct bytes body, struct proposal_list *list, unsigned room, char *error,
	size_t error_size)
{
	struct reader r = reader_of(body);
	struct sa_decoder d = {.error = error, .error_size = error_size};
	bool more = true;

	list->references = 0;
	list->count = 0;
	while (more) {
		d.proposal = list->count + 1u;
		uint8_t mark = read_u8(&r);
		read_skip(&r, 1);
		uint16_t length = read_u16(&r);
		if (r.failed || length < 4 || length - 4u > reader_left(&r))
			return malformed(&d, "is cut short");
		if (mark != 0 && mark != MORE_PROPOSALS)
			return malformed(&d, "has %u for its 'last proposal' mark", mark);
		if (list->count == room)
			return malformed(&d, "no more than %u are accepted", room);
		struct reader proposal = read_sub(&r, length - 4u);
		if (!proposal_decode(&d, &proposal, &list->proposals[list->count]))
			return false;
		list->count++;
		more = mark == MORE_PROPOSALS;
	}
	if (reader_left(&r) > 0)
		return malformed(&d, "%zu bytes behind the last proposal", reader_left(&r));
	return true;
}

static void transform_encode(struct writer *w, const struct transform *t, bool last)
{
	write_u8(w, last ? 0 : MORE_TRANSFORMS);
	write_u8(w, 0);
	write_u16(w, t->key_bits > 0 ? 12 : 8);
	write_u8(w, t->type);
	write_u8(w, 0);
	write_u16(w, t->id);
	if (t->key_bits > 0) {
		write_u16(w, ATTRIBUTE_TV | ATTRIBUTE_KEY_LENGTH);
		write_u16(w, t->key_bits);
	}
}

static bool goes_out(const struct transform *t, bool without_ke)
{
	return !without_ke || t->type != TRANSFORM_KE;
}

/* `without_ke`: KE transforms are passed over. */
static void proposal_encode(struct writer *w, const struct proposal *p, uint8_t spi_len,
	uint64_t spi, bool without_ke, bool last)
{
	size_t at = writer_len(w);
	unsigned count = 0;

	for (unsigned i = 0; i < p->transform_count; i++)
		count += goes_out(&p->transforms[i], without_ke);

	write_u8(w, last ? 0 : MORE_PROPOSALS);
	write_u8(w, 0);
	write_u16(w, 0);
	write_u8(w, p->number);
	write_u8(w, p->protocol);
	write_u8(w, spi_len);
	write_u8(w, (uint8_t)count);
	if (spi_len == 4)
		write_u32(w, (uint32_t)spi);
	else if (spi_len == 8)
		write_u64(w, spi);
	else if (spi_len != 0)
		w->failed = true;
	for (unsigned i = 0, left = count; left > 0; i++)
		if (goes_out(&p->transforms[i], without_ke))
			transform_encode(w, &p->transforms[i], --left == 0);
	patch_u16(w, at + 2, (uint16_t)(writer_len(w) - at));
}

static void proposals_encode(struct message_writer *m, const struct proposal_list *list,
	uint8_t spi_len, uint64_t spi, bool without_ke)
{
	payload_begin(m, PAYLOAD_SA);
	for (unsigned i = 0; i < list->count; i++)
		proposal_encode(&m->w, &list->proposals[i], spi_len, spi, without_ke,
			i + 1u == list->count);
	payload_end(m);
}

void sa_payload_encode(
	struct message_writer *m, const struct proposal_list *list, uint8_t spi_len, uint64_t spi)
{
	proposals_encode(m, list, spi_len, spi, false);
}

void sa_payload_encode_without_ke(
	struct message_writer *m, const struct proposal_list *list, uint8_t spi_len, uint64_t spi)
{
	proposals_encode(m, list, spi_len, spi, true);
}

static void add_transform(
	struct proposal *p, enum transform_type type, const struct algorithm *alg, uint16_t bits)
{
	if (alg != NULL)
		p->transforms[p->transform_count++] =
			(struct transform){.type = type, .id = alg->id, .key_bits = bits};
}

void chosen_payload_encode(struct message_writer *m, const struct chosen_proposal *chosen,
	uint8_t spi_len, uint64_t spi)
{
	struct proposal p;

	p.number = chosen->number;
	p.protocol = chosen->protocol;
	p.transform_count = 0;
	add_transform(&p, TRANSFORM_ENCR, chosen->encr, chosen->encr_key_bits);
	add_transform(&p, TRANSFORM_PRF, chosen->prf, 0);
	add_transform(&p, TRANSFORM_INTEG, chosen->integ, 0);
	add_transform(&p, TRANSFORM_KE, chosen->ke, 0);
	if (chosen->protocol != PROTOCOL_IKE)
		p.transforms[p.transform_count++] = (struct transform){
			.type = TRANSFORM_SN, .id = chosen->esn ? SN_EXTENDED : SN_32BIT};
	payload_begin(m, PAYLOAD_SA);
	proposal_encode(&m->w, &p, spi_len, spi, false, true);
	payload_end(m);
}
