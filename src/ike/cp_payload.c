/* The Configuration payload. */
#include "cp_payload.h"

#include <string.h>

#define ATTRIBUTE_MASK 0x7fff /* the highest bit is reserved, and ignored */

static struct ip_address address_of(struct bytes value)
{
	if (!value.len)
		return (struct ip_address){0};
	return ip_from_bytes(value.len < 16 ? AF_INET : AF_INET6, value.data);
}

/* Lengths that an attribute may have beside 0; 0: any. */
static size_t value_len(uint16_t attribute)
{
	switch (attribute) {
	case INTERNAL_IP4_ADDRESS:
	case INTERNAL_IP4_NETMASK:
	case INTERNAL_IP4_DNS:
		return 4;
	case INTERNAL_IP6_DNS:
		return 16;
	case INTERNAL_IP4_SUBNET:
		return 8;
	case INTERNAL_IP6_ADDRESS:
	case INTERNAL_IP6_SUBNET:
		return 17;
	default:
		return 0;
	}
}

static void take_dns(struct configuration *out, struct bytes value)
{
	out->names_dns = true;
	if (value.len && out->dns_count < CONFIGURATION_DNS_MAX)
		out->dns[out->dns_count++] = address_of(value);
}

static void take_domain(struct configuration *out, struct bytes value)
{
	out->names_domain = true;
	if (value.len && out->domain_count < CONFIGURATION_DOMAINS_MAX)
		out->domains[out->domain_count++] = value;
}

static bool prefix_of_mask(const uint8_t mask[4], uint8_t *prefix)
{
	uint32_t bits = (uint32_t)mask[0] << 24 | mask[1] << 16 | mask[2] << 8 | mask[3];

	*prefix = (uint8_t)__builtin_popcount(bits);
	return bits == (*prefix ? UINT32_MAX << (32 - *prefix) : 0);
}

static bool take_subnet(struct configuration *out, struct bytes value)
{
	bool ip4 = value.len == 8;
	struct ip_address address;
	struct ip_subnet subnet;
	uint8_t prefix = 0;

	if (!value.len)
		return true;
	address = ip_from_bytes(ip4 ? AF_INET : AF_INET6, value.data);
	if (ip4 ? !prefix_of_mask(value.data + 4, &prefix) : (prefix = value.data[16]) > 128)
		return false;
	subnet = ip_subnet_of(&address, prefix);
	if (out->subnet_count < CONFIGURATION_SUBNETS_MAX)
		out->subnets[out->subnet_count++] = ip_range_of_subnet(&subnet);
	return true;
}

static bool take_ip6(struct configuration *out, struct bytes value)
{
	out->names_ip6 = true;
	if (value.len && value.data[16] > 128)
		return false;
	if (ip_is_unset(&out->ip6))
		out->ip6 = address_of(bytes_of(value.data, value.len ? 16 : 0));
	return true;
}

static bool take_attribute(struct configuration *out, uint16_t attribute, struct bytes value)
{
	size_t len = value_len(attribute);

	if (len && value.len && value.len != len)
		return false;
	switch (attribute) {
	case INTERNAL_IP4_ADDRESS:
		out->names_ip4 = true;
		if (ip_is_unset(&out->ip4))
			out->ip4 = address_of(value);
		return true;
	case INTERNAL_IP4_NETMASK:
		out->netmask = address_of(value);
		return true;
	case INTERNAL_IP6_ADDRESS:
		return take_ip6(out, value);
	case INTERNAL_IP4_DNS:
	case INTERNAL_IP6_DNS:
		take_dns(out, value);
		return true;
	case INTERNAL_IP4_SUBNET:
	case INTERNAL_IP6_SUBNET:
		return take_subnet(out, value);
	case INTERNAL_DNS_DOMAIN:
		take_domain(out, value);
		return true;
	case CONFIGURATION_BANNER:
		out->banner = value;
		return true;
	default:
		return true;
	}
}

bool cp_payload_decode(struct bytes body, struct configuration *out)
{
	struct reader r = reader_of(body);

	*out = (struct configuration){.type = read_u8(&r)};
	read_skip(&r, 3);
	while (!r.failed && reader_left(&r)) {
		uint16_t attribute = read_u16(&r) & ATTRIBUTE_MASK;
		struct bytes value = read_bytes(&r, read_u16(&r));

		if (r.failed || !take_attribute(out, attribute, value))
			return false;
	}
	return reader_done(&r) && out->type >= CFG_REQUEST && out->type <= CFG_ACK;
}

/* ---- building ------------------------------------------------------------------- */

void cp_payload_begin(struct message_writer *m, uint8_t type)
{
	payload_begin(m, PAYLOAD_CP);
	write_u8(&m->w, type);
	write_zeros(&m->w, 3);
}

void cp_attribute(struct message_writer *m, uint16_t attribute, struct bytes value)
{
	if (value.len > UINT16_MAX)
		m->w.failed = true;
	write_u16(&m->w, attribute);
	write_u16(&m->w, (uint16_t)value.len);
	write_bytes(&m->w, value);
}

void cp_address(struct message_writer *m, const struct ip_address *address)
{
	uint8_t with_prefix[17];

	if (address->family == AF_INET) {
		cp_attribute(m, INTERNAL_IP4_ADDRESS, bytes_of(address->bytes, 4));
		return;
	}
	memcpy(with_prefix, address->bytes, 16);
	with_prefix[16] = 128;
	cp_attribute(m, INTERNAL_IP6_ADDRESS, bytes_of(with_prefix, sizeof(with_prefix)));
}

void cp_dns(struct message_writer *m, const struct ip_address *server)
{
	cp_attribute(m, server->family == AF_INET ? INTERNAL_IP4_DNS : INTERNAL_IP6_DNS,
		bytes_of(server->bytes, ip_len(server->family)));
}

void cp_payload_end(struct message_writer *m)
{
	payload_end(m);
}

static bool is_domain_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

bool configuration_domain_text(struct bytes domain, char out[DOMAIN_TEXT_MAX])
{
	if (!domain.len || domain.len >= DOMAIN_TEXT_MAX || domain.data[0] == '.' ||
		domain.data[0] == '-')
		return false;
	for (size_t i = 0; i < domain.len; i++) {
		uint8_t c = domain.data[i];

		if (!is_domain_byte(c) || (c == '.' && i && domain.data[i - 1] == '.'))
			return false;
		out[i] = (char)c;
	}
	out[domain.len] = '\0';
	return true;
}
