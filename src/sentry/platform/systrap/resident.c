/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the host knows of a stub: which pages are there, how often it faulted.
 *
 * The stub says it of itself, by a host call of one of its threads that waits for a reply. Any
 * fiber may ask: flush_lock keeps the thread's own fiber from answering it meanwhile. When all
 * threads run guest code, one of them is kicked: its own fiber takes the request and stops at
 * flush_lock, on its way to let the guest go on. A stub that lies, lies about its own numbers.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "sentry/core/kclock.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define ASK_NS (NSEC_PER_SEC / 20) /* for how long a thread that runs is waited for */

_Static_assert(PLATFORM_RESIDENT_MAX <= STUB_IN_LEN, "an answer fits into the slot");
_Static_assert(sizeof(struct rusage) <= STUB_IN_LEN, "an answer fits into the slot");

/* Its host thread waits for a reply that nobody is about to give. */
static bool is_waiting(const struct platform_thread *t)
{
	return t->seq > 0 && t->tid > 0 && !t->guest && !t->posted && !t->early;
}

static struct platform_thread *waiting_thread(struct platform_space *s)
{
	struct platform_thread *t;

	list_for_each(t, &s->threads, node)
	{
		if (is_waiting(t))
			return t;
	}
	return NULL;
}

static struct platform_thread *running_thread(struct platform_space *s)
{
	struct platform_thread *t;

	list_for_each(t, &s->threads, node)
	{
		if (t->running && t->guest && t->seq > 0 && t->tid > 0 && !t->early)
			return t;
	}
	return NULL;
}

/* With flush_lock held. */
static struct platform_thread *waiting_thread_soon(struct platform_space *s)
{
	const nsec_t deadline = nsec_add(kclock_monotonic(), ASK_NS);
	struct platform_thread *t = waiting_thread(s), *other;
	int r = 0;

	s->asker = fiber_self();
	while (!t && !s->dead && r != -ETIMEDOUT) {
		other = running_thread(s);
		if (other && !other->kicked)
			systrap_kick(other);
		r = fiber_park(deadline, false);
		t = waiting_thread(s);
	}
	s->asker = NULL;
	return s->dead ? NULL : t;
}

/* The answer is written to STUB_IN, where a request has shown guest memory: that is read again. */
static int64_t call_of(struct platform_thread *t, long nr, const uint64_t args[3], void *ret,
		       size_t len)
{
	const __typeof__(t->req) req = t->req;
	int64_t r;

	t->in_len = 0;
	t->flushing = true;
	t->ctx->act[0] = (uint64_t)nr;
	for (unsigned int i = 0; i < 3; i++)
		t->ctx->act[i + 1] = args[i];
	r = systrap_action(t, STUB_ACT_CALL);
	t->flushing = false;
	t->req = req;
	if (r == 0)
		memcpy(ret, (const uint8_t *)t->ctx + STUB_IN, len);
	return r;
}

/* of: who is to say it, or NULL; out: which argument is the place of the answer. */
static int ask(struct platform_space *s, struct platform_thread *of, long nr, uint64_t args[3],
	       unsigned int out, void *ret, size_t len)
{
	struct platform_thread *t;
	int64_t r = -EAGAIN;

	if (!fiber_self() || s->nursery->held)
		return -EAGAIN;
	kmutex_lock(&s->flush_lock);
	t = !of ? waiting_thread_soon(s) : !s->dead && is_waiting(of) ? of : NULL;
	/* Who holds or awaits that lock has looked at flush_lock before. */
	if (s->dead) {
		r = -ESRCH;
	} else if (t && kmutex_trylock(&s->lock)) {
		args[out] = systrap_at(STUB_PRW) + t->slot * (uint64_t)STUB_SLOT_LEN + STUB_IN;
		r = call_of(t, nr, args, ret, len);
		kmutex_unlock(&s->lock);
	}
	kmutex_unlock(&s->flush_lock);
	return r == 0 ? 0 : r < 0 && r > -4096 ? (int)r : -EIO;
}

int systrap_resident(struct platform_space *s, uaddr_t addr, size_t pages, uint8_t *ret)
{
	uint64_t args[3] = { addr, pages * 4096 };

	if (pages == 0 || pages > PLATFORM_RESIDENT_MAX || addr % 4096 ||
	    addr >= PLATFORM_GUEST_TOP || args[1] > PLATFORM_GUEST_TOP - addr)
		return -EINVAL;
	return ask(s, NULL, SYS_mincore, args, 2, ret, pages);
}

static int usage_of(struct platform_space *s, struct platform_thread *t, struct platform_usage *ret)
{
	uint64_t args[3] = { (uint64_t)(t ? RUSAGE_THREAD : RUSAGE_SELF) };
	struct rusage usage;
	const int r = ask(s, t, SYS_getrusage, args, 1, &usage, sizeof(usage));

	if (r < 0)
		return r;
	*ret = (struct platform_usage){
		.min_flt = usage.ru_minflt > 0 ? (uint64_t)usage.ru_minflt : 0,
		.maj_flt = usage.ru_majflt > 0 ? (uint64_t)usage.ru_majflt : 0,
		.max_rss = usage.ru_maxrss > 0 ? (uint64_t)usage.ru_maxrss << 10 : 0,
	};
	return 0;
}

int systrap_usage(struct platform_space *s, struct platform_usage *ret)
{
	return usage_of(s, NULL, ret);
}

int systrap_thread_usage(struct platform_thread *t, struct platform_usage *ret)
{
	return usage_of(t->space, t, ret);
}
