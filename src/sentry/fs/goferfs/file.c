/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files: reads and writes on the donated host descriptor, at the sentry's own positions.
 * What the host has in memory is read at once (RWF_NOWAIT); what it has not, large writes and
 * everything that waits for a disk is done by a helper thread while the fiber is parked.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/core/hostwork.h"

#define SPARE_BUFFERS 4u

struct gofer_file {
	struct file file;
	struct gofer_handle **mapped; /* all that were given to mappings; one reference each */
	unsigned int mapped_len;
};

/* One transfer by whoever does it. */
struct transfer {
	int host_fd;
	struct iovec iov;
	off_t offset;
	int flags; /* RWF_* */
};

static char *spare[SPARE_BUFFERS];
static unsigned int spare_len;

static char *buffer_get(void)
{
	return spare_len ? spare[--spare_len] : malloc(GOFERFS_CHUNK);
}

static void buffer_put(char *buffer)
{
	if (buffer && spare_len < SPARE_BUFFERS)
		spare[spare_len++] = buffer;
	else
		free(buffer);
}

static uint32_t access_of(const struct file *f)
{
	return (f->mode & FMODE_READ ? (uint32_t)GOFER_OPEN_READ : 0u) |
	       (f->mode & FMODE_WRITE ? (uint32_t)GOFER_OPEN_WRITE : 0u);
}

static long read_at(void *arg)
{
	const struct transfer *t = arg;
	ssize_t n;

	do {
		n = preadv2(t->host_fd, &t->iov, 1, t->offset, t->flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static long write_at(void *arg)
{
	const struct transfer *t = arg;
	ssize_t n;

	do {
		n = pwritev2(t->host_fd, &t->iov, 1, t->offset, t->flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static long host_read(struct goferfs *fs, struct transfer *t)
{
	long n;

	if (fs->no_nowait)
		return fs->remote ? hostwork_call(read_at, t) : read_at(t);
	t->flags = RWF_NOWAIT;
	n = read_at(t);
	t->flags = 0;
	if (n == -EOPNOTSUPP || n == -EINVAL) {
		fs->no_nowait = true;
		return host_read(fs, t);
	}
	return n == -EAGAIN ? hostwork_call(read_at, t) : n;
}

/* Bytes from *pos on until the end of the file, of the request, or a fault. */
static ssize_t read_into(struct gofer_inode *gi, const struct gofer_handle *h, struct uio *u,
			 uint64_t *pos, char *buffer)
{
	ssize_t total = 0;

	while (u->left) {
		struct transfer t = { .host_fd = h->host_fd,
				      .iov = { buffer,
					       u->left < GOFERFS_CHUNK ? u->left : GOFERFS_CHUNK },
				      .offset = (off_t)*pos };
		const long n = host_read(gi->fs, &t);
		ssize_t moved;

		if (n <= 0)
			return total || n == 0 ? total : gofer_errno((int)n);
		moved = uio_put(u, buffer, (size_t)n);
		if (moved < 0)
			return total ? total : moved;
		*pos += (uint64_t)moved;
		total += moved;
		if (moved < n || ((size_t)n < t.iov.iov_len && *pos >= gi->inode.size))
			break;
		fiber_resched();
	}
	return total;
}

/* The same at the start of a small file: all of it comes, and is kept for the next reads. */
static ssize_t read_start(struct gofer_inode *gi, const struct gofer_handle *h, struct uio *u,
			  uint64_t *pos, char *buffer)
{
	const uint32_t seq = gi->content_seq;
	struct transfer t = { .host_fd = h->host_fd, .iov = { buffer, GOFERFS_CHUNK } };
	const long n = host_read(gi->fs, &t);
	ssize_t moved, more;

	if (n < 0)
		return gofer_errno((int)n);
	gofer_content_keep(gi, seq, h, buffer, (size_t)n);
	moved = uio_put(u, buffer, (size_t)n < u->left ? (size_t)n : u->left);
	if (moved <= 0)
		return moved;
	*pos += (uint64_t)moved;
	if (moved < n || *pos >= gi->inode.size)
		return moved;
	more = read_into(gi, h, u, pos, buffer); /* what the host did not have at hand */
	return more > 0 ? moved + more : moved;
}

static ssize_t file_op_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct gofer_inode *gi = gofer_inode(f->inode);
	struct gofer_handle *h;
	char *buffer;
	ssize_t r;

	if (u->left == 0)
		return 0;
	if (gofer_content_serves(gi))
		return gofer_content_read(gi, u, pos);
	r = gofer_handle_get(gi, access_of(f), false, &h);
	if (r < 0)
		return gi->content ? gofer_content_read(gi, u, pos) : r;
	buffer = buffer_get();
	if (!buffer)
		r = -ENOMEM;
	else if (*pos == 0 && gofer_content_wanted(gi))
		r = read_start(gi, h, u, pos, buffer);
	else
		r = read_into(gi, h, u, pos, buffer);
	buffer_put(buffer);
	gofer_handle_unref(h);
	return r;
}

/* A change of the data is under way or done: answers from before do not count. */
static void data_changed(struct gofer_inode *gi, uint64_t end)
{
	gi->seq++;
	gi->stale = true;
	if (end > gi->inode.size)
		gi->inode.size = end;
}

/* RWF_*: what the flags of the open file ask of every write. */
static int write_flags(const struct file *f, bool append)
{
	int flags = append ? RWF_APPEND : 0;

	if ((f->flags & O_SYNC) == O_SYNC)
		flags |= RWF_SYNC;
	else if (f->flags & O_DSYNC)
		flags |= RWF_DSYNC;
	return flags;
}

static ssize_t write_from(struct file *f, const struct gofer_handle *h, struct uio *u,
			  uint64_t *pos, char *buffer)
{
	struct gofer_inode *gi = gofer_inode(f->inode);
	/* Others may append to a volume's file as well: the host knows its end. */
	const bool append = file_io_flags(f, u) & O_APPEND && !gi->fs->exclusive;
	ssize_t total = 0;

	while (u->left) {
		const ssize_t got =
			uio_get(u, buffer, u->left < GOFERFS_CHUNK ? u->left : GOFERFS_CHUNK);
		struct transfer t = { .host_fd = h->host_fd,
				      .offset = (off_t)*pos,
				      .flags = write_flags(f, append) };
		bool waits;
		long n;

		if (got <= 0)
			return total ? total : got;
		t.iov = (struct iovec){ buffer, (size_t)got };
		waits = (size_t)got >= GOFERFS_HELPER_WRITE || t.flags & (RWF_SYNC | RWF_DSYNC);
		n = waits ? hostwork_call(write_at, &t) : write_at(&t);
		if (n <= 0)
			return total ? total : n ? gofer_errno((int)n) : -EIO;
		*pos += (uint64_t)n;
		total += n;
		data_changed(gi, *pos);
		if (n < got)
			break;
		fiber_resched();
	}
	if (append && gofer_inode_getattr(f->inode) == 0)
		*pos = gi->inode.size;
	return total;
}

static ssize_t file_op_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct gofer_handle *h;
	char *buffer;
	ssize_t r;

	if (u->left == 0)
		return 0;
	r = gofer_handle_get(gofer_inode(f->inode), access_of(f), false, &h);
	if (r < 0)
		return r;
	buffer = buffer_get();
	r = buffer ? write_from(f, h, u, pos, buffer) : -ENOMEM;
	buffer_put(buffer);
	gofer_handle_unref(h);
	return r;
}

/*
 * Who maps is parked with the number of a descriptor while it goes to the stub, and another mapping
 * may get another one meanwhile (renew_reader()): what was given away once stays open as long as
 * the file. That is one more for each kind of access, not one for each mapping. Takes h over.
 */
static int keep_mapped(struct gofer_file *gf, struct gofer_handle *h)
{
	struct gofer_handle **all;

	for (unsigned int i = 0; i < gf->mapped_len; i++) {
		if (gf->mapped[i] == h) {
			gofer_handle_unref(h);
			return 0;
		}
	}
	all = reallocarray(gf->mapped, gf->mapped_len + 1, sizeof(struct gofer_handle *));
	if (!all) {
		gofer_handle_unref(h);
		return -ENOMEM;
	}
	gf->mapped = all;
	gf->mapped[gf->mapped_len++] = h;
	return 0;
}

/*
 * A descriptor that can write leaves only for a shared mapping of a file that the guest opened for
 * writing; for anything else the one that reads.
 */
static int file_op_mmap(struct file *f, int prot, int flags, uint64_t offset, uint64_t len,
			struct mmap_source *ret)
{
	struct gofer_file *gf = container_of(f, struct gofer_file, file);
	struct gofer_inode *gi = gofer_inode(f->inode);
	const bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	const bool writes = shared && f->mode & FMODE_WRITE && f->mode & FMODE_READ;
	struct gofer_handle *h;
	int r;

	(void)prot;
	(void)len;
	r = gofer_handle_get(gi, writes ? access_of(f) : (uint32_t)GOFER_OPEN_READ, true, &h);
	if (r < 0)
		return r;
	gofer_content_drop(gi); /* who maps it does so again: the descriptor is worth more */
	r = keep_mapped(gf, h);
	if (r < 0)
		return r;
	*ret = (struct mmap_source){ .host_fd = h->host_fd, .offset = offset };
	if (writes)
		gi->stale = true; /* the guest will change it behind our back */
	return 0;
}

static int64_t file_op_seek(struct file *f, int64_t offset, int whence)
{
	struct gofer_handle *h;
	off_t at;
	int r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE) {
		r = whence == SEEK_END ? gofer_inode_getattr(f->inode) : 0;
		return r < 0 ? r : file_seek_size(f, offset, whence, f->inode->size);
	}
	r = gofer_handle_get(gofer_inode(f->inode), access_of(f), false, &h);
	if (r < 0)
		return r;
	at = lseek(h->host_fd, offset, whence);
	r = at < 0 ? -errno : 0;
	gofer_handle_unref(h);
	if (r < 0)
		return r == -ENXIO ? r : -EINVAL;
	f->pos = (uint64_t)at;
	return at;
}

static long sync_all(void *arg)
{
	return fsync(*(int *)arg) < 0 ? -errno : 0;
}

static long sync_data(void *arg)
{
	return fdatasync(*(int *)arg) < 0 ? -errno : 0;
}

static int file_op_fsync(struct file *f, bool data_only)
{
	struct gofer_handle *h;
	int r = gofer_handle_get(gofer_inode(f->inode), access_of(f), false, &h);

	if (r < 0)
		return r;
	r = (int)hostwork_call(data_only ? sync_data : sync_all, &h->host_fd);
	gofer_handle_unref(h);
	return gofer_errno(r);
}

struct allocation {
	int host_fd, mode;
	off_t offset, len;
};

static long allocate(void *arg)
{
	const struct allocation *a = arg;

	return fallocate(a->host_fd, a->mode, a->offset, a->len) < 0 ? -errno : 0;
}

/* Modes that move data are not offered: the sentry's cage has not got them. */
static bool mode_offered(int mode)
{
	return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
	       mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
	       (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE;
}

static int file_op_fallocate(struct file *f, int mode, uint64_t offset, uint64_t len)
{
	struct gofer_inode *gi = gofer_inode(f->inode);
	struct allocation a = { .mode = mode, .offset = (off_t)offset, .len = (off_t)len };
	struct gofer_handle *h;
	int r;

	if (!mode_offered(mode))
		return -EOPNOTSUPP;
	r = gofer_handle_get(gi, access_of(f), false, &h);
	if (r < 0)
		return r;
	a.host_fd = h->host_fd;
	r = (int)hostwork_call(allocate, &a);
	gofer_handle_unref(h);
	data_changed(gi, r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) ? offset + len : 0);
	return gofer_errno(r);
}

/* Errors of the disk are errors; with any other the bytes may still go through the sentry. */
static bool is_final(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EIO || error == -EFBIG;
}

/* Bytes, or the gofer's -errno when it copied none. */
static ssize_t copy_by_gofer(const struct gofer_inode *source, uint64_t from,
			     struct gofer_inode *target, uint64_t to, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		GOFER_CALL(
			call, source->fs->conn, .type = GOFER_COPY_RANGE,
			.copy = { source->node, target->node, from + done, to + done, len - done });
		const int r = gofer_call(&call);
		const uint64_t n = r == 0 ? call.answer.copy.copied : 0;

		if (r < 0 && !done)
			return r;
		if (n == 0 || n > len - done)
			break;
		done += n;
		data_changed(target, to + done);
		fiber_resched();
	}
	return (ssize_t)done;
}

/*
 * By the gofer, whose host knows blocks that may be shared. The write handle comes first: it is
 * what makes readers look again where the host copies the file up.
 */
static ssize_t file_op_copy_range(struct file *in, uint64_t from, struct file *out, uint64_t to,
				  uint64_t len)
{
	struct gofer_inode *target = gofer_inode(out->inode);
	struct gofer_handle *h;
	ssize_t r;

	/* A file of another container has come over a socket: its gofer knows nothing of ours. */
	if (len < GOFERFS_COPY_MIN || out->flags & (O_SYNC | O_DSYNC) ||
	    gofer_inode(in->inode)->fs->conn != target->fs->conn)
		return -EOPNOTSUPP;
	r = gofer_handle_get(target, access_of(out), false, &h);
	if (r < 0)
		return r;
	r = copy_by_gofer(gofer_inode(in->inode), from, target, to, len);
	gofer_handle_unref(h);
	return r < 0 && !is_final((int)r) ? -EOPNOTSUPP : r;
}

static void file_op_release(struct file *f)
{
	struct gofer_file *gf = container_of(f, struct gofer_file, file);

	while (gf->mapped_len > 0)
		gofer_handle_unref(gf->mapped[--gf->mapped_len]);
	free(gf->mapped);
	gofer_inode_closed(gofer_inode(f->inode));
	file_fini(f);
	free(gf);
}

static const struct file_ops file_ops = {
	.read = file_op_read,
	.write = file_op_write,
	.mmap = file_op_mmap,
	.seek = file_op_seek,
	.fsync = file_op_fsync,
	.fallocate = file_op_fallocate,
	.copy_range = file_op_copy_range,
	.release = file_op_release,
};

int gofer_file_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct gofer_inode *gi = gofer_inode(inode);
	struct gofer_file *gf = calloc(1, sizeof(*gf));
	struct gofer_handle *h;
	int r;

	if (!gf)
		return -ENOMEM;
	file_init(&gf->file, &file_ops, NULL, NULL, flags);
	if ((flags & O_ACCMODE) == 3)
		gf->file.mode |= FMODE_READ | FMODE_WRITE;
	gofer_inode_opened(gi);
	if (access_of(&gf->file) == GOFER_OPEN_READ && gofer_content_serves(gi)) {
		gofer_content_used(gi);
		h = NULL;
		r = 0;
	} else {
		r = gofer_handle_get(gi, access_of(&gf->file), false, &h);
	}
	if (r < 0) {
		gofer_inode_closed(gi);
		free(gf);
		return r;
	}
	gofer_handle_unref(h); /* the inode keeps it while the file is open */
	gofer_special_share(gi);
	gf->file.inode = inode_ref(inode);
	*ret = &gf->file;
	return 0;
}

const struct inode_ops gofer_file_ops_inode = {
	.getattr = gofer_inode_getattr,
	.setattr = gofer_inode_setattr,
	.open = gofer_file_open,
	.getxattr = gofer_getxattr,
	.setxattr = gofer_setxattr,
	.listxattr = gofer_listxattr,
	.removexattr = gofer_removexattr,
	.evict = gofer_inode_evict,
};
