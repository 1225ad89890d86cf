/* SPDX-License-Identifier: Apache-2.0 */
/* caisson-gofer in its cage: what it may call, what it holds, how it ends. */
#include "unit/gofer/fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gofer/cage.h"
#include "unit/jail/cbpf.h"

#define YES	 SECCOMP_RET_ALLOW
#define NO	 SECCOMP_RET_KILL_PROCESS
#define CWD	 ((uint64_t)AT_FDCWD)
#define STEP	 (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define NEW_FILE (O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static const struct cbpf_case cases[] = {
	{ "receive", SYS_recvmsg, { 3, 0, MSG_CMSG_CLOEXEC }, YES },
	{ "receive elsewhere", SYS_recvmsg, { 5, 0, MSG_CMSG_CLOEXEC }, NO },
	{ "send", SYS_sendmsg, { 3, 0, MSG_NOSIGNAL }, YES },
	{ "send elsewhere", SYS_sendmsg, { 5, 0, MSG_NOSIGNAL }, NO },
	{ "step", SYS_openat, { 20, 0, STEP }, YES },
	{ "step from the working directory", SYS_openat, { CWD, 0, STEP }, NO },
	{ "step through a link", SYS_openat, { 20, 0, O_PATH | O_CLOEXEC }, NO },
	{ "open by name", SYS_openat, { 20, 0, O_RDONLY | O_CLOEXEC }, NO },
	{ "open by name, no link", SYS_openat, { 20, 0, CAGE_REOPEN | O_NOFOLLOW }, NO },
	{ "reopen", SYS_openat, { 4, 0, CAGE_REOPEN | O_RDWR }, YES },
	{ "reopen elsewhere", SYS_openat, { 5, 0, CAGE_REOPEN | O_RDWR }, NO },
	{ "reopen blocking", SYS_openat, { 4, 0, O_CLOEXEC | O_RDWR }, NO },
	{ "reopen for creation", SYS_openat, { 4, 0, CAGE_REOPEN | O_CREAT }, NO },
	{ "reopen direct", SYS_openat, { 4, 0, CAGE_REOPEN | O_DIRECT }, NO },
	{ "empty without write", SYS_openat, { 4, 0, CAGE_REOPEN | O_RDONLY | O_TRUNC }, NO },
	{ "list", SYS_openat, { 4, 0, O_DIRECTORY | O_NONBLOCK | O_CLOEXEC }, YES },
	{ "create", SYS_openat, { 20, 0, NEW_FILE | O_RDWR, 0777 }, YES },
	{ "create sticky", SYS_openat, { 20, 0, NEW_FILE | O_RDWR, 01777 }, NO },
	{ "create set-uid", SYS_openat, { 20, 0, NEW_FILE | O_RDWR, 04700 }, NO },
	{ "create or open", SYS_openat, { 20, 0, (NEW_FILE | O_RDWR) & ~O_EXCL, 0700 }, NO },
	{ "tmpfile", SYS_openat, { 4, 0, CAGE_REOPEN | O_TMPFILE | O_RDWR, 0644 }, YES },
	{ "tmpfile elsewhere", SYS_openat, { 5, 0, CAGE_REOPEN | O_TMPFILE | O_RDWR, 0644 }, NO },
	{ "create in the working directory", SYS_openat, { CWD, 0, NEW_FILE, 0700 }, NO },
	{ "upper half of flags", SYS_openat, { 20, 0, 1ull << 32 | STEP }, NO },
	{ "attributes", SYS_statx, { 20, 0, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW }, YES },
	{ "attributes by path", SYS_statx, { CWD, 0, AT_SYMLINK_NOFOLLOW }, NO },
	{ "fifo", SYS_mknodat, { 20, 0, S_IFIFO | 0600, 0 }, YES },
	{ "device", SYS_mknodat, { 20, 0, S_IFCHR | 0600, 0x103 }, NO },
	{ "device without number", SYS_mknodat, { 20, 0, S_IFCHR | 0600, 0 }, NO },
	{ "block device", SYS_mknodat, { 20, 0, S_IFBLK | 0600, 0 }, NO },
	{ "fifo with a number", SYS_mknodat, { 20, 0, S_IFIFO | 0600, 0x103 }, NO },
	{ "link a node", SYS_linkat, { 4, 0, 20, 0, AT_SYMLINK_FOLLOW }, YES },
	{ "link a name", SYS_linkat, { 20, 0, 21, 0, 0 }, NO },
	{ "rename", SYS_renameat2, { 20, 0, 21, 0, RENAME_EXCHANGE }, YES },
	{ "whiteout", SYS_renameat2, { 20, 0, 21, 0, RENAME_WHITEOUT }, NO },
	{ "rename from anywhere", SYS_renameat2, { CWD, 0, 21, 0, 0 }, NO },
	{ "remove", SYS_unlinkat, { 20, 0, AT_REMOVEDIR }, YES },
	{ "remove, other flags", SYS_unlinkat, { 20, 0, 1 }, NO },
	{ "mode", SYS_fchmodat, { 4, 0, 04755 }, YES },
	{ "mode by name", SYS_fchmodat, { 20, 0, 04755 }, NO },
	{ "owner", SYS_fchownat, { 20, 0, 0, 0, AT_EMPTY_PATH }, YES },
	{ "owner by name", SYS_fchownat, { 20, 0, 0, 0, 0 }, NO },
	{ "times", SYS_utimensat, { 20, 0, 0, AT_EMPTY_PATH }, YES },
	{ "dup", SYS_fcntl, { 20, F_DUPFD_CLOEXEC, 0 }, YES },
	{ "dup elsewhere", SYS_fcntl, { 20, F_DUPFD_CLOEXEC, 100 }, NO },
	{ "owner of signals", SYS_fcntl, { 20, F_SETOWN, 1 }, NO },
	{ "lease", SYS_fcntl, { 20, F_SETLEASE, 1 }, NO },
	{ "stop and go on", SYS_restart_syscall, { 0 }, YES },
	{ "memory", SYS_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS }, NO },
	{ "code", SYS_mprotect, { 0, 4096, PROT_EXEC }, NO },
	{ "exec", SYS_execve, { 0 }, NO },
	{ "fork", SYS_clone, { 17 }, NO },
	{ "socket", SYS_socket, { 1, 1, 0 }, NO },
	{ "connect", SYS_connect, { 3 }, NO },
	{ "openat2", SYS_openat2, { 20 }, NO },
	{ "mount", SYS_mount, { 0 }, NO },
	{ "chroot", SYS_chroot, { 0 }, NO },
	{ "handle", SYS_open_by_handle_at, { 20 }, NO },
	{ "ioctl", SYS_ioctl, { 20 }, NO },
	{ "ptrace", SYS_ptrace, { 0 }, NO },
	{ "kill", SYS_kill, { 1, 9 }, NO },
	{ "io_uring", SYS_io_uring_setup, { 1 }, NO },
};

static void the_filter_allows_what_the_server_does_and_no_more(void **state)
{
	(void)state;
	cbpf_check(gofer_filter, gofer_filter_len, cases, sizeof(cases) / sizeof(cases[0]), NO);
}

static void status_line(const struct fixture *f, const char *key, char value[64])
{
	char path[64], line[256];
	FILE *status;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", f->pid);
	status = fopen(path, "re");
	assert_non_null(status);
	value[0] = '\0';
	while (fgets(line, sizeof(line), status)) {
		if (strncmp(line, key, strlen(key)) == 0)
			(void)sscanf(line + strlen(key), ": %63s", value);
	}
	(void)fclose(status);
}

static void it_has_given_up_what_it_does_not_need(void **state)
{
	struct fixture *f = *state;
	char value[64];

	if (geteuid() != 0)
		return;
	status_line(f, "Seccomp", value);
	assert_string_equal(value, "2");
	status_line(f, "NoNewPrivs", value);
	assert_string_equal(value, "1");
	/* CHOWN, DAC_OVERRIDE, FOWNER, FSETID */
	status_line(f, "CapEff", value);
	assert_string_equal(value, "000000000000001b");
	status_line(f, "CapPrm", value);
	assert_string_equal(value, "000000000000001b");
	status_line(f, "CapBnd", value);
	assert_string_equal(value, "0000000000000000");
}

/* Goal: a descriptor audit: the socket, /proc/self/fd, the three roots, the node of the first. */
static void it_holds_its_roots_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	char path[64];
	DIR *dir;
	int fds = 0, entries = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", f->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		fds++;
	(void)closedir(dir);
	assert_int_equal(fds - 2, 2 + 4 + 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/root", f->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		entries++;
	(void)closedir(dir);
	assert_int_equal(entries, 2);
}

static int run_with(const char *a, const char *b)
{
	int status = -1;
	const pid_t pid = fork();

	if (pid == 0) {
		(void)dup2(open("/dev/null", O_WRONLY), 2);
		(void)execl(getenv("GOFER_PROGRAM"), "caisson-gofer", a, b, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_command_line_that_it_does_not_know_ends_it(void **state)
{
	static const char *const bad[][2] = {
		{ NULL, NULL },	  { "3", NULL },  { "x", "0" }, { "3x", "0" },	 { "0", "0,rw" },
		{ "0", "0,rox" }, { "0", "0ro" }, { "0", "" },	{ "0", "9999" }, { "9999", "0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const int status = run_with(bad[i][0], bad[i][1]);

		if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
			fail_msg("row %zu: status %#x", i, status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_filter_allows_what_the_server_does_and_no_more),
		GOFER_TEST(it_has_given_up_what_it_does_not_need),
		GOFER_TEST(it_holds_its_roots_and_nothing_else),
		cmocka_unit_test(a_command_line_that_it_does_not_know_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
