/* Building an IKE message: the header, the chain of generic payload headers, the lengths. */
#include "message.h"

#define NEXT_PAYLOAD_AT 16
#define LENGTH_AT       24

void message_begin(
	struct message_writer *m, void *buffer, size_t size, const struct ike_header *header)
{
	*m = (struct message_writer){.w = writer_of(buffer, size), .next_at = NEXT_PAYLOAD_AT};
	write_u64(&m->w, header->spi_i);
	write_u64(&m->w, header->spi_r);
	write_u8(&m->w, PAYLOAD_NONE);
	write_u8(&m->w, header->version);
	write_u8(&m->w, header->exchange);
	write_u8(&m->w, header->flags);
	write_u32(&m->w, header->message_id);
	write_u32(&m->w, 0);
}

void payload_begin(struct message_writer *m, uint8_t type)
{
	patch_u8(&m->w, m->next_at, type);
	m->payload_at = writer_len(&m->w);
	m->next_at = m->payload_at;
	write_u8(&m->w, PAYLOAD_NONE);
	write_u8(&m->w, 0);
	write_u16(&m->w, 0);
}

void payload_end(struct message_writer *m)
{
	size_t length = writer_len(&m->w) - m->payload_at;

	if (length > UINT16_MAX)
		m->w.failed = true;
	patch_u16(&m->w, m->payload_at + 2, (uint16_t)length);
}

bool message_end(struct message_writer *m)
{
	/* A datagram cannot hold more than 64 KiB, whatever the buffer can. */
	if (writer_len(&m->w) > UINT16_MAX)
		m->w.failed = true;
	patch_u32(&m->w, LENGTH_AT, (uint32_t)writer_len(&m->w));
	return !m->w.failed;
}
