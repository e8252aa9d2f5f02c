/* Signatures and certificates as jobs: what is accepted, and how each that is not is refused. */
#include "certificate_maker.h"

#include "crypto/authentication.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define AUTHORITY "critical,CA:TRUE"
#define SIGNS     "critical,keyCertSign,cRLSign"

static char directory[] = "/tmp/plt-nss-XXXXXX";
static struct credentials *credentials;
static struct made ca, other_ca, constrained, good, revoked, rsa, ec384, ec521, below;
static const struct bytes octets = {(const uint8_t *)"what is signed", 14};

/* ---- jobs ---------------------------------------------------------------------- */

static enum signature_scheme scheme_of(const struct made *made)
{
	return EVP_PKEY_get_base_id(made->key) == EVP_PKEY_RSA ? SIGNATURE_RSA_PSS_SHA256
							       : SIGNATURE_ECDSA_SHA256;
}

/* By the key itself, not by code under test. */
static size_t sign_with(const struct made *made, uint8_t *out, size_t room)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *context;

	assert_int_equal(EVP_DigestSignInit(md, &context, EVP_sha256(), NULL, made->key), 1);
	if (scheme_of(made) == SIGNATURE_RSA_PSS_SHA256) {
		EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(md, out, &room, octets.data, octets.len), 1);
	EVP_MD_CTX_free(md);
	return room;
}

struct asking {
	const struct made *chain[CHAIN_MAX + 1]; /* ends with NULL */
	struct bytes der;                        /* instead of the first one's */
	enum certificate_name name_kind;
	const char *name;
	const struct made *authority;
};

static struct authentication_job *job_for(const struct asking *a)
{
	struct authentication_job wanted = {.octets = octets,
		.name_kind = a->name_kind,
		.name = bytes_of(a->name, strlen(a->name)),
		.name_text = a->name};
	uint8_t signature[SIGNATURE_LEN_MAX];
	struct crypto_job *job;
	unsigned char *name = NULL;

	wanted.scheme = scheme_of(a->chain[0]);
	wanted.signature =
		bytes_of(signature, sign_with(a->chain[0], signature, sizeof(signature)));
	for (unsigned i = 0; a->chain[i]; i++)
		wanted.certificates[wanted.certificate_count++] = a->chain[i]->der;
	if (a->der.data)
		wanted.certificates[0] = a->der;
	if (a->authority) {
		int len = i2d_X509_NAME(X509_get_subject_name(a->authority->x509), &name);

		wanted.authority = bytes_of(name, (size_t)len);
	}
	job = verify_job_new(credentials, &wanted);
	OPENSSL_free(name);
	assert_non_null(job);
	return authentication_job_of(job);
}

/* As an engine does: without blocking first. */
static void run(struct authentication_job *job)
{
	crypto_job_run(&job->job);
	if (job->job.result == CRYPTO_JOB_UNKNOWN_CHAIN) {
		job->job.kind = CRYPTO_VALIDATE;
		crypto_job_run(&job->job);
	}
}

static void expect(const struct asking *a, const char *refusal)
{
	struct authentication_job *job = job_for(a);

	run(job);
	if (!refusal) {
		if (job->job.result != CRYPTO_JOB_OK)
			fail_msg("result %d: %s", job->job.result, job->refusal);
	} else if (job->job.result != CRYPTO_JOB_REFUSED || !strstr(job->refusal, refusal)) {
		fail_msg("result %d: '%s', not '%s'", job->job.result, job->refusal, refusal);
	}
	crypto_job_free(&job->job);
}

static void expect_leaf(struct making making, const char *refusal)
{
	struct made leaf;

	making.name = making.name ? making.name : "leaf";
	making.san = making.san ? making.san : "DNS:leaf.test";
	making.issuer = making.issuer ? making.issuer : &ca;
	leaf = make(&making);
	expect(
		&(struct asking){
			.chain = {&leaf}, .name_kind = CERTIFICATE_NAME_DNS, .name = "leaf.test"},
		refusal);
	made_release(&leaf);
}

/* ---- the tests ------------------------------------------------------------------- */

static void test_good(void **state)
{
	struct asking a = {
		.chain = {&good}, .name_kind = CERTIFICATE_NAME_DNS, .name = "good.test"};
	struct authentication_job *job;

	(void)state;
	credentials_forget(credentials);
	job = job_for(&a);
	crypto_job_run(&job->job);
	assert_int_equal(job->job.result, CRYPTO_JOB_UNKNOWN_CHAIN);
	job->job.kind = CRYPTO_VALIDATE;
	crypto_job_run(&job->job);
	assert_int_equal(job->job.result, CRYPTO_JOB_OK);
	assert_string_equal(job->peer,
		"certificate 'O=Test, CN=good' and 256-bit ECDSA with SHA2_256 "
		"digital signature issued by 'O=Test, CN=ca'");
	/* From now on without NSS. */
	job->job.kind = CRYPTO_VERIFY;
	crypto_job_run(&job->job);
	assert_int_equal(job->job.result, CRYPTO_JOB_OK);
	credentials_forget(credentials);
	crypto_job_run(&job->job);
	assert_int_equal(job->job.result, CRYPTO_JOB_UNKNOWN_CHAIN);
	crypto_job_free(&job->job);
}

static void test_another_of_a_known_authority(void **state)
{
	struct made another =
		make(&(struct making){.name = "another", .issuer = &ca, .san = "DNS:another.test"});
	struct making odd = {.name = "odd",
		.issuer = &ca,
		.san = "DNS:another.test",
		.usage = "keyEncipherment"};
	struct made unusual = make(&odd);
	struct asking a = {
		.chain = {&good}, .name_kind = CERTIFICATE_NAME_DNS, .name = "good.test"};
	struct authentication_job *job;
	const struct {
		const struct made *leaf;
		enum crypto_job_result result;
	} cases[] = {{&another, CRYPTO_JOB_OK}, {&revoked, CRYPTO_JOB_UNKNOWN_CHAIN},
		{&unusual, CRYPTO_JOB_UNKNOWN_CHAIN}};

	(void)state;
	credentials_forget(credentials);
	expect(&a, NULL);
	a.name = "another.test";
	for (size_t i = 0; i < 3; i++) {
		a.chain[0] = cases[i].leaf;
		job = job_for(&a);
		crypto_job_run(&job->job);
		assert_int_equal(job->job.result, cases[i].result);
		crypto_job_free(&job->job);
	}
	made_release(&another);
	made_release(&unusual);
}

static void test_refused(void **state)
{
	(void)state;
	for (unsigned known = 0; known < 2; known++) {
		/* First with nothing remembered, then with the authority known. */
		credentials_forget(credentials);
		if (known)
			expect_leaf((struct making){0}, NULL);
		expect_leaf((struct making){.from_s = -7200, .to_s = -3600}, "it has expired");
		expect_leaf((struct making){.from_s = 3600, .to_s = 7200}, "it is not valid yet");
		expect_leaf((struct making){.issuer = &other_ca},
			"no path leads to an authority of the NSS database");
		expect_leaf((struct making){.san = "DNS:somebody.test"},
			"is not for its identity 'leaf.test'");
		expect_leaf((struct making){.usage = "keyEncipherment"},
			"its key usage does not allow signatures");
		expect_leaf((struct making){.extended_usage = "codeSigning"},
			"its extended key usage does not allow IPsec");
		expect_leaf((struct making){.unknown_critical = true}, "critical extension");
		expect_leaf((struct making){.kind = "RSA", .bits = 1024},
			"its RSA key is shorter than 2048 bits");
		expect_leaf((struct making){.kind = "secp256k1"}, "is not supported");
		expect_leaf((struct making){.padding = 20000}, "too large: ");
		expect_leaf((struct making){.padding = 62000}, "too large: ");
		expect_leaf((struct making){.issuer = &constrained},
			"is refused: ");
		/* A good certificate of the same authority's key has issued it. */
		expect_leaf((struct making){.issuer = &good}, "is refused: ");
		expect(&(struct asking){.chain = {&revoked},
			       .name_kind = CERTIFICATE_NAME_DNS,
			       .name = "revoked.test"},
			"it has been revoked");
	}
}

static void test_names(void **state)
{
	static const struct {
		enum certificate_name kind;
		const char *name;
		bool has;
	} cases[] = {{CERTIFICATE_NAME_DNS, "GOOD.test", true},
		{CERTIFICATE_NAME_DNS, "good.tes", false},
		{CERTIFICATE_NAME_DNS, "other.test", false},
		{CERTIFICATE_NAME_DNS, "*.test", false},
		{CERTIFICATE_NAME_MAIL, "User@GOOD.test", true},
		{CERTIFICATE_NAME_MAIL, "user@good.test", false},
		{CERTIFICATE_NAME_IP, "\xc0\x01\x02\x03", true},
		{CERTIFICATE_NAME_IP, "\xc0\x01\x02\x04", false},
		{CERTIFICATE_NAME_DN, "good.test", false},
		{CERTIFICATE_NAME_NONE, "good.test", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(&(struct asking){.chain = {&good},
			       .name_kind = cases[i].kind,
			       .name = cases[i].name},
			cases[i].has ? NULL : "is not for its identity");
}

static void test_authority_that_the_connection_asks_for(void **state)
{
	struct made leaf =
		make(&(struct making){.name = "leaf", .issuer = &below, .san = "DNS:leaf.test"});
	struct asking a = {.chain = {&leaf, &below},
		.name_kind = CERTIFICATE_NAME_DNS,
		.name = "leaf.test",
		.authority = &ca};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		a.authority = &ca;
		expect(&a, NULL);
		a.authority = &below;
		expect(&a, NULL);
		a.authority = &other_ca;
		expect(&a, "is not of the authority that the connection asks for");
	}
	made_release(&leaf);
}

static void test_chains(void **state)
{
	struct made chain[12], loop[2];
	char name[16];
	struct asking a = {.name_kind = CERTIFICATE_NAME_DNS, .name = "leaf.test"};
	struct making m = {.name = "loop0", .constraints = AUTHORITY, .usage = SIGNS};

	(void)state;
	credentials_forget(credentials);
	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), i == 11 ? "leaf" : "depth%u", i);
		chain[i] = make(&(struct making){.name = name,
			.issuer = i ? &chain[i - 1] : &ca,
			.constraints = i == 11 ? NULL : AUTHORITY,
			.usage = i == 11 ? NULL : SIGNS,
			.san = i == 11 ? "DNS:leaf.test" : NULL});
	}
	/* As many as are read of twelve: the path has a gap. */
	for (unsigned i = 0; i < CHAIN_MAX; i++)
		a.chain[i] = &chain[11 - i];
	a.chain[CHAIN_MAX] = NULL;
	expect(&a, "no path leads to an authority");
	for (unsigned i = 0; i < 12; i++)
		made_release(&chain[i]);

	/* Each has issued the other. */
	struct made first = make(&m);
	loop[1] = make(&(struct making){
		.name = "loop1", .issuer = &first, .constraints = AUTHORITY, .usage = SIGNS});
	m.issuer = &loop[1];
	m.key_of = &first;
	loop[0] = make(&m);
	struct made leaf =
		make(&(struct making){.name = "leaf", .issuer = &first, .san = "DNS:leaf.test"});

	memset(a.chain, 0, sizeof(a.chain));
	a.chain[0] = &leaf;
	a.chain[1] = &loop[0];
	a.chain[2] = &loop[1];
	expect(&a, "is refused: ");
	made_release(&first);
	made_release(&loop[0]);
	made_release(&loop[1]);
	made_release(&leaf);
}

/* A second certificate with the issuer and serial number of one in the database is not taken for
 * it. */
static void test_serial_number_of_another(void **state)
{
	struct making m = {.name = "rsa",
		.issuer = &ca,
		.san = "DNS:rsa.test",
		.serial = ASN1_INTEGER_get(X509_get_serialNumber(rsa.x509))};
	struct made forged = make(&m);

	(void)state;
	credentials_forget(credentials);
	expect(
		&(struct asking){
			.chain = {&forged}, .name_kind = CERTIFICATE_NAME_DNS, .name = "rsa.test"},
		"another one has its issuer and serial number");
	made_release(&forged);
}

static void test_malformed(void **state)
{
	uint8_t *copy = malloc(good.der.len + 1);
	struct asking a = {
		.chain = {&good}, .name_kind = CERTIFICATE_NAME_DNS, .name = "good.test"};
	uint32_t random = 12345;

	(void)state;
	credentials_forget(credentials);
	memcpy(copy, good.der.data, good.der.len);
	copy[good.der.len] = 0;
	a.der = bytes_of(copy, good.der.len + 1);
	expect(&a, "its certificate is malformed");
	for (size_t len = 0; len < good.der.len; len += 7) {
		a.der = bytes_of(copy, len);
		expect(&a, "its certificate is malformed");
	}
	/* Any bit: refused, or not in what is signed. */
	for (unsigned i = 0; i < 1500; i++) {
		size_t bit;

		random = random * 1103515245 + 12345;
		bit = (random >> 8) % (good.der.len * 8);
		copy[bit / 8] ^= 1 << bit % 8;
		a.der = bytes_of(copy, good.der.len);
		struct authentication_job *job = job_for(&a);

		run(job);
		assert_int_equal(job->job.result, CRYPTO_JOB_REFUSED);
		assert_string_not_equal(job->refusal, "");
		crypto_job_free(&job->job);
		copy[bit / 8] ^= 1 << bit % 8;
	}
	free(copy);
}

static void test_wrong_signature(void **state)
{
	struct asking a = {
		.chain = {&good}, .name_kind = CERTIFICATE_NAME_DNS, .name = "good.test"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct authentication_job *job = job_for(&a);

		if (i == 0)
			((uint8_t *)(uintptr_t)job->octets.data)[3] ^= 1;
		else if (i == 1)
			job->signature.len = 0;
		else
			job->scheme = SIGNATURE_RSA_PSS_SHA256;
		run(job);
		assert_int_equal(job->job.result, CRYPTO_JOB_REFUSED);
		assert_non_null(strstr(job->refusal, i < 2 ? "is wrong" : "is not one of its"));
		crypto_job_free(&job->job);
	}
}

/* ---- our own ------------------------------------------------------------------------- */

static void sign_and_verify(const struct own_certificate *own, const struct made *made,
	enum signature_scheme scheme, bool raw, const char *name)
{
	struct crypto_job *sign = sign_job_new(own, scheme, raw, octets), *verify;
	struct authentication_job wanted = {.octets = octets,
		.scheme = scheme,
		.raw_ecdsa = raw,
		.name_kind = CERTIFICATE_NAME_DNS,
		.name = bytes_of(name, strlen(name)),
		.name_text = name,
		.certificate_count = 1,
		.certificates = {made->der}};

	crypto_job_run(sign);
	assert_int_equal(sign->result, CRYPTO_JOB_OK);
	wanted.signature = authentication_job_of(sign)->signature;
	verify = verify_job_new(credentials, &wanted);
	run(authentication_job_of(verify));
	if (verify->result != CRYPTO_JOB_OK)
		fail_msg("%s: %s", signature_scheme_info(scheme)->name,
			authentication_job_of(verify)->refusal);
	crypto_job_free(verify);
	crypto_job_free(sign);
}

static void sign_by_all(struct credentials *from, bool in_nss)
{
	static const struct {
		const char *nickname, *dns;
		const struct made *made;
	} keys[] = {{"rsa", "rsa.test", &rsa}, {"good", "good.test", &good},
		{"ec384", "ec384.test", &ec384}, {"ec521", "ec521.test", &ec521}};
	char error[256];

	for (size_t i = 0; i < 4; i++) {
		struct own_certificate *own =
			credentials_by_nickname(from, keys[i].nickname, error, sizeof(error));

		assert_non_null(own);
		assert_non_null(own->key);
		assert_int_equal(own_certificate_signs_in_nss(own), in_nss);
		assert_true(bytes_equal(own->der, keys[i].made->der));
		for (unsigned s = 0; s < SIGNATURE_SCHEMES; s++) {
			if (signature_scheme_info(s)->kind != own->kind)
				continue;
			sign_and_verify(own, keys[i].made, s, false, keys[i].dns);
			if ((own->key_bits == 256 && s == SIGNATURE_ECDSA_SHA256) ||
				(own->key_bits == 384 && s == SIGNATURE_ECDSA_SHA384) ||
				(own->key_bits == 521 && s == SIGNATURE_ECDSA_SHA512))
				sign_and_verify(own, keys[i].made, s, true, keys[i].dns);
		}
		own_certificate_unref(own);
	}
}

static void test_signing_by_libcrypto(void **state)
{
	(void)state;
	sign_by_all(credentials, false);
}

static void test_signing_in_nss(void **state)
{
	struct credentials_config config = {.directory = directory, .keys_stay = true};
	struct credentials *staying = credentials_new(&config);
	char error[256];

	(void)state;
	assert_true(credentials_open(staying, error, sizeof(error)));
	sign_by_all(staying, true);
	/* The database stays open for the other one. */
	credentials_free(staying);
}

static void test_own_certificates(void **state)
{
	char error[256];
	struct own_certificate *own =
		credentials_by_nickname(credentials, "below", error, sizeof(error));
	struct authorities *authorities = credentials_authorities(credentials);

	(void)state;
	assert_non_null(own);
	assert_null(own->key);
	own_certificate_unref(own);
	assert_null(credentials_by_nickname(credentials, "nobody", error, sizeof(error)));
	assert_string_equal(error, "there is no certificate 'nobody' in the NSS database");
	assert_null(credentials_by_ckaid(credentials, "00ff", error, sizeof(error)));
	assert_int_equal(authorities->count, 2);
	authorities_unref(authorities);
}

/* ---- set-up ---------------------------------------------------------------------------- */

static int set_up(void **state)
{
	struct credentials_config config = {.directory = directory};
	char error[256];

	(void)state;
	assert_non_null(mkdtemp(directory));
	ca = make(&(struct making){.name = "ca", .constraints = AUTHORITY, .usage = SIGNS});
	other_ca =
		make(&(struct making){.name = "other", .constraints = AUTHORITY, .usage = SIGNS});
	constrained = make(&(struct making){.name = "constrained",
		.constraints = AUTHORITY,
		.usage = SIGNS,
		.name_constraints = "critical,permitted;DNS:elsewhere.test"});
	below = make(&(struct making){
		.name = "below", .issuer = &ca, .constraints = AUTHORITY, .usage = SIGNS});
	good = make(&(struct making){.name = "good",
		.issuer = &ca,
		.san = "DNS:good.test,email:User@good.test,IP:192.1.2.3"});
	revoked =
		make(&(struct making){.name = "revoked", .issuer = &ca, .san = "DNS:revoked.test"});
	rsa = make(&(struct making){
		.name = "rsa", .issuer = &ca, .kind = "RSA", .san = "DNS:rsa.test"});
	ec384 = make(&(struct making){
		.name = "ec384", .issuer = &ca, .kind = "P-384", .san = "DNS:ec384.test"});
	ec521 = make(&(struct making){
		.name = "ec521", .issuer = &ca, .kind = "P-521", .san = "DNS:ec521.test"});
	const struct made *const list[] = {&revoked, NULL};
	struct bytes crl = make_crl(&ca, list);
	const struct nss_entry entries[] = {{&ca, "ca", true, false},
		{&constrained, "constrained", true, false}, {&below, "below", false, false},
		{&good, "good", false, true}, {&rsa, "rsa", false, true},
		{&ec384, "ec384", false, true}, {&ec521, "ec521", false, true}};

	make_database(directory, entries, sizeof(entries) / sizeof(entries[0]), crl);
	OPENSSL_free((void *)(uintptr_t)crl.data);
	credentials = credentials_new(&config);
	assert_non_null(credentials);
	if (!credentials_open(credentials, error, sizeof(error)))
		fail_msg("%s", error);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = {"cert9.db", "key4.db", "pkcs11.txt"};
	char path[300];

	(void)state;
	credentials_free(credentials);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
		unlink(path);
	}
	rmdir(directory);
	struct made *all[] = {
		&ca, &other_ca, &constrained, &good, &revoked, &rsa, &ec384, &ec521, &below};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		made_release(all[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_another_of_a_known_authority),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_authority_that_the_connection_asks_for),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_serial_number_of_another),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_wrong_signature),
		cmocka_unit_test(test_signing_by_libcrypto),
		cmocka_unit_test(test_signing_in_nss),
		cmocka_unit_test(test_own_certificates),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
