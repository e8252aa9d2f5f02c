/* NSS is told of certificates, keys and CRLs in a child process: this one opens the database later,
 * for reading. */
#include "certificate_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cert.h>
#include <certdb.h>
#include <nss.h>
#include <pk11pub.h>

#include <cmocka.h>

static SECItem item_of(struct bytes bytes)
{
	return (SECItem){siBuffer, (unsigned char *)(uintptr_t)bytes.data, (unsigned)bytes.len};
}

static bool add_key(PK11SlotInfo *slot, const struct made *made)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(made->key);
	unsigned char *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	SECItem item = {siBuffer, der, (unsigned)len};
	CERTCertificate *certificate = PK11_FindCertFromDERCertItem(slot,
		&(SECItem){siBuffer, (unsigned char *)(uintptr_t)made->der.data,
			(unsigned)made->der.len},
		NULL);
	SECKEYPublicKey *public_key = CERT_ExtractPublicKey(certificate);
	SECItem *id = public_key->keyType == rsaKey ? &public_key->u.rsa.modulus
						    : &public_key->u.ec.publicValue;

	return PK11_ImportDERPrivateKeyInfoAndReturnKey(
		       slot, &item, NULL, id, PR_TRUE, PR_TRUE, KU_ALL, NULL, NULL) == SECSuccess;
}

static bool add(PK11SlotInfo *slot, const struct nss_entry *entry)
{
	SECItem item = item_of(entry->made->der);
	CERTCertificate *certificate =
		CERT_NewTempCertificate(CERT_GetDefaultCertDB(), &item, NULL, PR_FALSE, PR_TRUE);
	CERTCertTrust trust = {0};

	if (!certificate || PK11_ImportCert(slot, certificate, CK_INVALID_HANDLE, entry->nickname,
				    PR_FALSE) != SECSuccess)
		return false;
	trust.sslFlags =
		entry->trusted ? CERTDB_VALID_CA | CERTDB_TRUSTED_CA | CERTDB_TRUSTED_CLIENT_CA : 0;
	if (entry->trusted &&
		CERT_ChangeCertTrust(CERT_GetDefaultCertDB(), certificate, &trust) != SECSuccess)
		return false;
	return !entry->with_key || add_key(slot, entry->made);
}

static bool fill(
	const char *directory, const struct nss_entry *entries, size_t count, struct bytes crl)
{
	char name[300];
	PK11SlotInfo *slot;

	snprintf(name, sizeof(name), "sql:%s", directory);
	if (NSS_InitReadWrite(name) != SECSuccess)
		return false;
	slot = PK11_GetInternalKeySlot();
	if (PK11_InitPin(slot, NULL, "") != SECSuccess)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!add(slot, &entries[i]))
			return false;
	if (crl.len) {
		SECItem item = item_of(crl);

		if (!PK11_ImportCRL(slot, &item, NULL, SEC_CRL_TYPE, NULL, CRL_IMPORT_BYPASS_CHECKS,
			    NULL, CRL_DECODE_DEFAULT_OPTIONS))
			return false;
	}
	return true;
}

void make_database(
	const char *directory, const struct nss_entry *entries, size_t count, struct bytes crl)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(fill(directory, entries, count, crl) ? 0 : 1);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}
