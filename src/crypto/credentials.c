/* The NSS database: opened, searched, listed. */
#include "credentials_nss.h"

#include "crl_points.h"
#include "revocation_nss.h"

#include "base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <nss.h>
#include <prerror.h>
#include <secmod.h>

#define PASSWORD_LINE_MAX 512
#define KNOWN_MAX         4096

static const char *nss_error(void)
{
	return PR_ErrorToString(PR_GetError(), PR_LANGUAGE_I_DEFAULT);
}

/* ---- the password ------------------------------------------------------------------ */

/* "TOKEN:PASSWORD" for this token, or a line that is the password. */
static const char *password_of_line(char *line, const char *token)
{
	size_t len = strlen(token);

	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '#' || line[0] == '\0')
		return NULL;
	if (strncmp(line, token, len) == 0 && line[len] == ':')
		return line + len + 1;
	return strchr(line, ':') ? NULL : line;
}

static char *read_password(const char *path, const char *token)
{
	char line[PASSWORD_LINE_MAX];
	const char *found = NULL;
	char *password = NULL;
	FILE *file = path ? fopen(path, "re") : NULL;

	if (!file)
		return NULL;
	setvbuf(file, NULL, _IONBF, 0); /* no copy that nobody wipes */
	while (!found && fgets(line, sizeof(line), file))
		found = password_of_line(line, token);
	if (found)
		password = PORT_Strdup(found); /* NSS wipes and frees it */
	secret_wipe(line, sizeof(line));
	fclose(file);
	return password;
}

static char *give_password(PK11SlotInfo *slot, PRBool retry, void *arg)
{
	struct credentials *c = arg;

	return retry || !c ? NULL : read_password(c->password_file, PK11_GetTokenName(slot));
}

static bool log_in(struct credentials *c, PK11SlotInfo *slot, char *error, size_t error_size)
{
	bool readable = c->password_file && access(c->password_file, R_OK) == 0;

	if (!PK11_NeedLogin(slot) || PK11_Authenticate(slot, PR_TRUE, c) == SECSuccess)
		return true;
	if (readable)
		snprintf(error, error_size,
			"the password for token '%s' in \"%s\" is wrong or missing",
			PK11_GetTokenName(slot), c->password_file);
	else
		snprintf(error, error_size,
			"token '%s' has a password, and \"%s\", where it should be, cannot be read",
			PK11_GetTokenName(slot), c->password_file ? c->password_file : "");
	return false;
}

/* Keys on other tokens: what cannot be logged in to has none for us. */
static void log_in_to_tokens(struct credentials *c)
{
	PK11SlotList *slots = PK11_GetAllTokens(CKM_INVALID_MECHANISM, PR_FALSE, PR_FALSE, c);
	char ignored[REFUSAL_TEXT_MAX];

	for (PK11SlotListElement *at = slots ? PK11_GetFirstSafe(slots) : NULL; at;
		at = PK11_GetNextSafe(slots, at, PR_FALSE))
		if (!PK11_IsInternal(at->slot))
			log_in(c, at->slot, ignored, sizeof(ignored));
	if (slots)
		PK11_FreeSlotList(slots);
}

/* ---- open and close ------------------------------------------------------------------ */

static bool copy_text(const char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

static bool copy_revocation(struct revocation_config *to, const struct revocation_config *from)
{
	bool ok;

	*to = *from;
	ok = copy_text(&to->crl_interface, from->crl_interface);
	ok = copy_text(&to->ocsp_uri, from->ocsp_uri) && ok;
	return copy_text(&to->ocsp_trust_name, from->ocsp_trust_name) && ok;
}

struct credentials *credentials_new(const struct credentials_config *config)
{
	struct credentials *c = calloc(1, sizeof(*c));
	bool copied;

	if (!c)
		return NULL;
	pthread_rwlock_init(&c->crls_change, NULL);
	c->directory = strdup(config->directory);
	c->password_file = config->password_file ? strdup(config->password_file) : NULL;
	c->keys_stay = config->keys_stay;
	c->validated = validated_new();
	c->crl_points = crl_points_new(config->revocation.crl_check_interval_s);
	copied = copy_revocation(&c->revocation, &config->revocation);
	if (c->directory && c->validated && c->crl_points && copied &&
		(c->password_file || !config->password_file))
		return c;
	credentials_free(c);
	return NULL;
}

bool credentials_are_open(const struct credentials *c)
{
	return c && __atomic_load_n(&c->open, __ATOMIC_ACQUIRE);
}

static bool initialize(struct credentials *c, char *error, size_t error_size)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s/cert9.db", c->directory) >= sizeof(path)) {
		snprintf(error, error_size, "the name of the NSS directory is too long");
		return false;
	}
	/* NSS would go on without a database. */
	if (access(path, R_OK) != 0) {
		snprintf(error, error_size, "no NSS database: \"%s\": %s", path, strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "sql:%s", c->directory);
	if (NSS_Initialize(path, "", "", SECMOD_DB, NSS_INIT_READONLY | NSS_INIT_NOROOTINIT) !=
		SECSuccess) {
		snprintf(error, error_size, "NSS database \"%s\": %s", c->directory, nss_error());
		return false;
	}
	c->initialized_nss = true;
	PK11_SetPasswordFunc(give_password);
	return true;
}

bool credentials_open(struct credentials *c, char *error, size_t error_size)
{
	PK11SlotInfo *slot;
	bool ok;

	if (credentials_are_open(c))
		return true;
	if (!NSS_IsInitialized() && !initialize(c, error, error_size))
		return false;
	slot = PK11_GetInternalKeySlot();
	ok = slot && log_in(c, slot, error, error_size);
	if (!slot)
		snprintf(error, error_size, "NSS database \"%s\": %s", c->directory, nss_error());
	else
		PK11_FreeSlot(slot);
	if (!ok)
		return false;
	log_in_to_tokens(c);
	if (!revocation_start(c, error, error_size))
		return false;
	__atomic_store_n(&c->open, true, __ATOMIC_RELEASE);
	return true;
}

static void forget_own(struct credentials *c)
{
	for (unsigned i = 0; i < c->known_count; i++)
		own_certificate_unref(c->known[i]);
	free(c->known);
	c->known = NULL;
	c->known_count = 0;
	authorities_unref(c->authorities);
	c->authorities = NULL;
}

void credentials_free(struct credentials *c)
{
	if (!c)
		return;
	revocation_stop(c);
	forget_own(c);
	validated_free(c->validated);
	if (c->initialized_nss)
		NSS_Shutdown(); /* fails where somebody has a key still; the process ends anyway */
	crl_points_free(c->crl_points); /* NSS had its CRLs */
	pthread_rwlock_destroy(&c->crls_change);
	free((void *)(uintptr_t)c->revocation.crl_interface);
	free((void *)(uintptr_t)c->revocation.ocsp_uri);
	free((void *)(uintptr_t)c->revocation.ocsp_trust_name);
	free(c->directory);
	free(c->password_file);
	free(c);
}

struct validated *credentials_validated(struct credentials *c)
{
	return c->validated;
}

/* ---- all certificates ------------------------------------------------------------------ */

typedef bool certificate_visit(struct credentials *c, CERTCertificate *certificate, void *arg);

/* Stops when `visit` returns true. */
static void visit_all(struct credentials *c, certificate_visit *visit, void *arg)
{
	CERTCertList *list = credentials_are_open(c) ? PK11_ListCerts(PK11CertListUnique, c) : NULL;

	if (!list)
		return;
	for (CERTCertListNode *at = CERT_LIST_HEAD(list); !CERT_LIST_END(at, list);
		at = CERT_LIST_NEXT(at))
		if (visit(c, at->cert, arg))
			break;
	CERT_DestroyCertList(list);
}

static bool refresh_crl(struct credentials *c, CERTCertificate *certificate, void *arg)
{
	(void)c, (void)arg;
	if (is_trusted_authority(certificate) || CERT_IsCACert(certificate, NULL))
		CERT_CRLCacheRefreshIssuer(CERT_GetDefaultCertDB(), &certificate->derSubject);
	return false;
}

void credentials_forget(struct credentials *c)
{
	forget_own(c);
	validated_forget(c->validated);
	visit_all(c, refresh_crl, NULL);
}

/* ---- own certificates -------------------------------------------------------------------- */

static struct own_certificate *remember(struct credentials *c, struct own_certificate *own)
{
	struct own_certificate **more;

	if (!own || c->known_count == KNOWN_MAX)
		return own;
	more = reallocarray(c->known, c->known_count + 1, sizeof(struct own_certificate *));
	if (more) {
		c->known = more;
		more[c->known_count++] = own_certificate_ref(own);
	}
	return own;
}

static bool check_open(const struct credentials *c, char *error, size_t error_size)
{
	if (credentials_are_open(c))
		return true;
	snprintf(error, error_size, "there is no open NSS database");
	return false;
}

struct own_certificate *credentials_by_nickname(
	struct credentials *c, const char *nickname, char *error, size_t error_size)
{
	CERTCertificate *certificate;
	struct own_certificate *own;

	if (!check_open(c, error, error_size))
		return NULL;
	for (unsigned i = 0; i < c->known_count; i++)
		if (strcmp(c->known[i]->nickname, nickname) == 0)
			return own_certificate_ref(c->known[i]);
	certificate = PK11_FindCertFromNickname(nickname, c);
	if (!certificate) {
		snprintf(error, error_size, "there is no certificate '%.120s' in the NSS database",
			nickname);
		return NULL;
	}
	own = own_certificate_new(c, certificate, error, error_size);
	CERT_DestroyCertificate(certificate);
	if (own) {
		free(own->nickname); /* as it was asked for: "token:nickname" finds it too */
		own->nickname = strdup(nickname);
		if (!own->nickname) {
			own_certificate_unref(own);
			snprintf(error, error_size, "out of memory");
			return NULL;
		}
	}
	return remember(c, own);
}

struct by_ckaid {
	const char *wanted;
	CERTCertificate *found;
};

static bool has_ckaid(struct credentials *c, CERTCertificate *certificate, void *arg)
{
	struct by_ckaid *search = arg;
	char ckaid[2 * 64 + 1];

	(void)c;
	certificate_ckaid(certificate, ckaid, sizeof(ckaid));
	if (ckaid[0] == '\0' || strcasecmp(ckaid, search->wanted) != 0)
		return false;
	search->found = CERT_DupCertificate(certificate);
	return true;
}

struct own_certificate *credentials_by_ckaid(
	struct credentials *c, const char *ckaid, char *error, size_t error_size)
{
	struct by_ckaid search = {.wanted = ckaid};
	struct own_certificate *own;

	if (!check_open(c, error, error_size))
		return NULL;
	visit_all(c, has_ckaid, &search);
	if (!search.found) {
		snprintf(error, error_size,
			"there is no certificate whose key has the identifier %.140s in the NSS "
			"database",
			ckaid);
		return NULL;
	}
	own = own_certificate_new(c, search.found, error, error_size);
	CERT_DestroyCertificate(search.found);
	return own;
}

/* ---- authorities ------------------------------------------------------------------------- */

static bool add_authority(struct credentials *c, CERTCertificate *certificate, void *arg)
{
	struct authorities *a = arg;

	(void)c;
	if (a->count == AUTHORITIES_MAX)
		return true;
	if (is_trusted_authority(certificate) &&
		PK11_HashBuf(SEC_OID_SHA1, a->hashes[a->count], certificate->derPublicKey.data,
			(PRInt32)certificate->derPublicKey.len) == SECSuccess)
		a->count++;
	return false;
}

struct authorities *credentials_authorities(struct credentials *c)
{
	struct authorities *a = c->authorities;

	if (!a) {
		a = calloc(1, sizeof(*a) + AUTHORITIES_MAX * AUTHORITY_HASH_LEN);
		if (!a)
			return NULL;
		a->references = 1;
		visit_all(c, add_authority, a);
		c->authorities = a;
	}
	return authorities_ref(a);
}

/* ---- lists --------------------------------------------------------------------------------- */

struct listing {
	credentials_visit *visit;
	void *arg;
};

static void hex_text(struct bytes bytes, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < bytes.len && used + 3 <= size; i++, used += 2)
		snprintf(out + used, size - used, "%02x", bytes.data[i]);
}

static bool list_one(struct credentials *c, CERTCertificate *certificate, void *arg)
{
	struct listing *listing = arg;
	char subject[DN_TEXT_MAX], issuer[DN_TEXT_MAX], serial[64], ckaid[2 * 64 + 1];
	SECKEYPrivateKey *key = PK11_FindKeyByAnyCert(certificate, c);
	PRTime from = 0, to = 0;
	struct certificate_facts facts = {
		.nickname = certificate->nickname ? certificate->nickname : "",
		.subject =
			dn_text(bytes_of_item(&certificate->derSubject), subject, sizeof(subject)),
		.issuer = dn_text(bytes_of_item(&certificate->derIssuer), issuer, sizeof(issuer)),
		.serial = serial,
		.ckaid = ckaid,
		.authority = CERT_IsCACert(certificate, NULL),
		.root = certificate->isRoot,
		.trusted = is_trusted_authority(certificate),
		.has_private_key = key != NULL,
	};

	hex_text(bytes_of_item(&certificate->serialNumber), serial, sizeof(serial));
	certificate_ckaid(certificate, ckaid, sizeof(ckaid));
	CERT_GetCertTimes(certificate, &from, &to);
	facts.not_before_s = from / PR_USEC_PER_SEC;
	facts.not_after_s = to / PR_USEC_PER_SEC;
	key_facts(certificate, &facts.kind, &facts.key_bits);
	listing->visit(&facts, listing->arg);
	if (key)
		SECKEY_DestroyPrivateKey(key);
	return false;
}

void credentials_list(struct credentials *c, credentials_visit *visit, void *arg)
{
	struct listing listing = {visit, arg};

	visit_all(c, list_one, &listing);
}

static int64_t time_of_item(const SECItem *item)
{
	PRTime time;

	return item->len && DER_DecodeTimeChoice(&time, item) == SECSuccess ? time / PR_USEC_PER_SEC
									    : 0;
}

static void list_crl(const CERTCrl *crl, credentials_visit_crl *visit, void *arg)
{
	char issuer[DN_TEXT_MAX];
	struct crl_facts facts = {
		.issuer = dn_text(bytes_of_item(&crl->derName), issuer, sizeof(issuer)),
		.this_update_s = time_of_item(&crl->lastUpdate),
		.next_update_s = time_of_item(&crl->nextUpdate),
	};

	while (crl->entries && crl->entries[facts.revoked])
		facts.revoked++;
	visit(&facts, arg);
}

static void list_database_crls(credentials_visit_crl *visit, void *arg)
{
	CERTCrlHeadNode *head = NULL;

	if (SEC_LookupCrls(CERT_GetDefaultCertDB(), &head, SEC_CRL_TYPE) != SECSuccess || !head)
		return;
	for (CERTCrlNode *at = head->first; at; at = at->next) {
		list_crl(&at->crl->crl, visit, arg);
		SEC_DestroyCrl(at->crl);
	}
	PORT_FreeArena(head->arena, PR_FALSE);
}

void credentials_list_crls(struct credentials *c, credentials_visit_crl *visit, void *arg)
{
	if (!credentials_are_open(c))
		return;
	list_database_crls(visit, arg);
	crl_points_list(c->crl_points, visit, NULL, arg);
}

void credentials_list_fetches(struct credentials *c, credentials_visit_fetch *visit, void *arg)
{
	crl_points_list(c->crl_points, NULL, visit, arg);
}
