/* SPDX-License-Identifier: Apache-2.0 */
/* chmod(2), fchmod(2), fchmodat(2), umask(2). */
#include "harness.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	OK(lstat(path, &st));
	return st.st_mode & 07777;
}

TEST(all_bits)
{
	write_file("f", "");
	for (mode_t mode = 0; mode < 07777; mode += 0111) {
		OK(chmod("f", mode));
		CHECK_EQ(mode_of("f"), mode);
	}
	/* Bits above are left out. */
	OK(chmod("f", 0170000 | 0640));
	CHECK_EQ(mode_of("f"), 0640);
}

TEST(umask_is_returned_and_cut)
{
	CHECK_EQ(umask(0777), 022);
	CHECK_EQ(umask(0), 0777);
	CHECK_EQ(umask(07022), 0);
	CHECK_EQ(umask(022), 022);
}

TEST(umask_of_the_child_is_its_own)
{
	pid_t pid;

	umask(027);
	CHILD (pid) {
		CHECK_EQ(umask(0), 027);
	}
	wait_ok(pid);
	CHECK_EQ(umask(0), 027);
}

TEST(umask_does_not_touch_chmod)
{
	write_file("f", "");
	umask(0777);
	OK(chmod("f", 0666));
	CHECK_EQ(mode_of("f"), 0666);
}

TEST(by_descriptor)
{
	int fd = OK(open("f", O_CREAT | O_RDONLY, 0600)), d = OK(open(".", O_RDONLY)), path;

	OK(fchmod(fd, 0751));
	CHECK_EQ(mode_of("f"), 0751);
	OK(fchmodat(d, "f", 0711, 0));
	CHECK_EQ(mode_of("f"), 0711);
	OK(unlink("f"));
	OK(fchmod(fd, 0700));
	path = OK(open(".", O_PATH));
	CHECK_ERRNO(fchmod(path, 0700), EBADF);
	CHECK_ERRNO(fchmod(99, 0700), EBADF);
}

TEST(errors)
{
	char name[300];

	write_file("f", "");
	CHECK_ERRNO(chmod("none", 0600), ENOENT);
	CHECK_ERRNO(chmod("", 0600), ENOENT);
	CHECK_ERRNO(chmod("f/x", 0600), ENOTDIR);
	CHECK_ERRNO(chmod(BAD_PTR, 0600), EFAULT);
	CHECK_ERRNO(fchmodat(99, "f", 0600, 0), EBADF);
	memset(name, 'a', 256);
	name[256] = 0;
	CHECK_ERRNO(chmod(name, 0600), ENAMETOOLONG);
	OK(symlink("loop", "loop"));
	CHECK_ERRNO(chmod("loop", 0600), ELOOP);
}

TEST(links_are_followed)
{
	write_file("f", "");
	OK(symlink("f", "l"));
	OK(chmod("l", 0600));
	CHECK_EQ(mode_of("f"), 0600);
	CHECK_EQ(mode_of("l"), 0777);
}

TEST(fchmodat2_and_links)
{
	write_file("f", "");
	OK(symlink("f", "l"));
	if (syscall(SYS_fchmodat2, AT_FDCWD, "f", 0600, 0) == -1 && errno == ENOSYS)
		SKIP("no fchmodat2");
	OK(syscall(SYS_fchmodat2, AT_FDCWD, "f", 0640, AT_SYMLINK_NOFOLLOW));
	CHECK_EQ(mode_of("f"), 0640);
	CHECK_ERRNO(syscall(SYS_fchmodat2, AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_fchmodat2, AT_FDCWD, "f", 0600, 0x8000), EINVAL);
}

TEST(only_owner_or_capability)
{
	need_root();
	write_file("f", "");
	OK(chmod("f", 0666));
	write_file("mine", "");
	OK(chown("mine", 65534, 65534));
	become_nobody();
	CHECK_ERRNO(chmod("f", 0777), EPERM);
	OK(chmod("mine", 0755));
	CHECK_EQ(mode_of("mine"), 0755);
}

TEST(setgid_of_a_foreign_group_is_dropped)
{
	need_root();
	write_file("f", "");
	OK(chown("f", 65534, 4711));
	become_nobody();
	OK(chmod("f", 02755));
	CHECK_EQ(mode_of("f"), 0755);
}

TEST(write_drops_setuid_for_others)
{
	int fd;

	need_root();
	write_file("f", "x");
	OK(chmod("f", 06777));
	become_nobody();
	fd = OK(open("f", O_WRONLY));
	CHECK_EQ(write(fd, "y", 1), 1);
	CHECK_EQ(mode_of("f"), 0777);
}

TEST(open_descriptor_keeps_its_rights)
{
	int fd;

	need_root();
	write_file("f", "x");
	OK(chmod("f", 0666));
	become_nobody();
	fd = OK(open("f", O_RDWR));
	CHECK_EQ(write(fd, "y", 1), 1);
}

TEST(directory_rights)
{
	need_root();
	OK(mkdir("d", 0700));
	write_file("d/f", "");
	OK(chmod("d", 0711));
	become_nobody();
	/* Search without read: names can be used, not listed. */
	OK(access("d/f", F_OK));
	CHECK_ERRNO(open("d", O_RDONLY), EACCES);
	OK(open("d", O_PATH));
}

TEST(change_of_owner_drops_setuid)
{
	need_root();
	write_file("f", "");
	OK(chmod("f", 04755));
	CHECK_EQ(mode_of("f"), 04755);
	OK(chown("f", 1, 1));
	CHECK_EQ(mode_of("f"), 0755);
}
