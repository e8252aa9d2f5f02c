#include "serial_tree.h"

/* Serials come in sequence; a node's height in the tree is drawn from this. */
static uint64_t priority(const struct serial_node *node)
{
	uint64_t v = node->serial + 0x9e3779b97f4a7c15u;

	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
	return v ^ (v >> 31);
}

static size_t size_of(const struct serial_node *node)
{
	return node != NULL ? node->size : 0;
}

static void update(struct serial_node *node)
{
	node->size = 1 + size_of(node->left) + size_of(node->right);
}

/* Below `serial` goes to the left. */
static void split(struct serial_node *root, uint64_t serial, struct serial_node **left,
	struct serial_node **right)
{
	if (root == NULL) {
		*left = *right = NULL;
		return;
	}
	if (root->serial < serial) {
		split(root->right, serial, &root->right, right);
		*left = root;
	} else {
		split(root->left, serial, left, &root->left);
		*right = root;
	}
	update(root);
}

static struct serial_node *join(struct serial_node *left, struct serial_node *right)
{
	if (left == NULL || right == NULL)
		return left != NULL ? left : right;
	if (priority(left) > priority(right)) {
		left->right = join(left->right, right);
		update(left);
		return left;
	}
	right->left = join(left, right->left);
	update(right);
	return right;
}

void serial_tree_insert(struct serial_node **root, struct serial_node *node, uint64_t serial)
{
	*node = (struct serial_node){.serial = serial};
	while (*root != NULL && priority(*root) > priority(node)) {
		(*root)->size++;
		root = serial < (*root)->serial ? &(*root)->left : &(*root)->right;
	}
	split(*root, serial, &node->left, &node->right);
	update(node);
	*root = node;
}

void serial_tree_remove(struct serial_node **root, struct serial_node *node)
{
	while (*root != node) {
		(*root)->size--;
		root = node->serial < (*root)->serial ? &(*root)->left : &(*root)->right;
	}
	*root = join(node->left, node->right);
}

struct serial_node *serial_tree_after(struct serial_node *root, uint64_t serial)
{
	struct serial_node *best = NULL;

	while (root != NULL) {
		if (root->serial > serial) {
			best = root;
			root = root->left;
		} else {
			root = root->right;
		}
	}
	return best;
}

struct serial_node *serial_tree_find(struct serial_node *root, uint64_t serial)
{
	while (root != NULL && root->serial != serial)
		root = serial < root->serial ? root->left : root->right;
	return root;
}

struct serial_node *serial_tree_at(struct serial_node *root, size_t i)
{
	while (root != NULL && i != size_of(root->left)) {
		if (i < size_of(root->left)) {
			root = root->left;
		} else {
			i -= size_of(root->left) + 1;
			root = root->right;
		}
	}
	return root;
}
