/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_prctl.c - prctl(2). */
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "sentry/syscall/syscall.h"
#include "sentry/task/cred_change.h"
#include "sentry/task/seccomp.h"

#define TIMER_SLACK_DEFAULT_NS 50000

static sysret_t int_out(struct task *t, uaddr_t addr, int value)
{
	return user_copy_out(task_um(t), addr, &value, sizeof(value));
}

static sysret_t set_name(struct task *t, uaddr_t addr)
{
	char name[sizeof(t->comm)] = "";
	const ssize_t n = user_copy_string(task_um(t), name, addr, sizeof(name));

	if (n < 0 && n != -ENAMETOOLONG)
		return n;
	name[sizeof(name) - 1] = '\0';
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, name, strnlen(name, sizeof(name) - 1));
	return 0;
}

static sysret_t set_dumpable(struct task *t, uint64_t value)
{
	if (value > 1)
		return -EINVAL;
	t->mm->dumpable = value;
	return 0;
}

static sysret_t set_pdeath(struct task *t, uint64_t sig)
{
	if (sig > KNSIG)
		return -EINVAL;
	t->sig.pdeath_signal = (int)sig;
	return 0;
}

static bool rest_is_zero(const struct syscall_args *a, unsigned int from)
{
	for (; from < 5; from++)
		if (arg_u64(a, from))
			return false;
	return true;
}

/* Options about credentials; *ret_known says whether it was one. */
static sysret_t prctl_cred(struct task *t, const struct syscall_args *a, bool *ret_known)
{
	const uint64_t arg = arg_u64(a, 1);

	*ret_known = true;
	switch (arg_int(a, 0)) {
	case PR_GET_KEEPCAPS:
		return t->cred->securebits >> 4 & 1;
	case PR_SET_KEEPCAPS:
		return cred_set_keepcaps(t, arg);
	case PR_GET_SECUREBITS:
		return t->cred->securebits;
	case PR_SET_SECUREBITS:
		return cred_set_securebits(t, arg);
	case PR_CAPBSET_READ:
		return arg > CRED_CAP_LAST ? -EINVAL : (sysret_t)(t->cred->cap_bounding >> arg & 1);
	case PR_CAPBSET_DROP:
		return cred_drop_bounding(t, arg);
	case PR_CAP_AMBIENT:
		return rest_is_zero(a, 3) ? cred_ambient(t, arg, arg_u64(a, 2)) : -EINVAL;
	case PR_GET_NO_NEW_PRIVS:
		return rest_is_zero(a, 1) ? t->cred->no_new_privs : -EINVAL;
	case PR_SET_NO_NEW_PRIVS:
		return arg == 1 && rest_is_zero(a, 2) ? cred_set_no_new_privs(t) : -EINVAL;
	case PR_GET_SECCOMP:
		return seccomp_mode(t);
	case PR_SET_SECCOMP:
		return seccomp_set_mode(t, arg, arg_uaddr(a, 2));
	default:
		*ret_known = false;
		return 0;
	}
}

/* Options that machines without the thing answer with EINVAL are not listed. */
static sysret_t prctl_process(struct task *t, const struct syscall_args *a)
{
	const uint64_t arg = arg_u64(a, 1);

	switch (arg_int(a, 0)) {
	case PR_GET_PDEATHSIG:
		return int_out(t, arg, t->sig.pdeath_signal);
	case PR_SET_PDEATHSIG:
		return set_pdeath(t, arg);
	case PR_GET_NAME:
		return user_copy_out(task_um(t), arg, t->comm, sizeof(t->comm));
	case PR_SET_NAME:
		return set_name(t, arg);
	case PR_GET_DUMPABLE:
		return t->mm->dumpable;
	case PR_SET_DUMPABLE:
		return set_dumpable(t, arg);
	case PR_GET_CHILD_SUBREAPER:
		return int_out(t, arg, t->tg->subreaper);
	case PR_SET_CHILD_SUBREAPER:
		t->tg->subreaper = arg;
		return 0;
	case PR_GET_TIMERSLACK:
		return (sysret_t)t->timer_slack_ns;
	case PR_SET_TIMERSLACK:
		t->timer_slack_ns = arg_i64(a, 1) > 0 ? arg : TIMER_SLACK_DEFAULT_NS;
		return 0;
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return arg == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_GET_TID_ADDRESS:
		return user_copy_out(task_um(t), arg, &t->clear_child_tid,
				     sizeof(t->clear_child_tid));
	case PR_GET_TSC:
		return int_out(t, arg, PR_TSC_ENABLE);
	case PR_SET_TSC:
		return arg == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_GET_THP_DISABLE:
		return rest_is_zero(a, 1) ? t->tg->thp_disable : -EINVAL;
	case PR_SET_THP_DISABLE:
		if (!rest_is_zero(a, 2))
			return -EINVAL;
		t->tg->thp_disable = arg;
		return 0;
	case PR_MCE_KILL_GET:
		return rest_is_zero(a, 1) ? PR_MCE_KILL_DEFAULT : -EINVAL;
	case PR_SET_PTRACER:
		return 0; /* no Yama here: whoever may trace needs no leave */
	case PR_SET_MM:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

sysret_t sys_prctl(struct task *t, const struct syscall_args *a)
{
	bool known;
	const sysret_t r = prctl_cred(t, a, &known);

	return known ? r : prctl_process(t, a);
}
