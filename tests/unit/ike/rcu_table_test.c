#include "rcu_table.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#define ITEMS 5000u

struct item {
	struct rcu_node node;
	uint64_t hash;
	unsigned key;
	bool present;
};

static struct item items[ITEMS], spare;
static struct rcu_table *table;

static bool has_key(const struct rcu_node *node, const void *key)
{
	return ((const struct item *)(const void *)node)->key == *(const unsigned *)key;
}

static const struct item *find(unsigned key)
{
	return (const struct item *)(void *)rcu_table_find(table, items[key].hash, has_key, &key);
}

/* Hashes of all kinds: random ones, equal ones, ones that differ only in their highest or lowest
 * bits. */
static uint64_t hash_of(unsigned i)
{
	switch (i % 4) {
	case 0:
		return (i + 1) * 0x9e3779b97f4a7c15u;
	case 1:
		return i % 64;
	case 2:
		return (uint64_t)i << 52;
	default:
		return UINT64_MAX - i;
	}
}

static void compare(void)
{
	for (unsigned i = 0; i < ITEMS; i++)
		assert_ptr_equal(find(i), items[i].present ? &items[i] : NULL);
}

static void in_any_order(void **state)
{
	unsigned at = 1;

	(void)state;
	compare();
	for (unsigned round = 0; round < 40000; round++) {
		at = at * 1103515245u + 12345u;
		struct item *item = &items[(at >> 8) % ITEMS];

		if (item->present)
			rcu_table_remove(table, &item->node);
		else
			rcu_table_add(table, &item->node, item->hash);
		item->present = !item->present;
		if (round % 4000 == 0)
			compare();
	}
	compare();
}

static void replaced(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ITEMS; i++) {
		if (!items[i].present)
			continue;
		spare.key = i;
		rcu_table_replace(table, &items[i].node, &spare.node);
		assert_ptr_equal(find(i), &spare);
		rcu_table_replace(table, &spare.node, &items[i].node);
		assert_ptr_equal(find(i), &items[i]);
	}
	compare();
}

/* What was taken out leads on to what stands behind it. */
static void readers_go_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ITEMS; i++) {
		if (!items[i].present)
			continue;
		struct rcu_node *next = items[i].node.next;
		rcu_table_remove(table, &items[i].node);
		assert_ptr_equal(items[i].node.next, next);
		items[i].present = false;
	}
	compare();
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i].key = i;
		items[i].hash = hash_of(i);
	}
	table = rcu_table_new();
	return table == NULL;
}

static int teardown(void **state)
{
	(void)state;
	rcu_table_free(table);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_any_order),
		cmocka_unit_test(replaced),
		cmocka_unit_test(readers_go_on),
	};
	return cmocka_run_group_tests_name("rcu_table", tests, setup, teardown);
}
