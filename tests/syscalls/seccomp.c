/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2) and prctl(PR_SET_SECCOMP): strict mode, filters, actions, inheritance. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "harness.h"

#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offsetof(struct seccomp_data, field))
#define EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)(value), yes, no)
#define RETURN(value)	      BPF_STMT(BPF_RET | BPF_K, (unsigned int)(value))

static int install(struct sock_filter *f, size_t n, unsigned int flags)
{
	struct sock_fprog prog = { (unsigned short)n, f };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* One call gets this action, all others pass. */
static void deny(long call, unsigned int action)
{
	struct sock_filter f[] = { LOAD(nr), EQUAL(call, 0, 1), RETURN(action), ALLOW };

	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(install(f, 4, 0));
}

TEST(errno_action)
{
	deny(SYS_getpgrp, SECCOMP_RET_ERRNO | EXDEV);
	CHECK_ERRNO(syscall(SYS_getpgrp), EXDEV);
	OK(syscall(SYS_getppid));
	CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
}

TEST(errno_of_zero_and_of_too_much)
{
	deny(SYS_getpgrp, SECCOMP_RET_ERRNO);
	CHECK_EQ(syscall(SYS_getpgrp), 0);
	deny(SYS_getsid, SECCOMP_RET_ERRNO | 0xffff);
	CHECK_ERRNO(syscall(SYS_getsid, 0), 4095);
}

TEST(kill_actions)
{
	pid_t pid;

	CHILD (pid) {
		deny(SYS_getpgrp, SECCOMP_RET_KILL_PROCESS);
		syscall(SYS_getpgrp);
	}
	wait_signal(pid, SIGSYS);
	CHILD (pid) {
		deny(SYS_getpgrp, SECCOMP_RET_KILL_THREAD);
		syscall(SYS_getpgrp);
	}
	wait_signal(pid, SIGSYS);
}

static volatile int trapped, trap_code, trap_arch, trap_errno, trap_result;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	trapped = info->si_syscall;
	trap_code = info->si_code;
	trap_arch = (int)info->si_arch;
	trap_errno = info->si_errno;
	trap_result = (int)uc->uc_mcontext.gregs[REG_RAX];
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

TEST(trap_action)
{
	on_siginfo(SIGSYS, on_trap, 0);
	deny(SYS_getpgrp, SECCOMP_RET_TRAP | 99);
	CHECK_EQ(syscall(SYS_getpgrp), 4711);
	CHECK_EQ(trapped, SYS_getpgrp);
	CHECK_EQ(trap_code, 1);
	CHECK_EQ(trap_errno, 99);
	CHECK_EQ(trap_arch, (int)AUDIT_ARCH_X86_64);
	CHECK_EQ(trap_result, SYS_getpgrp);
}

TEST(arguments_are_seen)
{
	struct sock_filter f[] = {
		LOAD(arch),
		EQUAL(AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		EQUAL(SYS_dup2, 0, 5),
		LOAD(args[0]),
		EQUAL(0x55667788, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
		EQUAL(0x11223344, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOTTY),
		ALLOW,
	};

	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(install(f, sizeof(f) / sizeof(f[0]), 0));
	CHECK_ERRNO(syscall(SYS_dup2, 0x1122334455667788, 0), ENOTTY);
	CHECK_ERRNO(syscall(SYS_dup2, 0x55667788, 0), EBADF);
}

TEST(the_most_severe_wins)
{
	deny(SYS_getpgrp, SECCOMP_RET_ERRNO | EXDEV);
	deny(SYS_getpgrp, SECCOMP_RET_ALLOW);
	CHECK_ERRNO(syscall(SYS_getpgrp), EXDEV);
	/* Of two equally severe ones the younger. */
	deny(SYS_getpgrp, SECCOMP_RET_ERRNO | ENOTTY);
	CHECK_ERRNO(syscall(SYS_getpgrp), ENOTTY);
}

TEST(inherited_by_fork_and_exec)
{
	pid_t pid;

	deny(SYS_getpgrp, SECCOMP_RET_ERRNO | EXDEV);
	CHILD (pid) {
		CHECK_ERRNO(syscall(SYS_getpgrp), EXDEV);
		execl(test_self(), "subject", NULL);
	}
	wait_exit(pid, 7);
}

int test_subject(int argc, char **argv)
{
	return syscall(SYS_getpgrp) == -1 && errno == EXDEV ? 7 : 8;
}

TEST(strict_mode)
{
	pid_t pid;
	int fds[2];

	if (filtered())
		SKIP("a filter is in force: no strict mode");
	OK(pipe(fds));
	CHILD (pid) {
		OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		(void)!write(fds[1], "x", 1);
		syscall(SYS_exit, 3);
	}
	wait_exit(pid, 3);
	CHILD (pid) {
		OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		syscall(SYS_getpid);
	}
	wait_signal(pid, SIGKILL);
}

TEST(needs_no_new_privs_or_a_capability)
{
	struct sock_filter f[] = { ALLOW };

	need_root();
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		SKIP("no_new_privs is set already");
	become_nobody();
	CHECK_ERRNO(install(f, 1, 0), EACCES);
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(install(f, 1, 0));
}

TEST(errors)
{
	struct sock_filter good[] = { ALLOW }, no_return[] = { LOAD(nr) };
	struct sock_filter jump[] = { BPF_STMT(BPF_JMP | BPF_JA, 99), ALLOW };
	struct sock_filter outside[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4096), ALLOW };
	struct sock_filter unaligned[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW };
	struct sock_filter divide[] = { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW };

	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_ERRNO(install(good, 0, 0), EINVAL);
	CHECK_ERRNO(install(good, 5000, 0), EINVAL);
	CHECK_ERRNO(install(no_return, 1, 0), EINVAL);
	CHECK_ERRNO(install(jump, 2, 0), EINVAL);
	CHECK_ERRNO(install(outside, 2, 0), EINVAL);
	CHECK_ERRNO(install(unaligned, 2, 0), EINVAL);
	CHECK_ERRNO(install(divide, 2, 0), EINVAL);
	CHECK_ERRNO(install(good, 1, 0x8000), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_seccomp, 99, 0, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_SECCOMP, 77), EINVAL);
}

TEST(arithmetic_of_filters)
{
	struct sock_filter f[] = {
		LOAD(nr),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 5),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_IMM, 3),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ST, 7),
		BPF_STMT(BPF_LD | BPF_IMM, 0),
		BPF_STMT(BPF_LD | BPF_MEM, 7),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 8),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 4),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 3),
		EQUAL(SYS_getpgrp * 4 + 3, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EDOM),
		ALLOW,
	};

	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(install(f, sizeof(f) / sizeof(f[0]), 0));
	CHECK_ERRNO(syscall(SYS_getpgrp), EDOM);
	OK(syscall(SYS_getppid));
}

TEST(available_actions)
{
	unsigned int action = SECCOMP_RET_TRAP;

	OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	action = 0x12340000;
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
}

struct synced {
	struct gate ready, go;
	long result;
	int error;
};

static void *synced_thread(void *arg)
{
	struct synced *s = arg;

	gate_open(&s->ready);
	gate_pass(&s->go);
	s->result = syscall(SYS_getpgrp);
	s->error = errno;
	return NULL;
}

TEST(one_thread_or_all)
{
	struct sock_filter f[] = { LOAD(nr), EQUAL(SYS_getpgrp, 0, 1),
				   RETURN(SECCOMP_RET_ERRNO | EXDEV), ALLOW };
	struct synced s = { gate_new(), gate_new(), 0, 0 };
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, synced_thread, &s), 0);
	gate_pass(&s.ready);
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(install(f, 4, SECCOMP_FILTER_FLAG_TSYNC));
	gate_open(&s.go);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(s.result, -1);
	CHECK_EQ(s.error, EXDEV);
}

/* A thread with a filter that the others do not have. */
static void *filtered_thread(void *arg)
{
	struct synced *s = arg;

	deny(SYS_getpgrp, SECCOMP_RET_ERRNO | EXDEV);
	s->result = syscall(SYS_gettid);
	gate_open(&s->ready);
	gate_pass(&s->go);
	return NULL;
}

TEST(a_thread_that_went_its_own_way)
{
	struct sock_filter f[] = { ALLOW };
	struct synced s = { gate_new(), gate_new(), 0, 0 };
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, filtered_thread, &s), 0);
	gate_pass(&s.ready);
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_EQ(install(f, 1, SECCOMP_FILTER_FLAG_TSYNC), s.result);
	CHECK_ERRNO(install(f, 1, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH),
		    ESRCH);
	gate_open(&s.go);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(actions_that_let_go_and_trace)
{
	struct sock_filter f[] = { ALLOW };

	deny(SYS_getpgrp, SECCOMP_RET_LOG);
	OK(syscall(SYS_getpgrp));
	/* Nobody traces. */
	deny(SYS_getsid, SECCOMP_RET_TRACE | 5);
	CHECK_ERRNO(syscall(SYS_getsid, 0), ENOSYS);
	OK(install(f, 1, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW));
}

TEST(shown_in_status)
{
	char text[4096];

	deny(SYS_getpgrp, SECCOMP_RET_ERRNO);
	read_file("/proc/self/status", text, sizeof(text));
	CHECK(strstr(text, "\nSeccomp:\t2\n"));
}
