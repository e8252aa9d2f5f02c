/* Constant time, seen by valgrind's memcheck: secrets are declared undefined, and memcheck reports
 * each branch and each address that depends on what is undefined, over whole runs. It knows no
 * AVX-512, so the lanes' code is compiled here against emulated/immintrin.h; the MODP groups run as
 * they are.
 *
 * Without arguments this is the test: it runs itself under valgrind, a case at a time. */
#include "job_test.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/wait.h>

#include <openssl/bn.h>
#include <valgrind/memcheck.h>

#include "ecp_ifma.h"
#include "modp_group.h"
#include "x25519_ifma.h"

enum { FOUND = 99, NOT_UNDER_VALGRIND = 98, WRONG = 97 };

static void poison(const void *data, size_t len)
{
	VALGRIND_MAKE_MEM_UNDEFINED(data, len);
}

static void cure(const void *data, size_t len)
{
	VALGRIND_MAKE_MEM_DEFINED(data, len);
}

/* ---- what must be found --------------------------------------------------------------- */

static volatile uint8_t sink;
static volatile uint8_t lines[256 * 64];

static void no_leak(void)
{
	uint8_t secret[2] = {3, 5};

	poison(secret, sizeof(secret));
	sink = (uint8_t)(-(secret[0] & 1) & secret[1]);
}

static void branch_on_a_bit(void)
{
	uint8_t secret = 3;

	poison(&secret, 1);
	if (secret & 1)
		sink = 1;
}

static void index_by_a_byte(void)
{
	uint8_t secret = 3;

	poison(&secret, 1);
	sink = lines[secret * 64];
}

/* ---- lanes -------------------------------------------------------------------------------- */

static uint8_t scalars[X25519_LANES][ECP_LEN_MAX], points[X25519_LANES][2 * ECP_LEN_MAX];
static uint8_t results[X25519_LANES][2 * ECP_LEN_MAX];

/* Below both curves' orders; digits of all kinds. */
static void make_scalars(size_t len)
{
	uint32_t x = 1;

	for (size_t lane = 0; lane < X25519_LANES; lane++) {
		for (size_t i = 0; i < len; i++) {
			x = x * 1664525 + 1013904223;
			scalars[lane][i] = (uint8_t)(x >> 24);
		}
		scalars[lane][0] &= 0x7f;
	}
	poison(scalars, sizeof(scalars));
}

/* The lanes' results are those of the instructions: of libcrypto, at least. */
static void expect_shared(uint16_t id, const uint8_t *private_key, size_t private_len,
	const uint8_t *point, size_t point_len, const uint8_t *shared)
{
	struct crypto_job *job =
		derive_job(id, bytes_of(private_key, private_len), bytes_of(point, point_len));

	crypto_job_run_steps(job);
	if (job->result != CRYPTO_JOB_OK || memcmp(job->shared.data, shared, job->shared.len) != 0)
		_exit(WRONG);
	crypto_job_free(job);
}

static void x25519(bool base)
{
	struct x25519_lane lane[X25519_LANES];

	make_scalars(X25519_LEN);
	for (size_t i = 0; i < X25519_LANES; i++) {
		/* points of large order: 9, and other small numbers on curve or twist */
		points[i][0] = base ? 9 : (uint8_t)(9 + i);
		lane[i] = (struct x25519_lane){scalars[i], points[i], results[i]};
	}
	if (base)
		x25519_ifma_multiply_base(lane, X25519_LANES);
	else
		x25519_ifma_multiply(lane, X25519_LANES);
	cure(scalars, sizeof(scalars));
	cure(results, sizeof(results));
	for (size_t i = 0; i < X25519_LANES; i++) {
		uint8_t key[64] = {0};

		memcpy(key, scalars[i], X25519_LEN);
		expect_shared(KE_CURVE25519, key, 64, points[i], X25519_LEN, results[i]);
	}
}

static void x25519_ladder(void)
{
	x25519(false);
}

static void x25519_base(void)
{
	x25519(true);
}

/* Once more with what came out as points that are multiplied. */
static void ecp(const struct ecp_ifma *curve, uint16_t id, bool base)
{
	struct ecp_lane lane[ECP_LANES];

	make_scalars(curve->len);
	for (size_t i = 0; i < ECP_LANES; i++) {
		memcpy(points[i], curve->generator, 2 * curve->len);
		lane[i] = (struct ecp_lane){
			scalars[i], points[i], results[i], results[i] + curve->len};
	}
	if (base)
		curve->multiply_base(lane, ECP_LANES);
	else if (curve->multiply(lane, ECP_LANES) != 0)
		_exit(WRONG);
	cure(scalars, sizeof(scalars));
	cure(results, sizeof(results));
	for (size_t i = 0; i < ECP_LANES; i++)
		expect_shared(id, scalars[i], curve->len, points[i], 2 * curve->len, results[i]);
}

static void p256(void)
{
	ecp(&ecp_ifma_256, KE_ECP_256, false);
}

static void p256_base(void)
{
	ecp(&ecp_ifma_256, KE_ECP_256, true);
}

static void p384(void)
{
	ecp(&ecp_ifma_384, KE_ECP_384, false);
}

static void p384_base(void)
{
	ecp(&ecp_ifma_384, KE_ECP_384, true);
}

/* ---- MODP ------------------------------------------------------------------------------------ */

/* The linker sends the library's calls here: a private key is a secret from its birth on. */
int __real_BN_priv_rand_ex(BIGNUM *n, int bits, int top, int bottom, unsigned strength, BN_CTX *bn);
int __wrap_BN_priv_rand_ex(BIGNUM *n, int bits, int top, int bottom, unsigned strength, BN_CTX *bn);
int __real_BN_priv_rand_range_ex(BIGNUM *n, const BIGNUM *range, unsigned strength, BN_CTX *bn);
int __wrap_BN_priv_rand_range_ex(BIGNUM *n, const BIGNUM *range, unsigned strength, BN_CTX *bn);

static void poison_number(BIGNUM *n)
{
	uint8_t bytes[64];
	int len = BN_num_bytes(n);

	/* the words are reached by their use: libcrypto tells no address */
	if (len <= (int)sizeof(bytes) && BN_bn2lebinpad(n, bytes, len) == len) {
		poison(bytes, (size_t)len);
		BN_lebin2bn(bytes, len, n);
	}
}

int __wrap_BN_priv_rand_ex(BIGNUM *n, int bits, int top, int bottom, unsigned strength, BN_CTX *bn)
{
	int ok = __real_BN_priv_rand_ex(n, bits, top, bottom, strength, bn);

	poison_number(n);
	return ok;
}

int __wrap_BN_priv_rand_range_ex(BIGNUM *n, const BIGNUM *range, unsigned strength, BN_CTX *bn)
{
	int ok = __real_BN_priv_rand_range_ex(n, range, strength, bn);

	poison_number(n);
	return ok;
}

static void modp(uint16_t id)
{
	struct crypto_job *peer =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(id), bytes_of(NULL, 0));
	struct crypto_job *derive, *other;

	crypto_job_run_steps(peer);
	if (peer->result != CRYPTO_JOB_OK)
		_exit(WRONG);
	cure(peer->public_value, peer->public_len);
	other = crypto_job_new(CRYPTO_KE_GENERATE, group_of(id), bytes_of(NULL, 0));
	crypto_job_run_steps(other);
	cure(other->public_value, other->public_len);
	derive = derive_job(id, secret_bytes(&peer->private_key),
		bytes_of(other->public_value, other->public_len));
	crypto_job_run_steps(derive);
	if (derive->result != CRYPTO_JOB_OK)
		_exit(WRONG);
}

/* All that memcheck is told to pass over depends on a number's length in bytes: so no entry may be
 * shorter than the others. */
static void full_length_entries(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MODP_GROUPS; i++) {
		const struct modp_group *group = modp_group_get(i);

		assert_non_null(group);
		for (size_t entry = 0; entry < group->windows * 16u; entry++)
			assert_true(group->powers[(entry + 1) * group->words - 1] >> 56 != 0);
	}
}

static void modp2048(void)
{
	modp(KE_MODP2048);
}

static void modp2048_256(void)
{
	modp(KE_MODP2048_256);
}

/* ---- running ----------------------------------------------------------------------------------
 */

static const struct poison_case {
	const char *name;
	void (*run)(void);
	int expected;
} cases[] = {
	{"no_leak", no_leak, 0},
	{"branch_on_a_bit", branch_on_a_bit, FOUND},
	{"index_by_a_byte", index_by_a_byte, FOUND},
	{"x25519_ladder", x25519_ladder, 0},
	{"x25519_base", x25519_base, 0},
	{"p256", p256, 0},
	{"p256_base", p256_base, 0},
	{"p384", p384, 0},
	{"p384_base", p384_base, 0},
	{"modp2048", modp2048, 0},
	{"modp2048_256", modp2048_256, 0},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static int run_case(const char *name)
{
	for (size_t i = 0; i < CASES; i++) {
		if (strcmp(cases[i].name, name) == 0) {
			if (!RUNNING_ON_VALGRIND)
				return NOT_UNDER_VALGRIND;
			cases[i].run();
			return 0;
		}
	}
	return WRONG;
}

static char self[4096];

/* What memcheck says of a case; its findings go to standard error. */
static int check(const char *name)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		char code[32];

		snprintf(code, sizeof(code), "--error-exitcode=%d", FOUND);
		execlp("valgrind", "valgrind", "-q", "--tool=memcheck", code,
			"--suppressions=" POISON_SUPPRESSIONS, "--num-callers=12", self, name,
			(char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect_finding(void **state)
{
	const struct poison_case *c = *state;
	int result = check(c->name);

	if (result == 127) {
		print_message("no valgrind\n");
		skip();
	}
	assert_int_equal(result, c->expected);
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[CASES + 1] = {cmocka_unit_test(full_length_entries)};
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (argc == 2)
		return run_case(argv[1]);
	if (len <= 0)
		return 1;
	for (size_t i = 0; i < CASES; i++) {
		static struct poison_case copies[CASES];

		copies[i] = cases[i];
		tests[i + 1] = (struct CMUnitTest){.name = cases[i].name,
			.test_func = expect_finding,
			.initial_state = &copies[i]};
	}
	return cmocka_run_group_tests_name("poisoned secrets", tests, NULL, NULL);
}
