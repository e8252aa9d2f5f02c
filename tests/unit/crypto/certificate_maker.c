#include "certificate_maker.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/x509v3.h>

static EVP_PKEY *fresh_key(const struct making *m)
{
	if (m->kind && strcmp(m->kind, "RSA") == 0)
		return EVP_RSA_gen(m->bits ? m->bits : 2048);
	return EVP_EC_gen(m->kind ? m->kind : "P-256");
}

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	if (!value)
		return;
	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
}

static void add_unknown_critical(X509 *x509)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *type = OBJ_txt2obj("1.2.3.4.5", 1);
	X509_EXTENSION *extension;

	ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2);
	extension = X509_EXTENSION_create_by_OBJ(NULL, type, 1, value);
	X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
	ASN1_OBJECT_free(type);
	ASN1_OCTET_STRING_free(value);
}

static void add_padding(X509 *x509, size_t len)
{
	char *text = malloc(len + 1);

	memset(text, 'x', len);
	text[len] = '\0';
	add_extension(x509, x509, NID_netscape_comment, text);
	free(text);
}

struct made make(const struct making *m)
{
	static long serial = 100;
	struct made made = {.x509 = X509_new()};
	X509 *issuer = m->issuer ? m->issuer->x509 : made.x509;
	X509_NAME *name = X509_get_subject_name(made.x509);
	unsigned char *der = NULL;
	int len;

	made.key = m->key_of ? m->key_of->key : fresh_key(m);
	if (m->key_of)
		EVP_PKEY_up_ref(made.key);
	X509_set_version(made.x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x509), m->serial ? m->serial : ++serial);
	X509_NAME_add_entry_by_txt(
		name, "O", MBSTRING_UTF8, (const unsigned char *)"Test", -1, -1, 0);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_UTF8, (const unsigned char *)m->name, -1, -1, 0);
	X509_set_issuer_name(made.x509, X509_get_subject_name(issuer));
	X509_gmtime_adj(X509_getm_notBefore(made.x509), m->from_s || m->to_s ? m->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(made.x509), m->from_s || m->to_s ? m->to_s : 86400);
	X509_set_pubkey(made.x509, made.key);
	add_extension(made.x509, issuer, NID_basic_constraints, m->constraints);
	add_extension(made.x509, issuer, NID_key_usage, m->usage);
	add_extension(made.x509, issuer, NID_ext_key_usage, m->extended_usage);
	add_extension(made.x509, issuer, NID_subject_alt_name, m->san);
	add_extension(made.x509, issuer, NID_name_constraints, m->name_constraints);
	if (m->unknown_critical)
		add_unknown_critical(made.x509);
	if (m->padding)
		add_padding(made.x509, m->padding);
	assert_int_not_equal(
		X509_sign(made.x509, m->issuer ? m->issuer->key : made.key, EVP_sha256()), 0);
	len = i2d_X509(made.x509, &der);
	assert_true(len > 0);
	made.der = bytes_of(der, (size_t)len);
	return made;
}

void made_release(struct made *m)
{
	X509_free(m->x509);
	EVP_PKEY_free(m->key);
	OPENSSL_free((void *)(uintptr_t)m->der.data);
}

struct bytes make_crl(const struct made *issuer, const struct made *const *revoked)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *time = X509_gmtime_adj(NULL, -60);
	unsigned char *der = NULL;
	int len;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
	X509_CRL_set1_lastUpdate(crl, time);
	for (; *revoked; revoked++) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber((*revoked)->x509));
		X509_REVOKED_set_revocationDate(entry, time);
		X509_CRL_add0_revoked(crl, entry);
	}
	X509_gmtime_adj(time, 86400);
	X509_CRL_set1_nextUpdate(crl, time);
	X509_CRL_sort(crl);
	assert_int_not_equal(X509_CRL_sign(crl, issuer->key, EVP_sha256()), 0);
	len = i2d_X509_CRL(crl, &der);
	assert_true(len > 0);
	ASN1_TIME_free(time);
	X509_CRL_free(crl);
	return bytes_of(der, (size_t)len);
}
