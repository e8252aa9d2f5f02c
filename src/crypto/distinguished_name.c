#include "crypto/distinguished_name.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

enum { /* DER identifier octets */
	TAG_OID = 0x06,
	TAG_UTF8 = 0x0c,
	TAG_PRINTABLE = 0x13,
	TAG_T61 = 0x14,
	TAG_IA5 = 0x16,
	TAG_VISIBLE = 0x1a,
	TAG_UNIVERSAL = 0x1c,
	TAG_BMP = 0x1e,
	TAG_SEQUENCE = 0x30,
	TAG_SET = 0x31,
};

#define ATTRIBUTES_MAX 64

/* ---- walking ----------------------------------------------------------------- */

static struct bytes read_element(struct reader *r, uint8_t *tag)
{
	size_t len;

	*tag = read_u8(r);
	len = read_u8(r);
	if (len == 0x81)
		len = read_u8(r);
	else if (len == 0x82)
		len = read_u16(r);
	else if (len >= 0x80)
		r->failed = true;
	return read_bytes(r, len);
}

struct attribute {
	struct bytes oid, value;
	uint8_t value_tag;
	bool joined; /* of one RDN with the attribute before */
};

struct attribute_walk {
	struct reader names, set;
	unsigned count;
	bool joined;
};

static bool walk_begin(struct attribute_walk *walk, struct bytes der)
{
	struct reader r = reader_of(der);
	uint8_t tag;
	struct bytes all = read_element(&r, &tag);

	*walk = (struct attribute_walk){
		.names = reader_of(all), .set = reader_of((struct bytes){0})};
	return reader_done(&r) && tag == TAG_SEQUENCE;
}

enum walked { WALK_ATTRIBUTE, WALK_END, WALK_MALFORMED };

static enum walked walk_next(struct attribute_walk *walk, struct attribute *out)
{
	struct reader r;
	uint8_t tag;

	if (reader_left(&walk->set) == 0) {
		if (reader_left(&walk->names) == 0)
			return WALK_END;
		walk->set = reader_of(read_element(&walk->names, &tag));
		walk->joined = false;
		if (walk->names.failed || tag != TAG_SET || reader_left(&walk->set) == 0)
			return WALK_MALFORMED;
	}
	r = reader_of(read_element(&walk->set, &tag));
	if (walk->set.failed || tag != TAG_SEQUENCE || ++walk->count > ATTRIBUTES_MAX)
		return WALK_MALFORMED;
	out->joined = walk->joined;
	walk->joined = true;
	out->oid = read_element(&r, &tag);
	if (tag != TAG_OID || out->oid.len == 0)
		return WALK_MALFORMED;
	out->value = read_element(&r, &out->value_tag);
	return reader_done(&r) ? WALK_ATTRIBUTE : WALK_MALFORMED;
}

bool dn_is_well_formed(struct bytes der)
{
	struct attribute_walk walk;
	struct attribute attribute;
	enum walked walked;

	if (der.len > DN_LEN_MAX || !walk_begin(&walk, der))
		return false;
	do
		walked = walk_next(&walk, &attribute);
	while (walked == WALK_ATTRIBUTE);
	return walked == WALK_END;
}

/* ---- text --------------------------------------------------------------------- */

struct text {
	char *out;
	size_t size, used;
	bool full;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->out + t->used, t->size - t->used, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->size - t->used)
		t->full = true;
	else
		t->used += (size_t)n;
}

static void add_type(struct text *t, struct bytes oid)
{
	static const char *const known[] = {[3] = "CN",
		[4] = "SN",
		[5] = "serialNumber",
		[6] = "C",
		[7] = "L",
		[8] = "ST",
		[9] = "street",
		[10] = "O",
		[11] = "OU",
		[12] = "T",
		[42] = "GN"};
	const size_t known_count = sizeof(known) / sizeof(known[0]);
	const uint8_t *at = oid.data;
	char dotted[80];
	ASN1_OBJECT *object;

	if (oid.len == 3 && at[0] == 0x55 && at[1] == 0x04 && at[2] < known_count && known[at[2]]) {
		add(t, "%s=", known[at[2]]);
		return;
	}
	object = ASN1_OBJECT_create(
		NID_undef, (unsigned char *)(uintptr_t)oid.data, (int)oid.len, NULL, NULL);
	if (object && OBJ_obj2nid(object) != NID_undef)
		add(t, "%s=", OBJ_nid2sn(OBJ_obj2nid(object)));
	else if (object && OBJ_obj2txt(dotted, sizeof(dotted), object, 1) > 0)
		add(t, "%s=", dotted);
	else
		add(t, "?=");
	ASN1_OBJECT_free(object);
}

static bool is_text(uint8_t tag)
{
	return tag == TAG_UTF8 || tag == TAG_PRINTABLE || tag == TAG_IA5 || tag == TAG_T61 ||
	       tag == TAG_VISIBLE;
}

static void add_value(struct text *t, const struct attribute *a)
{
	if (!is_text(a->value_tag)) {
		add(t, "#%02x", a->value_tag);
		for (size_t i = 0; i < a->value.len && !t->full; i++)
			add(t, "%02x", a->value.data[i]);
		return;
	}
	for (size_t i = 0; i < a->value.len && !t->full; i++) {
		uint8_t c = a->value.data[i];

		if (c < 0x20 || c >= 0x7f)
			add(t, "\\%02x", c);
		else if (strchr(",+\"\\'<>;/", c))
			add(t, "\\%c", c);
		else
			add(t, "%c", c);
	}
}

const char *dn_text(struct bytes der, char *out, size_t size)
{
	struct text t = {.out = out, .size = size};
	struct attribute_walk walk;
	struct attribute a;
	enum walked walked = WALK_MALFORMED;
	size_t whole = 0;

	out[0] = '\0';
	if (walk_begin(&walk, der)) {
		while ((walked = walk_next(&walk, &a)) == WALK_ATTRIBUTE && !t.full) {
			if (whole)
				add(&t, a.joined ? "+" : ", ");
			add_type(&t, a.oid);
			add_value(&t, &a);
			if (!t.full)
				whole = t.used;
		}
	}
	if (walked == WALK_MALFORMED)
		snprintf(out, size, "<malformed name>");
	else
		out[whole] = '\0';
	return out;
}

/* One attribute, "O=Example", up to a separator; a backslash takes a separator's meaning away. */
static const char *take_attribute(const char *at, char type[32], char value[256])
{
	size_t n = 0;

	while (*at == ' ' || *at == ',' || *at == '/')
		at++;
	while (*at && *at != '=' && n < 31)
		type[n++] = *at++;
	while (n && type[n - 1] == ' ')
		n--;
	type[n] = '\0';
	if (*at != '=' || n == 0)
		return NULL;
	for (at++; *at == ' ';)
		at++;
	for (n = 0; *at && *at != ',' && *at != '/' && n < 255;) {
		if (*at == '\\' && at[1])
			at++;
		value[n++] = *at++;
	}
	if (*at && *at != ',' && *at != '/')
		return NULL;
	while (n && value[n - 1] == ' ')
		n--;
	value[n] = '\0';
	return n ? at : NULL;
}

static const char *own_name_of(const char *type)
{
	static const struct {
		const char *theirs, *ours;
	} names[] = {{"E", "emailAddress"}, {"Email", "emailAddress"}, {"S", "ST"}, {"T", "title"},
		{"G", "GN"}, {"CN", "CN"}, {"C", "C"}, {"L", "L"}, {"ST", "ST"}, {"O", "O"},
		{"OU", "OU"}, {"DC", "DC"}, {"UID", "UID"}, {"emailAddress", "emailAddress"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i].theirs, type) == 0)
			return names[i].ours;
	return type;
}

static bool build_name(X509_NAME *name, const char *text, char *error, size_t error_size)
{
	char type[32], value[256];

	while (*text) {
		text = take_attribute(text, type, value);
		if (!text) {
			snprintf(error, error_size,
				"a distinguished name is written as TYPE=VALUE, TYPE=VALUE ...");
			return false;
		}
		if (!X509_NAME_add_entry_by_txt(name, own_name_of(type), MBSTRING_UTF8,
			    (const unsigned char *)value, -1, -1, 0)) {
			snprintf(error, error_size, "'%s=%.60s' cannot be part of a name", type,
				value);
			ERR_clear_error();
			return false;
		}
		while (*text == ' ' || *text == ',' || *text == '/')
			text++;
	}
	return true;
}

size_t dn_of_text(const char *text, uint8_t out[DN_LEN_MAX], char *error, size_t error_size)
{
	X509_NAME *name = X509_NAME_new();
	uint8_t *at = out;
	int len = 0;

	snprintf(error, error_size, "out of memory");
	if (name && build_name(name, text, error, error_size)) {
		len = i2d_X509_NAME(name, NULL);
		if (len <= 0 || len > DN_LEN_MAX || X509_NAME_entry_count(name) == 0) {
			snprintf(error, error_size, "the distinguished name is empty or too long");
			len = 0;
		} else {
			i2d_X509_NAME(name, &at);
		}
	}
	X509_NAME_free(name);
	return (size_t)len;
}

/* ---- comparison ----------------------------------------------------------------- */

static X509_NAME *name_of(struct bytes der)
{
	const unsigned char *at = der.data;
	X509_NAME *name = der.len <= DN_LEN_MAX ? d2i_X509_NAME(NULL, &at, (long)der.len) : NULL;

	if (name && at == der.data + der.len)
		return name;
	X509_NAME_free(name);
	ERR_clear_error();
	return NULL;
}

bool dn_equal(struct bytes a, struct bytes b)
{
	X509_NAME *x, *y;
	bool equal;

	if (a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0))
		return true;
	x = name_of(a);
	y = name_of(b);
	equal = x && y && X509_NAME_cmp(x, y) == 0;
	X509_NAME_free(x);
	X509_NAME_free(y);
	return equal;
}

static uint64_t mix(uint64_t hash, uint8_t byte)
{
	return (hash ^ byte) * 0x100000001b3u;
}

/* Only what no rule of the comparison lets vary: letters folded, without blanks and without what is
 * not ASCII. */
uint64_t dn_hash(struct bytes der)
{
	uint64_t hash = 0xcbf29ce484222325u;
	struct attribute_walk walk;
	struct attribute a;

	if (!walk_begin(&walk, der))
		return hash;
	while (walk_next(&walk, &a) == WALK_ATTRIBUTE) {
		for (size_t i = 0; i < a.oid.len; i++)
			hash = mix(hash, a.oid.data[i]);
		for (size_t i = 0; i < a.value.len; i++) {
			uint8_t c = a.value.data[i];

			if (c >= 'A' && c <= 'Z')
				c = (uint8_t)(c - 'A' + 'a');
			if ((is_text(a.value_tag) || a.value_tag == TAG_BMP ||
				    a.value_tag == TAG_UNIVERSAL) &&
				c > 0x20 && c < 0x7f)
				hash = mix(hash, c);
		}
	}
	return hash;
}
