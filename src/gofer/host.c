/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the handlers share: attributes, and second descriptors for the files of O_PATH ones.
 */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/sys.h"

#define NS_PER_S 1000000000ll

static int64_t nanoseconds(const struct statx_timestamp *t)
{
	int64_t ns;

	if (__builtin_mul_overflow(t->tv_sec, NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)t->tv_nsec, &ns))
		return t->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

int gofer_attr(int fd, struct gofer_attr *ret)
{
	struct statx st;
	const long r = SYS5(SYS_statx, fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
			    STATX_BASIC_STATS | STATX_BTIME, &st);

	if (r < 0)
		return (int)r;
	*ret = (struct gofer_attr){
		.dev = makedev(st.stx_dev_major, st.stx_dev_minor),
		.ino = st.stx_ino,
		.mode = st.stx_mode,
		.nlink = st.stx_nlink,
		.uid = st.stx_uid,
		.gid = st.stx_gid,
		.rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor),
		.size = st.stx_size,
		.blocks = st.stx_blocks,
		.blksize = st.stx_blksize,
		.has_btime = !!(st.stx_mask & STATX_BTIME),
		.atime_ns = nanoseconds(&st.stx_atime),
		.mtime_ns = nanoseconds(&st.stx_mtime),
		.ctime_ns = nanoseconds(&st.stx_ctime),
		.btime_ns = st.stx_mask & STATX_BTIME ? nanoseconds(&st.stx_btime) : 0,
	};
	return 0;
}

const char *gofer_number(int fd, char text[static GOFER_NUMBER_MAX])
{
	char *p = &text[GOFER_NUMBER_MAX - 1];
	unsigned int n = (unsigned int)fd;

	*p = '\0';
	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return p;
}

int gofer_reopen(const struct gofer_server *s, int fd, int flags)
{
	char text[GOFER_NUMBER_MAX];

	return (int)SYS4(SYS_openat, s->proc_fd, gofer_number(fd, text), flags | O_CLOEXEC, 0);
}

int gofer_close_fd(int fd)
{
	return (int)SYS1(SYS_close, fd);
}

static int access_mode(uint32_t flags)
{
	switch (flags & (GOFER_OPEN_READ | GOFER_OPEN_WRITE)) {
	case GOFER_OPEN_READ:
		return O_RDONLY;
	case GOFER_OPEN_WRITE:
		return O_WRONLY;
	default:
		return O_RDWR;
	}
}

/* An overlay gives a file another number when it copies it up: then the node's own one counts. */
static int prove_same(const struct gofer_held *node, const struct gofer_attr *attr)
{
	struct gofer_attr now;
	int r;

	if (!S_ISREG(attr->mode))
		return -ESTALE;
	if (attr->dev == node->dev && attr->ino == node->ino)
		return 0;
	r = gofer_attr(node->fd, &now);
	if (r < 0)
		return r;
	return attr->dev == now.dev && attr->ino == now.ino ? 0 : -ESTALE;
}

int gofer_open_regular(const struct gofer_server *s, const struct gofer_held *node, uint32_t flags,
		       struct gofer_attr *ret_attr)
{
	const int truncate = flags & GOFER_OPEN_TRUNC ? O_TRUNC : 0;
	int fd, r;

	if (node->type != S_IFREG)
		return node->type == S_IFDIR ? -EISDIR : node->type == S_IFLNK ? -ELOOP : -ENXIO;
	fd = gofer_reopen(s, node->fd, access_mode(flags) | truncate | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	r = gofer_attr(fd, ret_attr);
	if (r == 0)
		r = prove_same(node, ret_attr);
	if (r < 0) {
		(void)gofer_close_fd(fd);
		return r;
	}
	return fd;
}

/* The host knows which of them we may have: all bits are "as before". */
int gofer_do_stay(struct gofer_server *s, const struct gofer_request *r, struct gofer_out *out)
{
	uint64_t cpus[GOFER_CPUS_MAX / 64];
	const bool anywhere = r->stay.cpu == GOFER_ANYWHERE;

	(void)s;
	memset(cpus, anywhere ? 0xff : 0, sizeof(cpus));
	if (!anywhere)
		cpus[r->stay.cpu / 64] = UINT64_C(1) << r->stay.cpu % 64;
	out->len = 0;
	return (int)SYS3(SYS_sched_setaffinity, 0, sizeof(cpus), cpus);
}

/*
 * What comes is the client's, who may lie: only a regular file without a name, and not one more
 * right than to read it. Behind it stands Landlock, which lets nothing else of the host be opened.
 */
int gofer_do_reader(struct gofer_server *s, const struct gofer_request *r, struct gofer_out *out)
{
	struct gofer_attr attr;
	int e;

	(void)r;
	if (s->came < 0)
		return -EPROTO;
	e = gofer_attr(s->came, &attr);
	if (e < 0)
		return e;
	if (!S_ISREG(attr.mode) || attr.nlink != 0)
		return -EINVAL;
	e = gofer_reopen(s, s->came, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (e < 0)
		return e;
	gofer_give(out, e);
	return 0;
}
