/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of small files that were read whole (exclusive mode, where nobody else changes them): who
 * opens one of them again for reading needs no descriptor of the host, and reads without a call.
 * They are gone as soon as anybody may write (a descriptor that can, a mapping, a new size), and
 * the oldest make way when they are too many.
 *
 * A read of the host's file moves its time of access, by the rules of the host's mount. So bytes
 * serve a read only while the host would leave that time alone: otherwise it is asked, as ever.
 */
#include "sentry/fs/goferfs/internal.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/core/kclock.h"

#define EVICT_SCAN  64u /* of the oldest, for one that nobody has open */
#define RELATIME_NS (24ll * 3600 * (int64_t)NSEC_PER_SEC) /* relatime of mount(8) */
#define RECENT_NS   (10ll * (int64_t)NSEC_PER_SEC)	  /* more than a read takes */

/* All that are kept; the first is the oldest. */
static struct list_head all = LIST_HEAD_INIT(all);
static uint64_t bytes;
static uint32_t turned_away; /* since the last one that was let in though there was no room */

uint64_t gofer_content_bytes(void)
{
	return bytes;
}

static size_t size_of(const struct gofer_content *c)
{
	return sizeof(*c) + c->len;
}

static void content_unref(struct gofer_content *c)
{
	if (--c->refs == 0)
		free(c);
}

void gofer_content_drop(struct gofer_inode *gi)
{
	struct gofer_content *c = gi->content;

	gi->content_seq++;
	if (!c)
		return;
	gi->content = NULL;
	list_del(&c->node);
	bytes -= size_of(c);
	content_unref(c);
}

/* Who has a file open without a descriptor reads these bytes: they stay. */
static bool drop_oldest(void)
{
	struct gofer_content *c;
	unsigned int looked = 0;

	list_for_each(c, &all, node)
	{
		if (c->owner->opens == 0) {
			gofer_content_drop(c->owner);
			return true;
		}
		if (++looked == EVICT_SCAN)
			return false;
	}
	return false;
}

/* As with descriptors that are kept: what is there survives a pass over too many files. */
static bool let_in(size_t size)
{
	if (bytes + size <= gofer_limits.content)
		return true;
	if (++turned_away < GOFERFS_LET_IN)
		return false;
	turned_away = 0;
	while (bytes + size > gofer_limits.content) {
		if (!drop_oldest())
			return false;
	}
	return true;
}

bool gofer_content_wanted(const struct gofer_inode *gi)
{
	/* What has a size and no blocks is made up at each read: a file of sysfs, for one. */
	return gi->fs->exclusive && !gi->fs->remote && !(gi->fs->flags & GOFER_ROOT_ATIME) &&
	       gi->dev == gi->fs->dev && gi->inode.size > 0 &&
	       gi->inode.size <= GOFERFS_CONTENT_MAX && gi->inode.blocks > 0 &&
	       !gi->handles[HANDLE_WRITE];
}

/* A read now would leave the time of access as it is. */
static bool atime_rests(const struct gofer_inode *gi, int64_t now)
{
	const int64_t atime = (int64_t)gi->inode.atime;

	return atime > (int64_t)gi->inode.mtime && atime > (int64_t)gi->inode.ctime &&
	       now - RELATIME_NS < atime;
}

void gofer_content_keep(struct gofer_inode *gi, uint32_t seq, const struct gofer_handle *h,
			const char *data, size_t len)
{
	const int64_t now = (int64_t)kclock_realtime();
	struct gofer_content *c;
	bool rests;

	if (seq != gi->content_seq || gofer_inode_refresh(gi, h) < 0 || !gofer_content_wanted(gi) ||
	    gi->inode.size != len)
		return;
	gofer_content_drop(gi);
	rests = atime_rests(gi, now);
	/* It has moved with this read, and would with the next. */
	if (!rests && now - RECENT_NS < (int64_t)gi->inode.atime)
		return;
	if (!let_in(sizeof(*c) + len))
		return;
	c = malloc(sizeof(*c) + len);
	if (!c)
		return;
	*c = (struct gofer_content){
		.refs = 1, .len = (uint32_t)len, .owner = gi, .still = !rests
	};
	memcpy(c->bytes, data, len);
	list_add_tail(&c->node, &all);
	bytes += size_of(c);
	gi->content = c;
}

bool gofer_content_serves(const struct gofer_inode *gi)
{
	const struct gofer_content *c = gi->content;

	return c && (c->still || (!gi->stale && atime_rests(gi, (int64_t)kclock_realtime())));
}

void gofer_content_used(struct gofer_inode *gi)
{
	list_move_tail(&gi->content->node, &all);
}

ssize_t gofer_content_read(struct gofer_inode *gi, struct uio *u, uint64_t *pos)
{
	struct gofer_content *c = gi->content;
	ssize_t r;

	if (*pos >= c->len)
		return 0;
	c->refs++; /* the copy may park */
	r = uio_put(u, c->bytes + *pos, u->left < c->len - *pos ? u->left : c->len - *pos);
	content_unref(c);
	if (r > 0)
		*pos += (uint64_t)r;
	return r;
}
