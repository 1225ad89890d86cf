/* SPDX-License-Identifier: Apache-2.0 */
/* open(2), openat(2), creat(2), close(2): flags, modes, errors. */
#include <sys/resource.h>

#include <sys/ioctl.h>

#include "harness.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	OK(stat(path, &st));
	return st.st_mode & 07777;
}

TEST(create_with_mode_and_umask)
{
	umask(027);
	OK(open("a", O_CREAT | O_WRONLY, 0666));
	CHECK_EQ(mode_of("a"), 0640);
	umask(0);
	OK(open("b", O_CREAT | O_WRONLY, 04755));
	CHECK_EQ(mode_of("b"), 04755);
	/* The mode of a file that is there stays. */
	OK(open("b", O_CREAT | O_WRONLY, 0600));
	CHECK_EQ(mode_of("b"), 04755);
}

TEST(created_file_has_the_callers_owner)
{
	struct stat st;

	CHECK_EQ(fstat(OK(open("a", O_CREAT | O_RDWR, 0600)), &st), 0);
	CHECK_EQ(st.st_uid, geteuid());
	CHECK_EQ(st.st_gid, getegid());
	CHECK_EQ(st.st_size, 0);
	CHECK(S_ISREG(st.st_mode));
}

TEST(exclusive)
{
	OK(open("a", O_CREAT | O_EXCL | O_RDWR, 0600));
	CHECK_ERRNO(open("a", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	OK(symlink("nowhere", "l"));
	CHECK_ERRNO(open("l", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	CHECK_ERRNO(access("nowhere", F_OK), ENOENT);
	OK(mkdir("d", 0700));
	CHECK_ERRNO(open("d", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
}

TEST(create_through_dangling_link)
{
	OK(symlink("target", "l"));
	OK(open("l", O_CREAT | O_RDWR, 0600));
	OK(access("target", F_OK));
}

TEST(truncate)
{
	struct stat st;

	write_file("a", "some text");
	OK(open("a", O_RDONLY));
	OK(stat("a", &st));
	CHECK_EQ(st.st_size, 9);
	OK(open("a", O_WRONLY | O_TRUNC));
	OK(stat("a", &st));
	CHECK_EQ(st.st_size, 0);
}

TEST(names_that_do_not_resolve)
{
	char name[300], *path = malloc(5000);

	write_file("f", "");
	CHECK_ERRNO(open("none", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("none/x", O_RDONLY | O_CREAT, 0600), ENOENT);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("f/x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("f/", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("f/.", O_RDONLY), ENOTDIR);
	memset(name, 'n', 256);
	name[256] = 0;
	CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
	CHECK_ERRNO(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
	name[255] = 0;
	CHECK_ERRNO(open(name, O_RDONLY), ENOENT);
	OK(open(name, O_CREAT | O_RDWR, 0600));
	memset(path, '/', 4999);
	path[4999] = 0;
	CHECK_ERRNO(open(path, O_RDONLY), ENAMETOOLONG);
	path[4095] = 0;
	OK(open(path, O_RDONLY));
	CHECK_ERRNO(open(BAD_PTR, O_RDONLY), EFAULT);
	CHECK_ERRNO(open(KERNEL_PTR, O_RDONLY), EFAULT);
}

TEST(symlink_loops)
{
	char name[16], target[16];

	OK(symlink("l", "l"));
	CHECK_ERRNO(open("l", O_RDONLY), ELOOP);
	CHECK_ERRNO(open("l/x", O_RDONLY), ELOOP);
	write_file("c0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(target, sizeof(target), "c%d", i - 1);
		OK(symlink(target, name));
	}
	OK(open("c40", O_RDONLY));
	CHECK_ERRNO(open("c41", O_RDONLY), ELOOP);
}

TEST(nofollow)
{
	write_file("f", "");
	OK(mkdir("d", 0700));
	OK(symlink("f", "l"));
	OK(symlink("d", "ld"));
	CHECK_ERRNO(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERRNO(open("l", O_WRONLY | O_CREAT | O_NOFOLLOW, 0600), ELOOP);
	CHECK_ERRNO(open("ld", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
	OK(open("ld/.", O_RDONLY | O_NOFOLLOW));
}

TEST(directories)
{
	OK(mkdir("d", 0700));
	write_file("f", "");
	OK(open("d", O_RDONLY));
	OK(open("d", O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(open("d", O_WRONLY), EISDIR);
	CHECK_ERRNO(open("d", O_RDWR), EISDIR);
	CHECK_ERRNO(open("d", O_RDONLY | O_CREAT, 0600), EISDIR);
	CHECK_ERRNO(open("d", O_RDONLY | O_TRUNC), EISDIR);
	CHECK_ERRNO(open("d/", O_RDWR), EISDIR);
	CHECK_ERRNO(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
	CHECK_ERRNO(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open(".", O_RDWR), EISDIR);
	OK(open("/", O_RDONLY));
	OK(open("/..", O_RDONLY));
	OK(open("d/../d/./..//d", O_RDONLY));
}

TEST(rights_of_an_ordinary_user)
{
	need_root();
	write_file("none", "");
	OK(chmod("none", 0));
	write_file("r", "");
	OK(mkdir("closed", 0700));
	write_file("closed/f", "");
	OK(chmod(".", 0755));
	become_nobody();
	CHECK_ERRNO(open("none", O_RDONLY), EACCES);
	OK(open("r", O_RDONLY));
	CHECK_ERRNO(open("r", O_WRONLY), EACCES);
	CHECK_ERRNO(open("r", O_RDWR), EACCES);
	CHECK_ERRNO(open("r", O_RDONLY | O_TRUNC), EACCES);
	CHECK_ERRNO(open("closed/f", O_RDONLY), EACCES);
	CHECK_ERRNO(open("closed/none", O_RDONLY), EACCES);
	CHECK_ERRNO(open("new", O_CREAT | O_RDWR, 0600), EACCES);
	CHECK_ERRNO(open("r", O_RDONLY | O_NOATIME), EPERM);
}

TEST(create_read_only_mode_still_writable)
{
	int fd = OK(open("f", O_CREAT | O_WRONLY, 0));

	CHECK_EQ(write(fd, "x", 1), 1);
}

TEST(lowest_free_descriptor)
{
	int a = OK(open("/dev/null", O_RDONLY)), b = OK(open("/dev/null", O_RDONLY));

	CHECK(b > a);
	OK(close(a));
	CHECK_EQ(open("/dev/null", O_RDONLY), a);
}

TEST(limit_of_descriptors)
{
	struct rlimit lim;
	int last = -1, fd;

	OK(getrlimit(RLIMIT_NOFILE, &lim));
	lim.rlim_cur = 32;
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	CHECK_EQ(errno, EMFILE);
	CHECK_EQ(last, 31);
	/* The error of the limit comes before that of the name, and nothing is created. */
	CHECK_ERRNO(open("none", O_RDONLY), EMFILE);
	CHECK_ERRNO(open("new", O_CREAT | O_RDWR, 0600), EMFILE);
	CHECK_ERRNO(access("new", F_OK), ENOENT);
	OK(close(10));
	CHECK_EQ(open("/dev/null", O_RDONLY), 10);
}

TEST(access_modes_hold)
{
	int r, w;
	char c;

	write_file("f", "text");
	r = OK(open("f", O_RDONLY));
	w = OK(open("f", O_WRONLY));
	CHECK_ERRNO(write(r, "x", 1), EBADF);
	CHECK_ERRNO(read(w, &c, 1), EBADF);
	CHECK_ERRNO(ftruncate(r, 0), EINVAL);
	CHECK_EQ(fcntl(w, F_GETFL) & O_ACCMODE, O_WRONLY);
}

TEST(close_errors)
{
	int fd = OK(open("/dev/null", O_RDONLY));

	OK(close(fd));
	CHECK_ERRNO(close(fd), EBADF);
	CHECK_ERRNO(close(-1), EBADF);
	CHECK_ERRNO(close(1 << 20), EBADF);
	CHECK_ERRNO(close(INT_MAX), EBADF);
}

TEST(openat_directories)
{
	int d, f;

	OK(mkdir("d", 0700));
	write_file("d/f", "inside");
	d = OK(open("d", O_RDONLY | O_DIRECTORY));
	f = OK(openat(d, "f", O_RDONLY));
	CHECK_ERRNO(openat(f, "x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(openat(99, "x", O_RDONLY), EBADF);
	CHECK_ERRNO(openat(-5, "x", O_RDONLY), EBADF);
	CHECK_ERRNO(openat(d, "", O_RDONLY), ENOENT);
	OK(openat(99, "/dev/null", O_RDONLY));
	OK(openat(AT_FDCWD, "d/f", O_RDONLY));
	/* The descriptor follows its directory. */
	OK(rename("d", "e"));
	OK(openat(d, "f", O_RDONLY));
	OK(unlink("e/f"));
	OK(rmdir("e"));
	CHECK_ERRNO(openat(d, "f", O_CREAT | O_RDWR, 0600), ENOENT);
}

TEST(opath)
{
	int p;
	char c;
	struct stat st;

	write_file("f", "x");
	OK(chmod("f", 0));
	p = OK(open("f", O_PATH));
	CHECK_ERRNO(read(p, &c, 1), EBADF);
	CHECK_ERRNO(write(p, &c, 1), EBADF);
	CHECK_ERRNO(fchmod(p, 0600), EBADF);
	CHECK_ERRNO(ioctl(p, 0x5401, &c), EBADF);
	CHECK_ERRNO(lseek(p, 0, SEEK_SET), EBADF);
	CHECK_ERRNO(fsync(p), EBADF);
	OK(fstat(p, &st));
	CHECK_EQ(st.st_size, 1);
	CHECK(fcntl(p, F_GETFL) & O_PATH);
	OK(symlink("f", "l"));
	p = OK(open("l", O_PATH | O_NOFOLLOW));
	OK(fstat(p, &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(readlinkat(p, "", &c, 1), 1);
	CHECK_EQ(c, 'f');
}

TEST(tmpfile)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64];
	struct stat st;

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		SKIP("no O_TMPFILE on this file system");
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "hidden", 6), 6);
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	OK(stat("named", &st));
	CHECK_EQ(st.st_size, 6);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	fd = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "other", AT_SYMLINK_FOLLOW), ENOENT);
	CHECK_ERRNO(open("named", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
}

TEST(creat_is_open)
{
	struct stat st;
	int fd;

	write_file("f", "old");
	fd = (int)OK(syscall(SYS_creat, "f", 0600));
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
}

TEST(sticky_directory_protects_others_files)
{
	need_root();
	OK(mkdir("t", 0));
	OK(chmod("t", 01777));
	write_file("t/root", "");
	become_nobody();
	OK(open("t/mine", O_CREAT | O_RDWR, 0600));
	CHECK_ERRNO(unlink("t/root"), EPERM);
	CHECK_ERRNO(rename("t/mine", "t/root"), EPERM);
	OK(unlink("t/mine"));
}

TEST(devices)
{
	char buf[16];
	int fd = OK(open("/dev/null", O_RDWR));

	CHECK_EQ(read(fd, buf, 16), 0);
	CHECK_EQ(write(fd, buf, 16), 16);
	fd = OK(open("/dev/zero", O_RDWR));
	memset(buf, 1, 16);
	CHECK_EQ(read(fd, buf, 16), 16);
	CHECK_EQ(buf[15], 0);
	fd = OK(open("/dev/full", O_RDWR));
	CHECK_EQ(read(fd, buf, 16), 16);
	CHECK_ERRNO(write(fd, buf, 16), ENOSPC);
	fd = OK(open("/dev/urandom", O_RDONLY));
	CHECK_EQ(read(fd, buf, 16), 16);
}

TEST(no_terminal)
{
	/* A session leader without terminal. */
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
}
