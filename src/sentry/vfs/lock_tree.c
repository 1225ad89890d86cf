/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/lock_tree.c - an interval tree whose nodes know the farthest end below them twice, of
 * two owners: one of the two is not the one who asks, so that an owner's own locks, however many,
 * cost a search nothing.
 */
#include "sentry/vfs/lock_tree.h"

#include <fcntl.h>

static struct held_lock *of_owner(struct rb_node *n)
{
	return n ? rb_entry(n, struct held_lock, by_owner) : NULL;
}

static struct held_lock *of_start(struct rb_node *n)
{
	return n ? rb_entry(n, struct held_lock, by_start) : NULL;
}

static void reach_add(struct held_lock *h, struct lock_reach r)
{
	if (r.owner == h->best.owner) {
		if (r.past > h->best.past)
			h->best.past = r.past;
	} else if (r.past > h->best.past) {
		h->second = h->best;
		h->best = r;
	} else if (r.past > h->second.past) {
		h->second = r;
	}
}

static void reach_sum(struct rb_node *n)
{
	struct held_lock *h = of_start(n);
	struct held_lock *const below[] = { of_start(n->left), of_start(n->right) };

	h->best = (struct lock_reach){ h->lock.end + 1, h->lock.owner };
	h->second = (struct lock_reach){ 0 };
	for (unsigned int i = 0; i < 2; i++) {
		if (!below[i])
			continue;
		reach_add(h, below[i]->best);
		reach_add(h, below[i]->second);
	}
}

static struct rb_tree *tree_of(struct lock_tree *tree, const struct held_lock *held)
{
	return held->lock.type == F_WRLCK ? &tree->writers : &tree->readers;
}

static void add_by_start(struct lock_tree *tree, struct held_lock *held)
{
	struct rb_tree *t = tree_of(tree, held);
	struct rb_node **link = &t->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = held->lock.start < of_start(parent)->lock.start ? &parent->left
								       : &parent->right;
	}
	rb_insert_summed(t, &held->by_start, parent, link, reach_sum);
}

/* As (owner, start) to the same of a lock. */
static bool before(const void *owner, uint64_t start, const struct file_lock *l)
{
	if (owner != l->owner)
		return (uintptr_t)owner < (uintptr_t)l->owner;
	return start < l->start;
}

void lock_tree_add(struct lock_tree *tree, struct held_lock *held)
{
	struct rb_node **link = &tree->owned.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = before(held->lock.owner, held->lock.start, &of_owner(parent)->lock)
			       ? &parent->left
			       : &parent->right;
	}
	rb_insert(&tree->owned, &held->by_owner, parent, link);
	add_by_start(tree, held);
}

void lock_tree_remove(struct lock_tree *tree, struct held_lock *held)
{
	rb_erase(&tree->owned, &held->by_owner);
	rb_erase_summed(tree_of(tree, held), &held->by_start, reach_sum);
}

void lock_tree_resize(struct lock_tree *tree, struct held_lock *held, uint64_t start, uint64_t end)
{
	/* Among its owner's, which are apart, it stays where it is. */
	rb_erase_summed(tree_of(tree, held), &held->by_start, reach_sum);
	held->lock.start = start;
	held->lock.end = end;
	add_by_start(tree, held);
}

struct held_lock *lock_tree_owned(const struct lock_tree *tree, const void *owner, uint64_t start)
{
	struct held_lock *found = NULL;
	struct rb_node *n = tree->owned.root;

	while (n) {
		struct held_lock *h = of_owner(n);

		/* Locks of one owner are apart, so that their ends are sorted as their starts are.
		 */
		if (h->lock.owner == owner && h->lock.end >= start) {
			found = h;
			n = n->left;
		} else if (h->lock.owner != owner && before(owner, start, &h->lock)) {
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return found;
}

struct held_lock *lock_tree_next_owned(const struct held_lock *held)
{
	struct held_lock *next = lock_tree_next(held);

	return next && next->lock.owner == held->lock.owner ? next : NULL;
}

struct held_lock *lock_tree_first(const struct lock_tree *tree)
{
	return of_owner(rb_first(&tree->owned));
}

struct held_lock *lock_tree_next(const struct held_lock *held)
{
	return of_owner(rb_next(&held->by_owner));
}

/* How far the locks of others in and below a node reach. */
static uint64_t reach_of_others(const struct held_lock *h, const void *owner)
{
	if (!h)
		return 0;
	return h->best.owner == owner ? h->second.past : h->best.past;
}

/*
 * When one on the left reaches as far as `want`, the first is there or nowhere: either that one
 * begins before the end of `want`, or it and all on its right begin behind it.
 */
static struct held_lock *first_of_others(const struct rb_tree *t, const struct file_lock *want)
{
	struct held_lock *h = of_start(t->root);

	while (h) {
		struct held_lock *left = of_start(h->by_start.left);

		if (reach_of_others(left, want->owner) > want->start)
			h = left;
		else if (h->lock.owner != want->owner && h->lock.end >= want->start)
			return h->lock.start <= want->end ? h : NULL;
		else
			h = of_start(h->by_start.right);
	}
	return NULL;
}

struct held_lock *lock_tree_conflict(const struct lock_tree *tree, const struct file_lock *want)
{
	struct held_lock *writer = first_of_others(&tree->writers, want);
	struct held_lock *reader =
		want->type == F_WRLCK ? first_of_others(&tree->readers, want) : NULL;

	if (!writer || !reader)
		return writer ? writer : reader;
	return reader->lock.start < writer->lock.start ? reader : writer;
}
