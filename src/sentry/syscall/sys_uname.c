/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_uname.c - uname(2), sethostname(2), setdomainname(2). */
#include <linux/capability.h>
#include <linux/personality.h>
#include <string.h>
#include <sys/utsname.h>

#include "sentry/syscall/syscall.h"
#include "sentry/task/version.h"

static void field(char *dst, const char *src)
{
	memcpy(dst, src, strlen(src) + 1);
}

sysret_t sys_uname(struct task *t, const struct syscall_args *a)
{
	struct utsname u;

	memset(&u, 0, sizeof(u));
	field(u.sysname, "Linux");
	field(u.nodename, t->ns->uts->nodename);
	field(u.release, t->personality & UNAME26 ? SENTRY_RELEASE_26 : SENTRY_RELEASE);
	field(u.version, SENTRY_VERSION);
	field(u.machine, (t->personality & PER_MASK) == PER_LINUX32 ? "i686" : "x86_64");
	field(u.domainname, t->ns->uts->domainname);
	return user_copy_out(task_um(t), arg_uaddr(a, 0), &u, sizeof(u));
}

static int import_name(struct task *t, const struct syscall_args *a, char name[UTS_NAME_MAX + 1])
{
	const int len = arg_int(a, 1);

	if (!task_ns_capable(t, t->ns->uts->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > UTS_NAME_MAX)
		return -EINVAL;
	memset(name, 0, UTS_NAME_MAX + 1);
	return user_copy_in(task_um(t), name, arg_uaddr(a, 0), (size_t)len);
}

sysret_t sys_sethostname(struct task *t, const struct syscall_args *a)
{
	char name[UTS_NAME_MAX + 1];
	const int r = import_name(t, a, name);

	if (r == 0)
		memcpy(t->ns->uts->nodename, name, sizeof(name));
	return r;
}

sysret_t sys_setdomainname(struct task *t, const struct syscall_args *a)
{
	char name[UTS_NAME_MAX + 1];
	const int r = import_name(t, a, name);

	if (r == 0)
		memcpy(t->ns->uts->domainname, name, sizeof(name));
	return r;
}
