/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime hands over for a process is closed, and what was made is gone, where it fails.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <unistd.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/boot/first.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/task/container.h"
#include "sentry/vfs/mount.h"

#define NO_FD 1000 /* a number of no descriptor */

static int do_mount(const char *source, const char *target, const char *type, uint64_t flags)
{
	return vfs_mount(&world.as_root, world.ns, source, target, type, flags, NULL);
}

static int setup(void **state)
{
	static bool once;
	const int r = world_setup(state);

	if (!once)
		devpts_register();
	once = true;
	assert_int_equal(w_mkdir("/dev"), 0);
	assert_int_equal(w_mkdir("/dev/pts"), 0);
	assert_int_equal(do_mount("devpts", "/dev/pts", "devpts", 0), 0);
	return r;
}

static int there(const char *name)
{
	struct stat st;

	return w_stat(name, &st);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static int null_fd(void)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int make_terminal(int host_fd, struct file **ret_slave)
{
	const struct sentry_process p = { .terminal = true };
	struct terminal *t = NULL;
	struct err err = { 0 };
	const int r = terminal_new(&p, &world.as_root, host_fd, ret_slave, &t, &err);

	assert_null(t);
	return r;
}

static void do_dead_host(void *arg)
{
	struct file *slave = NULL;

	(void)arg;
	assert_int_equal(make_terminal(NO_FD, &slave), -EBADF);
	assert_null(slave);
	assert_int_equal(there("/dev/pts/0"), -ENOENT);
}

static void a_terminal_whose_host_is_gone_leaves_nothing(void **state)
{
	in_fiber(do_dead_host, NULL);
}

/* The name is bound while another pair has the number, and the number is free again. */
static void do_other_in_its_place(void *arg)
{
	const int before = count_fds();
	struct file *master, *slave = NULL;

	(void)arg;
	assert_true(w_write("/file", "x") > 0);
	assert_int_equal(w_open("/dev/pts/ptmx", O_RDWR | O_NOCTTY, &master), 0);
	assert_int_equal(do_mount("/file", "/dev/pts/0", NULL, MS_BIND), 0);
	file_unref(master);
	assert_int_equal(make_terminal(null_fd(), &slave), -ENXIO);
	assert_null(slave);
	assert_int_equal(count_fds(), before);
}

static void what_lies_in_the_place_of_a_terminal_is_none(void **state)
{
	in_fiber(do_other_in_its_place, NULL);
}

static void load(bool terminal)
{
	const struct sentry_process p = { .terminal = terminal, .preserve_fds = 1 };
	const int before = count_fds();
	const int fds[] = { null_fd(), null_fd(), null_fd(), NO_FD };
	struct terminal *t = NULL;
	const struct first_options options = { .process = &p,
					       .container = container_new("c", 0),
					       .mounts = world.ns,
					       .host_fds = fds,
					       .ret_terminal = &t };
	struct err err = { 0 };
	struct task *task;

	assert_int_equal(first_load(&options, &task, &err), -EBADF);
	assert_says(err, "descriptors of the process");
	assert_null(t);
	assert_int_equal(count_fds(), before);
	container_unref(options.container);
}

static void do_no_files(void *arg)
{
	(void)arg;
	load(false);
	load(true);
}

static void a_process_that_has_no_files_leaves_none_open(void **state)
{
	in_fiber(do_no_files, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_terminal_whose_host_is_gone_leaves_nothing, setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(what_lies_in_the_place_of_a_terminal_is_none, setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(a_process_that_has_no_files_leaves_none_open, setup,
						world_teardown),
	};

	return cmocka_run_group_tests_name("sentry/boot/first", tests, NULL, NULL);
}
