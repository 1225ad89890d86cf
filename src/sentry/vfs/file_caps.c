/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/file_caps.c - see file_caps.h. The root id of an attribute is one of the filesystem's
 * user namespace; without one it is the root there.
 */
#include "sentry/vfs/file_caps.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/vfs/superblock.h"

#define CAPS_ALL ((2ull << CAP_LAST_CAP) - 1)

/* The version of what was read or is to be written: 1, 2, 3; -EINVAL: none of them. */
static int version_of(const struct vfs_ns_cap_data *d, size_t size)
{
	const uint32_t magic = size >= sizeof(d->magic_etc) ? le32toh(d->magic_etc) : 0;

	switch (magic & VFS_CAP_REVISION_MASK) {
	case VFS_CAP_REVISION_1:
		return size == XATTR_CAPS_SZ_1 ? 1 : -EINVAL;
	case VFS_CAP_REVISION_2:
		return size == XATTR_CAPS_SZ_2 ? 2 : -EINVAL;
	case VFS_CAP_REVISION_3:
		return size == XATTR_CAPS_SZ_3 ? 3 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* Also its root, as a kernel id. The version, -ENODATA, -errno. */
static int read_raw(struct inode *inode, struct vfs_ns_cap_data *d, uint32_t *ret_root)
{
	ssize_t n = -ENODATA;
	int version;

	if (inode->ops->getxattr)
		n = inode->ops->getxattr(inode, FILE_CAPS_XATTR, d, sizeof(*d));
	if (n < 0)
		return n == -EOPNOTSUPP ? -ENODATA : n == -ERANGE ? -EINVAL : (int)n;
	version = version_of(d, (size_t)n);
	if (version > 0)
		*ret_root =
			user_ns_uid_in(inode->sb->user_ns, version == 3 ? le32toh(d->rootid) : 0);
	return version;
}

/* Root of this namespace, or of one around it. */
static bool root_owns(uint32_t root, const struct user_ns *ns)
{
	if (root == ID_INVALID)
		return false;
	for (;; ns = ns->parent) {
		if (user_ns_uid_raw(ns, root) == 0)
			return true;
		if (!ns)
			return false;
	}
}

int file_caps_read(struct inode *inode, const struct cred *cred, struct file_caps *ret)
{
	struct vfs_ns_cap_data d = { 0 };
	uint32_t root = ID_INVALID;
	const int version = read_raw(inode, &d, &root);

	*ret = (struct file_caps){ 0 };
	if (version < 0)
		return version == -ENODATA ? 0 : version;
	if (!root_owns(root, cred->user_ns))
		return 0;
	ret->found = true;
	ret->effective = le32toh(d.magic_etc) & VFS_CAP_FLAGS_EFFECTIVE;
	ret->permitted = le32toh(d.data[0].permitted);
	ret->inheritable = le32toh(d.data[0].inheritable);
	if (version > 1) {
		ret->permitted |= (uint64_t)le32toh(d.data[1].permitted) << 32;
		ret->inheritable |= (uint64_t)le32toh(d.data[1].inheritable) << 32;
	}
	ret->permitted &= CAPS_ALL;
	ret->inheritable &= CAPS_ALL;
	return 0;
}

ssize_t file_caps_show(struct inode *inode, const struct cred *cred, void *value, size_t size)
{
	struct vfs_ns_cap_data d = { 0 };
	uint32_t root = ID_INVALID, shown;
	size_t len = XATTR_CAPS_SZ_2;
	const int version = read_raw(inode, &d, &root);

	if (version < 2)
		return version < 0 ? version : -EINVAL;
	shown = root == ID_INVALID ? ID_INVALID : user_ns_uid_raw(cred->user_ns, root);
	d.magic_etc = htole32(le32toh(d.magic_etc) & VFS_CAP_FLAGS_EFFECTIVE);
	if (shown != ID_INVALID && shown != 0) {
		d.magic_etc |= htole32(VFS_CAP_REVISION_3);
		d.rootid = htole32(shown);
		len = XATTR_CAPS_SZ_3;
	} else if (root_owns(root, cred->user_ns)) {
		d.magic_etc |= htole32(VFS_CAP_REVISION_2);
	} else {
		return -EOVERFLOW;
	}
	if (size == 0)
		return (ssize_t)len;
	if (size < len)
		return -ERANGE;
	memcpy(value, &d, len);
	return (ssize_t)len;
}

int file_caps_judge(const struct inode *inode, const struct cred *cred, const void **value,
		    size_t *size, struct vfs_ns_cap_data *own)
{
	struct vfs_ns_cap_data d = { 0 };
	const struct user_ns *fs_ns = inode->sb->user_ns;
	uint32_t root;
	int version;

	if (*size > sizeof(d))
		return -EINVAL;
	memcpy(&d, *value, *size);
	version = version_of(&d, *size);
	if (version < 2)
		return -EINVAL;
	if (!inode_capable(inode, cred, CAP_SETFCAP))
		return -EPERM;
	if (version == 2 && cred_ns_capable(cred, fs_ns, CAP_SETFCAP))
		return 0;
	root = user_ns_uid_in(cred->user_ns, version == 3 ? le32toh(d.rootid) : 0);
	root = root == ID_INVALID ? ID_INVALID : user_ns_uid_raw(fs_ns, root);
	if (root == ID_INVALID)
		return -EINVAL;
	*own = d;
	own->magic_etc =
		htole32(VFS_CAP_REVISION_3 | (le32toh(d.magic_etc) & VFS_CAP_FLAGS_EFFECTIVE));
	own->rootid = htole32(root);
	*value = own;
	*size = sizeof(*own);
	return 0;
}

int file_caps_strip(struct inode *inode)
{
	ssize_t n;

	/* A file of the host: its kernel does it. */
	if (!S_ISREG(inode->mode) || inode->no_caps || inode->sb->strips_caps ||
	    !inode->ops->getxattr || !inode->ops->removexattr)
		return 0;
	n = inode->ops->getxattr(inode, FILE_CAPS_XATTR, NULL, 0);
	if (n >= 0)
		n = inode->ops->removexattr(inode, FILE_CAPS_XATTR);
	inode->no_caps = n >= 0 || n == -ENODATA || n == -EOPNOTSUPP;
	return inode->no_caps ? 0 : (int)n;
}
