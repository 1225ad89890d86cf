/* SPDX-License-Identifier: Apache-2.0 */
/* access(2), faccessat(2), faccessat2(2): real and effective users, root, errors. */
#include "harness.h"

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

static long faccessat2(int dir, const char *path, int mode, int flags)
{
	return syscall(SYS_faccessat2, dir, path, mode, flags);
}

TEST(existence)
{
	write_file("f", "");
	OK(access("f", F_OK));
	CHECK_ERRNO(access("none", F_OK), ENOENT);
	CHECK_ERRNO(access("f/x", F_OK), ENOTDIR);
	CHECK_ERRNO(access("", F_OK), ENOENT);
	CHECK_ERRNO(access(BAD_PTR, F_OK), EFAULT);
	CHECK_ERRNO(access("f", 8), EINVAL);
	CHECK_ERRNO(access("f", -1), EINVAL);
	CHECK_ERRNO(access("none", 8), EINVAL);
}

TEST(root_may_all_but_execute)
{
	need_root();
	need_cap(CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE");
	write_file("f", "");
	OK(chmod("f", 0));
	OK(access("f", R_OK | W_OK));
	CHECK_ERRNO(access("f", X_OK), EACCES);
	OK(chmod("f", 0001));
	OK(access("f", X_OK));
	OK(mkdir("d", 0));
	OK(access("d", R_OK | W_OK | X_OK));
}

TEST(classes_of_users)
{
	need_root();
	write_file("own", "");
	write_file("group", "");
	write_file("other", "");
	OK(chmod("own", 0400));
	OK(chown("own", 65534, 0));
	OK(chmod("group", 0060));
	OK(chown("group", 0, 65534));
	OK(chmod("other", 0001));
	become_nobody();
	OK(access("own", R_OK));
	CHECK_ERRNO(access("own", W_OK), EACCES);
	CHECK_ERRNO(access("own", R_OK | W_OK), EACCES);
	OK(access("group", R_OK | W_OK));
	CHECK_ERRNO(access("group", X_OK), EACCES);
	OK(access("other", X_OK));
	CHECK_ERRNO(access("other", R_OK), EACCES);
	OK(access("other", F_OK));
}

TEST(first_matching_class_decides)
{
	need_root();
	write_file("f", "");
	OK(chmod("f", 0077));
	OK(chown("f", 65534, 65534));
	become_nobody();
	/* The owner has no rights, although group and others have. */
	CHECK_ERRNO(access("f", R_OK), EACCES);
}

TEST(search_permission)
{
	need_root();
	OK(mkdir("d", 0766));
	OK(chmod("d", 0766));
	write_file("d/f", "");
	become_nobody();
	CHECK_ERRNO(access("d/f", F_OK), EACCES);
	OK(access("d", R_OK | W_OK));
	CHECK_ERRNO(access("d", X_OK), EACCES);
}

TEST(real_user_counts_unless_eaccess)
{
	need_root();
	write_file("f", "");
	OK(chmod("f", 0600));
	OK(setresuid(0, 65534, 0));
	/* The real user is root. */
	OK(access("f", R_OK | W_OK));
	if (faccessat2(AT_FDCWD, "f", R_OK, AT_EACCESS) < 0 && errno == ENOSYS)
		SKIP("no faccessat2");
	CHECK_ERRNO(faccessat2(AT_FDCWD, "f", R_OK, AT_EACCESS), EACCES);
	CHECK_ERRNO(open("f", O_RDONLY), EACCES);
	OK(setresuid(65534, 0, 0));
	CHECK_ERRNO(access("f", R_OK), EACCES);
	OK(faccessat2(AT_FDCWD, "f", R_OK, AT_EACCESS));
}

TEST(supplementary_groups)
{
	gid_t groups[2] = { 1234, 777 };

	need_root();
	write_file("f", "");
	OK(chown("f", 0, 777));
	OK(chmod("f", 0040));
	OK(syscall(SYS_setgroups, 2, groups));
	OK(syscall(SYS_setresgid, 65534, 65534, 65534));
	OK(syscall(SYS_setresuid, 65534, 65534, 65534));
	OK(access("f", R_OK));
	CHECK_ERRNO(access("f", W_OK), EACCES);
}

TEST(at_variants)
{
	int d, f;

	OK(mkdir("d", 0700));
	write_file("d/f", "");
	d = OK(open("d", O_RDONLY));
	f = OK(open("d/f", O_RDONLY));
	OK(syscall(SYS_faccessat, d, "f", R_OK));
	CHECK_ERRNO(syscall(SYS_faccessat, f, "f", R_OK), ENOTDIR);
	CHECK_ERRNO(syscall(SYS_faccessat, 88, "f", R_OK), EBADF);
	OK(syscall(SYS_faccessat, 88, "/", F_OK));
	OK(symlink("none", "l"));
	CHECK_ERRNO(faccessat2(AT_FDCWD, "l", F_OK, 0), ENOENT);
	OK(faccessat2(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	OK(faccessat2(f, "", R_OK, AT_EMPTY_PATH));
	CHECK_ERRNO(faccessat2(d, "f", R_OK, 0x40000), EINVAL);
	CHECK_ERRNO(faccessat2(d, "f", 0x10, 0), EINVAL);
}
