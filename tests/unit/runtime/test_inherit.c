/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that come in, files and descriptors that go out, and the notify socket. */
#include "runtimetest.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/str.h"
#include "runtime/exec_process.h"
#include "runtime/inherit.h"
#include "runtime/notify.h"

static void listen_fds_count_only_for_this_process(void **state)
{
	char pid[16];

	(void)state;
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(unsetenv("LISTEN_PID"), 0);
	assert_int_equal(setenv("LISTEN_FDS", "2", 1), 0);
	assert_int_equal(inherit_listen_fds(), 0);
	assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
	assert_int_equal(inherit_listen_fds(), 0);
	assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
	assert_int_equal(inherit_listen_fds(), 2);
	assert_int_equal(setenv("LISTEN_FDS", "-1", 1), 0);
	assert_int_equal(inherit_listen_fds(), 0);
	assert_int_equal(setenv("LISTEN_FDS", "99999999999999999999", 1), 0);
	assert_int_equal(inherit_listen_fds(), 0);
	assert_int_equal(unsetenv("LISTEN_FDS"), 0);
}

static void a_preserved_descriptor_must_be_open_and_not_ours(void **state)
{
	struct err err = { 0 };
	int saved = fcntl(3, F_DUPFD_CLOEXEC, 64);

	(void)state;
	(void)close(3);
	assert_int_equal(inherit_check(0, 1, &err), -EBADF);
	assert_says(err, "unable to stat preserved-fd 0 (of 1)");
	assert_int_equal(inherit_check(1, 0, &err), -EBADF);
	assert_says(err, "LISTEN_FDS");
	assert_int_equal(dup3(STDERR_FILENO, 3, O_CLOEXEC), 3);
	assert_int_equal(inherit_check(0, 1, &err), -EBADF);
	assert_int_equal(dup2(STDERR_FILENO, 3), 3);
	assert_int_equal(inherit_check(0, 1, &err), 0);
	assert_int_equal(inherit_check(1, 0, &err), 0);
	assert_int_equal(inherit_check(0, 4294967295u, &err), -EINVAL);
	assert_int_equal(inherit_check(4294967295u, 2, &err), -EINVAL);
	(void)close(3);
	if (saved >= 0) {
		(void)dup3(saved, 3, O_CLOEXEC);
		(void)close(saved);
	}
}

static void a_pid_file_is_replaced_whole(void **state)
{
	struct test_root root;
	char path[320], text[32] = "";
	struct err err = { 0 };
	int fd;

	(void)state;
	test_root_make(&root);
	(void)snprintf(path, sizeof(path), "%s/pid", root.path);
	assert_int_equal(pid_file_write(path, 123456, &err), 0);
	assert_int_equal(pid_file_write(path, 42, &err), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 2);
	assert_string_equal(text, "42");
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "%s/no/pid", root.path);
	assert_int_equal(pid_file_write(path, 42, &err), -ENOENT);
	assert_says(err, path);
	/* A long directory leaves room for the temporary name. */
	(void)snprintf(path, sizeof(path), "%s/", root.path);
	memset(path + strlen(path), 'd', 240);
	path[strlen(root.path) + 241] = '\0';
	assert_int_equal(mkdir(path, 0700), 0);
	(void)strcat(path, "/pid");
	assert_int_equal(pid_file_write(path, 42, &err), 0);
	test_root_remove(&root);
}

static void only_a_whole_line_ready_counts(void **state)
{
	static const char *const yes[] = { "READY=1", "READY=1\n", "STATUS=x\nREADY=1",
					   "A=b\nREADY=1\nMAINPID=1\n" };
	static const char *const no[] = { "",	      "\n",	  "READY=0", "READY=1x",
					  "XREADY=1", "READY=10", "READY=",  "STATUS=READY=1",
					  "ready=1",  "READY=1 " };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		assert_true(notify_is_ready(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		if (notify_is_ready(no[i], strlen(no[i])))
			fail_msg("\"%s\" counts as ready", no[i]);
	}
	/* No byte past the end is looked at. */
	assert_false(notify_is_ready("READY=1", 6));
}

static int datagram_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return sock;
}

static void send_to(const char *path, const char *text)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(
		sendto(sock, text, strlen(text), 0, (struct sockaddr *)&addr, sizeof(addr)),
		strlen(text));
	(void)close(sock);
}

/* Goal: the supervisor hears our two facts, whatever else the container wrote. */
static void the_supervisor_hears_ready_and_our_pid_only(void **state)
{
	struct test_root root;
	char host_path[96], inside_path[96], text[128];
	struct err err = { 0 };
	int dir, host, sock, fd = -1;
	size_t nfds = 1;
	pid_t supervisor;
	ssize_t n;

	(void)state;
	test_root_make(&root);
	(void)snprintf(host_path, sizeof(host_path), "%s/host.sock", root.path);
	(void)snprintf(inside_path, sizeof(inside_path), "%s/notify/notify.sock", root.path);
	host = datagram_socket(host_path);
	dir = open(root.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(notify_bind(dir, &err), -ENOENT);
	assert_int_equal(notify_make_dir(dir, &err), 0);
	sock = notify_bind(dir, &err);
	assert_true(sock >= 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", host_path, 1), 0);

	assert_int_equal(notify_serve(sock, 77, true, &err), 0);
	send_to(inside_path, "MAINPID=1\nSTOPPING=1");
	assert_int_equal(notify_serve(sock, 77, true, &err), 0);
	send_to(inside_path, "MAINPID=1\nREADY=1\nFDSTORE=1\nSTOPPING=1");
	supervisor = fork();
	if (supervisor == 0) {
		/* The barrier's descriptor is closed by ending. */
		n = recv(host, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		if (strcmp(text, "READY=1\n") != 0)
			_exit(1);
		n = recv(host, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		if (strcmp(text, "MAINPID=77\n") != 0)
			_exit(3);
		n = fd_recv(host, text, sizeof(text) - 1, &fd, &nfds);
		_exit(n == 9 && memcmp(text, "BARRIER=1", 9) == 0 && nfds == 1 ? 0 : 2);
	}
	(void)close(host);
	assert_int_equal(notify_serve(sock, 77, true, &err), 1);
	int status;
	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	assert_int_equal(status, 0);
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	(void)close(sock);
	(void)close(dir);
	test_root_remove(&root);
}

static void a_relative_notify_socket_is_nobody(void **state)
{
	(void)state;
	assert_int_equal(setenv("NOTIFY_SOCKET", "run/x", 1), 0);
	assert_null(notify_host());
	assert_int_equal(setenv("NOTIFY_SOCKET", "@abstract", 1), 0);
	assert_non_null(notify_host());
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	assert_null(notify_host());
}

static void a_user_is_two_numbers(void **state)
{
	static const char *const bad[] = { "",	 "x",	       "1:",	       ":1",	"1:x",
					   "-1", "4294967295", "1:4294967296", "1:2:3", " 1" };
	uint32_t uid = 7, gid = 8;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (exec_parse_user(bad[i], &uid, &gid, &err) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i]);
	}
	uid = 7;
	assert_int_equal(exec_parse_user("1000", &uid, &gid, &err), 0);
	assert_int_equal(uid, 1000);
	assert_int_equal(gid, 8);
	assert_int_equal(exec_parse_user("1:2", &uid, &gid, &err), 0);
	assert_int_equal(uid, 1);
	assert_int_equal(gid, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_preserved_descriptor_must_be_open_and_not_ours),
		cmocka_unit_test(listen_fds_count_only_for_this_process),
		cmocka_unit_test(a_pid_file_is_replaced_whole),
		cmocka_unit_test(a_relative_notify_socket_is_nobody),
		cmocka_unit_test(only_a_whole_line_ready_counts),
		cmocka_unit_test(the_supervisor_hears_ready_and_our_pid_only),
		cmocka_unit_test(a_user_is_two_numbers),
	};

	return cmocka_run_group_tests_name("runtime/inherit", tests, NULL, NULL);
}
