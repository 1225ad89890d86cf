/* SPDX-License-Identifier: Apache-2.0 */
/* A read-only file system: every call that would change it is refused with EROFS. */
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "harness.h"

static const struct timeval tv2[2];
static const struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "ro/socket" };
static int un;

#define CHANGING_CALLS(X)                                            \
	X(SYS_open, "ro/file", O_RDWR)                               \
	X(SYS_open, "ro/file", O_WRONLY | O_TRUNC)                   \
	X(SYS_open, "ro/new", O_CREAT | O_RDONLY, 0600)              \
	X(SYS_openat, AT_FDCWD, "ro/file", O_RDWR)                   \
	X(SYS_creat, "ro/new", 0600)                                 \
	X(SYS_creat, "ro/file", 0600)                                \
	X(SYS_truncate, "ro/file", 0)                                \
	X(SYS_mkdir, "ro/new", 0700)                                 \
	X(SYS_mkdirat, AT_FDCWD, "ro/new", 0700)                     \
	X(SYS_rmdir, "ro/dir")                                       \
	X(SYS_unlink, "ro/file")                                     \
	X(SYS_unlinkat, AT_FDCWD, "ro/file", 0)                      \
	X(SYS_unlinkat, AT_FDCWD, "ro/dir", AT_REMOVEDIR)            \
	X(SYS_rename, "ro/file", "ro/new")                           \
	X(SYS_renameat, AT_FDCWD, "ro/file", AT_FDCWD, "ro/new")     \
	X(SYS_renameat2, AT_FDCWD, "ro/file", AT_FDCWD, "ro/new", 0) \
	X(SYS_link, "ro/file", "ro/new")                             \
	X(SYS_linkat, AT_FDCWD, "ro/file", AT_FDCWD, "ro/new", 0)    \
	X(SYS_symlink, "x", "ro/new")                                \
	X(SYS_symlinkat, "x", AT_FDCWD, "ro/new")                    \
	X(SYS_mknod, "ro/new", S_IFIFO | 0600, 0)                    \
	X(SYS_mknodat, AT_FDCWD, "ro/new", S_IFREG | 0600, 0)        \
	X(SYS_chmod, "ro/file", 0600)                                \
	X(SYS_fchmodat, AT_FDCWD, "ro/file", 0600)                   \
	X(SYS_fchmod, fd, 0600)                                      \
	X(SYS_chown, "ro/file", 1, 1)                                \
	X(SYS_lchown, "ro/file", 1, 1)                               \
	X(SYS_fchownat, AT_FDCWD, "ro/file", 1, 1, 0)                \
	X(SYS_fchown, fd, 1, 1)                                      \
	X(SYS_utime, "ro/file", NULL)                                \
	X(SYS_utimes, "ro/file", tv2)                                \
	X(SYS_futimesat, AT_FDCWD, "ro/file", tv2)                   \
	X(SYS_utimensat, AT_FDCWD, "ro/file", NULL, 0)               \
	X(SYS_utimensat, fd, NULL, NULL, 0)                          \
	X(SYS_setxattr, "ro/file", "user.x", "v", 1, 0)              \
	X(SYS_lsetxattr, "ro/file", "user.x", "v", 1, 0)             \
	X(SYS_fsetxattr, fd, "user.x", "v", 1, 0)                    \
	X(SYS_removexattr, "ro/file", "user.x")                      \
	X(SYS_lremovexattr, "ro/file", "user.x")                     \
	X(SYS_fremovexattr, fd, "user.x")                            \
	X(SYS_bind, un, &name, sizeof(name))                         \
	X(SYS_access, "ro/file", W_OK)                               \
	X(SYS_faccessat, AT_FDCWD, "ro/file", W_OK)                  \
	X(SYS_faccessat2, AT_FDCWD, "ro/file", W_OK, 0)

#define REFUSED(call, ...)                                                 \
	do {                                                               \
		errno = 0;                                                 \
		if (syscall(call, __VA_ARGS__) != -1 || errno != EROFS)    \
			FAIL(#call "(" #__VA_ARGS__ "): %s, wanted EROFS", \
			     test_errno_name(errno));                      \
	} while (0);

static void make(void)
{
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	if (unshare(CLONE_NEWNS))
		SKIP("no mount namespace: %s", test_errno_name(errno));
	OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	OK(mkdir("ro", 0755));
	OK(mount("none", "ro", "tmpfs", 0, NULL));
	write_file("ro/file", "text");
	OK(mkdir("ro/dir", 0755));
	OK(mkfifo("ro/fifo", 0600));
	un = OK(socket(AF_UNIX, SOCK_STREAM, 0));
}

TEST(file_system)
{
	struct statvfs s;
	int fd;

	make();
	fd = OK(open("ro/file", O_RDONLY));
	OK(mount(NULL, "ro", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	CHANGING_CALLS(REFUSED)
	OK(statvfs("ro", &s));
	CHECK(s.f_flag & ST_RDONLY);
}

TEST(mount_only)
{
	struct statvfs s;
	int fd;

	make();
	OK(mount("ro", "ro", NULL, MS_BIND, NULL));
	fd = OK(open("ro/file", O_RDONLY));
	OK(mount(NULL, "ro", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	CHANGING_CALLS(REFUSED)
	OK(statvfs("ro", &s));
	CHECK(s.f_flag & ST_RDONLY);
}

TEST(reading_goes_on)
{
	char buf[8];
	int fd;

	make();
	OK(mount(NULL, "ro", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	fd = OK(open("ro/file", O_RDONLY));
	CHECK_EQ(read(fd, buf, 8), 4);
	OK(access("ro/file", R_OK));
	OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	/* What is no file of the file system may be written. */
	fd = OK(open("ro/fifo", O_RDWR));
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_ERRNO(mkdir("ro/dir", 0700), EEXIST);
	CHECK_ERRNO(unlink("ro/none"), EROFS);
	CHECK_ERRNO(open("ro/none", O_RDWR), ENOENT);
}
