/* SPDX-License-Identifier: Apache-2.0 */
/* shim/oom.c - who was killed for want of memory: from the host's cgroup, or from a sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "shim/events.h"
#include "shim/shim.h"

#define READS_MAX 16   /* for one look: a sandbox may write faster than we read */
#define REST_MS	  1000 /* between two looks at what a sandbox says */

/* Read what is there: an eventfd's count, inotify's records, a socket's bytes. */
static bool drain(struct oom_watch *w, bool *ret_ended)
{
	char bytes[4096];
	bool any = false;
	ssize_t n = 1;

	for (int i = 0; i < READS_MAX && n > 0; i++) {
		n = read(w->fd, bytes, sizeof(bytes));
		any = any || n > 0;
	}
	*ret_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	return any;
}

static void stop(struct oom_watch *w)
{
	loop_remove(TAKE_PTR(w->source));
	loop_remove(TAKE_PTR(w->rest));
	auto_close_p(&w->fd);
	w->fd = -EBADF;
	cgroup_free(TAKE_PTR(w->cgroup));
}

static void look(struct oom_watch *w)
{
	bool ended = false;

	if (w->fd < 0)
		return;
	if (drain(w, &ended) && (!w->cgroup || cgroup_oom_confirm(w->cgroup, &w->kills)))
		event_oom(w->task);
	/* The sandbox has gone. */
	if (ended)
		stop(w);
}

static void on_rested(void *arg)
{
	struct oom_watch *w = arg;

	(void)loop_set_events(w->source, EPOLLIN);
}

static void on_notice(void *arg, int fd, uint32_t events)
{
	struct oom_watch *w = arg;

	(void)fd;
	(void)events;
	look(w);
	if (w->rest && loop_set_timer(w->rest, REST_MS) == 0)
		(void)loop_set_events(w->source, 0);
}

static void begin(struct oom_watch *w, int fd)
{
	struct task *t = w->task;
	const int flags = fcntl(fd, F_GETFL);

	w->fd = fd;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    (!w->cgroup && loop_add_timer(t->shim->loop, -1, on_rested, w, &w->rest) < 0) ||
	    loop_add_fd(t->shim->loop, fd, EPOLLIN, on_notice, w, &w->source) < 0) {
		log_warning("container %s: cannot watch for want of memory", t->id);
		stop(w);
	}
}

void oom_watch_cgroup(struct task *t)
{
	struct oom_watch *w = &t->oom[OOM_HOST];
	struct container *c = NULL;
	struct err err = { 0 };
	int r = container_load(&t->settings->rt, t->id, false, &c, &err);
	int fd = r == 0 && c->cgroup ? cgroup_oom_fd(c->cgroup, &err) : -ENOTSUP;

	if (r == 0 && fd >= 0) {
		w->cgroup = TAKE_PTR(c->cgroup);
		(void)cgroup_oom_confirm(w->cgroup, &w->kills);
		begin(w, fd);
	} else if (r < 0 || (fd != -ENOENT && fd != -ENOTSUP)) {
		log_warning("container %s: cannot watch for want of memory: %s", t->id, err.msg);
	}
	container_free(c);
}

void oom_watch_sandbox(struct task *t, int fd)
{
	begin(&t->oom[OOM_SANDBOX], fd);
}

void oom_look(struct task *t)
{
	for (int i = 0; i < OOM_WATCHES; i++)
		look(&t->oom[i]);
}

void oom_stop(struct task *t)
{
	for (int i = 0; i < OOM_WATCHES; i++)
		stop(&t->oom[i]);
}
