/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/copyup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define COPY_CHUNK 65536u

struct copy {
	const struct vfs_ctx *ctx;
	unsigned int entries, depth;
};

/* The names of a directory, read whole: what is copied changes nothing of it. */
struct names {
	struct dir_sink sink;
	char **list; /* owned (strv) */
	int r;
};

static bool collect(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		    unsigned int type, uint64_t next_pos)
{
	struct names *n = container_of(sink, struct names, sink);
	char *copy;

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	copy = strndup(name, len);
	n->r = copy ? strv_push(&n->list, copy) : -ENOMEM;
	return n->r == 0;
}

static int read_names(const struct vfs_ctx *ctx, const struct path *dir, char ***ret)
{
	struct names n = { .sink.emit = collect };
	AUTO_FILE struct file *f = NULL;
	int r = vfs_open_path(ctx, dir, O_RDONLY | O_DIRECTORY, &f);
	size_t before;

	/* Until nothing more comes. */
	do {
		before = strv_len(n.list);
		if (r == 0)
			r = file_iterate(f, &n.sink);
		if (r >= 0)
			r = n.r;
	} while (r == 0 && strv_len(n.list) > before);
	if (r < 0) {
		strv_free(n.list);
		return r;
	}
	*ret = n.list;
	return 0;
}

static int copy_bytes(const struct vfs_ctx *ctx, const struct path *from, const struct path *to,
		      const char *name)
{
	AUTO_FILE struct file *in = NULL, *out = NULL;
	AUTO_FREE char *chunk = malloc(COPY_CHUNK);
	uint64_t at = 0;
	ssize_t n = 0;
	int r = chunk ? vfs_open_path(ctx, from, O_RDONLY, &in) : -ENOMEM;

	if (r == 0)
		r = vfs_open(ctx, to, name, O_WRONLY | O_CREAT | O_EXCL, 0600, 0, &out);
	while (r == 0 && (n = file_read_kernel(in, chunk, COPY_CHUNK, at)) > 0) {
		struct iovec iov;
		struct uio u;
		ssize_t done;

		uio_init(&u, NULL, &iov, (uint64_t)(uintptr_t)chunk, (uint64_t)n);
		done = file_write(out, &u, NULL, UINT64_MAX);
		if (done != n)
			return done < 0 ? (int)done : -ENOSPC;
		at += (uint64_t)n;
	}
	return r < 0 ? r : (int)n;
}

static int copy_owner(const struct vfs_ctx *ctx, const struct inode *from, const struct path *to,
		      const char *name)
{
	const struct setattr attr = { .mask = SETATTR_UID | SETATTR_GID | SETATTR_MODE,
				      .mode = from->mode & 07777,
				      .uid = from->uid,
				      .gid = from->gid };
	struct path at;
	int r = path_walk(ctx, to, name, 0, &at);

	if (r < 0)
		return r;
	/* chmod(2) of a link is nothing. */
	r = S_ISLNK(from->mode) ? 0 : vfs_setattr(ctx, &at, &attr);
	path_unref(&at);
	return r;
}

static int copy_dir(struct copy *c, const struct path *from, const struct path *to);

static int copy_subdir(struct copy *c, const struct path *from, const struct path *to,
		       const char *name)
{
	struct path below;
	int r = vfs_mkdir(c->ctx, to, name, 0700);

	if (r == 0)
		r = path_walk(c->ctx, to, name, WALK_DIRECTORY, &below);
	if (r < 0)
		return r;
	r = copy_dir(c, from, &below);
	path_unref(&below);
	return r;
}

static int copy_one(struct copy *c, const struct path *dir, const struct path *to, const char *name)
{
	AUTO_FREE char *target = NULL;
	struct path from;
	uint32_t type;
	int r = path_walk(c->ctx, dir, name, 0, &from);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	type = from.dentry->inode->mode & S_IFMT;
	switch (type) {
	case S_IFDIR:
		r = copy_subdir(c, &from, to, name);
		break;
	case S_IFREG:
		r = copy_bytes(c->ctx, &from, to, name);
		break;
	case S_IFLNK:
		r = vfs_readlink(c->ctx, &from, &target);
		if (r == 0)
			r = vfs_symlink(c->ctx, to, name, target);
		break;
	case S_IFIFO:
		r = vfs_mknod(c->ctx, to, name, S_IFIFO | 0600, 0);
		break;
	default:
		path_unref(&from);
		return 0;
	}
	if (r >= 0)
		r = copy_owner(c->ctx, from.dentry->inode, to, name);
	path_unref(&from);
	return r;
}

static int copy_dir(struct copy *c, const struct path *from, const struct path *to)
{
	AUTO_STRV char **names = NULL;
	int r = c->depth++ < COPYUP_DEPTH_MAX ? read_names(c->ctx, from, &names) : -ELOOP;

	for (size_t i = 0; r >= 0 && names && names[i]; i++) {
		r = ++c->entries > COPYUP_ENTRIES_MAX ? -E2BIG : copy_one(c, from, to, names[i]);
		fiber_resched();
	}
	c->depth--;
	return r < 0 ? r : 0;
}

int boot_copy_up(const struct vfs_ctx *ctx, const struct path *from, const struct path *to,
		 struct err *err)
{
	struct copy c = { .ctx = ctx };
	const int r = copy_dir(&c, from, to);

	return r < 0 ? err_sys(err, r, "tmpcopyup") : 0;
}
