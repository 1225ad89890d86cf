/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Red-black tree after Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", chapter 13,
 * with NULL leaves: the fix-up of a removal carries the parent along instead of a sentinel.
 */
#include "base/rbtree.h"

static bool is_red(const struct rb_node *n)
{
	return n && n->red;
}

/* Put `child` where `node` hangs below its parent. */
static void replace_child(struct rb_tree *tree, struct rb_node *node, struct rb_node *child)
{
	struct rb_node *parent = node->parent;

	if (!parent)
		tree->root = child;
	else if (parent->left == node)
		parent->left = child;
	else
		parent->right = child;
	if (child)
		child->parent = parent;
}

static void sum_up(struct rb_node *n, rb_sum_fn sum)
{
	for (; sum && n; n = n->parent)
		sum(n);
}

static void rotate_left(struct rb_tree *tree, struct rb_node *n)
{
	struct rb_node *up = n->right;

	replace_child(tree, n, up);
	n->right = up->left;
	if (n->right)
		n->right->parent = n;
	up->left = n;
	n->parent = up;
}

static void rotate_right(struct rb_tree *tree, struct rb_node *n)
{
	struct rb_node *up = n->left;

	replace_child(tree, n, up);
	n->left = up->right;
	if (n->left)
		n->left->parent = n;
	up->right = n;
	n->parent = up;
}

static void rotate(struct rb_tree *tree, struct rb_node *n, bool left, rb_sum_fn sum)
{
	if (left)
		rotate_left(tree, n);
	else
		rotate_right(tree, n);
	/* What is below the pair is the same as before, so that no node above it changes. */
	if (sum) {
		sum(n);
		sum(n->parent);
	}
}

void rb_insert_summed(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent,
		      struct rb_node **link, rb_sum_fn sum)
{
	*node = (struct rb_node){ .parent = parent, .red = true };
	*link = node;
	sum_up(node, sum);
	while (is_red(node->parent)) {
		struct rb_node *up = node->parent;
		struct rb_node *grand = up->parent; /* a red node is not the root */
		const bool on_left = grand->left == up;
		struct rb_node *uncle = on_left ? grand->right : grand->left;

		if (is_red(uncle)) {
			up->red = false;
			uncle->red = false;
			grand->red = true;
			node = grand;
			continue;
		}
		if (node == (on_left ? up->right : up->left)) {
			rotate(tree, up, on_left, sum);
			node = up;
			up = node->parent;
		}
		up->red = false;
		grand->red = true;
		rotate(tree, grand, !on_left, sum);
	}
	tree->root->red = false;
}

void rb_insert(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link)
{
	rb_insert_summed(tree, node, parent, link, NULL);
}

/* `n` (may be NULL), below `parent`, lacks one black node. */
static void erase_fixup(struct rb_tree *tree, struct rb_node *n, struct rb_node *parent,
			rb_sum_fn sum)
{
	while (parent && !is_red(n)) {
		const bool on_left = parent->left == n;
		struct rb_node *sibling = on_left ? parent->right : parent->left;
		struct rb_node *far;

		if (is_red(sibling)) {
			sibling->red = false;
			parent->red = true;
			rotate(tree, parent, on_left, sum);
			sibling = on_left ? parent->right : parent->left;
		}
		if (!is_red(sibling->left) && !is_red(sibling->right)) {
			sibling->red = true;
			n = parent;
			parent = n->parent;
			continue;
		}
		far = on_left ? sibling->right : sibling->left;
		if (!is_red(far)) {
			(on_left ? sibling->left : sibling->right)->red = false;
			sibling->red = true;
			rotate(tree, sibling, !on_left, sum);
			sibling = on_left ? parent->right : parent->left;
			far = on_left ? sibling->right : sibling->left;
		}
		sibling->red = parent->red;
		parent->red = false;
		far->red = false;
		rotate(tree, parent, on_left, sum);
		n = tree->root;
		parent = NULL;
	}
	if (n)
		n->red = false;
}

void rb_erase_summed(struct rb_tree *tree, struct rb_node *node, rb_sum_fn sum)
{
	struct rb_node *child, *parent;
	bool black;

	if (node->left && node->right) {
		struct rb_node *next = rb_next(node);

		/* `next` has no left child; it takes node's place and colour. */
		black = !next->red;
		child = next->right;
		parent = next->parent == node ? next : next->parent;
		replace_child(tree, next, child);
		replace_child(tree, node, next);
		next->left = node->left;
		next->left->parent = next;
		next->right = node->right;
		if (next->right)
			next->right->parent = next;
		next->red = node->red;
	} else {
		black = !node->red;
		child = node->left ? node->left : node->right;
		parent = node->parent;
		replace_child(tree, node, child);
	}
	sum_up(parent, sum);
	if (black)
		erase_fixup(tree, child, parent, sum);
	*node = (struct rb_node){ 0 };
}

void rb_erase(struct rb_tree *tree, struct rb_node *node)
{
	rb_erase_summed(tree, node, NULL);
}

struct rb_node *rb_first(const struct rb_tree *tree)
{
	struct rb_node *n = tree->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_tree *tree)
{
	struct rb_node *n = tree->root;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	if (node->right) {
		struct rb_node *n = node->right;

		while (n->left)
			n = n->left;
		return n;
	}
	while (node->parent && node->parent->right == node)
		node = node->parent;
	return node->parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	if (node->left) {
		struct rb_node *n = node->left;

		while (n->right)
			n = n->right;
		return n;
	}
	while (node->parent && node->parent->left == node)
		node = node->parent;
	return node->parent;
}
