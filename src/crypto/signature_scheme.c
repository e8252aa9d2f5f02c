/* The table of signature schemes, and AlgorithmIdentifiers. */
#include "crypto/signature.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define ID_LEN(id)                                                                                 \
	{                                                                                          \
		id, sizeof(id)                                                                     \
	}

/* RFC 7427, appendix A.1: the parameters are NULL. */
static const uint8_t rsa_256[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
static const uint8_t rsa_384[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c, 0x05, 0x00};
static const uint8_t rsa_512[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d, 0x05, 0x00};
/* Appendix A.3: no parameters. */
static const uint8_t ecdsa_256[] = {
	0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t ecdsa_384[] = {
	0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
static const uint8_t ecdsa_512[] = {
	0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04};
/* Appendix A.4.3, octet by octet: there are peers that compare. */
#define PSS(hash, salt)                                                                            \
	{                                                                                          \
		0x30, 0x46, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,      \
			0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,    \
			0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06,    \
			0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d,    \
			0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05,    \
			0x00, 0xa2, 0x03, 0x02, 0x01, salt, 0xa3, 0x03, 0x02, 0x01, 0x01           \
	}
static const uint8_t pss_256[] = PSS(0x01, 0x20);
static const uint8_t pss_384[] = PSS(0x02, 0x30);
static const uint8_t pss_512[] = PSS(0x03, 0x40);

static const struct signature_scheme_info infos[SIGNATURE_SCHEMES] = {
	[SIGNATURE_RSA_PSS_SHA512] = {"RSASSA-PSS with SHA2_512", KEY_RSA, SIGHASH_SHA2_512, true,
		ID_LEN(pss_512)},
	[SIGNATURE_RSA_PSS_SHA384] = {"RSASSA-PSS with SHA2_384", KEY_RSA, SIGHASH_SHA2_384, true,
		ID_LEN(pss_384)},
	[SIGNATURE_RSA_PSS_SHA256] = {"RSASSA-PSS with SHA2_256", KEY_RSA, SIGHASH_SHA2_256, true,
		ID_LEN(pss_256)},
	[SIGNATURE_RSA_SHA512] = {"RSA with SHA2_512", KEY_RSA, SIGHASH_SHA2_512, false,
		ID_LEN(rsa_512)},
	[SIGNATURE_RSA_SHA384] = {"RSA with SHA2_384", KEY_RSA, SIGHASH_SHA2_384, false,
		ID_LEN(rsa_384)},
	[SIGNATURE_RSA_SHA256] = {"RSA with SHA2_256", KEY_RSA, SIGHASH_SHA2_256, false,
		ID_LEN(rsa_256)},
	[SIGNATURE_RSA_SHA1] = {"RSA with SHA1", KEY_RSA, SIGHASH_SHA1, false, {0}},
	[SIGNATURE_ECDSA_SHA512] = {"ECDSA with SHA2_512", KEY_ECDSA, SIGHASH_SHA2_512, false,
		ID_LEN(ecdsa_512)},
	[SIGNATURE_ECDSA_SHA384] = {"ECDSA with SHA2_384", KEY_ECDSA, SIGHASH_SHA2_384, false,
		ID_LEN(ecdsa_384)},
	[SIGNATURE_ECDSA_SHA256] = {"ECDSA with SHA2_256", KEY_ECDSA, SIGHASH_SHA2_256, false,
		ID_LEN(ecdsa_256)},
};

const struct signature_scheme_info *signature_scheme_info(enum signature_scheme scheme)
{
	return &infos[scheme];
}

const char *key_kind_name(enum key_kind kind)
{
	return kind == KEY_RSA ? "RSA" : kind == KEY_ECDSA ? "ECDSA" : "unknown";
}

/* ---- a peer's identifier --------------------------------------------------------- */

static int algorithm_nid(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object;

	if (!algorithm)
		return NID_undef;
	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	return OBJ_obj2nid(object);
}

static int mask_hash_nid(const RSA_PSS_PARAMS *pss)
{
	X509_ALGOR *hash;
	int nid;

	if (algorithm_nid(pss->maskGenAlgorithm) != NID_mgf1 || !pss->maskGenAlgorithm->parameter ||
		pss->maskGenAlgorithm->parameter->type != V_ASN1_SEQUENCE)
		return NID_undef;
	hash = ASN1_item_unpack(
		pss->maskGenAlgorithm->parameter->value.sequence, ASN1_ITEM_rptr(X509_ALGOR));
	nid = algorithm_nid(hash);
	X509_ALGOR_free(hash);
	return nid;
}

/* Mask and salt as long as the hash, as every peer has them; nothing else. */
static bool pss_scheme(const X509_ALGOR *algorithm, enum signature_scheme *scheme)
{
	static const struct {
		int nid;
		long salt;
		enum signature_scheme scheme;
	} known[] = {{NID_sha256, 32, SIGNATURE_RSA_PSS_SHA256},
		{NID_sha384, 48, SIGNATURE_RSA_PSS_SHA384},
		{NID_sha512, 64, SIGNATURE_RSA_PSS_SHA512}};
	RSA_PSS_PARAMS *pss = NULL;
	bool found = false;

	if (algorithm->parameter && algorithm->parameter->type == V_ASN1_SEQUENCE)
		pss = ASN1_item_unpack(
			algorithm->parameter->value.sequence, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
	for (size_t i = 0; pss && !found && i < sizeof(known) / sizeof(known[0]); i++) {
		found = algorithm_nid(pss->hashAlgorithm) == known[i].nid &&
			mask_hash_nid(pss) == known[i].nid && pss->saltLength &&
			ASN1_INTEGER_get(pss->saltLength) == known[i].salt &&
			(!pss->trailerField || ASN1_INTEGER_get(pss->trailerField) == 1);
		*scheme = known[i].scheme;
	}
	RSA_PSS_PARAMS_free(pss);
	return found;
}

static bool scheme_of_algorithm(const X509_ALGOR *algorithm, enum signature_scheme *scheme)
{
	switch (algorithm_nid(algorithm)) {
	case NID_sha256WithRSAEncryption:
		*scheme = SIGNATURE_RSA_SHA256;
		return true;
	case NID_sha384WithRSAEncryption:
		*scheme = SIGNATURE_RSA_SHA384;
		return true;
	case NID_sha512WithRSAEncryption:
		*scheme = SIGNATURE_RSA_SHA512;
		return true;
	case NID_ecdsa_with_SHA256:
		*scheme = SIGNATURE_ECDSA_SHA256;
		return true;
	case NID_ecdsa_with_SHA384:
		*scheme = SIGNATURE_ECDSA_SHA384;
		return true;
	case NID_ecdsa_with_SHA512:
		*scheme = SIGNATURE_ECDSA_SHA512;
		return true;
	case NID_rsassaPss:
		return pss_scheme(algorithm, scheme);
	default:
		return false;
	}
}

bool signature_scheme_of_identifier(struct bytes identifier, enum signature_scheme *scheme)
{
	const unsigned char *at = identifier.data;
	X509_ALGOR *algorithm;
	bool known;

	for (unsigned i = 0; i < SIGNATURE_SCHEMES; i++) {
		*scheme = (enum signature_scheme)i;
		if (infos[i].identifier.len && bytes_equal(infos[i].identifier, identifier))
			return true;
	}
	algorithm = d2i_X509_ALGOR(NULL, &at, (long)identifier.len);
	known = algorithm && at == identifier.data + identifier.len &&
		scheme_of_algorithm(algorithm, scheme);
	X509_ALGOR_free(algorithm);
	ERR_clear_error();
	return known;
}

/* ---- ours ------------------------------------------------------------------------- */

bool signature_scheme_choose(enum key_kind kind, unsigned key_bits, uint32_t allowed,
	uint32_t hashes, enum signature_scheme *scheme)
{
	enum signature_scheme by_curve = key_bits > 384   ? SIGNATURE_ECDSA_SHA512
					 : key_bits > 256 ? SIGNATURE_ECDSA_SHA384
							  : SIGNATURE_ECDSA_SHA256;

	*scheme = by_curve;
	if (kind == KEY_ECDSA && allowed & SCHEME_BIT(by_curve) &&
		hashes & SIGHASH_BIT(infos[by_curve].hash))
		return true;
	for (unsigned i = 0; i < SIGNATURE_SCHEMES; i++) {
		*scheme = (enum signature_scheme)i;
		if (infos[i].kind == kind && allowed & SCHEME_BIT(i) &&
			hashes & SIGHASH_BIT(infos[i].hash))
			return true;
	}
	return false;
}
