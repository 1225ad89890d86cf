/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system is the container's to write: what the machine's file systems are put on is
 * opened below its descriptor, without links, in a mount namespace that nobody else has.
 */
#include "agent/shell.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "host/pidfd.h"
#include "ns/mount_fs.h"

#define FLAGS (MS_NOSUID | MS_NOEXEC)
#define ATTR  (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

static const struct {
	const char *target;
	struct mount_fs fs;
} mounts[] = {
	{ "proc", { .type = "proc", .flags = FLAGS | MS_NODEV, .attr = ATTR | MOUNT_ATTR_NODEV } },
	{ "sys", { .type = "sysfs", .flags = FLAGS | MS_NODEV, .attr = ATTR | MOUNT_ATTR_NODEV } },
	{ "sys/fs/cgroup",
	  { .type = "cgroup2", .flags = FLAGS | MS_NODEV, .attr = ATTR | MOUNT_ATTR_NODEV } },
	{ "dev", { .type = "devtmpfs", .flags = FLAGS, .attr = ATTR } },
	{ "dev/pts", { .type = "devpts", .data = "ptmxmode=0666", .flags = FLAGS, .attr = ATTR } },
};

static int enter(const char *root, struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "make a mount namespace");
	if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(root) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(err, -errno, "enter %s", root);
	return 0;
}

/* What the root file system has no place for is not there. */
static int put(int root, const char *target, const struct mount_fs *fs, struct err *err)
{
	AUTO_CLOSE int place = fd_open_resolve(root, target, O_PATH | O_DIRECTORY, 0,
					       RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	AUTO_CLOSE int made = -EBADF;
	int r;

	if (place == -ENOENT || place == -ENOTDIR || place == -ELOOP)
		return 0;
	if (place < 0)
		return err_sys(err, place, "open /%s of the container", target);
	r = mount_fs_create(fs, &made, err);
	if (r < 0)
		return r;
	if (str_eq(target, "dev"))
		(void)mkdirat(made, "pts", 0755);
	return move_mount(made, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
			       0
		       ? err_sys(err, -errno, "mount %s at /%s", fs->type, target)
		       : 0;
}

static int mount_all(struct err *err)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? err_sys(err, -errno, "open the container's root") : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(mounts); i++)
		r = put(root, mounts[i].target, &mounts[i].fs, err);
	return r;
}

__attribute__((noreturn)) static void hold(const char *root, int sock, pid_t parent)
{
	struct err result = { 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)prctl(PR_SET_NAME, "caisson-shell");
	if (enter(root, &result) == 0)
		(void)mount_all(&result);
	(void)fd_write_all(sock, &result, sizeof(result));
	(void)close(sock);
	for (;;)
		(void)pause();
}

static int await(int fd, struct err *err)
{
	struct err result = { 0 };
	size_t at = 0;

	while (at < sizeof(result)) {
		const ssize_t n = read(fd, (char *)&result + at, sizeof(result) - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, -EIO, "the process that holds the shell's place died");
		at += (size_t)n;
	}
	return result.code ? err_set(err, result.code, "%s", result.msg) : 0;
}

/* As they are now. Where a limit cannot be had (cgroup v1) there is none. */
static int copy_limits(const char *from, const char *to, struct err *err)
{
	static const char *const limits[] = { "memory.max", "pids.max", "cpu.max" };
	AUTO_CLOSE int source = from ? open(from, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;
	AUTO_CLOSE int target = to ? open(to, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;

	for (size_t i = 0; source >= 0 && target >= 0 && i < ARRAY_LEN(limits); i++) {
		AUTO_BUF struct buf text = { .max = 256 };
		int r = fd_read_file(source, limits[i], &text);

		if (r == 0 && text.data)
			r = fd_write_file(target, limits[i], text.data);
		if (r < 0 && r != -ENOENT)
			return err_sys(err, r, "%s of a debug shell", limits[i]);
	}
	return 0;
}

int shell_cgroup(const struct cgroup *container, struct cgroup *shells, struct err *err)
{
	struct err problem = { 0 };
	int r = cgroup_exists(shells) ? 0 : cgroup_create(shells, &problem);

	/* Another one was faster. */
	if (r == -EBUSY && cgroup_exists(shells))
		r = 0;
	if (r < 0)
		return err_set(err, r, "%s", problem.msg);
	return copy_limits(cgroup_path(container, ""), cgroup_path(shells, ""), err);
}

int shell_place(const char *root, struct ns_child *ret, struct err *err)
{
	AUTO_CLOSE int ours = -EBADF;
	AUTO_CLOSE int theirs = -EBADF;
	pid_t parent;
	int pair[2], r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "make a pipe");
	ours = pair[0];
	theirs = pair[1];
	parent = getpid();
	ret->pid = fork();
	if (ret->pid == 0)
		hold(root, theirs, parent);
	if (ret->pid < 0)
		return err_sys(err, -errno, "fork");
	auto_close_p(&theirs);
	theirs = -EBADF;
	ret->pidfd = pidfd_get(ret->pid);
	r = ret->pidfd < 0 ? err_sys(err, ret->pidfd, "pidfd_open") : await(ours, err);
	if (r < 0)
		(void)kill(ret->pid, SIGKILL);
	return r;
}
