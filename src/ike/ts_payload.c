/* The Traffic Selector payloads TSi and TSr (RFC 7296, section 3.13). */
#include "message.h"

enum { TS_IPV4_ADDR_RANGE = 7, TS_IPV6_ADDR_RANGE = 8 };
#define SELECTOR_HEADER_LEN 4

static uint8_t family_of_type(uint8_t type)
{
	if (type == TS_IPV4_ADDR_RANGE)
		return AF_INET;
	return type == TS_IPV6_ADDR_RANGE ? AF_INET6 : 0;
}

static struct ip_address read_address(struct reader *r, uint8_t family)
{
	uint8_t bytes[16] = {0};

	read_copy(r, bytes, ip_len(family));
	return ip_from_bytes(family, bytes);
}

static bool selector_decode(
	struct reader *r, uint8_t family, uint8_t protocol, struct traffic_selector *ts)
{
	bool opaque;

	*ts = (struct traffic_selector){.protocol = protocol};
	ts->port_first = read_u16(r);
	ts->port_last = read_u16(r);
	ts->range.first = read_address(r, family);
	ts->range.last = read_address(r, family);
	opaque = ts->port_first == UINT16_MAX && ts->port_last == 0;
	return reader_done(r) && ip_compare(&ts->range.first, &ts->range.last) <= 0 &&
	       (ts->port_first <= ts->port_last || opaque);
}

bool ts_payload_decode(
	struct bytes body, struct traffic_selector *out, unsigned room, unsigned *count)
{
	struct reader r = reader_of(body);
	unsigned announced = read_u8(&r);

	*count = 0;
	read_skip(&r, 3);
	for (unsigned i = 0; i < announced && !r.failed; i++) {
		uint8_t type = read_u8(&r);
		uint8_t protocol = read_u8(&r);
		uint16_t length = read_u16(&r);
		uint8_t family = family_of_type(type);
		struct traffic_selector ts;

		if (length < SELECTOR_HEADER_LEN)
			return false;
		struct reader selector = read_sub(&r, length - SELECTOR_HEADER_LEN);
		if (family == 0)
			continue;
		if (!selector_decode(&selector, family, protocol, &ts))
			return false;
		if (*count < room)
			out[(*count)++] = ts;
	}
	return announced > 0 && reader_done(&r);
}

void ts_payload_encode(struct message_writer *m, uint8_t payload_type,
	const struct traffic_selector *ts, unsigned count)
{
	payload_begin(m, payload_type);
	if (count > UINT8_MAX)
		m->w.failed = true;
	write_u8(&m->w, (uint8_t)count);
	write_zeros(&m->w, 3);
	for (unsigned i = 0; i < count; i++) {
		uint8_t family = ts[i].range.first.family;
		size_t len = ip_len(family);

		if (len == 0)
			m->w.failed = true;
		write_u8(&m->w, family == AF_INET ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE);
		write_u8(&m->w, ts[i].protocol);
		write_u16(&m->w, (uint16_t)(8 + 2 * len));
		write_u16(&m->w, ts[i].port_first);
		write_u16(&m->w, ts[i].port_last);
		write_copy(&m->w, ts[i].range.first.bytes, len);
		write_copy(&m->w, ts[i].range.last.bytes, len);
	}
	payload_end(m);
}
