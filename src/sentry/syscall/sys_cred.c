/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_cred.c - user and group ids, groups, capabilities. */
#include <linux/capability.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/cred_change.h"

sysret_t sys_getuid(struct task *t, const struct syscall_args *a)
{
	return task_uid_out(t, t->cred->uid);
}

sysret_t sys_geteuid(struct task *t, const struct syscall_args *a)
{
	return task_uid_out(t, t->cred->euid);
}

sysret_t sys_getgid(struct task *t, const struct syscall_args *a)
{
	return task_gid_out(t, t->cred->gid);
}

sysret_t sys_getegid(struct task *t, const struct syscall_args *a)
{
	return task_gid_out(t, t->cred->egid);
}

static sysret_t three_out(struct task *t, const struct syscall_args *a, uint32_t x, uint32_t y,
			  uint32_t z)
{
	int r = user_copy_out(task_um(t), arg_uaddr(a, 0), &x, sizeof(x));

	if (r == 0)
		r = user_copy_out(task_um(t), arg_uaddr(a, 1), &y, sizeof(y));
	if (r == 0)
		r = user_copy_out(task_um(t), arg_uaddr(a, 2), &z, sizeof(z));
	return r;
}

sysret_t sys_getresuid(struct task *t, const struct syscall_args *a)
{
	return three_out(t, a, task_uid_out(t, t->cred->uid), task_uid_out(t, t->cred->euid),
			 task_uid_out(t, t->cred->suid));
}

sysret_t sys_getresgid(struct task *t, const struct syscall_args *a)
{
	return three_out(t, a, task_gid_out(t, t->cred->gid), task_gid_out(t, t->cred->egid),
			 task_gid_out(t, t->cred->sgid));
}

static uint32_t uid_in(const struct task *t, uint32_t uid)
{
	return user_ns_uid_in(t->cred->user_ns, uid);
}

static uint32_t gid_in(const struct task *t, uint32_t gid)
{
	return user_ns_gid_in(t->cred->user_ns, gid);
}

/* An id that the caller's user namespace does not know, not "as it is". */
static bool is_strange(uint32_t given, uint32_t kernel_id)
{
	return given != CRED_KEEP && kernel_id == ID_INVALID;
}

sysret_t sys_setuid(struct task *t, const struct syscall_args *a)
{
	return cred_setuid(t, uid_in(t, arg_uint(a, 0)));
}

sysret_t sys_setreuid(struct task *t, const struct syscall_args *a)
{
	const uint32_t r = uid_in(t, arg_uint(a, 0)), e = uid_in(t, arg_uint(a, 1));

	if (is_strange(arg_uint(a, 0), r) || is_strange(arg_uint(a, 1), e))
		return -EINVAL;
	return cred_setreuid(t, r, e);
}

sysret_t sys_setresuid(struct task *t, const struct syscall_args *a)
{
	const uint32_t r = uid_in(t, arg_uint(a, 0)), e = uid_in(t, arg_uint(a, 1));
	const uint32_t s = uid_in(t, arg_uint(a, 2));

	if (is_strange(arg_uint(a, 0), r) || is_strange(arg_uint(a, 1), e) ||
	    is_strange(arg_uint(a, 2), s))
		return -EINVAL;
	return cred_setresuid(t, r, e, s);
}

sysret_t sys_setfsuid(struct task *t, const struct syscall_args *a)
{
	return task_uid_out(t, cred_setfsuid(t, uid_in(t, arg_uint(a, 0))));
}

sysret_t sys_setgid(struct task *t, const struct syscall_args *a)
{
	return cred_setgid(t, gid_in(t, arg_uint(a, 0)));
}

sysret_t sys_setregid(struct task *t, const struct syscall_args *a)
{
	const uint32_t r = gid_in(t, arg_uint(a, 0)), e = gid_in(t, arg_uint(a, 1));

	if (is_strange(arg_uint(a, 0), r) || is_strange(arg_uint(a, 1), e))
		return -EINVAL;
	return cred_setregid(t, r, e);
}

sysret_t sys_setresgid(struct task *t, const struct syscall_args *a)
{
	const uint32_t r = gid_in(t, arg_uint(a, 0)), e = gid_in(t, arg_uint(a, 1));
	const uint32_t s = gid_in(t, arg_uint(a, 2));

	if (is_strange(arg_uint(a, 0), r) || is_strange(arg_uint(a, 1), e) ||
	    is_strange(arg_uint(a, 2), s))
		return -EINVAL;
	return cred_setresgid(t, r, e, s);
}

sysret_t sys_setfsgid(struct task *t, const struct syscall_args *a)
{
	return task_gid_out(t, cred_setfsgid(t, gid_in(t, arg_uint(a, 0))));
}

sysret_t sys_getgroups(struct task *t, const struct syscall_args *a)
{
	const int size = arg_int(a, 0);
	const size_t len = t->cred->groups_len;
	AUTO_FREE uint32_t *told = NULL;
	int r;

	if (size < 0)
		return -EINVAL;
	if (!size)
		return (sysret_t)len;
	if ((size_t)size < len)
		return -EINVAL;
	told = malloc((len + 1) * sizeof(*told));
	if (!told)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		told[i] = task_gid_out(t, t->cred->groups[i]);
	r = user_copy_out(task_um(t), arg_uaddr(a, 1), told, len * sizeof(*told));
	return r < 0 ? r : (sysret_t)len;
}

sysret_t sys_setgroups(struct task *t, const struct syscall_args *a)
{
	const unsigned int len = arg_uint(a, 0);
	AUTO_FREE uint32_t *groups = NULL;

	if (!cred_may_setgroups(t))
		return -EPERM;
	if (len > CRED_GROUPS_MAX)
		return -EINVAL;
	groups = malloc((len + 1) * sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	if (user_copy_in(task_um(t), groups, arg_uaddr(a, 1), len * sizeof(*groups)) < 0)
		return -EFAULT;
	for (unsigned int i = 0; i < len; i++) {
		groups[i] = gid_in(t, groups[i]);
		if (groups[i] == ID_INVALID)
			return -EINVAL;
	}
	return cred_setgroups(t, groups, len);
}

struct cap_header {
	uint32_t version;
	int32_t pid;
};
struct cap_data {
	uint32_t effective, permitted, inheritable;
};

/* Words per set that the caller's version has: 1, 2; -EINVAL after telling ours. */
static int cap_version(struct task *t, uaddr_t addr, struct cap_header *ret)
{
	const uint32_t ours = _LINUX_CAPABILITY_VERSION_3;

	if (user_copy_in(task_um(t), ret, addr, sizeof(*ret)) < 0)
		return -EFAULT;
	switch (ret->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return _LINUX_CAPABILITY_U32S_1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return _LINUX_CAPABILITY_U32S_3;
	default:
		return user_copy_out(task_um(t), addr, &ours, sizeof(ours)) < 0 ? -EFAULT : -EINVAL;
	}
}

sysret_t sys_capget(struct task *t, const struct syscall_args *a)
{
	const uaddr_t to = arg_uaddr(a, 1);
	struct cap_data data[_LINUX_CAPABILITY_U32S_3];
	struct cap_header head;
	const int words = cap_version(t, arg_uaddr(a, 0), &head);
	const struct cred *c;
	struct task *of;

	if (words < 0)
		return words == -EINVAL && !to ? 0 : words;
	if (head.pid < 0)
		return -EINVAL;
	of = head.pid ? task_find(task_pid_ns(t), head.pid) : task_ref(t);
	if (!of)
		return -ESRCH;
	c = of->cred;
	for (int i = 0; i < 2; i++)
		data[i] = (struct cap_data){ (uint32_t)(c->cap_effective >> 32 * i),
					     (uint32_t)(c->cap_permitted >> 32 * i),
					     (uint32_t)(c->cap_inheritable >> 32 * i) };
	task_unref(of);
	if (!to)
		return 0;
	return user_copy_out(task_um(t), to, data, (size_t)words * sizeof(data[0]));
}

sysret_t sys_capset(struct task *t, const struct syscall_args *a)
{
	struct cap_data data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct cap_header head;
	const int words = cap_version(t, arg_uaddr(a, 0), &head);

	if (words < 0)
		return words;
	if (head.pid && head.pid != task_tid(t, task_pid_ns(t)))
		return -EPERM;
	if (user_copy_in(task_um(t), data, arg_uaddr(a, 1), (size_t)words * sizeof(data[0])) < 0)
		return -EFAULT;
	return cred_capset(t, (uint64_t)data[1].effective << 32 | data[0].effective,
			   (uint64_t)data[1].permitted << 32 | data[0].permitted,
			   (uint64_t)data[1].inheritable << 32 | data[0].inheritable);
}
