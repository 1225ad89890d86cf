/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that change a file or a name: setattr, link, unlink, rename, fsync, copy_range. */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/sys.h"

#define NS_PER_S 1000000000ll

static int set_size(const struct gofer_server *s, const struct gofer_held *node, uint64_t size)
{
	struct gofer_attr attr;
	const int fd = gofer_open_regular(s, node, GOFER_OPEN_WRITE, &attr);
	long r;

	if (fd < 0)
		return fd;
	r = SYS2(SYS_ftruncate, fd, size);
	(void)gofer_close_fd(fd);
	return (int)r;
}

static int set_owner(const struct gofer_held *node, const struct gofer_setattr *set)
{
	const uint32_t uid = set->valid & GOFER_SET_UID ? set->uid : UINT32_MAX;
	const uint32_t gid = set->valid & GOFER_SET_GID ? set->gid : UINT32_MAX;

	return (int)SYS5(SYS_fchownat, node->fd, "", uid, gid, AT_EMPTY_PATH);
}

static int set_mode(const struct gofer_server *s, const struct gofer_held *node, uint32_t mode)
{
	char text[GOFER_NUMBER_MAX];

	if (node->type == S_IFLNK)
		return -EOPNOTSUPP;
	return (int)SYS3(SYS_fchmodat, s->proc_fd, gofer_number(node->fd, text), mode);
}

static struct timespec time_of(bool set, bool now, int64_t ns)
{
	struct timespec t = { .tv_nsec = now ? UTIME_NOW : UTIME_OMIT };

	if (set) {
		t.tv_sec = ns / NS_PER_S;
		t.tv_nsec = ns % NS_PER_S;
		if (t.tv_nsec < 0) {
			t.tv_sec--;
			t.tv_nsec += NS_PER_S;
		}
	}
	return t;
}

static int set_times(const struct gofer_held *node, const struct gofer_setattr *set)
{
	const struct timespec times[2] = {
		time_of(set->valid & GOFER_SET_ATIME, set->valid & GOFER_SET_ATIME_NOW,
			set->atime_ns),
		time_of(set->valid & GOFER_SET_MTIME, set->valid & GOFER_SET_MTIME_NOW,
			set->mtime_ns),
	};

	return (int)SYS4(SYS_utimensat, node->fd, "", times, AT_EMPTY_PATH);
}

GOFER_HANDLER(setattr)
{
	const uint32_t valid = r->setattr.valid;
	struct gofer_held *node;
	int ret = gofer_node_writable(s, r->setattr.node, &node);

	if (ret == 0 && (valid & GOFER_SET_SIZE))
		ret = set_size(s, node, r->setattr.size);
	if (ret == 0 && (valid & (GOFER_SET_UID | GOFER_SET_GID)))
		ret = set_owner(node, &r->setattr);
	if (ret == 0 && (valid & GOFER_SET_MODE))
		ret = set_mode(s, node, r->setattr.mode);
	if (ret == 0 && (valid & (GOFER_SET_ATIME | GOFER_SET_MTIME | GOFER_SET_ATIME_NOW |
				  GOFER_SET_MTIME_NOW)))
		ret = set_times(node, &r->setattr);
	if (ret == 0)
		ret = gofer_attr(node->fd, (struct gofer_attr *)out->bytes);
	out->len = sizeof(struct gofer_attr);
	return ret;
}

GOFER_HANDLER(link)
{
	const struct gofer_held *node = gofer_node(s, r->link.node);
	struct gofer_held *dir;
	char text[GOFER_NUMBER_MAX];
	int ret = gofer_node_writable(s, r->link.dir, &dir);

	if (ret < 0)
		return ret;
	if (!node)
		return -EBADF;
	if (node->root != dir->root)
		return -EXDEV;
	if (node->type == S_IFDIR)
		return -EPERM;
	/* The magic link leads to the node itself, also when that is a symbolic link. */
	ret = (int)SYS5(SYS_linkat, s->proc_fd, gofer_number(node->fd, text), dir->fd, r->names[0],
			AT_SYMLINK_FOLLOW);
	if (ret == 0)
		ret = gofer_attr(node->fd, (struct gofer_attr *)out->bytes);
	out->len = sizeof(struct gofer_attr);
	return ret;
}

GOFER_HANDLER(unlink)
{
	struct gofer_held *dir;
	const int ret = gofer_node_writable(s, r->unlink.dir, &dir);

	if (ret < 0)
		return ret;
	return (int)SYS3(SYS_unlinkat, dir->fd, r->names[0],
			 r->unlink.flags & GOFER_UNLINK_DIR ? AT_REMOVEDIR : 0);
}

GOFER_HANDLER(rename)
{
	struct gofer_held *from, *to;
	int ret = gofer_node_writable(s, r->rename.old_dir, &from);

	if (ret == 0)
		ret = gofer_node_writable(s, r->rename.new_dir, &to);
	if (ret < 0)
		return ret;
	if (from->root != to->root)
		return -EXDEV;
	return (int)SYS5(SYS_renameat2, from->fd, r->names[0], to->fd, r->names[1],
			 r->rename.flags == GOFER_RENAME_NOREPLACE  ? RENAME_NOREPLACE
			 : r->rename.flags == GOFER_RENAME_EXCHANGE ? RENAME_EXCHANGE
								    : 0);
}

GOFER_HANDLER(fsync)
{
	const struct gofer_held *node = gofer_node(s, r->fsync.node);
	long ret;
	int fd;

	if (!node)
		return -EBADF;
	if (node->type != S_IFREG && node->type != S_IFDIR)
		return -EINVAL;
	fd = gofer_reopen(s, node->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	ret = r->fsync.data_only ? SYS1(SYS_fdatasync, fd) : SYS1(SYS_fsync, fd);
	(void)gofer_close_fd(fd);
	return (int)ret;
}

GOFER_HANDLER(copy_range)
{
	const struct gofer_held *in = gofer_node(s, r->copy.in_node);
	const uint64_t len = r->copy.len < GOFER_COPY_MAX ? r->copy.len : GOFER_COPY_MAX;
	int64_t in_at = (int64_t)r->copy.in_offset, out_at = (int64_t)r->copy.out_offset;
	struct gofer_held *to;
	struct gofer_attr attr;
	struct gofer_copy_reply reply;
	int in_fd, to_fd, ret = gofer_node_writable(s, r->copy.out_node, &to);
	long n;

	if (ret < 0)
		return ret;
	if (!in)
		return -EBADF;
	in_fd = gofer_open_regular(s, in, GOFER_OPEN_READ, &attr);
	if (in_fd < 0)
		return in_fd;
	to_fd = gofer_open_regular(s, to, GOFER_OPEN_WRITE, &attr);
	if (to_fd < 0) {
		(void)gofer_close_fd(in_fd);
		return to_fd;
	}
	n = SYS6(SYS_copy_file_range, in_fd, &in_at, to_fd, &out_at, len, 0);
	(void)gofer_close_fd(in_fd);
	(void)gofer_close_fd(to_fd);
	if (n < 0)
		return (int)n;
	reply.copied = (uint64_t)n;
	memcpy(out->bytes, &reply, sizeof(reply));
	out->len = sizeof(reply);
	return 0;
}
