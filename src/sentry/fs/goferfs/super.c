/* SPDX-License-Identifier: Apache-2.0 */
/* One of the gofer's roots as a filesystem. */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>

static struct goferfs *goferfs_of(struct superblock *sb)
{
	return container_of(sb, struct goferfs, sb);
}

static int sb_statfs(struct superblock *sb, struct statfs *ret)
{
	GOFER_CALL(call, goferfs_of(sb)->conn, .type = GOFER_STATFS,
		   .node = { goferfs_of(sb)->root_node });
	const struct gofer_statfs_reply *st = &call.answer.statfs;
	const int r = gofer_call(&call);

	if (r < 0)
		return r;
	ret->f_type = (__fsword_t)st->type;
	ret->f_bsize = (__fsword_t)st->block_size;
	ret->f_frsize = (__fsword_t)st->fragment_size;
	ret->f_blocks = st->blocks;
	ret->f_bfree = st->blocks_free;
	ret->f_bavail = st->blocks_available;
	ret->f_files = st->files;
	ret->f_ffree = st->files_free;
	ret->f_namelen = (__fsword_t)st->name_max;
	return 0;
}

static int sb_sync(struct superblock *sb)
{
	return gofer_handles_sync(goferfs_of(sb));
}

static void sb_put(struct superblock *sb)
{
	struct goferfs *fs = goferfs_of(sb);

	khash_done(&fs->inodes);
	gofer_conn_unref(fs->conn);
	free(fs);
}

static const struct superblock_ops exclusive_ops = {
	.statfs = sb_statfs,
	.sync = sb_sync,
	.put = sb_put,
};

static const struct superblock_ops shared_ops = {
	.statfs = sb_statfs,
	.sync = sb_sync,
	.revalidate = gofer_revalidate,
	.put = sb_put,
};

/* A read may wait for another machine or program, and RWF_NOWAIT is not known everywhere there. */
static bool is_remote(uint64_t type)
{
	switch (type) {
	case FUSE_SUPER_MAGIC:
	case NFS_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case V9FS_MAGIC:
	case CEPH_SUPER_MAGIC:
	case AFS_FS_MAGIC:
		return true;
	default:
		return false;
	}
}

static int attach(struct goferfs *fs, uint32_t root, struct gofer_entry *ret)
{
	GOFER_CALL(call, fs->conn, .type = GOFER_ATTACH,
		   .attach = { .root = root, .version = GOFER_MSG_VERSION });
	const struct gofer_attach_reply *reply = &call.answer.attach;
	const int r = gofer_call(&call);

	if (r < 0)
		return r;
	*ret = reply->entry;
	fs->flags = reply->flags;
	fs->root_node = ret->node;
	fs->dev = ret->attr.dev;
	fs->sb.magic = reply->fs_type;
	fs->overlay = reply->fs_type == OVERLAYFS_SUPER_MAGIC;
	fs->remote = is_remote(reply->fs_type);
	return 0;
}

int goferfs_mount(struct gofer_conn *conn, uint32_t root, bool exclusive, struct superblock **ret)
{
	struct goferfs *fs = calloc(1, sizeof(*fs));
	struct gofer_entry entry;
	struct inode *inode;
	int r;

	if (!fs)
		return -ENOMEM;
	fs->conn = gofer_conn_ref(conn);
	fs->inodes.hash = gofer_inode_hash;
	fs->exclusive = exclusive;
	superblock_init(&fs->sb, exclusive ? &exclusive_ops : &shared_ops, "gofer", 0);
	fs->sb.no_negative = !exclusive;
	fs->sb.own_times = true;
	fs->sb.strips_caps = true;
	r = attach(fs, root, &entry);
	fs->sb.rdonly = fs->flags & GOFER_ROOT_RO;
	if (r == 0)
		r = gofer_inode_get(fs, &entry, &inode);
	if (r == 0) {
		fs->sb.root = dentry_new_root(&fs->sb, inode);
		inode_unref(inode);
		r = fs->sb.root ? 0 : -ENOMEM;
	}
	if (r < 0) {
		superblock_unref(&fs->sb);
		return r;
	}
	*ret = &fs->sb;
	return 0;
}
