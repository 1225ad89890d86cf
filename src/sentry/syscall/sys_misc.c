/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_misc.c - arch_prctl(2), personality(2), getrandom(2), restart_syscall(2). */
#include <asm/prctl.h>
#include <sys/random.h>

#include "sentry/syscall/syscall.h"
#include "sentry/task/run.h"

#ifndef ARCH_CET_STATUS
#define ARCH_CET_STATUS 0x3001
#endif

static sysret_t set_base(struct task *t, uint64_t value, bool gs)
{
	struct arch_regs *regs;

	if (value >= PLATFORM_GUEST_TOP)
		return -EPERM;
	regs = task_regs_change(t);
	if (!regs)
		return -EFAULT;
	if (gs)
		regs->r.gs_base = value;
	else
		regs->r.fs_base = value;
	return 0;
}

static sysret_t get_base(struct task *t, uaddr_t to, bool gs)
{
	const struct arch_regs *regs = task_regs(t);
	uint64_t value;

	if (!regs)
		return -EFAULT;
	value = gs ? regs->r.gs_base : regs->r.fs_base;
	return user_copy_out(task_um(t), to, &value, sizeof(value));
}

sysret_t sys_arch_prctl(struct task *t, const struct syscall_args *a)
{
	switch (arg_int(a, 0)) {
	case ARCH_SET_FS:
		return set_base(t, arg_u64(a, 1), false);
	case ARCH_SET_GS:
		return set_base(t, arg_u64(a, 1), true);
	case ARCH_GET_FS:
		return get_base(t, arg_uaddr(a, 1), false);
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV; /* as a CPU without faulting CPUID */
	case ARCH_GET_GS:
		return get_base(t, arg_uaddr(a, 1), true);
	default:
		return -EINVAL;
	}
}

sysret_t sys_personality(struct task *t, const struct syscall_args *a)
{
	const uint32_t old = t->personality;

	if (arg_uint(a, 0) != 0xffffffffu)
		t->personality = arg_uint(a, 0);
	return old;
}

sysret_t sys_restart_syscall(struct task *t, const struct syscall_args *a)
{
	const struct restart_block block = t->restart;

	t->restart.fn = NULL;
	return block.fn ? block.fn(t, &block) : -EINTR;
}

#define RANDOM_CHUNK 256

sysret_t sys_getrandom(struct task *t, const struct syscall_args *a)
{
	const uaddr_t to = arg_uaddr(a, 0);
	const unsigned int flags = arg_uint(a, 2);
	uint64_t len = arg_u64(a, 1);
	uint64_t done = 0;

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_INSECURE | GRND_RANDOM)) == (GRND_INSECURE | GRND_RANDOM))
		return -EINVAL;
	if (len > INT32_MAX)
		len = INT32_MAX;
	while (done < len) {
		uint8_t chunk[RANDOM_CHUNK];
		const size_t n = len - done < sizeof(chunk) ? len - done : sizeof(chunk);

		if (getrandom(chunk, n, 0) != (ssize_t)n)
			return -EIO;
		if (user_copy_out(task_um(t), to + done, chunk, n) < 0)
			return done ? (sysret_t)done : -EFAULT;
		done += n;
		fiber_resched();
		if (signal_pending(t))
			break;
	}
	return (sysret_t)done;
}
