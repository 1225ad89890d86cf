/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications of the filter: grants and births.
 *
 * A call that needs a grant goes on only if the thread that makes it, its number and its arguments
 * are those of the grant, which is used up. A new process or thread makes the birth call first; it
 * carries the nonce of the clone that was granted, and the kernel says who it is. While it waits
 * for our answer it cannot go away unnoticed: pidfd_open(2), then NOTIF_ID_VALID. A notification
 * that nobody expects costs its process its life, so a flood is short.
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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define FORK_FLAGS (CLONE_PARENT | SIGCHLD)
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define BIRTH_NS (10 * NSEC_PER_SEC)

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

static void kill_unknown(pid_t pid)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	/* A thread has no pidfd of its own here: its group's number is not known; name it. */
	if (pidfd >= 0) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		(void)close(pidfd);
	} else {
		(void)kill(pid, SIGKILL);
	}
}

static bool bear_process(struct systrap_birth *b, const struct seccomp_notif *n)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, n->pid, 0);

	if (pidfd < 0 || ioctl(systrap.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) < 0)
		return false;
	if (!give(n, b->sock, STUB_FD_SOCKET) || !give(n, b->prw_fd, STUB_FD_PRW))
		return false;
	return systrap_space_born(b->child->space, TAKE_FD(pidfd), (pid_t)n->pid) == 0;
}

static bool bear_thread(const struct systrap_birth *b, const struct seccomp_notif *n)
{
	return syscall(SYS_tgkill, b->child->space->tgid, n->pid, 0) == 0 &&
	       ioctl(systrap.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0;
}

static void on_birth(const struct seccomp_notif *n)
{
	struct systrap_birth *b;

	list_for_each(b, &systrap.births, node)
	{
		if (b->born || b->nonce != n->data.args[0])
			continue;
		if (b->sock < 0 ? !bear_thread(b, n) : !bear_process(b, n))
			break;
		b->born = true;
		systrap_thread_born(b->child, (pid_t)n->pid);
		fiber_wake(b->waiter);
		answer(n, 0, 0, 0);
		return;
	}
	kill_unknown((pid_t)n->pid);
	answer(n, 0, -EPERM, 0);
}

static bool granted(struct systrap_grant *g, const struct seccomp_data *data)
{
	if (!g->valid || g->nr != data->nr)
		return false;
	for (unsigned int i = 0; i < 6; i++) {
		if (g->mask & 1u << i && g->args[i] != data->args[i])
			return false;
	}
	g->valid = false;
	return true;
}

/*
 * A child's mapping of its own STUB_PRW comes before anybody could have granted it; with the
 * exact arguments it does only what the child was made for.
 */
static bool maps_own_prw(const struct seccomp_data *d)
{
	return d->nr == SYS_mmap && d->args[0] == STUB_PRW && d->args[1] == STUB_PRW_LEN &&
	       d->args[2] == (PROT_READ | PROT_WRITE) && d->args[3] == (MAP_SHARED | MAP_FIXED) &&
	       d->args[4] == STUB_FD_PRW && d->args[5] == 0;
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
	if (t && (granted(&t->grants[0], &n.data) || granted(&t->grants[1], &n.data) ||
		  maps_own_prw(&n.data))) {
		answer(&n, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		return;
	}
	if (t)
		systrap_space_kill(t->space);
	else
		kill_unknown((pid_t)n.pid);
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

/* Clone with this birth; the parent reports when its call has returned. 0 or -errno. */
static int clone_and_wait(struct platform_thread *t, struct systrap_birth *b, uint64_t flags)
{
	const nsec_t deadline = nsec_add(kclock_monotonic(), BIRTH_NS);
	int64_t r;

	if (getrandom(&b->nonce, sizeof(b->nonce), 0) != sizeof(b->nonce))
		return -EAGAIN;
	b->waiter = fiber_self();
	list_add(&b->node, &systrap.births);
	systrap_grant(t, 0, SYS_clone, (const uint64_t[6]){ flags }, 1);
	t->ctx->act[0] = b->nonce;
	t->ctx->act[1] = b->child->slot;
	r = systrap_action(t, flags & CLONE_VM ? STUB_ACT_CLONE : STUB_ACT_FORK);
	while (r >= 0 && !b->born) {
		if (fiber_park(deadline, false) == -ETIMEDOUT && !b->born) {
			/* A ghost: only the end of its parent can be forced. */
			systrap_space_kill(t->space);
			r = -ESRCH;
		}
	}
	list_del(&b->node);
	return r < 0 ? (int)r : 0;
}

int systrap_fork_stub(struct platform_thread *t, struct platform_thread **ret)
{
	struct systrap_birth b = { .sock = -EBADF };
	AUTO_CLOSE int prw_fd = -EBADF;
	AUTO_CLOSE int child_sock = -EBADF;
	struct platform_space *s;
	uint8_t *prw;
	int sv[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return -errno;
	child_sock = sv[1];
	r = systrap_prw_new(&prw_fd, &prw);
	if (r < 0) {
		(void)close(sv[0]);
		return r;
	}
	r = systrap_space_new(sv[0], prw, &s);
	if (r < 0)
		return r;
	r = systrap_thread_new(s, t->slot, &b.child);
	if (r == 0) {
		b.sock = child_sock;
		b.prw_fd = prw_fd;
		r = clone_and_wait(t, &b, FORK_FLAGS);
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
	struct systrap_birth b = { .sock = -EBADF, .prw_fd = -EBADF };
	int r;

	if (s->slots >= STUB_SLOTS)
		return -EAGAIN;
	r = systrap_thread_new(s, s->slots, &b.child);
	if (r < 0)
		return r;
	r = clone_and_wait(t, &b, THREAD_FLAGS);
	if (r < 0) {
		/* The slot is not used again: who knows what became of it. */
		systrap_thread_forget(b.child);
		return r;
	}
	s->refs++;
	*ret = b.child;
	return 0;
}
