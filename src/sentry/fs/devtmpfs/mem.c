/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devtmpfs/mem.c - the devices of major 1: null, zero, full (null(4), full(4)), random
 * and urandom (random(4)). Randomness is the host's.
 */
#include "sentry/fs/devtmpfs/chrdev.h"
#include "sentry/vfs/simple.h"

#include <errno.h>
#include <linux/random.h>
#include <stdlib.h>
#include <sys/random.h>

#define MEM_MAJOR     1
#define MINOR_NULL    3
#define MINOR_ZERO    5
#define MINOR_FULL    7
#define MINOR_RANDOM  8
#define MINOR_URANDOM 9

#define ZERO_CHUNK   65536u
#define RANDOM_CHUNK 256u /* getrandom(2) gives up to 256 bytes without being interrupted */
#define POOL_BITS    256  /* what Linux reports since 5.18 */

static ssize_t null_read(struct file *f, struct uio *u, uint64_t *pos)
{
	return 0;
}

static ssize_t null_write(struct file *f, struct uio *u, uint64_t *pos)
{
	const size_t n = u->left;

	u->left = 0;
	u->iov_len = 0;
	return (ssize_t)n;
}

static int64_t mem_seek(struct file *f, int64_t offset, int whence)
{
	f->pos = 0;
	return 0;
}

static ssize_t zero_read(struct file *f, struct uio *u, uint64_t *pos)
{
	ssize_t done = 0;

	while (u->left) {
		const ssize_t n = uio_zero(u, u->left < ZERO_CHUNK ? u->left : ZERO_CHUNK);

		if (n <= 0)
			return done ? done : n;
		done += n;
		fiber_resched();
	}
	return done;
}

static int zero_mmap(struct file *f, int prot, int flags, uint64_t offset, uint64_t len,
		     struct mmap_source *ret)
{
	*ret = (struct mmap_source){ .host_fd = -1, .anonymous = true };
	return 0;
}

static ssize_t full_write(struct file *f, struct uio *u, uint64_t *pos)
{
	return u->left ? -ENOSPC : 0;
}

static ssize_t random_read(struct file *f, struct uio *u, uint64_t *pos)
{
	unsigned char chunk[RANDOM_CHUNK];
	ssize_t done = 0;

	while (u->left) {
		const size_t want = u->left < sizeof(chunk) ? u->left : sizeof(chunk);
		ssize_t n = getrandom(chunk, want, 0);

		if (n < 0)
			return done ? done : -EIO;
		n = uio_put(u, chunk, (size_t)n);
		if (n <= 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < want)
			break;
		fiber_resched();
	}
	return done;
}

static long random_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	const int bits = POOL_BITS;

	switch (cmd) {
	case RNDGETENTCNT:
		return user_copy_out(um, arg, &bits, sizeof(bits));
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static const struct file_ops null_ops = {
	.read = null_read,
	.write = null_write,
	.seek = mem_seek,
	.release = simple_release,
};

static const struct file_ops zero_ops = {
	.read = zero_read,
	.write = null_write,
	.mmap = zero_mmap,
	.seek = mem_seek,
	.release = simple_release,
};

static const struct file_ops full_ops = {
	.read = zero_read,
	.write = full_write,
	.seek = mem_seek,
	.release = simple_release,
};

static const struct file_ops random_ops = {
	.read = random_read,
	.write = null_write,
	.ioctl = random_ioctl,
	.seek = mem_seek,
	.release = simple_release,
};

static int mem_open(struct inode *inode, unsigned int minor, uint32_t flags, struct file **ret)
{
	static const struct file_ops *const ops[] = {
		[MINOR_NULL] = &null_ops,      [MINOR_ZERO] = &zero_ops,
		[MINOR_FULL] = &full_ops,      [MINOR_RANDOM] = &random_ops,
		[MINOR_URANDOM] = &random_ops,
	};
	struct file *f;

	if (minor >= sizeof(ops) / sizeof(ops[0]) || !ops[minor])
		return -ENXIO;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	file_init(f, ops[minor], NULL, NULL, flags);
	*ret = f;
	return 0;
}

void mem_devices_register(void)
{
	static struct chrdev dev = {
		.major = MEM_MAJOR, .minor = 0, .count = 12, .open = mem_open
	};

	chrdev_register(&dev);
}
