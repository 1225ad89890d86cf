/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testinit - the program that runs in test containers.
 *
 * One static file with sub-commands, called as `testinit SUB ARGS...` or by a link of the
 * sub-command's name. What a sub-command finds out goes to standard output in a form that the
 * tests can parse; a failed system call is reported as `errno NAME` with exit status 1.
 * As pid 1 a process ignores signals that it has no handler for, so those sub-commands that wait
 * install handlers that end them with 128+N, as the default action would elsewhere.
 */
#include "testinit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what)
{
	const int code = errno;

	dprintf(STDOUT_FILENO, "errno %s\n", strerrorname_np(code));
	dprintf(STDERR_FILENO, "testinit: %s: %s\n", what, strerror(code));
	return 1;
}

static int usage(const char *text)
{
	dprintf(STDERR_FILENO, "usage: testinit %s\n", text);
	return 64;
}

static void on_ending_signal(int number)
{
	_exit(128 + number);
}

static _Noreturn void wait_forever(void)
{
	for (;;)
		pause();
}

static void die_by_signals(void)
{
	static const int numbers[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], on_ending_signal);
}

/* One line "MASK NAME" for each event, until a name is moved there. */
static int cmd_inotify(int argc, char **argv)
{
	const int fd = inotify_init1(IN_CLOEXEC);
	char buffer[4096];

	if (argc != 3)
		return usage("inotify DIR UNTIL");
	if (fd < 0 ||
	    inotify_add_watch(fd, argv[1],
			      IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE_NOWRITE)) < 0)
		return fail("inotify");
	dprintf(STDOUT_FILENO, "watching\n");
	for (;;) {
		const ssize_t n = read(fd, buffer, sizeof(buffer));
		const struct inotify_event *e;

		if (n <= 0)
			return fail("read");
		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
			e = (const void *)(buffer + at);
			dprintf(STDOUT_FILENO, "%x %s\n", e->mask, e->len ? e->name : "");
			if (e->mask & IN_MOVED_TO && !strcmp(e->name, argv[2]))
				return 0;
		}
	}
}

/* A futex in a mapped file: "wait" until somebody, "wake" until there was somebody. */
static int cmd_futex(int argc, char **argv)
{
	const int fd = argc == 3 ? open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
	uint32_t *word;

	if (argc != 3)
		return usage("futex wait|wake FILE");
	if (fd < 0 || ftruncate(fd, sizeof(*word)) < 0)
		return fail(argv[2]);
	word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (word == MAP_FAILED)
		return fail("mmap");
	if (strcmp(argv[1], "wait") == 0)
		return syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0) < 0 ? fail("futex")
										  : 0;
	while (syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		usleep(1000);
	return 0;
}

/*
 * "held" once it has the lock, and holds it; "try" does not wait for it, nor hold it. By flock(2),
 * or as "fcntl" by fcntl(2).
 */
static int cmd_flock(int argc, char **argv)
{
	const int fd = argc == 3 ? open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
	const bool try = argc == 3 && strcmp(argv[1], "try") == 0;
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (argc != 3)
		return usage("flock|fcntl hold|try FILE");
	if (fd < 0 ||
	    (strcmp(argv[0], "flock") == 0 ? flock(fd, try ? LOCK_EX | LOCK_NB : LOCK_EX)
					   : fcntl(fd, try ? F_SETLK : F_SETLKW, &whole)) < 0)
		return fail(argv[2]);
	dprintf(STDOUT_FILENO, "held\n");
	if (!try)
		wait_forever();
	return 0;
}

static int cmd_true(int argc, char **argv)
{
	return 0;
}

static int cmd_false(int argc, char **argv)
{
	return 1;
}

static int cmd_exit(int argc, char **argv)
{
	return argc > 1 ? atoi(argv[1]) : 0;
}

static int cmd_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%s%s", i > 1 ? " " : "", argv[i]);
	putchar('\n');
	return 0;
}

static int copy_fd(int from, int to)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		for (ssize_t done = 0; done < n;) {
			const ssize_t w = write(to, buf + done, (size_t)(n - done));

			if (w < 0)
				return -1;
			done += w;
		}
	}
	return n < 0 ? -1 : 0;
}

static int cmd_cat(int argc, char **argv)
{
	if (argc < 2)
		return copy_fd(STDIN_FILENO, STDOUT_FILENO) < 0 ? fail("copy") : 0;
	for (int i = 1; i < argc; i++) {
		const int fd = open(argv[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || copy_fd(fd, STDOUT_FILENO) < 0)
			return fail(argv[i]);
		close(fd);
	}
	return 0;
}

static int write_text(const char *path, const char *text, int flags)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);

	if (fd < 0)
		return fail(path);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return fail(path);
	return close(fd) < 0 ? fail(path) : 0;
}

/* write PATH TEXT: no O_TRUNC on what exists, so that device and proc files work alike. */
static int cmd_write(int argc, char **argv)
{
	if (argc != 3)
		return usage("write PATH TEXT");
	return write_text(argv[1], argv[2], 0);
}

static int cmd_append(int argc, char **argv)
{
	if (argc != 3)
		return usage("append PATH TEXT");
	return write_text(argv[1], argv[2], O_APPEND);
}

static int cmd_sleep(int argc, char **argv)
{
	const double seconds = argc > 1 ? atof(argv[1]) : 1e6;
	struct timespec left = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };

	die_by_signals();
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	return 0;
}

/* raise N: end oneself by a signal. A pid 1 cannot, and says so. */
static int cmd_raise(int argc, char **argv)
{
	if (argc != 2)
		return usage("raise N");
	signal(atoi(argv[1]), SIG_DFL);
	kill(getpid(), atoi(argv[1]));
	dprintf(STDOUT_FILENO, "alive\n");
	return 3;
}

/* segv: a fault ends even a pid 1. */
static int cmd_segv(int argc, char **argv)
{
	volatile int *volatile nowhere = NULL;

	*nowhere = 1;
	return 0;
}

static void on_any_signal(int number)
{
	dprintf(STDOUT_FILENO, "signal %d\n", number);
	if (number == SIGTERM)
		_exit(0);
}

/* trap: print `ready`, then each signal that arrives; TERM ends with 0. */
static int cmd_trap(int argc, char **argv)
{
	for (int number = 1; number < 65; number++)
		if (number != SIGKILL && number != SIGSTOP && number != SIGCHLD)
			signal(number, on_any_signal);
	dprintf(STDOUT_FILENO, "ready\n");
	wait_forever();
}

/* ignore: all signals that can be ignored are. */
static int cmd_ignore(int argc, char **argv)
{
	for (int number = 1; number < 65; number++)
		signal(number, SIG_IGN);
	dprintf(STDOUT_FILENO, "ready\n");
	wait_forever();
}

/* syscall NR ARGS...: an argument is a number (C syntax) or @TEXT. Prints `ret N` or `errno E`. */
static int cmd_syscall(int argc, char **argv)
{
	long args[6] = { 0 };
	long result;

	if (argc < 2 || argc > 8)
		return usage("syscall NR [NUMBER|@TEXT]...");
	for (int i = 2; i < argc; i++) {
		if (argv[i][0] == '@')
			args[i - 2] = (long)(argv[i] + 1);
		else
			args[i - 2] = (long)strtoull(argv[i], NULL, 0);
	}
	result = syscall(strtol(argv[1], NULL, 0), args[0], args[1], args[2], args[3], args[4],
			 args[5]);
	if (result == -1)
		return fail("syscall");
	printf("ret %ld\n", result);
	return 0;
}

/* memory BYTES: touch that much, print `held`, wait. */
static int cmd_memory(int argc, char **argv)
{
	const size_t len = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	char *block = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		return fail("mmap");
	for (size_t i = 0; i < len; i += 4096)
		block[i] = 1;
	dprintf(STDOUT_FILENO, "held\n");
	return cmd_sleep(1, argv);
}

/* fork N: N children that wait; prints how many could be made, then waits. */
static int cmd_fork(int argc, char **argv)
{
	const int want = argc > 1 ? atoi(argv[1]) : 1;
	int made = 0;

	for (; made < want; made++) {
		const pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0)
			_exit(cmd_sleep(1, argv));
	}
	dprintf(STDOUT_FILENO, "forked %d\n", made);
	return cmd_sleep(1, argv);
}

/* orphan CMD...: start a sub-command in a session of its own and leave it behind. */
static int cmd_orphan(int argc, char **argv)
{
	const pid_t pid = fork();

	if (pid < 0)
		return fail("fork");
	if (pid == 0) {
		setsid();
		execv("/proc/self/exe", argv);
		_exit(fail("exec"));
	}
	printf("pid %d\n", pid);
	return 0;
}

/* reap: wait for all children, then for ever; TERM ends it. */
static int cmd_reap(int argc, char **argv)
{
	signal(SIGTERM, on_ending_signal);
	while (wait(NULL) >= 0 || errno == EINTR)
		;
	wait_forever();
}

static int cmd_stat(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (lstat(argv[i], &st) < 0)
			return fail(argv[i]);
		printf("%s mode=%o uid=%u gid=%u rdev=%u:%u size=%lld\n", argv[i], st.st_mode,
		       st.st_uid, st.st_gid, major(st.st_rdev), minor(st.st_rdev),
		       (long long)st.st_size);
	}
	return 0;
}

/* open PATH r|w|rw|path: try, and say `ok` or the error. */
static int cmd_open(int argc, char **argv)
{
	int flags = O_RDONLY;

	if (argc != 3)
		return usage("open PATH r|w|rw|path");
	if (strcmp(argv[2], "w") == 0)
		flags = O_WRONLY;
	else if (strcmp(argv[2], "rw") == 0)
		flags = O_RDWR;
	else if (strcmp(argv[2], "path") == 0)
		flags = O_PATH;
	if (open(argv[1], flags | O_NONBLOCK | O_NOCTTY) < 0)
		return fail(argv[1]);
	printf("ok\n");
	return 0;
}

static int cmd_mknod(int argc, char **argv)
{
	mode_t type;

	if (argc != 5)
		return usage("mknod PATH c|b MAJOR MINOR");
	type = argv[2][0] == 'b' ? S_IFBLK : S_IFCHR;
	if (mknod(argv[1], type | 0600, makedev(atoi(argv[3]), atoi(argv[4]))) < 0)
		return fail(argv[1]);
	printf("ok\n");
	return 0;
}

static int cmd_mount(int argc, char **argv)
{
	if (argc != 5)
		return usage("mount SOURCE TARGET TYPE FLAGS");
	if (mount(argv[1], argv[2], argv[3], strtoul(argv[4], NULL, 0), NULL) < 0)
		return fail(argv[2]);
	printf("ok\n");
	return 0;
}

static int cmd_umount(int argc, char **argv)
{
	if (argc != 2)
		return usage("umount TARGET");
	if (umount2(argv[1], MNT_DETACH) < 0)
		return fail(argv[1]);
	printf("ok\n");
	return 0;
}

static int cmd_ptrace(int argc, char **argv)
{
	if (argc != 2)
		return usage("ptrace PID");
	if (ptrace(PTRACE_ATTACH, atoi(argv[1]), NULL, NULL) < 0)
		return fail("ptrace");
	printf("ok\n");
	return 0;
}

/* fd N: what can be read from descriptor N. */
static int cmd_fd(int argc, char **argv)
{
	if (argc != 2)
		return usage("fd N");
	return copy_fd(atoi(argv[1]), STDOUT_FILENO) < 0 ? fail("read") : 0;
}

/* unix PATH|@NAME TEXT [dgram]: connect and send. */
static int cmd_unix(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len;
	int sock;

	if (argc < 3 || strlen(argv[1]) >= sizeof(addr.sun_path))
		return usage("unix PATH|@NAME TEXT [dgram]");
	strcpy(addr.sun_path, argv[1]);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(argv[1]));
	if (argv[1][0] == '@')
		addr.sun_path[0] = '\0';
	sock = socket(AF_UNIX, argc > 3 ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, len) < 0)
		return fail(argv[1]);
	if (write(sock, argv[2], strlen(argv[2])) < 0)
		return fail("write");
	printf("ok\n");
	return 0;
}

/* notify TEXT: one datagram to $NOTIFY_SOCKET, as sd_notify(3) does. */
static int cmd_notify(int argc, char **argv)
{
	const char *const path = getenv("NOTIFY_SOCKET");
	char ready[] = "READY=1", dgram[] = "dgram";
	char *args[] = { argv[0], (char *)path, argc > 1 ? argv[1] : ready, dgram };

	if (!path) {
		printf("NOTIFY_SOCKET is not set\n");
		return 1;
	}
	return cmd_unix(4, args);
}

static int cmd_tcp(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	const int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 3)
		return usage("tcp ADDRESS PORT");
	inet_pton(AF_INET, argv[1], &addr.sin_addr);
	addr.sin_port = htons((uint16_t)atoi(argv[2]));
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return fail("connect");
	printf("ok\n");
	return 0;
}

/* env NAME: its value, or exit 1. */
static int cmd_getenv(int argc, char **argv)
{
	const char *value = argc > 1 ? getenv(argv[1]) : NULL;

	if (!value)
		return 1;
	printf("%s\n", value);
	return 0;
}

/* await PATH: until that file exists (at most 10 s). */
static int cmd_await(int argc, char **argv)
{
	if (argc != 2)
		return usage("await PATH");
	for (int i = 0; i < 10000; i++) {
		if (access(argv[1], F_OK) == 0)
			return 0;
		usleep(1000);
	}
	return 1;
}

/*
 * Maps FILE, waits for the end of standard input, asks for pages of the map and ends with 7 before
 * they can be there. A descriptor would be flushed at the end, and no page of this program is
 * needed any more by then.
 */
static int cmd_ahead(int argc, char **argv)
{
	const int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
	char byte;

	if (map == MAP_FAILED)
		return usage("ahead FILE");
	(void)close(fd);
	printf("open\n");
	fflush(stdout);
	while (syscall(SYS_read, STDIN_FILENO, &byte, 1L) > 0)
		;
	(void)syscall(SYS_madvise, map, 1L << 20, (long)MADV_WILLNEED);
	return (int)syscall(SYS_exit_group, 7);
}

static void on_winch(int number)
{
	struct winsize size = { 0 };

	ioctl(0, TIOCGWINSZ, &size);
	dprintf(STDOUT_FILENO, "size %u %u\n", size.ws_row, size.ws_col);
}

/* winsize: print the terminal's size now and after each SIGWINCH. */
static int cmd_winsize(int argc, char **argv)
{
	die_by_signals();
	signal(SIGWINCH, on_winch);
	on_winch(0);
	wait_forever();
}

/* spin: use the processor until a signal. */
static int cmd_spin(int argc, char **argv)
{
	volatile int forever = 1;

	die_by_signals();
	dprintf(STDOUT_FILENO, "ready\n");
	while (forever)
		;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "true", cmd_true },	    { "false", cmd_false },   { "exit", cmd_exit },
	{ "echo", cmd_echo },	    { "cat", cmd_cat },	      { "write", cmd_write },
	{ "append", cmd_append },   { "sleep", cmd_sleep },   { "raise", cmd_raise },
	{ "segv", cmd_segv },	    { "trap", cmd_trap },     { "ignore", cmd_ignore },
	{ "syscall", cmd_syscall }, { "memory", cmd_memory }, { "fork", cmd_fork },
	{ "orphan", cmd_orphan },   { "reap", cmd_reap },     { "stat", cmd_stat },
	{ "open", cmd_open },	    { "mknod", cmd_mknod },   { "mount", cmd_mount },
	{ "umount", cmd_umount },   { "ptrace", cmd_ptrace }, { "fd", cmd_fd },
	{ "unix", cmd_unix },	    { "notify", cmd_notify }, { "tcp", cmd_tcp },
	{ "getenv", cmd_getenv },   { "await", cmd_await },   { "ahead", cmd_ahead },
	{ "winsize", cmd_winsize }, { "spin", cmd_spin },     { "report", report_main },
	{ "uds", uds_main },	    { "draw", draw_main },    { "inotify", cmd_inotify },
	{ "futex", cmd_futex },	    { "flock", cmd_flock },   { "fcntl", cmd_flock },
};

int main(int argc, char **argv)
{
	const char *name;

	if (argc < 1)
		return 64;
	name = strrchr(argv[0], '/');
	name = name ? name + 1 : argv[0];
	if (strcmp(name, "testinit") == 0) {
		if (argc < 2)
			return usage("SUB ARGS...");
		argc--;
		argv++;
		name = argv[0];
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0) {
			const int status = commands[i].run(argc, argv);

			return fflush(stdout) == 0 ? status : 74;
		}
	}
	dprintf(STDERR_FILENO, "testinit: no such sub-command: %s\n", name);
	return 64;
}
