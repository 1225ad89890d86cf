/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"

#define FSCONFIG_VALUE_MAX 255 /* fsconfig(2): strndup_user(value, 256) */
#define MS_FOR_MOUNT2                                                                  \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_MANDLOCK | \
	 MS_DIRSYNC | MS_NOSYMFOLLOW_BIT | MS_NOATIME | MS_NODIRATIME | MS_RELATIME |  \
	 MS_STRICTATIME | MS_I_VERSION | MS_LAZYTIME | MS_SILENT)
#define MS_NOSYMFOLLOW_BIT 256ul /* MS_NOSYMFOLLOW, which older headers lack */

int mount_fail(struct err *err, int code)
{
	const char *text = strerrordesc_np(-code);

	return err_set(err, code, "%s", text ? text : "error");
}

/*
 * Cut the next option off `*cursor`, in place: a comma inside double quotes or after a backslash
 * (overlay's directories) does not end it. NULL at the end.
 */
static char *next_option(char **cursor)
{
	char *start = *cursor;
	bool quoted = false;
	char *p;

	if (!start || !*start)
		return NULL;
	for (p = start; *p && (*p != ',' || quoted); p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '\\' && p[1])
			p++;
	}
	*cursor = *p ? p + 1 : NULL;
	*p = '\0';
	return start;
}

/* "value" in quotes -> value, in place. */
static char *unquote(char *value)
{
	const size_t len = strlen(value);

	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return value;
	value[len - 1] = '\0';
	return value + 1;
}

bool mount_fs_is_plain(const struct mount_fs *fs)
{
	size_t len = 0;
	bool quoted = false;

	if (fs->flags & MS_I_VERSION || (fs->source && strlen(fs->source) > FSCONFIG_VALUE_MAX))
		return false;
	/* Key and value together: near the limit mount(2) is taken earlier than need be. */
	for (const char *p = fs->data; p && *p; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (*p == ',' && !quoted && (p == fs->data || p[-1] != '\\'))
			len = 0;
		else if (++len > FSCONFIG_VALUE_MAX)
			return false;
	}
	return true;
}

/* Append what the file system said ("e tmpfs: Bad value for 'size'") and the errno. */
static int fail_with_log(int fs_fd, int code, const char *what, struct err *err)
{
	char line[256];
	ssize_t n;

	/* Lines are prefixed with their level: only errors matter, the last one most. */
	while ((n = read(fs_fd, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (str_after(line, "e "))
			return err_sys(err, code, "%s%s%s", what, *what ? ": " : "", line + 2);
	}
	return *what ? err_sys(err, code, "%s", what) : mount_fail(err, code);
}

static int set_option(int fs_fd, char *option, struct err *err)
{
	char what[FSCONFIG_VALUE_MAX + 64];
	char *value = strchr(option, '=');
	int r;

	(void)snprintf(what, sizeof(what), "option %s", option);
	if (value) {
		*value++ = '\0';
		value = unquote(value);
	}
	/* An empty value reads as a flag ("lowerdir=" is an error of the file system's own). */
	r = value ? fsconfig(fs_fd, FSCONFIG_SET_STRING, option, value, 0)
		  : fsconfig(fs_fd, FSCONFIG_SET_FLAG, option, NULL, 0);
	return r < 0 ? fail_with_log(fs_fd, -errno, what, err) : 0;
}

static int set_data(int fs_fd, const char *data, struct err *err)
{
	AUTO_FREE char *copy = NULL;
	char *cursor;
	char *option;
	int r = 0;

	if (!data || !*data)
		return 0;
	copy = strdup(data);
	if (!copy)
		return mount_fail(err, -ENOMEM);
	cursor = copy;
	while (r == 0 && (option = next_option(&cursor))) {
		if (*option)
			r = set_option(fs_fd, option, err);
	}
	return r;
}

/*
 * Pseudo file systems whose instance is shared or private to the container anyway: read-only is a
 * property of the mount there, so that another mount of it stays writable.
 */
static bool readonly_is_of_mount(const char *type)
{
	static const char *const types[] = { "proc",   "sysfs",	  "mqueue", "devpts",
					     "cgroup", "cgroup2", "tmpfs" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

/* The flags of mount(2) that belong to the superblock, by their names in fsconfig(2). */
static int set_superblock_flags(int fs_fd, const struct mount_fs *fs, struct err *err)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} rows[] = {
		{ MS_RDONLY, "ro" },	 { MS_SYNCHRONOUS, "sync" },  { MS_DIRSYNC, "dirsync" },
		{ MS_MANDLOCK, "mand" }, { MS_LAZYTIME, "lazytime" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!(fs->flags & rows[i].flag) ||
		    (rows[i].flag == MS_RDONLY && readonly_is_of_mount(fs->type)))
			continue;
		if (fsconfig(fs_fd, FSCONFIG_SET_FLAG, rows[i].name, NULL, 0) < 0)
			return fail_with_log(fs_fd, -errno, rows[i].name, err);
	}
	return 0;
}

int mount_fs_create(const struct mount_fs *fs, int *ret_mount_fd, struct err *err)
{
	AUTO_CLOSE int fs_fd = fsopen(fs->type, FSOPEN_CLOEXEC);
	const char *source = fs->source && *fs->source ? fs->source : fs->type;
	int r;

	if (fs_fd < 0)
		return mount_fail(err, -errno);
	if (fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fail_with_log(fs_fd, -errno, "source", err);
	r = set_superblock_flags(fs_fd, fs, err);
	if (r == 0)
		r = set_data(fs_fd, fs->data, err);
	if (r < 0)
		return r;
	if (fs->label && *fs->label &&
	    fsconfig(fs_fd, FSCONFIG_SET_STRING, "context", fs->label, 0) < 0)
		return fail_with_log(fs_fd, -errno, "context", err);
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_with_log(fs_fd, -errno, "", err);
	r = fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned int)fs->attr);
	if (r < 0)
		return fail_with_log(fs_fd, -errno, "", err);
	*ret_mount_fd = r;
	return 0;
}

int mount_fs_on(const struct mount_fs *fs, int dir_fd, const char *name, struct err *err)
{
	AUTO_BUF struct buf labelled = { 0 };
	const char *source = fs->source && *fs->source ? fs->source : fs->type;
	const char *data = fs->data;

	if (fs->label && *fs->label) {
		(void)buf_printf(&labelled, "%s%scontext=\"%s\"", data ? data : "", data ? "," : "",
				 fs->label);
		if (buf_error(&labelled) < 0)
			return mount_fail(err, buf_error(&labelled));
		data = labelled.data;
	}
	if (fchdir(dir_fd) < 0 ||
	    mount(source, name, fs->type, fs->flags & MS_FOR_MOUNT2, data) < 0)
		return mount_fail(err, -errno);
	return 0;
}

int mount_fs_reconfigure(const struct mount_fs *fs, int fd, struct err *err)
{
	AUTO_CLOSE int fs_fd = fspick(fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	int r;

	if (fs_fd < 0)
		return mount_fail(err, -errno);
	r = set_superblock_flags(fs_fd, fs, err);
	if (r == 0)
		r = set_data(fs_fd, fs->data, err);
	if (r < 0)
		return r;
	if (fsconfig(fs_fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return fail_with_log(fs_fd, -errno, "", err);
	return 0;
}
