/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define MALFORMED  '\1'
#define PASSWD_MAX (1u << 20) /* bytes of /etc/passwd that are read */

/* 0 if `name` is a file that execve(2) may run, else -errno. */
static int is_program(const struct vfs_ctx *ctx, const char *name)
{
	struct path at;
	uint32_t mode;
	int r = path_walk(ctx, NULL, name, WALK_FOLLOW, &at);

	if (r < 0)
		return r;
	mode = at.dentry->inode->mode;
	path_unref(&at);
	if (S_ISDIR(mode))
		return -EISDIR;
	return mode & 0111 ? 0 : -EACCES;
}

static int copy_path(const char *path, char **ret, struct err *err)
{
	*ret = strdup(path);
	return *ret ? 0 : err_sys(err, -ENOMEM, "exec %s", path);
}

static int find_by_path(const struct vfs_ctx *ctx, const char *name, char **ret, struct err *err)
{
	const int r = is_program(ctx, name);

	switch (r) {
	case 0:
		return copy_path(name, ret, err);
	case -ENOENT:
	case -ENOTDIR:
		return err_set(err, r, "exec: \"%s\": stat %s: no such file or directory", name,
			       name);
	case -EISDIR:
		return err_set(err, -EACCES, "exec: \"%s\": is a directory: permission denied",
			       name);
	case -EACCES:
		return err_set(err, r, "exec: \"%s\": permission denied", name);
	default:
		return err_sys(err, r, "exec: \"%s\"", name);
	}
}

static const char *search_path(const struct sentry_process *p)
{
	for (uint32_t i = 0; i < p->env.len; i++) {
		const char *value = str_after(p->env.items[i], "PATH=");

		if (value)
			return value;
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

int program_find(const struct vfs_ctx *ctx, const struct sentry_process *p, char **ret,
		 struct err *err)
{
	const char *name = p->program[0] ? p->program : p->args.items[0];
	bool denied = false;

	if (name[0] == '/')
		return find_by_path(ctx, name, ret, err);
	/* Relative to the working directory: exec itself judges. */
	if (strchr(name, '/'))
		return copy_path(name, ret, err);
	for (const char *at = search_path(p); name[0]; at++) {
		const size_t len = strcspn(at, ":");
		AUTO_FREE char *candidate = NULL;
		int r = str_printf(&candidate, "%.*s/%s", (int)len, at, name);

		if (r < 0)
			return err_sys(err, r, "exec %s", name);
		if (*at == '/') {
			r = is_program(ctx, candidate);
			if (r == 0) {
				*ret = TAKE_PTR(candidate);
				return 0;
			}
			denied = denied || r == -EACCES;
		}
		at += len;
		if (!*at)
			break;
	}
	if (denied)
		return err_set(err, -EACCES, "exec: \"%s\": permission denied", name);
	return err_set(err, -ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

/* Field n of a passwd(5) line, cut out of it; NULL if there is none. */
static char *passwd_field(char *line, int n)
{
	char *colon;

	for (; n > 0; n--) {
		line = strchr(line, ':');
		if (!line)
			return NULL;
		line++;
	}
	colon = strchr(line, ':');
	if (colon)
		*colon = '\0';
	return line;
}

static int find_home(char *text, uint32_t uid, char **ret)
{
	char *next;

	for (char *line = text; line; line = next) {
		const char *home, *number;
		uint64_t value;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		/* From the last field on: each is cut off. */
		home = passwd_field(line, 5);
		number = passwd_field(line, 2);
		if (home && home[0] == '/' && !strchr(home, MALFORMED) && number &&
		    str_to_u64(number, UINT32_MAX, &value) == 0 && value == uid)
			return str_printf(ret, "HOME=%s", home);
	}
	return -ENOENT;
}

int program_home(const struct vfs_ctx *ctx, uint32_t uid, char **ret)
{
	AUTO_FREE char *text = NULL;
	AUTO_FILE struct file *f = NULL;
	ssize_t n = -ENOENT;
	int r;

	/* A fifo or a device in its place would block or worse. */
	if (vfs_open(ctx, NULL, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, WALK_NO_MAGIC,
		     &f) == 0 &&
	    f->inode && S_ISREG(f->inode->mode))
		text = malloc(PASSWD_MAX + 1);
	if (text)
		n = file_read_kernel(f, text, PASSWD_MAX, 0);
	if (n > 0) {
		/* A line with a NUL in it is malformed, not shorter. */
		for (ssize_t i = 0; i < n; i++)
			text[i] = text[i] ? text[i] : MALFORMED;
		text[n] = '\0';
		r = find_home(text, uid, ret);
		if (r != -ENOENT)
			return r;
	}
	return str_printf(ret, "HOME=/");
}
