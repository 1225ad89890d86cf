/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: host calls that the thread's stub makes, and copies by process_vm_readv(2).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "sentry/platform/systrap/systrap_internal.h"

static bool in_guest(uaddr_t addr, uint64_t len)
{
	return addr % 4096 == 0 && len % 4096 == 0 && len > 0 && addr < PLATFORM_GUEST_TOP &&
	       len <= PLATFORM_GUEST_TOP - addr;
}

int systrap_map_donated(struct platform_thread *t, const struct platform_map *map, int flags)
{
	const uint64_t args[6] = { map->addr,	    map->len,	     (uint64_t)map->prot,
				   (uint64_t)flags, STUB_FD_DONATED, map->offset };
	struct stub_ctx *c = t->ctx;
	int64_t r;

	systrap_flush_wait(t);
	if (flags != (MAP_SHARED | MAP_FIXED_NOREPLACE) &&
	    systrap_defer(t, SYS_mmap, args, map->host_fd))
		return 0;
	r = systrap_settle(t);
	if (r < 0)
		return (int)r;
	/* The place is one per process: it is free again when the stub has answered. */
	kmutex_lock(&t->space->lock);
	systrap_grant(t, 0, SYS_mmap, args, 0x3f);
	t->grants[0].fd = map->host_fd;
	memcpy((void *)c->act, args, 4 * sizeof(args[0]));
	c->act[4] = map->offset;
	r = systrap_action(t, STUB_ACT_MAPFD);
	kmutex_unlock(&t->space->lock);
	return r < 0 ? (int)r : 0;
}

int systrap_map(struct platform_thread *t, const struct platform_map *map)
{
	const int flags =
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (map->noreserve ? MAP_NORESERVE : 0);
	const uint64_t args[6] = { map->addr,	    map->len,	(uint64_t)map->prot,
				   (uint64_t)flags, UINT64_MAX, 0 };
	int64_t r;

	if (!in_guest(map->addr, map->len))
		return -EINVAL;
	if (!systrap_code_free(t->space, map->addr, map->len))
		return -ENOMEM;
	systrap_window_forget(t->space);
	if (map->host_fd >= 0)
		r = systrap_map_donated(t, map,
					(map->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED);
	else
		r = systrap_call(t, SYS_mmap, args);
	if (r < 0)
		return (int)r;
	systrap_code_forget(t->space, map->addr, map->len);
	systrap_code_share(t->space, map->addr, map->len, map->host_fd >= 0 && map->shared);
	systrap_code_changed(t->space, map->addr, map->len, map->prot, !map->shared);
	return 0;
}

/* A hole that a guest makes leaves the trampolines alone. */
int systrap_unmap(struct platform_thread *t, uaddr_t addr, uint64_t len)
{
	const uint64_t end = addr + len;
	int r = 0;

	if (!in_guest(addr, len))
		return -EINVAL;
	systrap_window_forget(t->space);
	while (addr < end && r == 0) {
		const uint64_t part = systrap_code_gap(t->space, addr, end - addr, &addr);
		const uint64_t args[6] = { addr, part };

		if (part == 0)
			break;
		r = (int)systrap_call(t, SYS_munmap, args);
		if (r == 0) {
			systrap_code_share(t->space, addr, part, false);
			systrap_code_changed(t->space, addr, part, -1, false);
		}
		addr += part;
	}
	return r;
}

int systrap_protect(struct platform_thread *t, uaddr_t addr, uint64_t len, int prot)
{
	const uint64_t args[6] = { addr, len, (uint64_t)prot };
	bool patchable;
	int r;

	if (!in_guest(addr, len))
		return -EINVAL;
	systrap_window_forget(t->space);
	patchable = !systrap_code_shared(t->space, addr, len);
	r = (int)systrap_call(t, SYS_mprotect, args);
	if (r == 0)
		systrap_code_changed(t->space, addr, len, prot, patchable);
	return r;
}

int systrap_advise(struct platform_thread *t, uaddr_t addr, uint64_t len, int advice)
{
	const uint64_t args[6] = { addr, len, (uint64_t)advice };
	int r;

	if (!in_guest(addr, len))
		return -EINVAL;
	if (advice != MADV_DONTNEED && advice != MADV_FREE && advice != MADV_HUGEPAGE &&
	    advice != MADV_NOHUGEPAGE)
		return -EINVAL;
	r = (int)systrap_call(t, SYS_madvise, args);
	/* What was private comes anew from the file, unpatched. */
	if (r == 0 && advice == MADV_DONTNEED)
		systrap_code_forget(t->space, addr, len);
	return r;
}

int systrap_move(struct platform_thread *t, uaddr_t old_addr, uint64_t old_len, uaddr_t new_addr,
		 uint64_t new_len)
{
	const uint64_t args[6] = { old_addr, old_len, new_len, MREMAP_MAYMOVE | MREMAP_FIXED,
				   new_addr };
	int64_t r;

	if (!in_guest(old_addr, old_len) || !in_guest(new_addr, new_len))
		return -EINVAL;
	if (!systrap_code_free(t->space, new_addr, new_len))
		return -ENOMEM;
	systrap_window_forget(t->space);
	r = systrap_call(t, SYS_mremap, args);
	if (r < 0)
		return (int)r;
	systrap_code_changed(t->space, old_addr, old_len, -1, false);
	systrap_code_changed(t->space, new_addr, new_len, PROT_READ, false);
	return 0;
}

/* The bytes of [addr, addr + len) that are the guest's. */
static size_t clip(uaddr_t addr, size_t len)
{
	if (addr >= PLATFORM_GUEST_TOP)
		return 0;
	return len > PLATFORM_GUEST_TOP - addr ? (size_t)(PLATFORM_GUEST_TOP - addr) : len;
}

static ssize_t copied(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == ESRCH || errno == EPERM ? -ESRCH : 0;
}

ssize_t systrap_read(struct platform_space *s, void *dst, uaddr_t src, size_t len)
{
	const size_t n = clip(src, len);
	const struct iovec local = { dst, n }, remote = { (void *)(uintptr_t)src, n };

	if (s->dead)
		return -ESRCH;
	if (n == 0)
		return 0;
	if (systrap_window_read(s, dst, src, n))
		return (ssize_t)n;
	if (systrap_flush(s) < 0 || systrap_window_flush(s, src, n) < 0)
		return -ESRCH;
	return copied(process_vm_readv(s->tgid, &local, 1, &remote, 1, 0));
}

ssize_t systrap_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len)
{
	const size_t n = clip(dst, len);
	const struct iovec local = { (void *)(uintptr_t)src, n },
			   remote = { (void *)(uintptr_t)dst, n };

	ssize_t r;

	if (s->dead)
		return -ESRCH;
	if (n == 0)
		return 0;
	if (systrap_window_write(s, dst, src, n))
		return (ssize_t)n;
	if (systrap_flush(s) < 0 || systrap_window_flush(s, dst, n) < 0)
		return -ESRCH;
	r = copied(process_vm_writev(s->tgid, &local, 1, &remote, 1, 0));
	if (r > 0)
		systrap_window_written(s, dst, (size_t)r);
	return r;
}
