/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory calls of a process with one thread go along with the next reply: nobody can look at the
 * memory before that thread runs again, but the sentry, which flushes first.
 *
 * A call that was answered so cannot fail any more: what may (a large mapping, for want of memory)
 * is made at once instead, and a failure ends the process, as running out of memory does.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/platform/systrap/systrap_internal.h"

#define DEFER_MAX (64ull << 20) /* bytes of a mapping */

bool systrap_is_alone(const struct platform_thread *t)
{
	const struct list_head *threads = &t->space->threads;

	return threads->next == threads->prev && threads->next == &t->node;
}

static void grant_end(struct systrap_grant *g)
{
	g->valid = false;
	if (g->owned && g->fd >= 0)
		(void)close(g->fd);
	g->owned = false;
	g->fd = -1;
}

static void expect(struct platform_thread *t, unsigned int n)
{
	systrap.expected += n - t->expected;
	t->expected = n;
}

void systrap_grants_sent(struct platform_thread *t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < t->grants_len; i++)
		n += t->grants[i].valid;
	expect(t, n);
}

void systrap_grant_used(struct platform_thread *t)
{
	if (t->expected > 0)
		expect(t, t->expected - 1);
}

void systrap_grants_over(struct platform_thread *t)
{
	expect(t, 0);
}

void systrap_grants_end(struct platform_thread *t)
{
	systrap_grants_over(t);
	for (unsigned int i = 0; i < t->grants_len; i++)
		grant_end(&t->grants[i]);
	t->grants_len = 0;
}

bool systrap_defer(struct platform_thread *t, long nr, const uint64_t args[6], int fd)
{
	const unsigned int i = t->batch_len;
	struct stub_op *op;
	int copy = -1;

	/* In the kernel, or new and on its way: then its first reply carries the batch. */
	if (t->space->dead || t->flushing || !systrap_is_alone(t) || i == STUB_BATCH_MAX ||
	    args[1] > DEFER_MAX || (t->guest && t->seq != 0))
		return false;
	if (fd >= 0) {
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return false;
	}
	op = (struct stub_op *)(void *)((uint8_t *)t->ctx + STUB_BATCH) + i;
	op->nr = (uint64_t)nr;
	for (unsigned int k = 0; k < 6; k++)
		op->args[k] = args[k];
	op->expected = nr == SYS_mmap ? args[0] : 0;
	systrap_grant(t, 2 + i, nr, args, 0x3f);
	t->grants[2 + i].fd = copy;
	t->grants[2 + i].owned = copy >= 0;
	t->batch_len = i + 1;
	t->space->pending = t;
	return true;
}

void systrap_batch_sent(struct platform_thread *t)
{
	if (t->batch_len == 0)
		return;
	t->ctx->batch_len = t->batch_len;
	t->batch_len = 0;
	if (t->space->pending == t)
		t->space->pending = NULL;
}

void systrap_batch_drop(struct platform_thread *t)
{
	t->batch_len = 0;
	if (t->space->pending == t)
		t->space->pending = NULL;
	systrap_grants_end(t);
}

int systrap_sync(struct platform_thread *t)
{
	struct platform_space *s = t->space;
	int r = 0;

	kmutex_lock(&s->flush_lock);
	if (!s->dead && (t->batch_len > 0 || t->outs > 0)) {
		t->flushing = true;
		r = systrap_settle(t);
		if (r == 0 && (t->batch_len > 0 || t->outs > 0))
			r = systrap_action(t, STUB_ACT_SYNC) < 0 ? -ESRCH : 0;
		t->flushing = false;
	}
	kmutex_unlock(&s->flush_lock);
	return r;
}

int systrap_flush(struct platform_space *s)
{
	return s->pending && fiber_self() ? systrap_sync(s->pending) : 0;
}

void systrap_flush_wait(struct platform_thread *t)
{
	struct platform_space *s = t->space;

	if (!s->flush_lock.owner || s->flush_lock.owner == fiber_self())
		return;
	kmutex_lock(&s->flush_lock);
	kmutex_unlock(&s->flush_lock);
}
