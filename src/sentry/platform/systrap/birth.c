/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications of the filter: grants and births.
 *
 * A call that needs a grant goes on only if the thread that makes it, its number and its arguments
 * are those of the grant, which is used up. A new process or thread makes the birth call first; it
 * carries the nonce of the clone that was granted, and the kernel says who it is. While it waits
 * for our answer it cannot go away unnoticed: pidfd_open(2), then NOTIF_ID_VALID. A notification
 * that nobody expects costs its process its life, so a flood is short.
 *
 * A clone is restarted by the kernel (ERESTARTNOINTR) when a freezer or a signal of the host comes
 * between our word and the call: then it asks a second time. It is told EINTR, and may try with
 * another nonce when no task has come of the first (ghost.c).
 */
#include <errno.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/core/klog.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define FORK_FLAGS (CLONE_PARENT | SIGCHLD)
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define BIRTH_NS     (10 * NSEC_PER_SEC)
#define RESTARTS_MAX 1000 /* of one clone, by stops of the host */

static void answer(const struct seccomp_notif *n, int64_t value, int error, uint32_t flags)
{
	struct seccomp_notif_resp resp = {
		.id = n->id, .val = value, .error = error, .flags = flags
	};

	(void)ioctl(systrap.listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static bool give(const struct seccomp_notif *n, int fd, int as)
{
	struct seccomp_notif_addfd add = { .id = n->id,
					   .flags = SECCOMP_ADDFD_FLAG_SETFD,
					   .srcfd = (uint32_t)fd,
					   .newfd = (uint32_t)as };

	return ioctl(systrap.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) == as;
}

/* Whose thread it is: by the books, or, for one that they do not have, by the kernel's word. */
static struct platform_space *space_of(pid_t tid)
{
	struct platform_thread *t = systrap_thread_by_tid(tid);

	for (unsigned int i = 0; !t && i < SYSTRAP_TID_BUCKETS; i++) {
		struct platform_thread *other;

		list_for_each(other, &systrap.tids[i], tid_node)
		{
			if (other->space->tgid > 0 &&
			    syscall(SYS_tgkill, other->space->tgid, tid, 0) == 0) {
				t = other;
				break;
			}
		}
	}
	return t ? t->space : NULL;
}

static void kill_notifier(pid_t tid)
{
	struct platform_space *s = space_of(tid);

	if (s) {
		systrap_space_kill(s);
	} else {
		/* Of no space yet: a process by itself. */
		AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, tid, 0);

		if (pidfd >= 0) {
			(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
			systrap_zygote_reap(pidfd);
		}
	}
}

static bool bear_process(struct systrap_birth *b, const struct seccomp_notif *n)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, n->pid, 0);

	/* Who can be given a descriptor now is still there: the pidfd is its own. */
	if (pidfd < 0 || !give(n, b->child->space->prw.fd, STUB_FD_PRW))
		return false;
	return systrap_space_born(b->child->space, TAKE_FD(pidfd), (pid_t)n->pid) == 0;
}

static bool bear_thread(const struct systrap_birth *b, const struct seccomp_notif *n)
{
	return syscall(SYS_tgkill, b->child->space->tgid, n->pid, 0) == 0 &&
	       ioctl(systrap.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0;
}

/* In the books, and by the kernel's word: a number there may be that of one that has just ended. */
static bool is_born(pid_t tid)
{
	const struct platform_thread *t = systrap_thread_by_tid(tid);

	return t && syscall(SYS_tgkill, t->space->tgid, tid, 0) == 0;
}

/* Nobody is born twice: a parent that said its child's birth would be two processes in the books.
 */
static void on_birth(const struct seccomp_notif *n)
{
	struct systrap_birth *b;

	list_for_each(b, &systrap.births, node)
	{
		if (b->born || b->nonce != n->data.args[0] || is_born((pid_t)n->pid))
			continue;
		if (b->process ? !bear_process(b, n) : !bear_thread(b, n))
			break;
		b->born = true;
		systrap_thread_born(b->child, (pid_t)n->pid);
		fiber_wake(b->waiter);
		answer(n, 0, 0, 0);
		return;
	}
	kill_notifier((pid_t)n->pid);
	answer(n, 0, -EPERM, 0);
}

static bool granted(struct systrap_grant *g, const struct seccomp_notif *n)
{
	if (!g->valid || g->nr != n->data.nr)
		return false;
	for (unsigned int i = 0; i < 6; i++) {
		if (g->mask & 1u << i && g->args[i] != n->data.args[i])
			return false;
	}
	g->valid = false;
	return g->fd < 0 || give(n, g->fd, STUB_FD_DONATED);
}

static bool find_grant(struct platform_thread *t, const struct seccomp_notif *n)
{
	for (unsigned int i = 0; i < t->grants_len; i++) {
		if (granted(&t->grants[i], n)) {
			systrap_grant_used(t);
			return true;
		}
	}
	return false;
}

/* What comes of its clone has a number behind the newest of now. */
static void note_word(const struct platform_thread *t)
{
	struct systrap_birth *b;

	list_for_each(b, &systrap.births, node)
	{
		if (b->parent == t) {
			b->since = systrap.last_born;
			b->passed = true;
		}
	}
}

/* The clone that this thread was allowed and that has no child yet; once. */
static bool is_restarted(const struct platform_thread *t, const struct seccomp_notif *n)
{
	struct systrap_birth *b;

	list_for_each(b, &systrap.births, node)
	{
		if (b->parent == t && !b->born && !b->restarted && n->data.nr == SYS_clone &&
		    n->data.args[0] == b->flags) {
			b->restarted = true;
			return true;
		}
	}
	return false;
}

static void on_notification(struct kloop_fd *source, uint32_t events)
{
	struct seccomp_notif n;
	struct platform_thread *t;

	/* Nobody has the filter any more: the zygote is gone, and every stub with it. */
	if (events & EPOLLHUP) {
		kloop_remove(source);
		kloop_stop(128 + SIGKILL);
		return;
	}
	memset(&n, 0, sizeof(n));
	if (ioctl(source->host_fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
		return;
	if (n.data.nr == STUB_NR_BIRTH) {
		on_birth(&n);
		return;
	}
	t = systrap_thread_by_tid((pid_t)n.pid);
	if (t && find_grant(t, &n)) {
		policy_expect();
		systrap.counts.words_given++;
		if (n.data.nr == SYS_clone)
			note_word(t);
		answer(&n, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		return;
	}
	if (t && is_restarted(t, &n)) {
		answer(&n, 0, -EINTR, 0);
		return;
	}
	if (t && systrap_notified(t, &n))
		return;
	kill_notifier((pid_t)n.pid);
	answer(&n, 0, -EPERM, 0);
}

int systrap_births_start(int listener)
{
	systrap.listener_source = (struct kloop_fd){ .host_fd = listener, .fn = on_notification };
#ifdef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
#endif
	return kloop_add(&systrap.listener_source, EPOLLIN);
}

/* Random, never 0; 0: there is none. */
static uint64_t new_nonce(void)
{
	static uint64_t stock[32];
	static unsigned int left;

	if (left == 0) {
		if (getrandom(stock, sizeof(stock), 0) != sizeof(stock))
			return 0;
		left = sizeof(stock) / sizeof(stock[0]);
	}
	return stock[--left];
}

/*
 * The parent says that it has a child, which is not born. A template tells the truth: its child
 * was killed. Who else says so lies, or has made a ghost, which goes with it.
 */
static int unborn(struct platform_thread *t, struct systrap_birth *b)
{
	if (t == t->space->nursery->template)
		return -EAGAIN;
	(void)systrap_no_ghost(b);
	systrap_space_kill(t->space);
	return -ESRCH;
}

/* Clone with this birth; the parent reports when its call has returned. 0 or -errno. */
static int clone_once(struct platform_thread *t, struct systrap_birth *b)
{
	nsec_t deadline = nsec_add(kclock_monotonic(), BIRTH_NS);
	bool late = false;
	int64_t r;

	b->nonce = new_nonce();
	if (b->nonce == 0)
		return -EAGAIN;
	b->restarted = false;
	list_add(&b->node, &systrap.births);
	systrap_grant(t, 0, SYS_clone, (const uint64_t[6]){ b->flags }, 1);
	t->ctx->act[0] = b->nonce;
	t->ctx->act[1] = b->child->slot;
	r = systrap_action(t, b->process ? STUB_ACT_FORK : STUB_ACT_CLONE);
	while (r >= 0 && !b->born) {
		if (systrap_park(&deadline, &late) == -ETIMEDOUT && !b->born)
			r = unborn(t, b);
	}
	list_del(&b->node);
	/* One grant, one task: a parent that denies its child would be given another one. */
	if (r < 0 && b->born) {
		systrap_space_kill(t->space);
		r = -ESRCH;
	}
	klog(platform, "a stub's %s is born: %d", b->process ? "process" : "thread", (int)r);
	return r < 0 ? (int)r : 0;
}

static int clone_until_born(struct platform_thread *t, struct systrap_birth *b)
{
	int r;

	b->parent = t;
	b->waiter = fiber_self();
	for (unsigned int i = 0; i < RESTARTS_MAX; i++) {
		b->since = systrap.last_born;
		r = clone_once(t, b);
		/* A parent that has gone may have left a process that never says its birth. */
		if (r == -ESRCH && b->process && b->passed && !b->born)
			(void)systrap_no_ghost(b);
		if (r != -EINTR || !b->restarted)
			return r;
		r = systrap_no_ghost(b);
		if (r < 0)
			return r;
	}
	return -EAGAIN;
}

static int clone_and_wait(struct platform_thread *t, struct systrap_birth *b)
{
	struct platform_nursery *n = t->space->nursery;
	int r;

	systrap_nursery_clones(n, 1);
	r = clone_until_born(t, b);
	systrap_nursery_clones(n, -1);
	return r;
}

int systrap_fork_stub(struct platform_thread *t, struct platform_thread **ret)
{
	struct systrap_birth b = { .process = true, .flags = FORK_FLAGS };
	struct platform_space *s;
	int r;

	r = systrap_space_new(t->space->nursery, &s);
	if (r < 0)
		return r;
	r = systrap_thread_new(s, t->slot, &b.child);
	if (r == 0) {
		policy_inherit(t, b.child);
		b.child->cpu = t->cpu; /* the host has seen to it */
		/* Whether the child ever lets go of our slots is its own affair. */
		t->space->cloned_out = true;
		r = clone_and_wait(t, &b);
		if (r < 0)
			systrap_thread_forget(b.child);
	}
	if (r < 0) {
		systrap_space_unref(s);
		return r;
	}
	*ret = b.child;
	return 0;
}

int systrap_clone_thread(struct platform_thread *t, struct platform_thread **ret)
{
	struct platform_space *s = t->space;
	struct systrap_birth b = { .process = false, .flags = THREAD_FLAGS };
	int r;

	if (s->slots >= STUB_SLOTS)
		return -EAGAIN;
	r = systrap_thread_new(s, s->slots, &b.child);
	if (r < 0)
		return r;
	policy_inherit(t, b.child);
	b.child->cpu = t->cpu;
	r = clone_and_wait(t, &b);
	if (r < 0) {
		/* The slot is not used again: who knows what became of it. */
		systrap_thread_forget(b.child);
		return r;
	}
	s->refs++;
	*ret = b.child;
	return 0;
}
