#include "symmetric_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, c);

	assert_non_null(at);
	assert_int_not_equal(c, '\0');
	return (unsigned)(at - digits);
}

void vector_read(const char *text, struct vector *vector)
{
	const char *times = strchr(text, '*');
	size_t len = strlen(text);

	if (text[0] == '\'') {
		vector->len = len - 1;
		memcpy(vector->data, text + 1, vector->len);
		return;
	}
	if (times) {
		vector->len = strtoul(times + 1, NULL, 10);
		assert_in_range(vector->len, 0, VECTOR_MAX);
		memset(vector->data, (int)(hex_digit(text[0]) << 4 | hex_digit(text[1])),
			vector->len);
		return;
	}
	assert_int_equal(len % 2, 0);
	vector->len = len / 2;
	assert_in_range(vector->len, 0, VECTOR_MAX);
	for (size_t i = 0; i < vector->len; i++)
		vector->data[i] =
			(uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
}

static void run_with(
	void (*run)(struct crypto_context *context), void (*init)(IMB_MGR *), uint64_t flags)
{
	struct crypto_context *context = context_new_with(init, flags);

	assert_non_null(context);
	run(context);
	crypto_context_free(context);
}

static bool cpu_has(uint64_t features)
{
	return (imb_get_feature_flags() & features) == features;
}

void for_each_context(void (*run)(struct crypto_context *context))
{
	struct crypto_context *context = crypto_context_new();

	assert_non_null(context);
	run(context);
	crypto_context_free(context);
	run_with(run, init_mb_mgr_sse, 0);
	run_with(run, init_mb_mgr_sse, IMB_FLAG_SHANI_OFF | IMB_FLAG_GFNI_OFF);
	if (cpu_has(IMB_CPUFLAGS_AVX))
		run_with(run, init_mb_mgr_avx, 0);
	if (cpu_has(IMB_CPUFLAGS_AVX2))
		run_with(run, init_mb_mgr_avx2, IMB_FLAG_SHANI_OFF);
	if (cpu_has(IMB_CPUFLAGS_AVX512))
		run_with(run, init_mb_mgr_avx512, IMB_FLAG_GFNI_OFF);
}

const struct algorithm *known(enum transform_type type, uint16_t id)
{
	const struct algorithm *alg = algorithm_by_id(type, id);

	assert_non_null(alg);
	return alg;
}

static uint64_t random_state = 20240229;

/* splitmix64 */
static uint64_t random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t random_below(uint32_t limit)
{
	return (uint32_t)(random_u64() % limit);
}

void random_fill(void *data, size_t len)
{
	uint8_t *to = data;

	while (len > 0) {
		uint64_t word = random_u64();
		size_t take = len < sizeof(word) ? len : sizeof(word);

		memcpy(to, &word, take);
		to += take;
		len -= take;
	}
}

size_t random_parts(const uint8_t *data, size_t len, struct bytes *parts, size_t max)
{
	size_t count = random_below((uint32_t)max + 1);
	size_t at = 0;

	if (count == 0 && len == 0)
		return 0;
	if (count == 0)
		count = 1;
	for (size_t i = 0; i < count; i++) {
		size_t take = random_below((uint32_t)(len - at) + 1);

		if (i == count - 1)
			take = len - at;
		/* An empty part may come without memory. */
		parts[i] = bytes_of(take > 0 ? data + at : NULL, take);
		at += take;
	}
	return count;
}

bool all_zero(const void *data, size_t len)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < len; i++) {
		if (at[i] != 0)
			return false;
	}
	return true;
}
