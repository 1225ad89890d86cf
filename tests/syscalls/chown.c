/* SPDX-License-Identifier: Apache-2.0 */
/* chown(2), lchown(2), fchown(2), fchownat(2). */
#include "harness.h"

static void owner_is(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	OK(lstat(path, &st));
	CHECK_EQ(st.st_uid, uid);
	CHECK_EQ(st.st_gid, gid);
}

TEST(both_or_one)
{
	need_root();
	write_file("f", "");
	OK(syscall(SYS_chown, "f", 1000, 2000));
	owner_is("f", 1000, 2000);
	OK(chown("f", -1, 3000));
	owner_is("f", 1000, 3000);
	OK(chown("f", 4000, -1));
	owner_is("f", 4000, 3000);
	OK(chown("f", -1, -1));
	owner_is("f", 4000, 3000);
	OK(chown("f", 0xfffffffe, 0x7fffffff));
	owner_is("f", 0xfffffffe, 0x7fffffff);
}

TEST(links)
{
	need_root();
	write_file("f", "");
	OK(symlink("f", "l"));
	OK(chown("l", 10, 11));
	owner_is("f", 10, 11);
	owner_is("l", 0, 0);
	OK(syscall(SYS_lchown, "l", 20, 21));
	owner_is("l", 20, 21);
	owner_is("f", 10, 11);
	OK(fchownat(AT_FDCWD, "l", 30, 31, AT_SYMLINK_NOFOLLOW));
	owner_is("l", 30, 31);
}

TEST(by_descriptor)
{
	int fd, path;

	need_root();
	fd = OK(open("f", O_CREAT | O_RDONLY, 0600));
	OK(fchown(fd, 7, 8));
	owner_is("f", 7, 8);
	path = OK(open("f", O_PATH));
	CHECK_ERRNO(fchown(path, 1, 1), EBADF);
	OK(fchownat(path, "", 9, 9, AT_EMPTY_PATH));
	owner_is("f", 9, 9);
	CHECK_ERRNO(fchown(99, 1, 1), EBADF);
	CHECK_ERRNO(fchownat(AT_FDCWD, "f", 1, 1, 0x8000), EINVAL);
	CHECK_ERRNO(fchownat(99, "f", 1, 1, 0), EBADF);
	CHECK_ERRNO(fchownat(fd, "f", 1, 1, 0), ENOTDIR);
	CHECK_ERRNO(fchownat(AT_FDCWD, "", 1, 1, 0), ENOENT);
}

TEST(errors)
{
	write_file("f", "");
	CHECK_ERRNO(chown("none", 0, 0), ENOENT);
	CHECK_ERRNO(chown("f/x", 0, 0), ENOTDIR);
	CHECK_ERRNO(chown(BAD_PTR, 0, 0), EFAULT);
	CHECK_ERRNO(lchown("", 0, 0), ENOENT);
}

TEST(ordinary_user_may_only_give_to_own_groups)
{
	gid_t groups[] = { 555 };

	need_root();
	write_file("f", "");
	OK(chown("f", 65534, 65534));
	write_file("roots", "");
	OK(syscall(SYS_setgroups, 1, groups));
	OK(syscall(SYS_setresgid, 65534, 65534, 65534));
	OK(syscall(SYS_setresuid, 65534, 65534, 65534));
	CHECK_ERRNO(chown("f", 1, -1), EPERM);
	CHECK_ERRNO(chown("f", -1, 777), EPERM);
	OK(chown("f", -1, 555));
	owner_is("f", 65534, 555);
	OK(chown("f", 65534, 65534));
	CHECK_ERRNO(chown("roots", -1, 555), EPERM);
}

TEST(set_id_bits_fall)
{
	struct stat st;

	need_root();
	write_file("f", "");
	OK(chmod("f", 06755));
	OK(chown("f", 1, 1));
	OK(stat("f", &st));
	CHECK_EQ(st.st_mode & 07777, 0755);
	/* Without group execution the setgid bit means locking and stays. */
	OK(chmod("f", 06645));
	OK(chown("f", 2, 2));
	OK(stat("f", &st));
	CHECK_EQ(st.st_mode & 02000, 02000);
	CHECK_EQ(st.st_mode & 04000, 0);
	/* On directories they stay. */
	OK(mkdir("d", 0755));
	OK(chmod("d", 02755));
	OK(chown("d", 1, 1));
	OK(stat("d", &st));
	CHECK_EQ(st.st_mode & 07777, 02755);
}

TEST(ctime_moves)
{
	struct stat a, b;

	need_root();
	write_file("f", "");
	OK(stat("f", &a));
	sleep_ms(25);
	OK(chown("f", 5, 5));
	OK(stat("f", &b));
	CHECK(b.st_ctim.tv_sec > a.st_ctim.tv_sec || b.st_ctim.tv_nsec > a.st_ctim.tv_nsec);
	CHECK_EQ(b.st_mtim.tv_nsec, a.st_mtim.tv_nsec);
}

TEST(owner_changes_rights_at_once)
{
	pid_t pid;

	need_root();
	write_file("f", "");
	OK(chmod("f", 0600));
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(open("f", O_RDONLY), EACCES);
	}
	wait_ok(pid);
	OK(chown("f", 65534, -1));
	CHILD (pid) {
		become_nobody();
		OK(open("f", O_RDONLY));
	}
	wait_ok(pid);
}
