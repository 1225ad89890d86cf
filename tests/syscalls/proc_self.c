/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self: what programs read about themselves. */
#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "harness.h"

extern char **environ;
static char text[1 << 18];

static const char *slurp(const char *path)
{
	read_file(path, text, sizeof(text));
	return text;
}

/* The value of a line "KEY:\t..." of status, as a number. */
static long status(const char *path, const char *key)
{
	char line[64], *p;

	snprintf(line, sizeof(line), "\n%s:", key);
	slurp(path);
	p = strstr(text, line);
	if (!p && !strncmp(text, line + 1, strlen(line + 1)))
		p = text - 1;
	if (!p)
		FAIL("%s has no %s", path, key);
	return strtol(p + strlen(line), NULL, 0);
}

TEST(status_identifiers)
{
	CHECK_EQ(status("/proc/self/status", "Pid"), getpid());
	CHECK_EQ(status("/proc/self/status", "Tgid"), getpid());
	CHECK_EQ(status("/proc/self/status", "PPid"), getppid());
	CHECK_EQ(status("/proc/self/status", "TracerPid"), 0);
	CHECK_EQ(status("/proc/self/status", "Uid"), getuid());
	CHECK_EQ(status("/proc/self/status", "Gid"), getgid());
	CHECK_EQ(status("/proc/self/status", "Threads"), 1);
	CHECK(!strncmp(slurp("/proc/self/status"), "Name:\tproc_self\n", 16));
	CHECK(strstr(text, "\nState:\tR (running)\n"));
	CHECK(strstr(text, "\nUmask:\t0022\n"));
}

TEST(status_memory)
{
	long before = status("/proc/self/status", "VmSize"), rss;
	char *p = OK(
		mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	CHECK(status("/proc/self/status", "VmSize") >= before + 16 * 1024);
	rss = status("/proc/self/status", "VmRSS");
	memset(p, 1, 16 << 20);
	CHECK(status("/proc/self/status", "VmRSS") >= rss + 12 * 1024);
	CHECK(status("/proc/self/status", "VmHWM") >= status("/proc/self/status", "VmRSS") - 4096);
	CHECK(status("/proc/self/status", "VmPeak") >= before);
}

static char *status_of(pid_t pid)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return path;
}

TEST(memory_of_a_process_that_computes)
{
	volatile int *ready =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD (pid) {
		char *p = OK(mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

		CHECK(status("/proc/self/status", "VmRSS") < 12 * 1024);
		memset(p, 1, 16 << 20);
		for (*ready = 1;;)
			__asm__ volatile("pause");
	}
	for (int i = 0; i < 60000 && !*ready; i++)
		sleep_ms(1);
	CHECK(status(status_of(pid), "VmRSS") >= 14 * 1024);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

static volatile bool looked_at_enough;

static void *look_at(void *arg)
{
	const char *path = arg;
	char text[4096];

	while (!looked_at_enough) {
		const int fd = open(path, O_RDONLY);

		if (fd < 0)
			continue;
		(void)!read(fd, text, sizeof(text));
		OK(close(fd));
	}
	return NULL;
}

TEST(a_process_that_computes_is_looked_at_and_killed)
{
	pthread_t t;
	pid_t pid;

	for (int i = 0; i < 20; i++) {
		CHILD (pid) {
			for (;;)
				__asm__ volatile("pause");
		}
		looked_at_enough = false;
		CHECK_EQ(pthread_create(&t, NULL, look_at, status_of(pid)), 0);
		sleep_ms(5);
		OK(kill(pid, SIGKILL));
		wait_signal(pid, SIGKILL);
		looked_at_enough = true;
		CHECK_EQ(pthread_join(t, NULL), 0);
	}
}

TEST(status_signals)
{
	sigset_t set;
	unsigned long long bit = 1ULL << (SIGUSR1 - 1);
	char *p;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	on_signal(SIGUSR2, SIG_IGN, 0);
	on_signal(SIGHUP, count_signal, 0);
	OK(kill(getpid(), SIGUSR1));
	slurp("/proc/self/status");
	p = strstr(text, "\nSigBlk:\t");
	CHECK(p && strtoull(p + 9, NULL, 16) == bit);
	p = strstr(text, "\nShdPnd:\t");
	CHECK(p && strtoull(p + 9, NULL, 16) == bit);
	p = strstr(text, "\nSigIgn:\t");
	CHECK(p && strtoull(p + 9, NULL, 16) & (1ULL << (SIGUSR2 - 1)));
	p = strstr(text, "\nSigCgt:\t");
	CHECK(p && strtoull(p + 9, NULL, 16) & 1);
}

TEST(stat_fields)
{
	int pid, ppid, pgrp, session, tty, tpgid, n;
	char comm[32], state;
	char *rest;

	slurp("/proc/self/stat");
	n = sscanf(text, "%d (%31[^)]) %c %d %d %d %d %d", &pid, comm, &state, &ppid, &pgrp,
		   &session, &tty, &tpgid);
	CHECK_EQ(n, 8);
	CHECK_EQ(pid, getpid());
	CHECK_STR(comm, "proc_self");
	CHECK_EQ(state, 'R');
	CHECK_EQ(ppid, getppid());
	CHECK_EQ(pgrp, getpgrp());
	CHECK_EQ(session, getsid(0));
	CHECK_EQ(tty, 0);
	CHECK_EQ(tpgid, -1);
	/* 52 fields in all. */
	n = 2;
	for (rest = strchr(text, ')') + 1; (rest = strchr(rest, ' ')); rest++)
		n++;
	CHECK_EQ(n, 52);
}

TEST(states_of_a_child)
{
	char path[64], *p;
	pid_t pid;

	CHILD (pid) {
		for (;;)
			pause();
	}
	settle(pid);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	p = strrchr(slurp(path), ')');
	CHECK_EQ(p[2], 'S');
	OK(kill(pid, SIGSTOP));
	CHECK_EQ(waitpid(pid, NULL, WUNTRACED), pid);
	p = strrchr(slurp(path), ')');
	CHECK_EQ(p[2], 'T');
	OK(kill(pid, SIGKILL));
	OK(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT));
	p = strrchr(slurp(path), ')');
	CHECK_EQ(p[2], 'Z');
	wait_signal(pid, SIGKILL);
	CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

TEST(maps_show_mappings)
{
	char *p = OK(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0)),
	     want[128];
	int fd = OK(open("mapped", O_CREAT | O_RDWR, 0600));
	char *f;

	OK(ftruncate(fd, 8192));
	f = OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096));
	OK(mprotect(p + 4096, 4096, PROT_READ));
	slurp("/proc/self/maps");
	snprintf(want, sizeof(want), "%lx-%lx r--p 00000000 00:00 0", (long)p + 4096,
		 (long)p + 8192);
	CHECK(strstr(text, want));
	snprintf(want, sizeof(want), "%lx-%lx r--s 00001000 ", (long)f, (long)f + 4096);
	CHECK(strstr(text, want));
	CHECK(strstr(strstr(text, want), "/mapped\n"));
	CHECK(strstr(text, "[stack]\n"));
	CHECK(strstr(text, "[heap]\n"));
	CHECK(strstr(text, "r-xp "));
	OK(munmap(f, 4096));
	CHECK(!strstr(slurp("/proc/self/maps"), "/mapped\n"));
}

TEST(maps_are_sorted_and_whole)
{
	unsigned long last = 0, from, to;
	char rights[5];

	for (char *line = strtok((char *)slurp("/proc/self/maps"), "\n"); line;
	     line = strtok(NULL, "\n")) {
		CHECK_EQ(sscanf(line, "%lx-%lx %4s", &from, &to, rights), 3);
		CHECK(from >= last && to > from && !(from & 4095) && !(to & 4095));
		last = to;
	}
	CHECK(last != 0);
}

TEST(statm_agrees)
{
	long size, resident, shared, code, lib, data, dirty;

	CHECK_EQ(sscanf(slurp("/proc/self/statm"), "%ld %ld %ld %ld %ld %ld %ld", &size, &resident,
			&shared, &code, &lib, &data, &dirty),
		 7);
	CHECK(size >= resident && resident > 0 && code > 0);
	CHECK_EQ(lib, 0);
	CHECK_EQ(dirty, 0);
	CHECK_EQ(size * 4, status("/proc/self/status", "VmSize"));
}

TEST(descriptors)
{
	int fd = OK(open("/dev/null", O_RDONLY)), fds[2];
	char path[64], link[PATH_MAX], want[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = OK(readlink(path, link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_STR(link, "/dev/null");
	OK(pipe(fds));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	n = OK(readlink(path, link, sizeof(link) - 1));
	link[n] = 0;
	CHECK(!strncmp(link, "pipe:[", 6) && link[n - 1] == ']');
	snprintf(path, sizeof(path), "/proc/self/fd/%d", 77);
	CHECK_ERRNO(readlink(path, link, sizeof(link)), ENOENT);
	write_file("gone", "");
	fd = OK(open("gone", O_RDONLY));
	OK(unlink("gone"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = OK(readlink(path, link, sizeof(link) - 1));
	link[n] = 0;
	snprintf(want, sizeof(want), "/gone (deleted)");
	CHECK_STR(link + strlen(link) - strlen(want), want);
}

TEST(list_of_descriptors)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int seen = 0;

	CHECK(d);
	OK(dup2(0, 150));
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.') {
			CHECK(fcntl(atoi(e->d_name), F_GETFD) >= 0);
			seen += atoi(e->d_name) == 150;
		}
	}
	CHECK_EQ(seen, 1);
}

TEST(fdinfo)
{
	int fd = OK(open("f", O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600));
	char path[64];
	long flags;

	OK(ftruncate(fd, 100));
	OK(lseek(fd, 42, SEEK_SET));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	CHECK(!strncmp(slurp(path), "pos:\t42\nflags:\t", 15));
	flags = strtol(text + 15, NULL, 8);
	CHECK_EQ(flags & (O_ACCMODE | O_APPEND | O_CLOEXEC), O_RDWR | O_APPEND | O_CLOEXEC);
}

TEST(exe_cwd_root)
{
	char link[PATH_MAX], cwd[PATH_MAX];
	ssize_t n = OK(readlink("/proc/self/cwd", link, sizeof(link) - 1));

	link[n] = 0;
	CHECK(getcwd(cwd, sizeof(cwd)));
	CHECK_STR(link, cwd);
	n = OK(readlink("/proc/self/root", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_STR(link, "/");
	n = OK(readlink("/proc/self/exe", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_STR(link, test_self());
	/* They are doors, not only texts. */
	write_file("f", "x");
	OK(access("/proc/self/cwd/f", F_OK));
}

int test_subject(int argc, char **argv)
{
	ssize_t n;

	if (argc < 3)
		return 1;
	n = read_file("/proc/self/cmdline", text, sizeof(text));
	if (n != 22 || memcmp(text, "subject\0two\0\0last one\0", 22))
		return 2;
	n = read_file("/proc/self/environ", text, sizeof(text));
	if (n != 8 || memcmp(text, "A=1\0B=2\0", 8))
		return 3;
	return 0;
}

TEST(cmdline_and_environ)
{
	char *const argv[] = { "subject", "two", "", "last one", NULL }, *const env[] = { "A=1",
											  "B=2",
											  NULL };
	pid_t pid;

	CHILD (pid)
		execve(test_self(), argv, env);
	wait_ok(pid);
}

TEST(cmdline_of_a_zombie_is_empty)
{
	char path[64];
	pid_t pid;

	CHILD (pid)
		;
	OK(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT));
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	CHECK_EQ(read_file(path, text, sizeof(text)), 0);
	wait_ok(pid);
}

TEST(mounts_have_a_root)
{
	CHECK(strstr(slurp("/proc/self/mounts"), " / "));
	CHECK(strstr(text, " /proc proc "));
	slurp("/proc/self/mountinfo");
	CHECK(strstr(text, " / / ") || strstr(text, " / "));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		int id, parent;

		CHECK_EQ(sscanf(line, "%d %d ", &id, &parent), 2);
		CHECK(strstr(line, " - "));
	}
}

TEST(foreign_environ_is_closed)
{
	char path[64];
	pid_t pid, parent = getpid();

	need_root();
	CHILD (pid) {
		become_nobody();
		snprintf(path, sizeof(path), "/proc/%d/environ", parent);
		CHECK_ERRNO(open(path, O_RDONLY), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/exe", parent);
		CHECK_ERRNO(readlink(path, text, sizeof(text)), EACCES);
		snprintf(path, sizeof(path), "/proc/%d/stat", parent);
		OK(open(path, O_RDONLY));
		snprintf(path, sizeof(path), "/proc/%d/cmdline", parent);
		OK(open(path, O_RDONLY));
	}
	wait_ok(pid);
}

TEST(thread_self)
{
	char link[64], want[64];
	ssize_t n = OK(readlink("/proc/thread-self", link, sizeof(link) - 1));

	link[n] = 0;
	snprintf(want, sizeof(want), "%d/task/%d", getpid(), gettid());
	CHECK_STR(link, want);
}

TEST(memory_file)
{
	int fd = OK(open("/proc/self/mem", O_RDWR)), value = 1234, got = 0;

	CHECK_EQ(pread(fd, &got, sizeof(got), (off_t)(uintptr_t)&value), sizeof(got));
	CHECK_EQ(got, 1234);
	got = 99;
	CHECK_EQ(pwrite(fd, &got, sizeof(got), (off_t)(uintptr_t)&value), sizeof(got));
	CHECK_EQ(value, 99);
	CHECK_ERRNO(pread(fd, &got, 4, 16), EIO);
}

TEST(oom_score_adj)
{
	slurp("/proc/self/oom_score_adj");
	CHECK(atoi(text) >= -1000 && atoi(text) <= 1000);
	write_file("/proc/self/oom_score_adj", "900");
	CHECK_EQ(atoi(slurp("/proc/self/oom_score_adj")), 900);
	CHECK_ERRNO(write(OK(open("/proc/self/oom_score_adj", O_WRONLY)), "1001", 4), EINVAL);
}

TEST(cgroup_and_namespaces)
{
	char link[64];
	ssize_t n;

	slurp("/proc/self/cgroup");
	CHECK(strchr(text, ':'));
	n = OK(readlink("/proc/self/ns/pid", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK(!strncmp(link, "pid:[", 5));
	n = OK(readlink("/proc/self/ns/user", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK(!strncmp(link, "user:[", 6));
}

TEST(other_processes_are_listed)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	struct gate g = gate_new();
	pid_t pid;
	int seen = 0;

	CHILD (pid)
		gate_pass(&g);
	CHECK(d);
	while ((e = readdir(d)))
		seen += atoi(e->d_name) == pid || atoi(e->d_name) == getpid();
	CHECK_EQ(seen, 2);
	gate_open(&g);
	wait_ok(pid);
}

TEST(directory_of_a_dead_process)
{
	char path[64];
	int dir;
	pid_t pid;

	CHILD (pid)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = OK(open(path, O_RDONLY | O_DIRECTORY));
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
	CHECK(openat(dir, "stat", O_RDONLY) == -1);
	CHECK(errno == ENOENT || errno == ESRCH);
}

TEST(read_only_files_refuse_writing)
{
	int fd = open("/proc/self/stat", O_WRONLY);

	if (fd >= 0)
		CHECK(write(fd, "x", 1) == -1);
	else
		CHECK_EQ(errno, EACCES);
	CHECK(open("/proc/self/new-file", O_CREAT | O_RDWR, 0600) == -1);
	CHECK(errno == ENOENT || errno == EACCES || errno == EPERM);
	CHECK(mkdir("/proc/new-dir", 0700) == -1);
	CHECK(errno == ENOENT || errno == EACCES || errno == EPERM || errno == EROFS);
}

static int shared_text;
static char first_line[256];

/* The text as it is made for each reader from its start, into a page that is not there yet. */
static void *read_from_the_start(void *arg)
{
	const size_t len = 1 << 20;

	for (int i = 0; i < 5; i++) {
		char *p = OK(mmap(NULL, len, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
		const ssize_t n = OK(pread(shared_text, p, len, 0));

		CHECK((size_t)n > strlen(first_line));
		CHECK(!memcmp(p, first_line, strlen(first_line)));
		CHECK_EQ(p[n - 1], '\n');
		CHECK_EQ(strlen(p), n);
		OK(munmap(p, len));
	}
	return arg;
}

TEST(threads_read_one_text)
{
	const int prot[] = { PROT_READ, PROT_NONE };
	pthread_t t[4];
	ssize_t n;

	for (int i = 0; i < 400; i++)
		OK(mmap(NULL, 4096, prot[i % 2], MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	shared_text = OK(open("/proc/self/smaps", O_RDONLY));
	n = OK(pread(shared_text, first_line, sizeof(first_line) - 1, 0));
	first_line[n] = '\0';
	CHECK(strchr(first_line, '\n') != NULL);
	strchr(first_line, '\n')[1] = '\0';
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		CHECK_EQ(pthread_create(&t[i], NULL, read_from_the_start, NULL), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

/* pam_loginuid(8) ends a session of cron or sshd that cannot say whose it is. */
TEST(login_uid)
{
	pid_t pid;
	int fd;

	if (access("/proc/self/loginuid", F_OK))
		SKIP("a kernel without audit");
	if (strcmp(slurp("/proc/self/loginuid"), "4294967295"))
		SKIP("it is set already");
	fd = OK(open("/proc/self/loginuid", O_RDWR));
	CHECK_ERRNO(write(fd, "x", 1), EINVAL);
	CHECK_EQ(pwrite(fd, "7", 1, 0), 1);
	CHECK_STR(slurp("/proc/self/loginuid"), "7");
	CHILD (pid) {
		CHECK_STR(slurp("/proc/self/loginuid"), "7");
	}
	wait_ok(pid);
}

TEST(newlines_of_a_name)
{
	const int fd = OK(open("/proc/self/comm", O_RDWR));
	char before[32];

	read_file("/proc/self/comm", before, sizeof(before));
	CHECK(OK(write(fd, "a\nb", 3)) == 3);
	CHECK_STR(slurp("/proc/self/comm"), "a\nb\n");
	CHECK(strncmp(slurp("/proc/self/status"), "Name:\ta\\nb\n", 11) == 0);
	CHECK(strstr(slurp("/proc/self/stat"), "(a\nb)") != NULL);
	CHECK(OK(write(fd, before, strlen(before) - 1)) == (ssize_t)strlen(before) - 1);
	CHECK_STR(slurp("/proc/self/comm"), before);
}

/* What cannot be read to its end is not taken as far as it goes. */
TEST(half_a_name)
{
	char before[32], *p = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	const int fd = OK(open("/proc/self/comm", O_RDWR));

	read_file("/proc/self/comm", before, sizeof(before));
	OK(munmap(p + 4096, 4096));
	memcpy(p + 4093, "abc", 3);
	CHECK_ERRNO(write(fd, p + 4093, 6), EFAULT);
	CHECK_STR(slurp("/proc/self/comm"), before);
}
