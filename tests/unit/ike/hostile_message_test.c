/* Every decoder against broken messages: cut at every byte, and changed at random. What is read
 * from lies in memory of exactly the message's size, so that a sanitizer sees any byte too far.
 * Seed: IKE_TEST_SEED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "message.h"
#include "negotiation_rules.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define MUTATIONS 200000

struct sample {
	uint8_t bytes[1500];
	size_t len;
};

static struct sample samples[6];
static struct proposal_list *room; /* of PROPOSALS_MAX, exactly */
static uint64_t random_state;

static uint32_t random_u32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static uint32_t below(uint32_t n)
{
	return random_u32() % n;
}

/* ---- samples ---------------------------------------------------------------------- */

static struct message_writer begin(struct sample *s, uint8_t exchange)
{
	struct ike_header header = {.spi_i = 1,
		.spi_r = 2,
		.version = IKE_VERSION_2,
		.exchange = exchange,
		.message_id = 3};
	struct message_writer m;

	message_begin(&m, s->bytes, sizeof(s->bytes), &header);
	return m;
}

static void end(struct sample *s, struct message_writer *m)
{
	assert_true(message_end(m));
	s->len = writer_len(&m->w);
}

static void add_sa(struct message_writer *m, bool ike)
{
	char error[100];
	struct proposal_list *list = ike ? proposal_parse_ike(NULL, error, sizeof(error))
					 : proposal_parse_child("aes_gcm;dh19,aes128-sha2", false,
						   2, error, sizeof(error));

	sa_payload_encode(m, list, ike ? 0 : 4, ike ? 0 : 0x12345678);
	proposal_list_unref(list);
}

static void add_id(struct message_writer *m, uint8_t type, const char *text)
{
	char error[100];
	struct identity *id = identity_parse(text, error, sizeof(error));

	id_payload_encode(m, type, id);
	identity_unref(id);
}

static void add_ts(struct message_writer *m, uint8_t type)
{
	struct traffic_selector ts[3];

	assert_true(traffic_selector_parse("10.1.0.0/16", &ts[0]));
	assert_true(traffic_selector_parse("2001:db8::/64", &ts[1]));
	assert_true(traffic_selector_parse("192.0.2.1/32/tcp/80", &ts[2]));
	ts_payload_encode(m, type, ts, 3);
}

static int make_samples(void **state)
{
	static const uint8_t zeros[260];
	static const uint32_t spis[] = {1, 2, 3};
	const char *seed = getenv("IKE_TEST_SEED");
	struct message_writer m;
	(void)state;

	random_state = seed != NULL ? strtoull(seed, NULL, 0) | 1 : 0x2545f4914f6cdd1d;
	room = calloc(1, sizeof(*room) + PROPOSALS_MAX * sizeof(struct proposal));

	m = begin(&samples[0], EXCHANGE_IKE_SA_INIT);
	add_sa(&m, true);
	ke_payload_encode(&m, 31, bytes_of(zeros, 32));
	nonce_payload_encode(&m, bytes_of(zeros, 32));
	notify_payload_encode(&m, 0, 0, 0, N_NAT_DETECTION_SOURCE_IP, bytes_of(zeros, 20));
	notify_payload_encode(&m, 0, 0, 0, N_COOKIE, bytes_of(zeros, 30));
	vendor_payload_encode(&m, bytes_of("plutonium", 9));
	end(&samples[0], &m);

	m = begin(&samples[1], EXCHANGE_IKE_AUTH);
	add_id(&m, PAYLOAD_IDi, "@a.test");
	add_id(&m, PAYLOAD_IDr, "2001:db8::1");
	auth_payload_encode(&m, 2, bytes_of(zeros, 32));
	add_sa(&m, false);
	add_ts(&m, PAYLOAD_TSi);
	add_ts(&m, PAYLOAD_TSr);
	notify_payload_encode(&m, 0, 0, 0, N_INITIAL_CONTACT, (struct bytes){0});
	end(&samples[1], &m);

	m = begin(&samples[2], EXCHANGE_CREATE_CHILD_SA);
	notify_payload_encode(&m, PROTOCOL_ESP, 4, 77, N_REKEY_SA, (struct bytes){0});
	add_sa(&m, false);
	nonce_payload_encode(&m, bytes_of(zeros, 256));
	ke_payload_encode(&m, 19, bytes_of(zeros, 64));
	add_ts(&m, PAYLOAD_TSi);
	add_ts(&m, PAYLOAD_TSr);
	end(&samples[2], &m);

	m = begin(&samples[3], EXCHANGE_INFORMATIONAL);
	delete_payload_encode(&m, PROTOCOL_ESP, spis, 3);
	delete_payload_encode(&m, PROTOCOL_IKE, NULL, 0);
	add_id(&m, PAYLOAD_IDi, "user@a.test");
	add_id(&m, PAYLOAD_IDi, "192.0.2.1");
	add_id(&m, PAYLOAD_IDi, "@#00ff");
	end(&samples[3], &m);

	m = begin(&samples[4], EXCHANGE_INFORMATIONAL);
	end(&samples[4], &m);

	m = begin(&samples[5], EXCHANGE_IKE_AUTH);
	payload_begin(&m, PAYLOAD_SK);
	write_zeros(&m.w, 100);
	payload_end(&m);
	end(&samples[5], &m);
	return room != NULL ? 0 : -1;
}

static int free_samples(void **state)
{
	(void)state;
	free(room);
	return 0;
}

/* ---- decoding everything -------------------------------------------------------------- */

static uint64_t sum; /* of all that was read: nothing is optimized away */

static void touch(struct bytes slice, struct bytes whole)
{
	if (slice.len == 0)
		return;
	assert_true(slice.data >= whole.data);
	assert_true(slice.data + slice.len <= whole.data + whole.len);
	sum += slice.data[0] + slice.data[slice.len - 1];
}

static bool decode_sa(struct bytes body)
{
	char error[100] = "", text[3000];

	if (!sa_payload_decode(body, room, PROPOSALS_MAX, error, sizeof(error))) {
		assert_true(strlen(error) > 0);
		return false;
	}
	assert_true(room->count >= 1 && room->count <= PROPOSALS_MAX);
	for (unsigned i = 0; i < room->count; i++)
		assert_true(room->proposals[i].transform_count <= TRANSFORMS_MAX);
	sum += strlen(proposal_list_text(room, text, sizeof(text)));
	return true;
}

static bool decode_id(struct bytes body)
{
	char error[100] = "", text[IDENTITY_TEXT_MAX];
	struct identity *id = identity_from_payload(body, error, sizeof(error));

	if (id == NULL) {
		assert_true(strlen(error) > 0);
		return false;
	}
	assert_int_not_equal(id->kind, ID_ANY);
	sum += strlen(identity_text(id, text)) + identity_hash(id);
	identity_unref(id);
	return true;
}

static bool decode_ts(struct bytes body)
{
	struct traffic_selector ts[4];
	unsigned count = 0;
	char text[600];

	if (!ts_payload_decode(body, ts, 4, &count))
		return false;
	assert_true(count <= 4);
	for (unsigned i = 0; i < count; i++)
		assert_true(ip_compare(&ts[i].range.first, &ts[i].range.last) <= 0);
	sum += strlen(selectors_pair_text(ts, count, ts, count, text, sizeof(text)));
	return true;
}

static bool decode_delete(struct bytes body)
{
	struct delete_payload del;

	if (!delete_payload_decode(body, &del))
		return false;
	for (unsigned i = 0; i < del.spi_count; i++)
		sum += delete_payload_spi(&del, i);
	return true;
}

/* Every body goes through every decoder; the answer is that of its own type's. */
static bool decode_payload(const struct payload *payload, struct bytes message)
{
	bool fits[256];
	struct bytes slice = {0};
	struct notify notify;
	uint16_t group;
	uint8_t method;

	memset(fits, true, sizeof(fits));
	touch(payload->body, message);
	fits[PAYLOAD_SA] = decode_sa(payload->body);
	fits[PAYLOAD_IDi] = fits[PAYLOAD_IDr] = decode_id(payload->body);
	fits[PAYLOAD_TSi] = fits[PAYLOAD_TSr] = decode_ts(payload->body);
	fits[PAYLOAD_DELETE] = decode_delete(payload->body);
	fits[PAYLOAD_KE] = ke_payload_decode(payload->body, &group, &slice);
	if (fits[PAYLOAD_KE])
		touch(slice, message);
	fits[PAYLOAD_NONCE] = nonce_payload_decode(payload->body, &slice);
	if (fits[PAYLOAD_NONCE])
		touch(slice, message);
	fits[PAYLOAD_AUTH] = auth_payload_decode(payload->body, &method, &slice);
	if (fits[PAYLOAD_AUTH])
		touch(slice, message);
	fits[PAYLOAD_NOTIFY] = notify_payload_decode(payload->body, &notify);
	if (fits[PAYLOAD_NOTIFY])
		touch(notify.data, message);
	return fits[payload->type];
}

/* Is the message well-formed through and through? */
static bool decode_message(const uint8_t *data, size_t len)
{
	struct bytes message = bytes_of(data, len);
	struct payload_list list;
	struct ike_header header;
	char error[100] = "", text[1000];
	bool ok;

	if (!ike_header_decode(message, &header))
		return false;
	ok = header.length == len;
	if (payload_chain_decode(header.next_payload,
		    bytes_of(data + IKE_HEADER_LEN, len - IKE_HEADER_LEN), &list, error,
		    sizeof(error)) != CHAIN_OK) {
		assert_true(strlen(error) > 0);
		ok = false;
	}
	assert_true(list.count <= IKE_PAYLOADS_MAX);
	/* Also what came before the fault, as a careless caller might. */
	for (unsigned i = 0; i < list.count; i++)
		ok &= decode_payload(&list.payloads[i], message);
	payload_unknown_critical(&list);
	sum += strlen(payload_list_text(&list, text, sizeof(text)));
	return ok;
}

static bool decode_copy(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	bool ok;

	memcpy(copy, data, len);
	ok = decode_message(copy, len);
	free(copy);
	return ok;
}

/* ---- tests ----------------------------------------------------------------------------- */

static void whole_messages_are_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++)
		assert_true(decode_copy(samples[i].bytes, samples[i].len));
}

static void cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		for (size_t len = 0; len < samples[i].len; len++) {
			struct sample s = samples[i];
			assert_false(decode_copy(s.bytes, len));
			/* and with a header that says so */
			if (len < IKE_HEADER_LEN)
				continue;
			s.bytes[26] = (uint8_t)(len >> 8);
			s.bytes[27] = (uint8_t)len;
			assert_false(decode_copy(s.bytes, len));
		}
	}
}

/* Each payload cut at every byte, alone: its own length is right, its inside ends early. */
static void every_body_cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		struct payload_list list;
		char error[100];
		assert_int_equal(payload_chain_decode(samples[i].bytes[16],
					 bytes_of(samples[i].bytes + IKE_HEADER_LEN,
						 samples[i].len - IKE_HEADER_LEN),
					 &list, error, sizeof(error)),
			CHAIN_OK);
		for (unsigned p = 0; p < list.count; p++) {
			for (size_t len = 0; len < list.payloads[p].body.len; len++) {
				uint8_t *copy = malloc(len > 0 ? len : 1);
				struct payload cut = list.payloads[p];
				memcpy(copy, cut.body.data, len);
				cut.body = bytes_of(copy, len);
				decode_payload(&cut, cut.body);
				free(copy);
			}
		}
	}
}

static void mutate(struct sample *s)
{
	static const uint8_t telling[] = {0, 1, 2, 3, 4, 7, 8, 0x0e, 0x20, 0x7f, 0x80, 0xff};

	for (unsigned n = 1 + below(4); n > 0; n--) {
		size_t at = below((uint32_t)s->len);
		size_t len = 1 + below(16), to = below((uint32_t)s->len);
		switch (below(6)) {
		case 0:
			s->bytes[at] ^= (uint8_t)(1u << below(8));
			break;
		case 1:
			s->bytes[at] = (uint8_t)random_u32();
			break;
		case 2:
			s->bytes[at] = telling[below(COUNT(telling))];
			break;
		case 3: /* a piece from elsewhere */
			if (at + len <= s->len && to + len <= s->len)
				memmove(s->bytes + at, s->bytes + to, len);
			break;
		case 4: /* a piece is lost */
			if (at + len < s->len) {
				memmove(s->bytes + at, s->bytes + at + len, s->len - at - len);
				s->len -= len;
			}
			break;
		default: /* a piece comes in */
			if (s->len + len <= sizeof(s->bytes)) {
				memmove(s->bytes + at + len, s->bytes + at, s->len - at);
				s->len += len;
			}
		}
	}
}

static void changed_at_random(void **state)
{
	unsigned well_formed = 0;
	uint64_t start = random_state;
	(void)state;

	for (unsigned i = 0; i < MUTATIONS; i++) {
		struct sample s = samples[below(COUNT(samples))];
		mutate(&s);
		well_formed += decode_copy(s.bytes, s.len);
	}
	print_message("# seed %#llx: %u of %u well-formed\n", (unsigned long long)start,
		well_formed, MUTATIONS);
	/* Both happen, else the mutations test little. */
	assert_true(well_formed > MUTATIONS / 100);
	assert_true(well_formed < MUTATIONS / 2);
}

static void noise(void **state)
{
	uint8_t bytes[400];
	(void)state;

	for (unsigned i = 0; i < 20000; i++) {
		size_t len = below(sizeof(bytes));
		for (size_t b = 0; b < len; b++)
			bytes[b] = (uint8_t)(below(3) ? random_u32() : random_u32() & 0x0f);
		decode_copy(bytes, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_messages_are_well_formed),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(every_body_cut_at_every_byte),
		cmocka_unit_test(changed_at_random),
		cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests_name("hostile_message", tests, make_samples, free_samples);
}
