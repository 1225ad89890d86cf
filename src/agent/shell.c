/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system is the container's to write: whatever lies at /proc is resolved in it, after
 * the root directory has changed, and in a mount namespace that nobody else has.
 */
#include "agent/shell.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "host/pidfd.h"

static const struct {
	const char *type, *target;
	unsigned long flags;
} mounts[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC },
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
static int mount_all(struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		if (str_eq(mounts[i].target, "/dev/pts"))
			(void)mkdir("/dev/pts", 0755);
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			  str_eq(mounts[i].type, "devpts") ? "ptmxmode=0666" : NULL) < 0 &&
		    errno != ENOENT && errno != ENOTDIR)
			return err_sys(err, -errno, "mount %s at %s", mounts[i].type,
				       mounts[i].target);
	}
	return 0;
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
