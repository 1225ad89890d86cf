/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/dentry.c - the cache of names.
 *
 * Dentries that nobody references stay on the LRU list. One that was dropped (unhashed) leaves with
 * its last reference. Freeing may park (an inode's eviction), so it comes last.
 */
#include "sentry/vfs/dentry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sentry/core/khash.h"
#include "sentry/vfs/internal.h"

static uint32_t hash_of(const struct list_head *node)
{
	return list_entry(node, struct dentry, hash_node)->hash;
}

static struct khash names = { .hash = hash_of };
static struct list_head lru = LIST_HEAD_INIT(lru);
static unsigned int lru_len;

static uint32_t name_hash(const struct dentry *parent, const struct vfs_name *name)
{
	uint64_t h = hash64((uintptr_t)parent >> 4, name->bytes, name->len);

	h ^= h >> 29;
	return (uint32_t)(h * 0x9e3779b97f4a7c15ull >> 32);
}

static struct dentry *dentry_alloc(struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->name = strndup(name, len);
	if (!d->name) {
		free(d);
		return NULL;
	}
	d->refs = 1;
	d->name_len = (uint8_t)len;
	d->parent = parent ? dentry_ref(parent) : d;
	list_init(&d->hash_node);
	list_init(&d->lru_node);
	list_init(&d->children);
	list_init(&d->sibling);
	if (parent) {
		d->sb = parent->sb;
		list_add(&d->sibling, &parent->children);
	}
	return d;
}

static void dentry_hash(struct dentry *d)
{
	const struct vfs_name name = dentry_name(d);

	d->hash = name_hash(d->parent, &name);
	d->unhashed = false;
	khash_add(&names, &d->hash_node);
}

struct dentry *dentry_new_root(struct superblock *sb, struct inode *inode)
{
	struct dentry *d = dentry_alloc(NULL, "/", 1);

	if (!d)
		return NULL;
	d->sb = sb;
	d->inode = inode_ref(inode);
	return d;
}

static void lru_remove(struct dentry *d)
{
	if (list_empty(&d->lru_node))
		return;
	list_del(&d->lru_node);
	lru_len--;
}

struct dentry *dentry_ref(struct dentry *d)
{
	if (d->refs++ == 0)
		lru_remove(d);
	return d;
}

/* Frees an unreferenced dentry; returns its parent, whose reference the caller owes. */
static struct dentry *dentry_kill(struct dentry *d)
{
	struct dentry *parent = d->parent == d ? NULL : d->parent;
	struct inode *inode = d->inode;

	assert(d->refs == 0 && list_empty(&d->children) && d->mounts == 0);
	lru_remove(d);
	khash_del(&names, &d->hash_node);
	list_del(&d->sibling);
	free(d->name);
	free(d);
	inode_unref(inode);
	return parent;
}

static bool worth_keeping(const struct dentry *d)
{
	if (d->unhashed || d->parent == d || d->sb->no_cache)
		return false;
	return d->inode || !d->sb->no_negative;
}

void dentry_unref(struct dentry *d)
{
	while (d) {
		assert(d->refs > 0);
		if (--d->refs > 0)
			return;
		if (worth_keeping(d)) {
			list_add_tail(&d->lru_node, &lru);
			if (++lru_len <= DENTRY_CACHE_MAX)
				return;
			d = list_first(&lru, struct dentry, lru_node);
		}
		d = dentry_kill(d);
	}
}

struct dentry *dentry_find(struct dentry *parent, const struct vfs_name *name)
{
	const uint32_t hash = name_hash(parent, name);
	struct list_head *bucket = khash_bucket(&names, hash);
	struct dentry *d;

	list_for_each(d, bucket, hash_node) if (d->hash == hash && d->parent == parent &&
						d->name_len == name->len &&
						memcmp(d->name, name->bytes, name->len) ==
							0) return dentry_ref(d);
	return NULL;
}

struct dentry *dentry_add(struct dentry *parent, const struct vfs_name *name, struct inode *inode)
{
	struct dentry *d = dentry_alloc(parent, name->bytes, name->len);

	if (!d) {
		inode_unref(inode);
		return NULL;
	}
	d->inode = inode;
	dentry_hash(d);
	return d;
}

struct dentry *dentry_new_unhashed(struct dentry *parent, const char *name, struct inode *inode)
{
	const size_t len = strlen(name);
	struct dentry *d = dentry_alloc(parent, name, len);

	if (!d) {
		inode_unref(inode);
		return NULL;
	}
	if (!parent)
		d->sb = inode->sb;
	d->inode = inode;
	d->unhashed = true;
	return d;
}

void dentry_drop(struct dentry *d)
{
	struct list_head unused = LIST_HEAD_INIT(unused);
	struct dentry *child, *next;

	if (d->unhashed)
		return;
	dentry_ref(d);
	d->unhashed = true;
	khash_del(&names, &d->hash_node);
	list_for_each_safe(child, next, &d->children, sibling)
	{
		if (child->refs > 0 || child->unhashed)
			continue;
		child->unhashed = true;
		khash_del(&names, &child->hash_node);
		lru_remove(child);
		list_add_tail(&child->lru_node, &unused);
	}
	while (!list_empty(&unused)) {
		child = list_first(&unused, struct dentry, lru_node);
		list_del(&child->lru_node);
		dentry_unref(dentry_kill(child));
	}
	dentry_unref(d);
}

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
	assert(!d->inode);
	d->inode = inode;
	/* Who looked for it while it was made may have found the name wrong, and dropped it. */
	if (d->unhashed)
		dentry_hash(d);
}

/* Give d a parent and a name; takes over the name's memory. Returns the old parent's reference. */
static struct dentry *dentry_rename(struct dentry *d, struct dentry *parent, char *name, size_t len)
{
	struct dentry *old = d->parent;

	khash_del(&names, &d->hash_node);
	list_del(&d->sibling);
	d->parent = dentry_ref(parent);
	d->name = name;
	d->name_len = (uint8_t)len;
	list_add(&d->sibling, &parent->children);
	dentry_hash(d);
	return old;
}

int dentry_move(struct dentry *d, struct dentry *target)
{
	char *name = strndup(target->name, target->name_len);
	char *old_name = d->name;
	struct dentry *old;

	if (!name)
		return -ENOMEM;
	dentry_drop(target);
	old = dentry_rename(d, target->parent, name, target->name_len);
	free(old_name);
	dentry_unref(old);
	return 0;
}

int dentry_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *a_parent = a->parent, *b_parent = b->parent;
	char *a_name = a->name, *b_name = b->name;
	const size_t a_len = a->name_len, b_len = b->name_len;

	dentry_ref(a_parent);
	dentry_unref(dentry_rename(a, b_parent, b_name, b_len));
	dentry_unref(dentry_rename(b, a_parent, a_name, a_len));
	dentry_unref(a_parent);
	return 0;
}

bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor)
{
	for (;;) {
		if (d == ancestor)
			return true;
		if (d->parent == d)
			return false;
		d = d->parent;
	}
}

/* Free an unused dentry and then each parent up to top that this leaves unused. */
static void kill_upwards(struct dentry *d, const struct dentry *top)
{
	while (d) {
		struct dentry *parent = dentry_kill(d);

		if (!parent || parent == top || parent->refs > 1) {
			dentry_unref(parent);
			return;
		}
		parent->refs = 0;
		d = parent;
	}
}

void dentry_shrink(struct dentry *top)
{
	struct list_head doomed = LIST_HEAD_INIT(doomed);
	struct dentry *d, *next;

	dentry_ref(top);
	list_for_each_safe(d, next, &lru, lru_node)
	{
		if (d->sb != top->sb || !dentry_is_below(d, top))
			continue;
		dentry_ref(d);
		list_add_tail(&d->lru_node, &doomed);
	}
	while (!list_empty(&doomed)) {
		d = list_first(&doomed, struct dentry, lru_node);
		list_del(&d->lru_node);
		if (d->refs > 1) { /* found again while an eviction parked */
			dentry_unref(d);
			continue;
		}
		d->refs = 0;
		kill_upwards(d, top);
	}
	dentry_unref(top);
}

/* A name of an overlay holds inodes of what it covers, too. */
static bool holds_inodes_of(const struct dentry *d, const struct superblock *sb)
{
	for (const struct superblock *s = d->sb; s; s = s->covers)
		if (s == sb)
			return true;
	return false;
}

unsigned int dentry_prune(struct superblock *sb, unsigned int max)
{
	struct list_head doomed = LIST_HEAD_INIT(doomed);
	struct dentry *d, *next;
	const unsigned int stride = lru_len > max ? lru_len / max : 1;
	unsigned int chosen = 0, freed = 0, seen = 0;

	/*
	 * Not the oldest ones alone: who goes through a tree that is a little too large for the
	 * second time would find exactly those gone that come next.
	 */
	list_for_each_safe(d, next, &lru, lru_node)
	{
		if (!holds_inodes_of(d, sb) || seen++ % stride)
			continue;
		if (chosen++ == max)
			break;
		dentry_ref(d);
		list_add_tail(&d->lru_node, &doomed);
	}
	while (!list_empty(&doomed)) {
		d = list_first(&doomed, struct dentry, lru_node);
		list_del(&d->lru_node);
		if (d->refs > 1) { /* found again while an eviction parked */
			dentry_unref(d);
			continue;
		}
		d->refs = 0;
		dentry_unref(dentry_kill(d));
		freed++;
	}
	return freed;
}
