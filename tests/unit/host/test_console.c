/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <pty.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "host/console.h"

static void a_directory_that_is_no_devpts_is_refused(void **state)
{
	struct err err = { 0 };
	char dir[] = "/tmp/test_console_XXXXXX", path[64];
	int master = 77, slave = 77, fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(console_open_at(fd, &master, &slave, &err), -ENOENT);

	/* A link to the real one, as a hostile image would have it. */
	snprintf(path, sizeof(path), "%s/ptmx", dir);
	assert_int_equal(symlink("/dev/ptmx", path), 0);
	assert_int_equal(console_open_at(fd, &master, &slave, &err), -ELOOP);
	unlink(path);

	/* A plain file of that name. */
	close(open(path, O_CREAT | O_RDWR, 0600));
	assert_int_equal(console_open_at(fd, &master, &slave, &err), -EXDEV);
	unlink(path);
	assert_int_equal(master, 77);
	assert_int_equal(slave, 77);
	close(fd);
	rmdir(dir);
}

/* Something else mounted over the devpts' own ptmx (CVE-2025-52565's kin). */
static int open_with_mount_over_ptmx(void *arg)
{
	int master, slave, fd;
	struct err err = { 0 };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("devpts", "/mnt", "devpts", 0, "newinstance,ptmxmode=0666") < 0 ||
	    mount("/dev/null", "/mnt/ptmx", NULL, MS_BIND, NULL) < 0)
		return 1;
	fd = open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return console_open_at(fd, &master, &slave, &err) == -EXDEV ? 0 : 2;
}

static void a_mount_over_ptmx_is_refused(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(open_with_mount_over_ptmx, NULL), 0);
}

/* A devpts of its own: the terminal is its number 0, whatever terminals the host has. */
static int open_in_private_devpts(void *arg)
{
	int master, slave, fd;
	struct err err = { 0 };
	char name[CONSOLE_NAME_MAX];
	struct stat st;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("devpts", "/mnt", "devpts", 0, "newinstance,ptmxmode=0666") < 0)
		return 1;
	fd = open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (console_open_at(fd, &master, &slave, &err) < 0)
		return 2;
	if (console_name(master, name) < 0 || !str_eq(name, "/dev/pts/0"))
		return 3;
	if (stat("/mnt/0", &st) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) != 136)
		return 4;
	if (!(fcntl(master, F_GETFD) & FD_CLOEXEC) || !(fcntl(slave, F_GETFD) & FD_CLOEXEC))
		return 5;
	return isatty(master) && isatty(slave) ? 0 : 6;
}

static void a_terminal_is_made_in_the_given_devpts(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(open_in_private_devpts, NULL), 0);
}

/* A terminal of the test's own /dev/pts. */
static void open_terminal(int *ret_master, int *ret_slave)
{
	AUTO_CLOSE int pts = open("/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err err = { 0 };

	assert_true(pts >= 0);
	if (console_open_at(pts, ret_master, ret_slave, &err) < 0)
		fail_msg("%s", err.msg);
}

static void output_has_no_carriage_returns(void **state)
{
	int master, slave;
	char text[8] = { 0 };

	open_terminal(&master, &slave);
	assert_int_equal(write(slave, "a\nb\n", 4), 4);
	assert_int_equal(read(master, text, sizeof(text)), 4);
	assert_string_equal(text, "a\nb\n");
	close(master);
	close(slave);
}

static void window_sizes_are_set_copied_and_bounded(void **state)
{
	int m1, s1, m2, s2, not_a_tty = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct winsize size = { 0 };

	open_terminal(&m1, &s1);
	open_terminal(&m2, &s2);
	assert_int_equal(console_set_size(m1, 65536, 80), -ERANGE);
	assert_int_equal(console_set_size(m1, 24, UINT64_MAX), -ERANGE);
	assert_int_equal(console_set_size(not_a_tty, 24, 80), -ENOTTY);
	assert_int_equal(console_copy_size(not_a_tty, m1), -ENOTTY);
	assert_int_equal(console_set_size(m1, 33, 123), 0);
	assert_int_equal(console_set_size(m1, 0, 0), 0); /* leaves it alone */
	assert_int_equal(console_copy_size(s1, m2), 0);
	assert_int_equal(ioctl(s2, TIOCGWINSZ, &size), 0);
	assert_int_equal(size.ws_row, 33);
	assert_int_equal(size.ws_col, 123);
	close(m1);
	close(s1);
	close(m2);
	close(s2);
	close(not_a_tty);
}

static void raw_mode_is_taken_back(void **state)
{
	struct termios before, during, saved, after;
	int master, slave, not_a_tty = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(console_raw(not_a_tty, &saved), -ENOTTY);
	open_terminal(&master, &slave);
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_int_equal(console_raw(slave, &saved), 0);
	assert_int_equal(tcgetattr(slave, &during), 0);
	assert_false(during.c_lflag & (ICANON | ECHO | ISIG));
	assert_true(during.c_oflag & OPOST);
	assert_int_equal(console_restore(slave, &saved), 0);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(before.c_lflag, after.c_lflag);
	assert_int_equal(before.c_iflag, after.c_iflag);
	close(master);
	close(slave);
	close(not_a_tty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_that_is_no_devpts_is_refused),
		cmocka_unit_test(a_mount_over_ptmx_is_refused),
		cmocka_unit_test(a_terminal_is_made_in_the_given_devpts),
		cmocka_unit_test(output_has_no_carriage_returns),
		cmocka_unit_test(window_sizes_are_set_copied_and_bounded),
		cmocka_unit_test(raw_mode_is_taken_back),
	};

	return cmocka_run_group_tests_name("host/console", tests, NULL, NULL);
}
