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
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/core/hostfd.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define PRW_POOL      16
#define PRW_WIPE_LOW  0x2000 /* of a slot: context and counters */
#define PRW_WIPE_HIGH 0x3000 /* the part of its signal stack that handlers reach */

static struct systrap_prw pool[PRW_POOL];
static unsigned int pool_len;

static int prw_new(struct systrap_prw *ret)
{
	AUTO_CLOSE int fd = -EBADF;
	uint8_t *map;

	if (pool_len > 0) {
		*ret = pool[--pool_len];
		return 0;
	}
	fd = hostfd_keep(memfd_create("stub", MFD_CLOEXEC | MFD_ALLOW_SEALING), HOSTFD_PROCESS);
	if (fd < 0)
		return errno == EMFILE ? -EAGAIN : -errno;
	if (ftruncate(fd, STUB_PRW_LEN) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	map = mmap(NULL, STUB_PRW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret = (struct systrap_prw){ .fd = TAKE_FD(fd), .map = map };
	return 0;
}

/*
 * Slots of a process that has gone for the next one: nobody maps them any more, and what an honest
 * stub has written into the first is wiped.
 */
static void prw_free(struct systrap_prw *p, bool reusable, bool windows)
{
	if (p->fd < 0)
		return;
	if (reusable && pool_len < PRW_POOL) {
		memset(p->map, 0, PRW_WIPE_LOW);
		if (windows) {
			memset(p->map + STUB_IN, 0, STUB_IN_LEN);
			memset(p->map + STUB_OUT, 0, STUB_OUT_LEN);
		}
		memset(p->map + STUB_FRAME, 0, STUB_FRAME_LEN);
		memset(p->map + STUB_SLOT_LEN - PRW_WIPE_HIGH, 0, PRW_WIPE_HIGH);
		pool[pool_len++] = *p;
		return;
	}
	(void)munmap(p->map, STUB_PRW_LEN);
	(void)close(p->fd);
}

/* The last reference has gone and the process as well. */
static void release(struct platform_space *s)
{
	const bool reusable = s->gone && s->slots == 1 && !s->cloned_out;

	if (s->pidfd >= 0) {
		systrap_zygote_reap(s->pidfd);
		(void)close(s->pidfd);
	}
	prw_free(&s->prw, reusable, s->windows_used);
	systrap_patches_free(s);
	list_del(&s->dying);
	systrap_nursery_leave(s);
	free(s);
}

static void mark_dead(struct platform_space *s)
{
	struct platform_thread *t;

	if (s->dead)
		return;
	s->dead = true;
	for (struct list_head *at = s->threads.next; at != &s->threads; at = at->next) {
		t = list_entry(at, struct platform_thread, node);
		policy_lost(t);
		systrap_grants_over(t);
		if (t->waiter)
			fiber_wake(t->waiter);
	}
	if (s->asker)
		fiber_wake(s->asker);
}

/* Threads that were freed have nobody to tell, and so no end that was asked for is told. */
static void tell_end(const struct platform_space *s)
{
	struct platform_thread *t;

	list_for_each(t, &s->threads, node)
	{
		if (t->on_end)
			t->on_end(t->on_end_arg);
	}
}

static void on_death(struct kloop_fd *source, uint32_t events)
{
	struct platform_space *s = container_of(source, struct platform_space, death);

	(void)events;
	kloop_remove(source);
	s->gone = true;
	systrap_nursery_gone(s);
	mark_dead(s);
	tell_end(s);
	if (s->refs == 0)
		release(s);
}

int systrap_space_new(struct platform_nursery *of, struct platform_space **ret)
{
	struct platform_space *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->refs = 1;
	s->pidfd = -EBADF;
	r = prw_new(&s->prw);
	if (r < 0) {
		free(s);
		return r;
	}
	kmutex_init(&s->lock);
	kmutex_init(&s->flush_lock);
	list_init(&s->threads);
	list_init(&s->idle);
	list_init(&s->dying);
	systrap_nursery_join(of, s);
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
	if (r < 0) {
		systrap_space_kill(s);
		s->gone = true; /* nobody would tell */
		return r;
	}
	systrap_nursery_born(s);
	return 0;
}

void systrap_space_ref(struct platform_space *s)
{
	s->refs++;
}

void systrap_space_kill(struct platform_space *s)
{
	if (s->pidfd >= 0 && !s->killed && !s->gone)
		(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
	s->killed = true;
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
	/* Otherwise on_death() does it. */
	if (s->gone || s->pidfd < 0)
		release(s);
	else
		list_add_tail(&s->dying, &systrap.dying);
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
	t->ctx = (struct stub_ctx *)(void *)(s->prw.map + (size_t)slot * STUB_SLOT_LEN);
	if (slot >= s->slots)
		s->slots = slot + 1;
	systrap_kick_init(t);
	list_init(&t->guest_node);
	list_add_tail(&t->node, &s->threads);
	list_init(&t->tid_node);
	t->ctx->self = systrap_at(STUB_PRW) + (uint64_t)slot * STUB_SLOT_LEN;
	t->ctx->stack = systrap_at(STUB_STACKS) + (uint64_t)(slot + 1) * STUB_STACK_LEN;
	t->ctx->index = t->index;
	/* Its first request is under way: READY. */
	t->guest = true;
	s->entries++;
	list_add_tail(&t->guest_node, &systrap.guests);
	*ret = t;
	return 0;
}

void systrap_thread_born(struct platform_thread *t, pid_t tid)
{
	t->tid = tid;
	systrap.last_born = tid;
	list_add(&t->tid_node, tid_bucket(tid));
}

void systrap_answers(struct platform_thread *t, const struct platform_answers *a)
{
	struct stub_ids *ids = &systrap.ids[t->index];

	__atomic_store_n(&ids->valid, ids->valid & ~STUB_IDS_ANSWERS, __ATOMIC_RELEASE);
	if (!a)
		return;
	ids->tgid = a->tgid;
	ids->tid = a->tid;
	ids->ppid = a->ppid;
	ids->uid = a->uid;
	ids->euid = a->euid;
	ids->gid = a->gid;
	ids->egid = a->egid;
	__atomic_store_n(&ids->valid, ids->valid | STUB_IDS_ANSWERS, __ATOMIC_RELEASE);
}

void systrap_thread_forget(struct platform_thread *t)
{
	list_del(&t->node);
	list_del(&t->guest_node);
	list_del(&t->tid_node);
	policy_lost(t);
	systrap_batch_drop(t);
	systrap_window_drop(t);
	ktimer_cancel(&t->deaf);
	__atomic_store_n(&systrap.ids[t->index].valid, 0, __ATOMIC_RELEASE);
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
