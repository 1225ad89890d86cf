/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/do_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

#define SUBMOUNTS_MAX	 128 /* file systems of the host that get an overlay */
#define SCRATCH_OPTIONS	 "mode=0700,size=25%"
#define MOUNTINFO_MAX	 (4u << 20) /* bytes */

/* What the sandbox has afresh; nothing of the host's is shown below. */
static const char *const hidden[] = { "/proc", "/sys", "/dev", "/run", "/tmp" };

static bool below(const char *path, const char *dir)
{
	const char *rest = str_after(path, dir);

	return rest && (*rest == '/' || *rest == '\0');
}

bool do_tree_shows(const char *fs_type, const char *path)
{
	static const char *const types[] = { "ext2",  "ext3",	  "ext4",     "xfs",	"btrfs",
					     "zfs",   "f2fs",	  "bcachefs", "vfat",	"exfat",
					     "ntfs3", "iso9660", "squashfs", "erofs",	"nfs",
					     "nfs4",  "cifs",	  "9p",	      "virtiofs", "ubifs",
					     "jfs",   "reiserfs", "udf" };

	if (path[0] != '/' || path[1] == '\0')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (below(path, hidden[i]))
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_eq(fs_type, types[i]))
			return true;
	}
	return false;
}

void do_tree_unescape(char *path)
{
	char *to = path;

	for (const char *s = path; *s; to++) {
		const bool octal = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
				   s[2] <= '7' && s[3] >= '0' && s[3] <= '7';

		if (octal) {
			*to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
}

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

/* A path in the options of overlayfs: ':' and ',' and '\' would end it. */
static bool plain_path(const char *path)
{
	return strpbrk(path, ":,\\") == NULL;
}

/*
 * Overlay of `lower` at `target`; its upper directory is scratch/upN, which no process of the sandbox
 * can name. In a user namespace overlayfs keeps its notes in user.* attributes.
 */
static int mount_overlay(const struct do_tree *tree, const char *lower, const char *target,
			 unsigned int number)
{
	char upper[DO_PATH_MAX], work[DO_PATH_MAX];
	AUTO_FREE char *options = NULL;
	char name[32];
	int r;

	if (!plain_path(lower) || !plain_path(tree->scratch))
		return -EINVAL;
	(void)snprintf(name, sizeof(name), "up%u", number);
	r = make_dir(tree->scratch, name, upper, NULL);
	if (r == 0) {
		(void)snprintf(name, sizeof(name), "work%u", number);
		r = make_dir(tree->scratch, name, work, NULL);
	}
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

/* One more file system of the host's, in its place of the tree. Its failure is a warning. */
static void show_submount(const struct do_tree *tree, const char *path, unsigned int number)
{
	char target[DO_PATH_MAX];
	struct stat st;
	int r;

	if (snprintf(target, sizeof(target), "%s%s", tree->rootfs, path) >= (int)sizeof(target))
		return;
	if (stat(path, &st) < 0 || stat(target, &st) < 0)
		return; /* not for this user, or hidden below a later mount */
	r = S_ISDIR(st.st_mode) ? mount_overlay(tree, path, target, number) : -ENOTDIR;
	if (r < 0)
		r = bind_readonly(path, target);
	if (r < 0)
		log_warning("do: %s is not in the sandbox: %s", path, strerrordesc_np(-r));
}

/*
 * Fields of a mountinfo line (proc_pid_mountinfo(5)): the fifth is the mount point, the type follows
 * " - ". Both are cut out of the line.
 */
static bool split_line(char *line, char **ret_path, char **ret_type)
{
	char *dash = strstr(line, " - ");
	char *field = line;

	if (!dash)
		return false;
	*ret_type = dash + 3;
	(*ret_type)[strcspn(*ret_type, " ")] = '\0';
	for (int i = 0; i < 4; i++) {
		field = strchr(field, ' ');
		if (!field)
			return false;
		field++;
	}
	field[strcspn(field, " ")] = '\0';
	*ret_path = field;
	do_tree_unescape(field);
	return true;
}

static int show_submounts(const struct do_tree *tree, struct err *err)
{
	AUTO_BUF struct buf text = { .max = MOUNTINFO_MAX };
	unsigned int number = 1;
	char *next;
	int r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (r < 0)
		return err_sys(err, r, "read /proc/self/mountinfo");
	for (char *line = text.data; line && *line; line = next) {
		char *path, *type;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!split_line(line, &path, &type) || !do_tree_shows(type, path))
			continue;
		if (number > SUBMOUNTS_MAX) {
			log_warning("do: more than %d file systems: the rest is not in the sandbox",
				    SUBMOUNTS_MAX);
			break;
		}
		show_submount(tree, path, number++);
	}
	return 0;
}

/* The root: an overlay and the file systems on it, or all of the host's tree without writing. */
static int build_root(struct do_tree *tree, struct err *err)
{
	int r = mount_overlay(tree, "/", tree->rootfs, 0);

	if (r == 0) {
		tree->overlay = true;
		return show_submounts(tree, err);
	}
	log_warning("do: no overlay on this host (%s): files outside /tmp cannot be written",
		    strerrordesc_np(-r));
	r = bind_readonly("/", tree->rootfs);
	return r < 0 ? err_sys(err, r, "do: bind / read-only") : 0;
}

/* True if the tree has the directory `cwd` of the host in its place. */
static bool tree_has(const struct do_tree *tree, const char *cwd)
{
	char inside[DO_PATH_MAX];
	struct stat host, sandbox;

	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (below(cwd, hidden[i]))
			return false;
	}
	if (snprintf(inside, sizeof(inside), "%s%s", tree->rootfs, cwd) >= (int)sizeof(inside))
		return false;
	/* An overlay keeps the inode number but not always the device. */
	return stat(cwd, &host) == 0 && stat(inside, &sandbox) == 0 && host.st_ino == sandbox.st_ino;
}

/* Only a directory below /tmp, or one that no shown file system has, is brought in. */
static bool may_show_cwd(const char *cwd)
{
	if (below(cwd, "/tmp"))
		return !str_eq(cwd, "/tmp");
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (below(cwd, hidden[i]))
			return false;
	}
	return true;
}

static int build_cwd(struct do_tree *tree, const char *cwd, struct err *err)
{
	int r;

	if (tree_has(tree, cwd))
		return 0;
	if (!may_show_cwd(cwd)) {
		log_warning("do: the host's %s is not shown in the sandbox", cwd);
		return 0;
	}
	r = make_dir(tree->scratch, "cwd", tree->cwd, err);
	if (r < 0)
		return r;
	r = tree->overlay ? mount_overlay(tree, cwd, tree->cwd, SUBMOUNTS_MAX + 1) : -EINVAL;
	if (r < 0)
		r = bind_readonly(cwd, tree->cwd);
	return r < 0 ? err_sys(err, r, "do: show %s in the sandbox", cwd) : 0;
}

int do_tree_build(struct do_tree *tree, const char *cwd, bool keep_cwd, struct err *err)
{
	int r = make_scratch(tree, err);

	if (r == 0)
		r = make_dir(tree->scratch, "rootfs", tree->rootfs, err);
	if (r == 0)
		r = make_dir(tree->scratch, "bundle", tree->bundle, err);
	if (r == 0)
		r = make_dir(tree->scratch, "state", tree->state, err);
	if (r == 0)
		r = build_root(tree, err);
	if (r == 0 && !keep_cwd)
		r = build_cwd(tree, cwd, err);
	return r;
}
