/* SPDX-License-Identifier: Apache-2.0 */
/* Where a shim listens, and who shares it. */
#include "shim/address.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "lib/unit.h"
#include "shim/manage.h"

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
	/* Shims of another version find the same. */
	assert_string_equal(first, "/run/s/d6016002763c64bf6f105ccc14f3dc15");
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

#define REST "23456789abcdef0123456789abcdef" /* of a name, behind two digits */
#define OURS "01" REST

/* In a network namespace of its own, whose sockets the kernel lists for those in it alone. */
static int listen_elsewhere(void *path)
{
	struct err err = { 0 };

	return unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET) == 0 &&
			       address_listen(path, &err) >= 0
		       ? 0
		       : 1;
}

static void sockets_of_the_dead_are_swept_and_no_others(void **state)
{
	/* Dead ones: names of ours, then of others; and a file with a name of ours. */
	static const char *const names[] = {
		"00" REST, OURS MANAGE_SUFFIX, OURS OURS, OURS ".other", "other", "ff" REST,
	};
	static const bool stays[] = { false, false, true, true, true, true };
	char dir[] = "/tmp/address.XXXXXX", path[ADDRESS_MAX], living[ADDRESS_MAX];
	struct err err = { 0 };
	int fd, listener;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		fd = stays[i] && i == 5 ? open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)
					: address_listen(path, &err);
		assert_true(fd >= 0);
		(void)close(fd);
	}
	(void)snprintf(living, sizeof(living), "%s/11" REST, dir);
	listener = address_listen(living, &err);
	assert_true(listener >= 0);
	address_sweep(living);
	/* Nobody has been connected to. */
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(access(living, F_OK), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if ((access(path, F_OK) == 0) != stays[i])
			fail_msg("%s", path);
		(void)unlink(path);
	}
	(void)close(listener);
	(void)unlink(living);
	address_sweep(living);
	assert_int_equal(rmdir(dir), 0);
	address_sweep(living);
}

static void a_living_one_that_the_kernel_does_not_list_stays(void **state)
{
	char dir[] = "/tmp/address.XXXXXX", path[ADDRESS_MAX];
	int ends[2];
	pid_t child;
	char byte;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/" OURS, dir);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		if (listen_elsewhere(path) == 0)
			(void)!write(ends[1], "", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	address_sweep(path);
	assert_int_equal(access(path, F_OK), 0);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	address_sweep(path);
	assert_int_equal(access(path, F_OK), -1);
	(void)close(ends[0]);
	assert_int_equal(rmdir(dir), 0);
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
		cmocka_unit_test(sockets_of_the_dead_are_swept_and_no_others),
		cmocka_unit_test(a_living_one_that_the_kernel_does_not_list_stays),
		cmocka_unit_test(the_file_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
