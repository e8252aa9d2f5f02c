/* Two gateways for tests. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static struct connection *connection_of(struct fixture *f, const struct side_config *config,
	const char *name, uint32_t reqid, struct node *me, struct node *peer, const char *my_id, const char *peer_id,
	const char *subnet, const char *peer_subnet)
{
	struct connection *c = world_connection(f->world, name);
	char error[200];

	c->local.host = me->address;
	if (!config->template_remote)
		c->remote.host = peer->natted ? peer->nat_address : peer->address;
	c->local.id = identity_parse(my_id, error, sizeof(error));
	c->remote.id = identity_parse(peer_id, error, sizeof(error));
	c->protocol = config->ah ? IPSEC_AH : IPSEC_ESP;
	c->compress = config->compress;
	c->refuse_tfc = config->refuse_tfc;
	c->tfc_padding = config->tfc;
	c->mode = config->transport ? IPSEC_TRANSPORT : IPSEC_TUNNEL;
	c->narrowing = config->narrowing;
	c->ike_proposals = proposal_parse_ike(config->ike, error, sizeof(error));
	c->child_proposals = proposal_parse_child(config->esp, config->ah, 2, error, sizeof(error));
	c->reqid = reqid;
	c->ike_life_s = c->child_life_s = config->life_s ? config->life_s : 28800;
	if (config->child_life_s)
		c->child_life_s = config->child_life_s;
	c->rekey_margin_s = config->margin_s ? config->margin_s : c->ike_life_s / 10;
	c->rekey = !config->dont_rekey;
	c->reauth = config->reauth;
	c->pfs = config->pfs;
	c->shunt = config->shunt;
	c->failure_shunt = config->failure_shunt;
	c->negotiation_pass = config->negotiation_pass;
	c->keep = config->keep;
	c->retransmit_timeout_s =
		config->retransmit_timeout_s ? config->retransmit_timeout_s : 3;
	c->dpd_delay_s = config->dpd_s;
	c->keying_tries = config->keying_tries ? config->keying_tries : 1;
	if (config->encapsulation)
		c->encapsulation = config->encapsulation;
	c->initial_contact = config->initial_contact;
	c->nat_keepalive = true;
	c->fragmentation = !config->no_fragmentation;
	c->local.selectors = calloc(2, sizeof(struct traffic_selector));
	c->remote.selectors = calloc(2, sizeof(struct traffic_selector));
	if (!config->transport) {
		traffic_selector_parse(
			config->subnet ? config->subnet : subnet, c->local.selectors);
		traffic_selector_parse(config->peer_subnet ? config->peer_subnet : peer_subnet,
			c->remote.selectors);
		c->local.selector_count = c->remote.selector_count = 1;
	}
	catalogue_add(me->catalogue, c);
	return c;
}

static void set_secret(struct node *node, const char *secret)
{
	struct secret_store *store = secret_store_new();

	secret_store_add_psk(store, NULL, 0, bytes_of(secret, strlen(secret)));
	secret_vault_replace(node->vault, store);
}

static bool listen_in(
	struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	struct fixture *f = world->listener;
	struct captured *c = &f->captured[f->captured_count];

	if (f->captured_count == CAPTURED_MAX)
		return true;
	c->path = *path;
	c->bytes = malloc(len);
	c->len = len;
	memcpy(c->bytes, bytes, len);
	f->captured_count++;
	return !f->drop || !f->drop(f, f->captured_count - 1, bytes, len);
}

static void hear(
	struct node *node, ike_watcher watcher, enum ike_rc code, const char *line, size_t len)
{
	struct fixture *f = node->world->listener;

	if (node != f->west || !watcher || f->line_count == LINES_MAX)
		return;
	f->lines[f->line_count] = strndup(line, len);
	f->codes[f->line_count++] = code;
}

struct fixture *fixture_new(
	const struct side_config *west, const struct side_config *east, bool west_natted)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->world = world_new(7, getenv("SIMULATOR_VERBOSE"));
	f->world->weather = (struct weather){.delay_min = 5, .delay_max = 5};
	f->world->listener = f;
	f->world->wire = listen_in;
	f->world->hear = hear;
	f->east = node_add(f->world, false);
	f->west = node_add(f->world, west_natted);
	f->west_connection = connection_of(f, west, "tunnel", 16388, f->west, f->east, "@west",
		"@east", "10.1.0.0/24", "10.2.0.0/24");
	f->east_connection = connection_of(f, east, "tunnel", 16388, f->east, f->west, "@east",
		"@west", "10.2.0.0/24", "10.1.0.0/24");
	set_secret(f->west, west->secret ? west->secret : "a preshared key of good length");
	set_secret(f->east, east->secret ? east->secret : "a preshared key of good length");
	f->west->no_ipcomp = west->no_ipcomp;
	f->east->no_ipcomp = east->no_ipcomp;
	f->west->fragment_datagram = west->fragment_datagram;
	f->east->fragment_datagram = east->fragment_datagram;
	node_start(f->west);
	node_start(f->east);
	return f;
}

struct connection *fixture_add(
	struct fixture *f, const struct side_config *config, bool at_west, unsigned n)
{
	char name[20], west[24], east[24];

	snprintf(name, sizeof(name), "tunnel%u", n);
	snprintf(west, sizeof(west), "10.1.%u.0/24", n);
	snprintf(east, sizeof(east), "10.2.%u.0/24", n);
	if (at_west)
		return connection_of(f, config, name, 16388 + 4 * n, f->west, f->east, "@west",
			"@east", west, east);
	return connection_of(
		f, config, name, 16388 + 4 * n, f->east, f->west, "@east", "@west", east, west);
}

void fixture_free(struct fixture *f)
{
	for (unsigned i = 0; i < f->captured_count; i++)
		free(f->captured[i].bytes);
	for (unsigned i = 0; i < f->line_count; i++)
		free(f->lines[i]);
	connection_unref(f->west_connection);
	connection_unref(f->east_connection);
	world_free(f->world);
	free(f);
}

ike_watcher fixture_initiate(struct fixture *f)
{
	ike_watcher watcher = node_watcher(f->west);

	ike_engine_initiate(f->west->engine, f->west_connection, NULL, watcher);
	return watcher;
}

void fixture_pass(struct fixture *f, uint64_t ms)
{
	world_run(f->world, f->world->now_ms + ms);
}

#define OFFSET_EXCHANGE 18 /* of an IKE message */

unsigned fixture_sent_by(const struct fixture *f, const struct node *node, unsigned exchange)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->captured_count; i++)
		n += ip_equal(&f->captured[i].path.local.address, &node->address) &&
		     f->captured[i].bytes[OFFSET_EXCHANGE] == exchange;
	return n;
}

struct ike_path fixture_arriving(const struct captured *c)
{
	return (struct ike_path){.local = c->path.remote,
		.remote = c->path.local,
		.non_esp_marker = c->path.non_esp_marker};
}

bool fixture_drop_all(struct fixture *f, unsigned i, const uint8_t *bytes, size_t len)
{
	(void)f, (void)i, (void)bytes, (void)len;
	return true;
}

void fixture_inject(struct node *to, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(
		len ? len : 1); /* of exactly its length, so that a sanitizer sees a read past it */

	memcpy(copy, bytes, len);
	ike_engine_datagram(to->engine, path, copy, len);
	free(copy);
}

bool fixture_told(const struct fixture *f, const char *part)
{
	for (unsigned i = 0; i < f->line_count; i++) {
		if (strstr(f->lines[i], part))
			return true;
	}
	return false;
}

int fixture_code(const struct fixture *f)
{
	int code = 0;

	for (unsigned i = 0; i < f->line_count; i++) {
		if (f->codes[i])
			code = f->codes[i];
	}
	return code;
}

uint64_t fixture_counter(const struct node *node, const char *key)
{
	for (size_t i = 0; i < ike_counter_count(); i++) {
		if (!strcmp(ike_counter_key(i), key))
			return counter_read(&node->counters, i);
	}
	return UINT64_MAX; /* no such counter: no test expects that */
}
