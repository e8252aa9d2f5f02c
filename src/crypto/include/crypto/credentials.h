/* Credentials: the NSS database, which is the home of certificates, private keys, trust and CRLs.
 * It is opened for reading only; certutil, pk12util and crlutil change it.
 *
 * One object a process (NSS has one default database). The functions that search the database may
 * block on disk and are for the thread that owns the object (the control thread); certificates and
 * lists of authorities that they return are immutable and shared by reference count by any thread.
 */
#ifndef CRYPTO_CREDENTIALS_H
#define CRYPTO_CREDENTIALS_H

#include "crypto/revocation.h"
#include "crypto/signature.h"

/* Bounds against hostile and absurd chains. */
#define CERTIFICATE_LEN_MAX 16384
#define CHAIN_MAX           8 /* certificates, the end one among them */
#define AUTHORITIES_MAX     100
#define AUTHORITY_HASH_LEN  20

struct credentials;
struct private_key;

/* A certificate of the database: one of ours, or a peer's that the operator has put there. */
struct own_certificate {
	uint32_t references; /* atomic */
	char *nickname;
	struct bytes der;
	unsigned chain_count; /* intermediate authorities, the end certificate's issuer first; the
				 root is left out */
	struct bytes chain[CHAIN_MAX];
	struct bytes subject, issuer; /* names in DER */
	enum key_kind kind;
	unsigned key_bits;
	struct private_key *key; /* NULL: the database has none for it */
};
/* Its key stays in NSS and signs there. */
bool own_certificate_signs_in_nss(const struct own_certificate *certificate);
struct own_certificate *own_certificate_ref(const struct own_certificate *certificate);
void own_certificate_unref(const struct own_certificate *certificate); /* NULL is allowed */

/* SHA-1 of the trusted authorities' SubjectPublicKeyInfo, as CERTREQ wants them (RFC 7296, section
 * 3.7). */
struct authorities {
	uint32_t references; /* atomic */
	unsigned count;
	uint8_t hashes[][AUTHORITY_HASH_LEN];
};
struct authorities *authorities_ref(const struct authorities *authorities);
void authorities_unref(const struct authorities *authorities); /* NULL is allowed */

struct credentials_config {
	const char *directory; /* of cert9.db and key4.db */
	/* File with the database's password: lines "TOKEN:PASSWORD", or one line that is the
	 * password. NULL or missing: there is none. */
	const char *password_file;
	/* Private keys sign inside NSS even where NSS would let them out. Tokens' keys and those
	 * of a FIPS module always do. */
	bool keys_stay;
	struct revocation_config revocation; /* copied */
};

/* NULL when memory is out. Opens nothing yet. */
struct credentials *credentials_new(const struct credentials_config *config);
/* All jobs must be done. */
void credentials_free(struct credentials *credentials);
/* True when the database is open (now, or before); else `error` says why it is not. */
bool credentials_open(struct credentials *credentials, char *error, size_t error_size);
bool credentials_are_open(const struct credentials *credentials); /* any thread */
/* How many threads CRYPTO_VALIDATE jobs want: more than one if each may wait for an OCSP responder. */
unsigned credentials_validation_threads(const struct credentials *credentials);
/* Forgets what was read and validated, so that what has changed in the database counts. */
void credentials_forget(struct credentials *credentials);

/* With their private keys, if there are any; NULL with a reason. The caller's reference. A second
 * question is answered from memory until credentials_forget. */
struct own_certificate *credentials_by_nickname(
	struct credentials *credentials, const char *nickname, char *error, size_t error_size);
/* By the key's identifier in hexadecimal digits (CKA_ID). */
struct own_certificate *credentials_by_ckaid(
	struct credentials *credentials, const char *ckaid, char *error, size_t error_size);
/* The caller's reference; NULL when memory is out. Empty if there are none. */
struct authorities *credentials_authorities(struct credentials *credentials);

/* For lists. */
struct certificate_facts {
	const char *nickname;
	const char *subject, *issuer; /* text */
	const char *serial;           /* hexadecimal digits */
	const char *ckaid;            /* of a key, else "" */
	int64_t not_before_s, not_after_s;
	enum key_kind kind;
	unsigned key_bits;
	bool authority, root, trusted, has_private_key;
};
struct crl_facts {
	const char *issuer;
	unsigned revoked;
	int64_t this_update_s, next_update_s; /* 0: none */
};
typedef void credentials_visit(const struct certificate_facts *facts, void *arg);
typedef void credentials_visit_crl(const struct crl_facts *facts, void *arg);
/* Where a CRL is fetched from; `due_s`: when next, -1: not by itself. */
typedef void credentials_visit_fetch(const char *issuer, const char *url, int64_t due_s, void *arg);
void credentials_list(struct credentials *credentials, credentials_visit *visit, void *arg);
/* Those of the database, then those that were fetched. */
void credentials_list_crls(
	struct credentials *credentials, credentials_visit_crl *visit, void *arg);
void credentials_list_fetches(
	struct credentials *credentials, credentials_visit_fetch *visit, void *arg);

#endif
