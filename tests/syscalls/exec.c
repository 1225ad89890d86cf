/* SPDX-License-Identifier: Apache-2.0 */
/* execve(2) and execveat(2): arguments, environment, what survives, what does not, errors. */
#include <elf.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "harness.h"

extern char **environ;

/* What the new program does is in its first argument; it answers with its exit code. */
int test_subject(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct sigaction sa;
	struct itimerval it;
	sigset_t set;

	if (!strcmp(what, "args"))
		return argc == 5 && !strcmp(argv[2], "") && !strcmp(argv[3], "a b") &&
				       !strcmp(argv[4], "\xff\x01") && !argv[5]
			       ? 7
			       : 1;
	if (!strcmp(what, "env"))
		return environ[0] && !strcmp(environ[0], "A=1") && !strcmp(environ[1], "B=") &&
				       !environ[2]
			       ? 7
			       : 1;
	if (!strcmp(what, "long"))
		return strlen(argv[2]) == 131071 ? 7 : 1;
	if (!strcmp(what, "many"))
		return argc == 20002 && !strcmp(argv[20001], "arg") ? 7 : 1;
	if (!strcmp(what, "cloexec"))
		return fcntl(50, F_GETFD) == -1 && fcntl(51, F_GETFD) == 0 ? 7 : 1;
	if (!strcmp(what, "signals")) {
		sigaction(SIGUSR1, NULL, &sa);
		if (sa.sa_handler != SIG_DFL)
			return 1;
		sigaction(SIGUSR2, NULL, &sa);
		if (sa.sa_handler != SIG_IGN)
			return 2;
		sigprocmask(0, NULL, &set);
		if (!sigismember(&set, SIGTERM) || sigismember(&set, SIGINT))
			return 3;
		sigpending(&set);
		return sigismember(&set, SIGTERM) ? 7 : 4;
	}
	if (!strcmp(what, "timer"))
		return !getitimer(ITIMER_REAL, &it) && it.it_value.tv_sec > 1000 ? 7 : 1;
	if (!strcmp(what, "ids"))
		return getpid() == atoi(argv[2]) && gettid() == getpid() &&
				       getppid() == atoi(argv[3])
			       ? 7
			       : 1;
	if (!strcmp(what, "comm")) {
		char name[16];

		prctl(PR_GET_NAME, name);
		return strcmp(name, argv[2]) ? 1 : 7;
	}
	if (!strcmp(what, "auxv"))
		return !strcmp((char *)getauxval(AT_EXECFN), argv[2]) ? 7 : 1;
	if (!strcmp(what, "hold")) {
		write(60, "h", 1);
		for (;;)
			pause();
	}
	if (!strcmp(what, "cwd"))
		return access("marker", F_OK) ? 1 : 7;
	return 9;
}

/* Runs this program as the subject. */
#define RUN(...)                                                          \
	do {                                                              \
		pid_t pid_;                                               \
		CHILD (pid_) {                                            \
			execl(test_self(), "subject", __VA_ARGS__, NULL); \
			FAIL("execl: %s", test_errno_name(errno));        \
		}                                                         \
		wait_exit(pid_, 7);                                       \
	} while (0)

static char *const no_env[] = { NULL };

TEST(arguments)
{
	RUN("args", "", "a b", "\xff\x01");
}

TEST(environment)
{
	char *const env[] = { "A=1", "B=", NULL }, *const argv[] = { "subject", "env", NULL };
	pid_t pid;

	CHILD (pid) {
		execve(test_self(), argv, env);
		FAIL("execve: %s", test_errno_name(errno));
	}
	wait_exit(pid, 7);
}

TEST(longest_argument)
{
	char *text = malloc(131073);
	char *const argv[] = { "subject", "long", text, NULL };

	memset(text, 'x', 131072);
	text[131071] = 0;
	RUN("long", text);
	text[131071] = 'x';
	text[131072] = 0;
	CHECK_ERRNO(execve(test_self(), argv, no_env), E2BIG);
}

TEST(many_arguments)
{
	static char *argv[20003] = { "subject", "many" };
	pid_t pid;

	for (int i = 2; i < 20002; i++)
		argv[i] = "arg";
	CHILD (pid) {
		execv(test_self(), argv);
		FAIL("execv: %s", test_errno_name(errno));
	}
	wait_exit(pid, 7);
}

TEST(too_many_arguments)
{
	enum { N = 100000 };
	char **argv = calloc(N + 1, sizeof(*argv)), *text = malloc(101);

	memset(text, 'y', 100);
	text[100] = 0;
	for (int i = 0; i < N; i++)
		argv[i] = text;
	CHECK_ERRNO(execve(test_self(), argv, no_env), E2BIG);
}

TEST(close_on_exec)
{
	int fd = OK(open("/dev/null", O_RDONLY));

	OK(dup3(fd, 50, O_CLOEXEC));
	OK(dup2(fd, 51));
	RUN("cloexec");
	OK(fcntl(50, F_GETFD));
}

TEST(signals)
{
	sigset_t set;
	pid_t pid;

	on_signal(SIGUSR1, count_signal, 0);
	on_signal(SIGUSR2, SIG_IGN, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	OK(sigprocmask(SIG_SETMASK, &set, NULL));
	/* Pending signals survive exec but not fork. */
	CHILD (pid) {
		OK(raise(SIGTERM));
		execl(test_self(), "subject", "signals", NULL);
	}
	wait_exit(pid, 7);
}

TEST(timer_survives)
{
	pid_t pid;

	CHILD (pid) {
		struct itimerval it = { { 0, 0 }, { 100000, 0 } };

		OK(setitimer(ITIMER_REAL, &it, NULL));
		execl(test_self(), "subject", "timer", NULL);
	}
	wait_exit(pid, 7);
}

TEST(ids_stay)
{
	char self[16], parent[16];
	pid_t pid;

	CHILD (pid) {
		snprintf(self, sizeof(self), "%d", getpid());
		snprintf(parent, sizeof(parent), "%d", getppid());
		execl(test_self(), "subject", "ids", self, parent, NULL);
	}
	wait_exit(pid, 7);
}

static void *exec_in_thread(void *arg)
{
	execl(test_self(), "subject", "ids", ((char **)arg)[0], ((char **)arg)[1], NULL);
	return NULL;
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

TEST(other_threads_end_and_the_caller_becomes_the_leader)
{
	char self[16], parent[16];
	char *args[2] = { self, parent };
	pthread_t t;
	pid_t pid;

	CHILD (pid) {
		snprintf(self, sizeof(self), "%d", getpid());
		snprintf(parent, sizeof(parent), "%d", getppid());
		for (int i = 0; i < 5; i++)
			CHECK_EQ(pthread_create(&t, NULL, wait_for_ever, NULL), 0);
		CHECK_EQ(pthread_create(&t, NULL, exec_in_thread, args), 0);
		pause();
	}
	wait_exit(pid, 7);
}

TEST(name_of_the_command)
{
	pid_t pid;

	OK(mkdir("d", 0755));
	copy_self("d/a-rather-long-program-name");
	CHILD (pid) {
		prctl(PR_SET_NAME, "other");
		execl("d/a-rather-long-program-name", "subject", "comm", "a-rather-long-p", NULL);
	}
	wait_exit(pid, 7);
}

TEST(execfn_is_the_name_as_given)
{
	pid_t pid;

	copy_self("prog");
	CHILD (pid)
		execl("./prog", "subject", "auxv", "./prog", NULL);
	wait_exit(pid, 7);
}

TEST(working_directory_stays)
{
	write_file("marker", "");
	RUN("cwd");
}

TEST(errors_of_the_name)
{
	char *const argv[] = { "subject", NULL };

	write_file("f", "");
	CHECK_ERRNO(execve("none", argv, no_env), ENOENT);
	CHECK_ERRNO(execve("", argv, no_env), ENOENT);
	CHECK_ERRNO(execve("f/x", argv, no_env), ENOTDIR);
	CHECK_ERRNO(execve("f", argv, no_env), EACCES);
	CHECK_ERRNO(execve(".", argv, no_env), EACCES);
	CHECK_ERRNO(execve(BAD_PTR, argv, no_env), EFAULT);
	CHECK_ERRNO(execve(test_self(), BAD_PTR, no_env), EFAULT);
	CHECK_ERRNO(execve(test_self(), argv, BAD_PTR), EFAULT);
	OK(symlink("l", "l"));
	CHECK_ERRNO(execve("l", argv, no_env), ELOOP);
	OK(mkfifo("p", 0755));
	CHECK_ERRNO(execve("p", argv, no_env), EACCES);
}

static void executable(const char *path, const void *data, size_t size)
{
	int fd = OK(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755));

	CHECK_EQ(write(fd, data, size), size);
	OK(close(fd));
}

TEST(errors_of_the_format)
{
	char *const argv[] = { "subject", NULL };
	Elf64_Ehdr head;

	executable("empty", "", 0);
	CHECK_ERRNO(execve("empty", argv, no_env), ENOEXEC);
	executable("text", "echo hello\n", 11);
	CHECK_ERRNO(execve("text", argv, no_env), ENOEXEC);
	executable("magic", "\177ELF", 4);
	CHECK_ERRNO(execve("magic", argv, no_env), ENOEXEC);
	memset(&head, 0, sizeof(head));
	memcpy(head.e_ident, "\177ELF\2\1\1", 7);
	head.e_type = ET_EXEC;
	head.e_machine = EM_AARCH64;
	head.e_phentsize = sizeof(Elf64_Phdr);
	head.e_phnum = 1;
	executable("arm", &head, sizeof(head));
	CHECK_ERRNO(execve("arm", argv, no_env), ENOEXEC);
	head.e_machine = EM_X86_64;
	head.e_phentsize = 1;
	executable("phent", &head, sizeof(head));
	CHECK_ERRNO(execve("phent", argv, no_env), ENOEXEC);
	head.e_type = ET_REL;
	head.e_phentsize = sizeof(Elf64_Phdr);
	executable("object", &head, sizeof(head));
	CHECK_ERRNO(execve("object", argv, no_env), ENOEXEC);
}

TEST(interpreter_that_is_none)
{
	char *const argv[] = { "subject", NULL };
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr interp, load;
		char name[16];
	} p = { .head = { .e_ident = "\177ELF\2\1\1",
			  .e_type = ET_EXEC,
			  .e_machine = EM_X86_64,
			  .e_version = EV_CURRENT,
			  .e_phoff = sizeof(Elf64_Ehdr),
			  .e_ehsize = sizeof(Elf64_Ehdr),
			  .e_phentsize = sizeof(Elf64_Phdr),
			  .e_phnum = 2 },
		.interp = { .p_type = PT_INTERP,
			    .p_offset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
			    .p_filesz = 16,
			    .p_memsz = 16 },
		.load = { .p_type = PT_LOAD,
			  .p_flags = PF_R,
			  .p_vaddr = 0x400000,
			  .p_filesz = 64,
			  .p_memsz = 64,
			  .p_align = 4096 },
		.name = "./interp" };
	char text[4096] = "no program";

	executable("p", &p, sizeof(p));
	CHECK_ERRNO(execve("p", argv, no_env), ENOENT);
	executable("interp", text, sizeof(text));
	CHECK_ERRNO(execve("p", argv, no_env), ELIBBAD);
	OK(unlink("interp"));
	OK(mkdir("interp", 0755));
	CHECK_ERRNO(execve("p", argv, no_env), EACCES);
}

TEST(too_many_processes_of_the_new_user)
{
	char *const argv[] = { "subject", NULL };
	struct gate ready = gate_new(), end = gate_new();
	pid_t pid, other;

	need_root();
	OK(chmod(".", 0755));
	copy_self("prog");
	CHILD (other) {
		OK(syscall(SYS_setresuid, 4711, 4711, 4711));
		gate_open(&ready);
		gate_pass(&end);
	}
	gate_pass(&ready);
	CHILD (pid) {
		OK(setrlimit(RLIMIT_NPROC, &(struct rlimit){ 0, 0 }));
		OK(syscall(SYS_setresuid, 4711, 4711, 4711));
		CHECK_ERRNO(execve("prog", argv, no_env), EAGAIN);
	}
	wait_ok(pid);
	gate_open(&end);
	wait_ok(other);
}

TEST(file_open_for_writing)
{
	char *const argv[] = { "subject", NULL };
	int fd;

	copy_self("prog");
	fd = OK(open("prog", O_WRONLY));
	CHECK_ERRNO(execve("prog", argv, no_env), ETXTBSY);
	OK(close(fd));
}

TEST(running_file_is_not_written)
{
	struct gate ready = gate_new();
	pid_t pid;
	int fd;

	copy_self("prog");
	CHILD (pid) {
		OK(dup2(ready.fd[1], 60));
		execl("./prog", "subject", "hold", NULL);
	}
	gate_pass(&ready);
	fd = open("prog", O_WRONLY);
	CHECK(fd < 0 && errno == ETXTBSY);
	CHECK_ERRNO(truncate("prog", 0), ETXTBSY);
	CHECK_ERRNO(open("prog", O_RDONLY | O_TRUNC), ETXTBSY);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
	OK(open("prog", O_WRONLY));
}

TEST(permission)
{
	char *const argv[] = { "subject", NULL };

	need_root();
	copy_self("prog");
	OK(chmod("prog", 0744));
	OK(mkdir("d", 0700));
	copy_self("d/prog");
	become_nobody();
	CHECK_ERRNO(execve("prog", argv, no_env), EACCES);
	CHECK_ERRNO(execve("d/prog", argv, no_env), EACCES);
}

TEST(execute_without_read)
{
	pid_t pid;

	need_root();
	copy_self("prog");
	OK(chmod("prog", 0711));
	CHILD (pid) {
		become_nobody();
		execl("./prog", "subject", NULL);
		_exit(1);
	}
	wait_exit(pid, 9);
}

TEST(execveat_by_descriptor)
{
	char *const argv[] = { "subject", NULL };
	int dir = OK(open(".", O_RDONLY)), fd;
	pid_t pid;

	copy_self("prog");
	fd = OK(open("prog", O_RDONLY | O_CLOEXEC));
	CHILD (pid)
		syscall(SYS_execveat, fd, "", argv, no_env, AT_EMPTY_PATH);
	wait_exit(pid, 9);
	CHILD (pid)
		syscall(SYS_execveat, dir, "prog", argv, no_env, 0);
	wait_exit(pid, 9);
	OK(unlink("prog"));
	CHILD (pid)
		syscall(SYS_execveat, fd, "", argv, no_env, AT_EMPTY_PATH);
	wait_exit(pid, 9);
}

TEST(execveat_errors)
{
	char *const argv[] = { "subject", NULL };
	int fd;

	copy_self("prog");
	fd = OK(open("prog", O_RDONLY));
	OK(symlink("prog", "l"));
	CHECK_ERRNO(syscall(SYS_execveat, fd, "", argv, no_env, 0), ENOENT);
	CHECK_ERRNO(syscall(SYS_execveat, 99, "prog", argv, no_env, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_execveat, fd, "prog", argv, no_env, 0), ENOTDIR);
	CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "prog", argv, no_env, 0x4000000), EINVAL);
	CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "l", argv, no_env, AT_SYMLINK_NOFOLLOW), ELOOP);
}

TEST(exe_link)
{
	char buf[PATH_MAX], want[PATH_MAX];
	pid_t pid;

	buf[OK(readlink("/proc/self/exe", buf, sizeof(buf) - 1))] = 0;
	CHECK_STR(buf, test_self());
	CHECK(realpath("/proc/self/exe", want));
	CHILD (pid)
		execl("/proc/self/exe", "subject", NULL);
	wait_exit(pid, 9);
}

TEST(empty_argv)
{
	char *const argv[] = { NULL };
	pid_t pid;

	/* Since Linux 5.18 an empty list becomes one empty string. */
	CHILD (pid) {
		execve(test_self(), argv, no_env);
		_exit(1);
	}
	wait_exit(pid, 9);
}

TEST(many_in_a_row)
{
	write_file("marker", "");
	for (int i = 0; i < 50; i++)
		RUN("cwd");
}

static int exec_cwd(void *arg)
{
	execl(test_self(), "subject", "cwd", NULL);
	_exit(77);
}

/* Whatever signal its parent asked for at its birth: who executes is an ordinary child. */
TEST(exit_signal_becomes_sigchld)
{
	char *stack =
		OK(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	const int asked[] = { 0, SIGUSR2 };

	on_signal(SIGCHLD, count_signal, SA_RESTART);
	write_file("marker", "");
	for (int i = 0; i < 2; i++) {
		pid_t pid = OK(clone(exec_cwd, stack + 65536, asked[i], NULL));
		siginfo_t info;

		CHECK_EQ(OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | __WALL)), 0);
		CHECK_EQ(signals_seen, i + 1);
		wait_exit(pid, 7);
	}
}
