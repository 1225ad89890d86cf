/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/overlay/super.c - instances: two roots as one, or the directories that mount(2) names.
 * More than one lowerdir= is a stack of overlays that are never written.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sentry/fs/overlay/node.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount.h"

static int ovl_statfs(struct superblock *s, struct statfs *ret)
{
	const struct ovl_sb *sb = ovl_sb(s);
	struct superblock *real = (sb->upper.dentry ? &sb->upper : &sb->lower)->dentry->sb;
	const __fsword_t magic = ret->f_type;
	const int r = real->ops->statfs ? real->ops->statfs(real, ret) : 0;

	ret->f_type = magic;
	return r;
}

static int ovl_sync_fs(struct superblock *s)
{
	const struct ovl_sb *sb = ovl_sb(s);
	struct superblock *real = sb->upper.dentry ? sb->upper.dentry->sb : NULL;

	return real && real->ops->sync ? real->ops->sync(real) : 0;
}

static int ovl_show_options(struct superblock *s, char *buf, size_t len)
{
	const struct ovl_sb *sb = ovl_sb(s);

	(void)snprintf(buf, len, "%s%s", sb->options ? "," : "", sb->options ? sb->options : "");
	return 0;
}

static void ovl_put(struct superblock *s)
{
	struct ovl_sb *sb = ovl_sb(s);

	path_unref(&sb->lower);
	path_unref(&sb->upper);
	free(sb->buckets);
	cred_unref(sb->mounter);
	free(sb->options);
	free(sb);
}

static const struct superblock_ops ovl_sb_ops = {
	.statfs = ovl_statfs,
	.sync = ovl_sync_fs,
	.show_options = ovl_show_options,
	.put = ovl_put,
};

/* References on the paths are taken. upper may be NULL. */
static int new_from_paths(const struct path *lower, const struct path *upper, bool writable,
			  struct superblock **ret)
{
	struct ovl_sb *sb = calloc(1, sizeof(*sb));
	struct inode *root;
	int r;

	if (!sb)
		return -ENOMEM;
	superblock_init(&sb->sb, &ovl_sb_ops, "overlay", OVERLAYFS_SUPER_MAGIC);
	sb->sb.own_times = true;
	sb->writable = writable && upper;
	kmutex_init(&sb->copy_lock);
	sb->lower = path_ref(lower);
	sb->sb.covers = lower->dentry->sb;
	if (upper)
		sb->upper = path_ref(upper);
	sb->buckets = calloc(OVL_BUCKETS, sizeof(*sb->buckets));
	if (!sb->buckets) {
		superblock_unref(&sb->sb);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < OVL_BUCKETS; i++)
		list_init(&sb->buckets[i]);
	r = ovl_inode_get(sb, upper ? inode_ref(upper->dentry->inode) : NULL,
			  inode_ref(lower->dentry->inode), NULL, NULL, &root);
	if (r == 0) {
		sb->sb.root = dentry_new_root(&sb->sb, root);
		inode_unref(root);
		r = sb->sb.root ? 0 : -ENOMEM;
	}
	if (r < 0) {
		superblock_unref(&sb->sb);
		return r;
	}
	*ret = &sb->sb;
	return 0;
}

/* A path that keeps an instance alive which is mounted nowhere. */
static int path_of_instance(struct superblock *sb, struct path *ret)
{
	struct mount *m = mount_new(sb, sb->root, 0, "none");

	if (!m)
		return -ENOMEM;
	*ret = (struct path){ .mnt = m, .dentry = dentry_ref(m->root) };
	return 0;
}

int overlay_new(struct superblock *lower, struct superblock *upper, struct superblock **ret)
{
	struct path low = { 0 }, up = { 0 };
	int r = path_of_instance(lower, &low);

	if (r == 0 && upper)
		r = path_of_instance(upper, &up);
	if (r == 0)
		r = new_from_paths(&low, upper ? &up : NULL, true, ret);
	if (r == 0)
		(*ret)->overlays = 1;
	path_unref(&low);
	path_unref(&up);
	return r;
}

/* What mount(2) names, as directories. */
struct wanted {
	struct path lower[OVERLAY_LOWER_MAX]; /* the first is on top */
	size_t lower_len;
	struct path upper;
};

static void wanted_done(struct wanted *w)
{
	for (size_t i = 0; i < w->lower_len; i++)
		path_unref(&w->lower[i]);
	path_unref(&w->upper);
}

/* What lies below other mounts is seen, and what was mounted read-only is not written. */
static int find_directory(const char *name, bool upper, struct path *ret)
{
	const struct vfs_ctx ctx = task_vfs_ctx(task_current());
	int r = path_walk(&ctx, NULL, name, WALK_FOLLOW | WALK_DIRECTORY, ret);

	/* Files of the kernel judge by more than modes. */
	if (r == 0 &&
	    (mount_may_layer(ret, upper) < 0 || (ctx.cred->user_ns && ret->dentry->sb->no_cache))) {
		path_unref(ret);
		r = -EINVAL;
	}
	return r;
}

static int parse_lower(char *value, struct wanted *w)
{
	char *save = NULL;

	for (char *one = strtok_r(value, ":", &save); one; one = strtok_r(NULL, ":", &save)) {
		int r;

		if (w->lower_len == OVERLAY_LOWER_MAX)
			return -EINVAL;
		r = find_directory(one, false, &w->lower[w->lower_len]);
		if (r < 0)
			return r;
		w->lower_len++;
	}
	return 0;
}

static int parse_options(char *text, struct wanted *w)
{
	static const char *const harmless[] = { "index=off",	  "metacopy=off",
						"nfs_export=off", "redirect_dir=off",
						"userxattr",	  "volatile",
						"xino=off" };
	char *save = NULL;
	int r = 0;

	for (char *key = strtok_r(text, ",", &save); key && r == 0;
	     key = strtok_r(NULL, ",", &save)) {
		char *value = strchr(key, '=');
		bool known = false;

		if (value && strncmp(key, "lowerdir=", 9) == 0) {
			r = parse_lower(value + 1, w);
			continue;
		}
		if (value && strncmp(key, "upperdir=", 9) == 0) {
			r = w->upper.dentry ? -EINVAL : find_directory(value + 1, true, &w->upper);
			continue;
		}
		if (value && strncmp(key, "workdir=", 8) == 0)
			continue; /* copies are complete before they get a name */
		for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
			known |= strcmp(key, harmless[i]) == 0;
		r = known ? 0 : -EINVAL;
	}
	return r;
}

/* Fold the lower directories from the bottom: *ret is a path to what they are together. */
static int stack_lower(const struct wanted *w, struct path *ret)
{
	struct path below = path_ref(&w->lower[w->lower_len - 1]);

	for (size_t i = w->lower_len - 1; i-- > 0;) {
		struct superblock *sb;
		struct path both;
		int r = new_from_paths(&below, &w->lower[i], false, &sb);

		path_unref(&below);
		if (r < 0)
			return r;
		r = path_of_instance(sb, &both);
		superblock_unref(sb);
		if (r < 0)
			return r;
		below = both;
	}
	*ret = below;
	return 0;
}

/* How many overlays the new one would be, with those in it. */
static unsigned int depth_of(const struct wanted *w)
{
	unsigned int deepest = w->upper.dentry ? w->upper.dentry->sb->overlays : 0;

	for (size_t i = 0; i < w->lower_len; i++) {
		const unsigned int n = w->lower[i].dentry->sb->overlays;

		if (n > deepest)
			deepest = n;
	}
	return deepest + 1;
}

static int overlay_mount(const struct filesystem_type *type, const char *source, const char *data,
			 const struct cred *cred, struct superblock **ret)
{
	AUTO_FREE char *text = strdup(data ? data : ""), *shown = strdup(data ? data : "");
	AUTO_FREE struct wanted *w = calloc(1, sizeof(*w));
	struct path lower;
	int r;

	if (!text || !shown || !w)
		return -ENOMEM;
	if (!task_current())
		return -EINVAL;
	r = parse_options(text, w);
	if (r == 0 && (w->lower_len == 0 || (!w->upper.dentry && w->lower_len < 2)))
		r = -EINVAL;
	/* Calls go down from each to the next, on one stack. */
	if (r == 0 && depth_of(w) > OVERLAY_DEPTH_MAX)
		r = -EINVAL;
	if (r == 0)
		r = stack_lower(w, &lower);
	if (r == 0) {
		r = new_from_paths(&lower, w->upper.dentry ? &w->upper : NULL, true, ret);
		path_unref(&lower);
	}
	if (r == 0) {
		(*ret)->overlays = depth_of(w);
		ovl_sb(*ret)->options = TAKE_PTR(shown);
		/* In a user namespace its maker's rights count. */
		(*ret)->nodev = cred->user_ns != NULL;
		ovl_sb(*ret)->mounter = cred->user_ns ? cred_ref(cred) : NULL;
	}
	wanted_done(w);
	return r;
}

void overlay_register(void)
{
	static struct filesystem_type type = {
		.name = "overlay",
		.user_mount = true,
		.mount = overlay_mount,
	};

	filesystem_register(&type);
}
