/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/devpts.c - the filesystem of slaves (pts(4), Linux
 * Documentation/filesystems/devpts.rst): every mount is an instance of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sentry/fs/devpts/internal.h"
#include "sentry/fs/devtmpfs/chrdev.h"
#include "sentry/fs/kernfs/kernfs.h"
#include "sentry/vfs/simple.h"

#define DEVPTS_SUPER_MAGIC 0x1cd1
#define PTMX_INO	   2
#define PTS_INO		   3 /* of the slave 0 */
#define POS_PTMX	   2 /* directory positions: ".", "..", ptmx, slaves */
#define POS_PTS		   3

struct devpts {
	struct superblock sb;
	bool uid_set, gid_set;
	uint32_t uid, gid;
	uint32_t mode, ptmx_mode;
	unsigned int max, count;
	struct tty *ttys[PTY_MAX];
};

struct pts_inode {
	struct inode inode;
	struct tty *tty; /* NULL: ended. Not referenced: the pair clears it */
};

static const struct inode_ops root_ops, ptmx_ops, pts_inode_ops;

static struct devpts *devpts_of(const struct inode *inode)
{
	return container_of(inode->sb, struct devpts, sb);
}

struct tty *devpts_tty_of_inode(struct inode *inode)
{
	return inode->ops == &pts_inode_ops ? container_of(inode, struct pts_inode, inode)->tty
					    : NULL;
}

static void pts_evict(struct inode *inode)
{
	inode_fini(inode);
	free(container_of(inode, struct pts_inode, inode));
}

/* The node's mode is the instance's: inodes of it come and go. */
static int ptmx_setattr(struct inode *inode, const struct setattr *attr)
{
	if (attr->mask & SETATTR_MODE)
		devpts_of(inode)->ptmx_mode = attr->mode & 07777;
	return simple_setattr(inode, attr);
}

static int pts_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct tty *t = devpts_tty_of_inode(inode);

	return t ? pts_open_tty(t, flags, ret) : -EIO;
}

static int ptmx_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	return ptmx_open_new(devpts_of(inode), flags, ret);
}

static const struct inode_ops ptmx_ops = {
	.setattr = ptmx_setattr,
	.open = ptmx_open,
	.evict = simple_evict,
};

static const struct inode_ops pts_inode_ops = {
	.setattr = simple_setattr,
	.open = pts_open,
	.evict = pts_evict,
};

static int root_lookup(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	struct devpts *fs = devpts_of(dir);
	struct inode *inode;
	uint64_t index;

	if (vfs_name_is(name, "ptmx")) {
		inode = calloc(1, sizeof(*inode));
		if (!inode)
			return -ENOMEM;
		inode_init(inode, &fs->sb, &ptmx_ops, PTMX_INO, S_IFCHR | fs->ptmx_mode, NULL);
		inode->rdev = makedev(5, 2);
		*ret = inode;
		return 0;
	}
	if (vfs_name_number(name, PTY_MAX - 1, &index) < 0 || !fs->ttys[index])
		return -ENOENT;
	*ret = inode_ref(fs->ttys[index]->inode);
	return 0;
}

static int root_iterate(struct file *f, struct dir_sink *sink)
{
	const struct devpts *fs = devpts_of(f->inode);
	char name[16];

	if (f->pos == 0 && !simple_emit(f, sink, ".", SIMPLE_ROOT_INO, DT_DIR, 1))
		return 0;
	if (f->pos == 1 && !simple_emit(f, sink, "..", SIMPLE_ROOT_INO, DT_DIR, POS_PTMX))
		return 0;
	if (f->pos == POS_PTMX && !simple_emit(f, sink, "ptmx", PTMX_INO, DT_CHR, POS_PTS))
		return 0;
	while (f->pos - POS_PTS < PTY_MAX) {
		const uint64_t index = f->pos - POS_PTS;

		if (!fs->ttys[index]) {
			f->pos++;
			continue;
		}
		(void)snprintf(name, sizeof(name), "%u", (unsigned int)index);
		if (!simple_emit(f, sink, name, PTS_INO + index, DT_CHR, f->pos + 1))
			return 0;
	}
	return 0;
}

static const struct file_ops root_file_ops = {
	.iterate = root_iterate,
	.seek = simple_dir_seek,
	.release = simple_release,
};

static int root_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	return simple_open(&root_file_ops, flags, ret);
}

static const struct inode_ops root_ops = {
	.lookup = root_lookup,
	.setattr = simple_setattr,
	.open = root_open,
	.evict = simple_evict,
};

/* The slave belongs to who made the pair, unless options say otherwise. */
static int make_inode(struct devpts *fs, struct tty *t)
{
	const struct task *task = task_current();
	struct pts_inode *pi = calloc(1, sizeof(*pi));

	if (!pi)
		return -ENOMEM;
	inode_init(&pi->inode, &fs->sb, &pts_inode_ops, PTS_INO + t->index, S_IFCHR | fs->mode,
		   task ? task->cred : NULL);
	if (fs->uid_set)
		pi->inode.uid = fs->uid;
	if (fs->gid_set)
		pi->inode.gid = fs->gid;
	pi->inode.rdev = tty_dev(t);
	pi->tty = t;
	t->inode = &pi->inode;
	return 0;
}

int devpts_add(struct devpts *fs, struct tty **ret)
{
	unsigned int index = 0;
	struct tty *t;
	int r;

	if (fs->count >= fs->max)
		return -ENOSPC;
	while (fs->ttys[index])
		index++;
	t = tty_new(index);
	if (!t)
		return -ENOMEM;
	r = make_inode(fs, t);
	if (r < 0) {
		tty_unref(t);
		return r;
	}
	t->sb = superblock_ref(&fs->sb);
	t->fs = fs;
	fs->ttys[index] = t;
	fs->count++;
	*ret = t;
	return 0;
}

void devpts_remove(struct tty *t)
{
	struct devpts *fs = t->fs;

	if (!fs)
		return;
	t->fs = NULL;
	fs->ttys[t->index] = NULL;
	fs->count--;
	container_of(t->inode, struct pts_inode, inode)->tty = NULL;
	t->inode->nlink = 0;
	inode_unref(TAKE_PTR(t->inode));
}

int devpts_new_pair(struct superblock *sb, uint32_t uid, uint32_t gid, struct file **ret_master,
		    unsigned int *ret_index)
{
	struct devpts *fs = container_of(sb, struct devpts, sb);
	struct file *f;
	struct tty *t;
	int r;

	if (sb->magic != DEVPTS_SUPER_MAGIC)
		return -ENODEV;
	r = ptmx_open_new(fs, O_RDWR | O_NONBLOCK, &f);
	if (r < 0)
		return r;
	t = tty_file_check(f)->tty;
	t->locked = false;
	t->termios.c_oflag &= ~(tcflag_t)ONLCR;
	t->inode->uid = uid;
	if (!fs->gid_set)
		t->inode->gid = gid;
	*ret_master = f;
	*ret_index = t->index;
	return 0;
}

struct devpts *devpts_find(void)
{
	struct task *task = task_current();
	struct devpts *fs = NULL;
	struct vfs_ctx ctx;
	struct path p;

	if (!task || !task->fs)
		return NULL;
	ctx = task_vfs_ctx(task);
	if (path_walk(&ctx, NULL, "/dev/pts", WALK_FOLLOW, &p) < 0)
		return NULL;
	if (p.dentry->sb->magic == DEVPTS_SUPER_MAGIC)
		fs = container_of(p.dentry->sb, struct devpts, sb);
	path_unref(&p);
	return fs;
}

static int set_number(const char *value, int base, uint64_t max, uint32_t *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, base);
	if (errno || end == value || *end || n > max)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static int set_option(struct devpts *fs, const char *option, const char *value)
{
	if (!strcmp(option, "newinstance") && !value)
		return 0;
	if (!value)
		return -EINVAL;
	if (!strcmp(option, "uid")) {
		fs->uid_set = true;
		return set_number(value, 10, UINT32_MAX - 1, &fs->uid);
	}
	if (!strcmp(option, "gid")) {
		fs->gid_set = true;
		return set_number(value, 10, UINT32_MAX - 1, &fs->gid);
	}
	if (!strcmp(option, "mode"))
		return set_number(value, 8, 0777, &fs->mode);
	if (!strcmp(option, "ptmxmode"))
		return set_number(value, 8, 0777, &fs->ptmx_mode);
	if (!strcmp(option, "max"))
		return set_number(value, 10, PTY_MAX, &fs->max);
	return -EINVAL;
}

static int set_options(struct devpts *fs, const char *data)
{
	AUTO_FREE char *text = strdup(data ? data : "");
	char *save = NULL;
	int r = 0;

	if (!text)
		return -ENOMEM;
	for (char *o = strtok_r(text, ",", &save); o && r == 0; o = strtok_r(NULL, ",", &save)) {
		char *value = strchr(o, '=');

		if (value)
			*value++ = '\0';
		r = set_option(fs, o, value);
	}
	return r;
}

static int show_options(struct superblock *sb, char *buf, size_t len)
{
	const struct devpts *fs = container_of(sb, struct devpts, sb);
	char uid[24] = "", gid[24] = "";

	if (fs->uid_set)
		(void)snprintf(uid, sizeof(uid), ",uid=%u", fs->uid);
	if (fs->gid_set)
		(void)snprintf(gid, sizeof(gid), ",gid=%u", fs->gid);
	(void)snprintf(buf, len, "%s%s,mode=%03o,ptmxmode=%03o", uid, gid, fs->mode, fs->ptmx_mode);
	return 0;
}

static int remount(struct superblock *sb, const char *data)
{
	return set_options(container_of(sb, struct devpts, sb), data);
}

/* A name outlives its slave in the cache: look again. */
static int revalidate(struct dentry *d)
{
	return d->inode && (d->inode->ops != &pts_inode_ops || devpts_tty_of_inode(d->inode));
}

static void put(struct superblock *sb)
{
	free(container_of(sb, struct devpts, sb));
}

static const struct superblock_ops devpts_sb_ops = {
	.show_options = show_options,
	.remount = remount,
	.revalidate = revalidate,
	.put = put,
};

static int devpts_mount(const struct filesystem_type *type, const char *source, const char *data,
			const struct cred *cred, struct superblock **ret)
{
	struct devpts *fs = calloc(1, sizeof(*fs));
	int r;

	if (!fs)
		return -ENOMEM;
	superblock_init(&fs->sb, &devpts_sb_ops, type->name, DEVPTS_SUPER_MAGIC);
	fs->sb.no_negative = true;
	fs->sb.no_cache = true;
	fs->mode = 0600;
	fs->max = PTY_MAX;
	r = set_options(fs, data);
	if (fs->uid_set)
		fs->uid = user_ns_uid_in(cred->user_ns, fs->uid);
	if (fs->gid_set)
		fs->gid = user_ns_gid_in(cred->user_ns, fs->gid);
	if ((fs->uid_set && fs->uid == ID_INVALID) || (fs->gid_set && fs->gid == ID_INVALID))
		r = -EINVAL;
	if (r == 0)
		r = simple_root(&fs->sb, &root_ops, 0755);
	if (r < 0) {
		superblock_unref(&fs->sb);
		return r;
	}
	*ret = &fs->sb;
	return 0;
}

/* Major 5: /dev/tty, /dev/console (the controlling terminal too) and /dev/ptmx. */
static int tty_device_open(struct inode *inode, unsigned int minor, uint32_t flags,
			   struct file **ret)
{
	struct devpts *fs;
	struct tty *t;

	if (minor == 2) {
		fs = devpts_find();
		return fs ? ptmx_open_new(fs, flags, ret) : -ENODEV;
	}
	t = tty_of_current();
	return t ? pts_open_tty(t, flags | O_NOCTTY, ret) : -ENXIO;
}

/* A slave's number in another filesystem leads nowhere, as on Linux. */
static int slave_device_open(struct inode *inode, unsigned int minor, uint32_t flags,
			     struct file **ret)
{
	return -EIO;
}

void devpts_register(void)
{
	static struct filesystem_type type = {
		.name = "devpts",
		.user_mount = true,
		.mount = devpts_mount,
	};
	static struct chrdev five = { .major = 5, .count = 3, .open = tty_device_open };
	static struct chrdev slaves = {
		.major = PTS_MAJOR,
		.count = PTY_MAX,
		.open = slave_device_open,
	};

	filesystem_register(&type);
	chrdev_register(&five);
	chrdev_register(&slaves);
	job_register();
}
