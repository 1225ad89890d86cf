/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories: what is known of their names. In exclusive mode a directory that was read whole, or
 * made by us, is known for good: its listing follows our changes, says without the gofer that a
 * name is not there, and serves every reader. Otherwise a listing is read whole when getdents(2)
 * starts at the beginning, and lives as long as that open file.
 *
 * Who looks up the names of a listing one after the other (ls -l, tar, rm -r) gets them from the
 * gofer many at a time: those that will be asked for next wait on the directory.
 */
#include "sentry/fs/goferfs/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POS_ENTRIES 2u /* 0 is ".", 1 is ".." */

struct gofer_dir_file {
	struct file file;
	struct gofer_listing *listing; /* one reference; NULL until the first entry */
};

void gofer_dir_forget_listing(struct inode *dir)
{
	struct gofer_inode *gi = gofer_inode(dir);

	gofer_ahead_drop(gi);
	gofer_listing_unref(gi->listing);
	gi->listing = NULL;
}

void gofer_dir_changed(struct inode *dir)
{
	struct gofer_inode *gi = gofer_inode(dir);

	gi->seq++;
	gi->stale = true;
}

void gofer_dir_is_empty(struct inode *dir)
{
	struct gofer_inode *gi = gofer_inode(dir);

	if (gi->fs->exclusive && !gi->listing)
		gi->listing = gofer_listing_new();
}

void gofer_dir_add(struct inode *dir, const struct vfs_name *name, const struct inode *inode)
{
	struct gofer_inode *gi = gofer_inode(dir);
	const uint64_t ino = container_of(inode, const struct gofer_inode, inode)->host_ino;

	if (!gi->listing)
		return;
	if (gi->listing->bytes_len > GOFERFS_LISTING_KEPT ||
	    gofer_listing_add(gi->listing, name, ino, IFTODT(inode->mode)) < 0)
		gofer_dir_forget_listing(dir);
}

void gofer_dir_remove(struct inode *dir, const struct vfs_name *name)
{
	struct gofer_inode *gi = gofer_inode(dir);
	const int64_t i = gi->listing ? gofer_listing_find(gi->listing, name) : -1;

	if (i < 0)
		return;
	gofer_ahead_drop(gi); /* it counts entries, which may move */
	gofer_listing_remove(gi->listing, (uint32_t)i);
}

static int read_piece(struct gofer_inode *gi, struct gofer_listing *l, uint64_t *cookie)
{
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_READDIR,
		   .readdir = { .node = gi->node, .cookie = *cookie });
	struct gofer_dirent_view last;
	int r = gofer_call(&call);

	if (r == 0)
		r = gofer_listing_append(l, &call.answer);
	if (r < 0)
		return r;
	if (call.answer.readdir.eof)
		return 0;
	if (call.answer.readdir.count == 0)
		return -EIO; /* it would never end */
	(void)gofer_listing_entry(l, l->count - 1, &last);
	*cookie = last.cookie;
	return 1;
}

static int read_all(struct gofer_inode *gi, struct gofer_listing **ret)
{
	struct gofer_listing *l = gofer_listing_new();
	const uint32_t seq = gi->seq;
	uint64_t cookie = 0;
	int r;

	if (!l)
		return -ENOMEM;
	do {
		r = read_piece(gi, l, &cookie);
	} while (r > 0);
	if (r < 0) {
		gofer_listing_unref(l);
		return r;
	}
	if (gi->fs->exclusive && seq == gi->seq && !gi->listing &&
	    l->bytes_len <= GOFERFS_LISTING_KEPT) {
		gi->listing = l;
		l->refs++;
	}
	*ret = l;
	return 0;
}

static int load(struct gofer_dir_file *df, bool again)
{
	struct gofer_inode *gi = gofer_inode(df->file.inode);
	struct gofer_listing *l = NULL;
	int r;

	if (df->listing && !again)
		return 0;
	if (gi->listing) {
		l = gi->listing;
		l->refs++;
	} else {
		r = read_all(gi, &l);
		if (r < 0)
			return r;
	}
	gofer_listing_unref(df->listing);
	df->listing = l;
	return 0;
}

static bool emit(struct file *f, struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		 unsigned int type)
{
	if (!sink->emit(sink, name, len, ino, type, f->pos + 1))
		return false;
	f->pos++;
	return true;
}

static uint64_t parent_ino(const struct file *f)
{
	const struct dentry *d = f->path.dentry;

	return d && d->parent->inode ? d->parent->inode->ino : f->inode->ino;
}

static int dir_iterate(struct file *f, struct dir_sink *sink)
{
	struct gofer_dir_file *df = container_of(f, struct gofer_dir_file, file);
	const struct gofer_inode *gi = gofer_inode(f->inode);
	struct gofer_dirent_view e;
	const int r = load(df, f->pos == 0);

	if (r < 0)
		return r;
	if (f->pos == 0 && !emit(f, sink, ".", 1, f->inode->ino, DT_DIR))
		return 0;
	if (f->pos == 1 && !emit(f, sink, "..", 2, parent_ino(f), DT_DIR))
		return 0;
	while (f->pos - POS_ENTRIES < df->listing->count) {
		if (!gofer_listing_entry(df->listing, (uint32_t)(f->pos - POS_ENTRIES), &e))
			f->pos++;
		else if (!emit(f, sink, e.name, e.name_len, gofer_ino(gi->fs, gi->dev, e.ino),
			       e.type))
			return 0;
	}
	return 0;
}

static int64_t dir_seek(struct file *f, int64_t offset, int whence)
{
	if (whence == SEEK_CUR && __builtin_add_overflow(offset, (int64_t)f->pos, &offset))
		return -EOVERFLOW;
	if ((whence != SEEK_SET && whence != SEEK_CUR) || offset < 0)
		return -EINVAL;
	f->pos = (uint64_t)offset;
	return offset;
}

static int dir_fsync(struct file *f, bool data_only)
{
	const struct gofer_request request = { .type = GOFER_FSYNC,
					       .fsync = { .node = gofer_inode(f->inode)->node,
							  .data_only = data_only } };

	return gofer_ask(gofer_inode(f->inode)->fs->conn, &request);
}

static void dir_release(struct file *f)
{
	struct gofer_dir_file *df = container_of(f, struct gofer_dir_file, file);

	gofer_listing_unref(df->listing);
	file_fini(f);
	free(df);
}

static const struct file_ops dir_file_ops = {
	.iterate = dir_iterate,
	.seek = dir_seek,
	.fsync = dir_fsync,
	.release = dir_release,
};

int gofer_dir_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct gofer_dir_file *df = calloc(1, sizeof(*df));

	if (!df)
		return -ENOMEM;
	file_init(&df->file, &dir_file_ops, NULL, NULL, flags);
	gofer_special_share(gofer_inode(inode));
	df->file.inode = inode_ref(inode);
	*ret = &df->file;
	return 0;
}
