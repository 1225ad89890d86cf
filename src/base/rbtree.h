/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/rbtree.h - intrusive red-black tree. The caller finds the place (its own comparison), the
 * tree links, balances and walks. No allocation, no locks.
 *
 * Insertion: walk from &tree->root with `struct rb_node **link`, remembering the parent, then
 * rb_insert(tree, node, parent, link).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct rb_node {
	struct rb_node *parent, *left, *right;
	bool red;
};

struct rb_tree {
	struct rb_node *root; /* NULL: empty */
};

#define rb_entry(ptr, type, member) container_of(ptr, type, member)

/* Link `node` at *link below `parent` (NULL: it becomes the root) and rebalance. */
void rb_insert(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link);

/* Unlink `node`, which is in the tree. */
void rb_erase(struct rb_tree *tree, struct rb_node *node);

/*
 * The same for a tree whose every node keeps a sum of what is in and below it (the greatest end of
 * intervals, say). `sum` makes a node's from the node itself and its two children (NULL: none),
 * whose sums are right; it is called wherever one may have changed, O(log n) times. After a change
 * of what a node itself brings, take the node out and put it back.
 */
typedef void (*rb_sum_fn)(struct rb_node *node);
void rb_insert_summed(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent,
		      struct rb_node **link, rb_sum_fn sum);
void rb_erase_summed(struct rb_tree *tree, struct rb_node *node, rb_sum_fn sum);

/* In order; NULL at the end. */
struct rb_node *rb_first(const struct rb_tree *tree);
struct rb_node *rb_last(const struct rb_tree *tree);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
