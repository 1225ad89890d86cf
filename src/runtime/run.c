/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "host/pidfd.h"
#include "runtime/container.h"
#include "runtime/creation.h"
#include "runtime/foreground.h"
#include "runtime/notify.h"
#include "runtime/start.h"
#include "runtime/store.h"

#include <signal.h>

/* Between made and running; on failure everything is undone by the caller. */
static int begin(struct creation *cr, struct foreground *fg, struct err *err)
{
	struct err problem = { 0 };
	int r;

	log_debug("container %s: process %d is made", cr->c->id, (int)cr->process.pid);
	if (!cr->detached) {
		fg->signals = foreground_signals(err);
		if (fg->signals < 0)
			return fg->signals;
	}
	if (notify_host() && !cr->ops->ready_when_started) {
		fg->notify = notify_bind(cr->c->dir_fd, err);
		if (fg->notify < 0)
			return fg->notify;
	}
	r = cr->ops->open(&cr->process, &cr->spec, cr->c, err);
	if (r < 0)
		return r;
	log_debug("container %s: its program is executed", cr->c->id);
	cr->c->status = OCI_RUNNING;
	r = store_finish(cr->c->dir_fd, err);
	if (r == 0)
		r = creation_announce(cr, err);
	container_unlock(cr->c);
	if (r == 0)
		r = start_poststart(cr->c, &cr->spec, err);
	if (r == 0 && cr->ops->ready_when_started &&
	    notify_started(cr->process.pid, cr->detached, &problem) < 0)
		log_warning("%s", problem.msg);
	return r;
}

/* The container ended in our hands: remove it, unless somebody else already did. */
static int remove_ended(struct creation *cr, struct err *err)
{
	struct container *c = cr->c;
	struct err problem = { 0 };
	int r = store_lock(c->dir_fd, &problem);

	if (r == -ENOENT)
		return 0;
	/* Without the lock we still are the ones who know that it ended. */
	if (r < 0)
		log_warning("%s", problem.msg);
	else
		c->lock_fd = c->dir_fd;
	c->pid = 0;
	c->status = OCI_STOPPED;
	/* Processes that cannot be ended make themselves known: their cgroup cannot be removed. */
	if (!c->private_pid)
		(void)container_end_processes(c, &problem);
	return container_destroy(c, &cr->spec, err);
}

static int stay(struct creation *cr, const struct foreground *fg, int *ret_status, struct err *err)
{
	int r = foreground_wait(fg, ret_status, err);

	/* We cannot look after it: it must not go on unseen. */
	if (r < 0)
		creation_undo(cr);
	if (r < 0 || cr->options->keep)
		return r;
	return remove_ended(cr, err);
}

int container_run(const struct runtime *rt, const struct create_options *options, int *ret_status,
		  struct err *err)
{
	AUTO(creation_done) struct creation cr;
	struct foreground fg = { .signals = -EBADF, .notify = -EBADF };
	AUTO_CLOSE int signals = -EBADF, notify = -EBADF;
	int r = creation_make(&cr, rt, options, false, err);

	if (r < 0)
		return r;
	fg.process = &cr.process;
	r = begin(&cr, &fg, err);
	signals = fg.signals;
	notify = fg.notify;
	if (r < 0) {
		creation_undo(&cr);
		return r;
	}
	if (!cr.detached)
		return stay(&cr, &fg, ret_status, err);
	if (notify >= 0)
		r = notify_wait(notify, cr.process.pid, cr.process.pidfd, err);
	*ret_status = 0;
	return r;
}
