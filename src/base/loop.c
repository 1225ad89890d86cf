/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source that a callback removes may still stand in the events of the round: it is marked and
 * freed when no round goes on. Lists of which callbacks are called are first moved aside and then
 * emptied one by one, so that any source may come and go meanwhile.
 */
#include "base/loop.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/list.h"

#define LOOP_EVENTS  64 /* of one round */
#define LOOP_SIGNALS 16 /* of one round */
#define TIMER_OFF    (-1)

enum source_kind {
	SOURCE_FD,
	SOURCE_FILE, /* epoll refuses it */
	SOURCE_TIMER,
	SOURCE_SIGNALS,
	SOURCE_DEAD,
};

struct loop_source {
	struct list_head node;
	struct loop *loop;
	enum source_kind kind;
	int fd;
	uint32_t events;
	int64_t due_ns;
	loop_fd_fn *fd_fn;
	loop_timer_fn *timer_fn;
	loop_signal_fn *signal_fn;
	void *arg;
};

struct loop {
	int epoll;
	int signals;
	struct list_head fds, files, timers, dead;
	int depth; /* rounds that go on */
	bool quit;
	int value;
	struct loop_counts counts;
};

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int loop_new(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	list_init(&loop->fds);
	list_init(&loop->files);
	list_init(&loop->timers);
	list_init(&loop->dead);
	loop->signals = -EBADF;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		const int r = -errno;

		free(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

static void free_list(struct list_head *list)
{
	while (!list_empty(list)) {
		struct loop_source *s = list_first(list, struct loop_source, node);

		list_del(&s->node);
		free(s);
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(loop->depth == 0);
	free_list(&loop->fds);
	free_list(&loop->files);
	free_list(&loop->timers);
	free_list(&loop->dead);
	if (loop->signals >= 0)
		(void)close(loop->signals);
	(void)close(loop->epoll);
	free(loop);
}

static struct loop_source *new_source(struct loop *loop, enum source_kind kind, void *arg)
{
	struct loop_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->node);
	s->loop = loop;
	s->kind = kind;
	s->fd = -EBADF;
	s->due_ns = TIMER_OFF;
	s->arg = arg;
	return s;
}

static int watch(struct loop_source *s)
{
	struct epoll_event event = { .events = s->events, .data.ptr = s };

	return epoll_ctl(s->loop->epoll, EPOLL_CTL_ADD, s->fd, &event) < 0 ? -errno : 0;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
		struct loop_source **ret)
{
	struct loop_source *s = new_source(loop, SOURCE_FD, arg);
	int r;

	if (!s)
		return -ENOMEM;
	s->fd = fd;
	s->events = events;
	s->fd_fn = fn;
	r = watch(s);
	if (r == -EPERM)
		s->kind = SOURCE_FILE;
	else if (r < 0) {
		free(s);
		return r;
	}
	list_add_tail(&s->node, s->kind == SOURCE_FILE ? &loop->files : &loop->fds);
	*ret = s;
	return 0;
}

int loop_set_events(struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (source->events == events)
		return 0;
	if (source->kind == SOURCE_FD &&
	    epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	return 0;
}

int loop_add_timer(struct loop *loop, int64_t ms, loop_timer_fn *fn, void *arg,
		   struct loop_source **ret)
{
	struct loop_source *s = new_source(loop, SOURCE_TIMER, arg);
	int r;

	if (!s)
		return -ENOMEM;
	s->timer_fn = fn;
	r = loop_set_timer(s, ms);
	if (r < 0) {
		free(s);
		return r;
	}
	list_add_tail(&s->node, &loop->timers);
	*ret = s;
	return 0;
}

int loop_set_timer(struct loop_source *source, int64_t ms)
{
	if (ms < -1 || ms > INT64_MAX / 2000000)
		return -EINVAL;
	source->due_ns = ms < 0 ? TIMER_OFF : now_ns() + ms * 1000000;
	return 0;
}

int loop_on_signals(struct loop *loop, loop_signal_fn *fn, void *arg)
{
	struct loop_source *s;
	sigset_t all;
	int r;

	if (loop->signals >= 0)
		return -EEXIST;
	s = new_source(loop, SOURCE_SIGNALS, arg);
	if (!s)
		return -ENOMEM;
	s->signal_fn = fn;
	s->events = EPOLLIN;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	s->fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	r = s->fd < 0 ? -errno : watch(s);
	if (r < 0) {
		if (s->fd >= 0)
			(void)close(s->fd);
		free(s);
		return r;
	}
	loop->signals = s->fd;
	list_add_tail(&s->node, &loop->fds);
	return 0;
}

void loop_remove(struct loop_source *source)
{
	if (!source)
		return;
	assert(source->kind != SOURCE_DEAD);
	if (source->kind == SOURCE_FD)
		(void)epoll_ctl(source->loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->kind = SOURCE_DEAD;
	list_move_tail(&source->node, &source->loop->dead);
	if (source->loop->depth == 0)
		free_list(&source->loop->dead);
}

/* How long epoll may wait: until the first timer; nothing when a file is ready. */
static int patience(struct loop *loop, int timeout_ms)
{
	struct loop_source *s;
	int64_t first = INT64_MAX, ms;

	list_for_each(s, &loop->files, node) if (s->events & (EPOLLIN | EPOLLOUT)) return 0;
	list_for_each(s, &loop->timers, node) if (s->due_ns != TIMER_OFF && s->due_ns < first)
		first = s->due_ns;
	if (first == INT64_MAX)
		return timeout_ms;
	ms = (first - now_ns() + 999999) / 1000000;
	if (ms < 0)
		ms = 0;
	if (ms > INT_MAX)
		ms = INT_MAX;
	return timeout_ms >= 0 && timeout_ms < ms ? timeout_ms : (int)ms;
}

static int serve_signals(struct loop *loop, const struct loop_source *s)
{
	for (int i = 0; i < LOOP_SIGNALS && !loop->quit; i++) {
		struct signalfd_siginfo info;
		const ssize_t n = read(s->fd, &info, sizeof(info));

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n != sizeof(info))
			return -EIO;
		s->signal_fn(s->arg, &info);
	}
	return 0;
}

static void serve_files(struct loop *loop)
{
	struct list_head round = LIST_HEAD_INIT(round);

	list_splice_tail(&loop->files, &round);
	while (!list_empty(&round)) {
		struct loop_source *s = list_first(&round, struct loop_source, node);
		const uint32_t events = s->events & (EPOLLIN | EPOLLOUT);

		list_move_tail(&s->node, &loop->files);
		if (events && !loop->quit)
			s->fd_fn(s->arg, s->fd, events);
	}
}

static void serve_timers(struct loop *loop)
{
	struct list_head round = LIST_HEAD_INIT(round);
	const int64_t now = now_ns();

	list_splice_tail(&loop->timers, &round);
	while (!list_empty(&round)) {
		struct loop_source *s = list_first(&round, struct loop_source, node);

		list_move_tail(&s->node, &loop->timers);
		if (s->due_ns == TIMER_OFF || s->due_ns > now || loop->quit)
			continue;
		s->due_ns = TIMER_OFF;
		s->timer_fn(s->arg);
	}
}

static int serve_events(struct loop *loop, const struct epoll_event *events, int n)
{
	int r = 0;

	for (int i = 0; i < n && r == 0 && !loop->quit; i++) {
		struct loop_source *s = events[i].data.ptr;

		if (s->kind == SOURCE_SIGNALS)
			r = serve_signals(loop, s);
		else if (s->kind == SOURCE_FD)
			s->fd_fn(s->arg, s->fd, events[i].events);
	}
	return r;
}

static void count_round(struct loop *loop, int64_t begin)
{
	const uint64_t took = (uint64_t)(now_ns() - begin);

	loop->counts.rounds++;
	loop->counts.busy_ns += took;
	if (took > loop->counts.longest_ns)
		loop->counts.longest_ns = took;
}

int loop_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[LOOP_EVENTS];
	int64_t begin;
	int n, r;

	n = epoll_wait(loop->epoll, events, LOOP_EVENTS, patience(loop, timeout_ms));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	begin = now_ns();
	loop->depth++;
	r = serve_events(loop, events, n);
	if (r == 0) {
		serve_files(loop);
		serve_timers(loop);
	}
	if (--loop->depth == 0)
		free_list(&loop->dead);
	count_round(loop, begin);
	return r;
}

struct loop_counts loop_counts(const struct loop *loop)
{
	return loop->counts;
}

int loop_run(struct loop *loop)
{
	while (!loop->quit) {
		const int r = loop_once(loop, -1);

		if (r < 0)
			return r;
	}
	loop->quit = false;
	return loop->value;
}

void loop_quit(struct loop *loop, int value)
{
	loop->quit = true;
	loop->value = value;
}
