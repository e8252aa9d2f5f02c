#include "crl.h"

#include "authentication_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* Clocks differ. */
#define FUTURE_MAX_S 300

__attribute__((format(printf, 3, 4))) static bool refuse(
	char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return false;
}

static bool is_complete_for_issuer(const ISSUING_DIST_POINT *scope)
{
	return !scope->onlysomereasons && scope->onlyuser <= 0 && scope->onlyCA <= 0 &&
	       scope->onlyattr <= 0 && scope->indirectCRL <= 0;
}

/* Section 5.2: what a CRL with other extensions means is not known here. */
static bool check_scope(X509_CRL *crl, char *why, size_t size)
{
	ISSUING_DIST_POINT *scope =
		X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, NULL, NULL);
	bool complete = !scope || is_complete_for_issuer(scope);

	ISSUING_DIST_POINT_free(scope);
	if (!complete)
		return refuse(why, size, "it is not for all certificates of its authority");
	if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
		return refuse(why, size, "it is a delta CRL");
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
		X509_EXTENSION *extension = X509_CRL_get_ext(crl, i);

		if (X509_EXTENSION_get_critical(extension) &&
			OBJ_obj2nid(X509_EXTENSION_get_object(extension)) !=
				NID_issuing_distribution_point)
			return refuse(why, size, "it has a critical extension that is not known");
	}
	return true;
}

static bool check_times(
	X509_CRL *crl, int64_t now_s, struct crl_content *content, char *why, size_t size)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);

	content->this_update_s = certificate_time_s(X509_CRL_get0_lastUpdate(crl));
	content->next_update_s = next ? certificate_time_s(next) : INT64_MAX;
	if (content->this_update_s > now_s + FUTURE_MAX_S)
		return refuse(why, size, "it is not valid yet");
	return content->next_update_s > now_s || refuse(why, size, "it is out of date");
}

static bool check_signature(X509_CRL *crl, X509 *authority, char *why, size_t size)
{
	EVP_PKEY *key = X509_get0_pubkey(authority);

	if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(authority)) != 0)
		return refuse(why, size, "it is another authority's");
	if (X509_get_extension_flags(authority) & EXFLAG_KUSAGE &&
		!(X509_get_key_usage(authority) & KU_CRL_SIGN))
		return refuse(why, size, "the authority's key usage does not allow it");
	return (key && X509_CRL_verify(crl, key) == 1) ||
	       refuse(why, size, "its signature is wrong");
}

bool crl_check(struct bytes der, struct bytes authority_der, int64_t now_s,
	struct crl_content *content, char *why, size_t size)
{
	const unsigned char *at = der.data;
	X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.len);
	X509 *authority = certificate_of(authority_der);
	bool ok = crl && at == der.data + der.len;

	if (!ok)
		refuse(why, size, "it is malformed");
	else if (!authority)
		ok = refuse(why, size, "the authority's certificate is malformed");
	else
		ok = check_signature(crl, authority, why, size) && check_scope(crl, why, size) &&
		     check_times(crl, now_s, content, why, size);
	if (ok) {
		int revoked = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl));

		content->revoked = revoked > 0 ? (unsigned)revoked : 0;
	}
	X509_free(authority);
	X509_CRL_free(crl);
	ERR_clear_error();
	return ok;
}

/* ---- distribution points ------------------------------------------------------------ */

static char *url_of(const GENERAL_NAME *name)
{
	int kind, len;
	const ASN1_IA5STRING *string = GENERAL_NAME_get0_value(name, &kind);
	const char *text;

	if (kind != GEN_URI)
		return NULL;
	text = (const char *)ASN1_STRING_get0_data(string);
	len = ASN1_STRING_length(string);
	if (len >= CRL_URL_MAX || memchr(text, '\0', (size_t)len) ||
		(strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0))
		return NULL;
	return strndup(text, (size_t)len);
}

static unsigned urls_of_point(const DIST_POINT *point, char **urls, unsigned room)
{
	const GENERAL_NAMES *names;
	unsigned count = 0;

	if (!point->distpoint || point->distpoint->type != 0 || point->reasons || point->CRLissuer)
		return 0;
	names = point->distpoint->name.fullname;
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && count < room; i++) {
		urls[count] = url_of(sk_GENERAL_NAME_value(names, i));
		count += urls[count] != NULL;
	}
	return count;
}

unsigned crl_urls(struct bytes der, char *urls[CRL_URLS_MAX])
{
	X509 *certificate = certificate_of(der);
	CRL_DIST_POINTS *points =
		certificate ? X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL)
			    : NULL;
	unsigned count = 0;

	for (int i = 0; points && i < sk_DIST_POINT_num(points); i++)
		count += urls_of_point(
			sk_DIST_POINT_value(points, i), urls + count, CRL_URLS_MAX - count);
	CRL_DIST_POINTS_free(points);
	X509_free(certificate);
	ERR_clear_error();
	return count;
}
