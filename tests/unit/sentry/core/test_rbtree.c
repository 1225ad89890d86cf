/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rbtree.h"
#include "lib/unit.h"

#define N 400

struct item {
	struct rb_node node;
	int key;
	bool in;
	int sum; /* of the keys in and below it, in a summed tree */
};

static struct item items[N];

static void insert(struct rb_tree *tree, struct item *item, rb_sum_fn sum)
{
	struct rb_node **link = &tree->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item->key < rb_entry(parent, struct item, node)->key ? &parent->left
									    : &parent->right;
	}
	rb_insert_summed(tree, &item->node, parent, link, sum);
	item->in = true;
}

/* The black height, with the rules of a red-black tree checked on the way. */
static int check(const struct rb_node *n)
{
	int left, right;

	if (!n)
		return 1;
	if (n->red) {
		assert_false(n->left && n->left->red);
		assert_false(n->right && n->right->red);
	}
	assert_true(!n->left || n->left->parent == n);
	assert_true(!n->right || n->right->parent == n);
	left = check(n->left);
	right = check(n->right);
	assert_int_equal(left, right);
	return left + !n->red;
}

static void check_order(const struct rb_tree *tree)
{
	int count = 0, last = -1, in = 0;

	for (struct rb_node *n = rb_first(tree); n; n = rb_next(n)) {
		assert_true(rb_entry(n, struct item, node)->key > last);
		last = rb_entry(n, struct item, node)->key;
		count++;
	}
	for (struct rb_node *n = rb_last(tree); n; n = rb_prev(n))
		count--;
	assert_int_equal(count, 0);
	for (int i = 0; i < N; i++)
		in += items[i].in;
	for (struct rb_node *n = rb_first(tree); n; n = rb_next(n))
		in--;
	assert_int_equal(in, 0);
}

static void stays_balanced_and_ordered_under_random_changes(void **state)
{
	struct rb_tree tree = { 0 };

	(void)state;
	srandom(7);
	for (int i = 0; i < N; i++)
		items[i] = (struct item){ .key = i };
	for (int round = 0; round < 20000; round++) {
		struct item *item = &items[random() % N];

		if (item->in) {
			rb_erase(&tree, &item->node);
			item->in = false;
		} else {
			insert(&tree, item, NULL);
		}
		if (round % 37 == 0) {
			(void)check(tree.root);
			check_order(&tree);
		}
	}
}

static int sum_of(const struct rb_node *n)
{
	return n ? rb_entry(n, struct item, node)->sum : 0;
}

static void sum(struct rb_node *n)
{
	struct item *item = rb_entry(n, struct item, node);

	item->sum = item->key + sum_of(n->left) + sum_of(n->right);
}

static void check_sums(const struct rb_tree *tree)
{
	for (struct rb_node *n = rb_first(tree); n; n = rb_next(n)) {
		const struct item *item = rb_entry(n, struct item, node);

		assert_int_equal(item->sum, item->key + sum_of(n->left) + sum_of(n->right));
	}
}

static void sums_are_right_after_every_change(void **state)
{
	struct rb_tree tree = { 0 };

	(void)state;
	srandom(8);
	for (int i = 0; i < N; i++)
		items[i] = (struct item){ .key = i };
	for (int round = 0; round < 5000; round++) {
		struct item *item = &items[random() % N];

		if (item->in) {
			rb_erase_summed(&tree, &item->node, sum);
			item->in = false;
		} else {
			insert(&tree, item, sum);
		}
		check_sums(&tree);
	}
	(void)check(tree.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_balanced_and_ordered_under_random_changes),
		cmocka_unit_test(sums_are_right_after_every_change),
	};

	return cmocka_run_group_tests_name("base/rbtree", tests, NULL, NULL);
}
