/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "sentry/fs/tmpfs/node.h"

static struct tmpfs_xattr *find(const struct tmpfs_inode *t, const char *name)
{
	struct tmpfs_xattr *x;

	list_for_each(x, &t->xattrs, node) if (strcmp(x->name, name) == 0) return x;
	return NULL;
}

static void xattr_free(struct tmpfs_xattr *x)
{
	free(x->name);
	free(x->value);
	free(x);
}

static bool known_namespace(const char *name)
{
	return str_after(name, "user.") || str_after(name, "trusted.") ||
	       str_after(name, "security.");
}

ssize_t tmpfs_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
	const struct tmpfs_xattr *x;

	if (!known_namespace(name))
		return -EOPNOTSUPP;
	x = find(tmpfs_inode(inode), name);
	if (!x)
		return -ENODATA;
	if (size == 0)
		return (ssize_t)x->len;
	if (size < x->len)
		return -ERANGE;
	if (x->len)
		memcpy(value, x->value, x->len);
	return (ssize_t)x->len;
}

static struct tmpfs_xattr *xattr_new(const char *name, const void *value, size_t size)
{
	struct tmpfs_xattr *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->name = strdup(name);
	x->value = malloc(size ? size : 1);
	if (!x->name || !x->value) {
		xattr_free(x);
		return NULL;
	}
	if (size)
		memcpy(x->value, value, size);
	x->len = size;
	return x;
}

int tmpfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
	struct tmpfs_inode *t = tmpfs_inode(inode);
	struct tmpfs_xattr *old = find(t, name), *x;
	const size_t bytes = strlen(name) + 1 + size;
	const size_t old_bytes = old ? strlen(name) + 1 + old->len : 0;

	if (!known_namespace(name))
		return -EOPNOTSUPP;
	if (flags & XATTR_CREATE && old)
		return -EEXIST;
	if (flags & XATTR_REPLACE && !old)
		return -ENODATA;
	if (t->xattr_bytes - old_bytes + bytes > TMPFS_XATTR_BYTES_MAX)
		return -ENOSPC;
	x = xattr_new(name, value, size);
	if (!x)
		return -ENOMEM;
	if (old) {
		list_del(&old->node);
		xattr_free(old);
	}
	list_add_tail(&x->node, &t->xattrs);
	t->xattr_bytes = t->xattr_bytes - old_bytes + bytes;
	return 0;
}

ssize_t tmpfs_listxattr(struct inode *inode, char *list, size_t size)
{
	const struct tmpfs_xattr *x;
	size_t done = 0;

	list_for_each(x, &tmpfs_inode(inode)->xattrs, node)
	{
		const size_t len = strlen(x->name) + 1;

		if (size) {
			if (done + len > size)
				return -ERANGE;
			memcpy(list + done, x->name, len);
		}
		done += len;
	}
	return (ssize_t)done;
}

int tmpfs_removexattr(struct inode *inode, const char *name)
{
	struct tmpfs_inode *t = tmpfs_inode(inode);
	struct tmpfs_xattr *x = find(t, name);

	if (!x)
		return known_namespace(name) ? -ENODATA : -EOPNOTSUPP;
	t->xattr_bytes -= strlen(name) + 1 + x->len;
	list_del(&x->node);
	xattr_free(x);
	return 0;
}

void tmpfs_xattrs_free(struct tmpfs_inode *t)
{
	struct tmpfs_xattr *x, *next;

	list_for_each_safe(x, next, &t->xattrs, node)
	{
		list_del(&x->node);
		xattr_free(x);
	}
}
