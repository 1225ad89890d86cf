/* SPDX-License-Identifier: Apache-2.0 */
/* Path walks and operations on names, over tmpfs: errors in Linux's order. */
#include <linux/fs.h>
#include <stdio.h>
#include <sys/socket.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/fs/tmpfs/node.h"
#include "sentry/vfs/notify.h"

static int walk(const char *name, unsigned int flags)
{
	struct path p;
	const int r = path_walk(&world.as_root, NULL, name, flags, &p);

	if (r == 0)
		path_unref(&p);
	return r;
}

static void walks_end_with_the_errno_of_linux(void **state)
{
	char longest[VFS_NAME_MAX + 2];
	char name[64];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[VFS_NAME_MAX + 1] = '\0';
	assert_int_equal(w_mkdir("d"), 0);
	assert_true(w_write("d/f", "text") > 0);
	assert_int_equal(walk("", 0), -ENOENT);
	assert_int_equal(walk("", WALK_EMPTY), 0);
	assert_int_equal(walk("nope/x", 0), -ENOENT);
	assert_int_equal(walk("d/f/x", 0), -ENOTDIR);
	assert_int_equal(walk("d/f/", 0), -ENOTDIR);
	assert_int_equal(walk("d/f/.", 0), -ENOTDIR);
	assert_int_equal(walk("d/./../d//f", 0), 0);
	assert_int_equal(walk("/../../d", 0), 0);
	assert_int_equal(walk(longest, 0), -ENAMETOOLONG);
	assert_int_equal(walk("d/f", WALK_DIRECTORY), -ENOTDIR);

	assert_int_equal(vfs_symlink(&world.as_root, NULL, "loop", "loop"), 0);
	assert_int_equal(walk("loop", WALK_FOLLOW), -ELOOP);
	assert_int_equal(vfs_symlink(&world.as_root, NULL, "l0", "/d/"), 0);
	assert_int_equal(walk("l0/f", 0), 0);
	assert_int_equal(walk("l0/f", WALK_NO_SYMLINKS), -ELOOP);
	for (int i = 1; i <= 41; i++) {
		char target[16];

		(void)snprintf(name, sizeof(name), "l%d", i);
		(void)snprintf(target, sizeof(target), "l%d", i - 1);
		assert_int_equal(vfs_symlink(&world.as_root, NULL, name, target), 0);
	}
	assert_int_equal(walk("l39", WALK_FOLLOW), 0);
	assert_int_equal(walk("l40", WALK_FOLLOW), -ELOOP);
}

static void scoped_walks_do_not_escape(void **state)
{
	struct path dir, p;

	assert_int_equal(w_mkdir("jail"), 0);
	assert_int_equal(w_mkdir("jail/in"), 0);
	assert_int_equal(w_mkdir("out"), 0);
	assert_int_equal(vfs_symlink(&world.as_root, NULL, "jail/abs", "/out"), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, "jail", 0, &dir), 0);
	assert_int_equal(path_walk(&world.as_root, &dir, "../out", WALK_BENEATH, &p), -EXDEV);
	assert_int_equal(path_walk(&world.as_root, &dir, "/in", WALK_BENEATH, &p), -EXDEV);
	assert_int_equal(path_walk(&world.as_root, &dir, "abs", WALK_BENEATH | WALK_FOLLOW, &p),
			 -EXDEV);
	assert_int_equal(path_walk(&world.as_root, &dir, "abs", WALK_IN_ROOT | WALK_FOLLOW, &p),
			 -ENOENT);
	assert_int_equal(path_walk(&world.as_root, &dir, "../../in", WALK_IN_ROOT, &p), 0);
	path_unref(&p);
	path_unref(&dir);
}

static void open_judges_as_linux_does(void **state)
{
	struct file *f;

	assert_int_equal(w_mkdir("d"), 0);
	assert_true(w_write("f", "x") > 0);
	assert_int_equal(vfs_symlink(&world.as_root, NULL, "dangling", "made"), 0);
	assert_int_equal(w_open("d", O_RDWR, &f), -EISDIR);
	assert_int_equal(w_open("d", O_RDONLY | O_CREAT, &f), -EISDIR);
	assert_int_equal(w_open("f", O_RDONLY | O_CREAT | O_EXCL, &f), -EEXIST);
	assert_int_equal(w_open("f", O_RDONLY | O_DIRECTORY, &f), -ENOTDIR);
	assert_int_equal(w_open("g/", O_RDWR | O_CREAT, &f), -EISDIR);
	assert_int_equal(w_open("dangling", O_RDONLY, &f), -ENOENT);
	assert_int_equal(w_open("dangling", O_RDONLY | O_NOFOLLOW, &f), -ELOOP);
	assert_int_equal(w_open("dangling", O_RDWR | O_CREAT | O_EXCL, &f), -EEXIST);
	assert_int_equal(w_open("dangling", O_RDWR | O_CREAT, &f), 0);
	file_unref(f);
	assert_int_equal(walk("made", 0), 0);
	assert_int_equal(w_open("d", O_RDWR | O_TMPFILE, &f), 0);
	assert_int_equal(f->inode->nlink, 0);
	file_unref(f);
	assert_int_equal(vfs_open(&world.as_user, NULL, "f", O_WRONLY, 0, 0, &f), -EACCES);
	assert_int_equal(vfs_open(&world.as_user, NULL, "d/x", O_WRONLY | O_CREAT, 0, 0, &f),
			 -EACCES);
}

static void a_file_that_runs_cannot_be_written_and_the_reverse(void **state)
{
	struct file *program, *writer;
	struct setattr attr = { .mask = SETATTR_MODE, .mode = 0755 };
	struct path p;

	assert_true(w_write("prog", "#!") > 0);
	assert_int_equal(w_open("prog", O_RDONLY | VFS_OPEN_EXEC, &program), -EACCES);
	assert_int_equal(path_walk(&world.as_root, NULL, "prog", 0, &p), 0);
	assert_int_equal(vfs_setattr(&world.as_root, &p, &attr), 0);
	path_unref(&p);
	assert_int_equal(w_open("prog", O_WRONLY, &writer), 0);
	assert_int_equal(w_open("prog", O_RDONLY | VFS_OPEN_EXEC, &program), -ETXTBSY);
	file_unref(writer);
	assert_int_equal(w_open("prog", O_RDONLY | VFS_OPEN_EXEC, &program), 0);
	assert_int_equal(w_open("prog", O_WRONLY, &writer), -ETXTBSY);
	file_unref(program);
	assert_int_equal(w_open("prog", O_WRONLY, &writer), 0);
	file_unref(writer);
}

static void names_are_removed_and_moved_with_the_errnos_of_linux(void **state)
{
	struct stat st;

	assert_int_equal(w_mkdir("a"), 0);
	assert_int_equal(w_mkdir("a/b"), 0);
	assert_int_equal(w_mkdir("e"), 0);
	assert_true(w_write("a/f", "1") > 0);
	assert_int_equal(w_mkdir("a"), -EEXIST);
	assert_int_equal(w_mkdir("/"), -EEXIST);
	assert_int_equal(w_mkdir("new/"), 0);
	assert_int_equal(w_unlink("a"), -EISDIR);
	assert_int_equal(w_unlink("a/f/"), -ENOTDIR);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "a", true), -ENOTEMPTY);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "a/.", true), -EINVAL);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "a/b/..", true), -ENOTEMPTY);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "a/f", true), -ENOTDIR);
#define MOVE(from, to, flags) vfs_rename(&world.as_root, NULL, from, NULL, to, flags)
	assert_int_equal(MOVE("a", "a/b/c", 0), -EINVAL);
	assert_int_equal(MOVE("a/b", "a", 0), -ENOTEMPTY);
	assert_int_equal(MOVE("a/f", "e", 0), -EISDIR);
	assert_int_equal(MOVE("e", "a/f", 0), -ENOTDIR);
	assert_int_equal(MOVE("e", "a", 0), -ENOTEMPTY);
	assert_int_equal(MOVE("nope", "x", 0), -ENOENT);
	assert_int_equal(MOVE("a/f", "g", RENAME_NOREPLACE), 0);
	assert_int_equal(MOVE("g", "e", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(MOVE("g", "e", RENAME_EXCHANGE), 0);
	assert_int_equal(w_stat("g", &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(MOVE("a/b", "g", 0), 0);
	assert_int_equal(w_stat("a", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(w_stat("/", &st), 0);
	assert_int_equal(st.st_nlink, 5);
}

static void sticky_directories_protect_their_names(void **state)
{
	assert_int_equal(vfs_mkdir(&world.as_root, NULL, "tmp", 01777), 0);
	world.as_root.umask = 0;
	assert_int_equal(vfs_mkdir(&world.as_root, NULL, "tmp2", 01777), 0);
	assert_true(w_write("tmp2/of-root", "x") > 0);
	assert_int_equal(vfs_unlink(&world.as_user, NULL, "tmp2/of-root", false), -EPERM);
	assert_int_equal(vfs_unlink(&world.as_user, NULL, "tmp/nope", false), -ENOENT);
	assert_int_equal(vfs_mknod(&world.as_user, NULL, "tmp2/mine", S_IFREG | 0600, 0), 0);
	assert_int_equal(vfs_unlink(&world.as_user, NULL, "tmp2/mine", false), 0);
	assert_int_equal(vfs_mknod(&world.as_user, NULL, "tmp2/dev", S_IFCHR | 0600, 1), -EPERM);
}

struct seen {
	struct dir_sink sink;
	unsigned int n, stop_after;
	char last[VFS_NAME_MAX + 1];
};

static bool see(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		unsigned int type, uint64_t next_pos)
{
	struct seen *s = (struct seen *)sink;

	if (s->n == s->stop_after)
		return false;
	memcpy(s->last, name, len);
	s->last[len] = '\0';
	s->n++;
	return true;
}

static void listing_goes_on_where_it_stopped_while_names_leave(void **state)
{
	struct seen s = { .sink = { see }, .stop_after = 4 };
	struct file *dir;

	assert_int_equal(w_mkdir("d"), 0);
	assert_true(w_write("d/1", "") == 0);
	assert_true(w_write("d/2", "") == 0);
	assert_true(w_write("d/3", "") == 0);
	assert_int_equal(w_open("d", O_RDONLY | O_DIRECTORY, &dir), 0);
	assert_int_equal(file_iterate(dir, &s.sink), 0);
	assert_int_equal(s.n, 4);
	assert_string_equal(s.last, "2");
	assert_int_equal(w_unlink("d/1"), 0);
	assert_int_equal(w_unlink("d/2"), 0);
	s.stop_after = 10;
	assert_int_equal(file_iterate(dir, &s.sink), 0);
	assert_int_equal(s.n, 5);
	assert_string_equal(s.last, "3");
	assert_int_equal(w_unlink("d/3"), 0);
	assert_int_equal(vfs_unlink(&world.as_root, NULL, "d", true), 0);
	assert_int_equal(file_iterate(dir, &s.sink), -ENOENT);
	file_unref(dir);
}

static void an_unlinked_file_lives_while_it_is_open(void **state)
{
	struct file *f;
	char buf[8], *text;

	assert_int_equal(w_open("f", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(f_write(f, "hello", 5), 5);
	assert_int_equal(w_unlink("f"), 0);
	assert_int_equal(file_seek(f, 0, SEEK_SET), 0);
	assert_int_equal(f_read(f, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(f->inode->nlink, 0);
	assert_int_equal(path_to_text(&f->path, &world.root, &text), 0);
	assert_string_equal(text, "/f (deleted)");
	free(text);
	file_unref(f);
}

static void a_tree_deeper_than_our_stack_is_freed(void **state)
{
	struct vfs_ctx ctx = world.as_root;
	struct path cwd = path_ref(&world.root), next;

	ctx.cwd = &cwd;
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(vfs_mkdir(&ctx, NULL, "d", 0755), 0);
		assert_int_equal(path_walk(&ctx, NULL, "d", 0, &next), 0);
		path_unref(&cwd);
		cwd = next;
	}
	path_unref(&cwd);
}

static struct inode *told;

static int tell_of_another(struct inode *dir, const struct vfs_name *name, uint32_t mode,
			   uint64_t rdev, const struct cred *cred, struct inode **ret)
{
	*ret = inode_ref(told);
	return 0;
}

/* As a gofer that fell may have it. */
static void a_socket_is_not_bound_to_what_is_none(void **state)
{
	struct inode_ops fallen = tmpfs_dir_ops;
	struct inode *dir = world.root.dentry->inode, *made;
	int pipe_of_it, socket, host_fd;
	struct path p;

	assert_int_equal(vfs_mknod(&world.as_root, NULL, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(path_walk(&world.as_root, NULL, "fifo", 0, &p), 0);
	told = p.dentry->inode;
	told->bound = &pipe_of_it;
	fallen.mknod = tell_of_another;
	dir->ops = &fallen;
	assert_int_equal(
		vfs_bind_socket(&world.as_root, "s", SOCK_STREAM, &socket, &made, &host_fd), -EIO);
	dir->ops = &tmpfs_dir_ops;
	assert_ptr_equal(told->bound, &pipe_of_it);
	told->bound = NULL;
	path_unref(&p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(walks_end_with_the_errno_of_linux),
		T(scoped_walks_do_not_escape),
		T(open_judges_as_linux_does),
		T(a_file_that_runs_cannot_be_written_and_the_reverse),
		T(names_are_removed_and_moved_with_the_errnos_of_linux),
		T(sticky_directories_protect_their_names),
		T(listing_goes_on_where_it_stopped_while_names_leave),
		T(an_unlinked_file_lives_while_it_is_open),
		T(a_tree_deeper_than_our_stack_is_freed),
		T(a_socket_is_not_bound_to_what_is_none),
	};

	return cmocka_run_group_tests_name("sentry/vfs/names", tests, NULL, NULL);
}
