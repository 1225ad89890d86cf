/* SPDX-License-Identifier: Apache-2.0 */
/* What only the host knows of a stub: a stopped thread of it is made to ask. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "sentry/platform/ptrace/ptrace_internal.h"

_Static_assert(PLATFORM_RESIDENT_MAX <= PTRACE_SCRATCH_LEN / 2, "an answer fits");

static int ask(struct platform_thread *t, uint64_t nr, const uint64_t args[6], void *ret,
	       size_t len)
{
	int64_t r = t ? ptrace_inject(t, nr, args) : -EAGAIN;

	if (r == 0 && ptrace_read(t->space, ret, ptrace_scratch_uaddr, len) != (ssize_t)len)
		r = -ESRCH;
	return (int)r;
}

int ptrace_resident(struct platform_space *s, uaddr_t addr, size_t pages, uint8_t *ret)
{
	const uint64_t args[6] = { addr, pages * 4096, ptrace_scratch_uaddr };

	if (pages == 0 || pages > PLATFORM_RESIDENT_MAX || addr % 4096)
		return -EINVAL;
	return ask(s->dead ? NULL : ptrace_thread_stopped(s), SYS_mincore, args, ret, pages);
}

static int usage_of(struct platform_thread *t, int whose, struct platform_usage *ret)
{
	const uint64_t args[6] = { (uint64_t)whose, ptrace_scratch_uaddr };
	struct rusage usage;
	const int r = ask(t, SYS_getrusage, args, &usage, sizeof(usage));

	if (r == 0)
		*ret = (struct platform_usage){ .min_flt = (uint64_t)usage.ru_minflt,
						.maj_flt = (uint64_t)usage.ru_majflt,
						.max_rss = (uint64_t)usage.ru_maxrss << 10 };
	return r;
}

int ptrace_usage(struct platform_space *s, struct platform_usage *ret)
{
	return usage_of(s->dead ? NULL : ptrace_thread_stopped(s), RUSAGE_SELF, ret);
}

int ptrace_thread_usage(struct platform_thread *t, struct platform_usage *ret)
{
	return usage_of(t->dead ? NULL : t, RUSAGE_THREAD, ret);
}
