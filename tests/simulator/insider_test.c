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
static unsigned next_notify(struct stage *stage)
{
	struct payload_list words;
	struct ike_header header;
	struct heard heard;
	struct notify notify;
	const struct payload *p;
	unsigned type = 1 << 16;

	if (!next_words(stage, &heard, &header, &words))
		return 0;
	p = payload_find(&words, PAYLOAD_NOTIFY);
	if (p && notify_payload_decode(p->body, &notify))
		type = notify.type;
	heard_free(&heard);
	return type;
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

static void new_child_sas_are_refused(void **state)
{
	struct stage stage;

	(void)state;
	stage_set(&stage, false, 1);
	set_up_with_responder(&stage);
	insider_begin(stage.insider, EXCHANGE_CREATE_CHILD_SA, 0, 2);
	chain_create_child(stage.insider);
	insider_send(stage.insider);
	assert_int_equal(next_notify(&stage), N_NO_ADDITIONAL_SAS);
	assert_int_equal(count_established(stage.node), 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_request_is_fatal),
		cmocka_unit_test(unknown_critical_payload_is_refused_and_the_sa_stays),
		cmocka_unit_test(new_child_sas_are_refused),
		cmocka_unit_test(nobody_is_kept_by_deleting_again),
		cmocka_unit_test(deletes_of_other_protocols_are_passed_over),
		cmocka_unit_test(who_is_not_authenticated_can_only_authenticate),
		cmocka_unit_test(nobody_is_kept_by_talking_on_after_a_refusal),
		cmocka_unit_test(child_deleted_while_it_is_installed),
		cmocka_unit_test(both_delete_a_child_and_somebody_watches),
		cmocka_unit_test(unknown_critical_payload_in_a_response_ends_it),
		cmocka_unit_test(peer_that_finds_us_malformed_is_believed),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("insider_words", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
