/* Signatures by EVP, over a message of IKE_AUTH's size. */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

enum { SIGNED = 512, SIGNATURE_MAX = 512 };

struct signature {
	const char *name, *type, *group, *digest;
	int rsa_bits;
	bool verify;
};

struct signature_state {
	const struct signature *what;
	EVP_PKEY *key;
	size_t len;
	uint8_t message[SIGNED], signature[SIGNATURE_MAX];
};

static bool sign(struct signature_state *s)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok;

	s->len = sizeof(s->signature);
	ok = context &&
	     EVP_DigestSignInit_ex(context, NULL, s->what->digest, NULL, NULL, s->key, NULL) == 1 &&
	     EVP_DigestSign(context, s->signature, &s->len, s->message, sizeof(s->message)) == 1;
	EVP_MD_CTX_free(context);
	return ok;
}

static bool verify(struct signature_state *s)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = context &&
		  EVP_DigestVerifyInit_ex(
			  context, NULL, s->what->digest, NULL, NULL, s->key, NULL) == 1 &&
		  EVP_DigestVerify(context, s->signature, s->len, s->message, sizeof(s->message)) ==
			  1;

	EVP_MD_CTX_free(context);
	return ok;
}

static void drop(void *arg)
{
	struct signature_state *s = arg;

	EVP_PKEY_free(s->key);
	free(s);
}

static EVP_PKEY *generate(const struct signature *what)
{
	if (what->rsa_bits)
		return EVP_RSA_gen((unsigned)what->rsa_bits);
	if (what->group)
		return EVP_EC_gen(what->group);
	return EVP_PKEY_Q_keygen(NULL, NULL, what->type);
}

/* A copy of the one key of this kind: large RSA keys take seconds to make. */
static EVP_PKEY *key_of(const struct signature *what)
{
	static const struct signature *kind;
	static EVP_PKEY *key;

	if (!kind || kind->rsa_bits != what->rsa_bits || kind->group != what->group ||
		kind->type != what->type) {
		EVP_PKEY_free(key);
		key = generate(what);
		kind = what;
	}
	return key ? EVP_PKEY_dup(key) : NULL;
}

static void *make(const struct bench *bench)
{
	struct signature_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->what = bench->argument;
	memset(s->message, 5, sizeof(s->message));
	s->key = key_of(s->what);
	if (s->key && sign(s))
		return s;
	drop(s);
	return NULL;
}

static bool round_of(void *arg)
{
	struct signature_state *s = arg;

	return s->what->verify ? verify(s) : sign(s);
}

void bench_add_signatures(struct bench_list *list)
{
	static const struct signature signatures[] = {
		{"RSA-2048 sign", "RSA", NULL, "SHA256", 2048, false},
		{"RSA-2048 verify", "RSA", NULL, "SHA256", 2048, true},
		{"RSA-3072 sign", "RSA", NULL, "SHA256", 3072, false},
		{"RSA-3072 verify", "RSA", NULL, "SHA256", 3072, true},
		{"RSA-4096 sign", "RSA", NULL, "SHA256", 4096, false},
		{"RSA-4096 verify", "RSA", NULL, "SHA256", 4096, true},
		{"ECDSA P-256 sign", "EC", "P-256", "SHA256", 0, false},
		{"ECDSA P-256 verify", "EC", "P-256", "SHA256", 0, true},
		{"ECDSA P-384 sign", "EC", "P-384", "SHA384", 0, false},
		{"ECDSA P-384 verify", "EC", "P-384", "SHA384", 0, true},
		{"ECDSA P-521 sign", "EC", "P-521", "SHA512", 0, false},
		{"ECDSA P-521 verify", "EC", "P-521", "SHA512", 0, true},
		{"Ed25519 sign", "ED25519", NULL, NULL, 0, false},
		{"Ed25519 verify", "ED25519", NULL, NULL, 0, true},
	};

	for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
		struct bench b = {.what = "signature",
			.name = signatures[i].name,
			.provider = "libcrypto",
			.batch = 1,
			.argument = &signatures[i],
			.make = make,
			.round = round_of,
			.drop = drop};

		bench_add_by_threads(list, &b);
	}
}
