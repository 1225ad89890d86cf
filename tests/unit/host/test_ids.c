/* SPDX-License-Identifier: Apache-2.0 */
#include "hosttest.h"

#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/ids.h"

static struct oci_id_map whole[] = { { 0, 100000, 65536 } };
static struct oci_id_map split[] = { { 0, 100000, 1000 },
				     { 1000, 1000, 1 },
				     { 1001, 101001, 64535 } };
static const struct oci_id_maps whole_maps = { whole, 1 }, split_maps = { split, 3 };

/* A child in a new user namespace that waits to be killed. */
static pid_t waiting_child(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(1);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The numbers of /proc/PID/NAME, blanks made single. */
static void read_map(pid_t pid, const char *name, char *text, size_t size)
{
	AUTO_BUF struct buf b = { 0 };
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &b), 0);
	for (size_t i = 0; i < b.len && n + 1 < size; i++) {
		if (b.data[i] != ' ' || (n > 0 && text[n - 1] != ' ' && text[n - 1] != '\n'))
			text[n++] = b.data[i];
	}
	text[n] = '\0';
}

static void missing_and_too_many_ranges_are_refused(void **state)
{
	static struct oci_id_map many[IDS_MAPS_MAX + 1];
	const struct oci_id_maps none = { 0 }, too_many = { many, IDS_MAPS_MAX + 1 };
	struct err err = { 0 };

	assert_int_equal(ids_write_maps(1, &none, &whole_maps, false, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "uidMappings"));
	assert_int_equal(ids_write_maps(1, &whole_maps, &none, false, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "gidMappings"));
	assert_int_equal(ids_write_maps(1, &too_many, &whole_maps, false, &err), -EINVAL);
}

static void a_process_that_is_gone_is_an_error_with_its_path(void **state)
{
	const pid_t pid = fork();
	struct err err = { 0 };

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(ids_write_maps(pid, &whole_maps, &whole_maps, false, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "uid_map"));
}

static void overlapping_ranges_are_refused_by_the_kernel(void **state)
{
	static struct oci_id_map twice[] = { { 0, 1000, 10 }, { 5, 2000, 10 } };
	const struct oci_id_maps maps = { twice, 2 };
	const int before = open_descriptors();
	struct err err = { 0 };

	NEED_ROOT();
	assert_true(ids_userns_open(&maps, &maps, &err) < 0);
	assert_int_equal(err.code, -EINVAL);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void root_writes_maps_directly(void **state)
{
	char text[256];
	struct err err = { 0 };
	pid_t pid;

	NEED_ROOT();
	pid = waiting_child();
	assert_int_equal(ids_write_maps(pid, &split_maps, &whole_maps, false, &err), 0);
	read_map(pid, "uid_map", text, sizeof(text));
	assert_string_equal(text, "0 100000 1000\n1000 1000 1\n1001 101001 64535\n");
	read_map(pid, "gid_map", text, sizeof(text));
	assert_string_equal(text, "0 100000 65536\n");
	read_map(pid, "setgroups", text, sizeof(text));
	assert_string_equal(text, "allow\n");
	end_child(pid);
}

/* An ordinary user maps the one id that is its own: setgroups has to be denied first. */
static int map_own_id(void *arg)
{
	static struct oci_id_map own[] = { { 0, 1234, 1 } };
	const struct oci_id_maps maps = { own, 1 };
	char text[64];
	struct err err = { 0 };
	pid_t pid;
	int r;

	if (setgroups(0, NULL) < 0 || setresgid(1234, 1234, 1234) < 0 ||
	    setresuid(1234, 1234, 1234) < 0)
		return 1;
	prctl(PR_SET_DUMPABLE, 1);
	pid = waiting_child();
	r = ids_write_maps(pid, &maps, &maps, true, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.msg);
	read_map(pid, "setgroups", text, sizeof(text));
	end_child(pid);
	return r == 0 && str_eq(text, "deny\n") ? 0 : 2;
}

static void a_user_maps_its_own_id_without_a_helper(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(map_own_id, NULL), 0);
}

struct helper_case {
	const char *subid; /* bound over /etc/subuid and subgid */
	int expect;
};

static int bind_text(const char *text, const char *over)
{
	char path[] = "/tmp/test_ids_XXXXXX";
	const int fd = mkstemp(path);
	int r;

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, 0644) < 0)
		return -1;
	close(fd);
	r = mount(path, over, NULL, MS_BIND, NULL);
	unlink(path);
	return r;
}

/* In a mount namespace of its own: subordinate ids come from a file bound over the system's. */
static int map_with_helper(void *arg)
{
	const struct helper_case *c = arg;
	static struct oci_id_map two[] = { { 0, 1234, 1 }, { 1, 200000, 1000 } };
	const struct oci_id_maps maps = { two, 2 };
	char text[128];
	struct err err = { 0 };
	pid_t pid;
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    bind_text("u1234:x:1234:1234::/:/bin/sh\n", "/etc/passwd") < 0 ||
	    bind_text(c->subid, "/etc/subuid") < 0 || bind_text(c->subid, "/etc/subgid") < 0)
		return 10;
	setenv("PATH", "/nonexistent", 1);
	if (setgroups(0, NULL) < 0 || setresgid(1234, 1234, 1234) < 0 ||
	    setresuid(1234, 1234, 1234) < 0)
		return 11;
	prctl(PR_SET_DUMPABLE, 1);
	pid = waiting_child();
	r = ids_write_maps(pid, &maps, &maps, true, &err);
	read_map(pid, "uid_map", text, sizeof(text));
	end_child(pid);
	if (r != c->expect) {
		fprintf(stderr, "%d: %s\n", r, err.msg);
		return 12;
	}
	if (r == -EPERM)
		return strstr(err.msg, "newuidmap") ? 0 : 13;
	return str_eq(text, "0 1234 1\n1 200000 1000\n") ? 0 : 14;
}

static void more_ids_go_through_the_helpers(void **state)
{
	struct helper_case refused = { "other:200000:1000\n", -EPERM };
	struct helper_case granted = { "u1234:200000:1000\n", 0 };

	NEED_ROOT();
	if (access("/usr/bin/newuidmap", X_OK) < 0) {
		print_message("needs newuidmap: CAVEATS.md#unit-uidmap\n");
		skip();
	}
	assert_int_equal(in_child(map_with_helper, &refused), 0);
	assert_int_equal(in_child(map_with_helper, &granted), 0);
}

static int enter_and_look(void *arg)
{
	char text[64];

	if (setns(*(int *)arg, CLONE_NEWUSER) < 0)
		return 1;
	read_map(getpid(), "uid_map", text, sizeof(text));
	return str_eq(text, "0 100000 65536\n") ? 0 : 2;
}

static void a_user_namespace_outlives_the_process_that_made_it(void **state)
{
	const int before = open_descriptors();
	struct err err = { 0 };
	int fd;

	NEED_ROOT();
	fd = ids_userns_open(&whole_maps, &whole_maps, &err);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(open_descriptors(), before + 1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	assert_int_equal(errno, ECHILD);
	assert_int_equal(in_child(enter_and_look, &fd), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_and_too_many_ranges_are_refused),
		cmocka_unit_test(a_process_that_is_gone_is_an_error_with_its_path),
		cmocka_unit_test(overlapping_ranges_are_refused_by_the_kernel),
		cmocka_unit_test(root_writes_maps_directly),
		cmocka_unit_test(a_user_maps_its_own_id_without_a_helper),
		cmocka_unit_test(more_ids_go_through_the_helpers),
		cmocka_unit_test(a_user_namespace_outlives_the_process_that_made_it),
	};

	return cmocka_run_group_tests_name("host/ids", tests, NULL, NULL);
}
