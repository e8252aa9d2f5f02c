/* The first byte says what the rest is: a whole IKE message, read by every decoder; or the inner
 * chain of an SK payload, sealed, opened and read; or an SK payload of any bytes. */
#include "cp_payload.h"
#include "message.h"
#include "negotiation_rules.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct crypto_context *crypto;
static struct proposal_list *room;
static uint64_t sum; /* of all that was read: nothing is optimized away */

static void touch(struct bytes slice, struct bytes whole)
{
	if (!slice.len)
		return;
	if (slice.data < whole.data || slice.data + slice.len > whole.data + whole.len)
		abort();
	sum += slice.data[0] + slice.data[slice.len - 1];
}

static void read_sa(struct bytes body)
{
	struct chosen_proposal chosen;
	char error[100] = "", text[300];

	if (!sa_payload_decode(body, room, PROPOSALS_MAX, error, sizeof(error))) {
		if (!error[0])
			abort();
		return;
	}
	sum += strlen(proposal_list_text(room, text, sizeof(text)));
	if (proposal_choose(room, room, room->proposals[0].protocol, true, 31, &chosen))
		sum += strlen(room->proposals[0].protocol == PROTOCOL_IKE
				      ? chosen_ike_text(&chosen, text)
				      : chosen_child_text(&chosen, text));
	proposal_accept(room, room, PROTOCOL_ESP, false, &chosen);
}

static void read_id(struct bytes body)
{
	char error[100] = "", text[IDENTITY_TEXT_MAX];
	struct identity *id = identity_from_payload(body, error, sizeof(error));

	if (!id && !error[0])
		abort();
	if (id)
		sum += strlen(identity_text(id, text)) + identity_hash(id);
	identity_unref(id);
}

static void read_ts(struct bytes body)
{
	struct traffic_selector ts[IPSEC_SELECTORS_MAX], out[IPSEC_SELECTORS_MAX];
	unsigned count, narrowed;
	char text[400];

	if (!ts_payload_decode(body, ts, IPSEC_SELECTORS_MAX, &count))
		return;
	if (count > IPSEC_SELECTORS_MAX)
		abort();
	if (selectors_narrow(ts, count, ts, count, true, out, &narrowed) &&
		!selectors_accept(ts, count, out, narrowed))
		abort();
	sum += strlen(selectors_pair_text(ts, count, out, narrowed, text, sizeof(text)));
}

static void read_configuration(struct bytes body, struct bytes whole)
{
	struct configuration c;
	char text[DOMAIN_TEXT_MAX];

	if (!cp_payload_decode(body, &c))
		return;
	touch(c.banner, whole);
	for (unsigned i = 0; i < c.domain_count; i++) {
		touch(c.domains[i], whole);
		if (configuration_domain_text(c.domains[i], text))
			sum += strlen(text);
	}
}

static void read_body(const struct payload *p, struct bytes whole)
{
	struct delete_payload del;
	struct notify notify;
	struct bytes slice;
	uint16_t group;
	uint8_t method;

	touch(p->body, whole);
	read_sa(p->body);
	read_id(p->body);
	read_ts(p->body);
	read_configuration(p->body, whole);
	if (delete_payload_decode(p->body, &del)) {
		for (unsigned i = 0; i < del.spi_count; i++)
			sum += delete_payload_spi(&del, i);
	}
	if (ke_payload_decode(p->body, &group, &slice))
		touch(slice, whole);
	if (nonce_payload_decode(p->body, &slice))
		touch(slice, whole);
	if (auth_payload_decode(p->body, &method, &slice))
		touch(slice, whole);
	if (notify_payload_decode(p->body, &notify))
		touch(notify.data, whole);
}

static void read_chain(uint8_t first, struct bytes bytes)
{
	struct payload_list list;
	char error[100] = "", text[300];

	if (payload_chain_decode(first, bytes, &list, error, sizeof(error)) != CHAIN_OK &&
		!error[0])
		abort();
	if (list.count > IKE_PAYLOADS_MAX)
		abort();
	for (unsigned i = 0; i < list.count; i++)
		read_body(&list.payloads[i], bytes);
	payload_unknown_critical(&list);
	sum += strlen(payload_list_text(&list, text, sizeof(text)));
}

static void read_message(uint8_t *data, size_t size)
{
	struct ike_header header;

	if (ike_header_decode(bytes_of(data, size), &header))
		read_chain(header.next_payload,
			bytes_of(data + IKE_HEADER_LEN, size - IKE_HEADER_LEN));
}

/* ---- encryption ------------------------------------------------------------------------------ */

static struct sk_keys some_keys(uint8_t which)
{
	static const uint8_t zeros[64];
	static const uint16_t ids[] = {ENCR_AES_GCM_16, ENCR_AES_CBC, ENCR_CHACHA20_POLY1305};
	const struct algorithm *encr = algorithm_by_id(TRANSFORM_ENCR, ids[which % 3]);
	const struct algorithm *integ = algorithm_by_id(TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128);
	uint16_t bits = which % 3 == 2 ? 256 : 128;

	return (struct sk_keys){.encr = encr,
		.integ = encr->aead ? NULL : integ,
		.encr_key_bits = bits,
		.encr_keymat = bytes_of(zeros, algorithm_encr_keymat_len(encr, bits)),
		.integ_key = bytes_of(zeros, encr->aead ? 0 : integ->key_len)};
}

/* A message with an SK payload of these bytes, or with these bytes inside it. */
static size_t wrap(struct message_writer *m, uint8_t *buffer, size_t room_size,
	const struct sk_keys *keys, const uint8_t *data, size_t size, bool seal)
{
	static const uint8_t iv[16] = {1};
	struct ike_header header = {
		.spi_i = 1, .spi_r = 2, .version = IKE_VERSION_2, .exchange = EXCHANGE_IKE_AUTH};
	bool ok;

	message_begin(m, buffer, room_size, &header);
	if (seal) {
		sk_begin(m, keys, iv);
		write_copy(&m->w, data, size);
		ok = message_end_sealed(m, crypto, keys);
	} else {
		payload_begin(m, PAYLOAD_SK);
		write_copy(&m->w, data, size);
		payload_end(m);
		ok = message_end(m);
	}
	return ok ? writer_len(&m->w) : 0;
}

static void try_sealed(uint8_t which, const uint8_t *data, size_t size, bool seal)
{
	static uint8_t buffer[70000];
	struct sk_keys keys = some_keys(which);
	struct message_writer m;
	struct payload_list list;
	struct ike_header header;
	struct bytes inner;
	char error[100];
	size_t len = wrap(&m, buffer, sizeof(buffer), &keys, data + 1, size - 1, seal);

	if (!len)
		return;
	if (!ike_header_decode(bytes_of(buffer, len), &header) ||
		payload_chain_decode(header.next_payload,
			bytes_of(buffer + IKE_HEADER_LEN, len - IKE_HEADER_LEN), &list, error,
			sizeof(error)) != CHAIN_OK)
		abort();
	if (!sk_open(crypto, &keys, buffer, len, &list, &inner)) {
		if (seal)
			abort();
		return;
	}
	touch(inner, bytes_of(buffer, len));
	if (seal && (inner.len != size - 1 || memcmp(inner.data, data + 1, size - 1) != 0))
		abort();
	read_chain(data[0], inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (!crypto) {
		crypto = crypto_context_new();
		room = calloc(1, sizeof(*room) + PROPOSALS_MAX * sizeof(struct proposal));
	}
	if (size < 2)
		return 0;
	if (data[0] % 4 == 0) {
		copy = malloc(size - 1);
		memcpy(copy, data + 1, size - 1);
		read_message(copy, size - 1);
		free(copy);
	} else {
		try_sealed(data[0] >> 2, data + 1, size - 1, data[0] % 4 != 1);
	}
	return 0;
}
