/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/loop.h - an event loop: epoll(7), signalfd(2) and timers for programs of one thread.
 *
 * Sources belong to who added them. A callback may add and remove any source, its own included, and
 * call loop_quit(). Descriptors that epoll refuses (regular files) count as always ready.
 */
#pragma once

#include <stdint.h>
#include <sys/signalfd.h>

struct loop;
struct loop_source;

/* `events`: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP as they came. */
typedef void loop_fd_fn(void *arg, int fd, uint32_t events);
typedef void loop_timer_fn(void *arg);
typedef void loop_signal_fn(void *arg, const struct signalfd_siginfo *info);

int loop_new(struct loop **ret);   /* 0 or -errno */
void loop_free(struct loop *loop); /* accepts NULL; sources that are left go with it */

/* `fd` stays the caller's and is open until the source is removed. Level-triggered. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
		struct loop_source **ret);
/* 0 events: only EPOLLERR and EPOLLHUP (as epoll), and nothing of a regular file. */
int loop_set_events(struct loop_source *source, uint32_t events);

/* Once, at least `ms` from now. The source is there until it is removed, also after it has fired.
 */
int loop_add_timer(struct loop *loop, int64_t ms, loop_timer_fn *fn, void *arg,
		   struct loop_source **ret);
int loop_set_timer(struct loop_source *source, int64_t ms); /* -1: off */

/* All signals are blocked and come here from now on; one function for all. */
int loop_on_signals(struct loop *loop, loop_signal_fn *fn, void *arg);

void loop_remove(struct loop_source *source); /* accepts NULL */

/* Serve until loop_quit(); returns its value, or -errno. */
int loop_run(struct loop *loop);
/* One round of at most timeout_ms (-1: as long as it takes): for tests. 0 or -errno. */
int loop_once(struct loop *loop, int timeout_ms);
void loop_quit(struct loop *loop, int value);

/* What its rounds took, without the waiting. */
struct loop_counts {
	uint64_t rounds, busy_ns, longest_ns;
};
struct loop_counts loop_counts(const struct loop *loop);
