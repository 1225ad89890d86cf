/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/tmpfs/super.c - instances of tmpfs: options, limits, statistics.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/str.h"
#include "sentry/fs/tmpfs/node.h"
#include "sentry/vfs/dentry.h"

#define PAGE	       4096u
#define UNLIMITED_SIZE (1ull << 60) /* bytes: what holds them refuses before */

static uint64_t default_size;
static uint64_t memory_size;

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return &tmpfs_dir_ops;
	case S_IFREG:
		return &tmpfs_file_inode_ops;
	case S_IFLNK:
		return &tmpfs_symlink_ops;
	default:
		return &tmpfs_special_ops;
	}
}

int tmpfs_inode_new(struct tmpfs_sb *sb, uint32_t mode, const struct cred *cred,
		    struct tmpfs_inode **ret)
{
	struct tmpfs_inode *t;

	if (sb->inodes >= sb->inodes_max)
		return -ENOSPC;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	inode_init(&t->inode, &sb->sb, ops_for(mode), sb->sb.next_ino++, mode, cred);
	if (S_ISDIR(mode)) {
		t->inode.nlink = 2;
		t->inode.size = 2 * TMPFS_DIRENT_SIZE; /* "." and "..": test -s is true */
	}
	list_init(&t->xattrs);
	t->next_cookie = 2;
	t->seals = F_SEAL_SEAL;
	sb->inodes++;
	*ret = t;
	return 0;
}

static int tmpfs_statfs(struct superblock *s, struct statfs *ret)
{
	const struct tmpfs_sb *sb = tmpfs_sb(s);

	if (sb->store)
		return sb->store->statfs(sb->store, ret);
	ret->f_bsize = PAGE;
	ret->f_blocks = sb->pages_max;
	ret->f_bfree = ret->f_bavail = sb->pages_max - sb->pages;
	ret->f_files = sb->inodes_max;
	ret->f_ffree = sb->inodes_max - sb->inodes;
	return 0;
}

static int tmpfs_show_options(struct superblock *s, char *buf, size_t len)
{
	const struct tmpfs_sb *sb = tmpfs_sb(s);
	size_t n = 0;

	buf[0] = '\0';
	if (sb->size_shown)
		n += (size_t)snprintf(buf + n, len - n, ",size=%lluk",
				      (unsigned long long)(sb->size_shown / 1024));
	if (sb->inodes_shown && n < len)
		n += (size_t)snprintf(buf + n, len - n, ",nr_inodes=%llu",
				      (unsigned long long)sb->inodes_shown);
	if (sb->mode != 01777 && n < len)
		n += (size_t)snprintf(buf + n, len - n, ",mode=%o", sb->mode);
	if (sb->uid && n < len)
		n += (size_t)snprintf(buf + n, len - n, ",uid=%u", sb->uid);
	if (sb->gid && n < len)
		n += (size_t)snprintf(buf + n, len - n, ",gid=%u", sb->gid);
	return 0;
}

static void tmpfs_put(struct superblock *s)
{
	struct tmpfs_store *store = tmpfs_sb(s)->store;

	if (store && store->done)
		store->done(store);
	free(tmpfs_sb(s));
}

static int parse_size(const char *value, uint64_t *ret)
{
	const size_t len = strlen(value);
	char number[16];
	uint64_t percent;

	if (len > 1 && len < sizeof(number) && value[len - 1] == '%') {
		memcpy(number, value, len - 1);
		number[len - 1] = '\0';
		if (str_to_u64(number, 100, &percent) < 0)
			return -EINVAL;
		*ret = memory_size / 100 * percent;
		return 0;
	}
	return str_to_size(value, ret) < 0 ? -EINVAL : 0;
}

static int parse_id(const char *value, int base, uint32_t max, uint32_t *ret)
{
	char *end;
	unsigned long n;

	if (value[0] < '0' || value[0] > '9')
		return -EINVAL;
	n = strtoul(value, &end, base);
	if (*end != '\0' || n > max)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

/* An id as the user namespace of who mounts has it. */
static int parse_owner(const char *value, const struct user_ns *ns, bool gid, uint32_t *ret)
{
	uint32_t id;
	const int r = parse_id(value, 10, UINT32_MAX - 1, &id);

	if (r < 0)
		return r;
	id = gid ? user_ns_gid_in(ns, id) : user_ns_uid_in(ns, id);
	if (id == ID_INVALID)
		return -EINVAL;
	*ret = id;
	return 0;
}

static int parse_option(const char *key, const char *value, struct tmpfs_options *o)
{
	int r;

	if (strcmp(key, "noswap") == 0 || strcmp(key, "inode32") == 0 ||
	    strcmp(key, "inode64") == 0)
		return 0;
	if (!value)
		return -EINVAL;
	if (strcmp(key, "size") == 0)
		return parse_size(value, &o->size);
	if (strcmp(key, "nr_blocks") == 0) {
		r = str_to_size(value, &o->size);
		if (r == 0 && o->size > INT64_MAX / PAGE)
			return -EINVAL;
		o->size *= PAGE;
		return r < 0 ? -EINVAL : 0;
	}
	if (strcmp(key, "nr_inodes") == 0)
		return str_to_size(value, &o->inodes) < 0 ? -EINVAL : 0;
	if (strcmp(key, "mode") == 0)
		return parse_id(value, 8, 07777, &o->mode);
	if (strcmp(key, "uid") == 0)
		return parse_owner(value, o->ns, false, &o->uid);
	if (strcmp(key, "gid") == 0)
		return parse_owner(value, o->ns, true, &o->gid);
	if (strcmp(key, "huge") == 0 || strcmp(key, "mpol") == 0)
		return 0;
	return -EINVAL;
}

static int parse_options(const char *data, struct tmpfs_options *o)
{
	AUTO_FREE char *copy = strdup(data ? data : "");
	char *save = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *key = strtok_r(copy, ",", &save); key; key = strtok_r(NULL, ",", &save)) {
		char *value = strchr(key, '=');
		int r;

		if (value)
			*value++ = '\0';
		r = parse_option(key, value, o);
		if (r < 0)
			return r;
	}
	return 0;
}

static int tmpfs_remount(struct superblock *s, const char *data)
{
	struct tmpfs_sb *sb = tmpfs_sb(s);
	struct tmpfs_options o = { 0 };
	int r = parse_options(data, &o);

	if (r < 0)
		return r;
	if ((o.size && o.size / PAGE < sb->pages) || (o.inodes && o.inodes < sb->inodes))
		return -EINVAL;
	if (o.size) {
		sb->pages_max = (o.size + PAGE - 1) / PAGE;
		sb->size_shown = o.size;
	}
	if (o.inodes) {
		sb->inodes_max = o.inodes;
		sb->inodes_shown = o.inodes;
	}
	return 0;
}

static const struct superblock_ops tmpfs_ops = {
	.statfs = tmpfs_statfs,
	.show_options = tmpfs_show_options,
	.remount = tmpfs_remount,
	.put = tmpfs_put,
};

int tmpfs_new(const struct tmpfs_options *options, struct superblock **ret)
{
	const struct tmpfs_options none = { 0 };
	struct tmpfs_inode *root;
	struct tmpfs_sb *sb = calloc(1, sizeof(*sb));
	int r;

	if (!options)
		options = &none;
	if (!sb && options->store && options->store->done)
		options->store->done(options->store);
	if (!sb)
		return -ENOMEM;
	superblock_init(&sb->sb, &tmpfs_ops, "tmpfs", TMPFS_MAGIC);
	sb->pages_max = ((options->size ? options->size : default_size) + PAGE - 1) / PAGE;
	sb->inodes_max = options->inodes ? options->inodes : TMPFS_INODES_DEFAULT;
	sb->size_shown = options->size;
	sb->store = options->store;
	if (sb->store) /* the disk says when it is full */
		sb->pages_max = UNLIMITED_SIZE / PAGE;
	sb->inodes_shown = options->inodes;
	sb->mode = options->mode ? options->mode : 01777;
	sb->uid = options->uid;
	sb->gid = options->gid;
	r = tmpfs_inode_new(sb, S_IFDIR | sb->mode, NULL, &root);
	if (r == 0) {
		root->inode.uid = sb->uid;
		root->inode.gid = sb->gid;
		sb->sb.root = dentry_new_root(&sb->sb, &root->inode);
		inode_unref(&root->inode);
		r = sb->sb.root ? 0 : -ENOMEM;
	}
	if (r < 0) {
		superblock_unref(&sb->sb);
		return r;
	}
	*ret = &sb->sb;
	return 0;
}

/* tmpfs(5) without limits: every option but "mode" is ignored, as ramfs of Linux does. */
static int ramfs_mount(const struct filesystem_type *type, const char *source, const char *data,
		       const struct cred *cred, struct superblock **ret)
{
	struct tmpfs_options o = { .size = UNLIMITED_SIZE, .inodes = UINT32_MAX, .mode = 0755 };
	const char *mode = data ? strstr(data, "mode=") : NULL;
	struct superblock *sb;
	char number[8] = "";
	int r = 0;

	if (mode && sscanf(mode, "mode=%7[0-7]", number) == 1)
		r = parse_id(number, 8, 07777, &o.mode);
	if (r == 0)
		r = tmpfs_new(&o, &sb);
	if (r < 0)
		return r;
	tmpfs_sb(sb)->size_shown = tmpfs_sb(sb)->inodes_shown = 0;
	sb->type = "ramfs";
	sb->magic = RAMFS_MAGIC;
	*ret = sb;
	return 0;
}

static int tmpfs_mount(const struct filesystem_type *type, const char *source, const char *data,
		       const struct cred *cred, struct superblock **ret)
{
	struct tmpfs_options o = { .ns = cred->user_ns, .uid = cred->fsuid, .gid = cred->fsgid };
	int r = parse_options(data, &o);

	return r < 0 ? r : tmpfs_new(&o, ret);
}

void tmpfs_set_default_size(uint64_t bytes)
{
	default_size = bytes;
}

void tmpfs_register(void)
{
	static struct filesystem_type type = {
		.name = "tmpfs",
		.user_mount = true,
		.mount = tmpfs_mount,
	};
	static struct filesystem_type ramfs = {
		.name = "ramfs",
		.user_mount = true,
		.mount = ramfs_mount,
	};
	struct sysinfo info;

	memory_size = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 1ull << 30;
	if (default_size == 0)
		default_size = memory_size / 2;
	filesystem_register(&type);
	filesystem_register(&ramfs);
}
