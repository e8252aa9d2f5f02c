/* The ESP transforms that the dataplane runs. Constant data. */
#ifndef DATAPLANE_TRANSFORM_H
#define DATAPLANE_TRANSFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum esp_kind {
	ESP_GCM,         /* RFC 4106 */
	ESP_CHACHA_POLY, /* RFC 7634 */
	ESP_CBC_HMAC,    /* RFC 3602 with RFC 2404 or RFC 4868 */
	ESP_NULL_HMAC,   /* RFC 2410 likewise */
};

struct esp_transform {
	enum esp_kind kind;
	uint16_t integ;  /* IANA number, 0 for AEAD */
	uint8_t key_len; /* bytes, without salt */
	uint8_t salt_len;
	uint8_t integ_key_len;
	uint8_t iv_len, icv_len;
	uint8_t align; /* of payload, padding and trailer together (RFC 4303, section 2.4) */
};

/* IANA numbers; `key_len` without salt. False: not run here. */
bool esp_transform_find(uint16_t encr, unsigned key_len, uint16_t integ, struct esp_transform *out);
/* The ESP header, IV and ICV around the payload. */
static inline unsigned esp_overhead(const struct esp_transform *transform)
{
	return 8u + transform->iv_len + transform->icv_len;
}

#endif
