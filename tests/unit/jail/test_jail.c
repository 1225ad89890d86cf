/* SPDX-License-Identifier: Apache-2.0 */
/* Each stage in a forked child that reports what it can still do. */
#include "lib/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"

/* The wait status of a child that runs fn: 0, or the number of the check that failed. */
static int in_child(int (*fn)(void))
{
	int status = -1;
	const pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int close_some(void)
{
	const int keep[] = { 5, 7, 8 };
	const int descending[] = { 7, 5 };

	for (int fd = 3; fd < 12; fd++) {
		if (dup2(0, fd) != fd)
			return 1;
	}
	if (jail_close_others(descending, 2) != -EINVAL || fcntl(7, F_GETFD) < 0)
		return 2;
	for (int fd = 3; fd < 12; fd++)
		(void)dup2(7, fd);
	if (jail_close_others(keep, 3) != 0)
		return 3;
	for (int fd = 0; fd < 20; fd++) {
		if ((fcntl(fd, F_GETFD) >= 0) != (fd == 5 || fd == 7 || fd == 8))
			return 4;
	}
	return jail_close_others(NULL, 0) == 0 && fcntl(5, F_GETFD) < 0 ? 0 : 5;
}

static void only_the_named_descriptors_stay_open(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_some), 0);
}

static int leave_the_tree(void)
{
	const int outside = open("/proc/self", O_PATH | O_DIRECTORY);
	DIR *root;
	int entries = 0;

	if (jail_empty_root() != 0)
		return 1;
	if (access("/proc", F_OK) == 0 || access("/etc/passwd", F_OK) == 0)
		return 2;
	if (chdir("..") < 0 || access("etc", F_OK) == 0)
		return 3;
	if (open("/file", O_CREAT | O_RDWR, 0600) >= 0 || errno != EROFS)
		return 4;
	root = opendir("/");
	while (root && readdir(root))
		entries++;
	if (entries != 2)
		return 5;
	/* What was kept on purpose still works. */
	return faccessat(outside, "status", F_OK, 0) == 0 ? 0 : 6;
}

static void the_root_is_empty_and_stays_empty(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return;
	assert_int_equal(in_child(leave_the_tree), 0);
}

static int be_undumpable(void)
{
	struct rlimit core;

	if (jail_no_dump() != 0)
		return 1;
	if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max <= 1 ? 0 : 3;
}

static void nothing_is_dumped(void **state)
{
	(void)state;
	assert_int_equal(in_child(be_undumpable), 0);
}

static int keep_two_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (jail_capabilities(1u << CAP_CHOWN | 1u << CAP_FOWNER) != 0)
		return 1;
	if (syscall(SYS_capget, &head, data) < 0)
		return 2;
	if (data[0].permitted & ~(1u << CAP_CHOWN | 1u << CAP_FOWNER) || data[1].permitted ||
	    data[0].inheritable || data[0].effective != data[0].permitted)
		return 3;
	if (geteuid() == 0 && (data[0].permitted == 0 || prctl(PR_CAPBSET_READ, CAP_CHOWN) != 0))
		return 4;
	return setgroups(0, NULL) < 0 ? 0 : 5;
}

static void only_the_named_capabilities_stay(void **state)
{
	(void)state;
	assert_int_equal(in_child(keep_two_capabilities), 0);
}

static char tree_path[] = "/tmp/jail-test-XXXXXX";

static int touch_files(void)
{
	const int tree = open(tree_path, O_PATH | O_DIRECTORY);
	const int outside = open("/etc", O_PATH | O_DIRECTORY);
	int fd;

	if (jail_no_dump() != 0 || jail_landlock(&tree, 1) != 0)
		return 1;
	fd = openat(tree, "file", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) != 0)
		return 2;
	if (mkdirat(tree, "dir", 0700) != 0 || renameat(tree, "file", tree, "dir/file") != 0)
		return 3;
	if (unlinkat(tree, "dir/file", 0) != 0 || unlinkat(tree, "dir", AT_REMOVEDIR) != 0)
		return 4;
	/* Without Landlock there is only the first line. */
	if (syscall(444, NULL, 0, 1) < 2)
		return 0;
	if (openat(tree, "../../etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 5;
	if (openat(outside, "passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 6;
	if (mknodat(tree, "null", S_IFCHR | 0600, 0x103) == 0 || mkdirat(tree, "../x", 0700) == 0)
		return 7;
	return 0;
}

static void landlock_holds_behind_the_descriptors(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(tree_path));
	assert_int_equal(in_child(touch_files), 0);
	(void)rmdir(tree_path);
}

extern const struct sock_filter every_form[];
extern const unsigned short every_form_len;

/* The real kernel agrees with the model of test_filter.c. */
static int be_filtered(void)
{
	if (geteuid() != 0 && jail_filter(every_form, every_form_len, 0) != -EACCES)
		return 1;
	if (jail_no_dump() != 0 || jail_filter(every_form, every_form_len, 0) != 0)
		return 2;
	if (syscall(SYS_getpid) <= 0 || syscall(SYS_execve, "", NULL, NULL) != -1 ||
	    errno != ENOSYS)
		return 3;
	if (syscall(SYS_gettid) != -1 || errno != EPERM)
		return 4;
	if (syscall(SYS_close, 0x100000003ull) != -1 || errno != ENOSYS)
		return 5;
	return (int)syscall(SYS_kill, 0, 0);
}

static void the_kernel_takes_the_filter(void **state)
{
	int status;

	(void)state;
	status = in_child(be_filtered);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int enter_without_right(void)
{
	const int keep[] = { 2 };
	const struct jail_plan plan = {
		.keep = keep, .keep_len = 1, .filter = every_form, .filter_len = every_form_len
	};
	enum jail_stage failed = JAIL_FILTER;

	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return 1;
	if (jail_enter(&plan, &failed) != -EPERM || failed != JAIL_ROOT)
		return 2;
	return strcmp(jail_stage_name(failed), "empty root") == 0 ? 0 : 3;
}

static void a_stage_that_fails_is_named(void **state)
{
	(void)state;
	assert_int_equal(in_child(enter_without_right), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_named_descriptors_stay_open),
		cmocka_unit_test(the_root_is_empty_and_stays_empty),
		cmocka_unit_test(nothing_is_dumped),
		cmocka_unit_test(only_the_named_capabilities_stay),
		cmocka_unit_test(landlock_holds_behind_the_descriptors),
		cmocka_unit_test(the_kernel_takes_the_filter),
		cmocka_unit_test(a_stage_that_fails_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
