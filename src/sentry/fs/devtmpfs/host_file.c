/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devtmpfs/host_file.c - files over donated host descriptors.
 *
 * What the loop reports is kept in `ready` (edge-triggered) and taken back when the host says
 * EAGAIN, so that no system call of the guest polls the host.
 */
#include "sentry/fs/devtmpfs/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <asm/termbits.h>

#include "base/cleanup.h"
#include "sentry/core/kloop.h"
#include "sentry/vfs/anon.h"

#define MEM_MAJOR  1	  /* null, zero, full, random */
#define HOST_CHUNK 65536u /* bytes of one host call */

struct host_inode {
	struct inode inode;
	int host_fd;
	bool pollable; /* the loop reports readiness; otherwise always ready */
	bool regular;
	uint32_t ready; /* POLL* */
	struct waitq wq;
	struct kloop_fd source;
};

static struct superblock *host_sb;

static struct host_inode *host_of(struct file *f)
{
	return container_of(f->inode, struct host_inode, inode);
}

static void on_ready(struct kloop_fd *source, uint32_t events)
{
	struct host_inode *hi = container_of(source, struct host_inode, source);

	hi->ready |= events & (POLLIN | POLLPRI | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	waitq_wake(&hi->wq, events);
}

/* POLLIN is a memory of an edge: bytes may have been read since. */
static void refresh_input(struct host_inode *hi)
{
	int queued = 0;

	if (!(hi->ready & POLLIN) || (hi->ready & (POLLHUP | POLLERR | POLLRDHUP)))
		return;
	if (ioctl(hi->host_fd, FIONREAD, &queued) == 0 && queued == 0)
		hi->ready &= ~(uint32_t)POLLIN;
}

static uint32_t host_poll(struct file *f)
{
	struct host_inode *hi = host_of(f);

	if (!hi->pollable)
		return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	refresh_input(hi);
	return hi->ready | (hi->ready & POLLIN ? POLLRDNORM : 0) |
	       (hi->ready & POLLOUT ? POLLWRNORM : 0);
}

/* The errnos that a guest may see of a stream; anything else of the host's is its own business. */
static ssize_t host_errno(int error)
{
	switch (error) {
	case EAGAIN:
	case EPIPE:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case ECONNRESET:
	case EINTR:
		return -error;
	default:
		return -EIO;
	}
}

static ssize_t regular_read(struct host_inode *hi, void *dst, size_t len, uint64_t *pos)
{
	const ssize_t n = pread(hi->host_fd, dst, len, (off_t)*pos);

	if (n < 0)
		return host_errno(errno);
	*pos += (uint64_t)n;
	return n;
}

/* With O_APPEND the host writes at the end, whatever position we say: others may append too. */
static ssize_t regular_write(struct file *f, const void *src, size_t len, uint64_t *pos,
			     uint32_t flags)
{
	struct host_inode *hi = host_of(f);
	const ssize_t n = pwrite(hi->host_fd, src, len, (off_t)*pos);
	off_t end;

	if (n < 0)
		return host_errno(errno);
	*pos += (uint64_t)n;
	end = flags & O_APPEND ? lseek(hi->host_fd, 0, SEEK_END) : -1;
	if (end >= 0)
		*pos = (uint64_t)end;
	if (hi->inode.size < *pos)
		hi->inode.size = *pos;
	return n;
}

/* Whoever gave us the description sees the position move, as if the program wrote it itself. */
static void share_position(struct file *f, const uint64_t *pos)
{
	if (pos == &f->pos)
		(void)lseek(host_of(f)->host_fd, (off_t)*pos, SEEK_SET);
}

static ssize_t stream_read(struct file *f, void *dst, size_t len, uint32_t flags)
{
	struct host_inode *hi = host_of(f);

	for (;;) {
		const ssize_t n = read(hi->host_fd, dst, len);
		int r;

		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return host_errno(errno);
		hi->ready &= ~(uint32_t)POLLIN;
		if (flags & O_NONBLOCK)
			return -EAGAIN;
		r = WAIT_EVENT(&hi->wq, hi->ready & (POLLIN | POLLHUP | POLLERR | POLLRDHUP));
		if (r < 0)
			return r;
	}
}

static ssize_t stream_write(struct file *f, const void *src, size_t len, uint32_t flags)
{
	struct host_inode *hi = host_of(f);

	for (;;) {
		const ssize_t n = write(hi->host_fd, src, len);
		int r;

		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return host_errno(errno);
		hi->ready &= ~(uint32_t)POLLOUT;
		if (flags & O_NONBLOCK)
			return -EAGAIN;
		r = WAIT_EVENT(&hi->wq, hi->ready & (POLLOUT | POLLHUP | POLLERR));
		if (r < 0)
			return r;
	}
}

static ssize_t host_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct host_inode *hi = host_of(f);
	const uint32_t flags = file_io_flags(f, u);
	const size_t len = u->left < HOST_CHUNK ? u->left : HOST_CHUNK;
	AUTO_FREE char *chunk = NULL;
	ssize_t n;

	if (len == 0)
		return 0;
	chunk = malloc(len);
	if (!chunk)
		return -ENOMEM;
	n = hi->regular && pos ? regular_read(hi, chunk, len, pos)
			       : stream_read(f, chunk, len, flags);
	if (n <= 0)
		return n;
	if (hi->regular)
		share_position(f, pos);
	return uio_put(u, chunk, (size_t)n);
}

static ssize_t host_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct host_inode *hi = host_of(f);
	const uint32_t flags = file_io_flags(f, u);
	AUTO_FREE char *chunk = malloc(u->left < HOST_CHUNK ? u->left + 1 : HOST_CHUNK);
	ssize_t done = 0;

	if (!chunk)
		return -ENOMEM;
	while (u->left) {
		ssize_t n = uio_get(u, chunk, u->left < HOST_CHUNK ? u->left : HOST_CHUNK);
		size_t sent = 0;

		if (n <= 0)
			return done ? done : n;
		while (sent < (size_t)n) {
			const size_t left = (size_t)n - sent;
			const ssize_t w = hi->regular && pos
						  ? regular_write(f, chunk + sent, left, pos, flags)
						  : stream_write(f, chunk + sent, left, flags);

			if (w < 0)
				return done ? done : w;
			sent += (size_t)w;
			done += w;
		}
		fiber_resched();
	}
	if (hi->regular)
		share_position(f, pos);
	return done;
}

static int64_t host_seek(struct file *f, int64_t offset, int whence)
{
	struct host_inode *hi = host_of(f);
	off_t at;

	if (!hi->regular)
		return -ESPIPE;
	if (whence == SEEK_CUR) {
		if (__builtin_add_overflow(offset, (int64_t)f->pos, &offset))
			return -EOVERFLOW;
		whence = SEEK_SET;
	}
	at = lseek(hi->host_fd, offset, whence);
	if (at < 0)
		return errno == ENXIO ? -ENXIO : -EINVAL;
	f->pos = (uint64_t)at;
	return at;
}

static long set_termios(struct host_inode *hi, unsigned int cmd, uint64_t arg,
			struct user_memory *um, size_t size)
{
	char image[sizeof(struct termios2)];

	if (user_copy_in(um, image, arg, size) < 0)
		return -EFAULT;
	return ioctl(hi->host_fd, cmd, image) < 0 ? -errno : 0;
}

static long get_termios(struct host_inode *hi, unsigned int cmd, uint64_t arg,
			struct user_memory *um, size_t size)
{
	char image[sizeof(struct termios2)] = { 0 };

	if (ioctl(hi->host_fd, cmd, image) < 0)
		return -errno;
	return user_copy_out(um, arg, image, size);
}

#define KERNEL_TERMIOS_SIZE  36 /* struct termios of <asm/termbits.h> */
#define KERNEL_TERMIOS2_SIZE 44

_Static_assert(sizeof(struct termios) == KERNEL_TERMIOS_SIZE, "termios");
_Static_assert(sizeof(struct termios2) == KERNEL_TERMIOS2_SIZE, "termios2");

static long terminal_ioctl(struct host_inode *hi, unsigned int cmd, uint64_t arg,
			   struct user_memory *um)
{
	struct winsize ws;

	switch (cmd) {
	case TCGETS:
		return get_termios(hi, cmd, arg, um, KERNEL_TERMIOS_SIZE);
	case TCGETS2:
		return get_termios(hi, cmd, arg, um, KERNEL_TERMIOS2_SIZE);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_termios(hi, cmd, arg, um, KERNEL_TERMIOS_SIZE);
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return set_termios(hi, cmd, arg, um, KERNEL_TERMIOS2_SIZE);
	case TIOCGWINSZ:
		if (ioctl(hi->host_fd, TIOCGWINSZ, &ws) < 0)
			return -errno;
		return user_copy_out(um, arg, &ws, sizeof(ws));
	case TIOCSWINSZ:
		if (user_copy_in(um, &ws, arg, sizeof(ws)) < 0)
			return -EFAULT;
		return ioctl(hi->host_fd, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
	default:
		return -ENOTTY;
	}
}

static long host_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct host_inode *hi = host_of(f);
	int queued = 0;

	if (cmd == FIONREAD && (hi->pollable || hi->regular)) {
		if (ioctl(hi->host_fd, FIONREAD, &queued) < 0)
			return -ENOTTY;
		return user_copy_out(um, arg, &queued, sizeof(queued));
	}
	if (!S_ISCHR(hi->inode.mode))
		return -ENOTTY;
	return terminal_ioctl(hi, cmd, arg, um);
}

static void host_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops host_ops = {
	.read = host_read,
	.write = host_write,
	.poll = host_poll,
	.ioctl = host_ioctl,
	.seek = host_seek,
	.release = host_release,
};

static int inode_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct host_inode *hi = container_of(inode, struct host_inode, inode);
	const int host_flags = fcntl(hi->host_fd, F_GETFL);
	const uint32_t want = flags & O_ACCMODE;
	struct file *f;

	if (host_flags < 0)
		return -EIO;
	if ((host_flags & O_ACCMODE) != O_RDWR && (uint32_t)(host_flags & O_ACCMODE) != want)
		return -EACCES;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	file_init(f, &host_ops, NULL, NULL, flags);
	f->wq = hi->pollable ? &hi->wq : NULL;
	if (!hi->regular)
		f->mode |= FMODE_STREAM;
	*ret = f;
	return 0;
}

static int inode_getattr(struct inode *inode)
{
	struct host_inode *hi = container_of(inode, struct host_inode, inode);
	struct stat st;

	if (fstat(hi->host_fd, &st) < 0)
		return -EIO;
	inode->size = (uint64_t)st.st_size;
	inode->blocks = (uint64_t)st.st_blocks;
	return 0;
}

/* Ownership and mode are the guest's view only; a size is the file's. */
static int inode_setattr(struct inode *inode, const struct setattr *attr)
{
	struct host_inode *hi = container_of(inode, struct host_inode, inode);

	if (attr->mask & SETATTR_SIZE && hi->regular &&
	    ftruncate(hi->host_fd, (off_t)attr->size) < 0)
		return -EINVAL;
	if (attr->mask & SETATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (attr->mode & 07777);
	if (attr->mask & SETATTR_UID)
		inode->uid = attr->uid;
	if (attr->mask & SETATTR_GID)
		inode->gid = attr->gid;
	return 0;
}

static void inode_evict(struct inode *inode)
{
	struct host_inode *hi = container_of(inode, struct host_inode, inode);

	if (hi->pollable)
		kloop_remove(&hi->source);
	if (hi->host_fd >= 0)
		(void)close(hi->host_fd);
	inode_fini(inode);
	free(hi);
}

static const struct inode_ops host_inode_ops = {
	.getattr = inode_getattr,
	.setattr = inode_setattr,
	.open = inode_open,
	.evict = inode_evict,
};

static const struct superblock_ops host_sb_ops;

static int host_sb_get(struct superblock **ret)
{
	if (!host_sb) {
		host_sb = calloc(1, sizeof(*host_sb));
		if (!host_sb)
			return -ENOMEM;
		superblock_init(host_sb, &host_sb_ops, "hostfs", PIPEFS_MAGIC);
		host_sb->anonymous = true;
	}
	*ret = host_sb;
	return 0;
}

/* Readiness from the loop, for what epoll(7) takes. Regular files and /dev/null are always ready.
 */
static int watch(struct host_inode *hi)
{
	int r;

	waitq_init(&hi->wq);
	hi->source = (struct kloop_fd){ .host_fd = hi->host_fd, .fn = on_ready };
	if (hi->regular)
		return 0;
	r = kloop_add(&hi->source, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET);
	if (r == -EPERM)
		return 0;
	hi->pollable = r == 0;
	return r;
}

static struct host_inode *inode_new(int host_fd, const struct stat *st, uint32_t uid, uint32_t gid)
{
	struct host_inode *hi = calloc(1, sizeof(*hi));
	struct superblock *sb;

	if (!hi)
		return NULL;
	hi->host_fd = host_fd;
	hi->regular = S_ISREG(st->st_mode);
	if (host_sb_get(&sb) < 0 || watch(hi) < 0) {
		free(hi);
		return NULL;
	}
	inode_init(&hi->inode, sb, &host_inode_ops, sb->next_ino++, (st->st_mode & S_IFMT) | 0620,
		   NULL);
	hi->inode.uid = uid;
	hi->inode.gid = gid;
	/* A terminal's number would be that of a slave inside. */
	if (S_ISCHR(st->st_mode) && major(st->st_rdev) == MEM_MAJOR)
		hi->inode.rdev = st->st_rdev;
	return hi;
}

/* "pipe:[N]" and the like, so that /proc/PID/fd shows it and can open it again. Takes hi. */
static int path_new(struct host_inode *hi, struct path *ret)
{
	static const struct {
		uint32_t type;
		const char *name;
	} kinds[] = {
		{ S_IFIFO, "pipe" }, { S_IFSOCK, "socket" }, { S_IFREG, "file" }, { S_IFCHR, "tty" }
	};
	const char *kind = "host";
	char name[32];
	int r;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((hi->inode.mode & S_IFMT) == kinds[i].type)
			kind = kinds[i].name;
	(void)snprintf(name, sizeof(name), "%s:[%llu]", kind, (unsigned long long)hi->inode.ino);
	r = anon_path_for_inode(name, &hi->inode, ret);
	if (r == 0)
		ret->dentry->unhashed = false;
	return r;
}

int host_file_new(int host_fd, uint32_t uid, uint32_t gid, struct file **ret)
{
	const int flags = fcntl(host_fd, F_GETFL);
	struct host_inode *hi;
	struct path p = { 0 };
	struct file *f;
	struct stat st;
	int r;

	if (flags < 0 || fstat(host_fd, &st) < 0)
		return -EBADF;
	hi = inode_new(host_fd, &st, uid, gid);
	if (!hi)
		return -ENOMEM;
	r = inode_open(&hi->inode, (uint32_t)flags & (O_ACCMODE | O_APPEND), &f);
	if (r < 0) {
		hi->host_fd = -EBADF; /* stays the caller's */
		inode_unref(&hi->inode);
		return r;
	}
	f->inode = inode_ref(&hi->inode);
	r = path_new(hi, &p);
	if (r < 0) {
		hi->host_fd = -EBADF;
		file_unref(f);
		return r;
	}
	f->path = p;
	if (hi->regular)
		f->pos = (uint64_t)lseek(host_fd, 0, SEEK_CUR);
	*ret = f;
	return 0;
}
