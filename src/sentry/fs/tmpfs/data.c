/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/tmpfs/data.c - contents of regular files, and what they cost the instance.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/fs/tmpfs/node.h"
#include "sentry/vfs/simple.h"

#define PAGE 4096u

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE;
}

/* Pages of this file from now on. Less is always possible. */
static int charge(struct tmpfs_inode *t, uint64_t pages)
{
	struct tmpfs_sb *sb = tmpfs_sb(t->inode.sb);

	if (pages > t->pages && pages - t->pages > sb->pages_max - sb->pages)
		return -ENOSPC;
	sb->pages = sb->pages - t->pages + pages;
	t->pages = pages;
	t->inode.blocks = pages * (PAGE / 512);
	return 0;
}

/* What a memfile really takes; over the limit by a mapping is over the limit. */
static void recharge(struct tmpfs_inode *t)
{
	struct tmpfs_sb *sb = tmpfs_sb(t->inode.sb);
	const uint64_t pages = pages_of(memfile_resident(t->mem));

	if (charge(t, pages) < 0) {
		t->pages += sb->pages_max - sb->pages; /* what it gives back when it goes */
		sb->pages = sb->pages_max;
		t->inode.blocks = pages * (PAGE / 512);
	}
}

int tmpfs_data_refresh(struct tmpfs_inode *t)
{
	if (t->mem)
		recharge(t);
	return 0;
}

/* Room for `size` bytes in memory. */
static int grow_small(struct tmpfs_inode *t, size_t size)
{
	size_t capacity = t->capacity ? t->capacity : 64;
	char *data;
	int r;

	if (size <= t->capacity)
		return 0;
	while (capacity < size)
		capacity *= 2;
	if (capacity > PAGE)
		capacity = (size + PAGE - 1) / PAGE * PAGE > capacity
				   ? (size + PAGE - 1) / PAGE * PAGE
				   : capacity;
	r = charge(t, pages_of(capacity));
	if (r < 0)
		return r;
	data = realloc(t->data, capacity);
	if (!data) {
		(void)charge(t, pages_of(t->capacity));
		return -ENOMEM;
	}
	memset(data + t->capacity, 0, capacity - t->capacity);
	t->data = data;
	t->capacity = capacity;
	return 0;
}

static uint64_t small_max(const struct tmpfs_inode *t)
{
	return tmpfs_sb(t->inode.sb)->store ? TMPFS_STORED_MIN : TMPFS_SMALL_MAX;
}

static int new_memfile(const struct tmpfs_inode *t, struct memfile **ret)
{
	struct tmpfs_store *store = tmpfs_sb(t->inode.sb)->store;
	int fd, r;

	if (!store)
		return memfile_new("tmpfs", t->inode.size, ret);
	r = store->file(store, &fd);
	return r < 0 ? r : memfile_adopt(fd, t->inode.size, ret);
}

/* The contents move to a memfile of the same size. */
static int convert(struct tmpfs_inode *t)
{
	struct memfile *mem;
	int r;

	if (t->mem)
		return 0;
	r = new_memfile(t, &mem);
	if (r < 0)
		return r;
	if (t->data && t->inode.size) {
		const size_t len = (size_t)t->inode.size;
		const ssize_t n = memfile_write(mem, t->data, len, 0);

		if (n < 0 || (size_t)n < len) {
			memfile_unref(mem);
			return n < 0 ? (int)n : -ENOSPC;
		}
	}
	free(t->data);
	t->data = NULL;
	t->capacity = 0;
	t->mem = mem;
	recharge(t);
	return 0;
}

/* Contents of `size` bytes that are too many for the sentry's memory get a memfile. */
static int convert_large(struct tmpfs_inode *t, uint64_t size)
{
	int r;

	if (t->mem || size <= small_max(t))
		return 0;
	r = convert(t);
	/* No descriptors left for more files of a store: what is not large stays here. */
	return (r == -ENFILE || r == -EMFILE) && size <= TMPFS_SMALL_MAX ? 0 : r;
}

int tmpfs_data_resize(struct tmpfs_inode *t, uint64_t size)
{
	struct inode *inode = &t->inode;
	int r;

	if (size < inode->size && t->seals & F_SEAL_SHRINK)
		return -EPERM;
	if (size > inode->size && t->seals & F_SEAL_GROW)
		return -EPERM;
	r = convert_large(t, size);
	if (r < 0)
		return r;
	if (t->mem) {
		r = memfile_resize(t->mem, size);
		if (r < 0)
			return r;
		inode->size = size;
		recharge(t);
		return 0;
	}
	if (size > inode->size) {
		r = grow_small(t, (size_t)size);
		if (r < 0)
			return r;
	} else if (size == 0) {
		free(t->data);
		t->data = NULL;
		t->capacity = 0;
		(void)charge(t, 0);
	} else {
		memset(t->data + size, 0, (size_t)(inode->size - size));
	}
	inode->size = size;
	return 0;
}

void tmpfs_data_free(struct tmpfs_inode *t)
{
	(void)charge(t, 0);
	free(t->data);
	memfile_unref(t->mem);
}

static ssize_t data_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct tmpfs_inode *t = tmpfs_inode(f->inode);
	ssize_t n = 0;

	krwlock_read_lock(&f->inode->lock);
	if (t->mem) {
		n = memfile_read_uio(t->mem, u, *pos);
	} else if (*pos < f->inode->size) {
		const uint64_t left = f->inode->size - *pos;

		n = uio_put(u, t->data + *pos, left < u->left ? (size_t)left : u->left);
	}
	krwlock_read_unlock(&f->inode->lock);
	if (n > 0)
		*pos += (uint64_t)n;
	return n;
}

static ssize_t write_small(struct tmpfs_inode *t, struct uio *u, uint64_t pos, size_t len)
{
	int r = grow_small(t, (size_t)pos + len);

	if (r < 0)
		return r;
	return uio_get(u, t->data + pos, len);
}

/* Large writes are cut at what the instance still has. */
static ssize_t write_large(struct tmpfs_inode *t, struct uio *u, uint64_t pos, size_t len)
{
	const struct tmpfs_sb *sb = tmpfs_sb(t->inode.sb);
	const uint64_t room = (sb->pages_max - sb->pages) * PAGE;
	/* Pages that are there already cost nothing; behind the end every page is new. */
	const uint64_t known = t->inode.size > pos ? t->inode.size - pos : 0;
	ssize_t n;

	if (len > known && len - known > room)
		len = (size_t)(known + room);
	if (len == 0)
		return -ENOSPC;
	n = memfile_write_uio(t->mem, u, len, pos);
	recharge(t);
	return n;
}

static ssize_t data_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct tmpfs_inode *t = tmpfs_inode(f->inode);
	size_t len = u->left;
	ssize_t n;
	int r;

	if (len == 0)
		return 0;
	if (t->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (t->seals & F_SEAL_GROW && *pos + len > f->inode->size) {
		if (*pos >= f->inode->size)
			return -EPERM;
		len = (size_t)(f->inode->size - *pos);
	}
	r = convert_large(t, *pos + len);
	if (r < 0)
		return r;
	n = t->mem ? write_large(t, u, *pos, len) : write_small(t, u, *pos, len);
	if (n <= 0)
		return n;
	*pos += (uint64_t)n;
	if (*pos > f->inode->size)
		f->inode->size = *pos;
	return n;
}

static int data_mmap(struct file *f, int prot, int flags, uint64_t offset, uint64_t len,
		     struct mmap_source *ret)
{
	struct tmpfs_inode *t = tmpfs_inode(f->inode);
	int r, fd;

	krwlock_write_lock(&f->inode->lock);
	r = convert(t);
	krwlock_write_unlock(&f->inode->lock);
	if (r < 0)
		return r;
	/* Not before the wait: what comes from here on is counted before anybody else runs. */
	if (flags & MAP_SHARED && prot & PROT_WRITE &&
	    t->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	fd = f->mode & FMODE_WRITE ? t->mem->host_fd : memfile_reader(t->mem);
	if (fd < 0)
		return fd;
	*ret = (struct mmap_source){ .host_fd = fd,
				     .offset = offset,
				     .no_write = flags & MAP_SHARED &&
						 t->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE),
				     .memfile = t->mem };
	return 0;
}

static int64_t data_seek(struct file *f, int64_t offset, int whence)
{
	const struct tmpfs_inode *t = tmpfs_inode(f->inode);
	int64_t r;

	if (!t->mem || (whence != SEEK_DATA && whence != SEEK_HOLE))
		return file_seek_size(f, offset, whence, f->inode->size);
	if (offset < 0)
		return -ENXIO;
	r = memfile_seek(t->mem, (uint64_t)offset, whence);
	if (r >= 0)
		f->pos = (uint64_t)r;
	return r;
}

static int punch(struct tmpfs_inode *t, uint64_t offset, uint64_t len)
{
	const uint64_t size = t->inode.size;
	int r;

	if (t->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = size - offset;
	if (!t->mem) {
		memset(t->data + offset, 0, (size_t)len);
		return 0;
	}
	r = memfile_punch(t->mem, offset, len);
	recharge(t);
	return r;
}

static int data_fallocate(struct file *f, int mode, uint64_t offset, uint64_t len)
{
	struct tmpfs_inode *t = tmpfs_inode(f->inode);
	const struct tmpfs_sb *sb = tmpfs_sb(t->inode.sb);
	const uint64_t end = offset + len;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return punch(t, offset, len);
	if (end > t->inode.size && t->seals & F_SEAL_GROW)
		return -EPERM;
	if (pages_of(end) > t->pages && pages_of(end) - t->pages > sb->pages_max - sb->pages)
		return -ENOSPC;
	if (mode & FALLOC_FL_KEEP_SIZE || end <= t->inode.size)
		return 0;
	return tmpfs_data_resize(t, end);
}

const struct file_ops tmpfs_file_ops = {
	.read = data_read,
	.write = data_write,
	.mmap = data_mmap,
	.seek = data_seek,
	.fallocate = data_fallocate,
	.release = simple_release,
};
