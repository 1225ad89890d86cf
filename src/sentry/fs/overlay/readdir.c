/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/readdir.c - listing a merged directory: names of the upper one, then those of
 * the lower one that it neither has nor hides. The list is made when a listing begins.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rbtree.h"
#include "sentry/fs/overlay/node.h"

struct listed {
	struct rb_node node; /* by name */
	struct listed *next; /* in order of appearance */
	uint64_t ino;
	unsigned int type;
	bool whiteout;
	uint8_t len;
	char name[];
};

struct listing {
	struct dir_sink sink;
	struct rb_tree names;
	struct listed *first, **end;
	struct inode *upper; /* while it is the one that is listed: to look for whiteouts */
	size_t len;
	int error;
};

struct ovl_dir_file {
	struct file file;
	struct listing *list; /* NULL: not begun */
};

static void listing_free(struct listing *l)
{
	struct listed *e, *next;

	if (!l)
		return;
	for (e = l->first; e; e = next) {
		next = e->next;
		free(e);
	}
	free(l);
}

static struct rb_node **find_place(struct listing *l, const char *name, size_t len,
				   struct rb_node **ret_parent)
{
	struct rb_node **link = &l->names.root;

	*ret_parent = NULL;
	while (*link) {
		const struct listed *e = rb_entry(*link, struct listed, node);
		int r = memcmp(name, e->name, len < e->len ? len : e->len);

		if (r == 0)
			r = (int)len - (int)e->len;
		if (r == 0)
			return NULL;
		*ret_parent = *link;
		link = r < 0 ? &(*link)->left : &(*link)->right;
	}
	return link;
}

static bool collect(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		    unsigned int type, uint64_t next_pos)
{
	struct listing *l = (struct listing *)sink;
	struct rb_node *parent, **link;
	struct listed *e;

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.') ||
	    len > VFS_NAME_MAX)
		return true;
	link = find_place(l, name, len, &parent);
	if (!link)
		return true;
	if (l->len >= OVERLAY_NAMES_MAX) {
		l->error = -ENOMEM;
		return false;
	}
	e = malloc(sizeof(*e) + len);
	if (!e) {
		l->error = -ENOMEM;
		return false;
	}
	*e = (struct listed){ .ino = l->upper ? ino | OVL_UPPER_INO : ino,
			      .type = type,
			      .len = (uint8_t)len };
	memcpy(e->name, name, len);
	rb_insert(&l->names, &e->node, parent, link);
	*l->end = e;
	l->end = &e->next;
	l->len++;
	return true;
}

static int list_real(struct listing *l, struct inode *real)
{
	AUTO_FILE struct file *f = NULL;
	int r = ovl_open_real(real, O_RDONLY | O_DIRECTORY, &f);

	if (r == 0)
		r = file_iterate(f, &l->sink);
	while (r == 0 && l->error == 0) {
		/* A filesystem may hand out its names in pieces. */
		const size_t before = l->len;
		const uint64_t pos = f->pos;

		r = file_iterate(f, &l->sink);
		if (l->len == before && f->pos == pos)
			break;
	}
	return r < 0 ? r : l->error;
}

/* Whiteouts look like devices in the list; their numbers decide. */
static int mark_whiteouts(struct listing *l, struct inode *upper)
{
	for (struct listed *e = l->first; e; e = e->next) {
		const struct vfs_name name = { .bytes = e->name, .len = e->len };
		struct inode *inode;
		uint64_t ino;
		int r;

		krwlock_read_lock(&upper->lock);
		r = upper->ops->lookup(upper, &name, &inode);
		krwlock_read_unlock(&upper->lock);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		e->whiteout = ovl_is_whiteout(inode);
		if (inode->ops->getxattr &&
		    inode->ops->getxattr(inode, OVL_XATTR_INO, &ino, sizeof(ino)) == sizeof(ino))
			e->ino = ino;
		inode_unref(inode);
	}
	return 0;
}

static int listing_make(struct ovl_inode *o, struct listing **ret)
{
	struct listing *l = calloc(1, sizeof(*l));
	int r = 0;

	if (!l)
		return -ENOMEM;
	l->sink.emit = collect;
	l->end = &l->first;
	if (o->upper) {
		l->upper = o->upper;
		r = list_real(l, o->upper);
		if (r == 0)
			r = mark_whiteouts(l, o->upper);
		l->upper = NULL;
	}
	if (r == 0 && o->lower)
		r = list_real(l, o->lower);
	if (r < 0)
		listing_free(l);
	else
		*ret = l;
	return r;
}

int ovl_dir_is_empty(struct ovl_inode *o)
{
	struct listing *l;
	int r = listing_make(o, &l);

	if (r < 0)
		return r;
	for (const struct listed *e = l->first; e && r == 0; e = e->next)
		r = e->whiteout ? 0 : -ENOTEMPTY;
	listing_free(l);
	return r;
}

int ovl_dir_clear(struct inode *upper)
{
	struct ovl_inode only = { .upper = upper };
	struct listing *l;
	int r = listing_make(&only, &l);

	if (r < 0)
		return r;
	krwlock_write_lock(&upper->lock);
	for (const struct listed *e = l->first; e && r == 0; e = e->next) {
		const struct vfs_name name = { .bytes = e->name, .len = e->len };
		struct inode *inode;

		r = upper->ops->lookup(upper, &name, &inode);
		if (r < 0)
			break;
		r = ovl_is_whiteout(inode) ? upper->ops->unlink(upper, &name, inode) : -ENOTEMPTY;
		inode_unref(inode);
	}
	krwlock_write_unlock(&upper->lock);
	listing_free(l);
	return r;
}

static int dir_iterate(struct file *f, struct dir_sink *sink)
{
	struct ovl_dir_file *d = container_of(f, struct ovl_dir_file, file);
	struct ovl_inode *o = ovl_inode(f->inode);
	uint64_t pos = 2;
	int r;

	if (f->pos == 0 || !d->list) {
		listing_free(d->list);
		d->list = NULL;
		r = listing_make(o, &d->list);
		if (r < 0)
			return r;
	}
	if (f->pos == 0) {
		if (!sink->emit(sink, ".", 1, f->inode->ino, DT_DIR, 1))
			return 0;
		f->pos = 1;
	}
	if (f->pos == 1) {
		if (!sink->emit(sink, "..", 2, f->inode->ino, DT_DIR, 2))
			return 0;
		f->pos = 2;
	}
	for (const struct listed *e = d->list->first; e; e = e->next, pos++) {
		if (pos < f->pos || e->whiteout)
			continue;
		if (!sink->emit(sink, e->name, e->len, e->ino, e->type, pos + 1))
			break;
		f->pos = pos + 1;
	}
	return 0;
}

static int64_t dir_seek(struct file *f, int64_t offset, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	return file_seek_size(f, offset, whence, 0);
}

static void dir_release(struct file *f)
{
	struct ovl_dir_file *d = container_of(f, struct ovl_dir_file, file);

	listing_free(d->list);
	file_fini(f);
	free(d);
}

static const struct file_ops ovl_dir_file_ops = {
	.iterate = dir_iterate,
	.seek = dir_seek,
	.release = dir_release,
};

int ovl_dir_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct ovl_dir_file *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	file_init(&d->file, &ovl_dir_file_ops, NULL, NULL, flags);
	d->file.mode |= FMODE_ATOMIC_POS;
	*ret = &d->file;
	return 0;
}
