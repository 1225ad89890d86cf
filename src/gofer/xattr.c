/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes. user.* always, others only where the root allows it: to a client they are
 * not there. An O_PATH descriptor has none, and a FIFO or a device must not be opened; user.*
 * exists on regular files and directories alone (xattr(7)).
 */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"

static bool allowed(const struct gofer_server *s, const struct gofer_held *node, const char *name)
{
	return (s->roots[node->root].flags & GOFER_ROOT_XATTR) || strncmp(name, "user.", 5) == 0;
}

/* A descriptor on which f*xattr(2) work; `none` is the errno of a file that cannot have any. */
static int open_for_xattr(const struct gofer_server *s, const struct gofer_held *node, int none)
{
	if (node->type != S_IFREG && node->type != S_IFDIR)
		return none;
	return gofer_reopen(s, node->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

static void say_bytes(struct gofer_out *out, uint32_t len, bool with_bytes)
{
	const struct gofer_bytes_reply reply = { .len = len };

	memcpy(out->bytes, &reply, sizeof(reply));
	out->len = sizeof(reply) + (with_bytes ? len : 0);
}

GOFER_HANDLER(getxattr)
{
	const struct gofer_held *node = gofer_node(s, r->xattr.node);
	const uint32_t max = r->xattr.max_bytes;
	long n;
	int fd;

	if (!node)
		return -EBADF;
	if (!allowed(s, node, r->names[0]))
		return -ENODATA;
	fd = open_for_xattr(s, node, -ENODATA);
	if (fd < 0)
		return fd;
	n = SYS4(SYS_fgetxattr, fd, r->names[0], out->bytes + sizeof(struct gofer_bytes_reply),
		 max);
	(void)gofer_close_fd(fd);
	if (n >= 0)
		say_bytes(out, (uint32_t)n, max != 0);
	return n < 0 ? (int)n : 0;
}

GOFER_HANDLER(setxattr)
{
	struct gofer_held *node;
	int fd, ret = gofer_node_writable(s, r->setxattr.node, &node);

	if (ret < 0)
		return ret;
	if (!allowed(s, node, r->names[0]))
		return -EPERM;
	fd = open_for_xattr(s, node, -EPERM);
	if (fd < 0)
		return fd;
	ret = (int)SYS5(SYS_fsetxattr, fd, r->names[0], r->blob, r->blob_len, r->setxattr.flags);
	(void)gofer_close_fd(fd);
	return ret;
}

GOFER_HANDLER(removexattr)
{
	struct gofer_held *node;
	int fd, ret = gofer_node_writable(s, r->xattr.node, &node);

	if (ret < 0)
		return ret;
	if (!allowed(s, node, r->names[0]))
		return -EPERM;
	fd = open_for_xattr(s, node, -EPERM);
	if (fd < 0)
		return fd;
	ret = (int)SYS2(SYS_fremovexattr, fd, r->names[0]);
	(void)gofer_close_fd(fd);
	return ret;
}

GOFER_HANDLER(listxattr)
{
	const struct gofer_held *node = gofer_node(s, r->xattr.node);
	const uint32_t max = r->xattr.max_bytes;
	char *list = out->bytes + sizeof(struct gofer_bytes_reply);
	uint32_t len = 0;
	long n = 0;
	int fd;

	if (!node)
		return -EBADF;
	fd = open_for_xattr(s, node, -ENOTSUP);
	if (fd >= 0) {
		n = SYS3(SYS_flistxattr, fd, s->scratch, sizeof(s->scratch));
		(void)gofer_close_fd(fd);
	} else if (fd != -ENOTSUP) {
		n = fd;
	}
	if (n < 0)
		return (int)n;
	for (long at = 0; at < n;) {
		const size_t one = strlen(s->scratch + at) + 1;

		if (allowed(s, node, s->scratch + at)) {
			if (len + one > GOFER_XATTR_MAX)
				return -E2BIG;
			memcpy(list + len, s->scratch + at, one);
			len += (uint32_t)one;
		}
		at += (long)one;
	}
	if (max && len > max)
		return -ERANGE;
	say_bytes(out, len, max != 0);
	return 0;
}
