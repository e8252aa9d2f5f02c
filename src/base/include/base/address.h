/* IPv4 and IPv6 addresses, endpoints, subnets and ranges. Plain values, any thread.
 * Text forms: RFC 5952 for IPv6. Multi-byte numbers are in host order, address bytes in
 * network order. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* family: AF_INET (bytes[0..3]; the rest zero), AF_INET6, or 0: unset. Unused bytes
 * are always zero, so that two addresses are equal when their memory is. */
struct ip_address {
	uint8_t bytes[16];
	uint8_t family;
};

struct ip_endpoint {
	struct ip_address address;
	uint16_t port;
};

struct ip_subnet {
	struct ip_address address; /* host bits are zero */
	uint8_t prefix_len;
};

struct ip_range {
	struct ip_address first, last; /* of one family, first <= last */
};

#define IP_TEXT_MAX       48 /* an address with its NUL */
#define IP_RANGE_TEXT_MAX 96 /* a range, a subnet or an endpoint with its NUL */

struct ip_address ip_v4(uint32_t host_order);
struct ip_address ip_from_bytes(uint8_t family, const uint8_t *bytes);
size_t ip_len(uint8_t family);    /* 4, 16 or 0 */
unsigned ip_bits(uint8_t family); /* 32, 128 or 0 */
bool ip_equal(const struct ip_address *a, const struct ip_address *b);
/* < 0, 0, > 0; families are ordered v4 before v6. */
int ip_compare(const struct ip_address *a, const struct ip_address *b);
bool ip_is_unset(const struct ip_address *a);
/* 0.0.0.0 or :: */
bool ip_is_any(const struct ip_address *a);
bool ip_is_loopback(const struct ip_address *a);
bool ip_is_link_local(const struct ip_address *a);

/* Numeric forms only, no name look-up; false on anything else, `out` untouched. */
bool ip_parse(const char *text, struct ip_address *out);
/* "10.0.0.0/8", "10.0.0.1" (a host: full prefix), "::/0". `text` with host bits set
 * is refused. */
bool ip_subnet_parse(const char *text, struct ip_subnet *out);
/* "10.0.0.1-10.0.0.9" or any subnet form. */
bool ip_range_parse(const char *text, struct ip_range *out);
/* Always terminated; returns `out`, for use in an argument list. */
const char *ip_text(const struct ip_address *a, char out[IP_TEXT_MAX]);
/* "192.0.2.1:500", "[2001:db8::1]:500" */
const char *ip_endpoint_text(const struct ip_endpoint *e, char out[IP_RANGE_TEXT_MAX]);
const char *ip_subnet_text(const struct ip_subnet *s, char out[IP_RANGE_TEXT_MAX]);
/* As a subnet ("10.0.0.0/8", "10.0.0.1/32") where the range is one, else "first-last". */
const char *ip_range_text(const struct ip_range *r, char out[IP_RANGE_TEXT_MAX]);

bool ip_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b);
struct ip_subnet ip_subnet_of(const struct ip_address *a, uint8_t prefix_len);
bool ip_subnet_has(const struct ip_subnet *s, const struct ip_address *a);
struct ip_range ip_range_of_subnet(const struct ip_subnet *s);
/* The one subnet that is exactly the range; false if it is none. */
bool ip_subnet_of_range(const struct ip_range *r, struct ip_subnet *out);
bool ip_range_has(const struct ip_range *r, const struct ip_address *a);
bool ip_range_within(const struct ip_range *inner, const struct ip_range *outer);
bool ip_range_intersect(const struct ip_range *a, const struct ip_range *b, struct ip_range *out);
bool ip_range_equal(const struct ip_range *a, const struct ip_range *b);

/* The socket API's form; the return value is its length. */
socklen_t ip_to_sockaddr(const struct ip_endpoint *e, struct sockaddr_storage *out);
bool ip_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct ip_endpoint *out);

#endif
