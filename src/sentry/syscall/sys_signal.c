/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_signal.c - handlers, masks, stacks of signals (rt_sigaction(2) and kin). */
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/altstack.h"
#include "sentry/task/run.h"
#include "sentry/task/sigframe_user.h"

#define SIGSET_BYTES sizeof(kernel_sigset_t)

sysret_t sys_rt_sigaction(struct task *t, const struct syscall_args *a)
{
	const int sig = arg_int(a, 0);
	const uaddr_t new_addr = arg_uaddr(a, 1), old_addr = arg_uaddr(a, 2);
	struct kernel_sigaction action, old;
	int r = 0;

	if (arg_u64(a, 3) != SIGSET_BYTES)
		return -EINVAL;
	if (new_addr)
		r = user_copy_in(task_um(t), &action, new_addr, sizeof(action));
	if (r < 0)
		return r;
	if (sig < 1 || sig > KNSIG || (new_addr && (SIG_BIT(sig) & SIG_UNBLOCKABLE)))
		return -EINVAL;
	signal_set_action(t, sig, new_addr ? &action : NULL, &old);
	return old_addr ? user_copy_out(task_um(t), old_addr, &old, sizeof(old)) : 0;
}

sysret_t sys_rt_sigprocmask(struct task *t, const struct syscall_args *a)
{
	const uaddr_t new_addr = arg_uaddr(a, 1), old_addr = arg_uaddr(a, 2);
	const kernel_sigset_t old = t->sig.blocked;
	kernel_sigset_t set;

	if (arg_u64(a, 3) != SIGSET_BYTES)
		return -EINVAL;
	if (new_addr) {
		if (user_copy_in(task_um(t), &set, new_addr, sizeof(set)) < 0)
			return -EFAULT;
		switch (arg_int(a, 0)) {
		case SIG_BLOCK:
			signal_set_blocked(t, old | set);
			break;
		case SIG_UNBLOCK:
			signal_set_blocked(t, old & ~set);
			break;
		case SIG_SETMASK:
			signal_set_blocked(t, set);
			break;
		default:
			return -EINVAL;
		}
	}
	return old_addr ? user_copy_out(task_um(t), old_addr, &old, sizeof(old)) : 0;
}

sysret_t sys_rt_sigreturn(struct task *t, const struct syscall_args *a)
{
	if (sigframe_pop(t) < 0)
		signal_force(t, SIGSEGV, NULL);
	return 0;
}

sysret_t sys_rt_sigpending(struct task *t, const struct syscall_args *a)
{
	const kernel_sigset_t set = signal_pending_set(t) & t->sig.blocked;
	const uint64_t size = arg_u64(a, 1);

	if (size > SIGSET_BYTES)
		return -EINVAL;
	return user_copy_out(task_um(t), arg_uaddr(a, 0), &set, size);
}

sysret_t sys_rt_sigsuspend(struct task *t, const struct syscall_args *a)
{
	kernel_sigset_t set;

	if (arg_u64(a, 1) != SIGSET_BYTES)
		return -EINVAL;
	if (user_copy_in(task_um(t), &set, arg_uaddr(a, 0), sizeof(set)) < 0)
		return -EFAULT;
	signal_set_temporary_mask(t, set);
	/* Whatever interrupts ends the call: what it was is seen on the way out. */
	while (!signal_pending(t) && fiber_park(NSEC_NEVER, true) != -EINTR)
		;
	return -ERESTARTNOHAND;
}

sysret_t sys_pause(struct task *t, const struct syscall_args *a)
{
	/* Whatever interrupts ends the call: what it was is seen on the way out. */
	while (!signal_pending(t) && fiber_park(NSEC_NEVER, true) != -EINTR)
		;
	return -ERESTARTNOHAND;
}

sysret_t sys_rt_sigtimedwait(struct task *t, const struct syscall_args *a)
{
	const uaddr_t info_addr = arg_uaddr(a, 1), timeout = arg_uaddr(a, 2);
	nsec_t deadline = NSEC_NEVER;
	kernel_sigset_t set;
	siginfo_t info;
	int sig;

	if (arg_u64(a, 3) != SIGSET_BYTES)
		return -EINVAL;
	if (user_copy_in(task_um(t), &set, arg_uaddr(a, 0), sizeof(set)) < 0)
		return -EFAULT;
	if (timeout) {
		struct timespec ts;
		nsec_t ns;

		if (user_copy_in(task_um(t), &ts, timeout, sizeof(ts)) < 0)
			return -EFAULT;
		if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long)NSEC_PER_SEC)
			return -EINVAL;
		ns = timespec_to_nsec(&ts);
		deadline = ns ? nsec_add(kclock_monotonic(), ns) : 0;
	}
	sig = signal_wait(t, set, deadline, &info);
	if (sig > 0 && info_addr && user_copy_out(task_um(t), info_addr, &info, sizeof(info)) < 0)
		return -EFAULT;
	return sig;
}

sysret_t sys_sigaltstack(struct task *t, const struct syscall_args *a)
{
	const uaddr_t new_addr = arg_uaddr(a, 0), old_addr = arg_uaddr(a, 1);
	const struct arch_regs *regs = task_regs(t);
	struct sigframe_stack s, old;
	int r = 0;

	if (!regs)
		return -EFAULT;
	if (new_addr && user_copy_in(task_um(t), &s, new_addr, sizeof(s)) < 0)
		return -EFAULT;
	altstack_describe(t, regs->r.rsp, &old);
	if (new_addr)
		r = altstack_set(t, regs->r.rsp, &s);
	if (r == 0 && old_addr)
		r = user_copy_out(task_um(t), old_addr, &old, sizeof(old));
	return r;
}
