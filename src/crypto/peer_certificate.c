/* A peer's end certificate: what it says, and what can be checked without its issuer. */
#include "authentication_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct bytes bytes_copy(struct bytes from)
{
	uint8_t *copy = malloc(from.len ? from.len : 1);

	if (copy && from.len)
		memcpy(copy, from.data, from.len);
	return bytes_of(copy, copy ? from.len : 0);
}

static void bytes_free(struct bytes *bytes)
{
	free((void *)(uintptr_t)bytes->data);
	*bytes = (struct bytes){0};
}

X509 *certificate_of(struct bytes der)
{
	const unsigned char *at = der.data;
	X509 *x509 = d2i_X509(NULL, &at, (long)der.len);

	if (x509 && at == der.data + der.len)
		return x509;
	X509_free(x509);
	ERR_clear_error();
	return NULL;
}

int64_t certificate_time_s(const ASN1_TIME *time)
{
	struct tm tm;

	return time && ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : INT64_MAX;
}

/* ---- making -------------------------------------------------------------------- */

static bool known_curve(const EVP_PKEY *pkey)
{
	static const char *const names[] = {SN_X9_62_prime256v1, SN_secp384r1, SN_secp521r1};
	char name[64];
	size_t len;

	if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), &len) != 1)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static const char *take_key(struct peer_certificate *peer, X509 *x509)
{
	peer->pkey = X509_get_pubkey(x509);
	if (!peer->pkey)
		return "its public key is malformed or of an unknown kind";
	peer->key_bits = (unsigned)EVP_PKEY_get_bits(peer->pkey);
	switch (EVP_PKEY_get_base_id(peer->pkey)) {
	case EVP_PKEY_RSA:
		peer->kind = KEY_RSA;
		return peer->key_bits < RSA_BITS_MIN   ? "its RSA key is shorter than 2048 bits"
		       : peer->key_bits > RSA_BITS_MAX ? "its RSA key is longer than 8192 bits"
						       : NULL;
	case EVP_PKEY_EC:
		peer->kind = KEY_ECDSA;
		return known_curve(peer->pkey) ? NULL : "its elliptic curve is not supported";
	default:
		return "its public key is of a kind that is not supported";
	}
}

static bool take_name(const X509_NAME *name, struct bytes *out, char text[DN_TEXT_MAX])
{
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(name, &der);
	struct bytes bytes = bytes_of(der, len > 0 ? (size_t)len : 0);
	bool ok = len > 0 && len <= DN_LEN_MAX;

	if (ok)
		dn_text(bytes, text, DN_TEXT_MAX);
	if (ok && out) {
		*out = bytes_copy(bytes);
		ok = out->data;
	}
	OPENSSL_free(der);
	return ok;
}

static const char *take_validity(struct peer_certificate *peer, const X509 *x509, int64_t now_s)
{
	int64_t from = certificate_time_s(X509_get0_notBefore(x509));

	peer->not_after_s = certificate_time_s(X509_get0_notAfter(x509));
	if (from == INT64_MAX || peer->not_after_s == INT64_MAX)
		return "its validity is malformed";
	return now_s < from                ? "it is not valid yet"
	       : now_s > peer->not_after_s ? "it has expired"
					   : NULL;
}

static const char *take_facts(struct peer_certificate *peer, X509 *x509, int64_t now_s)
{
	const char *fault;
	int critical;

	if (!take_name(X509_get_subject_name(x509), &peer->subject, peer->subject_text) ||
		!take_name(X509_get_issuer_name(x509), NULL, peer->issuer_text))
		return "its names are too long";
	/* Has all extensions parsed and looked at by the library. */
	if (X509_get_extension_flags(x509) & EXFLAG_INVALID)
		return "an extension of it is malformed";
	fault = take_validity(peer, x509, now_s);
	if (fault)
		return fault;
	peer->alternative_names = X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);
	if (!peer->alternative_names && critical != -1)
		return "its alternative names are malformed";
	return take_key(peer, x509);
}

struct peer_certificate *peer_certificate_new(
	struct bytes der, int64_t now_s, X509 **x509, char *refusal, size_t size)
{
	struct peer_certificate *peer = NULL;
	const char *fault = NULL;

	*x509 = NULL;
	if (der.len > CERTIFICATE_LEN_MAX) {
		snprintf(refusal, size, "its certificate is too large: %zu bytes are more than %d",
			der.len, CERTIFICATE_LEN_MAX);
		return NULL;
	}
	*x509 = certificate_of(der);
	if (!*x509) {
		snprintf(refusal, size, "its certificate is malformed");
		return NULL;
	}
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		fault = "out of memory";
	else {
		peer->references = 1;
		fault = take_facts(peer, *x509, now_s);
	}
	ERR_clear_error();
	if (!fault)
		return peer;
	snprintf(refusal, size, "its certificate '%.120s' is refused: %s",
		peer ? peer->subject_text : "", fault);
	peer_certificate_unref(peer);
	X509_free(*x509);
	*x509 = NULL;
	return NULL;
}

bool peer_certificate_add_authority(struct peer_certificate *peer, struct bytes name)
{
	struct bytes copy;

	if (peer->authority_count == CHAIN_MAX + 1 || name.len > DN_LEN_MAX)
		return false;
	copy = bytes_copy(name);
	if (!copy.data)
		return false;
	peer->authorities[peer->authority_count++] = copy;
	return true;
}

void peer_certificate_unref(struct peer_certificate *peer)
{
	if (!peer || __atomic_sub_fetch(&peer->references, 1, __ATOMIC_ACQ_REL))
		return;
	EVP_PKEY_free(peer->pkey);
	GENERAL_NAMES_free(peer->alternative_names);
	bytes_free(&peer->subject);
	for (unsigned i = 0; i < peer->authority_count; i++)
		bytes_free(&peer->authorities[i]);
	free(peer);
}

/* ---- names ----------------------------------------------------------------------- */

static bool same_folded(const uint8_t *a, const uint8_t *b, size_t len)
{
	return strncasecmp((const char *)a, (const char *)b, len) == 0;
}

/* The local part counts as written, the domain does not tell case (RFC 4945, section 3.1.4). */
static bool mail_matches(struct bytes name, struct bytes has)
{
	const uint8_t *at = memrchr(name.data, '@', name.len);
	size_t local = at ? (size_t)(at - name.data) : name.len;

	return name.len == has.len && memcmp(name.data, has.data, local) == 0 &&
	       same_folded(name.data + local, has.data + local, name.len - local);
}

static bool alternative_matches(
	const GENERAL_NAME *has, enum certificate_name kind, struct bytes name)
{
	static const int types[] = {[CERTIFICATE_NAME_DNS] = GEN_DNS,
		[CERTIFICATE_NAME_MAIL] = GEN_EMAIL,
		[CERTIFICATE_NAME_IP] = GEN_IPADD};
	const ASN1_STRING *string;
	struct bytes bytes;
	int type;

	string = GENERAL_NAME_get0_value(has, &type);
	if (type != types[kind])
		return false;
	bytes = bytes_of(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
	/* strncasecmp would stop there */
	if (kind != CERTIFICATE_NAME_IP && memchr(bytes.data, 0, bytes.len))
		return false;
	if (kind == CERTIFICATE_NAME_MAIL)
		return mail_matches(name, bytes);
	if (kind == CERTIFICATE_NAME_DNS)
		return bytes.len == name.len && same_folded(bytes.data, name.data, name.len);
	return bytes_equal(bytes, name);
}

bool peer_certificate_has_name(
	const struct peer_certificate *peer, enum certificate_name kind, struct bytes name)
{
	if (kind == CERTIFICATE_NAME_DN)
		return dn_equal(peer->subject, name);
	if (kind != CERTIFICATE_NAME_DNS && kind != CERTIFICATE_NAME_MAIL &&
		kind != CERTIFICATE_NAME_IP)
		return false;
	for (int i = 0; i < sk_GENERAL_NAME_num(peer->alternative_names); i++)
		if (alternative_matches(
			    sk_GENERAL_NAME_value(peer->alternative_names, i), kind, name))
			return true;
	return false;
}

bool peer_certificate_has_authority(const struct peer_certificate *peer, struct bytes name)
{
	for (unsigned i = 0; i < peer->authority_count; i++)
		if (dn_equal(peer->authorities[i], name))
			return true;
	return false;
}
