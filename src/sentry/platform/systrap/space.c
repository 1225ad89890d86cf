/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spaces and threads: the books. A space's process is named by its pid only while its pidfd is
 * held, and it is reaped (by the zygote, on our word) after the last reference has gone: until
 * then nobody else can have the number.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/platform/systrap/systrap_internal.h"

int systrap_prw_new(int *ret_fd, uint8_t **ret_map)
{
	AUTO_CLOSE int fd = memfd_create("stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t *map;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, STUB_PRW_LEN) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	map = mmap(NULL, STUB_PRW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	*ret_map = map;
	return 0;
}

static void mark_dead(struct platform_space *s)
{
	struct platform_thread *t;

	if (s->dead)
		return;
	s->dead = true;
	if (s->pidfd >= 0)
		kloop_remove(&s->death);
	list_for_each(t, &s->threads, node)
	{
		if (t->waiter)
			fiber_wake(t->waiter);
	}
}

static void on_death(struct kloop_fd *source, uint32_t events)
{
	(void)events;
	mark_dead(container_of(source, struct platform_space, death));
}

int systrap_space_new(int sock, uint8_t *prw, struct platform_space **ret)
{
	struct platform_space *s = calloc(1, sizeof(*s));

	if (!s) {
		(void)close(sock);
		(void)munmap(prw, STUB_PRW_LEN);
		return -ENOMEM;
	}
	*s = (struct platform_space){ .refs = 1, .pidfd = -EBADF, .sock = sock, .prw = prw };
	kmutex_init(&s->lock);
	list_init(&s->threads);
	list_init(&s->idle);
	*ret = s;
	return 0;
}

int systrap_space_born(struct platform_space *s, int pidfd, pid_t tgid)
{
	int r;

	s->pidfd = pidfd;
	s->tgid = tgid;
	s->death = (struct kloop_fd){ .host_fd = pidfd, .fn = on_death };
	r = kloop_add(&s->death, EPOLLIN);
	if (r < 0)
		systrap_space_kill(s);
	return r;
}

void systrap_space_ref(struct platform_space *s)
{
	s->refs++;
}

void systrap_space_kill(struct platform_space *s)
{
	if (s->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
	mark_dead(s);
}

void systrap_space_unref(struct platform_space *s)
{
	assert(s->refs > 0);
	if (--s->refs > 0)
		return;
	systrap_space_kill(s);
	while (!list_empty(&s->idle))
		systrap_thread_forget(list_first(&s->idle, struct platform_thread, node));
	if (s->pidfd >= 0) {
		systrap_zygote_reap(s->pidfd);
		(void)close(s->pidfd);
	}
	(void)close(s->sock);
	(void)munmap(s->prw, STUB_PRW_LEN);
	systrap_patches_free(s);
	free(s);
}

static int index_get(uint32_t *ret)
{
	for (uint32_t i = 0; i < STUB_THREADS; i++) {
		const uint32_t index = (systrap.index_next + i) % STUB_THREADS;

		if (!systrap.index_used[index]) {
			systrap.index_used[index] = 1;
			systrap.index_next = index + 1;
			*ret = index;
			return 0;
		}
	}
	return -EAGAIN;
}

static struct list_head *tid_bucket(pid_t tid)
{
	return &systrap.tids[(unsigned int)tid % SYSTRAP_TID_BUCKETS];
}

/* The thread holds no reference of its space: its task's does, or the list of idle ones. */
int systrap_thread_new(struct platform_space *s, unsigned int slot, struct platform_thread **ret)
{
	struct platform_thread *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = index_get(&t->index);
	if (r < 0) {
		free(t);
		return r;
	}
	t->space = s;
	t->slot = slot;
	t->cpu = UINT32_MAX;
	t->ctx = (struct stub_ctx *)(void *)(s->prw + (size_t)slot * STUB_SLOT_LEN);
	if (slot >= s->slots)
		s->slots = slot + 1;
	systrap_kick_init(t);
	list_init(&t->guest_node);
	list_add_tail(&t->node, &s->threads);
	list_init(&t->tid_node);
	t->ctx->self = STUB_PRW + (uint64_t)slot * STUB_SLOT_LEN;
	t->ctx->stack = STUB_STACKS + (uint64_t)(slot + 1) * STUB_STACK_LEN;
	t->ctx->index = t->index;
	/* Its first request is under way: READY. */
	t->guest = true;
	list_add_tail(&t->guest_node, &systrap.guests);
	*ret = t;
	return 0;
}

void systrap_thread_born(struct platform_thread *t, pid_t tid)
{
	t->tid = tid;
	list_add(&t->tid_node, tid_bucket(tid));
}

void systrap_thread_forget(struct platform_thread *t)
{
	list_del(&t->node);
	list_del(&t->guest_node);
	list_del(&t->tid_node);
	policy_lost(t);
	ktimer_cancel(&t->deaf);
	systrap.index_used[t->index] = 0;
	free(t);
}

struct platform_thread *systrap_thread_by_tid(pid_t tid)
{
	struct list_head *bucket = tid_bucket(tid);
	struct platform_thread *t;

	list_for_each(t, bucket, tid_node)
	{
		if (t->tid == tid)
			return t;
	}
	return NULL;
}
