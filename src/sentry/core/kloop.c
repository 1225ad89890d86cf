/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's loop. Fairness: descriptors are looked at once in KLOOP_BUSY_ROUNDS rounds even when
 * there is always a fiber or a request of a stub.
 */
#include "sentry/core/kloop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"

#define KLOOP_EVENTS	  32
#define KLOOP_BUSY_ROUNDS 16

static int epoll_fd = -1;
static const struct kloop_hook *hook;
static bool stopped;
static int stop_code;

/* The batch that is being dispatched, so that a removed source is not called any more. */
static struct epoll_event batch[KLOOP_EVENTS];
static int batch_len;

int kloop_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? -errno : 0;
}

static int control(int op, struct kloop_fd *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(epoll_fd, op, source->host_fd, &event) < 0 ? -errno : 0;
}

int kloop_add(struct kloop_fd *source, uint32_t events)
{
	return control(EPOLL_CTL_ADD, source, events);
}

int kloop_modify(struct kloop_fd *source, uint32_t events)
{
	return control(EPOLL_CTL_MOD, source, events);
}

void kloop_remove(struct kloop_fd *source)
{
	(void)control(EPOLL_CTL_DEL, source, 0);
	for (int i = 0; i < batch_len; i++) {
		if (batch[i].data.ptr == source)
			batch[i].data.ptr = NULL;
	}
}

void kloop_set_hook(const struct kloop_hook *new_hook)
{
	hook = new_hook;
}

static void dispatch(nsec_t timeout_ns, bool asleep)
{
	struct timespec ts = nsec_to_timespec(timeout_ns);
	const int n = epoll_pwait2(epoll_fd, batch, KLOOP_EVENTS,
				   timeout_ns == NSEC_NEVER ? NULL : &ts, NULL);

	/* First: whom a source wakes need not ring. */
	if (asleep && hook && hook->after_sleep)
		hook->after_sleep();
	if (n <= 0)
		return;
	batch_len = n;
	for (int i = 0; i < n; i++) {
		struct kloop_fd *source = batch[i].data.ptr;

		if (source)
			source->fn(source, batch[i].events);
	}
	batch_len = 0;
}

/* Nothing is ready: sleep until something is. */
static void idle(void)
{
	nsec_t next, now;

	if (hook && hook->before_sleep && !hook->before_sleep()) {
		/* It may refuse for long, while it polls: descriptors are looked at. */
		if (!fiber_any_ready())
			dispatch(0, false);
		return;
	}
	next = ktimer_next();
	if (next != NSEC_NEVER) {
		now = kclock_monotonic();
		next = next > now ? next - now : 0;
	}
	dispatch(next, true);
}

int kloop_run(void)
{
	unsigned int rounds = 0;

	stopped = false;
	while (!stopped) {
		fiber_run_ready();
		if (stopped)
			break;
		if (ktimer_next() != NSEC_NEVER)
			ktimer_run_due(kclock_monotonic());
		if (++rounds >= KLOOP_BUSY_ROUNDS) {
			rounds = 0;
			dispatch(0, false);
		}
		if (hook && hook->poll && hook->poll())
			continue;
		if (fiber_any_ready())
			continue;
		idle();
	}
	return stop_code;
}

void kloop_stop(int code)
{
	stopped = true;
	stop_code = code;
}
