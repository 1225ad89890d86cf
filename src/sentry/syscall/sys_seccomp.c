/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_seccomp.c - seccomp(2). */
#include <linux/seccomp.h>

#include "sentry/syscall/syscall.h"
#include "sentry/task/seccomp.h"

static sysret_t action_available(struct task *t, uaddr_t addr)
{
	uint32_t action;

	if (user_copy_in(task_um(t), &action, addr, sizeof(action)) < 0)
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_USER_NOTIF:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static sysret_t notification_sizes(struct task *t, uaddr_t addr)
{
	const struct seccomp_notif_sizes sizes = { sizeof(struct seccomp_notif),
						   sizeof(struct seccomp_notif_resp),
						   sizeof(struct seccomp_data) };

	return user_copy_out(task_um(t), addr, &sizes, sizeof(sizes));
}

sysret_t sys_seccomp(struct task *t, const struct syscall_args *a)
{
	const unsigned int flags = arg_uint(a, 1);
	const uaddr_t arg = arg_uaddr(a, 2);

	switch (arg_uint(a, 0)) {
	case SECCOMP_SET_MODE_STRICT:
		return flags || arg ? -EINVAL : seccomp_set_strict(t);
	case SECCOMP_SET_MODE_FILTER:
		return seccomp_set_filter(t, flags, arg);
	case SECCOMP_GET_ACTION_AVAIL:
		return flags ? -EINVAL : action_available(t, arg);
	case SECCOMP_GET_NOTIF_SIZES:
		return flags ? -EINVAL : notification_sizes(t, arg);
	default:
		return -EINVAL;
	}
}
