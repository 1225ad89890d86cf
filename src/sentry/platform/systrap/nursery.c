/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nurseries: stubs that have mapped nothing and run no guest code, and of which those of spaces are
 * forked. The sandbox's first one is the template, which the zygote made; each other is a fork of
 * it that the runtime puts into a cgroup of its own, where all that come of it are. One child is
 * made in advance, the first one with the nursery: the runtime moves both, which takes some
 * milliseconds, while the first program is loaded.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define SPARE_FIRST_NS (NSEC_PER_SEC / 200)
#define END_NS	       (10 * NSEC_PER_SEC) /* a large memory is given back, or it is frozen */

static void spawn_refill(struct platform_nursery *n);

static void on_first(struct ktimer *timer)
{
	spawn_refill(container_of(timer, struct platform_nursery, first));
}

void systrap_nursery_init(struct platform_nursery *n)
{
	n->refs = 1;
	kmutex_init(&n->lock);
	waitq_init(&n->changed);
	list_init(&n->spaces);
	ktimer_init(&n->first, on_first);
}

static void nursery_unref(struct platform_nursery *n)
{
	if (--n->refs == 0)
		free(n); /* never the sandbox's own */
}

void systrap_nursery_join(struct platform_nursery *n, struct platform_space *s)
{
	s->nursery = n;
	list_add_tail(&s->nursery_node, &n->spaces);
	n->refs++;
}

void systrap_nursery_leave(struct platform_space *s)
{
	list_del(&s->nursery_node);
	nursery_unref(s->nursery);
}

void systrap_nursery_born(struct platform_space *s)
{
	s->nursery->processes++;
}

void systrap_nursery_gone(const struct platform_space *s)
{
	struct platform_nursery *n = s->nursery;

	if (--n->processes == 0)
		waitq_wake(&n->changed, WAIT_ALL);
	if (!n->template || n->template->space != s)
		return;
	/* No process could ever be made again. */
	if (n == &systrap.nursery)
		kloop_stop(128 + SIGKILL);
	else if (n->on_end)
		n->on_end(n->on_end_arg);
}

void systrap_nursery_clones(struct platform_nursery *n, int change)
{
	n->births += (unsigned int)change;
	if (n->births == 0)
		waitq_wake(&n->changed, WAIT_ALL);
}

static int fork_template(struct platform_nursery *n, struct platform_thread **ret)
{
	int r;

	kmutex_lock(&n->lock);
	while (n->held) {
		kmutex_unlock(&n->lock);
		r = WAIT_EVENT(&n->changed, !n->held);
		if (r < 0)
			return -EAGAIN; /* who asks is to be killed, perhaps */
		kmutex_lock(&n->lock);
	}
	r = !n->template ? -ESRCH : n->unplaced ? -EAGAIN : systrap_settle(n->template);
	if (r == 0)
		r = systrap_fork_stub(n->template, ret);
	kmutex_unlock(&n->lock);
	return r;
}

static void refill(void *arg)
{
	struct platform_nursery *n = arg;
	struct platform_thread *t;

	if (!n->spare && fork_template(n, &t) == 0) {
		if (n->spare || !n->template)
			platform->thread_free(t);
		else
			n->spare = t;
	}
	n->spare_wanted = false;
	nursery_unref(n);
}

static void spawn_refill(struct platform_nursery *n)
{
	n->refs++;
	if (fiber_spawn("spare stub", refill, n, NULL) < 0) {
		n->spare_wanted = false;
		nursery_unref(n);
	}
}

/* A start is not slowed by what a short program never needs. */
static void want_spare(struct platform_nursery *n)
{
	if (n->spare_wanted || n->unplaced)
		return;
	n->spare_wanted = true;
	if (n->started)
		spawn_refill(n);
	else
		ktimer_arm(&n->first, nsec_add(kclock_monotonic(), SPARE_FIRST_NS));
	n->started = true;
}

int systrap_space_from(struct platform_nursery *from, struct platform_thread **ret)
{
	struct platform_nursery *n = from ? from : &systrap.nursery;
	struct platform_thread *t = n->spare;
	int r = 0;

	n->spare = NULL;
	if (t && t->space->dead) {
		platform->thread_free(t);
		t = NULL;
	}
	n->refs++;
	if (!t)
		r = fork_template(n, &t);
	if (r == 0) {
		systrap_frame_reset(t);
		if (n->template)
			want_spare(n);
		*ret = t;
	}
	nursery_unref(n);
	return r;
}

int systrap_nursery_new(struct platform_nursery **ret, int ret_pidfds[2])
{
	struct platform_nursery *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	systrap_nursery_init(n);
	r = fork_template(&systrap.nursery, &n->template);
	/* Killed on its way to us: the other's books have its end. */
	if (r == 0 && n->template->space->gone) {
		platform->thread_free(n->template);
		r = -EAGAIN;
	}
	if (r < 0) {
		free(n);
		return r == -ESRCH ? -EAGAIN : r;
	}
	/* It is another's by birth. */
	systrap.nursery.processes--;
	systrap_nursery_leave(n->template->space);
	systrap_nursery_join(n, n->template->space);
	n->processes++;
	r = fork_template(n, &n->spare);
	if (r < 0) {
		systrap_nursery_free(n);
		return r == -ESRCH ? -EAGAIN : r;
	}
	n->unplaced = true;
	*ret = n;
	ret_pidfds[0] = n->template->space->pidfd;
	ret_pidfds[1] = n->spare->space->pidfd;
	return 0;
}

void systrap_nursery_placed(struct platform_nursery *n)
{
	if (!n->unplaced)
		return;
	n->unplaced = false;
	if (n->template && !n->spare)
		want_spare(n);
}

void systrap_nursery_on_end(struct platform_nursery *n, void (*fn)(void *arg), void *arg)
{
	n->on_end = fn;
	n->on_end_arg = arg;
	if (n->template->space->gone)
		fn(arg);
}

static struct platform_thread *unsettled(const struct platform_nursery *n)
{
	const struct platform_space *s;
	struct platform_thread *t;

	list_for_each(s, &n->spaces, nursery_node)
	{
		if (s->pending && !s->dead)
			return s->pending;
		if (s->outs_pending == 0 || s->dead)
			continue;
		list_for_each(t, &s->threads, node)
		{
			if (t->outs > 0)
				return t;
		}
	}
	return NULL;
}

void systrap_nursery_hold(struct platform_nursery *n, bool held)
{
	struct platform_thread *t;
	int r = 0;

	n->refs++;
	n->held = held;
	/* Who is born waits for our word, and the host cannot stop it. */
	if (held)
		WAIT_EVENT_ALWAYS(&n->changed, n->births == 0 || !n->held);
	while (held && r == 0 && (t = unsettled(n))) {
		struct platform_space *s = t->space;

		systrap_space_ref(s);
		r = systrap_sync(t);
		r = s->dead ? 0 : r;
		systrap_space_unref(s);
	}
	if (!held)
		waitq_wake(&n->changed, WAIT_ALL);
	nursery_unref(n);
}

void systrap_nursery_free(struct platform_nursery *n)
{
	struct platform_thread *template;

	ktimer_cancel(&n->first);
	systrap_nursery_hold(n, false);
	kmutex_lock(&n->lock); /* nobody is born meanwhile */
	template = TAKE_PTR(n->template);
	if (n->spare)
		platform->thread_free(TAKE_PTR(n->spare));
	kmutex_unlock(&n->lock);
	platform->thread_free(template);
	(void)WAIT_EVENT_UNTIL(&n->changed, n->processes == 0,
			       nsec_add(kclock_monotonic(), END_NS));
	nursery_unref(n);
}
