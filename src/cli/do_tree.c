/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/do_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

#define OVERLAYS_MAX	256 /* directories and files of the host that are mounted one by one */
#define DEPTH_MAX	16  /* of directories above mount points */
#define SCRATCH_OPTIONS "mode=0700,size=25%"
#define COPY_CHUNK	(1u << 20) /* bytes */
#define MOUNTINFO_MAX	(4u << 20) /* bytes */

static int write_map(const char *file, unsigned int outside, struct err *err)
{
	char text[32];
	int r;

	(void)snprintf(text, sizeof(text), "0 %u 1", outside);
	r = fd_write_file(AT_FDCWD, file, text);
	return r < 0 ? err_sys(err, r, "write %s", file) : 0;
}

int do_tree_enter(struct do_tree *tree, uid_t uid, gid_t gid, struct err *err)
{
	const int flags = CLONE_NEWNS | (uid != 0 ? CLONE_NEWUSER : 0);
	int r = 0;

	tree->host_uid = uid;
	if (unshare(flags) < 0) {
		r = -errno;
		return err_sys(err, r,
			       uid ? "do: this host gives ordinary users no user namespace "
				     "(see \"caisson check\"): unshare"
				   : "do: unshare a mount namespace");
	}
	if (uid != 0) {
		tree->user_namespace = true;
		r = fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
		if (r < 0)
			return err_sys(err, r, "write /proc/self/setgroups");
		r = write_map("/proc/self/uid_map", uid, err);
		if (r == 0)
			r = write_map("/proc/self/gid_map", gid, err);
		if (r < 0)
			return r;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, -errno, "do: make / a slave mount");
	return 0;
}

/*
 * Where the private tmpfs goes: one empty directory per user that stays, since removing it would
 * take the mount from other sandboxes. Somebody else's directory of that name is refused.
 */
static int make_scratch(struct do_tree *tree, struct err *err)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int len;

	if (!tree->user_namespace)
		len = snprintf(tree->scratch, DO_PATH_MAX, "/run/caisson-do");
	else if (runtime_dir && runtime_dir[0] == '/' && access(runtime_dir, W_OK) == 0)
		len = snprintf(tree->scratch, DO_PATH_MAX, "%s/caisson-do", runtime_dir);
	else
		len = snprintf(tree->scratch, DO_PATH_MAX, "/tmp/caisson-do-%u", tree->host_uid);
	if (len >= DO_PATH_MAX - 64)
		return err_set(err, -ENAMETOOLONG, "do: XDG_RUNTIME_DIR is too long");
	if (mkdir(tree->scratch, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "do: make %s", tree->scratch);
	if (lstat(tree->scratch, &st) < 0)
		return err_sys(err, -errno, "do: stat %s", tree->scratch);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(err, -EPERM, "do: %s is not a directory of this user's alone",
			       tree->scratch);
	if (mount("tmpfs", tree->scratch, "tmpfs", MS_NOSUID | MS_NODEV, SCRATCH_OPTIONS) < 0)
		return err_sys(err, -errno, "do: mount a tmpfs at %s", tree->scratch);
	return 0;
}

static int make_dir(const char *base, const char *name, char *ret, struct err *err)
{
	if (snprintf(ret, DO_PATH_MAX, "%s/%s", base, name) >= DO_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "do: %s/%s: too long", base, name);
	if (mkdir(ret, 0755) < 0)
		return err_sys(err, -errno, "do: make %s", ret);
	return 0;
}

/*
 * A copy of this program's file: the sandbox shall run it as process 1, and what untrusted code
 * runs must not be the file that the host runs (CVE-2019-5736).
 */
static int copy_program(struct do_tree *tree, struct err *err)
{
	AUTO_CLOSE int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int out = -EBADF;
	ssize_t n;

	(void)snprintf(tree->init, DO_PATH_MAX, "%.*s/init", DO_PATH_MAX - 8, tree->scratch);
	if (in < 0)
		return err_sys(err, -errno, "do: open /proc/self/exe");
	out = open(tree->init, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	if (out < 0)
		return err_sys(err, -errno, "do: create %s", tree->init);
	while ((n = sendfile(out, in, NULL, COPY_CHUNK)) > 0)
		;
	if (n < 0 || fchmod(out, 0555) < 0)
		return err_sys(err, -errno, "do: copy this program to %s", tree->init);
	return 0;
}

/* A path in the options of overlayfs: ':' and ',' and '\' would end it. */
static bool plain_path(const char *path)
{
	return strpbrk(path, ":,\\") == NULL;
}

/* An overlay's top directory is its upper one. In a user namespace there is only one owner. */
static int copy_attributes(const char *lower, const char *upper, bool one_owner)
{
	struct stat st;

	if (stat(lower, &st) < 0)
		return -errno;
	if (!one_owner && chown(upper, st.st_uid, st.st_gid) < 0)
		return -errno;
	return chmod(upper, st.st_mode & 07777) < 0 ? -errno : 0;
}

/*
 * Overlay of `lower` at `target`; its upper directory is scratch/upN, which no process of the
 * sandbox can name. In a user namespace overlayfs keeps its notes in user.* attributes.
 */
static int mount_overlay(struct do_tree *tree, const char *lower, const char *target)
{
	AUTO_FREE char *options = NULL;
	char upper[DO_PATH_MAX], work[DO_PATH_MAX];
	char name[32];
	int r;

	if (!plain_path(lower) || !plain_path(tree->scratch))
		return -EINVAL;
	(void)snprintf(name, sizeof(name), "up%u", tree->overlays);
	r = make_dir(tree->scratch, name, upper, NULL);
	(void)snprintf(name, sizeof(name), "work%u", tree->overlays);
	if (r == 0)
		r = make_dir(tree->scratch, name, work, NULL);
	tree->overlays++;
	if (r == 0)
		r = copy_attributes(lower, upper, tree->user_namespace);
	if (r == 0)
		r = str_printf(&options, "lowerdir=%s,upperdir=%s,workdir=%s%s", lower, upper, work,
			       tree->user_namespace ? ",userxattr" : "");
	if (r < 0)
		return r;
	return mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

/* `source` and all below it, without writing, at `target`. */
static int bind_readonly(const char *source, const char *target)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	};

	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	if (syscall(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, &attr, sizeof(attr)) < 0) {
		const int r = -errno;

		(void)umount2(target, MNT_DETACH);
		return r;
	}
	return 0;
}

static int show(struct do_tree *tree, const struct do_mounts *mounts, const char *path,
		unsigned int depth);

/* True if `path` is a mount point of something that the sandbox does not show. */
static bool is_hidden(const struct do_mounts *mounts, const char *path)
{
	const struct do_mount *mount = do_mounts_holding(mounts, path);

	return do_path_fresh(path) ||
	       (mount && str_eq(mount->path, path) && !do_mount_shown(mount));
}

static int show_link(const char *path, const char *target)
{
	char text[DO_PATH_MAX];
	const ssize_t n = readlink(path, text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return symlink(text, target) < 0 ? -errno : 0;
}

static int show_file(struct do_tree *tree, const char *path, const char *target)
{
	AUTO_CLOSE int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	tree->overlays++;
	return bind_readonly(path, target);
}

/* One entry of a plain directory. Sockets, pipes and devices stay out. */
static int show_entry(struct do_tree *tree, const struct do_mounts *mounts, const char *path,
		      unsigned int depth)
{
	char target[DO_PATH_MAX];
	struct stat st;

	if (snprintf(target, sizeof(target), "%s%s", tree->rootfs, path) >= (int)sizeof(target))
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0)
		return 0; /* gone, or not for this user */
	if (S_ISLNK(st.st_mode))
		return show_link(path, target);
	if (S_ISREG(st.st_mode))
		return show_file(tree, path, target);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (mkdir(target, st.st_mode & 07777) < 0 && errno != EEXIST)
		return -errno;
	return is_hidden(mounts, path) ? 0 : show(tree, mounts, path, depth + 1);
}

/* The entries of a directory, one by one, in a plain directory of the tmpfs. */
static int show_entries(struct do_tree *tree, const struct do_mounts *mounts, const char *path,
			unsigned int depth)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return errno == EACCES ? 0 : -errno;
	while ((entry = readdir(dir)) != NULL) {
		char child[DO_PATH_MAX];
		int r;

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		if (tree->overlays >= OVERLAYS_MAX) {
			log_warning("do: too many entries: not all of %s is in the sandbox", path);
			break;
		}
		r = snprintf(child, sizeof(child), "%s/%s", str_eq(path, "/") ? "" : path,
			     entry->d_name) < (int)sizeof(child)
			    ? show_entry(tree, mounts, child, depth)
			    : -ENAMETOOLONG;
		if (r < 0)
			log_warning("do: %s is not in the sandbox: %s", child, strerrordesc_np(-r));
	}
	(void)closedir(dir);
	return 0;
}

/* Mounts that one overlay of `path` would not show, or (in a user namespace) that forbid it. */
static bool has_mounts_below(const struct do_tree *tree, const struct do_mounts *mounts,
			     const char *path)
{
	const size_t len = str_eq(path, "/") ? 0 : strlen(path);

	for (size_t i = 0; i < mounts->len; i++) {
		const struct do_mount *mount = &mounts->items[i];

		if (strncmp(mount->path, path, len) == 0 && mount->path[len] == '/' &&
		    mount->path[len + 1] && (tree->user_namespace || do_mount_shown(mount)))
			return true;
	}
	return false;
}

/*
 * The host's directory `path` in its place: one overlay; above other mounts, of which an overlay
 * shows nothing and which may be locked, the entries.
 */
static int show(struct do_tree *tree, const struct do_mounts *mounts, const char *path,
		unsigned int depth)
{
	char target[DO_PATH_MAX];

	if (snprintf(target, sizeof(target), "%s%s", tree->rootfs, path) >= (int)sizeof(target))
		return -ENAMETOOLONG;
	if (depth < DEPTH_MAX && has_mounts_below(tree, mounts, path))
		return show_entries(tree, mounts, path, depth);
	return mount_overlay(tree, path, target);
}

/* Whether overlays work here at all, before hundreds are tried: of a directory that everybody has.
 */
static int try_overlay(struct do_tree *tree, struct err *err)
{
	char probe[DO_PATH_MAX];
	int r = make_dir(tree->scratch, "probe", probe, err);

	if (r == 0)
		r = mount_overlay(tree, "/usr", probe);
	if (r == 0)
		(void)umount2(probe, MNT_DETACH);
	return r;
}

/* The root: overlays, or all of the host's tree without writing. */
static int build_root(struct do_tree *tree, const struct do_mounts *mounts, struct err *err)
{
	int r = try_overlay(tree, err);

	if (r == 0) {
		r = show(tree, mounts, "/", 0);
		return r < 0 ? err_sys(err, r, "do: the root of the sandbox") : 0;
	}
	log_warning("do: no overlay on this host (%s): files outside /tmp cannot be written",
		    strerrordesc_np(-r));
	tree->readonly = true;
	r = bind_readonly("/", tree->rootfs);
	return r < 0 ? err_sys(err, r, "do: bind / read-only") : 0;
}

/* A directory below /tmp, or one on a file system that is not shown: brought in by an overlay. */
static int build_cwd(struct do_tree *tree, const struct do_mounts *mounts, const char *cwd,
		     struct err *err)
{
	const struct do_mount *mount = do_mounts_holding(mounts, cwd);
	int r;

	if (!do_path_fresh(cwd) && mount && do_mount_shown(mount))
		return 0;
	if (do_path_fresh(cwd) && !str_after(cwd, "/tmp/")) {
		log_warning("do: the host's %s is not shown in the sandbox", cwd);
		return 0;
	}
	r = make_dir(tree->scratch, "cwd", tree->cwd, err);
	if (r < 0)
		return r;
	r = tree->readonly ? -EINVAL : mount_overlay(tree, cwd, tree->cwd);
	if (r < 0) {
		tree->cwd_readonly = true;
		r = bind_readonly(cwd, tree->cwd);
	}
	return r < 0 ? err_sys(err, r, "do: show %s in the sandbox", cwd) : 0;
}

/* Before our own mounts are made, so that they are not in it. */
static int read_mounts(struct do_mounts *ret, struct err *err)
{
	AUTO_BUF struct buf text = { .max = MOUNTINFO_MAX };
	int r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (r == 0 && text.data)
		r = do_mounts_parse(TAKE_PTR(text.data), ret);
	return r < 0 ? err_sys(err, r, "read /proc/self/mountinfo") : 0;
}

int do_tree_build(struct do_tree *tree, const char *cwd, bool keep_cwd, struct err *err)
{
	AUTO(do_mounts_done) struct do_mounts mounts = { 0 };
	int r = read_mounts(&mounts, err);

	if (r == 0)
		r = make_scratch(tree, err);
	if (r == 0)
		r = make_dir(tree->scratch, "rootfs", tree->rootfs, err);
	if (r == 0)
		r = make_dir(tree->scratch, "bundle", tree->bundle, err);
	if (r == 0)
		r = make_dir(tree->scratch, "state", tree->state, err);
	if (r == 0)
		r = copy_program(tree, err);
	if (r == 0)
		r = build_root(tree, &mounts, err);
	if (r == 0 && !keep_cwd)
		r = build_cwd(tree, &mounts, cwd, err);
	return r;
}
