/* libcrypto's randomness from a seed: with keys that differ from run to run a failing seed would
 * not fail again. For tests only; a process that has called this makes no secrets any more. */
#define OPENSSL_SUPPRESS_DEPRECATED  /* RAND_METHOD: a provider of a DRBG would be all that is left \
				      */

#include "world.h"

#include <openssl/rand.h>

static struct random_source source;

static int draw(unsigned char *out, int len)
{
	for (int i = 0; i < len; i++)
		out[i] = (unsigned char)random_next(&source);
	return 1;
}

static int is_seeded(void)
{
	return 1;
}

void keys_from_seed(uint64_t seed)
{
	static const RAND_METHOD method = {.bytes = draw, .pseudorand = draw, .status = is_seeded};

	source.state = seed ^ 0x5deece66d1ce4e5bu;
	RAND_set_rand_method(&method);
}
