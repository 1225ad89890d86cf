/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a stopped stub makes for the kernel: ptrace(2) sets its registers to the code page
 * ("syscall; int3") and lets it run up to the breakpoint.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "sentry/arch/fpu.h"
#include "sentry/platform/ptrace/ptrace_internal.h"

/* Until the next stop of t. 0 or -ESRCH. */
static int next_stop(struct platform_thread *t, int *ret_status)
{
	int status;
	pid_t r;

	do
		r = waitpid(t->tid, &status, __WALL);
	while (r < 0 && errno == EINTR);
	if (r < 0 || !WIFSTOPPED(status)) {
		t->dead = true;
		return -ESRCH;
	}
	*ret_status = status;
	return 0;
}

int ptrace_load_regs(struct platform_thread *t)
{
	if (t->regs_valid)
		return 0;
	if (t->dead || ptrace(PTRACE_GETREGS, t->tid, 0, &t->regs.r) < 0)
		return -ESRCH;
	t->regs_valid = true;
	return 0;
}

/*
 * Run the code page. A new thread (clone) is reported in *child (may be NULL). Interrupts that were
 * on their way show as further stops and are remembered.
 */
static int64_t run_code(struct platform_thread *t, uint64_t nr, const uint64_t args[6],
			pid_t *child)
{
	struct user_regs_struct regs;
	unsigned long message;
	int status, r;

	r = ptrace_load_regs(t);
	if (r < 0)
		return r;
	regs = t->regs.r;
	regs.rip = ptrace_code_uaddr;
	regs.rax = nr;
	regs.orig_rax = (uint64_t)-1;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	regs.eflags &= ~0x100ull; /* no single step */
	t->regs_dirty = true;
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &regs) < 0)
		return -ESRCH;
	for (;;) {
		if (ptrace(PTRACE_CONT, t->tid, 0, 0) < 0)
			return -ESRCH;
		r = next_stop(t, &status);
		if (r < 0)
			return r;
		if (child && status >> 16 && status >> 16 != PTRACE_EVENT_STOP) {
			if (ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &message) < 0)
				return -ESRCH;
			*child = (pid_t)message;
		} else if (status >> 16 == PTRACE_EVENT_STOP) {
			t->interrupted = true;
		} else if (WSTOPSIG(status) == SIGTRAP) {
			break;
		}
	}
	if (ptrace(PTRACE_GETREGS, t->tid, 0, &regs) < 0)
		return -ESRCH;
	return (int64_t)regs.rax;
}

/* struct rt_sigframe of Linux on x86-64: the return address, then struct ucontext. */
#define FRAME_GREGS (8 + offsetof(ucontext_t, uc_mcontext.gregs))

/* Let the signal be delivered on the scratch, up to the first instruction of a handler. */
static bool step_into_handler(struct platform_thread *t, int sig, struct user_regs_struct *regs)
{
	const struct user_regs_struct old = *regs;
	int status;

	regs->rsp = ptrace_scratch_uaddr + PTRACE_SCRATCH_LEN;
	if (ptrace(PTRACE_SETREGS, t->tid, 0, regs) < 0 ||
	    ptrace(PTRACE_SINGLESTEP, t->tid, 0, sig) < 0 || next_stop(t, &status) < 0)
		return false;
	if (status >> 16 == PTRACE_EVENT_STOP)
		t->interrupted = true;
	if (ptrace(PTRACE_GETREGS, t->tid, 0, regs) < 0 ||
	    ptrace(PTRACE_SETREGS, t->tid, 0, &old) < 0)
		return false;
	return status >> 16 == 0 && WSTOPSIG(status) == SIGTRAP;
}

/*
 * ptrace(2) does not tell error codes, but a signal frame does. So the thread gets one: the handler
 * that the seed has set is never executed, and registers and FPU are put back.
 */
bool ptrace_read_trap(struct platform_thread *t, int sig, uint64_t *ret_trap, uint64_t *ret_error)
{
	uint8_t fpu[FPU_SIZE_MAX];
	struct iovec iov = { fpu, sizeof(fpu) };
	struct user_regs_struct regs;
	gregset_t g;
	bool ok;

	if (sig != SIGSEGV && sig != SIGBUS)
		return false;
	if (ptrace(PTRACE_GETREGS, t->tid, 0, &regs) < 0 ||
	    ptrace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &iov) < 0)
		return false;
	ok = step_into_handler(t, sig, &regs);
	if (t->dead || ptrace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &iov) < 0)
		return false;
	if (!ok || ptrace_read(t->space, g, regs.rsp + FRAME_GREGS, sizeof(g)) != sizeof(g))
		return false;
	*ret_trap = (uint64_t)g[REG_TRAPNO];
	*ret_error = (uint64_t)g[REG_ERR];
	return true;
}

int64_t ptrace_inject(struct platform_thread *t, uint64_t nr, const uint64_t args[6])
{
	return run_code(t, nr, args, NULL);
}

int ptrace_inject_clone(struct platform_thread *t, uint64_t flags, pid_t *ret)
{
	const uint64_t args[6] = { flags };
	pid_t child = 0;
	const int64_t r = run_code(t, SYS_clone, args, &child);
	int status;

	if (r < 0)
		return (int)r;
	if (child <= 0)
		return -ESRCH;
	while (waitpid(child, &status, __WALL) < 0) {
		if (errno != EINTR)
			return -ESRCH;
	}
	if (!WIFSTOPPED(status))
		return -ESRCH;
	*ret = child;
	return 0;
}

/* Hand a descriptor over: its number in the stub, or -errno. */
static int64_t donate(struct platform_thread *t, int host_fd)
{
	/* struct msghdr, iovec, byte and control buffer, as the stub's recvmsg(2) wants them. */
	struct scratch {
		struct msghdr msg;
		struct iovec iov;
		char byte;
		_Alignas(8) char control[CMSG_SPACE(sizeof(int))];
	} s = { 0 };
	const uaddr_t at = ptrace_scratch_uaddr;
	const uint64_t args[6] = { (uint64_t)ptrace_taker_fd_number, at, MSG_CMSG_CLOEXEC };
	int64_t r;
	int number;

	s.msg.msg_iov = (void *)(uintptr_t)(at + offsetof(struct scratch, iov));
	s.msg.msg_iovlen = 1;
	s.msg.msg_control = (void *)(uintptr_t)(at + offsetof(struct scratch, control));
	s.msg.msg_controllen = sizeof(s.control);
	s.iov.iov_base = (void *)(uintptr_t)(at + offsetof(struct scratch, byte));
	s.iov.iov_len = 1;
	if (ptrace_write(t->space, at, &s, sizeof(s)) != (ssize_t)sizeof(s))
		return -ESRCH;
	r = fd_send(ptrace_donor_fd, "", 1, &host_fd, 1);
	if (r < 0)
		return r;
	r = ptrace_inject(t, SYS_recvmsg, args);
	if (r < 0)
		return r;
	if (ptrace_read(t->space, &s, at, sizeof(s)) != (ssize_t)sizeof(s))
		return -ESRCH;
	memcpy(&number, s.control + CMSG_LEN(0), sizeof(number));
	return number;
}

int ptrace_map(struct platform_thread *t, const struct platform_map *map)
{
	uint64_t args[6] = { map->addr, map->len,     (uint64_t)map->prot,
			     MAP_FIXED, (uint64_t)-1, map->offset };
	int64_t r, fd = -1;

	args[3] |= map->shared ? MAP_SHARED : MAP_PRIVATE;
	args[3] |= map->noreserve ? MAP_NORESERVE : 0;
	if (map->host_fd < 0) {
		args[3] |= MAP_ANONYMOUS;
	} else {
		fd = donate(t, map->host_fd);
		if (fd < 0)
			return (int)fd;
		args[4] = (uint64_t)fd;
	}
	r = ptrace_inject(t, SYS_mmap, args);
	if (fd >= 0) {
		const uint64_t close_args[6] = { (uint64_t)fd };

		(void)ptrace_inject(t, SYS_close, close_args);
	}
	return r < 0 ? (int)r : 0;
}

int ptrace_unmap(struct platform_thread *t, uaddr_t addr, uint64_t len)
{
	const uint64_t args[6] = { addr, len };

	return (int)ptrace_inject(t, SYS_munmap, args);
}

int ptrace_protect(struct platform_thread *t, uaddr_t addr, uint64_t len, int prot)
{
	const uint64_t args[6] = { addr, len, (uint64_t)prot };

	return (int)ptrace_inject(t, SYS_mprotect, args);
}

int ptrace_advise(struct platform_thread *t, uaddr_t addr, uint64_t len, int advice)
{
	const uint64_t args[6] = { addr, len, (uint64_t)advice };

	return (int)ptrace_inject(t, SYS_madvise, args);
}

int ptrace_move(struct platform_thread *t, uaddr_t old_addr, uint64_t old_len, uaddr_t new_addr,
		uint64_t new_len)
{
	const uint64_t args[6] = { old_addr, old_len, new_len, MREMAP_MAYMOVE | MREMAP_FIXED,
				   new_addr };
	const int64_t r = ptrace_inject(t, SYS_mremap, args);

	return r < 0 ? (int)r : 0;
}

ssize_t ptrace_read(struct platform_space *s, void *dst, uaddr_t src, size_t len)
{
	const struct iovec local = { dst, len };
	const struct iovec remote = { (void *)(uintptr_t)src, len };
	const ssize_t n = process_vm_readv(s->pid, &local, 1, &remote, 1, 0);

	if (n >= 0)
		return n;
	return errno == ESRCH ? -ESRCH : 0;
}

ssize_t ptrace_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len)
{
	const struct iovec local = { (void *)(uintptr_t)src, len };
	const struct iovec remote = { (void *)(uintptr_t)dst, len };
	const ssize_t n = process_vm_writev(s->pid, &local, 1, &remote, 1, 0);

	if (n >= 0)
		return n;
	return errno == ESRCH ? -ESRCH : 0;
}
