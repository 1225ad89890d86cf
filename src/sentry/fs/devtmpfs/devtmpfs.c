/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devtmpfs/devtmpfs.c - fills a tmpfs with the default devices.
 */
#include "sentry/fs/devtmpfs/devtmpfs.h"

#include <errno.h>
#include <string.h>

#include "sentry/fs/devtmpfs/chrdev.h"

static const struct {
	const char *name;
	unsigned int major, minor;
	uint32_t mode;
} nodes[] = {
	{ "null", 1, 3, 0666 },	  { "zero", 1, 5, 0666 },    { "full", 1, 7, 0666 },
	{ "random", 1, 8, 0666 }, { "urandom", 1, 9, 0666 }, { "tty", 5, 0, 0666 },
};

static const struct {
	const char *name, *target;
} links[] = {
	{ "ptmx", "pts/ptmx" },		 { "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },	 { "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
};

static const struct {
	const char *name;
	uint32_t mode;
} dirs[] = {
	{ "pts", 0755 },
	{ "shm", 01777 },
	{ "mqueue", 01777 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct vfs_name name_of(const char *text)
{
	return (struct vfs_name){ .bytes = text, .len = (uint8_t)strlen(text) };
}

static int populate(struct inode *root, const struct cred *cred)
{
	struct inode *made;
	struct vfs_name name;
	int r = 0;

	for (size_t i = 0; r == 0 && i < COUNT(nodes); i++) {
		name = name_of(nodes[i].name);
		r = root->ops->mknod(root, &name, S_IFCHR | nodes[i].mode,
				     makedev(nodes[i].major, nodes[i].minor), cred, &made);
		if (r == 0)
			inode_unref(made);
	}
	for (size_t i = 0; r == 0 && i < COUNT(links); i++) {
		name = name_of(links[i].name);
		r = root->ops->symlink(root, &name, links[i].target, cred, &made);
		if (r == 0)
			inode_unref(made);
	}
	for (size_t i = 0; r == 0 && i < COUNT(dirs); i++) {
		name = name_of(dirs[i].name);
		r = root->ops->mkdir(root, &name, dirs[i].mode, cred, &made);
		if (r == 0)
			inode_unref(made);
	}
	return r;
}

int devtmpfs_populate(struct superblock *sb)
{
	struct inode *root = sb->root->inode;
	struct cred *cred = cred_new_root();
	int r;

	if (!cred)
		return -ENOMEM;
	krwlock_write_lock(&root->lock);
	r = populate(root, cred);
	krwlock_write_unlock(&root->lock);
	cred_unref(cred);
	return r;
}

static int devtmpfs_mount(const struct filesystem_type *type, const char *source, const char *data,
			  const struct cred *cred, struct superblock **ret)
{
	const struct filesystem_type *tmpfs = filesystem_find("tmpfs");
	struct superblock *sb;
	int r;

	if (!tmpfs)
		return -ENODEV;
	r = tmpfs->mount(tmpfs, source, data, cred, &sb);
	if (r < 0)
		return r;
	sb->type = type->name;
	r = devtmpfs_populate(sb);
	if (r < 0) {
		superblock_unref(sb);
		return r;
	}
	*ret = sb;
	return 0;
}

void devtmpfs_register(void)
{
	static struct filesystem_type type = { .name = "devtmpfs", .mount = devtmpfs_mount };

	filesystem_register(&type);
	mem_devices_register();
}
