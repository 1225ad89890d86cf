/* SPDX-License-Identifier: Apache-2.0 */
/* virtiofsd: its arguments, its socket, and the process itself where it is installed. */
#include "ns/rootfs_fixture.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "runtime/vm/files.h"

#define PATIENCE_MS 30000

static bool has(char *const *list, const char *word)
{
	for (; *list; list++) {
		if (str_eq(*list, word))
			return true;
	}
	return false;
}

static void what_is_not_there_is_named(void **state)
{
	struct files_program program;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(files_find("/no/virtiofsd", &program, &err), -ENOENT);
	assert_string_equal(err.msg, "virtiofsd /no/virtiofsd: No such file or directory");
}

static void arguments_fit_the_kind_of_program(void **state)
{
	struct files_plan plan = { .userns = -EBADF,
				   .program = { "/x/qemu/virtiofsd", FILES_QEMU },
				   .dir = "/a,b\\c" };
	char **list;

	(void)state;
	assert_int_equal(files_args(&plan, 3, 1000, &list), 0);
	assert_string_equal(list[0], "/x/qemu/virtiofsd");
	assert_true(has(list, "--fd=3") && has(list, "--rlimit-nofile=1000"));
	assert_true(has(list, "source=/a\\,b\\\\c") && has(list, "sandbox=namespace"));
	strv_free(list);
	plan.program.kind = FILES_RUST;
	assert_int_equal(files_args(&plan, 3, 1000, &list), 0);
	assert_true(has(list, "--shared-dir=/a,b\\c") && has(list, "--sandbox=namespace"));
	assert_true(has(list, "--thread-pool-size=8"));
	assert_false(has(list, "-o"));
	strv_free(list);
}

/* A program in a directory of any name that says `word` of itself. */
static void expect_kind(const char *word, enum files_kind kind)
{
	char path[] = "/tmp/caisson-qemu-XXXXXX";
	AUTO_CLOSE int fd = mkstemp(path);
	struct files_program program;
	struct err err = { 0 };

	assert_true(fd >= 0 && dprintf(fd, "#!/bin/sh\necho \"%s\"\n", word) > 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	auto_close_p(&fd);
	assert_int_equal(files_find(path, &program, &err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(program.kind, kind);
}

static void a_program_in_a_place_of_its_own_is_asked(void **state)
{
	(void)state;
	expect_kind("virtiofsd version 7.2.22 (Debian 1:7.2)", FILES_QEMU);
	expect_kind("virtiofsd 1.13.2", FILES_RUST);
	expect_kind("virtiofsd backend 1.4.0", FILES_RUST);
	expect_kind("", FILES_RUST);
}

static void socket_body(struct fixture *fx)
{
	int listener = -1, client = -1, accepted;
	char byte = 0;

	EXPECT_OK(fx, files_socketpair(&listener, &client, &fx->err));
	accepted = accept(listener, NULL, NULL);
	EXPECT(accepted >= 0 && write(client, "x", 1) == 1 && read(accepted, &byte, 1) == 1);
	EXPECT(byte == 'x');
}

static void the_socket_is_connected_before_it_is_served(void **state)
{
	(void)state;
	in_child(socket_body);
}

/* What it says is an error, but that the monitor's end is the end. */
static void wait_for_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char words[256];
	ssize_t n;

	do {
		EXPECT(poll(&p, 1, PATIENCE_MS) == 1);
		n = read(fd, words, sizeof(words));
		(void)fprintf(stderr, "%.*s", (int)(n > 0 ? n : 0), words);
	} while (n > 0);
	EXPECT(n == 0);
}

/* VHOST_USER_GET_FEATURES (docs/interop/vhost-user.rst of QEMU): u32 request, flags, size. */
static void ask_features(int sock)
{
	const uint32_t request[3] = { 1, 1, 0 };
	uint32_t answer[5] = { 0 };

	EXPECT(write(sock, request, sizeof(request)) == sizeof(request));
	EXPECT(recv(sock, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer));
	EXPECT(answer[0] == 1 && answer[2] == 8);
}

static uint64_t status_number(const char *status, const char *key, int base)
{
	const char *at = strstr(status, key);

	EXPECT(at);
	return strtoull(at + strlen(key), NULL, base);
}

/* The process that serves is the child of the one that was cloned. */
static void expect_caged(pid_t pid)
{
	const uint64_t most = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SETPCAP |
			      UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_MKNOD;
	AUTO_BUF struct buf children = { 0 }, status = { 0 };
	char path[96];
	int child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	EXPECT(fd_read_file(AT_FDCWD, path, &children) == 0 && children.len > 0);
	child = atoi(children.data);
	EXPECT(child > 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", child);
	EXPECT(fd_read_file(AT_FDCWD, path, &status) == 0);
	EXPECT(status_number(status.data, "CapEff:", 16) & UINT64_C(1) << CAP_CHOWN);
	EXPECT(!(status_number(status.data, "CapPrm:", 16) & most));
	EXPECT(status_number(status.data, "NoNewPrivs:", 10) == 1);
	EXPECT(status_number(status.data, "Seccomp:", 10) == 2);
	/* Its root is the share. */
	(void)snprintf(path, sizeof(path), "/proc/%d/root/mark", child);
	EXPECT(exists(path));
	(void)snprintf(path, sizeof(path), "/proc/%d/root/usr", child);
	EXPECT(!exists(path));
}

static void real_body(struct fixture *fx)
{
	struct files_plan plan = { .dir = fx->root, .userns = -EBADF };
	int client = -1, words[2], status;
	pid_t pid;

	make_file(fx, "rootfs/mark", "");
	EXPECT_OK(fx, files_find("/usr/lib/qemu/virtiofsd", &plan.program, &fx->err));
	EXPECT_OK(fx, files_socketpair(&plan.listener, &client, &fx->err));
	EXPECT(pipe2(words, O_CLOEXEC) == 0);
	plan.words = words[1];
	pid = fork();
	if (pid == 0) {
		EXPECT(unshare(CLONE_NEWNS) == 0);
		(void)files_become(&plan, &fx->err);
		(void)fprintf(stderr, "%s\n", fx->err.msg);
		_exit(99);
	}
	EXPECT(pid > 0);
	(void)close(words[1]);
	(void)close(plan.listener);
	ask_features(client);
	expect_caged(pid);
	/* The monitor is gone: it ends, with all that it has started. */
	(void)close(client);
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	wait_for_end(words[0]);
}

static void it_serves_until_the_monitor_ends(void **state)
{
	(void)state;
	if (access("/usr/lib/qemu/virtiofsd", X_OK) < 0)
		skip();
	in_child(real_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there_is_named),
		cmocka_unit_test(arguments_fit_the_kind_of_program),
		cmocka_unit_test(a_program_in_a_place_of_its_own_is_asked),
		cmocka_unit_test(the_socket_is_connected_before_it_is_served),
		cmocka_unit_test(it_serves_until_the_monitor_ends),
	};

	return cmocka_run_group_tests_name("runtime/files", tests, NULL, NULL);
}
