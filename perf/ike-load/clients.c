#include "clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MS 500

/* "client{}" with the number in the place of the braces; without braces as it is. */
static void fill_pattern(const char *pattern, unsigned i, char *out, size_t size)
{
	const char *at = strstr(pattern, "{}");

	if (at)
		snprintf(out, size, "%.*s%u%s", (int)(at - pattern), pattern, i, at + 2);
	else
		snprintf(out, size, "%s", pattern);
}

static struct identity *client_identity(
	const struct options *options, unsigned i, char *error, size_t error_size)
{
	char text[256];

	fill_pattern(options->id_pattern, i, text, sizeof(text));
	return identity_parse(text, error, error_size);
}

bool clients_init(
	struct clients *clients, const struct options *options, char *error, size_t error_size)
{
	struct identity *probe = client_identity(options, 0, error, error_size);

	*clients = (struct clients){.options = options};
	if (!probe)
		return false;
	identity_unref(probe);
	if (!traffic_selector_parse(options->remote_net, &clients->remote_ts)) {
		snprintf(error, error_size, "--remote-net cannot be used");
		return false;
	}
	clients->ike_proposals = proposal_parse_ike(options->ike, error, error_size);
	if (clients->ike_proposals)
		clients->child_proposals =
			proposal_parse_child(options->esp, false, 2, error, error_size);
	if (clients->child_proposals)
		clients->remote_id = identity_parse(options->remote_id, error, error_size);
	return clients->remote_id != NULL;
}

void clients_release(struct clients *clients)
{
	proposal_list_unref(clients->ike_proposals);
	proposal_list_unref(clients->child_proposals);
	identity_unref(clients->remote_id);
}

static uint32_t v4_of(const struct ip_address *a)
{
	return (uint32_t)a->bytes[0] << 24 | (uint32_t)a->bytes[1] << 16 |
	       (uint32_t)a->bytes[2] << 8 | a->bytes[3];
}

/* The i-th address of the prefix, over and over. */
static struct ip_address address_at(const struct ip_subnet *prefix, uint64_t i)
{
	uint64_t size = (uint64_t)1 << (32 - prefix->prefix_len);

	return ip_v4(v4_of(&prefix->address) + (uint32_t)(i % size));
}

static struct ip_address source_of(const struct options *options, unsigned i)
{
	/* The first address of a prefix names the prefix, if there is more than one. */
	uint64_t size = (uint64_t)1 << (32 - options->sources.prefix_len);

	return address_at(&options->sources, size > 2 ? 1 + i % (size - 2) : i);
}

static bool set_ends(struct connection *c, const struct clients *clients, unsigned i)
{
	const struct options *o = clients->options;
	struct ip_address inner = address_at(&o->client_net, i);
	struct ip_range range = {inner, inner};
	char error[200];

	c->local.host = source_of(o, i);
	c->local.id = client_identity(o, i, error, sizeof(error));
	c->local.auth = c->remote.auth = o->auth;
	c->local.schemes = c->remote.schemes = o->schemes;
	if (o->certificate) {
		c->local.certificate = own_certificate_ref(o->certificate);
		c->authorities = authorities_ref(o->authorities);
	}
	c->remote.host = o->responder;
	c->remote.id = identity_ref(clients->remote_id);
	c->local.selectors = calloc(1, sizeof(struct traffic_selector));
	c->remote.selectors = calloc(1, sizeof(struct traffic_selector));
	if (!c->local.id || !c->local.selectors || !c->remote.selectors)
		return false;
	c->local.selectors[0] = traffic_selector_of_range(&range);
	c->remote.selectors[0] = clients->remote_ts;
	c->local.modecfg_client = o->ask_address;
	c->local.selector_count = !o->ask_address;
	c->remote.selector_count = 1;
	return true;
}

/* The clients' clocks are not one: spread evenly over the range, by a multiplicative hash of the
 * number, so that a run can be repeated. The engine doubles it each time. */
static uint32_t retransmit_interval(const struct options *options, unsigned i)
{
	uint32_t range = INTERVAL_MS * options->jitter_percent / 100;

	return INTERVAL_MS - range +
	       (uint32_t)((uint64_t)(i * 2654435761u) * (2 * range + 1) >> 32);
}

struct connection *client_connection(const struct clients *clients, unsigned i)
{
	char name[16];
	struct connection *c;

	snprintf(name, sizeof(name), "t%u", i);
	c = connection_new(name);
	if (!c)
		return NULL;
	if (!set_ends(c, clients, i)) {
		connection_unref(c);
		return NULL;
	}
	c->serial = i + 1;
	c->reqid = i + 1;
	c->oriented = c->local_is_left = true;
	c->protocol = IPSEC_ESP;
	c->mode = IPSEC_TUNNEL;
	c->shunt = IPSEC_PROTECT;
	c->ike_proposals = proposal_list_ref(clients->ike_proposals);
	c->child_proposals = proposal_list_ref(clients->child_proposals);
	c->ike_life_s = c->child_life_s = 86400;
	if (clients->options->rekey_after_s) { /* the margin takes half of the life */
		c->rekey = c->pfs = true;
		c->rekey_margin_s = clients->options->rekey_after_s;
		c->child_life_s = 2 * c->rekey_margin_s;
	}
	c->retransmit_interval_ms = retransmit_interval(clients->options, i);
	c->retransmit_timeout_s = clients->options->retransmit_s;
	c->dpd_delay_s = clients->options->dpd_s;
	c->keying_tries = 1; /* what failed is reported, not tried again */
	c->replay_window = 128;
	c->encapsulation = CHOICE_AUTO;
	c->narrowing = true;
	c->fragmentation = true;
	return c;
}

struct secret_store *clients_secrets(const struct options *options)
{
	struct secret_store *store = secret_store_new();

	if (store && options->psk &&
		secret_store_add_psk(
			store, NULL, 0, bytes_of(options->psk, strlen(options->psk)))) {
		secret_store_free(store);
		return NULL;
	}
	return store;
}
