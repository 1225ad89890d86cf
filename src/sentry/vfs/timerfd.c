/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/timerfd.c - timerfd_create(2).
 *
 * Deadlines are kept on the monotonic clock: an absolute time of another clock is converted when it
 * is set. The guest cannot set the clock, so TFD_TIMER_CANCEL_ON_SET never cancels.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/eventfd.h"

/* TFD_IOC_SET_TICKS, which only some headers have. */
#define TIMERFD_SET_TICKS _IOW('T', 0, uint64_t)

struct timerfd {
	struct file file;
	struct waitq wq;
	struct ktimer timer;
	int clock;
	nsec_t next;	 /* monotonic; 0: disarmed */
	nsec_t interval; /* 0: once */
	uint64_t ticks;	 /* not read yet */
};

static nsec_t clock_now(int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
		return kclock_realtime();
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return kclock_boottime();
	default:
		return kclock_monotonic();
	}
}

/* Count what is due by now. Whoever was not told of it yet is by timerfd_fire(). */
static void catch_up(struct timerfd *t)
{
	const nsec_t now = kclock_monotonic();
	uint64_t n = 1;

	if (t->next == 0 || now < t->next)
		return;
	if (t->interval) {
		n += (now - t->next) / t->interval;
		t->next = nsec_add(t->next, n * t->interval);
	} else {
		t->next = 0;
	}
	t->ticks += n;
}

/* The next one is told of again: as in Linux, where the timer stands still until it is looked at.
 */
static void go_on(struct timerfd *t)
{
	if (t->next && t->interval)
		ktimer_arm(&t->timer, t->next);
}

static void timerfd_fire(struct ktimer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);

	catch_up(t);
	waitq_wake(&t->wq, POLLIN | POLLRDNORM);
}

static ssize_t timerfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct timerfd *t = container_of(f, struct timerfd, file);
	uint64_t ticks;

	if (u->left < sizeof(ticks))
		return -EINVAL;
	catch_up(t);
	while (t->ticks == 0) {
		int r;

		if (file_io_flags(f, u) & O_NONBLOCK)
			return -EAGAIN;
		r = WAIT_EVENT(&t->wq, t->ticks > 0);
		if (r < 0)
			return r;
	}
	catch_up(t);
	ticks = t->ticks;
	t->ticks = 0;
	go_on(t);
	return uio_put(u, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks) ? (ssize_t)sizeof(ticks)
									   : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f)
{
	struct timerfd *t = container_of(f, struct timerfd, file);

	catch_up(t);
	return t->ticks ? POLLIN | POLLRDNORM : 0;
}

/* TFD_IOC_SET_TICKS of a restored process: so many expirations wait to be read. */
static long timerfd_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct timerfd *t = container_of(f, struct timerfd, file);
	uint64_t ticks;

	if (cmd != TIMERFD_SET_TICKS)
		return -ENOTTY;
	if (user_copy_in(um, &ticks, arg, sizeof(ticks)) < 0)
		return -EFAULT;
	if (!ticks)
		return -EINVAL;
	t->ticks = ticks;
	waitq_wake(&t->wq, POLLIN | POLLRDNORM);
	return 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = container_of(f, struct timerfd, file);

	ktimer_cancel(&t->timer);
	file_fini(f);
	free(t);
}

static int timerfd_show(struct file *f, char *buf, size_t len)
{
	struct timerfd *t = container_of(f, struct timerfd, file);
	struct itimerspec now;

	(void)timerfd_get(f, &now);
	(void)snprintf(buf, len,
		       "clockid: %d\nticks: %llu\nsettime flags: 00\n"
		       "it_value: (%lld, %ld)\nit_interval: (%lld, %ld)\n",
		       t->clock, (unsigned long long)t->ticks, (long long)now.it_value.tv_sec,
		       now.it_value.tv_nsec, (long long)now.it_interval.tv_sec,
		       now.it_interval.tv_nsec);
	return 0;
}

static const struct file_ops timerfd_ops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.ioctl = timerfd_ioctl,
	.show_fdinfo = timerfd_show,
	.release = timerfd_release,
};

int timerfd_open(const struct cred *cred, int clock, uint32_t flags, struct file **ret)
{
	struct timerfd *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = anon_file_init(&t->file, &timerfd_ops, "[timerfd]", cred,
			   O_RDWR | (flags & TFD_NONBLOCK));
	if (r < 0) {
		free(t);
		return r;
	}
	waitq_init(&t->wq);
	ktimer_init(&t->timer, timerfd_fire);
	t->file.wq = &t->wq;
	t->file.mode |= FMODE_STREAM;
	t->clock = clock;
	*ret = &t->file;
	return 0;
}

int timerfd_get(struct file *f, struct itimerspec *ret)
{
	const nsec_t now = kclock_monotonic();
	struct timerfd *t;

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	t = container_of(f, struct timerfd, file);
	catch_up(t);
	go_on(t);
	*ret = (struct itimerspec){ .it_interval = nsec_to_timespec(t->interval) };
	if (t->next)
		ret->it_value = nsec_to_timespec(t->next > now ? t->next - now : 1);
	return 0;
}

int timerfd_set(struct file *f, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	const nsec_t value = timespec_to_nsec(&new->it_value);
	struct timerfd *t;
	nsec_t delta = value, now;

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	t = container_of(f, struct timerfd, file);
	if (old)
		(void)timerfd_get(f, old);
	t->ticks = 0;
	t->interval = timespec_to_nsec(&new->it_interval);
	if (value == 0) {
		t->next = 0;
		ktimer_cancel(&t->timer);
		return 0;
	}
	if (flags & TFD_TIMER_ABSTIME) {
		now = clock_now(t->clock);
		delta = value > now ? value - now : 0;
	}
	t->next = nsec_add(kclock_monotonic(), delta);
	ktimer_arm(&t->timer, t->next);
	return 0;
}
