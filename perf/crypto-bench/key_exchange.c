/* Key exchange: pluto's jobs, in lanes and by the steps of libcrypto's parts, and libcrypto's own
 * interface (EVP) as most daemons use it. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include "crypto/job.h"
#include "key_exchange.h"

enum { BATCH_MAX = 16 };

/* ---- pluto ------------------------------------------------------------------ */

struct job_argument {
	uint16_t group;
	enum crypto_job_kind kind;
	bool steps;
};

struct job_state {
	struct crypto_job *jobs[BATCH_MAX];
	unsigned count;
	bool steps;
};

static void drop_jobs(void *arg)
{
	struct job_state *s = arg;

	for (unsigned i = 0; i < s->count; i++)
		crypto_job_free(s->jobs[i]);
	free(s);
}

/* With a key pair of its own on either side. */
static struct crypto_job *make_job(const struct job_argument *a)
{
	const struct algorithm *group = algorithm_by_id(TRANSFORM_KE, a->group);
	struct crypto_job *own = crypto_job_new(CRYPTO_KE_GENERATE, group, bytes_of(NULL, 0));
	struct crypto_job *peer = crypto_job_new(CRYPTO_KE_GENERATE, group, bytes_of(NULL, 0));
	struct crypto_job *job = NULL;

	if (own && peer) {
		crypto_job_run(own);
		crypto_job_run(peer);
		job = crypto_job_new(
			a->kind, group, bytes_of(peer->public_value, peer->public_len));
	}
	if (job && a->kind == CRYPTO_KE_DERIVE) {
		job->private_key = own->private_key;
		own->private_key = (struct secret){0};
	}
	crypto_job_free(own);
	crypto_job_free(peer);
	return job;
}

static void *make_jobs(const struct bench *bench)
{
	const struct job_argument *a = bench->argument;
	struct job_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->steps = a->steps;
	for (; s->count < bench->batch; s->count++) {
		s->jobs[s->count] = make_job(a);
		if (!s->jobs[s->count]) {
			drop_jobs(s);
			return NULL;
		}
	}
	return s;
}

static bool round_of_jobs(void *arg)
{
	struct job_state *s = arg;

	if (s->steps) {
		for (unsigned i = 0; i < s->count; i++)
			crypto_job_run_steps(s->jobs[i]);
	} else {
		crypto_job_run_batch(s->jobs, s->count);
	}
	for (unsigned i = 0; i < s->count; i++) {
		if (s->jobs[i]->result != CRYPTO_JOB_OK)
			return false;
	}
	return true;
}

/* ---- EVP -------------------------------------------------------------------- */

struct evp_argument {
	/* a NULL group: the type has none; a NULL type: MODP1024, which has no name there */
	const char *type, *group;
};

struct evp_state {
	EVP_PKEY_CTX *generate;
	EVP_PKEY *peer;
};

static void drop_evp(void *arg)
{
	struct evp_state *s = arg;

	EVP_PKEY_CTX_free(s->generate);
	EVP_PKEY_free(s->peer);
	free(s);
}

/* Ready to make key pairs; NULL: libcrypto has not got it. */
static EVP_PKEY_CTX *generator_by_name(const char *type, const char *group_name)
{
	EVP_PKEY_CTX *generate = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM params[2] = {OSSL_PARAM_END, OSSL_PARAM_END};
	char group[32];

	if (group_name) {
		strncpy(group, group_name, sizeof(group) - 1);
		group[sizeof(group) - 1] = 0;
		params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	}
	if (generate && EVP_PKEY_keygen_init(generate) > 0 &&
		EVP_PKEY_CTX_set_params(generate, params) > 0)
		return generate;
	EVP_PKEY_CTX_free(generate);
	return NULL;
}

static EVP_PKEY *params_of_modp1024(void)
{
	BIGNUM *p = BN_get_rfc2409_prime_1024(NULL), *g = BN_new();
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (p && g && build && context && BN_set_word(g, 2) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_P, p) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_G, g) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params && EVP_PKEY_fromdata_init(context) > 0)
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEY_PARAMETERS, params);
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_BLD_free(build);
	BN_free(g);
	BN_free(p);
	return key;
}

EVP_PKEY *bench_dh_key(const char *type, const char *group)
{
	EVP_PKEY_CTX *generate = group ? generator_by_name(type, group) : NULL;
	EVP_PKEY *key = NULL;

	if (!group)
		return params_of_modp1024();
	if (generate)
		EVP_PKEY_keygen(generate, &key);
	EVP_PKEY_CTX_free(generate);
	return key;
}

static EVP_PKEY_CTX *generator_of(const struct evp_argument *a)
{
	EVP_PKEY *params;
	EVP_PKEY_CTX *generate;

	if (a->type)
		return generator_by_name(a->type, a->group);
	params = bench_dh_key(NULL, NULL);
	generate = params ? EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL) : NULL;
	EVP_PKEY_free(params);
	if (generate && EVP_PKEY_keygen_init(generate) > 0)
		return generate;
	EVP_PKEY_CTX_free(generate);
	return NULL;
}

static void *make_evp(const struct bench *bench)
{
	struct evp_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->generate = generator_of(bench->argument);
	if (!s->generate || EVP_PKEY_keygen(s->generate, &s->peer) <= 0) {
		drop_evp(s);
		return NULL;
	}
	return s;
}

/* Generate and derive, and the peer's value checked, as a responder does. */
static bool round_of_evp(void *arg)
{
	struct evp_state *s = arg;
	EVP_PKEY_CTX *derive = NULL;
	EVP_PKEY *own = NULL;
	uint8_t shared[KE_PUBLIC_MAX];
	size_t len = sizeof(shared);
	bool ok = EVP_PKEY_keygen(s->generate, &own) > 0 &&
		  (derive = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL)) &&
		  EVP_PKEY_derive_init(derive) > 0 &&
		  EVP_PKEY_derive_set_peer(derive, s->peer) > 0 &&
		  EVP_PKEY_derive(derive, shared, &len) > 0;

	EVP_PKEY_CTX_free(derive);
	EVP_PKEY_free(own);
	return ok;
}

/* ---- the list ---------------------------------------------------------------- */

static const struct group_bench {
	const char *name;
	uint16_t id;
	struct evp_argument evp;
} groups[] = {
	{"MODP1024 both", KE_MODP1024, {NULL, NULL}},
	{"MODP1536 both", KE_MODP1536, {"DH", "modp_1536"}},
	{"MODP2048 both", KE_MODP2048, {"DH", "modp_2048"}},
	{"MODP3072 both", KE_MODP3072, {"DH", "modp_3072"}},
	{"MODP4096 both", KE_MODP4096, {"DH", "modp_4096"}},
	{"MODP6144 both", KE_MODP6144, {"DH", "modp_6144"}},
	{"MODP8192 both", KE_MODP8192, {"DH", "modp_8192"}},
	{"MODP1024_160 both", KE_MODP1024_160, {"DHX", "dh_1024_160"}},
	{"MODP2048_224 both", KE_MODP2048_224, {"DHX", "dh_2048_224"}},
	{"MODP2048_256 both", KE_MODP2048_256, {"DHX", "dh_2048_256"}},
	{"P-256 both", KE_ECP_256, {"EC", "P-256"}},
	{"P-384 both", KE_ECP_384, {"EC", "P-384"}},
	{"P-521 both", KE_ECP_521, {"EC", "P-521"}},
	{"X25519 both", KE_CURVE25519, {"X25519", NULL}},
};
enum { GROUPS = sizeof(groups) / sizeof(groups[0]) };

static struct bench job_bench(const char *name, const struct job_argument *argument)
{
	return (struct bench){.what = "key exchange",
		.name = name,
		.provider = argument->steps ? "pluto by libcrypto" : "pluto",
		.batch = 1,
		.argument = argument,
		.make = make_jobs,
		.round = round_of_jobs,
		.drop = drop_jobs};
}

static void add_group(struct bench_list *list, unsigned i)
{
	static struct job_argument arguments[GROUPS];
	struct bench b;

	arguments[i] = (struct job_argument){groups[i].id, CRYPTO_KE_BOTH, false};
	b = job_bench(groups[i].name, &arguments[i]);
	bench_add_by_threads(list, &b);
	b = (struct bench){.what = "key exchange",
		.name = groups[i].name,
		.provider = "libcrypto",
		.batch = 1,
		.argument = &groups[i].evp,
		.make = make_evp,
		.round = round_of_evp,
		.drop = drop_evp};
	bench_add_by_threads(list, &b);
}

static void add_lanes(struct bench_list *list)
{
	static const struct {
		const char *name;
		uint16_t group;
		enum crypto_job_kind kind;
	} kinds[] = {
		{"X25519 generate", KE_CURVE25519, CRYPTO_KE_GENERATE},
		{"X25519 derive", KE_CURVE25519, CRYPTO_KE_DERIVE},
		{"X25519 both", KE_CURVE25519, CRYPTO_KE_BOTH},
		{"P-256 generate", KE_ECP_256, CRYPTO_KE_GENERATE},
		{"P-256 derive", KE_ECP_256, CRYPTO_KE_DERIVE},
		{"P-256 both", KE_ECP_256, CRYPTO_KE_BOTH},
		{"P-384 generate", KE_ECP_384, CRYPTO_KE_GENERATE},
		{"P-384 derive", KE_ECP_384, CRYPTO_KE_DERIVE},
		{"P-384 both", KE_ECP_384, CRYPTO_KE_BOTH},
	};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	static const unsigned batches[] = {1, 4, 8, 16};
	static struct job_argument arguments[2][KINDS];

	for (unsigned k = 0; k < KINDS; k++) {
		struct bench b;

		for (unsigned steps = 0; steps < 2; steps++)
			arguments[steps][k] =
				(struct job_argument){kinds[k].group, kinds[k].kind, steps == 1};
		b = job_bench(kinds[k].name, &arguments[1][k]);
		bench_add_by_threads(list, &b);
		b = job_bench(kinds[k].name, &arguments[0][k]);
		for (unsigned i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
			b.batch = batches[i];
			/* a batch of one is with the groups */
			if (b.batch > 1 || kinds[k].kind != CRYPTO_KE_BOTH)
				bench_add_by_threads(list, &b);
		}
	}
}

void bench_add_key_exchanges(struct bench_list *list)
{
	for (unsigned i = 0; i < GROUPS; i++)
		add_group(list, i);
	add_lanes(list);
}
