/* SPDX-License-Identifier: Apache-2.0 */
/* mount(2), umount2(2), pivot_root(2), chroot(2): rights, flags, propagation, in a namespace of the
 * case's own. */
#include <sys/mount.h>
#include <sys/statfs.h>

#include "harness.h"

/* A mount namespace whose mounts do not leave it. */
static void own_mounts(void)
{
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	if (unshare(CLONE_NEWNS))
		SKIP("no mount namespace: %s", test_errno_name(errno));
	OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

TEST(rights)
{
	OK(mkdir("d", 0755));
	need_root();
	become_nobody();
	CHECK_ERRNO(mount("none", "d", "tmpfs", 0, NULL), EPERM);
	CHECK_ERRNO(umount("d"), EPERM);
	CHECK_ERRNO(syscall(SYS_pivot_root, "d", "d"), EPERM);
	CHECK_ERRNO(chroot("d"), EPERM);
}

TEST(tmpfs)
{
	struct stat a, b;

	own_mounts();
	OK(mkdir("d", 0755));
	OK(stat("d", &a));
	OK(mount("none", "d", "tmpfs", MS_NOSUID, "mode=0710,size=1m"));
	OK(stat("d", &b));
	CHECK(a.st_dev != b.st_dev);
	CHECK_EQ(b.st_mode & 07777, 0710);
	CHECK_EQ(b.st_size, 40); /* "." and "..": test -s is true */
	write_file("d/f", "x");
	CHECK_ERRNO(rename("d/f", "f"), EXDEV);
	CHECK_ERRNO(rmdir("d"), EBUSY);
	OK(umount("d"));
	CHECK_ERRNO(access("d/f", F_OK), ENOENT);
	CHECK_ERRNO(umount("d"), EINVAL);
}

TEST(size_limit)
{
	static char block[65536];
	int fd, n = 0;

	own_mounts();
	OK(mkdir("d", 0755));
	OK(mount("none", "d", "tmpfs", 0, "size=256k"));
	fd = OK(open("d/f", O_CREAT | O_RDWR, 0600));
	while (n < 100 && write(fd, block, sizeof(block)) == sizeof(block))
		n++;
	CHECK_EQ(n, 4);
	CHECK_ERRNO(write(fd, block, sizeof(block)), ENOSPC);
}

/* Calls go down from one to the next: the kernel's stack is not endless. */
TEST(overlays_lie_two_on_each_other)
{
	own_mounts();
	OK(mkdir("d", 0755));
	OK(mount("none", "d", "tmpfs", 0, NULL));
	OK(chdir("d"));
	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	OK(mkdir("one", 0755));
	OK(mkdir("two", 0755));
	OK(mkdir("three", 0755));
	if (mount("o", "one", "overlay", 0, "lowerdir=a:b"))
		SKIP("no overlay: %s", test_errno_name(errno));
	OK(mount("o", "two", "overlay", 0, "lowerdir=one:b"));
	CHECK_ERRNO(mount("o", "three", "overlay", 0, "lowerdir=b:two"), EINVAL);
}

/* A mapping may take more than there is, or ends with SIGBUS; what it took comes back. */
TEST(size_comes_back_after_a_mapping)
{
	const size_t len = 1 << 20;
	struct statfs st;
	struct stat file;
	pid_t pid;
	char *p;
	int fd;

	own_mounts();
	OK(mkdir("d", 0755));
	OK(mount("none", "d", "tmpfs", 0, "size=256k"));
	fd = OK(open("d/f", O_CREAT | O_RDWR, 0600));
	OK(ftruncate(fd, (off_t)len));
	CHILD (pid) {
		p = OK(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
		memset(p, 1, len);
	}
	OK(waitpid(pid, NULL, 0));
	OK(fstat(fd, &file));
	OK(close(fd));
	OK(unlink("d/f"));
	OK(statfs("d", &st));
	CHECK_EQ(st.f_bfree, st.f_blocks);
}

TEST(read_only)
{
	own_mounts();
	OK(mkdir("d", 0755));
	OK(mount("none", "d", "tmpfs", 0, NULL));
	write_file("d/f", "x");
	OK(mount(NULL, "d", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	CHECK_ERRNO(open("d/f", O_RDWR), EROFS);
	CHECK_ERRNO(open("d/new", O_CREAT | O_RDWR, 0600), EROFS);
	CHECK_ERRNO(mkdir("d/new", 0700), EROFS);
	CHECK_ERRNO(unlink("d/f"), EROFS);
	CHECK_ERRNO(chmod("d/f", 0600), EROFS);
	CHECK_ERRNO(access("d/f", W_OK), EROFS);
	CHECK_ERRNO(truncate("d/f", 0), EROFS);
	CHECK_ERRNO(rename("d/f", "d/g"), EROFS);
	OK(open("d/f", O_RDONLY));
	OK(mount(NULL, "d", NULL, MS_REMOUNT, NULL));
	write_file("d/f", "y");
}

TEST(busy)
{
	int fd;

	own_mounts();
	OK(mkdir("d", 0755));
	OK(mount("none", "d", "tmpfs", 0, NULL));
	write_file("d/f", "x");
	fd = OK(open("d/f", O_RDWR));
	CHECK_ERRNO(umount("d"), EBUSY);
	CHECK_ERRNO(mount(NULL, "d", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
	OK(umount2("d", MNT_DETACH));
	CHECK_ERRNO(access("d/f", F_OK), ENOENT);
	CHECK_EQ(write(fd, "y", 1), 1);
}

TEST(bind)
{
	own_mounts();
	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	write_file("a/f", "x");
	OK(mount("a", "b", NULL, MS_BIND, NULL));
	OK(access("b/f", F_OK));
	write_file("b/g", "y");
	OK(access("a/g", F_OK));
	/* Different mounts, although one file system. */
	CHECK_ERRNO(rename("a/f", "b/h"), EXDEV);
	CHECK_ERRNO(link("a/f", "b/h"), EXDEV);
	OK(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	CHECK_ERRNO(open("b/f", O_RDWR), EROFS);
	OK(open("a/f", O_RDWR));
	OK(umount("b"));
}

TEST(bind_of_a_file)
{
	char buf[8];

	own_mounts();
	write_file("a", "A");
	write_file("b", "B");
	OK(mount("a", "b", NULL, MS_BIND, NULL));
	read_file("b", buf, sizeof(buf));
	CHECK_STR(buf, "A");
	CHECK_ERRNO(unlink("b"), EBUSY);
	CHECK_ERRNO(rename("b", "c"), EBUSY);
	OK(mkdir("d", 0755));
	CHECK_ERRNO(mount("a", "d", NULL, MS_BIND, NULL), ENOTDIR);
	CHECK_ERRNO(mount("d", "a", NULL, MS_BIND, NULL), ENOTDIR);
	OK(umount("b"));
	read_file("b", buf, sizeof(buf));
	CHECK_STR(buf, "B");
}

TEST(recursive_bind)
{
	own_mounts();
	OK(mkdir("a", 0755));
	OK(mkdir("a/sub", 0755));
	OK(mkdir("b", 0755));
	OK(mount("none", "a/sub", "tmpfs", 0, NULL));
	write_file("a/sub/f", "");
	OK(mount("a", "b", NULL, MS_BIND, NULL));
	CHECK_ERRNO(access("b/sub/f", F_OK), ENOENT);
	OK(umount("b"));
	OK(mount("a", "b", NULL, MS_BIND | MS_REC, NULL));
	OK(access("b/sub/f", F_OK));
}

TEST(stacked)
{
	own_mounts();
	OK(mkdir("d", 0755));
	OK(mount("none", "d", "tmpfs", 0, NULL));
	write_file("d/lower", "");
	OK(mount("none", "d", "tmpfs", 0, NULL));
	CHECK_ERRNO(access("d/lower", F_OK), ENOENT);
	OK(umount("d"));
	OK(access("d/lower", F_OK));
}

TEST(move)
{
	own_mounts();
	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	OK(mount("none", "a", "tmpfs", 0, NULL));
	write_file("a/f", "");
	OK(mount("a", "b", NULL, MS_MOVE, NULL));
	OK(access("b/f", F_OK));
	CHECK_ERRNO(access("a/f", F_OK), ENOENT);
}

TEST(flags_hold)
{
	char *const argv[] = { "x", NULL }, *const env[] = { NULL };
	int fd;

	own_mounts();
	OK(mkdir("d", 0755));
	OK(mount("none", "d", "tmpfs", MS_NOEXEC | MS_NODEV, NULL));
	copy_self("d/prog");
	CHECK_ERRNO(execve("d/prog", argv, env), EACCES);
	CHECK_ERRNO(access("d/prog", X_OK), EACCES);
	fd = OK(open("d/prog", O_RDONLY));
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0), EPERM);
}

TEST(shown_in_mountinfo)
{
	static char text[1 << 16];

	own_mounts();
	OK(mkdir("here", 0755));
	OK(mount("a-source", "here", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=1m"));
	read_file("/proc/self/mountinfo", text, sizeof(text));
	CHECK(strstr(text, "/here rw,nosuid,noexec,relatime "));
	CHECK(strstr(text, " - tmpfs a-source rw,"));
	OK(umount("here"));
	read_file("/proc/self/mountinfo", text, sizeof(text));
	CHECK(!strstr(text, "a-source"));
}

TEST(propagation)
{
	pid_t pid;
	struct gate g = gate_new(), back = gate_new();

	own_mounts();
	OK(mkdir("p", 0755));
	OK(mount("none", "p", "tmpfs", 0, NULL));
	OK(mount(NULL, "p", NULL, MS_SHARED, NULL));
	OK(mkdir("p/d", 0755));
	CHILD (pid) {
		OK(unshare(CLONE_NEWNS));
		gate_open(&back);
		gate_pass(&g);
		OK(access("p/d/f", F_OK));
	}
	gate_pass(&back);
	OK(mount("none", "p/d", "tmpfs", 0, NULL));
	write_file("p/d/f", "");
	gate_open(&g);
	wait_ok(pid);
	OK(mount(NULL, "p", NULL, MS_PRIVATE, NULL));
	CHECK_ERRNO(mount(NULL, "p", NULL, MS_PRIVATE | MS_SHARED, NULL), EINVAL);
}

TEST(errors)
{
	own_mounts();
	write_file("f", "");
	OK(mkdir("d", 0755));
	CHECK_ERRNO(mount("none", "none", "tmpfs", 0, NULL), ENOENT);
	CHECK_ERRNO(mount("none", "f", "tmpfs", 0, NULL), ENOTDIR);
	CHECK_ERRNO(mount("none", "d", "nosuchfs", 0, NULL), ENODEV);
	CHECK_ERRNO(mount("none", "d", "tmpfs", 0, "nonsense=1"), EINVAL);
	CHECK_ERRNO(mount("nowhere", "d", NULL, MS_BIND, NULL), ENOENT);
	CHECK_ERRNO(mount("none", BAD_PTR, "tmpfs", 0, NULL), EFAULT);
	CHECK_ERRNO(mount(NULL, "d", NULL, MS_REMOUNT, NULL), EINVAL);
	CHECK_ERRNO(umount("none"), ENOENT);
	CHECK_ERRNO(umount2("d", 0x100), EINVAL);
	CHECK_ERRNO(umount("f"), EINVAL);
}

TEST(new_root)
{
	struct stat a, b;

	own_mounts();
	OK(mkdir("root", 0755));
	OK(mount("none", "root", "tmpfs", 0, NULL));
	OK(mkdir("root/old", 0755));
	OK(mkdir("root/inside", 0755));
	CHECK_ERRNO(syscall(SYS_pivot_root, "root", "none"), ENOENT);
	CHECK_ERRNO(syscall(SYS_pivot_root, "/", "/"), EBUSY);
	CHECK_ERRNO(syscall(SYS_pivot_root, "root/inside", "root/inside"), EINVAL);
	OK(syscall(SYS_pivot_root, "root", "root/old"));
	OK(chdir("/"));
	OK(access("/inside", F_OK));
	OK(stat("/", &a));
	OK(stat("/..", &b));
	CHECK_EQ(a.st_ino, b.st_ino);
	OK(umount2("/old", MNT_DETACH));
	CHECK_ERRNO(access("/old/etc", F_OK), ENOENT);
	OK(rmdir("/old"));
}

TEST(changed_root)
{
	struct stat a, b;
	char cwd[PATH_MAX];
	int outside;
	pid_t pid;

	need_cap(CAP_SYS_CHROOT, "CAP_SYS_CHROOT");
	OK(mkdir("root", 0755));
	OK(mkdir("root/d", 0755));
	write_file("root/f", "");
	OK(symlink("/f", "root/d/l"));
	CHECK_ERRNO(chroot("none"), ENOENT);
	CHECK_ERRNO(chroot("root/f"), ENOTDIR);
	CHECK_ERRNO(chroot(BAD_PTR), EFAULT);
	outside = OK(open(".", O_RDONLY));
	CHILD (pid) {
		OK(chroot("root"));
		/* The working directory is where it was, outside. */
		OK(access("root", F_OK));
		CHECK(syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0);
		CHECK(!strncmp(cwd, "(unreachable)", 13));
		OK(chdir("/"));
		CHECK(getcwd(cwd, sizeof(cwd)));
		CHECK_STR(cwd, "/");
		OK(access("/f", F_OK));
		OK(access("/d/l", F_OK));
		OK(stat("/", &a));
		OK(stat("/../..", &b));
		CHECK_EQ(a.st_ino, b.st_ino);
		OK(fchdir(outside));
		OK(access("root", F_OK));
	}
	wait_ok(pid);
	OK(access("root", F_OK));
}
