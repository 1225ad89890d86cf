/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of container directories: ids, owners and modes, locks, removal. */
#include "runtimetest.h"

#include <sys/wait.h>

#include "base/str.h"
#include "runtime/store.h"

static void ids_that_could_leave_the_directory_are_refused(void **state)
{
	static const char *const bad[] = { "",	       ".",    "..",   "a/b",	   "/",	  "../x",
					   "a b",      "a\nb", "a\tb", "@seccomp", "a:b", "a*",
					   "\xc3\xa4", "a\\b", "~",    "a%" };
	static const char *const good[] = { "a", "A-Z_0.9+", "...", "-x", "+", "..a", "0" };
	char longest[1026];
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (container_id_check(bad[i], &err) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i]);
	}
	assert_int_equal(container_id_check(NULL, &err), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(container_id_check(good[i], &err), 0);
	memset(longest, 'a', sizeof(longest));
	longest[1025] = '\0';
	assert_int_equal(container_id_check(longest, &err), -EINVAL);
	longest[1024] = '\0';
	assert_int_equal(container_id_check(longest, &err), 0);
	assert_int_equal(container_id_check("a/b", &err), -EINVAL);
	assert_string_equal(err.msg, "invalid container ID format");
}

static void a_root_that_others_may_write_is_refused(void **state)
{
	struct test_root root;
	struct err err = { 0 };
	int fd;

	(void)state;
	test_root_make(&root);
	assert_int_equal(chmod(root.path, 0777), 0);
	assert_int_equal(store_open_root(&root.rt, true, &err), -EPERM);
	assert_says(err, "written by others");
	assert_int_equal(chmod(root.path, 0720), 0);
	assert_int_equal(store_open_root(&root.rt, true, &err), -EPERM);
	assert_int_equal(chmod(root.path, 0755), 0);
	fd = store_open_root(&root.rt, true, &err);
	assert_true(fd >= 0);
	(void)close(fd);
	if (geteuid() == 0) {
		assert_int_equal(chown(root.path, 12345, 0), 0);
		assert_int_equal(store_open_root(&root.rt, true, &err), -EPERM);
		assert_says(err, "12345");
	}
	test_root_remove(&root);
}

static void a_missing_root_is_made_with_its_parents_whatever_the_umask(void **state)
{
	struct test_root root;
	char deep[128];
	struct err err = { 0 };
	struct stat st;
	mode_t mask;
	int fd;

	(void)state;
	test_root_make(&root);
	(void)snprintf(deep, sizeof(deep), "%s/x/y/z", root.path);
	root.rt.root = deep;
	assert_int_equal(store_open_root(&root.rt, false, &err), -ENOENT);
	mask = umask(077);
	fd = store_open_root(&root.rt, true, &err);
	assert_int_equal(umask(mask), 077);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	(void)close(fd);
	test_root_remove(&root);
}

static void a_directory_is_made_once_locked_and_removed_whole(void **state)
{
	struct test_root root;
	struct err err = { 0 };
	struct stat st;
	int root_fd, dir;

	(void)state;
	test_root_make(&root);
	root_fd = store_open_root(&root.rt, false, &err);
	assert_int_equal(store_open(root_fd, "c1", &err), -ENOENT);
	assert_string_equal(err.msg, "container does not exist");
	assert_int_equal(store_make(root_fd, "c1", &err), 0);
	assert_int_equal(store_make(root_fd, "c1", &err), -EEXIST);
	assert_string_equal(err.msg, "container with given ID already exists");
	dir = store_open(root_fd, "c1", &err);
	assert_true(dir >= 0);
	assert_int_equal(fstat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01711);
	assert_true(store_is_unfinished(dir));
	assert_int_equal(store_finish(dir, &err), 0);
	assert_false(store_is_unfinished(dir));
	assert_false(store_is_locked(root_fd, "c1"));
	assert_int_equal(store_lock(dir, &err), 0);
	assert_true(store_is_locked(root_fd, "c1"));
	store_unlock(dir);
	assert_false(store_is_locked(root_fd, "c1"));

	test_root_touch(&root, "c1", "state.json");
	test_root_touch(&root, "c1", "something.else");
	assert_int_equal(mkdirat(dir, "notify", 0755), 0);
	test_root_touch(&root, "c1", "notify/notify.sock");
	assert_int_equal(store_remove(root_fd, "c1", dir, &err), 0);
	assert_int_equal(store_open(root_fd, "c1", &err), -ENOENT);
	/* The lock of a directory that is gone protects nothing. */
	assert_int_equal(store_lock(dir, &err), -ENOENT);
	assert_int_equal(store_remove(root_fd, "c1", dir, &err), 0);
	(void)close(dir);
	(void)close(root_fd);
	test_root_remove(&root);
}

static void a_link_is_no_container(void **state)
{
	struct test_root root;
	struct err err = { 0 };
	int root_fd;

	(void)state;
	test_root_make(&root);
	root_fd = store_open_root(&root.rt, false, &err);
	assert_int_equal(symlinkat("/etc", root_fd, "c1"), 0);
	assert_true(store_open(root_fd, "c1", &err) < 0);
	assert_int_equal(store_make(root_fd, "c1", &err), -EEXIST);
	(void)close(root_fd);
	test_root_remove(&root);
}

static void a_half_made_directory_is_removed_by_force_only(void **state)
{
	struct test_root root;
	struct container *c = NULL;
	struct err err = { 0 };
	char path[128];

	(void)state;
	test_root_make(&root);
	test_root_add(&root, "half", NULL);
	test_root_touch(&root, "half", "state.json.new.123");
	assert_int_equal(container_load(&root.rt, "half", true, &c, &err), -ENOENT);
	assert_string_equal(err.msg, "container does not exist");
	assert_int_equal(container_delete_force(&root.rt, "half", &err), 0);
	(void)snprintf(path, sizeof(path), "%s/half", root.path);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(container_delete_force(&root.rt, "half", &err), 0);
	assert_int_equal(container_delete_force(&root.rt, "never-was", &err), 0);
	assert_int_equal(container_delete_force(&root.rt, "a/b", &err), -EINVAL);
	test_root_remove(&root);
}

static void a_damaged_state_is_an_error_and_stays_for_the_administrator(void **state)
{
	struct test_root root;
	struct container *c = NULL;
	struct err err = { 0 };
	char path[128];

	(void)state;
	test_root_make(&root);
	test_root_add(&root, "bad", "{\"stateVersion\":1,");
	assert_int_equal(container_load(&root.rt, "bad", false, &c, &err), -EINVAL);
	assert_says(err, "container bad");
	assert_int_equal(container_delete_force(&root.rt, "bad", &err), -EINVAL);
	(void)snprintf(path, sizeof(path), "%s/bad/state.json", root.path);
	assert_int_equal(access(path, F_OK), 0);
	test_root_remove(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_that_could_leave_the_directory_are_refused),
		cmocka_unit_test(a_root_that_others_may_write_is_refused),
		cmocka_unit_test(a_link_is_no_container),
		cmocka_unit_test(a_damaged_state_is_an_error_and_stays_for_the_administrator),
		cmocka_unit_test(a_half_made_directory_is_removed_by_force_only),
		cmocka_unit_test(a_missing_root_is_made_with_its_parents_whatever_the_umask),
		cmocka_unit_test(a_directory_is_made_once_locked_and_removed_whole),
	};

	return cmocka_run_group_tests_name("runtime/store", tests, NULL, NULL);
}
