/* SPDX-License-Identifier: Apache-2.0 */
/* Every call that takes a path, with every path that does not resolve. */
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <utime.h>

#include "harness.h"

static char big[8192];
static struct stat st;
static const struct timespec now2[2];
static const struct timeval tv2[2];
static const char data[8] = "data";
static int in;

/* Each line: a call with the path `p`; a name that is free or a file that is there beside it. */
#define PATH_CALLS(X)                                 \
	X(SYS_open, p, O_RDONLY)                      \
	X(SYS_openat, AT_FDCWD, p, O_RDONLY)          \
	X(SYS_stat, p, &st)                           \
	X(SYS_newfstatat, AT_FDCWD, p, &st, 0)        \
	X(SYS_statx, AT_FDCWD, p, 0, STATX_TYPE, big) \
	X(SYS_access, p, F_OK)                        \
	X(SYS_faccessat, AT_FDCWD, p, F_OK)           \
	X(SYS_chmod, p, 0600)                         \
	X(SYS_fchmodat, AT_FDCWD, p, 0600)            \
	X(SYS_chown, p, -1, -1)                       \
	X(SYS_fchownat, AT_FDCWD, p, -1, -1, 0)       \
	X(SYS_truncate, p, 0)                         \
	X(SYS_chdir, p)                               \
	X(SYS_statfs, p, big)                         \
	X(SYS_utime, p, NULL)                         \
	X(SYS_utimes, p, tv2)                         \
	X(SYS_futimesat, AT_FDCWD, p, tv2)            \
	X(SYS_utimensat, AT_FDCWD, p, now2, 0)        \
	X(SYS_getxattr, p, "user.x", big, 10)         \
	X(SYS_setxattr, p, "user.x", data, 4, 0)      \
	X(SYS_listxattr, p, big, 10)                  \
	X(SYS_removexattr, p, "user.x")               \
	X(SYS_inotify_add_watch, in, p, IN_OPEN)      \
	X(SYS_execve, p, NULL, NULL)                  \
	X(SYS_openat2, AT_FDCWD, p, data + 8, 0)

/* Those that look at the last name itself, do not follow it, or make it. */
#define NAME_CALLS(X)                                      \
	X(SYS_lstat, p, &st)                               \
	X(SYS_readlink, p, big, 10)                        \
	X(SYS_readlinkat, AT_FDCWD, p, big, 10)            \
	X(SYS_lchown, p, -1, -1)                           \
	X(SYS_lgetxattr, p, "user.x", big, 10)             \
	X(SYS_lsetxattr, p, "user.x", data, 4, 0)          \
	X(SYS_llistxattr, p, big, 10)                      \
	X(SYS_lremovexattr, p, "user.x")                   \
	X(SYS_unlink, p)                                   \
	X(SYS_unlinkat, AT_FDCWD, p, 0)                    \
	X(SYS_rmdir, p)                                    \
	X(SYS_rename, p, "free")                           \
	X(SYS_renameat, AT_FDCWD, p, AT_FDCWD, "free")     \
	X(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, "free", 0) \
	X(SYS_link, p, "free")                             \
	X(SYS_linkat, AT_FDCWD, p, AT_FDCWD, "free", 0)

#define NEW_CALLS(X)                                    \
	X(SYS_creat, p, 0600)                           \
	X(SYS_mkdir, p, 0700)                           \
	X(SYS_mkdirat, AT_FDCWD, p, 0700)               \
	X(SYS_mknod, p, S_IFIFO | 0600, 0)              \
	X(SYS_mknodat, AT_FDCWD, p, S_IFIFO | 0600, 0)  \
	X(SYS_symlink, "target", p)                     \
	X(SYS_symlinkat, "target", AT_FDCWD, p)         \
	X(SYS_link, "file", p)                          \
	X(SYS_linkat, AT_FDCWD, "file", AT_FDCWD, p, 0) \
	X(SYS_rename, "file", p)                        \
	X(SYS_renameat, AT_FDCWD, "file", AT_FDCWD, p)  \
	X(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, p, 0)

#define ONE(call, ...)                                                                         \
	do {                                                                                   \
		long r_ = (errno = 0, syscall(call, __VA_ARGS__));                             \
		int e_ = errno;                                                                \
		if (call == SYS_openat2 && e_ == EINVAL)                                       \
			break;                                                                 \
		if (r_ != -1 || e_ != want)                                                    \
			FAIL(#call "(%s): %ld, %s, wanted %s", shown, r_, test_errno_name(e_), \
			     test_errno_name(want));                                           \
	} while (0);

static const char *shown;
static int want;

static void set_up(const char *name, int error)
{
	shown = name;
	want = error;
	in = OK(inotify_init());
	write_file("file", "x");
	OK(mkdir("dir", 0755));
}

TEST(no_such_name)
{
	const char *p = "none";

	set_up("none", ENOENT);
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
}

TEST(empty)
{
	const char *p = "";

	set_up("", ENOENT);
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(no_such_directory)
{
	const char *p = "none/name";

	set_up("none/name", ENOENT);
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(file_as_directory)
{
	const char *p = "file/name";

	set_up("file/name", ENOTDIR);
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(name_too_long)
{
	char *p = malloc(300);

	set_up("256 letters", ENAMETOOLONG);
	memset(p, 'n', 256);
	p[256] = 0;
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(path_too_long)
{
	char *p = malloc(5000);

	set_up("4096 letters", ENAMETOOLONG);
	memset(p, '/', 4096);
	p[4096] = 0;
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(loop)
{
	const char *p = "loop";

	set_up("loop", ELOOP);
	OK(symlink("loop", "loop"));
	PATH_CALLS(ONE)
}

TEST(loop_on_the_way)
{
	const char *p = "loop/name";

	set_up("loop/name", ELOOP);
	OK(symlink("loop", "loop"));
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(bad_address)
{
	const char *p = BAD_PTR;

	set_up("bad address", EFAULT);
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(address_of_the_kernel)
{
	const char *p = KERNEL_PTR;

	set_up("kernel address", EFAULT);
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(path_that_ends_in_a_hole)
{
	char *page = OK(
		     mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
	     *p = page + 4092;

	set_up("cut off by a hole", EFAULT);
	OK(munmap(page + 4096, 4096));
	memcpy(p, "file", 4);
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
	/* With its end in the last byte it is whole. */
	memcpy(page + 4091, "file", 5);
	OK(access(page + 4091, F_OK));
}

TEST(no_search_permission)
{
	const char *p = "closed/name";

	need_root();
	set_up("closed/name", EACCES);
	OK(mkdir("closed", 0700));
	OK(chmod("file", 0666));
	OK(chmod(".", 0777));
	become_nobody();
	PATH_CALLS(ONE)
	NAME_CALLS(ONE)
	NEW_CALLS(ONE)
}

TEST(no_permission_to_make)
{
	const char *p = "dir/name";

	need_root();
	set_up("dir/name", EACCES);
	OK(chown("file", 65534, 65534));
	OK(chmod(".", 0777));
	become_nobody();
	NEW_CALLS(ONE)
}

#define DIRFD(call, ...)                                     \
	CHECK_ERRNO(syscall(call, 199, __VA_ARGS__), EBADF); \
	CHECK_ERRNO(syscall(call, file, __VA_ARGS__), ENOTDIR);

TEST(directory_descriptors)
{
	int file;

	set_up("", 0);
	file = OK(open("file", O_RDONLY));
	DIRFD(SYS_openat, "x", O_RDONLY)
	DIRFD(SYS_newfstatat, "x", &st, 0)
	DIRFD(SYS_statx, "x", 0, STATX_TYPE, big)
	DIRFD(SYS_faccessat, "x", F_OK)
	DIRFD(SYS_faccessat2, "x", F_OK, 0)
	DIRFD(SYS_fchmodat, "x", 0600)
	DIRFD(SYS_fchownat, "x", -1, -1, 0)
	DIRFD(SYS_utimensat, "x", now2, 0)
	DIRFD(SYS_futimesat, "x", tv2)
	DIRFD(SYS_readlinkat, "x", big, 10)
	DIRFD(SYS_unlinkat, "x", 0)
	DIRFD(SYS_mkdirat, "x", 0700)
	DIRFD(SYS_mknodat, "x", S_IFIFO | 0600, 0)
	DIRFD(SYS_linkat, "x", AT_FDCWD, "y", 0)
	DIRFD(SYS_renameat, "x", AT_FDCWD, "y")
	DIRFD(SYS_renameat2, "x", AT_FDCWD, "y", 0)
	DIRFD(SYS_execveat, "x", NULL, NULL, 0)
	CHECK_ERRNO(syscall(SYS_symlinkat, "t", 199, "x"), EBADF);
	CHECK_ERRNO(syscall(SYS_symlinkat, "t", file, "x"), ENOTDIR);
	CHECK_ERRNO(syscall(SYS_linkat, AT_FDCWD, "file", 199, "x", 0), EBADF);
	CHECK_ERRNO(syscall(SYS_renameat, AT_FDCWD, "file", file, "x"), ENOTDIR);
}
