/* Identities (RFC 7296, section 3.5): made, compared, shared. Their text forms are in
 * identity_text.c. */
#include "ike/identity.h"

#include "base/table.h"
#include "crypto/distinguished_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct identity *identity_new(enum identity_kind kind, struct bytes data)
{
	struct identity *id;

	if (data.len > IDENTITY_LEN_MAX)
		return NULL;
	id = malloc(sizeof(*id) + data.len);
	if (id == NULL)
		return NULL;
	*id = (struct identity){.references = 1, .kind = (uint8_t)kind, .len = (uint16_t)data.len};
	if (data.len > 0)
		memcpy(id->data, data.data, data.len);
	return id;
}

struct identity *identity_of_address(const struct ip_address *address)
{
	if (ip_is_unset(address))
		return identity_new(ID_ANY, (struct bytes){0});
	return identity_new(address->family == AF_INET ? ID_IPV4_ADDR : ID_IPV6_ADDR,
		bytes_of(address->bytes, ip_len(address->family)));
}

/* Only the count changes behind the const, and that atomically. */
static struct identity *shared(const struct identity *id)
{
	union {
		const struct identity *in;
		struct identity *out;
	} u = {.in = id};

	return u.out;
}

struct identity *identity_ref(const struct identity *id)
{
	__atomic_add_fetch(&shared(id)->references, 1, __ATOMIC_RELAXED);
	return shared(id);
}

void identity_unref(const struct identity *id)
{
	if (id != NULL && __atomic_sub_fetch(&shared(id)->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(shared(id));
}

static const char *payload_fault(uint8_t kind, struct bytes data)
{
	switch (kind) {
	case ID_IPV4_ADDR:
		return data.len == 4 ? NULL : "the address has not 4 bytes";
	case ID_IPV6_ADDR:
		return data.len == 16 ? NULL : "the address has not 16 bytes";
	case ID_FQDN:
	case ID_RFC822_ADDR:
		if (data.len == 0)
			return "the name is empty";
		return memchr(data.data, 0, data.len) == NULL ? NULL : "the name contains a NUL";
	case ID_DER_ASN1_DN:
		return dn_is_well_formed(data) ? NULL : "it is no distinguished name";
	case ID_DER_ASN1_GN:
	case ID_KEY_ID:
		return data.len > 0 ? NULL : "it is empty";
	case ID_NULL:
		return data.len == 0 ? NULL : "the null identity has data";
	default:
		return "this type is not supported";
	}
}

struct identity *identity_from_payload(struct bytes body, char *error, size_t error_size)
{
	struct reader r = reader_of(body);
	uint8_t kind = read_u8(&r);
	struct identity *id;

	read_skip(&r, 3);
	struct bytes data = read_rest(&r);
	if (r.failed) {
		snprintf(error, error_size, "identity payload of %zu bytes is too short", body.len);
		return NULL;
	}
	const char *fault = payload_fault(kind, data);
	if (fault == NULL && data.len > IDENTITY_LEN_MAX)
		fault = "it is too long";
	if (fault != NULL) {
		snprintf(error, error_size, "identity of type %u (%s): %s", kind,
			identity_kind_name(kind), fault);
		return NULL;
	}
	id = identity_new(kind, data);
	if (id == NULL)
		snprintf(error, error_size, "out of memory");
	return id;
}

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Where the part begins whose letters' case does not count: all of a domain name, the domain of a
 * mail address. */
static size_t folded_from(const struct identity *id)
{
	const uint8_t *at;

	if (id->kind == ID_FQDN)
		return 0;
	if (id->kind != ID_RFC822_ADDR || id->len == 0)
		return id->len;
	at = memrchr(id->data, '@', id->len);
	return at == NULL ? id->len : (size_t)(at - id->data);
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
	size_t from;

	if (a == b)
		return true;
	if (a->kind == ID_DER_ASN1_DN && b->kind == ID_DER_ASN1_DN)
		return dn_equal(bytes_of(a->data, a->len), bytes_of(b->data, b->len));
	if (a->kind != b->kind || a->len != b->len)
		return false;
	from = folded_from(a);
	if (from != folded_from(b) || memcmp(a->data, b->data, from) != 0)
		return false;
	for (size_t i = from; i < a->len; i++)
		if (fold(a->data[i]) != fold(b->data[i]))
			return false;
	return true;
}

bool identity_matches(const struct identity *wanted, const struct identity *id)
{
	return wanted->kind == ID_ANY || identity_equal(wanted, id);
}

uint64_t identity_hash(const struct identity *id)
{
	static const struct table_seed seed = {0x6964656e74697479u, 0x706c75746f6e6975u};
	uint8_t folded[1 + IDENTITY_LEN_MAX];
	size_t from = folded_from(id);

	if (id->kind == ID_DER_ASN1_DN) {
		uint64_t hash = dn_hash(bytes_of(id->data, id->len));

		return table_hash(&seed, &hash, sizeof(hash));
	}

	folded[0] = id->kind;
	for (size_t i = 0; i < id->len; i++)
		folded[1 + i] = i < from ? id->data[i] : fold(id->data[i]);
	return table_hash(&seed, folded, 1 + (size_t)id->len);
}
