/* Objects in the order of their serials, for one thread: a treap with the sizes of its subtrees, so
 * that adding, removing, "the first behind" and "the i-th" all take logarithmic time. Nodes are a
 * part of the objects. */
#ifndef IKE_SERIAL_TREE_H
#define IKE_SERIAL_TREE_H

#include <stddef.h>
#include <stdint.h>

struct serial_node {
	struct serial_node *left, *right;
	uint64_t serial;
	size_t size; /* of the subtree */
};

/* The serial must not be in the tree yet. */
void serial_tree_insert(struct serial_node **root, struct serial_node *node, uint64_t serial);
/* The node must be in the tree. */
void serial_tree_remove(struct serial_node **root, struct serial_node *node);
/* The first with a greater serial than `serial`; NULL: none. */
struct serial_node *serial_tree_after(struct serial_node *root, uint64_t serial);
struct serial_node *serial_tree_find(struct serial_node *root, uint64_t serial);
/* NULL past the end. */
struct serial_node *serial_tree_at(struct serial_node *root, size_t i);

#endif
