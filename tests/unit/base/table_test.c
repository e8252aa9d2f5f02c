#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "siphash.h"

struct entry {
	struct table_node node; /* first: a node is its entry */
	uint32_t key;
	bool in;
};

static struct entry *find(struct table *table, uint64_t hash, uint32_t key)
{
	for (struct table_node *n = table_first(table, hash); n; n = table_next(n)) {
		struct entry *e = (struct entry *)n;

		assert_true(n->hash == hash);
		if (e->key == key)
			return e;
	}
	return NULL;
}

static size_t count_of_hash(struct table *table, uint64_t hash)
{
	size_t n = 0;

	for (struct table_node *node = table_first(table, hash); node; node = table_next(node))
		n++;
	return n;
}

static void empty_table(void **state)
{
	struct table *table = table_new();

	(void)state;
	assert_non_null(table);
	assert_int_equal(table_count(table), 0);
	assert_null(table_first(table, 0));
	assert_null(table_first(table, UINT64_MAX));
	assert_in_range(table_bytes(table), 1, 2048);
	table_free(table);
	table_free(NULL);
}

static void equal_hashes(void **state)
{
	struct table *table = table_new();
	struct entry entries[10] = {0};

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		entries[i].key = i;
		assert_true(table_insert(table, &entries[i].node, i < 7 ? 5 : 5 + 64));
	}
	assert_int_equal(count_of_hash(table, 5), 7);
	assert_int_equal(count_of_hash(table, 69), 3);
	assert_ptr_equal(find(table, 5, 3), &entries[3]);
	assert_null(find(table, 5, 8));
	table_remove(table, &entries[3].node);
	assert_null(find(table, 5, 3));
	assert_int_equal(count_of_hash(table, 5), 6);
	assert_int_equal(table_count(table), 9);
	table_free(table);
}

/* Grows to `n` entries, then shrinks to none, in random order; all are found all the time. */
static void random_against_a_model(void **state)
{
	enum { N = 60000, CHECKS = 50 };
	/* The bits of the hash that are left: all; few (long chains); high ones only. */
	static const uint64_t masks[] = {UINT64_MAX, 0x3ff, 0xfffff00000000000u};
	uint64_t seed = 5;
	struct entry *entries = calloc(N, sizeof(*entries));

	(void)state;
	assert_non_null(entries);
	for (size_t m = 0; m < 3; m++) {
		unsigned n = m == 0 ? N : 3000;
		struct table *table = table_new();
		size_t in = 0, most = 0;

		for (unsigned i = 0; i < n; i++)
			entries[i] = (struct entry){.key = i};
		/* Rises, falls, rises, falls to nothing. */
		for (unsigned step = 0; step < 10 * n; step++) {
			unsigned phase = step / n, bias = phase < 3 || phase == 5 ? 9 : 3;
			struct entry *e = &entries[unit_random(&seed) % n];
			uint64_t hash = table_hash_u64(e->key) & masks[m];

			if (phase >= 7 || unit_random(&seed) % 12 >= bias) {
				if (e->in)
					table_remove(table, &e->node);
				in -= e->in;
				e->in = false;
			} else if (!e->in) {
				assert_true(table_insert(table, &e->node, hash));
				e->in = true;
				in++;
			}
			most = in > most ? in : most;
			assert_int_equal(table_count(table), in);
			for (int i = 0; i < (step % 256 == 0 ? CHECKS : 1); i++) {
				struct entry *c = &entries[unit_random(&seed) % n];
				uint64_t h = table_hash_u64(c->key) & masks[m];

				assert_ptr_equal(find(table, h, c->key), c->in ? c : NULL);
			}
		}
		assert_true(most > n / 2);
		for (unsigned i = 0; i < n; i++) {
			if (entries[i].in)
				table_remove(table, &entries[i].node);
		}
		assert_int_equal(table_count(table), 0);
		assert_in_range(table_bytes(table), 1, 2048);
		table_free(table);
	}
	free(entries);
}

static void memory_follows_the_count(void **state)
{
	enum { N = 200000 };
	struct entry *entries = calloc(N, sizeof(*entries));
	struct table *table = table_new();
	size_t full;

	(void)state;
	assert_non_null(entries);
	for (uint32_t i = 0; i < N; i++) {
		entries[i].key = i;
		assert_true(table_insert(table, &entries[i].node, table_hash_u64(i)));
		/* At most two bucket pointers for a node, once there are many. */
		if (i > 1000)
			assert_true(table_bytes(table) <= (size_t)i * 16 + 4096);
	}
	full = table_bytes(table);
	for (uint32_t i = 0; i < N; i++)
		assert_ptr_equal(find(table, table_hash_u64(i), i), &entries[i]);
	for (uint32_t i = 0; i < N - 100; i++)
		table_remove(table, &entries[i].node);
	assert_true(table_bytes(table) < full / 100);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(find(table, table_hash_u64(i), i) != NULL, i >= N - 100);
	table_free(table);
	free(entries);
}

/* Our own SPIs and sequence numbers must spread over any power of two of buckets. */
static void own_keys_spread(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift <= 48; shift += 4) {
		unsigned used[1024] = {0}, most = 0;

		for (uint64_t i = 0; i < 4096; i++) {
			unsigned b = table_hash_u64(i << shift) & 1023;

			most = ++used[b] > most ? used[b] : most;
		}
		assert_in_range(most, 4, 40);
	}
}

static void siphash_published_vectors(void **state)
{
	/* SipHash-2-4, key 00..0f, message 00, 01, ... of n bytes: the reference vectors. */
	static const struct {
		size_t len;
		uint64_t hash;
	} reference[] = {{0, 0x726fdb47dd0e0e31u}, {1, 0x74f839c593dc67fdu},
		{7, 0xab0200f58b01d137u}, {8, 0x93f5f5799a932462u}, {9, 0x9e0082df0ba9e4b0u},
		{15, 0xa129ca6149be45e5u}, {16, 0x3f2acc7f57c29bdbu}, {63, 0x958a324ceb064572u}};
	/* SipHash-1-3, key of zeros: CPython 3.11's hash of the same bytes (PYTHONHASHSEED=0). */
	static const struct {
		const char *text;
		uint64_t hash;
	} python[] = {{"a", 0x407448d2b89b1813u}, {"siphash", 0x8264ceeccb16bcbeu},
		{"12345678", 0x3489982430560a87u}, {"digest-sip_hash", 0xce31007e34130c0au}};
	struct table_seed zero = {0, 0};
	uint8_t message[64];

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(reference) / sizeof(reference[0]); i++) {
		uint64_t hash = siphash(
			0x0706050403020100u, 0x0f0e0d0c0b0a0908u, message, reference[i].len, 2, 4);

		assert_true(hash == reference[i].hash);
	}
	for (size_t i = 0; i < sizeof(python) / sizeof(python[0]); i++)
		assert_true(table_hash(&zero, python[i].text, strlen(python[i].text)) ==
			    python[i].hash);
	assert_true(table_hash(&zero, message, 16) == 0x8972188433a5c5b7u);
	assert_true(table_hash(&zero, message, 63) == 0x385d3e39e5f37359u);
	/* Not aligned, and with another seed. */
	memmove(message + 1, message, 16);
	assert_true(table_hash(&zero, message + 1, 16) == 0x8972188433a5c5b7u);
	zero.k1 = 1;
	assert_true(table_hash(&zero, message + 1, 16) != 0x8972188433a5c5b7u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_table),
		cmocka_unit_test(equal_hashes),
		cmocka_unit_test(random_against_a_model),
		cmocka_unit_test(memory_follows_the_count),
		cmocka_unit_test(own_keys_spread),
		cmocka_unit_test(siphash_published_vectors),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
