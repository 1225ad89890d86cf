/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay of two tmpfs: copy-up, whiteouts, opaque directories, merged listings. */
#include <linux/fs.h>
#include <sys/xattr.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/core/fiber.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/node.h"
#include "sentry/vfs/mount.h"

static struct superblock *lower, *upper, *both;

/* /low is the lower tree, /up the upper one, /mnt both. */
static int setup(void **state)
{
	const struct tmpfs_options options = { .mode = 0755 };
	struct path p;

	assert_int_equal(world_setup(state), 0);
	assert_int_equal(tmpfs_new(&options, &lower), 0);
	assert_int_equal(tmpfs_new(&options, &upper), 0);
	assert_int_equal(w_mkdir("low"), 0);
	assert_int_equal(w_mkdir("up"), 0);
	assert_int_equal(w_mkdir("mnt"), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, "low", 0, &p), 0);
	assert_int_equal(vfs_attach(world.ns, lower, &p, 0, "low"), 0);
	path_unref(&p);
	assert_int_equal(path_walk(&world.as_root, NULL, "up", 0, &p), 0);
	assert_int_equal(vfs_attach(world.ns, upper, &p, 0, "up"), 0);
	path_unref(&p);
	assert_int_equal(w_mkdir("low/dir"), 0);
	assert_int_equal(w_mkdir("low/dir/deep"), 0);
	assert_true(w_write("low/file", "lower") > 0);
	assert_true(w_write("low/dir/a", "a") > 0);
	assert_true(w_write("low/dir/deep/b", "b") > 0);
	assert_int_equal(overlay_new(lower, upper, &both), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, "mnt", 0, &p), 0);
	assert_int_equal(vfs_attach(world.ns, both, &p, 0, "overlay"), 0);
	path_unref(&p);
	superblock_unref(both);
	superblock_unref(lower);
	superblock_unref(upper);
	return 0;
}

static int teardown(void **state)
{
	return world_teardown(state);
}

static int content_is(const char *name, const char *text)
{
	char buf[64] = { 0 };
	struct file *f;

	if (w_open(name, O_RDONLY, &f) < 0)
		return 0;
	(void)f_read(f, buf, sizeof(buf) - 1);
	file_unref(f);
	return strcmp(buf, text) == 0;
}

static int stat_of(const char *name)
{
	struct stat st;

	return w_stat(name, &st);
}

static int rename_to(const char *from, const char *to)
{
	return vfs_rename(&world.as_root, NULL, from, NULL, to, 0);
}

static int rmdir_of(const char *name)
{
	return vfs_unlink(&world.as_root, NULL, name, true);
}

static void the_lower_tree_shows_and_is_never_written(void **state)
{
	struct stat before, after;

	assert_true(content_is("mnt/file", "lower"));
	assert_int_equal(w_stat("mnt/dir/deep/b", &before), 0);
	assert_int_equal(w_write("mnt/dir/deep/b", "changed"), 7);
	assert_true(content_is("mnt/dir/deep/b", "changed"));
	assert_true(content_is("low/dir/deep/b", "b"));
	assert_int_equal(w_stat("mnt/dir/deep/b", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_dev, after.st_dev);
	assert_true(content_is("mnt/dir/a", "a"));
	assert_int_equal(stat_of("up/dir/deep/b"), 0);
	assert_int_equal(stat_of("up/dir/a"), -ENOENT);
}

static void appending_keeps_what_was_there(void **state)
{
	struct file *f;

	assert_int_equal(w_open("mnt/file", O_WRONLY | O_APPEND, &f), 0);
	assert_int_equal(f_write(f, "+", 1), 1);
	file_unref(f);
	assert_true(content_is("mnt/file", "lower+"));
	assert_true(content_is("low/file", "lower"));
}

static void what_was_open_before_a_copy_sees_later_writes(void **state)
{
	char buf[16] = { 0 };
	struct file *early, *out;
	struct stat st;

	assert_int_equal(w_open("mnt/file", O_RDONLY, &early), 0);
	assert_int_equal(f_read(early, buf, 3), 3);
	assert_int_equal(w_open("mnt/file", O_WRONLY | O_APPEND, &out), 0);
	assert_int_equal(f_write(out, " and more", 9), 9);
	assert_int_equal(f_read(early, buf, sizeof(buf)), 11);
	assert_memory_equal(buf, "er and more", 11);
	assert_int_equal(f_write(out, "!", 1), 1);
	assert_int_equal(file_seek(early, 0, SEEK_END), 15);
	assert_int_equal(file_seek(early, 14, SEEK_SET), 14);
	assert_int_equal(f_read(early, buf, sizeof(buf)), 1);
	assert_int_equal(f_read(early, buf, sizeof(buf)), 0);
	assert_int_equal(f_write(early, "x", 1), -EBADF);
	file_unref(out);
	/* Also without its name. */
	assert_int_equal(w_unlink("mnt/file"), 0);
	assert_int_equal(file_seek(early, 0, SEEK_SET), 0);
	assert_int_equal(f_read(early, buf, 5), 5);
	assert_memory_equal(buf, "lower", 5);
	file_unref(early);
	assert_int_equal(w_stat("mnt/file", &st), -ENOENT);
}

static void what_is_removed_while_it_is_open_reads_on(void **state)
{
	char buf[16] = { 0 };
	struct file *early;

	assert_int_equal(w_open("mnt/file", O_RDONLY, &early), 0);
	assert_int_equal(w_unlink("mnt/file"), 0);
	assert_int_equal(w_write("mnt/file", "another"), 7);
	assert_int_equal(f_read(early, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "lower", 5);
	file_unref(early);
}

static void attributes_are_changed_in_a_copy(void **state)
{
	const struct setattr attr = { .mask = SETATTR_MODE | SETATTR_UID,
				      .mode = 0600,
				      .uid = 1000 };
	struct path p;
	struct stat st;

	assert_int_equal(path_walk(&world.as_root, NULL, "mnt/file", 0, &p), 0);
	assert_int_equal(vfs_setattr(&world.as_root, &p, &attr), 0);
	path_unref(&p);
	assert_int_equal(w_stat("mnt/file", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(w_stat("low/file", &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_true(content_is("mnt/file", "lower"));
}

static void removed_names_stay_away_and_can_come_back(void **state)
{
	assert_int_equal(w_unlink("mnt/file"), 0);
	assert_int_equal(stat_of("mnt/file"), -ENOENT);
	assert_int_equal(w_unlink("mnt/file"), -ENOENT);
	assert_int_equal(w_write("mnt/file", "new"), 3);
	assert_true(content_is("mnt/file", "new"));
	assert_int_equal(w_unlink("mnt/file"), 0);
	assert_int_equal(stat_of("mnt/file"), -ENOENT);
	assert_true(content_is("low/file", "lower"));
}

static void a_directory_that_comes_back_is_empty(void **state)
{
	assert_int_equal(rmdir_of("mnt/dir"), -ENOTEMPTY);
	assert_int_equal(w_unlink("mnt/dir/a"), 0);
	assert_int_equal(w_unlink("mnt/dir/deep/b"), 0);
	assert_int_equal(rmdir_of("mnt/dir/deep"), 0);
	assert_int_equal(rmdir_of("mnt/dir"), 0);
	assert_int_equal(stat_of("mnt/dir"), -ENOENT);
	assert_int_equal(w_mkdir("mnt/dir"), 0);
	assert_int_equal(stat_of("mnt/dir/a"), -ENOENT);
	assert_int_equal(rmdir_of("mnt/dir"), 0);
	assert_int_equal(stat_of("low/dir/deep/b"), 0);
}

static void renames_leave_nothing_behind(void **state)
{
	assert_int_equal(rename_to("mnt/dir", "mnt/other"), -EXDEV);
	assert_int_equal(rename_to("mnt/file", "mnt/dir/a"), 0);
	assert_int_equal(stat_of("mnt/file"), -ENOENT);
	assert_true(content_is("mnt/dir/a", "lower"));
	assert_int_equal(w_mkdir("mnt/fresh"), 0);
	assert_true(w_write("mnt/fresh/x", "x") > 0);
	assert_int_equal(w_unlink("mnt/dir/deep/b"), 0);
	assert_int_equal(rename_to("mnt/fresh", "mnt/dir/deep"), 0);
	assert_true(content_is("mnt/dir/deep/x", "x"));
	assert_int_equal(stat_of("mnt/dir/deep/b"), -ENOENT);
}

struct names {
	struct dir_sink sink;
	char text[256];
};

static bool add_name(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		     unsigned int type, uint64_t next_pos)
{
	struct names *n = (struct names *)sink;

	if (name[0] == '.')
		return true;
	strncat(n->text, name, len);
	strcat(n->text, " ");
	return true;
}

static void listings_merge_without_doubles(void **state)
{
	struct names n = { .sink = { add_name } };
	struct file *f;

	assert_true(w_write("mnt/dir/z", "z") > 0);
	assert_true(w_write("mnt/dir/a", "again") > 0);
	assert_int_equal(w_open("mnt/dir", O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(file_iterate(f, &n.sink), 0);
	assert_string_equal(n.text, "z a deep ");
	assert_int_equal(w_unlink("mnt/dir/a"), 0);
	n.text[0] = '\0';
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(file_iterate(f, &n.sink), 0);
	assert_string_equal(n.text, "z deep ");
	file_unref(f);
}

static void our_marks_are_not_seen(void **state)
{
	char list[256];
	struct path p;

	assert_true(w_write("mnt/file", "x") > 0);
	assert_int_equal(path_walk(&world.as_root, NULL, "mnt/file", 0, &p), 0);
	assert_int_equal(vfs_setxattr(&world.as_root, &p, "user.a", "1", 1, 0), 0);
	assert_int_equal(vfs_listxattr(&world.as_root, &p, list, sizeof(list)), 7);
	assert_string_equal(list, "user.a");
	assert_int_equal(vfs_setxattr(&world.as_root, &p, "trusted.overlay.opaque", "y", 1, 0),
			 -EPERM);
	path_unref(&p);
}

static void hard_links_are_one_file(void **state)
{
	struct path p;
	struct stat a, b;

	assert_int_equal(path_walk(&world.as_root, NULL, "mnt/file", 0, &p), 0);
	assert_int_equal(vfs_link(&world.as_root, &p, NULL, "mnt/second"), 0);
	path_unref(&p);
	assert_int_equal(w_stat("mnt/file", &a), 0);
	assert_int_equal(w_stat("mnt/second", &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_nlink, 2);
	assert_true(w_write("mnt/second", "both") > 0);
	assert_true(content_is("mnt/file", "both"));
}

static void a_removed_lower_file_can_still_be_written(void **state)
{
	struct file *f, *w;
	char text[8] = { 0 };

	assert_int_equal(w_open("mnt/file", O_RDONLY, &f), 0);
	assert_int_equal(w_unlink("mnt/file"), 0);
	assert_int_equal(vfs_open_path(&world.as_root, &f->path, O_RDWR, &w), 0);
	assert_int_equal(f_write(w, "LOW", 3), 3);
	assert_int_equal(file_seek(w, 0, SEEK_SET), 0);
	assert_int_equal(f_read(w, text, 7), 5);
	assert_string_equal(text, "LOWer");
	file_unref(w);
	file_unref(f);
	assert_int_equal(stat_of("mnt/file"), -ENOENT);
}

static struct inode_ops slow;
static bool second_is_done;

static int slow_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	fiber_yield();
	return tmpfs_open(inode, flags, ret);
}

static void read_first(void *arg)
{
	struct iovec single;
	struct uio u;
	uint64_t pos = 0;
	char c = 0;

	uio_init(&u, NULL, &single, (uintptr_t)&c, 1);
	assert_int_equal(file_read(arg, &u, &pos), 1);
	assert_int_equal(c, 'L');
}

static void read_second(void *arg)
{
	read_first(arg);
	second_is_done = true;
}

static void read_twice(void *arg)
{
	assert_int_equal(fiber_spawn("second", read_second, arg, NULL), 0);
	read_first(arg);
	while (!second_is_done)
		fiber_yield();
}

/* Two threads of one open file are the first to meet the copy. */
static void a_copy_is_taken_over_once(void **state)
{
	struct file *early, *out;
	struct path low, up;
	unsigned int refs;

	assert_int_equal(path_walk(&world.as_root, NULL, "low/file", 0, &low), 0);
	assert_int_equal(w_open("mnt/file", O_RDONLY, &early), 0);
	assert_int_equal(w_open("mnt/file", O_WRONLY, &out), 0);
	assert_int_equal(f_write(out, "L", 1), 1);
	file_unref(out);
	assert_int_equal(path_walk(&world.as_root, NULL, "up/file", 0, &up), 0);
	slow = *up.dentry->inode->ops;
	slow.open = slow_open;
	up.dentry->inode->ops = &slow;
	refs = low.dentry->inode->refs;
	second_is_done = false;
	in_fiber(read_twice, early);
	assert_int_equal(low.dentry->inode->refs, refs - 1);
	file_unref(early);
	path_unref(&low);
	path_unref(&up);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_lower_tree_shows_and_is_never_written),
		T(appending_keeps_what_was_there),
		T(what_was_open_before_a_copy_sees_later_writes),
		T(what_is_removed_while_it_is_open_reads_on),
		T(attributes_are_changed_in_a_copy),
		T(removed_names_stay_away_and_can_come_back),
		T(a_directory_that_comes_back_is_empty),
		T(renames_leave_nothing_behind),
		T(listings_merge_without_doubles),
		T(our_marks_are_not_seen),
		T(hard_links_are_one_file),
		T(a_removed_lower_file_can_still_be_written),
		T(a_copy_is_taken_over_once),
	};

	return cmocka_run_group_tests_name("sentry/fs/overlay", tests, NULL, NULL);
}
