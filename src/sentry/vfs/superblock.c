/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/superblock.c - instances of filesystems, and the list of types.
 */
#include "sentry/vfs/superblock.h"

#include <assert.h>
#include <string.h>
#include <sys/sysmacros.h>

static struct list_head types = LIST_HEAD_INIT(types);
static unsigned int next_minor = 1;

void superblock_init(struct superblock *sb, const struct superblock_ops *ops, const char *type,
		     uint64_t magic)
{
	sb->ops = ops;
	sb->refs = 1;
	sb->type = type;
	sb->magic = magic;
	sb->dev = makedev(0, next_minor++); /* as get_anon_bdev() */
	sb->max_links = UINT32_MAX;
	sb->next_ino = 1;
	kmutex_init(&sb->rename_lock);
}

struct superblock *superblock_ref(struct superblock *sb)
{
	sb->refs++;
	return sb;
}

void superblock_unref(struct superblock *sb)
{
	if (!sb)
		return;
	assert(sb->refs > 0);
	if (--sb->refs > 0)
		return;
	user_ns_unref(sb->user_ns);
	sb->user_ns = NULL;
	if (sb->ops->put)
		sb->ops->put(sb);
}

void filesystem_register(struct filesystem_type *type)
{
	assert(!filesystem_find(type->name));
	list_add_tail(&type->node, &types);
}

struct filesystem_type *filesystem_find(const char *name)
{
	struct filesystem_type *type;

	list_for_each(type, &types, node) if (strcmp(type->name, name) == 0) return type;
	return NULL;
}

struct filesystem_type *filesystem_next(struct filesystem_type *after)
{
	struct list_head *next = after ? after->node.next : types.next;

	return next == &types ? NULL : list_entry(next, struct filesystem_type, node);
}
