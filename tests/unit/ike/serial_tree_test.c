#include "serial_tree.h"

#include <stdarg.h>
#include <stdbool.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#define SERIALS 2000u

static struct serial_node nodes[SERIALS];
static bool present[SERIALS];
static struct serial_node *root;

static unsigned depth(const struct serial_node *node)
{
	unsigned left, right;

	if (node == NULL)
		return 0;
	left = depth(node->left);
	right = depth(node->right);
	return 1 + (left > right ? left : right);
}

/* Everything that can be asked, against the plain array. */
static void compare(void)
{
	size_t i = 0, next = 0;

	for (unsigned s = 0; s < SERIALS; s++) {
		if (next <= s)
			for (next = s + 1; next < SERIALS && !present[next]; next++)
				;
		assert_ptr_equal(serial_tree_find(root, s), present[s] ? &nodes[s] : NULL);
		assert_ptr_equal(serial_tree_after(root, s), next < SERIALS ? &nodes[next] : NULL);
		if (present[s])
			assert_ptr_equal(serial_tree_at(root, i++), &nodes[s]);
	}
	assert_null(serial_tree_at(root, i));
	assert_null(serial_tree_at(root, i + 100));
}

static void in_any_order(void **state)
{
	unsigned at = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		at = at * 1103515245u + 12345u;
		unsigned s = (at >> 8) % SERIALS;

		if (present[s])
			serial_tree_remove(&root, &nodes[s]);
		else
			serial_tree_insert(&root, &nodes[s], s);
		present[s] = !present[s];
		if (round % 1000 == 0)
			compare();
	}
	compare();
	for (unsigned s = 0; s < SERIALS; s++)
		if (present[s])
			serial_tree_remove(&root, &nodes[s]);
	assert_null(root);
}

static void flat_for_a_sequence(void **state)
{
	const unsigned count = 100000;
	struct serial_node *many = calloc(count, sizeof(*many)), *tree = NULL;

	(void)state;
	assert_non_null(many);
	for (unsigned i = 0; i < count; i++)
		serial_tree_insert(&tree, &many[i], i + 1);
	assert_int_equal(tree->size, count);
	assert_in_range(depth(tree), 17, 60);
	for (unsigned i = 0; i < count; i++)
		assert_ptr_equal(serial_tree_at(tree, i), &many[i]);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_any_order),
		cmocka_unit_test(flat_for_a_sequence),
	};
	return cmocka_run_group_tests_name("serial_tree", tests, NULL, NULL);
}
