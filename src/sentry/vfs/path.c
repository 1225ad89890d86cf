/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/path.c - paths as text: d_path() of Linux.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sentry/vfs/internal.h"

/* Text is written from the end of a buffer to its front. */
struct backwards {
	char *buf, *at;
};

static int prepend(struct backwards *b, const char *text, size_t len)
{
	if ((size_t)(b->at - b->buf) < len)
		return -ENAMETOOLONG;
	b->at -= len;
	memcpy(b->at, text, len);
	return 0;
}

/* *ret_reached: root was met on the way up. */
static int prepend_names(struct backwards *b, struct path p, const struct path *root,
			 bool *ret_reached)
{
	int r = 0;

	*ret_reached = false;
	while (r == 0) {
		if (root && path_equal(&p, root)) {
			*ret_reached = true;
			break;
		}
		if (p.mnt && p.dentry == p.mnt->root) {
			if (!p.mnt->parent) {
				*ret_reached = !root;
				break;
			}
			p = (struct path){ .mnt = p.mnt->parent, .dentry = p.mnt->mountpoint };
			continue;
		}
		if (p.dentry->parent == p.dentry) /* out of its mount, by a rename */
			break;
		r = prepend(b, p.dentry->name, p.dentry->name_len);
		if (r == 0)
			r = prepend(b, "/", 1);
		p.dentry = p.dentry->parent;
	}
	return r;
}

int path_to_text(const struct path *p, const struct path *root, char **ret)
{
	const struct dentry *d = p->dentry;
	struct backwards b;
	bool reached;
	char *text;
	int r = 0;

	if (d->parent == d && strcmp(d->name, "/") != 0)
		return str_printf(ret, "%s%s", d->name, d->unhashed ? " (deleted)" : "");
	b.buf = malloc(VFS_PATH_MAX);
	if (!b.buf)
		return -ENOMEM;
	b.at = b.buf + VFS_PATH_MAX - 1;
	*b.at = '\0';
	if (d->unhashed && d->parent != d)
		r = prepend(&b, " (deleted)", 10);
	text = b.at;
	if (r == 0)
		r = prepend_names(&b, *p, root, &reached);
	if (r == 0 && b.at == text)
		r = prepend(&b, "/", 1);
	if (r == 0 && !reached)
		r = prepend(&b, "(unreachable)", 13);
	if (r == 0) {
		*ret = strdup(b.at);
		r = *ret ? 0 : -ENOMEM;
	}
	free(b.buf);
	return r;
}
