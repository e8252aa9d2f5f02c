#include "config/control_message.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static char error[256];

static uint8_t *encode_sample(size_t *len)
{
	char command[] = "add";
	struct control_request request = {.command = command};
	assert_true(keyvalues_set(&request.arguments, "name", "west-east"));
	assert_true(keyvalues_set(&request.arguments, "asynchronous", ""));
	assert_true(keyvalues_set(&request.connection, "left", "192.0.2.1"));
	assert_true(keyvalues_set(&request.connection, "leftid", "C=CA, O=\xc3\xa4"));
	uint8_t *message = control_request_encode(&request, len);
	keyvalues_release(&request.arguments);
	keyvalues_release(&request.connection);
	assert_non_null(message);
	return message;
}

static bool decode(const void *message, size_t len)
{
	struct control_request out;
	/* In memory of exactly this length, so that a sanitizer sees a step over the end. */
	uint8_t *copy = malloc(len + 1);
	assert_non_null(copy);
	memcpy(copy + 1, message, len);
	error[0] = '\0';
	bool ok = control_request_decode(bytes_of(copy + 1, len), &out, error, sizeof(error));
	free(copy);
	if (ok) {
		assert_non_null(out.command);
		control_request_release(&out);
	} else {
		assert_string_not_equal(error, "");
	}
	return ok;
}

static void there_and_back(void **state)
{
	(void)state;
	size_t len;
	struct control_request out;
	uint8_t *message = encode_sample(&len);
	assert_int_equal(control_request_length(bytes_of(message, 12), error, sizeof(error)), len);
	assert_true(control_request_decode(bytes_of(message, len), &out, error, sizeof(error)));
	free(message);
	assert_string_equal(out.command, "add");
	assert_int_equal(out.arguments.count, 2);
	assert_string_equal(keyvalues_get(&out.arguments, "name"), "west-east");
	assert_string_equal(keyvalues_get(&out.arguments, "asynchronous"), "");
	assert_int_equal(out.connection.count, 2);
	assert_string_equal(keyvalues_get(&out.connection, "leftid"), "C=CA, O=\xc3\xa4");
	control_request_release(&out);
}

static void truncated(void **state)
{
	(void)state;
	size_t len;
	uint8_t *message = encode_sample(&len);
	for (size_t cut = 0; cut < len; cut++) {
		assert_false(decode(message, cut));
		/* With the length set right, the fields end too early; a whole number of fields is
		 * a whole message. */
		message[8] = message[9] = 0;
		message[10] = (uint8_t)(cut >> 8);
		message[11] = (uint8_t)cut;
		decode(message, cut);
		message[10] = (uint8_t)(len >> 8);
		message[11] = (uint8_t)len;
	}
	assert_true(decode(message, len));
	free(message);
}

static void mutated(void **state)
{
	(void)state;
	size_t len;
	uint8_t *message = encode_sample(&len);
	for (size_t at = 0; at < len; at++) {
		uint8_t old = message[at];
		for (unsigned v = 0; v < 256; v++) {
			message[at] = (uint8_t)v;
			decode(message, len);
		}
		message[at] = old;
	}
	assert_true(decode(message, len));
	free(message);
}

static void wrong_headers(void **state)
{
	(void)state;
	static const uint8_t old[12] = {0, 1, 2, 3, 0, 1, 0, 0, 0, 0, 0, 20};
	static const uint8_t empty[12] = {0x70, 0x6c, 0x75, 0x34, 0, 1, 0, 0, 0, 0, 0, 12};
	static const uint8_t tiny[12] = {0x70, 0x6c, 0x75, 0x34, 0, 1, 0, 0, 0, 0, 0, 11};
	static const uint8_t huge[12] = {
		0x70, 0x6c, 0x75, 0x34, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff};
	assert_int_equal(control_request_length(bytes_of(old, 12), error, sizeof(error)), 0);
	assert_non_null(strstr(error, "magic 00010203"));
	assert_int_equal(control_request_length(bytes_of(old, 11), error, sizeof(error)), 0);
	assert_int_equal(control_request_length(bytes_of(tiny, 12), error, sizeof(error)), 0);
	assert_int_equal(control_request_length(bytes_of(huge, 12), error, sizeof(error)), 0);
	assert_non_null(strstr(error, "4294967295 bytes"));
	assert_int_equal(control_request_length(bytes_of(empty, 12), error, sizeof(error)), 12);
	assert_false(decode(empty, 12));
	assert_non_null(strstr(error, "no command"));
}

/* A message of one command "x" and one field. */
static bool decode_field(
	uint16_t tag, const char *key, const char *value, size_t value_len, int times)
{
	uint8_t message[512];
	struct writer w = writer_of(message, sizeof(message));
	write_u32(&w, CONTROL_MAGIC);
	write_u32(&w, 0x00070000);
	write_u32(&w, 0);
	write_u16(&w, 1);
	write_u16(&w, 0);
	write_u32(&w, 1);
	write_u8(&w, 'x');
	for (int i = 0; i < times; i++) {
		write_u16(&w, tag);
		write_u16(&w, (uint16_t)strlen(key));
		write_u32(&w, (uint32_t)value_len);
		write_copy(&w, key, strlen(key));
		write_copy(&w, value, value_len);
	}
	patch_u32(&w, 8, (uint32_t)writer_len(&w));
	assert_false(w.failed);
	return decode(message, writer_len(&w));
}

static void fields(void **state)
{
	(void)state;
	assert_true(decode_field(2, "name", "a b\tc", 5, 1));
	assert_true(decode_field(77, "from the future\n", "\0\1", 2, 3));
	assert_false(decode_field(2, "name", "a", 1, 2));
	assert_non_null(strstr(error, "name: given twice"));
	assert_false(decode_field(2, "name", "a\nb", 3, 1));
	assert_non_null(strstr(error, "name: the value has a control character"));
	assert_false(decode_field(3, "left", "a\0b", 3, 1));
	assert_false(decode_field(2, "na me", "a", 1, 1));
	assert_false(decode_field(2, "", "a", 1, 1));
	assert_false(decode_field(1, "", "y", 1, 1));
	assert_non_null(strstr(error, "one command"));
	char long_key[66];
	memset(long_key, 'k', 65);
	long_key[65] = '\0';
	assert_false(decode_field(2, long_key, "a", 1, 1));
	assert_true(decode_field(2, long_key + 1, "a", 1, 1));
}

static void too_long(void **state)
{
	(void)state;
	char command[] = "add";
	struct control_request request = {.command = command};
	size_t len, size = CONTROL_REQUEST_MAX - 12 - 11 - 8 - 1;
	char *value = malloc(size + 2);
	assert_non_null(value);
	memset(value, 'a', size + 1);
	value[size] = '\0';
	assert_true(keyvalues_set(&request.arguments, "k", value));
	uint8_t *message = control_request_encode(&request, &len);
	assert_non_null(message);
	assert_int_equal(len, CONTROL_REQUEST_MAX);
	assert_true(decode(message, len));
	free(message);
	keyvalues_release(&request.arguments);
	value[size] = 'a';
	value[size + 1] = '\0';
	assert_true(keyvalues_set(&request.arguments, "k", value));
	assert_null(control_request_encode(&request, &len));
	keyvalues_release(&request.arguments);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(truncated),
		cmocka_unit_test(mutated),
		cmocka_unit_test(wrong_headers),
		cmocka_unit_test(fields),
		cmocka_unit_test(too_long),
	};
	return cmocka_run_group_tests_name("control_message", tests, NULL, NULL);
}
