/* What the tests of public-key jobs share. */
#ifndef JOB_TEST_H
#define JOB_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/job.h"
#include "key_exchange.h"

static const uint16_t all_groups[] = {KE_MODP1024, KE_MODP1536, KE_MODP2048, KE_MODP3072,
	KE_MODP4096, KE_MODP6144, KE_MODP8192, KE_ECP_256, KE_ECP_384, KE_ECP_521, KE_MODP1024_160,
	KE_MODP2048_224, KE_MODP2048_256, KE_CURVE25519};
enum { ALL_GROUPS = sizeof(all_groups) / sizeof(all_groups[0]) };

struct value {
	uint8_t data[KE_PUBLIC_MAX];
	size_t len;
};

static inline struct bytes value_bytes(const struct value *v)
{
	return bytes_of(v->data, v->len);
}

static inline struct value from_hex(const char *hex)
{
	struct value v = {.len = strlen(hex) / 2};

	assert_int_equal(strlen(hex) % 2, 0);
	assert_true(v.len <= sizeof(v.data));
	for (size_t i = 0; i < v.len; i++) {
		char digits[3] = {hex[2 * i], hex[2 * i + 1], 0}, *end;

		v.data[i] = (uint8_t)strtoul(digits, &end, 16);
		assert_ptr_equal(end, digits + 2);
	}
	return v;
}

static inline const struct algorithm *group_of(uint16_t id)
{
	const struct algorithm *group = algorithm_by_id(TRANSFORM_KE, id);

	assert_non_null(group);
	return group;
}

/* A DERIVE job with a private key that the test chose. */
static inline struct crypto_job *derive_job(
	uint16_t id, struct bytes private_key, struct bytes peer)
{
	struct crypto_job *job = crypto_job_new(CRYPTO_KE_DERIVE, group_of(id), peer);

	assert_non_null(job);
	assert_true(secret_copy(&job->private_key, private_key));
	return job;
}

static inline bool all_zero(const uint8_t *data, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= data[i];
	return any == 0;
}

#endif
