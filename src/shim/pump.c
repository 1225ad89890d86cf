/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/pump.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define PUMP_SIZE 4096 /* bytes: what a terminal gives at a time */
#define HANGUP_MS 100  /* until a terminal that nobody has open is looked at again */
#define AGAIN_MS  10   /* until one that is empty at its end is looked at once more */
#define FLUSH_MAX 512u /* buffers of a flush: more than a pipe or a terminal holds */

struct pump {
	struct loop *loop;
	struct loop_source *source, *target; /* NULL: not looked at */
	int from, to;
	pump_over_fn *over;
	void *arg;
	size_t at, len;	  /* of what is not written yet */
	bool ended;	  /* nothing more can be read */
	bool broken;	  /* nothing more can be written */
	bool paused;	  /* the source hung up: the timer will look again */
	bool last;	  /* what the source has now is all; the timer looks until it is read */
	bool empty;	  /* and there was nothing; one more look */
	const char *name; /* NULL: what is refused is the end */
	bool discarded;	  /* and that was told */
	struct loop_source *timer; /* NULL: a source that hangs up has ended */
	char bytes[PUMP_SIZE];
};

/* 1: there is room or an end; 0: nothing now. */
static int read_some(struct pump *p)
{
	ssize_t n;

	do {
		n = read(p->from, p->bytes, sizeof(p->bytes));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN && !p->last)
		return 0;
	/*
	 * The kernel moves what was written from one buffer to the next by a work that read(2)
	 * waits for, but not for what it leaves to a second run: a read in between finds nothing.
	 */
	if (n < 0 && (errno == EAGAIN || errno == EIO) && p->last && !p->empty) {
		p->empty = true;
		return 0;
	}
	p->empty = false;
	/* EIO: the last one has closed the terminal (pty(7)). */
	if (n < 0 && errno == EIO && p->timer && !p->last) {
		p->paused = loop_set_timer(p->timer, HANGUP_MS) == 0;
		return 0;
	}
	if (n <= 0)
		p->ended = true;
	p->at = 0;
	p->len = n > 0 ? (size_t)n : 0;
	return 1;
}

/* The target takes nothing; of what is written next it may. */
static void refuse(struct pump *p, int error)
{
	p->len = 0;
	p->broken = !p->name;
	if (p->name && !p->discarded)
		log_warning("stream %s: %s: output is lost", p->name, strerror(error));
	p->discarded = true;
}

static int write_some(struct pump *p)
{
	while (p->len > 0) {
		const ssize_t n = write(p->to, p->bytes + p->at, p->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0) {
			refuse(p, errno);
			return 1;
		}
		p->at += (size_t)n;
		p->len -= (size_t)n;
	}
	return 1;
}

static bool is_over(const struct pump *p)
{
	return p->broken || (p->ended && p->len == 0);
}

static void on_ready(void *arg, int fd, uint32_t events);
static void on_target(void *arg, int fd, uint32_t events);

/*
 * A source that has ended says so always: it is not looked at while there is no room. Nor is a
 * target that hung up, until something waits for it again.
 */
static int watch(struct pump *p)
{
	int r = 0;

	if (p->len > 0 || p->paused || p->last)
		loop_remove(TAKE_PTR(p->source));
	else if (!p->source)
		r = loop_add_fd(p->loop, p->from, EPOLLIN, on_ready, p, &p->source);
	if (p->len == 0 && p->last)
		r = loop_set_timer(p->timer, p->empty ? AGAIN_MS : 0);
	if (r == 0 && p->target)
		r = loop_set_events(p->target, p->len > 0 ? EPOLLOUT : 0);
	else if (r == 0 && p->len > 0)
		r = loop_add_fd(p->loop, p->to, EPOLLOUT, on_target, p, &p->target);
	return r;
}

/* What it waits for from now on, or its end: over() may free it. */
static void settle(struct pump *p)
{
	if (!is_over(p) && watch(p) < 0)
		p->broken = true;
	if (!is_over(p))
		return;
	loop_remove(TAKE_PTR(p->source));
	loop_remove(TAKE_PTR(p->target));
	p->over(p->arg);
}

/* One buffer for each call: the loop has others to serve. */
static void on_ready(void *arg, int fd, uint32_t events)
{
	struct pump *p = arg;

	(void)fd;
	(void)events;
	if (p->len == 0 && !p->ended)
		(void)read_some(p);
	(void)write_some(p);
	settle(p);
}

/* The target speaks only while something waits for it; EPOLLERR and EPOLLHUP it says always. */
static void on_target(void *arg, int fd, uint32_t events)
{
	struct pump *p = arg;

	if (p->len > 0 || !(events & (EPOLLERR | EPOLLHUP))) {
		on_ready(p, fd, events);
		return;
	}
	loop_remove(p->target);
	p->target = NULL;
}

void pump_discard(struct pump *p, const char *name)
{
	p->name = name;
}

static void on_timer(void *arg)
{
	struct pump *p = arg;

	p->paused = false;
	if (p->last)
		on_ready(p, p->from, 0);
	else
		settle(p);
}

int pump_outlive_hangups(struct pump *p)
{
	return loop_add_timer(p->loop, -1, on_timer, p, &p->timer);
}

void pump_end_when_empty(struct pump *p)
{
	if (!p || !p->timer)
		return;
	p->last = true;
	on_timer(p);
}

void pump_flush(struct pump *p)
{
	if (!p)
		return;
	/* Who goes on writing would keep the loop here for ever. */
	for (unsigned int i = 0; i < FLUSH_MAX && !is_over(p); i++) {
		if (!write_some(p) || is_over(p) || !read_some(p))
			return;
	}
}

int pump_new(struct loop *loop, int from, int to, pump_over_fn *over, void *arg, struct pump **ret)
{
	struct pump *p = malloc(sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	memset(p, 0, offsetof(struct pump, bytes));
	p->loop = loop;
	p->from = from;
	p->to = to;
	p->over = over;
	p->arg = arg;
	r = loop_add_fd(loop, from, EPOLLIN, on_ready, p, &p->source);
	if (r == 0)
		r = loop_add_fd(loop, to, 0, on_target, p, &p->target);
	if (r < 0) {
		pump_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void pump_free(struct pump *p)
{
	if (!p)
		return;
	loop_remove(p->source);
	loop_remove(p->target);
	loop_remove(p->timer);
	free(p);
}
