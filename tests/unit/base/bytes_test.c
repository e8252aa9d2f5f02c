#include "unit.h"

#include <string.h>

#include "base/bytes.h"

static const uint8_t sample[] = {
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};

static void reads_network_order(void **state)
{
	struct reader r = reader_of(bytes_of(sample, sizeof(sample)));

	(void)state;
	assert_int_equal(read_u8(&r), 0x01);
	assert_int_equal(read_u16(&r), 0x0203);
	assert_int_equal(read_u32(&r), 0x04050607);
	assert_true(read_u64(&r) == 0x08090a0b0c0d0e0full);
	assert_true(reader_done(&r));
	assert_int_equal(reader_left(&r), 0);
}

static void high_bits_survive(void **state)
{
	static const uint8_t ones[8] = {0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8};
	struct reader r = reader_of(bytes_of(ones, 8));
	struct reader again = r;

	(void)state;
	assert_true(read_u64(&r) == 0xfffefdfcfbfaf9f8ull);
	assert_true(read_u32(&again) == 0xfffefdfcu);
	assert_true(read_u16(&again) == 0xfbfau);
}

static void failure_sticks(void **state)
{
	struct reader r = reader_of(bytes_of(sample, 3));
	uint8_t copy[2] = {0xaa, 0xaa};

	(void)state;
	assert_int_equal(read_u32(&r), 0);
	assert_true(r.failed);
	/* Three bytes would be there, but a parser that went wrong must not go on. */
	assert_int_equal(read_u8(&r), 0);
	assert_int_equal(read_u16(&r), 0);
	assert_true(read_u64(&r) == 0);
	assert_int_equal(reader_left(&r), 0);
	assert_int_equal(read_bytes(&r, 1).len, 0);
	assert_int_equal(read_rest(&r).len, 0);
	read_copy(&r, copy, 2);
	assert_int_equal(copy[0] | copy[1], 0);
	assert_false(reader_done(&r));
}

static void slices_and_skips(void **state)
{
	struct reader r = reader_of(bytes_of(sample, sizeof(sample)));
	struct bytes b;
	uint8_t copy[3];

	(void)state;
	read_skip(&r, 2);
	b = read_bytes(&r, 3);
	assert_ptr_equal(b.data, sample + 2);
	assert_int_equal(b.len, 3);
	read_copy(&r, copy, 3);
	assert_memory_equal(copy, sample + 5, 3);
	assert_int_equal(read_bytes(&r, 0).len, 0);
	assert_false(r.failed);
	assert_false(reader_done(&r));
	b = read_rest(&r);
	assert_ptr_equal(b.data, sample + 8);
	assert_int_equal(b.len, sizeof(sample) - 8);
	assert_true(reader_done(&r));
	read_skip(&r, 0);
	assert_true(reader_done(&r));
	read_skip(&r, 1);
	assert_true(r.failed);
}

static void huge_lengths_fail(void **state)
{
	static const size_t lengths[] = {16, 1u << 31, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct reader r = reader_of(bytes_of(sample, sizeof(sample)));
		struct writer w;
		uint8_t out[8];

		read_u8(&r);
		assert_int_equal(read_bytes(&r, lengths[i]).len, 0);
		assert_true(r.failed);
		w = writer_of(out, sizeof(out));
		write_u8(&w, 1);
		assert_null(write_space(&w, lengths[i]));
		assert_true(w.failed);
		assert_int_equal(writer_len(&w), 1);
	}
}

static void sub_readers(void **state)
{
	struct reader r = reader_of(bytes_of(sample, sizeof(sample)));
	struct reader sub = read_sub(&r, 4);

	(void)state;
	assert_int_equal(read_u32(&sub), 0x01020304);
	assert_true(reader_done(&sub));
	assert_int_equal(read_u8(&r), 5);
	/* A failure inside stays inside. */
	assert_int_equal(read_u8(&sub), 0);
	assert_true(sub.failed);
	assert_false(r.failed);
	sub = read_sub(&r, 100);
	assert_true(sub.failed);
	assert_true(r.failed);
	assert_false(reader_done(&sub));
	/* ... and nobody gets a good reader out of a failed one. */
	sub = read_sub(&r, 0);
	assert_true(sub.failed);
}

static void empty_ones(void **state)
{
	struct reader r = reader_of(bytes_of(NULL, 0));
	struct writer w = writer_of(NULL, 0);

	(void)state;
	assert_true(reader_done(&r));
	assert_int_equal(read_rest(&r).len, 0);
	assert_true(reader_done(&r));
	assert_int_equal(read_u8(&r), 0);
	assert_true(r.failed);
	write_bytes(&w, bytes_of(NULL, 0));
	write_zeros(&w, 0);
	assert_false(w.failed);
	write_u8(&w, 1);
	assert_true(w.failed);
	assert_int_equal(writer_bytes(&w).len, 0);
}

static void equality(void **state)
{
	(void)state;
	assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of(sample, 0)));
	assert_true(bytes_equal(bytes_of("abc", 3), bytes_of("abcd", 3)));
	assert_false(bytes_equal(bytes_of("abc", 3), bytes_of("abcd", 4)));
	assert_false(bytes_equal(bytes_of("abc", 3), bytes_of("abd", 3)));
}

static void writes_what_is_read(void **state)
{
	uint8_t buffer[64];
	struct writer w = writer_of(buffer, sizeof(buffer));
	struct reader r;
	uint8_t *space;

	(void)state;
	write_u8(&w, 0xfe);
	write_u16(&w, 0xfedc);
	write_u32(&w, 0xfedcba98);
	write_u64(&w, 0xfedcba9876543210ull);
	write_copy(&w, "copy", 4);
	write_bytes(&w, bytes_of("bytes", 5));
	write_zeros(&w, 2);
	space = write_space(&w, 2);
	assert_non_null(space);
	memcpy(space, "sp", 2);
	assert_false(w.failed);
	assert_int_equal(writer_len(&w), 28);

	r = reader_of(writer_bytes(&w));
	assert_int_equal(read_u8(&r), 0xfe);
	assert_int_equal(read_u16(&r), 0xfedc);
	assert_true(read_u32(&r) == 0xfedcba98);
	assert_true(read_u64(&r) == 0xfedcba9876543210ull);
	assert_true(bytes_equal(read_bytes(&r, 4), bytes_of("copy", 4)));
	assert_true(bytes_equal(read_bytes(&r, 5), bytes_of("bytes", 5)));
	assert_int_equal(read_u16(&r), 0);
	assert_true(bytes_equal(read_rest(&r), bytes_of("sp", 2)));
	assert_true(reader_done(&r));
}

static void full_writer_drops(void **state)
{
	uint8_t buffer[8] = {0, 0, 0, 0, 0xaa, 0xaa, 0xaa, 0xaa};
	struct writer w = writer_of(buffer, 4);

	(void)state;
	write_u16(&w, 0x0102);
	write_u32(&w, 0x03040506);
	assert_true(w.failed);
	/* Two bytes would have room, but the message would have a hole. */
	write_u8(&w, 7);
	write_u64(&w, 7);
	write_zeros(&w, 1);
	write_copy(&w, "x", 1);
	assert_int_equal(writer_len(&w), 2);
	assert_memory_equal(buffer, "\x01\x02\x00\x00\xaa\xaa\xaa\xaa", 8);
}

static void patches(void **state)
{
	uint8_t buffer[16];
	struct writer w = writer_of(buffer, sizeof(buffer));

	(void)state;
	write_zeros(&w, 8);
	patch_u8(&w, 0, 1);
	patch_u16(&w, 1, 0x0203);
	patch_u32(&w, 4, 0x05060708);
	assert_false(w.failed);
	assert_memory_equal(buffer, "\x01\x02\x03\x00\x05\x06\x07\x08", 8);
	assert_int_equal(writer_len(&w), 8);

	static const size_t beyond[] = {5, 8, 16, SIZE_MAX - 3, SIZE_MAX};
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		struct writer copy = w;

		patch_u32(&copy, beyond[i], 0xffffffff);
		assert_true(copy.failed);
		copy = w;
		patch_u8(&copy, beyond[i] + 3, 0xff);
		assert_int_equal(copy.failed, beyond[i] + 3 >= 8);
		buffer[0] = 1;
		buffer[1] = 2;
		buffer[2] = 3;
	}
	assert_memory_equal(buffer + 4, "\x05\x06\x07\x08", 4);
}

/* Any sequence of reads over any buffer gives the same as a plain index with a check. */
static void random_reads_match_a_model(void **state)
{
	uint64_t seed = 7;
	uint8_t data[40];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	for (int run = 0; run < 20000; run++) {
		size_t size = unit_random(&seed) % (sizeof(data) + 1), at = 0;
		struct reader r = reader_of(bytes_of(data, size));
		bool failed = false;

		for (int step = 0; step < 12; step++) {
			size_t width = (size_t)1 << unit_random(&seed) % 4;
			uint64_t want = 0, got = 0;

			if (failed || width > size - at) {
				failed = true;
			} else {
				for (size_t i = 0; i < width; i++)
					want = want << 8 | data[at + i];
				at += width;
			}
			switch (width) {
			case 1:
				got = read_u8(&r);
				break;
			case 2:
				got = read_u16(&r);
				break;
			case 4:
				got = read_u32(&r);
				break;
			default:
				got = read_u64(&r);
				break;
			}
			assert_true(got == want);
			assert_int_equal(r.failed, failed);
			assert_int_equal(reader_left(&r), failed ? 0 : size - at);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_network_order),
		cmocka_unit_test(high_bits_survive),
		cmocka_unit_test(failure_sticks),
		cmocka_unit_test(slices_and_skips),
		cmocka_unit_test(huge_lengths_fail),
		cmocka_unit_test(sub_readers),
		cmocka_unit_test(empty_ones),
		cmocka_unit_test(equality),
		cmocka_unit_test(writes_what_is_read),
		cmocka_unit_test(full_writer_drops),
		cmocka_unit_test(patches),
		cmocka_unit_test(random_reads_match_a_model),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
