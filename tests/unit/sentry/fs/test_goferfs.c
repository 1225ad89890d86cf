/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's client with a real gofer in a child: its root "rw" is mounted at "e" (exclusive) or
 * "s" (shared) of a tmpfs, and the test itself is "somebody else on the host".
 * More than 800 lines: one world, whose start costs more than a case, for all cases.
 */
#include "unit/sentry/fs/goferfs_world.h"

#include <dirent.h>
#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/vfs/locks.h"
#include "sentry/vfs/mount.h"

static bool mounted_shared;

static struct stat host_stat(const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(host->dir, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static uint64_t requests(void)
{
	return counts().requests;
}

static void do_data(void *arg)
{
	static char big[300000], back[sizeof(big)];
	struct stat st, h;
	struct file *f;

	(void)arg;
	put_file(host, "rw/from_host", "hello");
	expect_text("e/from_host", "hello");
	expect_text("s/from_host", "hello");
	assert_int_equal(w_write("e/new", "some text"), 9);
	assert_int_equal(host_stat("rw/new").st_size, 9);
	assert_int_equal(host_stat("rw/new").st_mode, S_IFREG | 0644);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	assert_int_equal(w_open("e/big", O_RDWR | O_CREAT | O_EXCL, &f), 0);
	assert_int_equal(f_write(f, big, sizeof(big)), sizeof(big));
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(f_read(f, back, sizeof(back)), sizeof(back));
	assert_memory_equal(big, back, sizeof(big));
	assert_int_equal(file_seek(f, 0, SEEK_END), sizeof(big));
	file_unref(f);
	assert_int_equal(w_stat("e/big", &st), 0);
	h = host_stat("rw/big");
	assert_int_equal(st.st_size, sizeof(big));
	assert_int_equal(st.st_mtim.tv_nsec, h.st_mtim.tv_nsec);
	assert_int_equal(st.st_blocks, h.st_blocks);
	assert_int_equal(w_open("e/big", O_WRONLY | O_DSYNC, &f), 0);
	assert_int_equal(f_write(f, "safe", 4), 4);
	file_unref(f);
	assert_int_equal(w_open("e/big", O_WRONLY | O_SYNC, &f), 0);
	assert_int_equal(f_write(f, "s", 1), 1);
	file_unref(f);
	/* O_TRUNC and truncate(2) */
	assert_int_equal(w_write("e/big", "x"), 1);
	assert_int_equal(host_stat("rw/big").st_size, 1);
}

static void data_is_the_hosts(void **state)
{
	(void)state;
	in_fiber(do_data, NULL);
}

static void do_append(void *arg)
{
	struct file *f, *g;
	int fd;

	(void)arg;
	put_file(host, "rw/log", "1");
	assert_int_equal(w_open("s/log", O_WRONLY | O_APPEND, &f), 0);
	fd = openat(host->dir, "rw/log", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "22", 2), 2);
	assert_int_equal(f_write(f, "333", 3), 3);
	assert_int_equal(f->pos, 6);
	assert_int_equal(write(fd, "4", 1), 1);
	assert_int_equal(f_write(f, "5", 1), 1);
	file_unref(f);
	(void)close(fd);
	expect_text("s/log", "12233345");
	assert_int_equal(w_open("e/log", O_WRONLY | O_APPEND, &f), 0);
	assert_int_equal(w_open("e/log", O_WRONLY | O_APPEND, &g), 0);
	assert_int_equal(f_write(f, "a", 1), 1);
	assert_int_equal(f_write(g, "b", 1), 1);
	assert_int_equal(f_write(f, "c", 1), 1);
	file_unref(f);
	file_unref(g);
	expect_text("e/log", "12233345abc");
}

static void appends_meet_at_the_end(void **state)
{
	(void)state;
	in_fiber(do_append, NULL);
}

static void do_cache(void *arg)
{
	struct stat st;
	uint64_t before;
	char *target;
	struct path p;

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	put_file(host, "rw/d/f", "text");
	assert_int_equal(symlinkat("d/f", host->dir, "rw/l"), 0);
	expect_text("e/l", "text");
	assert_int_equal(w_stat("e/nope", &st), -ENOENT);
	before = requests();
	for (int i = 0; i < 100; i++) {
		expect_text("e/l", "text");
		assert_int_equal(w_stat("e/d/f", &st), 0);
		assert_int_equal(w_stat("e/d", &st), 0);
		assert_int_equal(w_stat("e/nope", &st), -ENOENT);
	}
	assert_int_equal(requests(), before);
	assert_int_equal(path_walk(&world.as_root, NULL, "e/l", 0, &p), 0);
	assert_int_equal(vfs_readlink(&world.as_root, &p, &target), 0);
	assert_string_equal(target, "d/f");
	assert_int_equal(requests(), before);
	free(target);
	path_unref(&p);
	/* Our own changes are seen at once. */
	assert_int_equal(w_write("e/nope", "now"), 3);
	assert_int_equal(w_stat("e/nope", &st), 0);
	assert_int_equal(w_unlink("e/nope"), 0);
	assert_int_equal(w_stat("e/nope", &st), -ENOENT);
}

static void an_exclusive_tree_is_asked_for_once(void **state)
{
	(void)state;
	in_fiber(do_cache, NULL);
}

static void do_expected(void *arg)
{
	char text[3][16] = { "there", "missing", "never_asked" };
	const char *const names[] = { text[0], text[1], text[2] };
	struct superblock *sb;
	struct path p;
	struct stat st;
	uint64_t before;

	(void)arg;
	put_file(host, "rw/there", "text");
	put_file(host, "rw/never_asked", "");
	assert_int_equal(path_walk(&world.as_root, NULL, "e", 0, &p), 0);
	sb = p.dentry->sb;
	before = requests();
	goferfs_expect(sb, names, 3);
	assert_int_equal(requests(), before + 1);
	/* The next start asks for other names meanwhile, or in another order. */
	(void)strcpy(text[0], "missing");
	(void)strcpy(text[1], "there");
	assert_int_equal(w_stat("e/there", &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(w_stat("e/missing", &st), -ENOENT);
	assert_int_equal(requests(), before + 1);
	/* Our own changes win over what was fetched. */
	assert_int_equal(w_write("e/missing", "now"), 3);
	assert_int_equal(w_unlink("e/there"), 0);
	assert_int_equal(w_stat("e/missing", &st), 0);
	assert_int_equal(w_stat("e/there", &st), -ENOENT);
	goferfs_expect_end(sb);
	assert_int_equal(w_stat("e/never_asked", &st), 0);
	path_unref(&p);
}

static void expected_names_cost_one_request(void **state)
{
	(void)state;
	in_fiber(do_expected, NULL);
}

static void do_shared(void *arg)
{
	struct stat st;
	struct file *f;

	(void)arg;
	assert_int_equal(w_stat("s/f", &st), -ENOENT);
	put_file(host, "rw/f", "one");
	expect_text("s/f", "one");
	put_file(host, "rw/f", "three");
	assert_int_equal(w_stat("s/f", &st), 0);
	assert_int_equal(st.st_size, 5);
	/* Another file takes the name; who has the old one open keeps it. */
	assert_int_equal(w_open("s/f", O_RDONLY, &f), 0);
	put_file(host, "rw/g", "other");
	assert_int_equal(renameat(host->dir, "rw/g", host->dir, "rw/f"), 0);
	expect_text("s/f", "other");
	assert_int_equal(f->inode->nlink, 1);
	file_unref(f);
	assert_int_equal(unlinkat(host->dir, "rw/f", 0), 0);
	assert_int_equal(w_stat("s/f", &st), -ENOENT);
	assert_int_equal(symlinkat("nowhere", host->dir, "rw/f"), 0);
	assert_int_equal(w_stat("s/f", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void a_shared_tree_shows_what_others_do(void **state)
{
	(void)state;
	in_fiber(do_shared, NULL);
}

static void do_names(void *arg)
{
	struct path p;
	struct stat st;

	(void)arg;
	assert_int_equal(w_mkdir("e/d"), 0);
	assert_int_equal(w_mkdir("e/d"), -EEXIST);
	assert_int_equal(w_write("e/d/f", "x"), 1);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "e/d", true), -ENOTEMPTY);
	assert_int_equal(vfs_rename(&world.as_root, NULL, "e/d/f", NULL, "e/g", 0), 0);
	assert_int_equal(host_stat("rw/g").st_size, 1);
	assert_int_equal(w_write("e/h", "yy"), 2);
	assert_int_equal(vfs_rename(&world.as_root, NULL, "e/g", NULL, "e/h", RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(vfs_rename(&world.as_root, NULL, "e/g", NULL, "e/h", RENAME_EXCHANGE), 0);
	expect_text("e/g", "yy");
	assert_int_equal(vfs_rename(&world.as_root, NULL, "e/g", NULL, "e/h", 0), 0);
	expect_text("e/h", "yy");
	assert_int_equal(path_walk(&world.as_root, NULL, "e/h", 0, &p), 0);
	assert_int_equal(vfs_link(&world.as_root, &p, NULL, "e/d/second"), 0);
	assert_int_equal(w_stat("e/h", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	path_unref(&p);
	assert_int_equal(path_walk(&world.as_root, NULL, "e/d/second", 0, &p), 0);
	assert_int_equal(p.dentry->inode->ino, st.st_ino);
	path_unref(&p);
	assert_int_equal(w_unlink("e/h"), 0);
	assert_int_equal(w_stat("e/d/second", &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(vfs_mknod(&world.as_root, NULL, "e/fifo", S_IFIFO | 0600, 0), 0);
	assert_true(S_ISFIFO(host_stat("rw/fifo").st_mode));
	assert_int_equal(vfs_mknod(&world.as_root, NULL, "e/dev", S_IFCHR | 0600, 0x103), -EPERM);
	assert_int_equal(vfs_symlink(&world.as_root, NULL, "e/l", "d/second"), 0);
	expect_text("e/l", "yy");
	assert_int_equal(w_unlink("e/d/second"), 0);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "e/d", true), 0);
	assert_int_equal(faccessat(host->dir, "rw/d", F_OK, 0), -1);
}

static void names_are_made_moved_and_removed(void **state)
{
	(void)state;
	in_fiber(do_names, NULL);
}

static void do_unlinked(void *arg)
{
	struct file *f;
	struct stat st;
	char got[8] = "";

	(void)arg;
	assert_int_equal(w_open("e/f", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(f_write(f, "alive", 5), 5);
	assert_int_equal(w_unlink("e/f"), 0);
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(f_read(f, got, 5), 5);
	assert_string_equal(got, "alive");
	assert_int_equal(vfs_stat(&f->path, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	file_unref(f);
}

static void a_file_without_a_name_lives_while_it_is_open(void **state)
{
	(void)state;
	in_fiber(do_unlinked, NULL);
}

static void do_owners(void *arg)
{
	struct setattr attr = { .mask = SETATTR_UID | SETATTR_GID, .uid = 77, .gid = 88 };
	struct path p;
	struct file *f;

	(void)arg;
	if (geteuid() != 0)
		return;
	assert_int_equal(w_write("e/f", "x"), 1);
	assert_int_equal(path_walk(&world.as_root, NULL, "e/f", 0, &p), 0);
	assert_int_equal(vfs_setattr(&world.as_root, &p, &attr), 0);
	assert_int_equal(host_stat("rw/f").st_uid, 77);
	assert_int_equal(host_stat("rw/f").st_gid, 88);
	attr = (struct setattr){ .mask = SETATTR_MODE, .mode = 04600 };
	assert_int_equal(vfs_setattr(&world.as_root, &p, &attr), 0);
	assert_int_equal(host_stat("rw/f").st_mode, S_IFREG | 04600);
	assert_int_equal(vfs_open(&world.as_user, NULL, "e/f", O_RDONLY, 0, 0, &f), -EACCES);
	attr = (struct setattr){ .mask = SETATTR_ATIME | SETATTR_MTIME,
				 .atime = 5 * NSEC_PER_SEC + 1,
				 .mtime = 6 * NSEC_PER_SEC + 2 };
	assert_int_equal(vfs_setattr(&world.as_root, &p, &attr), 0);
	assert_int_equal(host_stat("rw/f").st_mtim.tv_sec, 6);
	assert_int_equal(host_stat("rw/f").st_atim.tv_nsec, 1);
	path_unref(&p);
	/* What a user makes is the user's, also on the host. */
	attr = (struct setattr){ .mask = SETATTR_MODE, .mode = 0777 };
	assert_int_equal(path_walk(&world.as_root, NULL, "e", 0, &p), 0);
	assert_int_equal(vfs_setattr(&world.as_root, &p, &attr), 0);
	path_unref(&p);
	assert_int_equal(vfs_open(&world.as_user, NULL, "e/u", O_RDWR | O_CREAT, 0640, 0, &f), 0);
	file_unref(f);
	assert_int_equal(host_stat("rw/u").st_uid, 1000);
	assert_int_equal(host_stat("rw/u").st_mode, S_IFREG | 0640);
}

static void owners_and_modes_are_the_hosts(void **state)
{
	(void)state;
	in_fiber(do_owners, NULL);
}

struct counter {
	struct dir_sink sink;
	unsigned int room, got, dots;
	char last[64];
	uint64_t ino_of_parent;
};

static bool count_entry(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
			unsigned int type, uint64_t next_pos)
{
	struct counter *c = container_of(sink, struct counter, sink);

	(void)type;
	(void)next_pos;
	if (c->room == 0)
		return false;
	c->room--;
	c->got++;
	c->dots += name[0] == '.';
	if (len == 2 && name[0] == '.')
		c->ino_of_parent = ino;
	memcpy(c->last, name, len);
	c->last[len] = '\0';
	return true;
}

static unsigned int list_some(struct file *f, unsigned int room, struct counter *c)
{
	*c = (struct counter){ .sink = { count_entry }, .room = room };
	assert_int_equal(file_iterate(f, &c->sink), 0);
	return c->got;
}

static void do_listing(void *arg)
{
	struct counter c;
	struct file *f;
	uint64_t before;
	unsigned int total = 0;
	char name[32];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "rw/d/file-with-a-name-%d", i);
		put_file(host, name, "");
	}
	assert_int_equal(w_open("e/d", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 100000, &c), 502);
	assert_int_equal(c.dots, 2);
	before = requests();
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 100000, &c), 502);
	assert_int_equal(list_some(f, 100000, &c), 0);
	assert_int_equal(requests(), before);
	/* rm -r: what was read goes while the rest is still to come. */
	assert_int_equal(file_seek(f, 2, SEEK_SET), 2);
	while (list_some(f, 1, &c) == 1) {
		(void)snprintf(name, sizeof(name), "e/d/%.24s", c.last);
		assert_int_equal(w_unlink(name), 0);
		total++;
	}
	assert_int_equal(total, 500);
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 100000, &c), 2);
	file_unref(f);
	/* Shared: another's file is there at the next rewind. */
	assert_int_equal(w_open("s/d", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 100000, &c), 2);
	put_file(host, "rw/d/x", "");
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 100000, &c), 3);
	file_unref(f);
}

static void listings_are_whole_and_stable(void **state)
{
	(void)state;
	in_fiber(do_listing, NULL);
}

static void do_complete(void *arg)
{
	struct counter c;
	struct stat st;
	struct file *f;
	uint64_t before;
	char name[32], other[32];

	(void)arg;
	assert_int_equal(w_mkdir("e/n"), 0);
	assert_int_equal(w_mkdir("e/m"), 0);
	assert_int_equal(w_open("e/n", O_RDONLY | O_DIRECTORY, &f), 0);
	before = requests();
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		assert_int_equal(w_stat(name, &st), -ENOENT);
	}
	assert_int_equal(requests(), before);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		assert_int_equal(w_write(name, "x"), 1);
	}
	/* One request per file: made, opened and written; none to see it. */
	assert_true(requests() <= before + 310);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		assert_int_equal(w_stat(name, &st), 0);
		assert_int_equal(st.st_size, 1);
	}
	if (!getenv("GOFERFS_TIGHT"))
		assert_true(requests() <= before + 310);
	assert_int_equal(list_some(f, 1000, &c), 302);
	for (int i = 0; i < 300; i += 3) {
		(void)snprintf(name, sizeof(name), "e/n/%d", i);
		(void)snprintf(other, sizeof(other), "e/m/%d", i);
		assert_int_equal(w_unlink(name), 0);
		(void)snprintf(name, sizeof(name), "e/n/%d", i + 1);
		assert_int_equal(vfs_rename(&world.as_root, NULL, name, NULL, other, 0), 0);
	}
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(list_some(f, 1000, &c), 102);
	file_unref(f);
	assert_int_equal(w_open("e/m", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 1000, &c), 102);
	file_unref(f);
	assert_int_equal(w_stat("e/m/0", &st), 0);
	assert_int_equal(w_stat("e/m/1", &st), -ENOENT);
	/* A failed change changes nothing. */
	assert_int_equal(w_mkdir("e/m/0"), -EEXIST);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "e/m", true), -ENOTEMPTY);
	assert_int_equal(w_stat("e/m/0", &st), 0);
}

static void what_we_made_is_known_without_asking(void **state)
{
	(void)state;
	in_fiber(do_complete, NULL);
}

struct numbered {
	ino_t ino;
	int i;
};

static int by_ino(const void *a, const void *b)
{
	const ino_t p = ((const struct numbered *)a)->ino, q = ((const struct numbered *)b)->ino;

	return p < q ? -1 : p > q;
}

static void do_ahead(void *arg)
{
	static struct numbered sorted[1000];
	struct counter c;
	struct stat st;
	struct file *f;
	uint64_t before;
	char name[32];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "rw/d/%d", i);
		put_file(host, name, "");
		sorted[i] = (struct numbered){ host_stat(name).st_ino, i };
	}
	qsort(sorted, 1000, sizeof(sorted[0]), by_ino);
	assert_int_equal(w_open("e/d", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 2, &c), 2);
	before = requests();
	for (int i = 0; i < 500; i++) {
		assert_int_equal(list_some(f, 1, &c), 1);
		(void)snprintf(name, sizeof(name), "e/d/%.24s", c.last);
		assert_int_equal(w_stat(name, &st), 0);
		(void)snprintf(name, sizeof(name), "rw/d/%.24s", c.last);
		assert_int_equal(st.st_ino, host_stat(name).st_ino);
	}
	assert_true(requests() - before < 50);
	/* The other half in the order of the inodes. */
	before = requests();
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "e/d/%d", sorted[i].i);
		assert_int_equal(w_stat(name, &st), 0);
	}
	if (requests() - before >= 100)
		fail_msg("%u requests", (unsigned int)(requests() - before));
	file_unref(f);
}

static void a_listing_is_looked_up_many_names_at_a_time(void **state)
{
	(void)state;
	in_fiber(do_ahead, NULL);
}

static int access_of_mapping(struct file *f, int flags)
{
	struct mmap_source source = { .host_fd = -1 };

	assert_int_equal(f->ops->mmap(f, PROT_READ, flags, 4096, 4096, &source), 0);
	assert_int_equal(source.offset, 4096);
	return fcntl(source.host_fd, F_GETFL) & O_ACCMODE;
}

/* How many requests it takes to open and read them in this order. */
static unsigned int read_all_of(const char *directory, const int *order, int n)
{
	char name[64], text[16];
	uint64_t before;

	before = requests();
	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s/%d", directory, order[i]);
		(void)snprintf(text, sizeof(text), "%d", order[i]);
		expect_text(name, text);
	}
	return (unsigned int)(requests() - before);
}

static void list_and_stat(const char *directory, int *order, unsigned int n)
{
	struct counter c;
	struct stat st;
	struct file *f;
	char name[64];

	assert_int_equal(w_open(directory, O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(list_some(f, 2, &c), 2);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(list_some(f, 1, &c), 1);
		order[i] = atoi(c.last);
		(void)snprintf(name, sizeof(name), "%s/%d", directory, order[i]);
		assert_int_equal(w_stat(name, &st), 0);
	}
	file_unref(f);
}

#define OPENED 200

static void do_opened_ahead(void *arg)
{
	static struct numbered sorted[OPENED];
	int order[OPENED], scattered[OPENED];
	struct file *f;
	char name[32], text[16];

	(void)arg;
	for (const char *d = "dfg"; *d; d++) {
		(void)snprintf(name, sizeof(name), "rw/%c", *d);
		assert_int_equal(mkdirat(host->dir, name, 0755), 0);
		for (int i = 0; i < OPENED; i++) {
			(void)snprintf(name, sizeof(name), "rw/%c/%d", *d, i);
			(void)snprintf(text, sizeof(text), "%d", i);
			put_file(host, name, text);
			sorted[i] = (struct numbered){ host_stat(name).st_ino, i };
		}
	}
	list_and_stat("e/d", order, OPENED);
	assert_true(read_all_of("e/d", order, OPENED) < OPENED / 8);
	/* In an order that nobody can foresee: one request for each, none for nothing. */
	list_and_stat("e/f", order, OPENED);
	for (int i = 0; i < OPENED; i++)
		scattered[i] = order[i * 67 % OPENED];
	assert_true(read_all_of("e/f", scattered, OPENED) > OPENED / 2);
	/* In the order of the inodes. */
	list_and_stat("e/g", order, OPENED);
	qsort(sorted, OPENED, sizeof(sorted[0]), by_ino);
	for (int i = 0; i < OPENED; i++)
		order[i] = sorted[i].i;
	assert_true(read_all_of("e/g", order, OPENED / 2) < OPENED / 8);
	/* One that was opened ahead: for writing it is opened anew, and its last name still frees
	 * it. */
	(void)snprintf(name, sizeof(name), "e/g/%d", order[OPENED / 2]);
	assert_int_equal(w_open(name, O_RDWR, &f), 0);
	assert_int_equal(f_write(f, "new", 3), 3);
	file_unref(f);
	assert_int_equal(w_open(name, O_RDONLY, &f), 0);
	assert_int_equal(access_of_mapping(f, MAP_SHARED), O_RDONLY);
	file_unref(f);
	assert_int_equal(w_unlink(name), 0);
	assert_int_equal(w_open(name, O_RDONLY, &f), -ENOENT);
}

static void files_of_a_listing_are_opened_many_at_a_time(void **state)
{
	(void)state;
	in_fiber(do_opened_ahead, NULL);
}

#define PASSED 600 /* more than may be kept */

static unsigned int open_all_of(const char *directory, const int *order, int n)
{
	const uint64_t before = requests();
	struct file *f;
	char name[64];

	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s/%d", directory, order[i]);
		assert_int_equal(w_open(name, O_RDONLY, &f), 0);
		file_unref(f);
	}
	return (unsigned int)(requests() - before);
}

static void do_passes(void *arg)
{
	static int order[PASSED];
	struct goferfs_counts counts;
	char name[32];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < PASSED; i++) {
		order[i] = i * 251 % PASSED;
		(void)snprintf(name, sizeof(name), "rw/d/%d", i);
		put_file(host, name, "text");
	}
	assert_true(open_all_of("e/d", order, PASSED) >= PASSED);
	for (int pass = 0; pass < 3; pass++) {
		assert_true(open_all_of("e/d", order, PASSED) < PASSED * 2 / 3);
		goferfs_counts(&counts);
		assert_true(counts.idle > 256 && counts.idle <= 512);
	}
}

static void a_part_of_the_descriptors_outlives_a_pass_over_too_many_files(void **state)
{
	(void)state;
	if (!getenv("GOFERFS_TIGHT")) /* then the table is full before */
		in_fiber(do_passes, NULL);
}

static void do_opened_shared(void *arg)
{
	int order[50];
	char name[32], text[16];

	(void)arg;
	assert_int_equal(mkdirat(host->dir, "rw/d", 0755), 0);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "rw/d/%d", i);
		(void)snprintf(text, sizeof(text), "%d", i);
		put_file(host, name, text);
	}
	list_and_stat("s/d", order, 50);
	assert_true(read_all_of("s/d", order, 50) >= 50);
}

static void files_that_others_may_change_are_opened_when_asked_for(void **state)
{
	(void)state;
	in_fiber(do_opened_shared, NULL);
}

static void do_mmap(void *arg)
{
	struct file *f;

	(void)arg;
	put_file(host, "rw/lib", "text");
	assert_int_equal(w_open("e/lib", O_RDWR, &f), 0);
	assert_int_equal(access_of_mapping(f, MAP_PRIVATE), O_RDONLY);
	assert_int_equal(access_of_mapping(f, MAP_SHARED), O_RDWR);
	file_unref(f);
	/* Also while a writable descriptor of the file is kept for later. */
	assert_int_equal(w_open("e/lib", O_RDONLY, &f), 0);
	assert_int_equal(access_of_mapping(f, MAP_PRIVATE), O_RDONLY);
	assert_int_equal(access_of_mapping(f, MAP_SHARED), O_RDONLY);
	file_unref(f);
}

static void a_mapping_gets_no_more_access_than_its_file(void **state)
{
	(void)state;
	in_fiber(do_mmap, NULL);
}

static struct inode *mapped(const char *name, struct file **ret)
{
	assert_int_equal(w_open(name, O_RDWR, ret), 0);
	(void)access_of_mapping(*ret, MAP_SHARED);
	return (*ret)->inode;
}

static void do_identity(void *arg)
{
	struct file *f[4];
	struct inode *inode[4];

	(void)arg;
	put_file(host, "rw/shm", "text");
	put_file(host, "rw/other", "text");
	mount_at("again", false);
	mount_at("exclusive", true);
	inode[0] = mapped("s/shm", &f[0]);
	inode[1] = mapped("again/shm", &f[1]);
	inode[2] = mapped("again/other", &f[2]);
	inode[3] = mapped("exclusive/shm", &f[3]);
	assert_ptr_not_equal(inode[0], inode[1]);
	assert_ptr_equal(inode_bound(inode[0]), inode_bound(inode[1]));
	assert_ptr_not_equal(inode_bound(inode[1]), inode_bound(inode[2]));
	assert_ptr_not_equal(inode_bound(inode[1]), inode_bound(inode[3]));
	for (int i = 0; i < 4; i++)
		file_unref(f[i]);
}

static void a_mapped_file_of_two_volumes_is_one_for_futexes(void **state)
{
	(void)state;
	in_fiber(do_identity, NULL);
}

static void do_locks(void *arg)
{
	struct file_lock range = { .kind = LOCK_KIND_POSIX, .type = F_WRLCK, .end = 7 }, found;
	struct file *f[2];

	(void)arg;
	put_file(host, "rw/lock", "");
	mount_at("again", false);
	assert_int_equal(w_open("s/lock", O_RDWR, &f[0]), 0);
	assert_int_equal(w_open("again/lock", O_RDWR, &f[1]), 0);
	assert_int_equal(lock_flock(f[0], LOCK_EX, false), 0);
	assert_int_equal(lock_flock(f[1], LOCK_EX, false), -EAGAIN);
	assert_int_equal(lock_flock(f[0], LOCK_UN, false), 0);
	assert_int_equal(lock_flock(f[1], LOCK_EX, false), 0);
	range.owner = f[0];
	assert_int_equal(lock_set(f[0]->inode, &range, false), 0);
	range.owner = f[1];
	assert_int_equal(lock_test(f[1]->inode, &range, &found), 1);
	assert_ptr_equal(found.owner, f[0]);
	/* The locks of one that goes, and of the other, who has the file still. */
	locks_release(f[0]->inode, f[0]);
	file_unref(f[0]);
	assert_int_equal(lock_set(f[1]->inode, &range, false), 0);
	assert_int_equal(w_open("s/lock", O_RDWR, &f[0]), 0);
	assert_int_equal(lock_flock(f[0], LOCK_SH, false), -EAGAIN);
	file_unref(f[1]);
	locks_release(f[0]->inode, f[1]);
	assert_int_equal(lock_flock(f[0], LOCK_SH, false), 0);
	file_unref(f[0]);
}

static void locks_of_a_file_are_those_of_both_volumes(void **state)
{
	(void)state;
	in_fiber(do_locks, NULL);
}

static void do_many(void *arg)
{
	struct goferfs_counts counts;
	struct stat st;
	/* With few descriptors many files are fewer. */
	const int many = getenv("GOFERFS_TIGHT") ? 1500 : 20000;
	char name[32];

	(void)arg;
	if (!getenv("GOFERFS_TIGHT") && !getenv("CAISSON_SOAK"))
		return;
	for (int i = 0; i < many; i++) {
		(void)snprintf(name, sizeof(name), "%s/%d", mounted_shared ? "s" : "e", i);
		assert_int_equal(w_write(name, "x"), 1);
	}
	for (int i = 0; i < many; i++) {
		(void)snprintf(name, sizeof(name), "%s/%d", mounted_shared ? "s" : "e", i);
		assert_int_equal(w_stat(name, &st), 0);
	}
	goferfs_counts(&counts);
	assert_true(counts.nodes <= GOFER_NODES_MAX);
	assert_true(counts.idle <= 512);
}

static void more_files_than_the_gofer_holds_can_be_used(void **state)
{
	(void)state;
	mounted_shared = false;
	in_fiber(do_many, NULL);
}

static void do_xattrs(void *arg)
{
	uint64_t before;
	struct path p;
	char value[16];

	(void)arg;
	put_file(host, "rw/f", "");
	assert_int_equal(path_walk(&world.as_root, NULL, "e/f", 0, &p), 0);
	assert_int_equal(vfs_getxattr(&world.as_root, &p, "user.a", value, 16), -ENODATA);
	before = requests();
	for (int i = 0; i < 10; i++)
		assert_int_equal(vfs_getxattr(&world.as_root, &p, "security.capability", value, 16),
				 -ENODATA);
	assert_int_equal(requests(), before);
	if (vfs_setxattr(&world.as_root, &p, "user.a", "xyz", 3, 0) == 0) {
		assert_int_equal(vfs_getxattr(&world.as_root, &p, "user.a", NULL, 0), 3);
		assert_int_equal(vfs_getxattr(&world.as_root, &p, "user.a", value, 2), -ERANGE);
		assert_int_equal(vfs_getxattr(&world.as_root, &p, "user.a", value, 16), 3);
		assert_int_equal(vfs_listxattr(&world.as_root, &p, value, 16), 7);
		assert_int_equal(vfs_removexattr(&world.as_root, &p, "user.a"), 0);
		assert_int_equal(vfs_getxattr(&world.as_root, &p, "user.a", value, 16), -ENODATA);
	}
	path_unref(&p);
}

static void extended_attributes_work_and_their_absence_is_cheap(void **state)
{
	(void)state;
	in_fiber(do_xattrs, NULL);
}

static bool died;

static void on_death(void *arg)
{
	died = true;
}

static void expect_copy(struct file *in, struct file *out, uint64_t from, uint64_t to, uint64_t len,
			ssize_t wanted)
{
	assert_int_equal(file_copy_range(in, from, out, to, len, UINT64_MAX), wanted);
}

static void do_copies(void *arg)
{
	static char big[20 << 20], back[sizeof(big)];
	struct file *in, *out;
	uint64_t before;
	struct stat st;

	(void)arg;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 11 + (i >> 12));
	assert_int_equal(w_open("e/from", O_RDWR | O_CREAT, &in), 0);
	assert_int_equal(f_write(in, big, sizeof(big)), sizeof(big));
	assert_int_equal(w_open("e/to", O_RDWR | O_CREAT, &out), 0);
	/* Too little for a request, and what the owner's limit forbids. */
	expect_copy(in, out, 0, 0, 4096, -EOPNOTSUPP);
	assert_int_equal(file_copy_range(in, 0, out, 0, 1 << 20, 1000), -EOPNOTSUPP);
	before = requests();
	expect_copy(in, out, 0, 100, sizeof(big), sizeof(big));
	assert_in_range(requests() - before, 1, 5);
	assert_int_equal(w_stat("e/to", &st), 0);
	assert_int_equal(st.st_size, sizeof(big) + 100);
	assert_int_equal(file_seek(out, 100, SEEK_SET), 100);
	assert_int_equal(f_read(out, back, sizeof(back)), sizeof(back));
	assert_memory_equal(big, back, sizeof(big));
	/* No more than there is. */
	expect_copy(in, out, sizeof(big) - (1 << 16), 0, 1 << 20, 1 << 16);
	expect_copy(in, out, sizeof(big), 0, 1 << 20, 0);
	file_unref(in);
	file_unref(out);
}

static void the_gofer_copies_large_ranges(void **state)
{
	(void)state;
	in_fiber(do_copies, NULL);
}

static void do_death(void *arg)
{
	struct file *f;
	struct stat st;
	char byte;

	(void)arg;
	put_file(host, "rw/f", "x");
	put_file(host, "rw/g", "x");
	assert_int_equal(w_open("e/f", O_RDONLY, &f), 0);
	goferfs_set_on_death(gofer, on_death, NULL);
	(void)shutdown(host->sock, SHUT_RDWR);
	assert_int_equal(w_stat("e/g", &st), -EIO);
	assert_true(died);
	/* What is open already needs no gofer. */
	assert_int_equal(f_read(f, &byte, 1), 1);
	file_unref(f);
	assert_int_equal(w_mkdir("e/d"), -EIO);
}

static void the_gofers_death_is_an_error_of_every_call(void **state)
{
	(void)state;
	in_fiber(do_death, NULL);
}

/* One end of a new connection is the test: it answers in advance, whatever is asked. */
static void answer_with(const void *bytes, size_t len)
{
	struct gofer_conn *conn;
	struct superblock *sb;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(goferfs_connect(pair[0], &conn), 0);
	died = false;
	goferfs_set_on_death(conn, on_death, NULL);
	assert_int_equal(send(pair[1], bytes, len, 0), len);
	assert_int_equal(goferfs_mount(conn, 0, true, &sb), -EIO);
	assert_true(died);
	goferfs_disconnect(conn);
	(void)close(pair[1]);
}

static void do_hostile(void *arg)
{
	struct gofer_reply reply = { .size = sizeof(reply), .type = GOFER_ATTACH, .tag = 12345678 };

	(void)arg;
	answer_with("x", 1);
	answer_with(&reply, sizeof(reply));
	reply.tag = 0;
	answer_with(&reply, sizeof(reply));
	reply.size = 5;
	answer_with(&reply, sizeof(reply));
	/* Ours was another one, of another container. */
	assert_int_equal(w_mkdir("e/goes-on"), 0);
}

static void a_gofer_that_breaks_the_protocol_is_left(void **state)
{
	(void)state;
	in_fiber(do_hostile, NULL);
}

#define GOFERFS_TEST(name) \
	cmocka_unit_test_setup_teardown(name, goferfs_world_setup, goferfs_world_teardown)

int main(void)
{
	const struct rlimit tight = { 600, 600 };
	cpu_set_t here;
	const struct CMUnitTest tests[] = {
		GOFERFS_TEST(data_is_the_hosts),
		GOFERFS_TEST(appends_meet_at_the_end),
		GOFERFS_TEST(an_exclusive_tree_is_asked_for_once),
		GOFERFS_TEST(expected_names_cost_one_request),
		GOFERFS_TEST(a_shared_tree_shows_what_others_do),
		GOFERFS_TEST(names_are_made_moved_and_removed),
		GOFERFS_TEST(a_file_without_a_name_lives_while_it_is_open),
		GOFERFS_TEST(owners_and_modes_are_the_hosts),
		GOFERFS_TEST(listings_are_whole_and_stable),
		GOFERFS_TEST(what_we_made_is_known_without_asking),
		GOFERFS_TEST(a_listing_is_looked_up_many_names_at_a_time),
		GOFERFS_TEST(files_of_a_listing_are_opened_many_at_a_time),
		GOFERFS_TEST(a_part_of_the_descriptors_outlives_a_pass_over_too_many_files),
		GOFERFS_TEST(files_that_others_may_change_are_opened_when_asked_for),
		GOFERFS_TEST(a_mapping_gets_no_more_access_than_its_file),
		GOFERFS_TEST(a_mapped_file_of_two_volumes_is_one_for_futexes),
		GOFERFS_TEST(locks_of_a_file_are_those_of_both_volumes),
		GOFERFS_TEST(more_files_than_the_gofer_holds_can_be_used),
		GOFERFS_TEST(extended_attributes_work_and_their_absence_is_cheap),
		GOFERFS_TEST(the_gofer_copies_large_ranges),
		GOFERFS_TEST(the_gofers_death_is_an_error_of_every_call),
		GOFERFS_TEST(a_gofer_that_breaks_the_protocol_is_left),
	};

	/* Requests are counted: none is to be for a gofer that follows us from CPU to CPU. */
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	(void)sched_setaffinity(0, sizeof(here), &here);
	/* Descriptors run out on both sides all the time, and nobody may notice. */
	if (getenv("GOFERFS_TIGHT"))
		(void)setrlimit(RLIMIT_NOFILE, &tight);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
