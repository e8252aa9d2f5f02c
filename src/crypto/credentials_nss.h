/* The credentials object, between the files that see NSS. Private. */
#ifndef CRYPTO_CREDENTIALS_NSS_H
#define CRYPTO_CREDENTIALS_NSS_H

#include "authentication_private.h"

#include <pthread.h>

#include <cert.h>
#include <certdb.h>
#include <keyhi.h>
#include <pk11pub.h>
#include <secasn1.h>
#include <secder.h>
#include <secerr.h>
#include <secitem.h>

struct credentials {
	char *directory, *password_file;
	bool keys_stay;
	bool open; /* atomic; never closed before the end */
	bool initialized_nss;
	struct validated *validated;
	struct revocation_config revocation; /* its texts are copies */
	struct crl_points *crl_points;
	pthread_rwlock_t crls_change; /* read by validations */
	struct crl_fetcher *crl_fetcher; /* atomic; NULL: nothing is fetched yet */
	/* The owner's thread only. */
	struct own_certificate **known;
	unsigned known_count;
	struct authorities *authorities;
};

static inline struct bytes bytes_of_item(const SECItem *item)
{
	return bytes_of(item->data, item->len);
}
/* own_certificate.c: with chain and key; NULL with a reason. */
struct own_certificate *own_certificate_new(
	struct credentials *c, CERTCertificate *certificate, char *error, size_t error_size);
void key_facts(CERTCertificate *certificate, enum key_kind *kind, unsigned *bits);
/* CKA_ID of the key in lower-case hexadecimal digits; "" when it has none. */
void certificate_ckaid(CERTCertificate *certificate, char *out, size_t size);
/* Is it trusted to issue peers' certificates? */
bool is_trusted_authority(CERTCertificate *certificate);

#endif
