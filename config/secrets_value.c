#include "secrets_reading.h"

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Groups of bytes may be set apart by '_'. */
static bool parse_hex(struct bytes text, struct secret *value, const char **reason)
{
	struct writer w = writer_of(value->data, value->len);
	*reason = "the secret behind 0x is not made of pairs of hexadecimal digits";
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '_' && i > 0 && i + 1 < text.len && text.data[i - 1] != '_')
			continue;
		int high = hex_digit(text.data[i]);
		int low = i + 1 < text.len ? hex_digit(text.data[i + 1]) : -1;
		if (high < 0 || low < 0)
			return false;
		write_u8(&w, (uint8_t)(high << 4 | low));
		i++;
	}
	value->len = writer_len(&w);
	return true;
}

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool parse_base64(struct bytes text, struct secret *value, const char **reason)
{
	struct writer w = writer_of(value->data, value->len);
	uint32_t bits = 0;
	unsigned count = 0;
	*reason = "the secret behind 0s is not base64";
	size_t len = text.len;
	while (len > 0 && text.len - len < 2 && text.data[len - 1] == '=')
		len--;
	if (len % 4 == 1 || (len != text.len && text.len % 4 != 0))
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = base64_digit(text.data[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 8) {
			count -= 8;
			write_u8(&w, (uint8_t)(bits >> count));
			bits &= (1u << count) - 1;
		}
	}
	value->len = writer_len(&w);
	return bits == 0; /* what is left over carries nothing */
}

static bool parse_text(struct bytes text, struct secret *value)
{
	struct writer w = writer_of(value->data, value->len);
	write_bytes(&w, text);
	return !w.failed;
}

bool secret_value_parse(struct secret_word word, struct secret *value, const char **reason)
{
	struct bytes text = word.text;
	uint8_t form = 't';
	if (!word.quoted) {
		*reason = "the secret must stand in double quotes or begin with 0x, 0s or 0t";
		if (text.len < 2 || text.data[0] != '0')
			return false;
		form = text.data[1] | 0x20;
		text = bytes_of(text.data + 2, text.len - 2);
	}
	/* No form makes more bytes than it has characters. */
	size_t room = text.len;
	*reason = room == 0 ? "the secret is empty" : "out of memory";
	if (room == 0 || !secret_new(value, room))
		return false;
	bool ok = false;
	if (form == 't')
		ok = parse_text(text, value);
	else if (form == 'x')
		ok = parse_hex(text, value, reason);
	else if (form == 's')
		ok = parse_base64(text, value, reason);
	else
		*reason = "the secret must stand in double quotes or begin with 0x, 0s or 0t";
	if (!ok || value->len == 0) {
		/* The whole buffer is to be wiped, whatever length was decoded. */
		value->len = room;
		secret_release(value);
		return false;
	}
	return true;
}
