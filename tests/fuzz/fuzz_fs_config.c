/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program gives to fsconfig(2), and thereby the option texts of mount(2): the first line is
 * a type, then a line is a flag or KEY=VALUE. An empty line makes the instance; the rest changes
 * it. What an instance shows of itself (/proc/mounts) describes it: another made so shows the same.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/mount_api.h"
#include "sentry/vfs/namei.h"

#define SHOWN_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct path root;
static struct vfs_ctx ctx;
static struct mount_ns *ns;

/* A root for the names that an overlay is given: /a, /b, /b/w. */
static void begin(void)
{
	struct tmpfs_options options = { .mode = 0755 };
	struct superblock *sb;

	tmpfs_register();
	overlay_register();
	devpts_register();
	cgroup_register();
	assert(tmpfs_new(&options, &sb) == 0);
	assert(mount_ns_new(sb, MOUNT_RELATIME, "none", &ns) == 0);
	superblock_unref(sb);
	root = (struct path){ .mnt = ns->root, .dentry = ns->root->root };
	ctx = (struct vfs_ctx){
		.cred = cred_new_root(), .root = &root, .cwd = &root, .fsize_limit = UINT64_MAX
	};
	assert(vfs_mkdir(&ctx, NULL, "/a", 0755) == 0 && vfs_mkdir(&ctx, NULL, "/b", 0755) == 0 &&
	       vfs_mkdir(&ctx, NULL, "/b/w", 0755) == 0);
}

static void set_line(struct file *f, char *line)
{
	char *value = strchr(line, '=');
	int r;

	if (value)
		*value++ = '\0';
	/* The caller's limit, in bytes of strndup_user(). */
	if (strlen(line) > FS_CONFIG_KEY_MAX || (value && strlen(value) > FS_CONFIG_KEY_MAX))
		return;
	r = fs_config_set(f, line, value);
	assert(r == 0 || r == -EINVAL || r == -ENOMEM || r == -EBUSY);
}

static void show(struct superblock *sb, char shown[SHOWN_MAX])
{
	int n = 0;

	if (sb->ops->show_options)
		n = sb->ops->show_options(sb, shown, SHOWN_MAX);
	assert(n >= 0 && n < SHOWN_MAX);
	shown[n] = '\0';
}

/* Sizes and ids are rounded and translated once at most. */
static void judge(const char *type, struct superblock *sb)
{
	char shown[SHOWN_MAX], again[SHOWN_MAX];
	struct superblock *other;

	show(sb, shown);
	assert(shown[0] == '\0' || shown[0] == ',');
	if (strcmp(type, "tmpfs") != 0 && strcmp(type, "devpts") != 0)
		return;
	assert(superblock_make(&ctx, type, "none", shown[0] ? shown + 1 : "", 0, &other) == 0);
	show(other, again);
	assert(strcmp(shown, again) == 0);
	assert(!sb->ops->remount || sb->ops->remount(other, shown[0] ? shown + 1 : "") == 0);
	show(other, again);
	assert(strcmp(shown, again) == 0);
	mount_unref(mount_new(other, other->root, 0, NULL));
	superblock_unref(other);
}

static void make(const char *type, struct file *f, char **rest)
{
	struct file *tree;
	char *line;

	if (fs_config_create(&ctx, f) < 0 || fs_config_mount(&ctx, ns, f, 0, &tree) < 0)
		return;
	judge(type, tree->path.mnt->sb);
	while ((line = strsep(rest, "\n")))
		set_line(f, line);
	if (fs_config_reconfigure(&ctx, f) == 0)
		judge(type, tree->path.mnt->sb);
	file_unref(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *line;
	const char *type;
	struct file *f;

	if (!ns)
		begin();
	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	type = strsep(&rest, "\n");
	if (fs_config_open(&ctx, type, &f) == 0) {
		while ((line = strsep(&rest, "\n")) && *line)
			set_line(f, line);
		make(type, f, &rest);
		file_unref(f);
	}
	free(text);
	return 0;
}
