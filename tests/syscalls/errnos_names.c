/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that look up, make, move and remove names: the errnos that the other topics leave out. */
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <utime.h>

#include "harness.h"

/* A directory of root's with the sticky bit and a file in it; then an ordinary user. */
static void enter_sticky_directory(void)
{
	need_root();
	OK(mkdir("sticky", 01777));
	OK(chmod("sticky", 01777));
	OK(chdir("sticky"));
	write_file("file", "x");
	OK(mkdir("dir", 0755));
	become_nobody();
	write_file("mine", "x");
}

TEST(sticky_directory_keeps_what_others_own)
{
	enter_sticky_directory();
	CHECK_ERRNO(unlink("file"), EPERM);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "file", 0), EPERM);
	CHECK_ERRNO(rmdir("dir"), EPERM);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR), EPERM);
	CHECK_ERRNO(rename("file", "new"), EPERM);
	CHECK_ERRNO(syscall(SYS_renameat, AT_FDCWD, "mine", AT_FDCWD, "file"), EPERM);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "new", 0), EPERM);
	OK(unlink("mine"));
}

TEST(attributes_belong_to_the_owner)
{
	struct timeval tv[2] = { { 1, 0 }, { 2, 0 } };
	struct utimbuf times = { 1, 2 };
	int fd;

	need_root();
	write_file("file", "x");
	OK(chmod("file", 0666));
	become_nobody();
	fd = OK(open("file", O_RDWR));
	CHECK_ERRNO(chmod("file", 0600), EPERM);
	CHECK_ERRNO(syscall(SYS_fchmod, fd, 0600), EPERM);
	CHECK_ERRNO(syscall(SYS_fchmodat, AT_FDCWD, "file", 0600), EPERM);
	CHECK_ERRNO(syscall(SYS_chown, "file", 65534, 65534), EPERM);
	CHECK_ERRNO(syscall(SYS_fchown, fd, 65534, 65534), EPERM);
	CHECK_ERRNO(syscall(SYS_lchown, "file", 65534, 65534), EPERM);
	CHECK_ERRNO(syscall(SYS_fchownat, AT_FDCWD, "file", 65534, 65534, 0), EPERM);
	CHECK_ERRNO(syscall(SYS_utime, "file", &times), EPERM);
	CHECK_ERRNO(syscall(SYS_utimes, "file", tv), EPERM);
	CHECK_ERRNO(syscall(SYS_futimesat, AT_FDCWD, "file", tv), EPERM);
	CHECK_ERRNO(open("file", O_RDONLY | O_NOATIME), EPERM);
	/* Now is allowed to whoever may write. */
	OK(syscall(SYS_utime, "file", NULL));
	OK(syscall(SYS_utimes, "file", NULL));
}

TEST(directories_have_one_name)
{
	OK(mkdir("dir", 0755));
	CHECK_ERRNO(link("dir", "other"), EPERM);
	CHECK_ERRNO(linkat(AT_FDCWD, "dir", AT_FDCWD, "other", 0), EPERM);
	CHECK_ERRNO(unlink("dir"), EISDIR);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "dir", 0), EISDIR);
}

TEST(name_is_taken)
{
	write_file("file", "x");
	write_file("other", "y");
	CHECK_ERRNO(mkdirat(AT_FDCWD, "file", 0700), EEXIST);
	CHECK_ERRNO(linkat(AT_FDCWD, "other", AT_FDCWD, "file", 0), EEXIST);
	CHECK_ERRNO(symlinkat("target", AT_FDCWD, "file"), EEXIST);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "file", RENAME_NOREPLACE),
		    EEXIST);
	OK(mkdir("dir", 0755));
	OK(mkdir("full", 0755));
	write_file("full/x", "");
	CHECK_ERRNO(syscall(SYS_renameat, AT_FDCWD, "file", AT_FDCWD, "dir"), EISDIR);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "dir", 0), EISDIR);
	CHECK_ERRNO(syscall(SYS_renameat, AT_FDCWD, "dir", AT_FDCWD, "full"), ENOTEMPTY);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "dir", AT_FDCWD, "full", 0), ENOTEMPTY);
	CHECK_ERRNO(rmdir("full"), ENOTEMPTY);
}

TEST(other_file_system)
{
	struct stat here, there;

	OK(stat(".", &here));
	if (stat("/dev/shm", &there) || here.st_dev == there.st_dev)
		SKIP("/dev/shm is no file system of its own");
	write_file("file", "x");
	CHECK_ERRNO(rename("file", "/dev/shm/file"), EXDEV);
	CHECK_ERRNO(syscall(SYS_renameat, AT_FDCWD, "file", AT_FDCWD, "/dev/shm/file"), EXDEV);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "/dev/shm/file", 0), EXDEV);
	CHECK_ERRNO(link("file", "/dev/shm/file"), EXDEV);
	CHECK_ERRNO(linkat(AT_FDCWD, "file", AT_FDCWD, "/dev/shm/file", 0), EXDEV);
}

TEST(file_system_without_such_nodes)
{
	need_root();
	if (access("/dev/pts/ptmx", F_OK))
		SKIP("no devpts");
	write_file("file", "x");
	CHECK_ERRNO(mkdir("/dev/pts/dir", 0700), EPERM);
	CHECK_ERRNO(mkdirat(AT_FDCWD, "/dev/pts/dir", 0700), EPERM);
	CHECK_ERRNO(symlink("target", "/dev/pts/link"), EPERM);
	CHECK_ERRNO(symlinkat("target", AT_FDCWD, "/dev/pts/link"), EPERM);
	CHECK_ERRNO(mknod("/dev/pts/fifo", S_IFIFO | 0600, 0), EPERM);
	CHECK_ERRNO(link("/dev/pts/ptmx", "/dev/pts/second"), EPERM);
}

TEST(busy_names)
{
	OK(mkdir("dir", 0755));
	CHECK_ERRNO(rename("dir/.", "other"), EBUSY);
	CHECK_ERRNO(syscall(SYS_renameat, AT_FDCWD, ".", AT_FDCWD, "other"), EBUSY);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "dir", AT_FDCWD, "dir/..", 0), EBUSY);
	CHECK_ERRNO(rmdir("/"), EBUSY);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "/", AT_REMOVEDIR), EBUSY);
	CHECK_ERRNO(rmdir("dir/."), EINVAL);
	CHECK_ERRNO(rmdir("dir/.."), ENOTEMPTY);
}

TEST(link_of_a_descriptor)
{
	int fd;

	write_file("file", "x");
	fd = OK(open("file", O_RDONLY));
	if (linkat(fd, "", AT_FDCWD, "name", AT_EMPTY_PATH)) {
		/* That needs CAP_DAC_READ_SEARCH. */
		CHECK_EQ(errno, ENOENT);
		SKIP("no CAP_DAC_READ_SEARCH");
	}
	OK(access("name", F_OK));
	CHECK_ERRNO(linkat(fd, "", AT_FDCWD, "third", 0), ENOENT);
}

TEST(creat_of_what_is_there)
{
	int fds[2];
	pid_t pid;
	char c;

	OK(mkdir("dir", 0755));
	CHECK_ERRNO(syscall(SYS_creat, "dir", 0600), EISDIR);
	copy_self("running");
	OK(pipe2(fds, O_CLOEXEC));
	CHILD (pid) {
		execl("./running", "subject", (char *)NULL);
		FAIL("execl: %s", test_errno_name(errno));
	}
	OK(close(fds[1]));
	/* The end of file tells that it runs. */
	CHECK_EQ(read(fds[0], &c, 1), 0);
	CHECK_ERRNO(syscall(SYS_creat, "running", 0755), ETXTBSY);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

int test_subject(int argc, char **argv)
{
	for (;;)
		pause();
}

TEST(root_of_a_process)
{
	char longest[300];

	memset(longest, 'n', 299);
	longest[299] = 0;
	OK(symlink("loop", "loop"));
	CHECK_ERRNO(chroot("loop"), ELOOP);
	CHECK_ERRNO(chroot(longest), ENAMETOOLONG);
	CHECK_ERRNO(chroot("none"), ENOENT);
	CHECK_ERRNO(chroot(BAD_PTR), EFAULT);
	write_file("file", "x");
	CHECK_ERRNO(chroot("file"), ENOTDIR);
	need_root();
	OK(mkdir("closed", 0700));
	OK(mkdir("closed/in", 0755));
	become_nobody();
	CHECK_ERRNO(chroot("closed/in"), EACCES);
	CHECK_ERRNO(chroot("/"), EPERM);
}

TEST(pivot_needs_directories)
{
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	if (filtered())
		SKIP("a filter may answer");
	write_file("file", "x");
	CHECK_ERRNO(syscall(SYS_pivot_root, "file", "file"), ENOTDIR);
	CHECK_ERRNO(syscall(SYS_pivot_root, "none", "none"), ENOENT);
}

static void *const bad[] = { BAD_PTR, KERNEL_PTR };

TEST(access_at)
{
	char longest[300];

	memset(longest, 'n', 299);
	longest[299] = 0;
	OK(symlink("loop", "loop"));
	for (int i = 0; i < 2; i++)
		CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, bad[i], F_OK, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "loop", F_OK, 0), ELOOP);
	OK(syscall(SYS_faccessat2, AT_FDCWD, "loop", F_OK, AT_SYMLINK_NOFOLLOW));
	CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, longest, F_OK, 0), ENAMETOOLONG);
	CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, ".", 8, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, ".", F_OK, 0x8000), EINVAL);
}

TEST(limits_of_sizes)
{
	struct rlimit lim = { 1000, 1000 };
	int in, out;
	off_t to = 999;

	write_file("file", "0123456789");
	in = OK(open("file", O_RDWR));
	out = OK(open("out", O_RDWR | O_CREAT, 0600));
	OK(setrlimit(RLIMIT_FSIZE, &lim));
	on_signal(SIGXFSZ, SIG_IGN, 0);
	CHECK_ERRNO(truncate("file", 1001), EFBIG);
	CHECK_ERRNO(ftruncate(in, 1001), EFBIG);
	OK(truncate("file", 1000));
	CHECK_ERRNO(fallocate(out, 0, 0, 1001), EFBIG);
	CHECK_EQ(copy_file_range(in, NULL, out, &to, 10, 0), 1);
	CHECK_ERRNO(copy_file_range(in, NULL, out, &to, 10, 0), EFBIG);
	on_signal(SIGXFSZ, count_signal, 0);
	CHECK_ERRNO(truncate("file", 1001), EFBIG);
	CHECK_EQ(signals_seen, 1);
}

TEST(removed_directory)
{
	char buf[512];
	int fd;

	OK(mkdir("dir", 0755));
	fd = OK(open("dir", O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(syscall(SYS_getdents, fd, buf, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, buf, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_getdents, fd, BAD_PTR, 500), EFAULT);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, BAD_PTR, 500), EFAULT);
	OK(rmdir("dir"));
	CHECK_ERRNO(syscall(SYS_getdents, fd, buf, sizeof(buf)), ENOENT);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, buf, sizeof(buf)), ENOENT);
	OK(fchdir(fd));
	CHECK_ERRNO(syscall(SYS_getcwd, buf, sizeof(buf)), ENOENT);
	fd = OK(open("/dev/null", O_RDONLY));
	CHECK_ERRNO(syscall(SYS_getdents, fd, buf, sizeof(buf)), ENOTDIR);
}

TEST(sockets_bound_to_names)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));

#define NAMED(text) (strcpy(a.sun_path, text), (struct sockaddr *)&a), sizeof(a)
	OK(symlink("loop", "loop"));
	CHECK_ERRNO(bind(fd, NAMED("loop/x")), ELOOP);
	CHECK_ERRNO(bind(fd, NAMED("none/x")), ENOENT);
	write_file("file", "x");
	CHECK_ERRNO(bind(fd, NAMED("file/x")), ENOTDIR);
	CHECK_ERRNO(bind(fd, NAMED("file")), EADDRINUSE);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a) + 1), EINVAL);
	need_root();
	OK(mkdir("closed", 0755));
	become_nobody();
	CHECK_ERRNO(bind(fd, NAMED("closed/x")), EACCES);
}

TEST(times_without_synchronisation)
{
	struct statx stx;

	write_file("file", "abc");
	OK(statx(AT_FDCWD, "file", AT_STATX_SYNC_AS_STAT, STATX_SIZE, &stx));
	CHECK_EQ(stx.stx_size, 3);
	OK(statx(AT_FDCWD, "file", AT_STATX_DONT_SYNC, STATX_SIZE, &stx));
	OK(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC, STATX_SIZE, &stx));
	CHECK_ERRNO(
		statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE, &stx),
		EINVAL);
}
