/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of the system call programs: see harness.h. */
#include <dirent.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "harness.h"

enum { EXIT_FAILED = 111, EXIT_SKIPPED = 112, OUTPUT_FD = 240, LIMIT_S = 20 };

static struct test_case *first, **last = &first;
static const char *current = "?";
static int out_fd = 1;
static bool no_fork;
static char self[PATH_MAX];
static pid_t running;
static volatile sig_atomic_t timed_out;
volatile sig_atomic_t signals_seen;

void test_register(struct test_case *c)
{
	*last = c;
	last = &c->next;
}

static void put_line(const char *line)
{
	if (write(out_fd, line, strlen(line)) < 0)
		_exit(EXIT_FAILED);
}

static void put_outcome(const char *what, const char *format, va_list args)
{
	char text[512], line[768];

	vsnprintf(text, sizeof(text), format, args);
	for (char *p = text; *p; p++) {
		if (*p == '\n')
			*p = ' ';
	}
	snprintf(line, sizeof(line), "%s %s: %s\n", what, current, text);
	put_line(line);
}

static void __attribute__((format(printf, 2, 3))) say(const char *what, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_outcome(what, format, args);
	va_end(args);
}

void test_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_outcome("#", format, args);
	va_end(args);
}

void test_fail(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("not ok", "%s:%d: %s", base ? base + 1 : file, line, text);
	_exit(EXIT_FAILED);
}

void test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_outcome("skip", format, args);
	va_end(args);
	_exit(EXIT_SKIPPED);
}

const char *test_errno_name(int error)
{
	static char number[32];
	const char *name = strerrorname_np(error);

	if (name)
		return error ? name : "no error";
	snprintf(number, sizeof(number), "errno %d", error);
	return number;
}

int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR)
			FAIL("waitpid(%d): %s", pid, test_errno_name(errno));
	}
	/* Who failed has said so; the case ends the same way. */
	if (WIFEXITED(status) &&
	    (WEXITSTATUS(status) == EXIT_FAILED || WEXITSTATUS(status) == EXIT_SKIPPED))
		_exit(WEXITSTATUS(status));
	return status;
}

void wait_exit(pid_t pid, int code)
{
	int status = wait_status(pid);

	if (WIFSIGNALED(status))
		FAIL("child killed by signal %d, wanted exit code %d", WTERMSIG(status), code);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		FAIL("child's status is %#x, wanted exit code %d", status, code);
}

void wait_ok(pid_t pid)
{
	wait_exit(pid, 0);
}

void wait_signal(pid_t pid, int sig)
{
	int status = wait_status(pid);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != sig)
		FAIL("child's status is %#x, wanted death by signal %d", status, sig);
}

struct gate gate_new(void)
{
	struct gate g;

	OK(pipe2(g.fd, O_CLOEXEC));
	return g;
}

void gate_open(struct gate *g)
{
	CHECK(write(g->fd[1], "g", 1) == 1);
}

void gate_pass(struct gate *g)
{
	char c;
	ssize_t n;

	do {
		n = read(g->fd[0], &c, 1);
	} while (n < 0 && errno == EINTR);
	CHECK(n >= 0);
}

void gate_close_writer(struct gate *g)
{
	OK(close(g->fd[1]));
}

/* The state letter of /proc/TID/stat, 0 if it cannot be read. */
static char task_state(pid_t tid)
{
	char path[64], buf[512];
	int fd;
	ssize_t n;
	char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : 0;
}

void settle(pid_t tid)
{
	int asleep = 0;

	/* Twice in a row: the first sleep seen may be one on the way to the call. */
	for (int i = 0; i < 250 && asleep < 2; i++) {
		char state = task_state(tid);

		sleep_ms(2);
		asleep = state && strchr("STtZ", state) ? asleep + 1 : 0;
	}
}

int64_t now_ns(void)
{
	struct timespec ts;

	OK(clock_gettime(CLOCK_MONOTONIC, &ts));
	return ts.tv_sec * 1000 * MS_IN_NS + ts.tv_nsec;
}

void sleep_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * MS_IN_NS };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static int64_t cpu_ns(void)
{
	struct timespec ts;

	OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts));
	return ts.tv_sec * 1000 * MS_IN_NS + ts.tv_nsec;
}

void burn_ms(int ms)
{
	int64_t cpu_end = cpu_ns() + ms * MS_IN_NS, end = now_ns() + 10000 * MS_IN_NS;

	/* In its own code, too: a call may be another process's work, for which it waits. */
	while (cpu_ns() < cpu_end && now_ns() < end) {
		getppid();
		for (volatile int i = 0; i < 100000; i++)
			;
	}
}

void write_file(const char *path, const char *text)
{
	int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	OK(close(fd));
}

ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		FAIL("%s: %s", path, test_errno_name(errno));
	while (have < size - 1 && (n = read(fd, buf + have, size - 1 - have)) > 0)
		have += (size_t)n;
	buf[have] = 0;
	OK(close(fd));
	return (ssize_t)have;
}

bool have_cap(int cap)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return geteuid() == 0;
	return data[cap / 32].effective >> (cap % 32) & 1;
}

void need_cap(int cap, const char *name)
{
	if (!have_cap(cap))
		SKIP("no %s", name);
}

void need_root(void)
{
	if (geteuid())
		SKIP("not root");
}

bool filtered(void)
{
	return prctl(PR_GET_SECCOMP) == 2;
}

void become_nobody(void)
{
	OK(syscall(SYS_setgroups, 0, NULL));
	OK(syscall(SYS_setresgid, 65534, 65534, 65534));
	OK(syscall(SYS_setresuid, 65534, 65534, 65534));
}

const char *test_self(void)
{
	return self;
}

void copy_self(const char *path)
{
	static char buf[1 << 16];
	int from = OK(open(self, O_RDONLY | O_CLOEXEC));
	int to = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755));
	ssize_t n;

	while ((n = OK(read(from, buf, sizeof(buf)))) > 0)
		CHECK(write(to, buf, (size_t)n) == n);
	OK(close(from));
	OK(close(to));
}

void on_signal(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	OK(sigaction(sig, &sa, NULL));
}

void on_siginfo(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

	OK(sigaction(sig, &sa, NULL));
}

void count_signal(int sig)
{
	(void)sig;
	signals_seen = signals_seen + 1;
}

static void case_timed_out(int sig)
{
	(void)sig;
	timed_out = 1;
	if (running > 0)
		kill(-running, SIGKILL);
}

/* Empties a directory; relative calls only, as some cases make paths longer than PATH_MAX. */
static void empty(int dir, int depth)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;

	if (!d) {
		close(dir);
		return;
	}
	while ((e = readdir(d))) {
		int sub;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!unlinkat(dirfd(d), e->d_name, 0))
			continue;
		sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0 && depth < 900)
			empty(sub, depth + 1);
		else if (sub >= 0)
			close(sub);
		unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

static void remove_tree(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		empty(dir, 0);
	rmdir(path);
}

/* The child's side: an empty directory below the scratch directory, a session, the case. */
static void run_case(struct test_case *c)
{
	current = c->name;
	if (!mkdir(c->name, 0755) && chdir(c->name))
		FAIL("chdir into the case's directory: %s", test_errno_name(errno));
	c->run();
}

/* 0 passed, 1 failed, 2 skipped */
static int judge(struct test_case *c, int limit_s)
{
	int status = 0;

	current = c->name;
	timed_out = 0;
	running = fork();
	if (running == 0) {
		signal(SIGALRM, SIG_DFL);
		setsid();
		run_case(c);
		_exit(0);
	}
	if (running < 0) {
		say("not ok", "harness: fork: %s", test_errno_name(errno));
		return 1;
	}
	alarm((unsigned int)limit_s);
	while (waitpid(running, &status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	kill(-running, SIGKILL);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED)
		return 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		return 2;
	if (status == 0) {
		char line[200];

		snprintf(line, sizeof(line), "ok %s\n", c->name);
		put_line(line);
		return 0;
	}
	if (timed_out)
		say("not ok", "harness: no end after %d s", limit_s);
	else if (WIFSIGNALED(status))
		say("not ok", "harness: killed by signal %d", WTERMSIG(status));
	else
		say("not ok", "harness: exit code %d", WEXITSTATUS(status));
	return 1;
}

static bool chosen(const char *name, char **words)
{
	if (!*words)
		return true;
	for (; *words; words++) {
		if (strstr(name, *words))
			return true;
	}
	return false;
}

/* Without fork: what fails ends the program, what passed before it has been said. */
static int run_plainly(char **words)
{
	for (struct test_case *c = first; c; c = c->next) {
		if (!chosen(c->name, words))
			continue;
		current = c->name;
		c->run();
		put_line("ok ");
		put_line(c->name);
		put_line("\n");
	}
	return 0;
}

static int run_all(char **words, int limit_s)
{
	struct sigaction sa = { .sa_handler = case_timed_out };
	int counts[3] = { 0, 0, 0 };
	char line[100];

	sigaction(SIGALRM, &sa, NULL);
	for (struct test_case *c = first; c; c = c->next) {
		if (chosen(c->name, words))
			counts[judge(c, limit_s)]++;
	}
	snprintf(line, sizeof(line), "%d passed, %d failed, %d skipped\n", counts[0], counts[1],
		 counts[2]);
	put_line(line);
	return counts[1] != 0;
}

/* Makes `made` (a template) and goes there; without mkdir the programs stay where they are. */
static bool enter_scratch(const char *dir, char *made, size_t size)
{
	const char *base = dir ? dir : getenv("TMPDIR");

	snprintf(made, size, "%s/syscalls.XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(made) || chmod(made, 0755) || chdir(made)) {
		test_note("no scratch directory %s: %s", made, test_errno_name(errno));
		return false;
	}
	return true;
}

static void find_self(const char *argv0)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0 && !realpath(argv0, self))
		snprintf(self, sizeof(self), "%s", argv0);
}

int main(int argc, char **argv)
{
	struct rlimit no_core = { 0, 0 };
	const char *dir = NULL;
	char made[PATH_MAX];
	int limit_s = LIMIT_S, option, result;
	bool in_scratch;

	/* "" is what a list of no arguments becomes. */
	if (test_subject && argc > 0 &&
	    (!argv[0][0] || !strcmp(argv[0], "subject") ||
	     (argc > 1 && !strcmp(argv[1], "--subject"))))
		return test_subject(argc, argv);
	find_self(argv[0]);
	while ((option = getopt(argc, argv, "d:nt:l")) != -1) {
		if (option == 'd') {
			dir = optarg;
		} else if (option == 'n') {
			no_fork = true;
		} else if (option == 't') {
			limit_s = atoi(optarg);
		} else if (option == 'l') {
			for (struct test_case *c = first; c; c = c->next)
				printf("%s\n", c->name);
			return 0;
		} else {
			return 2;
		}
	}
	if (no_fork)
		return run_plainly(argv + optind);
	out_fd = fcntl(1, F_DUPFD_CLOEXEC, OUTPUT_FD);
	if (out_fd < 0)
		out_fd = 1;
	setrlimit(RLIMIT_CORE, &no_core);
	umask(022);
	in_scratch = enter_scratch(dir, made, sizeof(made));
	result = run_all(argv + optind, limit_s);
	if (in_scratch && !chdir("/"))
		remove_tree(made);
	return result;
}
