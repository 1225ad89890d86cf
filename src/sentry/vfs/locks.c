/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/locks.c - advisory locks. A waiting request stands in a list with the owner that keeps
 * it, which is the graph that the search for deadlocks walks.
 */
#include "sentry/vfs/locks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sentry/vfs/lock_tree.h"
#include "sentry/vfs/superblock.h"

#define DEADLOCK_STEPS_MAX 64u

struct lock_context {
	uint64_t dev, ino;
	struct list_head all;	 /* of contexts */
	struct lock_tree ranges; /* POSIX and OFD */
	struct lock_tree flocks;
	struct waitq wq;
};

struct waiting {
	struct list_head node;
	const void *owner, *blocker;
};

static struct list_head contexts = LIST_HEAD_INIT(contexts);
static struct list_head waiters = LIST_HEAD_INIT(waiters);
static unsigned int total;

static struct lock_context **place_of(struct inode *inode)
{
	return inode->locks_at ? inode->locks_at : &inode->locks;
}

static struct lock_context *context_of(struct inode *inode)
{
	struct lock_context *c = *place_of(inode);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->dev = inode->sb->dev;
	c->ino = inode->ino;
	waitq_init(&c->wq);
	list_add_tail(&c->all, &contexts);
	*place_of(inode) = c;
	return c;
}

static struct held_lock *lock_new(const struct file_lock *from)
{
	struct held_lock *h = total < LOCKS_MAX ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return NULL;
	h->lock = *from;
	total++;
	return h;
}

/* One that is in no tree. */
static void lock_free(struct held_lock *h)
{
	if (!h)
		return;
	free(h);
	total--;
}

static void lock_drop(struct lock_tree *tree, struct held_lock *h)
{
	lock_tree_remove(tree, h);
	lock_free(h);
}

static bool would_deadlock(const void *owner, const void *blocker)
{
	for (unsigned int i = 0; i < DEADLOCK_STEPS_MAX; i++) {
		const struct waiting *w;
		const void *next = NULL;

		if (blocker == owner)
			return true;
		list_for_each(w, &waiters, node) if (w->owner == blocker) next = w->blocker;
		if (!next)
			return false;
		blocker = next;
	}
	return false;
}

/* Whether `owner` (identity only: it may be gone) is still the first in the way. */
static bool in_the_way(const struct lock_tree *tree, const struct file_lock *want,
		       const void *owner)
{
	const struct held_lock *h = lock_tree_conflict(tree, want);

	return h && h->lock.owner == owner;
}

/* Until nothing conflicts. 0, -EAGAIN, -EDEADLK, -ERESTARTSYS. */
static int wait_for_room(struct lock_context *c, const struct lock_tree *tree,
			 const struct file_lock *want, bool wait)
{
	const struct held_lock *h;

	while ((h = lock_tree_conflict(tree, want)) != NULL) {
		struct waiting me = { .owner = want->owner, .blocker = h->lock.owner };
		int r;

		if (!wait)
			return -EAGAIN;
		if (want->kind == LOCK_KIND_POSIX) {
			if (would_deadlock(want->owner, me.blocker))
				return -EDEADLK;
			list_add_tail(&me.node, &waiters);
		}
		r = WAIT_EVENT(&c->wq, !in_the_way(tree, want, me.blocker));
		if (want->kind == LOCK_KIND_POSIX)
			list_del(&me.node);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Cut [start, end] out of h; *spare is used when it falls in two. */
static void carve(struct lock_tree *tree, struct held_lock *h, uint64_t start, uint64_t end,
		  struct held_lock **spare)
{
	const struct file_lock old = h->lock;

	if (old.start < start && old.end > end) {
		struct held_lock *right = TAKE_PTR(*spare);

		lock_tree_resize(tree, h, old.start, start - 1);
		right->lock = old;
		right->lock.start = end + 1;
		lock_tree_add(tree, right);
	} else if (old.start < start) {
		lock_tree_resize(tree, h, old.start, start - 1);
	} else if (old.end > end) {
		lock_tree_resize(tree, h, end + 1, old.end);
	} else {
		lock_drop(tree, h);
	}
}

/* Whether setting `lock` leaves something of one other lock of its owner on both sides. */
static bool splits(const struct lock_tree *tree, const struct file_lock *lock)
{
	const struct held_lock *h = lock_tree_owned(tree, lock->owner, lock->start);

	return h && h->lock.type != lock->type && h->lock.start < lock->start &&
	       h->lock.end > lock->end;
}

/*
 * Make room among the owner's own: `lock` grows over those of its type that it meets, is cut out of
 * the others. True when there were any, so that somebody who waits may go on.
 */
static bool clear_own(struct lock_tree *tree, struct file_lock *lock, struct held_lock **spare)
{
	const uint64_t start = lock->start, end = lock->end;
	struct held_lock *h, *next;
	bool any = false;

	for (h = lock_tree_owned(tree, lock->owner, start > 0 ? start - 1 : 0);
	     h && h->lock.start <= end + 1; h = next) {
		next = lock_tree_next_owned(h);
		if (h->lock.type == lock->type) {
			if (h->lock.start < lock->start)
				lock->start = h->lock.start;
			if (h->lock.end > lock->end)
				lock->end = h->lock.end;
			lock_drop(tree, h);
			any = true;
		} else if (h->lock.start <= end && start <= h->lock.end) {
			carve(tree, h, start, end, spare);
			any = true;
		}
	}
	return any;
}

int lock_set(struct inode *inode, const struct file_lock *lock, bool wait)
{
	struct lock_context *c = *place_of(inode);
	struct held_lock *new = NULL, *spare = NULL;
	struct file_lock range = *lock;
	bool any;
	int r;

	if (!c && lock->type == F_UNLCK)
		return 0;
	c = context_of(inode);
	if (!c)
		return -ENOLCK;
	if (lock->type != F_UNLCK) {
		r = wait_for_room(c, &c->ranges, lock, wait);
		if (r < 0)
			return r;
		new = lock_new(lock);
		if (!new)
			return -ENOLCK;
	}
	if (splits(&c->ranges, lock)) {
		spare = lock_new(lock);
		if (!spare) {
			lock_free(new);
			return -ENOLCK;
		}
	}
	any = clear_own(&c->ranges, &range, &spare);
	if (new) {
		new->lock = range;
		lock_tree_add(&c->ranges, new);
	}
	if (any)
		waitq_wake(&c->wq, WAIT_ALL);
	return 0;
}

int lock_test(struct inode *inode, const struct file_lock *lock, struct file_lock *ret)
{
	const struct lock_context *c = *place_of(inode);
	const struct held_lock *h = c ? lock_tree_conflict(&c->ranges, lock) : NULL;

	if (!h)
		return 0;
	*ret = h->lock;
	return 1;
}

/* A description has one such lock. */
static struct held_lock *flock_of(const struct lock_context *c, const struct file *f)
{
	return lock_tree_owned(&c->flocks, f, 0);
}

static void flock_drop(struct lock_context *c, struct held_lock *h)
{
	lock_drop(&c->flocks, h);
	waitq_wake(&c->wq, WAIT_ALL);
}

int lock_flock(struct file *f, int op, bool wait)
{
	struct lock_context *c = context_of(file_named_inode(f));
	struct file_lock want = { .kind = LOCK_KIND_FLOCK,
				  .owner = f,
				  .type = op == LOCK_EX ? F_WRLCK : F_RDLCK,
				  .end = INT64_MAX };
	struct held_lock *h;
	int r;

	if (!c)
		return -ENOLCK;
	h = flock_of(c, f);
	if (h && op != LOCK_UN && h->lock.type == want.type)
		return 0;
	/* Not atomic, as in Linux: the old lock goes first. */
	if (h)
		flock_drop(c, h);
	if (op == LOCK_UN)
		return 0;
	r = wait_for_room(c, &c->flocks, &want, wait);
	if (r < 0)
		return r;
	/* Another thread may have locked by this open file meanwhile, which has one lock only. */
	h = flock_of(c, f);
	if (h)
		flock_drop(c, h);
	h = lock_new(&want);
	if (!h)
		return -ENOLCK;
	lock_tree_add(&c->flocks, h);
	return 0;
}

static bool release_from(struct lock_tree *tree, const void *owner)
{
	struct held_lock *h, *next;
	bool any = false;

	for (h = lock_tree_owned(tree, owner, 0); h; h = next) {
		next = lock_tree_next_owned(h);
		lock_drop(tree, h);
		any = true;
	}
	return any;
}

void locks_release(struct inode *inode, const void *owner)
{
	struct lock_context *c = *place_of(inode);
	bool any;

	if (!c)
		return;
	any = release_from(&c->ranges, owner);
	any |= release_from(&c->flocks, owner);
	if (any)
		waitq_wake(&c->wq, WAIT_ALL);
}

void lock_context_free(struct lock_context *c)
{
	struct held_lock *h;

	if (!c)
		return;
	while ((h = lock_tree_first(&c->ranges)) != NULL)
		lock_drop(&c->ranges, h);
	while ((h = lock_tree_first(&c->flocks)) != NULL)
		lock_drop(&c->flocks, h);
	list_del(&c->all);
	free(c);
}

void locks_free(struct inode *inode)
{
	lock_context_free(TAKE_PTR(inode->locks));
}

static void show_one(struct buf *b, unsigned int n, const struct lock_context *c,
		     const struct file_lock *l)
{
	static const char *const kinds[] = { "POSIX ", "OFDLCK", "FLOCK " };
	char end[24] = "EOF";

	if (l->end < INT64_MAX)
		(void)snprintf(end, sizeof(end), "%llu", (unsigned long long)l->end);
	(void)buf_printf(b, "%u: %s ADVISORY  %s %d %02x:%02x:%llu %llu %s\n", n, kinds[l->kind],
			 l->type == F_WRLCK ? "WRITE" : "READ ", l->pid, major(c->dev),
			 minor(c->dev), (unsigned long long)c->ino, (unsigned long long)l->start,
			 end);
}

static void show_tree(struct buf *b, unsigned int *n, const struct lock_context *c,
		      const struct lock_tree *tree)
{
	const struct held_lock *h;

	for (h = lock_tree_first(tree); h; h = lock_tree_next(h))
		show_one(b, ++*n, c, &h->lock);
}

int locks_show(char **ret, size_t *ret_len)
{
	AUTO_BUF struct buf b = { 0 };
	struct lock_context *c;
	unsigned int n = 0;

	(void)buf_puts(&b, "");
	list_for_each(c, &contexts, all)
	{
		show_tree(&b, &n, c, &c->ranges);
		show_tree(&b, &n, c, &c->flocks);
	}
	if (buf_error(&b) < 0)
		return -ENOMEM;
	*ret_len = b.len;
	*ret = TAKE_PTR(b.data);
	return 0;
}
