#include "flow.h"

#define EXTENSION_HEADERS_MAX 8

enum {
	NEXT_HOP_BY_HOP = 0,
	NEXT_ICMP = 1,
	NEXT_TCP = 6,
	NEXT_UDP = 17,
	NEXT_DCCP = 33,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_ICMPV6 = 58,
	NEXT_DESTINATION = 60,
	NEXT_SCTP = 132,
	NEXT_UDPLITE = 136,
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* A whole packet must have its ports; a first fragment that is too short for them has none. */
static bool parse_ports(const uint8_t *packet, struct flow *flow)
{
	const uint8_t *p = packet + flow->header_len;
	size_t left = flow->len - flow->header_len, need;
	switch (flow->protocol) {
	case NEXT_TCP:
	case NEXT_UDP:
	case NEXT_DCCP:
	case NEXT_SCTP:
	case NEXT_UDPLITE:
		need = 4;
		break;
	case NEXT_ICMP:
	case NEXT_ICMPV6:
		need = 2;
		break;
	default:
		return true;
	}
	if (flow->fragment == FLOW_LATER_FRAGMENT)
		return true;
	if (left < need)
		return flow->fragment != FLOW_WHOLE;
	flow->has_ports = true;
	flow->src_port = get16(p);
	flow->dst_port = need == 4 ? get16(p + 2) : flow->src_port;
	return true;
}

static bool parse_ipv4(const uint8_t *packet, size_t len, struct flow *flow)
{
	if (len < 20)
		return false;
	size_t header = (size_t)(packet[0] & 15) * 4;
	flow->len = get16(packet + 2);
	if (header < 20 || flow->len < header || flow->len > len)
		return false;
	uint16_t fragment = get16(packet + 6);
	flow->family = AF_INET;
	flow->header_len = flow->transport_at = (uint16_t)header;
	flow->next_header_at = flow->protocol_at = 9;
	flow->tos = packet[1];
	flow->hop_limit = packet[8];
	flow->protocol = packet[9];
	flow->dont_fragment = fragment & 0x4000;
	flow->fragment = fragment & 0x1fff   ? FLOW_LATER_FRAGMENT
			 : fragment & 0x2000 ? FLOW_FIRST_FRAGMENT
					     : FLOW_WHOLE;
	flow->src = ip_key_of(packet + 12, AF_INET);
	flow->dst = ip_key_of(packet + 16, AF_INET);
	return parse_ports(packet, flow);
}

/* Walks the extension headers (RFC 8200, section 4). */
static bool parse_extensions(const uint8_t *packet, struct flow *flow)
{
	uint8_t next = packet[6];
	size_t at = 40, named_at = 6;
	bool movable = true; /* still among the headers that ESP in transport mode comes behind */
	flow->transport_at = 40;
	flow->next_header_at = 6;
	for (unsigned i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		size_t size;
		switch (next) {
		case NEXT_HOP_BY_HOP:
		case NEXT_ROUTING:
		case NEXT_DESTINATION:
			if (flow->len - at < 8)
				return false;
			size = 8 + (size_t)packet[at + 1] * 8;
			break;
		case NEXT_FRAGMENT:
			if (flow->len - at < 8)
				return false;
			size = 8;
			uint16_t offset = get16(packet + at + 2);
			if (offset & 0xfff8)
				flow->fragment = FLOW_LATER_FRAGMENT;
			else if (offset & 1)
				flow->fragment = FLOW_FIRST_FRAGMENT;
			break;
		default:
			flow->protocol = next;
			flow->header_len = (uint16_t)at;
			flow->protocol_at = (uint16_t)named_at;
			return parse_ports(packet, flow);
		}
		if (flow->len - at < size)
			return false;
		if (next == NEXT_DESTINATION || next == NEXT_FRAGMENT)
			movable = next == NEXT_FRAGMENT && movable;
		next = packet[at];
		named_at = at;
		at += size;
		if (movable) {
			flow->transport_at = (uint16_t)at;
			flow->next_header_at = (uint16_t)named_at;
		}
		if (flow->fragment == FLOW_LATER_FRAGMENT) { /* what follows is payload */
			flow->protocol = next;
			flow->header_len = (uint16_t)at;
			flow->protocol_at = (uint16_t)named_at;
			return true;
		}
	}
	return false;
}

static bool parse_ipv6(const uint8_t *packet, size_t len, struct flow *flow)
{
	if (len < 40)
		return false;
	flow->len = 40u + get16(packet + 4);
	if (flow->len > len)
		return false;
	flow->family = AF_INET6;
	flow->tos = (uint8_t)(packet[0] << 4 | packet[1] >> 4);
	flow->hop_limit = packet[7];
	flow->dont_fragment = true;
	flow->src = ip_key_of(packet + 8, AF_INET6);
	flow->dst = ip_key_of(packet + 24, AF_INET6);
	return parse_extensions(packet, flow);
}

bool flow_parse(const uint8_t *packet, size_t len, struct flow *flow)
{
	*flow = (struct flow){0};
	if (len == 0)
		return false;
	if (packet[0] >> 4 == 4)
		return parse_ipv4(packet, len, flow);
	if (packet[0] >> 4 == 6)
		return parse_ipv6(packet, len, flow);
	return false;
}

bool flow_is_neighbour_discovery(const struct flow *flow)
{
	uint8_t type = (uint8_t)(flow->src_port >> 8);
	return flow->family == AF_INET6 && flow->protocol == NEXT_ICMPV6 && flow->has_ports &&
	       flow->hop_limit == 255 && type >= 133 && type <= 137;
}

bool flow_is_multicast(const struct flow *flow)
{
	const uint8_t *dst = (const uint8_t *)&flow->dst;
	if (flow->family == AF_INET6)
		return dst[0] == 0xff;
	return dst[0] >= 224 || (dst[0] == 255 && dst[1] == 255 && dst[2] == 255 && dst[3] == 255);
}
