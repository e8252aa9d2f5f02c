/* The Encrypted and Authenticated payload (RFC 7296, section 3.14; RFC 5282 for AEAD), and the
 * Encrypted and Authenticated Fragment (RFC 7383, section 2.5). */
#include "message.h"

#include "base/secret.h"

static size_t icv_len(const struct sk_keys *keys)
{
	return keys->encr->aead ? keys->encr->icv_len : keys->integ->icv_len;
}

static size_t block_len(const struct sk_keys *keys)
{
	return keys->encr->block_len > 1 ? keys->encr->block_len : 1;
}

void sk_begin(struct message_writer *m, const struct sk_keys *keys, const uint8_t *iv)
{
	payload_begin(m, PAYLOAD_SK);
	m->sk_at = m->payload_at;
	m->sk_header_len = SK_HEADER_LEN;
	write_copy(&m->w, iv, keys->encr->iv_len);
}

void skf_begin(struct message_writer *m, const struct sk_keys *keys, const uint8_t *iv,
	uint8_t first_type, unsigned number, unsigned total)
{
	payload_begin(m, PAYLOAD_SKF);
	patch_u8(&m->w, m->next_at, first_type);
	m->sk_at = m->payload_at;
	m->sk_header_len = SKF_HEADER_LEN;
	write_u16(&m->w, (uint16_t)number);
	write_u16(&m->w, (uint16_t)total);
	write_copy(&m->w, iv, keys->encr->iv_len);
}

size_t sk_data_at(const struct message_writer *m, const struct sk_keys *keys)
{
	return m->sk_at + m->sk_header_len + keys->encr->iv_len;
}

size_t sk_tail_max(const struct sk_keys *keys)
{
	return block_len(keys) + icv_len(keys); /* padding and its length are a block at most */
}

static void write_padding(struct writer *w, size_t plaintext_len, size_t block)
{
	size_t over = (plaintext_len + 1) % block;
	size_t pad = over == 0 ? 0 : block - over;

	write_zeros(w, pad);
	write_u8(w, (uint8_t)pad);
}

/* The payload whose IV is at `iv_at` within `message`, whose lengths are final; the ICV is written
 * at its end. */
static bool seal(struct crypto_context *crypto, const struct sk_keys *keys, uint8_t *message,
	size_t len, size_t iv_at)
{
	size_t data_at = iv_at + keys->encr->iv_len;
	size_t icv_at = len - icv_len(keys);
	struct bytes authenticated = bytes_of(message, icv_at);
	struct encr_request request = {
		.encr = keys->encr,
		.key_bits = keys->encr_key_bits,
		.keymat = keys->encr_keymat,
		.iv = bytes_of(message + iv_at, keys->encr->iv_len),
		.data = message + data_at,
		.len = icv_at - data_at,
	};

	if (keys->encr->aead) {
		/* RFC 5282, section 5.1: from the IKE header to the SK payload's own header. */
		request.aad = bytes_of(message, iv_at);
		request.icv = message + icv_at;
		return encr_seal(crypto, &request);
	}
	return encr_seal(crypto, &request) && integ_compute(crypto, keys->integ, keys->integ_key,
						      &authenticated, 1, message + icv_at);
}

bool message_end_sealed(
	struct message_writer *m, struct crypto_context *crypto, const struct sk_keys *keys)
{
	size_t data_at = sk_data_at(m, keys);

	if (m->w.failed || m->sk_at == 0 || writer_len(&m->w) < data_at)
		return false;
	write_padding(&m->w, writer_len(&m->w) - data_at, block_len(keys));
	write_zeros(&m->w, icv_len(keys));
	/* The SK payload is the one that ends now, whichever was written last inside it. */
	m->payload_at = m->sk_at;
	payload_end(m);
	return message_end(m) &&
	       seal(crypto, keys, m->w.start, writer_len(&m->w), m->sk_at + m->sk_header_len);
}

static bool icv_matches(struct crypto_context *crypto, const struct sk_keys *keys,
	const uint8_t *message, size_t icv_at)
{
	uint8_t expected[ICV_MAX];
	struct bytes authenticated = bytes_of(message, icv_at);

	return integ_compute(crypto, keys->integ, keys->integ_key, &authenticated, 1, expected) &&
	       secret_equal(expected, message + icv_at, keys->integ->icv_len);
}

static const struct payload *last_of(const struct payload_list *list)
{
	return list->count ? &list->payloads[list->count - 1] : NULL;
}

bool skf_numbers(const struct payload_list *list, unsigned *number, unsigned *total)
{
	const struct payload *last = last_of(list);
	struct reader r;

	if (!last || last->type != PAYLOAD_SKF)
		return false;
	r = reader_of(last->body);
	*number = read_u16(&r);
	*total = read_u16(&r);
	return !r.failed;
}

bool sk_open(struct crypto_context *crypto, const struct sk_keys *keys, uint8_t *message,
	size_t len, const struct payload_list *list, struct bytes *inner)
{
	*inner = (struct bytes){0};
	const struct payload *last = last_of(list);
	if (!last || (last->type != PAYLOAD_SK && last->type != PAYLOAD_SKF))
		return false;
	struct bytes body = last->body;
	size_t numbers = last->type == PAYLOAD_SKF ? SKF_HEADER_LEN - SK_HEADER_LEN : 0;
	if (body.len <= numbers)
		return false;
	body = bytes_of(body.data + numbers, body.len - numbers);
	/* The ICV covers the message from its first byte, and is its last bytes. */
	if (body.data < message + IKE_HEADER_LEN + SK_HEADER_LEN ||
		body.data + body.len != message + len)
		return false;
	size_t overhead = keys->encr->iv_len + icv_len(keys);
	if (body.len <= overhead || (body.len - overhead) % block_len(keys) != 0)
		return false;

	size_t iv_at = (size_t)(body.data - message);
	size_t icv_at = len - icv_len(keys);
	struct encr_request request = {
		.encr = keys->encr,
		.key_bits = keys->encr_key_bits,
		.keymat = keys->encr_keymat,
		.iv = bytes_of(message + iv_at, keys->encr->iv_len),
		.data = message + iv_at + keys->encr->iv_len,
		.len = body.len - overhead,
	};
	if (keys->encr->aead) {
		request.aad = bytes_of(message, iv_at);
		request.icv = message + icv_at;
	} else if (!icv_matches(crypto, keys, message, icv_at)) {
		return false;
	}
	if (!encr_open(crypto, &request))
		return false;
	size_t pad = request.data[request.len - 1];
	if (pad + 1 > request.len)
		return false;
	*inner = bytes_of(request.data, request.len - pad - 1);
	return true;
}
