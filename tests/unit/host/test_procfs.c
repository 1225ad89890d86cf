/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/procfs.h"
#include "host/sched.h"

static void other_file_systems_are_no_procfs(void **state)
{
	static const char *const places[] = {
		"/", "/tmp", "/sys", "/dev", "/proc/self", "/proc/sys"
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		AUTO_CLOSE int fd = open(places[i], O_PATH | O_CLOEXEC);

		assert_int_equal(procfs_verify_root(fd), -EXDEV);
	}
	assert_int_equal(procfs_verify_root(-1), -EBADF);
}

/* /proc replaced by a tmpfs, by a directory of procfs, by a link: where no fresh one can be had. */
static int hide_proc(void *arg)
{
	const char *how = arg;
	struct err err = { 0 };
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	if (mount(how[0] == '/' ? how : "tmpfs", "/proc", how[0] == '/' ? NULL : "tmpfs",
		  how[0] == '/' ? MS_BIND : 0, NULL) < 0)
		return 2;
	/* A fresh procfs is made all the same: the replaced one is not looked at. */
	fd = procfs_open_private(&err);
	if (fd < 0 || procfs_verify_root(fd) < 0)
		return 3;
	/* In a user namespace without a full /proc in sight the kernel gives no fresh one. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0)
		return 4;
	fd = procfs_open_private(&err);
	return fd == -EXDEV && strstr(err.msg, "/proc") ? 0 : 5;
}

static void a_replaced_proc_is_not_believed(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(hide_proc, (void *)(uintptr_t) "tmpfs"), 0);
	assert_int_equal(in_child(hide_proc, (void *)(uintptr_t) "/proc/sys"), 0);
}

/* CVE-2019-16884 and CVE-2025-52881: files mounted over attr and sysctl files. */
static int overmount(void *arg)
{
	char path[64];
	struct err err = { 0 };
	int fd, plain;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", getpid());
	if (mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
		return 2;
	if (mount("/dev/null", "/proc/sys/kernel/hostname", NULL, MS_BIND, NULL) < 0)
		return 3;
	/* The visible /proc: the mount is seen and refused. */
	plain = open("/proc", O_PATH | O_DIRECTORY);
	if (procfs_write(plain, "self/oom_score_adj", "500", &err) != -EXDEV)
		return 4;
	if (procfs_write_sysctl(plain, "kernel.hostname", "x", &err) != -EXDEV)
		return 5;
	/* The private one: the write arrives. */
	fd = procfs_open_private(&err);
	if (fd < 0 || oom_score_adj_write(fd, 500, &err) < 0)
		return 6;
	AUTO_BUF struct buf text = { 0 };
	AUTO_CLOSE int in = procfs_open(fd, "self/oom_score_adj", O_RDONLY);

	return in >= 0 && fd_read_all(in, &text) == 0 && str_eq(text.data, "500\n") ? 0 : 7;
}

static void a_file_mounted_over_a_target_is_refused_and_avoided(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(overmount, NULL), 0);
}

static void links_and_ways_out_are_refused(void **state)
{
	struct err err = { 0 };
	AUTO_CLOSE int fd = procfs_open_private(&err);

	assert_true(fd >= 0);
	assert_int_equal(procfs_open(fd, "self/exe", O_RDONLY), -ELOOP);
	assert_int_equal(procfs_open(fd, "self/root/etc/passwd", O_RDONLY), -ELOOP);
	assert_int_equal(procfs_open(fd, "self/fd/0", O_RDONLY), -ELOOP);
	assert_int_equal(procfs_open(fd, "self/cwd", O_RDONLY), -ELOOP);
	assert_int_equal(procfs_open(fd, "mounts", O_RDONLY), -ELOOP);
	assert_int_equal(procfs_open(fd, "../etc/passwd", O_RDONLY), -EXDEV);
	assert_int_equal(procfs_open(fd, "/etc/passwd", O_RDONLY), -EXDEV);
	assert_int_equal(procfs_open(fd, "self/nothing", O_RDONLY), -ENOENT);
	assert_int_equal(procfs_open(fd, "selfish", O_RDONLY), -ENOENT);
	assert_int_equal(procfs_open(fd, "", O_RDONLY), -ENOENT);
}

static void paths_that_are_too_long_are_refused(void **state)
{
	struct err err = { 0 };
	AUTO_CLOSE int fd = procfs_open_private(&err);
	char path[2000];

	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(procfs_open(fd, path, O_RDONLY), -ENAMETOOLONG);
	memcpy(path, "self/", 5);
	assert_int_equal(procfs_open(fd, path, O_RDONLY), -ENAMETOOLONG);
	assert_int_equal(procfs_write_sysctl(fd, path, "1", &err), -ENAMETOOLONG);
}

static void self_means_the_caller(void **state)
{
	static const char *const paths[] = { "self/stat", "thread-self/stat" };
	struct err err = { 0 };
	AUTO_CLOSE int fd = procfs_open_private(&err);
	AUTO_CLOSE int pids = procfs_open_private_pids(&err);

	for (size_t i = 0; i < 2 * ARRAY_LEN(paths); i++) {
		AUTO_BUF struct buf text = { 0 };
		AUTO_CLOSE int in = procfs_open(i < 2 ? fd : pids, paths[i % 2], O_RDONLY);

		assert_true(in >= 0);
		assert_int_equal(fd_read_all(in, &text), 0);
		assert_int_equal(atoi(text.data), getpid());
	}
	assert_true(procfs_open(pids, "sys/kernel/hostname", O_RDONLY) == -ENOENT);
}

static void bad_sysctl_names_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   ".",
					   "/",
					   "..",
					   "../self/oom_score_adj",
					   "net/../../stat",
					   "kernel.",
					   "kernel..hostname",
					   "/kernel/hostname" };
	struct err err = { 0 };
	AUTO_CLOSE int fd = procfs_open_private(&err);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (procfs_write_sysctl(fd, bad[i], "1", &err) != -EINVAL)
			fail_msg("\"%s\": %s", bad[i], err.msg);
	}
	assert_int_equal(procfs_write_sysctl(fd, "kernel.no_such_thing", "1", &err), -ENOENT);
	assert_non_null(strstr(err.msg, "kernel.no_such_thing"));
}

/* Both spellings, and a dot inside a name written as the other separator. */
static int write_sysctls(void *arg)
{
	struct err err = { 0 };
	char name[65];
	int fd;

	if (unshare(CLONE_NEWUTS | CLONE_NEWNET) < 0)
		return 1;
	fd = procfs_open_private(&err);
	if (procfs_write_sysctl(fd, "kernel.hostname", "first", &err) < 0 ||
	    gethostname(name, sizeof(name)) < 0 || !str_eq(name, "first"))
		return 2;
	if (procfs_write_sysctl(fd, "kernel/hostname", "second", &err) < 0 ||
	    gethostname(name, sizeof(name)) < 0 || !str_eq(name, "second"))
		return 3;
	if (procfs_write_sysctl(fd, "net.ipv4.conf.lo.forwarding", "1", &err) < 0)
		return 4;
	/* A wrong value is the kernel's error with the name of the key. */
	if (procfs_write_sysctl(fd, "net.ipv4.conf.lo.forwarding", "x", &err) != -EINVAL)
		return 5;
	return 0;
}

static void sysctls_are_written_in_both_spellings(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(write_sysctls, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_file_systems_are_no_procfs),
		cmocka_unit_test(a_replaced_proc_is_not_believed),
		cmocka_unit_test(a_file_mounted_over_a_target_is_refused_and_avoided),
		cmocka_unit_test(links_and_ways_out_are_refused),
		cmocka_unit_test(paths_that_are_too_long_are_refused),
		cmocka_unit_test(self_means_the_caller),
		cmocka_unit_test(bad_sysctl_names_are_refused),
		cmocka_unit_test(sysctls_are_written_in_both_spellings),
	};

	return cmocka_run_group_tests_name("host/procfs", tests, NULL, NULL);
}
