/* Header, chain and payloads: bytes as the RFC draws them, both ways, and what is malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "message.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SLICE(s) ((struct bytes){.data = (const uint8_t *)(s), .len = sizeof(s) - 1})

static const struct ike_header sample_header = {
	.spi_i = 0x0102030405060708,
	.spi_r = 0x1112131415161718,
	.version = IKE_VERSION_2,
	.exchange = EXCHANGE_IKE_SA_INIT,
	.flags = FLAG_INITIATOR,
	.message_id = 0x01020304,
};

static void assert_bytes(struct bytes got, struct bytes wanted)
{
	assert_int_equal(got.len, wanted.len);
	assert_memory_equal(got.data, wanted.data, wanted.len);
}

/* ---- header and chain ----------------------------------------------------------- */

static void header_both_ways(void **state)
{
	static const char wanted[] = "\x01\x02\x03\x04\x05\x06\x07\x08"
				     "\x11\x12\x13\x14\x15\x16\x17\x18"
				     "\x2b\x20\x22\x08\x01\x02\x03\x04\0\0\0\x26"
				     "\x28\0\0\x06hi" /* Vendor ID; Nonce is next ... */
				     "\0\0\0\x04";    /* ... an empty one */
	uint8_t buffer[100];
	struct message_writer m;
	struct ike_header header;
	(void)state;

	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	vendor_payload_encode(&m, SLICE("hi"));
	nonce_payload_encode(&m, (struct bytes){0});
	assert_true(message_end(&m));
	assert_bytes(writer_bytes(&m.w), SLICE(wanted));

	assert_true(ike_header_decode(writer_bytes(&m.w), &header));
	assert_int_equal(header.spi_i, sample_header.spi_i);
	assert_int_equal(header.spi_r, sample_header.spi_r);
	assert_int_equal(header.next_payload, PAYLOAD_VENDOR);
	assert_int_equal(header.version, 0x20);
	assert_int_equal(header.exchange, EXCHANGE_IKE_SA_INIT);
	assert_int_equal(header.flags, FLAG_INITIATOR);
	assert_int_equal(header.message_id, 0x01020304);
	assert_int_equal(header.length, 38);
	for (size_t len = 0; len < IKE_HEADER_LEN; len++)
		assert_false(ike_header_decode(bytes_of(buffer, len), &header));
	assert_true(ike_header_decode(bytes_of(buffer, IKE_HEADER_LEN), &header));
}

static void writing_stops_at_the_end_of_the_buffer(void **state)
{
	uint8_t buffer[200], guard[200];
	(void)state;

	memset(guard, 0xee, sizeof(guard));
	for (size_t size = 0; size < sizeof(buffer); size++) {
		struct message_writer m;
		memset(buffer, 0xee, sizeof(buffer));
		message_begin(&m, buffer, size, &sample_header);
		ke_payload_encode(&m, 31, bytes_of(guard, 32));
		notify_payload_encode(&m, 0, 0, 0, N_COOKIE, bytes_of(guard, 20));
		assert_int_equal(message_end(&m), size >= IKE_HEADER_LEN + 40 + 28);
		assert_memory_equal(buffer + size, guard, sizeof(buffer) - size);
	}
}

static void what_cannot_be_written_fails(void **state)
{
	static uint8_t big[70000], buffer[150000];
	struct identity *any = identity_new(ID_ANY, (struct bytes){0});
	struct traffic_selector none = {0};
	struct message_writer m;
	(void)state;

	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	vendor_payload_encode(&m, bytes_of(big, 65532));
	assert_false(message_end(&m));
	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	vendor_payload_encode(&m, bytes_of(big, 40000));
	vendor_payload_encode(&m, bytes_of(big, 40000));
	assert_false(message_end(&m));
	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	id_payload_encode(&m, PAYLOAD_IDi, any);
	assert_false(message_end(&m));
	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	ts_payload_encode(&m, PAYLOAD_TSi, &none, 1);
	assert_false(message_end(&m));
	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	notify_payload_encode(&m, 0, 5, 0, N_COOKIE, (struct bytes){0});
	assert_false(message_end(&m));
	identity_unref(any);
}

static void walks_chains(void **state)
{
	static const struct {
		uint8_t first;
		const char *bytes;
		size_t len;
		enum chain_result result;
		const char *text; /* of the list, or of the error */
	} cases[] = {
		{0, "", 0, CHAIN_OK, ""},
		{0, "\0", 1, CHAIN_MALFORMED, "1 bytes behind the last payload"},
		{40, "\0\0\0\4", 4, CHAIN_OK, "Ni"},
		{33, "\x22\0\0\x05x\x28\0\0\4\0\0\0\4", 13, CHAIN_OK, "SA,KE,Ni"},
		{41, "\x29\0\0\x08\0\0\x40\x06\x29\0\0\x08\0\0\xff\xff\0\0\0\x05\0", 21, CHAIN_OK,
			"N(COOKIE),N(65535),N"},
		{17, "\0\x80\0\4", 4, CHAIN_OK, "17?"},
		{46, "\x23\0\0\x08zzzz", 8, CHAIN_OK, "SK"},
		{46, "\x23\0\0\x08zzzz\0", 9, CHAIN_MALFORMED, "1 bytes behind the last payload"},
		{53, "\0\0\0\x04", 4, CHAIN_OK, "SKF"},
		{40, "", 0, CHAIN_MALFORMED, "message ends where payload 1 (Ni) should begin"},
		{40, "\0\0\0", 3, CHAIN_MALFORMED,
			"message ends where payload 1 (Ni) should begin"},
		{40, "\x27\0\0\4", 4, CHAIN_MALFORMED,
			"message ends where payload 2 (AUTH) should begin"},
		{40, "\0\0\0\3", 4, CHAIN_MALFORMED,
			"payload 1 (Ni) has length 3, but 4 bytes are left"},
		{40, "\0\0\0\0", 4, CHAIN_MALFORMED,
			"payload 1 (Ni) has length 0, but 4 bytes are left"},
		{40, "\0\0\0\6x", 5, CHAIN_MALFORMED,
			"payload 1 (Ni) has length 6, but 5 bytes are left"},
		{40, "\0\0\xff\xff", 4, CHAIN_MALFORMED,
			"payload 1 (Ni) has length 65535, but 4 bytes are left"},
		{200, "\0\0\0\4x", 5, CHAIN_MALFORMED, "1 bytes behind the last payload"},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct payload_list list;
		char error[120] = "", text[200];
		assert_int_equal(
			payload_chain_decode(cases[i].first, bytes_of(cases[i].bytes, cases[i].len),
				&list, error, sizeof(error)),
			cases[i].result);
		if (cases[i].result == CHAIN_OK)
			assert_string_equal(
				payload_list_text(&list, text, sizeof(text)), cases[i].text);
		else
			assert_string_equal(error, cases[i].text);
	}
}

static void finds_payloads(void **state)
{
	struct payload_list list;
	char error[100];
	(void)state;

	assert_int_equal(payload_chain_decode(41,
				 SLICE("\x11\0\0\4\x29\0\0\4\x28\x80\0\4\x2e\0\0\4\x27\0\0\5x"),
				 &list, error, sizeof(error)),
		CHAIN_OK);
	assert_int_equal(list.count, 5);
	assert_int_equal(payload_count(&list, PAYLOAD_NOTIFY), 2);
	assert_ptr_equal(payload_find(&list, PAYLOAD_NOTIFY), &list.payloads[0]);
	assert_null(payload_find(&list, PAYLOAD_KE));
	assert_int_equal(list.after, PAYLOAD_AUTH); /* first within SK */
	assert_bytes(list.payloads[4].body, SLICE("x"));
	/* critical, but known; then critical and unknown */
	assert_null(payload_unknown_critical(&list));
	list.payloads[1].critical = true;
	assert_ptr_equal(payload_unknown_critical(&list), &list.payloads[1]);
}

static void no_more_than_64_payloads(void **state)
{
	uint8_t chain[4 * (IKE_PAYLOADS_MAX + 1)];
	struct payload_list list;
	char error[100], text[2000], small[8];
	(void)state;

	for (unsigned i = 0; i <= IKE_PAYLOADS_MAX; i++)
		memcpy(chain + 4 * (size_t)i, "\x2b\0\0\4", 4);
	assert_int_equal(payload_chain_decode(
				 43, bytes_of(chain, sizeof(chain)), &list, error, sizeof(error)),
		CHAIN_TOO_MANY);
	assert_string_equal(error, "more than 64 payloads");
	chain[4 * (IKE_PAYLOADS_MAX - 1)] = 0;
	assert_int_equal(payload_chain_decode(43, bytes_of(chain, sizeof(chain) - 4), &list, error,
				 sizeof(error)),
		CHAIN_OK);
	assert_int_equal(list.count, IKE_PAYLOADS_MAX);
	assert_int_equal(strlen(payload_list_text(&list, text, sizeof(text))), 127);
	assert_string_equal(payload_list_text(&list, small, sizeof(small)), "V,V,V,V");
}

static void names(void **state)
{
	char name[8];
	(void)state;

	assert_string_equal(payload_type_name(PAYLOAD_CERTREQ, name), "CERTREQ");
	assert_string_equal(payload_type_name(PAYLOAD_TSr, name), "TSr");
	assert_string_equal(payload_type_name(PAYLOAD_EAP, name), "EAP");
	assert_string_equal(payload_type_name(0, name), "0?");
	assert_string_equal(payload_type_name(255, name), "255?");
	assert_string_equal(exchange_name(EXCHANGE_CREATE_CHILD_SA), "CREATE_CHILD_SA");
	assert_string_equal(exchange_name(33), "unknown exchange");
}

/* ---- payloads ------------------------------------------------------------------------ */

struct built {
	uint8_t buffer[IKE_MESSAGE_MAX];
	struct message_writer m;
	struct payload_list list;
};

static void begin(struct built *b)
{
	message_begin(&b->m, b->buffer, sizeof(b->buffer), &sample_header);
}

/* The body of the only payload. */
static struct bytes body_of(struct built *b)
{
	char error[100] = "";

	assert_true(message_end(&b->m));
	struct bytes message = writer_bytes(&b->m.w);
	assert_int_equal(
		payload_chain_decode(message.data[16],
			bytes_of(message.data + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN),
			&b->list, error, sizeof(error)),
		CHAIN_OK);
	assert_int_equal(b->list.count, 1);
	return b->list.payloads[0].body;
}

static void key_exchange(void **state)
{
	struct built b;
	struct bytes value;
	uint16_t group;
	(void)state;

	begin(&b);
	ke_payload_encode(&b.m, 19, SLICE("\1\2\3"));
	assert_bytes(body_of(&b), SLICE("\0\x13\0\0\1\2\3"));
	assert_int_equal(b.list.payloads[0].type, PAYLOAD_KE);
	assert_true(ke_payload_decode(b.list.payloads[0].body, &group, &value));
	assert_int_equal(group, 19);
	assert_bytes(value, SLICE("\1\2\3"));
	for (size_t len = 0; len <= 4; len++)
		assert_false(ke_payload_decode(bytes_of("\0\x13\0\0", len), &group, &value));
}

static void nonces(void **state)
{
	uint8_t nonce[257] = {0};
	struct bytes out;
	(void)state;

	for (size_t len = 0; len <= sizeof(nonce); len++)
		assert_int_equal(
			nonce_payload_decode(bytes_of(nonce, len), &out), len >= 16 && len <= 256);
}

static void notifies(void **state)
{
	static const struct {
		uint8_t spi_len;
		uint64_t spi;
		struct bytes body;
	} cases[] = {
		{0, 0, SLICE("\3\0\x40\x06zz")},
		{4, 0x01020304, SLICE("\3\4\x40\x06\1\2\3\4zz")},
		{8, 0x0102030405060708, SLICE("\3\x08\x40\x06\1\2\3\4\5\6\7\x08zz")},
	};
	struct notify notify;
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct built b;
		begin(&b);
		notify_payload_encode(
			&b.m, PROTOCOL_ESP, cases[i].spi_len, cases[i].spi, N_COOKIE, SLICE("zz"));
		assert_bytes(body_of(&b), cases[i].body);
		assert_true(notify_payload_decode(cases[i].body, &notify));
		assert_int_equal(notify.protocol, PROTOCOL_ESP);
		assert_int_equal(notify.spi_len, cases[i].spi_len);
		assert_true(notify.spi == cases[i].spi);
		assert_int_equal(notify.type, N_COOKIE);
		assert_bytes(notify.data, SLICE("zz"));
		for (size_t len = 0; len < cases[i].body.len - 2; len++)
			assert_false(
				notify_payload_decode(bytes_of(cases[i].body.data, len), &notify));
	}
	assert_false(notify_payload_decode(SLICE("\3\2\x40\x06\1\2\3\4\5\6\7\x08zz"), &notify));
	assert_false(notify_payload_decode(SLICE("\3\xff\x40\x06\1\2\3\4\5\6\7\x08zz"), &notify));
}

static void deletes(void **state)
{
	static const uint32_t spis[] = {0x01020304, 0xfffefdfc};
	struct delete_payload del;
	struct built b;
	(void)state;

	begin(&b);
	delete_payload_encode(&b.m, PROTOCOL_ESP, spis, 2);
	assert_bytes(body_of(&b), SLICE("\3\4\0\2\1\2\3\4\xff\xfe\xfd\xfc"));
	assert_true(delete_payload_decode(b.list.payloads[0].body, &del));
	assert_int_equal(del.spi_count, 2);
	assert_int_equal(delete_payload_spi(&del, 0), spis[0]);
	assert_int_equal(delete_payload_spi(&del, 1), spis[1]);
	assert_int_equal(delete_payload_spi(&del, 2), 0);
	begin(&b);
	delete_payload_encode(&b.m, PROTOCOL_IKE, NULL, 0);
	assert_bytes(body_of(&b), SLICE("\1\0\0\0"));
	assert_true(delete_payload_decode(b.list.payloads[0].body, &del));

	assert_false(delete_payload_decode(SLICE("\3\4\0"), &del));
	assert_false(delete_payload_decode(SLICE("\3\4\0\2\1\2\3\4"), &del));
	assert_false(delete_payload_decode(SLICE("\3\4\0\1\1\2\3\4\5"), &del));
	assert_false(delete_payload_decode(SLICE("\3\4\0\0"), &del));
	assert_false(delete_payload_decode(SLICE("\3\x08\0\1\1\2\3\4\5\6\7\x08"), &del));
	assert_false(delete_payload_decode(SLICE("\1\x08\0\1\1\2\3\4\5\6\7\x08"), &del));
	assert_false(delete_payload_decode(SLICE("\1\0\0\1"), &del));
	assert_true(delete_payload_decode(SLICE("\7\2\0\1\1\2"), &del)); /* not ours to judge */
	assert_int_equal(delete_payload_spi(&del, 0), 0);
}

static void authentication(void **state)
{
	struct bytes data;
	uint8_t method;
	struct built b;
	(void)state;

	begin(&b);
	auth_payload_encode(&b.m, 2, SLICE("mac"));
	assert_bytes(body_of(&b), SLICE("\2\0\0\0mac"));
	assert_true(auth_payload_decode(b.list.payloads[0].body, &method, &data));
	assert_int_equal(method, 2);
	assert_bytes(data, SLICE("mac"));
	for (size_t len = 0; len <= 4; len++)
		assert_false(auth_payload_decode(bytes_of("\2\0\0\0", len), &method, &data));
}

static void identities(void **state)
{
	char error[100];
	struct identity *id = identity_parse("@a.test", error, sizeof(error));
	struct built b;
	(void)state;

	begin(&b);
	id_payload_encode(&b.m, PAYLOAD_IDr, id);
	assert_bytes(body_of(&b), SLICE("\2\0\0\0a.test"));
	assert_int_equal(b.list.payloads[0].type, PAYLOAD_IDr);
	struct identity *again =
		identity_from_payload(b.list.payloads[0].body, error, sizeof(error));
	assert_true(identity_equal(id, again));
	identity_unref(id);
	identity_unref(again);
}

static void traffic_selectors(void **state)
{
	static const char *const texts[] = {"10.1.0.0/16", "192.0.2.1-192.0.2.9/udp/53",
		"2001:db8::/32", "0.0.0.0/0/tcp/opaque"};
	static const char first[] = "\4\0\0\0"
				    "\7\0\0\x10\0\0\xff\xff\x0a\1\0\0\x0a\1\xff\xff"
				    "\7\x11\0\x10\0\x35\0\x35\xc0\0\2\1\xc0\0\2\x09"
				    "\x08\0\0\x28\0\0\xff\xff\x20\1\x0d\xb8";
	struct traffic_selector ts[4], out[4];
	unsigned count;
	struct built b;
	(void)state;

	for (size_t i = 0; i < COUNT(texts); i++)
		assert_true(traffic_selector_parse(texts[i], &ts[i]));
	begin(&b);
	ts_payload_encode(&b.m, PAYLOAD_TSr, ts, 4);
	struct bytes body = body_of(&b);
	assert_int_equal(body.len, 4 + 16 + 16 + 40 + 16);
	assert_memory_equal(body.data, first, sizeof(first) - 1);
	assert_true(ts_payload_decode(body, out, 4, &count));
	assert_int_equal(count, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_true(traffic_selector_equal(&ts[i], &out[i]));
	/* room for two: the others are read, and left out */
	assert_true(ts_payload_decode(body, out, 2, &count));
	assert_int_equal(count, 2);
	for (size_t len = 0; len < body.len; len++)
		assert_false(ts_payload_decode(bytes_of(body.data, len), out, 4, &count));
}

static void strange_traffic_selectors(void **state)
{
#define V4 "\7\0\0\x10\0\0\xff\xff\x0a\1\0\0\x0a\1\xff\xff"
	static const struct {
		struct bytes body;
		bool ok;
		unsigned count;
	} cases[] = {
		{SLICE("\0\0\0\0"), false, 0},
		{SLICE("\1\0\0\0" V4), true, 1},
		{SLICE("\1\0\0\0" V4 "\0"), false, 0},
		{SLICE("\2\0\0\0" V4), false, 0},
		/* an unknown type is passed over by its length */
		{SLICE("\2\0\0\0\x09\0\0\x08zzzz" V4), true, 1},
		{SLICE("\1\0\0\0\x09\0\0\4"), true, 0},
		{SLICE("\1\0\0\0\x09\0\0\3"), false, 0},
		{SLICE("\1\0\0\0\x09\0\0\0"), false, 0},
		{SLICE("\1\0\0\0\x09\0\xff\xff"), false, 0},
		/* lengths that do not fit the type */
		{SLICE("\1\0\0\0\7\0\0\x0f\0\0\xff\xff\x0a\1\0\0\x0a\1\xff"), false, 0},
		{SLICE("\1\0\0\0\7\0\0\x11\0\0\xff\xff\x0a\1\0\0\x0a\1\xff\xff\0"), false, 0},
		{SLICE("\1\0\0\0\x08\0\0\x10\0\0\xff\xff\x0a\1\0\0\x0a\1\xff\xff"), false, 0},
		/* the wrong way round: addresses, ports; but OPAQUE is no mistake */
		{SLICE("\1\0\0\0\7\0\0\x10\0\0\xff\xff\x0a\1\xff\xff\x0a\1\0\0"), false, 0},
		{SLICE("\1\0\0\0\7\6\0\x10\0\2\0\1\x0a\1\0\0\x0a\1\xff\xff"), false, 0},
		{SLICE("\1\0\0\0\7\6\0\x10\xff\xff\0\0\x0a\1\0\0\x0a\1\xff\xff"), true, 1},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct traffic_selector out[2];
		unsigned count = 99;
		bool ok = ts_payload_decode(cases[i].body, out, 2, &count);
		if (ok != cases[i].ok)
			fail_msg("case %zu", i);
		if (ok)
			assert_int_equal(count, cases[i].count);
	}
}

/* ---- SA ------------------------------------------------------------------------------ */

static struct proposal_list *room_for(unsigned count)
{
	return calloc(1, sizeof(struct proposal_list) + count * sizeof(struct proposal));
}

static void security_associations(void **state)
{
	static const char wanted[] =
		/* proposal 1, more follow: ESP, an SPI of 4, 2 transforms */
		"\2\0\0\x20\1\3\4\2\xaa\xbb\xcc\xdd"
		"\3\0\0\x0c\1\0\0\x14\x80\x0e\1\0"
		"\0\0\0\x08\5\0\0\0"
		/* proposal 2, the last: 3 transforms */
		"\0\0\0\x28\2\3\4\3\xaa\xbb\xcc\xdd"
		"\3\0\0\x0c\1\0\0\x0c\x80\x0e\0\x80"
		"\3\0\0\x08\3\0\0\2"
		"\0\0\0\x08\5\0\0\0";
	char error[100] = "";
	struct proposal_list *list =
		proposal_parse_child("aes_gcm256,aes128-sha1", false, 0, error, sizeof(error));
	struct proposal_list *again = room_for(2);
	struct built b;
	(void)state;

	begin(&b);
	sa_payload_encode(&b.m, list, 4, 0xaabbccdd);
	struct bytes body = body_of(&b);
	assert_bytes(body, SLICE(wanted));
	assert_true(sa_payload_decode(body, again, 2, error, sizeof(error)));
	assert_int_equal(again->count, 2);
	assert_int_equal(again->proposals[1].spi, 0xaabbccdd);
	assert_int_equal(again->proposals[1].spi_len, 4);
	for (unsigned i = 0; i < 2; i++) {
		again->proposals[i].spi = 0;
		again->proposals[i].spi_len = 0;
	}
	assert_true(proposal_list_equal(list, again));
	assert_false(sa_payload_decode(body, again, 1, error, sizeof(error)));
	assert_string_equal(error, "proposal 2: no more than 1 are accepted");
	for (size_t len = 0; len < body.len; len++) {
		error[0] = '\0';
		assert_false(sa_payload_decode(
			bytes_of(body.data, len), again, 2, error, sizeof(error)));
		assert_non_null(strstr(error, "proposal"));
	}
	free(again);
	proposal_list_unref(list);
}

static void key_exchange_methods_are_left_out(void **state)
{
	char error[100] = "";
	struct proposal_list *list = proposal_parse_child(
		"aes_gcm256;dh19,aes128-sha1;dh14+dh31", false, 0, error, sizeof(error));
	struct proposal_list *without =
		proposal_parse_child("aes_gcm256,aes128-sha1", false, 0, error, sizeof(error));
	struct built a, b;
	(void)state;

	begin(&a);
	sa_payload_encode_without_ke(&a.m, list, 4, 0xaabbccdd);
	begin(&b);
	sa_payload_encode(&b.m, without, 4, 0xaabbccdd);
	assert_bytes(body_of(&a), body_of(&b));
	proposal_list_unref(list);
	proposal_list_unref(without);
}

static void the_default_offer_fits(void **state)
{
	char error[100];
	struct proposal_list *list = proposal_parse_ike(NULL, error, sizeof(error));
	struct proposal_list *again = room_for(PROPOSALS_MAX);
	struct built b;
	(void)state;

	begin(&b);
	sa_payload_encode(&b.m, list, 0, 0);
	struct bytes body = body_of(&b);
	assert_true(body.len < 300);
	assert_true(sa_payload_decode(body, again, PROPOSALS_MAX, error, sizeof(error)));
	assert_true(proposal_list_equal(list, again));
	free(again);
	proposal_list_unref(list);
}

static void strange_security_associations(void **state)
{
#define KEY_256 "\x80\x0e\1\0"
	static const struct {
		struct bytes body;
		const char *error; /* NULL: well-formed */
	} cases[] = {
		{SLICE(""), "proposal 1: is cut short"},
		{SLICE("\0\0\0\4"), "proposal 1: ends within its header"},
		{SLICE("\0\0\0\3\1\1\0\0"), "proposal 1: is cut short"},
		{SLICE("\0\0\0\x09\1\1\0\0"), "proposal 1: is cut short"},
		{SLICE("\1\0\0\x08\1\1\0\0"), "proposal 1: has 1 for its 'last proposal' mark"},
		{SLICE("\2\0\0\x08\1\1\0\0"), "proposal 2: is cut short"},
		{SLICE("\0\0\0\x08\1\1\0\0"),
			NULL}, /* no transforms: not chosen, but drawn right */
		{SLICE("\0\0\0\x08\1\1\0\0x"), "proposal 1: 1 bytes behind the last proposal"},
		{SLICE("\0\0\0\x09\1\1\0\0x"), "proposal 1: 1 bytes behind its last transform"},
		{SLICE("\0\0\0\x0c\1\1\4\0zzzz"), "proposal 1: SPI of 4 bytes for protocol 1"},
		{SLICE("\0\0\0\x0c\1\3\4\0zzzz"), NULL},
		{SLICE("\0\0\0\x08\1\3\0\0"), "proposal 1: SPI of 0 bytes for protocol 3"},
		{SLICE("\0\0\0\x08\1\3\4\0"), "proposal 1: ends within its header"},
		{SLICE("\0\0\0\x0a\1\x09\2\0zz"), NULL}, /* a protocol that we do not know */
		{SLICE("\0\0\0\x08\1\1\0\x41"), "proposal 1: more than 64 transforms"},
		{SLICE("\0\0\0\x08\1\1\0\1"), "proposal 1: ends within a transform"},
		{SLICE("\0\0\0\x10\1\1\0\1\0\0\0\x08\1\0\0\x0c"), NULL},
		{SLICE("\0\0\0\x10\1\1\0\1\3\0\0\x08\1\0\0\x0c"),
			"proposal 1: transform count and 'last transform' mark disagree"},
		{SLICE("\0\0\0\x10\1\1\0\1\0\0\0\7\1\0\0\x0c"),
			"proposal 1: transform of length 7"},
		{SLICE("\0\0\0\x10\1\1\0\1\0\0\0\x09\1\0\0\x0c"),
			"proposal 1: transform attributes are cut short"},
		{SLICE("\0\0\0\x12\1\1\0\1\0\0\0\x0a\1\0\0\x0c\x80\x0e"),
			"proposal 1: transform attributes are cut short"},
		{SLICE("\0\0\0\x14\1\1\0\1\0\0\0\x0c\1\0\0\x0c\0\x0e\0\1"),
			"proposal 1: transform attributes are cut short"},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proposal_list *list = room_for(4);
		char error[100] = "";
		bool ok = sa_payload_decode(cases[i].body, list, 4, error, sizeof(error));
		if (ok != (cases[i].error == NULL))
			fail_msg("case %zu: %s", i, error);
		if (!ok)
			assert_string_equal(error, cases[i].error);
		free(list);
	}
}

static void attributes(void **state)
{
	static const struct {
		struct bytes body;
		uint16_t key_bits;
		bool unknown;
	} cases[] = {
		{SLICE("\0\0\0\x14\1\1\0\1\0\0\0\x0c\1\0\0\x0c" KEY_256), 256, false},
		/* an unknown one, short and long */
		{SLICE("\0\0\0\x14\1\1\0\1\0\0\0\x0c\1\0\0\x0c\x80\x0f\0\1"), 0, true},
		{SLICE("\0\0\0\x1a\1\1\0\1\0\0\0\x12\1\0\0\x0c" KEY_256 "\0\x0f\0\2zz"), 256, true},
		/* a key length in the long form, and one given twice */
		{SLICE("\0\0\0\x16\1\1\0\1\0\0\0\x0e\1\0\0\x0c\0\x0e\0\2\1\0"), 0, true},
		{SLICE("\0\0\0\x18\1\1\0\1\0\0\0\x10\1\0\0\x0c" KEY_256 "\x80\x0e\0\x80"), 256,
			true},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proposal_list *list = room_for(1);
		char error[100] = "";
		if (!sa_payload_decode(cases[i].body, list, 1, error, sizeof(error)))
			fail_msg("case %zu: %s", i, error);
		assert_int_equal(list->proposals[0].transforms[0].key_bits, cases[i].key_bits);
		assert_int_equal(
			list->proposals[0].transforms[0].unknown_attribute, cases[i].unknown);
		free(list);
	}
}

static void a_chosen_proposal(void **state)
{
	struct chosen_proposal chosen = {
		.number = 3,
		.protocol = PROTOCOL_IKE,
		.encr = algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_CBC),
		.encr_key_bits = 256,
		.prf = algorithm_by_id(TRANSFORM_PRF, PRF_HMAC_SHA2_256),
		.integ = algorithm_by_id(TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128),
		.ke = algorithm_by_id(TRANSFORM_KE, KE_CURVE25519),
	};
	struct built b;
	(void)state;

	begin(&b);
	chosen_payload_encode(&b.m, &chosen, 8, 0x0102030405060708);
	assert_bytes(body_of(&b), SLICE("\0\0\0\x34\3\1\x08\4\1\2\3\4\5\6\7\x08"
					"\3\0\0\x0c\1\0\0\x0c" KEY_256 "\3\0\0\x08\2\0\0\5"
					"\3\0\0\x08\3\0\0\x0c\0\0\0\x08\4\0\0\x1f"));
	chosen = (struct chosen_proposal){
		.number = 1,
		.protocol = PROTOCOL_ESP,
		.encr = algorithm_by_id(TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305),
		.esn = true,
	};
	begin(&b);
	chosen_payload_encode(&b.m, &chosen, 4, 0xaabbccdd);
	assert_bytes(body_of(&b), SLICE("\0\0\0\x1c\1\3\4\2\xaa\xbb\xcc\xdd"
					"\3\0\0\x08\1\0\0\x1c\0\0\0\x08\5\0\0\1"));
}

/* ---- notify types ----------------------------------------------------------------------- */

static void notify_types(void **state)
{
	unsigned errors = 0, statuses = 0;
	(void)state;

	assert_string_equal(notify_name(N_NO_PROPOSAL_CHOSEN), "NO_PROPOSAL_CHOSEN");
	assert_string_equal(notify_name(N_TEMPORARY_FAILURE), "TEMPORARY_FAILURE");
	assert_string_equal(notify_name(N_INITIAL_CONTACT), "INITIAL_CONTACT");
	assert_string_equal(notify_name(N_COOKIE), "COOKIE");
	assert_string_equal(notify_name(N_MOBIKE_SUPPORTED), "MOBIKE_SUPPORTED");
	assert_string_equal(
		notify_name(N_IKEV2_FRAGMENTATION_SUPPORTED), "IKEV2_FRAGMENTATION_SUPPORTED");
	assert_string_equal(notify_name(N_SIGNATURE_HASH_ALGORITHMS), "SIGNATURE_HASH_ALGORITHMS");
	assert_string_equal(notify_name(16435), "USE_PPK");
	assert_string_equal(notify_name(16446), "PPK_IDENTITY_KEY");
	/* every type is in exactly one of the lists, or in none */
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		int error = notify_error_index((uint16_t)type);
		int status = notify_status_index((uint16_t)type);
		assert_true(error < 0 || status < 0);
		assert_int_equal(notify_name((uint16_t)type) != NULL, error >= 0 || status >= 0);
		if (error >= 0) {
			assert_true(NOTIFY_IS_ERROR(type));
			assert_int_equal(error, errors++); /* in order of number */
			assert_ptr_equal(
				notify_error_name((unsigned)error), notify_name((uint16_t)type));
		}
		if (status >= 0) {
			assert_int_equal(status, statuses++);
			assert_ptr_equal(
				notify_status_name((unsigned)status), notify_name((uint16_t)type));
		}
	}
	assert_int_equal(errors, 25);
	assert_int_equal(statuses, 63);
	assert_null(notify_error_name(errors));
	assert_null(notify_status_name(statuses));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_both_ways),
		cmocka_unit_test(writing_stops_at_the_end_of_the_buffer),
		cmocka_unit_test(what_cannot_be_written_fails),
		cmocka_unit_test(walks_chains),
		cmocka_unit_test(finds_payloads),
		cmocka_unit_test(no_more_than_64_payloads),
		cmocka_unit_test(names),
		cmocka_unit_test(key_exchange),
		cmocka_unit_test(nonces),
		cmocka_unit_test(notifies),
		cmocka_unit_test(deletes),
		cmocka_unit_test(authentication),
		cmocka_unit_test(identities),
		cmocka_unit_test(traffic_selectors),
		cmocka_unit_test(strange_traffic_selectors),
		cmocka_unit_test(security_associations),
		cmocka_unit_test(key_exchange_methods_are_left_out),
		cmocka_unit_test(the_default_offer_fits),
		cmocka_unit_test(strange_security_associations),
		cmocka_unit_test(attributes),
		cmocka_unit_test(a_chosen_proposal),
		cmocka_unit_test(notify_types),
	};

	return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
