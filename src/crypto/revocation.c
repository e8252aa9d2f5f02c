#include "revocation_nss.h"

#include "crl_fetcher.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ocsp.h>
#include <prerror.h>

#define CRL_TIMEOUT_S  5
#define OCSP_TIMEOUT_S 2
#define OCSP_CACHE     1000
#define OCSP_MIN_AGE_S 3600
#define OCSP_MAX_AGE_S 86400
#define OCSP_THREADS   8 /* that may wait for a responder at one time */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

/* ---- CRLs that are fetched --------------------------------------------------------- */

/* NSS refers to the item and its bytes as long as it has them in its cache, and knows it by the
 * item's address. Between the old one and the new one there is none: nothing is validated
 * meanwhile. */
static void count_crl(void *arg, struct fetched_crl *crl, struct fetched_crl *before)
{
	struct credentials *c = arg;
	SECItem *item = calloc(1, sizeof(*item));

	if (item)
		*item = (SECItem){siBuffer, (unsigned char *)(uintptr_t)crl->der.data,
			(unsigned)crl->der.len};
	crl->cached_as = item;
	pthread_rwlock_wrlock(&c->crls_change);
	if (before && before->cached_as)
		CERT_UncacheCRL(CERT_GetDefaultCertDB(), before->cached_as);
	if (!item || CERT_CacheCRL(CERT_GetDefaultCertDB(), item) != SECSuccess)
		log_line(LOG_LINE_WARNING, "NSS does not take the fetched CRL: %s",
			item ? PR_ErrorToString(PR_GetError(), PR_LANGUAGE_I_DEFAULT)
			     : "out of memory");
	pthread_rwlock_unlock(&c->crls_change);
	validated_forget(c->validated);
}

static bool start_fetcher(struct credentials *c, char *error, size_t error_size)
{
	struct crl_fetcher_config config = {
		.points = c->crl_points,
		.timeout_s = or_default(c->revocation.crl_timeout_s, CRL_TIMEOUT_S),
		.interface = c->revocation.crl_interface,
		.on_crl = count_crl,
		.arg = c,
	};
	struct crl_fetcher *fetcher = c->crl_fetcher;

	if (!fetcher)
		fetcher = crl_fetcher_start(&config, error, error_size);
	__atomic_store_n(&c->crl_fetcher, fetcher, __ATOMIC_RELEASE);
	return fetcher != NULL;
}

static struct crl_fetcher *fetcher_of(struct credentials *c)
{
	return __atomic_load_n(&c->crl_fetcher, __ATOMIC_ACQUIRE);
}

static bool note(
	struct credentials *c, const CERTCertificate *certificate, const CERTCertificate *issuer)
{
	return crl_points_note(c->crl_points, bytes_of_item(&certificate->derCert),
		bytes_of_item(&issuer->derCert));
}

/* Of the database's own. */
static void note_all(struct credentials *c)
{
	CERTCertList *list = PK11_ListCerts(PK11CertListUnique, c);

	if (!list)
		return;
	for (CERTCertListNode *at = CERT_LIST_HEAD(list); !CERT_LIST_END(at, list);
		at = CERT_LIST_NEXT(at)) {
		CERTCertificate *issuer =
			CERT_FindCertByName(CERT_GetDefaultCertDB(), &at->cert->derIssuer);

		if (issuer)
			note(c, at->cert, issuer);
		CERT_DestroyCertificate(issuer);
	}
	CERT_DestroyCertList(list);
}

bool revocation_fetch(struct credentials *c, char *error, size_t error_size)
{
	if (!credentials_are_open(c)) {
		snprintf(error, error_size, "there is no open NSS database");
		return false;
	}
	if (!start_fetcher(c, error, error_size))
		return false;
	note_all(c);
	crl_points_hurry(c->crl_points);
	crl_fetcher_wake(c->crl_fetcher);
	return true;
}

/* ---- OCSP --------------------------------------------------------------------------- */

static bool set_responder(const struct revocation_config *config, char *error, size_t error_size)
{
	if (CERT_SetOCSPDefaultResponder(CERT_GetDefaultCertDB(), config->ocsp_uri,
		    config->ocsp_trust_name) == SECSuccess &&
		CERT_EnableOCSPDefaultResponder(CERT_GetDefaultCertDB()) == SECSuccess)
		return true;
	snprintf(error, error_size, "OCSP responder %s with certificate '%s': %s", config->ocsp_uri,
		config->ocsp_trust_name, PR_ErrorToString(PR_GetError(), PR_LANGUAGE_I_DEFAULT));
	return false;
}

static bool start_ocsp(const struct revocation_config *config, char *error, size_t error_size)
{
	if (!config->ocsp)
		return true;
	if (CERT_EnableOCSPChecking(CERT_GetDefaultCertDB()) != SECSuccess ||
		CERT_OCSPCacheSettings((PRInt32)or_default(config->ocsp_cache_size, OCSP_CACHE),
			or_default(config->ocsp_cache_min_age_s, OCSP_MIN_AGE_S),
			or_default(config->ocsp_cache_max_age_s, OCSP_MAX_AGE_S)) != SECSuccess ||
		CERT_SetOCSPTimeout(or_default(config->ocsp_timeout_s, OCSP_TIMEOUT_S)) !=
			SECSuccess ||
		CERT_ForcePostMethodForOCSP(config->ocsp_post) != SECSuccess) {
		snprintf(error, error_size, "OCSP cannot be set up: %s",
			PR_ErrorToString(PR_GetError(), PR_LANGUAGE_I_DEFAULT));
		return false;
	}
	return !config->ocsp_uri || set_responder(config, error, error_size);
}

void revocation_purge_ocsp(struct credentials *c)
{
	if (!credentials_are_open(c))
		return;
	CERT_ClearOCSPCache();
	validated_forget(c->validated);
}

bool credentials_ask_of_each(const struct credentials *c)
{
	return c->revocation.ocsp;
}

unsigned credentials_validation_threads(const struct credentials *c)
{
	return c->revocation.ocsp ? OCSP_THREADS : 1;
}

/* ---- start and stop ------------------------------------------------------------------- */

bool revocation_start(struct credentials *c, char *error, size_t error_size)
{
	if (!start_ocsp(&c->revocation, error, error_size))
		return false;
	if (!c->revocation.crl_check_interval_s)
		return true;
	note_all(c);
	return start_fetcher(c, error, error_size);
}

void revocation_stop(struct credentials *c)
{
	crl_fetcher_stop(c->crl_fetcher);
	c->crl_fetcher = NULL;
}

/* ---- the rules of a validation ----------------------------------------------------------- */

static PRUint64 ocsp_rules(const struct revocation_config *config, bool leaf)
{
	PRUint64 rules = CERT_REV_M_TEST_USING_THIS_METHOD | CERT_REV_M_ALLOW_NETWORK_FETCHING |
			 CERT_REV_M_ALLOW_IMPLICIT_DEFAULT_SOURCE |
			 CERT_REV_M_CONTINUE_TESTING_ON_FRESH_INFO;

	if (!config->ocsp)
		return CERT_REV_M_DO_NOT_TEST_USING_THIS_METHOD |
		       CERT_REV_M_FORBID_NETWORK_FETCHING;
	rules |= config->ocsp_strict && leaf ? CERT_REV_M_REQUIRE_INFO_ON_MISSING_SOURCE
					     : CERT_REV_M_SKIP_TEST_ON_MISSING_SOURCE;
	return rules | (config->ocsp_strict ? CERT_REV_M_FAIL_ON_MISSING_FRESH_INFO
					    : CERT_REV_M_IGNORE_MISSING_FRESH_INFO);
}

/* NSS fetches no CRL itself: that is the fetcher's. That one is a must is looked after by
 * revocation_check_path, which can say whose is missing. */
void revocation_rules(const struct credentials *c, struct revocation_rules *rules)
{
	const PRUint64 crl =
		CERT_REV_M_TEST_USING_THIS_METHOD | CERT_REV_M_FORBID_NETWORK_FETCHING |
		CERT_REV_M_IGNORE_IMPLICIT_DEFAULT_SOURCE | CERT_REV_M_SKIP_TEST_ON_MISSING_SOURCE |
		CERT_REV_M_CONTINUE_TESTING_ON_FRESH_INFO;
	const PRUint64 whole = CERT_REV_MI_TEST_ALL_LOCAL_INFORMATION_FIRST |
			       CERT_REV_MI_NO_OVERALL_INFO_REQUIREMENT;

	*rules = (struct revocation_rules){
		.leaf = {crl, ocsp_rules(&c->revocation, true)},
		.chain = {crl, ocsp_rules(&c->revocation, false)},
	};
	rules->flags.leafTests = (CERTRevocationTests){.number_of_defined_methods = 2,
		.cert_rev_flags_per_method = rules->leaf,
		.cert_rev_method_independent_flags = whole};
	rules->flags.chainTests = (CERTRevocationTests){.number_of_defined_methods = 2,
		.cert_rev_flags_per_method = rules->chain,
		.cert_rev_method_independent_flags = whole};
}

/* ---- a path -------------------------------------------------------------------------------- */

static int64_t time_of(const SECItem *item, int64_t otherwise)
{
	PRTime time;

	return item->len && DER_DecodeTimeChoice(&time, item) == SECSuccess ? time / PR_USEC_PER_SEC
									    : otherwise;
}

struct known_crl revocation_crl_of(struct credentials *c, const SECItem *name)
{
	struct known_crl known = {
		.next_update_s = INT64_MAX,
		.stored = SEC_FindCrlByName(CERT_GetDefaultCertDB(), (SECItem *)(uintptr_t)name,
			SEC_CRL_TYPE),
		.fetched = crl_points_find(c->crl_points, bytes_of_item(name)),
	};
	const CERTSignedCrl *stored = known.stored;

	if (known.fetched && (!stored || time_of(&stored->crl.lastUpdate, 0) <=
						 known.fetched->content.this_update_s)) {
		known.der = known.fetched->der;
		known.next_update_s = known.fetched->content.next_update_s;
	} else if (stored && stored->derCrl) {
		known.der = bytes_of_item(stored->derCrl);
		known.next_update_s = time_of(&stored->crl.nextUpdate, INT64_MAX);
	}
	return known;
}

void revocation_crl_release(struct known_crl *crl)
{
	if (crl->stored)
		SEC_DestroyCrl(crl->stored);
	fetched_crl_unref(crl->fetched);
}

static bool has_current_crl(struct credentials *c, const CERTCertificate *authority, int64_t now_s,
	char *why, size_t size)
{
	struct known_crl crl = revocation_crl_of(c, &authority->derSubject);
	const char *fault = !crl.der.len                 ? "there is no CRL of"
			    : crl.next_update_s <= now_s ? "out of date is the CRL of"
							 : NULL;
	char text[DN_TEXT_MAX];

	revocation_crl_release(&crl);
	if (fault)
		snprintf(why, size, "%s its authority '%.80s'", fault,
			dn_text(bytes_of_item(&authority->derSubject), text, sizeof(text)));
	return !fault;
}

bool revocation_check_path(struct credentials *c, const CERTCertificate *end,
	CERTCertificate *const *path, unsigned count, int64_t now_s, char *why, size_t size)
{
	bool ok = true, due = false;

	for (unsigned i = 0; i < count; i++) {
		due = note(c, i ? path[i - 1] : end, path[i]) || due;
		ok = ok &&
		     (!c->revocation.crl_strict || has_current_crl(c, path[i], now_s, why, size));
	}
	if (due)
		crl_fetcher_wake(fetcher_of(c));
	return ok;
}
