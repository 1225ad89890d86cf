/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/sigqueue.c - see sigqueue.h. */
#include "sentry/task/sigqueue.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/task/posix_timers.h"
#include "sentry/task/user_usage.h"

void sig_queue_init(struct sig_queue *q)
{
	list_init(&q->queued);
	q->set = 0;
}

static void queued_free(struct queued_signal *s)
{
	list_del(&s->node);
	if (s->timer) {
		posix_timer_signal_dropped(s->timer);
		return;
	}
	if (s->usage)
		user_usage_drop_signal(s->usage);
	free(s);
}

void sig_queue_flush(struct sig_queue *q, kernel_sigset_t mask)
{
	struct queued_signal *s, *next;

	if (!(q->set & mask))
		return;
	q->set &= ~mask;
	list_for_each_safe(s, next, &q->queued, node)
	{
		if (SIG_BIT(s->sig) & mask)
			queued_free(s);
	}
}

static siginfo_t info_kernel(int sig)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_KERNEL;
	return info;
}

/* Must the sender know that the siginfo does not fit? (sigqueue(3), but not kill(2)) */
static bool must_not_be_lost(int sig, const siginfo_t *info)
{
	return sig >= SIG_RT_FIRST && info && info->si_code != SI_USER &&
	       info->si_code != SI_KERNEL;
}

int sig_queue_put(struct sig_queue *q, int sig, const siginfo_t *info, struct user_usage *usage,
		  uint64_t limit)
{
	/* One of each standard signal has room always; as many as tasks have queues. */
	const bool always = sig < SIG_RT_FIRST && (!info || info->si_code >= 0);
	struct queued_signal *s = NULL;
	bool paid;

	if (sig < SIG_RT_FIRST && (q->set & SIG_BIT(sig)))
		return 0;
	paid = sig != SIGKILL && !always && user_usage_add_signal(usage, limit) == 0;
	if (sig != SIGKILL && (always || paid))
		s = calloc(1, sizeof(*s));
	if (!s && paid)
		user_usage_drop_signal(usage);
	if (!s && must_not_be_lost(sig, info))
		return -EAGAIN;
	q->set |= SIG_BIT(sig);
	if (!s)
		return 0;
	s->sig = sig;
	s->info = info ? *info : info_kernel(sig);
	s->usage = paid ? usage : NULL;
	list_add_tail(&s->node, &q->queued);
	return 0;
}

void sig_queue_put_timer(struct sig_queue *q, struct queued_signal *s)
{
	q->set |= SIG_BIT(s->sig);
	list_add_tail(&s->node, &q->queued);
}

int sig_set_first(kernel_sigset_t set)
{
	if (set & SIG_SYNC_MASK)
		set &= SIG_SYNC_MASK;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

int sig_queue_take(struct sig_queue *q, kernel_sigset_t mask, siginfo_t *ret)
{
	const int sig = sig_set_first(q->set & mask);
	struct queued_signal *s, *found = NULL;
	bool more = false;

	if (!sig)
		return 0;
	list_for_each(s, &q->queued, node)
	{
		if (s->sig != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = s;
	}
	if (!more)
		q->set &= ~SIG_BIT(sig);
	if (!found) {
		/* Its siginfo did not fit: as of kill(2) from nobody. */
		memset(ret, 0, sizeof(*ret));
		ret->si_signo = sig;
		ret->si_code = SI_USER;
		return sig;
	}
	*ret = found->info;
	if (found->timer) {
		struct posix_timer *timer = found->timer;

		list_del(&found->node);
		posix_timer_signal_taken(timer, ret);
	} else {
		queued_free(found);
	}
	return sig;
}

void signal_watch_unref(struct signal_watch *w)
{
	if (!w || --w->refs)
		return;
	/* Epolls of others may have waited for signals of who is gone. */
	while (!list_empty(&w->wq.entries))
		waitq_remove(list_first(&w->wq.entries, struct wait_entry, node));
	free(w);
}

static struct sighand *sighand_with(struct signal_watch *watch)
{
	struct sighand *h = calloc(1, sizeof(*h));

	if (!watch || !h) {
		signal_watch_unref(watch);
		free(h);
		return NULL;
	}
	h->refs = 1;
	h->watch = watch;
	return h;
}

struct sighand *sighand_new(void)
{
	struct signal_watch *watch = calloc(1, sizeof(*watch));

	if (watch) {
		watch->refs = 1;
		waitq_init(&watch->wq);
	}
	return sighand_with(watch);
}

struct sighand *sighand_copy(const struct sighand *from)
{
	struct sighand *h = sighand_new();

	if (h)
		memcpy(h->action, from->action, sizeof(h->action));
	return h;
}

struct sighand *sighand_copy_exec(const struct sighand *from)
{
	struct sighand *h;

	from->watch->refs++;
	h = sighand_with(from->watch);
	if (h)
		memcpy(h->action, from->action, sizeof(h->action));
	return h;
}

void sighand_unref(struct sighand *h)
{
	if (!h || --h->refs)
		return;
	signal_watch_unref(h->watch);
	free(h);
}
