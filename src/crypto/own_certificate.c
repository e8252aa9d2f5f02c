/* A certificate of the database, taken out of it: its chain, and its private key, which signs by
 * libcrypto where NSS lets it out. */
#include "credentials_nss.h"

#include "base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- counting ------------------------------------------------------------------ */

struct own_certificate *own_certificate_ref(const struct own_certificate *certificate)
{
	struct own_certificate *own = (struct own_certificate *)(uintptr_t)certificate;

	__atomic_add_fetch(&own->references, 1, __ATOMIC_RELAXED);
	return own;
}

bool own_certificate_signs_in_nss(const struct own_certificate *certificate)
{
	return certificate->key && certificate->key->nss;
}

static void release(struct bytes bytes)
{
	free((void *)(uintptr_t)bytes.data);
}

void own_certificate_unref(const struct own_certificate *certificate)
{
	struct own_certificate *own = (struct own_certificate *)(uintptr_t)certificate;

	if (!own || __atomic_sub_fetch(&own->references, 1, __ATOMIC_ACQ_REL))
		return;
	release(own->der);
	release(own->subject);
	release(own->issuer);
	for (unsigned i = 0; i < own->chain_count; i++)
		release(own->chain[i]);
	private_key_free(own->key);
	free(own->nickname);
	free(own);
}

struct authorities *authorities_ref(const struct authorities *authorities)
{
	struct authorities *a = (struct authorities *)(uintptr_t)authorities;

	__atomic_add_fetch(&a->references, 1, __ATOMIC_RELAXED);
	return a;
}

void authorities_unref(const struct authorities *authorities)
{
	struct authorities *a = (struct authorities *)(uintptr_t)authorities;

	if (a && __atomic_sub_fetch(&a->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(a);
}

/* ---- facts ------------------------------------------------------------------------ */

void key_facts(CERTCertificate *certificate, enum key_kind *kind, unsigned *bits)
{
	SECKEYPublicKey *key = CERT_ExtractPublicKey(certificate);
	KeyType type = key ? SECKEY_GetPublicKeyType(key) : nullKey;

	*kind = type == rsaKey ? KEY_RSA : type == ecKey ? KEY_ECDSA : KEY_UNKNOWN;
	*bits = key ? SECKEY_PublicKeyStrengthInBits(key) : 0;
	if (key)
		SECKEY_DestroyPublicKey(key);
}

bool is_trusted_authority(CERTCertificate *certificate)
{
	CERTCertTrust trust;

	return CERT_GetCertTrust(certificate, &trust) == SECSuccess &&
	       trust.sslFlags & (CERTDB_TRUSTED_CA | CERTDB_TRUSTED_CLIENT_CA);
}

void certificate_ckaid(CERTCertificate *certificate, char *out, size_t size)
{
	SECItem *id = PK11_GetLowLevelKeyIDForCert(NULL, certificate, NULL);
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; id && i < id->len && used + 3 <= size; i++, used += 2)
		snprintf(out + used, size - used, "%02x", id->data[i]);
	if (id)
		SECITEM_FreeItem(id, PR_TRUE);
}

/* ---- the key -------------------------------------------------------------------------- */

#define EXPORT_PASSWORD_LEN 64

/* A password that nobody will know. */
static bool make_password(char password[EXPORT_PASSWORD_LEN + 1])
{
	uint8_t random[EXPORT_PASSWORD_LEN / 2];
	bool ok = PK11_GenerateRandom(random, sizeof(random)) == SECSuccess;

	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(password + 2 * i, 3, "%02x", random[i]);
	secret_wipe(random, sizeof(random));
	return ok;
}

/* NSS marks imported keys as sensitive: they leave it encrypted only. Empty: it does not let it out. */
static SECItem *export_key(struct credentials *c, SECKEYPrivateKey *nss, const char *password)
{
	SECItem secret = {
		siBuffer, (unsigned char *)(uintptr_t)password, (unsigned)strlen(password)};
	SECKEYEncryptedPrivateKeyInfo *info =
		PK11_ExportEncryptedPrivKeyInfo(NULL, SEC_OID_AES_256_CBC, &secret, nss, 1, c);
	SECItem *der = info ? SEC_ASN1EncodeItem(NULL, NULL, info,
				      SEC_ASN1_GET(SECKEY_EncryptedPrivateKeyInfoTemplate))
			    : NULL;

	if (info)
		SECKEY_DestroyEncryptedPrivateKeyInfo(info, PR_TRUE);
	return der;
}

/* What NSS lets out is loaded once into libcrypto, which signs eight times faster. */
static struct private_key *take_key(struct credentials *c, CERTCertificate *certificate)
{
	SECKEYPrivateKey *nss = PK11_FindKeyByAnyCert(certificate, c);
	char password[EXPORT_PASSWORD_LEN + 1] = "";
	struct private_key *key;
	SECItem *der = NULL;

	if (!nss)
		return NULL;
	if (!c->keys_stay && !PK11_IsFIPS() && make_password(password))
		der = export_key(c, nss, password);
	key = private_key_new(nss, der ? bytes_of_item(der) : (struct bytes){0}, password);
	if (der)
		SECITEM_ZfreeItem(der, PR_TRUE);
	secret_wipe(password, sizeof(password));
	return key;
}

/* ---- the chain ------------------------------------------------------------------------- */

static bool take_chain(struct own_certificate *own, CERTCertificate *certificate)
{
	CERTCertificateList *chain = CERT_CertChainFromCert(certificate, certUsageIPsec, PR_FALSE);

	for (int i = 1; chain && i < chain->len && own->chain_count < CHAIN_MAX - 1; i++) {
		struct bytes copy = bytes_copy(bytes_of_item(&chain->certs[i]));

		if (!copy.data) {
			CERT_DestroyCertificateList(chain);
			return false;
		}
		own->chain[own->chain_count++] = copy;
	}
	if (chain)
		CERT_DestroyCertificateList(chain);
	return true;
}

static const char *key_fault(const struct own_certificate *own)
{
	if (own->kind == KEY_RSA)
		return own->key_bits < RSA_BITS_MIN   ? "its RSA key is shorter than 2048 bits"
		       : own->key_bits > RSA_BITS_MAX ? "its RSA key is longer than 8192 bits"
						      : NULL;
	if (own->kind == KEY_ECDSA)
		return own->key_bits == 256 || own->key_bits == 384 || own->key_bits == 521
			       ? NULL
			       : "its elliptic curve is not supported";
	return "its key is neither RSA nor ECDSA";
}

struct own_certificate *own_certificate_new(
	struct credentials *c, CERTCertificate *certificate, char *error, size_t error_size)
{
	struct own_certificate *own = calloc(1, sizeof(*own));
	const char *fault = "out of memory";

	if (own) {
		own->references = 1;
		own->nickname = strdup(certificate->nickname ? certificate->nickname : "");
		own->der = bytes_copy(bytes_of_item(&certificate->derCert));
		own->subject = bytes_copy(bytes_of_item(&certificate->derSubject));
		own->issuer = bytes_copy(bytes_of_item(&certificate->derIssuer));
		key_facts(certificate, &own->kind, &own->key_bits);
		if (own->nickname && own->der.data && own->subject.data && own->issuer.data &&
			take_chain(own, certificate))
			fault = own->der.len > CERTIFICATE_LEN_MAX ? "it is too large"
								   : key_fault(own);
	}
	if (!fault) {
		own->key = take_key(c, certificate);
		return own;
	}
	snprintf(error, error_size, "certificate '%.120s' cannot be used: %s",
		certificate->nickname ? certificate->nickname : "", fault);
	own_certificate_unref(own);
	return NULL;
}
