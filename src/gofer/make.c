/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that make a file: create, mkdir, mknod, symlink.
 *
 * A file is first made without set-id and sticky bits, then given to its owner, then gets what is
 * missing of its mode: at no moment does it have a set-id bit with the gofer's own owner. What
 * could not be given away is removed again, unless the name leads to another file by then.
 */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"

#define FIRST_BITS 0777u
#define MODE_BITS  07777u

/* What a file shall be; `type` is S_IFMT of the mode. */
struct wanted {
	uint32_t type, mode, uid, gid;
};

/* Owner and mode of the file behind fd, which has `attr`. */
static int give(const struct gofer_server *s, int fd, const struct wanted *want,
		struct gofer_attr *attr)
{
	const bool owner = attr->uid != want->uid || attr->gid != want->gid;
	const bool mode = want->type != S_IFLNK && (attr->mode & MODE_BITS) != want->mode;
	char text[GOFER_NUMBER_MAX];
	long r = 0;

	if ((attr->mode & S_IFMT) != want->type)
		return -ESTALE; /* somebody else's: the name was taken over on a shared volume */
	if (owner)
		r = SYS5(SYS_fchownat, fd, "", want->uid, want->gid, AT_EMPTY_PATH);
	if (r == 0 && mode)
		r = SYS3(SYS_fchmodat, s->proc_fd, gofer_number(fd, text), want->mode);
	if (r < 0)
		return (int)r;
	return owner || mode ? gofer_attr(fd, attr) : 0;
}

void gofer_undo(int dir, const char *name, const struct gofer_attr *attr)
{
	const int fd = (int)SYS4(SYS_openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	struct gofer_attr now;

	if (fd < 0)
		return;
	if (gofer_attr(fd, &now) == 0 && now.dev == attr->dev && now.ino == attr->ino)
		(void)SYS3(SYS_unlinkat, dir, name, S_ISDIR(now.mode) ? AT_REMOVEDIR : 0);
	(void)gofer_close_fd(fd);
}

/* The node of a file that was just made. Takes `path_fd` over. On failure the file is removed. */
static int adopt(struct gofer_server *s, const struct gofer_held *dir, const char *name,
		 int path_fd, const struct wanted *want, struct gofer_entry *ret)
{
	int r = gofer_attr(path_fd, &ret->attr);

	if (r < 0) {
		(void)gofer_close_fd(path_fd);
		return r;
	}
	r = give(s, path_fd, want, &ret->attr);
	if (r < 0)
		(void)gofer_close_fd(path_fd);
	else
		r = gofer_node_add_known(s, path_fd, dir->root, ret);
	if (r < 0 && r != -ESTALE)
		gofer_undo(dir->fd, name, &ret->attr);
	return r;
}

static int adopt_by_name(struct gofer_server *s, const struct gofer_held *dir, const char *name,
			 const struct wanted *want, struct gofer_out *out)
{
	const int fd = (int)SYS4(SYS_openat, dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);

	out->len = sizeof(struct gofer_entry);
	return fd < 0 ? fd : adopt(s, dir, name, fd, want, (struct gofer_entry *)out->bytes);
}

GOFER_HANDLER(create)
{
	static const int modes[] = { 0, O_RDONLY, O_WRONLY, O_RDWR };
	const struct wanted want = { S_IFREG, r->make.mode, r->make.uid, r->make.gid };
	struct gofer_held *dir;
	int fd, path_fd, ret = gofer_node_writable(s, r->make.dir, &dir);

	if (ret < 0)
		return ret;
	if (s->nodes_len >= s->nodes_max)
		return -ENFILE;
	fd = (int)SYS4(SYS_openat, dir->fd, r->names[0],
		       O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
			       modes[r->make.flags],
		       want.mode & FIRST_BITS);
	if (fd < 0)
		return fd;
	path_fd = gofer_reopen(s, fd, O_PATH);
	if (path_fd < 0) {
		struct gofer_attr attr;

		if (gofer_attr(fd, &attr) == 0)
			gofer_undo(dir->fd, r->names[0], &attr);
	}
	ret = path_fd < 0 ? path_fd
			  : adopt(s, dir, r->names[0], path_fd, &want,
				  (struct gofer_entry *)out->bytes);
	if (ret < 0) {
		(void)gofer_close_fd(fd);
		return ret;
	}
	out->len = sizeof(struct gofer_entry);
	gofer_give(out, fd);
	return 0;
}

/* It has no name that could be taken away again: closing it is enough. */
GOFER_HANDLER(tmpfile)
{
	static const int modes[] = { 0, O_RDONLY, O_WRONLY, O_RDWR };
	const struct wanted want = { S_IFREG, r->make.mode, r->make.uid, r->make.gid };
	struct gofer_entry *entry = (struct gofer_entry *)out->bytes;
	char text[GOFER_NUMBER_MAX];
	struct gofer_held *dir;
	int fd, path_fd, ret = gofer_node_writable(s, r->make.dir, &dir);

	if (ret < 0)
		return ret;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	fd = (int)SYS4(SYS_openat, s->proc_fd, gofer_number(dir->fd, text),
		       O_TMPFILE | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | modes[r->make.flags],
		       want.mode & FIRST_BITS);
	if (fd < 0)
		return fd;
	path_fd = gofer_reopen(s, fd, O_PATH);
	ret = path_fd < 0 ? path_fd : gofer_attr(path_fd, &entry->attr);
	if (ret == 0)
		ret = give(s, path_fd, &want, &entry->attr);
	if (ret < 0 && path_fd >= 0)
		(void)gofer_close_fd(path_fd);
	if (ret == 0)
		ret = gofer_node_add_known(s, path_fd, dir->root, entry);
	if (ret < 0) {
		(void)gofer_close_fd(fd);
		return ret;
	}
	out->len = sizeof(*entry);
	gofer_give(out, fd);
	return 0;
}

GOFER_HANDLER(mkdir)
{
	const struct wanted want = { S_IFDIR, r->make.mode, r->make.uid, r->make.gid };
	struct gofer_held *dir;
	int ret = gofer_node_writable(s, r->make.dir, &dir);

	if (ret < 0)
		return ret;
	if (s->nodes_len >= s->nodes_max)
		return -ENFILE;
	ret = (int)SYS3(SYS_mkdirat, dir->fd, r->names[0], want.mode & FIRST_BITS);
	return ret < 0 ? ret : adopt_by_name(s, dir, r->names[0], &want, out);
}

GOFER_HANDLER(mknod)
{
	const struct wanted want = { r->make.mode & S_IFMT, r->make.mode & MODE_BITS, r->make.uid,
				     r->make.gid };
	struct gofer_held *dir;
	int ret = gofer_node_writable(s, r->make.dir, &dir);

	if (ret < 0)
		return ret;
	if (want.type != S_IFREG && want.type != S_IFIFO && want.type != S_IFSOCK)
		return -EPERM;
	if (s->nodes_len >= s->nodes_max)
		return -ENFILE;
	ret = (int)SYS4(SYS_mknodat, dir->fd, r->names[0], want.type | (want.mode & FIRST_BITS), 0);
	return ret < 0 ? ret : adopt_by_name(s, dir, r->names[0], &want, out);
}

GOFER_HANDLER(symlink)
{
	const struct wanted want = { S_IFLNK, 0, r->symlink.uid, r->symlink.gid };
	struct gofer_held *dir;
	int ret = gofer_node_writable(s, r->symlink.dir, &dir);

	if (ret < 0)
		return ret;
	if (s->nodes_len >= s->nodes_max)
		return -ENFILE;
	memcpy(s->scratch, r->blob, r->blob_len);
	s->scratch[r->blob_len] = '\0';
	ret = (int)SYS3(SYS_symlinkat, s->scratch, dir->fd, r->names[0]);
	return ret < 0 ? ret : adopt_by_name(s, dir, r->names[0], &want, out);
}
