/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount_show.c - /proc/PID/mounts and mountinfo (proc_pid_mountinfo(5)).
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/str.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/mount.h"

#define OPTIONS_MAX 1024u

/* Blanks and the backslash as octal escapes, as mangle_path() of Linux. */
static void put_escaped(struct buf *b, const char *text)
{
	for (; *text; text++) {
		if (strchr(" \t\n\\", *text))
			(void)buf_printf(b, "\\%03o", (unsigned char)*text);
		else
			(void)buf_append(b, text, 1);
	}
}

static void put_mount_options(struct buf *b, const struct mount *m, bool with_super)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} map[] = {
		{ MOUNT_NOSUID, ",nosuid" },	       { MOUNT_NODEV, ",nodev" },
		{ MOUNT_NOEXEC, ",noexec" },	       { MOUNT_NOATIME, ",noatime" },
		{ MOUNT_NODIRATIME, ",nodiratime" },   { MOUNT_RELATIME, ",relatime" },
		{ MOUNT_NOSYMFOLLOW, ",nosymfollow" },
	};
	const bool ro = m->flags & MOUNT_RDONLY || (with_super && m->sb->rdonly);

	(void)buf_puts(b, ro ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (m->flags & map[i].flag)
			(void)buf_puts(b, map[i].text);
}

static void put_super_options(struct buf *b, const struct mount *m)
{
	char options[OPTIONS_MAX] = "";

	if (m->sb->ms_flags & MS_SYNCHRONOUS)
		(void)buf_puts(b, ",sync");
	if (m->sb->ms_flags & MS_DIRSYNC)
		(void)buf_puts(b, ",dirsync");
	if (m->sb->ms_flags & MS_LAZYTIME)
		(void)buf_puts(b, ",lazytime");
	if (m->sb->ops->show_options &&
	    m->sb->ops->show_options(m->sb, options, sizeof(options)) == 0)
		(void)buf_puts(b, options);
}

/* The shown part inside of its filesystem, "/" for all of it. */
static int root_text(const struct mount *m, char **ret)
{
	const struct path part = { .dentry = m->root };
	const struct path top = { .dentry = m->sb->root };

	return path_to_text(&part, &top, ret);
}

static int put_mountinfo(struct buf *b, const struct mount *m, const char *place)
{
	AUTO_FREE char *root = NULL;
	const int r = root_text(m, &root);

	if (r < 0)
		return r;
	(void)buf_printf(b, "%d %d %u:%u ", m->id, m->parent ? m->parent->id : m->id,
			 major(m->sb->dev), minor(m->sb->dev));
	put_escaped(b, root);
	(void)buf_puts(b, " ");
	put_escaped(b, place);
	(void)buf_puts(b, " ");
	put_mount_options(b, m, false);
	if (m->peers)
		(void)buf_printf(b, " shared:%d", m->peers->id);
	if (m->master)
		(void)buf_printf(b, " master:%d", m->master->id);
	if (m->unbindable)
		(void)buf_puts(b, " unbindable");
	(void)buf_printf(b, " - %s ", m->sb->type);
	put_escaped(b, m->source);
	(void)buf_puts(b, m->sb->rdonly ? " ro" : " rw");
	put_super_options(b, m);
	(void)buf_puts(b, "\n");
	return 0;
}

static void put_mounts(struct buf *b, const struct mount *m, const char *place)
{
	put_escaped(b, m->source);
	(void)buf_puts(b, " ");
	put_escaped(b, place);
	(void)buf_printf(b, " %s ", m->sb->type);
	put_mount_options(b, m, true);
	put_super_options(b, m);
	(void)buf_puts(b, " 0 0\n");
}

int mount_ns_show(struct mount_ns *ns, const struct path *root, bool mountinfo, char **ret,
		  size_t *ret_len)
{
	AUTO_BUF struct buf b = { 0 };
	struct mount *m;
	int r = 0;

	(void)buf_puts(&b, "");
	list_for_each(m, &ns->mounts, ns_node)
	{
		const struct path at = { .mnt = m, .dentry = m->root };
		AUTO_FREE char *place = NULL;

		r = path_to_text(&at, root, &place);
		if (r < 0)
			break;
		if (place[0] != '/') /* root does not reach it */
			continue;
		if (mountinfo)
			r = put_mountinfo(&b, m, place);
		else
			put_mounts(&b, m, place);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = buf_error(&b);
	if (r < 0)
		return r;
	*ret_len = b.len;
	*ret = TAKE_PTR(b.data);
	return 0;
}
