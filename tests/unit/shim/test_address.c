/* SPDX-License-Identifier: Apache-2.0 */
/* Where a shim listens, and who shares it. */
#include "shim/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/unit.h"

static const char *path_of(const char *containerd, const char *ns, const char *group)
{
	static char path[ADDRESS_MAX];
	struct err err = { 0 };

	assert_int_equal(address_path("/run/s", containerd, ns, group, path, &err), 0);
	return path;
}

static void a_directory_that_is_too_long_is_refused(void **state)
{
	char dir[ADDRESS_MAX], path[ADDRESS_MAX];
	struct err err = { 0 };

	(void)state;
	memset(dir, 'd', sizeof(dir) - 1);
	dir[sizeof(dir) - 1] = '\0';
	assert_int_equal(address_path(dir, "c", "n", "g", path, &err), -ENAMETOOLONG);
}

static void every_part_makes_another_path(void **state)
{
	AUTO_FREE char *first = strdup(path_of("a", "b", "c"));

	(void)state;
	assert_string_equal(path_of("a", "b", "c"), first);
	assert_string_not_equal(path_of("x", "b", "c"), first);
	assert_string_not_equal(path_of("a", "x", "c"), first);
	assert_string_not_equal(path_of("a", "b", "x"), first);
	/* Where one part ends is part of it. */
	assert_string_not_equal(path_of("ab", "", "c"), first);
	assert_string_not_equal(path_of("a", "bc", ""), first);
}

static void expect_group(const char *config, const char *group)
{
	AUTO_JSON json_t *document = json_loads(config, 0, NULL);

	assert_non_null(document);
	assert_string_equal(address_group(document, "own"), group);
}

static void a_pod_shares_one_shim(void **state)
{
	(void)state;
	expect_group("{}", "own");
	expect_group("{\"annotations\": 5}", "own");
	expect_group("{\"annotations\": {\"io.kubernetes.cri.sandbox-id\": 5}}", "own");
	expect_group("{\"annotations\": {\"io.kubernetes.cri.sandbox-id\": \"\"}}", "own");
	expect_group("{\"annotations\": {\"io.kubernetes.cri.sandbox-id\": \"pod\"}}", "pod");
	expect_group("{\"annotations\": {\"io.kubernetes.cri-o.SandboxID\": \"pod\"}}", "pod");
}

static void a_second_listener_is_told_and_a_dead_one_is_replaced(void **state)
{
	char dir[] = "/tmp/address.XXXXXX", path[ADDRESS_MAX];
	struct err err = { 0 };
	struct stat st;
	int first;

	(void)state;
	(void)umask(022);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/deep/s/one", dir);
	assert_false(address_answers(path));
	first = address_listen(path, &err);
	assert_true(first >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(address_answers(path));
	assert_int_equal(address_listen(path, &err), -EEXIST);
	(void)close(first);
	assert_false(address_answers(path));
	first = address_listen(path, &err);
	assert_true(first >= 0);
	(void)close(first);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/deep/s", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/deep", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	(void)rmdir(path);
	(void)rmdir(dir);
}

/* `start` of another container of the pod is between its looking and its listening. */
static void a_socket_is_not_removed_while_another_is_about_to_listen(void **state)
{
	char dir[] = "/tmp/address.XXXXXX", path[ADDRESS_MAX];
	struct err err = { 0 };
	int lock, listener, status = -1;
	pid_t child;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/one", dir);
	listener = address_listen(path, &err);
	assert_true(listener >= 0);
	assert_int_equal(address_remove(path, &err), 0);
	assert_int_equal(access(path, F_OK), 0);
	(void)close(listener);
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	child = fork();
	if (child == 0) {
		(void)close(lock);
		_exit(address_remove(path, &err) == 0 ? 0 : 1);
	}
	assert_true(child > 0);
	(void)usleep(100000);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	assert_int_equal(access(path, F_OK), 0);
	(void)close(lock);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(access(path, F_OK), -1);
	(void)rmdir(dir);
}

static void the_file_is_read_as_it_was_written(void **state)
{
	char dir[] = "/tmp/address.XXXXXX", path[ADDRESS_MAX] = "";
	AUTO_CLOSE int fd = -EBADF;
	struct err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(address_load(fd, path, &err), -ENOENT);
	assert_int_equal(address_save(fd, "/run/s/x", &err), 0);
	assert_int_equal(address_load(fd, path, &err), 0);
	assert_string_equal(path, "/run/s/x");
	assert_int_equal(address_save(fd, "not/absolute", &err), 0);
	assert_int_equal(address_load(fd, path, &err), -EINVAL);
	assert_int_equal(unlinkat(fd, ADDRESS_FILE, 0), 0);
	(void)rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_that_is_too_long_is_refused),
		cmocka_unit_test(every_part_makes_another_path),
		cmocka_unit_test(a_pod_shares_one_shim),
		cmocka_unit_test(a_second_listener_is_told_and_a_dead_one_is_replaced),
		cmocka_unit_test(a_socket_is_not_removed_while_another_is_about_to_listen),
		cmocka_unit_test(the_file_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
