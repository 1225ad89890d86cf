/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/kloop.h - the worker's loop: fibers, timers, host descriptors, platform events.
 *
 * One thread. It runs ready fibers until none is left, asks the poll hooks (the platform looks at
 * its request lines), then sleeps in epoll_wait(2) until a descriptor, a timer or a doorbell.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "sentry/core/fiber.h"

/* A host descriptor in the loop. fn runs outside of any fiber and must not park. */
struct kloop_fd {
	int host_fd;					      /* the owner's */
	void (*fn)(struct kloop_fd *source, uint32_t events); /* EPOLL* */
};

/* Once, before the cage: the epoll descriptor and the doorbell of helper threads. 0 or -errno. */
int kloop_init(void);

/* events: EPOLLIN, EPOLLOUT, EPOLLET, EPOLLONESHOT ... 0 or -errno. */
int kloop_add(struct kloop_fd *source, uint32_t events);
int kloop_modify(struct kloop_fd *source, uint32_t events);
void kloop_remove(struct kloop_fd *source);

/*
 * A hook of the platform, called whenever no fiber is ready and before the loop sleeps.
 * poll() makes fibers ready if there is work and returns whether it did. before_sleep() announces
 * that the loop is about to sleep, or returns false if work has arrived or it wants to be asked
 * again; after_sleep() takes the announcement back.
 */
struct kloop_hook {
	bool (*poll)(void);
	bool (*before_sleep)(void);
	void (*after_sleep)(void);
};
void kloop_set_hook(const struct kloop_hook *hook);

/* Run until kloop_stop(); returns its code. */
int kloop_run(void);
void kloop_stop(int code);
