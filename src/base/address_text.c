/* The text forms of addresses, endpoints, subnets and ranges. */
#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define UNSET_TEXT "<unset>"

bool ip_parse(const char *text, struct ip_address *out)
{
	uint8_t bytes[16];
	uint8_t family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, bytes) != 1)
		return false;
	*out = ip_from_bytes(family, bytes);
	return true;
}

/* ip_parse of text[0..len). */
static bool parse_part(const char *text, size_t len, struct ip_address *out)
{
	char part[IP_TEXT_MAX];

	if (len >= sizeof(part))
		return false;
	memcpy(part, text, len);
	part[len] = 0;
	return ip_parse(part, out);
}

/* Plain decimal, no sign, no needless zero in front. */
static bool parse_prefix_len(const char *text, unsigned max, uint8_t *out)
{
	unsigned v = 0;
	size_t len = strlen(text);

	if (len == 0 || len > 3 || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (unsigned)(text[i] - '0');
	}
	if (v > max)
		return false;
	*out = (uint8_t)v;
	return true;
}

bool ip_subnet_parse(const char *text, struct ip_subnet *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct ip_address a;
	struct ip_subnet s;
	uint8_t prefix_len;

	if (!parse_part(text, len, &a))
		return false;
	prefix_len = (uint8_t)ip_bits(a.family);
	if (slash && !parse_prefix_len(slash + 1, prefix_len, &prefix_len))
		return false;
	s = ip_subnet_of(&a, prefix_len);
	if (!ip_equal(&s.address, &a))
		return false;
	*out = s;
	return true;
}

bool ip_range_parse(const char *text, struct ip_range *out)
{
	const char *dash = strchr(text, '-');
	struct ip_subnet s;
	struct ip_range r;

	if (!dash) {
		if (!ip_subnet_parse(text, &s))
			return false;
		*out = ip_range_of_subnet(&s);
		return true;
	}
	if (!parse_part(text, (size_t)(dash - text), &r.first) || !ip_parse(dash + 1, &r.last))
		return false;
	if (r.first.family != r.last.family || ip_compare(&r.first, &r.last) > 0)
		return false;
	*out = r;
	return true;
}

const char *ip_text(const struct ip_address *a, char out[IP_TEXT_MAX])
{
	if (ip_len(a->family) == 0 || !inet_ntop(a->family, a->bytes, out, IP_TEXT_MAX))
		snprintf(out, IP_TEXT_MAX, "%s", UNSET_TEXT);
	return out;
}

const char *ip_endpoint_text(const struct ip_endpoint *e, char out[IP_RANGE_TEXT_MAX])
{
	char a[IP_TEXT_MAX];

	snprintf(out, IP_RANGE_TEXT_MAX, e->address.family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		ip_text(&e->address, a), (unsigned)e->port);
	return out;
}

const char *ip_subnet_text(const struct ip_subnet *s, char out[IP_RANGE_TEXT_MAX])
{
	char a[IP_TEXT_MAX];

	snprintf(out, IP_RANGE_TEXT_MAX, "%s/%u", ip_text(&s->address, a), (unsigned)s->prefix_len);
	return out;
}

const char *ip_range_text(const struct ip_range *r, char out[IP_RANGE_TEXT_MAX])
{
	char first[IP_TEXT_MAX], last[IP_TEXT_MAX];
	struct ip_subnet s;

	if (ip_is_unset(&r->first) && ip_is_unset(&r->last))
		return ip_text(&r->first, out);
	if (ip_subnet_of_range(r, &s))
		return ip_subnet_text(&s, out);
	snprintf(out, IP_RANGE_TEXT_MAX, "%s-%s", ip_text(&r->first, first),
		ip_text(&r->last, last));
	return out;
}
