/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a node: read, replaced, removed, inside of its root. */
#include "node.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/xattr.h>

#include "install/files.h"
#include "install/toml.h"

struct fixture {
	int root;
	struct install_file file;
	struct err err;
};

static struct fixture fixture;

static int set_up(void **state)
{
	if (node_set_up(state) < 0)
		return -1;
	fixture = (struct fixture){ .root = open(node, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	*state = &fixture;
	return fixture.root < 0;
}

static int tear_down(void **state)
{
	buf_done(&fixture.file.before);
	buf_done(&fixture.file.after);
	(void)close(fixture.root);
	return node_tear_down(state);
}

static int read_path(struct fixture *f, const char *path)
{
	buf_done(&f->file.before);
	buf_done(&f->file.after);
	f->file = (struct install_file){ .path = (char *)(uintptr_t)path };
	return files_read(f->root, &f->file, &f->err);
}

static void what_is_no_text_file_is_refused(void **state)
{
	struct fixture *f = *state;
	char full[PATH_MAX];

	node_write("/etc/target", "x");
	assert_int_equal(symlink("target", node_path("/etc/link", full)), 0);
	assert_int_equal(read_path(f, "/etc/link"), -ELOOP);
	assert_says(f->err, "/etc/link is a symbolic link");
	assert_int_equal(mkdir(node_path("/etc/dir", full), 0755), 0);
	assert_int_equal(read_path(f, "/etc/dir"), -EINVAL);
	assert_int_equal(mkfifo(node_path("/etc/fifo", full), 0644), 0);
	assert_int_equal(read_path(f, "/etc/fifo"), -EINVAL);
	node_write("/etc/big", "x");
	assert_int_equal(truncate(node_path("/etc/big", full), TOML_FILE_MAX + 1), 0);
	assert_int_equal(read_path(f, "/etc/big"), -E2BIG);
	assert_int_equal(truncate(node_path("/etc/big", full), 10), 0);
	assert_int_equal(read_path(f, "/etc/big"), -EBADMSG);
	assert_int_equal(read_path(f, "/etc/target/below"), -ENOTDIR);
}

static void a_file_changed_meanwhile_is_not_replaced(void **state)
{
	struct fixture *f = *state;

	node_write("/etc/f", "old");
	assert_int_equal(read_path(f, "/etc/f"), 0);
	node_write("/etc/f", "older");
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), -EAGAIN);
	assert_says(f->err, "changed by somebody else");
	f->file.removed = true;
	assert_int_equal(files_write(f->root, &f->file, &f->err), -EAGAIN);
	assert_string_equal(node_read("/etc/f"), "older");

	assert_int_equal(read_path(f, "/etc/g"), 0);
	node_write("/etc/g", "made");
	assert_int_equal(files_write(f->root, &f->file, &f->err), -EAGAIN);
	assert_string_equal(node_read("/etc/g"), "made");
}

static void nothing_stays_beside_a_file_that_cannot_be_replaced(void **state)
{
	struct fixture *f = *state;
	char full[PATH_MAX];

	node_write("/etc/f", "old");
	assert_int_equal(read_path(f, "/etc/f"), 0);
	node_write("/etc/f", "older");
	assert_true(files_write(f->root, &f->file, &f->err) < 0);
	assert_int_equal(unlink(node_path("/etc/f", full)), 0);
	assert_int_equal(rmdir(node_path("/etc", full)), 0);
}

static void owner_and_mode_stay(void **state)
{
	struct fixture *f = *state;
	char full[PATH_MAX];
	struct stat st;

	node_write("/etc/f", "old");
	(void)node_path("/etc/f", full);
	assert_int_equal(chmod(full, 0640), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(full, 12, 34), 0);
	assert_int_equal(read_path(f, "/etc/f"), 0);
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), 0);
	assert_string_equal(node_read("/etc/f"), "new");
	assert_int_equal(stat(full, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (geteuid() == 0) {
		assert_int_equal(st.st_uid, 12);
		assert_int_equal(st.st_gid, 34);
	}
}

/* Replaced, the file has the attribute; nothing is asked of a system that cannot set it. */
static void keeps_xattr(struct fixture *f, const char *name, const void *value, size_t len)
{
	char full[PATH_MAX], got[64];

	node_write("/etc/f", "old");
	if (setxattr(node_path("/etc/f", full), name, value, len, 0) < 0)
		return;
	assert_int_equal(read_path(f, "/etc/f"), 0);
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), 0);
	assert_string_equal(node_read("/etc/f"), "new");
	assert_int_equal(getxattr(full, name, got, sizeof(got)), len);
	assert_memory_equal(got, value, len);
	assert_int_equal(unlink(full), 0);
}

static void label_and_access_list_stay(void **state)
{
	/* acl(5) as the kernel has it: its owner rw, user 12 r, the group nothing, mask r. */
	static const unsigned char list[] = {
		2,    0, 0, 0,			       /* version */
		0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_USER_OBJ */
		0x02, 0, 4, 0, 12,   0,	   0,	 0,    /* ACL_USER */
		0x04, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_GROUP_OBJ */
		0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_MASK */
		0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_OTHER */
	};

	keeps_xattr(*state, "system.posix_acl_access", list, sizeof(list));
	keeps_xattr(*state, "security.selinux", "system_u:object_r:etc_t:s0", 27);
}

/* Replace the text; whether a name was made in the directory `watched` meanwhile. */
static bool is_made_in(struct fixture *f, const char *path, const char *watched)
{
	char full[PATH_MAX], events[4096];
	AUTO_CLOSE int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(inotify_add_watch(fd, node_path(watched, full), IN_CREATE) >= 0);
	assert_int_equal(read_path(f, path), 0);
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), 0);
	assert_string_equal(node_read(path), "new");
	return read(fd, events, sizeof(events)) > 0;
}

static void nothing_is_made_in_a_directory_of_drop_ins(void **state)
{
	struct fixture *f = *state;

	node_write("/etc/crio.conf.d/f", "old");
	assert_false(is_made_in(f, "/etc/crio.conf.d/f", "/etc/crio.conf.d"));
	assert_true(is_made_in(f, "/etc/crio.conf.d/f", "/etc"));
	node_write("/etc/plain/f", "old");
	assert_true(is_made_in(f, "/etc/plain/f", "/etc/plain"));
}

/* A link to a directory elsewhere: the file is made in it, since a rename cannot bring it there. */
static void drop_ins_on_another_file_system_are_replaced(void **state)
{
	struct fixture *f = *state;
	char other[] = "/dev/shm/caisson-node-XXXXXX", full[PATH_MAX], path[64];

	if (!mkdtemp(other))
		skip();
	node_make_dirs("/etc/x");
	assert_int_equal(symlink(other, node_path("/etc/f.d", full)), 0);
	(void)close(f->root);
	f->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/etc/f.d/f", node);
	assert_int_equal(read_path(f, path), 0);
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), 0);
	assert_string_equal(node_read("/etc/f.d/f"), "new");
	(void)snprintf(path, sizeof(path), "%s/f", other);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(other), 0);
}

/* A process of that number was killed once: in a container it is always the same one. */
static void what_a_killed_run_left_is_no_obstacle(void **state)
{
	struct fixture *f = *state;
	char name[64], full[PATH_MAX];

	node_write("/etc/f", "old");
	(void)snprintf(name, sizeof(name), "/etc/.f.caisson.%d", (int)getpid());
	node_write(name, "half");
	assert_int_equal(read_path(f, "/etc/f"), 0);
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), 0);
	assert_string_equal(node_read("/etc/f"), "new");
	assert_int_equal(access(node_path(name, full), F_OK), -1);
}

static void missing_directories_are_made(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_path(f, "/etc/a/b/f"), 0);
	assert_false(f->file.existed);
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), 0);
	assert_string_equal(node_read("/etc/a/b/f"), "new");
}

/* An absolute link of the node leads to a place in the node. */
static void paths_stay_inside_of_the_root(void **state)
{
	struct fixture *f = *state;
	char full[PATH_MAX];

	node_write("/real/x", "");
	node_make_dirs("/etc/f");
	assert_int_equal(symlink("/real", node_path("/etc/link", full)), 0);
	assert_int_equal(symlink("../../../../../../real", node_path("/etc/up", full)), 0);
	assert_int_equal(read_path(f, "/etc/link/f"), 0);
	buf_puts(&f->file.after, "new");
	assert_int_equal(files_write(f->root, &f->file, &f->err), 0);
	assert_string_equal(node_read("/real/f"), "new");
	assert_int_equal(read_path(f, "/etc/up/f"), 0);
	assert_string_equal(f->file.before.data, "new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_no_text_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_changed_meanwhile_is_not_replaced, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(nothing_stays_beside_a_file_that_cannot_be_replaced,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(owner_and_mode_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(label_and_access_list_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_made_in_a_directory_of_drop_ins, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(drop_ins_on_another_file_system_are_replaced,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_killed_run_left_is_no_obstacle, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(missing_directories_are_made, set_up, tear_down),
		cmocka_unit_test_setup_teardown(paths_stay_inside_of_the_root, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
