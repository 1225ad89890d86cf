/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies through a thread's slot instead of process_vm_readv(2).
 *
 * In: a request shows paths and small data (stub/show.c). Out: results of calls that only their
 * own thread waits for are put into the slot and copied by the stub before it returns to the
 * guest. The guest must be able to write there: a page counts as good when it was written by the
 * host call before and nothing was mapped or protected since. Where another thread may look at the
 * result before the call has returned (a futex word, a cleared tid), it is written at once.
 */
#include <string.h>
#include <sys/syscall.h>

#include "sentry/platform/systrap/systrap_internal.h"

#define PAGE 4096ull

/* Results that nobody but the caller can be waiting for. */
static bool may_wait(uint64_t nr)
{
	switch (nr) {
	case SYS_read:
	case SYS_pread64:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_stat:
	case SYS_fstat:
	case SYS_lstat:
	case SYS_newfstatat:
	case SYS_statx:
	case SYS_getdents64:
	case SYS_readlink:
	case SYS_readlinkat:
	case SYS_getcwd:
	case SYS_uname:
	case SYS_rt_sigprocmask:
	case SYS_rt_sigaction:
	case SYS_pipe2:
	case SYS_poll:
	case SYS_select:
	case SYS_wait4:
	case SYS_getrandom:
		return true;
	default:
		return false;
	}
}

/* The thread of this space that the running fiber serves, in a system call. */
static struct platform_thread *caller(struct platform_space *s)
{
	const struct fiber *self = fiber_self();
	struct platform_thread *t;
	unsigned int looked = 0;

	if (!self)
		return NULL;
	list_for_each(t, &s->threads, node)
	{
		if (t->fiber == self)
			return t->in_syscall && !t->guest && !t->flushing ? t : NULL;
		if (++looked == 8)
			break;
	}
	return NULL;
}

bool systrap_window_read(struct platform_space *s, void *dst, uaddr_t src, size_t len)
{
	struct platform_thread *t = caller(s);

	if (!t || t->in_len == 0 || src < t->in_addr || src - t->in_addr > t->in_len ||
	    len > t->in_len - (src - t->in_addr))
		return false;
	memcpy(dst, (const uint8_t *)t->ctx + STUB_IN + (src - t->in_addr), len);
	return true;
}

static uint64_t *good_entry(struct platform_space *s, uint64_t page)
{
	return &s->good_page[page % GOOD_PAGES];
}

static bool is_good(struct platform_space *s, uaddr_t addr, size_t len)
{
	for (uint64_t page = addr / PAGE; page <= (addr + len - 1) / PAGE; page++) {
		if (page == 0 || *good_entry(s, page) != page) /* 0: an empty entry */
			return false;
	}
	return true;
}

bool systrap_window_write(struct platform_space *s, uaddr_t dst, const void *src, size_t len)
{
	struct platform_thread *t = caller(s);

	if (!t)
		return false;
	t->in_len = 0; /* what was shown may be what is written now */
	if (len == 0 || len > STUB_OUT_LEN - t->out_used || t->outs == STUB_OUTS_MAX ||
	    !may_wait(t->syscall_nr) || !is_good(s, dst, len))
		return false;
	memcpy((uint8_t *)t->ctx + STUB_OUT + t->out_used, src, len);
	t->out[t->outs++] =
		(struct stub_out){ .addr = dst, .offset = t->out_used, .len = (uint32_t)len };
	t->out_used += (uint32_t)(len + 15) & ~15u;
	if (t->out_used > STUB_OUT_LEN)
		t->out_used = STUB_OUT_LEN;
	s->outs_pending++;
	s->windows_used = true;
	return true;
}

void systrap_window_written(struct platform_space *s, uaddr_t dst, size_t len)
{
	for (uint64_t page = dst / PAGE; len > 0 && page <= (dst + len - 1) / PAGE; page++)
		*good_entry(s, page) = page;
}

void systrap_window_forget(struct platform_space *s)
{
	memset(s->good_page, 0, sizeof(s->good_page));
}

void systrap_window_sent(struct platform_thread *t)
{
	if (t->outs == 0)
		return;
	memcpy(t->ctx->out, t->out, t->outs * sizeof(t->out[0]));
	t->ctx->outs = t->outs;
	systrap_window_drop(t);
}

void systrap_window_drop(struct platform_thread *t)
{
	t->space->outs_pending -= t->outs;
	t->outs = 0;
	t->out_used = 0;
}

int systrap_window_flush(struct platform_space *s, uaddr_t addr, size_t len)
{
	struct platform_thread *t, *found = NULL;

	if (s->outs_pending == 0)
		return 0;
	list_for_each(t, &s->threads, node)
	{
		for (unsigned int i = 0; i < t->outs; i++) {
			if (addr < t->out[i].addr + t->out[i].len && t->out[i].addr < addr + len)
				found = t;
		}
	}
	return found ? systrap_sync(found) : 0;
}
