/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/rootfs_enter.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "ns/mount_fs.h"

unsigned long rootfs_propagation_flags(const char *word)
{
	static const struct {
		const char *word;
		unsigned long flags;
	} rows[] = {
		{ "shared", MS_SHARED },	 { "rshared", MS_SHARED | MS_REC },
		{ "slave", MS_SLAVE },		 { "rslave", MS_SLAVE | MS_REC },
		{ "private", MS_PRIVATE },	 { "rprivate", MS_PRIVATE | MS_REC },
		{ "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
	};

	for (size_t i = 0; word && i < ARRAY_LEN(rows); i++) {
		if (strcmp(word, rows[i].word) == 0)
			return rows[i].flags;
	}
	return 0;
}

static unsigned long own_flags(const struct rootfs *rootfs)
{
	return rootfs_propagation_flags(rootfs->spec->linux.rootfs_propagation);
}

/*
 * The mount that `path` lies in, found by climbing: mount(2) says EINVAL where no mount begins. The
 * path is the host's.
 */
static int make_holder_private(const char *path)
{
	AUTO_FREE char *p = realpath(path, NULL);

	if (!p)
		return -errno;
	for (;;) {
		char *slash;

		if (mount(NULL, p, NULL, MS_PRIVATE, NULL) == 0)
			return 0;
		if (errno != EINVAL)
			return -errno;
		slash = strrchr(p, '/');
		if (!slash || strcmp(p, "/") == 0)
			return -EINVAL;
		slash[slash == p] = '\0';
	}
}

/* After "rslave", "rprivate" and "runbindable" (and by default) no mount has peers on the host. */
static bool nothing_is_shared(const struct rootfs *rootfs)
{
	const unsigned long flags = own_flags(rootfs);

	return !flags || (flags & MS_REC && !(flags & MS_SHARED));
}

int rootfs_isolate(const struct rootfs *rootfs, struct err *err)
{
	unsigned long flags = own_flags(rootfs);
	int r;

	if (rootfs->spec->linux.rootfs_propagation && !flags)
		return err_set(err, -EINVAL, "rootfsPropagation \"%s\" is no propagation",
			       rootfs->spec->linux.rootfs_propagation);
	if (!flags)
		flags = MS_SLAVE | MS_REC;
	/* What is unbindable cannot be cloned: it becomes so in rootfs_enter(). */
	if (flags & MS_UNBINDABLE)
		flags = MS_PRIVATE | (flags & MS_REC);
	if (mount(NULL, "/", NULL, flags, NULL) < 0)
		return err_sys(err, -errno, "propagation of /");
	if (nothing_is_shared(rootfs))
		return 0;
	r = make_holder_private(rootfs->path);
	return r < 0 ? err_sys(err, r, "make the mount of %s private", rootfs->path) : 0;
}

/*
 * With "shared" and the words that are not recursive the host's mounts are still peers of ours:
 * unmounting them here would unmount them there. The old root has to be entered for that: "." would
 * be the new one.
 */
static int detach_shared(int old_root)
{
	if (fchdir(old_root) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return -errno;
	return 0;
}

/*
 * pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one at "/", where
 * umount2(".") finds it.
 */
static int pivot(const struct rootfs *rootfs)
{
	AUTO_CLOSE int old_root = -EBADF;

	if (!nothing_is_shared(rootfs)) {
		old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (old_root < 0)
			return -errno;
	}
	if (fchdir(rootfs->root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (old_root >= 0)
		return detach_shared(old_root);
	return umount2(".", MNT_DETACH) < 0 ? -errno : 0;
}

/* "\040" of mountinfo -> " ", in place (proc(5)). */
static void unescape(char *path)
{
	char *to = path;

	for (const char *p = path; *p;) {
		unsigned int c;

		if (p[0] == '\\' && sscanf(p + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	*to = '\0';
}

/* The mount point of a mountinfo line if it is a whole proc or sysfs, else NULL. */
static char *proc_or_sysfs(char *line)
{
	char *dash = strstr(line, " - ");
	char *root;
	char *point;

	if (!dash || !(str_after(dash + 3, "proc ") || str_after(dash + 3, "sysfs ")))
		return NULL;
	*dash = '\0';
	(void)strsep(&line, " ");
	(void)strsep(&line, " ");
	(void)strsep(&line, " ");
	root = strsep(&line, " ");
	point = strsep(&line, " ");
	if (!root || !point || strcmp(root, "/") != 0)
		return NULL;
	unescape(point);
	return point;
}

static bool is_below(const char *path, const char *top)
{
	const char *rest = str_after(path, top);

	return rest && (*rest == '\0' || *rest == '/');
}

/*
 * Without pivot_root(2) the host's tree stays below the new root. Its procfs and sysfs would be
 * full ones that a user namespace could use to mount its own (mount_too_revealing()): they go, or
 * are covered.
 */
static int drop_host_proc(const struct rootfs *rootfs)
{
	AUTO_BUF struct buf text = { 0 };
	char *rest;
	char *line;
	int r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (r < 0)
		return r;
	rest = text.data;
	while (rest && (line = strsep(&rest, "\n"))) {
		const char *point = proc_or_sysfs(line);

		if (!point || is_below(point, rootfs->path))
			continue;
		if (mount(NULL, point, NULL, MS_SLAVE | MS_REC, NULL) < 0 && errno != EINVAL &&
		    errno != ENOENT)
			return -errno;
		if (umount2(point, MNT_DETACH) == 0 || errno == ENOENT)
			continue;
		if ((errno != EINVAL && errno != EPERM) ||
		    mount("tmpfs", point, "tmpfs", 0, NULL) < 0)
			return -errno;
	}
	return 0;
}

static int move_root(const struct rootfs *rootfs)
{
	const int r = drop_host_proc(rootfs);

	if (r < 0)
		return r;
	if (fchdir(rootfs->root_fd) < 0 ||
	    move_mount(rootfs->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    chroot(".") < 0)
		return -errno;
	return 0;
}

int rootfs_enter(struct rootfs *rootfs, struct err *err)
{
	const int r = rootfs->no_pivot ? move_root(rootfs) : pivot(rootfs);

	if (r < 0)
		return err_sys(err, r, "%s", rootfs->no_pivot ? "move the root" : "pivot_root");
	/* cwd may be the old root; pivot_root(2) has moved only what stood at "/". */
	if (chdir("/") < 0)
		return err_sys(err, -errno, "chdir /");
	return 0;
}

int rootfs_propagate(const struct rootfs *rootfs, struct err *err)
{
	const unsigned long flags = own_flags(rootfs);

	if (flags && !(flags & MS_PRIVATE) && mount(NULL, "/", NULL, flags, NULL) < 0)
		return err_sys(err, -errno, "propagation of the root");
	return 0;
}
