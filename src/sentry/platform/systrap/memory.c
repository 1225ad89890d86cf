/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: host calls that the thread's stub makes, and copies by process_vm_readv(2).
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "sentry/platform/systrap/systrap_internal.h"

static bool in_guest(uaddr_t addr, uint64_t len)
{
	return addr % 4096 == 0 && len % 4096 == 0 && len > 0 && addr < PLATFORM_GUEST_TOP &&
	       len <= PLATFORM_GUEST_TOP - addr;
}

static int map_file(struct platform_thread *t, const struct platform_map *map)
{
	const int flags = (map->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED;
	struct stub_ctx *c = t->ctx;
	int64_t r = systrap_settle(t);

	if (r < 0)
		return (int)r;
	kmutex_lock(&t->space->lock);
	r = fd_send(t->space->sock, "", 1, &map->host_fd, 1);
	if (r == 0) {
		/* Any descriptor: none in the stub's table is better than another. */
		t->grant = (struct systrap_grant){
			.valid = true,
			.nr = SYS_mmap,
			.args = { map->addr, map->len, (uint64_t)map->prot, (uint64_t)flags, 0,
				  map->offset },
			.mask = 0x2f,
		};
		c->act[0] = map->addr;
		c->act[1] = map->len;
		c->act[2] = (uint64_t)map->prot;
		c->act[3] = (uint64_t)flags;
		c->act[4] = map->offset;
		r = systrap_action(t, STUB_ACT_MAPFD);
	}
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
	if (map->host_fd >= 0)
		return map_file(t, map);
	r = systrap_call(t, SYS_mmap, args);
	return r < 0 ? (int)r : 0;
}

int systrap_unmap(struct platform_thread *t, uaddr_t addr, uint64_t len)
{
	const uint64_t args[6] = { addr, len };

	return in_guest(addr, len) ? (int)systrap_call(t, SYS_munmap, args) : -EINVAL;
}

int systrap_protect(struct platform_thread *t, uaddr_t addr, uint64_t len, int prot)
{
	const uint64_t args[6] = { addr, len, (uint64_t)prot };

	return in_guest(addr, len) ? (int)systrap_call(t, SYS_mprotect, args) : -EINVAL;
}

int systrap_advise(struct platform_thread *t, uaddr_t addr, uint64_t len, int advice)
{
	const uint64_t args[6] = { addr, len, (uint64_t)advice };

	if (!in_guest(addr, len))
		return -EINVAL;
	if (advice != MADV_DONTNEED && advice != MADV_FREE && advice != MADV_HUGEPAGE &&
	    advice != MADV_NOHUGEPAGE)
		return -EINVAL;
	return (int)systrap_call(t, SYS_madvise, args);
}

int systrap_move(struct platform_thread *t, uaddr_t old_addr, uint64_t old_len, uaddr_t new_addr,
		 uint64_t new_len)
{
	const uint64_t args[6] = { old_addr, old_len, new_len, MREMAP_MAYMOVE | MREMAP_FIXED,
				   new_addr };
	int64_t r;

	if (!in_guest(old_addr, old_len) || !in_guest(new_addr, new_len))
		return -EINVAL;
	r = systrap_call(t, SYS_mremap, args);
	return r < 0 ? (int)r : 0;
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
	return n == 0 ? 0 : copied(process_vm_readv(s->tgid, &local, 1, &remote, 1, 0));
}

ssize_t systrap_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len)
{
	const size_t n = clip(dst, len);
	const struct iovec local = { (void *)(uintptr_t)src, n },
			   remote = { (void *)(uintptr_t)dst, n };

	if (s->dead)
		return -ESRCH;
	return n == 0 ? 0 : copied(process_vm_writev(s->tgid, &local, 1, &remote, 1, 0));
}
