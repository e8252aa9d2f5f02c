/* One wrong word at a time, from a peer that knows the keys: what RFC 7296 wants done, and nothing
 * that waits for ever. */
#include "insider_stage.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

static const char suite[] = "aes_gcm128-sha2_256;dh31";

static void write_delete(struct insider *insider, uint8_t protocol, uint32_t spi)
{
	delete_payload_encode(&insider->m, protocol, &spi, 1);
}

/* What the victim says next, decrypted; its header and payloads. */
static bool next_words(struct stage *stage, struct heard *heard, struct ike_header *header,
	struct payload_list *words)
{
	insider_wait(stage->insider, 40);
	if (!insider_take(stage->insider, heard))
		return false;
	assert_true(ike_header_decode(bytes_of(heard->bytes, heard->len), header));
	if (!insider_open(stage->insider, heard, words))
		words->count = 0;
	return true;
}

/* The type of the first notify in the victim's next message; 0: it says nothing, 1 << 16: something
 * else. */
static unsigned next_notify_of(struct stage *stage, uint8_t exchange)
{
	struct payload_list words;
	struct ike_header header;
	struct heard heard;
	struct notify notify;
	const struct payload *p;
	unsigned type = 1 << 16;

	if (!next_words(stage, &heard, &header, &words))
		return 0;
	if (exchange && header.exchange != exchange) {
		heard_free(&heard);
		return next_notify_of(stage, exchange);
	}
	p = payload_find(&words, PAYLOAD_NOTIFY);
	if (p && notify_payload_decode(p->body, &notify))
		type = notify.type;
	heard_free(&heard);
	return type;
}

static unsigned next_notify(struct stage *stage)
{
	return next_notify_of(stage, 0);
}

/* The insider is an authenticated initiator with a Child SA. */
static void set_up_with_responder(struct stage *stage)
{
	struct insider *insider = stage->insider;

	assert_true(insider_initiate(insider, suite));
	insider_begin(insider, EXCHANGE_IKE_AUTH, 0, 1);
	chain_auth(insider, 0);
	insider_send(insider);
	assert_true(next_notify(stage) != 0);
	assert_int_equal(count_established(stage->node), 1);
}

/* The victim has initiated, and waits for the response to its IKE_AUTH request. */
static ike_watcher wait_for_auth(struct stage *stage)
{
	struct insider *insider = stage->insider;
	ike_watcher watcher = node_watcher(stage->node);
	struct payload_list words;
	struct ike_header header;
	struct heard heard;

	ike_engine_initiate(stage->node->engine, stage->connection, NULL, watcher);
	assert_true(next_words(stage, &heard, &header, &words));
	assert_true(insider_respond(insider, &heard));
	heard_free(&heard);
	assert_true(next_words(stage, &heard, &header, &words));
	assert_int_equal(header.exchange, EXCHANGE_IKE_AUTH);
	heard_free(&heard);
	return watcher;
}

/* A right answer to IKE_AUTH: the Child SA has this SPI. */
static void answer_auth(struct insider *insider, uint32_t spi)
{
	struct chosen_proposal chosen = {.number = 1,
		.protocol = PROTOCOL_ESP,
		.encr = algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_GCM_16),
		.encr_key_bits = 256,
		.esn = true};
	struct bytes psk = bytes_of(INSIDER_SECRET, strlen(INSIDER_SECRET));
	uint8_t value[PRF_OUTPUT_MAX];
	struct traffic_selector ts;

	insider_begin(insider, EXCHANGE_IKE_AUTH, FLAG_RESPONSE, 1);
	id_payload_encode(&insider->m, PAYLOAD_IDr, insider->id);
	assert_true(keymat_auth_psk(&insider->sa, false, insider->id, psk, value));
	auth_payload_encode(&insider->m, 2, bytes_of(value, insider->sa.chosen.prf->output_len));
	chosen_payload_encode(&insider->m, &chosen, 4, spi);
	traffic_selector_parse("10.2.0.0/24", &ts);
	ts_payload_encode(&insider->m, PAYLOAD_TSi, &ts, 1);
	traffic_selector_parse("10.66.0.0/24", &ts);
	ts_payload_encode(&insider->m, PAYLOAD_TSr, &ts, 1);
}

static void end(struct stage *stage)
{
	check_books(stage->node);
	check_clean_end(stage->world, 60000);
	assert_string_equal(stage->world->failure, "");
	stage_clear(stage);
}

/* ---- after authentication -------------------------------------------------------------------- */

static void malformed_request_is_fatal(void **state)
{
	struct stage stage;
	unsigned char *plain;
	size_t len;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2);
	notify_payload_encode(&stage.insider->m, 0, 0, 0, N_COOKIE, bytes_of(NULL, 0));
	plain = insider_plaintext(stage.insider, &len);
	plain[3]++; /* the payload is longer than what holds it */
	insider_send(stage.insider);
	assert_int_equal(next_notify(&stage), N_INVALID_SYNTAX);
	assert_int_equal(count_established(stage.node), 0);
	insider_send_again(stage.insider);
	assert_int_equal(next_notify(&stage), N_INVALID_SYNTAX);
	insider_wait(stage.insider, 6000);
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 0);
	end(&stage);
}

static void unknown_critical_payload_is_refused_and_the_sa_stays(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2);
	payload_begin(&stage.insider->m, 200);
	patch_u8(&stage.insider->m.w, stage.insider->m.payload_at + 1, 0x80);
	payload_end(&stage.insider->m);
	insider_send(stage.insider);
	assert_int_equal(next_notify(&stage), N_UNSUPPORTED_CRITICAL_PAYLOAD);
	assert_int_equal(count_established(stage.node), 1);
	end(&stage);
}

/* What the insider asks for with CREATE_CHILD_SA. */
struct wish {
	bool rekeys, ike, wrong_selectors;
	uint32_t rekeyed_spi, spi;
	unsigned group; /* 0: no key exchange */
};

static void ask_for(struct stage *stage, uint32_t message_id, const struct wish *wish)
{
	struct insider *insider = stage->insider;
	struct message_writer *m = &insider->m;
	struct proposal_list *with_ke =
		proposal_list_with_ke(insider->child, algorithm_by_id(TRANSFORM_KE, 31));
	uint8_t bytes[32] = {9, 9, 9};
	struct traffic_selector ts;

	insider_begin(insider, EXCHANGE_CREATE_CHILD_SA, 0, message_id);
	if (wish->rekeys)
		notify_payload_encode(m, PROTOCOL_ESP, 4, wish->rekeyed_spi, N_REKEY_SA,
			bytes_of(NULL, 0));
	if (wish->ike)
		sa_payload_encode(m, insider->ike, 8, 0x1122334455667788);
	else
		sa_payload_encode(m, wish->group ? with_ke : insider->child, 4, wish->spi);
	nonce_payload_encode(m, bytes_of(bytes, 32));
	if (wish->group)
		ke_payload_encode(m, wish->group, bytes_of(bytes, 32));
	traffic_selector_parse(wish->wrong_selectors ? "10.77.0.0/24" : "10.66.0.0/24", &ts);
	ts_payload_encode(m, PAYLOAD_TSi, &ts, 1);
	traffic_selector_parse("10.2.0.0/24", &ts);
	ts_payload_encode(m, PAYLOAD_TSr, &ts, 1);
	proposal_list_unref(with_ke);
	insider_send(insider);
}

/* The insider's SPI of the pair that is there. */
static uint32_t insiders_spi(struct stage *stage)
{
	struct ike_sa_view view;
	struct ike_walk walk;

	ike_walk_start(stage->node->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	return view.child.out_spi;
}

static void rekeying_sends_by_the_old_pair_until_it_is_deleted(void **state)
{
	struct wish wish = {.rekeys = true, .spi = 0xdddd0001};
	struct stage stage;
	const struct ipsec_sa *out;
	uint32_t old;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	wish.rekeyed_spi = old = insiders_spi(&stage);
	ask_for(&stage, 2, &wish);
	assert_int_equal(next_notify(&stage), 1 << 16); /* no notify in it */
	assert_int_equal(count_established(stage.node), 2);
	out = node_outbound_sa(stage.node, old, 0);
	assert_non_null(out);
	assert_null(node_outbound_sa(stage.node, wish.spi, 0));
	assert_int_equal(node_sending_sa(stage.node, out->reqid)->spi, old);
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 3);
	delete_payload_encode(&stage.insider->m, PROTOCOL_ESP, &old, 1);
	insider_send(stage.insider);
	insider_wait(stage.insider, 40);
	assert_null(node_outbound_sa(stage.node, old, 0));
	assert_non_null(node_outbound_sa(stage.node, wish.spi, 0));
	assert_int_equal(count_established(stage.node), 1);
	end(&stage);
}

static void rekeying_is_refused_by_the_book(void **state)
{
	struct stage stage;
	struct wish unknown = {.rekeys = true, .rekeyed_spi = 0x77777777, .spi = 0xdddd0001},
		    alien = {.wrong_selectors = true, .spi = 0xdddd0002},
		    wrong_group = {.spi = 0xdddd0003, .group = 19}, same = {.spi = 0xdddd0004};

	(void)state;
	stage_set(&stage, false, 1);
	stage.connection->pfs = true;
	set_up_with_responder(&stage);
	ask_for(&stage, 2, &unknown);
	assert_int_equal(next_notify(&stage), N_CHILD_SA_NOT_FOUND);
	ask_for(&stage, 3, &alien);
	assert_int_equal(next_notify(&stage), N_TS_UNACCEPTABLE);
	ask_for(&stage, 4, &wrong_group);
	assert_int_equal(next_notify(&stage), N_INVALID_KE_PAYLOAD);
	ask_for(&stage, 5, &same); /* without the key exchange that the connection insists on */
	assert_int_equal(next_notify(&stage), N_NO_PROPOSAL_CHOSEN);
	assert_int_equal(count_established(stage.node), 1);
	end(&stage);
}

static void ike_sa_that_is_rekeyed_takes_no_more_requests(void **state)
{
	struct wish ike = {.ike = true, .group = 31}, child = {.spi = 0xdddd0001};
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	ask_for(&stage, 2, &ike);
	assert_int_equal(next_notify(&stage), 1 << 16);
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 2);
	ask_for(&stage, 3, &ike);
	assert_int_equal(next_notify(&stage), N_TEMPORARY_FAILURE);
	ask_for(&stage, 4, &child);
	assert_int_equal(next_notify(&stage), N_TEMPORARY_FAILURE);
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 2);
	assert_int_equal(count_established(stage.node), 1);
	end(&stage);
}

/* Each takes the place of the one before, which it does not let go: it never answers a Delete. */
static void peer_cannot_fill_the_memory_with_child_sas(void **state)
{
	struct ike_sa_view view;
	struct ike_walk walk;
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	stage.connection->retransmit_timeout_s = 20;
	set_up_with_responder(&stage);
	for (unsigned i = 0; i < 200; i++) {
		struct wish wish = {.spi = 0xdddd0000 + i};

		ask_for(&stage, 2 + i, &wish);
		assert_int_equal(next_notify_of(&stage, EXCHANGE_CREATE_CHILD_SA),
			i < 127 ? 1 << 16 : N_NO_ADDITIONAL_SAS);
	}
	assert_int_equal(count_established(stage.node), 1);
	ike_walk_start(stage.node->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	assert_int_equal(view.child_count, 128);
	end(&stage);
}

static void nobody_is_kept_by_deleting_again(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	for (unsigned i = 0; i < 6; i++) {
		insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2 + i);
		delete_payload_encode(&stage.insider->m, PROTOCOL_IKE, NULL, 0);
		insider_send(stage.insider);
		insider_wait(stage.insider, 2000);
	}
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 0);
	end(&stage);
}

static void deletes_of_other_protocols_are_passed_over(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2);
	for (uint32_t i = 0; i < 4; i++)
		write_delete(stage.insider, 77, 0xabc00000 + i);
	insider_send(stage.insider);
	assert_true(next_notify(&stage) != 0);
	assert_int_equal(count_established(stage.node), 1);
	end(&stage);
}

/* ---- before ---------------------------------------------------------------------------------- */

static void who_is_not_authenticated_can_only_authenticate(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	assert_true(insider_initiate(stage.insider, suite));
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 1);
	insider_send(stage.insider);
	assert_int_equal(next_notify(&stage), 0);
	insider_begin(stage.insider, EXCHANGE_IKE_AUTH, 0, 1);
	chain_auth(stage.insider, 0);
	insider_send(stage.insider);
	assert_true(next_notify(&stage) != 0);
	assert_int_equal(count_established(stage.node), 1);
	end(&stage);
}

static void nobody_is_kept_by_talking_on_after_a_refusal(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	assert_true(insider_initiate(stage.insider, suite));
	insider_begin(stage.insider, EXCHANGE_IKE_AUTH, 0, 1);
	id_payload_encode(&stage.insider->m, PAYLOAD_IDi, stage.insider->target_id);
	insider_send(stage.insider);
	assert_int_equal(next_notify(&stage), N_INVALID_SYNTAX);
	for (unsigned i = 0; i < 6; i++) {
		insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2 + i);
		delete_payload_encode(&stage.insider->m, PROTOCOL_IKE, NULL, 0);
		insider_send(stage.insider);
		insider_wait(stage.insider, 2000);
	}
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 0);
	end(&stage);
}

/* ---- against an initiator -------------------------------------------------------------------- */

static void child_deleted_while_it_is_installed(void **state)
{
	struct stage stage;
	ike_watcher watcher;

	(void)state;
	stage_set(&stage, true, 1);
	watcher = wait_for_auth(&stage);
	answer_auth(stage.insider, 0xabc00001);
	insider_send(stage.insider);
	/* No time passes: the kernel has not answered. */
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 0);
	write_delete(stage.insider, PROTOCOL_ESP, 0xabc00001);
	insider_send(stage.insider);
	insider_wait(stage.insider, 100);
	assert_int_equal(count_established(stage.node), 0);
	assert_int_equal(stage.node->watcher_state[watcher - 1], 2);
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 1);
	end(&stage);
}

static void both_delete_a_child_and_somebody_watches(void **state)
{
	struct stage stage;
	struct ike_sa_view view;
	struct ike_walk walk;
	ike_watcher watcher;

	(void)state;
	stage_set(&stage, true, 1);
	wait_for_auth(&stage);
	answer_auth(stage.insider, 0xabc00001);
	insider_send(stage.insider);
	insider_wait(stage.insider, 100);
	assert_int_equal(count_established(stage.node), 1);
	insider_wait(stage.insider, 3500); /* a liveness check holds the window */
	ike_walk_start(stage.node->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	watcher = node_watcher(stage.node);
	assert_true(ike_engine_delete_serial(stage.node->engine, view.child.serial, watcher));
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 0);
	write_delete(stage.insider, PROTOCOL_ESP, 0xabc00001);
	insider_send(stage.insider);
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, FLAG_RESPONSE, 2);
	insider_send(stage.insider);
	insider_wait(stage.insider, 100);
	assert_int_equal(stage.node->watcher_state[watcher - 1], 2);
	end(&stage);
}

static void unknown_critical_payload_in_a_response_ends_it(void **state)
{
	struct stage stage;
	ike_watcher watcher;

	(void)state;
	stage_set(&stage, true, 1);
	watcher = wait_for_auth(&stage);
	answer_auth(stage.insider, 0xabc00001);
	payload_begin(&stage.insider->m, 200);
	patch_u8(&stage.insider->m.w, stage.insider->m.payload_at + 1, 0x80);
	payload_end(&stage.insider->m);
	insider_send(stage.insider);
	insider_wait(stage.insider, 10);
	assert_int_equal(count_established(stage.node), 0);
	assert_int_equal(stage.node->watcher_state[watcher - 1], 2);
	end(&stage);
}

static void peer_that_finds_us_malformed_is_believed(void **state)
{
	struct stage stage;
	ike_watcher watcher;

	(void)state;
	stage_set(&stage, true, 1);
	watcher = wait_for_auth(&stage);
	answer_auth(stage.insider, 0xabc00001);
	insider_send(stage.insider);
	insider_wait(stage.insider, 3500);
	assert_int_equal(count_established(stage.node), 1);
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, FLAG_RESPONSE, 2);
	notify_payload_encode(&stage.insider->m, 0, 0, 0, N_INVALID_SYNTAX, bytes_of(NULL, 0));
	insider_send(stage.insider);
	assert_int_equal(count_established(stage.node), 0);
	assert_int_equal(stage.node->watcher_state[watcher - 1], 2);
	end(&stage);
}

/* ---- what must not be believed --------------------------------------------------------------- */

static void only_the_expected_message_id_is_answered(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	for (unsigned id = 0; id < 6; id++) {
		if (id == 2)
			continue;
		insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, id);
		insider_send(stage.insider);
		assert_int_equal(next_notify(&stage), 0);
	}
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2);
	insider_send(stage.insider);
	assert_int_equal(next_notify(&stage), 1 << 16);
	end(&stage);
}

static void response_of_another_request_is_none(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, true, 1);
	wait_for_auth(&stage);
	answer_auth(stage.insider, 0xabc00001);
	insider_send(stage.insider);
	insider_wait(stage.insider, 3500); /* a liveness check of ID 2 is out */
	for (unsigned i = 0; i < 30; i++) {
		insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, FLAG_RESPONSE, 3 + i % 4);
		insider_send(stage.insider);
		insider_wait(stage.insider, 400);
	}
	assert_int_equal(count_established(stage.node), 0);
	ike_engine_terminate(stage.node->engine, stage.connection, true, 0);
	end(&stage);
}

static void words_to_other_spis_are_not_heard(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	stage.insider->sa.spi_i ^= 4;
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2);
	stage.insider->sa.spi_i ^= 4;
	delete_payload_encode(&stage.insider->m, PROTOCOL_IKE, NULL, 0);
	insider_send(stage.insider);
	insider_wait(stage.insider, 10);
	assert_int_equal(count_established(stage.node), 1);
	end(&stage);
}

static void peer_without_nat_does_not_move(void **state)
{
	struct stage stage;
	struct ike_sa_view view;
	struct ike_walk walk;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	stage.insider->path.remote.port = 7777;
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2);
	insider_send(stage.insider);
	ike_walk_start(stage.node->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	assert_int_equal(view.path.remote.port, 500);
	ike_walk_end(&walk);
	end(&stage);
}

static void child_sa_needs_an_spi(void **state)
{
	struct stage stage;
	struct insider *insider;
	struct traffic_selector ts;
	struct bytes psk = bytes_of(INSIDER_SECRET, strlen(INSIDER_SECRET));
	uint8_t value[PRF_OUTPUT_MAX];

	(void)state;
	stage_set(&stage, false, 1);
	insider = stage.insider;
	assert_true(insider_initiate(insider, suite));
	insider_begin(insider, EXCHANGE_IKE_AUTH, 0, 1);
	id_payload_encode(&insider->m, PAYLOAD_IDi, insider->id);
	assert_true(keymat_auth_psk(&insider->sa, true, insider->id, psk, value));
	auth_payload_encode(&insider->m, 2, bytes_of(value, insider->sa.chosen.prf->output_len));
	sa_payload_encode(&insider->m, insider->child, 4, 0);
	traffic_selector_parse("10.66.0.0/24", &ts);
	ts_payload_encode(&insider->m, PAYLOAD_TSi, &ts, 1);
	traffic_selector_parse("10.2.0.0/24", &ts);
	ts_payload_encode(&insider->m, PAYLOAD_TSr, &ts, 1);
	insider_send(insider);
	assert_int_equal(next_notify(&stage), N_NO_PROPOSAL_CHOSEN);
	assert_int_equal(count_established(stage.node), 0);
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 1);
	end(&stage);
}

/* Another who knows a secret with us, but is not the one that was called. */
static void responder_must_be_who_was_called(void **state)
{
	struct stage stage;
	struct insider *insider;
	struct bytes psk = bytes_of("what the honest know", 20);
	uint8_t value[PRF_OUTPUT_MAX];
	struct identity *other;
	ike_watcher watcher;
	char error[100];

	(void)state;
	stage_set(&stage, true, 1);
	insider = stage.insider;
	watcher = wait_for_auth(&stage);
	other = identity_parse("@other", error, sizeof(error));
	insider_begin(insider, EXCHANGE_IKE_AUTH, FLAG_RESPONSE, 1);
	id_payload_encode(&insider->m, PAYLOAD_IDr, other);
	assert_true(keymat_auth_psk(&insider->sa, false, other, psk, value));
	auth_payload_encode(&insider->m, 2, bytes_of(value, insider->sa.chosen.prf->output_len));
	identity_unref(other);
	insider_send(insider);
	assert_int_equal(next_notify(&stage), N_AUTHENTICATION_FAILED);
	assert_int_equal(stage.node->watcher_state[watcher - 1], 2);
	assert_int_equal(fixture_counter(stage.node, "total.ikev2.ike.established"), 0);
	ike_engine_terminate(stage.node->engine, stage.connection, true, 0);
	end(&stage);
}

/* The kernel refuses the second of them; what is unwound then is the second, not the first. */
static void an_spi_chosen_twice_takes_nothing_away(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, true, 1);
	for (unsigned i = 0; i < 2; i++) {
		wait_for_auth(&stage);
		answer_auth(stage.insider, 0xabc00001);
		insider_send(stage.insider);
		insider_wait(stage.insider, 100);
		assert_int_equal(count_established(stage.node), 1);
		assert_non_null(node_outbound_sa(stage.node, 0xabc00001, 0));
		check_books(stage.node);
	}
	assert_int_equal(fixture_counter(stage.node, "total.ikev2.ike.established"), 2);
	end(&stage);
}

static void wider_selectors_than_proposed_are_refused(void **state)
{
	struct stage stage;
	struct traffic_selector ts;

	(void)state;
	stage_set(&stage, true, 1);
	wait_for_auth(&stage);
	answer_auth(stage.insider, 0xabc00001);
	/* The last payload is TSr: 0.0.0.0/0 in its place. */
	stage.insider->m.w.at = stage.insider->m.w.start + stage.insider->m.payload_at;
	stage.insider->m.next_at = stage.insider->m.payload_at;
	traffic_selector_parse("0.0.0.0/0", &ts);
	write_u8(&stage.insider->m.w, 0);
	write_u8(&stage.insider->m.w, 0);
	write_u16(&stage.insider->m.w, 24);
	write_u32(&stage.insider->m.w, 1 << 24);
	write_u32(&stage.insider->m.w, 7 << 24 | 16);
	write_u32(&stage.insider->m.w, 0xffff);
	write_u32(&stage.insider->m.w, 0);
	write_u32(&stage.insider->m.w, UINT32_MAX);
	insider_send(stage.insider);
	insider_wait(stage.insider, 100);
	assert_int_equal(count_established(stage.node), 0);
	assert_int_equal(fixture_counter(stage.node, "total.ikev2.ike.established"), 1);
	end(&stage);
}

/* The IKE SA was negotiated as another connection of these hosts allows. */
static void suite_must_be_one_of_the_connection_s_own(void **state)
{
	struct stage stage;
	struct connection *c;
	char error[100];

	(void)state;
	stage_set(&stage, false, 1);
	c = connection_new("weaker");
	c->serial = ++stage.world->next_serial;
	c->oriented = true;
	c->local.host = stage.node->address;
	c->local.id = identity_parse("@east", error, sizeof(error));
	c->remote.id = identity_parse("@weaker", error, sizeof(error));
	c->protocol = IPSEC_ESP;
	c->ike_proposals = proposal_parse_ike("aes128-sha1;dh31", error, sizeof(error));
	c->child_proposals = proposal_parse_child(NULL, false, 2, error, sizeof(error));
	assert_int_equal(catalogue_add(stage.node->catalogue, c), 0);
	connection_unref(c);
	assert_true(insider_initiate(stage.insider, "aes128-sha1;dh31"));
	insider_begin(stage.insider, EXCHANGE_IKE_AUTH, 0, 1);
	chain_auth(stage.insider, 0);
	insider_send(stage.insider);
	assert_int_equal(next_notify(&stage), N_AUTHENTICATION_FAILED);
	end(&stage);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* KEYMAT = prf+(SK_d, Ni | Nr); first what the initiator sends by, its cipher's key with the salt,
 * then the responder's (RFC 7296, section 2.17). */
static void child_keys_lie_in_the_rfc_s_order(void **state)
{
	struct stage stage;
	struct negotiation *n;
	struct ike_sa_view view;
	struct ike_walk walk;
	uint8_t keymat[40];
	const struct ipsec_sa *in, *out;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	n = &stage.insider->negotiation;
	struct bytes nonces[] = {bytes_of(n->ni, n->ni_len), bytes_of(n->nr, n->nr_len)};
	assert_true(prf_plus(stage.world->crypto, stage.insider->sa.chosen.prf,
		bytes_of(stage.insider->sa.keys, 32), nonces, 2, keymat, sizeof(keymat)));
	ike_walk_start(stage.node->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	in = node_inbound_sa(stage.node, view.child.in_spi);
	out = node_outbound_sa(stage.node, view.child.out_spi, view.child.serial);
	assert_int_equal(in->encr_key_len, 20);
	assert_memory_equal(in->encr_key, keymat, 20);
	assert_memory_equal(out->encr_key, keymat + 20, 20);
	end(&stage);
}

/* AUTH = prf(prf(secret, pad), message | other side's nonce | prf(SK_p, body of the ID payload))
 * (RFC 7296, section 2.15). */
static void auth_is_over_the_rfc_s_octets(void **state)
{
	struct stage stage;
	struct insider *insider;
	struct negotiation *n;
	struct payload_list words;
	struct ike_header header;
	struct heard heard;
	struct bytes secret = bytes_of(INSIDER_SECRET, strlen(INSIDER_SECRET)), auth;
	struct bytes pad = bytes_of("Key Pad for IKEv2", 17), id;
	uint8_t key[32], mac[32], value[32], method;
	const struct algorithm *alg = algorithm_by_id(TRANSFORM_PRF, PRF_HMAC_SHA2_256);

	(void)state;
	stage_set(&stage, false, 1);
	insider = stage.insider;
	n = &insider->negotiation;
	assert_true(insider_initiate(insider, suite));
	insider_begin(insider, EXCHANGE_IKE_AUTH, 0, 1);
	chain_auth(insider, 0);
	insider_send(insider);
	assert_true(next_words(&stage, &heard, &header, &words));
	id = payload_find(&words, PAYLOAD_IDr)->body;
	assert_true(auth_payload_decode(payload_find(&words, PAYLOAD_AUTH)->body, &method, &auth));
	assert_int_equal(method, 2);
	assert_true(prf(stage.world->crypto, alg, secret, &pad, 1, key));
	assert_true(prf(stage.world->crypto, alg, bytes_of(n->sk_pr, 32), &id, 1, mac));
	struct bytes octets[] = {bytes_of(n->message_r, n->message_r_len),
		bytes_of(n->ni, n->ni_len), bytes_of(mac, 32)};
	assert_true(prf(stage.world->crypto, alg, bytes_of(key, 32), octets, 3, value));
	assert_int_equal(auth.len, 32);
	assert_memory_equal(auth.data, value, 32);
	heard_free(&heard);
	end(&stage);
}

/* ---- without a Child SA ---------------------------------------------------------------------- */

static void liveness_is_checked_without_a_child_too(void **state)
{
	struct stage stage;
	struct payload_list words;
	struct ike_header header;
	struct heard heard;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	insider_begin(stage.insider, EXCHANGE_INFORMATIONAL, 0, 2);
	for (uint32_t i = 0; i < 4; i++)
		write_delete(stage.insider, PROTOCOL_ESP, 0xabc00000 + i);
	insider_send(stage.insider);
	assert_true(next_notify(&stage) != 0);
	assert_int_equal(count_established(stage.node), 0);
	insider_wait(stage.insider, 4000);
	assert_true(next_words(&stage, &heard, &header, &words));
	assert_false(header.flags & FLAG_RESPONSE);
	assert_int_equal(header.exchange, EXCHANGE_INFORMATIONAL);
	heard_free(&heard);
	insider_wait(stage.insider, 20000);
	assert_int_equal(ike_engine_sa_count(stage.node->engine), 0);
	end(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_request_is_fatal),
		cmocka_unit_test(unknown_critical_payload_is_refused_and_the_sa_stays),
		cmocka_unit_test(rekeying_sends_by_the_old_pair_until_it_is_deleted),
		cmocka_unit_test(rekeying_is_refused_by_the_book),
		cmocka_unit_test(ike_sa_that_is_rekeyed_takes_no_more_requests),
		cmocka_unit_test(peer_cannot_fill_the_memory_with_child_sas),
		cmocka_unit_test(nobody_is_kept_by_deleting_again),
		cmocka_unit_test(deletes_of_other_protocols_are_passed_over),
		cmocka_unit_test(who_is_not_authenticated_can_only_authenticate),
		cmocka_unit_test(nobody_is_kept_by_talking_on_after_a_refusal),
		cmocka_unit_test(child_deleted_while_it_is_installed),
		cmocka_unit_test(both_delete_a_child_and_somebody_watches),
		cmocka_unit_test(unknown_critical_payload_in_a_response_ends_it),
		cmocka_unit_test(peer_that_finds_us_malformed_is_believed),
		cmocka_unit_test(only_the_expected_message_id_is_answered),
		cmocka_unit_test(response_of_another_request_is_none),
		cmocka_unit_test(words_to_other_spis_are_not_heard),
		cmocka_unit_test(peer_without_nat_does_not_move),
		cmocka_unit_test(child_sa_needs_an_spi),
		cmocka_unit_test(responder_must_be_who_was_called),
		cmocka_unit_test(an_spi_chosen_twice_takes_nothing_away),
		cmocka_unit_test(wider_selectors_than_proposed_are_refused),
		cmocka_unit_test(suite_must_be_one_of_the_connection_s_own),
		cmocka_unit_test(child_keys_lie_in_the_rfc_s_order),
		cmocka_unit_test(auth_is_over_the_rfc_s_octets),
		cmocka_unit_test(liveness_is_checked_without_a_child_too),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("insider_words", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
