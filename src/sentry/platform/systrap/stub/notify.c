/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory calls whose notification is the request.
 *
 * Where each memory call of a stub is notified anyway (profile "checked"), the stub of a process
 * with one thread makes the host call that it thinks the sentry will want, at once. The sentry
 * takes the notification for the request that the save area holds, serves it, and if what it then
 * wants is exactly the call that waits, that goes on: one conversation instead of two. Otherwise
 * the call fails and an action follows as ever. A guess is a guess only: it gives no right.
 */
#include "sentry/platform/systrap/stub/stub.h"

#include <sys/mman.h>

#define PAGE	  4096ull
#define LEN_MAX	  (64ull << 20) /* the sentry does not put off more */
#define MAP_KNOWN (MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE)

static bool is_alone(const struct stub_ctx *c)
{
	const volatile struct stub_ids *ids =
		(const volatile struct stub_ids *)stub_at(STUB_IDS) + c->index % STUB_THREADS;

	return ids->valid & STUB_IDS_ALONE;
}

static uint64_t round_up(uint64_t len)
{
	return (len + PAGE - 1) / PAGE * PAGE;
}

/* New private memory, where the sentry would put it. */
static bool guess_map(const struct stub_ctx *c, uint64_t call[6])
{
	const uint64_t addr = c->args[0], prot = c->args[2], flags = c->args[3];

	if (addr || prot > (PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    (flags & (MAP_PRIVATE | MAP_ANONYMOUS)) != (MAP_PRIVATE | MAP_ANONYMOUS) ||
	    flags & ~(uint64_t)MAP_KNOWN || c->map_end <= call[1])
		return false;
	call[0] = c->map_end - call[1];
	call[2] = prot;
	call[3] = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (flags & MAP_NORESERVE);
	call[4] = UINT64_MAX;
	return true;
}

/* The call that the sentry will want; only what the filter knows. */
static bool guess(const struct stub_ctx *c, uint64_t call[6])
{
	const uint64_t addr = c->args[0], len = round_up(c->args[1]);

	if (len == 0 || len > LEN_MAX)
		return false;
	for (unsigned int i = 0; i < 6; i++)
		call[i] = 0;
	call[0] = addr;
	call[1] = len;
	switch (c->nr) {
	case SYS_mmap:
		return guess_map(c, call);
	case SYS_munmap:
		break;
	case SYS_mprotect:
		if (c->args[2] > (PROT_READ | PROT_WRITE | PROT_EXEC))
			return false;
		call[2] = c->args[2];
		break;
	case SYS_madvise:
		if (c->args[2] != MADV_DONTNEED && c->args[2] != MADV_FREE)
			return false;
		call[2] = c->args[2];
		break;
	default:
		return false;
	}
	return addr % PAGE == 0 && addr > 0 && addr < stub_at(STUB_BASE) &&
	       len <= stub_at(STUB_BASE) - addr;
}

bool stub_notify(struct stub_ctx *c)
{
	uint64_t call[6];
	long r;

	if ((c->nr != SYS_mmap && c->nr != SYS_munmap && c->nr != SYS_mprotect &&
	     c->nr != SYS_madvise) ||
	    !is_alone(c) || !guess(c, call))
		return false;
	stub_mark(c);
	/* To be waked up from another CPU costs more than to ask twice. */
	if (stub_polled(c))
		return false;
	c->kind = STUB_REQ_FAST;
	c->action = STUB_ACT_NONE;
	r = sys6((long)c->nr, (long)call[0], (long)call[1], (long)call[2], (long)call[3],
		 (long)call[4], (long)call[5]);
	if (c->action == STUB_ACT_NONE)
		return false;
	if (c->action == STUB_ACT_CONTINUED && (uint64_t)r != c->ret)
		stub_post(c, STUB_REQ_FAILED, (uint64_t)r);
	/* Not as guessed: the next one is asked for. */
	if (c->action != STUB_ACT_CONTINUED)
		c->map_end = 0;
	return true;
}

/* The highest place is taken first: below the last one, or in a hole above. */
void stub_note_map(struct stub_ctx *c)
{
	const uint64_t end = c->args[0] + round_up(c->args[1]);

	if (c->nr == SYS_mmap && c->ret % PAGE == 0 && c->ret < stub_at(STUB_BASE))
		c->map_end = c->ret;
	else if (c->nr == SYS_munmap && c->ret == 0 && c->map_end && end > c->map_end)
		c->map_end = end;
}
