/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees are cloned (open_tree(2)) before the namespace is made: afterwards the descriptors that the
 * caller has opened belong to another one and cannot be bound. Each costs a mount; directories that
 * are links on the host (/lib of a merged /usr) are links here, too.
 */
#include "hypervisor/qemu_root.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "hypervisor/qemu.h"
#include "hypervisor/qemu_args.h"

#define TREES_MAX 24u
#define LINKS_MAX 8u
/* The architecture's own library directory, where the distribution has one. */
#define MULTIARCH "x86_64-linux-gnu"

#define DATA   (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define CODE   (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define DEVICE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

static const char *const firmware[] = { "/usr/share/qemu", "/usr/share/seabios" };

struct tree {
	char at[PATH_MAX]; /* its place below the new root, without the first slash */
	int fd;		   /* owned: a detached mount */
	bool directory;
};

struct link {
	char at[32], to[128];
};

struct plan {
	struct tree trees[TREES_MAX];
	unsigned int trees_len;
	struct link links[LINKS_MAX];
	unsigned int links_len;
	/* A name in the program's directory: modules and firmware are sought beside that. */
	char way[PATH_MAX];
};

static void plan_done(struct plan *p)
{
	for (unsigned int i = 0; i < p->trees_len; i++)
		(void)close(p->trees[i].fd);
}

/* ---- What is taken along ---- */

/* A detached copy of the mount at `path` below dir; -errno. */
static int clone_tree(int dir, const char *path, uint64_t attr)
{
	const unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	struct mount_attr set = { .attr_set = attr };
	int fd = open_tree(dir, path, flags);
	int r;

	/* In a user namespace what is mounted below may not be uncovered. */
	if (fd < 0 && errno == EINVAL)
		fd = open_tree(dir, path, flags | AT_RECURSIVE);
	if (fd < 0)
		return -errno;
	r = mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0 ? -errno : 0;
	if (r < 0)
		(void)close(fd);
	return r < 0 ? r : fd;
}

static int plan_tree(struct plan *p, const char *at, int fd, bool directory, struct err *err)
{
	struct tree *tree = &p->trees[p->trees_len];
	const size_t len = strlen(at);

	if (p->trees_len == TREES_MAX || len >= sizeof(tree->at)) {
		(void)close(fd);
		return err_set(err, -E2BIG, "QEMU's root directory: %s: more than fits", at);
	}
	memcpy(tree->at, at, len + 1);
	tree->fd = fd;
	tree->directory = directory;
	p->trees_len++;
	return 0;
}

/* What is not there is left out. */
static int plan_path(struct plan *p, const char *path, uint64_t attr, struct err *err)
{
	struct stat st;
	int fd;

	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(err, -errno, "%s", path);
	fd = clone_tree(AT_FDCWD, path, attr);
	if (fd < 0)
		return err_sys(err, fd, "QEMU's root directory: bind %s", path);
	return plan_tree(p, path + 1, fd, S_ISDIR(st.st_mode), err);
}

/* The file behind fd, which may have been opened in another mount namespace, by its name in ours.
 */
static int clone_by_name(int fd, struct err *err)
{
	char self[FD_PATH_MAX], path[PATH_MAX];
	const ssize_t n = readlink(fd_path(fd, self), path, sizeof(path) - 1);
	AUTO_CLOSE int found = -EBADF;
	struct stat wanted, st;
	int tree;

	if (n < 0)
		return err_sys(err, -errno, "QEMU's root directory: the name of descriptor %d", fd);
	path[n] = '\0';
	found = open(path, O_PATH | O_CLOEXEC);
	if (found < 0)
		return err_sys(err, -errno, "QEMU's root directory: open %s", path);
	if (fstat(fd, &wanted) < 0 || fstat(found, &st) < 0)
		return err_sys(err, -errno, "QEMU's root directory: fstat %s", path);
	if (wanted.st_dev != st.st_dev || wanted.st_ino != st.st_ino)
		return err_set(err, -ESTALE, "QEMU's root directory: %s has changed", path);
	tree = clone_tree(found, "", DATA);
	return tree < 0 ? err_sys(err, tree, "QEMU's root directory: bind %s", path) : tree;
}

static int plan_file(struct plan *p, const char *at, int fd, struct err *err)
{
	int tree = clone_tree(fd, "", DATA);

	if (tree == -EINVAL)
		tree = clone_by_name(fd, err);
	else if (tree < 0)
		return err_sys(err, tree, "QEMU's root directory: bind descriptor %d", fd);
	return tree < 0 ? tree : plan_tree(p, at + 1, tree, false, err);
}

/* A directory of libraries: a link stays one, and of one with a part for each architecture only
 * ours is there. */
static int plan_libraries(struct plan *p, const char *path, struct err *err)
{
	char part[PATH_MAX], to[sizeof(p->links[0].to)];
	const ssize_t n = readlink(path, to, sizeof(to) - 1);
	struct stat st;

	if (n > 0) {
		struct link *link = &p->links[p->links_len];

		to[n] = '\0';
		if (p->links_len == LINKS_MAX || strlen(path) > sizeof(link->at))
			return err_set(err, -E2BIG, "QEMU's root directory: %s: more than fits",
				       path);
		(void)snprintf(link->at, sizeof(link->at), "%s", path + 1);
		(void)snprintf(link->to, sizeof(link->to), "%s", to);
		p->links_len++;
		return 0;
	}
	if (snprintf(part, sizeof(part), "%s/" MULTIARCH, path) >= (int)sizeof(part))
		return err_set(err, -ENAMETOOLONG, "%s", path);
	return plan_path(p, stat(part, &st) == 0 ? part : path, CODE, err);
}

/*
 * The program's name below the root, and the directory above its own: /usr of
 * /usr/bin/qemu-system-x86_64.
 */
static int prefix_of(int program, char way[static PATH_MAX], char prefix[static PATH_MAX],
		     struct err *err)
{
	char self[FD_PATH_MAX];
	const ssize_t n = readlink(fd_path(program, self), prefix, PATH_MAX - 1);

	if (n <= 0)
		return err_sys(err, n < 0 ? -errno : -EINVAL, "QEMU's program: its name");
	prefix[n] = '\0';
	(void)snprintf(way, PATH_MAX, "%s", prefix + 1);
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(prefix, '/');

		if (!slash)
			return err_set(err, -EINVAL, "QEMU's program: %s is no absolute path",
				       prefix);
		*slash = '\0';
	}
	return 0;
}

/* Of a program outside of /usr. */
static int plan_prefix(struct plan *p, int program, struct err *err)
{
	static const char *const below[] = { "/lib", "/lib64" };
	char prefix[PATH_MAX], path[PATH_MAX + 16];
	int r = prefix_of(program, p->way, prefix, err);

	if (r < 0 || str_eq(prefix, "/usr") || !*prefix)
		return r;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(below); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", prefix, below[i]);
		r = plan_path(p, path, CODE, err);
	}
	(void)snprintf(path, sizeof(path), "%s/share/qemu", prefix);
	return r < 0 ? r : plan_path(p, path, DATA, err);
}

/* Links of this process alone, without a /proc around them. */
static int plan_descriptors(struct plan *p, struct err *err)
{
	const int fd = clone_tree(AT_FDCWD, "/proc/self/fd", DATA);

	return fd < 0 ? err_sys(err, fd, "QEMU's root directory: bind /proc/self/fd")
		      : plan_tree(p, QEMU_FDS + 1, fd, true, err);
}

/* What QEMU takes no descriptor for it opens by the descriptor's name. */
static bool opens_descriptors(const struct machine *m)
{
	bool opens = m->role != MACHINE_FRESH;

	for (unsigned int i = 0; i < m->disks_len; i++)
		opens = opens || m->disks[i].pmem;
	return opens;
}

static int make_plan(struct plan *p, int program, const struct machine *m, struct err *err)
{
	static const char *const libraries[] = { "/lib", "/lib64", "/usr/lib", "/usr/lib64" };
	/* A clone has both in its memory. */
	const bool boots = m->role == MACHINE_FRESH || m->role == MACHINE_TEMPLATE;
	int r = boots ? plan_file(p, QEMU_KERNEL, m->kernel, err) : 0;

	if (r == 0 && boots && m->initrd >= 0)
		r = plan_file(p, QEMU_IMAGE, m->initrd, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(libraries); i++)
		r = plan_libraries(p, libraries[i], err);
	if (r == 0)
		r = plan_path(p, "/etc/ld.so.cache", DATA, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(firmware); i++)
		r = plan_path(p, firmware[i], DATA, err);
	if (r == 0)
		r = plan_prefix(p, program, err);
	if (r == 0)
		r = plan_path(p, "/dev/null", DEVICE, err);
	if (r == 0 && m->accel == MACHINE_KVM)
		r = plan_path(p, "/dev/kvm", DEVICE, err);
	return r < 0 || !opens_descriptors(m) ? r : plan_descriptors(p, err);
}

/* What a microvm's memory holds of them, whichever QEMU takes. */
static void print_firmware(const char *dir, struct buf *b)
{
	static const char *const names[] = {
		"bios-microvm.bin", "qboot.rom",	 "pvh.bin",
		"linuxboot.bin",    "linuxboot_dma.bin", "kvmvapic.bin"
	};
	char path[PATH_MAX + 32];
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (stat(path, &st) == 0)
			(void)buf_printf(b, "%s %ju:%ju %jd %jd.%09ld %jd.%09ld\n", names[i],
					 (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
					 (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
					 st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec,
					 st.st_ctim.tv_nsec);
	}
}

void qemu_print_firmware(int program, struct buf *b)
{
	char way[PATH_MAX], prefix[PATH_MAX], own[PATH_MAX + 16];
	struct err ignored = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(firmware); i++)
		print_firmware(firmware[i], b);
	if (prefix_of(program, way, prefix, &ignored) < 0 || str_eq(prefix, "/usr") || !*prefix)
		return;
	(void)snprintf(own, sizeof(own), "%s/share/qemu", prefix);
	print_firmware(own, b);
}

/* ---- The root directory ---- */

/* A file system for a handful of directories; a descriptor of its mount, which is nowhere yet. */
static int make_root(struct err *err)
{
	AUTO_CLOSE int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int mount = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "size", "64k", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "128", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "755", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return mount < 0 ? err_sys(err, -errno, "QEMU's root directory: make it") : mount;
}

/* As jail_enter_empty_root(): the old root, where it can be moved, is then mounted over the new. */
static int enter(int root, bool *ret_old, struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "QEMU's mount namespace");
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_sys(err, -errno, "QEMU's mount namespace: propagation");
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(root) < 0)
		return err_sys(err, -errno, "QEMU's root directory: mount it");
	*ret_old = syscall(SYS_pivot_root, ".", ".") == 0;
	if (!*ret_old && (errno != EINVAL || chroot(".") < 0))
		return err_sys(err, -errno, "QEMU's root directory: enter it");
	return 0;
}

/* The directories on the way to `at`. */
static int make_way(int root, const char *at)
{
	char path[PATH_MAX];

	for (const char *slash = strchr(at, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(path, at, (size_t)(slash - at));
		path[slash - at] = '\0';
		if (mkdirat(root, path, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int put_tree(int root, const struct tree *tree, struct err *err)
{
	int r = make_way(root, tree->at);

	if (r == 0 && tree->directory)
		r = mkdirat(root, tree->at, 0755) < 0 && errno != EEXIST ? -errno : 0;
	else if (r == 0)
		r = mknodat(root, tree->at, S_IFREG | 0444, 0) < 0 ? -errno : 0;
	if (r == 0 && move_mount(tree->fd, "", root, tree->at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "QEMU's root directory: /%s", tree->at) : 0;
}

static int fill(int root, const struct plan *p, struct err *err)
{
	struct mount_attr closed = { .attr_set = MOUNT_ATTR_RDONLY };
	int r = make_way(root, p->way);

	if (r < 0)
		return err_sys(err, r, "QEMU's root directory: /%s", p->way);
	for (unsigned int i = 0; r == 0 && i < p->links_len; i++) {
		const struct link *link = &p->links[i];

		r = make_way(root, link->at);
		if (r == 0 && symlinkat(link->to, root, link->at) < 0)
			r = err_sys(err, -errno, "QEMU's root directory: /%s", link->at);
	}
	for (unsigned int i = 0; r == 0 && i < p->trees_len; i++)
		r = put_tree(root, &p->trees[i], err);
	if (r == 0 && mount_setattr(root, "", AT_EMPTY_PATH, &closed, sizeof(closed)) < 0)
		r = err_sys(err, -errno, "QEMU's root directory: close it");
	return r;
}

int qemu_root_enter(int program, const struct machine *m, struct err *err)
{
	AUTO(plan_done) struct plan p = { 0 };
	AUTO_CLOSE int root = -EBADF;
	bool old = false;
	int r = make_plan(&p, program, m, err);

	if (r == 0)
		r = root = make_root(err);
	if (r >= 0)
		r = enter(root, &old, err);
	if (r == 0)
		r = fill(root, &p, err);
	if (r == 0 && ((old && umount2(".", MNT_DETACH) < 0) || chdir("/") < 0))
		r = err_sys(err, -errno, "QEMU's root directory: leave the host's");
	return r;
}
