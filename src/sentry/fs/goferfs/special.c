/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of volumes: each container of a pod has an inode of its own for a file of the host, and the
 * socket or pipe that the file is a name of is one thing; so are its locks, and futexes in it. A
 * gofer tells which file it is; what kind it is, is a part of the name, so that no lie makes a
 * socket of a pipe.
 */
#include "sentry/fs/goferfs/internal.h"

#include <stdlib.h>

#include "sentry/vfs/locks.h"

struct gofer_special {
	struct list_head node;
	unsigned int refs;
	uint64_t dev, ino;
	uint32_t type; /* S_IFMT */
	void *bound;
	struct lock_context *locks;
};

static uint32_t hash_of(const struct list_head *node)
{
	const struct gofer_special *s = list_entry(node, struct gofer_special, node);

	return gofer_file_hash(s->dev, s->ino);
}

static struct khash specials = { .hash = hash_of };

static struct gofer_special *find(uint64_t dev, uint64_t ino, uint32_t type)
{
	struct gofer_special *s;

	list_for_each(s, khash_bucket(&specials, gofer_file_hash(dev, ino)), node)
	{
		if (s->dev == dev && s->ino == ino && s->type == type)
			return s;
	}
	return NULL;
}

void gofer_special_share(struct gofer_inode *gi)
{
	const uint32_t type = gi->inode.mode & S_IFMT;
	struct gofer_special *s;

	if (gi->fs->exclusive || gi->special || gi->inode.locks)
		return;
	s = find(gi->dev, gi->host_ino, type);
	if (s) {
		s->refs++;
	} else {
		s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->refs = 1;
		s->dev = gi->dev;
		s->ino = gi->host_ino;
		s->type = type;
		khash_add(&specials, &s->node);
	}
	gi->special = s;
	gi->inode.bound_at = &s->bound;
	gi->inode.locks_at = &s->locks;
}

void gofer_special_drop(struct gofer_inode *gi)
{
	struct gofer_special *s = TAKE_PTR(gi->special);

	gi->inode.bound_at = NULL;
	gi->inode.locks_at = NULL;
	if (!s || --s->refs)
		return;
	khash_del(&specials, &s->node);
	lock_context_free(s->locks);
	free(s);
}
