/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes. Programs ask most files for attributes that they do not have (every ls -l,
 * every exec): in exclusive mode it is asked first whether a file has any, and that is kept.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <string.h>

static int check_name(const char *name)
{
	const size_t len = strlen(name);

	return len == 0 || len > GOFER_NAME_MAX ? -ERANGE : 0;
}

static uint32_t max_bytes(size_t size)
{
	return size < GOFER_XATTR_MAX ? (uint32_t)size : GOFER_XATTR_MAX;
}

/* size 0 asks for the length. */
static ssize_t copy_bytes(const struct gofer_answer *a, void *dst, size_t size)
{
	if (size == 0)
		return (ssize_t)a->bytes.len;
	if (a->tail_len > size || a->tail_len != a->bytes.len)
		return -EIO;
	if (a->tail_len)
		memcpy(dst, a->tail, a->tail_len);
	return (ssize_t)a->tail_len;
}

ssize_t gofer_listxattr(struct inode *inode, char *list, size_t size)
{
	struct gofer_inode *gi = gofer_inode(inode);
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_LISTXATTR,
		   .xattr = { .node = gi->node, .max_bytes = max_bytes(size) });
	const uint32_t seq = gi->seq;
	int r;

	if (gi->no_xattrs)
		return 0;
	r = gofer_call(&call);
	if (r < 0)
		return r;
	gi->has_xattrs = call.answer.bytes.len > 0;
	if (!gi->has_xattrs && gi->fs->exclusive && seq == gi->seq)
		gi->no_xattrs = true;
	return copy_bytes(&call.answer, list, size);
}

ssize_t gofer_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
	struct gofer_inode *gi = gofer_inode(inode);
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_GETXATTR,
		   .xattr = { .node = gi->node, .max_bytes = max_bytes(size) }, .names = { name });
	int r = check_name(name);

	if (r < 0)
		return r;
	if (gi->fs->exclusive && !gi->no_xattrs && !gi->has_xattrs)
		(void)gofer_listxattr(inode, NULL, 0);
	if (gi->no_xattrs)
		return -ENODATA;
	r = gofer_call(&call);
	return r < 0 ? r : copy_bytes(&call.answer, value, size);
}

int gofer_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
	struct gofer_inode *gi = gofer_inode(inode);
	const struct gofer_request request = {
		.type = GOFER_SETXATTR,
		.setxattr = { .node = gi->node,
			      .flags = (uint32_t)flags,
			      .value_len = (uint32_t)size },
		.names = { name },
		.blob = value,
		.blob_len = size,
	};
	int r = check_name(name);

	if (r < 0)
		return r;
	if (size > GOFER_XATTR_MAX)
		return -ENOSPC;
	gi->seq++;
	gi->no_xattrs = false;
	r = gofer_ask(gi->fs->conn, &request);
	gi->stale = true;
	return r;
}

int gofer_removexattr(struct inode *inode, const char *name)
{
	struct gofer_inode *gi = gofer_inode(inode);
	const struct gofer_request request = { .type = GOFER_REMOVEXATTR,
					       .xattr = { .node = gi->node },
					       .names = { name } };
	int r = check_name(name);

	if (r < 0)
		return r;
	if (gi->no_xattrs)
		return -ENODATA;
	r = gofer_ask(gi->fs->conn, &request);
	gi->stale = true;
	return r;
}
