/* Payloads without an inner structure to speak of: KE, Nonce, Notify, Delete, AUTH, Vendor ID and
 * the ID payload's frame (RFC 7296, sections 3.4 to 3.12). */
#include "message.h"

#define NONCE_LEN_MIN 16
#define NONCE_LEN_MAX 256

bool ke_payload_decode(struct bytes body, uint16_t *group, struct bytes *value)
{
	struct reader r = reader_of(body);

	*group = read_u16(&r);
	read_skip(&r, 2);
	*value = read_rest(&r);
	return !r.failed && value->len > 0;
}

void ke_payload_encode(struct message_writer *m, uint16_t group, struct bytes value)
{
	payload_begin(m, PAYLOAD_KE);
	write_u16(&m->w, group);
	write_u16(&m->w, 0);
	write_bytes(&m->w, value);
	payload_end(m);
}

bool nonce_payload_decode(struct bytes body, struct bytes *nonce)
{
	*nonce = body;
	return body.len >= NONCE_LEN_MIN && body.len <= NONCE_LEN_MAX;
}

void nonce_payload_encode(struct message_writer *m, struct bytes nonce)
{
	payload_begin(m, PAYLOAD_NONCE);
	write_bytes(&m->w, nonce);
	payload_end(m);
}

bool notify_payload_decode(struct bytes body, struct notify *notify)
{
	struct reader r = reader_of(body);

	notify->protocol = read_u8(&r);
	notify->spi_len = read_u8(&r);
	notify->type = read_u16(&r);
	notify->spi = 0;
	switch (notify->spi_len) {
	case 0:
		break;
	case 4:
		notify->spi = read_u32(&r);
		break;
	case 8:
		notify->spi = read_u64(&r);
		break;
	default:
		return false;
	}
	notify->data = read_rest(&r);
	return !r.failed;
}

static void write_spi(struct writer *w, uint8_t spi_len, uint64_t spi)
{
	if (spi_len == 4)
		write_u32(w, (uint32_t)spi);
	else if (spi_len == 8)
		write_u64(w, spi);
	else if (spi_len != 0)
		w->failed = true;
}

void notify_payload_encode(struct message_writer *m, uint8_t protocol, uint8_t spi_len,
	uint64_t spi, uint16_t type, struct bytes data)
{
	payload_begin(m, PAYLOAD_NOTIFY);
	write_u8(&m->w, protocol);
	write_u8(&m->w, spi_len);
	write_u16(&m->w, type);
	write_spi(&m->w, spi_len, spi);
	write_bytes(&m->w, data);
	payload_end(m);
}

bool delete_payload_decode(struct bytes body, struct delete_payload *del)
{
	struct reader r = reader_of(body);

	del->protocol = read_u8(&r);
	del->spi_len = read_u8(&r);
	del->spi_count = read_u16(&r);
	del->spis = read_rest(&r);
	if (r.failed || del->spis.len != (size_t)del->spi_len * del->spi_count)
		return false;
	switch (del->protocol) {
	case PROTOCOL_IKE: /* the SA that carries the message: no SPI */
		return del->spi_len == 0 && del->spi_count == 0;
	case PROTOCOL_AH:
	case PROTOCOL_ESP:
		return del->spi_len == 4 && del->spi_count > 0;
	default:
		return true;
	}
}

uint32_t delete_payload_spi(const struct delete_payload *del, unsigned i)
{
	struct reader r = reader_of(del->spis);

	if (del->spi_len != 4 || i >= del->spi_count)
		return 0;
	read_skip(&r, (size_t)i * 4);
	return read_u32(&r);
}

void delete_payload_encode(
	struct message_writer *m, uint8_t protocol, const uint32_t *spis, unsigned count)
{
	payload_begin(m, PAYLOAD_DELETE);
	write_u8(&m->w, protocol);
	if (protocol == PROTOCOL_IKE) {
		write_zeros(&m->w, 3);
	} else {
		if (count > UINT16_MAX)
			m->w.failed = true;
		write_u8(&m->w, 4);
		write_u16(&m->w, (uint16_t)count);
		for (unsigned i = 0; i < count; i++)
			write_u32(&m->w, spis[i]);
	}
	payload_end(m);
}

bool auth_payload_decode(struct bytes body, uint8_t *method, struct bytes *data)
{
	struct reader r = reader_of(body);

	*method = read_u8(&r);
	read_skip(&r, 3);
	*data = read_rest(&r);
	return !r.failed && data->len > 0;
}

void auth_payload_encode(struct message_writer *m, uint8_t method, struct bytes data)
{
	payload_begin(m, PAYLOAD_AUTH);
	write_u8(&m->w, method);
	write_zeros(&m->w, 3);
	write_bytes(&m->w, data);
	payload_end(m);
}

void vendor_payload_encode(struct message_writer *m, struct bytes id)
{
	payload_begin(m, PAYLOAD_VENDOR);
	write_bytes(&m->w, id);
	payload_end(m);
}

void id_payload_encode(struct message_writer *m, uint8_t payload_type, const struct identity *id)
{
	/* %any is a rule, not an identity. */
	if (id->kind == ID_ANY)
		m->w.failed = true;
	payload_begin(m, payload_type);
	write_u8(&m->w, id->kind);
	write_zeros(&m->w, 3);
	write_copy(&m->w, id->data, id->len);
	payload_end(m);
}
