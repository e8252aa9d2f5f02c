/* The SK payload: against messages made by another library, every algorithm both ways, tampering.
 */
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

static struct crypto_context *crypto;

static const struct ike_header sample_header = {
	.spi_i = 0x0102030405060708,
	.spi_r = 0x1112131415161718,
	.version = IKE_VERSION_2,
	.exchange = EXCHANGE_INFORMATIONAL,
	.flags = FLAG_INITIATOR,
	.message_id = 7,
};

/* N(INITIAL_CONTACT), D(IKE) */
static const uint8_t sample_inner[] = {0x2a, 0, 0, 8, 0, 0, 0x40, 0, 0, 0, 0, 8, 1, 0, 0, 0};

/* Keys 00 01 02 ..., integrity keys 80 81 ..., IVs a0 a1 ... */
struct keys {
	uint8_t keymat[ENCR_KEYMAT_MAX], integ_key[64], iv[16];
	struct sk_keys sk;
};

static void count_up(uint8_t *out, size_t len, uint8_t from)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(from + i);
}

static void make_keys(struct keys *k, uint16_t encr, uint16_t bits, uint16_t integ)
{
	const struct algorithm *e = algorithm_by_id(TRANSFORM_ENCR, encr);
	const struct algorithm *i = integ ? algorithm_by_id(TRANSFORM_INTEG, integ) : NULL;

	count_up(k->keymat, sizeof(k->keymat), 0);
	count_up(k->integ_key, sizeof(k->integ_key), 0x80);
	count_up(k->iv, sizeof(k->iv), 0xa0);
	k->sk = (struct sk_keys){
		.encr = e,
		.integ = i,
		.encr_key_bits = bits,
		.encr_keymat = bytes_of(k->keymat, algorithm_encr_keymat_len(e, bits)),
		.integ_key = bytes_of(k->integ_key, i ? i->key_len : 0),
	};
}

/* A message whose SK payload holds one Vendor ID payload of `len` bytes, or nothing (UINT_MAX). */
static size_t seal_vendor(const struct keys *k, uint8_t *buffer, size_t size, size_t len)
{
	static uint8_t id[3000];
	struct message_writer m;

	message_begin(&m, buffer, size, &sample_header);
	sk_begin(&m, &k->sk, k->iv);
	if (len != SIZE_MAX)
		vendor_payload_encode(&m, bytes_of(id, len));
	return message_end_sealed(&m, crypto, &k->sk) ? writer_len(&m.w) : 0;
}

/* The way of a received message, up to the inner chain. */
static bool open_message(const struct keys *k, uint8_t *message, size_t len,
	struct payload_list *list, struct bytes *inner)
{
	struct ike_header header;
	char error[100];

	return ike_header_decode(bytes_of(message, len), &header) && header.length == len &&
	       payload_chain_decode(header.next_payload,
		       bytes_of(message + IKE_HEADER_LEN, len - IKE_HEADER_LEN), list, error,
		       sizeof(error)) == CHAIN_OK &&
	       sk_open(crypto, &k->sk, message, len, list, inner);
}

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		unsigned v;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return len;
}

/* Made by Python's cryptography package (OpenSSL). */
static const struct {
	uint16_t encr, bits, integ;
	const char *message;
} vectors[] = {
	{ENCR_AES_GCM_16, 256, 0,
		"010203040506070811121314151617182e20250800000007000000492900002da0a1a2a3a4a5a6a769"
		"f3e93d"
		"a3b2520232287d89f59d6579a50088fbd80d4e9abe1b2d649debb05660"},
	{ENCR_CHACHA20_POLY1305, 0, 0,
		"010203040506070811121314151617182e20250800000007000000492900002da0a1a2a3a4a5a6a7a2"
		"e29c8b"
		"4c943a0301806912e8402b6c7b92679c338315c90f46ebacf3a62fef39"},
	{ENCR_AES_CCM_16, 128, 0,
		"010203040506070811121314151617182e20250800000007000000492900002da0a1a2a3a4a5a6a75d"
		"e8ebd3"
		"1ea4ebd09ca386b1a58680377e0c250f50415ccbe313d914638bb239b3"},
	{ENCR_AES_CCM_8, 256, 0,
		"010203040506070811121314151617182e202508000000070000004129000025a0a1a2a3a4a5a6a702"
		"d0f6ec"
		"d35f0f63981ea7b87366991083fcb49630c6b51dc4"},
	{ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128,
		"010203040506070811121314151617182e202508000000070000006029000044a0a1a2a3a4a5a6a7a8"
		"a9aaab"
		"acadaeafcc189327ed9bf0aa8c369c6403a239144f20da03f4c0172148bd5c3dc0e9574b1cb74c20de"
		"ac8c08"
		"9e6bb2b13543e401"},
	{ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96,
		"010203040506070811121314151617182e202508000000070000005c29000040a0a1a2a3a4a5a6a7a8"
		"a9aaab"
		"acadaeafb20d4b72c9cb1d2e68d5bcab92caff1d177d04ba56137636877a0bf896be3c27bdffcb022c"
		"6a8a13"
		"04751285"},
	{ENCR_AES_CTR, 128, INTEG_HMAC_SHA2_512_256,
		"010203040506070811121314151617182e20250800000007000000592900003da0a1a2a3a4a5a6a7e1"
		"ddd525"
		"594d24840cadc37f5389a626d219b0b2b3a92e57ffc745f7dcd87948bf0067e737f7af1bc3f3aac852"
		"15bb06"
		"1c"},
};

static void agrees_with_another_library(void **state)
{
	(void)state;

	for (size_t i = 0; i < COUNT(vectors); i++) {
		uint8_t wanted[200], buffer[200];
		size_t len = unhex(vectors[i].message, wanted);
		struct payload_list list;
		struct message_writer m;
		struct bytes inner;
		struct keys k;

		make_keys(&k, vectors[i].encr, vectors[i].bits, vectors[i].integ);
		message_begin(&m, buffer, sizeof(buffer), &sample_header);
		sk_begin(&m, &k.sk, k.iv);
		notify_payload_encode(&m, 0, 0, 0, N_INITIAL_CONTACT, (struct bytes){0});
		delete_payload_encode(&m, PROTOCOL_IKE, NULL, 0);
		assert_true(message_end_sealed(&m, crypto, &k.sk));
		assert_int_equal(writer_len(&m.w), len);
		assert_memory_equal(buffer, wanted, len);

		assert_true(open_message(&k, wanted, len, &list, &inner));
		assert_int_equal(list.after, PAYLOAD_NOTIFY);
		assert_int_equal(inner.len, sizeof(sample_inner));
		assert_memory_equal(inner.data, sample_inner, inner.len);
	}
}

/* Calls `check` with every pair of algorithms that IKE may use. */
static void with_every_algorithm(void (*check)(const struct keys *k))
{
	const struct algorithm *e, *i;
	unsigned pairs = 0;
	struct keys k;

	for (size_t n = 0; (e = algorithm_at(TRANSFORM_ENCR, n)) != NULL; n++) {
		if (!e->ike_capable)
			continue;
		for (size_t b = 0; b < (e->fixed_key ? 1 : 3); b++) {
			uint16_t bits = e->fixed_key ? 0 : e->key_bits[b];
			for (size_t m = 0; (i = algorithm_at(TRANSFORM_INTEG, m)) != NULL; m++) {
				if (e->aead != (i->id == INTEG_NONE))
					continue;
				make_keys(&k, e->id, bits, i->id);
				check(&k);
				pairs++;
			}
		}
	}
	assert_true(pairs > 50);
}

static void check_round_trips(const struct keys *k)
{
	static const size_t lengths[] = {SIZE_MAX, 0, 1, 7, 8, 9, 11, 12, 15, 16, 17, 100, 1400};
	uint8_t buffer[2000];

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct payload_list list, inner_list;
		struct bytes inner;
		char error[80];
		size_t len = seal_vendor(k, buffer, sizeof(buffer), lengths[i]);
		assert_true(len > 0);
		assert_true(open_message(k, buffer, len, &list, &inner));
		assert_int_equal(
			payload_chain_decode(list.after, inner, &inner_list, error, sizeof(error)),
			CHAIN_OK);
		assert_int_equal(inner_list.count, lengths[i] != SIZE_MAX);
		if (inner_list.count == 1)
			assert_int_equal(inner_list.payloads[0].body.len, lengths[i]);
		else
			assert_int_equal(list.after, PAYLOAD_NONE);
	}
}

static void every_algorithm_both_ways(void **state)
{
	(void)state;
	with_every_algorithm(check_round_trips);
}

static void check_small_buffers(const struct keys *k)
{
	uint8_t buffer[256], guard[256];
	size_t len = seal_vendor(k, buffer, sizeof(buffer), 5);

	memset(guard, 0xee, sizeof(guard));
	for (size_t size = 0; size < len; size++) {
		memset(buffer, 0xee, sizeof(buffer));
		assert_int_equal(seal_vendor(k, buffer, size, 5), 0);
		assert_memory_equal(buffer + size, guard, sizeof(buffer) - size);
	}
	assert_int_equal(seal_vendor(k, buffer, len, 5), len);
}

static void no_room_is_no_message(void **state)
{
	(void)state;
	with_every_algorithm(check_small_buffers);
}

static bool open_copy(const struct keys *k, const uint8_t *message, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct payload_list list;
	struct bytes inner = {0};
	bool ok;

	memcpy(copy, message, len);
	ok = open_message(k, copy, len, &list, &inner);
	if (!ok)
		assert_int_equal(inner.len, 0);
	free(copy);
	return ok;
}

static void check_tampering(const struct keys *k)
{
	uint8_t buffer[200];
	size_t len = seal_vendor(k, buffer, sizeof(buffer), 9);

	assert_true(open_copy(k, buffer, len));
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit += 3) {
			buffer[i] ^= (uint8_t)(1u << bit);
			assert_false(open_copy(k, buffer, len));
			buffer[i] ^= (uint8_t)(1u << bit);
		}
	}
	/* cut short, with lengths that say so */
	for (size_t cut = IKE_HEADER_LEN + 4; cut < len; cut++) {
		uint8_t shorter[200];
		memcpy(shorter, buffer, cut);
		shorter[27] = (uint8_t)cut;
		shorter[31] = (uint8_t)(cut - IKE_HEADER_LEN);
		assert_false(open_copy(k, shorter, cut));
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_false(open_copy(k, buffer, cut));
}

static void no_tampered_message_is_opened(void **state)
{
	(void)state;
	with_every_algorithm(check_tampering);
}

/* Seals `plain` as it is: no padding of ours, so that it may be wrong. */
static size_t seal_raw(
	const struct keys *k, uint8_t *buffer, size_t size, const uint8_t *plain, size_t plain_len)
{
	size_t icv = k->sk.encr->aead ? k->sk.encr->icv_len : k->sk.integ->icv_len;
	struct message_writer m;

	message_begin(&m, buffer, size, &sample_header);
	payload_begin(&m, PAYLOAD_SK);
	write_copy(&m.w, k->iv, k->sk.encr->iv_len);
	size_t data_at = writer_len(&m.w);
	write_copy(&m.w, plain, plain_len);
	write_zeros(&m.w, icv);
	payload_end(&m);
	assert_true(message_end(&m));
	size_t len = writer_len(&m.w);
	struct encr_request request = {
		.encr = k->sk.encr,
		.key_bits = k->sk.encr_key_bits,
		.keymat = k->sk.encr_keymat,
		.iv = bytes_of(k->iv, k->sk.encr->iv_len),
		.data = buffer + data_at,
		.len = plain_len,
	};
	struct bytes covered = bytes_of(buffer, len - icv);
	if (k->sk.encr->aead) {
		request.aad = bytes_of(buffer, IKE_HEADER_LEN + 4);
		request.icv = buffer + len - icv;
	}
	assert_true(encr_seal(crypto, &request));
	if (!k->sk.encr->aead)
		assert_true(integ_compute(
			crypto, k->sk.integ, k->sk.integ_key, &covered, 1, buffer + len - icv));
	return len;
}

static void check_padding(const struct keys *k)
{
	uint8_t plain[48] = {0}, buffer[200];

	/* A Pad Length of all 256 values behind 32 bytes: more than 31 there cannot be. */
	for (unsigned pad = 0; pad < 256; pad++) {
		struct payload_list list;
		struct bytes inner;
		plain[31] = (uint8_t)pad;
		size_t len = seal_raw(k, buffer, sizeof(buffer), plain, 32);
		assert_int_equal(open_message(k, buffer, len, &list, &inner), pad <= 31);
		if (pad <= 31)
			assert_int_equal(inner.len, 31 - pad);
	}
	/* nothing at all, not even a Pad Length: authentic, and still malformed */
	size_t len = seal_raw(k, buffer, sizeof(buffer), plain, 0);
	assert_false(open_copy(k, buffer, len));
}

static void padding_is_bounded(void **state)
{
	(void)state;
	with_every_algorithm(check_padding);
}

static void only_the_last_payload_of_this_message(void **state)
{
	uint8_t buffer[200], other[200];
	struct payload_list list, changed;
	struct bytes inner;
	struct keys k;
	(void)state;

	make_keys(&k, ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128);
	size_t len = seal_vendor(&k, buffer, sizeof(buffer), 9);
	memcpy(other, buffer, len);
	assert_true(open_message(&k, other, len, &list, &inner));
	memcpy(other, buffer, len);
	/* `list` points into `other` from here on */
	assert_true(sk_open(crypto, &k.sk, other, len, &list, &inner));
	assert_false(sk_open(crypto, &k.sk, buffer, len, &list, &inner));
	memcpy(other, buffer, len);
	assert_false(sk_open(crypto, &k.sk, other, len + 1, &list, &inner));
	assert_false(sk_open(crypto, &k.sk, other, len - 1, &list, &inner));
	changed = list;
	changed.count = 0;
	assert_false(sk_open(crypto, &k.sk, other, len, &changed, &inner));
	changed = list;
	changed.payloads[0].type = PAYLOAD_SKF;
	assert_false(sk_open(crypto, &k.sk, other, len, &changed, &inner));
	assert_true(sk_open(crypto, &k.sk, other, len, &list, &inner));
}

static void payloads_before_it_are_covered(void **state)
{
	uint8_t buffer[200];
	struct payload_list list;
	struct message_writer m;
	struct bytes inner;
	struct keys k;
	(void)state;

	make_keys(&k, ENCR_AES_GCM_16, 128, 0);
	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	vendor_payload_encode(&m, bytes_of("clear", 5));
	sk_begin(&m, &k.sk, k.iv);
	assert_true(message_end_sealed(&m, crypto, &k.sk));
	size_t len = writer_len(&m.w);
	assert_int_equal(buffer[16], PAYLOAD_VENDOR);
	buffer[IKE_HEADER_LEN + 4] ^= 1;
	assert_false(open_copy(&k, buffer, len));
	buffer[IKE_HEADER_LEN + 4] ^= 1;
	assert_true(open_message(&k, buffer, len, &list, &inner));
	assert_int_equal(list.count, 2);
	assert_int_equal(inner.len, 0);
}

static void sealing_needs_an_sk_payload(void **state)
{
	uint8_t buffer[200];
	struct message_writer m;
	struct keys k;
	(void)state;

	make_keys(&k, ENCR_AES_GCM_16, 128, 0);
	message_begin(&m, buffer, sizeof(buffer), &sample_header);
	vendor_payload_encode(&m, bytes_of("clear", 5));
	assert_false(message_end_sealed(&m, crypto, &k.sk));
}

static int start(void **state)
{
	(void)state;
	crypto = crypto_context_new();
	return crypto != NULL ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	crypto_context_free(crypto);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_another_library),
		cmocka_unit_test(every_algorithm_both_ways),
		cmocka_unit_test(no_room_is_no_message),
		cmocka_unit_test(no_tampered_message_is_opened),
		cmocka_unit_test(padding_is_bounded),
		cmocka_unit_test(only_the_last_payload_of_this_message),
		cmocka_unit_test(payloads_before_it_are_covered),
		cmocka_unit_test(sealing_needs_an_sk_payload),
	};

	return cmocka_run_group_tests_name("sk_payload", tests, start, stop);
}
