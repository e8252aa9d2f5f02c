/* What was validated, remembered: end certificates by their hash, and authorities, so that of
 * 10,000 peers of one authority it is validated once. Bounded; an entry goes when it is out of date
 * or the oldest of too many. Shared by all threads that run jobs: one mutex, held for a look-up. */
#include "authentication_private.h"

#include "base/table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define PEERS_MAX        4096
#define ISSUERS_MAX      64
#define HASH_LEN         32
#define REMEMBERED_MAX_S 3600

struct entry {
	struct table_node node;
	struct entry *newer;
	uint8_t hash[HASH_LEN];
	int64_t until_s;
	struct peer_certificate *peer;
};

struct issuer {
	struct issuer *next;
	uint32_t references; /* under the mutex */
	X509 *x509;
	EVP_PKEY *pkey;
	X509_CRL *crl; /* NULL: the database has none of it */
	int64_t until_s;
	unsigned authority_count; /* itself and those above it */
	struct bytes authorities[CHAIN_MAX + 1];
};

struct validated {
	pthread_mutex_t mutex;
	struct table *peers;
	struct entry *oldest, *newest;
	struct issuer *issuers;
	unsigned issuer_count;
	/* Of the forgettings: what was begun before one may not be remembered after it. */
	uint64_t generation;
};

struct validated *validated_new(void)
{
	struct validated *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->peers = table_new();
	if (!v->peers) {
		free(v);
		return NULL;
	}
	pthread_mutex_init(&v->mutex, NULL);
	return v;
}

static void drop_oldest(struct validated *v)
{
	struct entry *entry = v->oldest;

	v->oldest = entry->newer;
	if (!v->oldest)
		v->newest = NULL;
	table_remove(v->peers, &entry->node);
	peer_certificate_unref(entry->peer);
	free(entry);
}

static void issuer_unref(struct issuer *issuer)
{
	if (--issuer->references)
		return;
	X509_free(issuer->x509);
	EVP_PKEY_free(issuer->pkey);
	X509_CRL_free(issuer->crl);
	for (unsigned i = 0; i < issuer->authority_count; i++)
		free((void *)(uintptr_t)issuer->authorities[i].data);
	free(issuer);
}

static void drop_issuer(struct validated *v, struct issuer **at)
{
	struct issuer *issuer = *at;

	*at = issuer->next;
	v->issuer_count--;
	issuer_unref(issuer);
}

void validated_forget(struct validated *v)
{
	pthread_mutex_lock(&v->mutex);
	v->generation++;
	while (v->oldest)
		drop_oldest(v);
	while (v->issuers)
		drop_issuer(v, &v->issuers);
	pthread_mutex_unlock(&v->mutex);
}

void validated_free(struct validated *v)
{
	if (!v)
		return;
	validated_forget(v);
	table_free(v->peers);
	pthread_mutex_destroy(&v->mutex);
	free(v);
}

uint64_t validated_generation(struct validated *v)
{
	uint64_t generation;

	pthread_mutex_lock(&v->mutex);
	generation = v->generation;
	pthread_mutex_unlock(&v->mutex);
	return generation;
}

/* ---- end certificates ----------------------------------------------------------- */

static bool hash_of(struct bytes der, uint8_t out[HASH_LEN], uint64_t *hash)
{
	if (!EVP_Digest(der.data, der.len, out, NULL, EVP_sha256(), NULL))
		return false;
	memcpy(hash, out, sizeof(*hash));
	return true;
}

static struct entry *find(struct validated *v, const uint8_t *hash, uint64_t key)
{
	struct table_node *node = table_first(v->peers, key);

	for (; node; node = table_next(node)) {
		struct entry *entry = (struct entry *)node; /* its first member */

		if (memcmp(entry->hash, hash, HASH_LEN) == 0)
			return entry;
	}
	return NULL;
}

struct peer_certificate *validated_find(struct validated *v, struct bytes der, int64_t now_s)
{
	struct peer_certificate *peer = NULL;
	struct entry *entry;
	uint8_t hash[HASH_LEN];
	uint64_t key;

	if (!hash_of(der, hash, &key))
		return NULL;
	pthread_mutex_lock(&v->mutex);
	entry = find(v, hash, key);
	if (entry && now_s < entry->until_s) {
		peer = entry->peer;
		__atomic_add_fetch(&peer->references, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&v->mutex);
	return peer;
}

/* Under the mutex. */
static void remember(struct validated *v, struct entry *entry, uint64_t key)
{
	struct entry *old = find(v, entry->hash, key);

	if (old) { /* it has its place in the line */
		peer_certificate_unref(old->peer);
		old->peer = entry->peer;
		old->until_s = entry->until_s;
		free(entry);
		return;
	}
	if (!table_insert(v->peers, &entry->node, key)) {
		peer_certificate_unref(entry->peer);
		free(entry);
		return;
	}
	*(v->newest ? &v->newest->newer : &v->oldest) = entry;
	v->newest = entry;
	while (table_count(v->peers) > PEERS_MAX)
		drop_oldest(v);
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void validated_add(struct validated *v, uint64_t generation, struct bytes der,
	struct peer_certificate *peer, int64_t until_s)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	uint64_t key;

	if (!entry)
		return;
	if (!hash_of(der, entry->hash, &key)) {
		free(entry);
		return;
	}
	entry->peer = peer;
	entry->until_s = earliest(until_s, peer->not_after_s);
	pthread_mutex_lock(&v->mutex);
	if (generation == v->generation) {
		__atomic_add_fetch(&peer->references, 1, __ATOMIC_RELAXED);
		remember(v, entry, key);
		entry = NULL;
	}
	pthread_mutex_unlock(&v->mutex);
	free(entry);
}

int64_t validated_latest(int64_t now_s)
{
	return now_s + REMEMBERED_MAX_S;
}

/* ---- authorities ------------------------------------------------------------------ */

/* Limits that this room does not work out itself: then NSS is asked each time. */
static bool limits_issued(X509 *x509)
{
	static const int limiting[] = {
		NID_name_constraints, NID_policy_constraints, NID_inhibit_any_policy};

	for (size_t i = 0; i < sizeof(limiting) / sizeof(limiting[0]); i++)
		if (X509_get_ext_by_NID(x509, limiting[i], -1) >= 0)
			return true;
	return X509_get_extension_flags(x509) & (EXFLAG_INVALID | EXFLAG_CRITICAL) ||
	       X509_check_ca(x509) == 0;
}

bool authority_limits_issued(struct bytes der)
{
	X509 *x509 = certificate_of(der);
	bool limits = !x509 || limits_issued(x509);

	X509_free(x509);
	ERR_clear_error();
	return limits;
}

static bool take_authorities(struct issuer *issuer, const struct peer_certificate *peer)
{
	for (unsigned i = 0; i < peer->authority_count; i++) {
		issuer->authorities[i] = bytes_copy(peer->authorities[i]);
		if (!issuer->authorities[i].data)
			return false;
		issuer->authority_count++;
	}
	return true;
}

static struct issuer *issuer_new(
	struct bytes der, struct bytes crl, const struct peer_certificate *peer, int64_t until_s)
{
	const unsigned char *at = crl.data;
	struct issuer *issuer = calloc(1, sizeof(*issuer));

	if (!issuer)
		return NULL;
	issuer->references = 1;
	issuer->until_s = until_s;
	issuer->x509 = certificate_of(der);
	issuer->pkey = issuer->x509 ? X509_get_pubkey(issuer->x509) : NULL;
	issuer->crl = crl.len ? d2i_X509_CRL(NULL, &at, (long)crl.len) : NULL;
	if (issuer->pkey && (!crl.len || issuer->crl) && !limits_issued(issuer->x509) &&
		take_authorities(issuer, peer))
		return issuer;
	issuer_unref(issuer);
	ERR_clear_error();
	return NULL;
}

void validated_add_issuer(struct validated *v, uint64_t generation, struct bytes der,
	struct bytes crl, const struct peer_certificate *peer, int64_t until_s)
{
	struct issuer *issuer = issuer_new(der, crl, peer, until_s), **at;

	if (!issuer)
		return;
	pthread_mutex_lock(&v->mutex);
	for (at = &v->issuers; *at && X509_cmp((*at)->x509, issuer->x509);)
		at = &(*at)->next;
	if (*at)
		drop_issuer(v, at);
	if (v->issuer_count == ISSUERS_MAX) { /* the oldest is the last */
		for (at = &v->issuers; (*at)->next;)
			at = &(*at)->next;
		drop_issuer(v, at);
	}
	if (generation == v->generation) {
		issuer->next = v->issuers;
		v->issuers = issuer;
		v->issuer_count++;
		issuer = NULL;
	}
	if (issuer)
		issuer_unref(issuer);
	pthread_mutex_unlock(&v->mutex);
}

static struct issuer *find_issuer(struct validated *v, X509 *x509, int64_t now_s)
{
	struct issuer *issuer;

	pthread_mutex_lock(&v->mutex);
	for (issuer = v->issuers; issuer; issuer = issuer->next)
		if (now_s < issuer->until_s && X509_check_issued(issuer->x509, x509) == X509_V_OK)
			break;
	if (issuer)
		issuer->references++;
	pthread_mutex_unlock(&v->mutex);
	return issuer;
}

static bool signed_with_sha2(const X509 *x509)
{
	int digest;

	return X509_get_signature_info((X509 *)(uintptr_t)x509, &digest, NULL, NULL, NULL) &&
	       (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512);
}

/* An ordinary end certificate, as RFC 4945, section 5.1.3, has them: whatever else there is, NSS
 * judges. */
static bool is_plain(X509 *x509)
{
	uint32_t flags = X509_get_extension_flags(x509);

	if (X509_get_version(x509) != 2 ||
		flags & (EXFLAG_CRITICAL | EXFLAG_CA | EXFLAG_PROXY | EXFLAG_INVALID | EXFLAG_SS))
		return false;
	if (flags & EXFLAG_KUSAGE && !(X509_get_key_usage(x509) & KU_DIGITAL_SIGNATURE))
		return false;
	return !(flags & EXFLAG_XKUSAGE) ||
	       X509_get_extended_key_usage(x509) & (XKU_SSL_SERVER | XKU_SSL_CLIENT);
}

static bool vouches_for(struct issuer *issuer, X509 *x509)
{
	X509_REVOKED *revoked;

	return is_plain(x509) && signed_with_sha2(x509) && X509_verify(x509, issuer->pkey) == 1 &&
	       (!issuer->crl || X509_CRL_get0_by_cert(issuer->crl, &revoked, x509) == 0);
}

static bool copy_authorities(struct peer_certificate *peer, const struct issuer *issuer)
{
	for (unsigned i = 0; i < issuer->authority_count; i++)
		if (!peer_certificate_add_authority(peer, issuer->authorities[i]))
			return false;
	return true;
}

struct peer_certificate *validated_by_issuer(struct validated *v, struct bytes der, int64_t now_s)
{
	uint64_t generation = validated_generation(v);
	char ignored[REFUSAL_TEXT_MAX];
	X509 *x509;
	struct peer_certificate *peer =
		peer_certificate_new(der, now_s, &x509, ignored, sizeof(ignored));
	struct issuer *issuer = peer ? find_issuer(v, x509, now_s) : NULL;

	if (issuer && vouches_for(issuer, x509) && copy_authorities(peer, issuer)) {
		validated_add(v, generation, der, peer,
			earliest(issuer->until_s, validated_latest(now_s)));
	} else {
		peer_certificate_unref(peer);
		peer = NULL;
	}
	if (issuer) {
		pthread_mutex_lock(&v->mutex);
		issuer_unref(issuer);
		pthread_mutex_unlock(&v->mutex);
	}
	X509_free(x509);
	ERR_clear_error();
	return peer;
}
