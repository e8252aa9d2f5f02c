/* The anti-replay window against a model that remembers everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replay.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

static struct replay *window_new(uint32_t window)
{
	struct replay *r = malloc(sizeof(*r));
	replay_init(r, window, calloc(replay_words(window) + 1, sizeof(uint64_t)));
	return r;
}

static void window_free(struct replay *r)
{
	free(r->words);
	free(r);
}

#define MODEL_MAX 200000

static void run_model(uint32_t window, uint64_t base, unsigned spread)
{
	struct replay *r = window_new(window);
	uint8_t *seen = calloc(MODEL_MAX, 1);
	uint64_t top = 0, at = 1;
	for (unsigned i = 0; i < 60000; i++) {
		/* Mostly onwards, sometimes a jump, often back. */
		uint64_t step = random64() % 100;
		uint64_t seq = step < 60 ? at + 1 : step < 99 ? at - random64() % spread : at + random64() % spread;
		if (seq == 0 || seq > at + spread || seq >= MODEL_MAX)
			continue;
		bool expected = seq > top || (top - seq < window && !seen[seq]);
		assert_int_equal(replay_check(r, base + seq), expected);
		assert_int_equal(replay_accept(r, base + seq), expected);
		assert_false(replay_check(r, base + seq));
		if (expected) {
			seen[seq] = 1;
			if (seq > top)
				at = top = seq;
		}
	}
	assert_true(top > 10000);
	free(seen);
	window_free(r);
}

static void model_is_followed(void **state)
{
	static const uint32_t windows[] = {1, 31, 32, 63, 64, 65, 127, 128, 1000, 1024, 4095, 4096};
	(void)state;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		run_model(windows[i], 0, windows[i] * 2 + 3);
		run_model(windows[i], 0, 10000);
	}
}

static void jumps_forget_nothing_new(void **state)
{
	struct replay *r = window_new(128);
	(void)state;
	assert_false(replay_check(r, 0));
	for (uint64_t seq = 1; seq <= 300; seq++)
		assert_true(replay_accept(r, seq));
	assert_true(replay_accept(r, 1ull << 40));
	for (uint64_t back = 1; back < 128; back++)
		assert_true(replay_accept(r, (1ull << 40) - back));
	assert_false(replay_check(r, (1ull << 40) - 128));
	assert_false(replay_check(r, 200));
	window_free(r);
}

static void without_a_window_all_pass(void **state)
{
	struct replay *r = window_new(0);
	(void)state;
	assert_true(replay_accept(r, 5));
	assert_true(replay_accept(r, 5));
	assert_true(replay_accept(r, 2));
	assert_int_equal(r->top, 5);
	assert_false(replay_check(r, 0));
	window_free(r);
}

/* RFC 4303, appendix A2.2, over the turn of the low half. */
static void high_half_is_inferred(void **state)
{
	static const uint64_t tops[] = {1, 5, 127, 128, 4096, 0xfffffff0, 0xffffffff, 0x100000000, 0x100000005,
		0x10000007f, 0x100000080, 0x1ffffffff, 0x7654321000};
	static const uint32_t windows[] = {64, 128, 4096};
	(void)state;
	for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		for (size_t t = 0; t < sizeof(tops) / sizeof(tops[0]); t++) {
			struct replay *r = window_new(windows[w]);
			uint64_t top = tops[t];
			r->top = top;
			/* Everything within the window and up to 2^31 ahead comes out as it was. */
			for (int64_t d = -(int64_t)windows[w] + 1; d < 100000; d += d < 5000 ? 1 : 777) {
				uint64_t seq = top + (uint64_t)d, got = 0;
				if (d < 0 && (uint64_t)-d >= top)
					continue;
				assert_true(replay_infer_esn(r, (uint32_t)seq, &got));
				assert_int_equal(got, seq);
			}
			window_free(r);
		}
	}
}

static void nothing_before_the_beginning(void **state)
{
	struct replay *r = window_new(128);
	uint64_t seq;
	(void)state;
	r->top = 10;
	assert_false(replay_infer_esn(r, 0xfffffff0, &seq));
	assert_true(replay_infer_esn(r, 11, &seq));
	assert_int_equal(seq, 11);
	window_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_is_followed),
		cmocka_unit_test(jumps_forget_nothing_new),
		cmocka_unit_test(without_a_window_all_pass),
		cmocka_unit_test(high_half_is_inferred),
		cmocka_unit_test(nothing_before_the_beginning),
	};
	return cmocka_run_group_tests_name("dataplane replay", tests, NULL, NULL);
}
