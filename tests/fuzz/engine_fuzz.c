/* The whole engine, as responder or as initiator, with a peer that has the keys. The input is what
 * that peer does, one deed after the other; afterwards nothing may be left. */
#include "insider_stage.h"
#include "invariants.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#define DEEDS_MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	urcu_qsbr_register_thread();
	return 0;
}

/* Any bytes as a datagram; SPIs and length are put right if asked for. */
static void say_clear(struct insider *insider, uint8_t how, struct bytes words)
{
	uint8_t *message = calloc(1, words.len + 1);
	struct writer w = writer_of(message, words.len);

	memcpy(message, words.data, words.len);
	if (words.len >= IKE_HEADER_LEN && how & 1) {
		write_u64(&w, insider->sa.spi_i);
		write_u64(&w, insider->sa.spi_r);
	}
	if (words.len >= IKE_HEADER_LEN && how & 2) {
		w = writer_of(message + 24, 4);
		write_u32(&w, words.len);
	}
	insider_send_clear(insider, message, words.len);
	free(message);
}

/* Any bytes as the inner chain. */
static void say_sealed(struct insider *insider, uint8_t flags, uint32_t id, struct bytes words)
{
	struct reader r = reader_of(words);
	enum exchange_type type = 34 + read_u8(&r) % 5;
	uint8_t first = read_u8(&r);

	if (!insider->sa.keys)
		return;
	insider_begin(insider, type, flags, id);
	write_bytes(&insider->m.w, read_rest(&r));
	insider->m.w.start[insider->m.sk_at] = first;
	insider_send(insider);
}

static void say_auth(struct insider *insider, uint8_t flags)
{
	if (!insider->sa.keys)
		return;
	insider_begin(insider, EXCHANGE_IKE_AUTH, flags, 1);
	chain_auth(insider, 0);
	insider_send(insider);
}

static void hear_all(struct stage *stage)
{
	struct payload_list inner;
	struct ike_header header;
	struct heard heard;

	while (insider_take(stage->insider, &heard)) {
		if (ike_header_decode(bytes_of(heard.bytes, heard.len), &header)) {
			if (header.exchange == EXCHANGE_IKE_SA_INIT && !stage->insider->sa.keys &&
				!(header.flags & FLAG_RESPONSE))
				insider_respond(stage->insider, &heard);
			else if (insider_open(stage->insider, &heard, &inner) &&
				 header.flags & FLAG_RESPONSE &&
				 header.message_id == stage->insider->request_id)
				stage->insider->request_id++;
		}
		heard_free(&heard);
	}
}

static void do_deed(struct stage *stage, bool initiator, struct reader *r)
{
	struct insider *insider = stage->insider;
	uint8_t deed = read_u8(r), how = read_u8(r);
	struct bytes words = read_bytes(r, read_u16(r) & 0x0fff);

	switch (deed % 8) {
	case 0:
		say_clear(insider, how, words);
		return;
	case 1:
		say_sealed(insider, how & 0xf0, insider->request_id + (how & 3), words);
		return;
	case 2:
		say_sealed(insider, FLAG_RESPONSE, how & 7, words);
		return;
	case 3:
		say_auth(insider, initiator ? FLAG_RESPONSE : 0);
		return;
	case 4:
		insider_wait(insider, how * 40);
		hear_all(stage);
		return;
	case 5:
		if (!initiator && !insider->sa.keys)
			insider_initiate(insider,
				how & 1 ? "aes128-sha2_256;dh31" : "aes_gcm128-sha2_256;dh31");
		else
			hear_all(stage);
		return;
	case 6:
		ike_engine_terminate(stage->node->engine, stage->connection, how & 1, 0);
		return;
	default:
		if (initiator)
			ike_engine_initiate(stage->node->engine, stage->connection, NULL,
				node_watcher(stage->node));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(bytes_of(data, size));
	bool initiator = read_u8(&r) & 1;
	static struct stage stages[2];
	static bool set[2];
	struct stage stage;

	if (set[initiator])
		stage_reset(&stages[initiator]);
	else
		stage_set(&stages[initiator], initiator, 1);
	set[initiator] = true;
	stage = stages[initiator];
	if (initiator) {
		ike_engine_initiate(
			stage.node->engine, stage.connection, NULL, node_watcher(stage.node));
		insider_wait(stage.insider, 30);
		hear_all(&stage);
		insider_wait(stage.insider, 30);
	} else {
		insider_initiate(stage.insider, "aes_gcm128-sha2_256;dh31");
	}
	for (unsigned i = 0; i < DEEDS_MAX && reader_left(&r); i++)
		do_deed(&stage, initiator, &r);
	hear_all(&stage);
	check_books(stage.node);
	check_clean_end(stage.world, 60000);
	if (stage.world->failure[0]) {
		fprintf(stderr, "%s\n", stage.world->failure);
		abort();
	}
	return 0;
}
