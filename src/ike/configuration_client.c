/* Configuration payloads: the client's part. */
#include "child_sa.h"
#include "configuration.h"
#include "engine_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BANNER_MAX 1024

bool configuration_asks(const struct connection *c)
{
	return c->local.modecfg_client;
}

/* ---- the request ------------------------------------------------------------------ */

/* What the SA that is to be replaced has is what we should like to keep. */
static struct ip_address suggestion(const struct ike_sa *sa, unsigned family)
{
	const struct ike_sa *old =
		sa->replaces ? engine_find_serial(sa->engine, sa->replaces) : NULL;

	return old && old->configuration ? old->configuration->given[family]
					 : (struct ip_address){0};
}

static void ask_family(const struct ike_sa *sa, uint8_t family, struct message_writer *m)
{
	struct ip_address wanted = suggestion(sa, family == AF_INET6);

	if (!ip_is_unset(&wanted))
		cp_address(m, &wanted);
	else
		cp_attribute(m, family == AF_INET ? INTERNAL_IP4_ADDRESS : INTERNAL_IP6_ADDRESS,
			bytes_of(NULL, 0));
	if (!sa->connection->ignore_peer_dns)
		cp_attribute(m, family == AF_INET ? INTERNAL_IP4_DNS : INTERNAL_IP6_DNS,
			bytes_of(NULL, 0));
}

void configuration_request_encode(const struct ike_sa *sa, struct message_writer *m)
{
	struct traffic_selector local[IPSEC_SELECTORS_MAX];
	bool ip4 = false, ip6 = false;
	unsigned count;

	if (!configuration_asks(sa->connection))
		return;
	count = configuration_selectors(sa, sa->connection, true, local);
	for (unsigned i = 0; i < count; i++)
		*(local[i].range.first.family == AF_INET ? &ip4 : &ip6) = true;
	cp_payload_begin(m, CFG_REQUEST);
	if (ip4)
		ask_family(sa, AF_INET, m);
	if (ip6)
		ask_family(sa, AF_INET6, m);
	if (!sa->connection->ignore_peer_dns)
		cp_attribute(m, INTERNAL_DNS_DOMAIN, bytes_of(NULL, 0));
	cp_payload_end(m);
}

/* ---- the reply -------------------------------------------------------------------- */

/* Appends a word to a list. Without memory it stays as it was. */
static void add_word(char **list, const char *word)
{
	size_t used = *list ? strlen(*list) + 1 : 0;
	char *more = realloc(*list, used + strlen(word) + 1);

	if (!more)
		return;
	if (used)
		more[used - 1] = ' ';
	strcpy(more + used, word);
	*list = more;
}

static void take_address(
	struct ike_sa *sa, struct ip_address *to, const struct ip_address *from, const char *what)
{
	char ip[IP_TEXT_MAX];

	if (ip_is_unset(from) || ip_is_any(from))
		return;
	*to = *from;
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "received %s %s", what, ip_text(from, ip));
}

static void take_dns(
	struct ike_sa *sa, struct peer_configuration *p, const struct configuration *reply)
{
	char text[DOMAIN_TEXT_MAX], ip[IP_TEXT_MAX];

	for (unsigned i = 0; i < reply->dns_count; i++) {
		ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "received INTERNAL_IP%c_DNS server address %s",
			reply->dns[i].family == AF_INET ? '4' : '6', ip_text(&reply->dns[i], ip));
		add_word(&p->dns, ip);
	}
	for (unsigned i = 0; i < reply->domain_count; i++) {
		if (!configuration_domain_text(reply->domains[i], text)) {
			ike_sa_log(sa, LOG_LINE_WARNING, RC_OK,
				"ignoring an INTERNAL_DNS_DOMAIN that is no domain name");
			continue;
		}
		ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "received INTERNAL_DNS_DOMAIN %s", text);
		add_word(&p->domains, text);
	}
}

/* In one line, of what a terminal shows as it is. */
static void take_banner(struct ike_sa *sa, struct peer_configuration *p, struct bytes banner)
{
	size_t len = banner.len < BANNER_MAX ? banner.len : BANNER_MAX;

	if (!len)
		return;
	p->banner = malloc(len + 1);
	if (!p->banner)
		return;
	for (size_t i = 0; i < len; i++)
		p->banner[i] =
			banner.data[i] >= ' ' && banner.data[i] < 0x7f ? (char)banner.data[i] : ' ';
	p->banner[len] = '\0';
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "received banner: %s", p->banner);
}

static size_t text_bytes(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static void count_bytes(struct ike_sa *sa, struct peer_configuration *p)
{
	p->bytes = sizeof(*p) + text_bytes(p->dns) + text_bytes(p->domains) + text_bytes(p->banner);
	sa->engine->configuration_bytes += p->bytes;
}

const char *configuration_take_reply(struct ike_sa *sa, const struct payload_list *response)
{
	const struct payload *payload = payload_find(response, PAYLOAD_CP);
	struct peer_configuration *p;
	struct configuration reply;

	if (!configuration_asks(sa->connection))
		return NULL;
	if (!payload)
		return "the peer has not given us an address";
	if (!cp_payload_decode(payload->body, &reply) || reply.type != CFG_REPLY)
		return "the configuration payload is malformed";
	configuration_drop(sa);
	p = sa->configuration = calloc(1, sizeof(*p));
	if (!p)
		return "out of memory";
	take_address(sa, &p->given[0], &reply.ip4, "INTERNAL_IP4_ADDRESS");
	take_address(sa, &p->given[1], &reply.ip6, "INTERNAL_IP6_ADDRESS");
	if (!sa->connection->ignore_peer_dns)
		take_dns(sa, p, &reply);
	take_banner(sa, p, reply.banner);
	count_bytes(sa, p);
	if (!ip_is_unset(&p->given[0]) || !ip_is_unset(&p->given[1]))
		return NULL;
	configuration_drop(sa);
	return "the peer has not given us an address";
}

bool configuration_narrow(
	const struct child_sa *child, struct traffic_selector *local, unsigned *count)
{
	const struct ike_sa *sa = child->ike_sa;
	struct traffic_selector given[IPSEC_SELECTORS_MAX];
	unsigned given_count, kept = 0;

	if (!configuration_asks(child->connection) || child->connection->local.selector_count)
		return true;
	given_count = configuration_selectors(sa, child->connection, true, given);
	for (unsigned i = 0; i < *count; i++) {
		struct traffic_selector both;

		for (unsigned g = 0; g < given_count; g++) {
			if (traffic_selector_intersect(&local[i], &given[g], &both)) {
				local[kept++] = both;
				break;
			}
		}
	}
	*count = kept;
	return kept;
}
