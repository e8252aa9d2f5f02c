/* insider [--messages N] [--seed S]: a peer with the keys sends N messages, well encrypted and
 * wrong inside, to a responder and to an initiator. Neither may crash, grow, lose count, forget a
 * watcher or hurt an honest tunnel beside it. TAP. */
#include "fixture.h"
#include "insider.h"
#include "invariants.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

/* What one engine may hold at any time: half-open SAs end after 30 s, refused and deleted ones
 * linger for 5 s, and a deleted peer has 8 s to answer. */
#define SAS_MAX    2000
#define MEMORY_MAX (4u << 20)

static const char *const suites[] = {
	"aes_gcm128-sha2_256;dh31", "aes128-sha2_256;dh31", "chacha20_poly1305-sha2_256;dh31"};

struct run {
	struct fixture *f;
	struct world *world;
	struct insider *insider;
	struct node *node;
	struct connection *connection; /* the node's, with the insider */
	uint64_t sessions, authenticated, most_sas, most_memory;
};

/* ---- the stage ------------------------------------------------------------------------------- */

static struct connection *connect_insider(
	struct node *node, const char *id, bool template_end, const struct ip_address *insider)
{
	struct connection *c = connection_new("insider");
	char error[200];

	c->serial = ++node->world->next_serial;
	c->oriented = true;
	c->local.host = node->address;
	if (!template_end)
		c->remote.host = *insider;
	c->local.id = identity_parse(id, error, sizeof(error));
	c->remote.id = identity_parse("@insider", error, sizeof(error));
	c->protocol = IPSEC_ESP;
	c->mode = IPSEC_TUNNEL;
	c->narrowing = true;
	c->ike_proposals = proposal_parse_ike(
		"aes_gcm128-sha2_256;dh31,aes128-sha2_256;dh31,chacha20_poly1305-sha2_256;dh31",
		error, sizeof(error));
	c->child_proposals = proposal_parse_child(NULL, false, 2, error, sizeof(error));
	c->reqid = 20000 + node->index * 8;
	c->ike_life_s = c->child_life_s = 3600;
	c->rekey_margin_s = 360;
	c->rekey = true;
	c->retransmit_interval_ms = 500;
	c->retransmit_timeout_s = 6;
	c->dpd_delay_s = 3;
	c->replay_window = 128;
	c->encapsulation = CHOICE_AUTO;
	c->nat_keepalive = true;
	c->local.selectors = calloc(1, sizeof(struct traffic_selector));
	c->remote.selectors = calloc(1, sizeof(struct traffic_selector));
	traffic_selector_parse("10.2.0.0/24", c->local.selectors);
	traffic_selector_parse("10.66.0.0/24", c->remote.selectors);
	c->local.selector_count = c->remote.selector_count = 1;
	catalogue_add(node->catalogue, c);
	return c;
}

static bool overhear(
	struct world *world, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	return insider_overhears(world->listener, path, bytes, len);
}

static void set_secrets(struct node *node)
{
	struct secret_store *store = secret_store_new();
	struct identity *id;
	char error[100];

	id = identity_parse("@insider", error, sizeof(error));
	secret_store_add_psk(store, (const struct identity *const *)&id, 1,
		bytes_of(INSIDER_SECRET, strlen(INSIDER_SECRET)));
	secret_store_add_psk(store, NULL, 0, bytes_of("what the honest know", 20));
	secret_vault_replace(node->vault, store);
	identity_unref(id);
}

static void set_stage(struct run *run, bool against_initiator, uint64_t seed)
{
	static const struct side_config usual = {.dpd_s = 10, .keying_tries = 1000};
	struct fixture *f = fixture_new(&usual, &usual, false);
	char error[100];

	*run = (struct run){.f = f, .world = f->world};
	run->world->random.state += seed;
	run->node = against_initiator ? f->west : f->east;
	run->insider = insider_new(run->world, run->node);
	run->insider->target_id =
		identity_parse(against_initiator ? "@west" : "@east", error, sizeof(error));
	run->connection = connect_insider(run->node, against_initiator ? "@west" : "@east",
		!against_initiator, &run->insider->address);
	set_secrets(f->west);
	set_secrets(f->east);
	run->world->listener = run->insider;
	run->world->wire = overhear;
	run->world->hear = NULL;
}

static void clear_stage(struct run *run)
{
	connection_unref(run->connection);
	insider_free(run->insider);
	fixture_free(run->f);
}

/* ---- what it says ---------------------------------------------------------------------------- */

static enum exchange_type some_exchange(struct insider *insider)
{
	return insider_chance(insider, 90) ? 34 + insider_dice(insider, 4)
					   : insider_dice(insider, 256);
}

static void write_chain(struct insider *insider, enum exchange_type type)
{
	static const unsigned wrongness[] = {0, 5, 15, 50};

	if (insider_chance(insider, 10))
		chain_garbage(insider);
	else if (type == EXCHANGE_IKE_AUTH)
		chain_auth(insider, wrongness[insider_dice(insider, 4)]);
	else if (type == EXCHANGE_CREATE_CHILD_SA)
		chain_create_child(insider);
	else
		chain_informational(insider);
	if (insider_chance(insider, 15))
		chain_mutate(insider);
}

static void say_something(struct insider *insider)
{
	bool first = !insider->authenticated && insider->sa.initiator;
	enum exchange_type type = first && insider_chance(insider, 70) ? EXCHANGE_IKE_AUTH
				  : insider_chance(insider, 60)        ? EXCHANGE_INFORMATIONAL
								       : some_exchange(insider);
	uint8_t flags = insider_chance(insider, 95) ? 0 : insider_dice(insider, 256);
	uint32_t id = insider->request_id;

	if (insider_chance(insider, 10))
		id += insider_dice(insider, 5) - 2;
	insider_begin(insider, type, flags, id);
	if (insider_chance(insider, 80))
		write_chain(insider, type);
	else
		write_chain(insider, some_exchange(insider));
	insider_send(insider);
}

/* The target asks: an honest answer, a wrong one, or none. */
static void answer(struct insider *insider, const struct ike_header *request)
{
	unsigned dice = insider_dice(insider, 10);

	if (dice == 0)
		return;
	insider_begin(insider, request->exchange, FLAG_RESPONSE, request->message_id);
	if (request->exchange == EXCHANGE_IKE_AUTH && dice < 8)
		chain_auth(insider, dice < 5 ? 0 : 10);
	else if (dice < 4)
		write_chain(insider, request->exchange);
	insider_send(insider);
	if (insider_chance(insider, 10))
		insider_send(insider);
}

static void look_at(struct run *run, struct heard *heard)
{
	struct insider *insider = run->insider;
	struct payload_list inner;
	struct ike_header header;
	struct proposal_list *list;
	char error[200];

	if (!ike_header_decode(bytes_of(heard->bytes, heard->len), &header) ||
		header.spi_i != insider->sa.spi_i || header.spi_r != insider->sa.spi_r)
		return;
	if (!insider_open(insider, heard, &inner)) {
		insider->dead |= header.exchange != EXCHANGE_IKE_SA_INIT;
		return;
	}
	if (payload_find(&inner, PAYLOAD_SA)) {
		list = calloc(1, sizeof(*list) + 32 * sizeof(struct proposal));
		if (sa_payload_decode(
			    payload_find(&inner, PAYLOAD_SA)->body, list, 32, error, sizeof(error)))
			insider->child_spi = list->proposals[0].spi;
		free(list);
	}
	if (payload_find(&inner, PAYLOAD_AUTH) && !insider->authenticated) {
		insider->authenticated = true;
		run->authenticated++;
	}
	if (!(header.flags & FLAG_RESPONSE))
		answer(insider, &header);
	else if (header.message_id == insider->request_id)
		insider->request_id++;
}

static void look_at_all(struct run *run)
{
	struct heard heard;

	while (insider_take(run->insider, &heard)) {
		look_at(run, &heard);
		heard_free(&heard);
	}
}

static void note_size(struct run *run)
{
	struct ike_memory m = ike_engine_memory(run->node->engine);
	uint64_t sas = ike_engine_sa_count(run->node->engine);
	uint64_t bytes = m.ike_sas + m.child_sas + m.negotiations + m.responses + m.keys + m.tables;

	if (sas > run->most_sas)
		run->most_sas = sas;
	if (bytes > run->most_memory)
		run->most_memory = bytes;
	if (sas > SAS_MAX)
		world_fail(
			run->world, "%llu IKE SAs are held for one peer", (unsigned long long)sas);
	if (bytes > MEMORY_MAX)
		world_fail(
			run->world, "%llu bytes are held for one peer", (unsigned long long)bytes);
}

static void talk(struct run *run, unsigned messages)
{
	struct insider *insider = run->insider;

	for (unsigned i = 0; i < messages && !run->world->failure[0]; i++) {
		say_something(insider);
		insider_wait(insider, insider_chance(insider, 3) ? insider_dice(insider, 9000)
								 : insider_dice(insider, 12));
		look_at_all(run);
		if (insider->dead && insider_chance(insider, 80))
			break;
	}
	note_size(run);
	if (run->sessions++ % 64 == 0)
		check_books(run->node);
}

/* ---- against a responder --------------------------------------------------------------------- */

static void session_with_responder(struct run *run)
{
	struct insider *insider = run->insider;

	if (insider_initiate(insider, suites[insider_dice(insider, 3)]))
		talk(run, 10 + insider_dice(insider, 90));
	else
		insider_wait(insider, 100);
}

/* ---- against an initiator -------------------------------------------------------------------- */

/* An unprotected response to IKE_SA_INIT that is not the right one. */
static void mislead(struct insider *insider, const struct heard *request)
{
	static const uint16_t types[] = {N_COOKIE, N_COOKIE, N_INVALID_KE_PAYLOAD,
		N_NO_PROPOSAL_CHOSEN, N_INVALID_SYNTAX, N_INVALID_MAJOR_VERSION,
		N_NAT_DETECTION_SOURCE_IP, 40000};
	struct ike_header header;
	struct message_writer m;
	uint8_t buffer[400], data[70];

	if (!ike_header_decode(bytes_of(request->bytes, request->len), &header))
		return;
	header.flags = FLAG_RESPONSE;
	header.spi_r = insider_chance(insider, 50) ? 0 : random_next(&insider->dice);
	message_begin(&m, buffer, sizeof(buffer), &header);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = insider_chance(insider, 50) ? 0 : insider_dice(insider, 256);
	notify_payload_encode(&m, 0, 0, 0, types[insider_dice(insider, 8)],
		bytes_of(data, insider_chance(insider, 30) ? 2 : insider_dice(insider, 70)));
	if (message_end(&m))
		insider_send_clear(insider, buffer, writer_len(&m.w));
	if (insider_chance(insider, 30)) { /* its own words thrown back, changed a little */
		uint8_t *copy = malloc(request->len);

		memcpy(copy, request->bytes, request->len);
		copy[19] = FLAG_RESPONSE;
		copy[insider_dice(insider, request->len)] ^= 1u << insider_dice(insider, 8);
		insider_send_clear(insider, copy, request->len);
		free(copy);
	}
}

static bool hear_request(struct run *run, struct heard *heard)
{
	for (unsigned i = 0; i < 30; i++) {
		while (insider_take(run->insider, heard)) {
			if (heard->len > 19 && heard->bytes[18] == EXCHANGE_IKE_SA_INIT &&
				!(heard->bytes[19] & FLAG_RESPONSE))
				return true;
			heard_free(heard);
		}
		insider_wait(run->insider, 5);
	}
	return false;
}

static void session_with_initiator(struct run *run)
{
	struct insider *insider = run->insider;
	ike_watcher watcher = insider_chance(insider, 20) ? node_watcher(run->node) : 0;
	struct heard request;
	bool keys = false;

	ike_engine_initiate(run->node->engine, run->connection, NULL, watcher);
	for (unsigned round = 0; round < 9 && !keys && hear_request(run, &request); round++) {
		if (insider_chance(insider, 30))
			mislead(insider, &request);
		else
			keys = insider_respond(insider, &request);
		heard_free(&request);
	}
	if (keys) {
		insider_wait(insider, 30);
		look_at_all(run);
		talk(run, insider_dice(insider, 100));
	}
	if (insider_chance(insider, 70)) {
		if (insider_chance(insider, 20))
			node_terminate_watched(
				run->node, run->connection, insider_chance(insider, 50));
		else
			ike_engine_terminate(
				run->node->engine, run->connection, insider_chance(insider, 50), 0);
		insider_wait(insider, insider_dice(insider, 2000));
		look_at_all(run);
	}
}

/* ---- the honest ------------------------------------------------------------------------------ */

static void expect_honest_tunnel(struct run *run, const char *when)
{
	if (!connection_is_up(run->f->west, "tunnel") || !connection_is_up(run->f->east, "tunnel"))
		world_fail(run->world, "the honest tunnel is not up %s", when);
}

static bool attack(bool against_initiator, uint64_t messages, uint64_t seed)
{
	const char *victim = against_initiator ? "an initiator" : "a responder";
	struct run run;
	bool ok;

	set_stage(&run, against_initiator, seed);
	fixture_initiate(run.f);
	insider_wait(run.insider, 2000);
	expect_honest_tunnel(&run, "before");
	while (run.insider->sent < messages && !run.world->failure[0]) {
		if (against_initiator)
			session_with_initiator(&run);
		else
			session_with_responder(&run);
		run.world->steps = 0;
	}
	expect_honest_tunnel(&run, "beside the insider");
	ike_engine_terminate(run.f->west->engine, run.f->west_connection, false, 0);
	ike_engine_terminate(run.node->engine, run.connection, false, 0);
	insider_wait(run.insider, 60000);
	if (ike_engine_sa_count(run.node->engine) > 2)
		world_fail(run.world,
			"%llu IKE SAs are left a minute after the insider's last word",
			(unsigned long long)ike_engine_sa_count(run.node->engine));
	fixture_initiate(run.f);
	insider_wait(run.insider, 5000);
	expect_honest_tunnel(&run, "afterwards");
	check_books(run.node);
	check_clean_end(run.world, 60000);
	if (run.authenticated < run.sessions / 10)
		world_fail(run.world, "only %llu of %llu sessions got as far as authentication",
			(unsigned long long)run.authenticated, (unsigned long long)run.sessions);
	ok = !run.world->failure[0];
	printf("%sok %d - an insider against %s\n", ok ? "" : "not ", against_initiator + 1,
		victim);
	if (!ok)
		printf("# %s (seed %llu, after %llu messages)\n", run.world->failure,
			(unsigned long long)seed, (unsigned long long)run.insider->sent);
	printf("# %llu messages in %llu sessions, %llu of them authenticated; at most %llu IKE SAs "
	       "and %llu KB at a time; %llu virtual seconds\n",
		(unsigned long long)run.insider->sent, (unsigned long long)run.sessions,
		(unsigned long long)run.authenticated, (unsigned long long)run.most_sas,
		(unsigned long long)run.most_memory / 1024,
		(unsigned long long)run.world->now_ms / 1000);
	fflush(stdout);
	clear_stage(&run);
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"messages", required_argument, 0, 'm'}, {"seed", required_argument, 0, 's'}, {0}};
	uint64_t messages = 200000, seed = 1;
	bool ok;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'm')
			messages = strtoull(optarg, NULL, 0);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	urcu_qsbr_register_thread();
	printf("1..2\n");
	ok = attack(false, messages / 2, seed);
	ok &= attack(true, messages / 2, seed);
	urcu_qsbr_unregister_thread();
	return ok ? 0 : 1;
}
