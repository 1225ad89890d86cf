/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <limits.h>
#include <sys/mount.h>

#include "host/procfs.h"

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

static int open_proc(void)
{
	return open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* /proc replaced by a tmpfs or by a directory of procfs. */
static int replace_proc(void *arg)
{
	const char *source = arg;
	const bool tmpfs = *source != '/';

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	if (procfs_verify_root(open_proc()) != 0)
		return 2;
	if (mount(source, "/proc", tmpfs ? "tmpfs" : NULL, tmpfs ? 0 : MS_BIND, NULL) < 0)
		return 3;
	return procfs_verify_root(open_proc()) == -EXDEV ? 0 : 4;
}

static void a_replaced_proc_is_not_believed(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(replace_proc, (void *)(uintptr_t) "tmpfs"), 0);
	assert_int_equal(in_child(replace_proc, (void *)(uintptr_t) "/proc/sys"), 0);
}

/* CVE-2019-16884 and CVE-2025-52881: files mounted over attr and sysctl files. */
static int overmount(void *arg)
{
	char path[64];
	struct err err = { 0 };
	int proc;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", getpid());
	if (mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
		return 2;
	if (mount("/dev/null", "/proc/sys/kernel/hostname", NULL, MS_BIND, NULL) < 0)
		return 3;
	proc = open_proc();
	if (procfs_write(proc, path + strlen("/proc/"), "500", &err) != -EXDEV)
		return 4;
	return procfs_write_sysctl(proc, "kernel.hostname", "x", &err) == -EXDEV ? 0 : 5;
}

static void a_file_mounted_over_a_target_is_refused(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(overmount, NULL), 0);
}

/* Nothing is written, should one of them be opened after all. */
static void links_and_ways_out_are_refused(void **state)
{
	static const struct {
		const char *path;
		int error;
	} rows[] = {
		{ "PID/exe", -ELOOP },	     { "PID/root/etc/passwd", -ELOOP },
		{ "PID/fd/0", -ELOOP },	     { "PID/cwd", -ELOOP },
		{ "mounts", -ELOOP },	     { "self/oom_score_adj", -ELOOP },
		{ "../etc/passwd", -EXDEV }, { "/etc/passwd", -EXDEV },
		{ "PID/nothing", -ENOENT },  { "", -ENOENT },
	};
	AUTO_CLOSE int proc = open_proc();

	assert_true(proc >= 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *rest = str_after(rows[i].path, "PID");
		struct err err = { 0 };
		char path[64];

		if (rest)
			snprintf(path, sizeof(path), "%d%s", getpid(), rest);
		else
			snprintf(path, sizeof(path), "%s", rows[i].path);
		if (procfs_write(proc, path, "", &err) != rows[i].error)
			fail_msg("%s: %s", path, err.msg);
	}
}

static void paths_that_are_too_long_are_refused(void **state)
{
	struct err err = { 0 };
	AUTO_CLOSE int proc = open_proc();
	char path[2 * PATH_MAX];

	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(procfs_write(proc, path, "", &err), -ENAMETOOLONG);
	assert_int_equal(procfs_write_sysctl(proc, path, "1", &err), -ENAMETOOLONG);
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
	AUTO_CLOSE int proc = open_proc();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (procfs_write_sysctl(proc, bad[i], "1", &err) != -EINVAL)
			fail_msg("\"%s\": %s", bad[i], err.msg);
	}
	assert_int_equal(procfs_write_sysctl(proc, "kernel.no_such_thing", "1", &err), -ENOENT);
	assert_non_null(strstr(err.msg, "kernel.no_such_thing"));
}

/* Both spellings, and a dot inside a name written as the other separator. */
static int write_sysctls(void *arg)
{
	struct err err = { 0 };
	char name[65];
	int proc;

	if (unshare(CLONE_NEWUTS | CLONE_NEWNET) < 0)
		return 1;
	proc = open_proc();
	if (procfs_write_sysctl(proc, "kernel.hostname", "first", &err) < 0 ||
	    gethostname(name, sizeof(name)) < 0 || !str_eq(name, "first"))
		return 2;
	if (procfs_write_sysctl(proc, "kernel/hostname", "second", &err) < 0 ||
	    gethostname(name, sizeof(name)) < 0 || !str_eq(name, "second"))
		return 3;
	if (procfs_write_sysctl(proc, "net.ipv4.conf.lo.forwarding", "1", &err) < 0)
		return 4;
	/* A wrong value is the kernel's error with the name of the key. */
	if (procfs_write_sysctl(proc, "net.ipv4.conf.lo.forwarding", "x", &err) != -EINVAL)
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
		cmocka_unit_test(a_file_mounted_over_a_target_is_refused),
		cmocka_unit_test(links_and_ways_out_are_refused),
		cmocka_unit_test(paths_that_are_too_long_are_refused),
		cmocka_unit_test(bad_sysctl_names_are_refused),
		cmocka_unit_test(sysctls_are_written_in_both_spellings),
	};

	return cmocka_run_group_tests_name("host/procfs", tests, NULL, NULL);
}
