/* Identities as people write and read them. */
#include "ike/identity.h"

#include "crypto/distinguished_name.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define QUOTED_MAX 80

/* ---- reading ---------------------------------------------------------------- */

struct id_parser {
	const char *text;
	char *error;
	size_t error_size;
};

static bool printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

static struct identity *refuse(const struct id_parser *p, const char *why)
{
	char quoted[QUOTED_MAX];
	size_t n = 0;

	for (; p->text[n] != '\0' && n < sizeof(quoted) - 1; n++)
		quoted[n] = printable((uint8_t)p->text[n]) ? p->text[n] : '?';
	quoted[n] = '\0';
	snprintf(p->error, p->error_size, "identity '%s'%s: %s", quoted,
		p->text[n] != '\0' ? " (cut)" : "", why);
	return NULL;
}

static struct identity *make(
	const struct id_parser *p, enum identity_kind kind, const void *data, size_t len)
{
	struct identity *id;

	if (len > IDENTITY_LEN_MAX)
		return refuse(p, "too long");
	id = identity_new(kind, bytes_of(data, len));
	return id != NULL ? id : refuse(p, "out of memory");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct identity *parse_hex(
	const struct id_parser *p, enum identity_kind kind, const char *hex)
{
	uint8_t data[IDENTITY_LEN_MAX];
	size_t len = 0;

	if (strncasecmp(hex, "0x", 2) == 0)
		hex += 2;
	if (*hex == '\0')
		return refuse(p, "hexadecimal digits are missing");
	for (; hex[0] != '\0'; hex += 2) {
		int high = hex_digit(hex[0]);
		int low = high < 0 ? -1 : hex_digit(hex[1]);
		if (low < 0)
			return refuse(p, "not an even number of hexadecimal digits");
		if (len == sizeof(data))
			return refuse(p, "too long");
		data[len++] = (uint8_t)(high << 4 | low);
	}
	return make(p, kind, data, len);
}

static struct identity *parse_key_id(const struct id_parser *p, const char *inner)
{
	size_t len = strlen(inner);

	if (len < 2 || inner[len - 1] != ']')
		return refuse(p, "'@[' needs a key id and a closing ']'");
	return make(p, ID_KEY_ID, inner, len - 1);
}

static struct identity *parse_name(
	const struct id_parser *p, enum identity_kind kind, const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!printable((uint8_t)*c) || *c == ' ')
			return refuse(p, "a name has no blanks or unprintable characters");
	if (*name == '\0')
		return refuse(p, "the name is empty");
	return make(p, kind, name, strlen(name));
}

static struct identity *parse_mail(const struct id_parser *p, const char *name)
{
	const char *at = strchr(name, '@');

	if (at == name || at == NULL || at[1] == '\0' || strchr(at + 1, '@') != NULL)
		return refuse(p, "not of the form user@domain");
	return parse_name(p, ID_RFC822_ADDR, name);
}

static struct identity *parse_distinguished_name(const struct id_parser *p, const char *text)
{
	uint8_t der[DN_LEN_MAX];
	char why[160];
	size_t len = dn_of_text(text, der, why, sizeof(why));

	return len ? make(p, ID_DER_ASN1_DN, der, len) : refuse(p, why);
}

static struct identity *parse_special(const struct id_parser *p)
{
	if (strcasecmp(p->text, "%any") == 0 || strcasecmp(p->text, "%any6") == 0)
		return make(p, ID_ANY, NULL, 0);
	if (strcasecmp(p->text, "%null") == 0)
		return make(p, ID_NULL, NULL, 0);
	return refuse(p, "of the '%' forms only %any and %null are known");
}

static struct identity *parse_bare(const struct id_parser *p)
{
	struct ip_address address;
	struct identity *id;

	if (ip_parse(p->text, &address)) {
		/* 0.0.0.0 and :: are old spellings of %any. */
		id = ip_is_any(&address) ? identity_new(ID_ANY, (struct bytes){0})
					 : identity_of_address(&address);
		return id != NULL ? id : refuse(p, "out of memory");
	}
	if (strchr(p->text, '=') != NULL)
		return parse_distinguished_name(p, p->text);
	if (strchr(p->text, '@') != NULL)
		return parse_mail(p, p->text);
	if (strchr(p->text, ':') != NULL)
		return refuse(p, "not an IPv6 address");
	if (p->text[0] != '\0' && p->text[strspn(p->text, "0123456789.")] == '\0')
		return refuse(p, "not an IPv4 address");
	return parse_name(p, ID_FQDN, p->text);
}

struct identity *identity_parse(const char *text, char *error, size_t error_size)
{
	struct id_parser p = {.text = text, .error = error, .error_size = error_size};

	if (text[0] == '%')
		return parse_special(&p);
	if (text[0] != '@')
		return parse_bare(&p);
	switch (text[1]) {
	case '[':
		return parse_key_id(&p, text + 2);
	case '#':
		return parse_hex(&p, ID_KEY_ID, text + 2);
	case '~':
		return parse_hex(&p, ID_DER_ASN1_DN, text + 2);
	default:
		/* "@user@fqdn" is a mail address written carefully. */
		if (strchr(text + 1, '@') != NULL)
			return parse_mail(&p, text + 1);
		return parse_name(&p, ID_FQDN, text + 1);
	}
}

/* ---- writing ---------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool append(
	char *out, size_t *used, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(out + *used, IDENTITY_TEXT_MAX - *used, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= IDENTITY_TEXT_MAX - *used) {
		out[*used] = '\0'; /* whole escapes or none */
		return false;
	}
	*used += (size_t)n;
	return true;
}

static void append_escaped(char *out, size_t *used, const struct identity *id)
{
	bool room = true;

	for (size_t i = 0; i < id->len && room; i++) {
		uint8_t c = id->data[i];
		if (printable(c) && c != '\\' && c != '\'' && c != '"')
			room = append(out, used, "%c", c);
		else
			room = append(out, used, "\\%03o", c);
	}
}

static void append_hex(char *out, size_t *used, const struct identity *id)
{
	for (size_t i = 0; i < id->len; i++)
		if (!append(out, used, "%02x", id->data[i]))
			return;
}

/* Can it be written between brackets and read back? */
static bool plain_key_id(const struct identity *id)
{
	for (size_t i = 0; i < id->len; i++)
		if (!printable(id->data[i]) || strchr("\\'\"]", id->data[i]) != NULL)
			return false;
	return id->len > 0;
}

static void append_address(char *out, size_t *used, const struct identity *id)
{
	uint8_t family = id->kind == ID_IPV4_ADDR ? AF_INET : AF_INET6;
	struct ip_address address;
	char text[IP_TEXT_MAX];

	if (id->len != ip_len(family)) {
		append_hex(out, used, id);
		return;
	}
	address = ip_from_bytes(family, id->data);
	append(out, used, "%s", ip_text(&address, text));
}

const char *identity_text(const struct identity *id, char out[IDENTITY_TEXT_MAX])
{
	size_t used = 0;

	out[0] = '\0';
	switch (id->kind) {
	case ID_ANY:
		append(out, &used, "%%any");
		break;
	case ID_NULL:
		append(out, &used, "%%null");
		break;
	case ID_IPV4_ADDR:
	case ID_IPV6_ADDR:
		append_address(out, &used, id);
		break;
	case ID_FQDN:
		append(out, &used, "@");
		append_escaped(out, &used, id);
		break;
	case ID_RFC822_ADDR:
		append_escaped(out, &used, id);
		break;
	case ID_KEY_ID:
		if (plain_key_id(id)) {
			append(out, &used, "@[");
			append_escaped(out, &used, id);
			append(out, &used, "]");
			break;
		}
		append(out, &used, "@#");
		append_hex(out, &used, id);
		break;
	case ID_DER_ASN1_DN:
		if (dn_is_well_formed(bytes_of(id->data, id->len)) &&
			dn_text(bytes_of(id->data, id->len), out, IDENTITY_TEXT_MAX)[0] != '\0')
			break;
		__attribute__((fallthrough));
	default: /* a name without attributes, and what is none */
		append(out, &used, "@~");
		append_hex(out, &used, id);
	}
	return out;
}

const char *identity_kind_name(uint8_t kind)
{
	switch (kind) {
	case ID_ANY:
		return "ANY";
	case ID_IPV4_ADDR:
		return "IPV4_ADDR";
	case ID_FQDN:
		return "FQDN";
	case ID_RFC822_ADDR:
		return "USER_FQDN";
	case ID_IPV6_ADDR:
		return "IPV6_ADDR";
	case ID_DER_ASN1_DN:
		return "DER_ASN1_DN";
	case ID_DER_ASN1_GN:
		return "DER_ASN1_GN";
	case ID_KEY_ID:
		return "KEY_ID";
	case ID_NULL:
		return "NULL";
	default:
		return "unknown";
	}
}
