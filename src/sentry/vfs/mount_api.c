/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount_api.c - see mount_api.h. The phases of a description are those of Linux
 * (enum fs_context_phase); options are gathered as the text that mount(2) would bring.
 */
#include "sentry/vfs/mount_api.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/internal.h"

/* ---- Files that hold mounts ---- */

static void tree_release(struct file *f)
{
	struct mount *m = f->path.mnt;

	/* Nobody gave it a place: it goes with the file. */
	if (m->held && !m->ns) {
		m->held = false;
		mount_tree_detach(m);
	}
	file_fini(f);
	free(f);
}

static const struct file_ops tree_file_ops = {
	.release = tree_release,
};

/* Takes over the tree. */
static int hold(struct mount *tree, const struct cred *cred, struct file **ret)
{
	const struct path top = { .mnt = tree, .dentry = tree->root };
	struct file *f = calloc(1, sizeof(*f));

	if (!f) {
		mount_tree_detach(tree);
		return -ENOMEM;
	}
	tree->held = true;
	file_init(f, &tree_file_ops, &top, cred, O_PATH);
	f->mode = FMODE_PATH;
	*ret = f;
	return 0;
}

int vfs_open_tree(const struct vfs_ctx *ctx, struct mount_ns *ns, const struct path *from,
		  bool recursive, struct file **ret)
{
	struct mount *tree;
	const int r = mount_copy(ns, from, recursive, &tree);

	return r < 0 ? r : hold(tree, ctx->cred, ret);
}

int vfs_move_mount(struct mount_ns *ns, const struct path *from, const struct path *to)
{
	return mount_move(ns, from, to);
}

/* ---- Descriptions of file systems ---- */

enum phase {
	PHASE_PARAMS,	/* of a new instance */
	PHASE_MOUNT,	/* made: fsmount(2) */
	PHASE_RECONFIG, /* parameters of one that is there */
	PHASE_FAILED,
};

struct fs_config {
	struct file file;
	enum phase phase;
	const struct filesystem_type *type;
	char *source; /* owned, NULL: none */
	struct buf options;
	uint64_t ms;	   /* MS_* of the superblock */
	struct mount *mnt; /* detached, ours: keeps the instance alive; NULL: not made yet */
};

static void config_clean(struct fs_config *c)
{
	free(c->source);
	c->source = NULL;
	buf_done(&c->options);
	c->options = (struct buf){ .max = FS_CONFIG_OPTIONS_MAX };
}

static void config_release(struct file *f)
{
	struct fs_config *c = container_of(f, struct fs_config, file);

	config_clean(c);
	mount_unref(c->mnt);
	file_fini(f);
	free(c);
}

/* Messages of the file system: there are none. */
static ssize_t config_read(struct file *f, struct uio *u, uint64_t *pos)
{
	return -ENODATA;
}

static const struct file_ops config_ops = {
	.read = config_read,
	.release = config_release,
};

bool fs_config_file(const struct file *f)
{
	return f->ops == &config_ops;
}

static int config_new(const struct vfs_ctx *ctx, struct fs_config **ret)
{
	struct fs_config *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->options.max = FS_CONFIG_OPTIONS_MAX;
	r = anon_file_init(&c->file, &config_ops, "[fscontext]", ctx->cred, O_RDWR);
	if (r < 0)
		free(c);
	else
		*ret = c;
	return r;
}

int fs_config_open(const struct vfs_ctx *ctx, const char *type, struct file **ret)
{
	const struct filesystem_type *fs = filesystem_find(type);
	struct fs_config *c;
	int r;

	if (!fs)
		return -ENODEV;
	r = config_new(ctx, &c);
	if (r < 0)
		return r;
	c->type = fs;
	*ret = &c->file;
	return 0;
}

int fs_config_pick(const struct vfs_ctx *ctx, const struct path *p, struct file **ret)
{
	struct fs_config *c;
	int r;

	if (p->dentry != p->mnt->root)
		return -EINVAL;
	r = config_new(ctx, &c);
	if (r < 0)
		return r;
	c->phase = PHASE_RECONFIG;
	c->mnt = mount_new(p->mnt->sb, p->mnt->sb->root, 0, NULL);
	if (!c->mnt) {
		file_unref(&c->file);
		return -ENOMEM;
	}
	c->ms = p->mnt->sb->ms_flags | (p->mnt->sb->rdonly ? MS_RDONLY : 0);
	*ret = &c->file;
	return 0;
}

/* vfs_parse_sb_flag() of Linux. True: it was one. */
static bool set_superblock_flag(struct fs_config *c, const char *key)
{
	static const struct {
		const char *key;
		uint64_t set, clear;
	} map[] = {
		{ "dirsync", MS_DIRSYNC, 0 },	  { "lazytime", MS_LAZYTIME, 0 },
		{ "mand", MS_MANDLOCK, 0 },	  { "ro", MS_RDONLY, 0 },
		{ "sync", MS_SYNCHRONOUS, 0 },	  { "async", 0, MS_SYNCHRONOUS },
		{ "nolazytime", 0, MS_LAZYTIME }, { "nomand", 0, MS_MANDLOCK },
		{ "rw", 0, MS_RDONLY },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (strcmp(key, map[i].key) == 0) {
			c->ms = (c->ms | map[i].set) & ~map[i].clear;
			return true;
		}
	}
	return false;
}

static int set_source(struct fs_config *c, const char *value)
{
	if (c->source)
		return -EINVAL;
	c->source = strdup(value);
	return c->source ? 0 : -ENOMEM;
}

int fs_config_set(struct file *f, const char *key, const char *value)
{
	struct fs_config *c = container_of(f, struct fs_config, file);

	if (c->phase != PHASE_PARAMS && c->phase != PHASE_RECONFIG)
		return -EBUSY;
	if (set_superblock_flag(c, key))
		return value ? -EINVAL : 0;
	if (strcmp(key, "source") == 0)
		return value ? set_source(c, value) : -EINVAL;
	if (strchr(key, ',') || strchr(key, '=') || (value && strchr(value, ',')))
		return -EINVAL;
	/* All of it or nothing: half an option would be another one. */
	if (strlen(key) + (value ? strlen(value) : 0) + 2 > FS_CONFIG_OPTIONS_MAX - c->options.len)
		return -EINVAL;
	if (c->options.len > 0)
		(void)buf_puts(&c->options, ",");
	(void)buf_puts(&c->options, key);
	if (value)
		(void)buf_printf(&c->options, "=%s", value);
	if (buf_error(&c->options) < 0)
		c->phase = PHASE_FAILED;
	return buf_error(&c->options);
}

int fs_config_create(const struct vfs_ctx *ctx, struct file *f)
{
	struct fs_config *c = container_of(f, struct fs_config, file);
	struct vfs_ctx opener = *ctx;
	struct superblock *sb;
	int r;

	if (c->phase != PHASE_PARAMS)
		return -EBUSY;
	/* It is its opener's; who has it made may be somebody else (mount_capable() of Linux). */
	if (!cred_ns_capable(ctx->cred, f->cred->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	opener.cred = f->cred;
	r = superblock_make(&opener, c->type->name, c->source,
			    c->options.data ? c->options.data : "", c->ms, &sb);
	if (r == 0) {
		c->mnt = mount_new(sb, sb->root, 0, c->source);
		r = c->mnt ? 0 : -ENOMEM;
		superblock_unref(sb);
	}
	c->phase = r < 0 ? PHASE_FAILED : PHASE_MOUNT;
	return r;
}

int fs_config_reconfigure(const struct vfs_ctx *ctx, struct file *f)
{
	struct fs_config *c = container_of(f, struct fs_config, file);
	int r;

	if (c->phase != PHASE_RECONFIG)
		return -EBUSY;
	r = superblock_reconfigure(ctx, c->mnt->sb, c->ms, c->options.data ? c->options.data : "");
	if (r < 0)
		c->phase = PHASE_FAILED;
	config_clean(c);
	return r;
}

int fs_config_mount(const struct vfs_ctx *ctx, struct mount_ns *ns, struct file *f,
		    uint32_t mount_flags, struct file **ret)
{
	struct fs_config *c = container_of(f, struct fs_config, file);
	struct mount *m;
	int r;

	if (c->phase != PHASE_MOUNT)
		return c->phase == PHASE_PARAMS ? -EINVAL : -EBUSY;
	if (mount_is_too_revealing(ns, c->mnt->sb, mount_flags))
		return -EPERM;
	m = mount_new(c->mnt->sb, c->mnt->root, mount_flags, c->source);
	r = m ? hold(m, ctx->cred, ret) : -ENOMEM;
	if (r == 0) {
		config_clean(c);
		c->phase = PHASE_RECONFIG;
	}
	return r;
}
