/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memfd_create(2).
 */
#include <errno.h>
#include <linux/memfd.h>

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/syscall/sys_vfs.h"

#define MFD_NAME_MAX 249u /* NAME_MAX without "memfd:" */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#define MFD_EXEC	0x0010U
#endif

sysret_t sys_memfd_create(struct task *t, const struct syscall_args *a)
{
	const unsigned int flags = arg_uint(a, 1);
	char name[MFD_NAME_MAX + 1];
	struct file *f;
	ssize_t r;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC) ||
	    (flags & MFD_NOEXEC_SEAL && flags & MFD_EXEC))
		return -EINVAL;
	r = user_copy_string(task_um(t), name, arg_uaddr(a, 0), sizeof(name));
	if (r < 0)
		return r == -ENAMETOOLONG ? -EINVAL : r;
	r = tmpfs_memfd(name, flags, t->cred, &f);
	return r < 0 ? r : sys_install(t, f, flags & MFD_CLOEXEC);
}
