/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that are looked up in the container's own tree: the program and the home directory.
 * Everything read here is hostile. The messages are runc's, which Podman and containerd turn into
 * exit codes 126 and 127.
 */
#include "ns/stage.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define PASSWD_MAX (1u << 20) /* bytes of /etc/passwd that are read */

/* 0 if `path` is a file that execve(2) may run, else -errno. */
static int is_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!(st.st_mode & 0111))
		return -EACCES;
	return 0;
}

static int copy_path(const char *path, char **ret, struct err *err)
{
	char *copy = strdup(path);

	if (!copy)
		return err_sys(err, -ENOMEM, "exec %s", path);
	*ret = copy;
	return 0;
}

static int find_by_path(const char *name, char **ret, struct err *err)
{
	const int r = is_program(name);

	if (r == -ENOENT || r == -ENOTDIR)
		return err_set(err, r, "exec: \"%s\": stat %s: no such file or directory", name,
			       name);
	if (r == -EISDIR)
		return err_set(err, -EACCES, "exec: \"%s\": is a directory: permission denied",
			       name);
	if (r == -EACCES)
		return err_set(err, r, "exec: \"%s\": permission denied", name);
	if (r < 0)
		return err_sys(err, r, "exec: \"%s\"", name);
	return copy_path(name, ret, err);
}

static const char *search_path(const struct oci_process *process)
{
	for (size_t i = 0; i < process->env.len; i++) {
		const char *value = str_after(process->env.items[i], "PATH=");

		if (value)
			return value;
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

int stage_find_program(const struct oci_process *process, char **ret, struct err *err)
{
	const char *name = process->args.items[0];
	bool denied = false;

	if (name[0] == '/')
		return find_by_path(name, ret, err);
	/* Relative to process.cwd, where only caisson-init goes: exec itself will judge. */
	if (strchr(name, '/'))
		return copy_path(name, ret, err);
	for (const char *p = search_path(process); name[0]; p++) {
		const size_t len = strcspn(p, ":");
		AUTO_FREE char *candidate = NULL;
		int r = str_printf(&candidate, "%.*s/%s", (int)len, len ? p : ".", name);

		if (r < 0)
			return err_sys(err, r, "exec %s", name);
		/* An empty or relative element means the working directory: never searched here. */
		if (*p == '/') {
			r = is_program(candidate);
			if (r == 0) {
				*ret = TAKE_PTR(candidate);
				return 0;
			}
			denied = denied || r == -EACCES;
		}
		p += len;
		if (!*p)
			break;
	}
	if (denied)
		return err_set(err, -EACCES, "exec: \"%s\": permission denied", name);
	return err_set(err, -ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

/* Field `n` of a passwd(5) line, as a span of the line; false if there is none. */
static bool passwd_field(const char *line, size_t len, int n, const char **ret, size_t *ret_len)
{
	const char *end = line + len;

	for (; n > 0; n--) {
		line = memchr(line, ':', (size_t)(end - line));
		if (!line)
			return false;
		line++;
	}
	*ret = line;
	const char *colon = memchr(line, ':', (size_t)(end - line));

	*ret_len = (size_t)((colon ? colon : end) - line);
	return true;
}

int lookup_home(const char *passwd, size_t len, uint32_t uid, char **ret)
{
	const char *p = passwd, *end = passwd + len;

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const size_t line_len = (size_t)((newline ? newline : end) - p);
		const char *field;
		size_t field_len;
		char number[16];
		uint64_t value;

		if (passwd_field(p, line_len, 2, &field, &field_len) &&
		    field_len < sizeof(number)) {
			memcpy(number, field, field_len);
			number[field_len] = '\0';
			if (str_to_u64(number, UINT32_MAX, &value) == 0 && value == uid &&
			    passwd_field(p, line_len, 5, &field, &field_len) && field_len > 0 &&
			    field[0] == '/' && !memchr(field, '\0', field_len))
				return str_printf(ret, "HOME=%.*s", (int)field_len, field);
		}
		p += line_len + 1;
	}
	return -ENOENT;
}

int stage_home(uint32_t uid, char **ret, struct err *err)
{
	AUTO_BUF struct buf text = { .max = PASSWD_MAX };
	AUTO_CLOSE int fd =
		fd_open_resolve(AT_FDCWD, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
				RESOLVE_NO_MAGICLINKS);
	struct stat st;
	int r = -ENOENT;

	/* A fifo or a device in its place would block or worse. */
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd_read_all(fd, &text) == 0 &&
	    text.data)
		r = lookup_home(text.data, text.len, uid, ret);
	if (r < 0)
		r = str_printf(ret, "HOME=/");
	if (r < 0)
		return err_sys(err, r, "find the home directory");
	return 0;
}
