/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's client with a real gofer in a child: its root "rw" is mounted at "e" (exclusive) or
 * "s" (shared) of a tmpfs, and the test itself is "somebody else on the host".
 */
#include "unit/sentry/fs/goferfs_world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "sentry/vfs/locks.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		GOFERFS_TEST(data_is_the_hosts),
		GOFERFS_TEST(appends_meet_at_the_end),
		GOFERFS_TEST(an_exclusive_tree_is_asked_for_once),
		GOFERFS_TEST(expected_names_cost_one_request),
		GOFERFS_TEST(a_shared_tree_shows_what_others_do),
		GOFERFS_TEST(names_are_made_moved_and_removed),
		GOFERFS_TEST(a_file_without_a_name_lives_while_it_is_open),
		GOFERFS_TEST(owners_and_modes_are_the_hosts),
		GOFERFS_TEST(a_mapping_gets_no_more_access_than_its_file),
		GOFERFS_TEST(a_mapped_file_of_two_volumes_is_one_for_futexes),
		GOFERFS_TEST(locks_of_a_file_are_those_of_both_volumes),
		GOFERFS_TEST(extended_attributes_work_and_their_absence_is_cheap),
		GOFERFS_TEST(the_gofer_copies_large_ranges),
		GOFERFS_TEST(the_gofers_death_is_an_error_of_every_call),
		GOFERFS_TEST(a_gofer_that_breaks_the_protocol_is_left),
	};

	return goferfs_world_run("sentry/fs/goferfs", tests, ARRAY_LEN(tests));
}
