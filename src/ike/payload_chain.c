/* The chain of payloads behind an IKE header or inside an SK payload (RFC 7296, section 3.2). */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GENERIC_HEADER_LEN 4

__attribute__((format(printf, 4, 5))) static enum chain_result chain_error(
	enum chain_result result, char *error, size_t error_size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, error_size, format, args);
	va_end(args);
	return result;
}

enum chain_result payload_chain_decode(uint8_t first, struct bytes bytes, struct payload_list *list,
	char *error, size_t error_size)
{
	struct reader r = reader_of(bytes);
	uint8_t type = first;
	char name[8];

	list->count = 0;
	list->after = first;
	while (type != PAYLOAD_NONE) {
		if (list->count == IKE_PAYLOADS_MAX)
			return chain_error(CHAIN_TOO_MANY, error, error_size,
				"more than %u payloads", IKE_PAYLOADS_MAX);
		uint8_t next = read_u8(&r);
		bool critical = (read_u8(&r) & 0x80) != 0;
		uint16_t length = read_u16(&r);
		if (r.failed)
			return chain_error(CHAIN_MALFORMED, error, error_size,
				"message ends where payload %u (%s) should begin", list->count + 1,
				payload_type_name(type, name));
		if (length < GENERIC_HEADER_LEN || length > reader_left(&r) + GENERIC_HEADER_LEN)
			return chain_error(CHAIN_MALFORMED, error, error_size,
				"payload %u (%s) has length %u, but %zu bytes are left",
				list->count + 1, payload_type_name(type, name), length,
				reader_left(&r) + GENERIC_HEADER_LEN);
		list->payloads[list->count++] = (struct payload){
			.type = type,
			.critical = critical,
			.body = read_bytes(&r, length - GENERIC_HEADER_LEN),
		};
		list->after = next;
		if (type == PAYLOAD_SK || type == PAYLOAD_SKF)
			break;
		type = next;
	}
	if (reader_left(&r) > 0)
		return chain_error(CHAIN_MALFORMED, error, error_size,
			"%zu bytes behind the last payload", reader_left(&r));
	return CHAIN_OK;
}

const struct payload *payload_find(const struct payload_list *list, uint8_t type)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->payloads[i].type == type)
			return &list->payloads[i];
	return NULL;
}

unsigned payload_count(const struct payload_list *list, uint8_t type)
{
	unsigned count = 0;

	for (unsigned i = 0; i < list->count; i++)
		count += list->payloads[i].type == type;
	return count;
}

static const char *known_type_name(uint8_t type)
{
	static const char *const names[] = {"SA", "KE", "IDi", "IDr", "CERT", "CERTREQ", "AUTH",
		"Ni", "N", "D", "V", "TSi", "TSr", "SK", "CP", "EAP"};

	if (type >= PAYLOAD_SA && type <= PAYLOAD_EAP)
		return names[type - PAYLOAD_SA];
	return type == PAYLOAD_SKF ? "SKF" : NULL;
}

const struct payload *payload_unknown_critical(const struct payload_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->payloads[i].critical && known_type_name(list->payloads[i].type) == NULL)
			return &list->payloads[i];
	return NULL;
}

const char *payload_type_name(uint8_t type, char out[8])
{
	const char *name = known_type_name(type);

	if (name != NULL)
		snprintf(out, 8, "%s", name);
	else
		snprintf(out, 8, "%u?", type);
	return out;
}

static void payload_text(const struct payload *payload, char *out, size_t size)
{
	struct notify notify;
	char name[8];

	if (payload->type != PAYLOAD_NOTIFY || !notify_payload_decode(payload->body, &notify))
		snprintf(out, size, "%s", payload_type_name(payload->type, name));
	else if (notify_name(notify.type) != NULL)
		snprintf(out, size, "N(%s)", notify_name(notify.type));
	else
		snprintf(out, size, "N(%u)", notify.type);
}

const char *payload_list_text(const struct payload_list *list, char *out, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return out;
	out[0] = '\0';
	for (unsigned i = 0; i < list->count; i++) {
		char text[64];
		payload_text(&list->payloads[i], text, sizeof(text));
		int n = snprintf(out + used, size - used, "%s%s", i > 0 ? "," : "", text);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	return out;
}
