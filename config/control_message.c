/* On the socket, in network order:
 *
 *     magic 32, version 16, reserved 16, length of the whole message 32
 *     fields: tag 16, length of the key 16, length of the value 32, key, value
 *
 * A receiver skips tags that it does not know; the version is there for people who read a trace. */
#include "config/control_message.h"

#include "base/secret.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION       1
#define HEADER_LEN    12
#define FIELD_LEN     8
#define NAME_LEN_MAX  64
#define KEYVALUES_MAX 1024

enum field_tag { FIELD_COMMAND = 1, FIELD_ARGUMENT = 2, FIELD_CONNECTION = 3 };

static bool fail(char *error, size_t error_size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail(char *error, size_t error_size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, error_size, format, args);
	va_end(args);
	return false;
}

/* ---- encoding ----------------------------------------------------------- */

static size_t keyvalues_size(const struct keyvalues *kv)
{
	size_t size = 0;
	for (size_t i = 0; i < kv->count; i++)
		size += FIELD_LEN + strlen(kv->items[i].key) + strlen(kv->items[i].value);
	return size;
}

static void write_field(struct writer *w, enum field_tag tag, const char *key, const char *value)
{
	size_t key_len = strlen(key), value_len = strlen(value);
	if (key_len > UINT16_MAX || value_len > CONTROL_REQUEST_MAX) {
		w->failed = true;
		return;
	}
	write_u16(w, (uint16_t)tag);
	write_u16(w, (uint16_t)key_len);
	write_u32(w, (uint32_t)value_len);
	write_copy(w, key, key_len);
	write_copy(w, value, value_len);
}

static void write_keyvalues(struct writer *w, enum field_tag tag, const struct keyvalues *kv)
{
	for (size_t i = 0; i < kv->count; i++)
		write_field(w, tag, kv->items[i].key, kv->items[i].value);
}

uint8_t *control_request_encode(const struct control_request *request, size_t *len)
{
	size_t size = HEADER_LEN + FIELD_LEN + strlen(request->command) +
		      keyvalues_size(&request->arguments) + keyvalues_size(&request->connection);
	uint8_t *message = size <= CONTROL_REQUEST_MAX ? malloc(size) : NULL;
	if (message == NULL)
		return NULL;
	struct writer w = writer_of(message, size);
	write_u32(&w, CONTROL_MAGIC);
	write_u16(&w, VERSION);
	write_u16(&w, 0);
	write_u32(&w, (uint32_t)size);
	write_field(&w, FIELD_COMMAND, "", request->command);
	write_keyvalues(&w, FIELD_ARGUMENT, &request->arguments);
	write_keyvalues(&w, FIELD_CONNECTION, &request->connection);
	if (w.failed) {
		secret_wipe(message, size);
		free(message);
		return NULL;
	}
	*len = size;
	return message;
}

/* ---- decoding ----------------------------------------------------------- */

size_t control_request_length(struct bytes start, char *error, size_t error_size)
{
	struct reader r = reader_of(start);
	uint32_t magic = read_u32(&r);
	read_skip(&r, 4);
	uint32_t length = read_u32(&r);
	if (r.failed)
		return fail(error, error_size, "the request ends within its header");
	if (magic != CONTROL_MAGIC) {
		return fail(error, error_size,
			"not a request of this whack (magic %08x instead of %08x): "
			"whack and pluto are of different builds",
			magic, CONTROL_MAGIC);
	}
	if (length < HEADER_LEN || length > CONTROL_REQUEST_MAX) {
		return fail(error, error_size, "a request of %u bytes; it may have %d to %d",
			length, HEADER_LEN, CONTROL_REQUEST_MAX);
	}
	return length;
}

/* Names are words: they are shown and compared, and must not bring anything else along. */
static bool is_name(struct bytes word)
{
	for (size_t i = 0; i < word.len; i++) {
		uint8_t c = word.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
			return false;
	}
	return word.len > 0 && word.len <= NAME_LEN_MAX;
}

static bool is_text(struct bytes value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f)
			return false;
	return true;
}

/* The strings' own copy is wiped: a value may be a password. */
static bool add_keyvalue(
	struct keyvalues *kv, struct bytes key, struct bytes value, char *error, size_t error_size)
{
	if (!is_name(key))
		return fail(error, error_size, "a keyword that is not a word in the request");
	if (!is_text(value)) {
		return fail(error, error_size, "%.*s: the value has a control character",
			(int)key.len, (const char *)key.data);
	}
	if (kv->count == KEYVALUES_MAX) {
		return fail(
			error, error_size, "more than %d keywords in the request", KEYVALUES_MAX);
	}
	char name[NAME_LEN_MAX + 1] = {0};
	memcpy(name, key.data, key.len);
	char *text = value.len > 0 ? strndup((const char *)value.data, value.len) : strdup("");
	bool ok = text != NULL && keyvalues_set(kv, name, text);
	if (!ok && text != NULL && errno == EEXIST)
		fail(error, error_size, "%s: given twice in the request", name);
	else if (!ok)
		fail(error, error_size, "out of memory");
	if (text != NULL)
		secret_wipe(text, value.len);
	free(text);
	return ok;
}

static bool set_command(
	struct control_request *out, struct bytes value, char *error, size_t error_size)
{
	if (out->command != NULL || !is_name(value))
		return fail(error, error_size, "the request needs one command, and it is a word");
	out->command = strndup((const char *)value.data, value.len);
	return out->command != NULL || fail(error, error_size, "out of memory");
}

static bool decode_field(
	struct reader *r, struct control_request *out, char *error, size_t error_size)
{
	uint16_t tag = read_u16(r), key_len = read_u16(r);
	uint32_t value_len = read_u32(r);
	struct bytes key = read_bytes(r, key_len), value = read_bytes(r, value_len);
	if (r->failed)
		return fail(error, error_size, "the request ends within a field");
	switch (tag) {
	case FIELD_COMMAND:
		return set_command(out, value, error, error_size);
	case FIELD_ARGUMENT:
		return add_keyvalue(&out->arguments, key, value, error, error_size);
	case FIELD_CONNECTION:
		return add_keyvalue(&out->connection, key, value, error, error_size);
	default:
		return true;
	}
}

static bool decode_fields(
	struct reader *r, struct control_request *out, char *error, size_t error_size)
{
	while (reader_left(r) > 0)
		if (!decode_field(r, out, error, error_size))
			return false;
	return out->command != NULL || fail(error, error_size, "the request has no command");
}

bool control_request_decode(
	struct bytes message, struct control_request *out, char *error, size_t error_size)
{
	*out = (struct control_request){0};
	size_t length = control_request_length(message, error, error_size);
	if (length == 0)
		return false;
	if (length != message.len) {
		return fail(error, error_size,
			"%zu bytes instead of the %zu that the request tells", message.len, length);
	}
	struct reader r = reader_of(message);
	read_skip(&r, HEADER_LEN);
	if (!decode_fields(&r, out, error, error_size)) {
		control_request_release(out);
		return false;
	}
	return true;
}

void control_request_release(struct control_request *request)
{
	free(request->command);
	keyvalues_release(&request->arguments);
	keyvalues_release(&request->connection);
	*request = (struct control_request){0};
}
