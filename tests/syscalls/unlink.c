/* SPDX-License-Identifier: Apache-2.0 */
/* unlink(2), unlinkat(2), mknod(2). */
#include <sys/sysmacros.h>

#include "harness.h"

TEST(name_goes_file_stays_while_linked)
{
	struct stat st;

	write_file("f", "data");
	OK(link("f", "g"));
	OK(unlink("f"));
	CHECK_ERRNO(access("f", F_OK), ENOENT);
	OK(stat("g", &st));
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(st.st_size, 4);
}

TEST(errors)
{
	char name[300];

	write_file("f", "");
	OK(mkdir("d", 0700));
	CHECK_ERRNO(unlink("none"), ENOENT);
	CHECK_ERRNO(unlink("d"), EISDIR);
	CHECK_ERRNO(unlink("f/x"), ENOTDIR);
	CHECK_ERRNO(unlink("f/"), ENOTDIR);
	CHECK_ERRNO(unlink(""), ENOENT);
	CHECK_ERRNO(unlink("."), EISDIR);
	CHECK_ERRNO(unlink("/"), EISDIR);
	CHECK_ERRNO(unlink(BAD_PTR), EFAULT);
	memset(name, 'a', 256);
	name[256] = 0;
	CHECK_ERRNO(unlink(name), ENAMETOOLONG);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "f", 1), EINVAL);
	CHECK_ERRNO(unlinkat(99, "f", 0), EBADF);
}

TEST(link_itself_is_removed)
{
	write_file("f", "");
	OK(symlink("f", "l"));
	OK(unlink("l"));
	OK(access("f", F_OK));
	OK(symlink("none", "dangling"));
	OK(unlink("dangling"));
}

TEST(permission_is_the_directorys)
{
	need_root();
	OK(mkdir("closed", 0755));
	OK(mkdir("open", 0777));
	OK(chmod("open", 0777));
	write_file("closed/f", "");
	OK(chmod("closed/f", 0666));
	write_file("open/f", "");
	OK(chmod("open/f", 0));
	become_nobody();
	CHECK_ERRNO(unlink("closed/f"), EACCES);
	CHECK_ERRNO(unlink("closed/none"), ENOENT);
	OK(unlink("open/f"));
}

TEST(open_file_and_a_new_one_of_the_same_name)
{
	int fd;
	char buf[8] = "";

	write_file("f", "old");
	fd = OK(open("f", O_RDONLY));
	OK(unlink("f"));
	write_file("f", "new");
	CHECK_EQ(read(fd, buf, 8), 3);
	CHECK_STR(buf, "old");
}

TEST(mapping_outlives_the_name)
{
	int fd;
	char *p;

	write_file("f", "mapped");
	fd = OK(open("f", O_RDWR));
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	OK(close(fd));
	OK(unlink("f"));
	CHECK(!memcmp(p, "mapped", 6));
	p[0] = 'M';
}

TEST(fifo_and_regular_by_mknod)
{
	struct stat st;

	OK(mknod("p", S_IFIFO | 0666, 0));
	OK(stat("p", &st));
	CHECK_EQ(st.st_mode, S_IFIFO | 0644);
	OK(mknod("r", S_IFREG | 0600, 0));
	OK(stat("r", &st));
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	OK(mknod("z", 0600, 0));
	OK(stat("z", &st));
	CHECK(S_ISREG(st.st_mode));
	OK(mknod("s", S_IFSOCK | 0600, 0));
	OK(stat("s", &st));
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_ERRNO(mknod("p", S_IFIFO | 0600, 0), EEXIST);
	CHECK_ERRNO(mknod("d", S_IFDIR | 0700, 0), EPERM);
	CHECK_ERRNO(mknod("x", S_IFLNK | 0700, 0), EINVAL);
	CHECK_ERRNO(mknod("none/x", S_IFREG | 0700, 0), ENOENT);
	CHECK_ERRNO(open("s", O_RDWR), ENXIO);
}

TEST(devices_need_a_capability)
{
	need_root();
	become_nobody();
	CHECK_ERRNO(mknod("/tmp/no-such-device-node", S_IFCHR | 0600, makedev(1, 3)), EPERM);
}

TEST(create_and_unlink_in_parallel)
{
	pid_t pids[4];
	char name[16];

	for (int i = 0; i < 4; i++) {
		CHILD (pids[i]) {
			for (int n = 0; n < 300; n++) {
				int fd;

				snprintf(name, sizeof(name), "f%d", n % 7);
				fd = open(name, O_CREAT | O_RDWR, 0600);
				CHECK(fd >= 0);
				close(fd);
				if (unlink(name))
					CHECK_EQ(errno, ENOENT);
			}
		}
	}
	for (int i = 0; i < 4; i++)
		wait_ok(pids[i]);
	for (int n = 0; n < 7; n++) {
		snprintf(name, sizeof(name), "f%d", n);
		CHECK_ERRNO(access(name, F_OK), ENOENT);
	}
}
