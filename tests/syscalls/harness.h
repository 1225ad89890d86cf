/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of the system call programs: one static program per topic, a list of cases in each.
 *
 * A case runs in a process of its own, in an empty directory of its own, with a time limit, as the
 * leader of a session without terminal; what it leaves running is killed. Its outcome is one line:
 * `ok NAME`, `not ok NAME: file:line: what`, `skip NAME: reason`; the closing line counts them. The
 * host's Linux is the oracle: a case must be green there before it judges anything else.
 *
 * Arguments: [-d DIR] scratch directory, [-n] no fork (for the first steps of a kernel), [-t N]
 * limit per case in seconds, [-l] list, [NAME...] only cases whose names have one of these words.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

/* An address that no process can read or write, and one that belongs to no process at all. */
#define BAD_PTR	   ((void *)0x10)
#define KERNEL_PTR ((void *)0xffff800000000000)

#define MS_IN_NS 1000000LL

/* Newer than the C library's headers may be. */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

void test_register(struct test_case *c);
/* Ends the case (from any of its processes) as failed or skipped. */
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* A line of its own in the output, for who reads a failure. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *test_errno_name(int error);

#define TEST(name)                                                           \
	static void case_##name(void);                                       \
	static struct test_case entry_##name = { #name, case_##name, NULL }; \
	__attribute__((constructor)) static void register_##name(void)       \
	{                                                                    \
		test_register(&entry_##name);                                \
	}                                                                    \
	static void case_##name(void)

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) test_skip(__VA_ARGS__)

#define CHECK(cond)                        \
	do {                               \
		if (!(cond))               \
			FAIL("%s", #cond); \
	} while (0)

/* Two integers are equal; both are shown. */
#define CHECK_EQ(got, want)                                                                   \
	do {                                                                                  \
		long long got_ = (long long)(got), want_ = (long long)(want);                 \
		if (got_ != want_)                                                            \
			FAIL("%s is %lld (%#llx), wanted %s = %lld", #got, got_, got_, #want, \
			     want_);                                                          \
	} while (0)

#define CHECK_STR(got, want)                                                    \
	do {                                                                    \
		const char *got_ = (got), *want_ = (want);                      \
		if (strcmp(got_, want_))                                        \
			FAIL("%s is \"%s\", wanted \"%s\"", #got, got_, want_); \
	} while (0)

/* The call fails with this errno and no other. */
#define CHECK_ERRNO(call, error)                                                       \
	do {                                                                           \
		errno = 0;                                                             \
		long long r_ = (long long)(call);                                      \
		int e_ = errno;                                                        \
		if (r_ != -1)                                                          \
			FAIL("%s = %lld, wanted %s", #call, r_, #error);               \
		if (e_ != (error))                                                     \
			FAIL("%s: %s, wanted %s", #call, test_errno_name(e_), #error); \
	} while (0)

/* The call does not fail; its value. */
#define OK(call)                                                       \
	({                                                             \
		__typeof__(call) ok_ = (call);                         \
		if (ok_ == (__typeof__(call))-1)                       \
			FAIL("%s: %s", #call, test_errno_name(errno)); \
		ok_;                                                   \
	})

/* CHILD (pid) { what the child does; then it exits with 0 } */
#define CHILD(pid) for ((pid) = OK(fork()); (pid) == 0; _exit(0))

/* Status word of the child, which must be there. */
int wait_status(pid_t pid);
/* The child exits with 0; a failure or a skip in it is passed on. */
void wait_ok(pid_t pid);
/* The child exits with this code, or ends by this signal. */
void wait_exit(pid_t pid, int code);
void wait_signal(pid_t pid, int sig);

/* A gate between processes or threads: who passes it first waits until somebody opens it. */
struct gate {
	int fd[2];
};
struct gate gate_new(void);
void gate_open(struct gate *g);
void gate_pass(struct gate *g);
/* Opens the gate once more than anybody closes: every later passer goes through, also EOF counts.
 */
void gate_close_writer(struct gate *g);

/* Returns when the task sleeps in a call or is stopped or dead (state S, T, t, Z of /proc), or
 * after half a second. */
void settle(pid_t tid);

int64_t now_ns(void);
void sleep_ms(int ms);
/* Works until so much time of the CPU is used up (or ten seconds have gone). */
void burn_ms(int ms);

/* Whole small files. read_file() returns the length and ends the text with NUL. */
void write_file(const char *path, const char *text);
ssize_t read_file(const char *path, char *buf, size_t size);

bool have_cap(int cap);
/* Skips unless the capability is effective. */
void need_cap(int cap, const char *name);
/* Skips unless the effective user is root. */
void need_root(void);
/* A seccomp filter is in force already: a container's may answer where the kernel would not. */
bool filtered(void);
/* Becomes an ordinary user: uid and gid 65534, no groups. Needs root. */
void become_nobody(void);

/*
 * Programs to execute: this program itself, started with the name "subject" or with "--subject" as
 * its first argument, runs the topic's test_subject() and no case.
 */
int test_subject(int argc, char **argv) __attribute__((weak));
/* Absolute path of this program. */
const char *test_self(void);
/* A copy of this program, mode 0755. */
void copy_self(const char *path);

/* Installs a handler. */
void on_signal(int sig, void (*handler)(int), int flags);
void on_siginfo(int sig, void (*handler)(int, siginfo_t *, void *), int flags);
/* A handler that counts in `signals_seen`. */
void count_signal(int sig);
extern volatile sig_atomic_t signals_seen;
