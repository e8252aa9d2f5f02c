#include "base/traffic_selector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where several names stand for a number, the first one is written. */
static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {{1, "ICMP"}, {4, "IPIP"}, {4, "IPv4"}, {6, "TCP"}, {17, "UDP"}, {41, "IPv6"},
	{47, "GRE"}, {50, "ESP"}, {51, "AH"}, {58, "IPv6-ICMP"}, {58, "ICMPv6"}, {89, "OSPF"},
	{115, "L2TP"}, {132, "SCTP"}, {135, "MH"}, {136, "UDPLite"}};

static bool ports_are_all(const struct traffic_selector *ts)
{
	return ts->port_first == 0 && ts->port_last == UINT16_MAX;
}

static bool ports_are_opaque(const struct traffic_selector *ts)
{
	return ts->port_first == UINT16_MAX && ts->port_last == 0;
}

struct traffic_selector traffic_selector_of_range(const struct ip_range *range)
{
	return (struct traffic_selector){.range = *range, .port_last = UINT16_MAX};
}

bool traffic_selector_equal(const struct traffic_selector *a, const struct traffic_selector *b)
{
	return a->protocol == b->protocol && a->port_first == b->port_first &&
	       a->port_last == b->port_last && ip_range_equal(&a->range, &b->range);
}

static bool ports_within(const struct traffic_selector *inner, const struct traffic_selector *outer)
{
	/* RFC 4301, section 4.4.1.1: ANY encompasses OPAQUE; no other set of ports does. */
	if (ports_are_all(outer))
		return true;
	if (ports_are_opaque(inner) || ports_are_opaque(outer))
		return ports_are_opaque(inner) && ports_are_opaque(outer);
	return inner->port_first <= inner->port_last && inner->port_first >= outer->port_first &&
	       inner->port_last <= outer->port_last;
}

bool traffic_selector_within(
	const struct traffic_selector *inner, const struct traffic_selector *outer)
{
	if (outer->protocol != 0 && inner->protocol != outer->protocol)
		return false;
	return ports_within(inner, outer) && ip_range_within(&inner->range, &outer->range);
}

static bool ports_intersect(const struct traffic_selector *a, const struct traffic_selector *b,
	struct traffic_selector *out)
{
	uint16_t first, last;

	if (ports_are_opaque(a) || ports_are_opaque(b)) {
		if (!ports_within(a, b) && !ports_within(b, a))
			return false;
		out->port_first = UINT16_MAX;
		out->port_last = 0;
		return true;
	}
	first = a->port_first > b->port_first ? a->port_first : b->port_first;
	last = a->port_last < b->port_last ? a->port_last : b->port_last;
	if (first > last)
		return false;
	out->port_first = first;
	out->port_last = last;
	return true;
}

bool traffic_selector_intersect(const struct traffic_selector *a, const struct traffic_selector *b,
	struct traffic_selector *out)
{
	struct traffic_selector both = {0};

	if (a->protocol != 0 && b->protocol != 0 && a->protocol != b->protocol)
		return false;
	both.protocol = a->protocol != 0 ? a->protocol : b->protocol;
	if (!ports_intersect(a, b, &both) || !ip_range_intersect(&a->range, &b->range, &both.range))
		return false;
	*out = both;
	return true;
}

bool traffic_selector_has(const struct traffic_selector *ts, const struct ip_address *address,
	uint8_t protocol, bool has_port, uint16_t port)
{
	if (ts->protocol != 0 && ts->protocol != protocol)
		return false;
	if (!ports_are_all(ts)) {
		if (ports_are_opaque(ts)
				? has_port
				: !has_port || port < ts->port_first || port > ts->port_last)
			return false;
	}
	return ip_range_has(&ts->range, address);
}

static const char *protocol_text(uint8_t number, char *out, size_t size)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (protocols[i].number == number)
			return protocols[i].name;
	}
	snprintf(out, size, "%u", (unsigned)number);
	return out;
}

static const char *ports_text(const struct traffic_selector *ts, char *out, size_t size)
{
	if (ports_are_all(ts))
		return "0";
	if (ports_are_opaque(ts))
		return "OPAQUE";
	/* Port 0 alone (ICMP type 0, code 0) must not read like "all of them". */
	if (ts->port_first == ts->port_last && ts->port_first != 0)
		snprintf(out, size, "%u", (unsigned)ts->port_first);
	else
		snprintf(out, size, "%u-%u", (unsigned)ts->port_first, (unsigned)ts->port_last);
	return out;
}

const char *traffic_selector_text(
	const struct traffic_selector *ts, char out[TRAFFIC_SELECTOR_TEXT_MAX])
{
	char range[IP_RANGE_TEXT_MAX], protocol[4], ports[12];

	ip_range_text(&ts->range, range);
	if (ts->protocol == 0 && ports_are_all(ts))
		snprintf(out, TRAFFIC_SELECTOR_TEXT_MAX, "%s", range);
	else
		snprintf(out, TRAFFIC_SELECTOR_TEXT_MAX, "%s/%s/%s", range,
			protocol_text(ts->protocol, protocol, sizeof(protocol)),
			ports_text(ts, ports, sizeof(ports)));
	return out;
}

/* A plain decimal up to `max`; `*end` is what follows it. */
static bool parse_number(const char *text, unsigned max, unsigned *out, const char **end)
{
	unsigned v = 0;
	const char *at = text;

	while (*at >= '0' && *at <= '9') {
		v = v * 10 + (unsigned)(*at++ - '0');
		if (v > max)
			return false;
	}
	*out = v;
	*end = at;
	return at > text;
}

static bool parse_protocol(const char *text, size_t len, uint8_t *out)
{
	const char *end;
	unsigned v;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strlen(protocols[i].name) == len &&
			!strncasecmp(protocols[i].name, text, len)) {
			*out = protocols[i].number;
			return true;
		}
	}
	if (!parse_number(text, UINT8_MAX, &v, &end) || end != text + len)
		return false;
	*out = (uint8_t)v;
	return true;
}

static bool parse_ports(const char *text, struct traffic_selector *ts)
{
	const char *end;
	unsigned first, last;

	if (!strcasecmp(text, "%any"))
		return true;
	if (!strcasecmp(text, "OPAQUE") || !strcasecmp(text, "%opaque")) {
		ts->port_first = UINT16_MAX;
		ts->port_last = 0;
		return true;
	}
	if (!parse_number(text, UINT16_MAX, &first, &end))
		return false;
	if (*end == 0 && first == 0)
		return true;
	last = first;
	if (*end == '-' && !parse_number(end + 1, UINT16_MAX, &last, &end))
		return false;
	if (*end != 0 || first > last)
		return false;
	ts->port_first = (uint16_t)first;
	ts->port_last = (uint16_t)last;
	return true;
}

/* "proto" or "proto/port". Ports of protocol 0 have no meaning, and are refused. */
static bool parse_upper(const char *text, struct traffic_selector *ts)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	if (!parse_protocol(text, len, &ts->protocol))
		return false;
	if (slash && !parse_ports(slash + 1, ts))
		return false;
	return ts->protocol != 0 || ports_are_all(ts);
}

bool traffic_selector_parse(const char *text, struct traffic_selector *out)
{
	const char *end = strchr(text, '/');
	const char *dash = strchr(text, '-');
	char net[IP_RANGE_TEXT_MAX];
	struct traffic_selector ts;
	struct ip_range range;
	size_t len;

	/* The address part ends at the second slash, or at the first after "first-last". */
	if (end && !(dash && dash < end))
		end = strchr(end + 1, '/');
	len = end ? (size_t)(end - text) : strlen(text);
	if (len >= sizeof(net))
		return false;
	memcpy(net, text, len);
	net[len] = 0;
	if (!ip_range_parse(net, &range))
		return false;
	ts = traffic_selector_of_range(&range);
	if (end && !parse_upper(end + 1, &ts))
		return false;
	*out = ts;
	return true;
}
