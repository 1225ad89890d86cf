/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/signalfd.c - see signalfd.h. */
#include "sentry/task/signalfd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "sentry/task/sigqueue.h"
#include "sentry/vfs/anon.h"

struct signalfd {
	struct file file;
	kernel_sigset_t mask;
};

static struct signalfd *signalfd_of(struct file *f)
{
	return container_of(f, struct signalfd, file);
}

static uint32_t signalfd_poll(struct file *f)
{
	const struct task *t = task_current();

	return t && (signal_pending_set(t) & signalfd_of(f)->mask) ? POLLIN : 0;
}

/* Who asks looks at signals of its own: a child that has inherited the file, too. */
static struct waitq *signalfd_wait_queue(struct file *f)
{
	const struct task *t = task_current();

	return t ? &t->tg->sighand->watch->wq : NULL;
}

static void fill(struct signalfd_siginfo *s, const siginfo_t *info)
{
	memset(s, 0, sizeof(*s));
	s->ssi_signo = (uint32_t)info->si_signo;
	s->ssi_errno = info->si_errno;
	s->ssi_code = info->si_code;
	switch (info->si_code) {
	case SI_TIMER:
		s->ssi_tid = (uint32_t)info->si_timerid;
		s->ssi_overrun = (uint32_t)info->si_overrun;
		s->ssi_ptr = (uint64_t)(uintptr_t)info->si_ptr;
		s->ssi_int = info->si_int;
		return;
	case SI_QUEUE:
	case SI_MESGQ:
		s->ssi_ptr = (uint64_t)(uintptr_t)info->si_ptr;
		s->ssi_int = info->si_int;
		break;
	default:
		break;
	}
	if (info->si_signo == SIGCHLD && info->si_code > 0) {
		s->ssi_status = info->si_status;
		s->ssi_utime = (uint64_t)info->si_utime;
		s->ssi_stime = (uint64_t)info->si_stime;
	} else if (SIG_BIT(info->si_signo) & SIG_SYNC_MASK && info->si_code > 0) {
		s->ssi_addr = (uint64_t)(uintptr_t)info->si_addr;
		return;
	} else if (info->si_signo == SIGIO && info->si_code > 0) {
		s->ssi_band = (uint32_t)info->si_band;
		s->ssi_fd = info->si_fd;
		return;
	}
	s->ssi_pid = (uint32_t)info->si_pid;
	s->ssi_uid = info->si_uid;
}

static int read_one(struct signalfd *s, struct task *t, bool block, siginfo_t *info)
{
	int sig = signal_dequeue(t, s->mask, info), r;

	if (sig || !block)
		return sig ? sig : -EAGAIN;
	r = WAIT_EVENT(&t->tg->sighand->watch->wq, (sig = signal_dequeue(t, s->mask, info)) != 0);
	return r < 0 ? r : sig;
}

static ssize_t signalfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct task *t = task_current();
	struct signalfd_siginfo out;
	ssize_t done = 0;

	if (u->left < sizeof(out))
		return -EINVAL;
	while (u->left >= sizeof(out)) {
		siginfo_t info;
		ssize_t r = read_one(signalfd_of(f), t,
				     !done && !(file_io_flags(f, u) & O_NONBLOCK), &info);

		if (r < 0)
			return done ? done : r;
		fill(&out, &info);
		r = uio_put(u, &out, sizeof(out));
		if (r < 0)
			return done ? done : r;
		done += r;
	}
	return done;
}

static int signalfd_show(struct file *f, char *buf, size_t len)
{
	return snprintf(buf, len, "sigmask:\t%016" PRIx64 "\n", signalfd_of(f)->mask);
}

static void signalfd_release(struct file *f)
{
	file_fini(f);
	free(signalfd_of(f));
}

static const struct file_ops signalfd_ops = {
	.read = signalfd_read,
	.poll = signalfd_poll,
	.wait_queue = signalfd_wait_queue,
	.show_fdinfo = signalfd_show,
	.release = signalfd_release,
};

int signalfd_file_new(struct task *t, kernel_sigset_t mask, uint32_t flags, struct file **ret)
{
	struct signalfd *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = anon_file_init(&s->file, &signalfd_ops, "[signalfd]", t->cred, O_RDWR | flags);
	if (r < 0) {
		free(s);
		return r;
	}
	s->file.mode |= FMODE_STREAM;
	s->mask = mask & ~SIG_UNBLOCKABLE;
	*ret = &s->file;
	return 0;
}

int signalfd_set_mask(struct task *t, struct file *f, kernel_sigset_t mask)
{
	if (f->ops != &signalfd_ops)
		return -EINVAL;
	signalfd_of(f)->mask = mask & ~SIG_UNBLOCKABLE;
	waitq_wake(&t->tg->sighand->watch->wq, POLLIN);
	return 0;
}
