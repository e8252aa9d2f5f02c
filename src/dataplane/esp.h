/* ESP's cryptography on plain buffers, in bursts (RFC 4303; RFC 4106, RFC 7634, RFC 3602, RFC
 * 4868), by intel-ipsec-mb. Knows no packet buffers and no SA: esp_in.c and esp_out.c build on it.
 */
#ifndef DATAPLANE_ESP_H
#define DATAPLANE_ESP_H

#include "transform.h"

#include <intel-ipsec-mb.h>

#define ESP_HEADER_LEN  8
#define ESP_TRAILER_LEN 2
#define ESP_ICV_MAX     32
#define ESP_BURST_MAX   64
#define ESP_RANDOM_LEN  4096

/* Expanded keys; wiped by whoever frees them. */
union esp_keys {
	struct gcm_key_data gcm;
	struct {
		uint32_t encrypt[15 * 4], decrypt[15 * 4];
		uint8_t inner[64],
			outer[64]; /* HMAC's state behind its padded key (RFC 2104, section 4) */
	} cbc;
	struct {
		uint8_t key[32];
		uint8_t behind[16]; /* the library's AVX2 code reads so far */
	} chacha;
};

struct esp_context {
	struct esp_transform transform;
	uint32_t spi; /* host order */
	bool esn;
	uint8_t salt[4];
	union esp_keys *keys;
};

/* One per packet thread: the library's manager and random bytes for IVs. */
struct esp_engine {
	IMB_MGR *mgr;
	unsigned random_left;
	uint8_t random[ESP_RANDOM_LEN];
};

bool esp_engine_init(struct esp_engine *engine);
void esp_engine_end(struct esp_engine *engine);

/* Any multiple of 64; what the transform's keys take out of union esp_keys. */
size_t esp_keys_size(const struct esp_transform *transform);
/* Expands the keys into context->keys (64-byte aligned, esp_keys_size bytes). `encr_key` holds the
 * salt at its end. */
void esp_keys_expand(struct esp_engine *engine, struct esp_context *context,
	const uint8_t *encr_key, const uint8_t *integ_key);

/* One packet of a burst. */
struct esp_op {
	const struct esp_context *context;
	uint8_t *esp; /* the ESP header */
	uint32_t len; /* from the header to the end of the ICV */
	uint64_t seq; /* all of it, also where only the low half is sent */
	bool ok;      /* esp_open_burst: authentic, and decrypted in place */
	/* The engine's own. */
	uint8_t iv[16], aad[16], received[ESP_ICV_MAX];
	uint8_t icv[64];
};

/* Writes header, IV and ICV around a payload that already ends with padding and trailer,
 * and encrypts it. Lengths are right by construction. `count` up to ESP_BURST_MAX. */
void esp_seal_burst(struct esp_engine *engine, struct esp_op *ops, unsigned count);
/* Can a packet of `len` bytes be one of this transform? Must be asked before esp_open_burst. */
bool esp_len_possible(const struct esp_transform *transform, size_t len);
void esp_open_burst(struct esp_engine *engine, struct esp_op *ops, unsigned count);

static inline uint8_t *esp_payload(const struct esp_op *op)
{
	return op->esp + ESP_HEADER_LEN + op->context->transform.iv_len;
}
/* Payload, padding and trailer. */
static inline uint32_t esp_payload_len(const struct esp_op *op)
{
	return op->len - esp_overhead(&op->context->transform);
}

#endif
