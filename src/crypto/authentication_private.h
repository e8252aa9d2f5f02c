/* Authentication by certificates, between the files of this room. Private. */
#ifndef CRYPTO_AUTHENTICATION_PRIVATE_H
#define CRYPTO_AUTHENTICATION_PRIVATE_H

#include "crypto/authentication.h"

/* Names of types only: NSS's headers and libcrypto's do not meet in one file. */
#include <openssl/types.h>
struct stack_st_GENERAL_NAME;

/* ---- jobs (authentication.c) ---- */
void authentication_job_run(struct crypto_job *job);
void authentication_job_release(struct crypto_job *job);

/* ---- private keys (private_key.c, private_key_nss.c) ---- */
struct private_key {
	EVP_PKEY *pkey; /* NULL: it signs inside NSS */
	void *nss;      /* SECKEYPrivateKey */
};
/* Takes `nss`, also when it returns NULL (memory). `exported`: the key as an EncryptedPrivateKeyInfo
 * (RFC 5958) under `password`; empty, or of no use to libcrypto: it stays in NSS. */
struct private_key *private_key_new(void *nss, struct bytes exported, const char *password);
void private_key_free(struct private_key *key);
/* The signature's length, 0 when it fails. `out` takes SIGNATURE_LEN_MAX bytes. */
size_t private_key_sign(const struct private_key *key, enum signature_scheme scheme, bool raw_ecdsa,
	struct bytes octets, uint8_t *out);
/* By NSS: ECDSA as r | s. */
size_t nss_key_sign(void *nss_key, const struct signature_scheme_info *info, struct bytes digest,
	uint8_t *out, size_t room);
void nss_key_free(void *nss_key);
const EVP_MD *signature_md(enum signature_hash hash);
bool signature_verify(EVP_PKEY *pkey, enum signature_scheme scheme, bool raw_ecdsa,
	struct bytes octets, struct bytes signature);

/* ---- a peer's certificate (peer_certificate.c) ---- */
/* What is remembered of an end certificate that was found good. */
struct peer_certificate {
	uint32_t references; /* atomic */
	EVP_PKEY *pkey;
	enum key_kind kind;
	unsigned key_bits;
	struct bytes subject;
	struct stack_st_GENERAL_NAME *alternative_names; /* NULL: none */
	char subject_text[DN_TEXT_MAX], issuer_text[DN_TEXT_MAX];
	int64_t not_after_s;
	unsigned authority_count; /* names of the chain's authorities */
	struct bytes authorities[CHAIN_MAX + 1];
};
/* Parses and checks what can be checked without an issuer: size, form, validity at `now_s`, key.
 * `x509` is the caller's to free. NULL with a reason. */
struct peer_certificate *peer_certificate_new(
	struct bytes der, int64_t now_s, X509 **x509, char *refusal, size_t size);
bool peer_certificate_add_authority(struct peer_certificate *peer, struct bytes name);
void peer_certificate_unref(struct peer_certificate *peer);
bool peer_certificate_has_name(
	const struct peer_certificate *peer, enum certificate_name kind, struct bytes name);
bool peer_certificate_has_authority(const struct peer_certificate *peer, struct bytes name);
int64_t certificate_time_s(const ASN1_TIME *time); /* INT64_MAX: none */
X509 *certificate_of(struct bytes der);            /* NULL: malformed */

/* ---- what was validated (validated.c) ---- */
struct validated;
struct validated *validated_new(void);
void validated_free(struct validated *v);
void validated_forget(struct validated *v);
/* To be read before a validation begins and given with its result: what was forgotten meanwhile is
 * not remembered again. */
uint64_t validated_generation(struct validated *v);
/* Nothing is remembered for longer. */
int64_t validated_latest(int64_t now_s);
/* Referenced; NULL: not known. */
struct peer_certificate *validated_find(struct validated *v, struct bytes der, int64_t now_s);
/* By its issuer, if that was validated: accepts only what is plainly good, and remembers it. NULL:
 * NSS must decide. */
struct peer_certificate *validated_by_issuer(struct validated *v, struct bytes der, int64_t now_s);
/* Until when at most. */
void validated_add(struct validated *v, uint64_t generation, struct bytes der,
	struct peer_certificate *peer, int64_t until_s);

/* Does it say more of what is issued below it than that it may? (Name constraints, policies.) */
bool authority_limits_issued(struct bytes der);
/* An authority that NSS has found good, with the names of those above it as in `peer`, and its CRL
 * (empty: the database has none). Nothing is remembered of one that limits what it may issue; those
 * above it must not either. */
void validated_add_issuer(struct validated *v, uint64_t generation, struct bytes der,
	struct bytes crl, const struct peer_certificate *peer, int64_t until_s);

struct validated *credentials_validated(struct credentials *credentials);
/* Is an end certificate's own authority not enough to accept it (validated_by_issuer), because an OCSP responder is to be
 * asked? */
bool credentials_ask_of_each(const struct credentials *credentials);

/* ---- validation by NSS (validation.c) ---- */
/* Fills in the chain's authorities and remembers the issuer. False with a reason. */
bool validate_chain(struct credentials *credentials, const struct authentication_job *job,
	struct peer_certificate *peer, int64_t now_s, int64_t *until_s, char *refusal, size_t size);

struct bytes bytes_copy(struct bytes from); /* malloc'd; data NULL when memory is out */

#endif
