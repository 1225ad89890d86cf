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
#include "sentry/vfs/superblock.h"

#define DEADLOCK_STEPS_MAX 64u

struct lock_context {
	struct inode *inode;
	struct list_head all;	 /* of contexts */
	struct list_head ranges; /* POSIX and OFD, by owner in runs, by start in each */
	struct list_head flocks;
	struct waitq wq;
};

struct waiting {
	struct list_head node;
	const void *owner, *blocker;
};

static struct list_head contexts = LIST_HEAD_INIT(contexts);
static struct list_head waiters = LIST_HEAD_INIT(waiters);
static unsigned int total;

static struct lock_context *context_of(struct inode *inode)
{
	struct lock_context *c = inode->locks;

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->inode = inode;
	list_init(&c->ranges);
	list_init(&c->flocks);
	waitq_init(&c->wq);
	list_add_tail(&c->all, &contexts);
	inode->locks = c;
	return c;
}

static struct file_lock *lock_new(const struct file_lock *from)
{
	struct file_lock *l = total < LOCKS_MAX ? malloc(sizeof(*l)) : NULL;

	if (!l)
		return NULL;
	*l = *from;
	list_init(&l->node);
	total++;
	return l;
}

static void lock_free(struct file_lock *l)
{
	if (!l)
		return;
	list_del(&l->node);
	free(l);
	total--;
}

static struct file_lock *find_conflict(const struct list_head *list, const struct file_lock *want)
{
	struct file_lock *l;

	list_for_each(l, list, node) if (l->owner != want->owner && l->start <= want->end &&
					 want->start <= l->end &&
					 (l->type == F_WRLCK || want->type == F_WRLCK)) return l;
	return NULL;
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

/* Until nothing conflicts. 0, -EAGAIN, -EDEADLK, -ERESTARTSYS. */
static int wait_for_room(struct lock_context *c, const struct list_head *list,
			 const struct file_lock *want, bool wait)
{
	struct file_lock *l;

	while ((l = find_conflict(list, want)) != NULL) {
		struct waiting me = { .owner = want->owner, .blocker = l->owner };
		int r;

		if (!wait)
			return -EAGAIN;
		if (want->kind == LOCK_KIND_POSIX) {
			if (would_deadlock(want->owner, l->owner))
				return -EDEADLK;
			list_add_tail(&me.node, &waiters);
		}
		r = WAIT_EVENT(&c->wq, find_conflict(list, want) != l);
		if (want->kind == LOCK_KIND_POSIX)
			list_del(&me.node);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Cut [start, end] out of l; *spare is used when it falls in two. */
static void carve(struct file_lock *l, uint64_t start, uint64_t end, struct file_lock **spare)
{
	if (l->start < start && l->end > end) {
		struct file_lock *right = TAKE_PTR(*spare);

		*right = *l;
		right->start = end + 1;
		list_add(&right->node, &l->node);
		l->end = start - 1;
	} else if (l->start < start) {
		l->end = start - 1;
	} else if (l->end > end) {
		l->start = end + 1;
	} else {
		lock_free(l);
	}
}

static void apply(struct lock_context *c, struct file_lock *new, struct file_lock **spare)
{
	struct file_lock *l, *next;
	const uint64_t start = new->start, end = new->end;

	list_for_each_safe(l, next, &c->ranges, node)
	{
		if (l->owner != new->owner)
			continue;
		if (l->type == new->type) {
			if (l->start > (end == UINT64_MAX ? end : end + 1) ||
			    (start > 0 && l->end < start - 1))
				continue;
			if (l->start < new->start)
				new->start = l->start;
			if (l->end > new->end)
				new->end = l->end;
			lock_free(l);
		} else if (l->start <= end && start <= l->end) {
			carve(l, start, end, spare);
		}
	}
	list_for_each(l, &c->ranges,
		      node) if (l->owner == new->owner && l->start > new->start) break;
	list_add_tail(&new->node, &l->node);
}

int lock_set(struct inode *inode, const struct file_lock *lock, bool wait)
{
	struct lock_context *c = inode->locks;
	struct file_lock *new, *spare;
	int r = 0;

	if (!c && lock->type == F_UNLCK)
		return 0;
	c = context_of(inode);
	if (!c)
		return -ENOLCK;
	if (lock->type != F_UNLCK)
		r = wait_for_room(c, &c->ranges, lock, wait);
	if (r < 0)
		return r;
	new = lock_new(lock);
	spare = new ? lock_new(lock) : NULL;
	if (!spare) {
		lock_free(new);
		return -ENOLCK;
	}
	apply(c, new, &spare);
	if (new->type == F_UNLCK)
		lock_free(new);
	lock_free(spare);
	waitq_wake(&c->wq, WAIT_ALL);
	return 0;
}

int lock_test(struct inode *inode, const struct file_lock *lock, struct file_lock *ret)
{
	const struct file_lock *l;

	l = inode->locks ? find_conflict(&inode->locks->ranges, lock) : NULL;
	if (!l)
		return 0;
	*ret = *l;
	return 1;
}

static struct file_lock *flock_of(const struct lock_context *c, const struct file *f)
{
	struct file_lock *l;

	list_for_each(l, &c->flocks, node) if (l->owner == f) return l;
	return NULL;
}

int lock_flock(struct file *f, int op, bool wait)
{
	struct lock_context *c = context_of(file_named_inode(f));
	struct file_lock want = { .kind = LOCK_KIND_FLOCK,
				  .owner = f,
				  .type = op == LOCK_EX ? F_WRLCK : F_RDLCK,
				  .end = INT64_MAX };
	struct file_lock *l;
	int r;

	if (!c)
		return -ENOLCK;
	l = flock_of(c, f);
	if (l && op != LOCK_UN && l->type == want.type)
		return 0;
	/* Not atomic, as in Linux: the old lock goes first. */
	if (l) {
		lock_free(l);
		waitq_wake(&c->wq, WAIT_ALL);
	}
	if (op == LOCK_UN)
		return 0;
	r = wait_for_room(c, &c->flocks, &want, wait);
	if (r < 0)
		return r;
	/* Another thread may have locked by this open file meanwhile, which has one lock only. */
	l = flock_of(c, f);
	if (l) {
		lock_free(l);
		waitq_wake(&c->wq, WAIT_ALL);
	}
	l = lock_new(&want);
	if (!l)
		return -ENOLCK;
	list_add_tail(&l->node, &c->flocks);
	return 0;
}

static bool release_from(struct list_head *list, const void *owner)
{
	struct file_lock *l, *next;
	bool any = false;

	list_for_each_safe(l, next, list, node)
	{
		if (l->owner != owner)
			continue;
		lock_free(l);
		any = true;
	}
	return any;
}

void locks_release(struct inode *inode, const void *owner)
{
	struct lock_context *c = inode->locks;
	bool any;

	if (!c)
		return;
	any = release_from(&c->ranges, owner);
	any |= release_from(&c->flocks, owner);
	if (any)
		waitq_wake(&c->wq, WAIT_ALL);
}

void locks_free(struct inode *inode)
{
	struct lock_context *c = TAKE_PTR(inode->locks);

	if (!c)
		return;
	while (!list_empty(&c->ranges))
		lock_free(list_first(&c->ranges, struct file_lock, node));
	while (!list_empty(&c->flocks))
		lock_free(list_first(&c->flocks, struct file_lock, node));
	list_del(&c->all);
	free(c);
}

static void show_one(struct buf *b, unsigned int n, const struct lock_context *c,
		     const struct file_lock *l)
{
	static const char *const kinds[] = { "POSIX ", "OFDLCK", "FLOCK " };
	const uint64_t dev = c->inode->sb->dev;
	char end[24] = "EOF";

	if (l->end < INT64_MAX)
		(void)snprintf(end, sizeof(end), "%llu", (unsigned long long)l->end);
	(void)buf_printf(b, "%u: %s ADVISORY  %s %d %02x:%02x:%llu %llu %s\n", n, kinds[l->kind],
			 l->type == F_WRLCK ? "WRITE" : "READ ", l->pid, major(dev), minor(dev),
			 (unsigned long long)c->inode->ino, (unsigned long long)l->start, end);
}

int locks_show(char **ret, size_t *ret_len)
{
	AUTO_BUF struct buf b = { 0 };
	struct lock_context *c;
	struct file_lock *l;
	unsigned int n = 0;

	(void)buf_puts(&b, "");
	list_for_each(c, &contexts, all)
	{
		list_for_each(l, &c->ranges, node) show_one(&b, ++n, c, l);
		list_for_each(l, &c->flocks, node) show_one(&b, ++n, c, l);
	}
	if (buf_error(&b) < 0)
		return -ENOMEM;
	*ret_len = b.len;
	*ret = TAKE_PTR(b.data);
	return 0;
}
