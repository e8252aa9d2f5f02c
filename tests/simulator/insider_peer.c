/* The insider's half of IKE_SA_INIT, and its messages. */
#include "insider.h"

#include "negotiation_rules.h"

#include <stdlib.h>
#include <string.h>

uint64_t insider_dice(struct insider *insider, uint64_t n)
{
	return random_below(&insider->dice, n);
}

bool insider_chance(struct insider *insider, unsigned percent)
{
	return random_chance(&insider->dice, percent);
}

struct insider *insider_new(struct world *world, struct node *target)
{
	struct insider *insider = calloc(1, sizeof(*insider));
	char error[100];

	insider->world = world;
	insider->target = target;
	insider->dice.state = random_next(&world->random);
	insider->address = ip_v4(0xcb007142);
	insider->path = (struct ike_path){.local = {.address = target->address, .port = 500},
		.remote = {.address = insider->address, .port = 500}};
	insider->engine = calloc(1, sizeof(*insider->engine));
	insider->engine->host = &target->host;
	insider->engine->config.crypto = world->crypto;
	insider->child = proposal_parse_child("aes_gcm128,aes128-sha2_256", false, 0, error, 100);
	insider->id = identity_parse("@insider", error, sizeof(error));
	return insider;
}

void insider_forget(struct insider *insider)
{
	struct negotiation *n = &insider->negotiation;

	if (insider->sa.keys)
		secret_wipe(insider->sa.keys, insider->sa.keys_len);
	free(insider->sa.keys);
	free(n->message_i);
	free(n->message_r);
	secret_release(&n->private_key);
	memset(&insider->sa, 0, sizeof(insider->sa));
	memset(n, 0, sizeof(*n));
	insider->sa.engine = insider->engine;
	insider->sa.negotiation = n;
	n->ike_sa = &insider->sa;
	insider->request_id = 0;
	insider->child_spi = 0;
	memset(insider->last_iv, 0, sizeof(insider->last_iv));
	insider->authenticated = insider->dead = false;
	while (insider->heard_count)
		heard_free(&insider->heard[--insider->heard_count]);
}

void insider_free(struct insider *insider)
{
	insider_forget(insider);
	proposal_list_unref(insider->ike);
	proposal_list_unref(insider->child);
	identity_unref(insider->id);
	identity_unref(insider->target_id);
	free(insider->engine);
	free(insider);
}

/* ---- the wire -------------------------------------------------------------------------------- */

/* The same IV for two messages under one key would give an AEAD's secrets away. */
static void check_iv(struct insider *insider, const uint8_t *bytes, size_t len)
{
	struct ike_header header;
	uint64_t sum = 0;

	if (len < 40 || !ike_header_decode(bytes_of(bytes, len), &header) ||
		header.next_payload != PAYLOAD_SK || header.spi_i != insider->sa.spi_i ||
		header.spi_r != insider->sa.spi_r)
		return;
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3u;
	if (sum != insider->last_sum && !memcmp(insider->last_iv, bytes + 32, 8))
		world_fail(insider->world, "two messages with one IV");
	memcpy(insider->last_iv, bytes + 32, 8);
	insider->last_sum = sum;
}

bool insider_overhears(
	struct insider *insider, const struct ike_path *path, const uint8_t *bytes, size_t len)
{
	struct heard *heard = &insider->heard[insider->heard_count];

	if (!ip_equal(&path->remote.address, &insider->address))
		return true;
	check_iv(insider, bytes, len);
	if (insider->heard_count == HEARD_MAX)
		return false;
	heard->bytes = malloc(len ? len : 1);
	memcpy(heard->bytes, bytes, len);
	heard->len = len;
	heard->path = *path;
	insider->heard_count++;
	return false;
}

void insider_wait(struct insider *insider, uint64_t ms)
{
	world_run(insider->world, insider->world->now_ms + ms);
}

bool insider_take(struct insider *insider, struct heard *heard)
{
	if (!insider->heard_count)
		return false;
	*heard = insider->heard[0];
	insider->heard_count--;
	memmove(insider->heard, insider->heard + 1,
		insider->heard_count * sizeof(insider->heard[0]));
	return true;
}

void heard_free(struct heard *heard)
{
	free(heard->bytes);
}

void insider_send_clear(struct insider *insider, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* of exactly its length: a sanitizer sees more */

	memcpy(copy, bytes, len);
	insider->sent++;
	ike_engine_datagram(insider->target->engine, &insider->path, copy, len);
	free(copy);
}

/* ---- IKE_SA_INIT ----------------------------------------------------------------------------- */

static void keep(uint8_t **kept, size_t *kept_len, struct bytes message)
{
	free(*kept);
	*kept = malloc(message.len);
	memcpy(*kept, message.data, message.len);
	*kept_len = message.len;
}

static void nonce_of(struct insider *insider, uint8_t *nonce, uint16_t *len)
{
	*len = 32;
	for (unsigned i = 0; i < *len; i++)
		nonce[i] = insider_dice(insider, 256);
}

static void clear_begin(struct insider *insider, uint8_t flags)
{
	struct ike_header header = {.spi_i = insider->sa.spi_i,
		.spi_r = insider->sa.spi_r,
		.version = IKE_VERSION_2,
		.exchange = EXCHANGE_IKE_SA_INIT,
		.flags = flags};

	message_begin(&insider->m, insider->buffer, sizeof(insider->buffer), &header);
}

static struct crypto_job *run_job(struct crypto_job *job)
{
	crypto_job_run(job);
	return job;
}

static bool wait_for_response(struct insider *insider, struct heard *heard)
{
	for (unsigned i = 0; i < 30; i++) {
		while (insider_take(insider, heard)) {
			struct ike_header header;

			if (ike_header_decode(bytes_of(heard->bytes, heard->len), &header) &&
				header.exchange == EXCHANGE_IKE_SA_INIT &&
				header.spi_i == insider->sa.spi_i && header.flags & FLAG_RESPONSE)
				return true;
			heard_free(heard);
		}
		insider_wait(insider, 2);
	}
	return false;
}

/* Takes proposal, KE value and nonce out of the other's message. */
static bool take_apart(struct insider *insider, const struct heard *heard, bool offered,
	struct bytes *value, uint8_t *nonce, uint16_t *nonce_len)
{
	struct proposal_list *list = calloc(1, sizeof(*list) + 32 * sizeof(struct proposal));
	struct payload_list payloads;
	struct ike_header header;
	struct bytes their_nonce;
	char error[200];
	uint16_t group = 0;
	bool ok = ike_header_decode(bytes_of(heard->bytes, heard->len), &header) &&
		  payload_chain_decode(header.next_payload,
			  bytes_of(heard->bytes + IKE_HEADER_LEN, heard->len - IKE_HEADER_LEN),
			  &payloads, error, sizeof(error)) == CHAIN_OK &&
		  payload_find(&payloads, PAYLOAD_SA) && payload_find(&payloads, PAYLOAD_KE) &&
		  payload_find(&payloads, PAYLOAD_NONCE) &&
		  sa_payload_decode(payload_find(&payloads, PAYLOAD_SA)->body, list, 32, error,
			  sizeof(error)) &&
		  ke_payload_decode(payload_find(&payloads, PAYLOAD_KE)->body, &group, value) &&
		  nonce_payload_decode(payload_find(&payloads, PAYLOAD_NONCE)->body, &their_nonce);

	if (ok && offered)
		ok = proposal_choose(
			insider->ike, list, PROTOCOL_IKE, true, group, &insider->sa.chosen);
	else if (ok)
		ok = proposal_accept(insider->ike, list, PROTOCOL_IKE, true, &insider->sa.chosen);
	free(list);
	if (!ok || insider->sa.chosen.ke->id != group)
		return false;
	insider->sa.spi_i = header.spi_i;
	if (!offered)
		insider->sa.spi_r = header.spi_r;
	memcpy(nonce, their_nonce.data, their_nonce.len);
	*nonce_len = their_nonce.len;
	return true;
}

static void set_suite(struct insider *insider, const char *suite)
{
	char error[100];

	insider_forget(insider);
	proposal_list_unref(insider->ike);
	insider->ike = proposal_parse_ike(suite, error, sizeof(error));
}

bool insider_initiate(struct insider *insider, const char *suite)
{
	struct negotiation *n = &insider->negotiation;
	struct crypto_job *key, *job;
	struct heard heard;
	struct bytes value;
	bool ok;

	set_suite(insider, suite);
	insider->sa.initiator = true;
	insider->sa.spi_i = random_next(&insider->dice) | 1;
	nonce_of(insider, n->ni, &n->ni_len);
	n->group = proposal_list_first_ke(insider->ike);
	key = run_job(crypto_job_new(CRYPTO_KE_GENERATE, n->group, bytes_of(NULL, 0)));
	clear_begin(insider, FLAG_INITIATOR);
	sa_payload_encode(&insider->m, insider->ike, 0, 0);
	ke_payload_encode(&insider->m, n->group->id, bytes_of(key->public_value, key->public_len));
	nonce_payload_encode(&insider->m, bytes_of(n->ni, n->ni_len));
	notify_payload_encode(
		&insider->m, 0, 0, 0, N_IKEV2_FRAGMENTATION_SUPPORTED, bytes_of(NULL, 0));
	ok = message_end(&insider->m);
	keep(&n->message_i, &n->message_i_len, writer_bytes(&insider->m.w));
	insider_send_clear(insider, n->message_i, n->message_i_len);
	if (!ok || !wait_for_response(insider, &heard)) {
		crypto_job_free(key);
		return false;
	}
	keep(&n->message_r, &n->message_r_len, bytes_of(heard.bytes, heard.len));
	ok = take_apart(insider, &heard, false, &value, n->nr, &n->nr_len);
	if (ok) {
		job = crypto_job_new(CRYPTO_KE_DERIVE, n->group, value);
		job->private_key = key->private_key;
		key->private_key = (struct secret){0};
		run_job(job);
		ok = job->result == CRYPTO_JOB_OK &&
		     keymat_ike(&insider->sa, secret_bytes(&job->shared));
		crypto_job_free(job);
	}
	crypto_job_free(key);
	heard_free(&heard);
	insider->request_id = 1;
	return ok;
}

bool insider_respond(struct insider *insider, const struct heard *request)
{
	struct negotiation *n = &insider->negotiation;
	struct crypto_job *job;
	struct bytes value;
	bool ok;

	set_suite(insider, "aes_gcm128-sha2_256;dh31,aes128-sha2_256;dh31");
	insider->sa.spi_r = random_next(&insider->dice) | 1;
	if (!take_apart(insider, request, true, &value, n->ni, &n->ni_len))
		return false;
	n->group = insider->sa.chosen.ke;
	nonce_of(insider, n->nr, &n->nr_len);
	keep(&n->message_i, &n->message_i_len, bytes_of(request->bytes, request->len));
	job = run_job(crypto_job_new(CRYPTO_KE_BOTH, n->group, value));
	ok = job->result == CRYPTO_JOB_OK && keymat_ike(&insider->sa, secret_bytes(&job->shared));
	clear_begin(insider, FLAG_RESPONSE);
	chosen_payload_encode(&insider->m, &insider->sa.chosen, 0, 0);
	ke_payload_encode(&insider->m, n->group->id, bytes_of(job->public_value, job->public_len));
	nonce_payload_encode(&insider->m, bytes_of(n->nr, n->nr_len));
	notify_payload_encode(
		&insider->m, 0, 0, 0, N_IKEV2_FRAGMENTATION_SUPPORTED, bytes_of(NULL, 0));
	ok = message_end(&insider->m) && ok;
	crypto_job_free(job);
	keep(&n->message_r, &n->message_r_len, writer_bytes(&insider->m.w));
	if (ok)
		insider_send_clear(insider, n->message_r, n->message_r_len);
	return ok;
}

/* ---- protected messages ---------------------------------------------------------------------- */

void insider_begin(
	struct insider *insider, enum exchange_type type, uint8_t flags, uint32_t message_id)
{
	struct sk_keys keys = keymat_sending(&insider->sa);
	struct ike_header header = {.spi_i = insider->sa.spi_i,
		.spi_r = insider->sa.spi_r,
		.version = IKE_VERSION_2,
		.exchange = type,
		.flags = flags | (insider->sa.initiator ? FLAG_INITIATOR : 0),
		.message_id = message_id};
	uint8_t iv[16];

	keymat_iv(&insider->sa, iv);
	message_begin(&insider->m, insider->buffer, sizeof(insider->buffer), &header);
	sk_begin(&insider->m, &keys, iv);
}

uint8_t *insider_plaintext(struct insider *insider, size_t *len)
{
	size_t at = insider->m.sk_at + 4 + insider->sa.chosen.encr->iv_len;

	*len = writer_len(&insider->m.w) - at;
	return insider->m.w.start + at;
}

void insider_cut(struct insider *insider, size_t len)
{
	size_t now;
	uint8_t *plaintext = insider_plaintext(insider, &now);

	if (len < now)
		insider->m.w.at = plaintext + len;
}

void insider_send(struct insider *insider)
{
	struct sk_keys keys = keymat_sending(&insider->sa);

	if (message_end_sealed(&insider->m, insider->world->crypto, &keys))
		insider_send_clear(insider, insider->m.w.start, writer_len(&insider->m.w));
}

void insider_send_again(struct insider *insider)
{
	insider_send_clear(insider, insider->m.w.start, writer_len(&insider->m.w));
}

bool insider_open(struct insider *insider, struct heard *heard, struct payload_list *payloads)
{
	struct ike_header header;
	struct bytes inner;
	struct sk_keys keys;
	char error[200];

	if (!insider->sa.keys || !ike_header_decode(bytes_of(heard->bytes, heard->len), &header) ||
		payload_chain_decode(header.next_payload,
			bytes_of(heard->bytes + IKE_HEADER_LEN, heard->len - IKE_HEADER_LEN),
			payloads, error, sizeof(error)) != CHAIN_OK)
		return false;
	keys = keymat_receiving(&insider->sa);
	if (!sk_open(insider->world->crypto, &keys, heard->bytes, heard->len, payloads, &inner))
		return false;
	insider->opened++;
	return payload_chain_decode(payloads->after, inner, payloads, error, sizeof(error)) ==
	       CHAIN_OK;
}
