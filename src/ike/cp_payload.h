/* The Configuration payload (RFC 7296, section 3.15; split DNS: RFC 8598). Private. */
#ifndef IKE_CP_PAYLOAD_H
#define IKE_CP_PAYLOAD_H

#include "message.h"

enum configuration_type { CFG_REQUEST = 1, CFG_REPLY = 2, CFG_SET = 3, CFG_ACK = 4 };

enum configuration_attribute { /* IANA "IKEv2 Configuration Payload Attribute Types" */
	INTERNAL_IP4_ADDRESS = 1,
	INTERNAL_IP4_NETMASK = 2,
	INTERNAL_IP4_DNS = 3,
	INTERNAL_IP6_ADDRESS = 8,
	INTERNAL_IP6_DNS = 10,
	INTERNAL_IP4_SUBNET = 13,
	INTERNAL_IP6_SUBNET = 15,
	INTERNAL_DNS_DOMAIN = 25,
	CONFIGURATION_BANNER = 28672, /* private: a text for the user, as Cisco's clients have it */
};

#define CONFIGURATION_DNS_MAX     8
#define CONFIGURATION_DOMAINS_MAX 16
#define CONFIGURATION_SUBNETS_MAX 16

/* What is asked for or given; borrowed from the message. Of several values of one kind the first
 * ones; further ones are checked and left out. */
struct configuration {
	uint8_t type;
	bool names_ip4, names_ip6; /* there is an address attribute, with a value or empty */
	bool names_dns, names_domain;
	struct ip_address ip4, ip6; /* unset: empty */
	struct ip_address netmask;
	unsigned dns_count, domain_count, subnet_count;
	struct ip_address dns[CONFIGURATION_DNS_MAX];
	struct bytes domains[CONFIGURATION_DOMAINS_MAX]; /* any bytes */
	struct ip_range subnets[CONFIGURATION_SUBNETS_MAX];
	struct bytes banner; /* any bytes */
};

/* False: malformed. Unknown attributes are passed over. */
bool cp_payload_decode(struct bytes body, struct configuration *out);

void cp_payload_begin(struct message_writer *m, uint8_t type);
void cp_attribute(struct message_writer *m, uint16_t attribute, struct bytes value);
/* Of an address's or server's family. */
void cp_address(struct message_writer *m, const struct ip_address *address);
void cp_dns(struct message_writer *m, const struct ip_address *server);
void cp_payload_end(struct message_writer *m);

/* The text of what a peer calls a domain, if it is one: letters, digits, hyphens, underscores and
 * single dots, at most 253 of them. It goes into the environment of scripts. */
#define DOMAIN_TEXT_MAX 254
bool configuration_domain_text(struct bytes domain, char out[DOMAIN_TEXT_MAX]);

#endif
