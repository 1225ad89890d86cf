/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seed: a child of the sentry whose memory is emptied but for one code page and one page of
 * scratch, without descriptors but for the socket that donated ones arrive at. Spaces are its
 * forks.
 */
#include <assert.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/platform/ptrace/ptrace_internal.h"

#define SEED_TOP    0x7ffffffff000ull /* the end of a user address space, 4-level page tables */
#define SEED_TRIES  64
#define SEED_STRIDE 0x100000000ull

#define SA_RESTORER_FLAG 0x04000000u /* of Linux, not of libc */

uaddr_t ptrace_code_uaddr, ptrace_scratch_uaddr;
int ptrace_donor_fd = -EBADF, ptrace_taker_fd_number = 0;

/* A free place above the guest's range, in us and so in our child. */
static char *map_pages(void)
{
	for (uint64_t i = 1; i <= SEED_TRIES; i++) {
		const uint64_t at = PLATFORM_GUEST_TOP + i * SEED_STRIDE;
		char *page = mmap((void *)(uintptr_t)at, PTRACE_CODE_LEN + PTRACE_SCRATCH_LEN,
				  PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (page != MAP_FAILED)
			return page;
	}
	return NULL;
}

/*
 * No signal frame without a handler (ptrace_read_trap()), which nobody ever executes. By the bare
 * call: its mask must be empty whatever a sanitizer makes of sigaction(2).
 */
static void set_handler(int sig)
{
	const struct {
		uint64_t handler, flags, restorer, mask;
	} act = { .handler = ptrace_code_uaddr,
		  .flags = SA_SIGINFO | SA_NODEFER | SA_RESTORER_FLAG,
		  .restorer = ptrace_code_uaddr };

	(void)syscall(SYS_rt_sigaction, sig, &act, NULL, sizeof(act.mask));
}

/* The child: nothing of libc's stays registered with the kernel, then it stops to be traced. */
static _Noreturn void seed_main(int taker)
{
	const sigset_t none = { 0 };

	if (__rseq_size > 0)
		(void)syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
			      1 /* RSEQ_FLAG_UNREGISTER */, 0x53053053);
	(void)syscall(SYS_set_robust_list, NULL, 0);
	(void)syscall(SYS_set_tid_address, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	set_handler(SIGSEGV);
	set_handler(SIGBUS);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (dup2(taker, 0) < 0 || syscall(SYS_close_range, 1, ~0u, 0) < 0)
		_exit(1);
	for (;;)
		(void)raise(SIGSTOP);
}

static int wait_for_stop(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL | WUNTRACED) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFSTOPPED(status) ? 0 : -ESRCH;
}

static int seize(pid_t pid)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
			     PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;

	if (ptrace(PTRACE_SEIZE, pid, 0, options) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		return -errno;
	return wait_for_stop(pid);
}

static int empty_memory(struct platform_thread *t)
{
	const uint64_t low[6] = { 0, ptrace_code_uaddr };
	const uint64_t high_start = ptrace_scratch_uaddr + PTRACE_SCRATCH_LEN;
	const uint64_t high[6] = { high_start, SEED_TOP - high_start };
	int64_t r = ptrace_inject(t, SYS_munmap, low);

	if (r == 0)
		r = ptrace_inject(t, SYS_munmap, high);
	return (int)r;
}

/* Into the scratch page, before the child has its copy of it. */
static void prepare_filter(char *scratch)
{
	struct sock_fprog program = {
		.filter = (struct sock_filter *)(void *)(scratch + sizeof(program)),
	};

	program.len = (unsigned short)ptrace_filter(program.filter);
	memcpy(scratch, &program, sizeof(program));
}

/* A kernel without filters is one of those that this platform is for. */
static int install_filter(struct platform_thread *t)
{
	const uint64_t args[6] = { SECCOMP_SET_MODE_FILTER, 0, ptrace_scratch_uaddr };
	const int64_t r = ptrace_inject(t, SYS_seccomp, args);

	return r == -ENOSYS || r == -EINVAL ? 0 : (int)r;
}

int ptrace_seed_start(struct platform_thread **ret)
{
	int pair[2], r;
	char *page = map_pages();
	struct platform_thread *t;
	struct platform_space *space;
	pid_t pid;

	if (!page)
		return -ENOMEM;
	memcpy(page, "\x0f\x05\xcc", 3); /* syscall; int3 */
	if (mprotect(page, PTRACE_CODE_LEN, PROT_READ | PROT_EXEC) < 0)
		return -errno;
	ptrace_code_uaddr = (uintptr_t)page;
	ptrace_scratch_uaddr = ptrace_code_uaddr + PTRACE_CODE_LEN;
	prepare_filter(page + PTRACE_CODE_LEN);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		seed_main(pair[1]);
	r = pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	(void)munmap(page, PTRACE_CODE_LEN + PTRACE_SCRATCH_LEN);
	ptrace_donor_fd = pair[0];
	if (r == 0)
		r = wait_for_stop(pid); /* its own SIGSTOP */
	if (r == 0)
		r = seize(pid);
	if (r < 0)
		return r;
	space = calloc(1, sizeof(*space));
	t = space ? ptrace_thread_new(space, pid) : NULL;
	if (!t) {
		free(space);
		return -ENOMEM;
	}
	space->refs = 1;
	space->pid = pid;
	space->threads = 1;
	space->leader = t;
	r = empty_memory(t);
	if (r == 0)
		r = install_filter(t);
	if (r == 0)
		*ret = t;
	return r;
}
