/* The validation of a peer's chain by NSS (RFC 4945, section 5; RFC 5280): path to an authority in
 * the database, validity, usage, constraints, revocation. May block. */
#include "credentials_nss.h"
#include "revocation_nss.h"

#include <stdio.h>
#include <string.h>

#include <certt.h>
#include <prerror.h>

/* ---- the chain as the peer sent it ------------------------------------------------ */

/* In order, the end certificate first: each next one is the first that is left whose subject is the
 * issuer of the one before. NSS gets only these, so that no set of crafted certificates makes it
 * search through all their permutations. */
struct chain {
	unsigned count;
	CERTCertificate *certificates[CHAIN_MAX];
};

static void chain_release(struct chain *chain)
{
	while (chain->count)
		CERT_DestroyCertificate(chain->certificates[--chain->count]);
}

static bool refuse(char *refusal, size_t size, const char *why, const char *whose)
{
	snprintf(refusal, size, "its certificate '%.120s' is refused: %s", whose, why);
	return false;
}

/* Of one issuer and serial number NSS knows one certificate only: a crafted second one must not be
 * taken for the first. */
static CERTCertificate *temporary(struct bytes der)
{
	SECItem item = {siBuffer, (unsigned char *)(uintptr_t)der.data, (unsigned)der.len};
	CERTCertificate *certificate =
		CERT_NewTempCertificate(CERT_GetDefaultCertDB(), &item, NULL, PR_FALSE, PR_TRUE);

	if (certificate && !bytes_equal(bytes_of_item(&certificate->derCert), der)) {
		CERT_DestroyCertificate(certificate);
		return NULL;
	}
	return certificate;
}

static bool seen_subject(const struct chain *chain, const CERTCertificate *certificate)
{
	for (unsigned i = 0; i < chain->count; i++)
		if (SECITEM_ItemsAreEqual(
			    &chain->certificates[i]->derSubject, &certificate->derSubject))
			return true;
	return false;
}

/* Decoded apart from NSS's store: what is not of the chain never gets there. */
static bool issued(struct bytes der, const CERTCertificate *subject)
{
	CERTCertificate *issuer =
		CERT_DecodeCertFromPackage((char *)(uintptr_t)der.data, (int)der.len);
	bool yes = issuer && SECITEM_ItemsAreEqual(&issuer->derSubject, &subject->derIssuer);

	if (issuer)
		CERT_DestroyCertificate(issuer);
	return yes;
}

static bool add(
	struct chain *chain, struct bytes der, char *refusal, size_t size, const char *whose)
{
	CERTCertificate *certificate;

	if (der.len > CERTIFICATE_LEN_MAX)
		return refuse(refusal, size, "a certificate of its chain is too large", whose);
	certificate = temporary(der);
	if (!certificate)
		return refuse(refusal, size,
			chain->count
				? "a certificate of its chain is malformed, or another one has "
				  "its issuer and serial number"
				: "it is malformed, or another one has its issuer and serial "
				  "number",
			whose);
	if (seen_subject(chain, certificate)) {
		CERT_DestroyCertificate(certificate);
		return refuse(refusal, size, "its chain is a loop", whose);
	}
	chain->certificates[chain->count++] = certificate;
	return true;
}

static bool is_self_issued(const CERTCertificate *certificate)
{
	return SECITEM_ItemsAreEqual(&certificate->derSubject, &certificate->derIssuer);
}

static bool chain_make(struct chain *chain, const struct authentication_job *job, char *refusal,
	size_t size, const char *whose)
{
	bool used[CHAIN_MAX] = {true};
	bool found = true;

	if (!add(chain, job->certificates[0], refusal, size, whose))
		return false;
	while (found && !is_self_issued(chain->certificates[chain->count - 1])) {
		found = false;
		for (unsigned i = 1; i < job->certificate_count && !found; i++) {
			if (used[i] || !issued(job->certificates[i],
					       chain->certificates[chain->count - 1]))
				continue;
			used[i] = found = true;
			if (!add(chain, job->certificates[i], refusal, size, whose))
				return false;
		}
	}
	return true;
}

/* ---- what NSS says ------------------------------------------------------------------ */

static const char *words(PRErrorCode error, const CERTCertificate *certificate, int64_t now_s)
{
	PRTime from, to;

	switch (error) {
	case SEC_ERROR_EXPIRED_CERTIFICATE:
		if (certificate && CERT_GetCertTimes(certificate, &from, &to) == SECSuccess &&
			now_s < from / PR_USEC_PER_SEC)
			return "it is not valid yet";
		return "it has expired";
	case SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE:
		return "its authority's certificate has expired";
	case SEC_ERROR_REVOKED_CERTIFICATE:
	case SEC_ERROR_REVOKED_KEY:
		return "it has been revoked";
	case SEC_ERROR_UNKNOWN_ISSUER:
		return "no path leads to an authority of the NSS database";
	case SEC_ERROR_UNTRUSTED_ISSUER:
		return "its authority is not trusted";
	case SEC_ERROR_UNTRUSTED_CERT:
		return "it is marked as not trusted";
	case SEC_ERROR_INADEQUATE_KEY_USAGE:
		return "its key usage does not allow signatures";
	case SEC_ERROR_INADEQUATE_CERT_TYPE:
		return "its extended key usage does not allow IPsec";
	case SEC_ERROR_CA_CERT_INVALID:
		return "it is no authority's, but has issued a certificate";
	case SEC_ERROR_PATH_LEN_CONSTRAINT_INVALID:
		return "the chain is longer than its authority allows";
	case SEC_ERROR_CERT_NOT_IN_NAME_SPACE:
		return "its name is not among those that its authority may name";
	case SEC_ERROR_UNKNOWN_CRITICAL_EXTENSION:
		return "it has a critical extension that is not known";
	case SEC_ERROR_BAD_SIGNATURE:
		return "its signature is wrong";
	case SEC_ERROR_CERT_SIGNATURE_ALGORITHM_DISABLED:
		return "it is signed by an algorithm that is not secure";
	case SEC_ERROR_BAD_DER:
	case SEC_ERROR_EXTENSION_VALUE_INVALID:
		return "it is malformed";
	case SEC_ERROR_REVOKED_CERTIFICATE_OCSP:
		return "its authority's OCSP responder says that it has been revoked";
	case SEC_ERROR_OCSP_UNKNOWN_CERT:
		return "its authority's OCSP responder does not know it";
	case SEC_ERROR_OCSP_SERVER_ERROR:
	case SEC_ERROR_OCSP_TRY_SERVER_LATER:
	case SEC_ERROR_OCSP_UNKNOWN_RESPONSE_STATUS:
	case SEC_ERROR_OCSP_BAD_HTTP_RESPONSE:
		return "its authority's OCSP responder gives no answer";
	case SEC_ERROR_CRL_INVALID:
	case SEC_ERROR_CRL_BAD_SIGNATURE:
	case SEC_ERROR_CRL_EXPIRED:
		return "its authority's CRL cannot be used";
	default:
		return PR_ErrorToString(error, PR_LANGUAGE_I_DEFAULT);
	}
}

/* NSS's log names the issuer of the certificate that is at fault, or that itself: so which one of
 * several it was is not said. */
static bool explain(PRErrorCode error, const struct chain *chain, int64_t now_s, char *refusal,
	size_t size, const char *whose)
{
	const char *why = words(error, chain->certificates[0], now_s);
	char text[160];

	if (chain->count == 1 || error == SEC_ERROR_UNKNOWN_ISSUER)
		return refuse(refusal, size, why, whose);
	snprintf(text, sizeof(text), "of it or an authority of its chain: %s", why);
	return refuse(refusal, size, text, whose);
}

/* ---- what is remembered --------------------------------------------------------------- */

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t expiry(CERTCertificate *certificate)
{
	PRTime from, to;

	return CERT_GetCertTimes(certificate, &from, &to) == SECSuccess ? to / PR_USEC_PER_SEC : 0;
}

/* A CRL that is out of date stays in force: looked at again soon. */
static int64_t crl_until(int64_t next_update_s, int64_t now_s)
{
	return next_update_s > now_s ? next_update_s : now_s + 60;
}

static void remember_authorities(struct credentials *c, uint64_t generation, CERTCertificate **path,
	unsigned count, struct peer_certificate *peer, int64_t now_s, int64_t *until_s)
{
	struct known_crl first = {0};
	bool complete = true;

	*until_s = validated_latest(now_s);
	for (unsigned i = 0; i < count; i++) {
		struct known_crl crl = revocation_crl_of(c, &path[i]->derSubject);

		complete =
			complete &&
			peer_certificate_add_authority(peer, bytes_of_item(&path[i]->derSubject)) &&
			!authority_limits_issued(bytes_of_item(&path[i]->derCert));
		*until_s = earliest(*until_s, expiry(path[i]));
		*until_s = earliest(*until_s, crl_until(crl.next_update_s, now_s));
		if (i == 0)
			first = crl;
		else
			revocation_crl_release(&crl);
	}
	if (complete && count > 0)
		validated_add_issuer(c->validated, generation, bytes_of_item(&path[0]->derCert),
			first.der, peer, *until_s);
	revocation_crl_release(&first);
}

/* The authorities of the path that NSS found, the end certificate's issuer first. */
static unsigned path_of(
	const CERTValOutParam *out, const CERTCertificate *end, CERTCertificate **path)
{
	CERTCertificate *anchor = out[0].value.pointer.cert;
	CERTCertList *list = out[1].value.pointer.chain;
	unsigned count = 0;

	for (CERTCertListNode *at = list ? CERT_LIST_HEAD(list) : NULL;
		at && !CERT_LIST_END(at, list) && count < CHAIN_MAX; at = CERT_LIST_NEXT(at))
		if (!SECITEM_ItemsAreEqual(&at->cert->derCert, &end->derCert) &&
			(!anchor || !SECITEM_ItemsAreEqual(&at->cert->derCert, &anchor->derCert)))
			path[count++] = at->cert;
	if (anchor)
		path[count++] = anchor;
	return count;
}

/* ---- the whole --------------------------------------------------------------------------- */

static SECStatus verify_path(
	CERTCertificate *end, int64_t now_s, CERTValOutParam *out, struct credentials *c)
{
	struct revocation_rules rules;
	SECStatus verdict;
	CERTValInParam in[] = {
		{.type = cert_pi_revocationFlags, .value.pointer.revocation = &rules.flags},
		{.type = cert_pi_date, .value.scalar.time = now_s * PR_USEC_PER_SEC},
		{.type = cert_pi_end}};

	revocation_rules(c, &rules);
	pthread_rwlock_rdlock(&c->crls_change);
	verdict = CERT_PKIXVerifyCert(end, certificateUsageIPsec, in, out, c);
	pthread_rwlock_unlock(&c->crls_change);
	return verdict;
}

static bool verify(struct credentials *c, const struct chain *chain, struct peer_certificate *peer,
	int64_t now_s, int64_t *until_s, char *refusal, size_t size)
{
	uint64_t generation = validated_generation(c->validated);
	CERTCertificate *end = chain->certificates[0], *path[CHAIN_MAX + 1];
	CERTValOutParam out[] = {
		{.type = cert_po_trustAnchor}, {.type = cert_po_certList}, {.type = cert_po_end}};
	bool ok = verify_path(end, now_s, out, c) == SECSuccess;
	unsigned count = ok ? path_of(out, end, path) : 0;
	char why[160];

	if (!ok)
		explain(PR_GetError(), chain, now_s, refusal, size, peer->subject_text);
	else if (!revocation_check_path(c, end, path, count, now_s, why, sizeof(why)))
		ok = refuse(refusal, size, why, peer->subject_text);
	else
		remember_authorities(c, generation, path, count, peer, now_s, until_s);
	if (out[0].value.pointer.cert)
		CERT_DestroyCertificate(out[0].value.pointer.cert);
	if (out[1].value.pointer.chain)
		CERT_DestroyCertList(out[1].value.pointer.chain);
	return ok;
}

bool validate_chain(struct credentials *c, const struct authentication_job *job,
	struct peer_certificate *peer, int64_t now_s, int64_t *until_s, char *refusal, size_t size)
{
	struct chain chain = {0};
	bool ok = chain_make(&chain, job, refusal, size, peer->subject_text) &&
		  verify(c, &chain, peer, now_s, until_s, refusal, size);

	chain_release(&chain);
	return ok;
}
