/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/lock_tree.h - the locks of one file, for questions in logarithmic time whatever a
 * guest has put there: what is an owner's, and what of others is in the way.
 *
 * The caller keeps an owner's locks apart from each other. Locks of different owners overlap as
 * they like (they are read locks then, but nothing here depends on it).
 */
#pragma once

#include "base/rbtree.h"
#include "sentry/vfs/locks.h"

/* The first byte after a lock, and whose lock it is; 0 and NULL for none. */
struct lock_reach {
	uint64_t past;
	const void *owner;
};

struct held_lock {
	struct file_lock lock; /* in a tree, changed by lock_tree_resize() only */
	struct rb_node by_owner, by_start;
	/* Of what is in and below by_start: the farthest, and the farthest of another owner. */
	struct lock_reach best, second;
};

struct lock_tree {
	struct rb_tree owned;		 /* by owner, by start in each */
	struct rb_tree readers, writers; /* by start */
};

/* The lock stays the caller's; its type is F_RDLCK or F_WRLCK, its end at most INT64_MAX. */
void lock_tree_add(struct lock_tree *tree, struct held_lock *held);
void lock_tree_remove(struct lock_tree *tree, struct held_lock *held);

/* A new range that lies within the old one. */
void lock_tree_resize(struct lock_tree *tree, struct held_lock *held, uint64_t start, uint64_t end);

/* The owner's first lock that ends at `start` or later, and the one after it; NULL: none. */
struct held_lock *lock_tree_owned(const struct lock_tree *tree, const void *owner, uint64_t start);
struct held_lock *lock_tree_next_owned(const struct held_lock *held);

/* Any lock, NULL when the tree is empty; with lock_tree_next() for a walk over all. */
struct held_lock *lock_tree_first(const struct lock_tree *tree);
struct held_lock *lock_tree_next(const struct held_lock *held);

/* The first lock (by start) of another owner that excludes `want`; NULL: none. */
struct held_lock *lock_tree_conflict(const struct lock_tree *tree, const struct file_lock *want);
