/* insider [--messages N] [--seed S]: a peer with the keys sends N messages, well encrypted and
 * wrong inside, to a responder and to an initiator. Neither may crash, grow, lose count, forget a
 * watcher or hurt an honest tunnel beside it. TAP. */
#include "insider_stage.h"
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
	struct stage stage;
	uint64_t sessions, authenticated, most_sas, most_memory;
};

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
	if (insider_chance(insider, 15)) {
		insider_send_cut(insider);
		return;
	}
	insider_send(insider);
	while (insider_chance(insider, 10))
		insider_send_again(insider);
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
		insider_send_again(insider);
}

static void look_at(struct run *run, struct heard *heard)
{
	struct insider *insider = run->stage.insider;
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

	while (insider_take(run->stage.insider, &heard)) {
		look_at(run, &heard);
		heard_free(&heard);
	}
}

static void note_size(struct run *run)
{
	struct ike_memory m = ike_engine_memory(run->stage.node->engine);
	uint64_t sas = ike_engine_sa_count(run->stage.node->engine);
	uint64_t bytes = ike_memory_total(&m);

	if (sas > run->most_sas)
		run->most_sas = sas;
	if (bytes > run->most_memory)
		run->most_memory = bytes;
	if (sas > SAS_MAX)
		world_fail(run->stage.world, "%llu IKE SAs are held for one peer",
			(unsigned long long)sas);
	if (bytes > MEMORY_MAX)
		world_fail(run->stage.world, "%llu bytes are held for one peer",
			(unsigned long long)bytes);
}

static void talk(struct run *run, unsigned messages)
{
	struct insider *insider = run->stage.insider;

	for (unsigned i = 0; i < messages && !run->stage.world->failure[0]; i++) {
		say_something(insider);
		insider_wait(insider, insider_chance(insider, 3) ? insider_dice(insider, 9000)
								 : insider_dice(insider, 12));
		look_at_all(run);
		if (insider->dead && insider_chance(insider, 80))
			break;
	}
	note_size(run);
	if (run->sessions++ % 64 == 0)
		check_books(run->stage.node);
}

/* ---- against a responder --------------------------------------------------------------------- */

static void session_with_responder(struct run *run)
{
	struct insider *insider = run->stage.insider;

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
		while (insider_take(run->stage.insider, heard)) {
			if (heard->len > 19 && heard->bytes[18] == EXCHANGE_IKE_SA_INIT &&
				!(heard->bytes[19] & FLAG_RESPONSE))
				return true;
			heard_free(heard);
		}
		insider_wait(run->stage.insider, 5);
	}
	return false;
}

static void session_with_initiator(struct run *run)
{
	struct insider *insider = run->stage.insider;
	ike_watcher watcher = insider_chance(insider, 20) ? node_watcher(run->stage.node) : 0;
	struct heard request;
	bool keys = false;

	ike_engine_initiate(run->stage.node->engine, run->stage.connection, NULL, watcher);
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
			node_terminate_watched(run->stage.node, run->stage.connection,
				insider_chance(insider, 50));
		else
			ike_engine_terminate(run->stage.node->engine, run->stage.connection,
				insider_chance(insider, 50), 0);
		insider_wait(insider, insider_dice(insider, 2000));
		look_at_all(run);
	}
}

/* ---- the honest ------------------------------------------------------------------------------ */

static void expect_honest_tunnel(struct run *run, const char *when)
{
	if (!connection_is_up(run->stage.f->west, "tunnel") ||
		!connection_is_up(run->stage.f->east, "tunnel"))
		world_fail(run->stage.world, "the honest tunnel is not up %s", when);
}

static bool attack(bool against_initiator, uint64_t messages, uint64_t seed)
{
	const char *victim = against_initiator ? "an initiator" : "a responder";
	struct run run = {0};
	bool ok;

	stage_set(&run.stage, against_initiator, seed);
	fixture_initiate(run.stage.f);
	insider_wait(run.stage.insider, 2000);
	expect_honest_tunnel(&run, "before");
	while (run.stage.insider->sent < messages && !run.stage.world->failure[0]) {
		if (against_initiator)
			session_with_initiator(&run);
		else
			session_with_responder(&run);
		run.stage.world->steps = 0;
	}
	expect_honest_tunnel(&run, "beside the insider");
	ike_engine_terminate(run.stage.f->west->engine, run.stage.f->west_connection, false, 0);
	ike_engine_terminate(run.stage.node->engine, run.stage.connection, false, 0);
	insider_wait(run.stage.insider, 60000);
	if (ike_engine_sa_count(run.stage.node->engine) > 2)
		world_fail(run.stage.world,
			"%llu IKE SAs are left a minute after the insider's last word",
			(unsigned long long)ike_engine_sa_count(run.stage.node->engine));
	fixture_initiate(run.stage.f);
	insider_wait(run.stage.insider, 5000);
	expect_honest_tunnel(&run, "afterwards");
	check_books(run.stage.node);
	check_clean_end(run.stage.world, 60000);
	if (run.authenticated < run.sessions / 10)
		world_fail(run.stage.world,
			"only %llu of %llu sessions got as far as authentication",
			(unsigned long long)run.authenticated, (unsigned long long)run.sessions);
	ok = !run.stage.world->failure[0];
	printf("%sok %d - an insider against %s\n", ok ? "" : "not ", against_initiator + 1,
		victim);
	if (!ok)
		printf("# %s (seed %llu, after %llu messages)\n", run.stage.world->failure,
			(unsigned long long)seed, (unsigned long long)run.stage.insider->sent);
	printf("# %llu messages in %llu sessions, %llu of them authenticated; at most %llu IKE SAs "
	       "and %llu KB at a time; %llu virtual seconds\n",
		(unsigned long long)run.stage.insider->sent, (unsigned long long)run.sessions,
		(unsigned long long)run.authenticated, (unsigned long long)run.most_sas,
		(unsigned long long)run.most_memory / 1024,
		(unsigned long long)run.stage.world->now_ms / 1000);
	fflush(stdout);
	stage_clear(&run.stage);
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
