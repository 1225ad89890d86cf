/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of other rooms that these tests never reach, where the rooms are not linked. */
#include <errno.h>

#include "sentry/mem/memfile.h"
#include "sentry/mem/user_memory.h"
#include "sentry/vfs/file.h"

#define WEAK __attribute__((weak))

WEAK int memfile_new(const char *name, uint64_t size, struct memfile **ret)
{
	return -ENOMEM;
}

WEAK struct memfile *memfile_ref(struct memfile *m)
{
	return m;
}

WEAK void memfile_unref(struct memfile *m)
{
}

WEAK int memfile_punch(struct memfile *m, uint64_t offset, uint64_t len)
{
	return 0;
}

WEAK struct file *file_ref(struct file *f)
{
	return f;
}

WEAK void file_unref(struct file *f)
{
}

WEAK int user_copy_in(struct user_memory *um, void *dst, uaddr_t src, size_t len)
{
	return um->ops->copy_in(um, dst, src, len) == len ? 0 : -EFAULT;
}

WEAK int user_copy_out(struct user_memory *um, uaddr_t dst, const void *src, size_t len)
{
	return um->ops->copy_out(um, dst, src, len) == len ? 0 : -EFAULT;
}
