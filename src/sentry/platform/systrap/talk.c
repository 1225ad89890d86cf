/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies: the loop's hook takes requests of guest threads and wakes their fibers.
 *
 * The request line is copied once, when its sequence number is exactly the one that is due; any
 * other change kills the stub.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/core/kclock.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define ERRNO_MAX 4095

static void take_shown(struct platform_thread *t)
{
	const uint64_t len = __atomic_load_n(&t->ctx->in_len, __ATOMIC_RELAXED);

	t->req.kind &= ~STUB_REQ_SHOWS;
	t->in_addr = __atomic_load_n(&t->ctx->in_addr, __ATOMIC_RELAXED);
	if (len <= STUB_IN_LEN)
		t->in_len = len;
	t->space->windows_used = true;
}

void systrap_taken(struct platform_thread *t)
{
	t->guest = false;
	t->posted = true;
	t->told_parked = false;
	t->early = false;
	t->kicked = false;
	ktimer_cancel(&t->deaf);
	systrap_grants_over(t);
	if (t->batch_len == 0) /* or they are for calls that were not sent yet */
		systrap_grants_end(t);
	list_del(&t->guest_node);
	policy_arrived(t);
	list_add_tail(&t->guest_node, &systrap.taken);
	if (t->waiter)
		fiber_wake(t->waiter);
	if (t->space->asker)
		fiber_wake(t->space->asker);
}

static bool take(struct platform_thread *t)
{
	struct stub_ctx *c = t->ctx;
	const uint32_t seq = __atomic_load_n(&c->req_seq, __ATOMIC_ACQUIRE);

	/* Answered before it came: systrap_answer_early(). */
	if (seq == t->seq || (t->early && seq == t->seq - 1))
		return false;
	if (seq != t->seq + 1) {
		systrap_space_kill(t->space);
		return true;
	}
	t->seq = seq;
	t->req.kind = __atomic_load_n(&c->kind, __ATOMIC_RELAXED);
	t->in_len = 0;
	if (t->req.kind & STUB_REQ_SHOWS)
		take_shown(t);
	t->req.nr = __atomic_load_n(&c->nr, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 6; i++)
		t->req.args[i] = __atomic_load_n(&c->args[i], __ATOMIC_RELAXED);
	systrap_taken(t);
	return true;
}

/* All fibers have run: who has no answer now gets none soon, and need not spin for it. */
static void tell_parked(void)
{
	while (!list_empty(&systrap.taken)) {
		struct platform_thread *t =
			list_first(&systrap.taken, struct platform_thread, guest_node);

		list_del(&t->guest_node);
		t->told_parked = true;
		__atomic_store_n(&t->ctx->parked_seq, t->seq, __ATOMIC_RELAXED);
	}
}

static bool scan(void)
{
	struct platform_thread *t, *next;
	bool any = false;

	list_for_each_safe(t, next, &systrap.guests, guest_node) any |= take(t);
	return any;
}

static bool poll_requests(void)
{
	tell_parked();
	return scan();
}

static bool look_everywhere(void *arg)
{
	(void)arg;
	return scan();
}

static bool look_at(void *arg)
{
	return take(arg);
}

static void after_sleep(void)
{
	__atomic_store_n(&systrap.global->sleeping, 0, __ATOMIC_RELAXED);
	policy_awake();
}

static bool before_sleep(void)
{
	/* Notifications come by a descriptor. */
	if (policy_wait(look_everywhere, NULL, systrap.expected > 0) != POLICY_SLEEP)
		return false;
	policy_sleeping();
	(void)__atomic_exchange_n(&systrap.global->sleeping, 1, __ATOMIC_SEQ_CST);
	if (!scan())
		return true;
	after_sleep();
	return false;
}

static const struct kloop_hook hook = {
	.poll = poll_requests,
	.before_sleep = before_sleep,
	.after_sleep = after_sleep,
};

/* Read, so that the counter never fills up; the loop scans afterwards. */
static void on_doorbell(struct kloop_fd *source, uint32_t events)
{
	uint64_t count;

	(void)events;
	(void)!read(source->host_fd, &count, sizeof(count));
}

int systrap_talk_init(void)
{
	systrap.doorbell_source =
		(struct kloop_fd){ .host_fd = systrap.doorbell, .fn = on_doorbell };
	kloop_set_hook(&hook);
	return kloop_add(&systrap.doorbell_source, EPOLLIN | EPOLLET);
}

void systrap_reply(struct platform_thread *t, enum stub_action action)
{
	struct stub_ctx *c = t->ctx;

	t->guest = true;
	t->posted = false;
	t->space->entries++;
	list_move_tail(&t->guest_node, &systrap.guests);
	if (systrap_notified_reply(t, action))
		return;
	systrap_batch_sent(t);
	systrap_window_sent(t);
	if (t->grants_len > 0)
		systrap_grants_sent(t);
	__atomic_store_n(&c->action, (uint32_t)action, __ATOMIC_RELAXED);
	(void)__atomic_exchange_n(&c->rep_seq, t->seq, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->sleep, __ATOMIC_SEQ_CST)) {
		uint32_t *word = &systrap.words[t->index];

		policy_woken(t->told_parked);
		__atomic_store_n(&c->sleep, 0, __ATOMIC_RELAXED);
		__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		(void)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
}

int systrap_park(nsec_t *deadline, bool *late)
{
	const int r = fiber_park(*deadline, false);

	if (r != -ETIMEDOUT || *late)
		return r;
	*late = true;
	*deadline = nsec_add(kclock_monotonic(), SYSTRAP_GRACE_NS);
	return 0;
}

int systrap_await(struct platform_thread *t, nsec_t deadline)
{
	bool late = false;
	int r = 0;

	/* A request that is there already, or soon, saves a round through the loop. */
	if (t->guest && !take(t) && t->counted && systrap.expected == 0 && !fiber_any_ready()) {
		tell_parked();
		(void)policy_wait_directly(look_at, t);
	}
	t->waiter = fiber_self();
	while (!t->posted && !t->space->dead && r != -ETIMEDOUT) {
		r = systrap_park(&deadline, &late);
		/* The host may have stopped it: its time begins when it goes on. */
		if (r == -ETIMEDOUT && t->space->nursery->held) {
			deadline = nsec_add(kclock_monotonic(), SYSTRAP_ACTION_NS);
			late = false;
			r = 0;
		}
	}
	t->waiter = NULL;
	if (t->posted && !t->space->dead)
		return 0;
	if (!t->space->dead)
		systrap_space_kill(t->space);
	return -ESRCH;
}

bool systrap_answer_early(struct platform_thread *t)
{
	systrap_flush_wait(t);
	if (!t->guest || t->posted || t->seq != 0 || t->space->dead ||
	    __atomic_load_n(&t->ctx->req_seq, __ATOMIC_ACQUIRE) != 0)
		return false;
	t->seq = 1;
	t->early = true;
	return true;
}

int systrap_settle(struct platform_thread *t)
{
	int r;

	systrap_flush_wait(t);
	if (t->space->dead)
		return -ESRCH;
	if (!t->guest && !t->posted)
		return 0;
	r = systrap_await(t, nsec_add(kclock_monotonic(), SYSTRAP_ACTION_NS));
	t->posted = false;
	if (r == 0 && t->req.kind != STUB_REQ_READY) {
		systrap_space_kill(t->space);
		r = -ESRCH;
	}
	return r;
}

int64_t systrap_action(struct platform_thread *t, enum stub_action action)
{
	int r;

	systrap_reply(t, action);
	r = systrap_await(t, nsec_add(kclock_monotonic(), SYSTRAP_ACTION_NS));
	t->posted = false;
	if (r < 0)
		return r;
	/* What no call returns would be another number when it becomes an int. */
	if (t->req.kind != STUB_REQ_DONE || (int64_t)t->req.nr < -ERRNO_MAX) {
		systrap_space_kill(t->space);
		return -ESRCH;
	}
	return (int64_t)t->req.nr;
}

/* In profile direct the filter alone judges calls that change memory: nobody asks. */
static bool waits_for_word(long nr, const uint64_t args[6])
{
	if (systrap.options.profile == SYSTRAP_CHECKED)
		return true;
	return nr != SYS_munmap && nr != SYS_mprotect && nr != SYS_madvise &&
	       (nr != SYS_mmap || !(args[3] & MAP_ANONYMOUS));
}

void systrap_grant(struct platform_thread *t, unsigned int which, long nr, const uint64_t args[6],
		   unsigned int mask)
{
	struct systrap_grant *g = &t->grants[which];

	*g = (struct systrap_grant){
		.valid = waits_for_word(nr, args), .nr = nr, .mask = mask, .fd = -1
	};
	memcpy(g->args, args, sizeof(g->args));
	if (which >= t->grants_len)
		t->grants_len = which + 1;
}

int64_t systrap_call(struct platform_thread *t, long nr, const uint64_t args[6])
{
	int r;

	systrap_flush_wait(t);
	if (nr != SYS_mremap && systrap_defer(t, nr, args, -1))
		return nr == SYS_mmap ? (int64_t)args[0] : 0;
	r = systrap_settle(t);
	if (r < 0)
		return r;
	systrap_grant(t, 0, nr, args, 0x3f);
	t->ctx->act[0] = (uint64_t)nr;
	for (unsigned int i = 0; i < 5; i++)
		t->ctx->act[i + 1] = args[i];
	t->ctx->ret = args[5];
	return systrap_action(t, STUB_ACT_CALL);
}
