/* SPDX-License-Identifier: Apache-2.0 */
/* rename(2), renameat(2), renameat2(2). */
#include <linux/fs.h>

#include "harness.h"

static long renameat2_(const char *from, const char *to, unsigned int flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static ino_t inode(const char *path)
{
	struct stat st;

	OK(lstat(path, &st));
	return st.st_ino;
}

static void content_is(const char *path, const char *want)
{
	char buf[64];

	read_file(path, buf, sizeof(buf));
	CHECK_STR(buf, want);
}

TEST(moves)
{
	ino_t ino;

	write_file("a", "A");
	ino = inode("a");
	OK(rename("a", "b"));
	CHECK_ERRNO(access("a", F_OK), ENOENT);
	CHECK_EQ(inode("b"), ino);
	OK(mkdir("d", 0700));
	OK(rename("b", "d/c"));
	content_is("d/c", "A");
}

TEST(replaces)
{
	int fd;
	char c;

	write_file("a", "A");
	write_file("b", "B");
	fd = OK(open("b", O_RDONLY));
	OK(rename("a", "b"));
	content_is("b", "A");
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'B');
}

TEST(same_file_does_nothing)
{
	write_file("a", "A");
	OK(rename("a", "a"));
	OK(link("a", "b"));
	/* Two names of one file: both stay. */
	OK(rename("a", "b"));
	OK(access("a", F_OK));
	OK(access("b", F_OK));
}

TEST(directories)
{
	OK(mkdir("a", 0700));
	write_file("a/f", "F");
	OK(mkdir("b", 0700));
	OK(rename("a", "b"));
	content_is("b/f", "F");
	OK(mkdir("c", 0700));
	CHECK_ERRNO(rename("c", "b"), ENOTEMPTY);
	write_file("f", "");
	CHECK_ERRNO(rename("c", "f"), ENOTDIR);
	CHECK_ERRNO(rename("f", "c"), EISDIR);
	CHECK_ERRNO(rename("b", "b/inside"), EINVAL);
	CHECK_ERRNO(rename("b/f", "b"), ENOTEMPTY);
	OK(mkdir("b/sub", 0700));
	CHECK_ERRNO(rename("b/sub", "b"), ENOTEMPTY);
	OK(mkdir("other", 0700));
	OK(rename("b/sub", "other/sub"));
	CHECK_EQ(inode("other/sub/.."), inode("other"));
}

TEST(errors)
{
	char name[300];

	write_file("f", "");
	OK(mkdir("d", 0700));
	CHECK_ERRNO(rename("none", "x"), ENOENT);
	CHECK_ERRNO(rename("f", "none/x"), ENOENT);
	CHECK_ERRNO(rename("f", "f/x"), ENOTDIR);
	CHECK_ERRNO(rename("f/x", "y"), ENOTDIR);
	CHECK_ERRNO(rename("f", ""), ENOENT);
	CHECK_ERRNO(rename("", "f"), ENOENT);
	CHECK_ERRNO(rename("f", BAD_PTR), EFAULT);
	CHECK_ERRNO(rename(BAD_PTR, "f"), EFAULT);
	CHECK_ERRNO(rename("f", "new/"), ENOTDIR);
	CHECK_ERRNO(rename("f/", "x"), ENOTDIR);
	CHECK_ERRNO(rename(".", "x"), EBUSY);
	CHECK_ERRNO(rename("d", "."), EBUSY);
	CHECK_ERRNO(rename("d", ".."), EBUSY);
	CHECK_ERRNO(rename("/", "/x"), EBUSY);
	memset(name, 'a', 256);
	name[256] = 0;
	CHECK_ERRNO(rename("f", name), ENAMETOOLONG);
	OK(rename("d", "e/"));
	OK(access("e", F_OK));
}

TEST(links_themselves_move)
{
	write_file("f", "F");
	OK(symlink("f", "l"));
	OK(rename("l", "m"));
	content_is("m", "F");
	write_file("g", "G");
	OK(rename("g", "m"));
	content_is("f", "F");
	content_is("m", "G");
}

TEST(noreplace)
{
	write_file("a", "A");
	write_file("b", "B");
	CHECK_ERRNO(renameat2_("a", "b", RENAME_NOREPLACE), EEXIST);
	content_is("b", "B");
	OK(renameat2_("a", "c", RENAME_NOREPLACE));
	content_is("c", "A");
	OK(symlink("none", "l"));
	CHECK_ERRNO(renameat2_("c", "l", RENAME_NOREPLACE), EEXIST);
}

TEST(exchange)
{
	write_file("a", "A");
	OK(mkdir("d", 0700));
	write_file("d/f", "F");
	if (renameat2_("a", "d", RENAME_EXCHANGE) && errno == EINVAL)
		SKIP("no RENAME_EXCHANGE on this file system");
	content_is("d", "A");
	content_is("a/f", "F");
	CHECK_ERRNO(renameat2_("d", "none", RENAME_EXCHANGE), ENOENT);
	CHECK_ERRNO(renameat2_("a", "a/f", RENAME_EXCHANGE), EINVAL);
}

TEST(flag_errors)
{
	write_file("a", "A");
	CHECK_ERRNO(renameat2_("a", "b", 1 << 10), EINVAL);
	CHECK_ERRNO(renameat2_("a", "b", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);
	content_is("a", "A");
}

TEST(at_variants)
{
	int d, e;

	OK(mkdir("d", 0700));
	OK(mkdir("e", 0700));
	write_file("d/f", "F");
	d = OK(open("d", O_RDONLY));
	e = OK(open("e", O_RDONLY));
	OK(renameat(d, "f", e, "g"));
	content_is("e/g", "F");
	CHECK_ERRNO(renameat(d, "f", e, "g"), ENOENT);
	CHECK_ERRNO(renameat(99, "f", e, "g"), EBADF);
	CHECK_ERRNO(renameat(d, "f", 99, "g"), EBADF);
}

TEST(permissions)
{
	need_root();
	OK(mkdir("ro", 0755));
	OK(mkdir("rw", 0777));
	OK(chmod("rw", 0777));
	write_file("ro/f", "");
	write_file("rw/f", "");
	become_nobody();
	CHECK_ERRNO(rename("ro/f", "rw/x"), EACCES);
	CHECK_ERRNO(rename("rw/f", "ro/x"), EACCES);
	OK(rename("rw/f", "rw/x"));
}

TEST(other_file_system)
{
	write_file("f", "");
	if (access("/dev/shm", W_OK))
		SKIP("no writable /dev/shm");
	CHECK_ERRNO(rename("f", "/dev/shm/no-such-name"), EXDEV);
	CHECK_ERRNO(link("f", "/dev/shm/no-such-name"), EXDEV);
	OK(access("f", F_OK));
}

TEST(replacing_is_never_seen_half)
{
	struct gate stop = gate_new();
	pid_t pid;
	char buf[8];

	write_file("target", "1111");
	CHILD (pid) {
		OK(fcntl(stop.fd[0], F_SETFL, O_NONBLOCK));
		for (int i = 0; read(stop.fd[0], buf, 1) != 1; i++) {
			write_file("new", i & 1 ? "1111" : "2222");
			OK(rename("new", "target"));
		}
	}
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(read_file("target", buf, sizeof(buf)), 4);
		CHECK(!strcmp(buf, "1111") || !strcmp(buf, "2222"));
	}
	gate_open(&stop);
	wait_ok(pid);
}

TEST(crossing_renames_of_directories)
{
	pid_t pids[2];

	/* a/x into b and b/y into a at once: no deadlock, no loop. */
	OK(mkdir("a", 0700));
	OK(mkdir("b", 0700));
	OK(mkdir("a/x", 0700));
	OK(mkdir("b/y", 0700));
	for (int i = 0; i < 2; i++) {
		CHILD (pids[i]) {
			const char *here = i ? "b/y" : "a/x", *there = i ? "a/y" : "b/x";

			for (int n = 0; n < 500; n++) {
				OK(rename(here, there));
				OK(rename(there, here));
			}
		}
	}
	wait_ok(pids[0]);
	wait_ok(pids[1]);
	OK(access("a/x", F_OK));
	OK(access("b/y", F_OK));
}
