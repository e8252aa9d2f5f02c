/* Traffic selectors (RFC 7296, section 3.13.1; RFC 4301, section 4.4.1.1): what traffic an SA
 * carries. */
#ifndef BASE_TRAFFIC_SELECTOR_H
#define BASE_TRAFFIC_SELECTOR_H

#include "base/address.h"

struct traffic_selector {
	struct ip_range range;
	/* 0..65535: any. OPAQUE (RFC 4301) is port_first 65535, port_last 0. For ICMP the
	 * ports hold type and code as RFC 7296, section 3.13.1 says. */
	uint16_t port_first, port_last;
	uint8_t protocol; /* 0: any */
};

#define TRAFFIC_SELECTOR_TEXT_MAX 128

struct traffic_selector traffic_selector_of_range(const struct ip_range *range);
bool traffic_selector_equal(const struct traffic_selector *a, const struct traffic_selector *b);
bool traffic_selector_within(
	const struct traffic_selector *inner, const struct traffic_selector *outer);
/* False when they have nothing in common. */
bool traffic_selector_intersect(const struct traffic_selector *a, const struct traffic_selector *b,
	struct traffic_selector *out);
/* A packet's address, protocol and port (of the side that the selector describes). A packet without
 * ports (a later fragment, or a protocol that has none) passes only a selector for all ports or for
 * OPAQUE ones, and only such a packet passes the latter. */
bool traffic_selector_has(const struct traffic_selector *ts, const struct ip_address *address,
	uint8_t protocol, bool has_port, uint16_t port);
/* "10.1.0.0/24", with "/TCP/80", "/UDP/1024-2047", "/TCP/OPAQUE", "/SCTP/0" (all ports) or "/253/0"
 * (no name) behind where limited. */
const char *traffic_selector_text(
	const struct traffic_selector *ts, char out[TRAFFIC_SELECTOR_TEXT_MAX]);
/* "net/len", "net/len/proto", "net/len/proto/port": ipsec.conf's subnet= form; also a bare address,
 * a range ("first-last", "first-last/proto/port") and all that traffic_selector_text writes. proto:
 * number or name in any case; port: number (0: all), "first-last", "%any" or "OPAQUE". */
bool traffic_selector_parse(const char *text, struct traffic_selector *out);

#endif
