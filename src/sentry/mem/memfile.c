/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mem/memfile.c - sparse memfds of the host, and files of its disks that stand in for them.
 *
 * A stub that maps one may hold its descriptor and shorten it: a read that comes back short inside
 * the size is filled with zeros, so that the guest who did it sees what it did and nobody else is
 * hurt.
 */
#include "sentry/mem/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/core/fiber.h"
#include "sentry/core/hostfd.h"
#include "sentry/core/hostwork.h"

#define BOUNCE_BYTES (64u * 1024)

/* One is kept: calls seldom overlap, since most copies do not park. */
static char *spare_bounce;

static uint64_t on_disk, on_disk_max; /* how many there are and may be */

/* One transfer by whoever does it. */
struct transfer {
	struct memfile *m;
	void *bytes;
	size_t len;
	uint64_t offset;
};

static char *bounce_get(void)
{
	return spare_bounce ? TAKE_PTR(spare_bounce) : malloc(BOUNCE_BYTES);
}

static void bounce_put(char *bounce)
{
	if (spare_bounce)
		free(bounce);
	else
		spare_bounce = bounce;
}

static int host_errno(void)
{
	switch (errno) {
	case ENOMEM:
	case ENOSPC:
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return -errno;
	default:
		return -EIO;
	}
}

int memfile_new(const char *name, uint64_t size, struct memfile **ret)
{
	struct memfile *m;
	int r;

	if (size > INT64_MAX)
		return -ENOMEM;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->refs = 1;
	m->reader_fd = -EBADF;
	m->host_fd = hostfd_keep(memfd_create(name, MFD_CLOEXEC), HOSTFD_GUEST);
	if (m->host_fd < 0) {
		r = errno == ENOMEM ? -ENOMEM : -ENFILE;
		free(m);
		return r;
	}
	if (size && ftruncate(m->host_fd, (off_t)size) < 0) {
		memfile_unref(m);
		return -ENOMEM;
	}
	m->size = size;
	*ret = m;
	return 0;
}

void memfile_init(void)
{
	struct rlimit files;

	on_disk_max = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur / 2 : 0;
}

int memfile_adopt(int host_fd, uint64_t size, struct memfile **ret)
{
	AUTO_CLOSE int fd = host_fd;
	struct memfile *m;

	if (size > INT64_MAX)
		return -ENOMEM;
	if (on_disk >= on_disk_max)
		return -ENFILE;
	if (size && ftruncate(fd, (off_t)size) < 0)
		return host_errno();
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->refs = 1;
	m->reader_fd = -EBADF;
	m->host_fd = TAKE_FD(fd);
	m->on_disk = true;
	m->size = size;
	on_disk++;
	*ret = m;
	return 0;
}

static int (*make_reader)(int host_fd);

void memfile_set_reader(int (*make)(int host_fd))
{
	make_reader = make;
}

int memfile_reader(struct memfile *m)
{
	int fd;

	if (!make_reader)
		return m->host_fd;
	if (m->reader_fd >= 0)
		return m->reader_fd;
	memfile_ref(m);
	fd = make_reader(m->host_fd);
	if (fd >= 0 && m->reader_fd >= 0)
		close(fd); /* another fiber was first */
	else if (fd >= 0)
		m->reader_fd = fd;
	fd = fd < 0 ? (fd == -ENFILE || fd == -EMFILE ? -ENFILE : -EIO) : m->reader_fd;
	memfile_unref(m);
	return fd;
}

struct memfile *memfile_ref(struct memfile *m)
{
	m->refs++;
	return m;
}

void memfile_unref(struct memfile *m)
{
	if (!m || --m->refs > 0)
		return;
	if (m->on_disk)
		on_disk--;
	close(m->host_fd);
	if (m->reader_fd >= 0)
		close(m->reader_fd);
	free(m);
}

ssize_t memfile_read(struct memfile *m, void *dst, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (offset >= m->size)
		return 0;
	if (len > m->size - offset)
		len = (size_t)(m->size - offset);
	while (done < len) {
		const ssize_t n =
			pread(m->host_fd, (char *)dst + done, len - done, (off_t)(offset + done));

		if (n < 0)
			return done ? (ssize_t)done : host_errno();
		if (n == 0)
			break;
		done += (size_t)n;
	}
	memset((char *)dst + done, 0, len - done);
	return (ssize_t)len;
}

ssize_t memfile_write(struct memfile *m, const void *src, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return -EFBIG;
	while (done < len) {
		const ssize_t n = pwrite(m->host_fd, (const char *)src + done, len - done,
					 (off_t)(offset + done));

		if (n <= 0) {
			if (done)
				break;
			return n < 0 ? host_errno() : -EIO;
		}
		done += (size_t)n;
	}
	if (offset + done > m->size)
		m->size = offset + done;
	return (ssize_t)done;
}

static long read_whole(void *arg)
{
	const struct transfer *t = arg;

	return memfile_read(t->m, t->bytes, t->len, t->offset);
}

static long write_whole(void *arg)
{
	const struct transfer *t = arg;

	return memfile_write(t->m, t->bytes, t->len, t->offset);
}

/* What the host has in memory at once, the rest by a helper. */
static ssize_t read_bounce(struct memfile *m, char *bounce, size_t len, uint64_t offset)
{
	struct transfer t = { .m = m, .bytes = bounce, .len = len, .offset = offset };
	struct iovec iov = { bounce, len };

	if (!m->on_disk)
		return memfile_read(m, bounce, len, offset);
	if (offset < m->size && len <= m->size - offset &&
	    preadv2(m->host_fd, &iov, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)len)
		return (ssize_t)len;
	return hostwork_call(read_whole, &t);
}

static ssize_t write_bounce(struct memfile *m, char *bounce, size_t len, uint64_t offset)
{
	struct transfer t = { .m = m, .bytes = bounce, .len = len, .offset = offset };

	return m->on_disk && len >= BOUNCE_BYTES ? hostwork_call(write_whole, &t)
						 : memfile_write(m, bounce, len, offset);
}

ssize_t memfile_read_uio(struct memfile *m, struct uio *u, uint64_t offset)
{
	char *bounce = bounce_get();
	ssize_t done = 0;

	if (!bounce)
		return -ENOMEM;
	while (u->left > 0) {
		const size_t want = u->left < BOUNCE_BYTES ? u->left : BOUNCE_BYTES;
		const ssize_t n = read_bounce(m, bounce, want, offset);
		const ssize_t put = n > 0 ? uio_put(u, bounce, (size_t)n) : n;

		if (put <= 0) {
			done = done ? done : put;
			break;
		}
		done += put;
		offset += (uint64_t)put;
		if (put < n || (size_t)n < want)
			break;
		fiber_resched();
	}
	bounce_put(bounce);
	return done;
}

ssize_t memfile_write_uio(struct memfile *m, struct uio *u, size_t len, uint64_t offset)
{
	char *bounce = bounce_get();
	size_t done = 0;
	ssize_t n = 0;

	if (!bounce)
		return -ENOMEM;
	while (done < len) {
		const size_t want = len - done < BOUNCE_BYTES ? len - done : BOUNCE_BYTES;
		const ssize_t got = uio_get(u, bounce, want);

		n = got > 0 ? write_bounce(m, bounce, (size_t)got, offset + done) : got;
		if (n <= 0)
			break;
		done += (size_t)n;
		if ((size_t)n < want)
			break;
		fiber_resched();
	}
	bounce_put(bounce);
	return done ? (ssize_t)done : n;
}

int memfile_resize(struct memfile *m, uint64_t size)
{
	if (size > INT64_MAX)
		return -EFBIG;
	if (ftruncate(m->host_fd, (off_t)size) < 0)
		return host_errno();
	m->size = size;
	return 0;
}

int memfile_punch(struct memfile *m, uint64_t offset, uint64_t len)
{
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return -EFBIG;
	if (fallocate(m->host_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)len) < 0)
		return host_errno();
	return 0;
}

int64_t memfile_seek(const struct memfile *m, uint64_t offset, int whence)
{
	off_t r;

	if (offset >= m->size)
		return -ENXIO;
	r = lseek(m->host_fd, (off_t)offset, whence);
	if (r < 0)
		return errno == ENXIO ? -ENXIO : -EIO;
	return (uint64_t)r < m->size ? r : (int64_t)m->size;
}

uint64_t memfile_resident(const struct memfile *m)
{
	struct stat st;

	return fstat(m->host_fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}
