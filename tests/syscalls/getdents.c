/* SPDX-License-Identifier: Apache-2.0 */
/* getdents64(2) and getdents(2). */
#include <dirent.h>

#include "harness.h"

struct entry64 {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static long getdents_(int fd, void *buf, size_t size)
{
	return syscall(SYS_getdents64, fd, buf, size);
}

/* Type of the entry in `buf`, -1 if it is not there. */
static int find(const char *buf, long n, const char *name)
{
	for (long at = 0; at < n;) {
		const struct entry64 *e = (const struct entry64 *)(buf + at);

		CHECK(e->len % 8 == 0 && e->len >= 24 && at + e->len <= n);
		CHECK(strlen(e->name) < e->len - 19U);
		if (!strcmp(e->name, name))
			return e->type;
		at += e->len;
	}
	return -1;
}

TEST(entries_and_types)
{
	char buf[4096];
	long n;

	OK(mkdir("dir", 0700));
	write_file("file", "");
	OK(symlink("file", "link"));
	OK(mkfifo("fifo", 0600));
	n = OK(getdents_(OK(open(".", O_RDONLY | O_DIRECTORY)), buf, sizeof(buf)));
	CHECK_EQ(find(buf, n, "."), DT_DIR);
	CHECK_EQ(find(buf, n, ".."), DT_DIR);
	CHECK_EQ(find(buf, n, "dir"), DT_DIR);
	CHECK_EQ(find(buf, n, "file"), DT_REG);
	CHECK_EQ(find(buf, n, "link"), DT_LNK);
	CHECK_EQ(find(buf, n, "fifo"), DT_FIFO);
	CHECK_EQ(find(buf, n, "none"), -1);
}

TEST(inode_numbers_agree_with_stat)
{
	DIR *d;
	struct dirent *e;
	struct stat st;
	int seen = 0;

	write_file("a", "");
	OK(mkdir("b", 0700));
	d = opendir(".");
	CHECK(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		OK(lstat(e->d_name, &st));
		CHECK_EQ(e->d_ino, st.st_ino);
		seen++;
	}
	CHECK_EQ(seen, 2);
}

TEST(each_name_once_in_small_pieces)
{
	static char seen[1000];
	char buf[256], name[64];
	int fd, count = 0;
	long n;

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		OK(mknod(name, S_IFREG | 0600, 0));
	}
	fd = OK(open(".", O_RDONLY));
	while ((n = OK(getdents_(fd, buf, sizeof(buf)))) > 0) {
		for (long at = 0; at < n;) {
			const struct entry64 *e = (const struct entry64 *)(buf + at);

			if (!strncmp(e->name, "entry-", 6)) {
				int i = atoi(e->name + 6);

				CHECK(!seen[i]);
				seen[i] = 1;
				count++;
			}
			at += e->len;
		}
	}
	CHECK_EQ(count, 1000);
}

TEST(removing_while_reading)
{
	DIR *d;
	struct dirent *e;
	char name[64];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		OK(mknod(name, S_IFREG | 0600, 0));
	}
	/* As rm -r does: every entry is found although those before it go. */
	d = opendir(".");
	CHECK(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == 'e')
			OK(unlink(e->d_name));
	}
	OK(chdir(".."));
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "removing_while_reading/entry-%d", i);
		CHECK_ERRNO(access(name, F_OK), ENOENT);
	}
}

TEST(seek_to_an_entry)
{
	DIR *d;
	struct dirent *e;
	long where;
	char name[64];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		OK(mknod(name, S_IFREG | 0600, 0));
	}
	d = opendir(".");
	for (int i = 0; i < 20; i++)
		CHECK(readdir(d));
	where = telldir(d);
	e = readdir(d);
	CHECK(e);
	strcpy(name, e->d_name);
	for (int i = 0; i < 10; i++)
		CHECK(readdir(d));
	seekdir(d, where);
	e = readdir(d);
	CHECK(e);
	CHECK_STR(e->d_name, name);
	rewinddir(d);
	int count = 0;

	while (readdir(d))
		count++;
	CHECK_EQ(count, 52);
}

TEST(errors)
{
	char buf[1024];
	int fd;

	write_file("f", "");
	CHECK_ERRNO(getdents_(99, buf, sizeof(buf)), EBADF);
	fd = OK(open("f", O_RDONLY));
	CHECK_ERRNO(getdents_(fd, buf, sizeof(buf)), ENOTDIR);
	fd = OK(open(".", O_RDONLY));
	CHECK_ERRNO(getdents_(fd, buf, 1), EINVAL);
	CHECK_ERRNO(getdents_(fd, BAD_PTR, 1024), EFAULT);
	fd = OK(open(".", O_PATH));
	CHECK_ERRNO(getdents_(fd, buf, sizeof(buf)), EBADF);
}

TEST(removed_directory)
{
	char buf[1024];
	int fd;

	OK(mkdir("d", 0700));
	fd = OK(open("d", O_RDONLY));
	OK(rmdir("d"));
	if (getdents_(fd, buf, sizeof(buf)) == -1)
		CHECK_EQ(errno, ENOENT);
}

TEST(old_call)
{
	struct {
		unsigned long ino, off;
		unsigned short len;
		char name[];
	} * e;
	char buf[1024];
	long n;
	int found = 0;

	write_file("f", "");
	n = OK(syscall(SYS_getdents, OK(open(".", O_RDONLY)), buf, sizeof(buf)));
	for (long at = 0; at < n; at += e->len) {
		e = (void *)(buf + at);
		if (!strcmp(e->name, "f")) {
			found = 1;
			CHECK_EQ(buf[at + e->len - 1], DT_REG);
		}
	}
	CHECK(found);
}

TEST(new_entries_show_after_rewind)
{
	char buf[2048];
	int fd = OK(open(".", O_RDONLY));
	long n = OK(getdents_(fd, buf, sizeof(buf)));

	CHECK_EQ(find(buf, n, "late"), -1);
	write_file("late", "");
	OK(lseek(fd, 0, SEEK_SET));
	n = OK(getdents_(fd, buf, sizeof(buf)));
	CHECK_EQ(find(buf, n, "late"), DT_REG);
}
