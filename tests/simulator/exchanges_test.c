/* The exchanges message by message: what RFC 7296 says of retransmission, message IDs, cookies,
 * refusals, NAT and deletion, and what the operator is told. */
#include "fixture_asserts.h"

#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

static const struct side_config usual;

enum {
	OFFSET_NEXT = 16,
	OFFSET_VERSION = 17,
	OFFSET_EXCHANGE = 18,
	OFFSET_FLAGS = 19,
	OFFSET_ID = 20,
	OFFSET_LENGTH = 24
};
enum { SA_INIT = 34, AUTH = 35, INFORMATIONAL = 37 };

static bool is_response(const struct captured *c)
{
	return c->bytes[OFFSET_FLAGS] & 0x20;
}

/* The n-th captured message of this exchange and direction. */
static const struct captured *message(
	const struct fixture *f, unsigned exchange, bool response, unsigned n)
{
	for (unsigned i = 0; i < f->captured_count; i++) {
		const struct captured *c = &f->captured[i];

		if (c->bytes[OFFSET_EXCHANGE] == exchange && is_response(c) == response && !n--)
			return c;
	}
	return NULL;
}

/* The first notify type in an unprotected message whose first payload is a notify; 0: none. */
static unsigned first_notify(const struct captured *c)
{
	return c->bytes[OFFSET_NEXT] == 41 ? c->bytes[34] << 8 | c->bytes[35] : 0;
}

static void replay(struct node *to, const struct captured *c)
{
	struct ike_path path = fixture_arriving(c);

	fixture_inject(to, &path, c->bytes, c->len);
}

/* ---- the usual way ------------------------------------------------------------------------- */

static void tunnel_comes_up_and_tells_so(void **state)
{
	struct fixture *f = up(&usual, &usual);

	(void)state;
	assert_int_equal(f->captured_count, 4);
	assert_int_equal(fixture_code(f), 0);
	assert_string_equal(
		f->lines[0], "\"tunnel\" #3: initiating IKEv2 connection to 192.0.2.1 using UDP");
	assert_string_equal(
		f->lines[1], "\"tunnel\" #3: sent IKE_SA_INIT request to 192.0.2.1:UDP/500");
	assert_true(fixture_told(f,
		"processed IKE_SA_INIT response from 192.0.2.1:UDP/500 {cipher=AES_GCM_16_256 "
		"integ=n/a prf=HMAC_SHA2_512 ke=DH19}, initiating IKE_AUTH"));
	assert_true(fixture_told(f, "with shared-key-mac and FQDN '@west'; Child SA #"));
	assert_true(fixture_told(f, "containing SK{IDr,AUTH,SA,TSi,TSr}"));
	assert_true(fixture_told(f, "initiator established IKE SA; authenticated peer using "
				    "authby=secret and FQDN '@east'"));
	assert_true(fixture_told(f, "initiator established Child SA using #3; IPsec tunnel "
				    "[10.1.0.0/24===10.2.0.0/24] {ESP/ESN=>0x"));
	check_agreement(f->world, 1000);
	assert_int_equal(f->west->watcher_state[0], 2);
	end(f);
}

static void every_suite_agrees_on_keys(void **state)
{
	static const char *const ike[] = {"aes128-sha1;modp2048", "aes256-sha2_512;dh20",
		"aes_ctr128-sha2_256;dh31", "aes_ccm256-sha2_384;dh21",
		"chacha20_poly1305-sha2_256;dh31", "3des-md5;modp1024", "aes128-aes_xcbc;dh19"};
	static const char *const esp[] = {"aes_gcm128", "aes256-sha2_512", "chacha20_poly1305",
		"aes128-sha1", "null-sha2_256"};

	(void)state;
	for (unsigned i = 0; i < sizeof(ike) / sizeof(ike[0]); i++) {
		struct side_config side = {.ike = ike[i], .esp = esp[i % 5]};
		struct fixture *f = up(&side, &side);

		check_agreement(f->world, 1000);
		end(f);
	}
}

/* ---- retransmission and message IDs ------------------------------------------------------------
 */

/* Lets time pass until so many messages were sent. */
static void until_sent(struct fixture *f, unsigned count)
{
	for (unsigned ms = 0; ms < 1000 && f->captured_count < count; ms++)
		fixture_pass(f, 1);
	assert_int_equal(f->captured_count, count);
}

static void repeated_requests_get_the_same_answers(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	unsigned before;

	(void)state;
	fixture_initiate(f);
	until_sent(f, 2);
	replay(f->east, message(f, SA_INIT, false, 0));
	fixture_pass(f, 1000);
	assert_memory_equal(message(f, SA_INIT, true, 0)->bytes,
		message(f, SA_INIT, true, 1)->bytes, message(f, SA_INIT, true, 0)->len);
	replay(f->east, message(f, AUTH, false, 0));
	fixture_pass(f, 1000);
	assert_memory_equal(message(f, AUTH, true, 0)->bytes, message(f, AUTH, true, 1)->bytes,
		message(f, AUTH, true, 0)->len);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 1);
	/* An answer that comes twice is heard once. */
	before = f->captured_count;
	replay(f->west, message(f, AUTH, true, 0));
	replay(f->west, message(f, SA_INIT, true, 0));
	fixture_pass(f, 1000);
	assert_int_equal(f->captured_count, before);
	assert_int_equal(count_established(f->west), 1);
	end(f);
}

static bool drop_first_auth_response(
	struct fixture *f, unsigned i, const uint8_t *bytes, size_t len)
{
	(void)f;
	(void)i;
	(void)len;
	if (bytes[OFFSET_EXCHANGE] != AUTH || !(bytes[OFFSET_FLAGS] & 0x20))
		return false;
	f->drop = NULL;
	return true;
}

static void lost_response_is_repeated(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	f->drop = drop_first_auth_response;
	fixture_initiate(f);
	fixture_pass(f, 3000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(fixture_counter(f->east, "total.ikev2.ike.established"), 1);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.responses_resent"), 1);
	end(f);
}

static void old_and_future_message_ids_are_not_answered(void **state)
{
	struct fixture *f = up(&usual, &usual);
	struct captured auth = *message(f, AUTH, false, 0);
	unsigned before = f->captured_count;

	(void)state;
	for (unsigned id = 0; id < 10; id++) {
		uint8_t copy[4096];
		struct ike_path path = fixture_arriving(&auth);

		memcpy(copy, auth.bytes, auth.len);
		copy[OFFSET_ID + 3] = id;
		copy[OFFSET_LENGTH + 4]++; /* no longer the request that was answered */
		fixture_inject(f->east, &path, copy, auth.len);
	}
	fixture_pass(f, 1000);
	assert_int_equal(f->captured_count, before);
	assert_int_equal(count_established(f->east), 1);
	end(f);
}

static void silence_ends_in_51(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	ike_watcher watcher;

	(void)state;
	f->drop = fixture_drop_all;
	watcher = fixture_initiate(f);
	fixture_pass(f, 10000);
	assert_true(fixture_told(
		f, "retransmitting IKE_SA_INIT request; will wait 0.5 seconds for response"));
	assert_true(fixture_told(
		f, "retransmitting IKE_SA_INIT request; will wait 2 seconds for response"));
	assert_true(fixture_told(f,
		"IKE_SA_INIT_I: 3 second timeout exceeded after 3 retransmits.  No response (or no "
		"acceptable response) to our first IKEv2 message"));
	assert_true(fixture_told(f, "deleting IKE SA (sent IKE_SA_INIT request)"));
	assert_int_equal(fixture_code(f), RC_RETRANSMISSION);
	assert_int_equal(f->captured_count, 4);
	assert_int_equal(f->west->watcher_state[watcher - 1], 2);
	assert_true(ike_engine_idle(f->west->engine));
	end(f);
}

static void wanted_connection_is_tried_again(void **state)
{
	struct side_config west = {.keying_tries = 3};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	f->drop = fixture_drop_all;
	fixture_initiate(f);
	fixture_pass(f, 3100);
	assert_true(fixture_told(f,
		"connection is supposed to remain up; revival attempt 1 scheduled in 0 seconds"));
	fixture_pass(f, 60000);
	assert_int_equal(fixture_counter(f->west, "total.ikev2.ike.started"), 3);
	assert_true(ike_engine_idle(f->west->engine));
	end(f);
}

/* ---- cookies, groups, refusals
 * -------------------------------------------------------------------- */

static void cookie_is_asked_for_and_brought(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	f->east->want_cookies = true;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(first_notify(message(f, SA_INIT, true, 0)), 16390);
	assert_true(fixture_told(f, "received anti-DDOS COOKIE response, resending IKE_SA_INIT "
				    "request with COOKIE payload"));
	assert_int_equal(first_notify(message(f, SA_INIT, false, 1)), 16390);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(fixture_counter(f->east, "total.ikev2.ike.started"), 1);
	end(f);
}

static void cookie_of_another_initiator_is_refused(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	struct ike_path path;
	const struct captured *with_cookie;

	(void)state;
	f->east->want_cookies = true;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	with_cookie = message(f, SA_INIT, false, 1);
	path = fixture_arriving(with_cookie);
	path.remote.port = 501;
	fixture_inject(f->east, &path, with_cookie->bytes, with_cookie->len);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.cookies.bad"), 1);
	assert_int_equal(fixture_counter(f->east, "total.ikev2.ike.started"), 1);
	/* And an old one: the secret has changed twice. */
	fixture_pass(f, 200000);
	path.remote.port = 500;
	fixture_inject(f->east, &path, with_cookie->bytes, with_cookie->len);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.cookies.bad"), 2);
	end(f);
}

/* Whoever has not brought one costs no more than that, and is not turned away for want of room. */
static void cookie_is_asked_for_before_all_else(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	const struct captured *first;
	struct ike_path path;

	(void)state;
	f->east->want_cookies = true;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	f->east->overload = 100;
	first = message(f, SA_INIT, false, 0);
	path = fixture_arriving(first);
	fixture_inject(f->east, &path, first->bytes, first->len);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.cookies.sent"), 2);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.refused.overload"), 0);
	/* Of no protocol and no transform: the proposal is not looked at yet. */
	memset(first->bytes + 28 + 4 + 4, 0xff, 4);
	fixture_inject(f->east, &path, first->bytes, first->len);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.cookies.sent"), 3);
	assert_int_equal(fixture_counter(f->east, "total.ike.mangled"), 0);
	/* The one that has brought a cookie learns nothing either while there is no room. */
	first = message(f, SA_INIT, false, 1);
	first->bytes[0] ^= 1;
	fixture_inject(f->east, &path, first->bytes, first->len);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.cookies.bad"), 1);
	first->bytes[0] ^= 1;
	fixture_pass(f, 60000);
	f->east->want_cookies = false;
	fixture_inject(f->east, &path, first->bytes, first->len);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.refused.overload"), 1);
	f->east->want_cookies = true;
	f->east->overload = 0;
	end(f);
}

static bool is_first(const struct captured *c)
{
	return ike_message_is_first(bytes_of(c->bytes, c->len));
}

static void first_requests_are_told_from_others(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	f->east->want_cookies = true;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_true(is_first(message(f, SA_INIT, false, 0)));
	assert_false(is_first(message(f, SA_INIT, false, 1))); /* with the cookie */
	assert_false(is_first(message(f, SA_INIT, true, 1)));
	assert_false(is_first(message(f, AUTH, false, 0)));
	assert_false(ike_message_is_first(bytes_of(message(f, SA_INIT, false, 0)->bytes, 27)));
	assert_false(ike_message_is_first(bytes_of(NULL, 0)));
	end(f);
}

static void wrong_group_is_put_right(void **state)
{
	struct side_config west = {.ike = "aes_gcm256-sha2_512;dh31+dh19"},
			   east = {.ike = "aes_gcm256-sha2_512;dh19"};
	struct fixture *f = up(&west, &east);

	(void)state;
	assert_int_equal(first_notify(message(f, SA_INIT, true, 0)), 17);
	assert_true(fixture_told(f,
		"received unauthenticated INVALID_KE_PAYLOAD response to Key Exchange Method (DH) "
		"DH31; resending with suggested DH19"));
	assert_int_equal(fixture_counter(f->west, "total.ikev2.recv.invalidke.suggesting.DH19"), 1);
	end(f);
}

static void no_common_proposal_ends_in_words(void **state)
{
	struct side_config west = {.ike = "aes128-sha1;dh31"},
			   east = {.ike = "aes_gcm256-sha2_512;dh19"};
	struct fixture *f = fixture_new(&west, &east, false);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 5000);
	assert_int_equal(first_notify(message(f, SA_INIT, true, 0)), 14);
	assert_true(fixture_told(f, "NO_PROPOSAL_CHOSEN"));
	assert_int_equal(fixture_code(f), RC_FATAL);
	assert_true(ike_engine_idle(f->west->engine));
	assert_true(ike_engine_idle(f->east->engine));
	end(f);
}

static void forged_refusal_does_no_harm(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	struct ike_path path;
	uint8_t forged[36] = {0};

	(void)state;
	fixture_initiate(f);
	until_sent(f, 1);
	memcpy(forged, f->captured[0].bytes, 8);
	forged[OFFSET_NEXT] = 41;
	forged[OFFSET_VERSION] = 0x20;
	forged[OFFSET_EXCHANGE] = SA_INIT;
	forged[OFFSET_FLAGS] = 0x20;
	forged[OFFSET_LENGTH + 3] = sizeof(forged);
	forged[31] = 8;
	forged[35] = 14;
	path = (struct ike_path){
		.local = f->captured[0].path.local, .remote = f->captured[0].path.remote};
	fixture_inject(f->west, &path, forged, sizeof(forged));
	assert_true(fixture_told(f, "received unauthenticated NO_PROPOSAL_CHOSEN"));
	fixture_pass(f, 3000);
	assert_int_equal(count_established(f->west), 1);
	end(f);
}

static void wrong_secret_ends_in_56(void **state)
{
	struct side_config west = {.secret = "not what the other end has"};
	struct fixture *f = fixture_new(&west, &usual, false);

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_true(fixture_told(
		f, "IKE SA authentication request rejected by peer: AUTHENTICATION_FAILED"));
	assert_true(fixture_told(f, "encountered fatal error in state IKE_AUTH_I"));
	assert_int_equal(fixture_code(f), RC_FATAL);
	fixture_pass(f, 10000);
	assert_true(ike_engine_idle(f->west->engine));
	assert_true(ike_engine_idle(f->east->engine));
	end(f);
}

static void stranger_is_told_no_proposal(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	struct ike_path path;
	const struct captured *request;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	request = message(f, SA_INIT, false, 0);
	path = fixture_arriving(request);
	path.remote.address = ip_v4(0xcb007101);
	fixture_inject(f->east, &path, request->bytes, request->len);
	assert_int_equal(fixture_counter(f->east, "plutonium.ikev2.refused.no_connection"), 1);
	end(f);
}

/* ---- malformed and strange messages
 * ------------------------------------------------------------------ */

/* Gives east a changed first request; what it answers is the last captured message. */
static void inject_changed(struct fixture *f, size_t offset, uint8_t value)
{
	const struct captured *request = message(f, SA_INIT, false, 0);
	struct ike_path path = fixture_arriving(request);
	uint8_t copy[4096];

	memcpy(copy, request->bytes, request->len);
	copy[7] ^= 1; /* another initiator SPI: not a retransmission */
	copy[offset] = value;
	fixture_inject(f->east, &path, copy, request->len);
}

static void versions(void **state)
{
	struct fixture *f = up(&usual, &usual);
	unsigned before = f->captured_count;

	(void)state;
	inject_changed(f, OFFSET_VERSION, 0x10); /* IKEv1: silence */
	assert_int_equal(f->captured_count, before);
	inject_changed(f, OFFSET_VERSION, 0x30);
	assert_int_equal(f->captured_count, before + 1);
	assert_int_equal(first_notify(&f->captured[before]), 5);
	assert_int_equal(f->captured[before].bytes[OFFSET_VERSION], 0x20);
	inject_changed(f, OFFSET_VERSION,
		0x21); /* a higher minor version is fine (RFC 7296, section 2.5) */
	fixture_pass(f, 100);
	assert_int_equal(message(f, SA_INIT, true, 2)->bytes[OFFSET_NEXT], 33);
	end(f);
}

static void unknown_payloads(void **state)
{
	struct fixture *f = up(&usual, &usual);
	const struct captured *request = message(f, SA_INIT, false, 0);
	struct ike_path path = fixture_arriving(request);
	uint8_t copy[4096];

	(void)state;
	for (int critical = 0; critical < 2; critical++) {
		unsigned before = f->captured_count;

		/* In front of all others: a payload of type 200 with four bytes. */
		memcpy(copy, request->bytes, 28);
		memcpy(copy + 36, request->bytes + 28, request->len - 28);
		memcpy(copy + 28,
			(uint8_t[]){
				request->bytes[OFFSET_NEXT], critical ? 0x80 : 0, 0, 8, 1, 2, 3, 4},
			8);
		copy[OFFSET_NEXT] = 200;
		copy[6] ^= 1 + critical;
		copy[OFFSET_LENGTH + 2] = (request->len + 8) >> 8;
		copy[OFFSET_LENGTH + 3] = (request->len + 8) & 255;
		fixture_inject(f->east, &path, copy, request->len + 8);
		fixture_pass(f, 100);
		assert_int_equal(f->captured_count, before + 1);
		if (critical) {
			assert_int_equal(first_notify(&f->captured[before]), 1);
			assert_int_equal(f->captured[before].bytes[36], 200);
		} else {
			assert_int_equal(f->captured[before].bytes[OFFSET_NEXT], 33);
		}
	}
	end(f);
}

static void every_truncation_and_many_mutations_do_no_harm(void **state)
{
	struct fixture *f = up(&usual, &usual);
	unsigned captured = f->captured_count;
	struct random_source dice = {99};

	(void)state;
	for (unsigned m = 0; m < captured; m++) {
		const struct captured c = f->captured[m];
		struct node *to = is_response(&c) ? f->west : f->east;
		struct ike_path path = fixture_arriving(&c);
		uint8_t copy[4096];

		for (size_t len = 0; len < c.len; len++)
			fixture_inject(to, &path, c.bytes, len);
		for (unsigned i = 0; i < 3000; i++) {
			memcpy(copy, c.bytes, c.len);
			for (unsigned n = 1 + random_below(&dice, 4); n; n--)
				copy[random_below(&dice, c.len)] = random_next(&dice);
			fixture_inject(to, &path, copy, c.len);
			if (i % 100 == 0)
				fixture_pass(f, 10);
		}
	}
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(count_established(f->east), 1);
	fixture_pass(f, 120000); /* half-open ones have gone */
	assert_int_equal(ike_engine_sa_count(f->east->engine), 1);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	end(f);
}

static void half_open_is_given_up(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);

	(void)state;
	fixture_initiate(f);
	until_sent(f, 1);
	node_kill(f->west);
	fixture_pass(f, 200);
	assert_int_equal(fixture_counter(f->east, "current.states.iketype.halfopen"), 1);
	fixture_pass(f, 40000);
	assert_int_equal(fixture_counter(f->east, "current.states.iketype.halfopen"), 0);
	assert_true(ike_engine_idle(f->east->engine));
	end(f);
}

/* ---- the end of an SA
 * -------------------------------------------------------------------------------- */

static void terminate_tells_the_peer(void **state)
{
	struct fixture *f = up(&usual, &usual);
	ike_watcher watcher = node_watcher(f->west);

	(void)state;
	assert_int_equal(
		ike_engine_terminate(f->west->engine, f->west_connection, false, watcher), 1);
	assert_int_equal(f->west->watcher_state[watcher - 1], 1);
	fixture_pass(f, 1000);
	assert_int_equal(f->west->watcher_state[watcher - 1], 2);
	assert_true(fixture_told(
		f, "\"tunnel\": initiating delete of connection's IKE SA #3 (and Child SA #"));
	assert_true(fixture_told(f, "sent INFORMATIONAL request to delete IKE SA"));
	assert_true(fixture_told(f, "ESP traffic information: in=17B out=4096B"));
	assert_true(fixture_told(f, "deleting IKE SA (established IKE SA)"));
	fixture_pass(f, 10000);
	assert_true(ike_engine_idle(f->west->engine));
	assert_true(ike_engine_idle(f->east->engine));
	assert_int_equal(node_live_sas(f->west) + node_live_sas(f->east), 0);
	end(f);
}

static void deleted_child_leaves_the_ike_sa(void **state)
{
	struct fixture *f = up(&usual, &usual);
	struct ike_sa_view view;
	struct ike_walk walk;

	(void)state;
	ike_walk_start(f->west->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	ike_walk_end(&walk);
	assert_true(ike_engine_delete_serial(f->west->engine, view.child.serial, 0));
	assert_false(ike_engine_delete_serial(f->west->engine, 4711, 0));
	fixture_pass(f, 1000);
	assert_int_equal(node_live_sas(f->west) + node_live_sas(f->east), 0);
	assert_int_equal(ike_engine_sa_count(f->west->engine), 1);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 1);
	end(f);
}

static void dead_peer_is_noticed(void **state)
{
	struct side_config west = {.dpd_s = 10};
	struct fixture *f = up(&west, &usual);

	(void)state;
	fixture_pass(f, 25000);
	assert_int_equal(count_established(f->west), 1);
	assert_true(fixture_counter(f->west, "total.ike.dpd.sent") >= 2);
	assert_int_equal(fixture_counter(f->east, "total.ike.dpd.replied"),
		fixture_counter(f->west, "total.ike.dpd.sent"));
	node_kill(f->east);
	fixture_pass(f, 20000);
	assert_true(ike_engine_idle(f->west->engine));
	assert_int_equal(node_live_sas(f->west), 0);
	end(f);
}

static void lifetime_is_renewed_without_a_gap(void **state)
{
	struct side_config west = {.life_s = 100}, east = {.life_s = 100};
	struct fixture *f = up(&west, &east);

	(void)state;
	for (unsigned s = 0; s < 600; s++) {
		fixture_pass(f, 1000);
		assert_true(count_established(f->west) >= 1);
		assert_true(count_established(f->east) >= 1);
	}
	assert_true(fixture_counter(f->west, "total.ikev2.ike.established") >= 6);
	check_agreement(f->world, 20000);
	end(f);
}

static void initial_contact_clears_what_is_dead(void **state)
{
	struct side_config west = {.initial_contact = true};
	struct fixture *f = up(&west, &usual);

	(void)state;
	node_kill(f->west);
	node_start(f->west);
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(ike_engine_sa_count(f->east->engine), 1);
	assert_int_equal(node_live_sas(f->east), 2);
	end(f);
}

/* ---- NAT
 * --------------------------------------------------------------------------------------------------
 */

static void nat_is_found_and_followed(void **state)
{
	struct side_config east = {.template_remote = true};
	struct fixture *f = fixture_new(&usual, &east, true);
	const struct captured *auth;
	struct ike_sa_view view;
	struct ike_walk walk;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 1);
	auth = message(f, AUTH, false, 0);
	assert_int_equal(auth->path.local.port, 4500);
	assert_int_equal(auth->path.remote.port, 4500);
	assert_true(auth->path.non_esp_marker);
	assert_true(fixture_told(f, "{ESPinUDP/ESN=>0x"));
	assert_true(fixture_told(f, "NATD=192.0.2.1:4500"));
	check_agreement(f->world, 1000);
	/* The NAT forgets its mapping; the next protected message shows the new one. */
	f->west->nat_offset += 100;
	ike_engine_terminate(f->west->engine, f->west_connection, false, 0);
	fixture_pass(f, 1000);
	ike_walk_start(f->east->engine, &walk);
	assert_true(ike_walk_next(&walk, &view));
	assert_int_equal(view.path.remote.port, 14600);
	ike_walk_end(&walk);
	fixture_pass(f, 20000);
	assert_true(ike_engine_idle(f->west->engine));
	end(f);
}

static void encapsulation_can_be_forced(void **state)
{
	struct side_config west = {.encapsulation = CHOICE_YES};
	struct fixture *f = up(&west, &usual);

	(void)state;
	assert_true(fixture_told(f, "{ESPinUDP/ESN=>0x"));
	assert_true(message(f, AUTH, false, 0)->path.non_esp_marker);
	check_agreement(f->world, 1000);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnel_comes_up_and_tells_so),
		cmocka_unit_test(every_suite_agrees_on_keys),
		cmocka_unit_test(repeated_requests_get_the_same_answers),
		cmocka_unit_test(lost_response_is_repeated),
		cmocka_unit_test(old_and_future_message_ids_are_not_answered),
		cmocka_unit_test(silence_ends_in_51),
		cmocka_unit_test(wanted_connection_is_tried_again),
		cmocka_unit_test(cookie_is_asked_for_and_brought),
		cmocka_unit_test(cookie_of_another_initiator_is_refused),
		cmocka_unit_test(cookie_is_asked_for_before_all_else),
		cmocka_unit_test(first_requests_are_told_from_others),
		cmocka_unit_test(wrong_group_is_put_right),
		cmocka_unit_test(no_common_proposal_ends_in_words),
		cmocka_unit_test(forged_refusal_does_no_harm),
		cmocka_unit_test(wrong_secret_ends_in_56),
		cmocka_unit_test(stranger_is_told_no_proposal),
		cmocka_unit_test(versions),
		cmocka_unit_test(unknown_payloads),
		cmocka_unit_test(every_truncation_and_many_mutations_do_no_harm),
		cmocka_unit_test(half_open_is_given_up),
		cmocka_unit_test(terminate_tells_the_peer),
		cmocka_unit_test(deleted_child_leaves_the_ike_sa),
		cmocka_unit_test(dead_peer_is_noticed),
		cmocka_unit_test(lifetime_is_renewed_without_a_gap),
		cmocka_unit_test(initial_contact_clears_what_is_dead),
		cmocka_unit_test(nat_is_found_and_followed),
		cmocka_unit_test(encapsulation_can_be_forced),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("exchanges", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
